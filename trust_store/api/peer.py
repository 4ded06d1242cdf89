"""Who is at the other end of the Unix socket, from SO_PEERCRED and SO_PEERGROUPS, put into the ASGI scope by the connection itself."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from trust_store.api.access import Peer
from trust_store.api.problems import problem

if TYPE_CHECKING:
    import asyncio

    from starlette.requests import HTTPConnection

SCOPE_KEY = "rootwarden.peer"
_CREDENTIALS = "3i"
_SO_PEERGROUPS = 59
_MOST_BYTES = 1024
"""Python asks the kernel for no more: 256 groups."""


HEAD_SECONDS = 10.0
"""So long a connection may be without a request whose head is complete."""
WRITE_SECONDS = 30.0
"""So long an answer may lie there without being read."""
CONNECTIONS_OF_A_USER, MAX_CONNECTIONS = 16, 64
_CROWDED = "too many connections; ask again later"
_ROOT = 0


class PeerProtocol(H11Protocol):
    """HTTP/1.1 on a Unix socket; every request of a connection carries the uid of its peer.

    No user but root has more than 16 connections, and none may be held by not asking: one user cannot keep the others from an answer.
    """

    _open: ClassVar[Counter[int]] = Counter()
    _uid: int | None = None
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the kernel once, when the connection is made."""
        super().connection_made(transport)
        peer = peer_of(transport.get_extra_info("socket"))
        uid = peer.uid
        if uid != _ROOT and self._open[uid] >= CONNECTIONS_OF_A_USER:
            transport.close()
            return
        self._uid = uid
        self._open[uid] += 1
        self._expect_request()
        application = self.app

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            scope[SCOPE_KEY] = peer
            if len(self.connections) > MAX_CONNECTIONS:
                await problem(HTTPStatus.SERVICE_UNAVAILABLE, _CROWDED, {"Retry-After": "1"})(scope, receive, send)
            else:
                await application(scope, receive, send)

        self.app = with_peer

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection off."""
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        if self._uid is not None:
            self._open[self._uid] -= 1
            self._uid = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The next request has its own time."""
        super().on_response_complete()
        self._expect_request()

    def _expect_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
            self._await_reader()  # an answer may still lie there unread

    def pause_writing(self) -> None:
        """Whoever reads nothing of his answer is hung up on."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It was read after all."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def _await_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
        self._unread = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a problem document too, where an answer has not begun."""
        answer = problem(HTTPStatus.BAD_REQUEST, msg)
        headers = [*answer.raw_headers, (b"connection", b"close")]
        try:
            for event in (
                h11.Response(status_code=answer.status_code, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass
        self.transport.close()


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end of a Unix socket as it was when it connected (unix(7)): not what a database says of its user."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, gid = struct.unpack(_CREDENTIALS, data)
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_BYTES)
    except OSError:  # a kernel before 4.13, or more groups than fit
        return Peer(uid, None)
    return Peer(uid, frozenset({gid, *struct.unpack(f"{len(groups) // 4}I", groups)}))


def proven(request: HTTPConnection) -> Peer | None:
    """Who asks; None where the request came another way, which proves nobody."""
    peer = request.scope.get(SCOPE_KEY)
    return peer if isinstance(peer, Peer) else None
