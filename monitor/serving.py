"""The HTTP API as this program serves it: what ``trust_store.api`` leaves to the composition root."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from monitor.faults import STORE_ERRORS
from monitor.places import Place
from monitor.storage.evidence import StoredEvidence
from monitor.storage_thread import StorageThread
from trust_store.api.answers import Answers, Checked
from trust_store.api.app import build_app
from trust_store.api.readings import Readings
from trust_store.api.server import APIServer
from trust_store.bundles import sealed_bundle
from trust_store.query import snapshot
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from monitor.alerting import Alerting
    from trust_store.api.readings import ReaderServer
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

_T = TypeVar("_T")
UPLOADS = "uploads"


def api_server(
    alerting: Alerting, storage: StorageThread, reader: ReaderServer, now: Callable[[], datetime]
) -> APIServer:
    """The server, not started; uploads are unnamed files in a folder of the store's own."""
    trust = alerting.settings.trust

    def record(connection: sqlite3.Connection, facts: PackageFacts, checked: Checked) -> Verdict:
        place = Place(Path(checked.path or checked.name), checked.vendor.id, checked.origin, checked.vendor.basis)
        try:
            return alerting.record(connection, facts, place, None)
        except STORE_ERRORS:
            raise
        except Exception as error:
            alerting.report_fault(connection, f"{place.path}, asked about over the API", error)
            raise  # the answer is an error: who asked has no verdict

    uploads = trust.store.directory / UPLOADS
    uploads.mkdir(mode=0o700, exist_ok=True)
    questions = StorageThread(lambda: connect(trust.store.database, read_only=True))

    async def look(function: Callable[[sqlite3.Connection], _T]) -> _T:
        return await questions.run(lambda c: _at_one_moment(c, function))

    answers = Answers(
        run=storage.run,
        look=look,
        readings=Readings(reader),
        vendors=trust.vendors,
        folders=tuple(Path(folder) for folder in trust.api.folders),
        record=record,
        evidence=StoredEvidence,
        sealed=lambda c, validity: sealed_bundle(c, trust.store.database, trust.vendors, at=now(), validity=validity),
        now=now,
    )
    app = build_app(
        answers, max_upload_bytes=trust.api.max_upload_bytes, uploads=uploads, version=version("rootwarden")
    )
    return APIServer(app, trust.api, at_end=questions.close)


def _at_one_moment(connection: sqlite3.Connection, function: Callable[[sqlite3.Connection], _T]) -> _T:
    with snapshot(connection):
        return function(connection)
