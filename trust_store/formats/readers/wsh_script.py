"""Windows Script Host files with a signature block: VBScript, JScript, and .wsf jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.script_signature import SCRIPT_HOST
from trust_store.formats import signed_script

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, Reading, ReadLimits, SideMaterial

NAME = "wsh-script"
VERSION = 1
CONTAINER = "none"
DOC = """Windows Script Host files (.vbs, .js, .wsf) with a signature block, at most 4 MiB.

The text around the block is covered, as UTF-16LE, and with it the place of the block; a file without a byte order mark may have been
signed as UTF-8, Windows-1252 or ISO 8859-1. Where the block ends the script or its job, signatures without the place (osslsigncode) or
with the text's length in its stead (jsign) count as well. The block is inert. Fixtures built from what
wshext.dll and osslsigncode do: no tool for them is to be had here."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether it is text with the first line of such a block in it."""
    return signed_script.recognises(source, SCRIPT_HOST)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the script once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    return signed_script.read(source, side, SCRIPT_HOST, host=True)
