"""The signed bundle: what the store trusts and has buried, at one revision, for machines that cannot ask the store. Pure.

A DSSE envelope (secure-systems-lab/dsse, protocol version 1.0.0) around canonical JSON, signed with Ed25519 by the store's instance
key. The same store and times give the same bytes. A reader refuses what is altered, signed by a key that it does not know,
expired, from the future, or older than what it has seen of the same store.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trust_store.decode.anchor_json import anchor_from_json, anchor_to_json
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.model.ratchet import DIMENSIONS, FILE, PRODUCT, SIGNERS, Mark, Ratchet
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.trust_view import DigestDecision
from trust_store.model.vendor import Vendor, VendorPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor

PAYLOAD_TYPE = "application/vnd.rootwarden.bundle.v1+json"
SCHEMA = "rootwarden/bundle/1"
MAX_BUNDLE_BYTES = 256 * 1024 * 1024
MAX_REVOCATION_BYTES = 64 * 1024 * 1024
MAX_VALIDITY = timedelta(days=366)
MAX_ENVELOPE_VALUES = 10_000
CLOCK_SKEW = timedelta(minutes=5)
KEY_BYTES = 32
TOLD_STATES = frozenset(
    {
        AnchorState.VALID,
        AnchorState.SUPERSEDED,
        AnchorState.REVOKED,
        AnchorState.COMPROMISED,
        AnchorState.DISTRUSTED,
    }
)
"""What a bundle holds. A key that awaits decision, was removed or could not be confirmed is unknown to its readers."""
_POLICY = ("required_signatures", "claimed_time", "mode", "rollback")


class BundleRefusedError(TrustStoreError):
    """The bundle must not be used; ``reason`` is malformed, altered, unknown_key, expired, not_yet_valid or rolled_back."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one revision of a store says. ``vendors`` carry only the policy that verdicts depend on; no contacts.

    ``lifted`` are (tombstone's anchor id, vendor id): that vendor's approvers accepted the same key later, over the tombstone.
    ``revocation`` are the lists and OCSP responses that the store keeps: (what it is kept under, ``crl`` or ``ocsp``, DER), unverified.
    ``ratchets`` are what was seen of the vendors' products, each in its newest version.
    """

    store_id: str
    revision: int
    created_at: datetime
    expires_at: datetime
    anchors: tuple[TrustAnchor, ...]
    decisions: tuple[DigestDecision, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    lifted: tuple[tuple[str, str], ...] = ()
    revocation: tuple[tuple[str, str, bytes], ...] = ()
    ratchets: tuple[Ratchet, ...] = ()


def seal(bundle: Bundle, sign: Callable[[bytes], bytes], public_key: bytes) -> bytes:
    """The bundle as a DSSE envelope. ``sign`` makes an Ed25519 signature (64 bytes); ``public_key`` is its key (32 bytes).

    Raises ValueError for a validity that no bundle may have, ResourceLimitError for more revocation lists than a bundle holds.
    """
    if sum(len(material) for _, _, material in bundle.revocation) > MAX_REVOCATION_BYTES:
        # A bundle that left some out would let pass what its store refuses.
        raise ResourceLimitError(f"more than {MAX_REVOCATION_BYTES} bytes of revocation lists: no bundle holds them")
    if not bundle.created_at < bundle.expires_at <= bundle.created_at + MAX_VALIDITY:
        raise ValueError(f"a bundle is valid for more than nothing and at most {MAX_VALIDITY.days} days")
    payload = _encode(bundle)
    return _canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": key_id(public_key), "sig": base64.b64encode(sign(pre_authentication(payload))).decode()}
            ],
        }
    )


def open_bundle(
    data: bytes, public_keys: Iterable[bytes], *, at: datetime, least_revision: Callable[[str], int]
) -> Bundle:
    """The bundle in ``data``; raises BundleRefusedError.

    ``public_keys`` are the Ed25519 keys that the reader knows, ``least_revision`` tells the highest revision it has seen of a store.
    Steps: (1) size and envelope; (2) a signature by a known key, before anything inside is looked at; (3) the content; (4) its
    times; (5) its revision.
    """
    payload = _verified(data, tuple(public_keys))  # (1), (2)
    bundle = _decode(payload)  # (3)
    if at + CLOCK_SKEW < bundle.created_at:  # (4)
        raise BundleRefusedError(
            "not_yet_valid", f"the bundle was made at {format_time(bundle.created_at)}: set the clock"
        )
    if at >= bundle.expires_at:
        raise BundleRefusedError("expired", f"the bundle expired at {format_time(bundle.expires_at)}: fetch a new one")
    least = least_revision(bundle.store_id)  # (5)
    if bundle.revision < least:
        raise BundleRefusedError(
            "rolled_back",
            f"the bundle is of revision {bundle.revision}, revision {least} of this store was seen before",
        )
    return bundle


def pre_authentication(payload: bytes) -> bytes:
    """What is signed (DSSE protocol.md, PAE): type and payload with their lengths, so that neither can pass for the other."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def key_id(public_key: bytes) -> str:
    """SHA-256 of the raw key: which key to try, decides nothing."""
    return hashlib.sha256(public_key).hexdigest()


def _verified(data: bytes, public_keys: tuple[bytes, ...]) -> bytes:
    """The payload, if one of the signatures is by one of the keys."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleRefusedError("malformed", f"the bundle is larger than {MAX_BUNDLE_BYTES} bytes")
    # An envelope is a few texts: whatever would unfold into millions of values is none, before a signature could be looked at.
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_ENVELOPE_VALUES:
        raise BundleRefusedError("malformed", "the file is no DSSE envelope")
    try:
        envelope = json.loads(data)
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"]
        signatures = [base64.b64decode(s["sig"], validate=True) for s in envelope["signatures"]][:8]
        named = {s["keyid"] for s in envelope["signatures"]}
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise BundleRefusedError("malformed", "the file is no DSSE envelope") from error
    if kind != PAYLOAD_TYPE:
        raise BundleRefusedError("malformed", f"the envelope holds something else than {PAYLOAD_TYPE}")
    message = pre_authentication(payload)
    if any(_signed(key, signature, message) for key in public_keys for signature in signatures):
        return payload
    if {key_id(key) for key in public_keys} & named:
        raise BundleRefusedError("altered", "the bundle is not what was signed: it was altered, or cut short")
    raise BundleRefusedError("unknown_key", "the bundle is signed by none of the keys that are known here")


def _signed(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _encode(bundle: Bundle) -> bytes:
    told = sorted((a for a in bundle.anchors if a.state in TOLD_STATES), key=lambda a: a.id)
    return _canonical(
        {
            "schema": SCHEMA,
            "store_id": bundle.store_id,
            "revision": bundle.revision,
            "created_at": format_time(bundle.created_at),
            "expires_at": format_time(bundle.expires_at),
            "anchors": [anchor_to_json(anchor) for anchor in told],
            "decisions": [_decision_out(d) for d in sorted(bundle.decisions, key=lambda d: d.id)],
            "vendors": [_vendor_out(v) for v in sorted(bundle.vendors, key=lambda v: v.id)],
            "lifted": [list(pair) for pair in sorted(bundle.lifted)],
            "revocation": [
                [about, kind, base64.b64encode(material).decode()]
                for about, kind, material in sorted(bundle.revocation)
            ],
            "ratchets": [_ratchet_out(r) for r in sorted(bundle.ratchets, key=lambda r: (r.id, r.number))],
        }
    )


def _decode(payload: bytes) -> Bundle:
    """What a known key signed; read as strictly as everything from outside."""
    try:
        return _bundle(json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MalformedError) as error:
        raise BundleRefusedError("malformed", f"the bundle cannot be read: {error}") from error


def _bundle(item: dict[str, Any]) -> Bundle:
    if set(item) != set(Bundle.__dataclass_fields__) | {"schema"} or item["schema"] != SCHEMA:
        raise MalformedError("its fields are not those of this version")
    revision = item["revision"]
    if not isinstance(revision, int) or isinstance(revision, bool) or revision < 0:
        raise MalformedError("its revision is no number")
    anchors = tuple(anchor_from_json(a) for a in item["anchors"])
    if any(anchor.state not in TOLD_STATES for anchor in anchors):
        raise MalformedError("it holds an anchor in a state that no bundle has")
    return Bundle(
        store_id=str(item["store_id"]),
        revision=revision,
        created_at=parse_time(item["created_at"]),
        expires_at=parse_time(item["expires_at"]),
        anchors=anchors,
        decisions=tuple(_decision_in(d) for d in item["decisions"]),
        vendors=tuple(_vendor_in(v) for v in item["vendors"]),
        lifted=tuple((str(anchor), str(vendor)) for anchor, vendor in item["lifted"]),
        revocation=tuple(_revocation_in(*kept) for kept in item["revocation"]),
        ratchets=tuple(_ratchet_in(r) for r in item["ratchets"]),
    )


def _revocation_in(about: str, kind: str, material: str) -> tuple[str, str, bytes]:
    if kind not in ("crl", "ocsp"):
        raise MalformedError("revocation material is neither a list nor a response")
    return str(about), kind, base64.b64decode(material, validate=True)


def _decision_out(decision: DigestDecision) -> dict[str, Any]:
    until = decision.effective_until
    return {
        "id": decision.id,
        "package_sha256": decision.package_sha256,
        "vendor": decision.vendor_id,
        "effect": decision.effect,
        "reason": decision.reason,
        "effective_from": format_time(decision.effective_from),
        "effective_until": None if until is None else format_time(until),
    }


def _decision_in(item: dict[str, Any]) -> DigestDecision:
    if item["effect"] not in ("block", "allow"):
        raise MalformedError("a decision is neither block nor allow")
    until = item["effective_until"]
    return DigestDecision(
        str(item["id"]), str(item["package_sha256"]), str(item["vendor"]), item["effect"], str(item["reason"]),
        parse_time(item["effective_from"]), None if until is None else parse_time(until),
    )  # fmt: skip


def _ratchet_out(ratchet: Ratchet) -> dict[str, Any]:
    marks = {name: ratchet.mark(name) for name in DIMENSIONS}
    return {
        "vendor": ratchet.vendor_id,
        "kind": ratchet.kind,
        "name": ratchet.name,
        "number": ratchet.number,
        "recorded_at": format_time(ratchet.recorded_at),
        "marks": {name: [m.value, m.package_sha256, format_time(m.seen_at)] for name, m in marks.items() if m},
    }


def _ratchet_in(item: dict[str, Any]) -> Ratchet:
    marks = {
        name: Mark(str(value), str(package), parse_time(seen)) for name, (value, package, seen) in item["marks"].items()
    }
    if not set(marks) <= set(DIMENSIONS) or item["kind"] not in (PRODUCT, FILE):
        raise MalformedError("a ratchet is about something that is not known")
    if (signers := marks.get(SIGNERS)) is not None:
        int(signers.value)  # raises ValueError: it is compared as a number
    recorded = parse_time(item["recorded_at"])
    return Ratchet(str(item["vendor"]), item["kind"], str(item["name"]), int(item["number"]), recorded).with_marks(
        marks
    )


def _vendor_out(vendor: Vendor) -> dict[str, Any]:
    return {
        "id": vendor.id,
        "name": vendor.name,
        "package_patterns": list(vendor.package_patterns),
        "policy": {name: getattr(vendor.policy, name) for name in _POLICY},
    }


def _vendor_in(item: dict[str, Any]) -> Vendor:
    policy = VendorPolicy(**{name: item["policy"][name] for name in _POLICY})
    return Vendor(
        str(item["id"]),
        str(item["name"]),
        policy=policy,
        package_patterns=tuple(str(p) for p in item["package_patterns"]),
    )


def _canonical(value: object) -> bytes:
    """One text for one value: sorted keys, no blanks, ASCII (the values are text, whole numbers, booleans, lists, objects)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"
