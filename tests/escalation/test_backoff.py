"""Waiting times."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalation.backoff import MAX_RETRY_AFTER_SECONDS, next_attempt, retry_after_seconds
from tests.escalation.conftest import AT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("30", 30.0), (" 0 ", 0.0), ("1000000000", MAX_RETRY_AFTER_SECONDS), ("9" * 400, MAX_RETRY_AFTER_SECONDS),
        ("-5", None), ("", None), ("soon", None), ("1.5", None), ("\u0663\u0660", None),
        (format_datetime(AT + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(AT - timedelta(days=90), usegmt=True), 0.0),
        (format_datetime(AT + timedelta(days=9000), usegmt=True), MAX_RETRY_AFTER_SECONDS),
        ("Wed, 25 Nov 2026 12:01:00", 60.0), ("Wed, 99 Nov 99999 12:01:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_in_both_forms(header: str | None, seconds: float | None) -> None:
    """Seconds and HTTP dates count, capped at an hour; nonsense counts as nothing."""
    assert retry_after_seconds(header, AT) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_survived(header: str) -> None:
    """No header raises or waits longer than the cap."""
    found = retry_after_seconds(header, AT)
    assert found is None or 0 <= found <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(0, 10_000), st.none() | st.floats(0, 1e12), st.binary(min_size=8, max_size=8))
def test_the_next_attempt_is_later_and_bounded(attempts: int, retry_after: float | None, random_bytes: bytes) -> None:
    """At least a second, at least what was asked for, never more than a little over an hour."""
    delay = (next_attempt(AT, attempts, retry_after, random_bytes) - AT).total_seconds()
    assert 1 <= delay <= MAX_RETRY_AFTER_SECONDS * 1.1 + 1
    if retry_after is not None:
        assert delay >= min(retry_after, MAX_RETRY_AFTER_SECONDS) - 1e-3
