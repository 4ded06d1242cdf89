"""InRelease files of apt repositories: cleartext-signed Release files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.apt_release import is_release, parse_release
from trust_store.decode.openpgp_cleartext import MAX_MESSAGE_BYTES, read_cleartext
from trust_store.formats.apt_index import product_of, stated
from trust_store.formats.cleartext import coverage_of, strict_message
from trust_store.formats.protocol import Reading
from trust_store.formats.signed_content import of_cleartext, read_whole
from trust_store.model.package_facts import SignatureOrigin

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "apt-release"
VERSION = 1
CONTAINER = "openpgp-text"
DOC = """``InRelease`` of an apt repository: a Release file signed in cleartext (Debian's RepositoryFormat).

Read by apt's own rules (``SplitClearSignedFile``): the file begins and ends with one message; lines with a dash at their start, escaped or
not, are no fields, and the text is exactly one paragraph in which no field stands twice: else it is `malformed`. A signature counts only
from ``Date`` (else `not_yet_valid`) until ``Valid-Until`` (else `expired`), whatever key it is by; without ``Date``, or with times that are
not in UTC, the file is `malformed`. Product and version are ``Origin`` with ``Codename`` and the date, so that an older file in place of a
newer one is a rollback where policy forbids that.

Beside a package (`--signature InRelease --signature Packages`, or `Release`, `Release.gpg` and `Packages`; the index as it is, or in gzip
or xz) the signature speaks for the package if the Release file lists the index, and the index the package, by SHA-256 or SHA-512: else
`invalid_signature`; an index that is listed by MD5 or SHA-1 alone is `weak_algorithm`. Files beside a package are of at most 8 MiB.

Fixtures made by apt-ftparchive and GnuPG."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file is one message and its text a Release file."""
    message = strict_message(source)
    return message is not None and is_release(message.text)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    data, sha256, beside = read_whole(source, side, MAX_MESSAGE_BYTES)
    message = read_cleartext(data)
    release = parse_release(message.text)
    facts = of_cleartext(message, origin=SignatureOrigin.EMBEDDED).facts()
    embedded = tuple(stated(fact, release) for fact in facts)
    return Reading(sha256, embedded + beside, coverage_of(data, message), product=product_of(release))
