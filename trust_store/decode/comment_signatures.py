"""Signature files of minisign and signify: an untrusted comment, base64 of algorithm, key number and Ed25519 value, and what follows.

minisign (https://jedisct1.github.io/minisign/ "Signature format") adds a trusted comment and a second value over the first value and
that comment. signify(1) adds nothing, or, in an embedded signature (``-e``), the message itself.
"""

from __future__ import annotations

import binascii
from datetime import UTC, datetime

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_COMMENT_BYTES = 8192
_UNTRUSTED, _TRUSTED = b"untrusted comment:", b"trusted comment:"
_SIGNATURE_BYTES, _KEY_BYTES = 74, 42
_DIGITS = frozenset(b"0123456789")
PLAIN, PREHASHED = b"Ed", b"ED"
"""Algorithms: over the message itself, and over its BLAKE2b-512 digest (minisign alone)."""


@dataclass(frozen=True, slots=True)
class CommentSignature:
    """One signature file.

    ``key_number`` is as minisign displays it: the eight bytes as one little-endian number, 16 digits of lower-case hex.
    ``trusted_comment`` and ``global_value`` (Ed25519 over ``value`` and the comment) are minisign's. ``message`` is what an embedded
    signify signature brings along, None where there is nothing after the signature.
    """

    algorithm: bytes
    key_number: str
    value: bytes
    trusted_comment: bytes | None = None
    global_value: bytes = b""
    message: bytes | None = None

    @property
    def claimed_at(self) -> datetime | None:
        """The ``timestamp:`` that minisign writes into the trusted comment, where there is one; the signer's own word."""
        for part in (self.trusted_comment or b"").split(b"\t"):
            name, _, value = part.partition(b":")
            if name == b"timestamp" and 0 < len(value) <= 11 and _DIGITS.issuperset(value):
                return datetime.fromtimestamp(int(value), UTC)
        return None


def is_minisign(data: bytes) -> bool:
    """Whether ``data`` begins as a minisign signature: the third line is a trusted comment."""
    return data.startswith(_UNTRUSTED) and _third_line(data).startswith(_TRUSTED)


def is_signify(data: bytes) -> bool:
    """Whether ``data`` begins as a signify signature: the comment, and no trusted comment as the third line."""
    return data.startswith(_UNTRUSTED) and not is_minisign(data)


def parse_minisign(data: bytes) -> CommentSignature:
    """The four lines of a minisign signature file; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if len(data) > 4 * MAX_COMMENT_BYTES:
        raise ResourceLimitError(f"a minisign signature file of {len(data)} bytes")
    lines = data.rstrip(b"\r\n").split(b"\n")
    if len(lines) != 4 or not is_minisign(data):
        raise MalformedError("a minisign signature is two comments, each with a line of base64")
    signature = _signature(lines[1], (PLAIN, PREHASHED), "minisign")
    comment = lines[2].removeprefix(_TRUSTED).removeprefix(b" ").rstrip(b"\r")
    if len(comment) > MAX_COMMENT_BYTES:
        raise ResourceLimitError(f"a trusted comment of {len(comment)} bytes")
    if any(octet < 0x20 and octet != 0x09 for octet in comment) or 0x7F in comment:
        raise MalformedError("a trusted comment with control characters")
    value = _base64(lines[3])
    if len(value) != 64:
        raise MalformedError(f"a global signature of {len(value)} bytes")
    return CommentSignature(signature[:2], _number(signature), signature[10:], comment, value)


def parse_signify(data: bytes) -> CommentSignature:
    """A signify signature, with the message where it is embedded; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if not is_signify(data):
        raise MalformedError("a signify signature begins with an untrusted comment")
    first = data.find(b"\n", 0, MAX_COMMENT_BYTES)
    second = data.find(b"\n", first + 1, first + 256)
    if first < 0 or second < 0:
        raise MalformedError("a signify signature is a comment and a line of base64, each with its end")
    signature = _signature(data[first + 1 : second], (PLAIN,), "signify")
    message = data[second + 1 :]
    return CommentSignature(signature[:2], _number(signature), signature[10:], message=message or None)


def _third_line(data: bytes) -> bytes:
    first = data.find(b"\n", 0, MAX_COMMENT_BYTES)
    second = data.find(b"\n", first + 1, first + 1 + MAX_COMMENT_BYTES) if first >= 0 else -1
    return data[second + 1 : second + 1 + len(_TRUSTED)] if second >= 0 else b""


def _signature(line: bytes, algorithms: tuple[bytes, ...], tool: str) -> bytes:
    decoded = _base64(line)
    if len(decoded) == _KEY_BYTES:
        raise UnsupportedError(f"this is a {tool} public key, not a signature")
    if len(decoded) != _SIGNATURE_BYTES:
        raise MalformedError(f"a {tool} signature has {_SIGNATURE_BYTES} bytes, not {len(decoded)}")
    if decoded[:2] not in algorithms:
        raise UnsupportedError(f"a {tool} signature of algorithm {decoded[:2]!a}")
    return decoded


def _number(signature: bytes) -> str:
    return signature[2:10][::-1].hex()


def _base64(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line.rstrip(b"\r"), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"a signature that is not base64: {error}") from error
