"""The FastAPI application: routes in the words of the contract, nothing decided here."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from trust_store.api.access import Peer  # noqa: TC001 - FastAPI reads the annotations
from trust_store.api.answers import Answers, Checked
from trust_store.api.described import CHECK_BODY, PROBLEMS, WHOSE
from trust_store.api.front import Front
from trust_store.api.peer import proven
from trust_store.api.problems import ASCIIResponse, ProblemError, add_handlers
from trust_store.api.readings import while_connected
from trust_store.api.requests import MAX_PATH_CHARACTERS, asked_path, require_known_query
from trust_store.api.room import Share, UploadRoom
from trust_store.api.uploads import Upload, receive_body, receive_form
from trust_store.exchange.bundle import MAX_VALIDITY
from trust_store.storage.facts import origin_of
from trust_store.stored_verdict import AskedPlace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SENDING_SECONDS = 600.0


def build_app(
    answers: Answers, *, max_upload_bytes: int, uploads: Path, version: str, routers: Iterable[APIRouter] = ()
) -> FastAPI:
    """The application; ``uploads`` is a folder of this service alone, ``routers`` those of the packages above this one."""
    app = FastAPI(
        title="rootwarden", version=version, docs_url=None, redoc_url=None, openapi_url=None,
        description="Verdicts on upgrade packages and the keys behind them.",
        dependencies=[Depends(require_known_query)], responses=PROBLEMS,
    )  # fmt: skip
    add_handlers(app)
    app.add_middleware(Front)
    for router in (_health(answers), _check(answers, max_upload_bytes, uploads), _store(answers), *routers):
        app.include_router(router)

    @app.get("/v1/openapi.json", include_in_schema=False)
    async def openapi() -> ASCIIResponse:
        return ASCIIResponse(app.openapi())

    return app


def peer_of(request: Request) -> Peer:
    """The Unix user who asks; raises ProblemError where nobody is proven."""
    peer = proven(request)
    if peer is None:
        raise ProblemError(HTTPStatus.UNAUTHORIZED, "ask over the Unix socket: nothing else proves who you are")
    return peer


def _health(answers: Answers) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="The daemon turns")
    async def healthz() -> dict[str, str]:
        """The event loop answers; the store is not asked."""
        return {"status": "ok"}

    @router.get("/readyz", summary="The store answers")
    async def readyz() -> dict[str, Any]:
        """The storage thread answers with the store's revision; 503 where it cannot."""
        return {"status": "ok", "store_revision": await answers.revision()}

    return router


def _check(answers: Answers, max_upload_bytes: int, uploads: Path) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["verdicts"])
    room = UploadRoom(uploads, max_upload_bytes)

    @router.post(
        "/check",
        summary="The verdict on a file of this machine, or on the bytes sent",
        openapi_extra={"requestBody": CHECK_BODY},
    )
    async def check(
        request: Request,
        peer: Annotated[Peer, Depends(peer_of)],
        vendor: Annotated[str | None, Query(description=f"{WHOSE}; in JSON it stands in the body")] = None,
        name: Annotated[str, Query(max_length=255)] = "upload",
    ) -> ASCIIResponse:
        """``application/json``: ``{"path": ..., "vendor": ...}``; else the bytes, with ``vendor`` in the query.

        ``application/octet-stream`` is the package; ``multipart/form-data`` has a part ``package`` and parts ``signature``.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            path, stated = await asked_path(request)
            return ASCIIResponse(await while_connected(request, answers.check_path(path, stated, peer)))
        answers.expected(vendor, name)  # before anything is taken in
        with ExitStack() as held:
            share = held.enter_context(room.of(origin_of(peer.uid)))
            sent = await _received(request, kind, held, share, name=name, limit=max_upload_bytes)
            checked = Checked(sent.name, None, answers.expected(vendor, sent.name), origin_of(peer.uid))
            asked = answers.check_descriptor(sent.package, sent.sides, checked)
            return ASCIIResponse(await while_connected(request, asked))

    @router.get("/packages/{sha256}", summary="The verdict on a package that was seen before")
    async def package(
        sha256: str,
        peer: Annotated[Peer, Depends(peer_of)],
        vendor: Annotated[str, Query(description=WHOSE)],
        name: Annotated[str | None, Query(max_length=255)] = None,
        path: Annotated[str | None, Query(max_length=MAX_PATH_CHARACTERS)] = None,
        material: Annotated[list[str] | None, Query(max_length=16)] = None,
        *,
        exact: bool = False,
    ) -> ASCIIResponse:
        """Recomputed from the stored facts.

        ``name`` and ``path`` are what the asker calls it; with ``exact`` the facts must have been read with exactly the side files in
        ``material`` (SHA-256s). Without them the intake's count, or what the asker sent before: no other user's.
        """
        demanded = tuple(material or ()) if exact else None
        asked = AskedPlace(name or None, path if name else None, demanded, origin_of(peer.uid))
        return ASCIIResponse(await answers.package(sha256, vendor, asked))

    return router


def _store(answers: Answers) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["store"])

    @router.get("/keys/{identifier}", summary="Every decided key with this digest, fingerprint or key id")
    async def key(identifier: str) -> ASCIIResponse:
        """A key that awaits decision is not found by its fingerprint: the vendor reads it out, nobody looks it up."""
        return ASCIIResponse(await answers.key(identifier[:200]))

    @router.get("/anchors", summary="Trust anchors, the newest first")
    async def anchors(vendor: str | None = None, state: Annotated[list[str] | None, Query()] = None) -> ASCIIResponse:
        """Of one vendor or all, in the states named."""
        return ASCIIResponse(await answers.anchors(vendor, state or []))

    @router.get("/bundle", summary="The signed bundle of this revision", response_class=Response)
    async def bundle(request: Request, days: Annotated[int, Query(ge=1, le=MAX_VALIDITY.days)] = 7) -> Response:
        """A DSSE envelope; 304 where the client has these very bytes (If-None-Match)."""
        sealed, etag = await answers.bundle(timedelta(days=days))
        quoted = f'"{etag}"'
        had = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if had & {quoted, "*"}:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": quoted})
        return Response(sealed, media_type="application/vnd.dsse+json", headers={"ETag": quoted})

    return router


async def _received(request: Request, kind: str, held: ExitStack, share: Share, *, name: str, limit: int) -> Upload:
    """What was sent, all of it within ten minutes."""
    announced = request.headers.get("content-length", "")
    share.expect(min(int(announced), limit) if announced.isascii() and announced.isdigit() else 0)
    try:
        async with asyncio.timeout(SENDING_SECONDS):
            if kind == "application/octet-stream":
                return await receive_body(request.stream(), held, share, name=name, limit=limit)
            if kind == "multipart/form-data":
                return await receive_form(request.stream(), request.headers["content-type"], held, share, limit=limit)
    except TimeoutError as error:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, f"not all of it came within {SENDING_SECONDS:g} seconds"
        ) from error
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "send application/json with a path, application/octet-stream or multipart/form-data",
    )
