"""By what anchors and packages are found: the identifier index, and names and key identifiers that lead from one certificate to the next.

Rows of owner kind ``anchor`` are an anchor's own identifiers as its proposal said them. Rows of owner kind ``chain`` are derived
from its key: the digest of its subject in canonical form (RFC 5280 section 7.1, so that two encodings of one name are one), that of
its issuer, and its authority key identifier. Neither decides anything: a row that is missing or a lie leads nowhere, so that
nothing passes. What must not be hidden, a tombstone, has an index of its own (``storage.tombstones``).
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from trust_store.chain.named_key import name_of
from trust_store.chain.names import canonical
from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor

ANCHOR, CHAIN = "anchor", "chain"
FEW_OWNERS = 64
_ORGANISATION = "2.5.4.10"
_PUBLIC_KEYS = frozenset({AnchorKind.SPKI, AnchorKind.RAW, AnchorKind.NPM})
MAX_OWNERS = 1000
"""So many anchors of one identifier are looked at, the oldest first: a flood of proposals puts none out that stood before it."""


@lru_cache(maxsize=512)
def name_digest(name_der: bytes) -> str | None:
    """SHA-256 of a DER Name in canonical form, lower-case hex; None for a name that cannot be read: it is nobody's issuer."""
    try:
        rdns = canonical(name_der)
    except READ_ERRORS:
        return None
    plain = [
        [[kind, value if isinstance(value, str) else ["bytes", value.hex()]] for kind, value in _sorted(rdn)]
        for rdn in rdns
    ]
    encoded = json.dumps(plain, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(b"rootwarden/name/1\0" + encoded.encode()).hexdigest()


def _sorted(rdn: frozenset[tuple[str, bytes | str]]) -> list[tuple[str, bytes | str]]:
    return sorted(rdn, key=lambda pair: (pair[0], isinstance(pair[1], str), pair[1]))


@lru_cache(maxsize=256)
def certificate_of(der: bytes) -> Certificate | None:
    """The certificate, or None where it cannot be read."""
    try:
        return load_certificate(der)
    except READ_ERRORS:
        return None


def own(certificate: Certificate) -> frozenset[Identifier]:
    """By what this certificate is found: its digest, its key's, its canonical subject, its key identifier."""
    found = {
        Identifier(IdentifierKind.SHA256, certificate.sha256),
        Identifier(IdentifierKind.SPKI_SHA256, certificate.spki_sha256),
        Identifier(IdentifierKind.SPKI_SHA256, canonical_spki_sha256(certificate.spki)),
    }
    if certificate.subject_key_identifier:
        found.add(Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, certificate.subject_key_identifier))
    if name := name_digest(certificate.subject_der):
        found.add(Identifier(IdentifierKind.SUBJECT, name))
    return frozenset(found) | issued(certificate.issuer_der, certificate.serial_number)


def below(certificate: Certificate) -> frozenset[Identifier]:
    """What this certificate says of its issuer: canonical name and key identifier."""
    found = set()
    if certificate.authority_key_identifier:
        found.add(Identifier(IdentifierKind.AUTHORITY_KEY_IDENTIFIER, certificate.authority_key_identifier))
    if name := name_digest(certificate.issuer_der):
        found.add(Identifier(IdentifierKind.ISSUER, name))
    return frozenset(found)


def issued(issuer_der: bytes, serial_number: int) -> frozenset[Identifier]:
    """The one certificate that a CMS message names by issuer and serial number (RFC 5652 section 5.3)."""
    name = name_digest(issuer_der)
    if name is None:
        return frozenset()
    digest = hashlib.sha256(f"rootwarden/issued/1\0{name}\0{serial_number}".encode()).hexdigest()
    return frozenset({Identifier(IdentifierKind.SUBJECT, digest)})


_UPWARD = {
    IdentifierKind.ISSUER: IdentifierKind.SUBJECT,
    IdentifierKind.AUTHORITY_KEY_IDENTIFIER: IdentifierKind.SUBJECT_KEY_IDENTIFIER,
}
_DOWNWARD = {above: kind for kind, above in _UPWARD.items()}
LEADING = frozenset(_UPWARD)
"""Kinds that say something of an issuer, not of the key itself."""
IDENTITIES = frozenset({IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.OPENPGP})
"""Kinds that identify a key; all others are hints."""
_KEYS = (IdentifierKind.OPENPGP, IdentifierKind.OPENPGP_SUBKEY)


def upward(identifiers: Iterable[Identifier]) -> frozenset[Identifier]:
    """What the issuers that ``identifiers`` name are found by."""
    return frozenset(Identifier(_UPWARD[i.kind], i.value) for i in identifiers if i.kind in _UPWARD)


def downward(identifiers: Iterable[Identifier]) -> frozenset[Identifier]:
    """What those that ``identifiers`` issued are found by."""
    return frozenset(Identifier(_DOWNWARD[i.kind], i.value) for i in identifiers if i.kind in _DOWNWARD)


def either_key(identifiers: Iterable[Identifier]) -> frozenset[Identifier]:
    """``identifiers``, every OpenPGP fingerprint as a primary key's and as a subkey's: a signature does not say which."""
    found = set(identifiers)
    found |= {Identifier(kind, i.value) for i in found if i.kind in _KEYS for kind in _KEYS}
    return frozenset(found)


def of_material(anchor: TrustAnchor) -> frozenset[Identifier]:
    """What an anchor is found by beside its own identifiers: the names and key identifiers of a certificate, the digest of a key."""
    if anchor.kind is AnchorKind.X509:
        certificate = certificate_of(anchor.material)
        return own(certificate) | below(certificate) if certificate else frozenset()
    if anchor.kind not in _PUBLIC_KEYS:
        return frozenset()
    digests = hashlib.sha256(anchor.material).hexdigest(), canonical_spki_sha256(anchor.material)
    found = {Identifier(IdentifierKind.SPKI_SHA256, digest) for digest in digests}
    if anchor.kind is AnchorKind.SPKI:
        stated = [i.value for i in anchor.identifiers if i.kind is IdentifierKind.SUBJECT]
        if digest := written_name(stated[0] if len(stated) == 1 else anchor.name):
            found.add(Identifier(IdentifierKind.SUBJECT, digest))
    return frozenset(found)


def written_name(name: str) -> str | None:
    """The digest of a name written as in RFC 4514; None where it is none."""
    try:
        return name_digest(name_of(name))
    except READ_ERRORS:
        return None


def near_name(name: str) -> frozenset[Identifier]:
    """What anchors are found by that are like an issuer of that name (RFC 4514): of the name, issued under it, of its organisation."""
    try:
        der = name_of(name)
    except READ_ERRORS:
        return frozenset()
    digest = name_digest(der)
    if digest is None:
        return frozenset()
    own_or_issued = {Identifier(IdentifierKind.SUBJECT, digest), Identifier(IdentifierKind.ISSUER, digest)}
    return frozenset(own_or_issued) | _organisations(der)


def _organisations(name_der: bytes) -> frozenset[Identifier]:
    """The organisations in a name. They are looked up for people who ask what a missing issuer is like, and for nothing else."""
    try:
        rdns = canonical(name_der)
    except READ_ERRORS:
        return frozenset()
    said = [value for rdn in rdns for kind, value in rdn if kind == _ORGANISATION and isinstance(value, str)]
    digests = (hashlib.sha256(b"rootwarden/organisation/1\0" + value.encode()).hexdigest() for value in said)
    return frozenset(Identifier(IdentifierKind.SUBJECT, digest) for digest in digests)


def all_of(anchor: TrustAnchor) -> frozenset[Identifier]:
    """Everything that an anchor is found by."""
    return either_key(anchor.identifiers) | of_material(anchor)


def index(connection: sqlite3.Connection, anchor: TrustAnchor) -> None:
    """Enter a new anchor, inside the caller's transaction."""
    rows = [(i.kind.value, i.value, ANCHOR, anchor.id) for i in anchor.identifiers]
    certificate = certificate_of(anchor.material) if anchor.kind is AnchorKind.X509 else None
    derived = of_material(anchor) | (_organisations(certificate.subject_der) if certificate else frozenset())
    rows += [(i.kind.value, i.value, CHAIN, anchor.id) for i in derived - set(anchor.identifiers)]
    connection.executemany("INSERT OR IGNORE INTO identifier VALUES (?, ?, ?, ?)", rows)


_OWNERS = """
    SELECT owner_id FROM identifier WHERE kind = ? AND value = ? AND owner_kind = ? ORDER BY owner_id LIMIT ?"""
_VENDORS_OWNERS = """
    SELECT owner_id FROM identifier WHERE kind = ? AND value = ? AND owner_kind = ? AND EXISTS (
        SELECT 1 FROM anchor_version v WHERE v.anchor_id = owner_id AND v.version = 1 AND v.vendor_id = ?)
    ORDER BY owner_id LIMIT ?"""


def owners(
    connection: sqlite3.Connection,
    identifiers: Iterable[Identifier],
    vendor_id: str | None = None,
    *,
    limit: int = MAX_OWNERS,
) -> tuple[str, ...]:
    """Ids of the anchors that are found by one of ``identifiers``, those of other vendors left out where they are many.

    Whoever asks for one vendor's still has to look whose each is, once the row is checked: a row that somebody gave to another
    vendor is an inconsistency to be found, not an anchor to be passed over.
    """
    found: set[str] = set()
    for identifier in set(identifiers):
        for kind in (ANCHOR, CHAIN):
            asked = (identifier.kind.value, identifier.value, kind)
            few = connection.execute(_OWNERS, (*asked, FEW_OWNERS + 1)).fetchall()
            if len(few) > FEW_OWNERS:
                many = _OWNERS if vendor_id is None else _VENDORS_OWNERS
                few = connection.execute(
                    many, (*asked, *((vendor_id,) if vendor_id is not None else ()), limit)
                ).fetchall()
            found |= {str(row[0]) for row in few}
    return tuple(sorted(found))
