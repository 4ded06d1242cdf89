"""One order of version numbers for all formats."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_store.verification.version_order import version_key

ASCENDING = {
    "numbers": ["0", "1", "2", "10", "20260503", "123456789012345678901234567890"],
    "dotted": ["1", "1.0", "1.0.1", "1.9", "1.10", "2.0"],
    "semantic": ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"],
    "python": ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.1.dev0"],
    "rpm": ["1.0~rc1-1", "1.0-1", "1.0-2.el9", "1.0-9", "1.0^20260503-1", "1.0.1-1", "1:0.1-1", "2:0.0-1"],
    "debian": ["1.2~beta1-1", "1.2-1", "1.2-1ubuntu1", "1.2-1.1", "1.2-10", "1:0.9-1"],
    "a letter that came after": ["1.0.2", "1.0.2a", "1.0.2k", "1.0.3"],
    "a letter v is no part of the number": ["v1.2", "1.3", "v1.4"],
}


@pytest.mark.parametrize("kind", sorted(ASCENDING))
def test_older_versions_come_first(kind: str) -> None:
    """Every version of a list is older than each that follows."""
    for older, newer in itertools.combinations(ASCENDING[kind], 2):
        assert version_key(older) < version_key(newer), (older, newer)


def test_spellings_of_one_version_are_equal() -> None:
    """Leading zeros, capitals and a leading v are no difference."""
    for one, other in (("1.02", "1.2"), ("1.0-RC1", "1.0-rc1"), ("v5", "5"), ("0:1.2", "1.2")):
        assert version_key(one) == version_key(other)


@given(st.lists(st.text(max_size=300), min_size=3, max_size=3))
def test_any_two_texts_can_be_compared(texts: list[str]) -> None:
    """Whatever stands in the place of a version, the order is one order: nothing is raised, and it is transitive."""
    one, two, three = sorted(texts, key=version_key)
    assert version_key(one) <= version_key(two) <= version_key(three)
    assert version_key(one) <= version_key(three)
