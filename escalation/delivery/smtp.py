"""The mail channel: SMTP with STARTTLS or implicit TLS and authentication (RFC 5321, RFC 3207, RFC 4954)."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import aiosmtplib
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
)

from escalation.config import read_secret
from escalation.delivery.mail_message import build_mail
from escalation.errors import DeliveryError, PermanentDeliveryError, TransientDeliveryError
from escalation.model import Receipt
from trust_store.errors import ConfigError
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from escalation.config import DeliverySettings, SMTPSettings
    from escalation.delivery.protocol import Channel
    from escalation.model import Delivery

NAME = "smtp"
DOC = "Mail to the configured recipients: text, HTML, call sheet and script attached. One message for all recipients."
# A recipient refused for the time being holds the mail back for the others this often, then they get it without him.
PATIENT_ATTEMPTS = 3


def open_channel(
    settings: DeliverySettings,
    environment: Mapping[str, str],
    now: Callable[[], datetime],  # noqa: ARG001 - one shape for all channels
) -> Channel | None:
    """The channel, None where it is not configured; raises ConfigError where password or CA file cannot be read."""
    chosen = settings.smtp
    if chosen is None:
        return None
    password = ""
    if chosen.username:
        password = read_secret(
            chosen.password_file,
            chosen.password_credential,
            chosen.password_env,
            environment=environment,
            name="delivery.smtp",
            file=settings.file,
        )
    try:
        context = ssl.create_default_context(cafile=str(chosen.ca_file) if chosen.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"delivery.smtp: ca_file {chosen.ca_file} cannot be used: {error}", file=settings.file
        ) from error
    return SMTPChannel(chosen, password, context)


@dataclass(frozen=True, slots=True)
class SMTPChannel:
    """A mail server; every delivery has a connection of its own, because alerts are rare and idle connections are cut."""

    settings: SMTPSettings
    password: str
    context: ssl.SSLContext
    name: str = NAME

    async def deliver(self, delivery: Delivery, announce_first_byte: Callable[[], Awaitable[None]]) -> Receipt:
        """See ``Channel.deliver``; the first byte is that of DATA, an envelope alone shows nobody anything."""
        s = self.settings
        mail = build_mail(delivery, s.sender, s.recipients)
        client = aiosmtplib.SMTP(
            hostname=s.host,
            port=s.port,
            timeout=s.timeout_seconds,
            use_tls=s.tls,
            start_tls=s.starttls,
            tls_context=self.context,
            local_hostname=_own_name(),
        )
        announced = False
        try:
            await client.connect()
            if s.username:
                await client.login(s.username, self.password)
            refused = await self._envelope(client, delivery.attempts)
            await announce_first_byte()
            announced = True
            response = await client.data(mail)
        except DeliveryError:
            raise
        except SMTPResponseException as error:
            _refused(error)
        except SMTPNotSupported as error:
            # STARTTLS or AUTH is not offered: somebody strips it, or the server is being set up. Never go on without.
            raise TransientDeliveryError(f"mail server: {safe(str(error), 200)}") from error
        except (SMTPException, OSError, ssl.SSLError, TimeoutError, ValueError, EOFError) as error:
            raise TransientDeliveryError(
                f"mail server: {type(error).__name__}: {safe(str(error), 200)}", outcome_unknown=announced
            ) from error
        finally:
            client.close()
        return Receipt(safe(f"{response.code} {response.message}", 300), refused)

    async def _envelope(self, client: aiosmtplib.SMTP, attempts: int) -> tuple[str, ...]:
        """MAIL and RCPT; return the recipients that were refused while others were taken. Raises DeliveryError."""
        await client.mail(self.settings.sender)
        refused: list[SMTPResponseException] = []
        names: list[str] = []
        for recipient in self.settings.recipients:
            try:
                await client.rcpt(recipient)
            except SMTPResponseException as error:
                refused.append(error)
                names.append(f"{recipient}: {error.code} {safe(error.message, 150)}")
        later = [e for e in refused if 400 <= e.code < 500]
        if len(refused) == len(self.settings.recipients):
            _refused(later[0] if later else refused[0])
        if later and attempts < PATIENT_ATTEMPTS:
            _refused(later[0])
        return tuple(names)

    async def close(self) -> None:
        """Nothing is kept open between deliveries."""


def _own_name() -> str:
    """Our name for EHLO; without a qualified one an address literal (RFC 5321 4.1.4)."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+", name) else "[127.0.0.1]"


def _refused(error: SMTPResponseException) -> NoReturn:
    """An answer was given, so the outcome is known: 5yz for good (RFC 5321 4.2.1), anything else later.

    A refused login is tried again: passwords are put right, and an alert must not die of one.
    """
    told = f"mail server answered {error.code} {safe(str(error.message), 300)}"
    if 500 <= error.code < 600 and not isinstance(error, SMTPAuthenticationError):
        raise PermanentDeliveryError(told) from error
    raise TransientDeliveryError(told) from error
