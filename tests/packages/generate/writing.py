"""Where a generator puts what it makes: a format's folder with its files and its table of cases; and where real tools run for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

FIXTURES = Path(__file__).parent.parent / "fixtures"
PACKAGE = b"A firmware image, version 1.0\n" + bytes(range(256))
PASSED, FAILED, INDETERMINATE = "passed", "failed", "indeterminate"


class FixtureFolder:
    """``fixtures/<format>``, emptied; files and cases are added, ``close`` writes the table."""

    def __init__(self, name: str) -> None:
        self.name, self.path = name, FIXTURES / name
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        self._cases: list[dict[str, Any]] = []

    def write(self, name: str, data: bytes) -> str:
        """Write one file; returns its name."""
        (self.path / name).write_bytes(data)
        return name

    def case(self, name: str, file: str, outcome: str, reason: str, **fields: Any) -> None:
        """One line of the table; ``format`` is the folder's unless it is stated."""
        line = {"name": name, "file": file, "anchors": ["root.pem"], "format": self.name}
        self._cases.append(line | fields | {"outcome": outcome, "reason": reason})

    def close(self, at: str = "2026-06-01T00:00:00Z") -> None:
        """Write ``cases.json``."""
        text = json.dumps({"at": at, "cases": self._cases}, indent=1)
        (self.path / "cases.json").write_text(text + "\n")


class Workshop(FixtureFolder):
    """The same with a temporary folder in which real tools run: private keys stay in ``keys``, which is thrown away."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.keys = Path(tempfile.mkdtemp(prefix="fixture-keys"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.keys, ignore_errors=True)
        if kind is None:
            self.close()

    def run(self, *command: str | Path, data: bytes = b"") -> bytes:
        """What a command writes, run where the keys are; it must succeed."""
        done = subprocess.run(
            [str(part) for part in command], input=data, capture_output=True, check=False, cwd=self.keys
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def work(self, name: str, data: bytes) -> Path:
        """Write a file beside the keys."""
        path = self.keys / name
        path.write_bytes(data)
        return path

    def case(
        self, name: str, file: str, outcome: str, reason: str, *, form: str | None = "detached", **fields: Any
    ) -> None:
        """One line of the table; ``form`` is the format, no anchors unless they are stated, empty fields are left out."""
        kept = {key: value for key, value in fields.items() if value is not None}
        super().case(name, file, outcome, reason, **{"anchors": []} | kept, format=form)

    def passed(self, name: str, file: str, **fields: Any) -> None:
        """A case that passes."""
        self.case(name, file, PASSED, "trusted", **fields)

    def failed(self, name: str, file: str, reason: str, **fields: Any) -> None:
        """A case with evidence against it."""
        self.case(name, file, FAILED, reason, **fields)

    def unknown(self, name: str, file: str, reason: str = "unknown_root", **fields: Any) -> None:
        """A case about which evidence is lacking."""
        self.case(name, file, INDETERMINATE, reason, **fields)
