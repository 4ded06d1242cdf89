"""``[delivery.smtp]`` and ``[delivery.slack]``: where alerts go. Secrets are referred to, never written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trust_store.config import line_of, section, unknown_key
from trust_store.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SECRET_BYTES = 8192
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
_CREDENTIAL = re.compile(r"[A-Za-z0-9._-]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class SMTPSettings:
    """``[delivery.smtp]``: the mail server. ``timeout_seconds`` is for each step of the dialogue.

    ``starttls`` (default) upgrades a plain connection, ``tls`` speaks TLS from the first byte; exactly one may be true.
    The password comes from one of ``password_file``, ``password_credential`` (systemd) or ``password_env``.
    ``ca_file`` (PEM) replaces the system's roots.
    """

    host: str
    """Name or address of the mail server."""
    sender: str
    """One address, `name@domain`."""
    recipients: tuple[str, ...]
    """At least one address."""
    port: int = 587
    """1 to 65535."""
    starttls: bool = True
    """Upgrades a plain connection; not together with `tls`."""
    tls: bool = False
    """Speaks TLS from the first byte."""
    username: str = ""
    """With a password, and only where the connection is encrypted or this machine's own."""
    password_file: Path | None = None
    """A file with the password alone in it."""
    password_credential: str = ""
    """The systemd credential that holds it; the unit names it `rootwarden_<file>`."""
    password_env: str = ""
    """The environment variable that holds it."""
    ca_file: Path | None = None
    """PEM; replaces the system's roots."""
    timeout_seconds: float = 30.0
    """Of each step of the dialogue; above 0, at most 600."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", self.host):
            raise ValueError(f"host {self.host!r} is no host name")
        if not 1 <= self.port <= 65535:
            raise ValueError("port is between 1 and 65535")
        if not self.recipients:
            raise ValueError("recipients must name at least one address")
        for address in (self.sender, *self.recipients):
            if not _ADDRESS.match(address):
                raise ValueError(f"{address!r} is no mail address of the form name@domain")
        if self.starttls and self.tls:
            raise ValueError("tls = true speaks TLS at once; set starttls = false with it")
        if not 0 < self.timeout_seconds <= 600:
            raise ValueError("timeout_seconds is above 0 and at most 600")
        _one_reference("password", self.password_file, self.password_credential, self.password_env)
        has_password = bool(self.password_file or self.password_credential or self.password_env)
        if bool(self.username) != has_password:
            raise ValueError("username and one of password_file, password_credential, password_env belong together")
        if self.username and not (self.starttls or self.tls) and self.host not in LOOPBACK_HOSTS:
            raise ValueError("a password is not sent over an unencrypted connection; set starttls or tls")


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """``[delivery.slack]``: an incoming webhook; its address is the secret and comes from a file, credential or variable."""

    webhook_file: Path | None = None
    """A file with the webhook's address alone in it; one of the three is needed."""
    webhook_credential: str = ""
    """The systemd credential that holds it; the unit names it `rootwarden_<file>`."""
    webhook_env: str = ""
    """The environment variable that holds it."""
    timeout_seconds: float = 15.0
    """Of one request; above 0, at most 600."""

    def __post_init__(self) -> None:
        if not (self.webhook_file or self.webhook_credential or self.webhook_env):
            raise ValueError("needs one of webhook_file, webhook_credential, webhook_env")
        _one_reference("webhook", self.webhook_file, self.webhook_credential, self.webhook_env)
        if not 0 < self.timeout_seconds <= 600:
            raise ValueError("timeout_seconds is above 0 and at most 600")


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """``[delivery]``: the channels, each in a table of its own, and when the daily digest goes out."""

    file: Path
    smtp: SMTPSettings | None = None
    slack: SlackSettings | None = None
    digest_hour: int = 7
    """0 to 23, UTC: from then on the day's digest goes out."""


def load_delivery_settings(tables: Mapping[str, Any], file: Path) -> DeliverySettings:
    """Read ``[delivery.*]`` out of a whole configuration file's tables; raises ConfigError."""
    table = tables.get("delivery", {})
    if not isinstance(table, dict):
        raise ConfigError("[delivery] must be a table", file=file, line=line_of(file, "delivery"))
    for name in table:
        if name not in ("digest_hour", "slack", "smtp"):
            raise unknown_key(name, ["digest_hour", "slack", "smtp"], file=file, name="delivery")
    hour = table.get("digest_hour", 7)
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= 23:
        raise ConfigError(
            "digest_hour is a whole number from 0 to 23 (UTC)", file=file, line=line_of(file, "delivery", "digest_hour")
        )
    return DeliverySettings(
        file,
        section(SMTPSettings, table["smtp"], file=file, name="delivery.smtp") if "smtp" in table else None,
        section(SlackSettings, table["slack"], file=file, name="delivery.slack") if "slack" in table else None,
        hour,
    )


def read_secret(
    path: Path | None, credential: str, variable: str, *, environment: Mapping[str, str], name: str, file: Path
) -> str:
    """The one-line secret that is referred to; raises ConfigError, whose text never holds any of it."""
    if variable:
        value = environment.get(variable, "")
    else:
        if credential:
            folder = environment.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise ConfigError(
                    f"{name}: systemd passed no credentials (CREDENTIALS_DIRECTORY is not set)", file=file
                )
            path = Path(folder) / credential
        try:
            with (path or Path()).open("rb") as stream:
                value = stream.read(MAX_SECRET_BYTES).decode()
        except OSError as error:
            raise ConfigError(f"{name}: {path} cannot be read: {error.strerror}", file=file) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: {path} is not UTF-8 text", file=file) from error
    value = value.strip("\r\n \t")
    if not value or any(ord(c) < 0x20 or ord(c) == 0x7F for c in value):
        raise ConfigError(f"{name}: the secret is empty or not one line", file=file)
    return value


def require_webhook(url: str, *, file: Path) -> str:
    """``url`` if it is an https address (http only to loopback); raises ConfigError without repeating it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError("delivery.slack: the webhook is no address", file=file) from error
    loopback = parts.scheme == "http" and host in LOOPBACK_HOSTS
    if not host or parts.username is not None or not (parts.scheme == "https" or loopback):
        raise ConfigError("delivery.slack: the webhook must be an https:// address", file=file)
    return url


def _one_reference(what: str, path: Path | None, credential: str, variable: str) -> None:
    if sum((bool(path), bool(credential), bool(variable))) > 1:
        raise ValueError(f"give only one of {what}_file, {what}_credential, {what}_env")
    if credential and (not _CREDENTIAL.match(credential) or credential in (".", "..")):
        raise ValueError(f"{what}_credential is a name of letters, digits, '.', '_' and '-'")
