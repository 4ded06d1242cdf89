"""OpenPGP keys for package fixtures, made by GnuPG at stated times, and signatures that no program writes any more."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.trust_store.openpgp_craft import integer, packet

if TYPE_CHECKING:
    from tests.packages.generate.writing import FixtureFolder
    from tests.trust_store.openpgp_tools import Gpg

MADE, SIGNED, REVOKED = "20240101T000000", "20240201T000000", "20240301T000000"
_SECONDS = int(datetime(2024, 2, 1, tzinfo=UTC).timestamp())
_HASHES = {2: hashes.SHA1(), 8: hashes.SHA256()}  # noqa: S303 - weak signatures are what some fixtures are


def armored(certificate: bytes) -> bytes:
    """An armoured public key block with its checksum (RFC 9580 6), as rpm 4 wants keys."""
    crc = 0xB704CE
    for octet in certificate:
        crc ^= octet << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    lines = textwrap.wrap(base64.b64encode(certificate).decode(), 64)
    lines.append("=" + base64.b64encode((crc & 0xFFFFFF).to_bytes(3, "big")).decode())
    return "\n".join(
        ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", *lines, "-----END PGP PUBLIC KEY BLOCK-----", ""]
    ).encode()


class VendorKeys:
    """The keys that a format's fixtures are signed with, each exported to ``<name>.asc`` in the folder."""

    def __init__(self, gpg: Gpg, folder: FixtureFolder) -> None:
        self.gpg, self._folder = gpg, folder
        self._fingerprints: dict[str, str] = {}

    def make(self, name: str, algorithm: str = "rsa2048", expire: str = "never") -> str:
        """A new key; returns the file with its certificate."""
        self._fingerprints[name] = self.gpg.make_key(f"{name} <{name}@example.org>", algorithm, "sign", expire, MADE)
        return self.export(name)

    def export(self, name: str) -> str:
        """Write the certificate as it is now."""
        return self._folder.write(f"{name}.asc", self.gpg.export(self._fingerprints[name], armor=True))

    def revoke(self, name: str, reason: int = 0) -> str:
        """Revoke a key and write its certificate again."""
        self.gpg.revoke(self._fingerprints[name], reason, REVOKED)
        return self.export(name)

    def sign(self, name: str, data: bytes, *options: str) -> bytes:
        """A binary detached signature packet over ``data``."""
        return self.gpg.sign(self._fingerprints[name], *options, at=SIGNED, data=data)

    def clearsign(self, name: str, data: bytes, *options: str) -> bytes:
        """A cleartext-signed message."""
        user = self._fingerprints[name]
        return self.gpg.run("--local-user", user, *options, "--clearsign", at=SIGNED, data=data)

    def fingerprint(self, name: str) -> str:
        """Of the primary key, upper-case hex."""
        return self._fingerprints[name]


class OldKey:
    """An RSA key of version 4 that makes signatures of version 3 (RFC 4880 5.2.2), which GnuPG writes no more."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(65537, 2048)
        numbers = self._private.public_key().public_numbers()
        created = _SECONDS - 86_400
        modulus, exponent = (integer(n.to_bytes(256, "big")) for n in (numbers.n, numbers.e))
        self.body = b"\x04" + created.to_bytes(4, "big") + b"\x01" + modulus + exponent
        framed = b"\x99" + len(self.body).to_bytes(2, "big") + self.body
        self.key_id = hashlib.sha1(framed).digest()[-8:]  # noqa: S324 - version 4 fingerprints are SHA-1
        name = b"Old <old@example.org>"
        area = b"\x05\x02" + created.to_bytes(4, "big") + b"\x02\x1b\x03"
        signed = b"\x04\x13\x01\x08" + len(area).to_bytes(2, "big") + area
        covered = framed + b"\xb4" + len(name).to_bytes(4, "big") + name
        digest, value = self._value(covered + signed + b"\x04\xff" + len(signed).to_bytes(4, "big"), 8)
        unhashed = b"\x09\x10" + self.key_id
        own = signed + len(unhashed).to_bytes(2, "big") + unhashed + digest[:2] + value
        self.certificate = packet(6, self.body) + packet(13, name) + packet(2, own)

    def sign(self, data: bytes, hash_algorithm: int = 8, kind: int = 0) -> bytes:
        """A signature packet of version 3 over ``data``."""
        trailer = bytes([kind]) + _SECONDS.to_bytes(4, "big")
        digest, value = self._value(data + trailer, hash_algorithm)
        return packet(2, b"\x03\x05" + trailer + self.key_id + bytes((1, hash_algorithm)) + digest[:2] + value)

    def _value(self, data: bytes, hash_algorithm: int) -> tuple[bytes, bytes]:
        algorithm = _HASHES[hash_algorithm]
        state = hashes.Hash(algorithm)
        state.update(data)
        digest = state.finalize()
        return digest, integer(self._private.sign(digest, padding.PKCS1v15(), Prehashed(algorithm)))
