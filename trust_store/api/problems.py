"""Errors as RFC 9457 problem details: one shape for every status, text from outside escaped and capped."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trust_store.errors import (
    DecisionRefusedError,
    StoreInconsistentError,
    StoreUnavailableError,
    TrustStoreError,
    UsageError,
)
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

MEDIA_TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[TrustStoreError], int], ...] = (
    (UsageError, HTTPStatus.BAD_REQUEST),
    (DecisionRefusedError, HTTPStatus.FORBIDDEN),
    (StoreInconsistentError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""Error -> status, the first that fits; every other error of this program is 500."""


class ProblemError(Exception):
    """A refusal with its status; ``detail`` names the fix."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class ASCIIResponse(JSONResponse):
    """JSON in ASCII: a file name of any bytes (PEP 383) is text that UTF-8 does not take."""

    def render(self, content: Any) -> bytes:
        """The body, as every other JSON of this program is written."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem document (RFC 9457 section 3): type ``about:blank``, so that the title is the status' own."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": safe(detail, 1000)}
    return ASCIIResponse(body, status, headers, media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Every way in which a request can go wrong ends in a problem document, never in a traceback."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        del request
        if isinstance(error, ProblemError):
            return problem(error.status, error.detail)
        if isinstance(error, HTTPException):
            return problem(error.status_code, str(error.detail), error.headers)
        if isinstance(error, ClientDisconnect):
            return problem(HTTPStatus.REQUEST_TIMEOUT, "the asker hung up")  # nobody hears it
        if isinstance(error, RequestValidationError):
            first = error.errors()[0] if error.errors() else {}
            place = ".".join(str(part) for part in first.get("loc", ()))
            said = "is missing" if first.get("type") == "missing" else first.get("msg", "not understood")
            return problem(HTTPStatus.BAD_REQUEST, f"{place}: {said}")
        if isinstance(error, TrustStoreError):
            status = next((s for kind, s in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
            return problem(status, error.diagnostics())
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the daemon's journal")

    for kind in (ProblemError, HTTPException, RequestValidationError, ClientDisconnect, TrustStoreError, Exception):
        app.add_exception_handler(kind, refused)
