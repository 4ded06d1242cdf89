"""A verdict with a hostile and a friendly face, a migrated store, and the real counterparts of both channels."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from escalation.model import AlertContext
from escalation.storage.schema import MIGRATIONS
from tests.simulator.slack import SlackServer
from tests.simulator.smtp import SMTPServer
from trust_store.model.claim import Authority, Evidence
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import Coverage
from trust_store.model.trust_anchor import AnchorKind, AnchorState, TrustAnchor
from trust_store.model.vendor import Contact, Vendor, VendorPolicy
from trust_store.model.verdict import (
    Basis,
    ExpectedVendor,
    MissingIssuer,
    PathNode,
    Reason,
    SignatureVerdict,
    Signer,
    Verdict,
)
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MATERIAL = b"a certificate awaiting a decision"
KEY_SHA256 = hashlib.sha256(MATERIAL).hexdigest()
SPKI = hashlib.sha256(b"spki").hexdigest()
SKI = hashlib.sha1(b"ski", usedforsecurity=False).hexdigest()
LEAF = hashlib.sha256(b"leaf").hexdigest()
SECRETS = (KEY_SHA256, SPKI, SKI, LEAF, hashlib.sha1(MATERIAL, usedforsecurity=False).hexdigest())
PACKAGE = b"the package"
PACKAGE_SHA256 = hashlib.sha256(PACKAGE).hexdigest()
ANCHOR_ID = "anchor_01JDHS4W80041061050R3GG28A"
THREAD = "https://community.example/t/firmware/77/43"

DTEN = Vendor(
    "dten",
    "DTEN",
    contacts=(
        Contact("Security desk", phone="+1 408 555 0100", mail="psirt@dten.example", hours="9-17 PT"),
        Contact("Account manager", phone="+49 30 5550 200"),
    ),
    policy=VendorPolicy(approvals=1, key_name="DTEN Firmware Root G2"),
)


def make_verdict(
    reason: Reason = Reason.UNKNOWN_ROOT, *, vendor: str | None = "dten", name: str = "update.zip"
) -> Verdict:
    """A verdict on a package that one certificate of an unknown root signed."""
    signature = SignatureVerdict(
        scheme="android-ota",
        file=None,
        integrity="intact",
        signer=Signer("x509", "CN=DTEN Release Signing", (("sha256", LEAF), ("spki_sha256", SPKI))),
        path=(PathNode("CN=DTEN Release Signing", LEAF),),
        anchor=None,
        missing_issuer=MissingIssuer("CN=DTEN Firmware Root G2", SKI),
        claimed_at=None,
        timestamped_at=None,
        reason=reason,
    )
    return Verdict(
        path="/incoming/dten/update.zip",
        name=name,
        size=len(PACKAGE),
        sha256=PACKAGE_SHA256,
        format="android-ota",
        vendor=ExpectedVendor(vendor, "folder" if vendor else "none"),
        reason=reason,
        also=(),
        summary="no candidate path reaches an anchor",
        checked_at=AT,
        validation_time=AT,
        valid_until=AT,
        basis=Basis("store", "store_1", 7, "now"),
        signatures=(signature,),
        coverage=Coverage(),
    )


def make_anchor(
    number: int = 0, *, name: str = "CN=DTEN Firmware Root G2", kind: AnchorKind = AnchorKind.X509
) -> TrustAnchor:
    """A pending anchor."""
    return TrustAnchor(
        id=ANCHOR_ID[:-1] + str(number),
        vendor_id="dten",
        kind=kind,
        name=name,
        key_sha256=KEY_SHA256,
        material=MATERIAL,
        state=AnchorState.PENDING,
        recorded_at=AT,
        effective_from=AT,
        identifiers=(
            Identifier(IdentifierKind.SHA256, KEY_SHA256),
            Identifier(IdentifierKind.SPKI_SHA256, SPKI),
            Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, SKI),
            Identifier(IdentifierKind.SUBJECT, "CN=DTEN Firmware Root G2"),
        ),
        authority="staff",
    )


def colons(value: str) -> str:
    """The usual way to write a fingerprint."""
    return ":".join(value[i : i + 2] for i in range(0, len(value), 2)).upper()


def make_evidence(authority: Authority = Authority.STAFF) -> Evidence:
    """A post that, like real ones, repeats the fingerprint in several forms and holds the certificate."""
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(MATERIAL).decode()}\n-----END CERTIFICATE-----"
    excerpt = (
        f"New root. SHA-256: {colons(KEY_SHA256)} SPKI pin {base64.b64encode(bytes.fromhex(SPKI)).decode()} SKI {SKI[:20]} "
        f"{SKI[20:]}\n{pem}\nregards"
    )
    return Evidence("rotated", THREAD, AT, "dten-support", authority, excerpt)


def make_context(reason: Reason = Reason.UNKNOWN_ROOT, **changes: object) -> AlertContext:
    """The story's alert."""
    values: dict[str, object] = {
        "verdict": make_verdict(reason),
        "vendor": DTEN,
        "evidence": (make_evidence(),),
        "proposals": (make_anchor(),),
        "config_path": "/etc/rootwarden/rootwarden.toml",
    }
    return AlertContext(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store with this package's tables."""
    connection = connect(tmp_path / "rootwarden.db", create=True)
    migrate(connection, tmp_path / "migrate.lock", (MIGRATIONS,))
    yield connection
    connection.close()


@pytest.fixture
def clock(now: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: now


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A strict webhook."""
    with SlackServer() as server:
        yield server


@pytest.fixture
def smtp() -> Iterator[SMTPServer]:
    """A plain mail server."""
    with SMTPServer() as server:
        yield server
