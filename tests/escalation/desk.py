"""An operator's desk: the script is really run, with a stand-in for rootwarden that writes down its arguments."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from escalation.rules import decide
from escalation.scripts.render import render
from tests.escalation.conftest import KEY_SHA256, PACKAGE, colons, make_context

if TYPE_CHECKING:
    from pathlib import Path

    from escalation.model import AlertContext

ALERT = "alert_01JDHS4W800410610W3GGVCNZ1"
SHELLS = ("dash", "bash")
HOSTILE = (
    "a'; touch canary; '",
    "$(touch canary)",
    "`touch canary`",
    "line\ntouch canary\n",
    "-rf",
    "--go",
    "nul\x00touch canary",
    "%s%n%d\\c\\n",
    "a\r\ntouch canary\r\n",
    "\x1b]0;pwn\x07\x1b[2J\x9b31m",
    "\u202e\u2066evil",
    "'\"'\"'; touch canary #",
    "\\'; touch canary; \\'",
    "${IFS}touch${IFS}canary",
    "EOF\ntouch canary\nEOF",
    "{{ ''.__class__ }}{% for i in range(9) %}x{% endfor %}",
    "!touch canary",
    "&& touch canary || touch canary | touch canary > canary",
    "\udc80\udcff touch canary",
    "*?[a-z]~",
)


def made(context: AlertContext) -> tuple[str, str]:
    """Sheet and script."""
    draft = decide(context)
    script = render(ALERT, draft)[0]
    return script.sheet, script.script


class Desk:
    """A directory with the package, the script and a rootwarden that records its arguments and exits as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "update.zip"
        self.package.write_bytes(PACKAGE)
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls.jsonl"
        self.install(0)

    def install(self, status: int) -> None:
        """Put rootwarden on the path."""
        stub = self.bin / "rootwarden"
        stub.write_text(
            "#!/usr/bin/python3\nimport json, sys\n"
            f"open({str(self.calls)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\nsys.exit({status})\n"
        )
        stub.chmod(0o755)

    def run(self, script: str, answers: str, *options: str, shell: str = "dash", installed: bool = True):  # type: ignore[no-untyped-def]
        """Run the script; answers are its standard input."""
        file = self.folder / "escalation.sh"
        file.write_text(script)
        path = f"{self.bin}:/usr/bin:/bin" if installed else "/usr/bin:/bin"
        return subprocess.run(
            [shell, str(file), *options],
            input=answers,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={"PATH": path},
            timeout=20,
            check=False,
        )

    @property
    def arguments(self) -> list[list[str]]:
        """What rootwarden was called with."""
        return [json.loads(line) for line in self.calls.read_text().splitlines()] if self.calls.exists() else []


def story(desk: Desk, **changes: object) -> str:
    """The story's script, with the package where the desk has it."""
    return made(make_context(package_path=str(desk.package), **changes))[1]


YES = f"1\nGrace Hopper\nCASE-4711\nyes\n{colons(KEY_SHA256)}\n"
