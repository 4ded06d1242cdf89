"""The read-only questions about what is trusted that commands, the daemon and escalation ask.

Every anchor handed out was checked against the audit log first, the set of a vendor's anchors as well: an edited, added or removed
row raises StoreInconsistentError, it never changes an answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import TYPE_CHECKING, Protocol

from trust_store import audit, client_memory
from trust_store.checkpoints import CHECKPOINT_NAME, read_checkpoint, require_checkpoint
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, StoreInconsistentError, UnsupportedError
from trust_store.model.claim import Authority
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import TrustView
from trust_store.signatures.protocol import MAX_CANDIDATE_KEYS, CandidateKey
from trust_store.storage import anchors as rows
from trust_store.storage.connection import connect
from trust_store.storage.facts import identifiers_in
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS
from trust_store.storage.vendors import effective_vendor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from trust_store.model.certificate import Certificate
    from trust_store.model.claim import Evidence
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.package_facts import PackageFacts, SignerHint
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.storage.anchors import StoredAnchor

ANY_VENDOR = "any"
MAX_UNTRUSTED = 256
OPENING_WALK_ENTRIES = 500
"""So many newest audit entries are walked on opening; ``audit verify`` and the daemon walk all of them."""

_STANDING = {
    AnchorState.VALID: 0,
    AnchorState.SUPERSEDED: 1,
    AnchorState.REVOKED: 2,
    AnchorState.COMPROMISED: 2,
    AnchorState.DISTRUSTED: 2,
    AnchorState.PENDING: 4,
    AnchorState.REMOVED: 5,
    AnchorState.REJECTED: 5,
}
_TOMBSTONES = frozenset({AnchorState.DISTRUSTED, AnchorState.COMPROMISED})
_IDENTITIES = frozenset({IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.OPENPGP})
_UNREADABLE = (MalformedError, ResourceLimitError, UnsupportedError)


class EvidenceSource(Protocol):
    """What vendor channels said about keys. Read-only; no identifiers known gives ``()``; called on the store's thread."""

    def evidence_for(self, identifiers: Iterable[Identifier]) -> tuple[Evidence, ...]:
        """Claims that name one of ``identifiers``, vendor-authenticated first, then the newest."""
        ...


def open_consistent(path: Path) -> sqlite3.Connection:
    """Open the store read-only: its schema, the newest part of its audit log with the head's signature, its outside checkpoint
    and what this user remembers of it are checked.

    Raises StoreUnavailableError, SchemaMismatchError or StoreInconsistentError: all of them exit 4, none of them passes.
    """
    # The checkpoint first: a decision recorded between the two reads must not look like a rollback.
    checkpoint = read_checkpoint(path.with_name(CHECKPOINT_NAME))
    connection = connect(path, read_only=True)
    folder = client_memory.memory_folder()
    try:
        with snapshot(connection):
            require_schema(connection, (MIGRATIONS,))
            known = client_memory.recall(connection, folder)
        with snapshot(connection):
            audit.verify(connection, last=OPENING_WALK_ENTRIES)
            require_checkpoint(connection, checkpoint)
            client_memory.require_not_older(connection, folder, known)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything read inside is of one moment; joins a transaction that is open already."""
    if connection.in_transaction:
        yield
        return
    try:
        connection.execute("BEGIN")
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise StoreInconsistentError(f"the store cannot be read: {error}") from error
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def store_id(connection: sqlite3.Connection) -> str | None:
    """The id of this store, None before the first write."""
    row = connection.execute("SELECT store_id FROM store_meta").fetchone()
    return str(row[0]) if row else None


def store_revision(connection: sqlite3.Connection) -> int:
    """Raised with every change of an anchor, a policy or a vendor."""
    return int(connection.execute("SELECT revision FROM store_revision").fetchone()[0])


def anchors(
    connection: sqlite3.Connection, vendor_id: str | None = None, states: Iterable[AnchorState] | None = None
) -> tuple[TrustAnchor, ...]:
    """Anchors in their current version, the newest first; all vendors' where none is named."""
    wanted = frozenset(AnchorState) if states is None else frozenset(states)
    with snapshot(connection):
        found = rows.of_every_vendor(connection) if vendor_id is None else rows.of_vendor(connection, vendor_id)
    return tuple(s.anchor for s in sorted(found, key=_newest_first) if s.anchor.state in wanted)


def anchor(connection: sqlite3.Connection, anchor_id: str) -> TrustAnchor | None:
    """One anchor in its current version, or None."""
    found = stored_anchor(connection, anchor_id)
    return found.anchor if found else None


def stored_anchor(connection: sqlite3.Connection, anchor_id: str) -> StoredAnchor | None:
    """One anchor with its version number, reference and proposal digest, or None."""
    with snapshot(connection):
        return rows.current(connection, anchor_id)


def anchors_with(connection: sqlite3.Connection, identifiers: Iterable[Identifier]) -> tuple[TrustAnchor, ...]:
    """Anchors of any vendor and state that one of ``identifiers`` points at: a look-up, not an identification."""
    with snapshot(connection):
        found = rows.checked(connection, rows.rows_of(connection, _owners(connection, identifiers)))
    return tuple(s.anchor for s in sorted(found, key=_newest_first))


def trust_view(
    connection: sqlite3.Connection, vendor_id: str | None, facts: PackageFacts, vendor: Vendor | None
) -> TrustView:
    """All that a verdict about ``facts`` for this vendor is computed from.

    The vendor's anchors in every state (``any``: every vendor's; None: nobody's), and any vendor's tombstones on a key that the
    package carries or names. Pending material helps to build paths and is never trusted. ``vendor`` as its policy counts now.
    """
    with snapshot(connection):
        own = _of(connection, vendor_id)
        lost = rows.tombstones(connection)
        lifting = (*own, *_lifting(connection, lost))
        revision, identity = store_revision(connection), store_id(connection)
        counting = effective_vendor(connection, vendor) if vendor else None
    named = frozenset(identifiers_in(facts)) | _carried(facts)
    known = {s.anchor.id for s in own}
    foreign = [s for s in lost if s.anchor.id not in known and named & set(s.anchor.identifiers)]
    chosen = [s for s in (*own, *foreign) if not _lifted(s, lifting, vendor_id)]
    certificates, keys = _untrusted(own)
    return TrustView(
        anchors=tuple(s.anchor for s in chosen),
        untrusted=certificates,
        untrusted_keys=keys,
        vendor=counting,
        trust="store",
        store_id=identity,
        store_revision=revision,
    )


def candidates(
    connection: sqlite3.Connection, vendor_id: str | None, hints: Iterable[SignerHint | Identifier] = ()
) -> tuple[CandidateKey, ...]:
    """Keys to try on signatures that carry none: those that a hint points at first, then by standing, at most 64.

    Pending ones too (vendor-authenticated first) and any vendor's tombstones: that the arithmetic holds trusts nothing.
    """
    wanted = frozenset(i for hint in hints for i in _hinted(hint))
    with snapshot(connection):
        found = {s.anchor.id: s for s in _of(connection, vendor_id)}
        for stored in rows.checked(connection, rows.rows_of(connection, _owners(connection, wanted))):
            if vendor_id is None or stored.anchor.vendor_id == vendor_id or stored.anchor.state in _TOMBSTONES:
                found.setdefault(stored.anchor.id, stored)
        for stored in rows.tombstones(connection):
            found.setdefault(stored.anchor.id, stored)

    def order(stored: StoredAnchor) -> tuple[bool, int, bool, float, str]:
        anchor = stored.anchor
        return (
            not wanted & set(anchor.identifiers),
            _STANDING[anchor.state],
            not _authenticated(anchor),
            -anchor.recorded_at.timestamp(),
            anchor.id,
        )

    unique: dict[bytes, CandidateKey] = {}
    for stored in sorted(found.values(), key=order):
        unique.setdefault(stored.anchor.material, CandidateKey(stored.anchor.kind.value, stored.anchor.material))
    return tuple(unique.values())[:MAX_CANDIDATE_KEYS]


def same_key(first: Iterable[Identifier], second: Iterable[Identifier]) -> bool:
    """Whether two sets of identifiers share an identity (digest of certificate, key or OpenPGP key), not merely a hint."""
    return any(i.kind in _IDENTITIES for i in set(first) & set(second))


def tombstones_of(
    connection: sqlite3.Connection, identifiers: Iterable[Identifier], key_sha256: str
) -> tuple[TrustAnchor, ...]:
    """Distrusted and compromised anchors of any vendor on the very same key, the newest first."""
    wanted = tuple(identifiers)
    found = [
        s.anchor
        for s in rows.tombstones(connection)
        if s.anchor.key_sha256 == key_sha256 or same_key(s.anchor.identifiers, wanted)
    ]
    return tuple(sorted(found, key=lambda a: (a.recorded_at, a.id), reverse=True))


def _of(connection: sqlite3.Connection, vendor_id: str | None) -> tuple[StoredAnchor, ...]:
    if vendor_id is None:
        return ()
    return rows.of_every_vendor(connection) if vendor_id == ANY_VENDOR else rows.of_vendor(connection, vendor_id)


def _owners(connection: sqlite3.Connection, identifiers: Iterable[Identifier]) -> list[str]:
    """Ids of the anchors that the identifier index knows for ``identifiers``."""
    found: set[str] = set()
    for identifier in sorted(set(identifiers)):
        owners = connection.execute(
            "SELECT owner_id FROM identifier WHERE kind = ? AND value = ? AND owner_kind = 'anchor' LIMIT 1000",
            (identifier.kind.value, identifier.value),
        )
        found |= {str(row[0]) for row in owners}
    return sorted(found)


def _lifting(connection: sqlite3.Connection, lost: Iterable[StoredAnchor]) -> tuple[StoredAnchor, ...]:
    """Anchors on the key of a tombstone: one of them may have been approved over it."""
    identifiers = {i for s in lost for i in s.anchor.identifiers if i.kind in _IDENTITIES}
    return rows.checked(connection, rows.rows_of(connection, _owners(connection, identifiers)))


def _lifted(stored: StoredAnchor, others: Iterable[StoredAnchor], vendor_id: str | None) -> bool:
    """Whether a tombstone was overruled: the same key was approved later (by k + 1 people), by its own or the asked vendor's."""
    tombstone = stored.anchor
    if tombstone.state not in _TOMBSTONES:
        return False
    return any(
        other.anchor.state is AnchorState.VALID
        and other.audit_seq > stored.audit_seq
        and other.anchor.vendor_id in (tombstone.vendor_id, vendor_id)
        and (
            other.anchor.key_sha256 == tombstone.key_sha256 or same_key(other.anchor.identifiers, tombstone.identifiers)
        )
        for other in others
    )


def _carried(facts: PackageFacts) -> frozenset[Identifier]:
    """Identifiers of the certificates in a package, their key digests included, so that a re-issued one is recognised."""
    found: set[Identifier] = set()
    for der in {der for signature in facts.signatures for der in signature.certificates}:
        found.add(Identifier(IdentifierKind.SHA256, hashlib.sha256(der).hexdigest()))
        with contextlib.suppress(*_UNREADABLE):
            certificate = load_certificate(der)
            found |= {i for i in certificate.identifiers if i.kind is not IdentifierKind.SUBJECT}
            if certificate.authority_key_identifier:
                # The tombstone may be of a root that the package does not carry.
                issuer = certificate.authority_key_identifier
                found.add(Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, issuer))
            found.add(Identifier(IdentifierKind.SUBJECT, certificate.issuer))
    return frozenset(found)


def _untrusted(own: Iterable[StoredAnchor]) -> tuple[tuple[Certificate, ...], tuple[OpenPGPKey, ...]]:
    """What is pending, decoded, vendor-authenticated and newest first, capped; what cannot be decoded helps nobody."""
    pending = sorted(
        (s for s in own if s.anchor.state is AnchorState.PENDING),
        key=lambda s: (not _authenticated(s.anchor), *_newest_first(s)),
    )[:MAX_UNTRUSTED]
    certificates: list[Certificate] = []
    keys: list[OpenPGPKey] = []
    for stored in pending:
        with contextlib.suppress(*_UNREADABLE):
            if stored.anchor.kind is AnchorKind.X509:
                certificates.append(load_certificate(stored.anchor.material))
            else:
                from trust_store.decode.openpgp import load_keys  # most stores hold certificates only

                keys += load_keys(stored.anchor.material)
    return tuple(certificates), tuple(keys)


def _hinted(hint: SignerHint | Identifier) -> tuple[Identifier, ...]:
    """The identifiers that a hint names."""
    if isinstance(hint, Identifier):
        return (hint,)
    named = (
        (IdentifierKind.SUBJECT_KEY_IDENTIFIER, hint.subject_key_identifier),
        (IdentifierKind.OPENPGP, hint.openpgp),
        (IdentifierKind.OPENPGP_SUBKEY, hint.openpgp),
        (IdentifierKind.KEY_ID, hint.key_id),
    )
    return tuple(Identifier(kind, value) for kind, value in named if value)


def _authenticated(anchor: TrustAnchor) -> bool:
    return anchor.authority in {a.value for a in Authority if a.authenticated}


def _newest_first(stored: StoredAnchor) -> tuple[float, str]:
    return -stored.anchor.recorded_at.timestamp(), stored.anchor.id
