"""A real SMTP server on loopback (aiosmtpd) that records what it takes and can be told to fail.

    with SMTPServer(tls=True, user="alerts", password="secret") as server:
        server.faults.append("451")
        ... deliver to 127.0.0.1:server.port, trusting server.ca_file ...
        assert server.messages[0].mail["Subject"]

Faults, one for each transaction, in order: ``"451"`` and ``"550"`` refuse RCPT (any three digits do), ``"data:451"`` refuses
after DATA, ``"hang"`` never answers DATA, ``"drop"`` cuts the connection in the middle of DATA's content, ``"lost"`` takes the
message and cuts the connection before answering, ``"taken"`` takes it and never answers, ``""`` lets one pass. Needs no
pytest, so the demonstration can use it too.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import tempfile
import threading
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from email.message import EmailMessage
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it arrived: envelope, raw bytes and parsed mail."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    mail: EmailMessage
    tls: bool
    user: str | None


class SMTPServer:
    """One server. ``refused_recipients`` maps an address to the answer it always gets."""

    def __init__(self, *, tls: bool = False, implicit: bool = False, user: str = "", password: str = "") -> None:
        self.messages: list[Received] = []
        self.faults: list[str] = []
        self.refused_recipients: dict[str, str] = {}
        self.arrived = threading.Event()
        self.reached_data = threading.Event()
        self.connections = 0
        self._folder = tempfile.TemporaryDirectory(prefix="smtp-simulator-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        context = self._context() if tls or implicit else None
        options: dict[str, Any] = {"ident": "simulator", "timeout": 30.0}
        if tls:
            options |= {"tls_context": context, "require_starttls": True}
        if user:
            options |= {
                "authenticator": self._authenticator(user, password),
                "auth_required": True,
                "auth_require_tls": tls,
            }
        self._controller = _Controller(
            _Answers(self),
            hostname="127.0.0.1",
            port=0,
            ready_timeout=10,
            ssl_context=context if implicit else None,
            **options,
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._controller.server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    def start(self) -> SMTPServer:
        """Listen; returns itself."""
        self._controller.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut what hangs."""
        self._controller.stop(no_assert=True)
        self._folder.cleanup()

    def __enter__(self) -> SMTPServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _authenticator(self, user: str, password: str) -> Any:
        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:  # noqa: ARG001
            good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
            session.user = user if good else None
            return AuthResult(success=good, handled=good)

        return authenticate

    def _context(self) -> ssl.SSLContext:
        """A self-signed certificate for 127.0.0.1 and localhost, made on the spot."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "simulator")])
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = self.ca_file.with_name("key.pem")
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, private)
        return context


class _Controller(Controller):
    """Takes any free port: aiosmtpd's own controller connects to see whether it is up, so it must learn which."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()

    def factory(self) -> SMTP:
        return _Session(self.handler, **self.SMTP_kwargs)


class _Session(SMTP):
    """A session that can cut the connection in the middle of DATA."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        server: SMTPServer = self.event_handler.server
        if server.faults and server.faults[0] == "drop" and self.envelope and self.envelope.rcpt_tos:
            server.faults.pop(0)
            await self.push("354 go ahead")
            await self._reader.readline()
            server.reached_data.set()
            self.transport.abort()  # type: ignore[union-attr]
            return
        await super().smtp_DATA(arg)


class _Answers:
    """aiosmtpd's hooks."""

    def __init__(self, server: SMTPServer) -> None:
        self.server = server

    # The names and the order of the parameters are aiosmtpd's.
    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]) -> Any:  # noqa: N802
        self.server.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        if address in self.server.refused_recipients:
            return self.server.refused_recipients[address]
        if self.server.faults and self.server.faults[0].isdigit():
            return f"{self.server.faults.pop(0)} simulated refusal of this recipient"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault != "taken":
            self.server.reached_data.set()
        if fault.startswith("data:"):
            return f"{fault.removeprefix('data:')} simulated refusal of the content"
        if fault == "hang":
            await asyncio.Event().wait()
        self.server.messages.append(
            Received(
                envelope.mail_from,
                tuple(envelope.rcpt_tos),
                envelope.content,
                message_from_bytes(envelope.content, policy=policy.default),  # type: ignore[arg-type]
                server.transport.get_extra_info("sslcontext") is not None,
                getattr(session, "user", None),
            )
        )
        self.server.arrived.set()
        if fault == "lost":
            server.transport.abort()
        if fault == "taken":
            self.server.reached_data.set()
            await asyncio.Event().wait()
        return "250 taken"
