"""Cabinet files ([MS-CAB] 2.1): the header, and in its reserved area where Authenticode has put a signature behind the cabinet."""

from __future__ import annotations

import struct

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAGIC = b"MSCF"
HEADER_BYTES = 60
MAX_SIGNATURE_BYTES = 8 * 1024 * 1024
_HEADER = struct.Struct("<4sIIIIIBBHHHHH")
_RESERVE = struct.Struct("<HBB")
_SIGNATURE = struct.Struct("<IIIQ")
_RESERVE_PRESENT = 0x0004
_SMALLEST = 36


@dataclass(frozen=True, slots=True)
class CabinetHeader:
    """``size`` of the cabinet in bytes as it states it; ``signature`` where in the file one is (start, end), None without one."""

    size: int
    signature: tuple[int, int] | None


def read_header(head: bytes, file_size: int) -> CabinetHeader:
    """Read the first HEADER_BYTES of a file; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if len(head) < _SMALLEST or head[:4] != MAGIC:
        raise MalformedError("cabinet: no header")
    fields = _HEADER.unpack_from(head)
    size, major, flags = fields[2], fields[7], fields[10]
    if major != 1:
        raise UnsupportedError(f"cabinet: version {major}")
    if not _SMALLEST <= size <= file_size:
        raise MalformedError(f"cabinet: {size} bytes by its header, {file_size} in the file")
    if not flags & _RESERVE_PRESENT or len(head) < HEADER_BYTES:
        return CabinetHeader(size, None)
    in_header, in_folder, in_data = _RESERVE.unpack_from(head, _HEADER.size)
    if in_header != _SIGNATURE.size:  # reserved for something else
        return CabinetHeader(size, None)
    _, start, length, _ = _SIGNATURE.unpack_from(head, _HEADER.size + _RESERVE.size)
    if not start and not length:
        return CabinetHeader(size, None)
    if in_folder or in_data:
        # the signature leaves these fields out, and they say where folders and data begin
        raise MalformedError("cabinet: a signed cabinet with space reserved in folders or data")
    if start != size or not length or start + length > file_size:
        raise MalformedError("cabinet: the signature does not stand behind the cabinet")
    if length > MAX_SIGNATURE_BYTES:
        raise ResourceLimitError(f"cabinet: a signature of {length} bytes")
    return CabinetHeader(size, (start, start + length))
