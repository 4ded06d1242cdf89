"""Anchor versions as rows: writing one with its audit entry, reading one back checked against it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from trust_store.decode.anchor_json import constraints_from_json, constraints_to_json, rule_from_json, rule_to_json
from trust_store.errors import MalformedError, StoreInconsistentError
from trust_store.model.identifiers import Identifier, IdentifierKind, format_time, parse_time
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor, TrustBasis
from trust_store.quick_dataclass import dataclass
from trust_store.storage import audit_log, lookup, tombstones
from trust_store.storage.head import known_store_id, open_head
from trust_store.storage.records import RECORD_TABLES, content_digest
from trust_store.storage.versions import rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

MAX_ROWS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class StoredAnchor:
    """One version of an anchor with what only the store knows: its number, where it was heard of, what approvals are bound to."""

    anchor: TrustAnchor
    version: int
    reference: str
    proposal_digest: str
    audit_seq: int = 0


def proposal_digest(anchor: TrustAnchor) -> str:
    """What an approval is bound to: the material, the vendor and every rule under which the key would be accepted."""
    bound = [
        anchor.vendor_id,
        anchor.kind.value,
        hashlib.sha256(anchor.material).hexdigest(),
        anchor.name,
        encode_rule(anchor.signer_rule),
        encode_constraints(anchor.constraints),
        anchor.follow_rotation,
    ]
    return hashlib.sha256(b"rootwarden/proposal/1\0" + json.dumps(bound, ensure_ascii=True).encode()).hexdigest()


def encode_rule(rule: SignerRule) -> str:
    """A signer rule as JSON text."""
    return json.dumps(rule_to_json(rule))


def decode_rule(text: str) -> SignerRule:
    """The rule that ``encode_rule`` wrote; raises MalformedError for anything else."""
    return rule_from_json(json.loads(text))


def encode_constraints(constraints: Constraints) -> str:
    """Constraints as JSON text; times as ``format_time`` writes them."""
    return json.dumps(constraints_to_json(constraints))


def decode_constraints(text: str) -> Constraints:
    """The constraints that ``encode_constraints`` wrote; raises MalformedError for anything else."""
    return constraints_from_json(json.loads(text))


def append_version(
    connection: sqlite3.Connection,
    stored: StoredAnchor,
    *,
    kind: str,
    actor: str,
    body: Mapping[str, Any],
    at: datetime,
) -> int:
    """Write one version with its audit entry and raise the store's revision; returns the entry's number.

    The body never holds the key or its fingerprints: the log may be read while the key awaits decision.
    """
    anchor = stored.anchor
    row: dict[str, Any] = {
        "anchor_id": anchor.id,
        "version": stored.version,
        "vendor_id": anchor.vendor_id,
        "kind": anchor.kind.value,
        "name": anchor.name,
        "key_sha256": anchor.key_sha256,
        "material": anchor.material,
        "identifiers": json.dumps([[i.kind.value, i.value] for i in sorted(set(anchor.identifiers))]),
        "state": anchor.state.value,
        "constraints": encode_constraints(anchor.constraints),
        "signer_rule": encode_rule(anchor.signer_rule),
        "follow_rotation": int(anchor.follow_rotation),
        "authority": anchor.authority,
        "reference": stored.reference,
        "cause": anchor.cause,
        "previous": anchor.previous,
        "successor": anchor.successor,
        "basis": anchor.basis.value,
        "proposal_digest": stored.proposal_digest,
        "recorded_at": format_time(anchor.recorded_at),
        "effective_from": format_time(anchor.effective_from),
        "effective_until": None,
    }
    table = RECORD_TABLES["anchor"]
    buried = tombstones.bury(connection, anchor) if anchor.state in tombstones.STATES else {}
    record = audit_log.Record(
        "anchor", anchor.id, stored.version, content_digest(table, row), anchor.vendor_id, anchor.state.value
    )
    seq = audit_log.append(
        connection, kind, actor, anchor.id, {**body, **buried, "vendor": anchor.vendor_id, "state": anchor.state.value}, at,
        record=record,
    )  # fmt: skip
    marks = ",".join("?" * (len(table.content) + 1))
    connection.execute(
        f"INSERT INTO anchor_version ({','.join(table.content)}, audit_seq) VALUES ({marks})",  # noqa: S608 - names from this program
        (*(row[column] for column in table.content), seq),
    )
    if stored.version == 1:
        lookup.index(connection, anchor)
    raise_revision(connection)
    return seq


def raise_revision(connection: sqlite3.Connection) -> int:
    """Raise the store's revision by one and return it: an anchor, a policy or a vendor changed."""
    open_head(connection)
    row = connection.execute(
        "UPDATE store_revision SET revision = revision + 1 WHERE one = 1 RETURNING revision"
    ).fetchone()
    return int(row[0])


def current(connection: sqlite3.Connection, anchor_id: str) -> StoredAnchor | None:
    """The current version of one anchor, checked against the audit log, or None."""
    found = checked(
        connection, connection.execute("SELECT * FROM anchor_current WHERE anchor_id = ?", (anchor_id,)).fetchall()
    )
    newest = connection.execute(
        "SELECT max(record_version) FROM audit_log WHERE record_kind = 'anchor' AND record_id = ?", (anchor_id,)
    ).fetchone()[0]
    if newest != (found[0].version if found else None):
        raise StoreInconsistentError(
            f"anchor_version: {anchor_id} is not at version {newest}, where the audit log has it"
        )
    return found[0] if found else None


def checked(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> tuple[StoredAnchor, ...]:
    """Rows of ``anchor_version`` as anchors; raises StoreInconsistentError for one that the audit log did not record so."""
    found = list(rows)
    if not found:
        return ()
    signatures = audit_log.signatures_of(connection)
    return tuple(_checked(signatures, row, entry) for row, entry in _with_entries(connection, found))


def of_vendor(connection: sqlite3.Connection, vendor_id: str) -> tuple[StoredAnchor, ...]:
    """Every anchor of a vendor in its current version; the set itself is compared with what the audit log says there is."""
    rows = connection.execute("SELECT * FROM anchor_current WHERE vendor_id = ?", (vendor_id,)).fetchall()
    expected = connection.execute(
        "SELECT record_id, max(record_version) FROM audit_log WHERE record_kind = 'anchor' AND vendor_id = ? GROUP BY record_id",
        (vendor_id,),
    )
    return _exactly(connection, rows, expected)


def of_every_vendor(connection: sqlite3.Connection) -> tuple[StoredAnchor, ...]:
    """Every anchor in its current version, compared with the audit log."""
    rows = connection.execute("SELECT * FROM anchor_current").fetchall()
    expected = connection.execute(
        "SELECT record_id, max(record_version) FROM audit_log WHERE record_kind = 'anchor' GROUP BY record_id"
    )
    return _exactly(connection, rows, expected)


def current_of(
    connection: sqlite3.Connection, anchor_ids: Iterable[str], known_at: datetime | None = None
) -> tuple[StoredAnchor, ...]:
    """The anchors named, each in its newest version by the log; with ``known_at`` the newest that was recorded by then.

    Raises StoreInconsistentError where a row is not what the log recorded, or is not the newest that the log has.
    """
    found: list[StoredAnchor] = []
    ids = sorted(set(anchor_ids))
    moment = None if known_at is None else format_time(known_at)
    for start in range(0, len(ids), MAX_ROWS_PER_QUERY):
        part = ids[start : start + MAX_ROWS_PER_QUERY]
        marks = ",".join("?" * len(part))
        versions = connection.execute(
            f"SELECT * FROM anchor_version v WHERE v.anchor_id IN ({marks}) AND v.version = "  # noqa: S608 - marks only
            "(SELECT max(w.version) FROM anchor_version w WHERE w.anchor_id = v.anchor_id AND (? IS NULL OR w.recorded_at <= ?))",
            (*part, moment, moment),
        ).fetchall()
        expected = connection.execute(
            "SELECT record_id, max(record_version) FROM audit_log WHERE record_kind = 'anchor'"  # noqa: S608 - marks only
            f" AND record_id IN ({marks}) AND (? IS NULL OR recorded_at <= ?) GROUP BY record_id",
            (*part, moment, moment),
        )
        found += _exactly(connection, versions, expected)
    return tuple(found)


def as_known_at(connection: sqlite3.Connection, anchor_id: str, known_at: datetime) -> StoredAnchor | None:
    """One anchor as it was recorded by ``known_at``, or None where nobody had heard of it."""
    found = current_of(connection, [anchor_id], known_at)
    return found[0] if found else None


def valid_since(connection: sqlite3.Connection, anchor_ids: Iterable[str]) -> dict[str, int]:
    """The number of the audit entry with which each anchor became valid: what came later in that state (narrower rules) is no approval.

    Raises StoreInconsistentError where the log does not have every version of one of them.
    """
    found: dict[str, int] = {}
    for anchor_id in sorted(set(anchor_ids)):
        entries = connection.execute(
            "SELECT * FROM audit_log WHERE record_kind = 'anchor' AND record_id = ? ORDER BY record_version",
            (anchor_id,),
        ).fetchall()
        if [entry["record_version"] for entry in entries] != list(range(1, len(entries) + 1)):
            raise StoreInconsistentError(f"audit_log: a version of {anchor_id} is missing")
        audit_log.require_all(connection, entries)
        for entry in entries:
            if entry["state"] == AnchorState.VALID.value:
                found.setdefault(anchor_id, int(entry["seq"]))
    return found


def rules_since(connection: sqlite3.Connection, stored: StoredAnchor) -> int:
    """The number of the newest audit entry under which the anchor had other rules, 0 if it never had: what was approved by then is void.

    Raises StoreInconsistentError where a version is not what the log recorded.
    """
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = 'anchor' AND record_id = ? ORDER BY seq", (stored.anchor.id,)
    ).fetchall()
    return max(
        (
            int(row["audit_seq"])
            for row in rows_of(connection, "anchor", entries)
            if row["proposal_digest"] != stored.proposal_digest
        ),
        default=0,
    )


def by_standing(
    connection: sqlite3.Connection,
    vendor_id: str | None,
    state: AnchorState,
    limit: int,
    known_at: datetime | None = None,
) -> tuple[StoredAnchor, ...]:
    """Up to ``limit`` anchors (of one vendor, or of all where None) that are in ``state``, those that came into it last first.

    At most eight times as many versions are looked at: anchors that have left the state since are passed over.
    """
    chosen = "vendor_id = ? AND state = ?" if vendor_id is not None else "state = ?"
    asked = (vendor_id, state.value) if vendor_id is not None else (state.value,)
    seen: dict[str, None] = {}
    for row in connection.execute(
        f"SELECT anchor_id FROM anchor_version WHERE {chosen} ORDER BY audit_seq DESC LIMIT ?",  # noqa: S608 - own text
        (*asked, 8 * limit),
    ):
        seen[str(row[0])] = None
    standing: list[StoredAnchor] = []
    ids = list(seen)
    for start in range(0, len(ids), limit):
        part = {s.anchor.id: s for s in current_of(connection, ids[start : start + limit], known_at)}
        standing += [part[i] for i in ids[start : start + limit] if i in part and part[i].anchor.state is state]
        if len(standing) >= limit:
            break
    return tuple(standing[:limit])


def _exactly(
    connection: sqlite3.Connection, rows: list[sqlite3.Row], expected: Iterable[sqlite3.Row]
) -> tuple[StoredAnchor, ...]:
    """``rows`` checked one by one, and as a set against (anchor, version) pairs of the log."""
    found = checked(connection, rows)
    said = {(str(r[0]), int(r[1])) for r in expected}
    have = {(s.anchor.id, s.version) for s in found}
    if said != have:
        name, version = min(said ^ have)
        raise StoreInconsistentError(f"anchor_version: {name} version {version} and the audit log do not agree")
    return found


def _with_entries(
    connection: sqlite3.Connection, rows: list[sqlite3.Row]
) -> Iterable[tuple[sqlite3.Row, sqlite3.Row | None]]:
    for start in range(0, len(rows), MAX_ROWS_PER_QUERY):
        part = rows[start : start + MAX_ROWS_PER_QUERY]
        marks = ",".join("?" * len(part))
        entries = connection.execute(
            f"SELECT * FROM audit_log WHERE seq IN ({marks})",  # noqa: S608 - marks only
            [row["audit_seq"] for row in part],
        )
        by_seq = {entry["seq"]: entry for entry in entries}
        for row in part:
            yield row, by_seq.get(row["audit_seq"])


def _checked(signatures: audit_log.EntrySignatures, row: sqlite3.Row, entry: sqlite3.Row | None) -> StoredAnchor:
    try:
        signatures.require_record(row, "anchor", entry)
        return _decode(row)
    except (ValueError, TypeError, KeyError, RecursionError, MalformedError) as error:
        raise StoreInconsistentError(f"anchor_version: {row['anchor_id']} cannot be read: {error}") from error


def _decode(row: sqlite3.Row) -> StoredAnchor:
    anchor = TrustAnchor(
        id=row["anchor_id"],
        vendor_id=row["vendor_id"],
        kind=AnchorKind(row["kind"]),
        name=row["name"],
        key_sha256=row["key_sha256"],
        material=row["material"],
        state=AnchorState(row["state"]),
        recorded_at=parse_time(row["recorded_at"]),
        effective_from=parse_time(row["effective_from"]),
        signer_rule=decode_rule(row["signer_rule"]),
        constraints=decode_constraints(row["constraints"]),
        follow_rotation=bool(row["follow_rotation"]),
        identifiers=tuple(Identifier(IdentifierKind(k), v) for k, v in json.loads(row["identifiers"])),
        authority=row["authority"],
        cause=row["cause"],
        previous=row["previous"],
        successor=row["successor"],
        basis=TrustBasis(row["basis"]),
    )
    return StoredAnchor(anchor, row["version"], row["reference"], row["proposal_digest"], row["audit_seq"])


def ensure_store_id(connection: sqlite3.Connection, *, at: datetime, randomness: Callable[[int], bytes]) -> str:
    """The id of this store, made once inside the caller's transaction."""
    from trust_store.model.identifiers import RANDOM_BYTES, new_id

    known = known_store_id(connection)
    if not known:
        open_head(connection)  # its signature covers the id
        known = new_id("store", at, randomness(RANDOM_BYTES))
        connection.execute("INSERT INTO store_meta VALUES (1, ?)", (known,))
    return known
