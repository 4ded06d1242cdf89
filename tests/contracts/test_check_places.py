"""Whatever a path may be, ``rootwarden check`` answers: files of every kind, outputs that do not take, interrupts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.packages import CONTENT, Kit, archive

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden

COMMAND = str(Path(sys.executable).with_name("rootwarden"))
SECONDS = 30


@pytest.fixture
def package(tmp_path: Path, kit: Kit) -> Path:
    """A file with a valid signature beside it."""
    path = tmp_path / "firmware.bin"
    path.write_bytes(CONTENT)
    (tmp_path / "firmware.bin.p7s").write_bytes(kit.signer.cms(CONTENT))
    return path


def start(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The installed command in a process of its own."""
    command = [COMMAND, "--config", "/nonexistent/rootwarden.toml", *map(str, arguments)]
    return subprocess.run(command, check=False, timeout=SECONDS, **{"capture_output": True, **options})


def test_things_that_are_no_readable_file(rootwarden: Rootwarden, kit: Kit, tmp_path: Path, package: Path) -> None:
    """Directories, missing files, pipes, sockets, devices and loops are unreadable with exit 3, and never waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("absent")
    paths = [
        tmp_path, tmp_path / "absent", tmp_path / "pipe", tmp_path / "loop", tmp_path / "dangling", Path("/dev/zero"),
        Path("/dev/null"), Path("/dev/tty"), package / "below",
        tmp_path / ("n" * 300),
    ]  # fmt: skip
    code, out, _ = rootwarden.run("check", "--json", "--only-anchors", "--anchors", kit.anchors, *paths, package)
    *others, last = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    for path, verdict in zip(paths, others, strict=True):
        assert (verdict["outcome"], verdict["reason"]) == ("indeterminate", "unreadable"), path
        assert verdict["package"]["path"] == str(path)
        assert verdict["package"]["sha256"] is None
        assert verdict["signatures"] == []
    assert last["outcome"] == "passed"


def test_paths_that_are_odd(rootwarden: Rootwarden, kit: Kit) -> None:
    """An empty path and the root of all folders are answered."""
    for path in ("", ".", "/"):
        code, out, err = rootwarden.run("check", "--json", "--only-anchors", "--anchors", kit.anchors, "--", path)
        assert code in (2, 3), (path, err)
        assert '"passed"' not in out


def test_a_file_that_another_user_may_not_read(kit: Kit) -> None:
    """A package or side file without permission is unreadable or a usage error for that user, and does not pass."""
    if os.geteuid() != 0:
        return
    place = Path("/tmp") / f"rw-{os.getpid()}"  # noqa: S108 - another user cannot enter pytest's folders
    place.mkdir(mode=0o755)
    try:
        anchors = place / "root.pem"
        anchors.write_bytes(kit.anchors.read_bytes())
        for name, mode, side_mode in (("closed", 0o600, 0o644), ("side", 0o644, 0o600)):
            (place / name).write_bytes(CONTENT)
            (place / f"{name}.p7s").write_bytes(kit.signer.cms(CONTENT))
            (place / name).chmod(mode)
            (place / f"{name}.p7s").chmod(side_mode)
        anchors.chmod(0o644)
        from tests.stories.installation import capabilities_needed

        extra = capabilities_needed()
        caps = [f"--inh-caps=+{c}" for c in extra] + [f"--ambient-caps=+{c}" for c in extra]
        if extra:
            return  # the checkout itself can only be entered with the right to read everything
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *caps]
        command = [*nobody, COMMAND, "check", "--json", "--only-anchors", "--anchors", str(anchors)]
        for arguments, codes in (
            ([place / "closed"], {3}), ([place / "side"], {3}),
            ([place / "side", "--signature", place / "side.p7s"], {2}),
        ):  # fmt: skip
            done = subprocess.run(
                [*command, *map(str, arguments)], capture_output=True, check=False, timeout=SECONDS, cwd="/",
                env={k: v for k, v in os.environ.items() if not k.startswith("COV")},  # coverage data is not theirs to write
            )  # fmt: skip
            assert done.returncode in codes, (arguments, done.stdout, done.stderr)
            assert b"Traceback" not in done.stderr
            if done.returncode == 3:
                assert json.loads(done.stdout)["reason"] == "unreadable"
    finally:
        shutil.rmtree(place)


def test_huge_and_empty_files(rootwarden: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """2 GiB of zeros, much more after a zip's end and an empty file are answered with what they are."""
    (tmp_path / "empty").write_bytes(b"")
    with (tmp_path / "zeros").open("wb") as stream:
        stream.truncate(2 << 30)
    with (tmp_path / "zip").open("wb") as stream:
        stream.write(archive([("a", b"b")]))
        stream.truncate(1 << 28)
    code, out, _ = rootwarden.run(
        "check",
        "--json",
        "--only-anchors",
        "--anchors",
        kit.anchors,
        *(tmp_path / n for n in ("empty", "zeros", "zip")),
    )
    told = [(v["outcome"], v["reason"], v["package"]["size"]) for v in map(json.loads, out.splitlines())]
    assert told[0] == ("indeterminate", "unsupported_format", 0)
    assert told[1] == ("indeterminate", "unsupported_format", 2 << 30)
    assert told[2] == ("failed", "malformed", 1 << 28)
    assert code == 10


def test_a_bomb_is_no_denial(rootwarden: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """An archive whose members share one piece of data, so that it unpacks to far more than it is, is malformed."""
    one = archive([("a", bytes(1 << 20))])
    start = one.index(b"PK\x01\x02")
    entry, count = one[start : one.index(b"PK\x05\x06")], 5000
    entries = b"".join(entry[:-1] + b"%05d" % n for n in range(count)).replace(b"\x01\0\0\0", b"\x01\0\0\0")
    entries = entries.replace(entry[28:30], (len(entry) - 46 + 4).to_bytes(2, "little"))
    end = one[one.index(b"PK\x05\x06") :]
    end = end[:8] + count.to_bytes(2, "little") * 2 + len(entries).to_bytes(4, "little") + end[16:]
    bomb = tmp_path / "bomb.zip"
    bomb.write_bytes(one[:start] + entries + end)
    bomb.with_name("bomb.zip.p7s").write_bytes(kit.signer.cms(bomb.read_bytes()))
    code, verdict = rootwarden.supplied(kit.anchors, bomb)
    assert (code, verdict["outcome"], verdict["reason"]) == (10, "failed", "malformed")


def test_side_files_beside_that_are_no_files(rootwarden: Rootwarden, kit: Kit, package: Path) -> None:
    """A pipe, folder or dangling link under a signature's name is never waited for and never left out."""
    os.mkfifo(package.with_name("firmware.bin.asc"))
    code, verdict = rootwarden.supplied(kit.anchors, package)
    assert code in (0, 3)
    assert "unreadable" in [s["reason"] for s in verdict["signatures"]]
    package.with_name("firmware.bin.p7s").unlink()
    package.with_name("firmware.bin.p7s").symlink_to("/dev/zero")
    code, verdict = rootwarden.supplied(kit.anchors, package)
    assert code == 3
    assert verdict["outcome"] == "indeterminate"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_output_that_is_not_taken(kit: Kit, package: Path, form: tuple[str, ...]) -> None:
    """A verdict that could not be written is exit 4, even of a package that passes; a closed pipe too."""
    asked = ("check", *form, "--only-anchors", "--anchors", kit.anchors, package)
    with Path("/dev/full").open("wb") as full:
        done = start(*asked, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1, done.stderr
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = start(*asked, capture_output=False, stdout=closed, stderr=subprocess.PIPE)
    assert done.returncode == 4, done.stderr
    assert b"Traceback" not in done.stderr
    done = start("nonsense", capture_output=False, stderr=Path("/dev/full").open("wb"))  # noqa: SIM115 - ends with the test
    assert done.returncode == 2
    shell = f'"{COMMAND}" {" ".join(map(str, asked))} >&-'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, check=False, timeout=SECONDS)
    assert done.returncode == 4
    assert b"Traceback" not in done.stderr


def test_batch_output_that_is_not_taken(kit: Kit, package: Path) -> None:
    """The same of --batch."""
    line = json.dumps({"path": str(package), "anchors": [str(kit.anchors)], "only_anchors": True}).encode()
    with Path("/dev/full").open("wb") as full:
        done = start("check", "--batch", input=line, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4


def test_no_standard_input_or_error(kit: Kit, package: Path) -> None:
    """Closed standard input or error does not change an answer, and no package takes their place."""
    asked = f'"{COMMAND}" check --json --only-anchors --anchors {kit.anchors} {package}'
    for closing in ("<&-", "2>&-", "<&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"{asked} {closing}"], capture_output=True, check=False, timeout=SECONDS)
        assert done.returncode == 0, (closing, done.stderr)
        assert json.loads(done.stdout)["outcome"] == "passed"
    done = subprocess.run(["sh", "-c", f'"{COMMAND}" check --batch <&-'], capture_output=True, check=False)
    assert done.returncode in (2, 4)
    assert b"Traceback" not in done.stderr


def test_an_interrupt_is_exit_4(kit: Kit, package: Path) -> None:
    """An interrupt while waiting for questions ends in exit 4 with one line; what was answered stays answered."""
    process = subprocess.Popen(
        [COMMAND, "check", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    line = {"id": 1, "path": str(package), "anchors": [str(kit.anchors)], "only_anchors": True}
    process.stdin.write(json.dumps(line).encode() + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["outcome"] == "passed"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 4
    assert err == b"interrupted\n"


def test_a_locale_without_letters(kit: Kit, tmp_path: Path) -> None:
    """In a C locale, and for a name of bytes that are no text, the answer is complete."""
    name = os.fsencode(tmp_path) + b"/\xff\xfe \xc3\xa9.bin"
    Path(os.fsdecode(name)).write_bytes(CONTENT)
    Path(os.fsdecode(name + b".p7s")).write_bytes(kit.signer.cms(CONTENT))
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for form in ((), ("--json",)):
        command = [
            COMMAND.encode(), b"check", *(f.encode() for f in form), b"--only-anchors", b"--anchors", os.fsencode(kit.anchors),
            name,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=SECONDS)
        assert done.returncode == 0, (done.stdout, done.stderr)
        if form:
            assert json.loads(done.stdout)["outcome"] == "passed"
