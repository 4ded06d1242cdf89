"""Tables of the monitor. Document versions and claims are append-only: what a vendor said stays, whatever he says later.

Times are TEXT as ``format_time`` writes them, digests lower-case hex. A claim's keys are rows of the trust store's ``identifier``
table with owner kind ``claim``. ``resource`` holds the validators of every URL read, exactly as the server gave them.
"""

from __future__ import annotations

from trust_store.storage.migrations import Migration, MigrationSet

_SOURCES = (
    """CREATE TABLE source_state (
        vendor_id TEXT NOT NULL, url TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, polls INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0, next_due_at TEXT NOT NULL, last_attempt_at TEXT, last_ok_at TEXT,
        last_parsed_at TEXT, last_new_at TEXT, last_error TEXT, stream TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (vendor_id, url))""",
    "CREATE INDEX source_state_due ON source_state (next_due_at)",
    """CREATE TABLE resource (
        vendor_id TEXT NOT NULL, source_url TEXT NOT NULL, url TEXT NOT NULL, etag TEXT, last_modified TEXT,
        body_sha256 TEXT NOT NULL, fetched_at TEXT NOT NULL, PRIMARY KEY (vendor_id, source_url, url))""",
)

_DOCUMENTS = (
    """CREATE TABLE document (
        id TEXT PRIMARY KEY, vendor_id TEXT NOT NULL, source_url TEXT NOT NULL, key TEXT NOT NULL, title TEXT NOT NULL, url TEXT,
        first_seen_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE (vendor_id, source_url, key))""",
    """CREATE TABLE document_part (
        id TEXT PRIMARY KEY, document_id TEXT NOT NULL REFERENCES document (id), key TEXT NOT NULL, content_sha256 TEXT NOT NULL,
        version INTEGER NOT NULL, first_seen_at TEXT NOT NULL, removed_at TEXT, UNIQUE (document_id, key))""",
    """CREATE TABLE document_version (
        part_id TEXT NOT NULL REFERENCES document_part (id), version INTEGER NOT NULL, content_sha256 TEXT NOT NULL,
        title TEXT NOT NULL, text TEXT NOT NULL, url TEXT, author TEXT, authority TEXT NOT NULL, hidden INTEGER NOT NULL,
        links TEXT NOT NULL, label TEXT NOT NULL, cves TEXT NOT NULL, published_at TEXT, fetched_at TEXT NOT NULL,
        PRIMARY KEY (part_id, version))""",
    """CREATE TABLE claim (
        id TEXT PRIMARY KEY, vendor_id TEXT NOT NULL, part_id TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL,
        keys TEXT NOT NULL, effective_dates TEXT NOT NULL, urls TEXT NOT NULL, excerpt TEXT NOT NULL, author TEXT,
        authority TEXT NOT NULL, url TEXT, published_at TEXT, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
        recorded_at TEXT NOT NULL, FOREIGN KEY (part_id, version) REFERENCES document_version (part_id, version))""",
    "CREATE INDEX claim_part ON claim (part_id, version)",
    "CREATE INDEX claim_vendor ON claim (vendor_id, recorded_at)",
    *(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in ("document_version", "claim")
        for verb in ("UPDATE", "DELETE")
    ),
)

_QUARANTINE = (
    """CREATE TABLE quarantine (
        sha256 TEXT PRIMARY KEY, body BLOB NOT NULL, first_seen_at TEXT NOT NULL)""",
    """CREATE TABLE attachment (
        part_id TEXT NOT NULL, version INTEGER NOT NULL, url TEXT NOT NULL, status TEXT NOT NULL
            CHECK (status IN ('pending', 'fetched', 'unreadable', 'given_up')),
        attempts INTEGER NOT NULL DEFAULT 0, sha256 TEXT REFERENCES quarantine (sha256), detail TEXT, updated_at TEXT NOT NULL,
        PRIMARY KEY (part_id, version, url), FOREIGN KEY (part_id, version) REFERENCES document_version (part_id, version))""",
    "CREATE INDEX attachment_pending ON attachment (updated_at) WHERE status = 'pending'",
)

_INTAKE = (
    """CREATE TABLE intake (
        path TEXT PRIMARY KEY, vendor_id TEXT, stamp TEXT NOT NULL, status TEXT NOT NULL
            CHECK (status IN ('waiting', 'checked', 'failed')),
        package_sha256 TEXT, first_seen_at TEXT NOT NULL, updated_at TEXT NOT NULL, detail TEXT)""",
    "CREATE INDEX intake_package ON intake (package_sha256)",
)

_MARKS = ("CREATE TABLE mark (name TEXT PRIMARY KEY, audit_seq INTEGER NOT NULL) WITHOUT ROWID",)

MIGRATIONS = MigrationSet(
    "monitor",
    (
        Migration("0001_sources", _SOURCES),
        Migration("0002_documents", _DOCUMENTS),
        Migration("0003_quarantine", _QUARANTINE),
        Migration("0004_intake", _INTAKE),
        Migration("0005_marks", _MARKS),
    ),
)
