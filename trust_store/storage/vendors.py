"""Vendor files as versions: every change is logged, and one that weakens policy waits for approval under the old policy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time
from trust_store.model.vendor import Contact, Vendor, VendorPolicy
from trust_store.quick_dataclass import dataclass
from trust_store.storage import audit_log
from trust_store.storage.anchors import ensure_store_id, raise_revision
from trust_store.storage.records import RECORD_TABLES, content_digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

EFFECTIVE, AWAITING, REMOVED = "effective", "awaiting", "removed"
_WEAKER = frozenset({("claimed_time", "accept"), ("call", "or_hold_down"), ("mode", "observe"), ("rollback", "accept")})
"""Values of policy that ask for less than the other value of the same field."""
_GONE = frozenset({"rotation_grace_days"})
"""Fields of policy that versions recorded earlier still have, and nothing reads."""


@dataclass(frozen=True, slots=True)
class VendorChange:
    """One field of a vendor file that changed; ``weakens`` means it takes effect only when approved under the old policy."""

    vendor_id: str
    field: str
    old: Any
    new: Any
    weakens: bool


@dataclass(frozen=True, slots=True)
class VendorSnapshot:
    """One recorded version of a vendor file."""

    vendor: Vendor
    version: int
    digest: str
    state: str


def record_vendors(
    connection: sqlite3.Connection, vendors: Iterable[Vendor], at: datetime, randomness: Callable[[int], bytes]
) -> tuple[VendorChange, ...]:
    """Record the vendor files as loaded, inside the caller's transaction; returns what changed since the last time.

    The first vendors of a store are no change; one that comes later is, since with its file come its people and its numbers to call.
    A vendor that is gone keeps its last policy: coming back weaker is a weakening.
    """
    ensure_store_id(connection, at=at, randomness=randomness)
    changes: list[VendorChange] = []
    loaded = {vendor.id: vendor for vendor in vendors}
    first = connection.execute("SELECT 1 FROM vendor_snapshot LIMIT 1").fetchone() is None
    for vendor in loaded.values():
        changes += _record(connection, vendor, at, first=first)
    for vendor_id in [str(r[0]) for r in connection.execute("SELECT DISTINCT vendor_id FROM vendor_snapshot")]:
        known = latest(connection, vendor_id)
        if vendor_id not in loaded and known is not None and known.state != REMOVED:
            gone = VendorChange(vendor_id, "file", "present", None, weakens=False)
            _append(connection, replace(known, version=known.version + 1, state=REMOVED), [gone], "configuration", at)
            changes.append(gone)
    return tuple(changes)


def effective_vendor(connection: sqlite3.Connection, vendor: Vendor) -> Vendor:
    """The vendor as it counts now: what the file says, except for a weakening that nobody approved."""
    held = effective(connection, vendor.id)
    if held is None or held.vendor == vendor:
        return vendor
    old, new = held.vendor.policy, vendor.policy
    policy = replace(
        new,
        approvals=max(old.approvals, new.approvals),
        hold_down_days=max(old.hold_down_days, new.hold_down_days),
        required_signatures=max(old.required_signatures, new.required_signatures),
        claimed_time="accept" if (old.claimed_time, new.claimed_time) == ("accept", "accept") else "reject",
        call="or_hold_down" if (old.call, new.call) == ("or_hold_down", "or_hold_down") else "required",
        mode="observe" if (old.mode, new.mode) == ("observe", "observe") else "enforce",
        rollback="accept" if (old.rollback, new.rollback) == ("accept", "accept") else "refuse",
    )
    known = _ways(held.vendor)
    contacts = tuple(
        replace(c, name=c.name if c.name in known else "", phone=_if(c.phone, known), mail=_if(c.mail, known), portal=_if(c.portal, known))
        for c in vendor.contacts
    )  # fmt: skip
    return replace(vendor, policy=policy, contacts=tuple(c for c in contacts if c.phone or c.mail or c.portal))


def most_approvals(connection: sqlite3.Connection, vendors: Iterable[Vendor]) -> int:
    """The most people that any vendor's policy asks for, of those loaded and those ever recorded: a file that is gone still counts."""
    found = [effective_vendor(connection, vendor).policy.approvals for vendor in vendors]
    for row in connection.execute("SELECT DISTINCT vendor_id FROM vendor_snapshot").fetchall():
        held = effective(connection, str(row[0]))
        found.append(held.vendor.policy.approvals if held else VendorPolicy().approvals)
    return max(found, default=VendorPolicy().approvals)


def latest(connection: sqlite3.Connection, vendor_id: str) -> VendorSnapshot | None:
    """The newest recorded version of a vendor file, checked against the audit log."""
    return _checked(
        connection,
        connection.execute(
            "SELECT * FROM vendor_snapshot WHERE vendor_id = ? ORDER BY version DESC LIMIT 1", (vendor_id,)
        ).fetchone(),
    )


def effective(connection: sqlite3.Connection, vendor_id: str) -> VendorSnapshot | None:
    """The newest version that counts, checked against the audit log; the log says which one that is."""
    said = connection.execute(
        "SELECT max(record_version) FROM audit_log WHERE record_kind = 'vendor' AND vendor_id = ? AND state = ?",
        (vendor_id, EFFECTIVE),
    ).fetchone()[0]
    found = _checked(
        connection,
        connection.execute(
            "SELECT * FROM vendor_snapshot WHERE vendor_id = ? AND state = ? ORDER BY version DESC LIMIT 1",
            (vendor_id, EFFECTIVE),
        ).fetchone(),
    )
    if said != (found.version if found else None):
        raise StoreInconsistentError(
            f"vendor_snapshot: {vendor_id} is not at version {said}, where the audit log has it"
        )
    return found


def as_known_at(connection: sqlite3.Connection, vendor_id: str, known_at: datetime) -> VendorSnapshot | None:
    """The version that counted as recorded by ``known_at``, checked against the audit log; None where there was none yet."""
    moment = format_time(known_at)
    said = connection.execute(
        "SELECT max(record_version) FROM audit_log"
        " WHERE record_kind = 'vendor' AND vendor_id = ? AND state = ? AND recorded_at <= ?",
        (vendor_id, EFFECTIVE, moment),
    ).fetchone()[0]
    found = _checked(
        connection,
        connection.execute(
            "SELECT * FROM vendor_snapshot WHERE vendor_id = ? AND state = ? AND recorded_at <= ? ORDER BY version DESC LIMIT 1",
            (vendor_id, EFFECTIVE, moment),
        ).fetchone(),
    )
    if said != (found.version if found else None):
        raise StoreInconsistentError(
            f"vendor_snapshot: {vendor_id} was not at version {said}, where the audit log has it at {moment}"
        )
    return found


def approve_snapshot(connection: sqlite3.Connection, awaiting: VendorSnapshot, actor: str, at: datetime) -> None:
    """Make an awaiting version count; the caller has counted the approvals."""
    approved = replace(awaiting, version=awaiting.version + 1, state=EFFECTIVE)
    _append(connection, approved, [], actor, at)


def digest_of(vendor: Vendor) -> str:
    """SHA-256 of a vendor's canonical text."""
    return hashlib.sha256(_encode(vendor).encode()).hexdigest()


def changes_between(old: Vendor, new: Vendor) -> list[VendorChange]:
    """Field by field; pure.

    Fewer people, fewer signatures, a shorter wait, self-claimed time, no call, observing only, older versions and new ways to call weaken.
    """
    found = [
        VendorChange(new.id, name, getattr(old, name), getattr(new, name), weakens=False)
        for name in ("name", "domains", "package_patterns")
        if getattr(old, name) != getattr(new, name)
    ]
    for name in asdict(old.policy):
        before, after = getattr(old.policy, name), getattr(new.policy, name)
        lowers = name in ("approvals", "hold_down_days", "required_signatures") and after < before
        if before != after:
            weakens = lowers or (name, after) in _WEAKER
            found.append(VendorChange(new.id, f"policy.{name}", before, after, weakens=weakens))
    if old.contacts != new.contacts:
        before_ways, after_ways = _ways(old), _ways(new)
        found.append(
            VendorChange(
                new.id, "contacts", sorted(before_ways), sorted(after_ways), weakens=not after_ways <= before_ways
            )
        )
    return found


def _record(connection: sqlite3.Connection, vendor: Vendor, at: datetime, *, first: bool) -> list[VendorChange]:
    known, held = latest(connection, vendor.id), effective(connection, vendor.id)
    digest = digest_of(vendor)
    if known is not None and known.digest == digest and known.state != REMOVED:
        return []
    number = known.version + 1 if known else 1
    changes = changes_between(held.vendor, vendor) if held else []
    # What goes back to what counts is no change of policy, and is a change of the file that people are told of.
    seen = {change.field for change in changes}
    changes += (
        [replace(c, weakens=False) for c in changes_between(known.vendor, vendor) if c.field not in seen]
        if known
        else []
    )
    if known.state == REMOVED if known is not None else not first:
        changes.append(VendorChange(vendor.id, "file", None, "present", weakens=False))
    state = AWAITING if any(c.weakens for c in changes) else EFFECTIVE
    _append(connection, VendorSnapshot(vendor, number, digest, state), changes, "configuration", at)
    return changes


def _append(
    connection: sqlite3.Connection,
    snapshot: VendorSnapshot,
    changes: list[VendorChange],
    actor: str,
    at: datetime,
) -> None:
    row = {
        "vendor_id": snapshot.vendor.id,
        "version": snapshot.version,
        "digest": snapshot.digest,
        "content": _encode(snapshot.vendor),
        "state": snapshot.state,
        "recorded_at": format_time(at),
    }
    record = audit_log.Record(
        "vendor", snapshot.vendor.id, snapshot.version, content_digest(RECORD_TABLES["vendor"], row),
        snapshot.vendor.id, snapshot.state,
    )  # fmt: skip
    body = {
        "digest": snapshot.digest,
        "state": snapshot.state,
        "changes": [
            {"field": c.field, "old": _plain(c.old), "new": _plain(c.new), "weakens": c.weakens} for c in changes
        ],
    }
    seq = audit_log.append(connection, f"vendor.{snapshot.state}", actor, snapshot.vendor.id, body, at, record=record)
    connection.execute("INSERT INTO vendor_snapshot VALUES (?, ?, ?, ?, ?, ?, ?)", (*row.values(), seq))
    raise_revision(connection)


def _checked(connection: sqlite3.Connection, row: sqlite3.Row | None) -> VendorSnapshot | None:
    if row is None:
        return None
    entry = connection.execute("SELECT * FROM audit_log WHERE seq = ?", (row["audit_seq"],)).fetchone()
    audit_log.signatures_of(connection).require_record(row, "vendor", entry)
    try:
        return VendorSnapshot(_decode(row["content"]), row["version"], row["digest"], row["state"])
    except (ValueError, TypeError, KeyError) as error:
        raise StoreInconsistentError(f"vendor_snapshot: {row['vendor_id']} cannot be read: {error}") from error


def _encode(vendor: Vendor) -> str:
    return json.dumps(asdict(vendor), sort_keys=True, ensure_ascii=True)


def _decode(text: str) -> Vendor:
    said = json.loads(text)
    policy = {name: value for name, value in said["policy"].items() if name not in _GONE}
    return Vendor(
        id=said["id"],
        name=said["name"],
        domains=tuple(said["domains"]),
        contacts=tuple(Contact(**contact) for contact in said["contacts"]),
        policy=VendorPolicy(**policy),
        package_patterns=tuple(said["package_patterns"]),
    )


def _ways(vendor: Vendor) -> set[str]:
    """Every name, number and address under which somebody of the vendor may be called."""
    return {way for c in vendor.contacts for way in (c.name, c.phone, c.mail, c.portal) if way}


def _if(way: str, known: set[str]) -> str:
    return way if way in known else ""


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
