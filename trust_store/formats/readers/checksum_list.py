"""A cleartext-signed list of digests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.checksum_list import is_list, parse_list
from trust_store.formats.cleartext import read_cleartext_file, strict_message

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, Reading, ReadLimits, SideMaterial

NAME = "checksum-list"
VERSION = 1
CONTAINER = "openpgp-text"
DOC = """A cleartext-signed list of digests as the package itself: `sha256sum` lines, BSD lines (`SHA256 (name) = ...`), control data.

Read as `openpgp-cleartext` is, with nothing outside the message; beside that every line must be one of a list, and names that lead
elsewhere or have two digests of one kind are `malformed`. A list with a detached signature beside it is `detached`.

A list beside another package (`--signature SHA256SUMS.asc`, or `--signature SHA256SUMS --signature SHA256SUMS.asc` for a detached
signature, paired by name or as the only pair) speaks for that package if one of its digests is the package's: MD5 and SHA-1 count only
where the list has nothing else, and are `weak_algorithm`. Where it is not there, or the list gives a file of the package's name another
digest, the signature and the package do not belong together: `invalid_signature`. Control data (.dsc, .changes, .buildinfo, and Release,
which counts from its date until its `Valid-Until`) is such a list, and so are embedded signify messages (`SHA256.sig`), inline OpenPGP
messages and CMS messages with a list inside.
Fixtures made by GnuPG, signify and openssl."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file is one message and its text a list."""
    message = strict_message(source)
    return message is not None and is_list(message.text)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    message, reading = read_cleartext_file(source, side)
    parse_list(message.text)
    return reading
