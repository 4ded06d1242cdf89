"""The entries of a revocation list (RFC 5280 sections 5.1.2.6, 5.3), looked at once each and kept as offsets.

A list may hold hundreds of thousands: no object is made for one before it is asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, read_one
from trust_store.decode.der_time import parse_time, read_time
from trust_store.decode.distribution_points import DIRECTORY_NAME, read_names
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from trust_store.decode.asn1 import Element

MAX_ENTRIES = 600_000
"""A list of 16 MiB with the shortest entries has about this many."""
MAX_KINDS_OF_EXTENSIONS = 50_000
"""Different values of an entry's extensions in one list; most lists have a handful."""
MAX_SERIAL_OCTETS = 64
REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}
"""CRLReason (RFC 5280 section 5.3.1)."""
_REASON, _HOLD_INSTRUCTION, _INVALIDITY, _ISSUER = "2.5.29.21", "2.5.29.23", "2.5.29.24", "2.5.29.29"
_ENUMERATED, _BOOLEAN = 0x0A, 0x01
_LONG, _TWO_OCTETS = 0x81, 0x82
_TIME_TAGS = {0x17: 13, 0x18: 15}


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One revoked certificate: when, why (a name of CRLReason) and, where the list says so, since when it was not to be trusted."""

    revoked_at: datetime
    reason: str
    invalid_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class _EntryExtensions:
    reason: str = "unspecified"
    invalid_from: datetime | None = None
    issuer: bytes | None = None
    unknown_critical: tuple[str, ...] = ()


_NONE = _EntryExtensions()


@dataclass(frozen=True, slots=True)
class EntryTable:
    """Every entry of a list; ``issuers`` are (number of the first entry, DER name) where an entry names another issuer.

    ``data`` is the whole list, up to ``end`` of its entries: nothing of it is copied.
    """

    data: bytes = field(default=b"", repr=False)
    end: int = 0
    offsets: array[int] = field(default_factory=lambda: array("I"), repr=False)
    issuers: tuple[tuple[int, bytes], ...] = ()
    unknown_critical: tuple[str, ...] = ()
    duplicates: bool = False

    def __len__(self) -> int:
        return len(self.offsets)

    def find(self, serial_number: int) -> Iterator[tuple[bytes | None, RevokedEntry]]:
        """Every entry of that number, with the issuer that the entry or one before it names (None: the list's own).

        Raises MalformedError for a number that no list can name and for a date that is none.
        """
        needle = _integer(serial_number)
        position = self.data.find(needle, self.offsets[0], self.end) if self.offsets else -1
        while position >= 0:
            number = bisect_right(self.offsets, position) - 1
            if number >= 0 and self.offsets[number] + _header(self.data, self.offsets[number]) == position:
                yield self._issuer(number), self._entry(number)
            position = self.data.find(needle, position + 1, self.end)

    def _issuer(self, number: int) -> bytes | None:
        """Section 5.3.3: an entry without the extension has the issuer of the entry before."""
        index = bisect_left(self.issuers, number + 1, key=lambda pair: pair[0]) - 1
        return self.issuers[index][1] if index >= 0 else None

    def _entry(self, number: int) -> RevokedEntry:
        start = self.offsets[number]
        end = self.offsets[number + 1] if number + 1 < len(self.offsets) else self.end
        parts = read_one(self.data[start:end], "revoked certificate").children()
        extensions = _extensions(parts[2].raw) if len(parts) > 2 else _NONE
        return RevokedEntry(read_time(parts[1], "revocation date"), extensions.reason, extensions.invalid_from)


def scan_entries(data: bytes, start: int, end: int) -> EntryTable:
    """The content of revokedCertificates is ``data[start:end]``; raises MalformedError or ResourceLimitError."""
    offsets, marks = array("I"), array("q")
    known: dict[bytes, _EntryExtensions] = {}
    issuers: list[tuple[int, bytes]] = []
    unknown: set[str] = set()
    position = start
    try:
        while position < end:
            offsets.append(position)
            first, position = _bounds(data, position)
            serial_end = first + 2 + data[first + 1]
            time_end = serial_end + 2 + data[serial_end + 1]
            _check(data, first, serial_end, time_end)
            if time_end != position:
                raw = data[time_end:position]
                found = known.get(raw) or _extensions(raw)
                known[raw] = found
                if found.issuer is not None:
                    issuers.append((len(offsets) - 1, found.issuer))
                unknown.update(found.unknown_critical)
            marks.append(hash((len(issuers), data[first:serial_end])))
            if len(offsets) > MAX_ENTRIES or len(known) > MAX_KINDS_OF_EXTENSIONS:
                raise ResourceLimitError("a revocation list of more entries than are read")
    except IndexError:
        raise MalformedError("revoked certificates: cut short") from None
    if position != end or end > len(data):
        raise MalformedError("revoked certificates: cut short")
    return EntryTable(data, end, offsets, tuple(issuers), tuple(sorted(unknown)), _twice(marks))


def _bounds(data: bytes, position: int) -> tuple[int, int]:
    """Start and end of the content of the SEQUENCE at ``position``, its length in the shortest form."""
    if data[position] != SEQUENCE:
        raise MalformedError("a revoked certificate is no sequence")
    start = position + _header(data, position)
    first = data[position + 1]
    length = first if first < 0x80 else int.from_bytes(data[position + 2 : start], "big")
    if (first == _LONG and length < 0x80) or (first == _TWO_OCTETS and length < 0x100):
        raise MalformedError("a revoked certificate with a padded length")
    return start, start + length


def _header(data: bytes, position: int) -> int:
    first = data[position + 1]
    if first < 0x80:  # short form
        return 2
    if first not in (_LONG, _TWO_OCTETS):
        raise MalformedError("a revoked certificate of no sensible length")
    return 3 if first == _LONG else 4


def _check(data: bytes, start: int, serial_end: int, time_end: int) -> None:
    """The serial number is a minimal INTEGER, the date a time."""
    size = serial_end - start - 2
    if data[start] != INTEGER or not 0 < size <= MAX_SERIAL_OCTETS:
        raise MalformedError("a revoked certificate without a serial number")
    first = data[start + 2]
    if size > 1 and ((first == 0 and data[start + 3] < 0x80) or (first == 0xFF and data[start + 3] >= 0x80)):
        raise MalformedError("a revoked certificate with a padded serial number")
    if time_end - serial_end - 2 != _TIME_TAGS.get(data[serial_end]):
        raise MalformedError("a revoked certificate without a date")
    if data[time_end - 1] != 0x5A or not data[serial_end + 2 : time_end - 1].isdigit():  # Z
        raise MalformedError("a revoked certificate without a date in whole seconds, Z")


def _twice(marks: array[int]) -> bool:
    """Whether two entries are of one certificate: hashes are keyed anew in every process, nobody can aim at a collision."""
    return any(one == other for one, other in pairwise(sorted(marks)))


def _extensions(raw: bytes) -> _EntryExtensions:
    found: dict[str, tuple[bool, bytes]] = {}
    for extension in read_one(raw, "entry extensions").expect(SEQUENCE, "entry extensions").children():
        oid, critical, value = read_extension(extension)
        if oid in found:
            raise MalformedError(f"entry extension {oid} stands twice")
        found[oid] = critical, value
    invalid_from = None
    if _INVALIDITY in found:
        element = read_one(found[_INVALIDITY][1], "invalidity date")
        invalid_from = parse_time(element.tag, element.content, "invalidity date")
    known = {_REASON, _HOLD_INSTRUCTION, _INVALIDITY, _ISSUER}
    return _EntryExtensions(
        _reason(found[_REASON][1]) if _REASON in found else "unspecified",
        invalid_from,
        _entry_issuer(found[_ISSUER][1]) if _ISSUER in found else None,
        tuple(sorted(oid for oid, (critical, _) in found.items() if critical and oid not in known)),
    )


def read_extension(extension: Element) -> tuple[str, bool, bytes]:
    """(OID, critical, value) of one Extension (RFC 5280 section 4.1); raises MalformedError."""
    parts = list(extension.expect(SEQUENCE, "extension").children())
    critical = False
    if len(parts) == 3:  # with critical
        flag = parts.pop(1).expect(_BOOLEAN, "critical").content
        if flag not in (b"\xff", b"\x00"):
            raise MalformedError("critical is neither true nor false")
        critical = flag == b"\xff"
    if len(parts) != 2:  # extnID and extnValue
        raise MalformedError("an extension is an identifier and a value")
    return parts[0].oid("extension"), critical, parts[1].expect(OCTET_STRING, "extension value").content


def _reason(value: bytes) -> str:
    content = read_one(value, "reason").expect(_ENUMERATED, "reason").content
    code = content[0] if len(content) == 1 else -1
    if code not in REASONS:
        raise MalformedError("a reason that is none")
    return REASONS[code]


def _entry_issuer(value: bytes) -> bytes:
    names = [n for n in read_names(read_one(value, "certificate issuer")) if n.tag == DIRECTORY_NAME]
    if len(names) != 1:
        raise MalformedError("a certificate issuer without a name")
    return names[0].content


def _integer(value: int) -> bytes:
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    if size > MAX_SERIAL_OCTETS:
        raise MalformedError("a serial number so long that no list names it")
    return bytes([INTEGER, size]) + value.to_bytes(size, "big", signed=True)


def read_bits(element: Element, what: str) -> bytes:
    """The whole octets of a BIT STRING; raises MalformedError where bits are left over."""
    content = element.expect(BIT_STRING, what).content
    if content[:1] != b"\0":
        raise MalformedError(f"{what} is not of whole octets")
    return content[1:]
