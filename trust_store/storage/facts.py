"""What was seen in packages: fact sets, where each package was sighted, and which are retained.

A fact set is identified by package, material, reader and reader VERSION; one of another reader version is stale and never
returned. Facts hold whatever is trusted, so they are not in the audit log: each row is signed by the instance instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store import instance_key
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.model.identifiers import RANDOM_BYTES, Identifier, IdentifierKind, format_time, new_id, parse_time
from trust_store.quick_dataclass import dataclass
from trust_store.storage import fact_signatures, lookup
from trust_store.storage.anchors import ensure_store_id
from trust_store.storage.head import database_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from trust_store.decode.cms import SignedData
    from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact

NO_READER = ""
MAX_NAME_CHARACTERS = 4096


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

    Its first time and origin stay. Raises FactsNotSignedError where the row that would be replaced is somebody else's: ``discard_facts``.
    """
    now, text = format_time(at), facts_to_json(facts)
    _save_package(connection, facts.sha256, facts.size, facts.format, now)
    store = ensure_store_id(connection, at=at, randomness=randomness)
    before = _row_of(connection, facts)
    if before is not None:
        fact_signatures.of_store(connection).require(before)
    row = {
        "id": before["id"] if before else new_id("facts", at, randomness(RANDOM_BYTES)),
        **_place(facts),
        "registry": _registry(readers),
        "origin": before["origin"] if before else origin,
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
    readers: Mapping[str, int] | None = None,
) -> PackageFacts | None:
    """The newest fact set of a package that its reader would still write; raises FactsNotSignedError if that was changed.

    ``material`` (SHA-256s of side files) asks for the set read with exactly these; None for the newest of any. ``readers`` is
    NAME -> VERSION, by default the registered ones. What no reader recognised counts until any reader changes.
    """
    versions = _readers(readers)
    wanted = None if material is None else _material(tuple(material))
    try:
        for row in connection.execute(
            f"SELECT {fact_signatures.COLUMNS}, facts FROM fact_set WHERE package_sha256 = ? ORDER BY updated_at DESC, id DESC",  # noqa: S608 - own names
            (package_sha256,),
        ):
            fresh = (
                row["registry"] == _registry(readers)
                if row["reader"] == NO_READER
                else versions.get(row["reader"]) == row["reader_version"]
            )
            if fresh and wanted in (None, row["material"]):
                fact_signatures.of_store(connection).require(row)
                return facts_from_json(row["facts"])
    except sqlite3.OperationalError as error:  # text that is no text any more
        raise fact_signatures.not_signed(f"of package {package_sha256}") from error
    return None


def identifiers_in(facts: PackageFacts) -> frozenset[Identifier]:
    """Everything by which the keys in a package, and the issuers that it lacks, may be looked up; undecided.

    Taken from hints, keys that hold, and carried certificates: of each its own digests and its issuer's name and key identifier. The
    same of the timestamps over a signature.
    """
    found = set(hints_in(facts))
    for signature in facts.signatures:
        if name := lookup.name_digest(signature.hint.issuer_der):
            found.add(Identifier(IdentifierKind.ISSUER, name))
        for stamper in (signer for token in _tokens(signature) for signer in token.signer_infos):
            if name := lookup.name_digest(stamper.issuer_der):
                found.add(Identifier(IdentifierKind.ISSUER, name))
            if stamper.serial_number is not None:
                found |= lookup.issued(stamper.issuer_der, stamper.serial_number)
        for der in (*signature.certificates, *stamping_certificates(signature)):
            certificate = lookup.certificate_of(der)
            found |= lookup.own(certificate) | lookup.below(certificate) if certificate else set()
        for check in signature.key_checks:
            found |= _checked(signature, check) if check.holds else set()
    return frozenset(found)


def hints_in(facts: PackageFacts) -> frozenset[Identifier]:
    """By what the keys that made the signatures may be found: what signatures say of themselves, and carried certificates."""
    found: set[Identifier] = set()
    for signature in facts.signatures:
        hint = signature.hint
        for kind, value in (
            (IdentifierKind.SUBJECT_KEY_IDENTIFIER, hint.subject_key_identifier),
            (IdentifierKind.OPENPGP, hint.openpgp),
            (IdentifierKind.KEY_ID, hint.key_id),
        ):
            if value:
                found.add(Identifier(kind, value))
        if hint.serial_number is not None:
            found |= lookup.issued(hint.issuer_der, hint.serial_number)
        for der in signature.certificates:
            found.add(Identifier(IdentifierKind.SHA256, hashlib.sha256(der).hexdigest()))
        for check in signature.key_checks:
            found |= _checked(signature, check) if check.holds else set()
    return frozenset(found)


def tried_in(facts: PackageFacts) -> frozenset[Identifier]:
    """The keys that a signature was tried with, whether it holds under them or not."""
    return frozenset(
        i for signature in facts.signatures for check in signature.key_checks for i in _checked(signature, check)
    )


def _checked(signature: SignatureFact, check: KeyCheck) -> set[Identifier]:
    kinds = (
        (IdentifierKind.OPENPGP,)
        if signature.scheme == "openpgp"
        else (IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256)
    )
    return {Identifier(kind, value) for kind in kinds for value in (check.key, check.owner)}


def stamping_certificates(signature: SignatureFact) -> tuple[bytes, ...]:
    """Certificates (DER) inside the timestamps over a signature; a token that cannot be read carries none."""
    return tuple(der for token in _tokens(signature) for der in token.certificates)


def _tokens(signature: SignatureFact) -> tuple[SignedData, ...]:
    if not signature.timestamps:
        return ()
    from trust_store.decode.cms import parse_signed_data  # few signatures are stamped

    found: list[SignedData] = []
    for token in signature.timestamps:
        with contextlib.suppress(*lookup.UNREADABLE):
            found.append(parse_signed_data(token))
    return tuple(found)


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
    """Where a package was seen, the latest first."""
    rows = connection.execute(
        "SELECT * FROM sighting WHERE package_sha256 = ? ORDER BY last_seen_at DESC, name, path", (package_sha256,)
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
    # Readers are imported only where nobody said which: this module is also used by commands that read no package.
    from trust_store.formats.detect import READERS

    return {reader.NAME: reader.VERSION for reader in READERS}


def _registry(readers: Mapping[str, int] | None) -> str:
    return hashlib.sha256(json.dumps(sorted(_readers(readers).items())).encode()).hexdigest()
