from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from monitor.control import ANYBODY_BYTES, MAX_LINE_BYTES, MAX_OPEN_PER_UID, ControlServer
from trust_store.errors import ConfigError, DecisionRefusedError
from trust_store.settings import ControlSettings


async def ask(path: Path, data: bytes) -> dict[str, Any]:
    """Send raw bytes and return the answer."""
    reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
    writer.write(data)
    writer.write_eof()
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return answer


async def serve(
    tmp_path: Path, mode: str = "0660", *, approver: bool = True
) -> tuple[ControlServer, Path, list[tuple[str, dict[str, Any], int]], list[str]]:
    """A server that records what it is asked."""
    asked: list[tuple[str, dict[str, Any], int]] = []
    errors: list[str] = []

    async def answer(command: str, arguments: dict[str, Any], uid: int) -> dict[str, Any]:
        asked.append((command, arguments, uid))
        if command == "refuse":
            raise DecisionRefusedError("no")
        if command == "crash":
            raise RuntimeError("secret detail")
        return {"heard": command}

    async def decides(_: int) -> bool:
        return approver

    path = tmp_path / "c.sock"
    server = ControlServer(
        ControlSettings(socket=path, mode=mode), answer, decides=decides, internal_error=errors.append
    )
    await server.start()
    return server, path, asked, errors


async def test_request_carries_the_uid_of_the_peer(tmp_path: Path) -> None:
    """The identity of a request is the uid of the process that sent it, whatever the request says."""
    server, path, asked, _ = await serve(tmp_path)
    answer = await ask(path, b'{"command": "x", "arguments": {"uid": 4711}}\n')
    await server.stop()
    assert answer == {"ok": True, "result": {"heard": "x"}}
    assert asked == [("x", {"uid": 4711}, os.getuid())]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'{"command": 1}\n',
        b'{"command": "x", "arguments": []}\n',
        b"\xff\n",
        b"[" * 9999 + b"\n",
        b"no line end",
    ],
)
async def test_bad_line_is_answered_and_never_acted_on(tmp_path: Path, line: bytes) -> None:
    """Whatever is no request gets an error with exit code 2, and the daemon goes on."""
    server, path, asked, _ = await serve(tmp_path)
    answer = await ask(path, line)
    good = await ask(path, b'{"command": "x"}\n')
    await server.stop()
    assert (answer["ok"], answer["exit_code"], good["ok"]) == (False, 2, True)
    assert [a[0] for a in asked] == ["x"]


@pytest.mark.parametrize(
    ("size", "approver", "heard"),
    [
        (ANYBODY_BYTES, False, True),
        (ANYBODY_BYTES + 1, False, False),
        (MAX_LINE_BYTES, False, False),
        (ANYBODY_BYTES + 1, True, True),
        (MAX_LINE_BYTES, True, True),
        (MAX_LINE_BYTES + 1, True, False),
    ],
)
async def test_a_long_line_is_for_who_decides(tmp_path: Path, size: int, *, approver: bool, heard: bool) -> None:
    """More than 64 KiB is taken from approvers only, more than 16 MiB from nobody, and whoever is refused hears why."""
    server, path, asked, _ = await serve(tmp_path, approver=approver)
    start, end = b'{"command": "x", "arguments": {"a": "', b'"}}'
    answer = await ask(path, start + b"a" * (size - len(start + end)) + end + b"\n")
    await server.stop()
    assert (answer["ok"], len(asked)) == (heard, int(heard))
    assert heard or "a line is at most" in answer["error"]


async def test_what_stands_after_the_line_is_not_read(tmp_path: Path) -> None:
    """One connection is one request, whatever else it brings."""
    server, path, asked, _ = await serve(tmp_path)
    assert (await ask(path, b'{"command": "x"}\n{"command": "y"}\n'))["ok"]
    await server.stop()
    assert [a[0] for a in asked] == ["x"]


async def test_refusal_comes_back_with_its_exit_code(tmp_path: Path) -> None:
    """A refused decision is told with the exit code its error has."""
    server, path, _, _ = await serve(tmp_path)
    answer = await ask(path, b'{"command": "refuse"}\n')
    await server.stop()
    assert answer == {"ok": False, "error": "no", "exit_code": 2, "kind": "refused"}


async def test_internal_error_stays_in_the_journal(tmp_path: Path) -> None:
    """An unexpected exception is told to the journal, not to the peer, and the daemon goes on."""
    server, path, _, errors = await serve(tmp_path)
    answer = await ask(path, b'{"command": "crash"}\n')
    await server.stop()
    assert answer["exit_code"] == 4
    assert "secret" not in answer["error"]
    assert errors == ["crash: RuntimeError: secret detail"]


async def test_socket_has_the_configured_mode_and_goes_away(tmp_path: Path) -> None:
    """The socket is opened with exactly the configured mode, and removed at the end."""
    server, path, _, _ = await serve(tmp_path, mode="0600")
    mode = stat.S_IMODE(path.stat().st_mode)
    await server.stop()
    assert mode == 0o600
    assert not path.exists()


@pytest.mark.parametrize(
    "settings",
    [
        ControlSettings(socket=Path("/tmp") / ("x" * 120)),  # noqa: S108 - never created
        ControlSettings(socket=Path("/nonexistent/c.sock")),
        ControlSettings(socket=Path("c.sock"), group="no-such-group"),
    ],
)
async def test_socket_that_cannot_be_opened_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: ControlSettings
) -> None:
    """A path or group that cannot be had is told as a configuration error."""
    monkeypatch.chdir(tmp_path)

    async def answer(_command: str, _arguments: dict[str, Any], _uid: int) -> dict[str, Any]:
        return {}

    async def decides(_: int) -> bool:
        return True

    server = ControlServer(settings, answer, decides=decides, internal_error=lambda _: None)
    with pytest.raises(ConfigError):
        await server.start()
    await server.stop()


async def test_one_user_cannot_fill_the_socket(tmp_path: Path) -> None:
    """Connections beyond a user's share are answered at once and hold nothing; what they held before is freed."""
    server, path, asked, _ = await serve(tmp_path)
    held = [await asyncio.open_unix_connection(path) for _ in range(MAX_OPEN_PER_UID)]
    answer = await ask(path, b'{"command": "x"}\n')
    assert (answer["ok"], answer["exit_code"], asked) == (False, 4, [])
    for _, writer in held:
        writer.close()
    for reader, _ in held:
        await reader.read()
    assert (await ask(path, b'{"command": "x"}\n'))["ok"]
    await server.stop()
    assert [a[0] for a in asked] == ["x"]
