"""uvicorn on a Unix socket inside the daemon's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn

from trust_store.api.peer import PeerProtocol
from trust_store.unix_listener import listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from trust_store.settings import APISettings

STOP_SECONDS = 1


class APIServer:
    """Serves an application until stopped; raises ConfigError where it cannot listen."""

    def __init__(self, app: FastAPI, settings: APISettings, *, at_end: Callable[[], None] = lambda: None) -> None:
        self._settings, self._at_end = settings, at_end
        config = uvicorn.Config(
            app,
            http=PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        # The daemon has its own signal handlers.
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind the socket with its group and mode, and begin to serve."""
        settings = self._settings
        listening = listen(settings.socket, group=settings.group, mode=settings.mode, section="api")
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))

    async def stop(self) -> None:
        """Finish what is being answered, at most a second, and remove the socket."""
        if self._task is None:
            self._at_end()
            return
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(OSError):
            self._settings.socket.unlink()
        self._at_end()
