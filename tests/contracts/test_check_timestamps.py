"""What ``rootwarden check`` makes of RFC 3161 timestamps beside a CMS signature."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from tests.contracts.packages import CONTENT, DAY, issue
from tests.contracts.test_store_answers import Store
from tests.trust_store.store_setup import randomness
from tests.trust_store.timestamp_craft import Authority, signature_value, stamped
from trust_store import anchor_management
from trust_store.decode.x509 import load_certificate
from trust_store.model.claim import Authority as ProposalAuthority
from trust_store.model.claim import Proposal
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorKind, SignerRule
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden


def pem(path: Path, authority: Authority) -> Path:
    """The authority's root in a file."""
    path.write_bytes(authority.root.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_signer_that_expired_since_the_stamp(fast: Rootwarden, tmp_path: Path) -> None:
    """With the authority's root among the anchors: passed, as of the proven time. Without it: expired."""
    now = datetime.now(UTC).replace(microsecond=0)
    made = now - 50 * DAY
    root = issue(tmp_path, "root", ca=True, days=(-400, 400))
    signer = issue(tmp_path, "signer", root, days=(-100, -10))
    authority = Authority.make(now)
    message = signer.cms(CONTENT)
    package, side = tmp_path / "firmware.bin", tmp_path / "firmware.bin.p7s"
    package.write_bytes(CONTENT)
    side.write_bytes(stamped(message, authority.token(signature_value(message), made)))
    trusted = ("--anchors", pem(tmp_path / "tsa.pem", authority))
    for signature in ((), ("--signature", side)):
        code, verdict = fast.supplied(root.pem, *trusted, *signature, package)
        assert (code, verdict["outcome"], verdict["reason"]) == (0, "passed", "trusted")
        assert verdict["validation_time"] == format_time(made)
        assert [one["timestamped_at"] for one in verdict["signatures"]] == [format_time(made)]
        code, verdict = fast.supplied(root.pem, *signature, package)
        assert (code, verdict["outcome"], verdict["reason"]) == (3, "indeterminate", "expired")
        assert [one["timestamped_at"] for one in verdict["signatures"]] == [None]
    side.write_bytes(message)
    code, verdict = fast.supplied(root.pem, *trusted, package)
    assert (code, verdict["reason"]) == (3, "expired")


def test_a_stamp_by_openssl(fast: Rootwarden, tmp_path: Path) -> None:
    """A token made now by openssl ts counts when the package is asked about after its signer's end."""
    now = datetime.now(UTC)
    root = issue(tmp_path, "root", ca=True, days=(-400, 400))
    signer = issue(tmp_path, "signer", root, days=(-100, 1))
    authority = Authority.make(now)
    message = signer.cms(CONTENT)
    package, side = tmp_path / "firmware.bin", tmp_path / "firmware.bin.p7s"
    package.write_bytes(CONTENT)
    side.write_bytes(stamped(message, authority.openssl(tmp_path, signature_value(message))))
    later = format_time(now + timedelta(days=20))
    trusted = ("--anchors", pem(tmp_path / "tsa-root.pem", authority), "--at", later)
    code, verdict = fast.supplied(root.pem, *trusted, package)
    assert (code, verdict["reason"], verdict["basis"]["time"]) == (0, "trusted", "requested")
    assert format_time(now - timedelta(minutes=1)) < verdict["signatures"][0]["timestamped_at"] < format_time(now + DAY)
    code, verdict = fast.supplied(root.pem, "--at", later, package)
    assert (code, verdict["reason"]) == (3, "expired")


def test_a_stamp_after_the_end(fast: Rootwarden, tmp_path: Path) -> None:
    """A stamp made when the signer had expired rescues nothing; one over another signature proves nothing."""
    now = datetime.now(UTC).replace(microsecond=0)
    root = issue(tmp_path, "root", ca=True, days=(-400, 400))
    signer = issue(tmp_path, "signer", root, days=(-100, -10))
    authority = Authority.make(now)
    message = signer.cms(CONTENT)
    package, side = tmp_path / "firmware.bin", tmp_path / "firmware.bin.p7s"
    package.write_bytes(CONTENT)
    trusted = ("--anchors", pem(tmp_path / "tsa.pem", authority))
    late = now - 5 * DAY
    for token, proven in (
        (authority.token(signature_value(message), late), format_time(late)),
        (authority.token(b"another signature", now - 50 * DAY), None),
        (b"\x30\x00", None),
    ):
        side.write_bytes(stamped(message, token))
        code, verdict = fast.supplied(root.pem, *trusted, package)
        assert (code, verdict["outcome"], verdict["reason"]) == (3, "indeterminate", "expired")
        assert verdict["signatures"][0]["timestamped_at"] == proven


def approved(store: Store, der: bytes, purpose: str) -> None:
    """The certificate as an anchor of dten for one purpose."""
    certificate, at = load_certificate(der), datetime.now(UTC)
    proposal = Proposal(
        "dten", AnchorKind.X509, certificate.subject, certificate.sha256, certificate.der, certificate.identifiers,
        ProposalAuthority.STAFF, "https://dten.example/tsa",
    )  # fmt: skip
    with closing(connect(store.folder / "rootwarden.db")) as connection:
        anchor = anchor_management.propose(
            connection, proposal, signer_rule=SignerRule(dedicated=True), at=at, randomness=randomness
        )
    store.decide("anchor.constrain", anchor, purposes=[purpose], max_path_length=1)
    store.decide("anchor.approve", anchor, fingerprint_read=certificate.sha256)


def test_an_authority_in_the_store(fast: Rootwarden, tmp_path: Path) -> None:
    """An authority approved for timestamps counts for its vendor; one approved for code vouches for no time."""
    now = datetime.now(UTC).replace(microsecond=0)
    made = now - 50 * DAY
    root = issue(tmp_path, "root", ca=True, days=(-400, 400))
    signer = issue(tmp_path, "signer", root, days=(-100, -10))
    message = signer.cms(CONTENT)
    package, side = tmp_path / "firmware.bin", tmp_path / "firmware.bin.p7s"
    package.write_bytes(CONTENT)
    store = Store(tmp_path, fast)
    store.trust(root)
    for purpose, itself, reason in (
        ("code", False, "expired"),
        ("timestamp", False, "trusted"),
        ("timestamp", True, "trusted"),  # the token carries no certificate, and the authority's own is what is trusted
    ):
        authority = Authority.make(now, name=f"For {purpose} {itself}")
        side.write_bytes(stamped(message, authority.token(signature_value(message), made, carried=not itself)))
        assert fast.check("--vendor", "dten", package)[1]["reason"] == "expired"
        approved(store, authority.der if itself else authority.root_der, purpose)
        code, verdict = fast.check("--vendor", "dten", package)
        assert verdict["reason"] == reason
        assert (code == 0) == (reason == "trusted")
    assert verdict["signatures"][0]["timestamped_at"] == verdict["validation_time"] == format_time(made)
    assert fast.check("--vendor", "acme", package)[1]["outcome"] != "passed"
