"""The signers that fixtures of firmware formats share, and what the tools and the table need of each in files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.packages.pki import PKI, Issued, issue, make_pki, revocation_list

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packages.generate.writing import Workshop

_PAST = datetime(2021, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Signers:
    """A signer below an intermediate, one that has expired, one that is revoked, and somebody else."""

    pki: PKI
    expired: Issued
    revoked: Issued
    other: PKI

    @classmethod
    def make(cls, shop: Workshop, *, kind: str = "rsa2048") -> Signers:
        """Keys and certificates in ``shop.keys``; ``root.pem``, ``other.pem`` and ``revoked.crl`` kept with the fixtures."""
        pki, other = make_pki(kind=kind), make_pki("Other", kind=kind)
        expired = issue("Expired Signer", pki.intermediate, kind=kind, end=_PAST)
        revoked = issue("Revoked Signer", pki.intermediate, kind=kind)
        for name, one in (("leaf", pki.leaf), ("expired", expired), ("revoked", revoked), ("stranger", other.leaf)):
            one.write(shop.keys, name)
        pki.intermediate.write(shop.keys, "intermediate")
        other.intermediate.write(shop.keys, "other-intermediate")
        shop.write("root.pem", pki.root.pem)
        shop.write("other.pem", other.root.pem)
        shop.write("revoked.crl", revocation_list(pki.intermediate, revoked) + revocation_list(pki.root))
        return cls(pki, expired, revoked, other)


def openssl_cms(shop: Workshop, data: Path, signer: str, *options: str, digest: str = "sha256") -> bytes:
    """A detached CMS signature in DER by ``openssl cms``."""
    return shop.run(
        "openssl", "cms", "-sign", "-in", data, "-binary", "-outform", "DER", "-md", digest, "-nosmimecap",
        "-signer", f"{signer}.pem", "-inkey", f"{signer}.key", "-certfile", "intermediate.pem", *options,
    )  # fmt: skip


def changed(data: bytes, position: int) -> bytes:
    """The same with one bit of one byte another."""
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
