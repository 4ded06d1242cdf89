"""Anchors that are no certificate (a name with a key, a raw key), and one key however it is encoded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7

from tests.trust_store.package_craft import Signer, ota, read
from tests.trust_store.path_craft import authority, issue
from tests.trust_store.verdict_chain import OLD, UNTIL, Chain, dn, leaf, spki
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside
from trust_store.chain.extensions import read_extensions
from trust_store.chain.named_key import certificate_of, name_of, same_key
from trust_store.decode.asn1 import length_octets, read_one
from trust_store.decode.public_keys import canonical_spki_sha256, key_kind, rsa_bits
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.signatures.protocol import CandidateKey

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Root, issuing CA, signer."""
    return Chain.of()


def _key_anchor(kind: AnchorKind, material: bytes, name: str = "CN=Shared Root,O=Shared", **fields: Any) -> TrustAnchor:
    values: dict[str, Any] = {
        "id": f"anchor_{kind}", "vendor_id": "dten", "kind": kind, "name": name, "material": material,
        "key_sha256": hashlib.sha256(material).hexdigest(), "state": AnchorState.VALID, "recorded_at": AT - DAY,
        "effective_from": AT - DAY, "signer_rule": SignerRule(dedicated=kind is AnchorKind.SPKI),
    }  # fmt: skip
    return TrustAnchor(**(values | fields))


def test_a_name_with_a_key_issues_certificates(chain: Chain) -> None:
    """An anchor without a certificate is a name and a key (RFC 5280 6.1.1(d)); the path shows its own digest and name."""
    held = _key_anchor(AnchorKind.SPKI, spki(chain.root))
    verdict = ask(chain.facts(), held)
    assert (verdict.outcome, verdict.signatures[0].anchor) == (Outcome.PASSED, (held.id, held.name))
    assert [node.sha256 for node in verdict.signatures[0].path] == [
        chain.signer.decoded.sha256, chain.middle.decoded.sha256, held.key_sha256,
    ]  # fmt: skip
    # RFC 5280 7.1: how the name is written makes no difference.
    assert ask(chain.facts(), replace(held, name="CN=shared  ROOT,O=SHARED")).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", ["CN=Other,O=Shared", "O=Shared,CN=Shared Root", "", "nonsense", "CN=Shared Root"])
def test_the_name_must_be_the_issuers(chain: Chain, name: str) -> None:
    """The right key under another name, or under none that can be read, issued nothing."""
    assert ask(chain.facts(), _key_anchor(AnchorKind.SPKI, spki(chain.root), name)).reason is Reason.UNKNOWN_ROOT


def test_the_identifier_names_it_where_there_is_one(chain: Chain) -> None:
    """A subject that was recorded goes before what people call the anchor."""
    subject = Identifier(IdentifierKind.SUBJECT, "CN=Shared Root,O=Shared")
    held = _key_anchor(AnchorKind.SPKI, spki(chain.root), "our build root", identifiers=(subject,))
    assert ask(chain.facts(), held).outcome is Outcome.PASSED


def test_the_key_must_be_the_issuers(chain: Chain) -> None:
    """The right name with another key issued nothing, and a key that cannot be read is no anchor."""
    for material in (spki(chain.middle), b"\x30\x00", b"", spki(chain.root) + b"\0"):
        assert ask(chain.facts(), _key_anchor(AnchorKind.SPKI, material)).reason is Reason.UNKNOWN_ROOT


def test_constraints_rule_and_state_hold_for_a_name_with_a_key(chain: Chain) -> None:
    """It is held to the same constraints as a certificate; a CA key without a rule names nobody."""
    held = _key_anchor(AnchorKind.SPKI, spki(chain.root))
    for changed, reason in (
        (replace(held, signer_rule=SignerRule()), Reason.UNEXPECTED_SIGNER),
        (replace(held, signer_rule=SignerRule(subject=(("O", "DTEN"),))), Reason.TRUSTED),
        (replace(held, constraints=Constraints(max_path_length=0)), Reason.OUT_OF_SCOPE),
        (replace(held, state=AnchorState.SUPERSEDED), Reason.REVOKED),
        (replace(held, state=AnchorState.PENDING), Reason.UNKNOWN_ROOT),
        (replace(held, vendor_id="acme"), Reason.UNKNOWN_ROOT),
    ):
        assert ask(chain.facts(), changed).reason is reason


def test_a_raw_key_is_the_signers(chain: Chain) -> None:
    """A raw anchor is the signing key itself: its certificate vouches for nothing, and its dates and purposes end nothing."""
    old = issue(dn(CN="anybody"), None, dates=(OLD, AT - DAY))
    facts = Chain(chain.root, chain.middle, old).facts()
    held = _key_anchor(AnchorKind.RAW, spki(old), "our OTA key")
    verdict = ask(facts, held)
    assert (verdict.outcome, verdict.signatures[0].anchor) == (Outcome.PASSED, (held.id, "our OTA key"))
    assert [node.sha256 for node in verdict.signatures[0].path] == [held.key_sha256]
    for changed, reason in (
        (replace(held, material=spki(chain.signer)), Reason.UNKNOWN_ROOT),
        (replace(held, kind=AnchorKind.NPM), Reason.UNKNOWN_ROOT),
        (replace(held, state=AnchorState.SUPERSEDED), Reason.REVOKED),
        (replace(held, constraints=Constraints(valid_until=AT - DAY)), Reason.OUT_OF_SCOPE),
        (replace(held, signer_rule=SignerRule(subject=(("CN", "anybody"),))), Reason.UNEXPECTED_SIGNER),
        (replace(held, vendor_id="acme"), Reason.UNKNOWN_ROOT),
    ):
        assert ask(facts, changed).reason is reason
    assert ask(facts, held, vendor=ExpectedVendor(None, "none")).reason is Reason.VENDOR_UNSTATED


def test_a_raw_key_issues_nothing(chain: Chain) -> None:
    """The root's key as a raw anchor vouches for what it signs itself, not for what it issued."""
    assert ask(chain.facts(), _key_anchor(AnchorKind.RAW, spki(chain.root))).reason is Reason.UNKNOWN_ROOT


def test_a_weak_raw_key_does_not_count() -> None:
    """The least strength holds for raw keys as well."""
    weak = issue(dn(CN="old"), None, dates=(OLD, UNTIL), private=rsa.generate_private_key(65537, 1024))  # noqa: S505 - too short, that is the point
    facts = Chain(weak, authority("x"), weak).facts()
    assert ask(facts, _key_anchor(AnchorKind.RAW, spki(weak))).reason is Reason.WEAK_ALGORITHM


@pytest.mark.parametrize(
    "kind",
    [AnchorKind.SPKI, AnchorKind.RAW, AnchorKind.NPM, AnchorKind.MINISIGN, AnchorKind.SSH, AnchorKind.SIGSTORE_ROOT],
)
@pytest.mark.parametrize("state", [AnchorState.DISTRUSTED, AnchorState.COMPROMISED])
def test_a_tombstone_of_every_kind_counts(chain: Chain, kind: AnchorKind, state: AnchorState) -> None:
    """A buried key is buried for whatever it signs, whoever buried it and as what."""
    material = spki(chain.signer)
    if kind in (AnchorKind.MINISIGN, AnchorKind.SSH, AnchorKind.SIGSTORE_ROOT):
        sha256 = Identifier(IdentifierKind.SPKI_SHA256, hashlib.sha256(material).hexdigest())
        buried = _key_anchor(kind, b"anything", identifiers=(sha256,), state=state, vendor_id="acme")
    else:
        buried = _key_anchor(kind, material, "nonsense", state=state, vendor_id="acme")
    assert ask(chain.facts(), anchor(chain.root.der), buried).reason.value == state.value


def _der(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + length_octets(len(content)) + content


def _encodings(key: rsa.RSAPublicKey) -> list[bytes]:
    """One RSA key: as usual, without the NULL parameters, and as one for RSASSA-PSS alone."""
    usual = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bits = read_one(usual, "key").children()[1].raw
    oids = [bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01010a")]
    return [usual, *(_der(0x30, _der(0x30, oid) + bits) for oid in oids)]


def test_one_key_has_one_digest() -> None:
    """Parameters left out, another algorithm's name, an explicit curve or a compressed point make no other key."""
    encodings = _encodings(rsa.generate_private_key(65537, 2048).public_key())
    assert len(set(encodings)) == 3
    assert len({canonical_spki_sha256(encoding) for encoding in encodings}) == 1
    assert same_key(encodings[0], encodings[2])
    assert not same_key(encodings[0], _encodings(rsa.generate_private_key(65537, 2048).public_key())[0])
    assert rsa_bits(encodings[1]) == 2048
    for junk in (b"", b"\x30\x00", b"junk"):
        assert canonical_spki_sha256(junk) == hashlib.sha256(junk).hexdigest()
        assert (rsa_bits(junk), key_kind(junk)) == (None, None)


def test_a_tombstone_finds_the_key_in_another_encoding(chain: Chain) -> None:
    """A buried RSA key stays buried when a certificate writes it differently, and the other way about."""
    private = rsa.generate_private_key(65537, 2048)
    signer = leaf(chain.middle, private=private)
    facts = Chain(chain.root, chain.middle, signer).facts()
    for encoding in _encodings(private.public_key()):
        buried = _key_anchor(AnchorKind.RAW, encoding, state=AnchorState.DISTRUSTED, vendor_id="acme")
        assert ask(facts, anchor(chain.root.der), buried).reason is Reason.DISTRUSTED


def test_the_shape_of_a_name_with_a_key(chain: Chain) -> None:
    """It has the name and the key, no extension and no end; nothing verifies as signed by it but what the key signed."""
    made = certificate_of(name_of("CN=Shared Root,O=Shared"), spki(chain.root))
    assert (made.subject, made.self_issued, made.spki) == ("CN=Shared Root,O=Shared", True, spki(chain.root))
    assert read_extensions(made).present == frozenset()
    assert (made.not_before.year, made.not_after.year, made.is_ca) == (1, 9999, False)


@pytest.mark.parametrize("name", [b"", b"\x30", b"\x31\x00", b"\x30\x00\x30\x00", b"junk"])
def test_what_is_no_name_makes_no_anchor(chain: Chain, name: bytes) -> None:
    """Bytes that are no single name end in MalformedError, and so does a text that is none."""
    with pytest.raises(MalformedError):
        certificate_of(name, spki(chain.root))


@pytest.mark.parametrize("text", ["", "x", "CN=", "=x", "CN=a,", "C=USA", "CN=" + "a" * 100, "\0", "CN=\\ff\\fe"])
def test_a_text_that_is_no_name(text: str) -> None:
    """RFC 4514 text that cannot be read, or names nobody, is refused."""
    with pytest.raises(MalformedError):
        name_of(text)


def test_a_compromised_anchor_of_another_vendor_vouches_for_nothing(chain: Chain) -> None:
    """Only its tombstone counts: the answer is never better for it."""
    buried = anchor(chain.root.der, AnchorState.COMPROMISED, vendor_id="acme")
    assert ask(chain.facts(), buried).reason is Reason.COMPROMISED


def _bare(chain: Chain) -> bytes:
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCerts]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT)
    builder = builder.add_signer(chain.signer.certificate, chain.signer.key, hashes.SHA256())
    return builder.sign(Encoding.DER, options)


def test_a_raw_key_needs_no_certificate(chain: Chain) -> None:
    """A signature that carries no certificate is found under a raw key that is at hand, in any of its states."""
    material = spki(chain.signer)
    facts = read(
        CONTENT, beside(_bare(chain)), keys=(CandidateKey("raw", spki(chain.root)), CandidateKey("raw", material))
    )
    (check,) = facts.signatures[0].key_checks
    assert (check.key, check.holds) == (hashlib.sha256(material).hexdigest(), True)
    held = _key_anchor(AnchorKind.RAW, material, "our OTA key")
    verdict = ask(facts, held)
    assert (verdict.outcome, verdict.signatures[0].anchor) == (Outcome.PASSED, (held.id, "our OTA key"))
    signer = verdict.signatures[0].signer
    assert signer is not None
    assert (signer.kind, signer.identifiers) == ("raw", (("sha256", check.key),))
    for changed, reason in (
        (replace(held, state=AnchorState.PENDING), Reason.UNKNOWN_ROOT),
        (replace(held, state=AnchorState.REVOKED), Reason.REVOKED),
        (replace(held, state=AnchorState.DISTRUSTED, vendor_id="acme"), Reason.DISTRUSTED),
        (replace(held, vendor_id="acme"), Reason.UNKNOWN_ROOT),
        (replace(held, constraints=Constraints(purposes=("tls",))), Reason.OUT_OF_SCOPE),
        (_key_anchor(AnchorKind.RAW, spki(chain.root)), Reason.UNKNOWN_ROOT),
    ):
        answered = ask(facts, changed)
        assert (answered.reason, answered.signatures[0].integrity) == (reason, "intact")
    changed_content = read(CONTENT + b"!", beside(_bare(chain)), keys=(CandidateKey("raw", material),))
    assert ask(changed_content, held).outcome is not Outcome.PASSED


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", b"junk"])
def test_a_raw_key_that_cannot_be_read_holds_nothing(chain: Chain, junk: bytes) -> None:
    """It is tried and left out, in a signature beside the package and in an OTA package."""
    facts = read(CONTENT, beside(_bare(chain)), keys=(CandidateKey("raw", junk),))
    assert facts.signatures[0].key_checks == ()


def _spki_of(signer: Signer) -> bytes:
    return load_certificate(signer.der).spki


def test_a_raw_key_of_an_ota_package(tmp_path: Path) -> None:
    """An Android OTA package passes under its maker's key alone, and not under another."""
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    signer, other = Signer.make(tmp_path, "release", *curve), Signer.make(tmp_path, "other", *curve)
    facts = read(ota(signer, {"META-INF/com/android/metadata": b"x"}), keys=(CandidateKey("raw", _spki_of(signer)),))
    assert [c.holds for c in facts.signatures[0].key_checks].count(True) >= 1
    assert ask(facts, _key_anchor(AnchorKind.RAW, _spki_of(signer), "OTA key")).outcome is Outcome.PASSED
    assert ask(facts, _key_anchor(AnchorKind.RAW, _spki_of(other), "OTA key")).reason is Reason.UNKNOWN_ROOT
