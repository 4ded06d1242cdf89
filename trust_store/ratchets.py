"""Ratchets: raised by what passes in the intake, lowered by people (shell). ``verification.ratchet`` says what they hold packages to.

Raising needs nobody and writes a version only where something new was seen. Lowering makes it easier for packages to pass, so that it needs
as many people as the vendor's policy asks for accepting a key; each runs the same command, and whatever raises the ratchet meanwhile
voids what was approved before.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trust_store.anchor_changes import clean_text
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.ratchet import (
    DIGEST,
    DIMENSIONS,
    PRODUCT,
    SCHEME,
    SIGNERS,
    UNSIGNED,
    VERSION,
    Mark,
    Ratchet,
    names_of,
    ratchet_id,
)
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import Outcome
from trust_store.storage.approvals import Approval
from trust_store.storage.connection import transaction
from trust_store.storage.ratchets import LOWERED, RAISED, StoredRatchet, append_ratchet, current
from trust_store.storage.vendors import effective_vendor
from trust_store.tally import Tally, count_on
from trust_store.verification.question import NOW
from trust_store.verification.ratchet import NONE
from trust_store.verification.strength import digest_rank, rank

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.ratchet import Strength
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import Verdict

ALERT = "ratchet_lowered"
APPROVAL = "ratchet.approval"
SYSTEM = "system"
STORE = "store"
MAX_SIGNERS = 1000
_SCHEME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}\Z")


def raise_by(
    connection: sqlite3.Connection,
    facts: PackageFacts,
    verdict: Verdict,
    *,
    first_seen_at: datetime | None,
    at: datetime,
) -> tuple[str, ...]:
    """Raise the ratchets of a package that the intake took in, inside the caller's transaction; returns the ids of those raised.

    Only what passes now, for a stated vendor, by the store's anchors alone raises any: no digest decision, no anchors of the asker's, no
    other time. ``first_seen_at``: what was seen before people lowered a ratchet does not raise it again.
    """
    vendor_id, shown = verdict.vendor.id, verdict.strength
    counts = verdict.outcome is Outcome.PASSED and (verdict.basis.trust, verdict.basis.time) == (STORE, NOW)
    if not counts or vendor_id in (None, ANY_VENDOR) or shown is None or not facts.sha256:
        return ()
    raised = []
    for kind, name in names_of(facts.product, verdict.name):
        before = current(connection, ratchet_id(vendor_id, kind, name))
        old = before.ratchet if before is not None else Ratchet(vendor_id, kind, name, 0, at)
        if old.lowered_at is not None and first_seen_at is not None and first_seen_at < old.lowered_at:
            continue
        new = _raised(old, shown, facts.sha256, at)
        if new is not None:
            append_ratchet(connection, StoredRatchet(new, RAISED, facts.sha256, "", SYSTEM), body={}, at=at)
            raised.append(new.id)
    return tuple(raised)


def lower(
    connection: sqlite3.Connection,
    ratchet: str,
    to: Iterable[str],
    reason: str,
    *,
    vendor: Vendor | None,
    identity: str,
    at: datetime,
) -> dict[str, Any]:
    """One person's approval of a lower ratchet; it counts with the last approval needed.

    ``to`` are DIMENSION=VALUE; none at all forgets everything. Raises UsageError for what is no dimension or value,
    DecisionRefusedError where it would not be lower, the vendor is not configured or the person has approved already.
    """
    because = clean_text(reason)
    if not because.strip():
        raise UsageError("the reason is needed: it is all that the log will tell")
    with transaction(connection):
        stored = require_ratchet(connection, ratchet)
        old = stored.ratchet
        if vendor is None or vendor.id != old.vendor_id:
            raise DecisionRefusedError(f"vendor {old.vendor_id!r} is not configured: no policy to decide by")
        new = replace(lowered(old, to), number=old.number + 1, recorded_at=at, lowered_at=at)
        needed = effective_vendor(connection, vendor).policy.approvals
        approval = Approval(old.id, LOWERED, _bound(new), identity, reason=because)
        tally = count_on(connection, approval, needed, kind=APPROVAL, at=at)
        if not tally.complete:
            told = f"approval {tally.given} of {tally.needed}: {tally.missing} more must run the same command, with the same --to"
            return _told(old, new, "recorded", tally, told)
        body = {"approvals": tally.given, "needed": tally.needed}
        append_ratchet(connection, StoredRatchet(new, LOWERED, None, because, identity), body=body, at=at)
        return _told(old, new, LOWERED, tally, "it is lowered")


def require_ratchet(connection: sqlite3.Connection, ratchet: str) -> StoredRatchet:
    """The current version; raises DecisionRefusedError where there is none of this id."""
    stored = current(connection, ratchet)
    if stored is None:
        raise DecisionRefusedError(f"there is no ratchet {ratchet[:64]!r}; 'rootwarden ratchet list' shows them")
    return stored


def lowered(old: Ratchet, to: Iterable[str]) -> Ratchet:
    """The ratchet with the marks that ``to`` states, all of them below what it has; pure, raises as ``lower`` does.

    ``scheme=unsigned`` takes digest and signers with it, since nothing of a signature is left to be compared.
    """
    wanted = _wanted(to)
    if not wanted:
        wanted = {name: None for name in DIMENSIONS if old.mark(name) is not None}
    elif wanted.get(SCHEME, SCHEME) is None:
        wanted |= {name: None for name in (DIGEST, SIGNERS) if old.mark(name) is not None}
    if not wanted:
        raise DecisionRefusedError(f"{old.id} holds nothing to anything: there is nothing to lower")
    marks: dict[str, Mark | None] = {}
    for name, value in wanted.items():
        mark = old.mark(name)
        if mark is None or (value is not None and not rank(name, value) < rank(name, mark.value)):
            held = mark.value if mark is not None else "nothing"
            raise DecisionRefusedError(f"{name}={value or UNSIGNED} is not lower than what {old.id} holds: {held}")
        marks[name] = replace(mark, value=value) if value is not None else None
    return old.with_marks(marks)


def marks_told(ratchet: Ratchet) -> dict[str, str]:
    """What a ratchet holds packages to, by dimension."""
    return {name: mark.value for name in DIMENSIONS if (mark := ratchet.mark(name)) is not None}


def _wanted(to: Iterable[str]) -> dict[str, str | None]:
    """The values stated, by dimension; None for one that is not to be looked at any more."""
    found: dict[str, str | None] = {}
    for pair in to:
        name, _, value = pair.partition("=")
        if name not in DIMENSIONS or not value or name in found:
            raise UsageError(
                f"{pair[:100]!r}: what a ratchet is lowered to is written DIMENSION=VALUE, each of {', '.join(DIMENSIONS)} once"
            )
        if name == SIGNERS and not (value.isascii() and value.isdigit() and int(value[:9]) <= MAX_SIGNERS):
            raise UsageError(f"{pair[:100]!r}: signers is a number")
        if name == SCHEME and not _SCHEME.match(value):
            raise UsageError(f"{pair[:100]!r}: a scheme is written as 'ratchet show' shows it, for example apk-v2")
        if name == DIGEST and value != NONE and not digest_rank(value):
            raise UsageError(f"{pair[:100]!r}: no digest of this name is known, for example sha256")
        nothing = (name, value) in ((SCHEME, UNSIGNED), (DIGEST, NONE), (SIGNERS, "0"), (VERSION, NONE))
        found[name] = None if nothing else value
    return found


def _raised(old: Ratchet, shown: Strength, package_sha256: str, at: datetime) -> Ratchet | None:
    """The ratchet with what the package shows more of; None where it shows nothing more."""
    seen = {SCHEME: shown.scheme, DIGEST: shown.digest, SIGNERS: str(shown.signers)}
    if old.kind == PRODUCT and shown.version:
        seen[VERSION] = shown.version
    marks = {
        name: Mark(value, package_sha256, at)
        for name, value in seen.items()
        if value and ((mark := old.mark(name)) is None or rank(name, value) > rank(name, mark.value))
    }
    return replace(old, number=old.number + 1, recorded_at=at).with_marks(marks) if marks else None


def _bound(new: Ratchet) -> str:
    """What an approval is bound to: the marks that would count, on top of the version that was looked at."""
    said = json.dumps([new.id, new.number, sorted(marks_told(new).items())], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(b"rootwarden/ratchet-lowering/1\0" + said.encode()).hexdigest()


def _told(old: Ratchet, new: Ratchet, outcome: str, tally: Tally, message: str) -> dict[str, Any]:
    before, after = marks_told(old), marks_told(new)
    changed = ", ".join(
        f"{name} {value} -> {after.get(name, 'anything')}" for name, value in before.items() if after.get(name) != value
    )
    return {
        "ratchet": old.id,
        "vendor": old.vendor_id,
        "product": old.name,
        "kind": old.kind,
        "number": new.number,
        "before": before,
        "after": after,
        "outcome": outcome,
        "approvals": tally.given,
        "needed": tally.needed,
        "alert": ALERT,
        "changed": changed,
        "message": f"{old.id} ({old.kind} {old.name} of {old.vendor_id}: {changed}): {message}",
    }
