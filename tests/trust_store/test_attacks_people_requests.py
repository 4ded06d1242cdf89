"""Requests as a hostile member of the socket's group would write them: each ends in an answer or a refusal, never in another error."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trust_store.store_setup import (
    AT,
    PHONE,
    call,
    certificate,
    fingerprint,
    open_store,
    propose,
    randomness,
    vendor,
)
from trust_store import anchor_approval, audit, query
from trust_store.decisions import COMMANDS, perform
from trust_store.errors import DecisionRefusedError, TrustStoreError, UsageError
from trust_store.model.ratchet import FILE, Mark, Ratchet
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.connection import transaction
from trust_store.storage.ratchets import StoredRatchet, append_ratchet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**30), st.floats(),
    st.text(max_size=20), st.sampled_from(["\ud800", "a\0b", "2026-05-03", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]),
    st.sampled_from(["dten", "any", PHONE, "disowned", "key-compromise", "=", "O=", "dns=", "ip=::/999", "1.3.6.1.5.5.7.3.3"]),
    st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode()),
    st.lists(st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode()), max_size=3),
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, dict[str, Any]]]:
    """A store with a pending and a valid anchor and a set, and well-formed arguments for every command."""
    folder: Path = tmp_path_factory.mktemp("requests")
    with closing(open_store(folder)) as store:
        waiting, accepted = propose(store, "Waiting"), propose(store)
        one = vendor(approvals=1)
        anchor_approval.approve(store, accepted, call(), identity="alice", vendor=one, at=AT)
        file = base64.b64encode(certificate("In a set")).decode()
        held = Ratchet("dten", FILE, "tool-#.zip", 1, AT, signers=Mark("9", "ab" * 32, AT))
        proposed = {"vendor": "dten", "data": [file], "dedicated": True}
        told = perform(
            store, "baseline.propose", proposed, identity="bob", vendors=(one,), at=AT, randomness=randomness
        )
        with transaction(store):
            append_ratchet(store, StoredRatchet(held, "raised", "ab" * 32, "", "system"), body={}, at=AT)
        good = {
            "anchor": waiting, "successor": accepted, "predecessor": accepted, "vendor": "dten", "data": file, "reason": "r",
            "baseline": told["baseline"], "digest_read": told["digest"], "package": "ab" * 32, "decision": "decision_x",
            "fingerprint_read": fingerprint("Waiting"), "spoke_with": "Ada", "called": PHONE, "ticket": "T",
            "ratchet": held.id, "to": ["signers=1"],
        }  # fmt: skip
        yield store, good
        audit.verify(store)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_request_ends_in_anything_but_an_answer(
    place: tuple[sqlite3.Connection, dict[str, Any]], data: st.DataObject
) -> None:
    """Arguments of every type, missing or strange, are answered or refused; a refused one leaves no transaction open."""
    store, good = place
    command = data.draw(st.sampled_from(sorted(COMMANDS)))
    names = sorted(COMMANDS[command][1])
    arguments = {name: good[name] for name in names if name in good}
    for name in data.draw(st.lists(st.sampled_from(names), max_size=3)) if names else ():
        arguments[name] = data.draw(ODD)
    try:
        told = perform(store, command, arguments, identity="mallory", vendors=(vendor(),), at=AT, randomness=randomness)
    except TrustStoreError as error:
        assert error.exit_code in (2, 4)  # noqa: PT017 - most requests are answered, and that is fine
        json.dumps(error.diagnostics()).encode()
    else:
        json.dumps(told, allow_nan=False).encode()
        assert told["outcome"] != "valid"
    assert not store.in_transaction


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_does_not_have_is_refused(
    place: tuple[sqlite3.Connection, dict[str, Any]], moment: str
) -> None:
    """A time at the edge of the calendar, in a zone that pushes it over, is a wrong argument like any other."""
    store, good = place
    with pytest.raises(UsageError, match="before or after every date"):
        perform(
            store, "anchor.constrain", {"anchor": good["anchor"], "valid_from": moment}, identity="mallory",
            vendors=(vendor(),), at=AT, randomness=randomness,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["products", "excluded_names", "signer_subject", "formats", "signer_san"])
def test_a_rule_that_is_too_long_is_refused_and_never_cut(
    place: tuple[sqlite3.Connection, dict[str, Any]], name: str
) -> None:
    """What remains of a rule that was cut off would be another rule."""
    store, good = place
    arguments = {"anchor": good["anchor"], name: ["dns=" + "a" * 2000]}
    with pytest.raises(UsageError, match="characters"):
        perform(
            store, "anchor.constrain", arguments, identity="mallory", vendors=(vendor(),), at=AT, randomness=randomness
        )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_nobody_decides_nothing(place: tuple[sqlite3.Connection, dict[str, Any]], command: str) -> None:
    """Without a person every command is refused before its arguments are looked at."""
    store, good = place
    with pytest.raises(DecisionRefusedError, match="nobody decides"):
        perform(store, command, good, identity="", vendors=(vendor(),), at=AT, randomness=randomness)


def test_alone_mallory_makes_nothing_valid(place: tuple[sqlite3.Connection, dict[str, Any]]) -> None:
    """After all of that exactly one anchor was ever valid: the one that was approved before."""
    store, good = place
    valid = {a.id for a in query.anchors(store) if a.state is AnchorState.VALID}
    assert valid <= {good["successor"]}
    entries = store.execute("SELECT DISTINCT record_id FROM audit_log WHERE record_kind = 'anchor' AND state = 'valid'")
    assert [row[0] for row in entries] == [good["successor"]]
