from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trust_store.decode.facts_json import MAX_FACTS_BYTES, facts_from_json, facts_to_json
from trust_store.errors import MalformedError
from trust_store.model.package_facts import (
    Coverage,
    KeyCheck,
    PackageFacts,
    Problem,
    SideFile,
    SignatureFact,
    SignatureOrigin,
    SignerHint,
    Uncovered,
)
from trust_store.model.verdict import Reason

HEX = st.text("0123456789abcdef", max_size=64)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NATURAL = st.integers(0, (1 << 63) - 1)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - made aware
PROBLEM = st.builds(Problem, st.sampled_from([r for r in Reason if r is not Reason.TRUSTED]), TEXT)
HINT = st.builds(
    SignerHint, st.binary(max_size=9), st.none() | TEXT, st.none() | st.integers(-(1 << 160), 1 << 160),
    st.none() | HEX, st.none() | HEX, st.none() | HEX,
)  # fmt: skip
SIGNATURE = st.builds(
    SignatureFact, TEXT, st.sampled_from(SignatureOrigin), st.none() | st.builds(SideFile, TEXT, DIGEST),
    st.none() | PROBLEM, HINT, TEXT, TEXT, st.binary(max_size=9), st.binary(max_size=9), st.binary(max_size=9),
    st.booleans(), st.binary(max_size=9), st.lists(st.binary(max_size=3), max_size=3).map(tuple), st.none() | TIMES,
    st.lists(st.binary(max_size=3), max_size=3).map(tuple), st.lists(st.binary(max_size=3), max_size=3).map(tuple),
    st.lists(
        st.builds(KeyCheck, HEX, HEX, st.booleans(), st.none() | st.booleans())
        | st.builds(KeyCheck, HEX, HEX, st.booleans(), st.booleans(), st.just(True)),  # noqa: FBT003 - a strategy
        max_size=3,
    ).map(tuple),
)  # fmt: skip
UNCOVERED = st.builds(Uncovered, st.none() | NATURAL, st.none() | NATURAL, st.none() | TEXT, st.booleans())
FACTS = st.builds(
    PackageFacts, st.just("") | DIGEST, NATURAL, st.none() | TEXT, NATURAL, st.lists(DIGEST, max_size=2).map(tuple),
    st.none() | PROBLEM, st.lists(SIGNATURE, max_size=3).map(tuple),
    st.builds(Coverage, NATURAL, st.lists(UNCOVERED, max_size=3).map(tuple)), st.booleans(),
)  # fmt: skip
SAMPLE = PackageFacts(
    "a" * 64, 1, "zip", 1, ("b" * 64,), Problem(Reason.MALFORMED, "x"),
    (
        SignatureFact(
            "cms", SignatureOrigin.GIVEN, SideFile("n", "c" * 64), hint=SignerHint(serial_number=-5), certificates=(b"c", b"c"),
            claimed_at=datetime(2026, 1, 1, tzinfo=UTC), key_checks=(KeyCheck("ab", "ab", holds=True),),
        ),
    ),
    Coverage(1, (Uncovered(member="m"),)),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(FACTS)
def test_round_trip(facts: PackageFacts) -> None:
    """Whatever facts there are, they come back equal, in one line of ASCII."""
    text = facts_to_json(facts)
    assert text.isascii()
    assert "\n" not in text
    assert facts_from_json(text) == facts_from_json(text.encode()) == facts


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@pytest.mark.parametrize("wrong", [{}, [[]], -1, 1 << 70, "\ud800", "é" * 9000, 1.5])
def test_wrong_types_anywhere_are_malformed(wrong: object) -> None:
    """A value of the wrong kind at any place is malformed, never taken for something else."""
    value = json.loads(facts_to_json(SAMPLE))
    for path in places(value)[1:]:
        changed = json.loads(json.dumps(value))
        at = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = wrong
        with pytest.raises(MalformedError):
            facts_from_json(json.dumps(changed))


def test_lost_and_added_keys_are_malformed() -> None:
    """Keys are exactly those that must be there, each once."""
    value = json.loads(facts_to_json(SAMPLE))
    for key in value:
        with pytest.raises(MalformedError):
            facts_from_json(json.dumps({k: v for k, v in value.items() if k != key}))
    for text in (
        json.dumps(value | {"more": 1}),
        facts_to_json(SAMPLE)[:-1] + ',"size":2}',
        facts_to_json(SAMPLE)[:-1],
        "NaN",
        "[" * 100_000,
        "null",
        "\xff",
        facts_to_json(SAMPLE).replace("facts/2", "facts/1"),
        facts_to_json(SAMPLE).replace('"malformed"', '"trusted"'),
        facts_to_json(SAMPLE).replace('"given"', '"invented"'),
        facts_to_json(SAMPLE).replace('"-5"', '"-05"'),
        facts_to_json(SAMPLE).replace('"-5"', '"z"'),
        facts_to_json(SAMPLE).replace("2026-01-01T00:00:00.000000Z", "yesterday"),
        facts_to_json(SAMPLE).replace('"certificates":[0,0]', '"certificates":[0,1]'),
        facts_to_json(SAMPLE).replace('"Yw=="', '"Yw="'),
        " " * (MAX_FACTS_BYTES + 1),
    ):
        with pytest.raises(MalformedError):
            facts_from_json(text)
