"""The byte-coverage map of a zip archive whose members are signed: members that are not, and what headers say beyond the members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.zip_metadata import free_ranges
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from collections.abc import Collection

    from trust_store.decode.zip_directory import Directory
    from trust_store.formats.protocol import PackageSource


def member_coverage(
    source: PackageSource, directory: Directory, *, signed: Collection[str], inert: Collection[str]
) -> Coverage:
    """Members in ``signed`` are covered, those in ``inert`` (signatures, folders on the way to signed files) need not be.

    ``source`` is the archive as it was walked.
    """
    members = [m for m in directory.members if m.name not in signed]
    covered = sum(m.compressed_size for m in directory.members if m.name in signed)
    uncovered = [Uncovered(member=m.name, inert=m.name in inert) for m in members]
    uncovered += [Uncovered(start=s, end=e, inert=True) for s, e in free_ranges(source, directory, unsigned=inert)]
    return Coverage(covered, tuple(uncovered))
