"""A known root is not a known signer: every condition of an anchor's signer rule, met and missed."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.path_craft import authority, eku, issue
from tests.trust_store.verdict_chain import Chain, dn, leaf, spki
from tests.trust_store.verdict_craft import anchor, ask
from trust_store.decode.asn1 import length_octets, read_one
from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.model.trust_anchor import SignerRule
from trust_store.model.verdict import Outcome, Reason
from trust_store.verification.signer_rule import rule_findings

OTHER_EKU, POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.6"), x509.ObjectIdentifier("2.23.140.1.4.1")
NAMES = (
    x509.DNSName("Release.DTEN.example"),
    x509.RFC822Name("Release@DTEN.example"),
    x509.UniformResourceIdentifier("HTTPS://Release.dten.example/Signing?Key=1"),
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    x509.DirectoryName(dn(O="DTEN", CN="Release")),
)


@pytest.fixture(scope="module")
def chain() -> Chain:
    """A signer under a shared CA with every kind of name, two purposes and a policy."""
    policies = x509.CertificatePolicies([x509.PolicyInformation(POLICY, None)])
    chain = Chain.of()
    signer = issue(
        dn(O="DTEN", OU="Firmware", CN="DTEN Release", serial="HRB 42"), chain.middle,
        eku(ExtendedKeyUsageOID.CODE_SIGNING, OTHER_EKU), (x509.SubjectAlternativeName(NAMES), False), (policies, False),
    )  # fmt: skip
    return Chain(chain.root, chain.middle, signer)


def _reason(chain: Chain, **rule: object) -> Reason:
    return ask(chain.facts(), anchor(chain.root.der, signer_rule=SignerRule(**rule))).reason  # type: ignore[arg-type]


MET: list[dict[str, object]] = [
    {"subject": (("O", "dten"), ("CN", "DTEN  release"))},
    {"subject": (("serialNumber", "hrb 42"),)},
    {"subject": (("2.5.4.5", "HRB 42"), ("o", "\uff24TEN"))},
    {"subject": (("OU", "Firmware"),)},
    {"san": (("dns", "release.dten.example."),)},
    {"san": (("dns", "other.example"), ("email", "Release@dten.EXAMPLE"))},
    {"san": (("uri", "https://release.DTEN.example/Signing?Key=1"),)},
    {"san": (("ip", "2001:0db8:0::1"),)},
    {"san": (("dn", "CN=release,O=dten"),)},
    {"eku": (OTHER_EKU.dotted_string, "1.2.3")},
    {"policy": ("1.2.3", POLICY.dotted_string)},
]
MISSED: list[tuple[dict[str, object], str]] = [
    ({"subject": (("O", "DTEN"), ("CN", "Release"))}, "subject CN must be 'Release'"),
    ({"subject": (("L", "Anywhere"),)}, "the signer's is not given"),
    ({"subject": (("nonsense", "DTEN"),)}, "subject nonsense"),
    ({"san": (("dns", "dten.example"),)}, "subject alternative name"),
    ({"san": (("dns", "*.dten.example"),)}, "subject alternative name"),
    ({"san": (("dns", ""),)}, "subject alternative name"),
    ({"san": (("email", "release@dten.example"),)}, "subject alternative name"),
    ({"san": (("email", "dten.example"),)}, "subject alternative name"),
    ({"san": (("uri", "https://release.dten.example/signing?Key=1"),)}, "subject alternative name"),
    ({"san": (("uri", "release.dten.example"),)}, "subject alternative name"),
    ({"san": (("ip", "192.0.2.1"),)}, "subject alternative name"),
    ({"san": (("ip", "nowhere"),)}, "subject alternative name"),
    ({"san": (("dn", "CN=Release"),)}, "subject alternative name"),
    ({"san": (("dn", "nonsense"),)}, "subject alternative name"),
    ({"san": (("dns", "2001:db8::1"),)}, "subject alternative name"),
    ({"san": (("other", "Release.DTEN.example"),)}, "subject alternative name"),
    ({"eku": ("2.5.29.37.0",)}, "extended key usage"),
    ({"policy": ("2.5.29.32.0",)}, "certificate policy"),
    ({"spki_sha256": ("0" * 64,)}, "none of those pinned"),
    ({"issuer_spki_sha256": ("0" * 64,)}, "no CA below the anchor"),
    ({"team_id": ("Firmware",)}, "no mark of Apple"),
    ({"dedicated": True, "subject": (("O", "Other"),)}, "subject O must be 'Other'"),
]


@pytest.mark.parametrize("rule", MET, ids=str)
def test_a_condition_that_is_met(chain: Chain, rule: dict[str, object]) -> None:
    """Values are compared as RFC 5280 section 7 has it, and of every field but the subject one value suffices."""
    assert _reason(chain, **rule) is Reason.TRUSTED


@pytest.mark.parametrize(("rule", "sentence"), MISSED, ids=str)
def test_a_condition_that_is_missed(chain: Chain, rule: dict[str, object], sentence: str) -> None:
    """The signer is unexpected, and the answer says which condition and what the signer shows."""
    verdict = ask(chain.facts(), anchor(chain.root.der, signer_rule=SignerRule(**rule)))  # type: ignore[arg-type]
    assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.UNEXPECTED_SIGNER)
    assert sentence in verdict.summary


def test_every_stated_condition_must_hold(chain: Chain) -> None:
    """One condition met does not stand for another that is missed."""
    broken: list[dict[str, object]] = [{"eku": ("1.2.3",)}, {"san": (("dns", "x"),)}, {"subject": (("L", "x"),)}]
    for met in MET:
        for missed in broken:
            if not set(met) & set(missed):
                assert _reason(chain, **met, **missed) is Reason.UNEXPECTED_SIGNER


def test_pins_of_signer_and_issuing_ca(chain: Chain) -> None:
    """A pin is the digest of the key; that of an issuer means a CA below the anchor, neither the anchor nor the signer."""
    pins = {name: (canonical_spki_sha256(spki(getattr(chain, name))),) for name in ("root", "middle", "signer")}
    for name, reason in (
        ("signer", Reason.TRUSTED),
        ("middle", Reason.UNEXPECTED_SIGNER),
        ("root", Reason.UNEXPECTED_SIGNER),
    ):
        assert _reason(chain, spki_sha256=pins[name]) is reason
    for name, reason in (
        ("middle", Reason.TRUSTED),
        ("signer", Reason.UNEXPECTED_SIGNER),
        ("root", Reason.UNEXPECTED_SIGNER),
    ):
        assert _reason(chain, issuer_spki_sha256=pins[name]) is reason


def test_one_pinned_ca_on_the_way_is_enough(chain: Chain) -> None:
    """Of several CAs below the anchor one has to be pinned, wherever it stands."""
    upper = authority(dn(CN="upper"), chain.root)
    lower = authority(dn(CN="lower"), upper)
    signer = leaf(lower)
    path = tuple(holder.decoded for holder in (signer, lower, upper, chain.root))
    for holder, met in ((upper, True), (lower, True), (chain.root, False)):
        pin = (holder.decoded.spki_sha256,)
        found = rule_findings(anchor(chain.root.der, signer_rule=SignerRule(issuer_spki_sha256=pin)), path)
        assert (found == []) is met
        assert met or "'CN=lower', 'CN=upper'" in found[0].detail
        assert met or "Shared Root" not in found[0].detail


def test_no_pin_is_shown(chain: Chain) -> None:
    """A missed pin is not told, neither the expected digest nor the signer's: the vendor reads it out."""
    pin = "ab" * 32
    verdict = ask(chain.facts(), anchor(chain.root.der, signer_rule=SignerRule(spki_sha256=(pin,))))
    assert pin not in verdict.summary
    assert canonical_spki_sha256(spki(chain.signer)) not in verdict.summary


def test_a_second_organisation_is_another_signer(chain: Chain) -> None:
    """A name with the vendor's value and a further one of the same kind is not the vendor's; units may be several."""
    two = x509.Name([*dn(O="DTEN", OU="Firmware"), *dn(O="Evil"), *dn(OU="Tools")])
    signer = Chain(chain.root, chain.middle, leaf(chain.middle, two))
    assert _reason(signer, subject=(("O", "DTEN"),)) is Reason.UNEXPECTED_SIGNER
    assert _reason(signer, subject=(("O", "DTEN"), ("O", "evil"))) is Reason.TRUSTED
    assert _reason(signer, subject=(("OU", "Firmware"),)) is Reason.TRUSTED


def test_team_id_counts_in_apples_certificates_only(chain: Chain) -> None:
    """The OU is a team id where Apple's CA wrote it: the certificate has Apple's marker, or the anchor is Apple's."""
    marker = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113635.100.6.1.13"), b"\x05\x00")
    near = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113635.100.60.1"), b"\x05\x00")
    subject = dn(CN="Developer ID Application: DTEN", OU="A1B2C3D4E5", O="DTEN")
    for extension, reason in ((marker, Reason.TRUSTED), (near, Reason.UNEXPECTED_SIGNER)):
        signer = Chain(chain.root, chain.middle, leaf(chain.middle, subject, (extension, False)))
        assert _reason(signer, team_id=("ZZZ", "A1B2C3D4E5")) is reason
        assert _reason(signer, team_id=("a1b2c3d4e5",)) is Reason.UNEXPECTED_SIGNER
    apple = Chain.of(subject)
    root = issue(dn(CN="Root", O="Apple Inc."), None, (x509.BasicConstraints(ca=True, path_length=None), True))
    middle = issue(dn(CN="DevID"), root, (x509.BasicConstraints(ca=True, path_length=None), True))
    apple = Chain(root, middle, leaf(middle, subject))
    assert _reason(apple, team_id=("A1B2C3D4E5",)) is Reason.TRUSTED


def test_a_rule_about_certificates_is_not_met_by_one_that_cannot_be_read(chain: Chain) -> None:
    """A signer whose extensions cannot be read fulfils no condition, and the path is invalid besides."""
    odd = leaf(
        chain.middle, None, (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x02\xa3\x00"), False)
    )
    verdict = ask(
        Chain(chain.root, chain.middle, odd).facts(),
        anchor(chain.root.der, signer_rule=SignerRule(subject=(("O", "DTEN"),))),
    )
    assert verdict.outcome is not Outcome.PASSED
    assert {verdict.reason.value, *verdict.also} >= {"unexpected_signer", "path_invalid"}


def test_a_pin_is_about_the_key_and_not_its_encoding(chain: Chain) -> None:
    """Either digest of a key names it: that of its bytes in the certificate, and that of its canonical encoding."""
    usual = chain.signer.decoded
    parts = read_one(usual.spki, "key").children()
    point = parts[1].content
    size = (len(point) - 2) // 2
    compressed = b"\0" + bytes([2 + (point[-1] & 1)]) + point[2 : 2 + size]
    bits = b"\x03" + length_octets(len(compressed)) + compressed
    body = parts[0].raw + bits
    spelled = b"\x30" + length_octets(len(body)) + body
    other = replace(usual, spki=spelled, spki_sha256=hashlib.sha256(spelled).hexdigest())
    assert other.spki_sha256 != usual.spki_sha256
    for pin, met in ((other.spki_sha256, True), (usual.spki_sha256, True), ("0" * 64, False)):
        held = anchor(chain.root.der, signer_rule=SignerRule(spki_sha256=(pin,)))
        path = (other, chain.middle.decoded, chain.root.decoded)
        assert (rule_findings(held, path) == []) is met


@pytest.mark.parametrize("address", ["dten.example", "@dten.example", "release@", ""])
def test_half_a_mailbox_is_nobodys(chain: Chain, address: str) -> None:
    """An alternative name or a rule that is no mailbox matches nothing, not even itself."""
    encoded = address.encode()
    value = b"\x30" + bytes([len(encoded) + 2]) + b"\x81" + bytes([len(encoded)]) + encoded
    odd = leaf(chain.middle, None, (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), value), False))
    signer = Chain(chain.root, chain.middle, odd)
    assert _reason(signer, san=(("email", address),)) is Reason.UNEXPECTED_SIGNER
