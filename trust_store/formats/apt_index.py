"""A package reached through an apt repository: a signed Release file lists an index of packages, and that the package.

Given beside a package are ``Packages`` (as it is, or in gzip or xz) and ``InRelease``, or ``Release`` with ``Release.gpg``.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.apt_release import is_index, is_release, listed_package, parse_release
from trust_store.decode.compressed import GZIP_MAGIC, XZ_MAGIC, UnpackBudget, Unpacking, compression_of, unpacked_head
from trust_store.decode.openpgp_cleartext import read_cleartext
from trust_store.errors import TrustStoreError
from trust_store.formats.side_signatures import SignatureFiles, joined, problem_of, read_file
from trust_store.formats.signed_content import CLEARTEXT, kind_of, of_cleartext, shown
from trust_store.formats.streaming import digests_of
from trust_store.model.package_facts import Problem, Product, SignatureFact
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import DigestRequest
from trust_store.signatures.schemes import OPENPGP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.apt_release import AptRelease
    from trust_store.formats.protocol import SideMaterial
    from trust_store.signatures.protocol import DigestState

MAX_INDEX_BYTES = 64 * 1024 * 1024
"""Of all indexes beside a package together, unpacked: Debian's largest has 50 MiB."""
MAX_RATIO = 200
HEAD_BYTES = 4096
_REQUESTS = (DigestRequest("sha256"), DigestRequest("sha512"))


def stated(fact: SignatureFact, release: AptRelease) -> SignatureFact:
    """The signature over a Release file, which counts only from its date to the end of its validity."""
    return replace(fact, valid_from=release.date, valid_until=release.valid_until)


def product_of(release: AptRelease) -> Product | None:
    """The repository, with the date in digits as its version."""
    return Product(release.name, f"{release.date:%Y%m%d%H%M%S}") if release.name else None


def holds_index(item: SideMaterial) -> bool:
    """Whether a file beside a package begins as an index of packages."""
    data = item.data
    if data.startswith((GZIP_MAGIC, XZ_MAGIC)):
        data = unpacked_head(data[:HEAD_BYTES], HEAD_BYTES)
        return data.startswith(b"Package:")
    return data.startswith(b"Package:") and is_index(data)


@dataclass(frozen=True, slots=True)
class _Index:
    """The files beside the package that are indexes, with what they hold."""

    texts: tuple[bytes, ...]
    listed: bool
    weak: bool


@dataclass(frozen=True, slots=True)
class _Pending:
    """A signature over a Release file, before the package has been read."""

    fact: SignatureFact
    index: _Index

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        return _REQUESTS

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact, whose content matches if the index is the repository's and the package stands in it."""
        if self.fact.problem is not None:
            return self.fact
        if self.index.weak:
            return replace(
                self.fact,
                problem=Problem(Reason.WEAK_ALGORITHM, "the Release file lists the index by MD5 or SHA-1 alone"),
            )
        own = {request.algorithm: states[request].copy().digest().hex() for request in _REQUESTS}
        try:
            found = any(listed_package(text, own) is not None for text in self.index.texts)
        except TrustStoreError as error:
            return replace(self.fact, problem=problem_of(error))
        return replace(self.fact, content_matches=self.fact.content_matches and self.index.listed and found)


def through_index(side: tuple[SideMaterial, ...]) -> tuple[SignatureFiles, tuple[SideMaterial, ...]]:
    """The signatures over Release files for the indexes in ``side``, and the files that have nothing to do with either."""
    indexes = [item for item in side if holds_index(item)]
    others = [item for item in side if item not in indexes]
    plain = [item for item in others if item.data[:1] not in (b"-", b"{") and is_release(item.data)]
    found: list[SignatureFiles] = []
    rest: list[SideMaterial] = []
    for item in others:
        if item in plain:
            continue
        if kind_of(item.data) == CLEARTEXT:
            found.append(_in_release(item, indexes))
        elif len(plain) == 1 and _is_over(item, plain[0], others):
            found.append(_release_gpg(item, plain[0], indexes))
        else:
            rest.append(item)
    if not found:
        found = [
            _unread(item, Problem(Reason.UNSIGNED, "an index of packages, and no signed Release file"))
            for item in indexes
        ]
    return joined(*found), tuple(rest)


def _is_over(item: SideMaterial, release: SideMaterial, others: list[SideMaterial]) -> bool:
    """Whether ``item`` is the signature of ``release``: by its name, or because there is nothing else."""
    return item.file.name.startswith(f"{release.file.name}.") or len(others) == 2


def _in_release(item: SideMaterial, indexes: list[SideMaterial]) -> SignatureFiles:
    try:
        message = read_cleartext(item.data)
        release = parse_release(message.text)
        facts = of_cleartext(message, origin=item.origin, file=item.file).facts()
        index = _index(release, indexes)
    except TrustStoreError as error:
        return _unread(item, problem_of(error))
    return SignatureFiles(tuple(_Pending(stated(fact, release), index) for fact in facts), ())


def _release_gpg(item: SideMaterial, release_file: SideMaterial, indexes: list[SideMaterial]) -> SignatureFiles:
    try:
        release = parse_release(release_file.data)
        index = _index(release, indexes)
        files = read_file(item.data, origin=item.origin, file=item.file)
        facts = files.complete(digests_of(release_file.data, files.digests))
    except TrustStoreError as error:
        return _unread(item, problem_of(error))
    over = [shown(stated(fact, release), release_file.data) for fact in facts]
    return SignatureFiles(tuple(_Pending(fact, index) for fact in over), ())


def _index(release: AptRelease, indexes: list[SideMaterial]) -> _Index:
    """Every index must be one that the Release file lists, by the digest of the file as it is."""
    listed = all(release.lists_index(_digests(item.data), len(item.data)) for item in indexes)
    texts: list[bytes] = []
    for item in indexes:
        texts.append(_text(item.data, MAX_INDEX_BYTES - sum(map(len, texts))))
    return _Index(tuple(texts), listed, weak=not listed and bool(release.weak))


def _digests(data: bytes) -> dict[str, str]:
    return {request.algorithm: hashlib.new(request.algorithm, data).hexdigest() for request in _REQUESTS}


def _text(data: bytes, most: int) -> bytes:
    """The index unpacked, of at most ``most`` bytes."""
    content = io.BytesIO()  # which hands out its one buffer
    for piece in Unpacking(iter((data,)), compression_of(data), UnpackBudget(most, MAX_RATIO)):
        content.write(piece)
    return content.getvalue()


def _unread(item: SideMaterial, problem: Problem) -> SignatureFiles:
    return SignatureFiles((), (SignatureFact(OPENPGP, item.origin, item.file, problem=problem),))
