"""The delivery sections of the configuration, and secrets by reference."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from escalation.config import load_delivery_settings, read_secret, require_webhook
from escalation.delivery import CHANNELS, open_channels, protocol
from trust_store.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

SMTP = 'host = "mail.example.org"\nsender = "r@example.org"\nrecipients = ["soc@example.org"]\n'


def load(folder: Path, text: str):  # type: ignore[no-untyped-def]
    """Write and read a configuration file."""
    file = folder / "rootwarden.toml"
    file.write_text(text)
    return load_delivery_settings(tomllib.loads(text), file)


def test_defaults_are_safe(tmp_path: Path) -> None:
    """STARTTLS on port 587 where nothing is said; no section, no channel."""
    smtp = load(tmp_path, f"[delivery.smtp]\n{SMTP}").smtp
    assert (smtp.starttls, smtp.tls, smtp.port) == (True, False, 587)
    assert load(tmp_path, "").smtp is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[delivery.smpt]\n", "rootwarden.toml:1: unknown key 'smpt' in [delivery] (did you mean 'smtp'?)"),
        ("delivery = 1\n", "must be a table"),
        (f"[delivery.smtp]\n{SMTP}recipient = 'x'\n", "rootwarden.toml:5: unknown key 'recipient'"),
        (f"[delivery.smtp]\n{SMTP}password = 'x'\n", "unknown key 'password'"),
        ("[delivery.smtp]\nhost = 'h'\nsender = 'a@b'\n", "needs the key 'recipients'"),
        ("[delivery.smtp]\nhost = 'h'\nsender = 'a@b'\nrecipients = []\n", "at least one"),
        ('[delivery.smtp]\nhost = "h"\nsender = "a@b\\nBcc: x@y"\nrecipients = ["a@b"]\n', "no mail address"),
        ("[delivery.smtp]\nhost = 'h'\nsender = 'a@b'\nrecipients = ['a b@c']\n", "no mail address"),
        ("[delivery.smtp]\nhost = 'a b'\nsender = 'a@b'\nrecipients = ['a@b']\n", "no host name"),
        (f"[delivery.smtp]\n{SMTP}tls = true\n", "starttls = false"),
        (f"[delivery.smtp]\n{SMTP}port = 0\n", "between 1 and 65535"),
        (f"[delivery.smtp]\n{SMTP}timeout_seconds = 0\n", "timeout_seconds"),
        (f"[delivery.smtp]\n{SMTP}username = 'u'\n", "belong together"),
        (f"[delivery.smtp]\n{SMTP}starttls = false\nusername = 'u'\npassword_env = 'P'\n", "unencrypted"),
        (f"[delivery.smtp]\n{SMTP}username = 'u'\npassword_env = 'P'\npassword_file = 'p'\n", "only one of"),
        (f"[delivery.smtp]\n{SMTP}username = 'u'\npassword_credential = '../x'\n", "is a name of letters"),
        ("[delivery.slack]\n", "needs one of webhook_file"),
        ("[delivery.slack]\nwebhook = 'https://x'\n", "unknown key 'webhook'"),
        ("[delivery.slack]\nwebhook_env = 'W'\ntimeout_seconds = 601\n", "timeout_seconds"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """File, line and the nearest key; inline secrets and header injection are refused."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)


def test_secrets_come_from_file_credential_or_environment(tmp_path: Path) -> None:
    """Each reference works, trailing newlines do not count."""
    (tmp_path / "hook").write_text("s3cret\n")
    at = {"name": "x", "file": tmp_path / "c"}
    assert read_secret(tmp_path / "hook", "", "", environment={}, **at) == "s3cret"
    assert read_secret(None, "hook", "", environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}, **at) == "s3cret"
    assert read_secret(None, "", "HOOK", environment={"HOOK": "s3cret"}, **at) == "s3cret"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"nul\x00"])
def test_a_secret_that_is_none_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    """Empty, several lines, not text: an error without the content."""
    (tmp_path / "hook").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_secret(tmp_path / "hook", "", "", environment={}, name="x", file=tmp_path / "c")
    assert "two" not in str(caught.value)


def test_a_missing_reference_is_named(tmp_path: Path) -> None:
    """No file, no credentials directory, no variable."""
    at = {"name": "x", "file": tmp_path / "c"}
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "missing", "", "", environment={}, **at)
    with pytest.raises(ConfigError, match="CREDENTIALS_DIRECTORY"):
        read_secret(None, "hook", "", environment={}, **at)
    with pytest.raises(ConfigError, match="empty"):
        read_secret(None, "", "HOOK", environment={}, **at)


@pytest.mark.parametrize(
    "url",
    ["http://hooks.slack.com/x", "ftp://x", "x", "", "https://", "https://u:p@hooks.slack.com/x", "http://127.0.0.1.evil/", "https://[", "https://h:99999999/"],
)  # fmt: skip
def test_a_webhook_is_https(url: str, tmp_path: Path) -> None:
    """Plain HTTP only to loopback; the address is never repeated."""
    with pytest.raises(ConfigError) as caught:
        require_webhook(url, file=tmp_path)
    assert "slack.com" not in str(caught.value)
    assert require_webhook("https://hooks.slack.com/services/x", file=tmp_path)
    assert require_webhook("http://127.0.0.1:8080/services/x", file=tmp_path)


async def test_every_channel_is_registered_alike(tmp_path: Path, clock: Callable[[], datetime]) -> None:
    """Unique names in order, a description each; what is configured is opened under its name."""
    names = [module.NAME for module in CHANNELS]
    assert names == sorted(set(names))
    assert all(module.DOC for module in CHANNELS)
    assert {"name", "deliver", "close"} <= set(dir(protocol.Channel))
    chosen = load(tmp_path, f"[delivery.smtp]\n{SMTP}[delivery.slack]\nwebhook_env = 'W'\n")
    opened = open_channels(chosen, {"W": "https://hooks.slack.com/services/x"}, clock)
    assert {name: channel.name for name, channel in opened.items()} == {name: name for name in names}
    for channel in opened.values():
        await channel.close()
