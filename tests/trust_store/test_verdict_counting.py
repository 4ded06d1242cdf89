from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.openpgp_craft import CREATED, CraftedKey, packet
from tests.trust_store.package_craft import read
from tests.trust_store.recovered_key_craft import second_copy
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside, der, issue
from trust_store.decode.x509 import load_certificate
from trust_store.model.package_facts import PackageFacts, SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.vendor import VendorPolicy
from trust_store.model.verdict import Outcome, Reason
from trust_store.signatures.protocol import CandidateKey

TWO = VendorPolicy(required_signatures=2)
BESIDE = [SignatureOrigin.FOUND, SignatureOrigin.GIVEN]


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's signing keys."""
    return VendorPKI.generate("DTEN", AT)


@pytest.mark.parametrize("origin", BESIDE)
def test_recovered_key_does_not_count(pki: VendorPKI, origin: SignatureOrigin) -> None:
    """A certificate on a recovered key does not make one signature count as two."""
    first = pki.sign(CONTENT)
    facts = read(CONTENT, beside(first, origin, "a.p7s"), beside(second_copy(pki, first), origin, "b.p7s"))
    assert [len([c for c in s.key_checks if c.holds]) for s in facts.signatures] == [1, 2]
    assert ask(facts, anchor(der(pki.root))).outcome is Outcome.PASSED
    assert ask(facts, anchor(der(pki.root)), policy=TWO).reason is Reason.UNSIGNED


def test_two_signers_count_twice_beside_a_recovered_key(pki: VendorPKI) -> None:
    """Signatures by two certified keys are two, whatever other certificates stand beside one of them."""
    copy, other = second_copy(pki, pki.sign(CONTENT)), issue(pki).sign(CONTENT)
    facts = read(CONTENT, beside(copy, name="a.p7s"), beside(other, name="b.p7s"))
    assert ask(facts, anchor(der(pki.root)), policy=TWO).outcome is Outcome.PASSED


@pytest.mark.parametrize("origin", BESIDE)
def test_one_value_under_two_anchors_counts_once(pki: VendorPKI, origin: SignatureOrigin) -> None:
    """A key that is an anchor by itself and stands below another is one key, whatever else its value verifies under."""
    first = pki.sign(CONTENT)
    spki = load_certificate(der(pki.signer)).spki
    raw = replace(anchor(der(pki.signer)), id="raw", kind=AnchorKind.RAW, material=spki)
    facts = read(CONTENT, beside(first, origin, "a.p7s"), beside(second_copy(pki, first), origin, "b.p7s"))
    assert ask(facts, anchor(der(pki.root)), raw, policy=TWO).reason is Reason.UNSIGNED


def test_openpgp_key_under_two_fingerprints_counts_once() -> None:
    """One OpenPGP key that is an anchor under two creation times makes one signature count once, whichever of them it names."""
    keys = [CraftedKey(7), CraftedKey(7, CREATED + 1)]
    materials = tuple(CandidateKey("openpgp", key.certificate) for key in keys)
    plain = keys[0].signature(0, CONTENT, issuer=b"")
    sides = [beside(packet(2, _naming(plain, key)), name=f"{n}.asc") for n, key in enumerate(keys)]
    facts = _agreed(read(CONTENT, *sides, keys=materials))
    anchors = [anchor(key.certificate) for key in keys]
    assert [s.outcome for s in ask(facts, *anchors).signatures] == [Outcome.PASSED] * 2
    assert ask(facts, *anchors, policy=TWO).reason is Reason.UNSIGNED


def test_unreadable_primary_key_is_judged() -> None:
    """A subkey below a primary key whose numbers are cut short is judged, and its distrusted key found."""
    primary = _CutShort(3)
    subkey = CraftedKey(4)
    certificate = primary.primary + packet(13, b"V") + primary.subkey(subkey)
    signature = packet(2, subkey.signature(0, CONTENT))
    facts = read(CONTENT, beside(signature, name="a.asc"), keys=(CandidateKey("openpgp", certificate),))
    assert ask(facts, anchor(certificate, AnchorState.DISTRUSTED)).reason is Reason.MALFORMED
    assert Reason.DISTRUSTED in ask(facts, anchor(certificate, AnchorState.DISTRUSTED)).signatures[0].also
    assert ask(facts, anchor(certificate)).reason is Reason.MALFORMED


class _CutShort(CraftedKey):
    """A key that calls itself RSA and whose numbers end too early."""

    @property
    def body(self) -> bytes:
        return b"\x04" + self.created.to_bytes(4, "big") + b"\x01" + b"\x08\x00" + bytes(4)


def _naming(body: bytes, key: CraftedKey) -> bytes:
    """The signature with a key named where nobody signed it."""
    start = 6 + int.from_bytes(body[4:6], "big")
    return body[:start] + len(key.issuer).to_bytes(2, "big") + key.issuer + body[start + 2 :]


def _agreed(facts: PackageFacts) -> PackageFacts:
    """As if the second reader had found every signature good."""
    signatures = tuple(
        replace(s, key_checks=tuple(replace(c, second_opinion=True) for c in s.key_checks)) for s in facts.signatures
    )
    return replace(facts, signatures=signatures)
