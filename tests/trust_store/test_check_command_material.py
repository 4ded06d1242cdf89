"""What is handed to `rootwarden check` beside a package (lists, OCSP responses, signatures, keys) decides by its content."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.check_command_setup import Run, here, only, pki, run
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.verdict_craft import CONTENT

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["here", "pki", "run"]  # fixtures


def _list_of(pki: VendorPKI, *serials: int, days: int = 30) -> bytes:
    """The root's revocation list (DER), current from yesterday for ``days``; negative: it has run out."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(pki.root.subject)
        .last_update(now - timedelta(days=60))
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.root_key.public_key()), critical=False)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(pki.root_key, hashes.SHA256()).public_bytes(Encoding.DER)


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n"


def test_revocation_lists_handed_over_decide(run: Run, here: Path, pki: VendorPKI) -> None:
    """A list that names the signer revokes it, one that does not lets it pass, and one that has run out leaves it open."""
    root = ("check", "--json", "--only-anchors", "--anchors", "root.pem")
    for lists, expected in (
        (_pem(_list_of(pki)), (0, "trusted")),
        (_list_of(pki, pki.signer.serial_number), (10, "revoked")),
        (_list_of(pki, days=-1), (3, "revocation_unknown")),
        (_pem(_list_of(pki, days=-1)) + _pem(_list_of(pki)), (0, "trusted")),
    ):
        (here / "list.crl").write_bytes(lists)
        code, out, _ = run(*root, "--crl", "list.crl", "firmware.bin")
        assert (code, only(out)["reason"]) == expected


def test_an_ocsp_response_is_known_by_its_content(run: Run, here: Path, pki: VendorPKI) -> None:
    """A response in a file given as list decides like one."""
    now = datetime.now(UTC)
    for status, expected in (
        (ocsp.OCSPCertStatus.GOOD, (0, "trusted")),
        (ocsp.OCSPCertStatus.REVOKED, (10, "revoked")),
    ):
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                pki.signer, pki.root, hashes.SHA256(), status, now - timedelta(days=1), now + timedelta(days=1),
                now - timedelta(days=2) if revoked else None, x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, pki.root)
            .sign(pki.root_key, hashes.SHA256())
        )  # fmt: skip
        (here / "answer.crl").write_bytes(response.public_bytes(Encoding.DER))
        code, out, _ = run(
            "check", "--json", "--only-anchors", "--anchors", "root.pem", "--crl", "answer.crl", "firmware.bin"
        )
        assert (code, only(out)["reason"]) == expected


def test_an_identity_that_cannot_be_checked_is_not_passed_over(run: Run, here: Path) -> None:
    """A sigstore identity asked for of a signature that has none keeps it from passing."""
    asked = ("--certificate-identity", "release@dten.example", "firmware.bin")
    code, out, _ = run("check", "--json", "--only-anchors", "--anchors", "root.pem", *asked)
    assert (here / "root.pem").exists()
    assert (code, only(out)["reason"]) == (3, "unexpected_signer")


def test_given_signature_and_helping_material(run: Run, here: Path) -> None:
    """A signature of another name is given; it must verify; a broken one fails and a signature file of another file too."""
    (here / "firmware.bin.p7s").rename(here / "elsewhere.sig")
    root = ("check", "--json", "--only-anchors", "--anchors", "root.pem")
    assert only(run(*root, "firmware.bin")[1])["reason"] == "unsupported_format"
    code, out, _ = run(*root, "--signature", "elsewhere.sig", "firmware.bin")
    assert (code, only(out)["signatures"][0]["file"]["name"]) == (0, "elsewhere.sig")
    (here / "other.bin").write_bytes(b"other")
    code, out, _ = run(*root, "--signature", "elsewhere.sig", "other.bin")
    assert (code, only(out)["reason"]) == (10, "invalid_signature")
    code, out, _ = run(
        "check", "--json", "--only-anchors", "--untrusted", "root.pem", "--signature", "elsewhere.sig", "firmware.bin"
    )
    assert (code, only(out)["reason"], only(out)["signatures"][0]["integrity"]) == (3, "unknown_root", "intact")


def test_side_files_that_cannot_be_read_are_told(run: Run, here: Path) -> None:
    """A file named as a signature that is none, too large or no file stands in the answer; it does not hide a good one."""
    (here / "firmware.bin.asc").mkdir()
    with (here / "firmware.bin.sig").open("wb") as stream:
        stream.truncate(9 * 1024 * 1024)
    code, out, _ = run("check", "--json", "--only-anchors", "--anchors", "root.pem", "firmware.bin")
    answer = only(out)
    assert (code, answer["outcome"]) == (0, "passed")
    assert sorted(s["reason"] for s in answer["signatures"]) == ["trusted", "unreadable", "unreadable"]
    (here / "firmware.bin.p7s").unlink()
    assert run("check", "--only-anchors", "firmware.bin")[0] == 3


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as home:
        yield home


def test_openpgp_signatures_from_the_command_line(run: Run, here: Path, gpg: Gpg) -> None:
    """A keyring handed over is tried by both readers; an armoured signature is found by its name."""
    fingerprint = gpg.make_key("Release <r@dten.example>", "ed25519")
    (here / "key.asc").write_bytes(gpg.export(fingerprint, armor=True))
    (here / "key.gpg").write_bytes(gpg.export(fingerprint))
    (here / "note.txt").write_bytes(CONTENT)
    (here / "note.txt.asc").write_bytes(gpg.sign(fingerprint, "--armor", data=CONTENT))
    for key in ("key.asc", "key.gpg"):
        code, out, _ = run("check", "--json", "--only-anchors", "--anchors", key, "note.txt")
        assert (code, only(out)["reason"]) == (0, "trusted")
        assert only(out)["signatures"][0]["signer"]["identifiers"]["openpgp"] == fingerprint.lower()
    assert (
        only(run("check", "--json", "--only-anchors", "--untrusted", "key.asc", "note.txt")[1])["reason"]
        == "unknown_root"
    )
