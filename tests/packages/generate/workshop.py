"""A folder of fixtures being made: real tools run in a temporary folder, files are kept, cases are written down."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FIXTURES = Path(__file__).parent.parent / "fixtures"
PACKAGE = b"A firmware image, version 1.0\n" + bytes(range(256))


class Workshop:
    """Fixtures of one folder; what was there before is replaced. Private keys stay in ``keys``, which is thrown away."""

    def __init__(self, name: str) -> None:
        self.folder = FIXTURES / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.keys = Path(tempfile.mkdtemp(prefix="fixture-keys"))
        self._cases: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.keys, ignore_errors=True)
        if kind is None:
            table = {"at": "2026-06-01T00:00:00Z", "cases": self._cases}
            (self.folder / "cases.json").write_text(json.dumps(table, indent=1) + "\n")

    def run(self, *command: str | Path, data: bytes = b"") -> bytes:
        """What a command writes, run where the keys are; it must succeed."""
        done = subprocess.run(
            [str(part) for part in command], input=data, capture_output=True, check=False, cwd=self.keys
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def keep(self, name: str, data: bytes) -> str:
        """Write a fixture, return its name."""
        (self.folder / name).write_bytes(data)
        return name

    def work(self, name: str, data: bytes) -> Path:
        """Write a file beside the keys."""
        path = self.keys / name
        path.write_bytes(data)
        return path

    def case(
        self, name: str, file: str, outcome: str, reason: str, *, form: str | None = "detached", **fields: Any
    ) -> None:
        """Write down one case; empty fields are left out."""
        kept = {key: value for key, value in fields.items() if value is not None}
        self._cases.append({"name": name, "file": file, **kept, "format": form, "outcome": outcome, "reason": reason})

    def passed(self, name: str, file: str, **fields: Any) -> None:
        """A case that passes."""
        self.case(name, file, "passed", "trusted", **fields)

    def failed(self, name: str, file: str, reason: str, **fields: Any) -> None:
        """A case with evidence against it."""
        self.case(name, file, "failed", reason, **fields)

    def unknown(self, name: str, file: str, reason: str = "unknown_root", **fields: Any) -> None:
        """A case about which evidence is lacking."""
        self.case(name, file, "indeterminate", reason, **fields)
