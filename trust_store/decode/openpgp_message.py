"""Signed OpenPGP messages with the content inside (RFC 9580 10.3): one-pass signatures, literal data, signatures; perhaps compressed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from trust_store.decode.openpgp_packets import Tag, is_armored, read_armor
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_RATIO = 1100
MAX_DEPTH = 2
MAX_SIGNATURES = 64
MAX_PIECES = 65_536
_SLACK_BYTES = 64 * 1024
_ONE_PASS, _COMPRESSED, _LITERAL = 4, 8, 11
_ENCRYPTED = frozenset({1, 3, 9, 18, 20})
_IGNORED = frozenset({Tag.MARKER.value, Tag.PADDING.value})
_DATA = frozenset({_COMPRESSED, _LITERAL})
_ARMOUR_BEGIN, _ARMOUR_END = b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----"
_ONE_PASS_BYTES = 13
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OpenPGPMessage:
    """What was signed and the bodies of the signature packets, in their order.

    ``places`` are the stretches (start, end) of the file in which the content lies as it is; none where it is compressed or armoured.
    """

    content: bytes
    signatures: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    tag: int
    pieces: tuple[tuple[int, int], ...]


def recognises(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (some KiB) is a signed message: told by its first packet, inside compression as well."""
    if head.lstrip(b"\r\n\t ").startswith(_ARMOUR_BEGIN):
        return True
    return _begins_signed(head, MAX_DEPTH)


def read_message(data: bytes) -> OpenPGPMessage:
    """The one signed message that ``data`` is, armoured or binary.

    Raises MalformedError for anything else in it and for signatures that do not match their announcement, UnsupportedError for an
    encrypted or unsigned message, ResourceLimitError.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ResourceLimitError(f"an OpenPGP message of {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are read")
    armoured = is_armored(data)
    binary = _unarmoured(data) if armoured else data
    message = _message(binary, 0)
    return OpenPGPMessage(message.content, message.signatures) if armoured else message


def _unarmoured(data: bytes) -> bytes:
    text = data.strip(b"\r\n\t ")
    if not text.startswith(_ARMOUR_BEGIN) or not text.endswith(_ARMOUR_END):
        raise MalformedError("there is something outside the armoured message")
    blocks = read_armor(data)
    if len(blocks) != 1:
        raise MalformedError("more than one armoured message in one file")
    return blocks[0].data


def _message(data: bytes, depth: int) -> OpenPGPMessage:
    parts = [part for part in _parts(data) if part.tag not in _IGNORED]
    if len(parts) == 1 and parts[0].tag == _COMPRESSED:
        if depth >= MAX_DEPTH:
            raise ResourceLimitError("an OpenPGP message compressed more than twice")
        inner = _message(_unpacked(_joined(data, parts[0])), depth + 1)
        return OpenPGPMessage(inner.content, inner.signatures)
    tags = [part.tag for part in parts]
    if _ENCRYPTED.intersection(tags):
        raise UnsupportedError("an encrypted OpenPGP message: what is signed in it cannot be read")
    if tags.count(_LITERAL) != 1:
        raise MalformedError("an OpenPGP message is one literal data packet with its signatures")
    at = tags.index(_LITERAL)
    before, after = parts[:at], parts[at + 1 :]
    if not _is_signed(tags[:at], tags[at + 1 :]):
        raise MalformedError("an OpenPGP message whose signatures do not match their announcement")
    signatures = tuple(_joined(data, part) for part in (after if tags[:1] == [_ONE_PASS] else before))
    if len(signatures) > MAX_SIGNATURES:
        raise ResourceLimitError(f"more than {MAX_SIGNATURES} signatures in one message")
    if not signatures:
        raise UnsupportedError("an OpenPGP message without a signature")
    places = _content_places(data, parts[at])
    return OpenPGPMessage(b"".join(data[start:end] for start, end in places), signatures, places)


def _is_signed(before: list[int], after: list[int]) -> bool:
    """One-Pass Signed Message or Signed Message of RFC 9580 10.3, or neither with a signature at all."""
    if set(before) == {_ONE_PASS}:
        return len(before) == len(after) and set(after) == {Tag.SIGNATURE.value}
    return set(before) <= {Tag.SIGNATURE.value} and not after


def _content_places(data: bytes, literal: _Part) -> tuple[tuple[int, int], ...]:
    """Where the content stands: after format, file name and date (RFC 9580 5.9), none of which is signed."""
    head = _joined(data, literal, 2 + 255 + 4)
    length = 6 + head[1] if len(head) > 1 else 0
    if not length or len(head) < length or head[:1] not in (b"b", b"t", b"u", b"m", b"l", b"1"):
        raise MalformedError("a literal data packet without its header")
    places: list[tuple[int, int]] = []
    for start, end in literal.pieces:
        skipped = min(length, end - start)
        length -= skipped
        if start + skipped < end:
            places.append((start + skipped, end))
    return tuple(places)


def _joined(data: bytes, part: _Part, most: int | None = None) -> bytes:
    if most is None:
        return b"".join(data[start:end] for start, end in part.pieces)
    found = b""
    for start, end in part.pieces:
        found += data[start : min(end, start + most - len(found))]
        if len(found) >= most:
            break
    return found


def _parts(data: bytes) -> Iterator[_Part]:
    """Every packet (RFC 9580 4.2), data packets in the pieces that partial lengths make of them."""
    position = count = 0
    while position < len(data):
        tag, position, length, partial = _header(data, position)
        pieces: list[tuple[int, int]] = []
        while True:
            end = position + length
            if end > len(data):
                raise MalformedError("an OpenPGP packet is cut short")
            pieces.append((position, end))
            position = end
            if not partial:
                break
            position, length, partial = _length(data, position)
            if len(pieces) >= MAX_PIECES:
                raise ResourceLimitError(f"an OpenPGP packet in more than {MAX_PIECES} pieces")
        count += 1
        if count > 2 * MAX_SIGNATURES + 16:
            raise ResourceLimitError("too many OpenPGP packets in one message")
        yield _Part(tag, tuple(pieces))


def _header(data: bytes, position: int) -> tuple[int, int, int, bool]:
    """(type, offset of the body, its length in bytes, whether more pieces follow)."""
    first = data[position]
    if not first & 0x80:
        raise MalformedError("not an OpenPGP packet: bit 7 of the first octet is clear")
    if first & 0x40:
        tag = first & 0x3F
        start, length, partial = _length(data, position + 1)
        if partial and tag not in _DATA:
            raise MalformedError("an OpenPGP packet of partial length where only whole packets are allowed")
        return tag, start, length, partial
    tag = (first >> 2) & 0x0F
    if first & 3 == 3:  # until the end of the file: GnuPG writes compressed data so
        if tag not in _DATA:
            raise MalformedError("an OpenPGP packet of indeterminate length")
        return tag, position + 1, len(data) - position - 1, False
    size = 1 << (first & 3)
    if position + 1 + size > len(data):
        raise MalformedError("an OpenPGP packet header is cut short")
    return tag, position + 1 + size, int.from_bytes(data[position + 1 : position + 1 + size], "big"), False


def _length(data: bytes, position: int) -> tuple[int, int, bool]:
    first = data[position] if position < len(data) else -1
    if 0 <= first < 192:
        return position + 1, first, False
    if 224 <= first < 255:
        return position + 1, 1 << (first & 0x1F), True
    size = 2 if first < 224 else 5
    if first < 0 or position + size > len(data):
        raise MalformedError("an OpenPGP packet header is cut short")
    if size == 2:
        return position + 2, ((first - 192) << 8) + data[position + 1] + 192, False
    return position + 5, int.from_bytes(data[position + 1 : position + 5], "big"), False


def _unpacked(body: bytes) -> bytes:
    """The content of a compressed data packet (RFC 9580 5.6): one stream and nothing after it."""
    algorithm, packed = body[:1], body[1:]
    if algorithm == b"\0":
        return packed
    most = min(MAX_MESSAGE_BYTES, len(packed) * MAX_RATIO + _SLACK_BYTES)
    try:
        if algorithm in (b"\1", b"\2"):
            inflate = zlib.decompressobj(-zlib.MAX_WBITS if algorithm == b"\1" else zlib.MAX_WBITS)
            content = inflate.decompress(packed, most)
            rest, ended = inflate.unconsumed_tail, inflate.eof and not inflate.unused_data
        elif algorithm == b"\3":
            import bz2

            unzip = bz2.BZ2Decompressor()
            content = unzip.decompress(packed, most)
            rest, ended = b"" if unzip.eof or unzip.needs_input else b"more", unzip.eof and not unzip.unused_data
        else:
            raise UnsupportedError("an OpenPGP message compressed in a way that is not known")
    except (zlib.error, OSError, ValueError, EOFError) as error:
        raise MalformedError(f"an OpenPGP message that does not unpack: {str(error)[:100]}") from error
    if rest and not ended:
        raise ResourceLimitError(f"an OpenPGP message of {len(packed)} bytes that unpacks to more than {most}")
    if not ended:
        raise MalformedError("an OpenPGP message is cut short, or has something after its compressed data")
    return content


def _begins_signed(head: bytes, depth: int) -> bool:
    try:
        tag, start, length, _ = _header(head, 0)
    except (MalformedError, IndexError):
        return False
    if tag == _COMPRESSED and depth:
        return _begins_signed(_unpacked_head(head[start:]), depth - 1)
    if tag == _ONE_PASS:  # RFC 9580 5.4: version 3, type of a document; version 6 has salt and fingerprint
        version, kind = head[start : start + 1], head[start + 1 : start + 2]
        sizes = length == _ONE_PASS_BYTES if version == b"\3" else version == b"\6" and length > 40
        return bool(sizes) and kind in (b"\0", b"\1")
    if tag != Tag.SIGNATURE or head[start : start + 1] not in (b"\3", b"\4", b"\6"):
        return False
    following = head[start + length :]
    return (
        bool(following)
        and following[0] & 0x80 != 0
        and _tag(following[0]) in (Tag.SIGNATURE, _LITERAL)
        and (_tag(following[0]) == _LITERAL or _begins_signed(following, 0))
    )


def _tag(first: int) -> int:
    return first & 0x3F if first & 0x40 else (first >> 2) & 0x0F


def _unpacked_head(body: bytes) -> bytes:
    """The first bytes that a compressed packet may unpack to; none where it does not."""
    try:
        if body[:1] in (b"\1", b"\2"):
            inflate = zlib.decompressobj(-zlib.MAX_WBITS if body[:1] == b"\1" else zlib.MAX_WBITS)
            return inflate.decompress(body[1:], 4096)
        if body[:1] == b"\3":
            import bz2  # few messages are packed so

            return bz2.BZ2Decompressor().decompress(body[1:], 4096)
    except (zlib.error, OSError, ValueError, EOFError):
        return b""
    return b""
