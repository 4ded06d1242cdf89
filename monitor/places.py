"""Where packages were seen, by the intake and by whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.storage.facts import INTAKE

if TYPE_CHECKING:
    import sqlite3

    from trust_store.storage.affected import Affected

_PLACES = """
    SELECT package_sha256, path, vendor_id, origin, max(last_seen_at) FROM sighting
    WHERE {where} GROUP BY package_sha256, vendor_id, origin ORDER BY max(last_seen_at) DESC"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a package was seen: its file, and the vendor in whose folder it lay (None: in nobody's).

    ``origin`` and ``basis`` are intake and folder, or who asked over the API and that the vendor was stated.
    """

    path: Path
    vendor_id: str | None
    origin: str = INTAKE
    basis: str = "folder"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def asker(self) -> str:
        """Who had it read, empty for the incoming folders."""
        return "" if self.origin == INTAKE else self.origin


def places_of(connection: sqlite3.Connection, affected: Affected) -> tuple[tuple[str, Place], ...]:
    """The packages affected by a change, each with the place where it was seen last, for each vendor and asker; the intake's first."""
    found: dict[tuple[str, str, str], tuple[str, Place]] = {}
    asked: list[tuple[str, tuple[str, ...]]] = [(_PLACES.format(where="TRUE"), ())]
    if not affected.everything:
        asked = [(_PLACES.format(where="vendor_id = ?"), (vendor_id,)) for vendor_id in sorted(affected.vendors)]
        asked += [(_PLACES.format(where="package_sha256 = ?"), (sha256,)) for sha256 in sorted(affected.packages)]
    for statement, values in asked:
        for row in connection.execute(statement, values):
            basis = "folder" if row[3] == INTAKE else "stated"
            place = Place(Path(row[1]), str(row[2]) or None, str(row[3]), basis)
            found[(str(row[0]), str(row[2]), str(row[3]))] = (str(row[0]), place)
    return tuple(sorted(found.values(), key=lambda seen: seen[1].asker != ""))
