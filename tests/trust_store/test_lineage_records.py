"""Successions as they are written down: graded, each with its audit entry, found again from the log's side."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.trust_store.path_craft import CA, Issued, issue
from tests.trust_store.store_setup import AT, DEDICATED, PHONE, open_store, proposal_of, randomness, vendor
from tests.trust_store.test_anchor_commands import run
from trust_store import anchor_management, audit, query
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, UsageError
from trust_store.lineage import MAX_PROOF_BYTES, Grade, ProofKind
from trust_store.lineage_records import lineage_of, record
from trust_store.model.claim import Authority, Evidence
from trust_store.storage.connection import connect
from trust_store.storage.lineage import of_successor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from trust_store.model.identifiers import Identifier

__all__ = ["run"]
ROOTS = [issue(f"Root {n}", None, CA) for n in range(4)]


def cross(old: Issued, new: Issued) -> bytes:
    """The certificate by which the old root hands over to the new one."""
    return issue(new.certificate.subject, old, CA, private=new.key).der


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store with four pending roots of one vendor; it must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def anchor(store: sqlite3.Connection, root: Issued, vendor_id: str = "dten") -> str:
    """The pending anchor of a root."""
    return anchor_management.propose(
        store, proposal_of(root.der, vendor_id), signer_rule=DEDICATED, at=AT, randomness=randomness
    )


class Said:
    """An evidence source that knows statements about certificates."""

    def __init__(self, **about: list[Evidence]) -> None:
        self._about = about

    def evidence_for(self, identifiers: Iterable[Identifier]) -> tuple[Evidence, ...]:
        found = [e for i in identifiers for e in self._about.get(f"x{i.value}", [])]
        return tuple(dict.fromkeys(found))


def statement(url: str, kind: str = "rotated") -> Evidence:
    """What the vendor says on its site."""
    return Evidence(kind, url, None, None, Authority.VENDOR_SITE, "...")


def test_a_link_is_recorded_with_its_grade_and_proof(store: sqlite3.Connection) -> None:
    """A proof that verifies is kept as exactly what verifies; what does not is kept as it came, and worth nothing."""
    old, new, other = (anchor(store, root) for root in ROOTS[:3])
    revision = query.store_revision(store)
    proof = cross(ROOTS[0], ROOTS[1])
    link = record(store, old, new, proof, "https://dten.example", AT)
    assert (link.grade, link.proof_kind, link.proof) == (Grade.CRYPTOGRAPHIC, ProofKind.CROSS_CERTIFICATE, proof)
    forged = record(store, new, other, proof, "SEC-9", AT, identity="ann")
    assert (forged.grade, forged.proof_kind, forged.proof) == (Grade.ASSERTED, ProofKind.NONE, proof)
    assert query.store_revision(store) == revision  # nothing that a verdict depends on changed
    entries = [e for e in audit.entries(store) if e["kind"] == "lineage.recorded"]
    assert [(e["actor"], json.loads(e["body"])["grade"]) for e in entries] == [
        ("system", "cryptographic"), ("ann", "asserted"),
    ]  # fmt: skip
    assert hashlib.sha256(ROOTS[1].der).hexdigest() not in "".join(e["body"] for e in entries)


def test_the_same_said_again_is_not_recorded_again(store: sqlite3.Connection) -> None:
    """A repeated link comes back as it is; a better one is a further row and the first one stays."""
    old, new = (anchor(store, root) for root in ROOTS[:2])
    first = record(store, old, new, None, "a", AT)
    again = record(store, old, new, None, "b", AT + timedelta(days=1))
    assert (again.number, again.reference) == (first.number, "a")
    better = record(store, old, new, cross(ROOTS[0], ROOTS[1]), "c", AT)
    assert (better.number, better.grade) == (2, Grade.CRYPTOGRAPHIC)
    assert (record(store, old, new, None, "d", AT).number, len(of_successor(store, new))) == (1, 2)


def test_what_cannot_be_a_succession_is_refused(store: sqlite3.Connection) -> None:
    """No anchor replaces itself, one that does not exist or one of another vendor; a proof has a limit."""
    old, foreign = anchor(store, ROOTS[0]), anchor(store, ROOTS[1], "other")
    for predecessor, successor in ((old, old), (old, "anchor_x"), ("anchor_x", old), (old, foreign)):
        with pytest.raises(DecisionRefusedError):
            record(store, predecessor, successor, None, "", AT)
    with pytest.raises(UsageError, match="at most"):
        record(store, old, foreign, bytes(MAX_PROOF_BYTES + 1), "", AT)


def test_a_lineage_is_followed_both_ways_and_round_a_circle(store: sqlite3.Connection) -> None:
    """From any anchor every link before and after it is shown once, and none that leads elsewhere."""
    first, second, third, fourth = (anchor(store, root) for root in ROOTS)
    record(store, first, second, None, "", AT)
    record(store, second, third, None, "", AT)
    record(store, second, fourth, None, "", AT)
    pairs = [(s.link.predecessor_id, s.link.successor_id) for s in lineage_of(store, third)]
    assert pairs == [(first, second), (second, third)]
    record(store, third, first, None, "", AT)
    assert len(lineage_of(store, third)) == 4
    assert lineage_of(store, anchor(store, issue("Lonely", None, CA))) == ()
    with pytest.raises(DecisionRefusedError):
        lineage_of(store, "anchor_x")


def test_what_the_vendor_says_since_corroborates(store: sqlite3.Connection) -> None:
    """A link is graded again when shown: two independent statements naming both keys corroborate it, about one key they do not."""
    old, new = (anchor(store, root) for root in ROOTS[:2])
    assert record(store, old, new, None, "", AT).grade is Grade.ASSERTED
    of_old, of_new = (f"x{hashlib.sha256(root.der).hexdigest()}" for root in ROOTS[:2])
    both = [statement("https://dten.com/a"), statement("https://dten.io/b")]
    shown = lineage_of(store, old, Said(**{of_old: both, of_new: both}))[0]
    assert (shown.link.grade, shown.now.grade) == (Grade.ASSERTED, Grade.CORROBORATED)
    assert (
        record(store, old, new, None, "", AT, evidence=Said(**{of_old: both, of_new: both})).grade is Grade.CORROBORATED
    )
    other_kind = [statement("https://dten.com/a", "compromised"), statement("https://dten.io/b", "compromised")]
    for source in (
        Said(**{of_new: both}),
        Said(**{of_old: both[:1], of_new: both}),
        Said(**{of_old: other_kind, of_new: other_kind}),
    ):
        assert {s.now.grade for s in lineage_of(store, old, source)} == {Grade.ASSERTED}


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE lineage SET grade = 'cryptographic', proof_kind = 'cross_certificate'",
        "UPDATE lineage SET predecessor_id = 'anchor_x'",
        "UPDATE lineage SET proof = x'00'",
        "DELETE FROM lineage",
    ],
)
def test_an_edited_link_is_noticed(tmp_path: Path, tampering: str) -> None:
    """A row changed or deleted by hand raises where the lineage is shown: nobody writes himself a better grade."""
    with closing(open_store(tmp_path)) as store:
        old, new = (anchor(store, root) for root in ROOTS[:2])
        record(store, old, new, None, "", AT)
        for trigger in ("update", "delete"):
            store.execute(f"DROP TRIGGER lineage_no_{trigger}")
        store.execute(tampering)
        for ask in (lambda: lineage_of(store, old), lambda: record(store, old, new, None, "", AT)):
            with pytest.raises(StoreInconsistentError):
                ask()


def test_the_decision_takes_a_proof_in_base64(store: sqlite3.Connection) -> None:
    """Over the socket the proof is base64, capped; who links is on record."""
    old, new = (anchor(store, root) for root in ROOTS[:2])

    def link(proof: object) -> dict[str, Any]:
        arguments = {"predecessor": old, "successor": new, "proof": proof}
        return perform(
            store, "lineage.record", arguments, identity="ann", vendors=(vendor(),), at=AT, randomness=randomness
        )

    for bad in (5, "%", "A" * (MAX_PROOF_BYTES * 2)):
        with pytest.raises(UsageError):
            link(bad)
    result = link(base64.b64encode(cross(ROOTS[0], ROOTS[1])).decode())
    assert (result["grade"], result["outcome"]) == ("cryptographic", "recorded")
    assert of_successor(store, new)[0].reference == "linked by ann"


def test_superseding_an_anchor_is_a_link(store: sqlite3.Connection) -> None:
    """Whoever supersedes an anchor by another one says that it was replaced: that is recorded, graded by what proves it."""
    old, new = (anchor(store, root) for root in ROOTS[:2])
    one = vendor(approvals=1)

    def go(command: str, **arguments: Any) -> dict[str, Any]:
        return perform(store, command, arguments, identity="ann", vendors=(one,), at=AT, randomness=randomness)

    for name, root in ((old, ROOTS[0]), (new, ROOTS[1])):
        read = {
            "fingerprint_read": hashlib.sha256(root.der).hexdigest(),
            "spoke_with": "Ada",
            "called": PHONE,
            "ticket": "T",
        }
        go("anchor.approve", anchor=name, **read)
    assert go("anchor.supersede", anchor=old, successor=new)["outcome"] == "superseded"
    assert [(link.predecessor_id, link.grade) for link in of_successor(store, new)] == [(old, Grade.ASSERTED)]


def test_the_commands_link_and_show(run: Any, tmp_path: Path) -> None:
    """Link with a proof file and show the lineage, text and JSON; the digest of a pending key's proof is withheld."""
    with closing(connect(tmp_path / "rootwarden.db")) as store:
        old, new = (anchor(store, root) for root in ROOTS[:2])
    code, out, err = run("anchor", "lineage", old)
    assert (code, out, "nothing is recorded" in err) == (0, "", True)
    (tmp_path / "cross.der").write_bytes(cross(ROOTS[0], ROOTS[1]))
    (tmp_path / "empty").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")  # that nobody writes to
    for proof in ("empty", "missing", "pipe"):
        assert run("anchor", "link", old, new, "--proof", str(tmp_path / proof))[0] == 2
    code, out, _ = run(
        "anchor", "link", old, new, "--proof", str(tmp_path / "cross.der"), "--reference", "SEC-1 \x1b[31m"
    )
    assert (code, out) == (0, f"{old} -> {new}: cryptographic\n")
    told = json.loads(run("anchor", "lineage", new, "--json")[1])
    assert [(one["grade"], one["proof_kind"], one["proof_sha256"]) for one in told["links"]] == [
        ("cryptographic", "cross_certificate", None)
    ]
    text = run("anchor", "lineage", new)[1]
    assert ("\x1b" in text, "SEC-1 \\u001b[31m" in text, "CN=Root 0" in text) == (False, True, True)
    assert run("anchor", "lineage", "anchor_x")[0] == 2
