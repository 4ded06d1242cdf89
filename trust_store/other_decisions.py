"""Decisions that are not about one anchor, as ``decisions`` is asked for them: digests of packages, baselines, lineage, ratchets.

Each reads its arguments, which are another process's, and calls the shell that decides.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from trust_store import baselines, digest_decisions, lineage_records, ratchets
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.lineage import MAX_PROOF_BYTES
from trust_store.model.trust_view import ALLOW, BLOCK
from trust_store.storage.digest_decisions import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trust_store.baselines import Rules
    from trust_store.decision_arguments import Request
    from trust_store.model.claim import Proposal
    from trust_store.model.vendor import Vendor

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


def block(request: Request) -> dict[str, Any]:
    """``package.block``: package, vendor, reason, until (optional)."""
    return _decide(request, BLOCK)


def allow(request: Request) -> dict[str, Any]:
    """``package.allow``: package, vendor, reason, until."""
    return _decide(request, ALLOW)


def withdraw(request: Request) -> dict[str, Any]:
    """``package.withdraw``: decision, reason (optional)."""
    stored = current(request.connection, request.text("decision"))
    vendor = _named(request, stored.decision.vendor_id) if stored else None
    return digest_decisions.withdraw(
        request.connection, request.text("decision"), request.text("reason", ""), vendor=vendor,
        identity=request.identity, at=request.at,
    )  # fmt: skip


def lower_ratchet(request: Request) -> dict[str, Any]:
    """``ratchet.lower``: ratchet, reason, to (list of DIMENSION=VALUE, optional)."""
    stored = ratchets.require_ratchet(request.connection, request.text("ratchet"))
    return ratchets.lower(
        request.connection, stored.ratchet.id, request.texts("to"), request.text("reason"),
        vendor=_named(request, stored.ratchet.vendor_id), identity=request.identity, at=request.at,
    )  # fmt: skip


def propose_baseline(request: Request, proposals: Iterable[Proposal], rules: Rules) -> dict[str, Any]:
    """``baseline.propose``: the keys of some files as one set."""
    return baselines.propose_baseline(
        request.connection, require_configured(request), proposals, rules, identity=request.identity, at=request.at,
        randomness=request.randomness,
    )  # fmt: skip


def approve_baseline(request: Request) -> dict[str, Any]:
    """``baseline.approve``: baseline, digest_read."""
    stored = baselines.require_baseline(request.connection, request.text("baseline"))
    return baselines.approve_baseline(
        request.connection, stored.id, request.text("digest_read"), vendor=_named(request, stored.vendor_id),
        identity=request.identity, at=request.at,
    )  # fmt: skip


def reject_baseline(request: Request) -> dict[str, Any]:
    """``baseline.reject``: baseline, reason (optional)."""
    return baselines.reject_baseline(
        request.connection,
        request.text("baseline"),
        request.text("reason", ""),
        identity=request.identity,
        at=request.at,
    )


def record_lineage(request: Request) -> dict[str, Any]:
    """``lineage.record``: predecessor, successor, proof (base64, optional), reference (optional)."""
    proof = decoded(request.arguments.get("proof"), "proof", MAX_PROOF_BYTES) if "proof" in request.arguments else None
    link = lineage_records.record(
        request.connection, request.text("predecessor"), request.text("successor"), proof,
        request.text("reference", "") or f"linked by {request.identity}", request.at, identity=request.identity,
    )  # fmt: skip
    return lineage_records.told(link)


def require_configured(request: Request) -> Vendor:
    """The vendor that the request names; raises DecisionRefusedError where it is not configured."""
    name = request.text("vendor")
    vendor = _named(request, name)
    if vendor is None:
        import difflib  # only to put a mistake right

        known = [v.id for v in request.vendors]
        near = difflib.get_close_matches(name[:64], known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none yet'}"
        raise DecisionRefusedError(f"vendor {name[:64]!r} is not configured ({hint})")
    return vendor


def decoded(value: object, name: str, limit: int) -> bytes:
    """Bytes that came as base64; raises UsageError for anything else or more than ``limit`` bytes."""
    if not isinstance(value, str) or len(value) > limit * 4 // 3 + 4:
        raise UsageError(f"{name!r} must be base64 of at most {limit} bytes")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"{name!r} is not base64") from error


def _decide(request: Request, effect: str) -> dict[str, Any]:
    wish = digest_decisions.Wish(request.text("package"), effect, request.text("reason"), _until(request))
    return digest_decisions.decide(
        request.connection, wish, vendor=require_configured(request), identity=request.identity, at=request.at,
        randomness=request.randomness,
    )  # fmt: skip


def _until(request: Request) -> datetime | None:
    """An end: a time with its zone, or a day, which means its first moment in UTC, so that two approvers name the same."""
    if request.arguments.get("until") is None:
        return None
    text = request.text("until")
    if not _DAY.match(text):
        return request.time("until")
    try:
        return datetime.combine(datetime.fromisoformat(text), time(), UTC)
    except ValueError as error:
        raise UsageError(f"'until': {error}") from error


def _named(request: Request, vendor_id: str) -> Vendor | None:
    return next((v for v in request.vendors if v.id == vendor_id), None)


COMMANDS: dict[str, tuple[Callable[[Request], dict[str, Any]], frozenset[str]]] = {
    "baseline.approve": (approve_baseline, frozenset({"baseline", "digest_read"})),
    "baseline.reject": (reject_baseline, frozenset({"baseline", "reason"})),
    "lineage.record": (record_lineage, frozenset({"predecessor", "successor", "proof", "reference"})),
    "package.allow": (allow, frozenset({"package", "vendor", "reason", "until"})),
    "package.block": (block, frozenset({"package", "vendor", "reason", "until"})),
    "package.withdraw": (withdraw, frozenset({"decision", "reason"})),
    "ratchet.lower": (lower_ratchet, frozenset({"ratchet", "reason", "to"})),
}
"""Command -> function and the arguments it knows; ``baseline.propose`` stands with the imports, whose files it reads."""
