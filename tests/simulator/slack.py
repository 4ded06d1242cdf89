"""A strict stand-in for Slack's incoming webhooks: a real HTTP server on loopback with Slack's limits, statuses and bodies.

    with SlackServer() as slack:
        slack.faults.append(Fault(status=429, headers={"Retry-After": "2"}, body="rate_limited"))
        ... deliver to slack.webhook ...
        assert slack.accepted[0]["blocks"]

Needs nothing but the standard library, so that the demonstration can use it as well.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.simulator.slack_blocks import InvalidBlocksError, check_message

if TYPE_CHECKING:
    from types import TracebackType

MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next request in place of Slack's own answer.

    ``accept`` takes the message in first (Slack did post it, but the answer is lost); ``drop`` closes the connection without
    an answer; ``hang`` holds the answer back until the server is stopped or ``released``.
    """

    status: int = 500
    body: str = "server_error"
    headers: dict[str, str] = field(default_factory=dict)
    accept: bool = False
    drop: bool = False
    hang: bool = False


class SlackServer:
    """One workspace with one webhook. ``accepted`` holds the messages it posted, ``refusals`` (status, body, why)."""

    def __init__(self, path: str = "/services/T00000000/B00000000/SIMULATEDWEBHOOK") -> None:
        self.path = path
        self.accepted: list[dict[str, Any]] = []
        self.refusals: list[tuple[int, str, str]] = []
        self.faults: list[Fault] = []
        self.released = threading.Event()
        self.seen = threading.Event()
        self.requests = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def webhook(self) -> str:
        """The address to configure."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def start(self) -> SlackServer:
        """Listen; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Let hanging requests go and stop listening."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> SlackServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, path: str, content_type: str, body: bytes) -> tuple[int, str, dict[str, str]] | None:
        """Slack's answer to a request, None where the connection is to be dropped."""
        with self._lock:
            self.requests += 1
            self.seen.set()
            fault = self.faults.pop(0) if self.faults else None
        if fault is None:
            return (*self._judge(path, content_type, body), {})
        if fault.accept:
            self._judge(path, content_type, body)
        if fault.hang:
            self.released.wait()
        return None if fault.drop or fault.hang else (fault.status, fault.body, fault.headers)

    def _judge(self, path: str, content_type: str, body: bytes) -> tuple[int, str]:
        status, told, why = self._verdict(path, content_type, body)
        if status != 200:
            self.refusals.append((status, told, why))
        return status, told

    def _verdict(self, path: str, content_type: str, body: bytes) -> tuple[int, str, str]:
        if not path.startswith("/services/"):
            return 404, "no_service", "unknown address"
        if path != self.path:
            return (
                (403, "invalid_token", "wrong token") if path.count("/") == 4 else (404, "no_service", "no such hook")
            )
        if content_type.split(";")[0].strip() != "application/json":
            return 400, "invalid_payload", "not application/json"
        try:
            message = json.loads(body)
        except ValueError:
            return 400, "invalid_payload", "no JSON"
        if not isinstance(message, dict):
            return 400, "invalid_payload", "no object"
        if not message.get("text") and not message.get("blocks") and not message.get("attachments"):
            return 400, "no_text", "neither text nor blocks"
        try:
            check_message(message)
        except InvalidBlocksError as error:
            return 400, "invalid_blocks", str(error)
        with self._lock:
            self.accepted.append(message)
        return 200, "ok", ""


def shown(message: dict[str, Any]) -> str:
    """Everything a reader of the message sees, unescaped, one text a line."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "text" and isinstance(inner, str):
                    found.append(inner.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
                else:
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(message)
    return "\n".join(found)


def _handler(server: SlackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer as Slack does."""
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if 0 <= length <= MAX_BODY else b""
            if len(body) != length:
                self.close_connection = True
                return
            answer = server.answer(self.path, self.headers.get("Content-Type", ""), body)
            if answer is None:
                self.close_connection = True
                return
            status, text, headers = answer
            data = text.encode()
            self.send_response(status)
            for name, value in {"Content-Type": "text/html", "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            """Say nothing on standard error."""

    return Handler
