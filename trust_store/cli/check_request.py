"""From options or a batch line to a ``CheckRequest``; the store is opened only when a question needs it."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_store import query
from trust_store.cli.files import read_capped
from trust_store.errors import ConfigError, UsageError
from trust_store.model.identifiers import parse_time
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import ExpectedVendor
from trust_store.quick_dataclass import dataclass
from trust_store.settings import load_trust_settings
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES
from trust_store.stored_verdict import StoredTrust
from trust_store.terminal import safe
from trust_store.verification.question import DEFAULT_NAMESPACE, ExpectedIdentity
from trust_store.verification.supplied import MAX_SUPPLIED_BYTES, SuppliedMaterial, read_material, read_revocation
from trust_store.verifier import CheckRequest, Verifier, suggested_vendor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trust_store.exchange.bundle import Bundle
    from trust_store.model.vendor import Vendor
    from trust_store.query import EvidenceSource
    from trust_store.settings import TrustSettings
    from trust_store.verifier import FactReader

_FLAGS = ("only_anchors", "require_anchor")
_LISTS = ("signatures", "untrusted", "crls", "anchors")
_IDSIG = b"\x02\0\0\0"
"""How ``.idsig`` files begin (APK Signature Scheme v4), which the reader of APKs takes out of the side files."""
_BUNDLE = rb'\{[^\0]{0,4096}"mediaType"\s{0,16}:\s{0,16}"[^"]{0,200}bundle'
"""A bundle that says its kind, perhaps one that is not read: which one that is, is for the verdict to tell."""
_TEXTS = ("path", "at", "as_known_at", "vendor", "certificate_identity", "certificate_oidc_issuer", "namespace")


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What was asked, as text: of the command line or of one batch line. Files are paths."""

    vendor: str | None = None
    at: str | None = None
    as_known_at: str | None = None
    anchors: tuple[str, ...] = ()
    only_anchors: bool = False
    signatures: tuple[str, ...] = ()
    untrusted: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    certificate_identity: str | None = None
    certificate_oidc_issuer: str | None = None
    namespace: str | None = None
    require_anchor: bool = False


class CheckSession:
    """One run of the command: settings and store are read at the first question that needs them, and once."""

    def __init__(
        self,
        config: Path,
        reader: FactReader,
        now: Callable[[], datetime],
        evidence: Callable[[sqlite3.Connection], EvidenceSource | None] | None = None,
    ) -> None:
        self._config, self._reader, self._now, self._evidence = config, reader, now, evidence
        self._settings: TrustSettings | None = None
        self._with_store: Verifier | None = None
        self._without_store = Verifier(reader, now=now)
        self._bundle: Bundle | None = None
        self._open = ExitStack()

    def __enter__(self) -> CheckSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def use_bundle(self, file: str | None, keys: tuple[str, ...], options: CheckOptions) -> None:
        """Ask a signed bundle instead of the store; raises UsageError, or BundleRefusedError where it must not be used."""
        if file is None:
            if keys:
                raise UsageError("--bundle-key goes with --bundle FILE")
            return
        if options.only_anchors or options.anchors or options.as_known_at:
            raise UsageError(
                "--bundle goes with neither --anchors, --only-anchors nor --as-known-at: it is what is trusted"
            )
        from trust_store.bundled_trust import BundledTrust  # few ask one
        from trust_store.cli.bundle_file import open_bundle_file

        self._bundle = open_bundle_file(Path(file), tuple(Path(key) for key in keys), self._now())
        self._with_store = Verifier(self._reader, now=self._now, source=BundledTrust(self._bundle))

    def request(self, path: str, options: CheckOptions, *, pipes: bool = False) -> CheckRequest:
        """The question; raises UsageError for what cannot be asked, ConfigError where there is no configuration.

        ``pipes``: keys and lists may come through pipes that the shell passed, once.
        """
        said = (options.certificate_identity, options.certificate_oidc_issuer)
        signatures = tuple(Path(name) for name in options.signatures)
        for signature in signatures:
            _require_signature(signature)
        asked = CheckRequest(
            path=Path(path),
            vendor=ExpectedVendor(None, "none"),
            at=time_of(options.at, "--at"),
            known_at=time_of(options.as_known_at, "--as-known-at"),
            signatures=signatures or None,
            anchors=_material(options.anchors, pipes=pipes),
            untrusted=_material(options.untrusted, pipes=pipes),
            only_supplied=options.only_anchors,
            identity=ExpectedIdentity(*said) if said != (None, None) else None,
            namespace=DEFAULT_NAMESPACE if options.namespace is None else options.namespace,
            revocation=_revocation(options.crls, pipes=pipes),
            require_anchor=options.require_anchor,
        )
        return self.about(asked, path, options)

    def about(self, asked: CheckRequest, path: str, options: CheckOptions) -> CheckRequest:
        """The same question about another package; raises UsageError for a vendor that is not known."""
        package = Path(path)
        return replace(asked, path=package, given=path, vendor=self._expected(options, package.name))

    def verifier(self, request: CheckRequest) -> Verifier:
        """Who answers ``request``; raises StoreUnavailableError or StoreInconsistentError."""
        if request.only_supplied:
            return self._without_store
        if self._with_store is None:
            settings = self.settings
            connection = self._open.enter_context(closing(query.open_consistent(settings.store.database)))
            evidence = self._evidence(connection) if self._evidence else None
            source = StoredTrust(connection, settings.vendors)
            self._with_store = Verifier(self._reader, now=self._now, source=source, evidence=evidence)
        return self._with_store

    @property
    def settings(self) -> TrustSettings:
        """The configuration; raises ConfigError where there is none, or it is wrong."""
        if self._settings is None:
            try:
                self._settings = load_trust_settings(self._config)
            except ConfigError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    raise ConfigError(f"{error.message}; --only-anchors needs none", file=error.file) from error
                raise
        return self._settings

    def _expected(self, options: CheckOptions, name: str) -> ExpectedVendor:
        if options.vendor == "":
            raise UsageError("the vendor is an empty text: name one, or leave it out")
        if options.only_anchors and options.vendor != ANY_VENDOR and self._bundle is None:
            return ExpectedVendor(options.vendor, "stated" if options.vendor else "none")
        if self._bundle is not None:
            if options.only_anchors or options.anchors or options.as_known_at:
                raise UsageError("with --bundle nothing else is trusted, and nothing is known of earlier times")
            return expected_vendor(options.vendor, self._bundle.vendors, name)
        return expected_vendor(options.vendor, self.settings.vendors if options.vendor != ANY_VENDOR else (), name)


def expected_vendor(vendor: str | None, vendors: tuple[Vendor, ...], name: str) -> ExpectedVendor:
    """Whose package it is said to be; raises UsageError naming the nearest vendor where none of ``vendors`` is such."""
    if vendor is None:
        return ExpectedVendor(None, "none", suggested_vendor(name, vendors))
    if vendor == ANY_VENDOR:
        return ExpectedVendor(ANY_VENDOR, "any")
    known = [v.id for v in vendors]
    if vendor not in known:
        import difflib  # only to put a mistake right

        near = difflib.get_close_matches(vendor, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none yet'}"
        raise UsageError(f"vendor {safe(vendor, 80)!r} is not configured ({hint})")
    return ExpectedVendor(vendor, "stated", suggested_vendor(name, vendors))


def batch_options(asked: dict[str, Any], otherwise: CheckOptions) -> tuple[str, CheckOptions]:
    """Path and options of a batch line's content; raises UsageError. What is absent or null is as the command line says.

    A key that is not known is refused: it may be a demand, and an answer that leaves one out is an answer to something else.
    """
    values: dict[str, Any] = {}
    for key, value in asked.items():
        if value is None:
            continue
        if key in _LISTS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise UsageError(f"{key!r} must be a list of paths")
            values[key] = tuple(value)
        elif key in _TEXTS:
            if not isinstance(value, str):
                raise UsageError(f"{key!r} must be a string")
            values[key] = value
        elif key in _FLAGS:
            if not isinstance(value, bool):
                raise UsageError(f"{key!r} must be true or false")
            values[key] = value
        else:
            raise UsageError(f"unknown key {safe(key, 60)!r}")
    if not values.get("path"):
        raise UsageError("'path' is missing")
    # A demand on the command line is one for every line.
    values["require_anchor"] = otherwise.require_anchor or values.get("require_anchor", False)
    return values.pop("path"), replace(otherwise, **values)


def _revocation(names: Iterable[str], *, pipes: bool) -> tuple[bytes, ...]:
    """Lists and responses that were handed over, each once; raises UsageError."""
    files = ((read_capped(name, MAX_SUPPLIED_BYTES, pipes=pipes), safe(name, 200)) for name in names)
    return tuple(dict.fromkeys(item for data, told in files for item in read_revocation(data, told)))


def _material(names: Iterable[str], *, pipes: bool) -> SuppliedMaterial:
    found = SuppliedMaterial()
    for name in names:
        found += read_material(read_capped(name, MAX_SUPPLIED_BYTES, pipes=pipes), safe(name, 200))
    return found


def _require_signature(path: Path) -> None:
    """Raises UsageError for a file that is no signature of any kind, nor what one may be over: a list of digests, an index.

    Whether one in it is any good is the package's verdict.
    """
    from trust_store.formats.side_signatures import may_speak  # most questions name no signature

    data = read_capped(path, MAX_SIGNATURE_FILE_BYTES, pipes=False)
    if not (data.startswith(_IDSIG) or may_speak(data) or re.match(_BUNDLE, data)):
        raise UsageError(f"{safe(str(path), 300)}: there is no signature of a known kind in it")


def time_of(text: str | None, option: str) -> datetime | None:
    """The time that an option says, None where it was not given; raises UsageError."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {safe(text, 60)!r} is no time: {error}; write for example 2026-05-03T12:00:00Z"
        ) from error
