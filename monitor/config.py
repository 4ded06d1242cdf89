"""The sections of the configuration that belong to the monitor: ``[polling]``, ``[intake]`` and the vendor files' ``[[source]]``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trust_store.config import line_of, read_toml, section
from trust_store.errors import ConfigError
from trust_store.settings import TrustSettings, load_trust_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trust_store.model.vendor import Vendor

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
SHORTEST_INTERVAL_SECONDS = 60.0
_TOPIC_PATH = re.compile(r".*/t/(?:[^/]+/)?[0-9]+(?:\.json)?/?(?:[0-9]+/?)?\Z")
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")


class SourceKind(StrEnum):
    """Which document reader reads a source."""

    DISCOURSE = "discourse"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """``[intake]``: the watched folder, and how long a file must be unchanged and may wait for its side files."""

    directory: Path = Path("/var/lib/rootwarden/incoming")
    """`<directory>/<vendor id>/` is watched; by default `incoming` in the store's directory."""
    settle_seconds: float = 2.0
    """A file counts as complete when it was unchanged for this long; from 0."""
    sidecar_wait_seconds: float = 30.0
    """A package without a signature waits this long for one beside it; from 0."""
    rescan_seconds: float = 30.0
    """The folder is looked through this often even if nothing was noticed; above 0."""
    compare: bool = False
    """Installed native verifiers are asked about each package too, and one that disagrees is alerted about; they run unconfined."""

    def __post_init__(self) -> None:
        if self.settle_seconds < 0 or self.sidecar_wait_seconds < 0:
            raise ValueError("settle_seconds and sidecar_wait_seconds cannot be negative")
        if self.rescan_seconds <= 0:
            raise ValueError("rescan_seconds must be more than 0")


@dataclass(frozen=True, slots=True)
class PollingSettings:
    """``[polling]``: how often due sources are looked for, and every cap on what a server may send."""

    tick_seconds: float = 30.0
    """Due sources are looked for this often; above 0."""
    request_timeout_seconds: float = 30.0
    """Of one request; above 0."""
    max_document_bytes: int = 8 * 1024**2
    """A longer document is an error of its source; above 0."""
    max_attachment_bytes: int = 1024**2
    """Of one linked key file; above 0."""
    max_attachments: int = 20
    """Linked key files fetched in one poll of a source; from 0."""
    max_pages: int = 60
    """Pages of a forum thread fetched in one poll; above 0."""
    max_redirects: int = 5
    """Followed for one document; from 0."""
    workers: int = 10
    """Sources read at the same time; above 0."""
    slowest_interval_seconds: float = 86400.0
    """A source that fails, or asks for patience, is tried again at least this often; above 0."""
    contact: str = ""
    """Stands in the header User-Agent, for the vendor's administrators: printable ASCII without parentheses."""

    def __post_init__(self) -> None:
        for name in ("tick_seconds", "request_timeout_seconds", "max_document_bytes", "max_attachment_bytes", "max_pages",
                     "workers", "slowest_interval_seconds"):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")
        if self.max_attachments < 0 or self.max_redirects < 0:
            raise ValueError("max_attachments and max_redirects cannot be negative")
        if not self.contact.isascii() or not self.contact.isprintable() or set(self.contact) & set("()"):
            raise ValueError("contact goes into a request header: printable ASCII without parentheses")


@dataclass(frozen=True, slots=True)
class Source:
    """One URL of a vendor, read by one document reader every ``interval_seconds``.

    ``allow_loopback_http`` admits plain HTTP to this very machine, for tests and demonstrations. ``anyone_can_post`` says that
    others than the vendor write into the feed, so that nothing in it is the vendor's word.
    """

    url: str
    """`https://`; of a `discourse` source one topic, `https://forum.example/t/<slug>/<number>`. No user name or password."""
    kind: SourceKind
    """`discourse` or `feed` (RSS, Atom)."""
    vendor_id: str = ""
    name: str = ""
    """Unique; without it host and path."""
    interval_seconds: float = 3600.0
    """Polled this often; at least 60."""
    follow_links: bool = True
    """Whether key files that a document links to are fetched."""
    allow_loopback_http: bool = False
    """Plain HTTP to this very machine, for tests and demonstrations."""
    anyone_can_post: bool = False
    """Others than the vendor write here too, so nothing in it is the vendor's word."""

    def __post_init__(self) -> None:
        require_source_url(self.url, loopback_http=self.allow_loopback_http)
        if self.kind is SourceKind.DISCOURSE and not _TOPIC_PATH.match(urlsplit(self.url).path):
            raise ValueError("url: a Discourse source is one topic, https://forum.example/t/<slug>/<number>")
        if not self.allow_loopback_http and self.interval_seconds < SHORTEST_INTERVAL_SECONDS:
            raise ValueError(f"interval_seconds must be at least {SHORTEST_INTERVAL_SECONDS:.0f}: be polite")
        if self.interval_seconds <= 0:
            raise ValueError("interval_seconds must be more than 0")

    @property
    def host(self) -> str:
        """The host in the URL, lower case."""
        return (urlsplit(self.url).hostname or "").lower()


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """The whole configuration; ``delivery_tables`` is ``[delivery]`` as read, for the escalation package to understand."""

    trust: TrustSettings
    delivery_tables: Mapping[str, Any] = field(default_factory=dict)
    intake: IntakeSettings = field(default_factory=IntakeSettings)
    polling: PollingSettings = field(default_factory=PollingSettings)
    sources: tuple[Source, ...] = ()

    def source(self, name: str) -> Source | None:
        """The configured source of that name."""
        return next((s for s in self.sources if s.name == name), None)


@dataclass(frozen=True, slots=True)
class _SourceTable:
    url: str
    kind: str
    name: str = ""
    interval_seconds: float = 3600.0
    follow_links: bool = True
    allow_loopback_http: bool = False
    anyone_can_post: bool = False


def load_monitor_settings(path: Path) -> MonitorSettings:
    """Read ``path`` and the vendor files beside it; raises ConfigError with file, line and the nearest known key."""
    trust = load_trust_settings(path)
    tables = read_toml(path)
    delivery = tables.get("delivery", {})
    if not isinstance(delivery, dict):
        raise ConfigError("[delivery] must be a table", file=path, line=line_of(path, "delivery"))
    intake = dict(tables["intake"]) if isinstance(tables.get("intake"), dict) else tables.get("intake", {})
    if isinstance(intake, dict):
        intake.setdefault("directory", str((trust.store.directory / "incoming").absolute()))
    return MonitorSettings(
        trust=trust,
        delivery_tables=delivery,
        intake=section(IntakeSettings, intake, file=path, name="intake"),
        polling=section(PollingSettings, tables.get("polling", {}), file=path, name="polling"),
        sources=load_sources(path.parent / "vendors.d", trust.vendors),
    )


def load_sources(directory: Path, vendors: Iterable[Vendor]) -> tuple[Source, ...]:
    """Every ``[[source]]`` of the vendor files in ``directory``, by name; two of one name or one URL twice raise ConfigError."""
    known = {vendor.id for vendor in vendors}
    by_name: dict[str, Source] = {}
    seen: set[tuple[str, str]] = set()
    for file in sorted(directory.glob("*.toml")):
        tables = read_toml(file)
        vendor_id = tables["vendor"]["id"] if isinstance(tables.get("vendor"), dict) else None
        if vendor_id not in known:
            raise ConfigError("its vendor is not known", file=file, line=line_of(file, "vendor"))
        entries = tables.get("source", [])
        if not isinstance(entries, list):
            raise ConfigError("sources are written [[source]]", file=file, line=line_of(file, "source"))
        for index, entry in enumerate(entries):
            source = _source(entry, file, index, vendor_id)
            if source.name in by_name or (vendor_id, source.url) in seen:
                said = f"name {source.name!r} is" if source.name in by_name else f"url {source.url!r} is"
                raise ConfigError(
                    f"[source] {said} used twice; give each source its own name",
                    file=file,
                    line=_line_in(file, index, "name"),
                )
            seen.add((vendor_id, source.url))
            by_name[source.name] = source
    return tuple(by_name[name] for name in sorted(by_name))


def require_source_url(url: str, *, loopback_http: bool, plain_http: bool = False) -> None:
    """Raise ValueError unless ``url`` is https, or plain HTTP where that is allowed (to this machine, to all); never with a password."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise ValueError(f"url: {error}") from error
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("url: ASCII only; write other names in their encoded form (xn--..., %..)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: no user name or password in a URL")
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("url must begin with https:// and name a host")
    if parts.scheme == "http" and not plain_http and not (loopback_http and host in LOOPBACK_HOSTS):
        raise ValueError(
            "url must begin with https:// (plain http only to this machine, with allow_loopback_http = true)"
        )


def _source(entry: Any, file: Path, index: int, vendor_id: str) -> Source:
    """One ``[[source]]`` table; the error of the n-th table names the line in that table."""
    try:
        table = section(_SourceTable, entry, file=file, name="source")
        try:
            kind = SourceKind(table.kind)
        except ValueError as error:
            raise ConfigError(
                f"'kind' in [source] is one of {', '.join(SourceKind)}, not {table.kind!r}", file=file
            ) from error
        parts = urlsplit(table.url)
        return Source(
            url=table.url,
            kind=kind,
            vendor_id=vendor_id,
            name=table.name or f"{parts.netloc}{parts.path}",
            interval_seconds=table.interval_seconds,
            follow_links=table.follow_links,
            allow_loopback_http=table.allow_loopback_http,
            anyone_can_post=table.anyone_can_post,
        )
    except ConfigError as error:
        key = re.search(r"'([A-Za-z0-9_.-]+)'", error.message)
        line = _line_in(file, index, key[1] if key and "needs the key" not in error.message else None)
        raise ConfigError(error.message, file=file, line=line, nearest=error.nearest) from error
    except ValueError as error:
        key = re.match(r"(\w+)", str(error))
        raise ConfigError(
            f"[source] {error}", file=file, line=_line_in(file, index, key[1] if key else None)
        ) from error


def _line_in(file: Path, index: int, key: str | None) -> int:
    """The line (1-based) of ``key`` in the ``index``-th ``[[source]]`` of the file, or of that table's header, or 0."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return 0
    count, header = -1, 0
    for number, line in enumerate(lines, 1):
        if match := _HEADER.match(line):
            count += match[1] == "source"
            header = number if count == index and match[1] == "source" else header
            if count > index or (header and match[1] != "source"):
                break
        elif header and key is not None and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    return header
