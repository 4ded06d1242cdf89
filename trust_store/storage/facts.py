"""What was seen in packages: fact sets, where each package was sighted, and which are retained.

A fact set is identified by package, material, reader and reader VERSION; one of another reader version is stale and never
returned. Facts hold whatever is trusted, so they are not in the audit log: each row is signed by the instance instead.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store import instance_key
from trust_store.decode.facts_json import MAX_FACTS_BYTES, facts_from_json, facts_to_json
from trust_store.model.identifiers import RANDOM_BYTES, Identifier, format_time, new_id, parse_time
from trust_store.quick_dataclass import dataclass
from trust_store.storage import fact_signatures
from trust_store.storage.anchors import ensure_store_id
from trust_store.storage.fact_identifiers import identifiers_in
from trust_store.storage.head import database_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact

INTAKE = "intake"
"""The origin of what the daemon read in the incoming folders; anybody else's names who asked."""
NO_READER = ""
MAX_NAME_CHARACTERS = 4096
MAX_SIGHTINGS = 1000


def origin_of(uid: int) -> str:
    """The origin of what a user of the API had read."""
    return f"api:uid:{uid}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place where a package was seen; ``vendor_id`` None where nobody said whose it is."""

    package_sha256: str
    name: str
    path: str | None
    vendor_id: str | None
    origin: str
    first_seen_at: datetime
    last_seen_at: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Retained:
    """A package kept for another look; ``size`` in bytes."""

    package_sha256: str
    path: Path
    size: int
    retained_at: datetime


def save_facts(
    connection: sqlite3.Connection,
    facts: PackageFacts,
    *,
    origin: str,
    at: datetime,
    randomness: Callable[[int], bytes],
    readers: Mapping[str, int] | None = None,
) -> str:
    """Save and sign a fact set inside the caller's ``transaction``; the same set again replaces its content. Returns its id.

    Its first time stays, its origin unless the intake has read it since, and what was found out about further keys: which keys are
    tried depends on who asks. Raises FactsNotSignedError where the row that would be replaced is somebody else's: ``discard_facts``.
    """
    now = format_time(at)
    _save_package(connection, facts.sha256, facts.size, facts.format, now)
    store = ensure_store_id(connection, at=at, randomness=randomness)
    before = _row_of(connection, facts)
    if before is not None:
        fact_signatures.of_store(connection).require(before)
        merged = _with_earlier_checks(facts, facts_from_json(before["facts"]))
        # What is longer could not be read again: then the keys tried earlier are left out.
        facts = merged if len(facts_to_json(merged)) <= MAX_FACTS_BYTES else facts
    text = facts_to_json(facts)
    row = {
        "id": before["id"] if before else new_id("facts", at, randomness(RANDOM_BYTES)),
        **_place(facts),
        "registry": _registry(readers),
        "origin": before["origin"] if before and origin != INTAKE else origin,
        "facts_sha256": fact_signatures.text_digest(text),
        "recorded_at": before["recorded_at"] if before else now,
        "updated_at": now,
    }
    key = instance_key.private_key(database_of(connection))
    row["signature"] = key.sign(fact_signatures.message(store, [row[name] for name in fact_signatures.COVERED]))
    connection.execute(
        f"INSERT OR REPLACE INTO fact_set ({', '.join(row)}, facts) VALUES ({', '.join('?' * len(row))}, ?)",  # noqa: S608 - own names
        (*row.values(), text),
    )
    connection.executemany(
        "INSERT INTO identifier VALUES (?, ?, 'package', ?) ON CONFLICT DO NOTHING",
        [(i.kind.value, i.value, facts.sha256) for i in identifiers_in(facts)],
    )
    return str(row["id"])


def _with_earlier_checks(now: PackageFacts, before: PackageFacts) -> PackageFacts:
    """The facts with the keys that the same signatures were tried with earlier: they hold or not, whoever asks."""
    known = {_bare(signature): signature.key_checks for signature in before.signatures}
    return replace(
        now,
        signatures=tuple(
            replace(signature, key_checks=_checks(signature.key_checks, known.get(_bare(signature), ())))
            for signature in now.signatures
        ),
    )


def _bare(signature: SignatureFact) -> SignatureFact:
    """A signature without what depends on who asked: the keys tried, and what the file with it is called."""
    return replace(signature, file=replace(signature.file, name="") if signature.file else None, key_checks=())


def _checks(now: tuple[KeyCheck, ...], before: tuple[KeyCheck, ...]) -> tuple[KeyCheck, ...]:
    found = {(check.key, check.owner): check for check in before}
    for check in now:
        earlier = found.get((check.key, check.owner))
        unasked = check.second_opinion is None and earlier is not None
        found[(check.key, check.owner)] = earlier if unasked and earlier is not None else check
    return tuple(found.values())


def discard_facts(connection: sqlite3.Connection, facts: PackageFacts) -> None:
    """Remove the row in whose place ``facts`` are to be saved: nothing in it may be believed."""
    place = _place(facts)
    connection.execute(f"DELETE FROM fact_set WHERE {' AND '.join(f'{n} = ?' for n in place)}", tuple(place.values()))  # noqa: S608 - own names


def _row_of(connection: sqlite3.Connection, facts: PackageFacts) -> sqlite3.Row | None:
    """The row that these facts would replace; raises FactsNotSignedError where it is no text any more."""
    place = _place(facts)
    try:
        row: sqlite3.Row | None = connection.execute(
            f"SELECT {fact_signatures.COLUMNS}, facts FROM fact_set WHERE {' AND '.join(f'{n} = ?' for n in place)}",  # noqa: S608 - own names
            tuple(place.values()),
        ).fetchone()
    except sqlite3.OperationalError as error:
        raise fact_signatures.not_signed(f"of package {facts.sha256}") from error
    return row


def _place(facts: PackageFacts) -> dict[str, str | int]:
    """The columns that identify a fact set."""
    return {
        "package_sha256": facts.sha256,
        "material": _material(facts.material),
        "reader": facts.format or NO_READER,
        "reader_version": facts.reader_version,
    }


def load_facts(
    connection: sqlite3.Connection,
    package_sha256: str,
    material: Iterable[str] | None = None,
    *,
    asker: str | None = None,
    readers: Mapping[str, int] | None = None,
) -> PackageFacts | None:
    """The facts about a package that its reader would still write; raises FactsNotSignedError if they were changed.

    ``material`` (SHA-256s of side files) asks for the set read with exactly these. Without it nobody's files decide for somebody
    else: what the intake read counts, or else what ``asker`` (an origin) had read, or else what all had read alike; None where only
    sets read with different side files are left. ``readers`` is NAME -> VERSION, by default the registered ones. What no reader
    recognised counts until any reader changes.
    """
    found = _fresh(connection, package_sha256, readers)
    if material is not None:
        wanted = _material(tuple(material))
        found = [one for one in found if one.material == wanted]
    else:
        own = next((o for o in (INTAKE, asker) if any(one.origin == o for one in found)), None)
        found = [one for one in found if own in (None, one.origin)]
        if own is None and len({one.material for one in found}) > 1:
            return None
    return _facts_of(connection, found[0].id) if found else None


def all_facts(
    connection: sqlite3.Connection, package_sha256: str, limit: int, *, readers: Mapping[str, int] | None = None
) -> Iterator[PackageFacts]:
    """The newest ``limit`` fact sets of a package, whatever they were read with; raises as ``load_facts`` does."""
    for one in _fresh(connection, package_sha256, readers)[:limit]:
        yield _facts_of(connection, one.id)


@dataclass(frozen=True, slots=True)
class _FactSet:
    """A fresh fact set; ``origin`` says who had it read: the intake, or an asker."""

    id: str
    material: str
    origin: str


def _fresh(connection: sqlite3.Connection, package_sha256: str, readers: Mapping[str, int] | None) -> list[_FactSet]:
    """The sets that their readers would still write, the newest first."""
    versions, registry = _readers(readers), _registry(readers)
    try:
        rows = connection.execute(
            "SELECT id, material, reader, reader_version, registry, origin FROM fact_set WHERE package_sha256 = ?"
            " ORDER BY updated_at DESC, id DESC",
            (package_sha256,),
        ).fetchall()
    except sqlite3.OperationalError as error:  # text that is no text any more
        raise fact_signatures.not_signed(f"of package {package_sha256}") from error
    return [
        _FactSet(row["id"], row["material"], row["origin"])
        for row in rows
        if (
            row["registry"] == registry
            if row["reader"] == NO_READER
            else versions.get(row["reader"]) == row["reader_version"]
        )
    ]


def _facts_of(connection: sqlite3.Connection, fact_set_id: str) -> PackageFacts:
    """One set, its signature checked. A longer one than is ever written is not fetched at all."""
    try:
        size = connection.execute(
            "SELECT length(CAST(facts AS BLOB)) FROM fact_set WHERE id = ?", (fact_set_id,)
        ).fetchone()
        if size[0] is not None and size[0] > MAX_FACTS_BYTES:
            raise fact_signatures.not_signed(fact_set_id)
        row = connection.execute(
            f"SELECT {fact_signatures.COLUMNS}, facts FROM fact_set WHERE id = ?",  # noqa: S608 - own names
            (fact_set_id,),
        ).fetchone()
    except sqlite3.OperationalError as error:
        raise fact_signatures.not_signed(fact_set_id) from error
    fact_signatures.of_store(connection).require(row)
    return facts_from_json(row["facts"])


def packages_with(connection: sqlite3.Connection, identifiers: Iterable[Identifier]) -> tuple[str, ...]:
    """SHA-256s of the packages in which one of ``identifiers`` was seen."""
    found: set[str] = set()
    for identifier in identifiers:
        rows = connection.execute(
            "SELECT owner_id FROM identifier WHERE kind = ? AND value = ? AND owner_kind = 'package'",
            (identifier.kind.value, identifier.value),
        )
        found |= {str(row[0]) for row in rows}
    return tuple(sorted(found))


def packages_of_vendors(connection: sqlite3.Connection, vendors: Iterable[str] | None, limit: int) -> tuple[str, ...]:
    """SHA-256s of up to ``limit`` packages that were said to be of one of ``vendors`` (None: of all that were seen)."""
    if vendors is None:
        rows = connection.execute("SELECT sha256 FROM package ORDER BY sha256 LIMIT ?", (limit,)).fetchall()
        return tuple(str(row[0]) for row in rows)
    found: set[str] = set()
    for vendor_id in vendors:
        rows = connection.execute(
            "SELECT DISTINCT package_sha256 FROM sighting WHERE vendor_id = ? LIMIT ?", (vendor_id, limit)
        ).fetchall()
        found |= {str(row[0]) for row in rows}
    return tuple(sorted(found)[:limit])


def record_sighting(
    connection: sqlite3.Connection,
    package_sha256: str,
    name: str,
    path: str | None,
    vendor_id: str | None,
    origin: str,
    at: datetime,
) -> None:
    """Record, inside the caller's transaction, that a package was seen at ``path``; the same place again only counts on."""
    now = format_time(at)
    _save_package(connection, package_sha256, None, None, now)
    connection.execute(
        """INSERT INTO sighting VALUES (?, ?, ?, ?, ?, ?, ?, 1)
           ON CONFLICT DO UPDATE SET last_seen_at = excluded.last_seen_at, times = times + 1""",
        (package_sha256, _text(name), _text(path or ""), vendor_id or "", origin, now, now),
    )


def sightings(connection: sqlite3.Connection, package_sha256: str) -> tuple[Sighting, ...]:
    """Where a package was seen: by the intake, then by others, the latest first; MAX_SIGHTINGS at most."""
    rows = connection.execute(
        "SELECT * FROM sighting WHERE package_sha256 = ? ORDER BY origin <> ?, last_seen_at DESC, name, path LIMIT ?",
        (package_sha256, INTAKE, MAX_SIGHTINGS),
    )
    return tuple(
        Sighting(
            package_sha256=row["package_sha256"],
            name=row["name"],
            path=row["path"] or None,
            vendor_id=row["vendor_id"] or None,
            origin=row["origin"],
            first_seen_at=parse_time(row["first_seen_at"]),
            last_seen_at=parse_time(row["last_seen_at"]),
            times=row["times"],
        )
        for row in rows
    )


def record_retained(connection: sqlite3.Connection, package_sha256: str, path: Path, size: int, at: datetime) -> None:
    """Record that a package is kept at ``path`` (``size`` in bytes)."""
    connection.execute(
        "INSERT INTO retained VALUES (?, ?, ?, ?) ON CONFLICT (package_sha256) DO UPDATE SET path = excluded.path",
        (package_sha256, str(path), size, format_time(at)),
    )


def retained(connection: sqlite3.Connection, package_sha256: str | None = None) -> tuple[Retained, ...]:
    """What is kept, the oldest first; or the one package asked for, if it is."""
    rows = (
        connection.execute("SELECT * FROM retained ORDER BY retained_at, package_sha256")
        if package_sha256 is None
        else connection.execute("SELECT * FROM retained WHERE package_sha256 = ?", (package_sha256,))
    )
    return tuple(Retained(r["package_sha256"], Path(r["path"]), r["size"], parse_time(r["retained_at"])) for r in rows)


def forget_retained(connection: sqlite3.Connection, package_sha256: str) -> None:
    """Record that a package is no longer kept; the caller removes the file."""
    connection.execute("DELETE FROM retained WHERE package_sha256 = ?", (package_sha256,))


def _save_package(
    connection: sqlite3.Connection, sha256: str, size: int | None, container: str | None, now: str
) -> None:
    connection.execute(
        """INSERT INTO package VALUES (?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET
           size = coalesce(excluded.size, size), format = coalesce(excluded.format, format), last_seen_at = excluded.last_seen_at""",
        (sha256, size, container, now, now),
    )


def _text(name: str) -> str:
    """A file name of any bytes as text that a table holds; names that are not UTF-8 are written with backslashes."""
    return name.encode("utf-8", "backslashreplace").decode()[:MAX_NAME_CHARACTERS]


def _material(material: Iterable[str]) -> str:
    return ",".join(sorted(set(material)))


def _readers(readers: Mapping[str, int] | None) -> Mapping[str, int]:
    if readers is not None:
        return readers
    from trust_store.formats.registry import READERS

    return {reader.name: reader.version for reader in READERS}


def _registry(readers: Mapping[str, int] | None) -> str:
    return hashlib.sha256(json.dumps(sorted(_readers(readers).items())).encode()).hexdigest()
