"""The tables of alerts: ``alert``, ``script``, ``delivery`` (the outbox) and ``digest_entry`` (what waits for the daily digest)."""

from __future__ import annotations

from trust_store.storage.migrations import Migration, MigrationSet

_ALERT = """
CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  dedup_key TEXT NOT NULL,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
  vendor_id TEXT,
  package_sha256 TEXT,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('open', 'acknowledged', 'resolved')),
  opened_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  acknowledged_at TEXT,
  acknowledged_by TEXT,
  resolved_at TEXT,
  resolution TEXT,
  repeat_count INTEGER NOT NULL DEFAULT 0,
  CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
)
"""
# The index is the deduplication: two alerts of one key cannot be open at once, whoever writes.
_ALERT_DEDUP = "CREATE UNIQUE INDEX alert_unresolved ON alert (dedup_key) WHERE status <> 'resolved'"
_ALERT_PACKAGE = "CREATE INDEX alert_package ON alert (package_sha256, vendor_id)"
_ALERT_STATUS = "CREATE INDEX alert_status ON alert (status, opened_at)"
_SCRIPT = """
CREATE TABLE script (
  alert_id TEXT PRIMARY KEY REFERENCES alert (id),
  sheet TEXT NOT NULL,
  script TEXT NOT NULL,
  updated_at TEXT NOT NULL
)
"""
_DELIVERY = """
CREATE TABLE delivery (
  id TEXT PRIMARY KEY,
  alert_id TEXT NOT NULL REFERENCES alert (id),
  channel TEXT NOT NULL,
  payload TEXT NOT NULL,
  message_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'dead')),
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  next_attempt_at TEXT NOT NULL,
  sending_since TEXT,
  sent_at TEXT,
  answer TEXT,
  last_error TEXT,
  possible_repeat_of TEXT,
  CHECK ((state = 'sending') = (sending_since IS NOT NULL))
)
"""
_DELIVERY_DUE = "CREATE INDEX delivery_due ON delivery (state, channel, next_attempt_at)"
_DELIVERY_ALERT = "CREATE INDEX delivery_alert ON delivery (alert_id)"
_DIGEST = """
CREATE TABLE digest_entry (
  alert_id TEXT PRIMARY KEY REFERENCES alert (id),
  recorded_at TEXT NOT NULL,
  told_at TEXT
)
"""
_DIGEST_UNTOLD = "CREATE INDEX digest_untold ON digest_entry (recorded_at) WHERE told_at IS NULL"
_DIGEST_TOLD = "CREATE INDEX digest_told ON digest_entry (told_at)"

MIGRATIONS = MigrationSet(
    "escalation",
    (
        Migration(
            "0001_alerts_scripts_outbox",
            (
                _ALERT,
                _ALERT_DEDUP,
                _ALERT_PACKAGE,
                _ALERT_STATUS,
                _SCRIPT,
                _DELIVERY,
                _DELIVERY_DUE,
                _DELIVERY_ALERT,
                _DIGEST,
                _DIGEST_UNTOLD,
                _DIGEST_TOLD,
            ),
        ),
    ),
)
