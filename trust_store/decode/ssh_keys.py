"""SSH public key blobs (RFC 4253 6.6, RFC 5656 3.1, RFC 8709, OpenSSH PROTOCOL.u2f) from hostile bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from trust_store.decode import spki
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BLOB_BYTES = 16 * 1024
MAX_APPLICATION_BYTES = 1024
_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "nistp256": ec.SECP256R1,
    "nistp384": ec.SECP384R1,
    "nistp521": ec.SECP521R1,
}


def fields_of(blob: bytes) -> list[bytes]:
    """The strings that a blob is made of (RFC 4251 section 5); raises MalformedError or ResourceLimitError."""
    if len(blob) > MAX_BLOB_BYTES:
        raise ResourceLimitError(f"an SSH key of {len(blob)} bytes")
    found: list[bytes] = []
    position = 0
    while position < len(blob):
        end = position + 4 + int.from_bytes(blob[position : position + 4], "big")
        if position + 4 > len(blob) or end > len(blob):
            raise MalformedError("an SSH key blob is cut short")
        found.append(blob[position + 4 : end])
        position = end
    return found


def ssh_spki(blob: bytes) -> tuple[str, bytes]:
    """(key type, the key as SubjectPublicKeyInfo) of a whole public key blob.

    Raises MalformedError, ResourceLimitError, or UnsupportedError for certificates, DSA and unknown types.
    """
    fields = fields_of(blob)
    try:
        kind = fields[0].decode("ascii") if fields else ""
    except UnicodeDecodeError as error:
        raise MalformedError("an SSH key whose type is no text") from error
    reader = _READERS.get(kind)
    if reader is None:
        raise UnsupportedError(f"SSH keys of type {kind[:60]!r} are not read")
    return kind, reader(kind, fields[1:])


def _ed25519(_kind: str, fields: list[bytes]) -> bytes:
    return spki.ed25519_spki(_exactly(fields, 1)[0])


def _ecdsa(kind: str, fields: list[bytes]) -> bytes:
    curve, point = _exactly(fields, 2)
    name = kind.removeprefix("ecdsa-sha2-")
    if curve.decode("latin-1") != name:
        raise MalformedError("an SSH key whose curve is not the one of its type")
    return spki.ec_spki(_CURVES[name](), point)


def _rsa(_kind: str, fields: list[bytes]) -> bytes:
    exponent, modulus = (_number(field) for field in _exactly(fields, 2))
    return spki.rsa_spki(modulus, exponent)


def _sk_ed25519(kind: str, fields: list[bytes]) -> bytes:
    return _ed25519(kind, _without_application(fields, 2))


def _sk_ecdsa(_kind: str, fields: list[bytes]) -> bytes:
    return _ecdsa("ecdsa-sha2-nistp256", _without_application(fields, 3))


def _without_application(fields: list[bytes], count: int) -> list[bytes]:
    *key, application = _exactly(fields, count)
    if not application or len(application) > MAX_APPLICATION_BYTES:
        raise MalformedError("a security key's application is empty or too long")
    return key


def _exactly(fields: list[bytes], count: int) -> list[bytes]:
    if len(fields) != count:
        raise MalformedError("an SSH key with fields missing or to spare")
    return fields


def _number(field: bytes) -> int:
    """A positive mpint in its one encoding (RFC 4251 section 5): no leading zero but the one that keeps the sign."""
    if not field or field[0] & 0x80 or (field[0] == 0 and (len(field) < 2 or not field[1] & 0x80)):
        raise MalformedError("an SSH key with a number that is not positive or is padded")
    return int.from_bytes(field, "big")


_READERS: dict[str, Callable[[str, list[bytes]], bytes]] = {
    "ecdsa-sha2-nistp256": _ecdsa,
    "ecdsa-sha2-nistp384": _ecdsa,
    "ecdsa-sha2-nistp521": _ecdsa,
    "sk-ecdsa-sha2-nistp256@openssh.com": _sk_ecdsa,
    "sk-ssh-ed25519@openssh.com": _sk_ed25519,
    "ssh-ed25519": _ed25519,
    "ssh-rsa": _rsa,
}
KEY_TYPES = frozenset(_READERS)
"""Key types that are read."""
OTHER_TYPES = frozenset({"ssh-dss", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"} | {
    f"{base}-cert-v01@openssh.com"
    for base in ("ssh-rsa", "ssh-dss", "ssh-ed25519", "sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256",
                 "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-256", "rsa-sha2-512")
})  # fmt: skip
"""Key types that stand on such lines and are not read."""
