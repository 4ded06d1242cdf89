"""Who is at the other end of the Unix socket, from SO_PEERCRED and SO_PEERGROUPS, put into the ASGI scope by the connection itself."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from trust_store.api.access import Peer

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
CONNECTIONS_OF_A_USER = 16
_ROOT = 0


class PeerProtocol(H11Protocol):
    """HTTP/1.1 on a Unix socket; every request of a connection carries the uid of its peer.

    No user but root has more than 16 connections, and none may be held by not asking: one user cannot keep the others from an answer.
    """

    _open: ClassVar[Counter[int]] = Counter()
    _uid: int | None = None
    _deadline: asyncio.TimerHandle | None = None

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
            await application(scope, receive, send)

        self.app = with_peer

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection off."""
        if self._deadline is not None:
            self._deadline.cancel()
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
