"""What a user of the machine may try with the names and paths of a request: a verdict or a problem comes back, never a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trust_store.api.access import Peer, opened_for
from trust_store.api.problems import ASCIIResponse, ProblemError, problem

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Peer(0, frozenset())
NOBODY = Peer(65534, frozenset())


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


def test_the_peer_needs_every_right_of_his_own(tmp_path: Path) -> None:
    """A user is answered about a file that he could reach and read himself, and told the same of what is not there and what is not his."""
    folder = tmp_path / "incoming"
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
