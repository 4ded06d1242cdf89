"""Running a native program on a file from outside: no terminal, no inherited environment, capped time, memory and output."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

from trust_store.quick_dataclass import dataclass

SECONDS = 120
MAX_OUTPUT_BYTES = 256 * 1024
MAX_WRITTEN_BYTES = 64 * 1024**2
MAX_MEMORY_BYTES = 4 * 1024**3
"""That are written to: of address space Java reserves far more."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: exit code (negative for a signal, None where it took too long) and what it wrote, both streams together."""

    code: int | None
    output: str

    @property
    def last_words(self) -> str:
        """The last lines that say anything."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return "; ".join(lines[-3:])[:300]


class Run:
    """Runs programs in ``folder``, which is theirs to write to."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS) -> None:
        self._folder, self._seconds = folder, seconds

    def __call__(self, *command: str, stdin: Path | None = None) -> Ended:
        """Run ``command`` to its end; what it was given on standard input is ``stdin``, else nothing."""
        environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": str(self._folder), "TMPDIR": str(self._folder)}
        with tempfile.TemporaryFile(dir=self._folder) as output, (stdin or Path(os.devnull)).open("rb") as given:
            try:
                process = subprocess.Popen(  # noqa: S603 - the programs are named in this package
                    command, stdin=given, stdout=output, stderr=subprocess.STDOUT, cwd=self._folder, env=environment,
                    start_new_session=True, preexec_fn=_limit, close_fds=True,
                )  # fmt: skip
            except OSError as error:
                return Ended(None, f"could not be run: {error.strerror}")
            try:
                code: int | None = process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
            output.seek(0)
            return Ended(code, output.read(MAX_OUTPUT_BYTES).decode("utf-8", "replace"))


def _limit() -> None:
    """In the child: what it writes, computes and holds in memory is capped, and it dumps no core."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN_BYTES, MAX_WRITTEN_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Whatever the program left running ends with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
