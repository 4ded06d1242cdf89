"""What is wrong with a configuration that could be read: ``config check`` and ``doctor`` tell it, ``run`` refuses to start on it.

``refusals`` is exactly what a start refuses; ``configuration_findings`` adds what it would start with and people would miss.
"""

from __future__ import annotations

import grp
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from escalation.config import load_delivery_settings
from escalation.delivery import open_channels
from trust_store.config import line_of
from trust_store.errors import ConfigError, StoreUnavailableError
from trust_store.storage.connection import owner_of
from trust_store.unix_listener import SOCKET_PATH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from escalation.config import DeliverySettings
    from monitor.config import MonitorSettings
    from trust_store.model.vendor import Vendor
    from trust_store.settings import APISettings, ControlSettings, TrustSettings

OWN_USER = "let people decide under their own users"


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined thing: ``level`` is ok, warning or error; ``advice`` names the next action."""

    level: str
    what: str
    advice: str = ""


def refusals(
    settings: MonitorSettings, environment: Mapping[str, str], now: Callable[[], datetime]
) -> Iterator[ConfigError]:
    """What a start in this ``environment`` would refuse: sockets that cannot be made as asked, channels, secrets that are not there."""
    trust = settings.trust
    try:
        _require_socket(trust, trust.control, "control")
        if trust.api.enabled:
            _require_socket(trust, trust.api, "api")
    except ConfigError as error:
        yield error
    try:
        open_channels(_delivery(settings), environment, now)
    except ConfigError as error:
        yield error


def configuration_findings(
    settings: MonitorSettings, environment: Mapping[str, str], now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Every finding about the configuration alone. A secret that only the service is handed is told, not looked for."""
    try:
        delivery = _delivery(settings)
    except ConfigError:
        looked_at = settings  # refused below, in the words of a start
    else:
        elsewhere = tuple(_handed_over(delivery, environment))
        left = {name: table for name, table in settings.delivery_tables.items() if name not in dict(elsewhere)}
        looked_at = replace(settings, delivery_tables=left)
        for channel, key in elsewhere:
            yield Finding("ok", f"[delivery.{channel}] {key}: handed to the service at its start, not looked at here")
    for error in refusals(looked_at, environment, now):
        if isinstance(error.__cause__, PermissionError):
            yield Finding("warning", error.diagnostics(), "the service's user has to be able to read it")
        else:
            yield Finding("error", error.diagnostics(), "correct it, then: rootwarden config check")
    yield from _people(settings.trust)
    for vendor in settings.trust.vendors:
        yield from _vendor(settings, vendor)
    if not {"slack", "smtp"} & settings.delivery_tables.keys():
        yield Finding(
            "warning", "no delivery channel: alerts stay in the store", "add [delivery.smtp] or [delivery.slack]"
        )


def _delivery(settings: MonitorSettings) -> DeliverySettings:
    return load_delivery_settings({"delivery": settings.delivery_tables}, settings.trust.file)


def _handed_over(delivery: DeliverySettings, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(channel, key) of secrets that come as systemd's credential, or as a variable, to a process other than this."""
    for channel, secret in (("smtp", "password"), ("slack", "webhook")):
        chosen = getattr(delivery, channel)
        if getattr(chosen, f"{secret}_credential", "") and "CREDENTIALS_DIRECTORY" not in environment:
            yield channel, f"{secret}_credential"
        elif (variable := getattr(chosen, f"{secret}_env", "")) and variable not in environment:
            yield channel, f"{secret}_env"


def _require_socket(trust: TrustSettings, listening: ControlSettings | APISettings, name: str) -> None:
    """Raises ConfigError where the socket's path is too long, or there is no such group."""
    if len(os.fsencode(listening.socket)) > SOCKET_PATH_BYTES:
        raise ConfigError(
            f"[{name}] socket: {listening.socket} is longer than {SOCKET_PATH_BYTES} bytes; choose a shorter path",
            file=trust.file,
            line=line_of(trust.file, name, "socket"),
        )
    if listening.group:
        try:
            grp.getgrnam(listening.group)
        except (KeyError, ValueError) as error:  # the latter for a name with a NUL in it
            raise ConfigError(
                f"[{name}] group: there is no group {listening.group!r}",
                file=trust.file,
                line=line_of(trust.file, name, "group"),
            ) from error


def _people(trust: TrustSettings) -> Iterator[Finding]:
    """Who may decide at all."""
    if not trust.approvers.by_identity:
        yield Finding("warning", "[approvers] names nobody: no key can be decided", "add people to [approvers]")
    try:
        owner: int | None = owner_of(trust.store.database)
    except StoreUnavailableError:
        owner = None
    for uid, person in trust.approvers.by_uid:
        if uid == 0:
            yield Finding("warning", f"root decides as {person!r}", OWN_USER)
        elif uid == owner:
            yield Finding("warning", f"the service's own user decides as {person!r}", OWN_USER)
    if not trust.vendors:
        yield Finding("warning", "no vendor file", f"add one to {trust.file.parent}/vendors.d")


def _vendor(settings: MonitorSettings, vendor: Vendor) -> Iterator[Finding]:
    """Whether keys of the vendor can be decided, and whether anybody listens to it."""
    people = {person for _, person in settings.trust.approvers.by_identity}
    needed = vendor.policy.approvals
    if not vendor.contacts:
        yield Finding(
            "warning",
            f"vendor {vendor.id}: no contact to call, so no key of it can be approved after a call",
            "add [[vendor.contact]] from your own records",
        )
    if people and len(people) < needed:
        yield Finding(
            "warning",
            f"vendor {vendor.id} needs {needed} approvers and [approvers] names {len(people)}",
            "name more people, or write [vendor.policy] approvals out",
        )
    elif len(people) == needed > 1:
        yield Finding(
            "warning",
            f"vendor {vendor.id} needs {needed} approvers, [approvers] names no more, and whoever imports a key is none of them: "
            "imported keys need one more person",
            "name one more in [approvers]; keys that a source proposes can be approved",
        )
    if not any(source.vendor_id == vendor.id for source in settings.sources):
        yield Finding(
            "warning", f"vendor {vendor.id}: no source is read", "add [[source]]: silence is a fault, not peace"
        )
