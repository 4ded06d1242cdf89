"""A short, repeatable run of the fuzzer over every parser, and that the fuzzer itself finds what is wrong."""

from __future__ import annotations

import pytest

from tests import fuzz
from tests.fuzz_targets import LieError, Target, targets
from trust_store.errors import MalformedError

INPUTS = 150
TARGETS = targets()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_no_input_breaks_a_parser(target: Target) -> None:
    """Mutated input ends in an answer that is true or in a permitted error, and in time."""
    tally = fuzz.fuzz(target, 1, lambda inputs: inputs < INPUTS)
    assert [(f.what, f.data) for f in tally.findings] == []
    assert tally.inputs == INPUTS


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
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "20"])
    assert fuzz.main() == 1
    assert what in capsys.readouterr().out


def test_a_seed_that_is_refused_is_a_finding() -> None:
    """A target whose seed is not even read would fuzz nothing but the first check."""
    target = Target("stale", crash, (b"much too long",), (MalformedError,))
    assert fuzz.fuzz(target, 1, lambda inputs: inputs < 1).findings
