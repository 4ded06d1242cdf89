"""A whole rootwarden installation in a folder: configuration, daemon, and the people who decide, each a Unix user of their own.

Run as root the two approvers are two real uids; run as anybody else there is one approver, written out, and ``one_person`` says so.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BIN = Path(sys.executable).parent
CHECKOUT = Path(__file__).resolve().parents[2]
APPROVER_UIDS = {"alice": 61001, "bob": 61002}
PROPOSER = "carol"
"""Decides too, and imports what the others approve: whoever proposes a key is none of two who approve it."""
STRANGER = "stranger"
UIDS = APPROVER_UIDS | {PROPOSER: 61004, STRANGER: 61003}
START_SECONDS = 20.0
WAIT_SECONDS = 20.0


class StepFailedError(AssertionError):
    """Something did not happen, or happened otherwise; the message tells what."""


def await_(what: str, condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Return the first true value of ``condition``; raises StepFailedError naming ``what`` if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise StepFailedError(f"waited {seconds:g} s in vain for: {what}")


def capabilities_needed() -> tuple[str, ...]:
    """What lets another uid run this checkout's program where the folders above it or its Python are closed (as in /root).

    Asked through a shell, as the escalation script runs it: what ``setpriv`` itself executes is still looked up with root's rights.
    """
    asked = ["sh", "-c", '"$1" --version', "sh", str(BIN / "rootwarden")]
    for extra in ((), ("dac_read_search",), ("dac_override",)):
        command = [*_as_uid(APPROVER_UIDS["alice"], extra), *asked]
        if subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0:
            return extra
    raise StepFailedError(
        "another user cannot run the program of this checkout: move it to a folder that others can enter"
    )


def _as_uid(uid: int, extra: Sequence[str]) -> list[str]:
    caps = [f"--inh-caps=+{c}" for c in extra] + [f"--ambient-caps=+{c}" for c in extra]
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *caps]


@dataclass
class Installation:
    """One installation below ``folder``. ``smtp_port`` and ``slack_webhook`` are where its alerts go.

    ``approvers`` (name -> uid) replaces the usual ones.
    """

    folder: Path
    smtp_port: int | None = None
    slack_webhook: str | None = None
    vendors: dict[str, str] = field(default_factory=dict)
    approvers: dict[str, int] = field(default_factory=dict)
    settle_seconds: float = 0.2
    sidecar_wait_seconds: float = 1.0
    daemon: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.one_person = os.geteuid() != 0
        self._capabilities = () if self.one_person else capabilities_needed()
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.folder.chmod(0o755)

    @property
    def config(self) -> Path:
        """The main configuration file."""
        return self.folder / "rootwarden.toml"

    @property
    def incoming(self) -> Path:
        """The watched folder."""
        return self.folder / "incoming"

    @property
    def people(self) -> tuple[str, ...]:
        """Those who approve."""
        return ("me",) if self.one_person else tuple(APPROVER_UIDS)

    @property
    def proposer(self) -> str:
        """Who imports keys for the others to approve."""
        return "me" if self.one_person else PROPOSER

    def configure(self) -> None:
        """Write the configuration; vendors are given as their files' text."""
        named = self.approvers or (
            {"me": os.geteuid()} if self.one_person else APPROVER_UIDS | {PROPOSER: UIDS[PROPOSER]}
        )
        approvers = "\n".join(f"{name} = {uid}" for name, uid in named.items())
        text = f"""
[store]
directory = "state"
[control]
socket = "control.sock"
mode = "0666"
[api]
socket = "api.sock"
mode = "0666"
folders = ["{self.folder}/incoming"]
[approvers]
{approvers}
[intake]
directory = "incoming"
settle_seconds = {self.settle_seconds}
sidecar_wait_seconds = {self.sidecar_wait_seconds}
rescan_seconds = 5.0
[polling]
tick_seconds = 3600.0
"""
        if self.smtp_port is not None:
            text += f"""
[delivery.smtp]
host = "127.0.0.1"
port = {self.smtp_port}
starttls = false
sender = "rootwarden@example.org"
recipients = ["security@example.org"]
"""
        if self.slack_webhook is not None:
            (self.folder / "slack-webhook").write_text(self.slack_webhook)
            text += '\n[delivery.slack]\nwebhook_file = "slack-webhook"\n'
        self.config.write_text(text)
        (self.folder / "vendors.d").mkdir(exist_ok=True)
        for name, vendor in self.vendors.items():
            approvals = (
                "\n[vendor.policy]\napprovals = 1\n" if self.one_person else "\n[vendor.policy]\napprovals = 2\n"
            )
            (self.folder / f"vendors.d/{name}.toml").write_text(vendor + approvals)
        self.run("init", expected=(0,))

    def start(self, environment: dict[str, str] | None = None) -> None:
        """Start the daemon and wait until it answers."""
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [str(BIN / "rootwarden"), "--config", str(self.config), "run"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
            )
        await_("the daemon to answer", self._answers, START_SECONDS)

    def _answers(self) -> bool:
        if self.daemon is not None and self.daemon.poll() is not None:
            raise StepFailedError(f"the daemon ended with {self.daemon.returncode}:\n{self.log()}")
        return '"ok": true' in self.ask_raw('{"command": "ping"}')

    def ask_raw(self, line: str) -> str:
        """The control socket's answer to one line, or an empty text where nobody answers."""
        import socket

        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(5)
            try:
                peer.connect(str(self.folder / "control.sock"))
                peer.sendall(line.encode() + b"\n")
                return peer.makefile().readline()
            except OSError:
                return ""

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        """End the daemon with a signal and return its exit code; does nothing where none runs."""
        if self.daemon is None:
            return 0
        self.daemon.send_signal(number)
        code = self.daemon.wait(seconds)
        self.daemon = None
        return code

    def log(self) -> str:
        """What the daemon wrote so far."""
        return (self.folder / "daemon.log").read_text(errors="replace")

    def run(
        self,
        *arguments: str,
        person: str | None = None,
        answers: str | None = None,
        expected: tuple[int, ...] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a ``rootwarden`` command, as ``person`` if one is named; ``expected`` are the exit codes that are right."""
        command = [str(BIN / "rootwarden"), "--config", str(self.config), *arguments]
        return self.command(command, person=person, answers=answers, expected=expected)

    def command(
        self,
        command: list[str],
        *,
        person: str | None = None,
        answers: str | None = None,
        expected: tuple[int, ...] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run any command with the program on its PATH."""
        if person is not None and not self.one_person:
            command = [*_as_uid(UIDS[person], self._capabilities), *command]
        # Another user cannot write the coverage data of this one's test run.
        kept = {k: v for k, v in os.environ.items() if person is None or not k.startswith("COV")}
        remembered = str(self.folder / "remembered")
        environment = {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/", "XDG_STATE_HOME": remembered}
        done = subprocess.run(
            command,
            input=answers or "",
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment,
            check=False,
            timeout=120,
        )
        if expected is not None and done.returncode not in expected:
            raise StepFailedError(
                f"{' '.join(command[-6:])}: exit {done.returncode}, expected {expected}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
            )
        return done

    def check(self, package: Path, *, vendor: str, expected: tuple[int, ...]) -> dict[str, Any]:
        """The verdict on a package as upgrade tooling gets it."""
        done = self.run("check", "--json", "--vendor", vendor, str(package), expected=expected)
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    def alerts(self) -> list[dict[str, Any]]:
        """All alerts, the open ones and the others."""
        done = self.run("alert", "list", "--all", "--json", expected=(0,))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def drop(self, package: Path, folder: str) -> Path:
        """Put a package into a vendor's folder the way uploads should: under another name, then renamed."""
        target = self.incoming / folder / package.name
        target.parent.mkdir(exist_ok=True)
        draft = target.with_name(f".{target.name}.upload")
        shutil.copyfile(package, draft)
        draft.rename(target)
        return target
