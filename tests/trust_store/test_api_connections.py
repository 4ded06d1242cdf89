"""One user of the machine cannot keep the others from an answer by holding connections to the API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Response

from trust_store.api import peer
from trust_store.api.server import APIServer
from trust_store.settings import APISettings

ASK = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = 20 * 1024 * 1024


@pytest.fixture
async def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A running API with one route, patient for a quarter of a second; nobody counts as root."""
    monkeypatch.setattr(peer, "HEAD_SECONDS", 0.25)
    monkeypatch.setattr(peer, "_ROOT", -1)
    app = FastAPI()

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    @app.get("/long")
    async def long() -> Response:
        return Response(bytes(LONG))

    server = APIServer(app, APISettings(socket=tmp_path / "api.sock"))
    await server.start()
    yield tmp_path / "api.sock"
    await server.stop()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side is silent or gone."""
    async with asyncio.timeout(5):
        return await reader.read(4096)


@pytest.mark.parametrize("sent", [b"", b"GET /ping HT", ASK[:-2], ASK[:-2] + b"A: b"])
async def test_who_does_not_ask_is_hung_up_on(socket: Path, sent: bytes) -> None:
    """A connection without a whole request is closed in time, though its head comes drop by drop."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(sent)
    assert await answer(reader) == b""
    writer.close()


async def test_who_asks_is_answered_and_may_ask_again(socket: Path) -> None:
    """Requests one after another on one connection are answered; between them the same patience holds."""
    reader, writer = await asyncio.open_unix_connection(socket)
    for _ in range(3):
        writer.write(ASK)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.1)
    writer.write(b"GET /ping")
    assert await answer(reader) == b""
    writer.close()


async def test_a_user_has_so_many_connections_and_no_more(socket: Path) -> None:
    """The seventeenth is closed unheard; once one of the others is gone there is room again."""
    held = [await asyncio.open_unix_connection(socket) for _ in range(peer.CONNECTIONS_OF_A_USER)]
    reader, writer = await asyncio.open_unix_connection(socket)
    assert await answer(reader) == b""
    writer.close()
    for reader, writer in held:
        assert await answer(reader) == b""
        writer.close()
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(ASK)
    assert (await answer(reader)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_who_reads_nothing_is_hung_up_on(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody fetches is given up in time, and its connection with it; who reads in time gets all of it."""
    monkeypatch.setattr(peer, "WRITE_SECONDS", 0.25)
    ask = ASK.replace(b"/ping", b"/long")
    reader, writer = await asyncio.open_unix_connection(socket, limit=1024)
    writer.write(ask)
    await asyncio.sleep(1.0)
    got = 0
    with contextlib.suppress(ConnectionError):
        while piece := await answer(reader):
            got += len(piece)
    assert 0 < got < LONG
    writer.close()
    reader, writer = await asyncio.open_unix_connection(socket, limit=1024)
    writer.write(ask)
    got = 0
    while got < LONG:
        got += len(await answer(reader))
    writer.close()


async def test_where_it_is_crowded_everybody_hears_so(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the connections of all users a request gets 503 as a problem document, and when to come again."""
    monkeypatch.setattr(peer, "MAX_CONNECTIONS", 2)
    held = [await asyncio.open_unix_connection(socket) for _ in range(3)]
    held[-1][1].write(ASK)
    said = await answer(held[-1][0])
    assert said.startswith(b"HTTP/1.1 503")
    assert b"application/problem+json" in said
    assert b"retry-after: 1" in said.lower()
    for _, writer in held:
        writer.close()
