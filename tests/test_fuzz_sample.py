"""A short, repeatable run of the fuzzer over every parser, and that the fuzzer itself finds what is wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests import fuzz
from tests.fuzz_targets import LieError, Target, targets
from trust_store.errors import MalformedError

INPUTS = 150
WHOLE = ("package: ", "side file: ")
"""Targets that read and judge everything there is: a few inputs each, of which the first seeds are few."""
WHOLE_INPUTS, WHOLE_SEEDS = 20, 4
TARGETS = targets()


def test_every_target_has_a_name_of_its_own_and_seeds() -> None:
    """Two of one name would be one where targets are asked for by name, and without a seed nothing can be changed."""
    assert sorted({target.name for target in TARGETS}) == sorted(target.name for target in TARGETS)
    assert [target.name for target in TARGETS if not target.seeds] == []


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_no_input_breaks_a_parser(target: Target) -> None:
    """Mutated input ends in an answer that is true or in a permitted error, and in time."""
    inputs = INPUTS
    if target.name.startswith(WHOLE):
        inputs, target = WHOLE_INPUTS, replace(target, seeds=target.seeds[:WHOLE_SEEDS])
    tally = fuzz.fuzz(target, 1, lambda done: done < inputs)
    assert [(f.what, f.data) for f in tally.findings] == []
    assert tally.inputs == inputs > len(target.seeds)


def crash(data: bytes) -> None:
    """A parser with a fault."""
    if len(data) != 4:
        raise MalformedError("not four bytes")
    if data != b"good":
        raise IndexError("no such place")


def hang(data: bytes) -> None:
    """A parser that does not end."""
    while data != b"good":
        pass


def lie(data: bytes) -> None:
    """A parser that passes everything."""
    if data != b"good":
        raise LieError("passed")


@pytest.mark.parametrize(("parser", "what"), [(crash, "IndexError"), (hang, "too slow"), (lie, "LieError")])
def test_the_fuzzer_finds_faults(
    parser: object, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash, an endless loop and a false answer are each a finding, with an input that reproduces it, and exit code 1."""
    monkeypatch.setattr(fuzz, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(fuzz, "MAX_FINDINGS_PER_TARGET", 1)
    monkeypatch.setattr(fuzz, "targets", lambda: (Target("faulty", parser, (b"good",), (MalformedError,)),))  # type: ignore[arg-type]
    monkeypatch.setattr(fuzz.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "20", "--jobs", "0"])
    assert fuzz.main() == 1
    assert what in capsys.readouterr().out


def test_processes_fuzz_what_was_chosen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each target gets a process of its own, and is in the table with what was tried and found."""
    monkeypatch.setattr(fuzz.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "0.2", "--jobs", "1", "--target", "names.canonical"])
    assert fuzz.main() == 0
    assert re.fullmatch(r"(?s)\| target .*\n\| names\.canonical \| [1-9][0-9]* \| 0 \|\n", capsys.readouterr().out)


def test_a_run_that_fuzzes_nothing_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No target of the name that was asked for is exit code 1, and is said."""
    monkeypatch.setattr(fuzz.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "0.1", "--jobs", "0", "--target", "no such parser"])
    assert fuzz.main() == 1
    assert "0 of 0 targets were fuzzed" in capsys.readouterr().out


def test_a_seed_that_is_refused_is_a_finding() -> None:
    """A target whose seed is not even read would fuzz nothing but the first check."""
    target = Target("stale", crash, (b"much too long",), (MalformedError,))
    assert fuzz.fuzz(target, 1, lambda inputs: inputs < 1).findings
