"""The read-only questions about what is trusted that commands, the daemon and escalation ask.

Every anchor handed out was checked against the audit log first, that it is the newest version as well: an edited or removed row
raises StoreInconsistentError. What a verdict rests on is found by identifier, so that its cost does not grow with the store; an
anchor that the index hides makes nothing pass, and tombstones are found by an index of their own that is compared with the log.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Protocol

from trust_store import audit, client_memory
from trust_store.checkpoints import CHECKPOINT_NAME, read_checkpoint, require_checkpoint
from trust_store.errors import READ_ERRORS, StoreInconsistentError
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.ratchet import names_of
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import ANY_VENDOR, DigestDecision, TrustView
from trust_store.remembered import memory_folder
from trust_store.signatures.protocol import MAX_CANDIDATE_KEYS, CandidateKey
from trust_store.storage import anchors as rows
from trust_store.storage import lookup, revocation_material, tombstones
from trust_store.storage.connection import connect
from trust_store.storage.digest_decisions import in_effect
from trust_store.storage.fact_identifiers import identifiers_in, tried_in
from trust_store.storage.migrations import require_schema
from trust_store.storage.ratchets import concerning
from trust_store.storage.related import STANDING, copies_of, on_the_key_of, related, unnamed
from trust_store.storage.schema import MIGRATIONS
from trust_store.storage.vendors import as_known_at, effective_vendor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from trust_store.model.certificate import Certificate
    from trust_store.model.claim import Evidence
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.package_facts import PackageFacts, SignerHint
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.storage.anchors import StoredAnchor

MAX_UNTRUSTED = 256
OPENING_WALK_ENTRIES = 500
"""So many newest audit entries are walked on opening; ``audit verify`` and the daemon walk all of them."""

MAX_NEIGHBOURS = 32
MAX_FILLING_TOMBSTONES = 16
_FILLING = (AnchorState.VALID, AnchorState.SUPERSEDED, AnchorState.REVOKED, AnchorState.PENDING)


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
    folder = memory_folder()
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
        found = rows.current_of(connection, lookup.owners(connection, identifiers))
    return tuple(s.anchor for s in sorted(found, key=_newest_first))


def trust_view(
    connection: sqlite3.Connection,
    vendor_id: str | None,
    facts: PackageFacts,
    vendor: Vendor | None,
    *,
    at: datetime | None = None,
    known_at: datetime | None = None,
    instead: StoredAnchor | None = None,
    name: str = "",
) -> TrustView:
    """All that a verdict about ``facts`` for this vendor is computed from.

    The vendor's anchors in every state (``any``: every vendor's; None: nobody's) and any vendor's tombstones, as far as the keys that
    the package carries or names, or the issuers of these, lead to them. Pending material helps to build paths and is never trusted,
    nor are other vendors' copies of the OpenPGP keys, which may say that a key is revoked.
    ``vendor`` as its policy counts. ``at`` (None: no decision about the digest is looked for) is the time asked about,
    ``known_at`` (None: now) leaves out everything that was recorded later. ``instead`` is a version of an anchor that nobody recorded
    and that counts as its newest: what would be trusted if it were decided. ``name`` is what the file is called: with the product that
    the package states it leads to the ratchets of the vendor's product.
    """
    every = vendor_id == ANY_VENDOR
    own = None if every else vendor_id
    start = identifiers_in(facts) | tried_in(facts)
    with snapshot(connection):
        found = {s.anchor.id: s for s in related(connection, own, start, every_vendor=every, known_at=known_at)}
        found |= {s.anchor.id: s for s in unnamed(connection, own, facts, every_vendor=every, known_at=known_at)}
        copies = copies_of(connection, start, found, known_at)
        if instead and (instead.anchor.id in found or instead.anchor.state in tombstones.STATES):
            found[instead.anchor.id] = instead
        lifting = [
            instead if instead and s.anchor.id == instead.anchor.id else s
            for s in on_the_key_of(connection, found.values(), known_at)
        ]
        approved = approvals_over(connection, lifting)
        chosen = [found[i] for i in sorted(found) if not _lifted(found[i], approved, vendor_id)]
        revision, identity = store_revision(connection), store_id(connection)
        counting = _counting(connection, vendor, known_at) if vendor else None
        revocation = revocation_material.load(
            connection, revocation_material.about(facts, (s.anchor for s in chosen)), known_at=known_at
        )
        decisions = _decisions(connection, facts, vendor_id, at, known_at) if at else ()
        held = concerning(connection, own, names_of(facts.product, name), at, known_at) if own is not None else ()
    standing = {s.anchor.id for s in chosen}
    certificates, keys = _untrusted(
        s for s in found.values() if s.anchor.state is AnchorState.PENDING or s.anchor.id not in standing
    )
    return TrustView(
        anchors=tuple(s.anchor for s in chosen),
        untrusted=certificates,
        untrusted_keys=keys + _untrusted(copies)[1],
        vendor=counting,
        revocation=revocation,
        decisions=decisions,
        trust="store",
        store_id=identity,
        store_revision=revision,
        ratchets=held,
    )


def candidates(
    connection: sqlite3.Connection,
    vendor_id: str | None,
    hints: Iterable[SignerHint | Identifier] = (),
    *,
    fill: bool = True,
    known_at: datetime | None = None,
) -> tuple[CandidateKey, ...]:
    """Keys to try on signatures that carry none: those that a hint points at first, then by standing, at most 64.

    Pending ones too (vendor-authenticated first) and any vendor's tombstones: that the arithmetic holds trusts nothing. With
    ``fill`` the vendor's other keys and the newest tombstones follow, for signatures that do not say which key made them.
    """
    wanted = lookup.either_key(i for hint in hints for i in _hinted(hint))
    every = vendor_id in (None, ANY_VENDOR)
    own = None if every else vendor_id
    with snapshot(connection):
        tombstones.require_complete(connection)
        ids = {*lookup.owners(connection, wanted, own), *tombstones.owners(connection, wanted)}
        hinted = {s.anchor.id: s for s in rows.current_of(connection, ids, known_at)}
        found = {i: s for i, s in hinted.items() if every or _concerns(s, own)}
        if fill:
            _fill(connection, found, vendor_id, known_at)

    def order(stored: StoredAnchor) -> tuple[bool, int, bool, float, str]:
        anchor = stored.anchor
        return (
            anchor.id not in hinted,
            STANDING[anchor.state],
            not _authenticated(anchor),
            -anchor.recorded_at.timestamp(),
            anchor.id,
        )

    unique: dict[bytes, CandidateKey] = {}
    for stored in sorted(found.values(), key=order):
        unique.setdefault(stored.anchor.material, CandidateKey(stored.anchor.kind.value, stored.anchor.material))
    return tuple(unique.values())[:MAX_CANDIDATE_KEYS]


def neighbours(
    connection: sqlite3.Connection,
    vendor_id: str | None,
    name: str | None,
    key_identifier: str | None,
    *,
    known_at: datetime | None = None,
) -> tuple[TrustAnchor, ...]:
    """Anchors of the vendor in any state, and tombstones, that may be like an issuer nobody has: at most 32, the best standing first.

    ``name`` as in RFC 4514 and ``key_identifier`` are what the certificate below says of its issuer: anchors of that name or key
    identifier, others that the same issuer issued, and others of the same organisation. Only hints were compared. A tombstone that was
    overruled is none.
    """
    own = None if vendor_id in (None, ANY_VENDOR) else vendor_id
    named = lookup.near_name(name) if name else frozenset()
    keyed = {Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, key_identifier)} if key_identifier else set()
    with snapshot(connection):
        found: dict[str, StoredAnchor] = {}
        for identifier in sorted(named | keyed):
            for stored in rows.current_of(
                connection, lookup.owners(connection, [identifier], own, limit=MAX_NEIGHBOURS), known_at
            ):
                if own is None or _concerns(stored, own):
                    found[stored.anchor.id] = stored
        approved = approvals_over(connection, on_the_key_of(connection, found.values(), known_at))
    standing = (s for s in found.values() if not _lifted(s, approved, vendor_id))
    best = sorted(standing, key=lambda s: (STANDING[s.anchor.state], s.anchor.id))
    return tuple(s.anchor for s in best[:MAX_NEIGHBOURS])


def same_key(first: Iterable[Identifier], second: Iterable[Identifier]) -> bool:
    """Whether two sets of identifiers share an identity (digest of certificate, key or OpenPGP key), not merely a hint."""
    return any(i.kind in lookup.IDENTITIES for i in set(first) & set(second))


def tombstones_of(
    connection: sqlite3.Connection, identifiers: Iterable[Identifier], key_sha256: str
) -> tuple[TrustAnchor, ...]:
    """Distrusted and compromised anchors of any vendor on the very same key, the newest first."""
    wanted = {*identifiers, Identifier(IdentifierKind.SHA256, key_sha256)}
    tombstones.require_complete(connection)
    ids = tombstones.owners(connection, (i for i in wanted if i.kind in lookup.IDENTITIES))
    found = [
        s.anchor
        for s in rows.current_of(connection, ids)
        if s.anchor.key_sha256 == key_sha256 or same_key(s.anchor.identifiers, wanted)
    ]
    return tuple(sorted(found, key=lambda a: (a.recorded_at, a.id), reverse=True))


def buried(connection: sqlite3.Connection, valid: Iterable[TrustAnchor]) -> dict[str, TrustAnchor]:
    """Of valid anchors those whose key stands on a tombstone that nobody overruled (any vendor's), by id: nothing passes under them."""
    found = {}
    for anchor in valid:
        ids = [t.id for t in tombstones_of(connection, anchor.identifiers, anchor.key_sha256)]
        graves = rows.current_of(connection, ids)
        approved = approvals_over(connection, on_the_key_of(connection, graves, None)) if graves else ()
        standing = [s.anchor for s in graves if not _lifted(s, approved, anchor.vendor_id)]
        if standing:
            found[anchor.id] = standing[0]
    return found


def _counting(connection: sqlite3.Connection, vendor: Vendor, known_at: datetime | None) -> Vendor:
    """The vendor as its policy counts now, or as it counted when that was all that was known."""
    if known_at is None:
        return effective_vendor(connection, vendor)
    held = as_known_at(connection, vendor.id, known_at)
    return held.vendor if held else vendor


def _concerns(stored: StoredAnchor, vendor_id: str | None) -> bool:
    return stored.anchor.vendor_id == vendor_id or stored.anchor.state in tombstones.STATES


def _fill(
    connection: sqlite3.Connection, found: dict[str, StoredAnchor], vendor_id: str | None, known_at: datetime | None
) -> None:
    """Add the newest keys of each standing until there are enough to try, and of all vendors' tombstones the newest."""
    for state in tombstones.STATES:
        for stored in rows.by_standing(connection, None, state, MAX_FILLING_TOMBSTONES, known_at):
            found.setdefault(stored.anchor.id, stored)
    own = None if vendor_id == ANY_VENDOR else vendor_id
    for state in _FILLING if vendor_id is not None else ():
        if len(found) >= MAX_CANDIDATE_KEYS:
            return
        for stored in rows.by_standing(connection, own, state, MAX_CANDIDATE_KEYS, known_at):
            found.setdefault(stored.anchor.id, stored)


def approvals_over(
    connection: sqlite3.Connection, stored: Iterable[StoredAnchor]
) -> tuple[tuple[TrustAnchor, int], ...]:
    """The valid ones of these anchors, each with the number of the audit entry that made it valid: what may lift a tombstone."""
    valid = [s for s in stored if s.anchor.state is AnchorState.VALID]
    since = rows.valid_since(connection, (s.anchor.id for s in valid))
    return tuple((s.anchor, since.get(s.anchor.id, s.audit_seq)) for s in valid)


def lifts(approved: TrustAnchor, since: int, tombstone: StoredAnchor) -> bool:
    """Whether ``approved``, valid since that audit entry, is the tombstone's key accepted again (by k + 1 people)."""
    buried = tombstone.anchor
    return since > tombstone.audit_seq and (
        approved.key_sha256 == buried.key_sha256 or same_key(approved.identifiers, buried.identifiers)
    )


def _lifted(stored: StoredAnchor, approved: Iterable[tuple[TrustAnchor, int]], vendor_id: str | None) -> bool:
    """Whether a tombstone was overruled: the same key was approved later, by its own or the asked vendor's people."""
    if stored.anchor.state not in tombstones.STATES:
        return False
    return any(
        anchor.vendor_id in (stored.anchor.vendor_id, vendor_id) and lifts(anchor, since, stored)
        for anchor, since in approved
    )


def _decisions(
    connection: sqlite3.Connection, facts: PackageFacts, vendor_id: str | None, at: datetime, known_at: datetime | None
) -> tuple[DigestDecision, ...]:
    """Those about the package and the packages inside."""
    found = (in_effect(connection, digest, vendor_id, at, known_at) for digest in facts.every_digest)
    return tuple(decision for decisions in found for decision in decisions)


def _untrusted(helping: Iterable[StoredAnchor]) -> tuple[tuple[Certificate, ...], tuple[OpenPGPKey, ...]]:
    """What is pending or was overruled, decoded, vendor-authenticated and newest first, capped; what cannot be decoded helps nobody."""
    pending = sorted(helping, key=lambda s: (not _authenticated(s.anchor), *_newest_first(s)))[:MAX_UNTRUSTED]
    certificates: list[Certificate] = []
    keys: list[OpenPGPKey] = []
    for stored in pending:
        if stored.anchor.kind is AnchorKind.X509:
            certificate = lookup.certificate_of(stored.anchor.material)
            certificates += [certificate] if certificate else []
        elif stored.anchor.kind is AnchorKind.OPENPGP:
            from trust_store.decode.openpgp import load_keys  # most stores hold certificates only

            with contextlib.suppress(*READ_ERRORS):
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
        (IdentifierKind.SHA256, hint.key_sha256),
        (IdentifierKind.SPKI_SHA256, hint.key_sha256),
    )
    issued = lookup.issued(hint.issuer_der, hint.serial_number) if hint.serial_number is not None else frozenset()
    return (*(Identifier(kind, value) for kind, value in named if value), *issued)


def _authenticated(anchor: TrustAnchor) -> bool:
    from trust_store.model.claim import Authority  # most questions choose between no anchors

    return anchor.authority in {a.value for a in Authority if a.authenticated}


def _newest_first(stored: StoredAnchor) -> tuple[float, str]:
    return -stored.anchor.recorded_at.timestamp(), stored.anchor.id
