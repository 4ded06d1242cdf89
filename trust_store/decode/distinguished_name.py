"""Distinguished names as text (RFC 4514), for people: text from outside, compared by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.asn1 import SEQUENCE, SET, read_one
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from trust_store.decode.asn1 import Element

MAX_ATTRIBUTES = 64
MAX_TEXT = 2048
_KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}  # RFC 4514 section 3
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}


_ATTRIBUTES = {
    **_KEYWORDS, "2.5.4.4": "surname", "2.5.4.5": "serialNumber", "2.5.4.12": "title", "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode", "2.5.4.42": "givenName", "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "emailAddress",
}  # fmt: skip


def attribute_name(written: str) -> str:
    """One form of an attribute type that is written as its short name or a dotted identifier (RFC 4514 section 3, RFC 4519)."""
    plain = written.strip().removeprefix("OID.").removeprefix("oid.")
    return _ATTRIBUTES.get(plain, plain).lower()


def name_text(name: bytes) -> str | None:
    """``name`` (DER) with its last part first, as RFC 4514 2.1 writes it; None where it cannot be read."""
    try:
        parts = read_one(name, "name").expect(SEQUENCE, "name").children()
        if len(parts) > MAX_ATTRIBUTES:
            return None
        text = ",".join(_relative(part) for part in reversed(parts))
    except (MalformedError, ResourceLimitError, UnicodeError):
        return None
    return text if len(text) <= MAX_TEXT else None


def _relative(element: Element) -> str:
    attributes = element.expect(SET, "relative name").children()
    if len(attributes) > MAX_ATTRIBUTES:
        raise MalformedError("name: too many attributes")
    return "+".join(_attribute(attribute) for attribute in attributes)


def _attribute(element: Element) -> str:
    parts = element.expect(SEQUENCE, "name attribute").children()
    if len(parts) != 2:
        raise MalformedError("name: an attribute is not a type and a value")
    kind = parts[0].oid("name attribute")
    value = parts[1]
    if kind not in _KEYWORDS or value.tag not in _ENCODINGS:
        encoding = _ENCODINGS.get(value.tag)
        return f"{kind}={_escape(value.content.decode(encoding)) if encoding else '#' + value.raw.hex()}"
    return f"{_KEYWORDS[kind]}={_escape(value.content.decode(_ENCODINGS[value.tag]))}"


def _escape(text: str) -> str:
    """RFC 4514 2.4."""
    escaped = "".join("\\" + c if c in '"+,;<>\\' else "\\00" if c == "\0" else c for c in text)
    if escaped[:1] in (" ", "#"):
        escaped = "\\" + escaped
    if len(text) > 1 and text.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return escaped
