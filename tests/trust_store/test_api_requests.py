"""What the API takes of a request and what it refuses, over a real connection."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from trust_store.api import front, room
from trust_store.api.app import build_app
from trust_store.api.problems import ProblemError
from trust_store.api.room import UploadRoom
from trust_store.api.server import APIServer
from trust_store.api.uploads import plain_name
from trust_store.settings import APISettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from trust_store.api.answers import Answers

pytestmark = pytest.mark.enable_socket
LARGEST = 1000
BYTES = {"Content-Type": "application/octet-stream"}


class Stub:
    """Answers that say what they were asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.hold, self.second = asyncio.Event(), asyncio.Event()
        self.hold.set()

    def expected(self, *asked: Any) -> Any:
        """The vendor."""
        return asked[0]

    async def check_path(self, *asked: Any) -> dict[str, Any]:
        """A path."""
        self.asked.append(asked)
        return {"outcome": "stub"}

    async def check_descriptor(self, *asked: Any) -> dict[str, Any]:
        """A file that was sent."""
        self.asked.append(asked)
        if len(self.asked) > 1:
            self.second.set()
        await self.hold.wait()
        return {"outcome": "stub"}

    package = key = anchors = check_path

    async def bundle(self, _: Any) -> tuple[bytes, str]:
        """A bundle."""
        return b"sealed" * 500_000, "abc"

    async def revision(self) -> int:
        """A revision."""
        return 7


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """A server with stub answers, a client, and the raw socket's path."""
    stub = Stub()
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    app = build_app(cast("Answers", stub), max_upload_bytes=LARGEST, uploads=uploads, version="1")
    server = APIServer(app, APISettings(socket=tmp_path / "api.sock"))
    await server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "api.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=5) as http:
        yield SimpleNamespace(http=http, stub=stub, socket=tmp_path / "api.sock", uploads=uploads, app=app)
    await server.stop()


def require_problem(answer: httpx.Response, status: int) -> str:
    """The problem document's detail."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    said = answer.json()
    assert (said["status"], said["type"]) == (status, "about:blank")
    return str(said["detail"])


async def test_unknown_and_repeated_parameters_are_refused_everywhere(api: SimpleNamespace) -> None:
    """No route takes a parameter that it does not describe, nor one twice, and those that would choose what is trusted are named."""
    routes = [
        (method.upper(), path.replace("{sha256}", "a" * 64).replace("{identifier}", "ab"))
        for path, methods in api.app.openapi()["paths"].items()
        for method in methods
    ]
    assert len(routes) >= 7
    for method, path in [*routes, ("GET", "/v1/openapi.json")]:
        for name in ("anchors", "only_anchors", "at", "more"):
            detail = require_problem(await api.http.request(method, path, params={name: "x"}), 400)
            assert detail.startswith(f"{name}: ")
    for method, path in routes:
        if "packages" in path or "check" in path:
            answer = await api.http.request(method, f"{path}?vendor=a&vendor=b", headers=BYTES)
            assert require_problem(answer, 400) == "vendor: say it once"
    assert (await api.http.get("/v1/anchors?state=valid&state=pending")).status_code == 200


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'{"path": "/a", "path": "/b", "vendor": "v"}'),
        ("", b'{"path": "/a", "vendor": "v", "at": "now"}'),
        ("", b'{"path": "/a", "vendor": "v", "more": 1}'),
        ("?vendor=w", b'{"path": "/a", "vendor": "v"}'),
    ],
)
async def test_a_body_says_each_thing_once(api: SimpleNamespace, query: str, body: bytes) -> None:
    """Of two readers of a body nobody takes another path or vendor than the other."""
    kind = {"Content-Type": "application/json"}
    require_problem(await api.http.post(f"/v1/check{query}", content=body, headers=kind), 400)
    assert api.stub.asked == []
    good = await api.http.post("/v1/check?vendor=w", content=b'{"path": "/a"}', headers=kind)
    assert (good.status_code, api.stub.asked[0][1]) == (200, "w")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "x" * 256])
async def test_a_name_is_a_name_in_a_folder(api: SimpleNamespace, name: str) -> None:
    """What names no file in a folder is refused, in the query and in a form."""
    answer = await api.http.post("/v1/check", params={"vendor": "v", "name": name}, content=b"x", headers=BYTES)
    require_problem(answer, 400)
    with pytest.raises(ProblemError):
        plain_name(name)
    assert plain_name("..a\\b..") == "..a\\b.."


async def test_an_empty_signature_is_refused(api: SimpleNamespace) -> None:
    """A signature without a byte is none, and is not passed over."""
    files = [("package", ("p", b"x")), ("signature", ("p.asc", b""))]
    assert "signature" in require_problem(await api.http.post("/v1/check?vendor=v", files=files), 400)
    files = [("package", ("p", b"x")), ("signature", ("p.asc", b"y"))]
    assert (await api.http.post("/v1/check?vendor=v", files=files)).status_code == 200


async def test_uploads_have_a_share_each(api: SimpleNamespace) -> None:
    """One user's uploads under way take so much and no more; what is over gives its room back, and nothing stays in the folder."""
    api.stub.hold.clear()
    url = "/v1/check?vendor=v"
    held = [asyncio.create_task(api.http.post(url, content=b"x" * LARGEST, headers=BYTES)) for _ in range(2)]
    async with asyncio.timeout(3):
        await api.stub.second.wait()
    require_problem(await api.http.post(url, content=b"x", headers=BYTES), 429)
    api.stub.hold.set()
    assert [(await one).status_code for one in held] == [200, 200]
    assert (await api.http.post(url, content=b"x" * LARGEST, headers=BYTES)).status_code == 200
    require_problem(await api.http.post(url, content=b"x" * (LARGEST + 1), headers=BYTES), 413)
    assert list(api.uploads.iterdir()) == []


def test_all_uploads_have_a_share_and_the_store_its_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users send, a bound holds for all of them together, and the disk is never filled."""
    shares = UploadRoom(tmp_path, LARGEST)
    for user in range(2 * room.PACKAGES):
        if user < room.PACKAGES:
            shares.take(f"{user}", LARGEST)
            continue
        with pytest.raises(ProblemError) as refused:
            shares.take(f"{user}", LARGEST)
        assert refused.value.status == 507
    fresh = UploadRoom(tmp_path, LARGEST)
    free = os.statvfs(tmp_path)
    monkeypatch.setattr(room, "RESERVE_BYTES", free.f_bavail * free.f_frsize * 2)
    with pytest.raises(ProblemError), fresh.of("a") as share:
        share.expect(0)
    with pytest.raises(ProblemError):
        fresh.take("a", 1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_a_full_disk_is_told(api: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What cannot be written is 507, the file is gone, and the daemon goes on."""

    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(room.os, "write", full)
        detail = require_problem(await api.http.post("/v1/check?vendor=v", content=b"x", headers=BYTES), 507)
    assert os.strerror(number) in detail
    assert list(api.uploads.iterdir()) == []
    assert (await api.http.post("/v1/check?vendor=v", content=b"x", headers=BYTES)).status_code == 200


async def test_a_user_asks_so_often(api: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks faster than his rate hears 429 and when to come again, and then he is answered."""
    monkeypatch.setattr(front, "REQUESTS_AT_ONCE", 3.0)
    monkeypatch.setattr(front, "REQUESTS_A_SECOND", 5.0)
    answers = [await api.http.get("/healthz") for _ in range(6)]
    assert [a.status_code for a in answers[:3]] == [200] * 3
    require_problem(answers[-1], 429)
    assert answers[-1].headers["retry-after"] == "1"
    await asyncio.sleep(0.5)
    assert (await api.http.get("/healthz")).status_code == 200


def test_one_user_takes_nothing_of_another() -> None:
    """Each user has a bucket of his own, and what is full again is forgotten."""
    moment = [0.0]
    rates = front.Rates(lambda: moment[0])
    assert [rates.allow(1) for _ in range(201)] == [True] * 200 + [False]
    assert rates.allow(2)
    moment[0] = 1.0
    assert [rates.allow(1) for _ in range(51)] == [True] * 50 + [False]
    moment[0] = 1000.0
    assert all(rates.allow(uid) for uid in range(3, 1000))
    moment[0] = 2000.0
    rates.allow(1)
    assert len(rates._left) == 1


async def test_methods_and_caches(api: SimpleNamespace) -> None:
    """HEAD is there where GET is, without a body; 405 says what is allowed; If-None-Match knows lists, weak tags and ``*``."""
    for path in ("/healthz", "/readyz", "/v1/anchors", "/v1/bundle", "/v1/openapi.json"):
        got, head = await api.http.get(path), await api.http.head(path)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(got.content)))
    wrong = await api.http.delete("/v1/anchors")
    require_problem(wrong, 405)
    assert wrong.headers["allow"] == "GET"
    for tags, status in (
        ("*", 304),
        ('"x", W/"abc"', 304),
        ('"abc"', 304),
        ('"abcd"', 200),
        ('x"abc"y', 200),
        ("", 200),
    ):
        assert (await api.http.get("/v1/bundle", headers={"If-None-Match": tags})).status_code == status, tags


async def test_the_document_tells_the_truth(api: SimpleNamespace) -> None:
    """Refusals are described as problem documents, with no status that is never sent, and a check with each body that it takes."""
    said = (await api.http.get("/v1/openapi.json")).json()
    for path, methods in said["paths"].items():
        for operation in methods.values():
            responses = operation["responses"]
            assert set(responses) == {"200", "4XX", "5XX"}, path
            assert list(responses["4XX"]["content"]) == ["application/problem+json"]
    body = said["paths"]["/v1/check"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/octet-stream", "multipart/form-data"}


async def raw(api: SimpleNamespace, data: bytes) -> bytes:
    """What comes back for bytes, until the other side closes."""
    reader, writer = await asyncio.open_unix_connection(api.socket)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: y\r\n\r\n",
        b"GET /" + b"a" * 100_000,
    ],
)
async def test_what_is_no_http_gets_a_problem_document(api: SimpleNamespace, data: bytes) -> None:
    """Bytes that are no request are answered in the same form as every other error, and the connection is closed."""
    head, _, body = (await raw(api, data)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == 400


async def test_broken_bodies_and_hang_ups_leave_no_trace(
    api: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that breaks off or is no chunk, and an asker who goes, end his request alone: no traceback, no file."""
    start = b"POST /v1/check?vendor=v HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    for rest in (b"Content-Length: 900\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n"):
        _, writer = await asyncio.open_unix_connection(api.socket)
        writer.write(start + rest)
        await asyncio.sleep(0.1)
        writer.close()
    await asyncio.sleep(0.1)
    assert [r for r in caplog.records if r.exc_info] == []
    assert list(api.uploads.iterdir()) == []
    assert (await api.http.get("/healthz")).status_code == 200
