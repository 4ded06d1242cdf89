"""From a source to pending proposals: fetch | read | hear | store | fetch key files | propose. The shell around the pure parts.

    source -> visits.visit -> Document -> extraction.hear -> claims and proposals (pending, trusted by nobody) -> the store

Each document is stored in a transaction of its own; what fails is told in the outcome and the source's state and tried again. The
validators of a page are kept only once everything read from it is stored, so that a crash in between loses nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from escalation.redaction import Redactor
from monitor.config import SourceKind
from monitor.errors import FetchError
from monitor.extraction import hear, on_vendor_site, within_budget
from monitor.faults import STORE_ERRORS, fault_text
from monitor.fetch.protocol import Expected, FetchRequest
from monitor.key_material import identifiers_of, proposals_of, read_keys
from monitor.ledger import Conclusion, Ledger
from monitor.scheduler import next_due
from monitor.storage import attachments as files
from monitor.storage.documents import Stored, known_documents, store_document
from monitor.storage.sources import claim_due, state_of, validators_of
from monitor.visits import Memory, Reading, visit
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.model.claim import Authority
from trust_store.model.identifiers import format_time
from trust_store.storage.connection import transaction
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime
    from typing import Protocol, TypeVar

    from monitor.config import MonitorSettings, Source
    from monitor.documents.protocol import Document
    from monitor.extraction import HeardPart
    from monitor.fetch.protocol import Fetcher, FetchResponse
    from monitor.key_material import Key
    from monitor.storage.attachments import PendingAttachment
    from trust_store.model.vendor import Vendor

    T = TypeVar("T")

    class StorageRun(Protocol):
        """Runs a function of the connection where the connection lives and returns what it returns."""

        def __call__(self, function: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


MAX_PROBLEMS = 20
PROBLEM_CHARACTERS = 300
LEASE_SECONDS = 900.0
MAX_UNAUTHENTICATED_PROPOSALS = 100
"""In one poll of one source."""


@dataclass(frozen=True, slots=True)
class PollOutcome:
    """What came of one visit. ``status``: new, unchanged, partial (something could not be read or stored) or failed."""

    source: str
    vendor_id: str
    status: str
    next_due_at: datetime
    new_documents: int = 0
    new_versions: int = 0
    removed: int = 0
    claims: int = 0
    key_files: int = 0
    proposals: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON shows it; text from outside is escaped."""
        return {
            "source": self.source,
            "vendor": self.vendor_id,
            "status": self.status,
            "new_documents": self.new_documents,
            "new_versions": self.new_versions,
            "removed": self.removed,
            "claims": self.claims,
            "key_files": self.key_files,
            "proposals": list(self.proposals),
            "problems": list(self.problems),
            "next_due_at": format_time(self.next_due_at),
        }


async def poll_due(
    sources: Iterable[Source],
    *,
    fetcher: Fetcher,
    storage_run: StorageRun,
    settings: MonitorSettings,
    now: Callable[[], datetime],
    randomness: Callable[[int], bytes],
    force: bool = False,
    done: Callable[[PollOutcome], None] | None = None,
) -> tuple[PollOutcome, ...]:
    """Poll those of ``sources`` that are due (with ``force`` all of them), at most ``workers`` at a time; ``done`` hears of each."""
    chosen = tuple(sources)
    if not force:
        lease = timedelta(seconds=LEASE_SECONDS)
        chosen = await storage_run(lambda c: _taken(c, chosen, now(), lease))
    room = asyncio.Semaphore(settings.polling.workers)
    ledger = Ledger(storage_run)

    async def poll(source: Source) -> PollOutcome:
        async with room:
            outcome = await poll_source(
                source,
                fetcher=fetcher,
                storage_run=storage_run,
                settings=settings,
                ledger=ledger,
                now=now,
                randomness=randomness,
            )
        if done is not None:
            done(outcome)
        return outcome

    try:
        outcomes = await asyncio.gather(*(poll(source) for source in chosen), return_exceptions=True)
    finally:
        await ledger.close()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome  # only after all the others came to their end: none is left running unwatched
    return tuple(o for o in outcomes if isinstance(o, PollOutcome))


async def poll_source(
    source: Source,
    *,
    fetcher: Fetcher,
    storage_run: StorageRun,
    settings: MonitorSettings,
    ledger: Ledger,
    now: Callable[[], datetime],
    randomness: Callable[[int], bytes],
) -> PollOutcome:
    """Visit one source now, store what is new, fetch the key files it points at; failures are in the outcome.

    The source's new state is in ``ledger``, which the caller closes. Raises only what makes the store unusable
    (StoreUnavailableError, StoreInconsistentError).
    """
    vendor = settings.trust.vendor(source.vendor_id)
    if vendor is None:
        raise ValueError(f"{source.name}: no vendor {source.vendor_id!r}")
    poll = _Poll(source, vendor, fetcher, storage_run, settings, ledger, now, randomness)
    memory: Memory = await storage_run(lambda c: _remember(c, source, now()))
    reading = await visit(source, fetcher, memory, settings.polling)
    try:
        if source.kind is SourceKind.FEED and reading.documents:
            memory = replace(memory, known=await storage_run(lambda c: known_documents(c, source)))
        for document in reading.documents:
            await poll.take(document, memory, reading)
        if memory.key_files_wait or reading.documents:
            await poll.fetch_key_files()
    except STORE_ERRORS:
        raise
    except Exception as error:  # noqa: BLE001 - this visit failed; the other sources' outcomes are not lost with it
        reading = replace(reading, resources=(), error=MalformedError(f"internal error: {fault_text(error)}"))
    return poll.conclude(memory, reading)


class _Poll:
    """One visit's work on the store, and the count of it."""

    def __init__(
        self,
        source: Source,
        vendor: Vendor,
        fetcher: Fetcher,
        storage_run: StorageRun,
        settings: MonitorSettings,
        ledger: Ledger,
        now: Callable[[], datetime],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._source, self._vendor, self._fetcher, self._run = source, vendor, fetcher, storage_run
        self._polling, self._ledger, self._now, self._randomness = settings.polling, ledger, now, randomness
        self._stored: list[Stored] = []
        self._key_files = 0
        self._proposals: list[str] = []
        self._problems: list[str] = []
        self._lost = False
        self._room = MAX_UNAUTHENTICATED_PROPOSALS

    async def take(self, document: Document, memory: Memory, reading: Reading) -> None:
        """Hear and store what changed of a document; whatever goes wrong with it is told and touches no other document."""
        known = memory.known.get(document.key)
        before = known.parts if known else {}
        changed = [part for part in document.parts if before.get(part.key) != part.content_sha256]
        if not changed and not document.removed:
            return
        source, vendor = self._source, self._vendor

        def listen() -> list[HeardPart]:
            return [hear(document, p, source, vendor, landed=reading.landed, forum=reading.forum) for p in changed]

        try:
            heard, dropped = within_budget(await asyncio.to_thread(listen), self._room)
        except Exception as error:  # noqa: BLE001 - one bad document must not end the run; it is told and read again next time
            self._lose(f"{document.url or document.key}: {type(error).__name__}: {error}")
            return
        self._room -= sum(not p.authority.authenticated for part in heard for p in part.proposals)
        if dropped:
            self._problems.append(f"{document.url or document.key}: {dropped} keys posted by anybody were not proposed")
        at = self._now()
        try:
            stored = await self._run(
                lambda c: store_document(c, source, document, heard, at=at, randomness=self._randomness)
            )
        except STORE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - as above: what keeps one document from being stored keeps out no other
            self._lose(f"{document.url or document.key}: not stored: {error}")
            return
        self._stored.append(stored)
        self._proposals += stored.proposals
        self._problems += stored.problems

    async def fetch_key_files(self) -> None:
        """Fetch the links that wait, the best word first, at most ``max_attachments`` a poll."""
        limit = self._polling.max_attachments
        for pending in await self._run(lambda c: files.pending_attachments(c, self._source, limit)):
            try:
                answer = await self._fetcher.fetch(
                    FetchRequest(
                        url=pending.url,
                        expected=Expected.KEY_FILE,
                        max_bytes=self._polling.max_attachment_bytes,
                        allow_loopback_http=self._source.allow_loopback_http,
                    )
                )
                await self._keep(pending, answer)
            except STORE_ERRORS:
                raise
            except FetchError as error:
                await self._failed(pending, str(error))
            except Exception as error:  # noqa: BLE001 - what one file does to its reader keeps no other from being fetched
                await self._failed(pending, fault_text(error))

    def conclude(self, memory: Memory, reading: Reading) -> PollOutcome:
        """Hand in the source's new state together with what was read whole."""
        at, source, before = self._now(), self._source, memory.state
        failed = reading.error is not None
        failures = before.failures + 1 if failed else 0
        problems = [*([str(reading.error)] if failed else []), *reading.problems, *self._problems]
        # The channel chose the addresses in them, and may have spelled a key there: they go to the journal, to alerts and to people.
        told = tuple(Redactor().said(p, PROBLEM_CHARACTERS) for p in problems[:MAX_PROBLEMS])
        versions, removed = sum(s.versions for s in self._stored), sum(s.removed for s in self._stored)
        news = bool(versions or removed or self._proposals)
        quiet = not reading.parsed and not before.failures  # what was wrong with the same bytes is still wrong
        due = next_due(
            source,
            at,
            failures=failures,
            retry_after=reading.error.retry_after if isinstance(reading.error, FetchError) else None,
            slowest_seconds=self._polling.slowest_interval_seconds,
        )
        state = replace(
            before,
            next_due_at=due,
            polls=before.polls + 1,
            failures=failures,
            last_attempt_at=at,
            last_ok_at=before.last_ok_at if failed else at,
            last_parsed_at=at if reading.parsed else before.last_parsed_at,
            last_new_at=at if news else before.last_new_at,
            last_error="; ".join(told) or (before.last_error if quiet else None),
            stream=reading.stream if not failed or reading.parsed else before.stream,
        )
        whole = () if self._lost else reading.resources
        self._ledger.add(Conclusion(source, state, whole, reading.recut, at))
        return PollOutcome(
            source=source.name,
            vendor_id=source.vendor_id,
            status="failed" if failed else "partial" if told else "new" if news else "unchanged",
            next_due_at=due,
            new_documents=sum(s.new for s in self._stored),
            new_versions=versions,
            removed=removed,
            claims=sum(s.claims for s in self._stored),
            key_files=self._key_files,
            proposals=tuple(dict.fromkeys(self._proposals)),
            problems=told,
        )

    async def _keep(self, pending: PendingAttachment, answer: FetchResponse) -> None:
        """Put a fetched file into quarantine and propose the keys in it."""
        authority, unreadable = self._word(pending, answer.url), None
        keys: tuple[Key, ...] = ()
        try:
            keys = await asyncio.to_thread(read_keys, answer.body, pending.url)
        except READ_ERRORS as error:
            unreadable = safe(str(error), PROBLEM_CHARACTERS)
        at = self._now()
        proposals = proposals_of(keys, vendor_id=self._source.vendor_id, authority=authority, reference=pending.url)
        ids, problems = await self._run(
            lambda c: files.save_file(
                c, self._source, pending, answer.body, authority=authority, identifiers=identifiers_of(keys),
                proposals=proposals, unreadable=unreadable, at=at, randomness=self._randomness,
            )
        )  # fmt: skip
        self._key_files += 1
        self._proposals += ids
        self._problems += problems

    def _word(self, pending: PendingAttachment, landed: str) -> Authority:
        """The word of who gave the link; the vendor's own site only as far as the file itself came from there."""
        if pending.authority is not Authority.VENDOR_SITE:
            return pending.authority
        own = all(on_vendor_site(url, self._source, self._vendor) for url in (pending.url, landed))
        return Authority.VENDOR_SITE if own else Authority.THIRD_PARTY

    async def _failed(self, pending: PendingAttachment, error: str) -> None:
        at, detail = self._now(), safe(error, PROBLEM_CHARACTERS)
        given_up = await self._run(lambda c: files.save_failure(c, pending, detail, at))
        self._problems.append(f"{pending.url}: {error}" + ("; given up" if given_up else ""))

    def _lose(self, problem: str) -> None:
        self._lost = True
        self._problems.append(problem)


def _taken(
    connection: sqlite3.Connection, sources: tuple[Source, ...], at: datetime, lease: timedelta
) -> tuple[Source, ...]:
    with transaction(connection):
        return claim_due(connection, sources, at, lease)


def _remember(connection: sqlite3.Connection, source: Source, at: datetime) -> Memory:
    """What a visit needs to know; the documents of a feed only matter once it has changed."""
    known = known_documents(connection, source) if source.kind is SourceKind.DISCOURSE else {}
    waiting = bool(files.pending_attachments(connection, source, 1))
    return Memory(state_of(connection, source, at), validators_of(connection, source), known, waiting)
