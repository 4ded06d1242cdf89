"""Revocation lists and OCSP responses kept fresh by the daemon, as rows by what they are about. Whoever uses one checks its signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.errors import ResourceLimitError
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.trust_view import RevocationMaterial
from trust_store.quick_dataclass import dataclass
from trust_store.storage import lookup
from trust_store.storage.fact_identifiers import stamping_certificates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.certificate import Certificate
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.trust_anchor import TrustAnchor

CRL, OCSP = "crl", "ocsp"
MAX_MATERIAL_BYTES = 32 * 1024 * 1024
NEWEST = 2
"""So many from each place are handed out, of what is proven and of what is not: the current one, and one that overlaps it."""


@dataclass(frozen=True, slots=True)
class FetchedMaterial:
    """One list (``crl``, RFC 5280 section 5) or response (``ocsp``, RFC 6960), DER.

    ``about`` says what it was fetched for (``about_issuer``, ``about_subject``). ``this_update`` and
    ``next_update`` are what it says of itself. ``proven``: the issuer's key answers for it, so that what anybody else made never
    takes its place.
    """

    kind: str
    about: str
    url: str
    material: bytes
    this_update: datetime
    next_update: datetime | None
    fetched_at: datetime
    proven: bool = False


def about_issuer(issuer: Certificate) -> str:
    """What the lists of an issuer are kept under: its key, whichever of its certificates a path goes over."""
    return canonical_spki_sha256(issuer.spki)


def about_subject(certificate: Certificate) -> str:
    """What the responses about a certificate are kept under: its issuer's name and its serial number."""
    named = lookup.issued(certificate.issuer_der, certificate.serial_number)
    return next((i.value for i in named), certificate.sha256)


def about(facts: PackageFacts, anchors: Iterable[TrustAnchor]) -> frozenset[str]:
    """What lists and responses about the certificates of a package and these anchors, and by them, are kept under."""
    carried = (der for s in facts.every_signature for der in (*s.certificates, *stamping_certificates(s)))
    told = tuple(anchors)
    stored = (anchor.material for anchor in told if anchor.kind is AnchorKind.X509)
    certificates = [c for c in map(lookup.certificate_of, (*carried, *stored)) if c is not None]
    bare = (canonical_spki_sha256(anchor.material) for anchor in told if anchor.kind is AnchorKind.SPKI)
    return frozenset((*(key(c) for c in certificates for key in (about_issuer, about_subject)), *bare))


def save(connection: sqlite3.Connection, fetched: FetchedMaterial) -> str:
    """Keep it, inside the caller's transaction; the same bytes again only count as fetched anew. Returns its SHA-256.

    Raises ResourceLimitError for more than 32 MiB.
    """
    if len(fetched.material) > MAX_MATERIAL_BYTES:
        raise ResourceLimitError(f"revocation material of {len(fetched.material)} bytes")
    digest = hashlib.sha256(fetched.material).hexdigest()
    connection.execute(
        "INSERT INTO revocation_material VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (about, url, sha256) DO UPDATE SET fetched_at = excluded.fetched_at",
        (
            digest, fetched.kind, fetched.about, fetched.url, fetched.material, format_time(fetched.this_update),
            format_time(fetched.next_update) if fetched.next_update else None, format_time(fetched.fetched_at),
            format_time(fetched.fetched_at), int(fetched.proven),
        ),
    )  # fmt: skip
    return digest


def load(
    connection: sqlite3.Connection, about: Iterable[str], *, known_at: datetime | None = None
) -> RevocationMaterial:
    """The newest material about these issuers and certificates from each place, as fetched by ``known_at`` (None: at all)."""
    found: dict[str, dict[bytes, None]] = {CRL: {}, OCSP: {}}
    for one in sorted(set(about)):
        for kind, material in _newest(connection, one, None if known_at is None else format_time(known_at)):
            found[kind][material] = None
    return RevocationMaterial(crls=tuple(found[CRL]), ocsp=tuple(found[OCSP]))


def newest(connection: sqlite3.Connection) -> tuple[tuple[str, str, bytes], ...]:
    """All that ``load`` would hand out about anything: (what it is about, kind, material)."""
    every = connection.execute("SELECT DISTINCT about FROM revocation_material ORDER BY about").fetchall()
    return tuple((str(row[0]), *found) for row in every for found in _newest(connection, str(row[0]), None))


def _newest(connection: sqlite3.Connection, about: str, moment: str | None) -> Iterable[tuple[str, bytes]]:
    places = connection.execute(
        "SELECT DISTINCT kind, url, proven FROM revocation_material WHERE about = ? ORDER BY kind, url, proven",
        (about,),
    ).fetchall()
    for kind, url, proven in places:
        rows = connection.execute(
            "SELECT material FROM revocation_material WHERE about = ? AND kind = ? AND url = ? AND proven = ?"
            " AND (? IS NULL OR known_at <= ?) ORDER BY this_update DESC, sha256 LIMIT ?",
            (about, kind, url, proven, moment, moment, NEWEST),
        )
        yield from ((str(kind), bytes(row[0])) for row in rows)
