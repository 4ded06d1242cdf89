"""Tables of the trust store. Anchors, approvals, vendor files and the audit log are append-only versions.

Times are TEXT as ``format_time`` writes them, digests lower-case hex. ``audit_log`` names, for every row of a decision table,
the digest of that row's content (``record_*``): the tables are a projection of the log, and each row can be checked alone.
"""

from __future__ import annotations

from trust_store.storage.migrations import Migration, MigrationSet


def _append_only(table: str, covered: str = "") -> tuple[str, ...]:
    """Triggers that keep a mistake in this program from changing history; the audit log finds anybody else's changes.

    ``covered`` names the columns that never change, where others may (all, where none is named).
    """
    of = f" OF {covered}" if covered else ""
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb.split()[0].lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in (f"UPDATE{of}", "DELETE")
    )


_DECISIONS = (
    "CREATE TABLE store_meta (one INTEGER PRIMARY KEY CHECK (one = 1), store_id TEXT NOT NULL)",
    """CREATE TABLE store_revision (
        one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL,
        audit_seq INTEGER NOT NULL, audit_hash TEXT NOT NULL, signature TEXT NOT NULL)""",
    "INSERT INTO store_revision VALUES (1, 0, 0, '" + "0" * 64 + "', '')",
    """CREATE TABLE head_signature (
        number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, revision INTEGER NOT NULL, signature TEXT NOT NULL)""",
    """CREATE TABLE audit_log (
        seq INTEGER PRIMARY KEY, recorded_at TEXT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL,
        subject TEXT NOT NULL, body TEXT NOT NULL,
        record_kind TEXT, record_id TEXT, record_version INTEGER, record_sha256 TEXT, vendor_id TEXT, state TEXT,
        previous_hash TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, signature TEXT NOT NULL)""",
    "CREATE INDEX audit_log_subject ON audit_log (subject, seq)",
    "CREATE INDEX audit_log_vendor ON audit_log (record_kind, vendor_id, record_id, record_version)",
    "CREATE INDEX audit_log_record ON audit_log (record_kind, record_id, record_version)",
    "CREATE INDEX audit_log_state ON audit_log (state, record_kind, seq)",
    """CREATE TABLE anchor_version (
        anchor_id TEXT NOT NULL, version INTEGER NOT NULL, vendor_id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        key_sha256 TEXT NOT NULL, material BLOB NOT NULL, identifiers TEXT NOT NULL, state TEXT NOT NULL,
        constraints TEXT NOT NULL, signer_rule TEXT NOT NULL, follow_rotation INTEGER NOT NULL, authority TEXT NOT NULL,
        reference TEXT NOT NULL, cause TEXT, previous TEXT, successor TEXT, basis TEXT NOT NULL,
        proposal_digest TEXT NOT NULL,
        recorded_at TEXT NOT NULL, effective_from TEXT NOT NULL, effective_until TEXT,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (anchor_id, version))""",
    "CREATE INDEX anchor_version_vendor ON anchor_version (vendor_id, anchor_id, version)",
    "CREATE INDEX anchor_version_standing ON anchor_version (vendor_id, state, audit_seq)",
    "CREATE INDEX anchor_version_state ON anchor_version (state, audit_seq)",
    """CREATE INDEX anchor_version_unnamed ON anchor_version (audit_seq)
        WHERE version = 1 AND kind IN ('sigstore_identity', 'sigstore_root')""",
    "CREATE INDEX anchor_version_key ON anchor_version (key_sha256, vendor_id)",
    "CREATE INDEX anchor_version_pending ON anchor_version (recorded_at, anchor_id) WHERE state = 'pending'",
    """CREATE VIEW anchor_current AS SELECT v.* FROM anchor_version v
        WHERE v.version = (SELECT max(w.version) FROM anchor_version w WHERE w.anchor_id = v.anchor_id)""",
    """CREATE TABLE approval (
        subject TEXT NOT NULL, number INTEGER NOT NULL, transition TEXT NOT NULL, proposal_digest TEXT NOT NULL,
        approver TEXT NOT NULL, spoke_with TEXT, called TEXT, ticket TEXT, algorithm TEXT, way TEXT NOT NULL, reason TEXT,
        needed INTEGER NOT NULL, counts_from TEXT, recorded_at TEXT NOT NULL,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (subject, number))""",
    """CREATE TABLE identifier (
        kind TEXT NOT NULL, value TEXT NOT NULL, owner_kind TEXT NOT NULL, owner_id TEXT NOT NULL,
        PRIMARY KEY (kind, value, owner_kind, owner_id)) WITHOUT ROWID""",
    "CREATE INDEX identifier_owner ON identifier (owner_kind, owner_id)",
    """CREATE TABLE tombstone (
        kind TEXT NOT NULL, value TEXT NOT NULL, anchor_id TEXT NOT NULL,
        PRIMARY KEY (kind, value, anchor_id)) WITHOUT ROWID""",
    """CREATE TABLE vendor_snapshot (
        vendor_id TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, content TEXT NOT NULL,
        state TEXT NOT NULL, recorded_at TEXT NOT NULL,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (vendor_id, version))""",
    """CREATE TABLE digest_decision_version (
        decision_id TEXT NOT NULL, version INTEGER NOT NULL, package_sha256 TEXT NOT NULL, vendor_id TEXT NOT NULL,
        effect TEXT NOT NULL CHECK (effect IN ('block', 'allow')), reason TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'effective', 'withdrawn')), proposed_by TEXT NOT NULL,
        effective_from TEXT NOT NULL, effective_until TEXT, recorded_at TEXT NOT NULL,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (decision_id, version))""",
    "CREATE INDEX digest_decision_package ON digest_decision_version (package_sha256, vendor_id)",
    """CREATE TABLE baseline_version (
        baseline_id TEXT NOT NULL, version INTEGER NOT NULL, vendor_id TEXT NOT NULL, digest TEXT NOT NULL,
        members TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected')),
        proposed_by TEXT NOT NULL, recorded_at TEXT NOT NULL,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (baseline_id, version))""",
    """CREATE TABLE lineage (
        successor_id TEXT NOT NULL, number INTEGER NOT NULL, vendor_id TEXT NOT NULL, predecessor_id TEXT NOT NULL,
        grade TEXT NOT NULL CHECK (grade IN ('cryptographic', 'corroborated', 'asserted')), proof_kind TEXT NOT NULL,
        proof BLOB, reference TEXT NOT NULL, recorded_at TEXT NOT NULL,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (successor_id, number))""",
    "CREATE INDEX lineage_predecessor ON lineage (predecessor_id)",
    # An entry is signed just before it is committed, and anew when a lost key is replaced.
    *_append_only(
        "audit_log",
        "seq, recorded_at, kind, actor, subject, body, record_kind, record_id, record_version, record_sha256, vendor_id, state, "
        "previous_hash, hash",
    ),
    *_append_only("head_signature"),
    *_append_only("anchor_version"),
    *_append_only("tombstone"),
    *_append_only("approval"),
    *_append_only("vendor_snapshot"),
    *_append_only("digest_decision_version"),
    *_append_only("baseline_version"),
    *_append_only("lineage"),
)

_PACKAGES = (
    """CREATE TABLE package (
        sha256 TEXT PRIMARY KEY, size INTEGER, format TEXT, first_seen_at TEXT NOT NULL, last_seen_at TEXT NOT NULL)""",
    """CREATE TABLE fact_set (
        id TEXT PRIMARY KEY, package_sha256 TEXT NOT NULL REFERENCES package (sha256), material TEXT NOT NULL,
        reader TEXT NOT NULL, reader_version INTEGER NOT NULL, registry TEXT NOT NULL, origin TEXT NOT NULL,
        facts TEXT NOT NULL, facts_sha256 TEXT NOT NULL, recorded_at TEXT NOT NULL, updated_at TEXT NOT NULL,
        signature TEXT NOT NULL,
        UNIQUE (package_sha256, material, reader, reader_version))""",
    """CREATE TABLE sighting (
        package_sha256 TEXT NOT NULL REFERENCES package (sha256), name TEXT NOT NULL, path TEXT NOT NULL,
        vendor_id TEXT NOT NULL, origin TEXT NOT NULL, first_seen_at TEXT NOT NULL, last_seen_at TEXT NOT NULL,
        times INTEGER NOT NULL, PRIMARY KEY (package_sha256, name, path, vendor_id, origin))""",
    "CREATE INDEX sighting_vendor ON sighting (vendor_id, package_sha256)",
    """CREATE TABLE retained (
        package_sha256 TEXT PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL, retained_at TEXT NOT NULL)""",
    "CREATE INDEX retained_age ON retained (retained_at)",
    """CREATE TABLE revocation_material (
        sha256 TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('crl', 'ocsp')), about TEXT NOT NULL,
        url TEXT NOT NULL, material BLOB NOT NULL, this_update TEXT NOT NULL, next_update TEXT, fetched_at TEXT NOT NULL,
        known_at TEXT NOT NULL, proven INTEGER NOT NULL, PRIMARY KEY (about, url, sha256))""",
    "CREATE INDEX revocation_material_about ON revocation_material (about, kind, url, proven, this_update)",
    "CREATE INDEX revocation_material_url ON revocation_material (url, fetched_at)",
)

_RATCHETS = (
    """CREATE TABLE ratchet_version (
        ratchet_id TEXT NOT NULL, version INTEGER NOT NULL, vendor_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('product', 'file')), name TEXT NOT NULL, marks TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('raised', 'lowered')), package_sha256 TEXT, reason TEXT NOT NULL,
        lowered_at TEXT, recorded_at TEXT NOT NULL,
        audit_seq INTEGER NOT NULL UNIQUE REFERENCES audit_log (seq),
        PRIMARY KEY (ratchet_id, version))""",
    *_append_only("ratchet_version"),
)

MIGRATIONS = MigrationSet(
    "trust_store",
    (
        Migration("0001_decisions", _DECISIONS),
        Migration("0002_packages", _PACKAGES),
        Migration("0003_ratchets", _RATCHETS),
    ),
)
