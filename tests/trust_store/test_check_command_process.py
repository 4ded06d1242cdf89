"""The installed command in a process of its own: its exit codes, and that it imports nothing it does not need."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.trust_store.check_command_setup import Run, here, pki, run, store

__all__ = ["here", "pki", "run", "store"]  # fixtures

# cryptography.x509 itself imports email.utils; nothing else of it may be there
FORBIDDEN = (
    "sqlite_utils", "pydantic", "structlog", "httpx", "asyncio", "rich", "jinja2", "fastapi", "apscheduler", "feedparser",
    "bs4", "lxml", "smtplib", "email.mime", "multiprocessing",
)  # fmt: skip
RARE = (
    "trust_store.decode.cms", "trust_store.decode.crl", "trust_store.decode.ocsp", "trust_store.decode.openpgp",
    "trust_store.decode.timestamp_token", "trust_store.chain.revocation", "trust_store.chain.timestamping",
    "trust_store.query_client", "http.client", "ssl", "secrets",
)  # fmt: skip
"""What only some packages carry, some questions ask about, or a daemon is asked with."""
OWN_ANSWER = (
    "cryptography",
    "sqlite3",
    "asn1crypto",
    "trust_store.query",
    "trust_store.verifier",
    "trust_store.formats",
)
"""What it takes to judge a package; where the daemon answers nothing of it is wanted."""
READERS_SIDE = ("trust_store.formats.worker_process", "trust_store.formats.detect", "pysequoia", "ctypes")
"""What only the process that reads packages needs; the command would wait for it twice."""
COMMAND = [str(Path(sys.executable).with_name("rootwarden"))]


def _process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], check=False, **({"capture_output": True, "timeout": 60} | options))


@pytest.mark.usefixtures("here")
def test_exit_codes_of_the_installed_command() -> None:
    """The installed command ends with the documented codes, with and without --json."""
    root = ("check", "--only-anchors", "--anchors", "root.pem")
    for arguments, code in (
        (("firmware.bin", "bundle.zip"), 0),
        (("--json", "smuggled.zip", "firmware.bin"), 10),
        (("--json", "absent", "firmware.bin"), 3),
        (("absent", "smuggled.zip"), 10),
        ((), 2),
    ):
        assert _process(*root, *arguments).returncode == code
    assert _process("--config", "absent.toml", "check", "firmware.bin").returncode == 2
    batch = b'{"id": 1, "path": "firmware.bin", "only_anchors": true, "anchors": ["root.pem"]}\nnonsense\n'
    done = _process("check", "--batch", input=batch)
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (4, 2, b"")


@pytest.mark.usefixtures("here")
def test_output_that_is_not_written_is_exit_4() -> None:
    """A closed pipe and a full disk are told by exit 4, never by 0 or 1."""
    arguments = ("check", "--json", "--only-anchors", "--anchors", "root.pem", "firmware.bin")
    reading, writing = os.pipe()
    os.close(reading)
    assert _process(*arguments, capture_output=False, stdout=writing, stderr=subprocess.DEVNULL).returncode == 4
    os.close(writing)
    with Path("/dev/full").open("wb") as full:
        assert _process(*arguments, capture_output=False, stdout=full, stderr=subprocess.DEVNULL).returncode == 4


def _imported(unwanted: tuple[str, ...], *arguments: str) -> str:
    """Run the command in an interpreter of its own; gives which of ``unwanted`` it imported, and its exit code."""
    script = (
        "import sys\nfrom monitor.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"print([m for m in {unwanted!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, check=False, timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("COV")},
    )  # fmt: skip
    return done.stderr.decode().strip()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--only-anchors", "--anchors", "root.pem", "firmware.bin"),
        ("--config", "rootwarden.toml", "check", "--vendor", "dten", "firmware.bin"),
        ("--config", "rootwarden.toml", "check", "--json", "--vendor", "dten", "bundle.zip"),
    ],
)
def test_check_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """A cold check imports nothing that would make it slow, nothing that this package does not need, and no reader of packages."""
    assert _imported(FORBIDDEN + READERS_SIDE + RARE, *arguments) == "[] 0"


def test_what_the_daemon_answers_needs_no_cryptography(store: Path, run: Run) -> None:
    """Where the daemon knows the package, the command prints its verdict and imports neither what judges nor what reads packages."""
    arguments = ("check", "--json", "--vendor", "dten", "bundle.zip")
    _, answer, _ = run(*arguments)
    config = store / "rootwarden.toml"
    config.write_text(f'{config.read_text()}[api]\nsocket = "{store}/api.sock"\n')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{store}/api.sock")
        server.listen()
        asked: list[bytes] = []
        daemon = threading.Thread(target=_answer_once, args=(server, answer.encode(), asked))
        daemon.start()
        told = _imported(FORBIDDEN + READERS_SIDE + OWN_ANSWER, "--config", str(config), *arguments)
        daemon.join(60)
    assert told == "[] 0"
    assert b"GET /v1/packages/" in asked[0]


@pytest.mark.parametrize("left_out", [False, True])
def test_an_answer_that_asks_for_the_file_is_none(store: Path, run: Run, *, left_out: bool) -> None:
    """Where the daemon would have to read the file again, or does not say whether, the command reads it and answers by itself."""
    arguments = ("check", "--json", "--vendor", "dten", "bundle.zip")
    wanting = json.loads(run(*arguments)[1])
    wanting |= {"outcome": "indeterminate", "reason": "unreadable", "needs_file": True}
    if left_out:
        del wanting["needs_file"]
    config = store / "rootwarden.toml"
    config.write_text(f'{config.read_text()}[api]\nsocket = "{store}/api.sock"\n')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{store}/api.sock")
        server.listen()
        asked: list[bytes] = []
        daemon = threading.Thread(target=_answer_once, args=(server, json.dumps(wanting).encode(), asked))
        daemon.start()
        code, out, _ = run(*arguments)
        daemon.join(60)
    assert len(asked) == 1
    assert (code, json.loads(out)["reason"]) == (0, "trusted")


def test_the_daemons_answer_has_the_path_as_given(store: Path, run: Run) -> None:
    """What was written stands in the answer, and a file with a slash behind it is none, with a daemon as without."""
    arguments = ("check", "--json", "--vendor", "dten")
    answer = run(*arguments, "bundle.zip")[1]
    config = store / "rootwarden.toml"
    config.write_text(f'{config.read_text()}[api]\nsocket = "{store}/api.sock"\n')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{store}/api.sock")
        server.listen()
        daemon = threading.Thread(target=_answer_once, args=(server, answer.encode(), []))
        daemon.start()
        code, out, _ = run(*arguments, "./bundle.zip")
        daemon.join(60)
        assert (code, json.loads(out)["package"]["path"]) == (0, "./bundle.zip")
        code, out, _ = run(*arguments, "bundle.zip/")
    assert (code, json.loads(out)["reason"], json.loads(out)["package"]["path"]) == (3, "unreadable", "bundle.zip/")


def _answer_once(server: socket.socket, body: bytes, asked: list[bytes]) -> None:
    """A daemon that answers one question."""
    peer, _ = server.accept()
    with peer:
        asked.append(peer.recv(65_536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
