# make run    sets up, then runs the daemon on embedded SQLite under ./run
# make test   sets up, then runs the tests (< 10 minutes)
# make demo   sets up, then plays the whole story against real servers (< 1 minute)
# make check  format, lint, types, import contracts, tests, coverage: what CI runs
# make test-system   installs the service on a real systemd and proves what the docs say of it (root; 3 minutes)
# make fuzz | mutation | soak | benchmarks   full length
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN ?= run
WORKERS ?= auto
SECONDS_PER_TARGET ?= 60
STATE_MACHINE_EXAMPLES ?= 500

.PHONY: setup setup-test setup-native run test demo check lint test-native test-system fuzz mutation soak benchmarks clean

.venv/runtime: requirements.lock pyproject.toml
	sh .ci/require-system-packages run
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/development: .venv/runtime requirements-dev.lock .ci/system-packages
	sh .ci/require-system-packages test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

.venv/native: .venv/development .ci/system-packages
	sh .ci/require-system-packages native
	touch $@

setup: .venv/runtime
setup-test: .venv/development
setup-native: .venv/native

run: setup
	$(BIN)/rootwarden --config $(RUN)/rootwarden.toml init --starter --if-missing
	exec $(BIN)/rootwarden --config $(RUN)/rootwarden.toml run

test: setup-test
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not native and not soak"

demo: setup-test
	$(BIN)/rootwarden demo

lint: setup-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The changed bytes of package fixtures are make test's: thousands of runs of the same lines, dear under coverage.
check: setup-native lint
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -n $(WORKERS) -m "not soak" --ignore tests/packages/test_mutations.py
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-native: setup-native
	$(BIN)/python -m pytest -q -n $(WORKERS) -m native

test-system: setup-test
	$(BIN)/python -m tests.system

fuzz: setup-test
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS_PER_TARGET)
	STATE_MACHINE_EXAMPLES=$(STATE_MACHINE_EXAMPLES) STATE_MACHINE_STEPS=60 $(BIN)/python -m pytest -q --hypothesis-profile=random tests/trust_store/test_state_machine.py

mutation: setup-test
	$(BIN)/python -m tests.mutation
	$(BIN)/python -m tests.packages.mutation

soak: setup-test
	$(BIN)/python -m pytest -q -m soak

benchmarks: setup-test
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .hypothesis .coverage*
