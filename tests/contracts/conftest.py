"""Keys and packages made once, and the command as a user runs it, in this process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli import main
from tests.contracts.packages import Kit
from tests.trust_store.openpgp_tools import Gpg
from trust_store.formats import worker
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """The vendor's and the strangers' keys."""
    with Gpg() as gpg:
        yield Kit.make(tmp_path_factory.mktemp("kit"), gpg)


@dataclass
class Rootwarden:
    """The command, run in this process; ``config`` names a configuration that is not there unless a test writes it."""

    config: Path
    captured: pytest.CaptureFixture[str]

    def run(self, *arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        before, sys.stdin = sys.stdin, SimpleNamespace(buffer=io.BytesIO(stdin))  # type: ignore[assignment]
        try:
            with pytest.raises(SystemExit) as stopped:
                main(["--config", str(self.config), *map(str, arguments)])
        finally:
            sys.stdin = before
        told = self.captured.readouterr()
        code = stopped.value.code
        assert isinstance(code, int)
        assert code != 1
        assert "Traceback" not in told.err
        return code, told.out, told.err

    def check(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """Exit code and verdict of one package."""
        code, out, err = self.run("check", "--json", *arguments)
        assert len(out.splitlines()) == 1, (code, out, err)
        verdict: dict[str, Any] = json.loads(out)
        return code, verdict

    def supplied(self, anchors: Path, *arguments: object) -> tuple[int, dict[str, Any]]:
        """``check`` with supplied anchors and no store."""
        return self.check("--only-anchors", "--anchors", anchors, *arguments)

    def batch(self, *lines: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and the answers to ``lines``."""
        code, out, _ = self.run("check", "--batch", stdin=b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        answers = [json.loads(line) for line in out.splitlines()]
        assert [answer["id"] for answer in answers] == [line.get("id") for line in lines]
        return code, answers


@pytest.fixture
def rootwarden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Rootwarden:
    """The command with real, isolated workers."""
    return Rootwarden(tmp_path / "absent" / "rootwarden.toml", capsys)


class DirectReader:
    """Reads in this process what a worker would read: for thousands of questions; isolation has its own tests."""

    @classmethod
    def start(cls) -> DirectReader:
        """Nothing to start."""
        return cls()

    def read(self, package_fd: int, *asked: Any) -> Any:
        """The facts."""
        return replace(read_package(FileSource(package_fd), *asked), isolated=True)

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def fast(rootwarden: Rootwarden, monkeypatch: pytest.MonkeyPatch) -> Rootwarden:
    """The command without worker processes."""
    monkeypatch.setattr(worker, "ForkedReader", DirectReader)
    return rootwarden
