"""Comparison of distinguished names (RFC 5280 section 7.1): equal after case folding, Unicode normalisation and white space."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from trust_store.decode.asn1 import SEQUENCE, SET, Element, read_one
from trust_store.errors import MalformedError, ResourceLimitError

_ENCODINGS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as everybody writes it
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}

CanonicalName = tuple[frozenset[tuple[str, bytes | str]], ...]
"""RDNs in order; each a set of (attribute type, prepared value). Values of unknown string types compare as bytes."""


@lru_cache(maxsize=1024)
def canonical(name: bytes) -> CanonicalName:
    """The DER Name prepared for comparison; raises MalformedError or ResourceLimitError."""
    rdns = []
    for rdn in read_one(name, "name").expect(SEQUENCE, "name").children():
        attributes = rdn.expect(SET, "relative distinguished name").children()
        if not attributes:
            raise MalformedError("name: an empty relative distinguished name")
        rdns.append(frozenset(_attribute(attribute) for attribute in attributes))
    return tuple(rdns)


def same_name(one: bytes, other: bytes) -> bool:
    """Whether two DER names are the same; names that cannot be read are the same only byte for byte."""
    if one == other:
        return True
    try:
        return canonical(one) == canonical(other)
    except (MalformedError, ResourceLimitError):
        return False


def within(name: bytes, base: bytes) -> bool:
    """Whether ``name`` lies in the subtree of ``base`` (RFC 5280 section 4.2.1.10, directoryName)."""
    outer = canonical(base)
    return canonical(name)[: len(outer)] == outer


def same_value(one: str, other: str) -> bool:
    """Whether two attribute values are the same after preparation."""
    return _prepare(one) == _prepare(other)


def _attribute(attribute: Element) -> tuple[str, bytes | str]:
    parts = attribute.expect(SEQUENCE, "attribute").children()
    if len(parts) != 2:  # type and value
        raise MalformedError("name: an attribute is a type and a value")
    kind, value = parts[0].oid("attribute type"), parts[1]
    encoding = _ENCODINGS.get(value.tag)
    if encoding is None:
        return kind, value.raw
    try:
        return kind, _prepare(value.content.decode(encoding))
    except UnicodeDecodeError as error:
        raise MalformedError("name: a value is not of its string type") from error


def _prepare(text: str) -> str:
    """RFC 4518 in short: NFKC, case folded, white space collapsed, ignorable characters gone."""
    kept = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace()
    )
    return " ".join(unicodedata.normalize("NFKC", kept.casefold()).split())
