"""A second public key under which a given ECDSA value verifies: anybody can compute one (SEC 1, version 2.0, section 4.1.6)."""

from __future__ import annotations

import hashlib

from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.timestamp_craft import signature_value
from tests.trust_store.verdict_craft import der

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def recovered_keys(signature: bytes, digest: bytes) -> list[ec.EllipticCurvePublicKey]:
    """Both P-256 keys under which the value verifies: the signer's, and one that nobody made."""
    r, s = decode_dss_signature(signature)
    root = pow((pow(r, 3, _P) - 3 * r + _B) % _P, (_P + 1) // 4, _P)
    inverse, e = pow(r, -1, _N), int.from_bytes(digest, "big")
    points = (_add(_times(s, (r, y)), _times(-e % _N, _G)) for y in (root, _P - root))
    keys = (_times(inverse, point) for point in points)
    return [ec.EllipticCurvePublicNumbers(*key, ec.SECP256R1()).public_key() for key in keys if key is not None]


def second_copy(pki: VendorPKI, message: bytes) -> bytes:
    """The same CMS signature again, with another certificate first: of the same issuer and serial number, on a recovered key."""
    info = asn1_cms.ContentInfo.load(message)
    signed = info["content"]["signer_infos"][0]["signed_attrs"].untag().dump()
    found = recovered_keys(signature_value(message), hashlib.sha256(signed).digest())
    other = next(key for key in found if key != pki.signer_key.public_key())
    builder = x509.CertificateBuilder().subject_name(pki.signer.subject).issuer_name(pki.signer.issuer)
    builder = builder.public_key(other).serial_number(pki.signer.serial_number)
    builder = builder.not_valid_before(pki.signer.not_valid_before_utc).not_valid_after(pki.signer.not_valid_after_utc)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    genuine = list(info["content"]["certificates"])
    info["content"]["certificates"] = [
        asn1_cms.CertificateChoices("certificate", asn1_x509.Certificate.load(der(made))),
        *genuine,
    ]
    changed: bytes = info.dump(force=True)
    return changed


def _add(first: Point, second: Point) -> Point:
    if first is None or second is None:
        return first or second
    (x1, y1), (x2, y2) = first, second
    if x1 == x2:
        if (y1 + y2) % _P == 0:
            return None
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) % _P
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, _P) % _P
    x3 = (slope * slope - x1 - x2) % _P
    return x3, (slope * (x1 - x3) - y1) % _P


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point, factor = _add(point, point), factor >> 1
    return total
