"""Who makes a key trusted, how, and what never does."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.trust_store.store_setup import (
    AT,
    DEDICATED,
    PHONE,
    call,
    certificate,
    fingerprint,
    open_store,
    openpgp_proposal,
    package,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from trust_store import anchor_approval, anchor_management, audit, query
from trust_store.anchor_rules import WITHHELD, disclosed
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, MalformedError, ResourceLimitError, UsageError
from trust_store.model.claim import Authority
from trust_store.model.trust_anchor import TRANSITIONS, AnchorState, Constraints, SignerRule
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def state(store: sqlite3.Connection, anchor_id: str) -> AnchorState:
    """Where the anchor stands."""
    found = query.anchor(store, anchor_id)
    assert found is not None
    return found.state


def approve(
    store: sqlite3.Connection, anchor_id: str, who: str, read: str | None = None, **policy: Any
) -> dict[str, Any]:
    """One person's approval, as it comes over the socket."""
    return decide(
        store, "anchor.approve", who, vendor(**policy), anchor=anchor_id,
        fingerprint_read=fingerprint() if read is None else read, spoke_with="Ada", called=PHONE, ticket="T",
    )  # fmt: skip


def decide(store: sqlite3.Connection, command: str, who: str, of: Any = None, **arguments: Any) -> dict[str, Any]:
    """Any decision."""
    return perform(
        store,
        command,
        arguments,
        identity=who,
        vendors=(of or vendor(),),
        at=AT + timedelta(hours=1),
        randomness=randomness,
    )


def kinds(store: sqlite3.Connection) -> list[str]:
    """Kinds of all audit entries."""
    return [row["kind"] for row in audit.entries(store)]


def test_two_people_make_an_anchor_valid(store: sqlite3.Connection) -> None:
    """A pending anchor becomes valid with the last distinct approval that policy asks, not before."""
    anchor_id = propose(store)
    first = approve(store, anchor_id, "ann")
    assert (first["outcome"], first["approvals"], first["needed"], state(store, anchor_id)) == (
        "recorded", 1, 2, AnchorState.PENDING,
    )  # fmt: skip
    second = approve(store, anchor_id, "bob")
    assert (second["outcome"], second["state"], state(store, anchor_id)) == ("valid", "valid", AnchorState.VALID)
    assert kinds(store) == ["anchor.proposed", "anchor.approval", "anchor.approval", "anchor.valid"]


def test_nobody_approves_twice(store: sqlite3.Connection) -> None:
    """The same person's second approval is refused and counts for nothing."""
    anchor_id = propose(store)
    approve(store, anchor_id, "ann")
    with pytest.raises(DecisionRefusedError, match="ann has approved this already"):
        approve(store, anchor_id, "ann")
    assert state(store, anchor_id) is AnchorState.PENDING


def test_one_approval_must_be_written_out(store: sqlite3.Connection) -> None:
    """A vendor whose policy says one approval needs one, and silence means two."""
    assert vendor().policy.approvals == 2
    anchor_id = propose(store)
    assert approve(store, anchor_id, "ann", approvals=1)["outcome"] == "valid"


WRONG = "".join(f"{b:02x}" for b in range(32))


def test_another_fingerprint_is_recorded_and_refused(store: sqlite3.Connection) -> None:
    """A whole fingerprint that is not the key's stays on record, raises kind mismatch, and the anchor stays pending."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError) as refused:
        approve(store, anchor_id, "ann", WRONG, approvals=1)
    assert (refused.value.kind, refused.value.exit_code) == ("mismatch", 2)
    assert state(store, anchor_id) is AnchorState.PENDING
    assert kinds(store)[-1] == "anchor.fingerprint_mismatch"


@pytest.mark.parametrize(
    "read",
    [
        fingerprint()[:-1],
        fingerprint()[:47],
        fingerprint() + ":AB",
        hashlib.sha1(certificate("New root"), usedforsecurity=False).hexdigest(),
        hashlib.md5(certificate("New root"), usedforsecurity=False).hexdigest(),
        "",
        "yes, that is the one",
        fingerprint().replace(":", ";"),
        "\ud800",
    ],
    ids=["one digit short", "half", "one octet too many", "sha-1", "md5", "empty", "words", "semicolons", "surrogate"],
)
def test_part_of_a_fingerprint_or_another_digest_never_counts(store: sqlite3.Connection, read: str) -> None:
    """Anything but the whole SHA-256 is incomplete: recorded, refused, pending."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError) as refused:
        approve(store, anchor_id, "ann", read, approvals=1)
    assert (refused.value.kind, state(store, anchor_id)) == ("incomplete", AnchorState.PENDING)


@pytest.mark.parametrize("mark", ["", " ", ":", "-", "\u200b", "\n"])
def test_separators_do_not_matter(store: sqlite3.Connection, mark: str) -> None:
    """Upper or lower case, colons, blanks, dashes and zero-width marks are all the same fingerprint."""
    anchor_id = propose(store)
    assert approve(store, anchor_id, "ann", fingerprint().replace(":", mark), approvals=1)["state"] == "valid"


@pytest.mark.parametrize("digits", [40, 64])
def test_openpgp_fingerprints_are_read_whole(store: sqlite3.Connection, digits: int) -> None:
    """An OpenPGP key is approved by its primary fingerprint; its key id is no reading."""
    whole = ("0123456789abcdef" * 4)[:digits]
    anchor_id = anchor_management.propose(store, openpgp_proposal(whole), at=AT, randomness=randomness)
    with pytest.raises(DecisionRefusedError) as refused:
        approve(store, anchor_id, "ann", whole[-16:], approvals=1)
    assert refused.value.kind == "incomplete"
    assert approve(store, anchor_id, "ann", whole.upper(), approvals=1)["state"] == "valid"


@pytest.mark.parametrize("called", ["", "+1 555 0199", PHONE + " ", "product security", "@dten.example"])
def test_only_a_configured_contact_can_be_called(store: sqlite3.Connection, called: str) -> None:
    """A number or name that the team did not record itself confirms nothing."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError, match="none of the contacts"):
        anchor_approval.approve(
            store, anchor_id, call(called=called), identity="ann", vendor=vendor(approvals=1), at=AT
        )


@pytest.mark.parametrize("called", ["Product security", PHONE, "security@dten.example"])
def test_a_contact_is_named_by_any_of_its_ways(store: sqlite3.Connection, called: str) -> None:
    """Name, phone and mail of a contact all name it."""
    anchor_id = propose(store)
    made = anchor_approval.approve(
        store, anchor_id, call(called=called), identity="ann", vendor=vendor(approvals=1), at=AT
    )
    assert made.state is AnchorState.VALID


def test_a_call_has_a_partner_and_a_ticket(store: sqlite3.Connection) -> None:
    """Blank names and tickets are refused."""
    anchor_id = propose(store)
    for blank in ({"spoke_with": " "}, {"ticket": "\t"}):
        with pytest.raises(DecisionRefusedError, match="ticket"):
            anchor_approval.approve(
                store, anchor_id, replace(call(), **blank), identity="ann", vendor=vendor(approvals=1), at=AT
            )


def test_an_unconfigured_vendor_cannot_be_decided(store: sqlite3.Connection) -> None:
    """Without the vendor's own contacts and policy there is no approval."""
    anchor_id = propose(store, vendor_id="gone")
    with pytest.raises(DecisionRefusedError, match="not configured"):
        approve(store, anchor_id, "ann", approvals=1)


def test_a_ca_without_signer_rule_stays_pending(store: sqlite3.Connection) -> None:
    """A known root is not a known signer: the error names the command that states whose signatures count."""
    anchor_id = propose(store, rule=None)
    with pytest.raises(DecisionRefusedError, match=r"anchor constrain .*--dedicated.*--signer-subject.*--signer-spki"):
        approve(store, anchor_id, "ann", approvals=1)
    decide(store, "anchor.constrain", "ann", anchor=anchor_id, dedicated=True)
    assert approve(store, anchor_id, "ann", approvals=1)["state"] == "valid"


def test_an_end_entity_needs_no_signer_rule(store: sqlite3.Connection) -> None:
    """A certificate that cannot issue identifies its signer by itself."""
    leaf = certificate("Leaf", ca=False)
    anchor_id = anchor_management.propose(store, proposal_of(leaf), at=AT, randomness=randomness)
    assert approve(store, anchor_id, "ann", hashlib.sha256(leaf).hexdigest(), approvals=1)["state"] == "valid"


def test_changed_rules_void_approvals(store: sqlite3.Connection) -> None:
    """An approval is bound to the rules it was given for: after a change everybody is asked again."""
    anchor_id = propose(store)
    approve(store, anchor_id, "ann")
    told = decide(store, "anchor.constrain", "ann", anchor=anchor_id, signer_subject=["o=Example Inc"])
    assert "1 earlier approval(s) are void" in told["message"]
    assert approve(store, anchor_id, "bob")["outcome"] == "recorded"
    assert approve(store, anchor_id, "ann")["outcome"] == "valid"
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert found.signer_rule == SignerRule(subject=(("O", "Example Inc"),))


def test_rules_change_only_while_pending(store: sqlite3.Connection) -> None:
    """A decided anchor's rules are fixed, the same rules again change nothing, and no rules at all are a wrong question."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError, match="exactly these rules"):
        decide(store, "anchor.constrain", "ann", anchor=anchor_id, dedicated=True)
    with pytest.raises(UsageError, match="nothing to constrain"):
        decide(store, "anchor.constrain", "ann", anchor=anchor_id)
    decide(store, "anchor.reject", "ann", anchor=anchor_id, because="unconfirmed")
    with pytest.raises(DecisionRefusedError, match="its rules are fixed"):
        decide(store, "anchor.constrain", "ann", anchor=anchor_id, follow_rotation=True)


def test_limits_of_an_anchor_are_kept(store: sqlite3.Connection) -> None:
    """Products, formats, times and pins come back as they were stated."""
    anchor_id = propose(store)
    decide(
        store, "anchor.constrain", "ann", anchor=anchor_id, signer_spki=["AB:" * 31 + "AB"], products=["x"], formats=["zip"],
        valid_from="2026-01-01T00:00:00Z", valid_until="2027-01-01T00:00:00+00:00", follow_rotation=True,
    )  # fmt: skip
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert (found.signer_rule.spki_sha256, found.follow_rotation) == (("ab" * 32,), True)
    assert (found.constraints.products, found.constraints.formats) == (("x",), ("zip",))
    assert (found.constraints.valid_until, found.constraints.max_path_length) == (AT.replace(2027, 1, 1, 0), None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"signer_subject": ["no value"]},
        {"signer_spki": ["abcd"]},
        {"dedicated": True, "signer_subject": ["O=x"]},
        {"dedicated": "yes"},
        {"signer_subject": "O=x"},
        {"signer_subject": ["O=x"] * 101},
        {"valid_from": "2026-01-01"},
        {"valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"},
        {"colour": "red"},
        {"anchor": 7},
        {"anchor": ""},
        {"anchor": "x" * 3000},
    ],
)
def test_wrong_arguments_are_usage_errors(store: sqlite3.Connection, arguments: dict[str, Any]) -> None:
    """Arguments come from another process: wrong types, sizes, names and values are refused and nothing is written."""
    anchor_id = propose(store)
    before = kinds(store)
    with pytest.raises(UsageError):
        decide(store, "anchor.constrain", "ann", **{"anchor": anchor_id, "follow_rotation": True, **arguments})
    assert kinds(store) == before


def test_disowned_buries_the_key(store: sqlite3.Connection) -> None:
    """'That key is not ours' leaves a tombstone with its cause; approval over it is refused for ever."""
    anchor_id = propose(store)
    decide(store, "anchor.reject", "ann", anchor=anchor_id, because="disowned", spoke_with="Ada", called=PHONE)
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert (found.state, found.cause) == (AnchorState.DISTRUSTED, "disowned")
    with pytest.raises(DecisionRefusedError, match="distrusted cannot become valid"):
        approve(store, anchor_id, "ann", approvals=1)


def test_unconfirmed_stays_open_for_another_try(store: sqlite3.Connection) -> None:
    """An unconfirmed key is rejected; hearing of it again is a new pending anchor that names the old one."""
    first = propose(store)
    decide(store, "anchor.reject", "ann", anchor=first, because="unconfirmed")
    second = propose(store)
    found = query.anchor(store, second)
    assert found is not None
    assert (state(store, first), found.state, found.previous) == (AnchorState.REJECTED, AnchorState.PENDING, first)
    assert approve(store, second, "ann", approvals=1)["needed"] == 1


@pytest.mark.parametrize("elsewhere", ["dten", "other"])
@pytest.mark.parametrize("reissued", [False, True])
def test_over_a_tombstone_one_more_person(store: sqlite3.Connection, elsewhere: str, *, reissued: bool) -> None:
    """A key that was disowned, by any vendor and under any certificate, needs policy's people plus one."""
    buried = propose(store, vendor_id=elsewhere)
    decide(store, "anchor.reject", "ann", anchor=buried, because="disowned")
    der = certificate("Re-issued", "New root") if reissued else certificate("New root")
    again = anchor_management.propose(store, proposal_of(der), signer_rule=DEDICATED, at=AT, randomness=randomness)
    read = hashlib.sha256(der).hexdigest()
    found = query.anchor(store, again)
    assert found is not None
    assert (again != buried, found.state, found.previous) == (True, AnchorState.PENDING, buried)
    outcomes = [approve(store, again, who, read)["outcome"] for who in ("ann", "bob", "cyd")]
    assert outcomes == ["recorded", "recorded", "valid"]


def test_a_tombstone_counts_until_overruled(store: sqlite3.Connection) -> None:
    """A tombstone is in the view beside a pending re-proposal, is out once the key was approved over it, and back when lowered."""
    buried = propose(store)
    decide(store, "anchor.reject", "ann", anchor=buried, because="disowned")
    again = propose(store)
    facts = package(certificate("New root"))
    seen = {a.id: a.state.value for a in query.trust_view(store, "dten", facts, None).anchors}
    assert seen == {buried: "distrusted", again: "pending"}
    for who in ("ann", "bob", "cyd"):
        approve(store, again, who)
    assert {a.id for a in query.trust_view(store, "dten", facts, None).anchors} == {again}
    decide(store, "anchor.distrust", "ann", anchor=again, reason="stolen")
    assert {a.id for a in query.trust_view(store, "dten", facts, None).anchors} == {buried, again}


def test_another_vendors_approval_lifts_no_tombstone(store: sqlite3.Connection) -> None:
    """What one vendor approves over another's tombstone counts for its own packages only."""
    buried = propose(store, vendor_id="other")
    decide(store, "anchor.reject", "ann", anchor=buried, because="disowned")
    again = propose(store)
    for who in ("ann", "bob", "cyd"):
        approve(store, again, who)
    facts = package(certificate("New root"))
    assert {a.id for a in query.trust_view(store, "dten", facts, None).anchors} == {again}
    assert {a.id for a in query.trust_view(store, "third", facts, None).anchors} == {buried}
    assert {a.id for a in query.trust_view(store, None, facts, None).anchors} == {buried}


def test_the_same_key_twice_is_one_anchor(store: sqlite3.Connection) -> None:
    """Hearing of an open key again makes nothing new; of another vendor it is another anchor."""
    anchor_id = propose(store)
    assert propose(store) == anchor_id
    assert propose(store, vendor_id="other") != anchor_id
    approve(store, anchor_id, "ann", approvals=1)
    assert propose(store) == anchor_id


def test_better_authority_is_kept_and_voids_nothing(store: sqlite3.Connection) -> None:
    """When the vendor itself says what a stranger said before, the proposal stands on the vendor's word, approvals intact."""
    der = certificate("New root")
    stranger = proposal_of(der, authority=Authority.UNAUTHENTICATED)
    anchor_id = anchor_management.propose(store, stranger, signer_rule=DEDICATED, at=AT, randomness=randomness)
    approve(store, anchor_id, "ann")
    anchor_management.propose(store, proposal_of(der, authority=Authority.VENDOR_SITE), at=AT, randomness=randomness)
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert found.authority == "vendor_site"
    assert approve(store, anchor_id, "bob")["outcome"] == "valid"


def test_a_signer_rule_is_suggested_once_and_never_dedicated(store: sqlite3.Connection) -> None:
    """A suggestion fills a gap before anybody approved; it never says dedicated and never replaces a rule."""
    anchor_id = propose(store, rule=None)
    rule = SignerRule(subject=(("O", "Example"),))
    suggest, free = anchor_management.propose_narrowest, Constraints()
    assert [
        suggest(store, anchor_id, DEDICATED, free, at=AT),
        suggest(store, anchor_id, SignerRule(), free, at=AT),
        suggest(store, "anchor_none", rule, free, at=AT),
        suggest(store, anchor_id, rule, free, at=AT),
        suggest(store, anchor_id, SignerRule(subject=(("O", "Other"),)), free, at=AT),
    ] == [False, False, False, True, False]


def test_no_rule_is_suggested_after_an_approval(store: sqlite3.Connection) -> None:
    """An approved proposal is not changed behind the approver's back."""
    leaf = certificate("Leaf", ca=False)
    anchor_id = anchor_management.propose(store, proposal_of(leaf), at=AT, randomness=randomness)
    approve(store, anchor_id, "ann", hashlib.sha256(leaf).hexdigest())
    rule, limits = SignerRule(subject=(("O", "E"),)), Constraints(formats=("zip",))
    assert not anchor_management.propose_narrowest(store, anchor_id, rule, limits, at=AT)


def test_proposals_lapse(store: sqlite3.Connection) -> None:
    """A proposal that nobody decided in time is rejected as lapsed; a younger one stays."""
    old = propose(store, "Old", at=AT - timedelta(days=90))
    young = propose(store, "Young", at=AT - timedelta(days=89))
    other = propose(store, "Old", "other", at=AT - timedelta(days=99))
    assert anchor_management.lapse_proposals(store, AT, 90, "dten") == (old,)
    assert anchor_management.lapse_proposals(store, AT, 90) == (other,)
    assert (state(store, old), state(store, young)) == (AnchorState.REJECTED, AnchorState.PENDING)


@pytest.mark.parametrize("old", [None, *AnchorState])
@pytest.mark.parametrize("new", list(AnchorState))
def test_every_transition_not_listed_is_refused(
    store: sqlite3.Connection, old: AnchorState | None, new: AnchorState
) -> None:
    """The table is the whole truth: what it lists happens, everything else is refused and leaves no trace."""
    if old is None:
        assert (old, AnchorState.PENDING) in TRANSITIONS
        return
    anchor_id = bring_to(store, old)
    assert state(store, anchor_id) is old
    before = len(kinds(store))
    heir = bring_to(store, AnchorState.VALID, "Heir") if new is AnchorState.SUPERSEDED else ""
    before = len(kinds(store))
    if (old, new) in TRANSITIONS:
        go(store, anchor_id, new, heir)
        assert state(store, anchor_id) is new
    elif new is not AnchorState.PENDING:
        with pytest.raises(DecisionRefusedError):
            go(store, anchor_id, new, heir)
        assert (state(store, anchor_id), len(kinds(store))) == (old, before)


def bring_to(store: sqlite3.Connection, wanted: AnchorState, name: str = "New root") -> str:
    """An anchor in the state wanted, by allowed steps."""
    anchor_id = propose(store, name)
    direct = (AnchorState.PENDING, AnchorState.REJECTED, AnchorState.DISTRUSTED)
    if wanted not in (*direct, AnchorState.VALID):
        bring = bring_to(store, AnchorState.VALID, "Successor") if wanted is AnchorState.SUPERSEDED else ""
        approve(store, anchor_id, "ann", fingerprint(name), approvals=1)
        go(store, anchor_id, wanted, bring)
    elif wanted is not AnchorState.PENDING:
        go(store, anchor_id, wanted, "", name)
    return anchor_id


def go(store: sqlite3.Connection, anchor_id: str, new: AnchorState, heir: str, name: str = "New root") -> None:
    """One step, with one approval as policy."""
    one = vendor(approvals=1)
    match new:
        case AnchorState.VALID:
            approve(store, anchor_id, "ann", fingerprint(name), approvals=1)
        case AnchorState.REJECTED:
            decide(store, "anchor.reject", "ann", anchor=anchor_id, because="unconfirmed")
        case AnchorState.DISTRUSTED:
            decide(store, "anchor.distrust", "ann", anchor=anchor_id, reason="r")
        case AnchorState.REVOKED:
            decide(store, "anchor.revoke", "ann", anchor=anchor_id)
        case AnchorState.COMPROMISED:
            decide(store, "anchor.compromise", "ann", anchor=anchor_id)
        case AnchorState.SUPERSEDED:
            decide(store, "anchor.supersede", "ann", one, anchor=anchor_id, successor=heir)
        case _:
            decide(store, "anchor.remove", "ann", one, anchor=anchor_id)


def test_retiring_needs_policys_people(store: sqlite3.Connection) -> None:
    """Superseding and removing wait for the second person, and each change is approved by itself."""
    anchor_id, heir = bring_to(store, AnchorState.VALID), bring_to(store, AnchorState.VALID, "Heir")
    assert decide(store, "anchor.remove", "ann", anchor=anchor_id)["outcome"] == "recorded"
    assert decide(store, "anchor.supersede", "bob", anchor=anchor_id, successor=heir)["outcome"] == "recorded"
    assert decide(store, "anchor.supersede", "ann", anchor=anchor_id, successor=heir)["outcome"] == "superseded"
    assert decide(store, "anchor.remove", "ann", anchor=anchor_id)["outcome"] == "recorded"


@pytest.mark.parametrize("successor", ["", "itself", "anchor_none", "pending", "foreign"])
def test_a_successor_is_another_valid_anchor_of_the_vendor(store: sqlite3.Connection, successor: str) -> None:
    """Nothing is superseded by itself, by what is not valid, or by another vendor's anchor."""
    anchor_id = bring_to(store, AnchorState.VALID)
    heirs = {"itself": anchor_id, "pending": propose(store, "Heir"), "foreign": propose(store, "Heir", "other")}
    with pytest.raises((DecisionRefusedError, UsageError)):
        decide(store, "anchor.supersede", "ann", anchor=anchor_id, successor=heirs.get(successor, successor))


def test_a_revocation_says_since_when_and_why(store: sqlite3.Connection) -> None:
    """Cause and the time from which it counts are kept; a key compromise makes the anchor compromised."""
    anchor_id = bring_to(store, AnchorState.VALID)
    decide(
        store, "anchor.revoke", "ann", anchor=anchor_id, because="key-compromise", effective_from="2026-03-01T00:00:00Z"
    )
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert (found.state, found.cause) == (AnchorState.COMPROMISED, "key-compromise")
    assert found.effective_from == AT.replace(month=3, day=1, hour=0)


def test_a_withdrawal_is_never_in_the_future(store: sqlite3.Connection) -> None:
    """Taking trust away does not wait, and its reason is one of the known ones."""
    anchor_id = bring_to(store, AnchorState.VALID)
    with pytest.raises(DecisionRefusedError, match="does not wait"):
        decide(store, "anchor.revoke", "ann", anchor=anchor_id, effective_from="2030-01-01T00:00:00Z")
    with pytest.raises(UsageError, match="because"):
        decide(store, "anchor.revoke", "ann", anchor=anchor_id, because="mood")
    with pytest.raises(DecisionRefusedError, match="rejection is because"):
        decide(store, "anchor.reject", "ann", anchor=anchor_id, because="mood")
    with pytest.raises(DecisionRefusedError):
        anchor_approval.lower(store, anchor_id, AnchorState.VALID, identity="a", cause="", at=AT)
    with pytest.raises(DecisionRefusedError):
        anchor_approval.retire(store, anchor_id, AnchorState.VALID, identity="a", vendor=vendor(), at=AT)


def test_a_decision_has_an_author_and_its_own_transaction(store: sqlite3.Connection) -> None:
    """Nobody decides nothing, unknown decisions and anchors are refused, and no outer transaction can undo a record."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError, match="nobody decides"):
        decide(store, "anchor.reject", "", anchor=anchor_id, because="unconfirmed")
    with pytest.raises(UsageError, match="unknown decision"):
        decide(store, "anchor.bless", "ann")
    with pytest.raises(DecisionRefusedError, match="there is no anchor"):
        decide(store, "anchor.reject", "ann", anchor="anchor_none", because="unconfirmed")
    with transaction(store), pytest.raises(ValueError, match="its own transaction"):
        decide(store, "anchor.reject", "ann", anchor=anchor_id, because="unconfirmed")


def test_an_alert_commits_with_the_decision_or_not_at_all(store: sqlite3.Connection) -> None:
    """What is done within the decision's transaction sees a mismatch too, and its failure undoes the decision."""
    anchor_id = propose(store)
    arguments = {"anchor": anchor_id, "fingerprint_read": WRONG, "spoke_with": "A", "called": PHONE, "ticket": "T"}
    seen: list[str] = []

    def note(connection: sqlite3.Connection, result: Any) -> None:
        assert connection.in_transaction
        seen.append(result["outcome"])
        if len(seen) > 1:
            raise RuntimeError("the alert could not be written")

    def run(error: type[Exception]) -> None:
        with pytest.raises(error):
            perform(
                store, "anchor.approve", arguments, identity="ann", vendors=(vendor(),), at=AT, randomness=randomness,
                within=note,
            )  # fmt: skip

    run(DecisionRefusedError)
    entries = len(kinds(store))
    run(RuntimeError)
    assert (seen, len(kinds(store))) == (["mismatch", "mismatch"], entries)


def test_nothing_shows_the_fingerprint_of_a_key_awaiting_decision(store: sqlite3.Connection) -> None:
    """Results, refusals and the whole audit log hold no eight digits in a row of any identifier of a pending key."""
    anchor_id = propose(store, rule=None)
    shown: list[str] = []
    for read in (WRONG, fingerprint()[:-2], fingerprint()):
        with pytest.raises(DecisionRefusedError) as refused:
            approve(store, anchor_id, "ann", read)
        shown.append(str(refused.value))
    shown.append(json.dumps(decide(store, "anchor.constrain", "ann", anchor=anchor_id, dedicated=True)))
    shown.append(json.dumps(approve(store, anchor_id, "ann")))
    columns = ("kind", "actor", "subject", "body")
    shown += [str(row[c]) for row in audit.entries(store) for c in columns]
    found = query.anchor(store, anchor_id)
    assert found is not None
    values = [i.value for i in found.identifiers if i.kind.value != "subject"]
    parts = {v[i : i + 8] for v in values for i in range(len(v) - 7)}
    text = " ".join(shown).lower().replace(":", "")
    assert [part for part in parts if part in text] == []


def test_text_that_gives_a_pending_key_away_is_withheld(store: sqlite3.Connection) -> None:
    """A name or URL with part of the fingerprint in it is withheld until the decision, however it is spaced."""
    whole = "0123456789abcdef0123456789abcdef01234567"
    anchor_id = anchor_management.propose(
        store, openpgp_proposal(whole, "0x" + whole.upper()), at=AT, randomness=randomness
    )
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert disclosed(found, found.name) == WITHHELD
    assert disclosed(found, "https://keys.example/?search=89 AB:CD-EF") == WITHHELD
    assert disclosed(found, "Vendor release key") == "Vendor release key"
    assert disclosed(replace(found, state=AnchorState.VALID), found.name) == found.name


def test_unsound_proposals_are_refused(store: sqlite3.Connection) -> None:
    """Material that is not what it is said to be, names no vendor, several keys, or is too large, never reaches the store."""
    good = proposal_of(certificate("New root"))
    pgp = openpgp_proposal("ab" * 20)
    bad = [
        replace(good, key_sha256="00" * 32),
        replace(good, material=b""),
        replace(good, vendor_id="any"),
        replace(good, vendor_id=""),
        replace(pgp, identifiers=pgp.identifiers + openpgp_proposal("cd" * 20).identifiers),
        replace(pgp, identifiers=()),
    ]
    for proposal in bad:
        with pytest.raises(MalformedError):
            anchor_management.propose(store, proposal, at=AT, randomness=randomness)
    with pytest.raises(ResourceLimitError):
        anchor_management.propose(store, replace(good, material=b"x" * 5_000_000), at=AT, randomness=randomness)
    assert kinds(store) == []


def test_a_key_can_be_buried_unheard_of_or_standing(store: sqlite3.Connection) -> None:
    """Entombing records a new tombstone, or distrusts the anchor of that key that stands."""
    der = certificate("New root")

    def entomb() -> str:
        return anchor_management.entomb(
            store, proposal_of(der), identity="ann", reason="stolen", at=AT, randomness=randomness
        )

    first = entomb()
    again = propose(store)
    assert (entomb(), state(store, first), state(store, again)) == (
        again,
        AnchorState.DISTRUSTED,
        AnchorState.DISTRUSTED,
    )


def test_revision_rises_with_every_change(store: sqlite3.Connection) -> None:
    """Each anchor version raises the store's revision; a refused reading does not."""
    seen = [query.store_revision(store)]
    anchor_id = propose(store)
    seen.append(query.store_revision(store))
    with pytest.raises(DecisionRefusedError):
        approve(store, anchor_id, "ann", WRONG)
    seen.append(query.store_revision(store))
    approve(store, anchor_id, "ann", approvals=1)
    seen.append(query.store_revision(store))
    assert seen == [0, 1, 1, 2]
    assert query.store_id(store) is not None


def test_constraints_survive_the_store() -> None:
    """Every constraint reads back as it was written."""
    from trust_store.storage.anchors import decode_constraints, encode_constraints

    full = Constraints(
        ("p",), ("f",), ("code", "x"), AT, AT + timedelta(days=1), AT, 3, (("dns", "a.example"),), (("dn", "O=b"),), 3072,
        ("sha256",), "required",
    )  # fmt: skip
    assert decode_constraints(encode_constraints(full)) == full
    assert decode_constraints(encode_constraints(Constraints())) == Constraints()


@pytest.mark.parametrize("data", [None, 7, "???", "A" * 800_000, "bm8gIGtleQ=="])
def test_an_import_is_checked_before_it_is_read(store: sqlite3.Connection, data: Any) -> None:
    """Import data that is no base64, too large, or no key is a usage error and leaves nothing."""
    with pytest.raises(UsageError):
        decide(store, "anchor.import", "ann", vendor="dten", data=data)
    assert kinds(store) == []


def test_a_policy_of_an_unknown_vendor_is_not_approved(store: sqlite3.Connection) -> None:
    """Only a configured vendor's file can be approved."""
    with pytest.raises(DecisionRefusedError, match="not configured"):
        decide(store, "policy.approve", "ann", vendor="nobody")
