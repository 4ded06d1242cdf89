"""Alerts about keys that wait: whatever the key is called, no alert tells what the vendor is to read out."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from tests.monitor.test_intake import DTEN, Place1, place
from tests.trust_store.key_files_craft import minisign_file, npm_list, ssh_line
from trust_store import anchor_management, decisions, query
from trust_store.decode.sigstore_identity import canonical_identity
from trust_store.errors import DecisionRefusedError
from trust_store.exchange.importing import proposals_in
from trust_store.model.claim import Authority, Proposal
from trust_store.model.trust_anchor import AnchorKind, TrustAnchor

__all__ = ["place"]  # a fixture
IDENTITY = "release@dten.example"


def keys() -> list[Proposal]:
    """A key of each kind that is read out in its own form."""
    import json

    found = [
        proposals_in(data, "dten", "u")[0] for data in (minisign_file(), ssh_line(), json.dumps(npm_list()).encode())
    ]
    material = canonical_identity("https://accounts.example", IDENTITY)
    digest = hashlib.sha256(material).hexdigest()
    identity = Proposal("dten", AnchorKind.SIGSTORE_IDENTITY, "", digest, material, (), Authority.UNAUTHENTICATED, "u")
    return [*found, identity]


def forms(key: Proposal) -> list[str]:
    """What could be typed."""
    if key.kind is AnchorKind.SIGSTORE_IDENTITY:
        return [IDENTITY, IDENTITY.upper(), " ".join(IDENTITY)]
    whole = base64.b64encode(key.material).decode()
    digest = base64.b64encode(hashlib.sha256(key.material).digest()).decode().rstrip("=")
    return [digest, whole[-56:], " ".join(whole[-56:][i : i + 4] for i in range(0, 56, 4)), key.key_sha256]


@pytest.mark.parametrize("key", keys(), ids=lambda k: k.kind.value)
async def test_no_alert_about_a_waiting_key_tells_it(place: Place1, key: Proposal) -> None:
    """A mismatch and an emergency name the key, but not where its name spells what is to be read out."""
    for form in forms(key):
        secret = "".join(form.split()).casefold()
        anchor = await proposed(place, replace(key, name=f"now {form} ok"))
        for typed in ("00" * 32, None):
            await glass(place, anchor, typed or key.key_sha256)
        told = [*await place.alerts(kind="break_glass"), *await place.alerts(kind="fingerprint_mismatch")]
        assert {a.kind for a in told} == {"break_glass", "fingerprint_mismatch"}
        for alert in told:
            text = "".join(f"{alert.title}{alert.summary}{alert.lines}".split()).casefold()
            assert not [i for i in range(len(secret) - 11) if secret[i : i + 12] in text], (form, alert.summary)
        await place.decide("anchor.reject", anchor=anchor.id, because="unconfirmed")


async def proposed(place: Place1, key: Proposal) -> TrustAnchor:
    """The key as a pending anchor."""

    def put(connection: Any) -> TrustAnchor:
        name = anchor_management.propose(connection, key, at=place.clock.at, randomness=place.randomness)
        found = query.anchor(connection, name)
        assert found is not None
        return found

    return await place.storage.run(put)


async def glass(place: Place1, anchor: TrustAnchor, typed: str) -> None:
    """One person breaks the glass over the socket."""
    said = {"anchor": anchor.id, "fingerprint_read": typed, "break_glass": True, "reason": "down"}

    def perform(connection: Any) -> None:
        try:
            decisions.perform(
                connection, "anchor.approve", said, identity="eve", vendors=(DTEN,), at=place.clock.at,
                randomness=place.randomness, within=lambda c, r: place.alerting.report_decision(c, r, "eve"),
            )  # fmt: skip
        except DecisionRefusedError as error:
            if error.kind not in ("mismatch", "incomplete"):
                raise

    await place.storage.run(perform)
