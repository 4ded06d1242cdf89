"""What is found by identifier gives the verdicts that all of the store would give; what was known then is what was recorded then."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trust_store.store_craft import BEGIN, Step, everything, facts_of, fill, pool
from tests.trust_store.store_setup import open_store
from trust_store import audit, query
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.verdict import ExpectedVendor, Outcome
from trust_store.signatures.protocol import CandidateKey
from trust_store.storage import lookup
from trust_store.storage.affected import by_anchors
from trust_store.stored_verdict import judge, with_keys, with_stored_keys
from trust_store.verdict_json import verdict_to_dict
from trust_store.verification import Question, verify_package

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Any

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.trust_view import TrustView

AT = BEGIN + timedelta(days=20)
CARRIED = ((), ("leaf",), ("leaf", "inner"), ("leaf", "inner", "cross"), ("leaf", "inner_reissued", "stranger"))
PACKAGES = st.sampled_from([("leaf", *carried) for carried in CARRIED] + [("leaf_of_a",), ("leaf_of_a", "cross")])
VENDORS = st.sampled_from(["dten", "any", None])
STEPS = st.lists(
    st.builds(
        Step,
        name=st.sampled_from(sorted(pool())),
        vendor=st.sampled_from(["dten", "dten", "other"]),
        state=st.sampled_from([*AnchorState, AnchorState.VALID, AnchorState.PENDING]),
        day=st.integers(0, 9),
    ),
    max_size=14,
)
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@contextmanager
def store_of(steps: list[Step]) -> Iterator[sqlite3.Connection]:
    """A store with these versions."""
    with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder))) as connection:
        fill(connection, steps)
        yield connection


def judged(
    connection: sqlite3.Connection | None,
    facts: PackageFacts,
    view: TrustView,
    vendor_id: str | None,
    known_at: datetime | None = None,
) -> dict[str, Any]:
    """The verdict as others read it, without the number of the store's state; without a connection from the view alone."""
    asked = ExpectedVendor(None if vendor_id is None else vendor_id, "stated")
    question = Question(asked, AT, AT, "now", "firmware.bin")
    told = verdict_to_dict(
        judge(connection, facts, view, question, known_at) if connection else verify_package(facts, view, question)
    )
    told["basis"].update(store_id=None, store_revision=None)
    return told


def decided(verdict: dict[str, Any]) -> dict[str, Any]:
    """What a verdict decides, without its words and without what else is like a missing issuer."""
    signatures = [
        {**s, "missing_issuer": s["missing_issuer"] and {**s["missing_issuer"], "relatives": []}}
        for s in verdict["signatures"]
    ]
    return {**verdict, "signatures": signatures, "summary": "", "advice": []}


@given(STEPS, PACKAGES, VENDORS)
@EXAMPLES
def test_the_view_by_identifier_gives_the_verdict_of_the_whole_store(
    steps: list[Step], signed: tuple[str, ...], vendor_id: str | None
) -> None:
    """For any store, package and vendor: nothing that has a say is left out, however names are written and keys re-issued."""
    facts = facts_of(*signed)
    with store_of(steps) as connection:
        every = [CandidateKey("x509", a.material) for a in query.anchors(connection)]
        tried = with_stored_keys(connection, facts, vendor_id or "any")
        view = query.trust_view(connection, vendor_id or "any", tried, None, at=AT)
        whole = everything(connection, vendor_id or "any")
        of_vendor = {a.material for a in whole.anchors} | {certificate.der for certificate in whole.untrusted}
        brute = with_keys(facts, tuple(k for k in every if k.material in of_vendor))
        told, wanted = judged(connection, tried, view, vendor_id), judged(None, brute, whole, vendor_id)
        if told["summary"].startswith(
            "Signed under the anchor"
        ):  # another vendor's: only whose it is was told in addition
            told, wanted = decided(told), decided(wanted)
        assert told == wanted
        assert {a.id for a in view.anchors} <= {a.id for a in whole.anchors}
        audit.verify(connection)


@given(STEPS, PACKAGES, VENDORS, st.integers(0, 10))
@EXAMPLES
def test_as_known_then_is_the_verdict_of_then(
    steps: list[Step], signed: tuple[str, ...], vendor_id: str | None, day: int
) -> None:
    """Asked as of day K, a store answers as one in which nothing later was ever recorded."""
    known_at = BEGIN + timedelta(days=day)
    answers = []
    for recorded, asked in ((steps, known_at), ([s for s in steps if s.day <= day], None)):
        with store_of(recorded) as connection:
            facts = with_stored_keys(connection, facts_of(*signed), vendor_id, asked)
            view = query.trust_view(connection, vendor_id or "any", facts, None, at=AT, known_at=asked)
            answers.append(judged(connection, facts, view, vendor_id, asked))
    assert answers[0] == answers[1]


@given(STEPS, PACKAGES, st.sampled_from(sorted(pool())))
@settings(EXAMPLES, max_examples=30)
def test_what_a_decision_flips_is_among_what_it_concerns(steps: list[Step], signed: tuple[str, ...], name: str) -> None:
    """A change of one anchor to valid, or to a tombstone, flips no package that ``by_anchors`` does not find."""
    facts = facts_of(*signed)
    for state in (AnchorState.VALID, AnchorState.DISTRUSTED):
        change = Step(name, "dten", state, 15)
        verdicts = []
        for recorded in (steps, [*steps, change]):
            with store_of(recorded) as connection:
                tried = with_stored_keys(connection, facts, "dten")
                view = query.trust_view(connection, "dten", tried, None, at=AT)
                told = judged(connection, tried, view, "dten")
                verdicts.append((told["outcome"], told["reason"]))
                if recorded is not steps:
                    ids = [a.id for a in query.anchors(connection, "dten") if a.material == pool()[name].der]
                    with_facts(connection, facts)
                    found = by_anchors(connection, ids).packages
        if verdicts[0] != verdicts[1]:
            assert facts.sha256 in found


def with_facts(connection: sqlite3.Connection, facts: PackageFacts) -> None:
    """Have the package on record as it was when nothing was trusted."""
    from tests.trust_store.store_setup import randomness
    from trust_store.storage.connection import transaction
    from trust_store.storage.facts import save_facts

    with transaction(connection):
        save_facts(connection, facts, origin="test", at=AT, randomness=randomness)


def test_two_encodings_of_a_name_are_one() -> None:
    """A root is found, and its package passes, though its name is written otherwise in the certificates below it."""
    steps = [Step("root_a", "dten", AnchorState.VALID, 0)]
    with store_of(steps) as connection:
        facts = with_stored_keys(connection, facts_of("leaf", "leaf", "inner"), "dten")
        view = query.trust_view(connection, "dten", facts, None, at=AT)
        told = verify_package(facts, view, Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "firmware.bin"))
    assert told.outcome is Outcome.PASSED
    certificates = [pool()[name].decoded for name in ("root_a", "root_a_respelt", "root_b")]
    first, respelt, other = (lookup.name_digest(c.subject_der) for c in certificates)
    assert first == respelt != other
