from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.retention import enforce, keep, surplus
from trust_store.settings import StoreSettings
from trust_store.storage.connection import connect
from trust_store.storage.facts import Retained, record_retained, retained
from trust_store.storage.migrations import migrate
from trust_store.storage.schema import MIGRATIONS

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def kept(name: str, size: int, days: int) -> Retained:
    """A retained package of some age."""
    return Retained(name, Path(name), size, NOW - timedelta(days=days))


def test_surplus_is_what_is_too_old_then_the_oldest() -> None:
    """Age decides first; then the oldest go until the bytes fit."""
    packages = (kept("a", 10, 100), kept("b", 60, 9), kept("c", 50, 5), kept("d", 40, 1))
    gone = surplus(packages, StoreSettings(retain_bytes=95, retain_days=90), NOW)
    assert [r.package_sha256 for r in gone] == ["a", "b"]


def test_nothing_is_surplus_within_the_limits() -> None:
    """Within both limits everything stays."""
    assert surplus((kept("a", 10, 1),), StoreSettings(retain_bytes=10, retain_days=1), NOW) == ()


def test_kept_package_survives_the_removal_of_the_original(tmp_path: Path) -> None:
    """What is kept has the same bytes after the dropped file is gone."""
    package = tmp_path / "p.zip"
    package.write_bytes(b"bytes")
    digest = hashlib.sha256(b"bytes").hexdigest()
    target = keep(package, digest, StoreSettings(directory=tmp_path / "store"))
    package.unlink()
    assert target is not None
    assert target.read_bytes() == b"bytes"


def test_package_on_another_file_system_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hard link can be made the bytes are copied, and no half copy stays behind."""

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(18, "cross-device link")

    monkeypatch.setattr("os.link", refuse)
    package = tmp_path / "p.zip"
    package.write_bytes(b"bytes")
    settings = StoreSettings(directory=tmp_path / "store")
    target = keep(package, "ab", settings)
    assert target is not None
    assert [p.name for p in settings.retained.iterdir()] == ["ab"]


def test_package_that_went_away_is_not_kept(tmp_path: Path) -> None:
    """A file that vanished meanwhile is no error: the facts and the alert are what counts."""
    assert keep(tmp_path / "gone", "ab", StoreSettings(directory=tmp_path / "store")) is None


def test_enforce_removes_file_and_row(tmp_path: Path) -> None:
    """A surplus package goes from the folder and from the table."""
    settings = StoreSettings(directory=tmp_path, retain_bytes=0)
    connection = connect(tmp_path / "db", create=True)
    migrate(connection, tmp_path / "lock", (MIGRATIONS,))
    (tmp_path / "f").write_bytes(b"x")
    record_retained(connection, "ab", tmp_path / "f", 1, NOW)
    assert enforce(connection, settings, NOW) == 1
    assert retained(connection) == ()
    assert not (tmp_path / "f").exists()
    connection.close()
