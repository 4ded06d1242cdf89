"""PowerShell files with a signature block at their end: scripts, modules, manifests, and their XML and MOF relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.script_signature import POWERSHELL
from trust_store.formats import signed_script

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, Reading, ReadLimits, SideMaterial

NAME = "powershell"
VERSION = 1
CONTAINER = "none"
DOC = """PowerShell files (.ps1, .psm1, .psd1; .ps1xml, .psc1, .cdxml; .mof) with `SIG # Begin signature block`, at most 4 MiB.

The text before the block is covered, as UTF-16LE; a file without a byte order mark may have been signed as UTF-8, Windows-1252 or
ISO 8859-1. The block is inert and must end the file. A file without a block is of no known format: nothing in it says what it is.
Fixtures made by osslsigncode; .ps1xml as well."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether it is text with the first line of such a block in it."""
    return signed_script.recognises(source, POWERSHELL)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the script once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    return signed_script.read(source, side, POWERSHELL, host=False)
