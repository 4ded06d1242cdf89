"""osslsigncode and sbsign as the fixtures' generators run them, and signers whose files they take."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.packages.pki import PKI, TIME_STAMPING, Issued, issue, make_pki, revocation_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.generate.writing import FixtureFolder

SIGNED_AT = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRED_AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Signers:
    """The vendor, another one whose root nobody gives, one whose certificate has ended, and a time-stamp authority under a root."""

    vendor: PKI
    second: Issued
    other: PKI
    ended: Issued
    small: Issued
    server: Issued
    authority_root: Issued
    authority: Issued

    @classmethod
    def make(cls, folder: FixtureFolder) -> Signers:
        """New keys; the public files that the cases name are written to ``folder``."""
        vendor, other = make_pki("Vendor", kind="p256"), make_pki("Other", kind="p256")
        authority_root = issue("Time Root", kind="p256", is_ca=True)
        made = cls(
            vendor,
            issue("Vendor Second Signer", vendor.intermediate, kind="rsa2048"),
            other,
            issue("Vendor Old Signer", vendor.intermediate, kind="p256", end=EXPIRED_AT),
            issue("Vendor Small Signer", vendor.intermediate, kind="rsa1024"),
            issue("Vendor Server", vendor.intermediate, kind="p256", eku=[ExtendedKeyUsageOID.SERVER_AUTH]),
            authority_root,
            issue("Time Authority", authority_root, kind="rsa2048", eku=[TIME_STAMPING]),
        )
        folder.write("root.pem", vendor.root.pem)
        folder.write("other.pem", other.root.pem)
        folder.write("time.pem", authority_root.pem)
        folder.write("revoked.crl", revocation_list(vendor.intermediate, vendor.leaf))
        return made


def osslsigncode(
    data: bytes,
    signer: Issued,
    chain: Sequence[Issued],
    *options: str,
    suffix: str = ".exe",
    authority: Sequence[Issued] = (),
    stamped_at: datetime = SIGNED_AT,
) -> bytes:
    """The file signed by ``osslsigncode sign``; with ``authority`` (and its issuers) stamped by its built-in one (RFC 3161)."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / f"in{suffix}").write_bytes(data)
        (place / "certs.pem").write_bytes(signer.pem + b"".join(one.pem for one in chain))
        (place / "key.pem").write_bytes(signer.key_pem)
        command = ["osslsigncode", "sign", "-certs", "certs.pem", "-key", "key.pem"]
        command += ["-time", str(int(SIGNED_AT.timestamp()))]
        if authority:
            (place / "tsa.pem").write_bytes(b"".join(one.pem for one in authority))
            (place / "tsa.key").write_bytes(authority[0].key_pem)
            command += ["-TSA-certs", "tsa.pem", "-TSA-key", "tsa.key"]
            command += ["-TSA-time", str(int(stamped_at.timestamp()))]
        run(place, *command, *(options or ("-h", "sha256")), "-in", f"in{suffix}", "-out", f"out{suffix}")
        return (place / f"out{suffix}").read_bytes()


def sbsign(data: bytes, signer: Issued) -> bytes:
    """The image signed by ``sbsign``, in addition to signatures that it has."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "in.efi").write_bytes(data)
        signer.write(place, "signer")
        run(place, "sbsign", "--cert", "signer.pem", "--key", "signer.key", "--output", "out.efi", "in.efi")
        return (place / "out.efi").read_bytes()


def run(place: Path, *command: str) -> str:
    """What a tool says, run in ``place``; it must succeed."""
    done = subprocess.run(command, cwd=place, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.decode()
