"""Where a generator puts what it makes: a format's folder with its files and its table of cases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent.parent / "fixtures"
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
