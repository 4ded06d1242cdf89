"""CRL distribution points and the scope of a list (RFC 5280 sections 4.2.1.13, 5.2.5), as bytes to be compared elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import SEQUENCE, SET, length_octets, read_one
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from trust_store.decode.asn1 import Element

MAX_POINTS = 64
MAX_NAMES = 64
ALL_REASONS = 0b1_1111_1110
"""ReasonFlags as bits 1 (keyCompromise) to 8 (aACompromise); bit 0 is unused."""
URI, DIRECTORY_NAME = 0x86, 0xA4
"""Tags of GeneralName's uniformResourceIdentifier and directoryName (RFC 5280 section 4.2.1.6)."""
_POINT, _REASONS, _ISSUER = 0xA0, 0x81, 0xA2
_FULL, _RELATIVE = 0xA0, 0xA1


@dataclass(frozen=True, slots=True)
class GeneralName:
    """One general name: its tag, and its content octets (of a directoryName: the DER Name)."""

    tag: int
    content: bytes


@dataclass(frozen=True, slots=True)
class PointName:
    """DistributionPointName: ``full`` names, or ``relative``: a relative distinguished name (a DER SET)."""

    full: tuple[GeneralName, ...] = ()
    relative: bytes | None = None


@dataclass(frozen=True, slots=True)
class DistributionPoint:
    """Where a certificate's status is published. ``reasons`` None: all of them; ``crl_issuer`` empty: the certificate's issuer."""

    name: PointName | None = None
    reasons: int | None = None
    crl_issuer: tuple[GeneralName, ...] = ()


@dataclass(frozen=True, slots=True)
class ListScope:
    """IssuingDistributionPoint. ``raw`` is the extension's value, empty where the list has none: equal scopes are equal bytes."""

    name: PointName | None = None
    only_user: bool = False
    only_ca: bool = False
    only_attribute: bool = False
    reasons: int | None = None
    indirect: bool = False
    raw: bytes = b""


def read_points(value: bytes) -> tuple[DistributionPoint, ...]:
    """The value of cRLDistributionPoints or freshestCRL; raises MalformedError or ResourceLimitError."""
    points = read_one(value, "distribution points").expect(SEQUENCE, "distribution points").children()
    if not points:
        raise MalformedError("distribution points without one")
    if len(points) > MAX_POINTS:
        raise ResourceLimitError(f"more than {MAX_POINTS} distribution points")
    return tuple(_point(point) for point in points)


def read_scope(value: bytes) -> ListScope:
    """The value of issuingDistributionPoint; raises MalformedError or ResourceLimitError."""
    fields = _tagged(read_one(value, "issuing distribution point"), {_POINT, 0x81, 0x82, 0x83, 0x84, 0x85})
    scope = ListScope(
        name=_point_name(fields[_POINT]) if _POINT in fields else None,
        only_user=_true(fields.get(0x81)),
        only_ca=_true(fields.get(0x82)),
        reasons=_reasons(fields[0x83]) if 0x83 in fields else None,
        indirect=_true(fields.get(0x84)),
        only_attribute=_true(fields.get(0x85)),
        raw=value,
    )
    if scope.only_user + scope.only_ca + scope.only_attribute > 1:  # section 5.2.5: at most one
        raise MalformedError("issuing distribution point: a list for nothing")
    return scope


def read_names(element: Element) -> tuple[GeneralName, ...]:
    """The names of GeneralNames, whatever its own tag; raises MalformedError or ResourceLimitError."""
    found = element.children()
    if not found:
        raise MalformedError("general names without one")
    if len(found) > MAX_NAMES:
        raise ResourceLimitError(f"more than {MAX_NAMES} general names")
    return tuple(GeneralName(name.tag, name.content) for name in found)


def relative_to(issuer: bytes, relative: bytes) -> bytes:
    """The DER Name ``issuer`` with one relative distinguished name (a DER SET) more; raises MalformedError."""
    content = read_one(issuer, "name").expect(SEQUENCE, "name").content + relative
    return bytes([SEQUENCE]) + length_octets(len(content)) + content


def _point(element: Element) -> DistributionPoint:
    fields = _tagged(element, {_POINT, _REASONS, _ISSUER})
    if _POINT not in fields and _ISSUER not in fields:  # section 4.2.1.13: never of reasons alone
        raise MalformedError("a distribution point without a name")
    return DistributionPoint(
        name=_point_name(fields[_POINT]) if _POINT in fields else None,
        reasons=_reasons(fields[_REASONS]) if _REASONS in fields else None,
        crl_issuer=read_names(fields[_ISSUER]) if _ISSUER in fields else (),
    )


def _tagged(element: Element, known: set[int]) -> dict[int, Element]:
    """The fields of a SEQUENCE of optional, tagged values in ascending order, each once."""
    fields: dict[int, Element] = {}
    last = -1
    for field in element.expect(SEQUENCE, "distribution point").children():
        number = field.tag & 0x1F
        if field.tag not in known or number <= last:
            raise MalformedError("a distribution point with a field that has no place there")
        fields[field.tag], last = field, number
    return fields


def _point_name(element: Element) -> PointName:
    choice = element.children()
    if len(choice) != 1:  # DistributionPointName is a CHOICE
        raise MalformedError("a distribution point's name is one of two kinds")
    if choice[0].tag == _FULL:
        return PointName(full=read_names(choice[0]))
    if choice[0].tag == _RELATIVE:
        content = choice[0].content
        return PointName(relative=bytes([SET]) + length_octets(len(content)) + content)
    raise MalformedError("a distribution point's name is of an unknown kind")


def _reasons(element: Element) -> int:
    """ReasonFlags: bit n of the BIT STRING as bit n of the number."""
    content = element.content
    if not 1 <= len(content) <= 3 or content[0] > 7 or (len(content) == 1 and content[0]):  # nine bits, two octets
        raise MalformedError("reason flags that are no bit string")
    bits = "".join(f"{octet:08b}" for octet in content[1:])
    return sum(1 << position for position, bit in enumerate(bits) if bit == "1") & ALL_REASONS


def _true(element: Element | None) -> bool:
    if element is None:
        return False
    if element.content not in (b"\xff", b"\x00"):
        raise MalformedError("a truth value that is neither")
    return element.content == b"\xff"
