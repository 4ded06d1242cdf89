"""Which packages a change of trust may concern: what has to be judged again, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trust_store.model.trust_anchor import AnchorKind
from trust_store.storage import anchors as rows
from trust_store.storage import audit_log, lookup, tombstones
from trust_store.storage.facts import packages_with
from trust_store.storage.head import head
from trust_store.storage.ratchets import RAISED_ENTRY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from trust_store.model.identifiers import Identifier

MAX_ANCHORS = 4096
"""Anchors looked at for one change; beyond that every package is judged again."""
MAX_ENTRIES = 10_000
_NAMED_IN_PACKAGES = frozenset({AnchorKind.X509, AnchorKind.SPKI, AnchorKind.OPENPGP, AnchorKind.MINISIGN})
"""Kinds whose signatures say by identifier or name which key made them."""


@dataclass(frozen=True, slots=True)
class Affected:
    """Packages by SHA-256, every package of ``vendors`` beside them, or ``everything``."""

    packages: frozenset[str] = field(default_factory=frozenset)
    vendors: frozenset[str] = field(default_factory=frozenset)
    everything: bool = False

    def __or__(self, other: Affected) -> Affected:
        return Affected(
            self.packages | other.packages, self.vendors | other.vendors, self.everything or other.everything
        )


def by_anchors(connection: sqlite3.Connection, anchor_ids: Iterable[str]) -> Affected:
    """What a change of these anchors may concern.

    The packages that name the anchors' own keys and names or what they issued, and the same for every stored certificate below
    them or on the same key. An anchor that no identifier in a package leads to concerns every package of its vendor, and
    everybody's once it is buried.
    """
    found: set[Identifier] = set()
    vendors: set[str] = set()
    everything = False
    seen: set[str] = set()
    waiting = sorted(set(anchor_ids))
    while waiting:
        if len(seen) + len(waiting) > MAX_ANCHORS:
            return Affected(everything=True)
        seen |= set(waiting)
        leading: set[Identifier] = set()
        for stored in rows.current_of(connection, waiting):
            if stored.anchor.kind not in _NAMED_IN_PACKAGES:
                vendors.add(stored.anchor.vendor_id)
                everything = everything or stored.anchor.state in tombstones.STATES
            own = lookup.all_of(stored.anchor)
            leading |= lookup.downward(own) | {i for i in own if i.kind in lookup.IDENTITIES}
            found |= {i for i in own if i.kind not in lookup.LEADING}
        found |= leading
        waiting = [i for i in lookup.owners(connection, leading, limit=MAX_ANCHORS + 1) if i not in seen]
    if everything:
        return Affected(everything=True)
    return Affected(frozenset(packages_with(connection, found)), frozenset(vendors))


def since(connection: sqlite3.Connection, seq: int) -> tuple[Affected, int]:
    """What the audit entries later than number ``seq`` may concern, and the number of the newest of them.

    An anchor concerns what ``by_anchors`` says; a vendor's policy and a baseline every package of the vendor; a decision about a digest
    that package, and a ratchet that people lowered every package of its vendor. Approvals, lineage, ratchets that were raised and
    everything else that changes no verdict that was given concern nothing.
    """
    newest = head(connection).seq
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE seq > ? AND kind <> ? ORDER BY seq LIMIT ?", (seq, RAISED_ENTRY, MAX_ENTRIES)
    ).fetchall()
    audit_log.require_all(connection, entries)
    if not entries:
        return Affected(), max(seq, newest)
    anchors = {str(e["record_id"]) for e in entries if e["record_kind"] == "anchor"}
    of_vendors = ("vendor", "baseline", "ratchet")
    vendors = {str(e["vendor_id"]) for e in entries if e["record_kind"] in of_vendors and e["vendor_id"]}
    packages = {str(e["subject"]) for e in entries if e["record_kind"] == "decision"}
    whole = len(entries) == MAX_ENTRIES
    told = Affected(frozenset(packages), frozenset(vendors), everything=whole)
    return told | by_anchors(connection, anchors), int(entries[-1]["seq"]) if whole else newest
