"""A Debian 12 machine in a systemd-nspawn container: its root file system, its boot, and commands run inside it.

What takes long is kept below ``~/.cache/rootwarden-system``: the bare root file system and the locked wheels. Every run works on
a copy that is removed afterwards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.stories.installation import StepFailedError, await_

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "rootwarden-system"
SUITE = "bookworm"
INCLUDED = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates"
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "nsenter": "util-linux",
    "systemd-analyze": "systemd",
}
CHECKOUT = Path("/root/rootwarden")
WHEELS = Path("/root/wheels")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_SECONDS = 60.0


class CannotRunError(Exception):
    """This computer cannot play the machine; the message says why and what to do."""


def require_tools() -> None:
    """Raise CannotRunError, naming the one command that helps, where a tool or the right to boot a machine is missing."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=PATH) is None})
    if missing:
        install = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
        if os.geteuid() != 0:
            raise CannotRunError(f"missing system packages; run this once:  sudo {install}")
        _run(["apt-get", "update", "-qq"])
        _run(install.split())
    if os.geteuid() != 0:
        raise CannotRunError("only root can boot a machine:  sudo make test-system")


def base_root() -> Path:
    """The bare root file system, made by debootstrap the first time; raises CannotRunError."""
    base = CACHE / SUITE
    if base.is_dir():
        return base
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=CACHE))
    draft.chmod(0o755)
    try:
        _run(["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(draft)])
        draft.rename(base)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return base


def locked_wheels() -> Path:
    """A folder with the wheels that requirements.lock names, each of the hash that stands there; raises CannotRunError."""
    lock = ROOT / "requirements.lock"
    wheels = CACHE / "wheels"
    stamp = wheels / "requirements.lock"
    if not stamp.is_file() or stamp.read_bytes() != lock.read_bytes():
        shutil.rmtree(wheels, ignore_errors=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        _run([*download, "-r", str(lock), "-d", str(wheels)])
        stamp.write_bytes(lock.read_bytes())
    return wheels


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = (done.stderr + done.stdout)[-1500:]
        raise CannotRunError(f"{' '.join(command)}: exit {done.returncode}\n{told}")


class Machine:
    """A booted machine; use it as a context, after which it is off and gone."""

    def __init__(self) -> None:
        base, wheels = base_root(), locked_wheels()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-", dir=CACHE))
        self.root = self.folder / "root"
        self._console = self.folder / "console"
        self._container: subprocess.Popen[bytes] | None = None
        self._leader = 0
        _run(["cp", "-a", "--reflink=auto", str(base), str(self.root)])
        shutil.copytree(wheels, self.inside(WHEELS))
        self._copy_checkout()

    def inside(self, path: Path) -> Path:
        """Where a path of the machine lies on this computer."""
        return self.root / path.relative_to("/")

    def _copy_checkout(self) -> None:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in listed.splitlines():
            if (ROOT / name).is_file():
                target = self.inside(CHECKOUT) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _boot(self) -> None:
        nspawn = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"]
        nspawn += ["--capability=all", "--system-call-filter=bpf", "--directory", str(self.root)]  # for IPAddressDeny
        with self._console.open("wb") as console:
            self._container = subprocess.Popen(
                [*nspawn, "systemd.unit=multi-user.target"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        try:
            await_("the machine's boot", self._is_running, BOOT_SECONDS)
        except StepFailedError as error:
            told = self._console.read_text(errors="replace")[-1500:]
            raise CannotRunError(f"systemd does not boot in systemd-nspawn here: {error}\n{told}") from error

    def _init(self) -> int:
        assert self._container is not None
        if (code := self._container.poll()) is not None:
            raise StepFailedError(f"systemd-nspawn ended with {code}")
        number = self._container.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        return int(children[0]) if children else 0

    def _is_running(self) -> bool:
        self._leader = self._init()  # anew each time: while it sets up, systemd-nspawn has other children
        if not self._leader:
            return False
        return self.run("systemctl", "is-system-running", expected=None).stdout.strip() in ("running", "degraded")

    def _end(self) -> None:
        if self._container is not None:
            if self._leader:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.run("systemctl", "poweroff", expected=None)
                    self._container.wait(timeout=20)
            self._container.kill()
            self._container.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(
        self,
        *command: str,
        user: str | None = None,
        expected: tuple[int, ...] | None = (0,),
        environment: dict[str, str] | None = None,
        text: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine, as root or as ``user`` with the user's groups; raises StepFailedError."""
        person = ["runuser", "-u", user, "--"] if user else []
        variables = {"PATH": PATH, "HOME": "/", "LANG": "C.UTF-8", **(environment or {})}
        done = subprocess.run(
            ["nsenter", f"--target={self._leader}", "--all", "--", *person, *command],
            input=text,
            capture_output=True,
            text=True,
            env=variables,
            check=False,
            timeout=600,
        )
        if expected is not None and done.returncode not in expected:
            raise StepFailedError(
                f"{' '.join(command)[:300]}: exit {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
            )
        return done

    def properties(self, *names: str, unit: str = "rootwarden.service") -> dict[str, str]:
        """What ``systemctl show`` tells about a unit."""
        shown = self.run("systemctl", "show", unit, f"--property={','.join(names)}").stdout
        return dict(line.split("=", 1) for line in shown.splitlines())
