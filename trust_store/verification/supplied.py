"""Key material handed over with one question: bytes -> anchors for this check only, or helping material. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.x509 import load_certificate, pem_blocks
from trust_store.errors import READ_ERRORS, UsageError
from trust_store.model.trust_anchor import (
    AnchorKind,
    AnchorState,
    Constraints,
    Purpose,
    SignerRule,
    TrustAnchor,
    TrustBasis,
)
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification.revocation import is_status_response

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.certificate import Certificate
    from trust_store.model.identifiers import Identifier
    from trust_store.model.key_material import KeyMaterial
    from trust_store.model.openpgp_key import OpenPGPKey

MAX_SUPPLIED_BYTES = 16 * 1024 * 1024
SUPPLIED_PURPOSES = (Purpose.CODE.value, Purpose.FIRMWARE.value, Purpose.TIMESTAMP.value)
"""Who hands an anchor over for one check means it for packages and for the timestamps on them, never for TLS or advisories."""
_TRIED = frozenset({AnchorKind.X509, AnchorKind.RAW, AnchorKind.NPM, AnchorKind.MINISIGN, AnchorKind.SSH})
"""Kinds of keys beside plain certificates and OpenPGP keys that signatures are tried with."""
_ANY_SUPPLIED = Constraints(purposes=SUPPLIED_PURPOSES)


@dataclass(frozen=True, slots=True)
class SuppliedMaterial:
    """What one or more files held, in their order.

    ``others`` are keys of other kinds, and certificates that their file limits (OpenSSL's trust settings, a sigstore trusted root).
    """

    certificates: tuple[Certificate, ...] = ()
    keys: tuple[OpenPGPKey, ...] = ()
    others: tuple[KeyMaterial, ...] = ()

    def __add__(self, other: SuppliedMaterial) -> SuppliedMaterial:
        return SuppliedMaterial(
            self.certificates + other.certificates, self.keys + other.keys, self.others + other.others
        )

    @property
    def candidates(self) -> tuple[CandidateKey, ...]:
        """All of it as keys to try."""
        certificates = tuple(CandidateKey(AnchorKind.X509.value, c.der) for c in self.certificates)
        limited = (CandidateKey(o.kind.value, o.material) for o in self.others if o.kind in _TRIED)
        keys = (CandidateKey(AnchorKind.OPENPGP.value, key.data) for key in self.keys)
        return (*certificates, *limited, *keys)


def read_material(data: bytes, name: str) -> SuppliedMaterial:
    """The keys in a file of any kind that ``decode.key_files`` reads; raises UsageError for anything else, and for none.

    A key that the file itself lists as distrusted is left out.
    """
    from trust_store.decode.key_files import read_keys  # most questions bring no keys

    try:
        found = [key for key in read_keys(data, name=name) if not key.distrusted]
        certificates = [load_certificate(key.material) for key in found if _plain(key)]
        keys = [key.material for key in found if key.kind is AnchorKind.OPENPGP]
        material = SuppliedMaterial(
            tuple(certificates),
            _openpgp(keys) if keys else (),
            tuple(key for key in found if key.kind is not AnchorKind.OPENPGP and not _plain(key)),
        )
    except READ_ERRORS as error:
        raise UsageError(f"{name}: no keys that can be read: {error}") from error
    if not found:
        raise UsageError(f"{name}: every key in it is listed as distrusted")
    return material


def _plain(key: KeyMaterial) -> bool:
    """Whether it is a certificate about which the file says nothing; what its own extensions say is the path's to judge."""
    return key.kind is AnchorKind.X509 and key.distrusted is None and not key.limited


def _openpgp(keys: list[bytes]) -> tuple[OpenPGPKey, ...]:
    from trust_store.decode.openpgp import load_keys  # most questions are about certificates only

    return tuple(key for material in keys for key in load_keys(material))


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
    except READ_ERRORS as error:
        raise UsageError(f"{name}: no revocation list and no OCSP response that can be read: {error}") from error
    if not found:
        raise UsageError(f"{name}: there is no revocation list in it")
    return found


def supplied_anchors(material: SuppliedMaterial, at: datetime) -> tuple[TrustAnchor, ...]:
    """The material as anchors of any vendor, dedicated, valid for one check: whoever hands them over vouches for them."""
    found = [_anchor(AnchorKind.X509, c.subject, c.der, at) for c in material.certificates]
    found += [_anchor(AnchorKind.OPENPGP, key.name, key.data, at) for key in material.keys]
    found += [_anchor(o.kind, o.name, o.material, at, _limits(o), o.identifiers) for o in material.others]
    return tuple({anchor.id: anchor for anchor in found}.values())


def _limits(key: KeyMaterial) -> Constraints:
    """What the file says of the key; where it says nothing of purposes, what is supplied may be used for."""
    stated = key.constraints
    return stated if key.limited or key.distrusted is not None else replace(stated, purposes=SUPPLIED_PURPOSES)


def _anchor(
    kind: AnchorKind,
    name: str,
    data: bytes,
    at: datetime,
    constraints: Constraints = _ANY_SUPPLIED,
    identifiers: tuple[Identifier, ...] = (),
) -> TrustAnchor:
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
        constraints=constraints,
        identifiers=identifiers,
        basis=TrustBasis.SUPPLIED,
    )
