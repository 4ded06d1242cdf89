"""One OpenPGP signature packet (RFC 9580 section 5.2), versions 3, 4 and 6: parsed once, verified elsewhere."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_SUBPACKETS = 256
MAX_MPIS = 4

HASHES = {
    1: "md5",
    2: "sha1",
    3: "ripemd160",
    8: "sha256",
    9: "sha384",
    10: "sha512",
    11: "sha224",
    12: "sha3_256",
    14: "sha3_512",
}
_SALT_BYTES = {8: 16, 9: 24, 10: 32, 11: 16, 12: 16, 14: 32}  # RFC 9580 9.5, table 23


class SignatureType(IntEnum):
    """Signature types (RFC 9580 5.2.1)."""

    BINARY = 0x00
    TEXT = 0x01
    GENERIC_CERTIFICATION = 0x10
    POSITIVE_CERTIFICATION = 0x13
    SUBKEY_BINDING = 0x18
    PRIMARY_KEY_BINDING = 0x19
    DIRECT_KEY = 0x1F
    KEY_REVOCATION = 0x20
    SUBKEY_REVOCATION = 0x28
    CERTIFICATION_REVOCATION = 0x30


class Subpacket(IntEnum):
    """Subpacket types this program reads (RFC 9580 5.2.3.7)."""

    CREATED = 2
    EXPIRES = 3
    KEY_EXPIRES = 9
    REVOCATION_KEY = 12
    ISSUER = 16
    NOTATION = 20
    KEY_FLAGS = 27
    REVOCATION_REASON = 29
    EMBEDDED_SIGNATURE = 32
    ISSUER_FINGERPRINT = 33


# Critical subpackets whose meaning is either acted upon or cannot narrow what is decided here: exportable, trust,
# revocable, preferences, primary user id, policy URI, signer's user id, features. Regular expressions, notations,
# signature targets and intended recipients narrow a signature and are not implemented: critical ones refuse it.
_UNDERSTOOD = frozenset({2, 3, 4, 5, 7, 9, 11, 12, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 34, 39})
_ONCE = frozenset({2, 3, 9, 27, 29})
_FIXED_LENGTH = {2: 4, 3: 4, 9: 4, 16: 8, 12: 22}


@dataclass(frozen=True, slots=True)
class OpenPGPSignature:
    """A parsed signature packet.

    Everything but ``issuer_*`` and ``embedded`` comes from the hashed area alone; the issuer is a hint and an embedded
    signature proves itself. ``prefix`` (a version 6 salt) is hashed before and ``trailer`` after the covered bytes.
    ``values`` is the algorithm-specific part, not yet split into integers. Times are aware UTC, durations from them.
    """

    version: int
    type: int
    public_key_algorithm: int
    hash_algorithm: int
    created: datetime | None
    expires: datetime | None
    key_validity: timedelta | None
    key_flags: bytes | None
    revocation_reason: int | None
    revokers: tuple[str, ...]
    issuer_fingerprint: str | None
    issuer_key_id: str | None
    embedded: tuple[bytes, ...]
    unknown_critical: tuple[int, ...]
    prefix: bytes
    trailer: bytes
    values: bytes

    @property
    def digest_name(self) -> str:
        """The hashlib name of the digest; raises UnsupportedError where this Python has none."""
        name = HASHES.get(self.hash_algorithm)
        if name is None or name not in hashlib.algorithms_available:
            raise UnsupportedError(f"OpenPGP hash algorithm {self.hash_algorithm} is not supported")
        return name

    def digest(self, covered: bytes) -> bytes:
        """Return the digest over ``covered`` as RFC 9580 5.2.4 computes it; raises UnsupportedError."""
        state = hashlib.new(self.digest_name, usedforsecurity=False)
        state.update(self.prefix + covered + self.trailer)
        return state.digest()


class _Octets:
    """A cursor over bytes that raises MalformedError instead of running past the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise MalformedError("an OpenPGP signature packet is cut short")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    @property
    def left(self) -> int:
        return len(self._data) - self._position


def parse_signature(body: bytes) -> OpenPGPSignature:
    """Return the signature in packet ``body``.

    Raises MalformedError, ResourceLimitError (MAX_SUBPACKETS) or UnsupportedError (other versions). Critical subpackets
    that are not understood are only listed in ``unknown_critical``: what follows from them depends on who asks.
    """
    octets = _Octets(body)
    version = octets.number(1)
    if version in (2, 3):
        return _parse_version_3(octets, version)
    if version not in (4, 6):
        raise UnsupportedError(f"OpenPGP signature version {version} is not supported")
    wide = 4 if version == 6 else 2
    kind, key_algorithm, hash_algorithm = octets.number(1), octets.number(1), octets.number(1)
    hashed_length = octets.number(wide)
    hashed = octets.take(hashed_length)
    unhashed = octets.take(octets.number(wide))
    octets.take(2)  # the left 16 bits of the digest: a hint for quick rejection, relied on nowhere
    salt = octets.take(octets.number(1)) if version == 6 else b""
    # RFC 9580 5.2.3: a salt of another size than the hash algorithm's makes the signature malformed.
    if version == 6 and hash_algorithm in HASHES and len(salt) != _SALT_BYTES.get(hash_algorithm, -1):
        raise MalformedError("a version 6 signature has a salt of the wrong size")
    signed_part = body[: 4 + wide + hashed_length]
    fields = _Fields(_subpackets(hashed), _subpackets(unhashed))
    created = fields.time(Subpacket.CREATED)
    validity = fields.seconds(Subpacket.EXPIRES)
    return OpenPGPSignature(
        version=version,
        type=kind,
        public_key_algorithm=key_algorithm,
        hash_algorithm=hash_algorithm,
        created=created,
        expires=created + validity if created and validity else None,
        key_validity=fields.seconds(Subpacket.KEY_EXPIRES),
        key_flags=fields.value(Subpacket.KEY_FLAGS),
        revocation_reason=fields.revocation_reason(),
        revokers=tuple(value[2:].hex() for value in fields.hashed_values(Subpacket.REVOCATION_KEY)),
        issuer_fingerprint=fields.issuer_fingerprint(),
        issuer_key_id=fields.issuer_key_id(),
        embedded=fields.anywhere(Subpacket.EMBEDDED_SIGNATURE),
        unknown_critical=fields.unknown_critical,
        prefix=salt,
        # RFC 9580 5.2.4: version, 0xFF and the length of the hashed part end what is hashed.
        trailer=signed_part + bytes((version, 0xFF)) + (len(signed_part) % 2**32).to_bytes(4, "big"),
        values=octets.take(octets.left),
    )


def _parse_version_3(octets: _Octets, version: int) -> OpenPGPSignature:
    """RFC 9580 5.2.2: type and creation time are all that is hashed beside the covered bytes."""
    if octets.number(1) != 5:
        raise MalformedError("a version 3 signature must hash five octets")
    kind, created = octets.take(1), octets.take(4)
    key_id = octets.take(8).hex()
    key_algorithm, hash_algorithm = octets.number(1), octets.number(1)
    octets.take(2)
    return OpenPGPSignature(
        version=version,
        type=kind[0],
        public_key_algorithm=key_algorithm,
        hash_algorithm=hash_algorithm,
        created=_moment(created),
        expires=None,
        key_validity=None,
        key_flags=None,
        revocation_reason=None,
        revokers=(),
        issuer_fingerprint=None,
        issuer_key_id=key_id,
        embedded=(),
        unknown_critical=(),
        prefix=b"",
        trailer=kind + created,
        values=octets.take(octets.left),
    )


def _moment(seconds: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(seconds, "big"), UTC)


def _subpackets(area: bytes) -> tuple[tuple[int, bool, bytes], ...]:
    """Return (type, critical, value) of each subpacket (RFC 9580 5.2.3.7)."""
    octets = _Octets(area)
    found: list[tuple[int, bool, bytes]] = []
    while octets.left:
        if len(found) >= MAX_SUBPACKETS:
            raise ResourceLimitError(f"more than {MAX_SUBPACKETS} subpackets in an OpenPGP signature")
        length = octets.number(1)
        if length == 255:
            length = octets.number(4)
        elif length >= 192:
            length = ((length - 192) << 8) + octets.number(1) + 192
        if length == 0:
            raise MalformedError("an OpenPGP signature subpacket without a type")
        kind, value = octets.number(1), octets.take(length - 1)
        if len(value) != _FIXED_LENGTH.get(kind & 0x7F, len(value)):
            raise MalformedError(f"OpenPGP signature subpacket {kind & 0x7F} has a wrong length")
        found.append((kind & 0x7F, bool(kind & 0x80), value))
    return tuple(found)


class _Fields:
    """The two subpacket areas of one signature. What narrows or dates a signature counts in the hashed area only."""

    def __init__(
        self, hashed: tuple[tuple[int, bool, bytes], ...], unhashed: tuple[tuple[int, bool, bytes], ...]
    ) -> None:
        self._hashed, self._both = hashed, hashed + unhashed
        kinds = [kind for kind, _, _ in hashed]
        # RFC 9580 5.2.3.9 lets each reader choose between contradicting subpackets; two readers must not choose differently.
        if any(kinds.count(kind) > 1 for kind in _ONCE):
            raise MalformedError("an OpenPGP signature says the same thing twice")
        self.unknown_critical = tuple(kind for kind, critical, _ in hashed if critical and kind not in _UNDERSTOOD)

    def hashed_values(self, kind: int) -> tuple[bytes, ...]:
        return tuple(value for found, _, value in self._hashed if found == kind)

    def anywhere(self, kind: int) -> tuple[bytes, ...]:
        return tuple(value for found, _, value in self._both if found == kind)

    def value(self, kind: int) -> bytes | None:
        return next(iter(self.hashed_values(kind)), None)

    def time(self, kind: int) -> datetime | None:
        value = self.value(kind)
        return None if value is None else _moment(value)

    def seconds(self, kind: int) -> timedelta | None:
        """A duration; zero means 'never' (RFC 9580 5.2.3.13, 5.2.3.18) and is None like an absent one."""
        value = self.value(kind)
        return timedelta(seconds=int.from_bytes(value, "big")) if value and any(value) else None

    def revocation_reason(self) -> int | None:
        value = self.value(Subpacket.REVOCATION_REASON)
        if value is None:
            return None
        if not value:
            raise MalformedError("an OpenPGP reason for revocation is empty")
        return value[0]

    def issuer_fingerprint(self) -> str | None:
        """The issuer's fingerprint (RFC 9580 5.2.3.35): key version, then 20 octets (v4) or 32 (v6)."""
        for value in self.anywhere(Subpacket.ISSUER_FINGERPRINT):
            if (value[:1], len(value)) in ((b"\x04", 21), (b"\x06", 33)):
                return value[1:].hex()
        return None

    def issuer_key_id(self) -> str | None:
        return next((value.hex() for value in self.anywhere(Subpacket.ISSUER)), None)


def split_integers(values: bytes) -> tuple[bytes, ...]:
    """Return the multiprecision integers in ``values`` (RFC 9580 3.2) without leading zeros; raises MalformedError.

    The stated bit count must be exact: a second spelling of the same number is refused.
    """
    octets = _Octets(values)
    found: list[bytes] = []
    while octets.left:
        if len(found) >= MAX_MPIS:
            raise MalformedError("too many integers in OpenPGP key or signature material")
        bits = octets.number(2)
        value = octets.take((bits + 7) // 8)
        if int.from_bytes(value, "big").bit_length() != bits:
            raise MalformedError("an OpenPGP integer states a wrong length")
        found.append(value)
    return tuple(found)
