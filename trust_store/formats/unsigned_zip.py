"""A package in a zip archive that carries no signature of its own: what lies beside it speaks for all of it, or nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.members import zip_packages
from trust_store.formats.protocol import Reading
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from trust_store.decode.zip_directory import Directory
    from trust_store.formats.pinned import PinnedSource
    from trust_store.model.package_facts import SignatureFact


def unsigned_zip(source: PinnedSource, directory: Directory, beside: tuple[SignatureFact, ...]) -> Reading:
    """The reading of an archive that has been walked, with the signatures of files beside it; without any, packages inside are told."""
    if beside:
        return Reading(source.sha256, beside, Coverage(covered_bytes=source.size))
    nothing = Coverage(uncovered=(Uncovered(start=0, end=source.size),))
    return Reading(source.sha256, (), nothing, members=zip_packages(source, directory.members))
