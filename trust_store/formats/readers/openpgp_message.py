"""An OpenPGP message with its content inside, as the package itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import openpgp_message
from trust_store.formats.protocol import Reading
from trust_store.formats.signed_content import HEAD_BYTES, around, of_message, read_whole
from trust_store.model.package_facts import SignatureOrigin

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "openpgp-message"
VERSION = 1
CONTAINER = "none"
DOC = """A signed OpenPGP message (RFC 9580 10.3) with its content (`gpg --sign`): binary or armoured, compressed or not, at most 64 MiB.

One-pass signatures, literal data and as many signatures, or signatures followed by literal data; anything else is `malformed`, an
encrypted message `unsupported_format`. The literal data is covered but for its format, file name and date (RFC 9580 5.9), which no
signature covers; they are inert, as is the framing. Of a message that is compressed or armoured the content is covered, and the map tells
the whole file as framing. One good signature suffices. The content is not read as a package: take it out and check it with this file
as its signature, which passes where both are the same octet for octet. Fixtures made by GnuPG and Sequoia."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file begins as a signed message."""
    return openpgp_message.recognises(source.read_at(0, HEAD_BYTES))


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    data, sha256, beside = read_whole(source, side)
    message = openpgp_message.read_message(data)
    found = of_message(message, origin=SignatureOrigin.EMBEDDED)
    return Reading(sha256, found.facts() + beside, around(message.places, len(data)))
