"""What stands in a CMS SignerInfo beside the signature (RFC 5652 5.3 unsignedAttrs): timestamps and countersignatures.

Nobody signed these attributes: anyone can add, change or remove them. So what cannot be read in them says nothing against the
signature, and what can be read proves nothing until it has been verified on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.asn1 import SEQUENCE, SET
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.asn1 import Element
    from trust_store.decode.cms import SignerInfo

ID_AA_TIMESTAMP_TOKEN = "1.2.840.113549.1.9.16.2.14"  # noqa: S105 - an object identifier
"""RFC 3161 appendix A: a token over the value of SignerInfo.signature."""
ID_MS_TIMESTAMP_TOKEN = "1.3.6.1.4.1.311.3.3.1"  # noqa: S105 - an object identifier
"""The same token under Microsoft's name (Authenticode)."""
ID_COUNTERSIGNATURE = "1.2.840.113549.1.9.6"
"""RFC 5652 11.4: a bare SignerInfo over the signature."""
MAX_ATTRIBUTES = 64
MAX_VALUES = 64
MAX_TOKENS = 8
MAX_COUNTERSIGNATURES = 8
MAX_TOKEN_BYTES = 256 * 1024
MAX_BYTES = 512 * 1024
"""Of all tokens of a signature together: a real one has a few kilobytes, and reading what was added to waste time must stay cheap."""


@dataclass(frozen=True, slots=True)
class UnsignedAttributes:
    """The first eight values that call themselves tokens, and the first eight that call themselves countersignatures, as they stood."""

    timestamps: tuple[bytes, ...] = ()
    countersignatures: tuple[bytes, ...] = ()


def unsigned_attributes(info: SignerInfo) -> UnsignedAttributes:
    """Read them as far as they can be read; never raises. One of more than 256 KiB, or beyond 512 KiB of its kind, is none."""
    tokens: list[bytes] = []
    countersignatures: list[bytes] = []
    for kind, values in _attributes(info.unsigned):
        if kind in (ID_AA_TIMESTAMP_TOKEN, ID_MS_TIMESTAMP_TOKEN):
            tokens += [value.raw for value in values if len(value.raw) <= MAX_TOKEN_BYTES]
        elif kind == ID_COUNTERSIGNATURE:
            countersignatures += [value.raw for value in values if len(value.raw) <= MAX_TOKEN_BYTES]
    return UnsignedAttributes(_taken(tokens, MAX_TOKENS), _taken(countersignatures, MAX_COUNTERSIGNATURES))


def _taken(values: list[bytes], most: int) -> tuple[bytes, ...]:
    """The first of them; one that is stated under two names, or twice, is one."""
    taken: list[bytes] = []
    for value in dict.fromkeys(values):
        if len(taken) < most and sum(map(len, taken)) + len(value) <= MAX_BYTES:
            taken.append(value)
    return tuple(taken)


def attribute_values(unsigned: Element | None, kind: str) -> tuple[Element, ...]:
    """Every value of the attributes of one kind, as far as they can be read; never raises."""
    return tuple(value for found, values in _attributes(unsigned) if found == kind for value in values)


def _attributes(element: Element | None) -> list[tuple[str, tuple[Element, ...]]]:
    found: list[tuple[str, tuple[Element, ...]]] = []
    try:
        attributes = element.children()[:MAX_ATTRIBUTES] if element is not None else ()
        for attribute in attributes:
            parts = attribute.expect(SEQUENCE, "attribute").children()
            if len(parts) == 2:  # attrType, attrValues
                values = parts[1].expect(SET, "attribute values").children()[:MAX_VALUES]
                found.append((parts[0].oid("attribute type"), values))
    except (MalformedError, ResourceLimitError):
        return found
    return found
