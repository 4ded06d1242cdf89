from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packages.table import Case, cases
from tests.trust_store.package_craft import LIMITS
from trust_store.decode.containers import CONTAINERS, container_of
from trust_store.errors import TrustStoreError
from trust_store.formats.detect import read_package
from trust_store.formats.registry import NONE, READERS, looked_at, of_container
from trust_store.formats.streaming import BytesSource
from trust_store.model.verdict import Reason

ORDERS = {
    "zip": ["android-ota", "apk", "nuget", "msix", "vsix", "wheel", "jar", "vendor-bundle", "zip"],
    "cab": ["fwupd", "cab"],
    "openpgp-text": ["apt-release", "dsc", "checksum-list", "openpgp-cleartext"],
}
CATCH_ALLS = {"zip": "zip", "tar": "tar", "cab": "cab", "pe": "pe", "xar": "xar", "openpgp-text": "openpgp-cleartext"}
"""The reader that takes whatever of its container no other one does."""
WHOLE = tuple(case for case in cases() if case.values["outcome"] == "passed")


@pytest.mark.parametrize("container", ORDERS)
def test_readers_of_one_container_are_asked_in_a_fixed_order(container: str) -> None:
    """More particular forms come before more general ones, in the order that is written down."""
    assert [entry.name for entry in of_container(container)] == ORDERS[container]


def test_readers_of_one_container_stand_together_once() -> None:
    """Every container's readers are found by its name, and the one that takes anything is the last of all."""
    assert Counter(entry.name for entry in READERS).most_common(1)[0][1] == 1
    assert sum(len(of_container(name)) for name in {entry.container for entry in READERS}) == len(READERS)
    assert of_container(NONE)[-1].name == "detached"


@pytest.mark.parametrize("container", CATCH_ALLS)
def test_some_reader_takes_whatever_is_of_the_container(container: str) -> None:
    """The predicates of a container are total where its last reader takes whatever is left."""
    last = of_container(container)[-1]
    assert last.name == CATCH_ALLS[container]
    assert not last.marks
    for case in WHOLE:
        source = BytesSource(case.file.read_bytes())
        if container_of(source) == container:
            assert last.load().recognises(source, LIMITS), case.id


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_a_package_is_of_one_container_and_shows_its_readers_mark(case: Case) -> None:
    """What passes is one container's and no other's, and its reader's mark is in what is looked at before it is imported."""
    source = BytesSource(case.file.read_bytes())
    assert sum(recognises(source) for _, recognises in CONTAINERS) <= 1
    entry = next(entry for entry in READERS if entry.name == case.values["format"])
    assert entry.container in (container_of(source), NONE)
    assert entry.may_read(looked_at(source, source.read_at(0, source.size)))


@settings(max_examples=300)
@given(st.sampled_from(WHOLE), st.data())
def test_whatever_the_bytes_are_one_reader_or_none_reads_them(case: Case, data: st.DataObject) -> None:
    """The beginning of any package, or two packages in one file, end in facts: of one format, or of none with the reason."""
    first = case.file.read_bytes()
    other = data.draw(st.sampled_from(WHOLE)).file.read_bytes() if data.draw(st.booleans()) else b""
    cut = data.draw(st.integers(0, len(first)))
    try:
        facts = read_package(BytesSource(first[:cut] + other), (), (), LIMITS)
    except TrustStoreError as error:
        raise AssertionError(f"raised: {error}") from error
    assert facts.format is None or facts.format in {entry.name for entry in READERS}
    if facts.format is None:
        assert facts.problem is not None
        assert facts.problem.reason in (Reason.UNSUPPORTED_FORMAT, Reason.MALFORMED, Reason.RESOURCE_LIMIT)
