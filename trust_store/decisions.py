"""One entry for every decision, whoever carries it here: the daemon's control socket or a command without a daemon.

Arguments are JSON from another process: each is checked for type and size, an unknown one is refused. Who decides is the
caller's to prove and is never an argument.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trust_store import anchor_approval, anchor_management
from trust_store.anchor_approval import COMPROMISE_CAUSE, REVOCATION_CAUSES, Call
from trust_store.decode.openpgp import load_keys
from trust_store.decode.x509 import decode_certificates
from trust_store.errors import (
    DecisionRefusedError,
    MalformedError,
    ResourceLimitError,
    UnsupportedError,
    UsageError,
)
from trust_store.model.claim import Authority, Proposal
from trust_store.model.identifiers import normalise_hex, parse_time
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule
from trust_store.policy_approval import approve_policy
from trust_store.storage.anchors import current
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from trust_store.anchor_changes import Decision
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.vendor import Vendor

MAX_TEXT_CHARACTERS = 2000
MAX_LIST = 100
MAX_IMPORT_BYTES = 512 * 1024
_SHORT_NAMES = ("CN", "O", "OU", "C", "L", "ST", "DC", "UID")


@dataclass(frozen=True, slots=True)
class _Request:
    """One decision being made."""

    connection: sqlite3.Connection
    arguments: Mapping[str, Any]
    identity: str
    vendors: tuple[Vendor, ...]
    at: datetime
    randomness: Callable[[int], bytes]

    @property
    def anchor_id(self) -> str:
        return self.text("anchor")

    def vendor_of_anchor(self) -> Vendor | None:
        stored = current(self.connection, self.anchor_id)
        return next((v for v in self.vendors if stored and v.id == stored.anchor.vendor_id), None)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.arguments.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS or (not value and default is None):
            raise UsageError(f"{name!r} must be text of 1 to {MAX_TEXT_CHARACTERS} characters")
        return value.encode("utf-8", "backslashreplace").decode()

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.arguments.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(v, str) for v in value):
            raise UsageError(f"{name!r} must be a list of at most {MAX_LIST} texts")
        return tuple(v[:MAX_TEXT_CHARACTERS] for v in value)

    def flag(self, name: str) -> bool | None:
        value = self.arguments.get(name)
        if value is not None and not isinstance(value, bool):
            raise UsageError(f"{name!r} must be true or false")
        return value

    def time(self, name: str) -> datetime | None:
        try:
            return parse_time(self.text(name)) if self.arguments.get(name) is not None else None
        except ValueError as error:
            raise UsageError(f"{name!r}: {error}") from error

    def call(self) -> Call:
        return Call(*(self.text(name, "") for name in ("fingerprint_read", "spoke_with", "called", "ticket")))


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
        result = function(_Request(connection, arguments, identity, vendors, at, randomness))
        if within is not None:
            within(connection, result)
    if result["outcome"] in ("mismatch", "incomplete"):
        raise DecisionRefusedError(str(result["message"]), kind=str(result["outcome"]))
    return result


def _approve(request: _Request) -> dict[str, Any]:
    decision = anchor_approval.approve(
        request.connection, request.anchor_id, request.call(), identity=request.identity,
        vendor=request.vendor_of_anchor(), at=request.at,
    )  # fmt: skip
    return _told(decision)


def _reject(request: _Request) -> dict[str, Any]:
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


def _lower(request: _Request, new: AnchorState, cause: str) -> dict[str, Any]:
    return _told(
        anchor_approval.lower(
            request.connection,
            request.anchor_id,
            new,
            identity=request.identity,
            cause=cause,
            at=request.at,
            effective_from=request.time("effective_from"),
        )
    )


def _distrust(request: _Request) -> dict[str, Any]:
    return _lower(request, AnchorState.DISTRUSTED, request.text("reason"))


def _compromise(request: _Request) -> dict[str, Any]:
    return _lower(request, AnchorState.COMPROMISED, COMPROMISE_CAUSE)


def _revoke(request: _Request) -> dict[str, Any]:
    cause = request.text("because", "unspecified").replace("-", "_")
    if cause not in REVOCATION_CAUSES:
        raise UsageError(f"a revocation is because {', '.join(REVOCATION_CAUSES)}")
    return _lower(request, AnchorState.COMPROMISED if cause == COMPROMISE_CAUSE else AnchorState.REVOKED, cause)


def _supersede(request: _Request) -> dict[str, Any]:
    return _retire(request, AnchorState.SUPERSEDED, request.text("successor"))


def _remove(request: _Request) -> dict[str, Any]:
    return _retire(request, AnchorState.REMOVED, None)


def _retire(request: _Request, new: AnchorState, successor: str | None) -> dict[str, Any]:
    decision = anchor_approval.retire(
        request.connection, request.anchor_id, new, identity=request.identity, vendor=request.vendor_of_anchor(),
        at=request.at, successor=successor, cause=request.text("reason", "") or None,
    )  # fmt: skip
    return _told(decision)


def _constrain(request: _Request) -> dict[str, Any]:
    rule, limits = _rule(request), _constraints(request)
    follow = request.flag("follow_rotation")
    if rule is None and limits is None and follow is None:
        raise UsageError("nothing to constrain: say --dedicated, --signer-subject, --signer-spki or a limit")
    return _told(
        anchor_management.constrain(
            request.connection,
            request.anchor_id,
            identity=request.identity,
            at=request.at,
            rule=rule,
            constraints=limits,
            follow_rotation=follow,
        )
    )


def _rule(request: _Request) -> SignerRule | None:
    """The signer rule that the arguments state, or None; dedicated and conditions contradict each other."""
    subject = []
    for pair in request.texts("signer_subject"):
        name, mark, value = pair.partition("=")
        if not mark or not name.strip() or not value:
            raise UsageError(f"{pair[:100]!r}: a signer subject is written ATTRIBUTE=VALUE, for example O=Example Inc")
        short = name.strip().upper()
        subject.append((short if short in _SHORT_NAMES else name.strip(), value))
    pins = tuple(normalise_hex(pin) or "" for pin in request.texts("signer_spki"))
    if any(len(pin) != 64 for pin in pins):
        raise UsageError("a signer SPKI pin is the SHA-256 of a public key: 64 hex digits")
    rule = SignerRule(dedicated=request.flag("dedicated") is True, subject=tuple(subject), spki_sha256=pins)
    if rule.dedicated and (rule.subject or rule.spki_sha256):
        raise UsageError("dedicated means every signer under this CA: it goes with no signer subject or pin")
    return rule if rule.stated else None


def _constraints(request: _Request) -> Constraints | None:
    """The limits that the arguments state, or None."""
    products, formats = request.texts("products"), request.texts("formats")
    first, last = request.time("valid_from"), request.time("valid_until")
    if not (products or formats or first or last):
        return None
    if first and last and first >= last:
        raise UsageError("'valid_from' must be before 'valid_until'")
    return Constraints(products=products, formats=formats, valid_from=first, valid_until=last)


def _import(request: _Request) -> dict[str, Any]:
    """Propose (or, with ``distrust``, bury) every key of a file; an import is a sighting and trusts nothing."""
    vendor = request.text("vendor")
    if not any(v.id == vendor for v in request.vendors):
        raise DecisionRefusedError(f"vendor {vendor[:64]!r} is not configured")
    bury = request.flag("distrust") is True
    reason = request.text("reason", "") or ("imported as distrusted" if bury else "")
    found: list[str] = []
    for proposal in proposals_in(_data(request), vendor, f"imported by {request.identity}"):
        found.append(
            anchor_management.entomb(
                request.connection, proposal, identity=request.identity, reason=reason, at=request.at,
                randomness=request.randomness,
            )
            if bury
            else anchor_management.propose(
                request.connection, proposal, at=request.at, randomness=request.randomness
            )
        )  # fmt: skip
    verb = "distrusted" if bury else "proposed"
    return {"outcome": verb, "vendor": vendor, "anchors": found, "message": f"{len(found)} key(s) {verb}"}


def _data(request: _Request) -> bytes:
    value = request.arguments.get("data")
    if not isinstance(value, str) or len(value) > MAX_IMPORT_BYTES * 4 // 3 + 4:
        raise UsageError(f"'data' must be base64 of at most {MAX_IMPORT_BYTES} bytes")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError("'data' is not base64") from error


def proposals_in(data: bytes, vendor_id: str, reference: str) -> tuple[Proposal, ...]:
    """Certificates (PEM, DER, PKCS#7) or OpenPGP keys of a file as proposals; raises UsageError if it holds neither."""
    try:
        if b"BEGIN PGP" not in data:
            try:
                found = [
                    Proposal(
                        vendor_id, AnchorKind.X509, c.subject, c.sha256, c.der, c.identifiers, Authority.UNAUTHENTICATED,
                        reference,
                    )
                    for c in decode_certificates(data)
                ]  # fmt: skip
            except MalformedError:
                if b"-----BEGIN" in data:
                    raise
                found = []
            if found:
                return tuple(found[:MAX_LIST])
        return tuple(_openpgp_proposal(key, vendor_id, reference) for key in load_keys(data)[:MAX_LIST])
    except (MalformedError, UnsupportedError, ResourceLimitError) as error:
        raise UsageError(f"the file holds no certificates or OpenPGP keys that can be read: {error}") from error


def _openpgp_proposal(key: OpenPGPKey, vendor_id: str, reference: str) -> Proposal:
    digest = hashlib.sha256(key.data).hexdigest()
    return Proposal(
        vendor_id, AnchorKind.OPENPGP, key.name, digest, key.data, key.identifiers, Authority.UNAUTHENTICATED, reference
    )


def _approve_policy(request: _Request) -> dict[str, Any]:
    vendor_id = request.text("vendor")
    vendor = next((v for v in request.vendors if v.id == vendor_id), None)
    if vendor is None:
        raise DecisionRefusedError(f"vendor {vendor_id[:64]!r} is not configured")
    return approve_policy(request.connection, vendor, identity=request.identity, at=request.at)


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
    }


_CALL = frozenset({"spoke_with", "called", "ticket"})
COMMANDS: dict[str, tuple[Callable[[_Request], dict[str, Any]], frozenset[str]]] = {
    "anchor.approve": (_approve, frozenset({"anchor", "fingerprint_read"}) | _CALL),
    "anchor.compromise": (_compromise, frozenset({"anchor", "effective_from"})),
    "anchor.constrain": (
        _constrain,
        frozenset(
            {
                "anchor", "dedicated", "signer_subject", "signer_spki", "follow_rotation", "products", "formats",
                "valid_from", "valid_until",
            }
        ),
    ),
    "anchor.distrust": (_distrust, frozenset({"anchor", "reason", "effective_from"})),
    "anchor.import": (_import, frozenset({"vendor", "data", "distrust", "reason"})),
    "anchor.reject": (_reject, frozenset({"anchor", "because", "fingerprint_read"}) | _CALL),
    "anchor.remove": (_remove, frozenset({"anchor", "reason"})),
    "anchor.revoke": (_revoke, frozenset({"anchor", "because", "effective_from"})),
    "anchor.supersede": (_supersede, frozenset({"anchor", "successor", "reason"})),
    "policy.approve": (_approve_policy, frozenset({"vendor"})),
}  # fmt: skip
"""Command -> function and the arguments it knows."""
