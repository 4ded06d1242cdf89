"""The anchors that may have a say about a package: found by its identifiers and, round by round, by those of their issuers.

Path building goes from a certificate to the certificates of its issuer's name, so that this closure holds every anchor on any
path, at a cost that depends on the package and not on the store. What is cut off by a limit leads nowhere: nothing passes for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.signatures.protocol import IDENTITY_SCHEMES
from trust_store.storage import anchors as rows
from trust_store.storage import lookup, tombstones

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from trust_store.model.identifiers import Identifier
    from trust_store.model.package_facts import PackageFacts
    from trust_store.storage.anchors import StoredAnchor

MAX_ROUNDS = 16
MAX_ANCHORS = 512
MAX_UNNAMED = 64
MAX_COPIES = 256
STANDING = {
    AnchorState.VALID: 0,
    AnchorState.SUPERSEDED: 1,
    AnchorState.REVOKED: 2,
    AnchorState.COMPROMISED: 2,
    AnchorState.DISTRUSTED: 2,
    AnchorState.PENDING: 4,
    AnchorState.REMOVED: 5,
    AnchorState.REJECTED: 5,
}
"""Which anchors come first where not all can be looked at."""


def related(
    connection: sqlite3.Connection,
    vendor_id: str | None,
    start: Iterable[Identifier],
    *,
    every_vendor: bool = False,
    known_at: datetime | None = None,
) -> tuple[StoredAnchor, ...]:
    """The vendor's anchors in every state, and any vendor's tombstones, that ``start`` or an issuer of what was found leads to.

    ``vendor_id`` None (and not ``every_vendor``): tombstones only. At most 512; tombstones first, then by standing.
    """
    found: dict[str, StoredAnchor] = {}
    asked: set[Identifier] = set()
    tombstones.require_complete(connection)
    wanted = _towards_issuers(start)
    for _ in range(MAX_ROUNDS):
        fresh = wanted - asked
        if not fresh:
            break
        asked |= fresh
        buried = [i for i in tombstones.owners(connection, fresh) if i not in found]
        ids = lookup.owners(connection, fresh, vendor_id) if vendor_id is not None or every_vendor else ()
        others = [i for i in ids if i not in found and i not in buried]
        room = MAX_ANCHORS - len(found) - len(buried)
        chosen = others if len(others) <= room else _best(connection, others, max(room, 0))
        for stored in rows.current_of(connection, (*buried, *chosen), known_at):
            anchor = stored.anchor
            if every_vendor or anchor.vendor_id == vendor_id or anchor.state in tombstones.STATES:
                found[anchor.id] = stored
                wanted |= _towards_issuers(lookup.of_material(anchor))
        if len(found) >= MAX_ANCHORS:
            break
    _bury(connection, found, wanted, asked, known_at)
    return tuple(found.values())


def _bury(
    connection: sqlite3.Connection,
    found: dict[str, StoredAnchor],
    wanted: set[Identifier],
    asked: set[Identifier],
    known_at: datetime | None,
) -> None:
    """Add the tombstones on the keys of what was found, wherever the search was cut off: a flood of proposals hides none."""
    while fresh := wanted - asked:
        asked |= fresh
        buried = [i for i in tombstones.owners(connection, fresh) if i not in found]
        for stored in rows.current_of(connection, buried, known_at):
            if stored.anchor.state in tombstones.STATES:
                found[stored.anchor.id] = stored
                wanted |= _towards_issuers(lookup.of_material(stored.anchor))


def unnamed(
    connection: sqlite3.Connection,
    vendor_id: str | None,
    facts: PackageFacts,
    *,
    every_vendor: bool = False,
    known_at: datetime | None = None,
) -> tuple[StoredAnchor, ...]:
    """Anchors that no identifier in a package leads to (sigstore identities and roots), where a signature needs them: at most 64.

    Those that somebody decided about come first, and of the first thousand that were recorded: a flood of proposals puts none out.
    Any vendor's tombstones among them follow, all of them: each took a decision.
    """
    needed = any(signature.scheme in IDENTITY_SCHEMES for signature in facts.every_signature)
    if not needed or (vendor_id is None and not every_vendor):
        return ()
    ids = connection.execute(
        "SELECT anchor_id FROM anchor_version WHERE version = 1 AND kind IN ('sigstore_identity', 'sigstore_root')"
        " AND (? OR vendor_id = ?) ORDER BY audit_seq LIMIT ?",
        (every_vendor, vendor_id, lookup.MAX_OWNERS),
    ).fetchall()
    buried = connection.execute(
        "SELECT DISTINCT anchor_id FROM anchor_version WHERE state IN (?, ?) AND kind IN ('sigstore_identity', 'sigstore_root')",
        tuple(state.value for state in tombstones.STATES),
    ).fetchall()
    chosen = dict.fromkeys(
        (*_best(connection, [str(row[0]) for row in ids], MAX_UNNAMED), *(str(row[0]) for row in buried))
    )
    found = rows.current_of(connection, chosen, known_at)
    return tuple(
        s for s in found if every_vendor or s.anchor.vendor_id == vendor_id or s.anchor.state in tombstones.STATES
    )


def on_the_key_of(
    connection: sqlite3.Connection, buried: Iterable[StoredAnchor], known_at: datetime | None = None
) -> tuple[StoredAnchor, ...]:
    """Anchors of any vendor on the keys of these tombstones: one of them may have been approved over it."""
    identities = {
        i
        for s in buried
        if s.anchor.state in tombstones.STATES
        for i in lookup.all_of(s.anchor)
        if i.kind in lookup.IDENTITIES
    }
    return rows.current_of(connection, lookup.owners(connection, identities), known_at) if identities else ()


def copies_of(
    connection: sqlite3.Connection,
    start: Iterable[Identifier],
    found: Mapping[str, StoredAnchor],
    known_at: datetime | None = None,
) -> tuple[StoredAnchor, ...]:
    """Anchors of any vendor and in any state on the OpenPGP keys that ``start`` or ``found`` name, beside those found: at most 256.

    A key may be revoked in one of them. They are looked at for that alone; the best standing and the oldest first.
    """
    named = {*start, *(i for s in found.values() if s.anchor.kind is AnchorKind.OPENPGP for i in s.anchor.identifiers)}
    keys = {i for i in named if i.kind is IdentifierKind.OPENPGP}
    others = [i for i in lookup.owners(connection, keys) if i not in found]
    return rows.current_of(connection, _best(connection, others, MAX_COPIES), known_at) if others else ()


def _towards_issuers(identifiers: Iterable[Identifier]) -> set[Identifier]:
    """What to look up next: the keys named, and the issuers named; not everything else that those issuers issued."""
    named = lookup.either_key(identifiers)
    return {i for i in named if i.kind not in lookup.LEADING} | lookup.upward(named)


def _best(connection: sqlite3.Connection, anchor_ids: list[str], room: int) -> list[str]:
    """So many of the anchors, valid ones first and those recorded first before others: a flood puts none out that stood before."""
    states: dict[str, str] = {}
    for start in range(0, len(anchor_ids), rows.MAX_ROWS_PER_QUERY):
        part = anchor_ids[start : start + rows.MAX_ROWS_PER_QUERY]
        marks = ",".join("?" * len(part))
        found = connection.execute(f"SELECT anchor_id, state FROM anchor_current WHERE anchor_id IN ({marks})", part)  # noqa: S608 - marks only
        states |= {str(row[0]): str(row[1]) for row in found}
    # The state is only to sort by here; the row itself is checked against the log when it is read.
    order = {state.value: rank for state, rank in STANDING.items()}
    return sorted(anchor_ids, key=lambda i: (order.get(states.get(i, ""), len(order)), i))[:room]


def awaiting_decision(connection: sqlite3.Connection) -> frozenset[str]:
    """The fingerprints that await decision, to be withheld wherever the same key is shown: no identification."""
    return frozenset(
        str(row[0])
        for row in connection.execute(
            """SELECT i.value FROM anchor_version v JOIN identifier i ON i.owner_kind = 'anchor' AND i.owner_id = v.anchor_id
               WHERE v.state = 'pending' AND i.kind IN ('sha256', 'openpgp')
               AND v.version = (SELECT max(w.version) FROM anchor_version w WHERE w.anchor_id = v.anchor_id)"""
        )
    )
