"""A text with its OpenPGP signature around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.cleartext import read_cleartext_file

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, Reading, ReadLimits, SideMaterial

NAME = "openpgp-cleartext"
VERSION = 1
CONTAINER = "openpgp-text"
DOC = """A cleartext-signed message (RFC 9580 section 7) of at most 16 MiB, as `gpg --clearsign` and `sq sign --cleartext` write it.

Exactly one message: a second one, another header than `Hash`, a line with a dash that is not escaped, or a CR that is no line end is
refused. The text is covered; blanks at line ends, the kind of line ends and the last one are not (RFC 9580 7.2) and are inert, as is the
framing. Text before or after the message is `uncovered_content`: whoever reads the file may take it for signed. One good signature
suffices; every one must be over text (type 0x01). Fixtures made by GnuPG and Sequoia."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whatever the container holds."""
    return source.size > 0


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    return read_cleartext_file(source, side)[1]
