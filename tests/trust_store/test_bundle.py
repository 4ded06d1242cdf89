"""The signed bundle: the same bytes for the same store, and nothing that was altered, is old or is somebody else's is ever used."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.export_craft import AT, anchor
from tests.trust_store.path_craft import CA, issue
from trust_store.bundled_trust import BundledTrust
from trust_store.exchange.bundle import (
    MAX_VALIDITY,
    PAYLOAD_TYPE,
    Bundle,
    BundleRefusedError,
    open_bundle,
    pre_authentication,
    seal,
)
from trust_store.model.package_facts import Member, PackageFacts
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import DigestDecision
from trust_store.model.vendor import Contact, Vendor, VendorPolicy

KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
PUBLIC, STRANGE = (k.public_key().public_bytes_raw() for k in (KEY, OTHER))
ROOT = issue("Acme Root", None, CA)
VALID = anchor(AnchorKind.X509, ROOT.der)
BURIED = anchor(AnchorKind.X509, issue("Bad", None, CA).der, state=AnchorState.DISTRUSTED, cause="x")
PENDING = anchor(AnchorKind.X509, issue("New", None, CA).der, state=AnchorState.PENDING)
BLOCK = DigestDecision("decision_1", "a" * 64, "acme", "block", "bad", AT, None)
VENDOR = Vendor("acme", "Acme", contacts=(Contact("desk", phone="+1 555"),), policy=VendorPolicy(required_signatures=2))
BUNDLE = Bundle("store_01", 7, AT, AT + timedelta(days=7), (VALID, BURIED, PENDING), (BLOCK,), (VENDOR,))
SEALED = seal(BUNDLE, KEY.sign, PUBLIC)
RATCHET = {
    "vendor": "acme",
    "kind": "file",
    "name": "a-#.zip",
    "number": 1,
    "recorded_at": "2026-05-03T12:00:00Z",
    "marks": {},
}


def opened(data: bytes, *keys: bytes, at: Any = AT, least: int = 0) -> Bundle:
    """Open with the store's key, or the given ones."""
    return open_bundle(data, keys or (PUBLIC,), at=at, least_revision=lambda store: least if store == "store_01" else 0)


def refused(data: bytes, *keys: bytes, **asked: Any) -> str:
    """Why the bundle is refused."""
    with pytest.raises(BundleRefusedError) as caught:
        opened(data, *keys, **asked)
    assert caught.value.exit_code == 4
    return caught.value.reason


def forged(**changes: Any) -> bytes:
    """A bundle with another payload, correctly signed by the store's key."""
    payload = json.loads(base64.b64decode(json.loads(SEALED)["payload"]))
    payload = json.dumps({**payload, **changes}).encode()
    signature = base64.b64encode(KEY.sign(pre_authentication(payload))).decode()
    envelope = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE}
    return json.dumps({**envelope, "signatures": [{"keyid": "", "sig": signature}]}).encode()


def test_a_bundle_reads_back() -> None:
    """Anchors, tombstones, decisions and policy come out; what awaits decision and the team's contacts never go in."""
    read = opened(SEALED)
    assert read.anchors == tuple(sorted((VALID, BURIED), key=lambda a: a.id))
    assert (read.store_id, read.revision, read.decisions) == ("store_01", 7, (BLOCK,))
    assert read.vendors == (Vendor("acme", "Acme", policy=VendorPolicy(required_signatures=2)),)
    assert b"+1 555" not in base64.b64decode(json.loads(SEALED)["payload"])


def test_the_same_store_gives_the_same_bytes() -> None:
    """However the rows were ordered."""
    shuffled = dataclasses.replace(BUNDLE, anchors=BUNDLE.anchors[::-1])
    assert seal(shuffled, KEY.sign, PUBLIC) == SEALED


def test_any_changed_character_is_refused() -> None:
    """No character of the envelope can be another one, none can be missing, unless the meaning is byte for byte the same."""
    for position in range(0, len(SEALED) - 1, 3):
        for changed in (SEALED[:position] + bytes([SEALED[position] ^ 1]) + SEALED[position + 1 :], SEALED[:position]):
            with contextlib.suppress(BundleRefusedError):
                assert opened(changed) == opened(SEALED)


def test_the_reason_names_what_is_wrong() -> None:
    """Expired, from the future, rolled back, signed by somebody else, altered: each is told apart."""
    assert refused(SEALED, at=BUNDLE.expires_at) == "expired"
    assert refused(SEALED, at=AT - timedelta(minutes=6)) == "not_yet_valid"
    assert opened(SEALED, at=AT - timedelta(minutes=5)).revision == 7
    assert refused(SEALED, least=8) == "rolled_back"
    assert opened(SEALED, least=7).revision == 7
    assert refused(SEALED, STRANGE) == "unknown_key"
    assert opened(SEALED, STRANGE, PUBLIC).revision == 7
    assert refused(seal(BUNDLE, OTHER.sign, PUBLIC)) == "altered"
    assert refused(b"") == "malformed"
    with pytest.raises(BundleRefusedError):
        open_bundle(SEALED, (), at=AT, least_revision=lambda _: 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "rootwarden/bundle/2"), ("revision", True), ("revision", -1), ("revision", "7"), ("anchors", [{}]),
        ("anchors", None), ("anchors", 7), ("decisions", [{"effect": "allow"}]), ("vendors", [{"id": "x"}]), ("created_at", "now"),
        ("expires_at", None), ("more", 1), ("ratchets", None), ("ratchets", [{}]), ("ratchets", [RATCHET | {"kind": "person"}]),
        ("ratchets", [RATCHET | {"marks": {"signers": ["many", "a" * 64, "2026-05-03T12:00:00Z"]}}]),
        ("ratchets", [RATCHET | {"marks": {"beauty": ["1", "a" * 64, "2026-05-03T12:00:00Z"]}}]),
    ],
)  # fmt: skip
def test_a_signed_payload_is_read_strictly_too(field: str, value: Any) -> None:
    """What a known key signed is malformed where its shape is another: nothing is guessed."""
    assert refused(forged(**{field: value})) == "malformed"


def test_a_bundle_never_holds_what_awaits_decision() -> None:
    """A signed bundle that claims a pending anchor is refused."""
    from trust_store.decode.anchor_json import anchor_to_json

    assert refused(forged(anchors=[anchor_to_json(PENDING)])) == "malformed"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_without_a_trace(data: bytes) -> None:
    """Random bytes end in a refusal, never in another error."""
    assert refused(data) in ("malformed", "unknown_key", "altered")


@pytest.mark.parametrize(
    "envelope",
    [b"[]", b"{}", b"7", b'{"payload":1}', b"[" * 100_000, b'{"payload":"","payloadType":"x","signatures":[]}'],
)
def test_a_strange_envelope_is_malformed(envelope: bytes) -> None:
    """Depth and types of the envelope are checked."""
    assert refused(envelope) == "malformed"


def test_validity_is_bounded() -> None:
    """A bundle that lives for ever, or not at all, is not made."""
    for lifetime in (timedelta(0), MAX_VALIDITY + timedelta(seconds=1)):
        with pytest.raises(ValueError, match="days"):
            seal(dataclasses.replace(BUNDLE, expires_at=AT + lifetime), KEY.sign, PUBLIC)


def test_a_block_counts_inside_another_package_as_well() -> None:
    """Whoever has only the bundle is told of a blocked package wherever it lies."""
    blocked = PackageFacts(BLOCK.package_sha256, 1, "zip", 1)
    middle, other = PackageFacts("b" * 64, 1, "zip", 1, members=(Member("x", blocked),)), PackageFacts("", 0, None, 0)
    outer = PackageFacts("c" * 64, 1, "zip", 1, members=(Member("y", other), Member("z", middle)))
    assert outer.every_digest == ("c" * 64, "b" * 64, "a" * 64)
    trust = BundledTrust(BUNDLE)
    for facts, vendor, found in ((outer, "acme", (BLOCK,)), (outer, "other", ()), (other, "acme", ())):
        assert trust.view(facts, vendor, at=AT, known_at=None).decisions == found
