"""``check`` by way of the daemon: the file is hashed here, and where the daemon knows these very bytes it answers for them.

Imports little on purpose: this is what upgrade tooling waits for. Whatever is odd about an answer makes it none, and the command goes
on by itself with the same result.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_store.errors import TrustStoreError
from trust_store.package_files import PackageUnreadableError, open_package, side_paths
from trust_store.remembered import least_revision, memory_folder
from trust_store.settings import load_trust_settings

if TYPE_CHECKING:
    from trust_store.settings import TrustSettings

SCHEMA = "rootwarden/verdict/1"
OUTCOMES = frozenset({"passed", "failed", "indeterminate"})
TIMEOUT_SECONDS = 10.0
MAX_SIDE_BYTES = 8 * 1024 * 1024
MAX_SIDES = 16
_OK = 200


class DaemonAnswers:
    """Asks the daemon of one configuration; ``verdict`` is None for whatever it cannot or must not be asked."""

    def __init__(self, config: Path) -> None:
        self._settings = _settings(config)

    def verdict(self, path: str, vendor: str | None) -> dict[str, Any] | None:
        """The daemon's verdict on the file as it is now, in the contract's JSON."""
        settings = self._settings
        if settings is None or vendor is None:
            return None
        from trust_store import query_client  # only where there is somebody to ask

        try:
            package = Path(path)
            digest = _digest(package)
            material = [_digest(side, MAX_SIDE_BYTES) for side in side_paths(package)][:MAX_SIDES]
            asked = {"vendor": vendor, "name": package.name, "path": path, "exact": "true", "material": material}
            answer = query_client.get(
                settings.api.socket,
                f"/v1/packages/{digest}",
                asked,
                database=settings.store.database,
                timeout=TIMEOUT_SECONDS,
            )
            found = json.loads(answer.body) if answer.status == _OK else None
            return found if _fits(found, digest, vendor) else None
        except (TrustStoreError, OSError, ValueError, RecursionError):
            return None


def _settings(config: Path) -> TrustSettings | None:
    """The configuration, where it is good and a socket is there."""
    try:
        settings = load_trust_settings(config)
    except TrustStoreError:
        return None
    return settings if settings.api.enabled and settings.api.socket.exists() else None


def _digest(path: Path, limit: int | None = None) -> str:
    """SHA-256 of the open file; raises PackageUnreadableError."""
    with open_package(path) as descriptor, open(os.dup(descriptor), "rb") as stream:  # noqa: PTH123 - a descriptor
        if limit is not None and os.fstat(descriptor).st_size > limit:
            raise PackageUnreadableError("too large for a signature")
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fits(found: Any, digest: str, vendor: str) -> bool:
    """Whether it is a verdict about these bytes for this vendor, by a store that is not older than this user has seen it."""
    try:
        basis = found["basis"]
        return (
            found["schema"] == SCHEMA
            and found["outcome"] in OUTCOMES
            and (found["outcome"] == "passed") == (found["reason"] == "trusted")
            and found["package"]["sha256"] == digest
            and found["vendor"]["id"] == vendor
            and basis["store_revision"] >= least_revision(memory_folder(), basis["store_id"])
        )
    except (KeyError, TypeError, AttributeError):
        return False
