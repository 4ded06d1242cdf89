"""Key material handed over with one question: bytes -> anchors for this check only, or helping material. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.decode.x509 import decode_certificates, pem_blocks
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError, UsageError
from trust_store.model.trust_anchor import (
    AnchorKind,
    AnchorState,
    Constraints,
    Purpose,
    SignerRule,
    TrustAnchor,
    TrustBasis,
)
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification.question import ANY_VENDOR
from trust_store.verification.revocation import is_status_response

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.certificate import Certificate
    from trust_store.model.openpgp_key import OpenPGPKey

MAX_SUPPLIED_BYTES = 16 * 1024 * 1024
SUPPLIED_PURPOSES = (Purpose.CODE.value, Purpose.FIRMWARE.value, Purpose.TIMESTAMP.value)
"""Who hands an anchor over for one check means it for packages and for the timestamps on them, never for TLS or advisories."""
_OPENPGP_ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_LATER: tuple[tuple[bytes, str], ...] = (
    (b"untrusted comment:", "minisign and signify keys"),
    (b"ssh-", "SSH keys"),
    (b"ecdsa-sha2-", "SSH keys"),
    (b"sk-", "SSH keys"),
    (b"-----BEGIN PUBLIC KEY-----", "bare public keys"),
    (b"-----BEGIN RSA PUBLIC KEY-----", "bare public keys"),
    (b"{", "npm key lists and sigstore trusted roots"),
)


@dataclass(frozen=True, slots=True)
class SuppliedMaterial:
    """What one or more files held, in their order."""

    certificates: tuple[Certificate, ...] = ()
    keys: tuple[OpenPGPKey, ...] = ()

    def __add__(self, other: SuppliedMaterial) -> SuppliedMaterial:
        return SuppliedMaterial(self.certificates + other.certificates, self.keys + other.keys)

    @property
    def candidates(self) -> tuple[CandidateKey, ...]:
        """All of it as keys to try."""
        certificates = tuple(CandidateKey(AnchorKind.X509.value, c.der) for c in self.certificates)
        return (*certificates, *(CandidateKey(AnchorKind.OPENPGP.value, key.data) for key in self.keys))


def read_material(data: bytes, name: str) -> SuppliedMaterial:
    """The certificates (PEM, DER, PKCS#7) or OpenPGP keys in a file; raises UsageError for anything else, and for none."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, kind in _LATER:
        if start.startswith(mark):
            raise UsageError(f"{name}: {kind} are not implemented yet; give certificates or OpenPGP keys")
    try:
        # Binary OpenPGP packets begin with bit 7 set (RFC 9580 4.2); DER, PEM and PKCS#7 never do.
        if _OPENPGP_ARMOR in data or data[:1] >= b"\x80":
            from trust_store.decode.openpgp import load_keys  # most questions are about certificates only

            return SuppliedMaterial(keys=load_keys(data))
        certificates = decode_certificates(data)
    except (MalformedError, ResourceLimitError, UnsupportedError) as error:
        raise UsageError(f"{name}: no certificates and no OpenPGP keys that can be read: {error}") from error
    if not certificates:
        raise UsageError(f"{name}: there is no certificate in it")
    return SuppliedMaterial(certificates=certificates)


def read_revocation(data: bytes, name: str) -> tuple[bytes, ...]:
    """Revocation lists (DER, or any number in PEM; RFC 5280 section 5) or one OCSP response (DER; RFC 6960) -> DER of each.

    Which it is shows in the content, whatever the file is called. Raises UsageError for anything else, and for none.
    """
    from trust_store.decode.crl import load_list  # rare beside questions without lists
    from trust_store.decode.ocsp import load_response

    try:
        found = tuple(pem_blocks(data, b"X509 CRL")) if b"-----BEGIN " in data else (data,)
        for item in found:
            if is_status_response(item):
                load_response(item)
            else:
                load_list(item)
    except (MalformedError, ResourceLimitError, UnsupportedError) as error:
        raise UsageError(f"{name}: no revocation list and no OCSP response that can be read: {error}") from error
    if not found:
        raise UsageError(f"{name}: there is no revocation list in it")
    return found


def supplied_anchors(material: SuppliedMaterial, at: datetime) -> tuple[TrustAnchor, ...]:
    """The material as anchors of any vendor, dedicated, valid for one check: whoever hands them over vouches for them."""
    found = [_anchor(AnchorKind.X509, c.subject, c.der, at) for c in material.certificates]
    found += [_anchor(AnchorKind.OPENPGP, key.name, key.data, at) for key in material.keys]
    return tuple({anchor.id: anchor for anchor in found}.values())


def _anchor(kind: AnchorKind, name: str, data: bytes, at: datetime) -> TrustAnchor:
    digest = hashlib.sha256(data).hexdigest()
    return TrustAnchor(
        id=f"supplied:{digest}",
        vendor_id=ANY_VENDOR,
        kind=kind,
        name=name,
        key_sha256=digest,
        material=data,
        state=AnchorState.VALID,
        recorded_at=at,
        effective_from=at,
        signer_rule=SignerRule(dedicated=True),
        constraints=Constraints(purposes=SUPPLIED_PURPOSES),
        basis=TrustBasis.SUPPLIED,
    )
