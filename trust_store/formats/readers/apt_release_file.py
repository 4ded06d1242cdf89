"""Release files of apt repositories with a signature beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.apt_release import MAX_RELEASE_BYTES, is_release, parse_release
from trust_store.formats.apt_index import product_of, stated
from trust_store.formats.protocol import Reading
from trust_store.formats.signed_content import read_whole
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "apt-release-file"
VERSION = 1
CONTAINER = "none"
DOC = """``Release`` of an apt repository, with ``Release.gpg`` beside it. Every byte is covered.

As `apt-release` but for the framing: ``Date`` and ``Valid-Until`` bound every signature beside the file. Fixtures made by apt-ftparchive
and GnuPG."""
HEAD_BYTES = 65_536


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file begins as a Release file."""
    head = source.read_at(0, HEAD_BYTES)
    return head[:1].isalpha() and b"\0" not in head and is_release(head)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    data, sha256, beside = read_whole(source, side, MAX_RELEASE_BYTES)
    release = parse_release(data)
    coverage = Coverage(len(data)) if side else Coverage(uncovered=(Uncovered(0, len(data)),))
    facts = tuple(stated(fact, release) for fact in beside)
    return Reading(sha256, facts, coverage, product=product_of(release) if side else None)
