"""Who is at the other end of the Unix socket: the uid from SO_PEERCRED, put into the ASGI scope by the connection itself."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.requests import HTTPConnection

SCOPE_KEY = "rootwarden.peer_uid"
_CREDENTIALS = "3i"


class PeerProtocol(H11Protocol):
    """HTTP/1.1 on a Unix socket; every request of a connection carries the uid of its peer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the kernel once, when the connection is made."""
        super().connection_made(transport)
        uid = peer_uid(transport.get_extra_info("socket"))
        application = self.app

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            scope[SCOPE_KEY] = uid
            await application(scope, receive, send)

        self.app = with_peer


def peer_uid(connection: socket.socket) -> int:
    """The uid of a Unix socket's peer (unix(7), SO_PEERCRED)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    return int(struct.unpack(_CREDENTIALS, data)[1])


def uid_of(request: HTTPConnection) -> int | None:
    """The peer's uid; None where the request came another way, which proves nobody."""
    uid = request.scope.get(SCOPE_KEY)
    return uid if isinstance(uid, int) else None
