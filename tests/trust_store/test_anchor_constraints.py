"""Rules of anchors as people state them: every field, its checks, and that a decided anchor's rules only ever get narrower."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.store_setup import (
    AT,
    PHONE,
    certificate,
    fingerprint,
    open_store,
    openpgp_proposal,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from trust_store import anchor_management, audit, query
from trust_store.anchor_narrowing import widened
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.trust_anchor import AnchorState, Constraints, SignerRule, TrustAnchor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

PIN = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def constrain(store: sqlite3.Connection, anchor: str, who: str = "ann", **said: Any) -> dict[str, Any]:
    """The decision as it comes over the socket."""
    return perform(
        store, "anchor.constrain", {"anchor": anchor, **said}, identity=who, vendors=(vendor(),), at=AT,
        randomness=randomness,
    )  # fmt: skip


def approve(store: sqlite3.Connection, anchor: str, who: str, read: str | None = None) -> dict[str, Any]:
    """An approval after a call; one is enough."""
    arguments = {
        "anchor": anchor, "fingerprint_read": read or fingerprint(), "spoke_with": "A", "called": PHONE, "ticket": "T",
    }  # fmt: skip
    return perform(
        store, "anchor.approve", arguments, identity=who, vendors=(vendor(approvals=1),), at=AT, randomness=randomness
    )


def kept(store: sqlite3.Connection, anchor: str) -> TrustAnchor:
    """The anchor as it stands."""
    found = query.anchor(store, anchor)
    assert found is not None
    return found


EVERYTHING: dict[str, Any] = {
    "signer_subject": ["o=Example Inc", "1.2.3.4=x"],
    "signer_spki": [PIN],
    "signer_san": ["dns=updates.example.com", "email=Release@example.com", "uri=https://example.com/ci", "ip=192.0.2.1",
                   "dn=CN=Release,O=Example Inc"],
    "issuer_spki": ["CD:" * 31 + "CD"],
    "team_id": ["A1B2C3D4E5"],
    "eku": ["1.3.6.1.5.5.7.3.3"],
    "policy": ["2.23.140.1.4.1"],
    "products": ["camera-*.zip"],
    "formats": ["zip", "detached"],
    "purposes": ["code", "firmware"],
    "valid_from": "2026-01-01T00:00:00Z",
    "valid_until": "2027-01-01T00:00:00Z",
    "distrust_after": "2026-12-01T00:00:00Z",
    "max_path_length": 0,
    "permitted_names": ["dns=example.com", "email=example.com", "ip=192.0.2.0/24", "dn=O=Example Inc"],
    "excluded_names": ["uri=bad.example.com"],
    "minimum_rsa_bits": 3072,
    "digests": ["sha256", "sha512"],
    "revocation": "required",
    "follow_rotation": True,
}  # fmt: skip


def test_every_rule_is_kept_as_it_was_stated(store: sqlite3.Connection) -> None:
    """Each field of signer rule and constraints comes back from the store as it was said."""
    anchor = propose(store, rule=None)
    assert constrain(store, anchor, **EVERYTHING)["outcome"] == "constrained"
    found = kept(store, anchor)
    assert found.signer_rule == SignerRule(
        subject=(("O", "Example Inc"), ("1.2.3.4", "x")),
        spki_sha256=(PIN,),
        san=(
            ("dns", "updates.example.com"), ("email", "Release@example.com"), ("uri", "https://example.com/ci"),
            ("ip", "192.0.2.1"), ("dn", "CN=Release,O=Example Inc"),
        ),
        issuer_spki_sha256=("cd" * 32,),
        team_id=("A1B2C3D4E5",),
        eku=("1.3.6.1.5.5.7.3.3",),
        policy=("2.23.140.1.4.1",),
    )  # fmt: skip
    start = datetime.fromisoformat
    assert found.constraints == Constraints(
        ("camera-*.zip",), ("zip", "detached"), ("code", "firmware"), start("2026-01-01T00:00:00+00:00"),
        start("2027-01-01T00:00:00+00:00"), start("2026-12-01T00:00:00+00:00"), 0,
        (("dns", "example.com"), ("email", "example.com"), ("ip", "192.0.2.0/24"), ("dn", "O=Example Inc")),
        (("uri", "bad.example.com"),), 3072, ("sha256", "sha512"), "required",
    )  # fmt: skip
    assert found.follow_rotation


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_each_rule_can_be_stated_alone(store: sqlite3.Connection, name: str) -> None:
    """One field is enough of a statement, and leaves the other limits as they were."""
    anchor = propose(store)
    constrain(store, anchor, digests=["sha384"], purposes=["tls"])
    constrain(store, anchor, **{name: EVERYTHING[name]})
    limits = kept(store, anchor).constraints
    assert limits.digests == (("sha384",) if name != "digests" else ("sha256", "sha512"))
    assert limits.purposes == (("tls",) if name != "purposes" else ("code", "firmware"))


def test_a_limit_is_cleared_by_name(store: sqlite3.Connection) -> None:
    """On a pending anchor a limit can be taken back; stating and clearing it at once is a wrong question."""
    anchor = propose(store)
    constrain(store, anchor, formats=["zip"], products=["a"])
    constrain(store, anchor, clear=["formats"])
    assert kept(store, anchor).constraints == Constraints(products=("a",))
    with pytest.raises(UsageError, match="at once"):
        constrain(store, anchor, clear=["formats"], formats=["zip"])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"eku": ["codeSigning"]}, "dotted object identifier"),
        ({"eku": ["1.40.1"]}, "dotted"),
        ({"eku": ["3.1"]}, "dotted"),
        ({"policy": ["1.2.03"]}, "dotted"),
        ({"policy": ["1.2\n"]}, "dotted"),
        ({"team_id": ["a1b2c3d4e5"]}, "ten capital"),
        ({"issuer_spki": ["ab"]}, "64 hex"),
        ({"signer_san": ["updates.example.com"]}, "KIND=VALUE"),
        ({"signer_san": ["host=x"]}, "dns, email, uri, ip, dn"),
        ({"signer_san": ["dns="]}, "KIND=VALUE"),
        ({"signer_san": ["ip=192.0.2.0/24"]}, "no name of kind ip"),
        ({"signer_san": ["email=example.com"]}, "no mailbox"),
        ({"signer_san": ["uri=example.com"]}, "no absolute URI"),
        ({"signer_san": ["dn=Example"]}, "no name of kind dn"),
        ({"signer_san": ["dns=a b"]}, "blank"),
        ({"signer_san": ["dns=b\u00fccher.example"]}, "no name of kind dns"),
        ({"permitted_names": ["ip=192.0.2.1/24"]}, "no name of kind ip"),
        ({"excluded_names": ["ip=example"]}, "no name of kind ip"),
        ({"purposes": ["fun"]}, "none of code, firmware"),
        ({"formats": ["floppy"]}, "none of android-ota"),
        ({"digests": ["md5"]}, "none of sha224"),
        ({"revocation": "sometimes"}, "none of off"),
        ({"clear": ["dedicated"]}, "none of digests"),
        ({"max_path_length": -1}, "whole number from 0"),
        ({"max_path_length": True}, "whole number"),
        ({"max_path_length": "1"}, "whole number"),
        ({"minimum_rsa_bits": 0}, "whole number from 1"),
        ({"distrust_after": "2026-01-01"}, "distrust_after"),
        ({"products": [""]}, "list of at most"),
        ({"dedicated": True, "eku": ["1.2.3"]}, "no condition"),
        ({}, "nothing to constrain"),
        ({"dedicated": False}, "nothing to constrain"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(store: sqlite3.Connection, said: dict[str, Any], told: str) -> None:
    """Every field is checked for form and meaning before anything is written, and the error says what is known."""
    anchor = propose(store)
    with pytest.raises(UsageError, match=told):
        constrain(store, anchor, **said)
    assert len(audit.entries(store)) == 1


@pytest.mark.parametrize(
    "said", [{"dedicated": True}, {"eku": ["1.2.3"]}, {"max_path_length": 1}, {"permitted_names": ["dns=a"]}]
)
def test_a_key_has_no_rules_about_certificates(store: sqlite3.Connection, said: dict[str, Any]) -> None:
    """An OpenPGP key issues no certificates: what speaks of those is refused, products, formats, purposes and times are not."""
    anchor = anchor_management.propose(store, openpgp_proposal("ab" * 20), at=AT, randomness=randomness)
    with pytest.raises(DecisionRefusedError, match="issues no certificates"):
        constrain(store, anchor, **said)
    constrain(
        store, anchor, products=["a*"], formats=["zip"], purposes=["advisory"], valid_until="2027-01-01T00:00:00Z"
    )
    assert kept(store, anchor).constraints.purposes == ("advisory",)


def test_an_anchor_for_tls_alone_is_possible(store: sqlite3.Connection) -> None:
    """A root can be approved for TLS and nothing else."""
    anchor = propose(store)
    constrain(store, anchor, purposes=["tls"])
    approve(store, anchor, "ann")
    assert (kept(store, anchor).state, kept(store, anchor).constraints.purposes) == (AnchorState.VALID, ("tls",))


def test_a_valid_anchor_is_narrowed_by_one_person_at_once(store: sqlite3.Connection) -> None:
    """An earlier end, fewer uses and a further condition take one person and no waiting; how it became valid stays as it was."""
    anchor = propose(store)
    approve(store, anchor, "ann")
    revision = query.store_revision(store)
    told = constrain(
        store, anchor, "bob", distrust_after="2026-03-01T00:00:00Z", signer_subject=["O=Example"], formats=["zip"]
    )
    found = kept(store, anchor)
    assert (told["outcome"], found.state, found.basis.value) == ("narrowed", AnchorState.VALID, "called")
    assert (found.constraints.formats, found.signer_rule.dedicated) == (("zip",), False)
    assert query.store_revision(store) == revision + 1
    assert [e["kind"] for e in audit.entries(store)][-1] == "anchor.narrowed"


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"dedicated": True}, "dedicated"),
        ({"signer_subject": ["O=Other"]}, "signer-subject"),
        ({"signer_subject": ["O=Example", "O=Other"], "eku": ["1.2.3"]}, "signer-subject"),
        ({"signer_subject": ["O=Example"]}, "eku"),
        ({"signer_subject": ["O=Example"], "eku": ["1.2.3", "1.2.4"]}, "eku"),
        ({"formats": ["zip", "detached"]}, "formats"),
        ({"products": ["*"]}, "products"),
        ({"purposes": ["code", "tls"]}, "purposes"),
        ({"clear": ["formats"]}, "formats"),
        ({"clear": ["valid_until"]}, "valid-until"),
        ({"valid_until": "2028-01-01T00:00:00Z"}, "valid-until"),
        ({"valid_from": "2025-01-01T00:00:00Z"}, "valid-from"),
        ({"distrust_after": "2028-01-01T00:00:00Z"}, "distrust-after"),
        ({"max_path_length": 2}, "max-path-length"),
        ({"clear": ["max_path_length"]}, "max-path-length"),
        ({"minimum_rsa_bits": 2048}, "minimum-rsa-bits"),
        ({"digests": ["sha384"]}, "digests"),
        ({"revocation": "off"}, "revocation"),
        ({"permitted_names": ["dns=example.com", "dns=example.net"]}, "permitted dns"),
        ({"permitted_names": ["email=example.com"]}, "permitted dns"),
        ({"excluded_names": ["dns=other.example.com"]}, "excluded names"),
        ({"follow_rotation": True}, "follow-rotation"),
    ],
)
def test_nothing_is_widened_without_a_new_proposal(store: sqlite3.Connection, said: dict[str, Any], named: str) -> None:
    """What would let more through is refused for a decided anchor; the refusal names the rule, and nothing changes."""
    anchor = propose(store, rule=None)
    constrain(
        store, anchor, signer_subject=["O=Example"], eku=["1.2.3"], formats=["zip"], products=["a*"], max_path_length=1,
        valid_from="2026-01-01T00:00:00Z", valid_until="2027-01-01T00:00:00Z", distrust_after="2026-12-01T00:00:00Z",
        minimum_rsa_bits=3072, digests=["sha256"], revocation="required", permitted_names=["dns=example.com"],
        excluded_names=["dns=bad.example.com"],
    )  # fmt: skip
    approve(store, anchor, "ann")
    before = kept(store, anchor)
    with pytest.raises(DecisionRefusedError, match=named):
        constrain(store, anchor, **said)
    assert kept(store, anchor) == before


def test_wider_rules_are_a_removal_and_a_new_proposal(store: sqlite3.Connection) -> None:
    """The way that the refusal names is open: removed and proposed again the key takes wider rules, with everybody's approval."""
    anchor = propose(store)
    constrain(store, anchor, formats=["zip"])
    approve(store, anchor, "ann")
    with pytest.raises(DecisionRefusedError, match="remove the anchor and import the key again"):
        constrain(store, anchor, clear=["formats"])
    perform(
        store, "anchor.remove", {"anchor": anchor}, identity="ann", vendors=(vendor(approvals=1),), at=AT,
        randomness=randomness,
    )  # fmt: skip
    again = propose(store)
    assert (kept(store, again).previous, kept(store, again).constraints) == (anchor, Constraints())
    assert approve(store, again, "ann")["outcome"] == "valid"


def test_what_is_closed_has_fixed_rules(store: sqlite3.Connection) -> None:
    """A revoked anchor takes no rules at all."""
    anchor = propose(store)
    approve(store, anchor, "ann")
    perform(
        store, "anchor.revoke", {"anchor": anchor}, identity="ann", vendors=(vendor(),), at=AT, randomness=randomness
    )
    with pytest.raises(DecisionRefusedError, match="rules are fixed"):
        constrain(store, anchor, formats=["zip"])


def test_the_narrowest_rules_are_suggested_once(store: sqlite3.Connection) -> None:
    """The first package's subject, format and product are suggested; a later package's do not replace or widen them."""
    anchor = propose(store, rule=None)
    suggest = anchor_management.propose_narrowest
    rule, limits = SignerRule(subject=(("O", "A"),)), Constraints(products=("a*",), formats=("zip",))
    assert suggest(store, anchor, rule, limits, at=AT)
    assert not suggest(store, anchor, SignerRule(subject=(("O", "B"),)), Constraints(formats=("detached",)), at=AT)
    assert (kept(store, anchor).signer_rule, kept(store, anchor).constraints) == (rule, limits)


def test_a_key_is_suggested_limits_and_no_rule(store: sqlite3.Connection) -> None:
    """For a key that signs itself the signer rule is left out, format and product are not."""
    anchor = anchor_management.propose(store, openpgp_proposal("ab" * 20), at=AT, randomness=randomness)
    limits = Constraints(formats=("zip",))
    assert anchor_management.propose_narrowest(store, anchor, SignerRule(subject=(("O", "A"),)), limits, at=AT)
    assert (kept(store, anchor).signer_rule, kept(store, anchor).constraints) == (SignerRule(), limits)


def test_nothing_is_suggested_over_what_a_person_said(store: sqlite3.Connection) -> None:
    """Once somebody stated or cleared rules, no package changes them any more."""
    anchor = anchor_management.propose(store, proposal_of(certificate("Leaf", ca=False)), at=AT, randomness=randomness)
    constrain(store, anchor, formats=["zip"])
    constrain(store, anchor, clear=["formats"])
    suggest = anchor_management.propose_narrowest
    assert not suggest(store, anchor, SignerRule(subject=(("O", "A"),)), Constraints(formats=("zip",)), at=AT)
    assert kept(store, anchor).constraints == Constraints()


TIMES = st.one_of(st.none(), st.sampled_from([AT, AT + timedelta(days=1), AT + timedelta(days=2)]))
SOME = st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(tuple)
NAMES = st.lists(st.tuples(st.sampled_from(["dns", "ip"]), st.sampled_from("xy")), max_size=3, unique=True).map(tuple)
LIMITS = st.builds(
    Constraints, products=SOME, formats=SOME, purposes=SOME, valid_from=TIMES, valid_until=TIMES, distrust_after=TIMES,
    max_path_length=st.one_of(st.none(), st.integers(0, 2)), permitted_names=NAMES, excluded_names=NAMES,
    minimum_rsa_bits=st.one_of(st.none(), st.sampled_from([2048, 3072])), digests=SOME,
    revocation=st.sampled_from(["off", "if_available", "required"]),
)  # fmt: skip
MOMENTS = [AT + timedelta(hours=12 * n) for n in range(-1, 6)]


def lets_through(limits: Constraints, use: dict[str, Any]) -> bool:
    """What the constraints say to one use, as their docstring has it."""
    kinds = {kind for kind, _ in limits.permitted_names}
    return (
        (not limits.products or use["product"] in limits.products)
        and (not limits.formats or use["format"] in limits.formats)
        and use["purpose"] in limits.purposes
        and not (limits.valid_from and use["at"] < limits.valid_from)
        and not (limits.valid_until and use["at"] > limits.valid_until)
        and not (limits.distrust_after and use["signed"] > limits.distrust_after)
        and not (limits.max_path_length is not None and use["length"] > limits.max_path_length)
        and not (use["name"][0] in kinds and use["name"] not in limits.permitted_names)
        and use["name"] not in limits.excluded_names
        and use["bits"] >= (limits.minimum_rsa_bits or 0)
        and (not limits.digests or use["digest"] in limits.digests)
        and use["revocation"] >= ["off", "if_available", "required"].index(limits.revocation)
    )


USES = st.fixed_dictionaries(
    {
        "product": st.sampled_from("abcd"), "format": st.sampled_from("abcd"), "purpose": st.sampled_from("abcd"),
        "at": st.sampled_from(MOMENTS), "signed": st.sampled_from(MOMENTS), "length": st.integers(0, 3),
        "name": st.tuples(st.sampled_from(["dns", "ip"]), st.sampled_from("xyz")), "bits": st.sampled_from([1024, 2048, 3072]),
        "digest": st.sampled_from("abcd"), "revocation": st.integers(0, 2),
    }
)  # fmt: skip
PLAIN = TrustAnchor("anchor_1", "dten", "x509", "n", "k", b"m", AnchorState.VALID, AT, AT)  # type: ignore[arg-type]


@given(LIMITS, LIMITS, USES)
def test_narrower_rules_never_let_more_through(old: Constraints, new: Constraints, use: dict[str, Any]) -> None:
    """Wherever a change counts as narrowing, no use passes that did not pass before."""
    if not widened(replace(PLAIN, constraints=old), replace(PLAIN, constraints=new)):
        assert lets_through(old, use) or not lets_through(new, use)


@given(LIMITS)
def test_the_same_rules_widen_nothing(limits: Constraints) -> None:
    """Rules compared with themselves are no wider."""
    assert widened(replace(PLAIN, constraints=limits), replace(PLAIN, constraints=limits)) == ()
