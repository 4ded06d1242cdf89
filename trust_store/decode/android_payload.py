"""payload.bin of Android A/B updates (system/update_engine, ``update_metadata.proto``, ``payload_metadata.cc``).

Big-endian::

    "CrAU" | u64 version 2 | u64 manifest size | u32 metadata signature size | manifest | metadata signature | data | payload signature

Manifest and signatures are protocol buffers, of which the fields that matter here are read.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.zip_directory import Bytes

MAGIC = b"CrAU"
HEADER = struct.Struct(">4sQQI")
MAX_MANIFEST_BYTES = 12 * 1024**2
MAX_SIGNATURES_BYTES = 1024**2
MAX_SIGNATURES = 16
MAX_OPERATIONS = 200_000
_SIGNATURES_OFFSET, _SIGNATURES_SIZE, _PARTITIONS, _OPERATIONS = 4, 5, 13, 8
_DATA_OFFSET, _DATA_LENGTH, _DATA_SHA256 = 2, 3, 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Operation:
    """Data of one install operation: [``start``, ``end``) in the file, and its SHA-256."""

    start: int
    end: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """Places in the file, in bytes: metadata is [0, ``metadata_end``), its signature follows up to ``data_start``.

    The payload's signature is [``signature_start``, ``end``), empty where there is none. ``operations`` are in order and apart.
    ``metadata_sha256`` is of the metadata that all this was read from.
    """

    metadata_end: int
    data_start: int
    signature_start: int
    end: int
    operations: tuple[Operation, ...]
    metadata_sha256: bytes


@dataclass(frozen=True, slots=True)
class PayloadSignature:
    """One value; ``algorithm`` is what its form says: RSA values are as long as the key, ECDSA ones DER."""

    algorithm: str
    value: bytes


def read_payload(source: Bytes) -> Payload:
    """Read header and manifest; raises MalformedError, UnsupportedError or ResourceLimitError."""
    head = source.read_at(0, HEADER.size)
    if len(head) != HEADER.size or head[:4] != MAGIC:
        raise MalformedError("Android payload: no header")
    _, version, manifest_size, signature_size = HEADER.unpack(head)
    if version != 2:
        raise UnsupportedError(f"Android payload: major version {version}")
    if manifest_size > MAX_MANIFEST_BYTES or signature_size > MAX_SIGNATURES_BYTES:
        raise ResourceLimitError(
            f"Android payload: a manifest of {manifest_size} bytes, its signature of {signature_size}"
        )
    metadata_end = HEADER.size + manifest_size
    data_start = metadata_end + signature_size
    manifest = source.read_at(HEADER.size, manifest_size)
    if len(manifest) != manifest_size or data_start > source.size:
        raise MalformedError("Android payload: cut short")
    offset, size, operations = _manifest(manifest)
    signature_start = source.size if offset is None else data_start + offset
    if offset is not None and signature_start + size != source.size:
        raise MalformedError("Android payload: the signature is not what the file ends with")
    placed = [Operation(data_start + o.start, data_start + o.end, o.sha256) for o in operations]
    placed.sort(key=lambda operation: operation.start)
    if placed and max(operation.end for operation in placed) > signature_start:
        raise MalformedError("Android payload: an operation's data reaches beyond the signed data")
    apart: list[Operation] = []
    for operation in placed:  # operations may share data; those that overlap otherwise are left to the signature
        if not apart or operation.start >= apart[-1].end:
            apart.append(operation)
    metadata = hashlib.sha256(head + manifest).digest()
    return Payload(metadata_end, data_start, signature_start, source.size, tuple(apart), metadata)


def parse_signatures(data: bytes) -> tuple[PayloadSignature, ...]:
    """The values in a ``Signatures`` message; raises MalformedError where there is none, or one without a value."""
    if len(data) > MAX_SIGNATURES_BYTES:
        raise ResourceLimitError(f"Android payload: signatures of {len(data)} bytes")
    found: list[PayloadSignature] = []
    for field, value in _fields(data):
        if field != 1 or not isinstance(value, bytes):
            raise MalformedError("Android payload: signatures with a field that they do not have")
        found.append(_signature(value))
        if len(found) > MAX_SIGNATURES:
            raise ResourceLimitError(f"Android payload: more than {MAX_SIGNATURES} signatures")
    if not found:
        raise MalformedError("Android payload: no signature where one is said to be")
    return tuple(found)


def _signature(message: bytes) -> PayloadSignature:
    data, unpadded = b"", None
    for field, value in _fields(message):
        if field == 2 and isinstance(value, bytes):
            data = value
        elif field == 3 and isinstance(value, int):
            unpadded = value
    value = data if unpadded is None else data[:unpadded]
    if not value or (unpadded is not None and (unpadded > len(data) or data[unpadded:].strip(b"\0"))):
        raise MalformedError("Android payload: a signature without a value, or with padding that is none")
    der = value[:1] == b"\x30" and len(value) < 160  # a value of P-521 has 139 octets, one of RSA-2048 has 256
    return PayloadSignature("ecdsa" if der else "rsa-pkcs1", value)


def _manifest(data: bytes) -> tuple[int | None, int, list[Operation]]:
    offset: int | None = None
    size = 0
    operations: list[Operation] = []
    for field, value in _fields(data):
        if field == _SIGNATURES_OFFSET and isinstance(value, int):
            offset = value
        elif field == _SIGNATURES_SIZE and isinstance(value, int):
            size = value
        elif field == _PARTITIONS and isinstance(value, bytes):
            for inner, content in _fields(value):
                if inner == _OPERATIONS and isinstance(content, bytes):
                    operations += _operation(content)
                    if len(operations) > MAX_OPERATIONS:
                        raise ResourceLimitError(f"Android payload: more than {MAX_OPERATIONS} operations")
    return (offset if size else None), size, operations


def _operation(data: bytes) -> list[Operation]:
    values = {field: value for field, value in _fields(data) if field in (_DATA_OFFSET, _DATA_LENGTH, _DATA_SHA256)}
    start, length, digest = (values.get(field) for field in (_DATA_OFFSET, _DATA_LENGTH, _DATA_SHA256))
    if not isinstance(start, int) or not isinstance(length, int) or not length:
        return []
    return [Operation(start, start + length, digest if isinstance(digest, bytes) else b"")]


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Every field of a message; raises MalformedError where it does not parse."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        value: int | bytes
        if wire == _VARINT:
            value, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            width = 8 if wire == _FIXED64 else 4
            value, position = int.from_bytes(data[position : position + width], "little"), position + width
        elif wire == _BYTES:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        else:
            raise MalformedError(f"Android payload: wire type {wire} of a protocol buffer")
        if position > len(data) or not field:
            raise MalformedError("Android payload: a field is cut short")
        yield field, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise MalformedError("Android payload: a number is cut short, or too long")
        octet = data[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if not octet & 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
