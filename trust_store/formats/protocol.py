"""What a package format reader is: a predicate and one method that turns bytes into facts, in the isolated worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trust_store.model.package_facts import Coverage, Problem, Product, SideFile, SignatureFact, SignatureOrigin

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Caps on what a reader does with one package, beside the worker's own resource limits."""

    max_package_bytes: int = 64 * 1024**3
    max_members: int = 65_535
    max_name_bytes: int = 4096
    max_member_ratio: int = 1100
    max_total_unpacked_bytes: int = 64 * 1024**3
    max_manifest_bytes: int = 16 * 1024**2
    wall_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class SideMaterial:
    """A side file's content as read by the parent (capped), and where it came from."""

    file: SideFile
    origin: SignatureOrigin
    data: bytes


class PackageSource(Protocol):
    """Random access to the open package; reads are capped at what is asked for and never past the end."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class MemberPackage:
    """What may be a package inside a container: its name there, how to get at its bytes, and the signatures that lie beside it.

    ``open`` raises MalformedError or ResourceLimitError; it is called once, so that one member is in memory at a time.
    """

    name: str
    open: Callable[[], PackageSource]
    side: tuple[SideMaterial, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader found; the sha256 of the whole file comes out of the same single pass.

    ``signed`` is what embedded OpenPGP signatures cover where that is not the file itself: one content for all of them, or by their
    place in ``signatures``, None where it is too large to be kept: the second OpenPGP reader then judges the key alone.
    ``product`` is stated by signed metadata; ``members`` may be packages, inside a container without a signature.
    """

    sha256: str
    signatures: tuple[SignatureFact, ...]
    coverage: Coverage
    problem: Problem | None = None
    signed: bytes | Mapping[int, bytes | None] | None = None
    product: Product | None = None
    members: tuple[MemberPackage, ...] = ()


class PackageReader(Protocol):
    """One module per format has NAME, VERSION, CONTAINER, DOC, recognises, read."""

    NAME: str
    VERSION: int
    CONTAINER: str
    DOC: str

    def recognises(self, source: PackageSource, limits: ReadLimits) -> bool:
        """Whether the container at hand is of this form; may raise MalformedError."""
        ...

    def read(self, source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
        """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
        ...
