from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.config import PollingSettings, Source, SourceKind, load_monitor_settings
from monitor.scheduler import next_due, retry_after_seconds, use_validators
from trust_store.errors import ConfigError

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
VENDOR = """[vendor]
id = "dten"
name = "DTEN"
domains = ["dten.example"]

[[source]]
kind = "feed"
url = "https://dten.example/feed.xml"

[[source]]
kind = "discourse"
url = "https://forum.dten.example/t/keys/7"
name = "forum"
interval_seconds = 900
"""


def write(folder: Path, *, main: str = "", vendor: str = VENDOR) -> Path:
    """A configuration with one vendor file."""
    (folder / "vendors.d").mkdir(exist_ok=True)
    (folder / "vendors.d/dten.toml").write_text(vendor)
    (folder / "rootwarden.toml").write_text(main)
    return folder / "rootwarden.toml"


def error_of(path: Path) -> ConfigError:
    """The error that reading ends in."""
    with pytest.raises(ConfigError) as caught:
        load_monitor_settings(path)
    return caught.value


def test_sources_are_read_with_their_vendor(tmp_path: Path) -> None:
    """Every [[source]] becomes a Source with a name, its vendor and its interval; silence means the defaults."""
    settings = load_monitor_settings(
        write(tmp_path, main='[delivery.smtp]\nhost = "x"\n[intake]\nsettle_seconds = 1\n')
    )
    assert [(s.name, s.kind, s.vendor_id, s.interval_seconds) for s in settings.sources] == [
        ("dten.example/feed.xml", SourceKind.FEED, "dten", 3600.0),
        ("forum", SourceKind.DISCOURSE, "dten", 900.0),
    ]
    assert settings.delivery_tables == {"smtp": {"host": "x"}}
    assert settings.intake.settle_seconds == 1.0
    assert settings.source("forum") is settings.sources[1]
    assert settings.source("none") is None


def test_the_incoming_folder_is_beside_the_store_where_none_is_named(tmp_path: Path) -> None:
    """Without [intake] directory packages go into the store's own directory."""
    assert (
        load_monitor_settings(write(tmp_path, main='[store]\ndirectory = "s"\n')).intake.directory
        == tmp_path / "s/incoming"
    )
    assert (
        load_monitor_settings(write(tmp_path, main='[intake]\ndirectory = "in"\n')).intake.directory == tmp_path / "in"
    )


@pytest.mark.parametrize(
    ("line", "number", "nearest", "said"),
    [
        ("intervall_seconds = 5", 15, "interval_seconds", "unknown key"),
        ("follow_links = 1", 15, None, "'follow_links' in [source] must be true or false"),
        ("interval_seconds = 5", 14, None, "interval_seconds must be at least 60"),
        ('kind = "rss"', 11, None, "is one of discourse, feed, not 'rss'"),
        ('url = "http://forum.dten.example/t/keys/7"', 12, None, "https://"),
        ('url = "https://u:p@forum.dten.example/t/keys/7"', 12, None, "no user name or password"),
        ('url = "https://forum.dten.example/c/5"', 12, None, "one topic"),
        ('url = "https://forum.dten.example:x/t/7"', 12, None, "url"),
        ('url = "https://f\\u00f6rum.example/t/7"', 12, None, "ASCII"),
        ('name = "dten.example/feed.xml"', 13, None, "used twice"),
        ('url = "http://127.0.0.1/t/7"', 12, None, "allow_loopback_http"),
    ],
)
def test_an_error_in_the_second_source_names_its_own_line(
    tmp_path: Path, line: str, number: int, nearest: str | None, said: str
) -> None:
    """The line is that of the table which is wrong, not of the first one with such a key, and the nearest key is named."""
    key = line.split(" ")[0]
    lines = VENDOR.splitlines()
    places = [i for i, text in enumerate(lines) if i > 9 and text.startswith(f"{key} ")]
    if places:
        lines[places[0]] = line
    else:
        lines.append(line)
    error = error_of(write(tmp_path, vendor="\n".join(lines) + "\n"))
    assert error.file == tmp_path / "vendors.d/dten.toml"
    assert said in str(error)
    assert (error.line, error.nearest) == (number, nearest)


@pytest.mark.parametrize(
    ("vendor", "said"),
    [
        (VENDOR.replace('kind = "feed"\n', ""), "needs the key 'kind'"),
        (
            VENDOR.replace('[[source]]\nkind = "feed"', '[source]\nkind = "feed"').split("[[source]]")[0],
            "written [[source]]",
        ),
        (
            VENDOR + '[[source]]\nkind="feed"\nname="again"\nurl="https://dten.example/feed.xml"\n',
            "url 'https://dten.example/feed.xml' is used twice",
        ),
    ],
)
def test_other_faults_in_sources_are_told(tmp_path: Path, vendor: str, said: str) -> None:
    """A missing key, a table in place of a list and a source written twice are refused."""
    error = error_of(write(tmp_path, vendor=vendor))
    assert said in str(error)
    assert error.line > 0


@pytest.mark.parametrize(
    ("main", "said", "nearest"),
    [
        ("[polling]\nworker = 3\n", "unknown key 'worker'", "workers"),
        ("[polling]\nworkers = 0\n", "workers must be more than 0", None),
        ('[polling]\ncontact = "a\\nb"\n', "contact", None),
        ("[polling]\nmax_attachments = -1\n", "cannot be negative", None),
        ("[intake]\nsettle_second = 3\n", "unknown key", "settle_seconds"),
        ("[intake]\nsettle_seconds = -1\n", "cannot be negative", None),
        ("[intake]\nrescan_seconds = 0\n", "more than 0", None),
        ("intake = 3\n", "must be a table", None),
        ("delivery = 3\n", "must be a table", None),
    ],
)
def test_faults_in_the_main_file_are_told(tmp_path: Path, main: str, said: str, nearest: str | None) -> None:
    """Unknown keys and values out of range in [polling] and [intake] are refused with the nearest key."""
    error = error_of(write(tmp_path, main=main))
    assert said in str(error)
    assert error.nearest == nearest
    assert error.line > 0 or not main.startswith("[")


def test_loopback_needs_its_own_word(tmp_path: Path) -> None:
    """Plain http is for this machine only, by its literal names, and only where the source says so."""
    local = 'kind = "feed"\nallow_loopback_http = true\ninterval_seconds = 1\nurl = '
    base = VENDOR.split("[[source]]")[0] + "[[source]]\n" + local
    assert (
        load_monitor_settings(write(tmp_path, vendor=base + '"http://127.0.0.1:8000/feed"\n'))
        .sources[0]
        .allow_loopback_http
    )
    assert "https" in str(error_of(write(tmp_path, vendor=base + '"http://127.0.0.2/feed"\n')))


SOURCE = Source("https://dten.example/feed.xml", SourceKind.FEED, "dten", "feed")


def due(failures: int, retry_after: str | None = None) -> float:
    """Seconds until the next poll."""
    at = next_due(SOURCE, NOW, failures=failures, retry_after=retry_after, slowest_seconds=86400.0)
    return (at - NOW).total_seconds()


def test_a_failing_source_slows_to_a_floor_and_never_stops() -> None:
    """Sooner at first, then ever more rarely, at the latest once in slowest_seconds and its spread."""
    waits = [due(n) for n in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] < due(0)
    assert waits[-1] <= 86400 * 1.1


def test_intervals_are_spread_and_steady() -> None:
    """A source is due after its interval and at most a tenth more, always the same."""
    assert 3600 <= due(0) <= 3960
    assert due(0) == due(0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0), (" 7 ", 7.0), ("Wed, 25 Nov 2026 12:10:00 GMT", 600.0), ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2026 12:10:00", 600.0), ("soon", 0.0), ("", 0.0), ("-5", 0.0), ("9" * 90, 999_999_999_999.0), (None, 0.0), ("²", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(text: str | None, seconds: float) -> None:
    """Seconds and HTTP dates are understood; nonsense and the past ask for nothing (RFC 9110 10.2.3)."""
    assert retry_after_seconds(text, NOW) == min(seconds, 1e9)


def test_retry_after_is_kept_but_silences_nobody() -> None:
    """The server's wish is kept up to the slowest interval."""
    assert due(1, "50000") == 50_000
    assert due(1, "99999999") == 86_400
    assert next_due(SOURCE, NOW, failures=0, retry_after="1", slowest_seconds=60.0) - NOW >= timedelta(hours=1)


def test_every_so_often_a_fetch_is_unconditional() -> None:
    """The first poll and every 24th go without validators."""
    assert [n for n in range(50) if not use_validators(n)] == [0, 24, 48]


def test_a_contact_goes_into_the_user_agent() -> None:
    """An address is fine, anything that would break a header is not."""
    assert PollingSettings(contact="security@example.org").contact
    with pytest.raises(ValueError, match="contact"):
        PollingSettings(contact="a\r\nX: y")
