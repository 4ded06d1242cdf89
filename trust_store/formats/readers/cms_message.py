"""A CMS message with its content inside, as the package itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.formats.protocol import Reading
from trust_store.formats.signed_content import CMS, HEAD_BYTES, MAX_CONTENT_BYTES, around, kind_of, of_cms, read_whole
from trust_store.model.package_facts import SignatureOrigin

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "cms-message"
VERSION = 1
CONTAINER = "none"
DOC = """A CMS SignedData message (RFC 5652) with content of type data (`openssl cms -sign -nodetach`): DER, BER or PEM, at most 64 MiB.

The content is covered; everything around it (certificates, attributes that nobody signed, the encoding) is inert: nothing there is read
by whoever takes the content out. Every SignerInfo is one signature; one good one suffices. The content is not read as a package: take it
out and check it with this file as its signature (`--signature x.p7m`), which passes where both are the same octet for octet.
Fixtures made by openssl."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file is a message with content."""
    if source.size > MAX_CONTENT_BYTES or not cms.recognises(source.read_at(0, HEAD_BYTES)):
        return False
    return kind_of(source.read_at(0, source.size)) == CMS


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    data, sha256, beside = read_whole(source, side)
    found = of_cms(data, origin=SignatureOrigin.EMBEDDED)
    place = _place(data, found.content)
    return Reading(sha256, found.facts() + beside, around(place, len(data)))


def _place(data: bytes, content: bytes) -> tuple[tuple[int, int], ...]:
    """Where the content lies in the file; nowhere as it is in PEM, or in BER in pieces."""
    kind = data.find(_ID_DATA)
    start = data.find(content, kind + len(_ID_DATA)) if kind >= 0 and content else -1
    return ((start, start + len(content)),) if start >= 0 else ()


_ID_DATA = bytes.fromhex("06092a864886f70d010701")
