"""Which pending proposals fit what a package shows, and the narrowest rule for its signer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.matching import fitting, narrowest_rule, signers_of
from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.openpgp_craft import CraftedKey, packet
from tests.trust_store.package_craft import read
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, bare_cms, beside, candidates, der, issue, signed
from trust_store.model.package_facts import PackageFacts
from trust_store.model.trust_anchor import AnchorState, SignerRule
from trust_store.signatures.protocol import CandidateKey

PENDING = AnchorState.PENDING


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys."""
    return VendorPKI.generate("DTEN", AT)


@pytest.fixture(scope="module")
def impostor() -> VendorPKI:
    """Other keys under the very same names."""
    return VendorPKI.generate("DTEN", AT)


def test_the_root_of_the_signer_fits(pki: VendorPKI, impostor: VendorPKI) -> None:
    """A path by signatures leads to it; a root of the same name with another key does not fit."""
    right, wrong = anchor(der(pki.root), PENDING), anchor(der(impostor.root), PENDING)
    assert fitting(signed(pki), [wrong, right]) == (right,)
    assert fitting(signed(pki), [wrong]) == ()


def test_the_signer_itself_fits(pki: VendorPKI) -> None:
    """A vendor may publish the signing certificate instead of a root."""
    own = anchor(der(pki.signer), PENDING)
    assert fitting(signed(pki), [own]) == (own,)


@pytest.mark.parametrize("state", [s for s in AnchorState if s is not PENDING])
def test_only_pending_anchors_are_proposals(pki: VendorPKI, state: AnchorState) -> None:
    """What is decided already is no question for a call."""
    assert fitting(signed(pki), [anchor(der(pki.root), state)]) == ()


def test_a_path_may_lead_over_a_pending_intermediate(pki: VendorPKI) -> None:
    """A signature without certificates: signer and root both come from what channels showed."""
    facts = read(CONTENT, beside(bare_cms(pki)), keys=candidates(pki.signer))
    facts = replace(facts, signatures=tuple(replace(s, certificates=(der(pki.signer),)) for s in facts.signatures))
    root = anchor(der(pki.root), PENDING)
    assert fitting(facts, [root]) == (root,)


def test_a_broken_signature_fits_nothing(pki: VendorPKI) -> None:
    """Whoever only copied the vendor's certificate has proven nothing about its key."""
    facts = read(CONTENT + b"!", beside(pki.sign(CONTENT)))
    assert signers_of(facts) == ()
    assert fitting(facts, [anchor(der(pki.root), PENDING), anchor(der(pki.signer), PENDING)]) == ()
    assert narrowest_rule(facts) is None


def test_an_openpgp_key_fits_where_the_arithmetic_holds() -> None:
    """The right key fits by its primary fingerprint, another one does not."""
    key, other = CraftedKey(7), CraftedKey(9)
    keys = tuple(CandidateKey("openpgp", k.certificate) for k in (key, other))
    facts = read(CONTENT, beside(packet(2, key.signature(0, CONTENT)), name="firmware.bin.sig"), keys=keys)
    right, wrong = anchor(key.certificate, PENDING), anchor(other.certificate, PENDING)
    assert fitting(facts, [wrong, right]) == (right,)
    tampered = read(CONTENT + b"!", beside(packet(2, key.signature(0, CONTENT)), name="firmware.bin.sig"), keys=keys)
    assert fitting(tampered, [right]) == ()


def test_the_narrowest_rule_is_the_signers_subject(pki: VendorPKI) -> None:
    """One signer: its exact subject and nothing else; no signer or two: no rule is proposed."""
    rule = narrowest_rule(signed(pki))
    assert rule == SignerRule(subject=(("O", "DTEN"), ("CN", "DTEN Upgrade Signing")))
    other = issue(pki)
    both = replace(signed(pki), signatures=(*signed(pki).signatures, *signed(other).signatures))
    assert narrowest_rule(both) is None
    assert narrowest_rule(PackageFacts("a" * 64, 1, None, 0)) is None


def test_unreadable_certificates_are_passed_over(pki: VendorPKI) -> None:
    """Garbage among the carried certificates or proposals hides nothing that fits."""
    facts = signed(pki)
    facts = replace(
        facts, signatures=tuple(replace(s, certificates=(b"\x30\x03abc", *s.certificates)) for s in facts.signatures)
    )
    root = anchor(der(pki.root), PENDING)
    broken = replace(root, material=b"\x30\x03abc", key_sha256="0" * 64)
    assert fitting(facts, [broken, root]) == (root,)
