"""What every request passes first: the rate of its user; and HEAD is asked as GET is, the server sends no body then."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from trust_store.api.peer import proven
from trust_store.api.problems import problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

REQUESTS_AT_ONCE, REQUESTS_A_SECOND = 200.0, 50.0


class Rates:
    """A bucket of requests for each user, refilled as time goes on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[int, tuple[float, float]] = {}

    def allow(self, uid: int) -> bool:
        """Whether the user may ask once more now; buckets that are full again are forgotten."""
        now = self._clock()
        left = self._now(self._left.get(uid, (REQUESTS_AT_ONCE, now)), now)
        allowed = left >= 1.0
        self._left[uid] = (left - allowed, now)
        if len(self._left) > REQUESTS_AT_ONCE:
            self._left = {u: kept for u, kept in self._left.items() if self._now(kept, now) < REQUESTS_AT_ONCE}
        return allowed

    def _now(self, kept: tuple[float, float], now: float) -> float:
        return min(REQUESTS_AT_ONCE, kept[0] + (now - kept[1]) * REQUESTS_A_SECOND)


class Front:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._rates = app, Rates(time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 429, or hand on."""
        peer = proven(HTTPConnection(scope))
        if peer is not None and not self._rates.allow(peer.uid):
            refused = problem(HTTPStatus.TOO_MANY_REQUESTS, "too many requests of this user", {"Retry-After": "1"})
            await refused(scope, receive, send)
            return
        await self._app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, send)
