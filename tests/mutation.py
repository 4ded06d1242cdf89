"""Mutation testing of the modules that decide: ``python -m tests.mutation [--sample N] [--seed S] [--module TEXT]``.

Each mutant is one small change to one module, made in a copy of the tree, and must be noticed ("killed") by the tests mapped to that
module. Survivors are listed: each is a missing test, or a change that makes no difference. Exit code 1 if the tests fail unchanged.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

CHECKOUT = Path(__file__).resolve().parents[1]
DEFAULT_SAMPLE = 140
WORKERS = 2
COPIED = ("monitor", "trust_store", "escalation", "tests", "docs", "pyproject.toml")
_VERDICT = (
    "trust_store/test_verdict_anchor_kinds.py", "trust_store/test_verdict_combination.py", "trust_store/test_verdict_constraints.py",
    "trust_store/test_verdict_decisions.py", "trust_store/test_verdict_openpgp.py", "trust_store/test_verdict_relatives.py",
    "trust_store/test_verdict_revocation.py", "trust_store/test_verdict_signer_rules.py", "trust_store/test_verdict_states.py",
    "trust_store/test_verdict_text.py", "trust_store/test_verdict_x509.py", "trust_store/test_validation_time.py",
    "trust_store/test_store_questions.py", "trust_store/test_store_facts.py", "trust_store/test_store_vendors.py",
    "trust_store/test_attacks_answers.py",
)  # fmt: skip
_CHECK = (
    "trust_store/test_check_command.py", "trust_store/test_check_command_batch.py", "trust_store/test_check_command_material.py",
    "trust_store/test_check_command_process.py", "trust_store/test_package_command.py",
)  # fmt: skip
_PATH = (
    "trust_store/test_path_building.py", "trust_store/test_path_names.py", "trust_store/test_path_policies.py",
    "trust_store/test_path_question.py", "trust_store/test_path_validation.py", "trust_store/test_path_algorithms.py",
)  # fmt: skip
_REVOCATION = (
    "trust_store/test_revocation_lists.py", "trust_store/test_ocsp_responses.py", "trust_store/test_revocation_mutations.py",
    "trust_store/test_pkits.py",
)  # fmt: skip
_ANCHOR = (
    "trust_store/test_anchor_decisions.py", "trust_store/test_anchor_proposals.py", "trust_store/test_anchor_states.py",
    "trust_store/test_anchor_commands.py", "trust_store/test_anchor_history.py", "trust_store/test_anchor_ways.py",
    "trust_store/test_anchor_counting.py", "trust_store/test_anchor_constraints.py", "trust_store/test_attacks_people_approvals.py",
)  # fmt: skip
_LINEAGE = (
    "trust_store/test_lineage.py", "trust_store/test_lineage_android.py", "trust_store/test_lineage_tuf.py",
    "trust_store/test_lineage_openpgp.py", "trust_store/test_lineage_records.py",
)  # fmt: skip
_BUNDLE = ("trust_store/test_bundle.py", "trust_store/test_attacks_answers.py")
TESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("trust_store/verification/supplied.py", (*_VERDICT, *_CHECK)),
    ("trust_store/verification/wording.py", (*_VERDICT, *_CHECK)),
    ("trust_store/verification/ratchet.py", ("trust_store/test_verdict_ratchet.py", "packages/test_apk_ratchet.py")),
    ("trust_store/verification/strength.py", ("trust_store/test_verdict_ratchet.py", "packages/test_apk_ratchet.py")),
    ("trust_store/verification/version_order.py", ("trust_store/test_version_order.py",)),
    ("trust_store/verification/*.py", _VERDICT),
    ("trust_store/chain/timestamping.py", ("trust_store/test_timestamping.py", "trust_store/test_validation_time.py")),
    ("trust_store/chain/key_ends.py", ("trust_store/test_forecast.py",)),
    ("trust_store/chain/named_key.py", _VERDICT),
    ("trust_store/chain/openpgp_succession.py", _LINEAGE),
    ("trust_store/chain/openpgp*.py", ("trust_store/test_openpgp_judgement.py", "trust_store/test_openpgp_judgement_hostile.py")),
    ("trust_store/chain/*revocation*.py", _REVOCATION),
    ("trust_store/chain/certificate_points.py", _REVOCATION),
    ("trust_store/chain/*_validation.py", _REVOCATION),
    ("trust_store/chain/signed_bytes.py", ("trust_store/test_signed_bytes.py", *_REVOCATION)),
    ("trust_store/chain/web_profile.py", ("trust_store/test_web_profile.py", "trust_store/test_limbo_web.py")),
    ("trust_store/chain/profile.py", (*_PATH, "trust_store/test_limbo_cases.py")),
    ("trust_store/chain/question.py", (*_PATH, "trust_store/test_pkits.py")),
    ("trust_store/chain/*.py", _PATH),
    ("trust_store/anchor_rules.py", (*_ANCHOR, "trust_store/test_anchor_import.py")),
    ("trust_store/anchor_approval.py", _ANCHOR),
    ("trust_store/anchor_changes.py", _ANCHOR),
    ("trust_store/anchor_narrowing.py", _ANCHOR),
    ("trust_store/tally.py", (*_ANCHOR, "trust_store/test_digest_decisions.py", "trust_store/test_baselines.py")),
    ("trust_store/digest_decisions.py", ("trust_store/test_digest_decisions.py",)),
    ("trust_store/ratchets.py", ("trust_store/test_ratchets.py", "monitor/test_ratchet_intake.py")),
    ("trust_store/baselines.py", ("trust_store/test_baselines.py",)),
    ("trust_store/lineage.py", _LINEAGE),
    ("trust_store/exchange/bundle.py", _BUNDLE),
    ("trust_store/bundled_trust.py", (*_BUNDLE, "trust_store/test_attacks_tombstones.py", "trust_store/test_verdict_openpgp_copies.py")),
    ("trust_store/exchange/exporting/protocol.py", ("trust_store/test_exports.py",)),
    ("trust_store/forecast.py", ("trust_store/test_forecast.py",)),
    ("escalation/digest.py", ("escalation/test_digest.py",)),
    ("monitor/expiry_alerts.py", ("monitor/test_expiry_alerts.py",)),
    ("trust_store/model/trust_anchor.py", (*_ANCHOR, *_VERDICT)),
    ("escalation/rules.py", ("escalation/test_rules.py",)),
    ("escalation/deduplication.py", ("escalation/test_rules.py",)),
    ("monitor/intake_plan.py", ("monitor/test_intake_plan.py",)),
    ("monitor/matching.py", ("monitor/test_matching.py",)),
)  # fmt: skip
"""Modules (the first pattern that fits counts) and the tests, below ``tests``, that have to notice."""

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: ``number`` counts the module's places for changes, in order."""

    module: str
    number: int
    line: int
    what: str


@dataclass(frozen=True)
class Fate:
    """Whether the tests noticed the mutant; running into the timeout is noticing too."""

    mutant: Mutant
    killed: bool


class _Changes(ast.NodeTransformer):
    """Visits the places where something can be changed, and changes the one with the wanted number."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted = wanted
        self.places: list[tuple[int, str]] = []

    def _here(self, node: ast.AST, what: str) -> bool:
        self.places.append((getattr(node, "lineno", 0), what))
        return len(self.places) - 1 == self.wanted

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        for index, operator in enumerate(node.ops):
            other = _COMPARISONS[type(operator)]
            if self._here(node, f"{type(operator).__name__} -> {other.__name__}"):
                node.ops[index] = other()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        if self._here(node, f"{type(node.op).__name__} -> {other.__name__}"):
            node.op = other()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.Not) and self._here(node, "not dropped") else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool):
            return ast.Constant(not node.value) if self._here(node, f"{node.value} -> {not node.value}") else node
        if isinstance(node.value, int):
            return ast.Constant(node.value + 1) if self._here(node, f"{node.value} -> {node.value + 1}") else node
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        nothing = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
        if not nothing and self._here(node, "returns None"):
            node.value = ast.Constant(None)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node
        self.generic_visit(node)
        leaves = isinstance(node.body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
        if leaves and self._here(node, "early end removed"):
            node.body = [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        node.args.defaults = [self.visit(default) for default in node.args.defaults]
        node.args.kw_defaults = [default and self.visit(default) for default in node.args.kw_defaults]
        return node  # decorators and annotations are left alone

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.value = node.value and self.visit(node.value)
        return node


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module, named by its path in the checkout."""
    changes = _Changes()
    changes.visit(ast.parse((CHECKOUT / module).read_text()))
    return [Mutant(module, number, line, what) for number, (line, what) in enumerate(changes.places)]


def source_of(mutant: Mutant) -> str:
    """The mutated module's source."""
    tree = _Changes(mutant.number).visit(ast.parse((CHECKOUT / mutant.module).read_text()))
    return ast.unparse(ast.fix_missing_locations(tree))


def tests_of(module: str) -> tuple[str, ...]:
    """The test files, as paths in the checkout, that have to notice a change of the module."""
    files = next(files for pattern, files in TESTS if Path(module).match(pattern))
    return tuple(f"tests/{file}" for file in files)


def modules() -> list[str]:
    """The modules that decide."""
    found = {str(p.relative_to(CHECKOUT)) for pattern, _ in TESTS for p in CHECKOUT.glob(pattern)}
    return sorted(m for m in found if not m.endswith("__init__.py"))


class Copy:
    """A copy of the tree in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (CHECKOUT / name).is_dir():
                shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(CHECKOUT / name, folder / name)

    def passes(self, tests: tuple[str, ...], seconds: float = 600.0) -> bool:
        """Whether these tests pass here; False too where they do not end in time. Raises where nothing was tested."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-m", "not native and not soak", *tests]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode in (4, 5) and "ImportError while loading conftest" not in done.stdout + done.stderr:
            raise RuntimeError(f"no tests were run: {done.stdout[-500:]}{done.stderr[-500:]}")
        return done.returncode == 0

    def fate(self, mutant: Mutant, seconds: float) -> Fate:
        """Try one mutant and put the module back."""
        file = self.folder / mutant.module
        before = file.read_text()
        file.write_text(source_of(mutant))
        try:
            return Fate(mutant, killed=not self.passes(tests_of(mutant.module), seconds))
        finally:
            file.write_text(before)


def run(chosen: list[Mutant], folder: Path, *, known_good: bool = False) -> list[Fate]:
    """Try all of ``chosen``, WORKERS at a time; raises RuntimeError where the tests fail without any change.

    ``known_good`` leaves that first run out, for a caller who sees the same tests pass anyway.
    """
    copies: Queue[Copy] = Queue()
    for number in range(min(WORKERS, max(1, len(chosen)))):
        copies.put(Copy(folder / str(number)))
    with ThreadPoolExecutor(WORKERS) as pool:

        def borrowed(action: str, subject: object, seconds: float) -> object:
            copy = copies.get()
            try:
                return getattr(copy, action)(subject, seconds)
            finally:
                copies.put(copy)

        limits: dict[tuple[str, ...], float] = {}
        for tests in sorted({tests_of(m.module) for m in chosen}) if not known_good else ():
            began = time.monotonic()
            if not borrowed("passes", tests, 600.0):
                raise RuntimeError(f"fails without any change: {' '.join(tests)}")
            limits[tests] = 10.0 + 4.0 * (time.monotonic() - began)
        return list(pool.map(lambda m: borrowed("fate", m, limits.get(tests_of(m.module), 60.0)), chosen))  # type: ignore[arg-type]


def main() -> int:
    """Try a sample of all mutants, print the table and the survivors."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing of what decides.")
    parser.add_argument("--sample", type=int, default=DEFAULT_SAMPLE, help="how many mutants; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", default="", help="only modules whose path contains this")
    options = parser.parse_args()
    everything = [m for module in modules() if options.module in module for m in mutants_of(module)]
    chosen = everything
    if 0 < options.sample < len(everything):
        chosen = random.Random(options.seed).sample(everything, options.sample)  # noqa: S311 - a repeatable choice
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        try:
            fates = run(sorted(chosen, key=lambda m: (m.module, m.number)), Path(folder))
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    tried, killed = Counter(f.mutant.module for f in fates), Counter(f.mutant.module for f in fates if f.killed)
    sys.stdout.write("| module | mutants | tried | killed | survived |\n|---|---:|---:|---:|---:|\n")
    for module, all_ in sorted(Counter(m.module for m in everything).items()):
        sys.stdout.write(
            f"| {module} | {all_} | {tried[module]} | {killed[module]} | {tried[module] - killed[module]} |\n"
        )
    sys.stdout.write(
        f"| all | {len(everything)} | {len(fates)} | {sum(killed.values())} | {len(fates) - sum(killed.values())} |\n\n"
    )
    for fate in fates:
        if not fate.killed:
            sys.stdout.write(f"survived: {fate.mutant.module}:{fate.mutant.line}: {fate.mutant.what}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
