"""What the API answers, between HTTP and the store: reading runs in threads and isolated workers, every row on the storage thread."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from trust_store import query
from trust_store.anchor_listing import anchor_to_dict, awaiting_among
from trust_store.api.access import opened_for
from trust_store.api.problems import ProblemError
from trust_store.errors import UsageError
from trust_store.formats.protocol import ReadLimits
from trust_store.model.identifiers import Identifier, IdentifierKind, normalise_hex
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import ExpectedVendor
from trust_store.package_files import PackageUnreadableError, side_paths
from trust_store.storage.facts import origin_of
from trust_store.storage.related import awaiting_decision
from trust_store.stored_verdict import AskedPlace, PackageUnknownError, verify_stored
from trust_store.verdict_json import verdict_to_dict
from trust_store.verifier import read_with_keys, suggested_vendor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime, timedelta

    from trust_store.api.access import Peer
    from trust_store.api.readings import Readings
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import Verdict
    from trust_store.query import EvidenceSource
    from trust_store.signatures.protocol import CandidateKey

_T = TypeVar("_T")
MAX_SIDE_FILES = 16
DIGEST_DIGITS = 64


class StorageRun(Protocol):
    """Runs a function with the store's connection on the thread that owns it."""

    def __call__(self, function: Callable[[sqlite3.Connection], _T], /) -> Coroutine[Any, Any, _T]: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A package that somebody asked about: what it is called, where it lies, whose it is said to be, and who asked."""

    name: str
    path: str | None
    vendor: ExpectedVendor
    origin: str


@dataclass(frozen=True, slots=True)
class Answers:
    """``look`` gives a connection that reads the store as of one moment, beside the one that writes and that ``run`` gives: what many
    ask, and what takes long to decode, keeps neither the intake nor a decision waiting.

    ``record`` saves what was seen, judges it and alerts, in one transaction.

    ``evidence`` and ``sealed`` (the signed bundle) are the composition root's too.
    """

    run: StorageRun
    look: StorageRun
    readings: Readings
    vendors: tuple[Vendor, ...]
    folders: tuple[Path, ...]
    record: Callable[[sqlite3.Connection, PackageFacts, Checked], Verdict]
    evidence: Callable[[sqlite3.Connection], EvidenceSource | None]
    sealed: Callable[[sqlite3.Connection, timedelta], bytes]
    now: Callable[[], datetime]

    def expected(self, vendor: str | None, name: str) -> ExpectedVendor:
        """The vendor of the question; raises ProblemError: 400 where none is stated or the configuration knows none such."""
        if vendor is None:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "vendor: say whose package this is (or any)")
        if vendor == ANY_VENDOR:
            return ExpectedVendor(ANY_VENDOR, "any")
        if vendor not in {v.id for v in self.vendors}:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"vendor: {vendor[:80]!r} is not configured")
        return ExpectedVendor(vendor, "stated", suggested_vendor(name, self.vendors))

    async def check_path(self, path: Path, vendor: str | None, peer: Peer) -> dict[str, Any]:
        """The verdict on a file of this machine, read for ``peer``; raises ProblemError."""
        expected = self.expected(vendor, path.name)
        with ExitStack() as held:
            package = held.enter_context(opened_for(peer, path, self.folders))
            # All of them stay open until the answer: they are read as one moment's.
            sides = {
                side.name: held.enter_context(opened_for(peer, side, self.folders))
                for side in list(side_paths(path))[:MAX_SIDE_FILES]
            }
            checked = Checked(path.name, str(path), expected, origin_of(peer.uid))
            return await self.check_descriptor(package, sides, checked)

    async def check_descriptor(self, package: int, sides: dict[str, int], checked: Checked) -> dict[str, Any]:
        """The verdict on an open file with the open files beside it (name -> descriptor)."""
        loop = asyncio.get_running_loop()

        def candidates_for(hints: Iterable[Identifier]) -> tuple[CandidateKey, ...]:
            known = tuple(hints)
            asked = self.look(lambda c: query.candidates(c, checked.vendor.id or ANY_VENDOR, known))
            return asyncio.run_coroutine_threadsafe(asked, loop).result()

        names = {f"{descriptor}": name for name, descriptor in sides.items()}
        paths = tuple(Path(f"/proc/self/fd/{descriptor}") for descriptor in sides.values())
        try:
            facts = await self.readings.run(
                checked.origin,
                lambda reader: read_with_keys(
                    Path(f"/proc/self/fd/{package}"), paths, reader, candidates_for, ReadLimits(), origin=SignatureOrigin.FOUND,
                ),
            )  # fmt: skip
        except PackageUnreadableError as error:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "the file cannot be read") from error
        if not facts.sha256:  # nothing that could be recorded about it
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "the file could not be read to its end")
        facts = _named(facts, names)
        verdict = await self.run(lambda c: self.record(c, facts, checked))
        return verdict_to_dict(verdict)

    async def package(
        self,
        sha256: str,
        vendor: str | None,
        asked: AskedPlace,
    ) -> dict[str, Any]:
        """The verdict on a package seen before, from its stored facts; raises ProblemError: 404 where it was never seen.

        ``asked`` is what the asker calls it, which side files it has, and who asks.
        """
        expected = self.expected(vendor, asked.name or "")
        digest = normalise_hex(sha256) or ""
        if len(digest) != DIGEST_DIGITS:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "a package is named by its SHA-256: 64 hex digits")
        try:
            verdict = await self.look(
                lambda c: verify_stored(
                    c, digest, expected, self.vendors, at=self.now(), evidence=self.evidence(c), asked=asked,
                )
            )  # fmt: skip
        except PackageUnknownError as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from error
        return verdict_to_dict(verdict)

    async def key(self, identifier: str) -> dict[str, Any]:
        """Every anchor that a digest, fingerprint or key id points at; what identifies a key awaiting decision is withheld."""
        value = normalise_hex(identifier) or identifier
        wanted = [Identifier(kind, value) for kind in IdentifierKind]
        found = await self.look(lambda c: query.anchors_with(c, wanted))
        decided = [anchor for anchor in found if anchor.state is not AnchorState.PENDING]
        if not decided:
            raise ProblemError(HTTPStatus.NOT_FOUND, "no key that was decided about has this identifier")
        return {"identifier": value, "anchors": [anchor_to_dict(a, awaiting=awaiting_among(found)) for a in decided]}

    async def anchors(self, vendor: str | None, states: Iterable[str]) -> dict[str, Any]:
        """Anchors, the newest first."""
        try:
            wanted = [AnchorState(state) for state in states] or None
        except ValueError as error:
            raise UsageError(f"state: {error}") from error
        found, awaiting, revision = await self.look(
            lambda c: (query.anchors(c, vendor, wanted), awaiting_decision(c), query.store_revision(c))
        )
        return {"store_revision": revision, "anchors": [anchor_to_dict(a, awaiting=awaiting) for a in found]}

    async def bundle(self, validity: timedelta) -> tuple[bytes, str]:
        """The signed bundle of this revision and the SHA-256 of its bytes."""
        data = await self.look(lambda c: self.sealed(c, validity))
        return data, hashlib.sha256(data).hexdigest()

    async def revision(self) -> int:
        """The store's revision: the store answers."""
        return await self.look(query.store_revision)


def _named(facts: PackageFacts, names: dict[str, str]) -> PackageFacts:
    """Side files under the names they have, not those of their descriptors."""
    signatures = tuple(
        replace(s, file=replace(s.file, name=names[s.file.name])) if s.file and s.file.name in names else s
        for s in facts.signatures
    )
    return replace(facts, signatures=signatures)
