"""Decisions about one package by its digest: block it for good or for a while, or let it pass for at most 30 days.

One command, run by each approver: the first call proposes and is the first approval, the same command (digest, vendor, effect and
end alike) by another person adds his. Blocking needs one person, letting pass as many as the vendor's policy asks; ending a
block needs those as well, ending an allowance one. Every function runs in one transaction with its audit entries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trust_store.anchor_changes import clean_text
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.identifiers import RANDOM_BYTES, format_time, new_id, normalise_hex
from trust_store.model.trust_view import ALLOW, BLOCK, LONGEST_ALLOWANCE, DigestDecision
from trust_store.storage.anchors import ensure_store_id
from trust_store.storage.approvals import Approval
from trust_store.storage.connection import transaction
from trust_store.storage.digest_decisions import (
    EFFECTIVE,
    PENDING,
    WITHDRAWN,
    StoredDecision,
    append_decision,
    current,
    current_of,
    of_package,
)
from trust_store.storage.vendors import effective_vendor
from trust_store.tally import Tally, count_on

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from trust_store.model.vendor import Vendor

SHA256_DIGITS = 64
ALERT = "digest_decision"
APPROVAL = "package.approval"


@dataclass(frozen=True, slots=True)
class Wish:
    """What one approver asks for: ``effect`` block or allow, ``until`` an aware time (None: a block without an end)."""

    package_sha256: str
    effect: str
    reason: str
    until: datetime | None


def decide(
    connection: sqlite3.Connection,
    wish: Wish,
    *,
    vendor: Vendor | None,
    identity: str,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> dict[str, Any]:
    """One person's block or allowance of a digest; it counts with the last approval needed.

    Raises UsageError for a digest, effect or end that is none, DecisionRefusedError for a vendor that is not configured, a
    person who approved already or a decision that is in effect already.
    """
    asked = _require_sound(wish, at)
    with transaction(connection):
        ensure_store_id(connection, at=at, randomness=randomness)
        if vendor is None:
            raise DecisionRefusedError(
                "the vendor is not configured: a decision about its package would count for nobody"
            )
        needed = 1 if asked.effect == BLOCK else effective_vendor(connection, vendor).policy.approvals
        stored = _standing(connection, asked, vendor.id)
        if stored is not None and stored.state == EFFECTIVE:
            raise DecisionRefusedError(f"{stored.decision.id} says exactly this already and is in effect")
        if stored is None:
            stored = _propose(connection, asked, vendor.id, identity, at, randomness, needed)
        return _approve(connection, stored, asked, identity, at, needed)


def withdraw(
    connection: sqlite3.Connection, decision_id: str, reason: str, *, vendor: Vendor | None, identity: str, at: datetime
) -> dict[str, Any]:
    """End a decision: an allowance, or one that is not complete yet, by one person; a block by as many as policy asks."""
    with transaction(connection):
        stored = require_decision(connection, decision_id)
        decision = stored.decision
        if stored.state == WITHDRAWN:
            raise DecisionRefusedError(f"{decision_id} is withdrawn already")
        needed = 1
        if decision.effect == BLOCK and stored.state == EFFECTIVE:
            if vendor is None or vendor.id != decision.vendor_id:
                raise DecisionRefusedError(f"vendor {decision.vendor_id!r} is not configured: no policy to decide by")
            needed = effective_vendor(connection, vendor).policy.approvals
        because = clean_text(reason)
        approval = Approval(decision_id, WITHDRAWN, _bound(decision, WITHDRAWN), identity, reason=because)
        tally = count_on(connection, approval, needed, kind=APPROVAL, at=at)
        if not tally.complete:
            return _told(
                stored, WITHDRAWN, "recorded", tally, f"it stays {stored.state} until {tally.missing} more withdraw it"
            )
        ended = replace(stored, version=stored.version + 1, state=WITHDRAWN, recorded_at=at)
        append_decision(connection, ended, actor=identity, body={"because": because}, at=at)
        return _told(ended, WITHDRAWN, WITHDRAWN, tally, "it counts no more")


def require_decision(connection: sqlite3.Connection, decision_id: str) -> StoredDecision:
    """The current version; raises DecisionRefusedError where there is none of this id."""
    stored = current(connection, decision_id)
    if stored is None:
        raise DecisionRefusedError(
            f"there is no decision {decision_id[:64]!r}; 'rootwarden package decisions' shows them"
        )
    return stored


def _require_sound(wish: Wish, at: datetime) -> Wish:
    digest = normalise_hex(wish.package_sha256) or ""
    if len(digest) != SHA256_DIGITS:
        raise UsageError("a package is named by its SHA-256, 64 hex digits: sha256sum FILE")
    if wish.effect not in (BLOCK, ALLOW):
        raise UsageError("a digest decision is a block or an allowance")
    if not wish.reason.strip():
        raise UsageError("the reason is needed: it is all that the log will tell")
    if wish.effect == ALLOW and wish.until is None:
        raise UsageError(f"a package is let through for at most {LONGEST_ALLOWANCE.days} days: say until when")
    if wish.until is not None and wish.until <= at:
        raise UsageError(f"{format_time(wish.until)} is not in the future")
    if wish.effect == ALLOW and wish.until is not None and wish.until - at > LONGEST_ALLOWANCE:
        last = format_time(at + LONGEST_ALLOWANCE)
        raise UsageError(
            f"a package is let through for at most {LONGEST_ALLOWANCE.days} days: until {last} at the latest"
        )
    return replace(wish, package_sha256=digest, reason=clean_text(wish.reason))


def _standing(connection: sqlite3.Connection, wish: Wish, vendor_id: str) -> StoredDecision | None:
    """The decision, pending or in effect, that says exactly this; one that is in effect before one that is pending."""
    same = [
        stored
        for stored in current_of(of_package(connection, wish.package_sha256))
        if stored.state != WITHDRAWN
        and (stored.decision.vendor_id, stored.decision.effect, stored.decision.effective_until)
        == (vendor_id, wish.effect, wish.until)
    ]
    return min(same, key=lambda s: (s.state != EFFECTIVE, s.decision.id), default=None)


def _propose(
    connection: sqlite3.Connection,
    wish: Wish,
    vendor_id: str,
    identity: str,
    at: datetime,
    randomness: Callable[[int], bytes],
    needed: int,
) -> StoredDecision:
    decision = DigestDecision(
        new_id("decision", at, randomness(RANDOM_BYTES)), wish.package_sha256, vendor_id, wish.effect, wish.reason, at,
        wish.until,
    )  # fmt: skip
    stored = StoredDecision(decision, 1, PENDING, identity, at)
    append_decision(connection, stored, actor=identity, body={"needed": needed}, at=at)
    return stored


def _approve(
    connection: sqlite3.Connection, stored: StoredDecision, wish: Wish, identity: str, at: datetime, needed: int
) -> dict[str, Any]:
    decision = stored.decision
    # The decision keeps the reason of who proposed it; each approver's own stands beside his approval.
    approval = Approval(decision.id, EFFECTIVE, _bound(decision, EFFECTIVE), identity, reason=wish.reason)
    tally = count_on(connection, approval, needed, kind=APPROVAL, at=at)
    if not tally.complete:
        told = f"approval {tally.given} of {tally.needed}: {tally.missing} more must run the same command, with the same end"
        return _told(stored, EFFECTIVE, "recorded", tally, told)
    done = replace(
        stored,
        decision=replace(decision, effective_from=at),
        version=stored.version + 1,
        state=EFFECTIVE,
        recorded_at=at,
    )
    body = {"approvals": tally.given, "needed": tally.needed}
    append_decision(connection, done, actor=identity, body=body, at=at)
    return _told(done, EFFECTIVE, EFFECTIVE, tally, "it is in effect")


def _bound(decision: DigestDecision, transition: str) -> str:
    """What an approval is bound to: nobody approves another digest, vendor, effect or end than the one he named."""
    until = format_time(decision.effective_until) if decision.effective_until else ""
    parts = (decision.id, decision.package_sha256, decision.vendor_id, decision.effect, until, transition)
    return hashlib.sha256(b"rootwarden/digest-decision/1\0" + "\0".join(parts).encode()).hexdigest()


def _told(stored: StoredDecision, wanted: str, outcome: str, tally: Tally, message: str) -> dict[str, Any]:
    decision = stored.decision
    return {
        "decision": decision.id,
        "package": decision.package_sha256,
        "vendor": decision.vendor_id,
        "effect": decision.effect,
        "wanted": wanted,
        "outcome": outcome,
        "state": stored.state,
        "approvals": tally.given,
        "needed": tally.needed,
        "effective_until": format_time(decision.effective_until) if decision.effective_until else None,
        "alert": ALERT,
        "message": f"{decision.id} ({decision.effect} {decision.package_sha256[:12]}... of {decision.vendor_id}): {message}",
    }
