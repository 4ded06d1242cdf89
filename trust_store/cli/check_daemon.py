"""``check`` by way of the daemon: the file is hashed here, and where the daemon knows these very bytes it answers for them.

Imports little on purpose: this is what upgrade tooling waits for. Whatever is odd about an answer makes it none, and the command goes
on by itself with the same result.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_store.errors import TrustStoreError
from trust_store.package_files import PackageUnreadableError, open_package, side_paths
from trust_store.remembered import least_revision, memory_folder
from trust_store.settings import load_api_settings, load_trust_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from trust_store.settings import TrustSettings

SCHEMA = "rootwarden/verdict/1"
OUTCOMES = frozenset({"passed", "failed", "indeterminate"})
TIMEOUT_SECONDS = 10.0
SENDING_SECONDS = 600.0
MAX_SIDE_BYTES = 8 * 1024 * 1024
MAX_SIDES = 16
_OK = 200


class DaemonAnswers:
    """Asks the daemon of one configuration; ``verdict`` is None for whatever it cannot or must not be asked."""

    def __init__(self, config: Path) -> None:
        self._settings = _settings(config)

    def verdict(self, path: str, vendor: str | None) -> dict[str, Any] | None:
        """The daemon's verdict on the file as it is now, in the contract's JSON.

        Of bytes that the daemon has not seen the command finds out for itself; where this user may not read the store they are sent.
        """
        settings = self._settings
        if settings is None or vendor is None:
            return None
        try:
            package = Path(path)
            digest = _digest(path)  # as it was given: a slash at its end would be lost
            sides = [(_digest(side, MAX_SIDE_BYTES), side.name) for side in side_paths(package)]
            found = self._known(settings, package, digest, sides, vendor)
            if found is None and not os.access(settings.store.database, os.R_OK):
                found = self._sent(settings, package, vendor)
            return _as_here(found, path, sides) if _fits(found, digest, vendor) else None
        except (TrustStoreError, OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None

    def _known(
        self, settings: TrustSettings, package: Path, digest: str, sides: list[tuple[str, str]], vendor: str
    ) -> Any:
        """What is said of these bytes, read with exactly the files that lie beside them.

        An answer that asks for the file is none: the file is at hand.
        """
        from trust_store import query_client  # only where there is somebody to ask

        material = [sha256 for sha256, _ in sides][:MAX_SIDES]
        asked = {"vendor": vendor, "name": package.name, "path": str(package), "exact": "true", "material": material}
        answer = query_client.get(
            settings.api.socket,
            f"/v1/packages/{digest}",
            asked,
            database=settings.store.database,
            timeout=TIMEOUT_SECONDS,
        )
        found = json.loads(answer.body) if answer.status == _OK else None
        wanting = isinstance(found, dict) and found.get("needs_file") is not False
        return None if wanting else found

    def _sent(self, settings: TrustSettings, package: Path, vendor: str) -> Any:
        """What is said of the package and the files beside it, sent."""
        from trust_store import query_client

        with ExitStack() as held:
            files = [("package", package.name, held.enter_context(_opened(package)))]
            files += [("signature", side.name, held.enter_context(_opened(side))) for side in side_paths(package)]
            answer = query_client.post_form(
                settings.api.socket, "/v1/check", {"vendor": vendor}, files, database=settings.store.database,
                timeout=SENDING_SECONDS,
            )  # fmt: skip
        return json.loads(answer.body) if answer.status == _OK else None


def _settings(config: Path) -> TrustSettings | None:
    """The configuration, where it is good and a socket is there; without a socket the vendor files are not read here."""
    try:
        api = load_api_settings(config)
        if not api.enabled or not api.socket.exists():
            return None
        return load_trust_settings(config)  # the vendor files as well: what is wrong with them is told, daemon or not
    except TrustStoreError:
        return None


@contextmanager
def _opened(path: str | Path) -> Iterator[BufferedReader]:
    """The regular file at ``path``; raises PackageUnreadableError."""
    with open_package(path) as descriptor, open(os.dup(descriptor), "rb") as stream:  # noqa: PTH123 - a descriptor
        yield stream


def _digest(path: str | Path, limit: int | None = None) -> str:
    """SHA-256 of the open file; raises PackageUnreadableError."""
    with _opened(path) as stream:
        if limit is not None and os.fstat(stream.fileno()).st_size > limit:
            raise PackageUnreadableError("too large for a signature")
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _as_here(found: dict[str, Any], path: str, sides: list[tuple[str, str]]) -> dict[str, Any]:
    """An answer with the names that the files have here: they may have been sent under others, which a form can carry."""
    found["package"] |= {"path": path, "name": Path(path).name}
    for file in (signature["file"] for signature in found["signatures"]):
        named = [name for sha256, name in sides if file is not None and sha256 == file["sha256"]]
        if len(named) == 1:
            file["name"] = named[0]
    return found


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
            and found["needs_file"] is False
            and basis["store_revision"] >= least_revision(memory_folder(), basis["store_id"])
        )
    except (KeyError, TypeError, AttributeError):
        return False
