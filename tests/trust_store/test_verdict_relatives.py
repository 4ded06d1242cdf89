"""What is told beside a missing issuer: the anchors that are like it, and how."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography import x509

from tests.trust_store.path_craft import authority, issue
from tests.trust_store.verdict_chain import OLD, UNTIL, Chain, dn
from tests.trust_store.verdict_craft import anchor, ask
from trust_store.chain.building import SignatureBudget
from trust_store.cli.verdict_text import verdict_lines
from trust_store.decode.x509 import load_certificate
from trust_store.model.trust_anchor import AnchorKind, AnchorState, TrustAnchor
from trust_store.model.trust_view import TrustView
from trust_store.model.verdict import Relative, Verdict
from trust_store.verdict_json import verdict_to_dict
from trust_store.verification.relatives import MAX_RELATIVES, relatives


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Root, issuing CA, signer."""
    return Chain.of()


def _relatives(verdict: Verdict) -> tuple[Relative, ...]:
    missing = verdict.signatures[0].missing_issuer
    assert missing is not None
    return missing.relatives


def _told(verdict: Verdict, held: TrustAnchor) -> None:
    (relative,) = _relatives(verdict)
    assert (relative.anchor_id, relative.name, relative.state) == (held.id, held.name, held.state.value)


SAME_NAME = dn(O="Shared", CN="Shared Root")


def test_the_same_name_with_a_new_key(chain: Chain) -> None:
    """A root that was rotated keeps its name: the old one is the nearest relative."""
    old = anchor(authority(SAME_NAME, dates=(OLD, UNTIL)).der)
    verdict = ask(chain.facts(), old)
    _told(verdict, old)
    assert _relatives(verdict)[0].kind == "same_name_new_key"


def test_the_same_key_in_a_new_certificate(chain: Chain) -> None:
    """A root's key under another name made the signature: found by trying it, not by its key identifier."""
    renamed = authority(dn(O="Other", CN="Renamed"), dates=(OLD, UNTIL), private=chain.root.key)
    verdict = ask(chain.facts(), anchor(_with_identifier(renamed, chain).der), untrusted=(chain.root.decoded,))
    assert [r.kind for r in _relatives(verdict)] == ["same_key_new_certificate"]


def _with_identifier(like, chain: Chain):  # type: ignore[no-untyped-def]
    return issue(like.certificate.subject, None, dates=(OLD, UNTIL), private=chain.root.key)


def test_siblings(chain: Chain) -> None:
    """Another CA of the same organisation, or of the same issuer."""
    same_organisation = anchor(authority(dn(O="SHARED", CN="TLS Root"), dates=(OLD, UNTIL)).der)
    same_issuer = anchor(authority(dn(CN="other"), issuer_name=SAME_NAME, dates=(OLD, UNTIL)).der)
    for held in (same_organisation, same_issuer):
        verdict = ask(chain.facts(), held)
        _told(verdict, held)
        assert _relatives(verdict)[0].kind == "sibling"


def test_strangers_are_no_relatives(chain: Chain) -> None:
    """An unrelated anchor, another kind of key and what cannot be read are not told."""
    stranger = anchor(authority(dn(O="Else", CN="x"), dates=(OLD, UNTIL)).der)
    raw = replace(stranger, id="raw", kind=AnchorKind.RAW)
    junk = replace(stranger, id="junk", material=b"\x30\x00")
    assert _relatives(ask(chain.facts(), stranger, raw, junk)) == ()


def test_a_claimed_key_identifier_makes_no_relative() -> None:
    """An identifier that points at an anchor whose key did not sign says nothing."""
    aki = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
    ski = x509.SubjectKeyIdentifier(b"\1" * 20)
    top = issue("leaf", None, (aki, False), issuer_name=dn(CN="Nobody"))
    pointed = anchor(authority(dn(CN="elsewhere"), None, (ski, False), dates=(OLD, UNTIL)).der)
    view = TrustView(anchors=(pointed,))
    assert relatives(top.decoded, view, SignatureBudget()) == ()
    made = authority(dn(CN="elsewhere"), None, (ski, False), dates=(OLD, UNTIL))
    real = issue("leaf", None, (aki, False), issuer_name=dn(CN="Nobody"), signed_with=made.key)
    found = relatives(real.decoded, TrustView(anchors=(anchor(made.der),)), SignatureBudget())
    assert [r.kind for r in found] == ["same_key_new_certificate"]
    assert relatives(real.decoded, TrustView(anchors=(anchor(made.der),)), SignatureBudget(0)) == ()


def test_keys_that_nothing_points_at_are_not_tried() -> None:
    """An anchor of another name without the key identifier that is looked for costs no public-key operation."""
    made = authority(dn(CN="elsewhere"), dates=(OLD, UNTIL))
    top = issue("leaf", None, issuer_name=dn(CN="Nobody"), signed_with=made.key)
    budget = SignatureBudget(5)
    assert relatives(top.decoded, TrustView(anchors=(anchor(made.der),)), budget) == ()
    assert budget.left == 5


def test_the_key_below_the_missing_issuer_is_not_the_issuers() -> None:
    """Only of a self-issued certificate is its own key the missing one."""
    top = authority(dn(CN="mid"), authority(dn(CN="gone")))
    again = authority(dn(CN="renamed"), dates=(OLD, UNTIL), private=top.key)
    assert relatives(top.decoded, TrustView(anchors=(anchor(again.der),)), SignatureBudget()) == ()


def test_the_nearest_come_first_and_few(chain: Chain) -> None:
    """Same name before same key before sibling, in any state, and no more than a person can look at."""
    many = [anchor(authority(dn(O="Shared", CN=f"S{n}"), dates=(OLD, UNTIL)).der, id=f"s{n}") for n in range(12)]
    near = anchor(authority(SAME_NAME, dates=(OLD, UNTIL)).der, AnchorState.PENDING, id="near")
    found = _relatives(ask(chain.facts(), *many, near))
    assert (len(found), found[0].anchor_id, found[0].state) == (MAX_RELATIVES, "near", "pending")


def test_relatives_are_shown_and_vouch_for_nothing(chain: Chain) -> None:
    """Screen, JSON and advice tell them by name and id; a hostile name is escaped, no fingerprint is shown."""
    held = replace(anchor(authority(SAME_NAME, dates=(OLD, UNTIL)).der), name="old\x1b[31mroot", key_sha256="ab" * 32)
    verdict = ask(chain.facts(), held)
    text = "\n".join(verdict_lines(verdict_to_dict(verdict)))
    assert f"relative old\\u001b[31mroot ({held.id}, valid) has the missing issuer's name and another key" in text
    assert "\x1b" not in text
    assert "ab" * 32 not in text
    assert any(f"rootwarden anchor show {held.id}" in advice for advice in verdict.advice)
    missing = verdict_to_dict(verdict)["signatures"][0]["missing_issuer"]
    assert set(missing) == {"name", "authority_key_identifier", "same_name_new_key", "relatives"}
    assert missing["relatives"][0] == {
        "anchor_id": held.id, "name": held.name, "state": "valid", "kind": "same_name_new_key",
    }  # fmt: skip
    assert json.dumps(missing)


def test_a_self_signed_signer_knows_its_own_missing_key() -> None:
    """Of a self-signed end entity the key is at hand: an anchor with it in another certificate is told."""
    alone = issue(dn(CN="alone"), None, dates=(OLD, UNTIL))
    again = issue(dn(CN="renamed"), None, dates=(OLD, UNTIL), private=alone.key)
    found = relatives(load_certificate(alone.der), TrustView(anchors=(anchor(again.der),)), SignatureBudget())
    assert [r.kind for r in found] == ["same_key_new_certificate"]
