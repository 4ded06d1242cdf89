"""What a native tool is to this package: which packages it knows, and what it says of one with the keys at hand."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from trust_store.native.running import Run


class Says(StrEnum):
    """ACCEPTS: the signature holds, whoever made it. REJECTS: it does not. UNABLE: it lacks a key, or does not know such signatures."""

    ACCEPTS = "accepts"
    REJECTS = "rejects"
    UNABLE = "unable"


@dataclass(frozen=True, slots=True)
class Asked:
    """One package as it is asked about: the file, its format and schemes by our own reading, side files, and keys at hand.

    ``keys`` are (kind, material) as candidates are: x509 (DER), openpgp (binary), minisign (42 bytes), ssh (blob). ``scratch`` is an
    empty folder that the tool may write its keys into.
    """

    package: Path
    format: str | None
    schemes: frozenset[str]
    sides: tuple[Path, ...]
    keys: tuple[tuple[str, bytes], ...]
    scratch: Path

    def of_kind(self, kind: str) -> tuple[bytes, ...]:
        """The keys of one kind."""
        return tuple(material for found, material in self.keys if found == kind)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one tool said, with its own last words (text from outside, capped)."""

    tool: str
    says: Says
    detail: str


class NativeTool(Protocol):
    """One native verifier."""

    @property
    def NAME(self) -> str:  # noqa: N802 - as for readers and schemes
        """What it is called in answers."""
        ...

    @property
    def PROGRAM(self) -> str:  # noqa: N802 - as for readers and schemes
        """What must be found on PATH."""
        ...

    def knows(self, asked: Asked) -> bool:
        """Whether the tool verifies such packages."""
        ...

    def ask(self, asked: Asked, run: Run) -> Opinion:
        """What it says; raises OSError only for the scratch folder."""
        ...
