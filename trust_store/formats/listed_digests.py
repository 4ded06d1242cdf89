"""A signed list of digests beside a package: a signature over the list speaks for the package if the package's digest stands in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.checksum_list import WEAK
from trust_store.model.package_facts import Problem
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.checksum_list import ListedFile
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import DigestState

_SHA256 = DigestRequest("sha256")


@dataclass(frozen=True, slots=True)
class PendingOverList:
    """A signature over a list, before the package has been read."""

    fact: SignatureFact
    listed: tuple[ListedFile, ...]

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Every kind of digest in the list."""
        return tuple(DigestRequest(name) for name in sorted({a for entry in self.listed for a in entry.algorithms}))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact, whose content matches if a digest of the package is in the list.

        ``other_names`` are the files that the list gives other digests: a package that bears such a name is not the one it names.
        """
        if self.fact.problem is not None:
            return self.fact
        own = {request.algorithm: states[request].copy().digest().hex() for request in self.digests}
        matching: list[ListedFile] = []
        others: list[ListedFile] = []
        for entry in self.listed:
            (matching if any(own[name] == entry.digest for name in entry.algorithms) else others).append(entry)
        if matching and all(WEAK.issuperset(entry.algorithms) for entry in matching):
            detail = f"the signed list has only the package's {matching[0].algorithms[0]} digest"
            return replace(self.fact, problem=Problem(Reason.WEAK_ALGORITHM, detail))
        # of a file with digests of several kinds all must be the package's
        mine = {entry.name for entry in matching} - {entry.name for entry in others}
        names = {name.rpartition("/")[2] for name in mine}
        return replace(
            self.fact,
            content_matches=self.fact.content_matches and bool(mine),
            other_names=tuple(sorted({entry.base_name for entry in others} - names)),
        )


@dataclass(frozen=True, slots=True)
class PendingOverContent:
    """A signature of a message with content beside a package, which must be that content octet for octet.

    ``contents`` are the SHA-256 of what the message may stand for: of a text there are several, since its line ends are not signed.
    """

    fact: SignatureFact
    contents: frozenset[bytes]

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """SHA-256."""
        return (_SHA256,)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact, whose content matches if it is the package."""
        if self.fact.problem is not None:
            return self.fact
        same = states[_SHA256].copy().digest() in self.contents
        return replace(self.fact, content_matches=self.fact.content_matches and same)


def over_content(fact: SignatureFact, *contents: bytes) -> PendingOverContent:
    """A signature over any of ``contents``."""
    return PendingOverContent(fact, frozenset(hashlib.sha256(content).digest() for content in contents))
