"""What a user of the machine may try with the names and paths of a request: a verdict or a problem comes back, never a crash."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trust_store.api.access import Peer, _has_list, opened_for
from trust_store.api.peer import peer_of
from trust_store.api.problems import ASCIIResponse, ProblemError, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Peer(0, frozenset())
NOBODY = Peer(65534, frozenset())


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can reach."""
    path = Path(tempfile.mkdtemp(prefix="rootwarden-api-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_a_name_of_any_bytes_is_answered() -> None:
    """A file whose name is no UTF-8 is a file like any other: its verdict and its problem are JSON that everybody reads."""
    name = os.fsdecode(b"firmware-\xff.bin")
    assert json.loads(bytes(ASCIIResponse({"path": name}).body)) == {"path": name}
    assert json.loads(bytes(problem(404, name).body))["detail"] == "firmware-\\udcff.bin"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder / ".." / "secret",
        lambda folder: folder / "sub" / ".." / ".." / "secret",
        lambda folder: folder / "link",
        lambda folder: folder / "linked" / "secret",
        lambda folder: folder / "pipe",
        lambda folder: folder / "sub",
        lambda folder: folder,
        lambda folder: folder / "\udcff\ud800",
        lambda folder: folder / ("a" * 5000),
        lambda _: Path("sub") / "good",
        lambda folder: folder.with_name(folder.name + "-beside") / "good",
    ],
)
def test_nothing_but_a_regular_file_beneath_the_folder_is_opened(tmp_path: Path, spoil: Callable[[Path], Path]) -> None:
    """Links, pipes, folders, ``..``, names that no file has and folders of a similar name lead nowhere, even for root."""
    folder = tmp_path / "incoming"
    for made in (folder / "sub", folder.with_name("incoming-beside")):
        made.mkdir(parents=True)
        (made / "good").write_bytes(b"good")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    with opened_for(ROOT, folder / "sub" / "good", [folder]) as descriptor:
        assert os.read(descriptor, 10) == b"good"
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ProblemError), opened_for(ROOT, spoil(folder), [folder]):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_peer_needs_every_right_of_his_own(shared: Path) -> None:
    """A user is answered about a file that he could reach and read himself, and told the same of what is not there and what is not his."""
    folder = shared / "incoming"
    (folder / "sub").mkdir(parents=True)
    good = folder / "sub" / "good"
    good.write_bytes(b"good")
    for part, mode in ((folder, 0o755), (folder / "sub", 0o755), (good, 0o644)):
        part.chmod(mode)
    with opened_for(NOBODY, good, [folder]):
        pass
    said = set()
    for part, mode in ((folder, 0o750), (folder / "sub", 0o754), (good, 0o640)):
        before = part.stat().st_mode
        part.chmod(mode)
        with pytest.raises(ProblemError) as refused, opened_for(NOBODY, good, [folder]):
            pass
        said.add((refused.value.status, refused.value.detail))
        part.chmod(before)
    assert len(said) == 1


def test_the_peer_must_reach_the_folder_itself(shared: Path) -> None:
    """Whoever could not search a folder above the configured one, up to the root, is told nothing, also where a link leads there."""
    folder = shared / "above" / "incoming"
    folder.mkdir(parents=True)
    (folder / "good").write_bytes(b"good")
    link = shared / "link"
    link.symlink_to(folder)
    for configured in (folder, link):
        with opened_for(NOBODY, configured / "good", [configured]) as descriptor:
            assert os.read(descriptor, 10) == b"good"
        folder.parent.chmod(0o700)
        with pytest.raises(ProblemError), opened_for(NOBODY, configured / "good", [configured]):
            pass
        with opened_for(ROOT, configured / "good", [configured]):
            pass
        folder.parent.chmod(0o755)


@pytest.mark.parametrize("name", ["", "sub", "sub/good"])
def test_an_access_control_list_on_the_way_is_not_guessed_at(shared: Path, name: str) -> None:
    """Where more than mode bits decides, the peer hears that it cannot be told for him; root may read all the same."""
    (shared / "sub").mkdir()
    good = shared / "sub" / "good"
    good.write_bytes(b"good")
    entries = ((1, 6, 2**32 - 1), (2, 4, 61001), (4, 4, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1))
    rules = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(shared / name, "system.posix_acl_access", rules)
    except OSError as error:
        pytest.fail(
            f"set TMPDIR to a file system with access control lists (ext4, xfs, tmpfs): {shared} has none: {error}"
        )
    with pytest.raises(ProblemError, match="access control list"), opened_for(NOBODY, good, [shared]):
        pass
    with opened_for(ROOT, good, [shared]):
        pass


def test_groups_that_cannot_be_told_give_nothing(shared: Path) -> None:
    """A mode may take from a group what everybody has: who may be in any group is let to nothing."""
    (shared / "good").write_bytes(b"good")
    with opened_for(NOBODY, shared / "good", [shared]):
        pass
    with pytest.raises(ProblemError), opened_for(Peer(65534, None), shared / "good", [shared]):
        pass


@pytest.mark.parametrize(("groups", "told"), [("61010,61011", {61009, 61010, 61011}), ("", {61009})])
def test_the_groups_are_those_of_the_process(shared: Path, groups: str, told: set[int]) -> None:
    """A process has the groups that the kernel knows of it, whatever the user database says of its user."""
    shared.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(shared / "s"))
        (shared / "s").chmod(0o777)
        listening.listen()
        uid, chosen = 61001, [f"--groups={groups}"] if groups else ["--clear-groups"]
        become = ["setpriv", "--reuid=61001", "--regid=61009", *chosen]
        if os.geteuid() != 0:  # only root may take other groups: one's own are as good
            uid, told, become = os.geteuid(), {os.getegid(), *os.getgroups()}, []
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(shared / 's')!r}); input()"
        asker = subprocess.Popen([*become, "/usr/bin/python3", "-c", connect], stdin=subprocess.PIPE)
        connection, _ = listening.accept()
        with connection:
            peer = peer_of(connection)
        asker.communicate(b"\n")
    assert peer == Peer(uid, frozenset(told))


@pytest.mark.parametrize(
    ("error", "listed"),
    [(errno.ENODATA, False), (errno.EOPNOTSUPP, False), (errno.EACCES, True), (errno.EIO, True), (None, True)],
)
def test_a_list_that_cannot_be_looked_for_counts_as_one(
    monkeypatch: pytest.MonkeyPatch, error: int | None, *, listed: bool
) -> None:
    """Only the kernel's plain no lets the mode bits decide."""

    def getxattr(*_: object) -> bytes:
        if error is not None:
            raise OSError(error, "")
        return b""

    monkeypatch.setattr(os, "getxattr", getxattr)
    assert _has_list(0) is listed
