"""A signify message with its signature before it, as the package itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.comment_signatures import is_signify
from trust_store.errors import MalformedError
from trust_store.formats.protocol import Reading
from trust_store.formats.signed_content import HEAD_BYTES, SIGNIFY, around, kind_of, open_content, read_whole
from trust_store.model.package_facts import SignatureOrigin

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "signify-message"
VERSION = 1
CONTAINER = "none"
DOC = """A message with an embedded signify signature before it (`signify -S -e`), of at most 64 MiB, such as OpenBSD's `SHA256.sig`.

The message is covered; the untrusted comment and the signature before it are inert. The message is not read as a package: a list of
digests speaks for a package with `--signature SHA256.sig`. Compressed messages (`signify -z`) are not read. Fixtures made by signify."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file begins as a signify signature and goes on after it."""
    head = source.read_at(0, HEAD_BYTES)
    return is_signify(head) and kind_of(head) == SIGNIFY


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    data, sha256, beside = read_whole(source, side)
    found = open_content(SIGNIFY, data, origin=SignatureOrigin.EMBEDDED, file=None)
    if not data.endswith(found.content):
        raise MalformedError("a signify message that is not what the file ends with")
    return Reading(sha256, found.facts() + beside, around(((len(data) - len(found.content), len(data)),), len(data)))
