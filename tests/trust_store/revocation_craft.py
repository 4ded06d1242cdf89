"""Revocation lists and OCSP responses of every shape: builders over the cryptography package, and questions about them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.trust_store.path_craft import AT, Issued, authority, issue, usage
from trust_store.chain.building import SignatureBudget
from trust_store.chain.revocation import check_path
from trust_store.chain.revocation_material import RevocationSet
from trust_store.decode.asn1 import length_octets, read_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.chain.validation import PathProblem

DAY = timedelta(days=1)
SIGNS = usage("key_cert_sign", "crl_sign")
ROOT = authority("root", None, SIGNS)
CA = authority("ca", ROOT, SIGNS)
LEAF = issue("leaf", CA)
PATH = (LEAF, CA, ROOT)
Entry = tuple[Issued, str | None]


def entry(
    certificate: Issued, reason: str | None = None, *, on: datetime = AT - 10 * DAY, extensions: Iterable[Any] = ()
) -> x509.RevokedCertificate:
    """A list's entry; ``reason`` is a name of x509.ReasonFlags."""
    builder = x509.RevokedCertificateBuilder().serial_number(certificate.certificate.serial_number).revocation_date(on)
    if reason is not None:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.build()


def revocation_list(
    issuer: Issued,
    *entries: x509.RevokedCertificate,
    number: int | None = 1,
    dates: tuple[datetime, datetime] = (AT - DAY, AT + DAY),
    extensions: Iterable[Any] = (),
    signed_with: Any = None,
    name: x509.Name | None = None,
    digest: Any = None,
    **signing: Any,
) -> bytes:
    """A DER list of ``issuer``; extensions are (value, critical)."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(name or issuer.certificate.subject)
    builder = builder.last_update(dates[0]).next_update(dates[1])
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    for item in entries:
        builder = builder.add_revoked_certificate(item)
    key = signed_with or issuer.key
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return builder.sign(key, algorithm, **signing).public_bytes(Encoding.DER)


def scope(**fields: Any) -> tuple[x509.IssuingDistributionPoint, bool]:
    """A critical issuing distribution point."""
    every: dict[str, Any] = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**(every | fields)), True


def points(*found: dict[str, Any]) -> tuple[x509.CRLDistributionPoints, bool]:
    """The distribution points of a certificate."""
    every: dict[str, Any] = {"full_name": None, "relative_name": None, "reasons": None, "crl_issuer": None}
    return x509.CRLDistributionPoints([x509.DistributionPoint(**(every | one)) for one in found]), False


def response(
    certificate: Issued,
    issuer: Issued,
    responder: Issued,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    reason: str | None = None,
    on: datetime = AT - 10 * DAY,
    dates: tuple[datetime, datetime | None] = (AT - DAY, AT + DAY),
    digest: Any = None,
    by_key: bool = False,
    carried: Iterable[Issued] = (),
    signed_with: Any = None,
    produced: datetime | None = None,
) -> bytes:
    """A DER OCSP response, produced at its thisUpdate unless told otherwise."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate.certificate, issuer=issuer.certificate, algorithm=digest or hashes.SHA256(), cert_status=status,
        this_update=dates[0], next_update=dates[1], revocation_time=on if revoked else None,
        revocation_reason=x509.ReasonFlags(reason) if reason else None,
    )  # fmt: skip
    encoding = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
    builder = builder.responder_id(encoding, responder.certificate)
    if certificates := [c.certificate for c in carried]:
        builder = builder.certificates(certificates)
    signer = signed_with or responder.key
    made = builder.sign(responder.key, hashes.SHA256())
    # The library writes the clock's time into it: the tests have a time of their own.
    old, new = (f"{at:%Y%m%d%H%M%SZ}".encode() for at in (made.produced_at_utc, produced or dates[0]))
    content = made.tbs_response_bytes.replace(b"\x18\x0f" + old, b"\x18\x0f" + new, 1)
    signature = b"\0" + signer.sign(content, ec.ECDSA(hashes.SHA256()))
    basic = read_one(made.public_bytes(Encoding.DER), "response").children()[1].children()[0].children()[1].content
    parts = read_one(basic, "basic response").children()
    body = _tlv(0x30, content + parts[1].raw + _tlv(0x03, signature) + b"".join(part.raw for part in parts[3:]))
    return _tlv(0x30, b"\x0a\x01\x00" + _tlv(0xA0, _tlv(0x30, _BASIC + _tlv(0x04, body))))


_BASIC = bytes.fromhex("06092b0601050507300101")


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + length_octets(len(content)) + content


def problems(
    lists: Iterable[bytes] = (),
    responses: Iterable[bytes] = (),
    *,
    path: tuple[Issued, ...] = PATH,
    untrusted: Iterable[Issued] = (),
    policy: str = "required",
    at: datetime = AT,
    **demands: Any,
) -> tuple[PathProblem, ...]:
    """What revocation says against ``path``."""
    return check_path(
        tuple(certificate.decoded for certificate in path), RevocationSet.decode(lists, responses), policy=policy, at=at,
        budget=demands.pop("budget", None) or SignatureBudget(), untrusted=tuple(c.decoded for c in untrusted), **demands,
    )  # fmt: skip


def about_leaf(*arguments: Any, **options: Any) -> tuple[str | None, str]:
    """(reason, detail) of what is said about the leaf with a good list of the root at hand; None: nothing against it."""
    lists, *rest = arguments or ((),)
    found = [
        p for p in problems([revocation_list(ROOT), *lists], *rest, **options) if not p.detail.startswith("CN=ca:")
    ]
    assert len(found) <= 1
    return (found[0].reason.value, found[0].detail) if found else (None, "")
