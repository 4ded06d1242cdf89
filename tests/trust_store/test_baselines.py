"""Day one: a set of keys approved as one, by whom, and what makes the set void."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from monitor.set_alerts import decision_notice
from tests.trust_store.store_setup import AT, certificate, open_store, proposal_of, propose, randomness, vendor
from tests.trust_store.test_anchor_commands import run
from trust_store import anchor_management, audit, query
from trust_store.baselines import MAX_MEMBERS, Rules, propose_baseline
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, UsageError
from trust_store.model.trust_anchor import AnchorState, TrustBasis
from trust_store.storage import baselines as rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.vendor import Vendor

__all__ = ["run"]
LATER = AT + timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def decide(
    store: sqlite3.Connection, command: str, who: str, of: Vendor | None = None, at: Any = LATER, **arguments: Any
) -> dict[str, Any]:
    """A decision as it comes over the socket."""
    return perform(store, command, arguments, identity=who, vendors=(of or vendor(),), at=at, randomness=randomness)


def proposed(
    store: sqlite3.Connection, *names: str, who: str = "ann", of: Vendor | None = None, **more: Any
) -> dict[str, Any]:
    """A set of the CA certificates called so, each in a file of its own."""
    data = [base64.b64encode(certificate(name)).decode() for name in names or ("One", "Two")]
    return decide(store, "baseline.propose", who, of, **{"vendor": "dten", "data": data, "dedicated": True} | more)


def approve(store: sqlite3.Connection, baseline: dict[str, Any], who: str, **more: Any) -> dict[str, Any]:
    """One person's approval with the digest as shown."""
    arguments = {"baseline": baseline["baseline"], "digest_read": baseline["digest"]} | more
    return decide(store, "baseline.approve", who, **arguments)


def states(store: sqlite3.Connection, baseline: dict[str, Any]) -> set[tuple[AnchorState, TrustBasis]]:
    """State and basis of every member."""
    found = [query.anchor(store, name) for name in baseline["anchors"]]
    return {(anchor.state, anchor.basis) for anchor in found if anchor}


PENDING = {(AnchorState.PENDING, TrustBasis.NONE)}


def test_a_set_is_trusted_once_enough_people_read_its_digest(store: sqlite3.Connection) -> None:
    """Every member becomes valid, with the basis baseline, with the last of as many approvals as policy asks, and not before."""
    baseline = proposed(store)
    assert (baseline["outcome"], len(baseline["anchors"]), states(store, baseline)) == ("proposed", 2, PENDING)
    first = approve(store, baseline, "bob")
    assert (first["outcome"], first["approvals"], states(store, baseline)) == ("recorded", 1, PENDING)
    spaced = " ".join(baseline["digest"][i : i + 4] for i in range(0, 64, 4)).upper()
    second = approve(store, baseline, "cid", digest_read=spaced)
    assert (second["outcome"], states(store, baseline)) == ("approved", {(AnchorState.VALID, TrustBasis.BASELINE)})
    with pytest.raises(DecisionRefusedError, match="approved already"):
        approve(store, baseline, "dee")


def test_each_person_approves_once_and_never_what_he_proposed(store: sqlite3.Connection) -> None:
    """One person does both only where policy asks for one."""
    baseline = proposed(store)
    approve(store, baseline, "bob")
    for who in ("ann", "bob"):
        with pytest.raises(DecisionRefusedError):
            approve(store, baseline, who)
    assert states(store, baseline) == PENDING
    alone = vendor(approvals=1)
    baseline = proposed(store, "Three", of=alone)
    assert decide(
        store, "baseline.approve", "ann", alone, baseline=baseline["baseline"], digest_read=baseline["digest"]
    )["outcome"] == "approved"  # fmt: skip


def test_who_imported_a_key_does_not_approve_it_in_a_set(store: sqlite3.Connection) -> None:
    """The proposer of a member counts as a proposer of the set."""
    data = base64.b64encode(certificate("One")).decode()
    decide(store, "anchor.import", "bob", vendor="dten", data=data)
    baseline = proposed(store)
    with pytest.raises(DecisionRefusedError, match="or a key in it"):
        approve(store, baseline, "bob")


@pytest.mark.parametrize("read", ["0" * 64, "", "12", "zz"])
def test_a_digest_that_is_not_the_sets_is_refused(store: sqlite3.Connection, read: str) -> None:
    """Part of a digest, another one or none approves nothing."""
    baseline = proposed(store)
    with pytest.raises((DecisionRefusedError, UsageError)):
        approve(store, baseline, "bob", digest_read=read)
    with pytest.raises(DecisionRefusedError, match="64 hex digits"):
        approve(store, baseline, "bob", digest_read=baseline["digest"][:-1])


def test_a_set_with_a_changed_member_is_void(store: sqlite3.Connection) -> None:
    """Rules that changed since were not approved by anybody."""
    baseline = proposed(store)
    approve(store, baseline, "bob")
    decide(store, "anchor.constrain", "cid", anchor=baseline["anchors"][0], products=["*"])
    with pytest.raises(DecisionRefusedError, match="is void: the rules"):
        approve(store, baseline, "cid")
    assert states(store, baseline) == PENDING


_LOSSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("anchor.reject", {"because": "unconfirmed"}),
    ("anchor.distrust", {"reason": "stolen"}),
)


def test_a_set_with_a_decided_member_is_void(store: sqlite3.Connection) -> None:
    """A member that was rejected or distrusted meanwhile makes the whole set void."""
    for command, more in _LOSSES:
        baseline = proposed(store, f"{command} one", "Two")
        approve(store, baseline, "bob")
        lost = next(a for a in baseline["anchors"] if str(getattr(query.anchor(store, a), "name", "")).endswith("one"))
        decide(store, command, "dee", anchor=lost, **more)
        with pytest.raises(DecisionRefusedError, match="is void"):
            approve(store, baseline, "cid")
        assert AnchorState.VALID not in {s for s, _ in states(store, baseline)}
        decide(store, "baseline.reject", "dee", baseline=baseline["baseline"], reason="void")


def test_a_set_lapses_with_its_members(store: sqlite3.Connection) -> None:
    """Nobody approves a set whose keys were proposed too long ago."""
    baseline = proposed(store)
    with pytest.raises(DecisionRefusedError, match="lapsed"):
        decide(
            store, "baseline.approve", "bob", at=LATER + timedelta(days=90), baseline=baseline["baseline"],
            digest_read=baseline["digest"],
        )  # fmt: skip


def test_a_key_with_a_tombstone_is_in_no_set(store: sqlite3.Connection) -> None:
    """A distrusted key is decided alone; the whole proposal is refused and leaves nothing behind, under another certificate as well."""
    anchor_management.entomb(
        store, proposal_of(certificate("Bad")), identity="ann", reason="stolen", at=AT, randomness=randomness
    )
    renewed = base64.b64encode(certificate("Bad renewed", "Bad")).decode()
    before = audit.head(store)
    for data in (base64.b64encode(certificate("Bad")).decode(), renewed):
        with pytest.raises(DecisionRefusedError, match="is distrusted"):
            decide(store, "baseline.propose", "bob", vendor="dten", data=[data], dedicated=True)
    assert audit.head(store) == before


def test_a_revoked_key_is_in_no_set(store: sqlite3.Connection) -> None:
    """What was revoked is trusted again only by itself and after a call, never as one of many."""
    of = vendor(approvals=1)
    baseline = proposed(store, "One", of=of)
    decide(store, "baseline.approve", "ann", of, baseline=baseline["baseline"], digest_read=baseline["digest"])
    anchor = baseline["anchors"][0]
    decide(store, "anchor.revoke", "ann", of, anchor=anchor, because="superseded")
    with pytest.raises(DecisionRefusedError, match="revoked"):
        proposed(store, "One", "Two", of=of)


def test_a_tombstone_of_any_vendor_voids_a_set(store: sqlite3.Connection) -> None:
    """A key that another vendor's team distrusts before the last approval is not trusted by a set."""
    baseline = proposed(store)
    approve(store, baseline, "bob")
    anchor_management.entomb(
        store, proposal_of(certificate("One"), "other"), identity="dee", reason="stolen", at=AT, randomness=randomness
    )
    with pytest.raises(DecisionRefusedError, match="is distrusted"):
        approve(store, baseline, "cid")


def test_a_bare_key_in_a_set_needs_no_signer_rule(store: sqlite3.Connection) -> None:
    """A key that signs packages itself issues nothing, so that nobody has to say for whom."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    data = [base64.b64encode(pem).decode()]
    result = decide(store, "baseline.propose", "ann", vendor="dten", data=data, dedicated=False)
    assert (result["outcome"], len(result["anchors"])) == ("proposed", 1)


def test_a_ca_in_a_set_needs_a_signer_rule(store: sqlite3.Connection) -> None:
    """A known root is not a known signer, on the first day neither; a leaf and its like need none."""
    with pytest.raises(DecisionRefusedError, match="is a CA"):
        proposed(store, dedicated=False)
    leaf = base64.b64encode(certificate("Signer", ca=False)).decode()
    assert proposed(store, data=[leaf], dedicated=False)["outcome"] == "proposed"
    subject = proposed(store, "Five", dedicated=False, signer_subject=["O=Dten Inc"], products=["panel-*"])
    anchor = query.anchor(store, subject["anchors"][0])
    assert anchor is not None
    assert (anchor.signer_rule.subject, anchor.constraints.products) == ((("O", "Dten Inc"),), ("panel-*",))


def test_keys_that_are_known_are_taken_as_they_stand(store: sqlite3.Connection) -> None:
    """A pending key joins the set under the rules stated, one that is trusted already is left out, one given twice is there once."""
    pending = propose(store, "One", rule=None)
    baseline = proposed(store, "One", "One", "Two")
    assert (pending in baseline["anchors"], len(baseline["anchors"])) == (True, 2)
    for who in ("bob", "cid"):
        approve(store, baseline, who)
    again = proposed(store, "One", "Two", "Three")
    assert (len(again["anchors"]), "2 trusted already" in again["message"]) == (1, True)
    with pytest.raises(DecisionRefusedError, match="nothing to propose"):
        proposed(store, "One")


def test_a_key_keeps_its_stated_rule_where_the_set_states_none(store: sqlite3.Connection) -> None:
    """A CA for which somebody stated a rule while it was pending goes into a set under that rule; its approvals are not void."""
    anchor_id = propose(store, "One")
    baseline = proposed(store, "One", dedicated=False)
    assert (baseline["outcome"], baseline["anchors"]) == ("proposed", [anchor_id])
    held = query.anchor(store, anchor_id)
    assert held is not None
    assert held.signer_rule.dedicated


def test_a_set_is_limited(store: sqlite3.Connection) -> None:
    """No file, no list, too many bytes and too many keys are usage errors; an unknown vendor is refused."""
    for data in (None, [], "x", ["%"], [base64.b64encode(bytes(600 * 1024)).decode()], [5]):
        with pytest.raises(UsageError):
            decide(store, "baseline.propose", "ann", vendor="dten", data=data)
    with pytest.raises(DecisionRefusedError, match="not configured"):
        proposed(store, vendor="nobody")
    one = proposal_of(certificate("One"))
    many = [_renamed(one, n) for n in range(MAX_MEMBERS + 1)]
    with pytest.raises(UsageError, match="at most"):
        propose_baseline(store, vendor(), many, Rules(), identity="ann", at=AT, randomness=randomness)


def _renamed(proposal: Any, number: int) -> Any:
    from dataclasses import replace

    return replace(proposal, key_sha256=f"{number:064x}")


def test_a_rejected_set_leaves_its_keys_pending(store: sqlite3.Connection) -> None:
    """One person closes a set; nobody approves it then, and its keys are decided one by one."""
    baseline = proposed(store)
    assert decide(store, "baseline.reject", "bob", baseline=baseline["baseline"])["outcome"] == "rejected"
    assert states(store, baseline) == PENDING
    for command, more in (("baseline.approve", {"digest_read": baseline["digest"]}), ("baseline.reject", {})):
        with pytest.raises(DecisionRefusedError, match="rejected already"):
            decide(store, command, "cid", baseline=baseline["baseline"], **more)
    with pytest.raises(DecisionRefusedError, match="there is no baseline"):
        decide(store, "baseline.reject", "cid", baseline="baseline_x")


def test_without_the_vendors_policy_nobody_approves(store: sqlite3.Connection) -> None:
    """A set of a vendor that is configured no more is refused."""
    baseline = proposed(store)
    with pytest.raises(DecisionRefusedError, match="no policy"):
        decide(
            store,
            "baseline.approve",
            "bob",
            vendor("other"),
            baseline=baseline["baseline"],
            digest_read=baseline["digest"],
        )


def test_the_digest_covers_every_member(store: sqlite3.Connection) -> None:
    """The order of the files does not matter to the digest, what is in them does."""
    members = rows.current(store, proposed(store)["baseline"])
    assert members is not None
    mixed = rows.baseline_digest("dten", reversed(members.members))
    assert mixed == members.digest
    assert rows.baseline_digest("dten", members.members[:1]) != members.digest
    assert rows.baseline_digest("other", members.members) != members.digest


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE baseline_version SET members = '[]'",
        "UPDATE baseline_version SET digest = 'ab'",
        "UPDATE baseline_version SET proposed_by = 'eve'",
        "DELETE FROM baseline_version",
        "INSERT INTO baseline_version SELECT baseline_id, 2, vendor_id, digest, members, state, 'eve', recorded_at, 99"
        " FROM baseline_version",
    ],
)
def test_an_edited_set_is_noticed(tmp_path: Path, tampering: str) -> None:
    """A row changed, deleted or added by hand raises where the set is approved."""
    with closing(open_store(tmp_path)) as store:
        baseline = proposed(store)
        for trigger in ("update", "delete"):
            store.execute(f"DROP TRIGGER baseline_version_no_{trigger}")
        store.execute("PRAGMA foreign_keys = OFF")
        store.execute(tampering)
        with pytest.raises(StoreInconsistentError):
            approve(store, baseline, "bob")


def test_every_step_of_a_set_alerts(store: sqlite3.Connection) -> None:
    """Proposing, approving and rejecting a set call for an alert each; an ordinary decision calls for none here."""
    results = [proposed(store)]
    results += [approve(store, results[0], who) for who in ("bob", "cid")]
    other = proposed(store, "Three")
    results += [other, decide(store, "baseline.reject", "bob", baseline=other["baseline"])]
    drafts = [decision_notice(result, "ann") for result in results]
    assert [(d.reason, d.severity.value) for d in drafts if d] == [
        ("proposed", "medium"), ("recorded", "medium"), ("approved", "high"), ("proposed", "medium"), ("rejected", "medium"),
    ]  # fmt: skip
    assert decision_notice({"outcome": "valid"}, "ann") is None


def test_the_commands_show_and_decide(run: Any, tmp_path: Path) -> None:
    """Import as a baseline, list, show (the set's digest, no key's), approve and reject on the command line."""
    assert run("baseline", "list")[:2] == (0, "")
    (tmp_path / "root.der").write_bytes(certificate("One"))
    code, out, err = run(
        "anchor", "import", "--baseline", str(tmp_path / "root.der"), "--vendor", "dten", "--dedicated", "--json"
    )
    assert (code, err) == (0, "")
    proposed_set = json.loads(out)
    name = proposed_set["baseline"]
    told = json.loads(run("baseline", "show", name, "--json")[1])
    assert (told["digest"], told["keys"][0]["state"], told["keys"][0]["name"]) == (
        proposed_set["digest"],
        "pending",
        "CN=One",
    )
    text = run("baseline", "show", name)[1]
    assert proposed_set["digest"] in text.replace(" ", "")
    assert proposal_of(certificate("One")).key_sha256 not in text.replace(" ", "")
    assert run("baseline", "approve", name, "--digest-read", "00")[0] == 2
    code, out, _ = run("baseline", "approve", name, "--digest-read", proposed_set["digest"])
    assert (code, "1 key(s) are valid" in out) == (0, True)
    assert [b["state"] for b in json.loads(run("baseline", "list", "--vendor", "dten", "--json")[1])] == ["approved"]
    assert "approved" in run("baseline", "list")[1]
    assert run("baseline", "reject", name, "--reason", "late")[0] == 2
    assert run("baseline", "show", "baseline_x")[0] == 2
