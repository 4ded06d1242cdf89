"""A directory of certificates named by the hash of their subject, as ``openssl rehash`` makes it and ``-CApath`` reads it.

The hash is that of ``X509_NAME_hash`` (OpenSSL 1.0.0 and later): SHA-1 over the canonical encoding of the name, its first four
octets read little-endian. Canonical: the relative names' SETs without the SEQUENCE around them; character strings as UTF8String,
ASCII letters in lower case, white space trimmed and collapsed; other values as they are (crypto/x509/x_name.c).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import SEQUENCE, SET, length_octets, read_one
from trust_store.decode.x509 import load_certificate
from trust_store.exchange.exporting.encodings import pem
from trust_store.exchange.exporting.protocol import ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.decode.asn1 import Element
    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "openssl-directory"
DOC = "a directory of certificates named by subject hash, for -CApath"
KINDS = frozenset({AnchorKind.X509})
KEEPS: frozenset[str] = frozenset()
SINGLE = False
_UTF8_STRING = 0x0C
_STRINGS = {
    0x0C: "utf-8", 0x13: "latin-1", 0x14: "latin-1", 0x16: "latin-1", 0x1A: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
"""String types that OpenSSL converts (ASN1_MASK_CANON); it reads a TeletexString as Latin-1."""
_WHITE = b" \t\n\v\f\r"


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """``<hash>.<n>`` for each certificate, n counting those of the same hash."""
    del context
    found: list[ExportedFile] = []
    counts: dict[str, int] = {}
    for anchor in anchors:
        name = subject_hash(load_certificate(anchor.material).subject_der)
        number = counts[name] = counts.get(name, -1) + 1
        found.append(ExportedFile(f"{name}.{number}", pem("CERTIFICATE", anchor.material).encode()))
    return tuple(found)


def subject_hash(name: bytes) -> str:
    """The eight hex digits under which OpenSSL looks a DER name up; raises MalformedError for what is no name."""
    sets = (_canonical_set(s) for s in read_one(name, "name").expect(SEQUENCE, "name").children())
    digest = hashlib.sha1(b"".join(sets), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _canonical_set(relative: Element) -> bytes:
    # A DER SET OF is ordered by its members' encodings (X.690 11.6); canonical values may order otherwise than those in the name.
    members = sorted(_canonical_attribute(a) for a in relative.expect(SET, "relative name").children())
    return _wrap(SET, b"".join(members))


def _canonical_attribute(attribute: Element) -> bytes:
    kind, value = attribute.expect(SEQUENCE, "attribute").children()
    return _wrap(SEQUENCE, kind.raw + _canonical_value(value))


def _canonical_value(value: Element) -> bytes:
    encoding = _STRINGS.get(value.tag)
    if encoding is None:
        return value.raw
    octets = value.content.decode(encoding, "replace").encode()
    words = octets.strip(_WHITE).split()
    return _wrap(_UTF8_STRING, b" ".join(words).lower())


def _wrap(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + length_octets(len(content)) + content
