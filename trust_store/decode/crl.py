"""Revocation lists (RFC 5280 section 5) from hostile bytes: what the issuer signed, and which rules of the profile it breaks."""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import (
    GENERALIZED_TIME,
    INTEGER,
    SEQUENCE,
    UTC_TIME,
    Element,
    der,
    read_one,
)
from trust_store.decode.crl_entries import EntryTable, read_bits, read_extension, scan_entries
from trust_store.decode.der_time import GENERALIZED_FROM_YEAR, read_time
from trust_store.decode.distinguished_name import name_text
from trust_store.decode.distribution_points import DistributionPoint, ListScope, read_points, read_scope
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from datetime import datetime

MAX_LIST_BYTES = 16 * 1024 * 1024
MAX_LISTS = 4096
MAX_EXTENSIONS = 64
_EXTENSIONS_TAG = 0xA0
_PEM = re.compile(rb"-----BEGIN X509 CRL-----\s++([A-Za-z0-9+/=\s]*+)-----END X509 CRL-----")
_AUTHORITY_KEY, _NUMBER, _DELTA, _SCOPE, _FRESHEST = (
    "2.5.29.35",
    "2.5.29.20",
    "2.5.29.27",
    "2.5.29.28",
    "2.5.29.46",
)
_KNOWN = frozenset({_AUTHORITY_KEY, _NUMBER, _DELTA, _SCOPE, _FRESHEST, "2.5.29.18"})
_MUST_BE_CRITICAL = {_DELTA: "delta CRL indicator", _SCOPE: "issuing distribution point"}
_MUST_NOT_BE_CRITICAL = {_NUMBER: "CRL number", _AUTHORITY_KEY: "authority key identifier", _FRESHEST: "freshest CRL"}


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """What was signed, the DER AlgorithmIdentifier that stands inside it and outside, and the signature."""

    content: bytes | memoryview = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    sha256: str


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list. ``base_number`` makes it a delta; ``faults`` are rules of the profile that it breaks (section 5)."""

    signed: SignedBytes
    issuer_der: bytes
    issuer: str
    this_update: datetime
    next_update: datetime | None
    entries: EntryTable
    number: int | None = None
    base_number: int | None = None
    scope: ListScope = field(default_factory=ListScope)
    authority_key: bytes = b""
    freshest: tuple[DistributionPoint, ...] = ()
    unknown_critical: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def decode_lists(data: bytes) -> tuple[RevocationList, ...]:
    """A DER list, or every list of a PEM file; raises MalformedError or ResourceLimitError, nothing else."""
    if b"-----BEGIN " not in data:
        return (load_list(data),)
    if len(data) > 2 * MAX_LIST_BYTES:
        raise ResourceLimitError(f"revocation lists of {len(data)} bytes")
    blocks = [match[1] for match in islice(_PEM.finditer(data), MAX_LISTS + 1)]
    if len(blocks) > MAX_LISTS:
        raise ResourceLimitError(f"more than {MAX_LISTS} revocation lists")
    if not blocks or len(blocks) != data.count(b"-----BEGIN "):
        raise MalformedError("PEM: a block is cut short, not well formed or no revocation list")
    return tuple(load_list(_base64(block)) for block in blocks)


def load_list(data: bytes) -> RevocationList:
    """Decode one DER list; raises MalformedError or ResourceLimitError, nothing else."""
    if len(data) > MAX_LIST_BYTES:
        raise ResourceLimitError(f"a revocation list of {len(data)} bytes")
    try:
        return _load(data)
    except IndexError:
        raise MalformedError("a revocation list that is cut short") from None


def _load(data: bytes) -> RevocationList:
    tag, start, end = _span(data, 0, len(data))
    outer = _spans(data, start, end)
    if tag != SEQUENCE or end != len(data) or len(outer) != 3:  # tbsCertList, signatureAlgorithm, signatureValue
        raise MalformedError("a revocation list is a signed sequence of three, with nothing after it")
    (list_tag, list_first, list_start, list_end), algorithm, signature = outer
    if list_tag != SEQUENCE:
        raise MalformedError("a revocation list without a list")
    fields = _spans(data, list_start, list_end)
    version = _element(data, fields.pop(0)).integer("version") if fields and fields[0][0] == INTEGER else None
    if version not in (None, 1) or len(fields) < 3:  # v2 is written 1
        raise MalformedError("a revocation list of an unknown version")
    inner, issuer, this_update = (_element(data, span) for span in fields[:3])
    rest = fields[3:]
    if inner.raw != _element(data, algorithm).raw or der(inner) != inner.raw:  # section 5.1.1.2
        raise MalformedError("the signature algorithms inside and outside of a revocation list differ")
    times = [this_update]
    if rest and rest[0][0] in (UTC_TIME, GENERALIZED_TIME):
        times.append(_element(data, rest.pop(0)))
    entries = scan_entries(data, *rest.pop(0)[2:]) if rest and rest[0][0] == SEQUENCE else EntryTable()
    extensions = _extensions(_element(data, rest.pop(0))) if rest and rest[0][0] == _EXTENSIONS_TAG else {}
    if rest or der(issuer.expect(SEQUENCE, "issuer")) != issuer.raw:
        raise MalformedError("a revocation list with a field that has no place there")
    if extensions and version is None:  # section 5.1.2.1
        raise MalformedError("a version 1 revocation list with extensions")
    signed = SignedBytes(
        memoryview(data)[list_first:list_end],
        inner.raw,
        read_bits(_element(data, signature), "signature"),
        hashlib.sha256(data).hexdigest(),
    )
    return _with_extensions(signed, issuer.raw, times, entries, extensions)


def _with_extensions(
    signed: SignedBytes,
    issuer: bytes,
    times: list[Element],
    entries: EntryTable,
    found: dict[str, tuple[bool, bytes]],
) -> RevocationList:
    """The list with what stands in its extensions (section 5.2)."""
    return RevocationList(
        signed=signed,
        issuer_der=issuer,
        issuer=name_text(issuer) or "a nameless issuer",
        this_update=read_time(times[0], "this update"),
        next_update=read_time(times[1], "next update") if len(times) > 1 else None,
        entries=entries,
        number=_number(found[_NUMBER][1]) if _NUMBER in found else None,
        base_number=_number(found[_DELTA][1]) if _DELTA in found else None,
        scope=read_scope(found[_SCOPE][1]) if _SCOPE in found else ListScope(),
        authority_key=found[_AUTHORITY_KEY][1] if _AUTHORITY_KEY in found else b"",
        freshest=read_points(found[_FRESHEST][1]) if _FRESHEST in found else (),
        unknown_critical=tuple(sorted(oid for oid, (critical, _) in found.items() if critical and oid not in _KNOWN)),
        faults=_faults(times, found, entries),
    )


def _span(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """(tag, start of the content, its end) of the value at ``position``, without copying; definite, shortest lengths only."""
    first, start = data[position + 1], position + 2
    length = first
    if first >= 0x80:  # long form
        octets = first & 0x7F
        length, start = int.from_bytes(data[start : start + octets], "big"), start + octets
        if not 1 <= octets <= 4 or length < max(0x80, 1 << 8 * (octets - 1)):
            raise MalformedError("a revocation list with a length that is not DER")
    if start + length > end:
        raise MalformedError("a revocation list that is cut short")
    return data[position], start, start + length


def _spans(data: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
    """(tag, first octet, start of the content, end) of every value between two positions."""
    found = []
    while start < end:
        tag, content, stop = _span(data, start, end)
        found.append((tag, start, content, stop))
        start = stop
        if len(found) > MAX_EXTENSIONS:
            raise MalformedError("a revocation list of too many fields")
    return found


def _element(data: bytes, span: tuple[int, int, int, int]) -> Element:
    return read_one(data[span[1] : span[3]], "revocation list")


def _extensions(element: Element) -> dict[str, tuple[bool, bytes]]:
    found: dict[str, tuple[bool, bytes]] = {}
    inner = read_one(element.content, "list extensions").expect(SEQUENCE, "list extensions").children()
    if len(inner) > MAX_EXTENSIONS:
        raise ResourceLimitError(f"more than {MAX_EXTENSIONS} extensions")
    for extension in inner:
        oid, critical, value = read_extension(extension)
        if oid in found:
            raise MalformedError(f"list extension {oid} stands twice")
        found[oid] = critical, value
    return found


def _faults(times: list[Element], found: dict[str, tuple[bool, bytes]], entries: EntryTable) -> tuple[str, ...]:
    faults = []
    if _NUMBER not in found:
        faults.append("no CRL number (5.2.3)")
    critical = {oid for oid, (is_critical, _) in found.items() if is_critical}
    faults += [
        f"{n} that is not critical (5.2)" for oid, n in _MUST_BE_CRITICAL.items() if oid in found.keys() - critical
    ]
    faults += [f"a critical {name} (5.2)" for oid, name in _MUST_NOT_BE_CRITICAL.items() if oid in critical]
    if any(t.tag == GENERALIZED_TIME and read_time(t, "time").year < GENERALIZED_FROM_YEAR for t in times):
        faults.append("a GeneralizedTime before 2050 (5.1.2.4, 5.1.2.5)")
    if len(times) == 1:  # no nextUpdate
        faults.append("no next update (5.1.2.5)")
    if entries.duplicates:
        faults.append("a certificate that stands in it twice (5.1.2.6)")
    return tuple(faults)


def _number(value: bytes) -> int:
    number = read_one(value, "CRL number").integer("CRL number")
    if number < 0:
        raise MalformedError("a negative CRL number")
    return number


def _base64(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body.translate(None, b" \t\r\n\v\f"), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"PEM: {error}") from error
