"""One entry for every decision, whoever carries it here: the daemon's control socket or a command without a daemon.

Arguments are JSON from another process: each is checked for type and size, an unknown one is refused. Who decides is the
caller's to prove and is never an argument.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trust_store import anchor_approval, anchor_management, other_decisions
from trust_store.anchor_approval import COMPROMISE_CAUSE, REVOCATION_CAUSES
from trust_store.anchor_changes import rules_stated
from trust_store.anchor_imports import import_keys
from trust_store.anchor_rules import Way
from trust_store.baselines import Rules
from trust_store.decision_arguments import LIMIT_ARGUMENTS, MAX_LIST, RULE_ARGUMENTS, Request, limits_of, rule_of
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.exchange.importing import proposals_in
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.policy_approval import approve_approvers, approve_policy
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from trust_store.anchor_changes import Decision
    from trust_store.model.claim import Proposal
    from trust_store.model.vendor import Vendor

MAX_IMPORT_BYTES = 8 * 1024 * 1024
"""Of one request: its base64 fits into the longest line that the daemon's control socket takes (16 MiB)."""
MAX_NAME_CHARACTERS = 200
_ISSUING_KINDS = frozenset({AnchorKind.X509, AnchorKind.SPKI})


def perform(
    connection: sqlite3.Connection,
    command: str,
    arguments: Mapping[str, Any],
    *,
    identity: str,
    vendors: tuple[Vendor, ...],
    at: datetime,
    randomness: Callable[[int], bytes],
    within: Callable[[sqlite3.Connection, Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Make one decision as ``identity`` and return what came of it (JSON values only).

    Opens the transaction itself and commits a fingerprint that did not match before raising DecisionRefusedError with kind
    ``mismatch`` or ``incomplete``. ``within`` is called with the result, refused or not, inside that transaction, so that an
    alert commits together with it. Raises DecisionRefusedError, UsageError or a store error; nothing is written then.
    """
    if connection.in_transaction:
        raise ValueError("a decision is its own transaction: what it refuses must stay on record")
    if not identity:
        raise DecisionRefusedError("nobody decides: who asks is not named in [approvers]")
    if command not in COMMANDS:
        raise UsageError(f"unknown decision {command[:100]!r}")
    function, allowed = COMMANDS[command]
    unknown = sorted(set(arguments) - allowed)
    if unknown:
        raise UsageError(f"{command} knows no argument {unknown[0][:100]!r}")
    with transaction(connection):
        result = function(Request(connection, arguments, identity, vendors, at, randomness))
        if within is not None:
            within(connection, result)
    if result["outcome"] in ("mismatch", "incomplete"):
        raise DecisionRefusedError(str(result["message"]), kind=str(result["outcome"]))
    return result


def _approve(request: Request) -> dict[str, Any]:
    waited, broken = request.flag("without_call") is True, request.flag("break_glass") is True
    if waited and broken:
        raise UsageError("either --without-call or --break-glass: the one waits, the other does not")
    way = Way.HOLD_DOWN if waited else Way.BREAK_GLASS if broken else Way.CALL
    decision = anchor_approval.approve(
        request.connection, request.anchor_id, request.call(), identity=request.identity,
        vendor=request.vendor_of_anchor(), at=request.at, way=way, reason=request.text("reason", ""),
        rules=request.text("rules", ""),
    )  # fmt: skip
    stated = rules_stated(request.connection, request.anchor_id)
    if stated is not None and stated.actor != request.identity and not decision.refused:
        # Whoever looked at other rules before is to notice, and to withdraw what this led to.
        told = f"{decision.message}; its rules are those that {stated.actor} stated on {stated.at:%Y-%m-%d %H:%M} UTC"
        decision = replace(decision, message=told)
    return _told(decision)


def _reject(request: Request) -> dict[str, Any]:
    return _told(
        anchor_approval.reject(
            request.connection,
            request.anchor_id,
            request.text("because"),
            identity=request.identity,
            at=request.at,
            call=request.call(),
        )
    )


def _lower(request: Request, new: AnchorState, cause: str, said: dict[str, str] | None = None) -> dict[str, Any]:
    return _told(
        anchor_approval.lower(
            request.connection,
            request.anchor_id,
            new,
            identity=request.identity,
            cause=cause,
            at=request.at,
            effective_from=request.time("effective_from"),
            said=said,
        )
    )


def _distrust(request: Request) -> dict[str, Any]:
    return _lower(request, AnchorState.DISTRUSTED, request.text("reason"))


def _compromise(request: Request) -> dict[str, Any]:
    return _lower(request, AnchorState.COMPROMISED, COMPROMISE_CAUSE)


def _revoke(request: Request) -> dict[str, Any]:
    cause = request.text("because", "unspecified").replace("_", "-")
    if cause not in REVOCATION_CAUSES:
        raise UsageError(f"a revocation is because {', '.join(REVOCATION_CAUSES)}")
    said = {name: text for name in ("reason", "ticket") if (text := request.text(name, ""))}
    return _lower(request, AnchorState.COMPROMISED if cause == COMPROMISE_CAUSE else AnchorState.REVOKED, cause, said)


def _supersede(request: Request) -> dict[str, Any]:
    return _retire(request, AnchorState.SUPERSEDED, request.text("successor"))


def _remove(request: Request) -> dict[str, Any]:
    return _retire(request, AnchorState.REMOVED, None)


def _retire(request: Request, new: AnchorState, successor: str | None) -> dict[str, Any]:
    decision = anchor_approval.retire(
        request.connection, request.anchor_id, new, identity=request.identity, vendor=request.vendor_of_anchor(),
        at=request.at, successor=successor, cause=request.text("reason", "") or None, ticket=request.text("ticket", "") or None,
    )  # fmt: skip
    return _told(decision)


def _constrain(request: Request) -> dict[str, Any]:
    rule, limits = rule_of(request), limits_of(request)
    follow = request.flag("follow_rotation")
    if rule is None and not limits and follow is None:
        raise UsageError(
            "nothing to constrain: say --dedicated or whose signatures count (--signer-subject, --signer-spki ...), or a limit "
            "(--product, --format, --valid-until ...)"
        )
    vendor = request.vendor_of_anchor()
    return _told(
        anchor_management.constrain(
            request.connection,
            request.anchor_id,
            identity=request.identity,
            at=request.at,
            rule=rule,
            limits=limits,
            follow_rotation=follow,
            lapse_days=vendor.policy.proposal_lapse_days if vendor else None,
        )
    )


def _import(request: Request) -> dict[str, Any]:
    """Propose (or, with ``distrust``, bury) every key of a file; an import is a sighting and trusts nothing."""
    vendor = other_decisions.require_configured(request)
    bury = request.flag("distrust") is True
    reason = request.text("reason", "") or "imported as distrusted"
    data = other_decisions.decoded(request.arguments.get("data"), "data", MAX_IMPORT_BYTES)
    keys = import_keys(
        request.connection, _ruled(request, _proposals(request, data, "imported")), bury_because=reason if bury else None,
        identity=request.identity, at=request.at, randomness=request.randomness,
    )  # fmt: skip
    counts = Counter(key.outcome for key in keys)
    return {
        "outcome": "distrusted" if bury else "proposed",
        "vendor": vendor.id,
        "anchors": [key.anchor_id for key in keys if key.anchor_id],
        "keys": [key.told() for key in keys],
        "message": ", ".join(f"{count} key(s) {outcome}" for outcome, count in sorted(counts.items())),
    }


def _proposals(request: Request, data: bytes, how: str) -> tuple[Proposal, ...]:
    """The keys of one file, under the name that the file had where it came from."""
    return proposals_in(
        data,
        request.text("vendor"),
        f"{how} by {request.identity}",
        name=request.text("name", "")[:MAX_NAME_CHARACTERS],
    )


def _ruled(request: Request, proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    """The proposals under what the file says of them and what the importer states: limits one by one, a rule for whatever issues."""
    rule, limits = rule_of(request), limits_of(request)
    for proposal in proposals:
        applied = proposal.signer_rule if rule is None or proposal.kind not in _ISSUING_KINDS else rule
        yield replace(proposal, signer_rule=applied, constraints=replace(proposal.constraints, **limits))


def _propose_baseline(request: Request) -> dict[str, Any]:
    """Propose every key of some files as one set; the rules stated are those of every member."""
    files = request.arguments.get("data")
    if not isinstance(files, list) or not 1 <= len(files) <= MAX_LIST:
        raise UsageError(f"'data' must be a list of 1 to {MAX_LIST} files in base64")
    found: list[Proposal] = []
    left = MAX_IMPORT_BYTES
    for file in files:
        data = other_decisions.decoded(file, "data", left)
        left -= len(data)
        # What a file lists as distrusted is no part of what the team relies on.
        found += [p for p in _proposals(request, data, "baseline proposed") if not p.distrusted]
    return other_decisions.propose_baseline(request, found, Rules(rule_of(request), limits_of(request)))


def _approve_policy(request: Request) -> dict[str, Any]:
    vendor = other_decisions.require_configured(request)
    return approve_policy(request.connection, vendor, identity=request.identity, at=request.at)


def _approve_approvers(request: Request) -> dict[str, Any]:
    return approve_approvers(request.connection, request.vendors, identity=request.identity, at=request.at)


def _told(decision: Decision) -> dict[str, Any]:
    """A decision as JSON; it never holds a fingerprint."""
    return {
        "anchor": decision.anchor_id,
        "vendor": decision.vendor_id,
        "outcome": str(decision.outcome),
        "state": decision.state.value,
        "approvals": decision.approvals,
        "needed": decision.needed,
        "message": decision.message,
        "alert": decision.alert,
    }


_CALL = frozenset({"spoke_with", "called", "ticket"})
COMMANDS: dict[str, tuple[Callable[[Request], dict[str, Any]], frozenset[str]]] = {
    "anchor.approve": (
        _approve, frozenset({"anchor", "fingerprint_read", "without_call", "break_glass", "reason", "rules"}) | _CALL,
    ),
    "anchor.compromise": (_compromise, frozenset({"anchor", "effective_from"})),
    "anchor.constrain": (
        _constrain,
        frozenset({"anchor", "follow_rotation", "clear"}) | RULE_ARGUMENTS | LIMIT_ARGUMENTS,
    ),
    "anchor.distrust": (_distrust, frozenset({"anchor", "reason", "effective_from"})),
    "anchor.import": (
        _import, frozenset({"vendor", "data", "name", "distrust", "reason"}) | RULE_ARGUMENTS | LIMIT_ARGUMENTS,
    ),
    "anchor.reject": (_reject, frozenset({"anchor", "because", "fingerprint_read"}) | _CALL),
    "anchor.remove": (_remove, frozenset({"anchor", "reason", "ticket"})),
    "anchor.revoke": (_revoke, frozenset({"anchor", "because", "effective_from", "reason", "ticket"})),
    "anchor.supersede": (_supersede, frozenset({"anchor", "successor", "reason", "ticket"})),
    "baseline.propose": (
        _propose_baseline,
        frozenset({"vendor", "data"}) | RULE_ARGUMENTS | LIMIT_ARGUMENTS,
    ),
    "approvers.approve": (_approve_approvers, frozenset()),
    "policy.approve": (_approve_policy, frozenset({"vendor"})),
    **other_decisions.COMMANDS,
}  # fmt: skip
"""Command -> function and the arguments it knows."""
