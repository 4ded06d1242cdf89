"""OpenPGP framing: ASCII armour (RFC 9580 section 6) and packet headers (section 4.2). Structure only, no meaning."""

from __future__ import annotations

import base64
import binascii
import re
from enum import IntEnum

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAX_DATA_BYTES = 8 * 1024 * 1024
MAX_PACKETS = 65_536
MAX_ARMOR_BLOCKS = 1024
MAX_PACKET_BYTES = 256 * 1024  # a photo in a user attribute is the largest that is met
MAX_ARMOR_HEADERS = 64

_BEGIN = re.compile(rb"-----BEGIN PGP ([A-Z0-9 ,/]{1,40})-----[ \t\r]*\Z")
_END = re.compile(rb"-----END PGP ([A-Z0-9 ,/]{1,40})-----[ \t\r]*\Z")
_ARMOR_HEADER = re.compile(rb"[A-Za-z0-9-]{1,64}:(?: .*)?\Z")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2}\Z")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Tag(IntEnum):
    """Packet type ids this program has a word for (RFC 9580 section 5)."""

    SIGNATURE = 2
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    MARKER = 10
    TRUST = 12
    USER_ID = 13
    PUBLIC_SUBKEY = 14
    USER_ATTRIBUTE = 17
    PADDING = 21


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: its type id, body, and where it stood in the data (byte offsets, end exclusive)."""

    tag: int
    body: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ArmorBlock:
    """One complete armoured block: ``label`` is what follows ``BEGIN PGP``, ``data`` the decoded bytes."""

    label: str
    data: bytes


def split_packets(data: bytes) -> tuple[Packet, ...]:
    """Return every packet in ``data``, which must end where the last packet ends.

    Partial and indeterminate lengths are refused: RFC 9580 4.2.1.4 allows them for data packets only.
    Raises MalformedError, or ResourceLimitError above MAX_DATA_BYTES, MAX_PACKETS or MAX_PACKET_BYTES.
    """
    if len(data) > MAX_DATA_BYTES:
        raise ResourceLimitError(f"OpenPGP data of {len(data)} bytes; at most {MAX_DATA_BYTES} are read")
    packets: list[Packet] = []
    position = 0
    while position < len(data):
        if len(packets) >= MAX_PACKETS:
            raise ResourceLimitError(f"more than {MAX_PACKETS} OpenPGP packets")
        tag, start, length = _header(data, position)
        if length > MAX_PACKET_BYTES:
            raise ResourceLimitError(f"an OpenPGP packet of {length} bytes; at most {MAX_PACKET_BYTES} are read")
        end = start + length
        if end > len(data):
            raise MalformedError("an OpenPGP packet is cut short")
        packets.append(Packet(tag, data[start:end], position, end))
        position = end
    return tuple(packets)


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    """Return type id, offset of the body and its length in bytes (RFC 9580 4.2)."""
    first = data[position]
    if not first & 0x80:
        raise MalformedError("not an OpenPGP packet: bit 7 of the first octet is clear")
    if first & 0x40:
        tag = first & 0x3F
        start, length = _new_length(data, position + 1)
    else:
        tag = (first >> 2) & 0x0F
        if first & 3 == 3:
            raise MalformedError("an OpenPGP packet of indeterminate length")
        size = 1 << (first & 3)
        start = position + 1 + size
        length = int.from_bytes(data[position + 1 : start], "big")
    if start > len(data):
        raise MalformedError("an OpenPGP packet header is cut short")
    if tag == 0:
        raise MalformedError("OpenPGP packet type 0 is reserved")
    return tag, start, length


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise MalformedError("an OpenPGP packet header is cut short")
    first = data[position]
    if first < 192:
        return position + 1, first
    if first < 224:
        if position + 1 >= len(data):
            raise MalformedError("an OpenPGP packet header is cut short")
        return position + 2, ((first - 192) << 8) + data[position + 1] + 192
    if first < 255:
        raise MalformedError("an OpenPGP packet of partial length where only whole packets are allowed")
    return position + 5, int.from_bytes(data[position + 1 : position + 5], "big")


def is_armored(data: bytes) -> bool:
    """Whether ``data`` should be read as ASCII armour: binary OpenPGP begins with an octet above 0x7F, and not with a BOM."""
    return bool(data) and (data[0] < 0x80 or data.startswith(_BYTE_ORDER_MARK))


def read_armor(data: bytes) -> tuple[ArmorBlock, ...]:
    """Return the complete armoured blocks of ``data``; text before, between and after them is ignored.

    The CRC24 footer may be there or not and is not compared: an implementation MUST NOT reject data for it (RFC 9580 6.1).
    Only lines that *begin* with the five dashes count, so a dash-escaped ``- -----BEGIN`` is text.
    Raises MalformedError for a block that is not complete, ResourceLimitError above MAX_DATA_BYTES or MAX_ARMOR_BLOCKS.
    """
    if len(data) > MAX_DATA_BYTES:
        raise ResourceLimitError(f"armoured data of {len(data)} bytes; at most {MAX_DATA_BYTES} are read")
    blocks: list[ArmorBlock] = []
    label: bytes | None = None
    lines: list[bytes] = []
    for line in data.removeprefix(_BYTE_ORDER_MARK).split(b"\n"):
        opening, closing = _BEGIN.match(line), _END.match(line)
        if label is None:
            if closing:
                raise MalformedError("an armoured block ends that never began")
            if opening:
                label, lines = opening.group(1), []
            continue
        if opening:
            raise MalformedError("an armoured block begins inside another one")
        if not closing:
            lines.append(line.rstrip(b" \t\r"))
            continue
        if closing.group(1) != label:
            raise MalformedError("an armoured block ends with another label than it began with")
        if len(blocks) >= MAX_ARMOR_BLOCKS:
            raise ResourceLimitError(f"more than {MAX_ARMOR_BLOCKS} armoured blocks")
        blocks.append(ArmorBlock(label.decode("ascii"), _decode_block(lines)))
        label = None
    if label is not None:
        raise MalformedError("an armoured block has no end line")
    return tuple(blocks)


def _decode_block(lines: list[bytes]) -> bytes:
    """Return the bytes of one block's lines: header lines, a blank line, base64, perhaps a CRC24 footer (RFC 9580 6.2)."""
    if b"" not in lines[: MAX_ARMOR_HEADERS + 1]:
        raise MalformedError("an armoured block has no blank line before its data")
    blank = lines.index(b"")
    if not all(_ARMOR_HEADER.match(line) for line in lines[:blank]):
        raise MalformedError("an armoured block has a header line that is not 'Key: Value'")
    body = [line for line in lines[blank + 1 :] if line]
    if body and body[-1].startswith(b"="):
        body.pop()
    if not body:
        raise MalformedError("an armoured block is empty")
    if any(line.endswith(b"=") for line in body[:-1]) or not all(_BASE64_LINE.match(line) for line in body):
        raise MalformedError("an armoured block holds something that is not base64")
    try:
        return base64.b64decode(b"".join(body), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("an armoured block holds broken base64") from error
