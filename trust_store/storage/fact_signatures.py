"""The instance's signature under each fact set: facts hold whatever is trusted and so are in no log, but this program wrote them.

Every column of the row is covered, and the store's id. Whoever can write the file can therefore neither add facts, nor move them
to another package, nor date a first sighting back; a row that is removed makes a package unknown, which never passes.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING

from trust_store import instance_key
from trust_store.errors import StoreInconsistentError
from trust_store.quick_dataclass import dataclass
from trust_store.storage.head import database_of, known_store_id
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

COVERED = (
    "id", "package_sha256", "material", "reader", "reader_version", "registry", "origin", "facts_sha256", "recorded_at",
    "updated_at",
)  # fmt: skip
"""The columns that are signed; the facts themselves by their digest, so that a row can be checked without reading them."""
COLUMNS = ", ".join((*COVERED, "signature"))
PROGRESS_ROWS = 10_000
_DOMAIN = b"rootwarden/facts/1\0"


class FactsNotSignedError(StoreInconsistentError):
    """A fact set that this instance did not write, or not so."""


@dataclass(frozen=True, slots=True)
class FactSignatures:
    """Whose signatures count: those of the key ``public`` (hex) over rows of this ``store`` (its id)."""

    store: str
    public: str

    def hold(self, row: sqlite3.Row) -> bool:
        """Whether the signature of a row (COLUMNS) holds; the facts' text is not looked at."""
        said, signature = [row[name] for name in COVERED], row["signature"]
        if type(signature) is not str or any(type(value) not in (str, int) for value in said):
            return False  # this program writes nothing else there
        return instance_key.verifies(self.public, signature, message(self.store, said))

    def require(self, row: sqlite3.Row) -> None:
        """Raise FactsNotSignedError unless the signature of a row (COLUMNS and ``facts``) holds, and its text is what was signed."""
        text = row["facts"]
        if type(text) is not str or text_digest(text) != row["facts_sha256"] or not self.hold(row):
            raise not_signed(f"{row['id']} (package {row['package_sha256']})")


def of_store(connection: sqlite3.Connection) -> FactSignatures:
    """The signatures that count in this store; raises StoreInconsistentError where its public key is missing."""
    return FactSignatures(known_store_id(connection), instance_key.public_key(database_of(connection)))


def message(store: str, values: Sequence[object]) -> bytes:
    """What is signed of a row, in the order of COVERED; nothing else that this key signs begins alike."""
    return _DOMAIN + json.dumps([store, *values], separators=(",", ":")).encode()


def text_digest(text: str) -> str:
    """The digest of facts as text, for the column ``facts_sha256``."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def not_signed(row: str) -> FactsNotSignedError:
    """The error that names a row."""
    return FactsNotSignedError(
        f"fact_set: row {safe(row, 200)} was not signed by this instance: it was written or changed by somebody else; "
        "treat it as an incident, then remove the row and have the package read again"
    )


def require_all(connection: sqlite3.Connection, *, told: Callable[[int, int], None] | None = None) -> int:
    """Check every fact set and return how many there are; raises FactsNotSignedError that names the first bad row.

    ``told`` hears after every PROGRESS_ROWS rows how many of how many were checked. The cost is one Ed25519 verification a row.
    """
    count = int(connection.execute("SELECT count(*) FROM fact_set").fetchone()[0])
    if count == 0:
        return 0
    signatures = of_store(connection)
    for number, (_, row) in enumerate(_rows(connection), 1):
        signatures.require(row)
        if told is not None and number % PROGRESS_ROWS == 0:
            told(number, count)
    return count


def sign_again(connection: sqlite3.Connection, former: str, key: instance_key.InstanceKey) -> int:
    """Sign every fact set with the key that replaces ``former`` (public half in hex), in the caller's transaction; return how many.

    Raises FactsNotSignedError for a row that the former key did not sign: nothing of somebody else's is ever adopted.
    """
    signatures, count = FactSignatures(known_store_id(connection), former), 0
    for number, row in _rows(connection):
        signatures.require(row)
        signature = key.sign(message(signatures.store, [row[name] for name in COVERED]))
        connection.execute("UPDATE fact_set SET signature = ? WHERE rowid = ?", (signature, number))
        count += 1
    return count


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[int, sqlite3.Row]]:
    """Every fact set with its row number, one at a time, so that rows may be written between and no more than one is held."""
    before = -(2**63)
    while True:
        found = connection.execute(
            "SELECT rowid, CAST(id AS BLOB) FROM fact_set WHERE rowid > ? ORDER BY rowid LIMIT 1", (before,)
        ).fetchone()
        if found is None:
            return
        before = int(found[0])
        try:
            row = connection.execute(f"SELECT {COLUMNS}, facts FROM fact_set WHERE rowid = ?", (before,)).fetchone()  # noqa: S608 - own names
        except sqlite3.OperationalError as error:  # text that is no text any more
            raise not_signed(bytes(found[1] or b"").decode("utf-8", "replace")) from error
        yield before, row
