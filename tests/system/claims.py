"""What the installed service is said to do, each claim proved on the running machine: claim(place) returns what was seen.

They run in this order on one machine, each on what the ones before left behind.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulator.vendor_pki import vendor_bundle
from tests.stories.demo import require, vendor_file
from tests.stories.installation import StepFailedError, await_
from tests.system.machine import CHECKOUT, ROOT, WHEELS
from tests.trust_store.openpgp_tools import Gpg

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.smtp import SMTPServer
    from tests.simulator.vendor_pki import VendorPKI
    from tests.system.machine import Machine

UNIT = "rootwarden.service"
CONFIG = Path("/etc/rootwarden/rootwarden.toml")
STATE = Path("/var/lib/rootwarden")
SOCKET = Path("/run/rootwarden/control.sock")
APPROVERS = ("alice", "bob", "carol")
UNNAMED, OUTSIDER = "mallory", "oscar"
MAIL_USER, MAIL_PASSWORD = "alerts", "canary-password-of-the-mail-server"
PACKAGE = "Full-upgrade-package-dten.zip"
SEEN_BY_OTHERS = "/var/tmp/seen-by-others"  # noqa: S108 - its being there is what is tested
REFUSED_AS = {
    "write /etc": "EROFS", "write /usr": "EROFS", "see /var/tmp of others": "ENOENT", "list /home": "EACCES", "list /root": "EACCES",
    "read the credential's source": "EACCES", "writable and executable memory": "EPERM", "mount": "EPERM",
    "new user namespace": "EPERM", "become root": "EPERM", "packet socket": "EAFNOSUPPORT", "netlink socket": "EAFNOSUPPORT",
    "link-local address": "EPERM", "multicast address": "EPERM",
}  # fmt: skip
WATCHDOG_SECONDS = 90.0


@dataclass
class Place:
    """The machine, the mail server its alerts go to, and the keys of the vendor that is watched."""

    machine: Machine
    mail: SMTPServer
    pki: VendorPKI

    @property
    def pid(self) -> int:
        """The daemon's process id, as the machine counts."""
        return int(self.machine.properties("MainPID")["MainPID"])

    @property
    def incoming(self) -> Path:
        """The watched folder, as the documented configuration says."""
        return Path(tomllib.loads(documented("toml")[0])["intake"]["directory"])

    def journal(self, unit: str = UNIT) -> str:
        """The end of a unit's journal."""
        return self.machine.run("journalctl", "--unit", unit, "--no-pager", "--lines=40", expected=None).stdout

    def await_active(self, what: str, seconds: float = 30.0, *, other_than: int = 0) -> int:
        """Wait until the unit is active with another main process; returns that."""

        def active() -> int:
            shown = self.machine.properties("ActiveState", "MainPID")
            pid = int(shown["MainPID"])
            return pid if shown["ActiveState"] == "active" and pid not in (0, other_than) else 0

        return int(await_(what, active, seconds))


def documented(language: str) -> list[str]:
    """The blocks in ``language`` of the chapter on installing the service in docs/operations.md."""
    page = (ROOT / "docs/operations.md").read_text()
    chapter = page.split("## Install as a service\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)


def installs_as_documented(place: Place) -> str:
    """The shell blocks of docs/operations.md, word for word, make an installation that can be started."""
    machine = place.machine
    for user in (*APPROVERS, UNNAMED, OUTSIDER):
        machine.run("useradd", "--create-home", user)
    packages = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELS)}  # the very wheels, without the network
    blocks = documented("sh")
    for block in blocks[:-1]:
        machine.run("sh", "-eux", "-c", f"cd {CHECKOUT}\n{block}", environment=packages)
    for user in (*APPROVERS, UNNAMED):
        machine.run("usermod", "--append", "--groups", "rootwarden", user)
    _configure(place)
    machine.run("touch", SEEN_BY_OTHERS)
    machine.run("sh", "-eux", "-c", blocks[-1])
    return f"{len(blocks)} blocks; {machine.run('rootwarden', '--version').stdout.strip()}"


def _configure(place: Place) -> None:
    """The configuration that an operator would write; the paths are the defaults."""
    machine = place.machine
    text = f"""
[approvers]
alice = "alice"
bob = "bob"
carol = "carol"
{documented("toml")[0]}
settle_seconds = 0.2
sidecar_wait_seconds = 0.5
[delivery.smtp]
host = "127.0.0.1"
port = {place.mail.port}
sender = "rootwarden@example.org"
recipients = ["security@example.org"]
ca_file = "mail-ca.pem"
username = "{MAIL_USER}"
password_credential = "rootwarden_smtp-password"
"""
    folder = machine.inside(CONFIG.parent)
    (folder / "vendors.d").mkdir(parents=True, exist_ok=True)
    (folder / CONFIG.name).write_text(text)
    (folder / "vendors.d/dten.toml").write_text(vendor_file("dten", "DTEN"))
    shutil.copyfile(place.mail.ca_file, folder / "mail-ca.pem")
    for file in (folder / CONFIG.name, folder / "vendors.d/dten.toml", folder / "mail-ca.pem"):
        file.chmod(0o644)
    secret = folder / "credentials/smtp-password"
    secret.write_text(MAIL_PASSWORD + "\n")
    secret.chmod(0o600)


def becomes_ready(place: Place) -> str:
    """systemd hears READY=1 from the main process, and its status."""
    place.await_active("the unit to be active")
    shown = place.machine.properties("Type", "SubState", "StatusText", "NRestarts")
    require(shown["Type"] == "notify" and shown["SubState"] == "running", f"unexpected {shown}")
    require(shown["StatusText"].startswith("watching "), f"unexpected {shown}")
    require(shown["NRestarts"] == "0", f"it was restarted: {shown}")
    return f'Type=notify, active (running), status "{shown["StatusText"]}"'


def runs_as_its_own_user(place: Place) -> str:
    """The daemon and its workers' server are the user rootwarden and nobody else."""
    uid = place.machine.run("id", "-u", "rootwarden").stdout.strip()
    processes = place.machine.run(
        "cat", f"/sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs", expected=None
    ).stdout.split()
    pids = processes or [str(place.pid)]
    seen = {place.machine.run("stat", "-c", "%u", f"/proc/{pid}").stdout.strip() for pid in pids}
    require(seen == {uid} and uid != "0", f"processes of uid {seen}, not of {uid}")
    return f"uid {uid}, {len(pids)} processes"


def keeps_its_folders_closed(place: Place) -> str:
    """State for the service only; the socket and the incoming folders for the group."""
    expected = {
        STATE: "700 rootwarden rootwarden",
        STATE / "rootwarden.db": "600 rootwarden rootwarden",
        SOCKET: "660 rootwarden rootwarden",
        place.incoming: "2770 rootwarden rootwarden",
        place.incoming / "dten": "2770 rootwarden rootwarden",
        CONFIG.parent / "credentials": "700 root root",
    }
    for path, mode in expected.items():
        seen = place.machine.run("stat", "-c", "%a %U %G", str(path)).stdout.strip()
        require(seen == mode, f"{path} is {seen}, not {mode}")
    return ", ".join(f"{path.name} {mode.split()[0]}" for path, mode in expected.items())


def knows_who_asks(place: Place) -> str:
    """The uid behind the socket is the real one: a named person decides, an unnamed one is refused by uid, others get no answer."""
    machine = place.machine
    root = Path("/srv/root.pem")
    machine.inside(root).write_text(place.pki.root_pem)
    anchor = _proposed(machine, root)
    call = [
        "--fingerprint-read",
        place.pki.root_sha256,
        "--spoke-with",
        "Pat",
        "--called",
        "+1 555 0100",
        "--ticket",
        "T-1",
    ]
    approve = ["rootwarden", "anchor", "approve", anchor, *call]
    refused = machine.run(*approve, user=UNNAMED, expected=(2,)).stderr
    uid = machine.run("id", "-u", UNNAMED).stdout.strip()
    require(f"uid {uid} is not named" in refused, f"refused otherwise: {refused}")
    outside = machine.run(*approve, user=OUTSIDER, expected=(4,)).stderr
    machine.run("rootwarden", "anchor", "constrain", anchor, "--dedicated", user="alice")
    machine.run(*approve, user="alice")
    shown = json.loads(machine.run("rootwarden", "anchor", "show", anchor, "--json").stdout)
    require(shown["state"] == "pending" and "alice" in json.dumps(shown), f"alice's approval is not there: {shown}")
    return f"alice: accepted (1 of 2); {UNNAMED}: uid {uid} refused; outside the group: {outside.strip()[:60]}"


def examines_what_others_drop(place: Place) -> str:
    """A package dropped by a member of the group is read in a fully isolated worker, and an alert about it is stored."""
    machine = place.machine
    draft = Path("/srv") / PACKAGE
    machine.inside(draft).write_bytes(vendor_bundle(place.pki, {"firmware.bin": bytes(range(256)) * 64}))
    folder = place.incoming / "dten"
    machine.run("sh", "-ec", f"cp {draft} {folder}/.draft; mv {folder}/.draft {folder}/{PACKAGE}", user=UNNAMED)

    def alert() -> Any:
        listed = machine.run("rootwarden", "alert", "list", "--all", "--json").stdout
        return [a for a in map(json.loads, listed.splitlines()) if a["vendor"] == "dten" and PACKAGE in json.dumps(a)]

    alerts = await_("the alert about the package", alert, 30.0)
    sha256 = machine.run("sha256sum", str(draft)).stdout.split()[0]
    asked = ["rootwarden", "package", "show", sha256, "--vendor", "dten", "--json"]
    verdict = json.loads(machine.run(*asked, expected=(3, 10)).stdout)
    require("not_isolated" not in verdict["also"], f"the worker is not isolated: {verdict['also']}")
    require(verdict["reason"] == "unknown_root", f"unexpected verdict {verdict['outcome']} / {verdict['reason']}")
    return f"{verdict['outcome']} / {verdict['reason']}, also {verdict['also']}, {len(alerts)} alert stored"


def delivers_with_the_credential(place: Place) -> str:
    """The alert left by mail, over TLS, with the password that only systemd handed over; nothing of it is in the journal."""
    message = await_("the mail", lambda: _with_script(place) and _with_script(place)[0], 30.0)
    require(message.tls and message.user == MAIL_USER, f"sent by {message.user}, TLS {message.tls}")
    everything = place.machine.run("journalctl", "--no-pager").stdout
    environment = place.machine.run("cat", f"/proc/{place.pid}/environ").stdout
    require(MAIL_PASSWORD not in everything + environment, "the password is in the journal or the environment")
    return f"mail {message.mail['Subject'][:40]!r} by {message.user}; no trace of the password"


def _with_script(place: Place) -> list[Any]:
    """The mails that bring an escalation script; those about decisions bring none."""
    return [
        m for m in place.mail.messages if any(str(p.get_filename()).endswith(".sh") for p in m.mail.iter_attachments())
    ]


def serves_the_people_who_call(place: Place) -> str:
    """An approver who cannot enter the state directory makes the call with the script from the mail; then the package passes."""
    script, package = Path("/srv/call.sh"), Path("/srv") / PACKAGE
    attached = (
        part for part in _with_script(place)[0].mail.iter_attachments() if str(part.get_filename()).endswith(".sh")
    )
    machine = place.machine
    machine.inside(script).write_bytes(next(attached).get_payload(decode=True))
    answers = "\n".join(("1", "Pat Vendor", "CASE-2", "yes", place.pki.root_sha256)) + "\n"
    machine.run("sh", str(script), "--go", "--package", str(package), user="bob", text=answers)
    verdict = json.loads(machine.run("rootwarden", "check", "--vendor", "dten", "--json", str(package)).stdout)
    require(verdict["outcome"] == "passed", f"unexpected verdict {verdict}")
    doctor = machine.run("rootwarden", "doctor", user="bob", expected=(4,))
    require("the daemon answers" in doctor.stdout and not doctor.stderr, f"doctor says {doctor.stderr}")
    return f"bob: accepted (2 of 2); {verdict['outcome']}"


def gives_apt_its_keyring(place: Place) -> str:
    """apt in the machine updates from a repository that a decided key signed, by the exported keyring, and from no stranger's."""
    machine, folder, repository = place.machine, Path("/etc/apt/keyrings"), Path("/srv/repository")
    key = Path("/srv/dten.asc")
    machine.inside(repository).mkdir()
    machine.inside(repository / "Packages").write_bytes(b"")
    date, digest = format_datetime(datetime.now(UTC), usegmt=True), hashlib.sha256(b"").hexdigest()
    release = f"Origin: dten\nSuite: .\nDate: {date}\nSHA256:\n {digest} 0 Packages\n"
    with Gpg() as gpg:
        for who in ("Dten", "Strange"):
            gpg.run("--quick-gen-key", f"{who} <a@{who.lower()}.example>", "rsa3072", "sign", "never")
        machine.inside(key).write_bytes(gpg.run("--armor", "--export", "Dten"))
        listed = gpg.run("--with-colons", "--list-keys", "Dten").decode()
        signed = {who: gpg.run("--clearsign", "-u", who, data=release.encode()) for who in ("Dten", "Strange")}
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    anchor = _proposed(machine, key)
    call = ["--spoke-with", "Pat", "--called", "+1 555 0100", "--ticket", "T-3", "--fingerprint-read", fingerprint]
    for who in ("alice", "bob"):
        machine.run("rootwarden", "anchor", "approve", anchor, *call, user=who)
    machine.run("rootwarden", "anchor", "export", "apt-keyring", "--vendor", "dten", "--out", str(folder))
    machine.inside(Path("/srv/dten.list")).write_text(f"deb [signed-by={folder}/dten.gpg] file:{repository} ./\n")
    update = ["apt-get", "update", "-oDir::Etc::sourcelist=/srv/dten.list", "-oDir::Etc::sourceparts=-"]
    for who, expected in (("Strange", 100), ("Dten", 0)):
        machine.inside(repository / "InRelease").write_bytes(signed[who])
        machine.run(*update, "-oAPT::Update::Error-Mode=any", expected=(expected,))
    return f"apt-get update: the vendor's accepted, a stranger's refused ({fingerprint[-16:]})"


def _proposed(machine: Machine, key: Path) -> str:
    """Have carol propose the key of a file; the proposal's id."""
    told = machine.run("rootwarden", "anchor", "import", str(key), "--vendor", "dten", user="carol").stdout
    found = re.search(r"anchor_[0-9A-Za-z]+", told)
    if found is None:
        raise StepFailedError(f"no anchor was proposed: {told}")
    return found.group()


def is_hardened(place: Place) -> str:
    """A probe in the daemon's place, under the same unit, is refused all that the daemon has no use for."""
    machine = place.machine
    probe = Path("/srv/probe.py")
    shutil.copyfile(ROOT / "tests/system/probe.py", machine.inside(probe))
    unit = machine.inside(Path("/etc/systemd/system") / UNIT).read_text()
    instead = f"ExecStart=/usr/bin/python3 {probe} {SEEN_BY_OTHERS}\nStandardOutput=file:/srv/told"
    unit = re.sub(r"^ExecStart=.*", instead, unit, flags=re.M)
    unit = re.sub(r"^(Type|NotifyAccess|Restart\w*|WatchdogSec|RuntimeDirectory\w*)=.*\n", "", unit, flags=re.M)
    machine.inside(Path("/etc/systemd/system/probe.service")).write_text(
        unit.replace("[Service]", "[Service]\nType=oneshot")
    )
    machine.run("systemctl", "daemon-reload")
    started = machine.run("systemctl", "start", "probe.service", expected=None)
    require(started.returncode == 0, f"the probe failed:\n{place.journal('probe.service')}")
    told = json.loads(machine.inside(Path("/srv/told")).read_text())
    require(told["refused"] == REFUSED_AS, f"refused otherwise: {told['refused']}")
    require(told["credentials"] == {"rootwarden_smtp-password": MAIL_PASSWORD + "\n"}, f"{told['credentials'].keys()}")
    closed = {"NoNewPrivs": "1", "CapEff": "0" * 16, "CapBnd": "0" * 16, "Seccomp": "2"}
    require(told["status"] == closed, f"unexpected {told['status']}")
    require(told["umask"] == "0o77" and told["processes"] == [], f"umask {told['umask']}, sees {told['processes']}")
    return "; ".join(f"{what}: {how}" for what, how in told["refused"].items())


def survives_being_killed(place: Place) -> str:
    """After SIGKILL the unit is started again and answers."""
    before = place.pid
    place.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", UNIT)
    after = place.await_active("the restart after SIGKILL", other_than=before)
    _ask(place)
    return f"process {before} -> {after}"


def survives_being_stuck(place: Place) -> str:
    """A daemon that does not turn any more (SIGSTOP) is ended by the watchdog and started again."""
    before, started = place.pid, time.monotonic()
    place.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGSTOP", UNIT)
    after = place.await_active("the restart by the watchdog", WATCHDOG_SECONDS, other_than=before)
    took = time.monotonic() - started
    require("Watchdog timeout" in place.journal(), "the journal does not tell of the watchdog")
    _ask(place)
    return f"process {before} -> {after} after {took:.0f} s"


def _ask(place: Place) -> None:
    require(place.machine.run("rootwarden", "alert", "list", "--all", "--json").stdout, "no alerts")
    place.machine.run("rootwarden", "audit", "verify")


def stops_quickly(place: Place) -> str:
    """``systemctl stop`` returns within two seconds, with a clean exit and nothing left running."""
    before, started = place.pid, time.monotonic()
    place.machine.run("systemctl", "stop", UNIT)
    took = time.monotonic() - started
    shown = place.machine.properties("ActiveState", "Result", "ExecMainCode", "ExecMainStatus")
    clean = {"ActiveState": "inactive", "Result": "success", "ExecMainCode": "1", "ExecMainStatus": "0"}
    require(shown == clean, f"not a clean end: {shown}")
    require(took <= 2.0, f"stopping took {took:.1f} s")
    left = place.machine.run("find", "/proc", "-maxdepth", "1", "-user", "rootwarden", expected=None).stdout.split()
    require(before and not left, f"still running: {left}")
    return f"{took:.2f} s, exit 0"


CLAIMS: tuple[Callable[[Place], str], ...] = (
    installs_as_documented,
    becomes_ready,
    runs_as_its_own_user,
    keeps_its_folders_closed,
    knows_who_asks,
    examines_what_others_drop,
    delivers_with_the_credential,
    serves_the_people_who_call,
    gives_apt_its_keyring,
    is_hardened,
    survives_being_killed,
    survives_being_stuck,
    stops_quickly,
)
NEEDED_BY_ALL = (installs_as_documented, becomes_ready)
