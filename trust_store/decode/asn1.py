"""A small BER reader (X.690) for hostile input: definite and indefinite lengths, every length and depth capped.

It only ever descends where a caller asks for children, keeps the exact octets, and never recurses deeper than MAX_DEPTH, so
that no input can exhaust the stack the way a lazy general decoder can be made to.
"""

from __future__ import annotations

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAX_DEPTH = 32
MAX_CHILDREN = 100_000
SEQUENCE, SET, INTEGER, OCTET_STRING, OID, NULL = 0x30, 0x31, 0x02, 0x04, 0x06, 0x05
BIT_STRING, UTC_TIME, GENERALIZED_TIME = 0x03, 0x17, 0x18
_CONSTRUCTED = 0x20
_INDEFINITE = 0x80
_MAX_LENGTH_OCTETS = 4
_END_OF_CONTENTS = b"\0\0"


@dataclass(frozen=True, slots=True)
class Element:
    """One value: identifier octet, contents without length and end-of-contents octets, and the octets as they stood."""

    tag: int
    content: bytes
    raw: bytes
    depth: int = 0

    def children(self) -> tuple[Element, ...]:
        """The values inside; raises MalformedError for a primitive value or broken contents."""
        if not self.tag & _CONSTRUCTED:
            raise MalformedError(f"ASN.1: tag {self.tag:#04x} has no values inside")
        found: list[Element] = []
        position = 0
        while position < len(self.content):
            if len(found) >= MAX_CHILDREN:
                raise ResourceLimitError(f"ASN.1: more than {MAX_CHILDREN} values in one")
            element, position = _read(self.content, position, self.depth + 1)
            found.append(element)
        return tuple(found)

    def expect(self, tag: int, what: str) -> Element:
        """This value if its tag is ``tag``; raises MalformedError naming ``what``."""
        if self.tag != tag:
            raise MalformedError(f"ASN.1: {what} has tag {self.tag:#04x}, expected {tag:#04x}")
        return self

    def oid(self, what: str) -> str:
        """The value as a dotted object identifier (X.690 8.19)."""
        content = self.expect(OID, what).content
        if not content or content[-1] & 0x80 or len(content) > 64:  # no known identifier comes near
            raise MalformedError(f"ASN.1: {what} is no object identifier")
        arcs: list[int] = []
        value = 0
        for octet in content:
            if value == 0 and octet == 0x80:  # X.690 8.19.2: no leading zero groups
                raise MalformedError(f"ASN.1: {what} is padded")
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(value)
                value = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))

    def integer(self, what: str) -> int:
        """The value as an integer of at most 64 octets."""
        content = self.expect(INTEGER, what).content
        if not 0 < len(content) <= 64:  # serial numbers are at most 20 octets (RFC 5280 4.1.2.2)
            raise MalformedError(f"ASN.1: {what} has {len(content)} octets")
        return int.from_bytes(content, "big", signed=True)


def read_one(data: bytes, what: str) -> Element:
    """The single value that ``data`` consists of; raises MalformedError for anything after it."""
    element, end = _read(data, 0, 0)
    if end != len(data):
        raise MalformedError(f"{what}: {len(data) - end} bytes after the end of the structure")
    return element


def read_first(data: bytes, what: str) -> tuple[Element, int]:
    """The value that ``data`` begins with, and where it ends: whatever follows is for the caller to judge; raises MalformedError."""
    if not data:
        raise MalformedError(f"{what}: nothing is there")
    return _read(data, 0, 0)


def der(element: Element) -> bytes:
    """The value with definite, minimal lengths throughout (X.690 10.1); sets keep their order, see ``der_set``. Each octet is read once."""
    return _der(element.raw, 0, len(element.raw), element.depth)[0]


def der_set(encodings: list[bytes]) -> bytes:
    """A SET OF in DER: the encodings in ascending order (X.690 11.6)."""
    content = b"".join(sorted(encodings))
    return bytes([SET]) + length_octets(len(content)) + content


def length_octets(length: int) -> bytes:
    """The minimal definite form (X.690 10.1)."""
    if length < 0x80:  # short form
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def _read(data: bytes, start: int, depth: int) -> tuple[Element, int]:
    _require_depth(depth)
    tag, position, end = _header(data, start, len(data))
    if end is None:
        return _read_indefinite(data, start, position, depth)
    return Element(tag, data[position:end], data[start:end], depth), end


def _read_indefinite(data: bytes, start: int, position: int, depth: int) -> tuple[Element, int]:
    """Values up to the end-of-contents octets (X.690 8.1.3.6)."""
    contents = position
    for _ in range(MAX_CHILDREN):
        if data.startswith(_END_OF_CONTENTS, position):
            return Element(data[start], data[contents:position], data[start : position + 2], depth), position + 2
        position = _read(data, position, depth + 1)[1]
    raise ResourceLimitError(f"ASN.1: more than {MAX_CHILDREN} values in one")


def _header(data: bytes, start: int, limit: int) -> tuple[int, int, int | None]:
    """Tag, where the contents of the value at ``start`` begin, and where they end, at ``limit`` at most; None: indefinite (X.690 8.1)."""
    if limit - start < 2:  # identifier and length
        raise MalformedError("ASN.1: cut short")
    tag, first = data[start], data[start + 1]
    if tag & 0x1F == 0x1F or tag == 0:
        raise MalformedError(f"ASN.1: tag {tag:#04x} has no place here")
    position = start + 2
    if first == _INDEFINITE:
        if not tag & _CONSTRUCTED:
            raise MalformedError("ASN.1: a primitive value of indefinite length")
        return tag, position, None
    length = first
    if first & 0x80:
        octets = first & 0x7F
        if octets > _MAX_LENGTH_OCTETS or position + octets > limit:
            raise MalformedError("ASN.1: a length that goes past the end")
        length = int.from_bytes(data[position : position + octets], "big")
        position += octets
    if position + length > limit:
        raise MalformedError("ASN.1: cut short")
    return tag, position, position + length


def _der(data: bytes, start: int, limit: int, depth: int) -> tuple[bytes, int]:
    """The value at ``start`` in DER, and where it ends."""
    _require_depth(depth)
    tag, position, end = _header(data, start, limit)
    if end is not None and not tag & _CONSTRUCTED:
        return bytes([tag]) + length_octets(end - position) + data[position:end], end
    parts: list[bytes] = []
    inside = limit if end is None else end
    while position != end and not (end is None and data.startswith(_END_OF_CONTENTS, position, limit)):
        if len(parts) >= MAX_CHILDREN:
            raise ResourceLimitError(f"ASN.1: more than {MAX_CHILDREN} values in one")
        part, position = _der(data, position, inside, depth + 1)
        parts.append(part)
    content = b"".join(parts)
    return bytes([tag]) + length_octets(len(content)) + content, position + 2 if end is None else end


def _require_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ResourceLimitError(f"ASN.1: nested deeper than {MAX_DEPTH}")
