"""Key material written out in a text: PEM certificates and OpenPGP public key blocks (RFC 7468, RFC 9580 section 6)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

import re2

from monitor.analysis.model import KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BLOCKS = 64
MAX_BLOCK_CHARACTERS = 256 * 1024
_BEGIN = re2.compile(r"-----BEGIN (CERTIFICATE|TRUSTED CERTIFICATE|X509 CERTIFICATE|PGP PUBLIC KEY BLOCK)-----")
_MARKUP = re.compile(r"<[^<>\n]{0,40}>|&nbsp;|[\u200b\u200c\u200d\u2060\ufeff]")


def key_material(text: str, post_index: int | None) -> tuple[KeyMaterial, ...]:
    """Return at most ``MAX_BLOCKS`` complete blocks; a block whose base64 does not decode is not one."""
    found = []
    for start, end, kind, body in _armoured(text):
        lines = [line.strip().lstrip("> ").strip() for line in _MARKUP.sub("\n", body).split("\n")]
        data = _pem(lines) if kind == "pem_certificate" else _openpgp(lines)
        if data is not None:
            found.append(KeyMaterial(kind, data, post_index, start, end))
        if len(found) == MAX_BLOCKS:
            break
    return tuple(found)


def _armoured(text: str) -> Iterator[tuple[int, int, str, str]]:
    position, tries = 0, 0
    while tries < MAX_BLOCKS * 4 and (match := _BEGIN.search(text, position)):
        tries += 1
        name = match.group(1)
        close = f"-----END {name}-----"
        end = text.find(close, match.end(), match.end() + MAX_BLOCK_CHARACTERS)
        if end < 0:
            position = match.end()
            continue
        kind = "openpgp_block" if name.startswith("PGP") else "pem_certificate"
        yield match.start(), end + len(close), kind, text[match.end() : end]
        position = end + len(close)


def _pem(lines: list[str]) -> bytes | None:
    """The block again as clean PEM, or None. The DER inside is for the certificate decoder to judge."""
    der = _base64("".join(lines))
    if der is None:
        return None
    body = base64.encodebytes(der).replace(b"\n", b"").decode()
    wrapped = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n".encode()


def _openpgp(lines: list[str]) -> bytes | None:
    """The block again as clean armour without its headers and checksum (RFC 9580 6.1 makes the checksum optional), or None."""
    body = [line for line in lines if line and ": " not in line and not (line[0] == "=" and len(line) == 5)]
    packets = _base64("".join(body))
    if packets is None:
        return None
    encoded = base64.b64encode(packets).decode()
    wrapped = "\n".join(encoded[i : i + 64] for i in range(0, len(encoded), 64))
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{wrapped}\n-----END PGP PUBLIC KEY BLOCK-----\n".encode()


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None
