"""Signed checkpoints of the audit log: one line each, to be kept where whoever changes the database does not reach.

``rootwarden-checkpoint/1 STORE SEQ HASH REVISION TIME SIGNATURE``: the log of STORE had SEQ entries, the newest with HASH, at
REVISION, said at TIME. The signature (Ed25519, hex) covers the line before it. The newest is in ``audit.head`` beside the
database; the journal and every mail carry one too. A log that no longer contains the entry was rolled back or rewritten.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trust_store import audit, instance_key
from trust_store.durable_file import replace_file
from trust_store.errors import MalformedError, StoreInconsistentError, StoreUnavailableError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.quick_dataclass import dataclass
from trust_store.storage.connection import closed
from trust_store.storage.head import Head, database_of, known_store_id, require_signed_head

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path

CHECKPOINT_NAME = "audit.head"
MAX_TEXT_BYTES = 16 * 1024 * 1024
MAX_CHECKPOINTS = 10_000
_SCHEMA = "rootwarden-checkpoint/1"
_DOMAIN = b"rootwarden/checkpoint/1\0"
_MAX_LINE, _FIELDS = 1000, 7


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One signed statement about the log of one store."""

    store: str
    head: Head
    at: datetime
    signature: str

    @property
    def line(self) -> str:
        """The text form, one line without its end."""
        return f"{_said(self.store, self.head, self.at)} {self.signature}"


def checkpoint(connection: sqlite3.Connection, at: datetime) -> Checkpoint | None:
    """A checkpoint of the log as it is, None while it is empty; needs the private key.

    Raises StoreInconsistentError where the head is not signed or the key is missing, StoreUnavailableError.
    """
    newest = require_signed_head(connection)
    if newest.seq == 0:
        return None
    key = instance_key.private_key(database_of(connection))
    store = known_store_id(connection)
    at = parse_time(format_time(at))
    return Checkpoint(store, newest, at, key.sign(_DOMAIN + _said(store, newest, at).encode()))


def parse_all(text: str) -> tuple[Checkpoint, ...]:
    """Every checkpoint in a text: a line, a mail with folded headers, an export of the journal. Raises MalformedError if none."""
    import re  # only few commands read more than the one line that is kept

    # Mail folds long header lines, hence any white space between the fields.
    blank, schema = r"\s+", re.escape(_SCHEMA)
    fields = (
        r"([A-Za-z0-9_]{1,64})",
        r"(\d{1,18})",
        r"([0-9a-f]{64})",
        r"(\d{1,18})",
        r"([0-9T:.Z-]{10,40})",
        r"([0-9a-f]{128})",
    )
    found: dict[str, Checkpoint] = {}
    for said in re.finditer(f"{schema}{blank}{blank.join(fields)}(?![0-9a-f])", text):
        one = _checkpoint_of((_SCHEMA, *said.groups()))
        found[one.line] = one
        if len(found) > MAX_CHECKPOINTS:
            raise MalformedError(f"more than {MAX_CHECKPOINTS} checkpoints")
    if not found:
        raise MalformedError(f"no checkpoint: one begins with {_SCHEMA} and ends with its signature")
    return tuple(found.values())


def require_checkpoint(connection: sqlite3.Connection, said: Checkpoint | None) -> None:
    """Raise StoreInconsistentError unless the checkpoint is of this store and key, and the log still contains its entry."""
    if said is None:
        return
    store, seq = known_store_id(connection), said.head.seq
    if said.store != store:
        raise StoreInconsistentError(
            f"the outside checkpoint is of store {said.store}, this is {store or 'an unused one'}"
        )
    message = _DOMAIN + _said(said.store, said.head, said.at).encode()
    public = instance_key.public_key(database_of(connection))
    if not instance_key.verifies(public, said.signature, message) and not any(
        instance_key.verifies(key, said.signature, message) for key in _former_keys(connection, seq)
    ):
        raise StoreInconsistentError(f"the outside checkpoint of entry {seq} was not signed by this instance's key")
    row = connection.execute("SELECT hash FROM audit_log WHERE seq = ?", (seq,)).fetchone()
    if row is None or row[0] != said.head.hash or audit.head(connection).revision < said.head.revision:
        raise StoreInconsistentError(
            f"audit_log: the outside checkpoint knows entry {seq} at revision {said.head.revision}, this store does not: "
            "it was rolled back or rewritten"
        )


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The newest checkpoint kept in a file, None where there is none; raises StoreInconsistentError if it is no checkpoint."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_LINE).decode("ascii")
        # The end of the line stands apart as a field, so that a line cut short or followed by another is none.
        return _checkpoint_of(tuple(text.replace("\n", " \n").split(" ")), end=("\n",))
    except FileNotFoundError:
        return None
    except (MalformedError, UnicodeDecodeError) as error:
        raise StoreInconsistentError(f"{path} is no audit checkpoint") from error
    except PermissionError as error:
        raise closed(path) from error
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error.strerror}") from error


def newest_line(connection: sqlite3.Connection) -> str:
    """The line that is kept beside this connection's database, empty where there is none: it is passed on, not believed."""
    database = database_of(connection)
    try:
        kept = read_checkpoint(database.with_name(CHECKPOINT_NAME)) if database is not None else None
    except (StoreInconsistentError, StoreUnavailableError):
        kept = None
    return kept.line if kept is not None else ""


def keep_checkpoint(connection: sqlite3.Connection, path: Path, at: datetime) -> Checkpoint | None:
    """Have ``path`` hold a checkpoint of the log as it is, and return it; an older head never replaces a newer one."""
    known = read_checkpoint(path)
    newest = audit.head(connection)
    same = known is not None and known.store == known_store_id(connection)
    if known is not None and same and (known.head.seq, known.head.revision) >= (newest.seq, newest.revision):
        return known
    made = checkpoint(connection, at)
    if made is not None:
        write_checkpoint(path, made)
    return made


def write_checkpoint(path: Path, said: Checkpoint) -> None:
    """Replace the file at once and durably; raises StoreUnavailableError."""
    replace_file(path, f"{said.line}\n".encode(), mode=0o644)


def _checkpoint_of(fields: tuple[str, ...], end: tuple[str, ...] = ()) -> Checkpoint:
    """The checkpoint of a line's fields, with ``end`` after them; raises MalformedError unless it is written as this program writes it."""
    try:
        _, store, seq, link, revision, at, signature, *rest = fields
        one = Checkpoint(store, Head(int(seq), link, int(revision)), parse_time(at), signature)
        same = one.line.split(" ") == list(fields[:_FIELDS]) and one.head.seq > 0 and tuple(rest) == end
    except (ValueError, OverflowError) as error:
        raise MalformedError("no checkpoint: another number of fields, or a field that is none") from error
    if not same:
        raise MalformedError("a checkpoint that is not written as this program writes one")
    return one


def _said(store: str, head: Head, at: datetime) -> str:
    return f"{_SCHEMA} {store} {head.seq} {head.hash} {head.revision} {format_time(at)}"


def _former_keys(connection: sqlite3.Connection, seq: int) -> tuple[str, ...]:
    """Public keys that were lost and replaced after entry ``seq``, as the log says."""
    rows = connection.execute("SELECT * FROM audit_log WHERE kind = ? AND seq > ? LIMIT 100", (audit.REKEYED, seq))
    replaced = rows.fetchall()
    audit.require_all(connection, replaced)
    return tuple(str(json.loads(row["body"])["former_key"]) for row in replaced)
