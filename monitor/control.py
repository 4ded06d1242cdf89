"""The control socket: JSON lines from commands to the daemon, each under the identity of the peer's Unix uid.

Request ``{"command": str, "arguments": {...}}``, answer ``{"ok": true, "result": {...}}`` or ``{"ok": false, "error": str,
"exit_code": int}``. One line each way, one connection per request; the uid comes from SO_PEERCRED, never from the request.
A line of more than 64 KiB (a key file in it) is kept only for who decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

from trust_store.errors import DecisionRefusedError, TrustStoreError, UsageError
from trust_store.terminal import safe
from trust_store.unix_listener import listen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from trust_store.settings import ControlSettings

    Answer = Callable[[str, dict[str, Any], int], Awaitable[dict[str, Any]]]

ANYBODY_BYTES = 64 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
REQUEST_SECONDS = 10.0
MAX_OPEN_PER_UID = 16
"""One user's connections at a time: each may hold a whole line in memory, and nobody is to shut the approvers out."""


class ControlServer:
    """Listens on the control socket and hands each request, with the peer's uid, to ``answer``."""

    def __init__(
        self,
        settings: ControlSettings,
        answer: Answer,
        *,
        decides: Callable[[int], Awaitable[bool]],
        internal_error: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._answer = answer
        self._decides = decides
        self._internal_error = internal_error
        self._server: asyncio.Server | None = None
        self._open: Counter[int] = Counter()

    async def start(self) -> None:
        """Bind the socket with the configured group and mode; raises ConfigError where that cannot be done."""
        settings = self._settings
        listening = listen(settings.socket, group=settings.group, mode=settings.mode, section="control")
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=ANYBODY_BYTES)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            self._settings.socket.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = writer.get_extra_info("socket").getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
            )
            uid = struct.unpack("3i", peer)[1]
            with self._counted(uid) as count:
                answer = _BUSY if count > MAX_OPEN_PER_UID else await self._reply(reader, uid)
                writer.write(json.dumps(answer).encode() + b"\n")
                async with asyncio.timeout(REQUEST_SECONDS):
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the peer went away, or reads nothing; what was decided stands and is in the audit log
        finally:
            writer.close()

    @contextlib.contextmanager
    def _counted(self, uid: int) -> Iterator[int]:
        """How many connections the user has, this one included."""
        self._open[uid] += 1
        try:
            yield self._open[uid]
        finally:
            self._open[uid] -= 1
            if not self._open[uid]:
                del self._open[uid]

    async def _reply(self, reader: asyncio.StreamReader, uid: int) -> dict[str, Any]:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                line = await self._line(reader, uid)
            command, arguments = _request(line)
        except (ValueError, KeyError, TypeError, RecursionError, TimeoutError, UsageError) as error:
            return {"ok": False, "error": f"bad request: {safe(str(error), 200)}", "exit_code": 2}
        try:
            return {"ok": True, "result": await self._answer(command, arguments, uid)}
        except TrustStoreError as error:
            kind = {"kind": error.kind} if isinstance(error, DecisionRefusedError) else {}
            return {"ok": False, "error": error.diagnostics(), "exit_code": error.exit_code, **kind}
        except Exception as error:  # noqa: BLE001 - one request must not end the daemon; it is told and logged
            self._internal_error(f"{command}: {type(error).__name__}: {error}")
            return {"ok": False, "error": "internal error, see the daemon's journal", "exit_code": 4}

    async def _line(self, reader: asyncio.StreamReader, uid: int) -> bytes:
        """One line; raises UsageError. What is too long is read to its end all the same: the peer hears only when he has finished."""
        line, size, end, most = bytearray(), 0, b"", ANYBODY_BYTES
        while not end and size <= MAX_LINE_BYTES:
            piece = await reader.read(ANYBODY_BYTES)
            if not piece:
                raise UsageError("no line")
            piece, end, _ = piece.partition(b"\n")
            if size <= most < size + len(piece) and await self._decides(uid):
                most = MAX_LINE_BYTES
            size += len(piece)
            line = line + piece if size <= most else bytearray()
        if size > most:
            who = "" if most == MAX_LINE_BYTES else f" from uid {uid}, who is not in [approvers]"
            raise UsageError(f"a line is at most {most} bytes{who}")
        return bytes(line)


_BUSY = {"ok": False, "error": "too many requests of this user at once", "exit_code": 4}


def _request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Command and arguments of a request line; raises what json raises, or UsageError for another shape."""
    request = json.loads(line)
    command, arguments = request["command"], request.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise UsageError("a request is {command: string, arguments: object}")
    return command, arguments
