from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import Signer, passes, read, side, tlv
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, der
from trust_store.decode.signed_structures import signed_structure
from trust_store.model.verdict import Outcome, Reason

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's signing keys."""
    return VendorPKI.generate("DTEN", AT)


def _without_attributes(message: bytes, signature: bytes | None = None) -> bytes:
    """The message with its signed attributes left out, perhaps with another value."""
    info = asn1_cms.ContentInfo.load(message)
    signer = info["content"]["signer_infos"][0]
    kept = {name: signer[name] for name in ("version", "sid", "digest_algorithm", "signature_algorithm", "signature")}
    kept |= {"signature": signature} if signature else {}
    info["content"]["signer_infos"] = [asn1_cms.SignerInfo(kept)]
    changed: bytes = info.dump(force=True)
    return changed


def _attributes(message: bytes) -> bytes:
    signer = asn1_cms.ContentInfo.load(message)["content"]["signer_infos"][0]
    found: bytes = signer["signed_attrs"].untag().dump()
    return found


def _structures(pki: VendorPKI) -> dict[str, tuple[bytes, bytes]]:
    """What the signer's key signs that is no file: the octets, and the value over them."""
    key = pki.signer_key
    name, digest = pki.signer.subject, hashes.SHA256()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(5).not_valid_before(AT).not_valid_after(AT)
    usage = x509.BasicConstraints(ca=False, path_length=None)
    plain, full = builder.sign(key, digest), builder.add_extension(usage, critical=True).sign(key, digest)
    entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(AT).build()
    listed = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(AT).next_update(AT)
    crl, long = listed.sign(key, digest), listed.add_revoked_certificate(entry).sign(key, digest)
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, digest)
    answer = ocsp.OCSPResponseBuilder().add_response(
        plain, pki.root, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, AT, AT, None, None  # noqa: S303 - as responders write it
    )  # fmt: skip
    status = answer.responder_id(ocsp.OCSPResponderEncoding.NAME, pki.signer).sign(key, digest)
    return {
        "a plain certificate": (plain.tbs_certificate_bytes, plain.signature),
        "a certificate": (full.tbs_certificate_bytes, full.signature),
        "a revocation list": (crl.tbs_certlist_bytes, crl.signature),
        "a long revocation list": (long.tbs_certlist_bytes, long.signature),
        "a certificate request": (request.tbs_certrequest_bytes, request.signature),
        "an OCSP response": (status.tbs_response_bytes, status.signature),
    }


def test_signed_attributes_are_no_file(pki: VendorPKI) -> None:
    """The value over a signature's attributes does not hold over a file that consists of them (RFC 5652 5.4)."""
    message = pki.sign(CONTENT)
    attributes = _attributes(message)
    facts = read(attributes, side(_without_attributes(message)))
    verdict = ask(facts, anchor(der(pki.root)))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.MALFORMED)
    assert "signed attributes of a signature" in verdict.summary


@pytest.mark.parametrize("kind", list(_structures(VendorPKI.generate("X", AT))))
def test_structures_signed_elsewhere_are_no_files(pki: VendorPKI, kind: str) -> None:
    """What a key signed as a certificate, list, request or answer is no package that it signed."""
    content, value = _structures(pki)[kind]
    verdict = ask(read(content, side(_without_attributes(pki.sign(CONTENT), value))), anchor(der(pki.root)))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.MALFORMED)


def test_such_a_file_may_be_signed_with_attributes(pki: VendorPKI) -> None:
    """A signature that has signed attributes is over the file and nothing else, whatever the file is."""
    for content in (_attributes(pki.sign(CONTENT)), _structures(pki)["a certificate"][0]):
        assert ask(read(content, side(pki.sign(content))), anchor(der(pki.root))).outcome is Outcome.PASSED


def test_other_files_may_be_signed_without_attributes(tmp_path: Path, pki: VendorPKI) -> None:
    """Whole certificates, sets and other DER are files like any others."""
    signer = Signer.make(tmp_path, "rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    for content in (
        CONTENT,
        der(pki.root),
        tlv(0x31, tlv(0x02, b"\1")),
        tlv(0x30),
        b"1",
        b"\x30\x82",
        bytes(2**20 + 1),
    ):
        assert signed_structure(content) is None
        assert passes(read(content, side(signer.cms(content, "-noattr"))))
