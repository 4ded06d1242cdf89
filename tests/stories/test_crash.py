"""Kill -9 at every moment between a package's arrival and its alert's delivery; restarts, races and orderly ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.simulator.slack import Fault, shown
from tests.simulator.vendor_pki import vendor_bundle
from tests.stories.demo import vendor_file
from tests.stories.installation import Installation, await_
from tests.stories.watching import Gate, alive, deliveries, descendants, intake, kill, killed_at_sync, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulator.slack import SlackServer
    from tests.simulator.smtp import SMTPServer
    from tests.simulator.vendor_pki import VendorPKI

MARK = "X-Rootwarden-Possible-Repeat-Of"
SYNCS_FROM_ARRIVAL_TO_DELIVERY = 7
STOP_ATTEMPTS = 3
"""A busy machine may take longer once; the program itself does not."""


@pytest.fixture
def place(folder: Path) -> Iterator[Installation]:
    """An installation that is not configured yet; its daemon is ended afterwards."""
    vendors = {"dten": vendor_file("dten", "DTEN"), "acme": vendor_file("acme", "ACME")}
    place = Installation(folder / "place", vendors=vendors, settle_seconds=0.1)
    yield place
    place.stop(9)


def package(folder: Path, pki: VendorPKI, name: str = "Full-upgrade-package-dten.zip") -> Path:
    """A package signed under a root nobody knows; its name is its content."""
    file = folder / name
    file.write_bytes(vendor_bundle(pki, {"firmware.bin": name.encode() * 100}))
    return file


def started(place: Installation, mail: int, webhook: str) -> Installation:
    """Configure and start."""
    place.smtp_port, place.slack_webhook = mail, webhook
    place.configure()
    place.start()
    return place


def through(gate: Gate, slack: SlackServer) -> str:
    """The webhook's address by way of the gate."""
    return f"http://127.0.0.1:{gate.port}{slack.path}"


def port_of(slack: SlackServer) -> int:
    """Where the stand-in listens."""
    return int(slack.webhook.split("/")[2].rpartition(":")[2])


def settled(place: Installation) -> bool:
    """Whether every delivery is done with."""
    states = rows(place, "SELECT state FROM delivery")
    return bool(states) and all(state == "sent" for (state,) in states)


def sound(place: Installation) -> None:
    """The store answers, its log verifies, and each package has exactly one row of every kind."""
    place.run("audit", "verify", expected=(0,))
    assert rows(place, "PRAGMA integrity_check") == [("ok",)]
    assert rows(place, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("mail_is", ["shut", "silent"])
def test_killed_before_the_first_byte_everything_arrives_exactly_once(
    place: Installation, mail: SMTPServer, slack: SlackServer, pki: VendorPKI, mail_is: str
) -> None:
    """Alert committed, neither channel reached: after the restart each message arrives once, and unmarked."""
    with Gate(mail.port) as mail_gate, Gate(port_of(slack)) as slack_gate:
        if mail_is == "silent":
            mail_gate.silent()
        started(place, mail_gate.port, through(slack_gate, slack))
        place.drop(package(place.folder, pki), "dten")
        await_("an attempt at Slack", lambda: "Slack: ConnectError" in place.log())
        assert deliveries(place) == {"smtp": ("queued", None), "slack": ("queued", None)}
        kill(place)
        for gate in (mail_gate, slack_gate):
            gate.open()
        place.start()
        await_("both deliveries", lambda: settled(place))
    assert [m.mail[MARK] for m in mail.messages] == [None]
    assert ["ossible repeat" in shown(m) for m in slack.accepted] == [False]
    assert slack.refusals == []
    sound(place)


@pytest.mark.parametrize("taken", [False, True], ids=["not taken", "taken"])
def test_killed_while_sending_it_arrives_with_at_most_one_marked_repeat(
    place: Installation, mail: SMTPServer, slack: SlackServer, pki: VendorPKI, *, taken: bool
) -> None:
    """The content is on its way and unanswered: after the restart it arrives, a second time only if marked."""
    mail.faults.append("taken" if taken else "hang")
    slack.faults.append(Fault(hang=True, accept=taken))
    started(place, mail.port, slack.webhook)
    place.drop(package(place.folder, pki), "dten")
    assert mail.reached_data.wait(20)
    assert slack.seen.wait(20)
    assert {s for s, _ in deliveries(place).values()} == {"sending"}
    kill(place)
    place.start()
    await_("both deliveries", lambda: settled(place))
    repeats = dict(rows(place, "SELECT channel, id FROM delivery"))
    assert [m.mail[MARK] for m in mail.messages] == [None] * taken + [repeats["smtp"]]
    marked = [f"Possible repeat of {repeats['slack']}" in shown(m) for m in slack.accepted]
    assert marked == [False] * taken + [True]
    assert len({m.mail["Message-ID"] for m in mail.messages}) == 1
    sound(place)


def arrivals(mail: SMTPServer, slack: SlackServer, name: str) -> tuple[list[bool], list[bool]]:
    """For mail and Slack: of each message about the package, in order, whether it is marked as a possible repeat."""
    mails = [bool(m.mail[MARK]) for m in mail.messages if name in str(m.mail["Subject"])]
    posts = ["ossible repeat of" in shown(m) for m in slack.accepted if name in shown(m)]
    return mails, posts


def revived(place: Installation) -> bool:
    """Start the daemon again where it is gone; whether it was. Nothing but SIGKILL may have ended it."""
    if place.daemon is not None and place.daemon.poll() is None:
        return False
    assert place.daemon is None or place.daemon.returncode == -signal.SIGKILL
    place.daemon = None
    place.start()
    return True


def requires_delivery(place: Installation, mail: SMTPServer, slack: SlackServer, name: str) -> bool:
    """After a restart the alert arrives: at least once on each channel, and what is said twice is marked; whether there was one.

    The kill may fall so late that the messages have arrived and only the record of it is missing.
    """
    restarts = 0

    def delivered() -> bool:
        nonlocal restarts
        restarts += revived(place)
        return intake(place, f"dten/{name}") is not None and settled(place) and all(arrivals(mail, slack, name))

    await_(f"the deliveries of {name}", delivered, 60)
    for marks in arrivals(mail, slack, name):
        assert marks in ([False], [True], [False, True])
    assert len(rows(place, "SELECT id FROM alert WHERE title LIKE ?", f"%{name}%")) == 1
    return restarts > 0


def test_killed_at_any_write_to_disk_no_alert_is_lost(
    place: Installation, mail: SMTPServer, slack: SlackServer, pki: VendorPKI
) -> None:
    """SIGKILL from the kernel inside the first, the second, ... commit after a package arrived: all of it or none is there."""
    started(place, mail.port, slack.webhook)
    killed = 0
    for number in range(1, SYNCS_FROM_ARRIVAL_TO_DELIVERY + 1):
        # A kill of the turn before may have come after its deliveries, and take a moment to be seen.
        await_("a living daemon", lambda: not revived(place) and '"ok": true' in place.ask_raw('{"command": "ping"}'))
        assert place.daemon is not None
        name = f"Full-upgrade-package-dten-{number}.zip"
        below = descendants(place.daemon.pid)
        with killed_at_sync(place, number) as died:
            place.drop(package(place.folder, pki, name), "dten")
            await_(
                "death or delivery",
                lambda name=name, died=died: died() or (settled(place) and all(arrivals(mail, slack, name))),  # type: ignore[misc]
            )
        if requires_delivery(place, mail, slack, name):
            killed += 1
            await_("the worker processes to end", lambda below=below: not alive(below))  # type: ignore[misc]
    sound(place)
    assert killed >= 4


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_arbitrary_moments_no_alert_is_lost(
    place: Installation, mail: SMTPServer, slack: SlackServer, pki: VendorPKI, seed: int
) -> None:
    """Wherever the kill falls, the package has one row and one alert, the alert arrives, and the store verifies."""
    started(place, mail.port, slack.webhook)
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice of moments
    for number in range(3):
        name = f"Full-upgrade-package-dten-{number}.zip"
        place.drop(package(place.folder, pki, name), "dten")
        time.sleep(0.08 + chance.random() * 0.25)  # the moment itself is what is drawn
        kill(place)
        requires_delivery(place, mail, slack, name)
    sound(place)


def trusted(place: Installation, pki: VendorPKI) -> None:
    """Have the vendor's root approved by everybody it takes."""
    file = place.folder / "root.pem"
    file.write_text(pki.root_pem)
    file.chmod(0o644)
    first = place.proposer
    place.run("anchor", "import", str(file), "--vendor", "dten", person=first, expected=(0,))
    (anchor,) = [a["id"] for a in json.loads(place.run("anchor", "list", "--json", expected=(0,)).stdout)]
    place.run("anchor", "constrain", anchor, "--dedicated", person=first, expected=(0,))
    for person in place.people:
        place.run(
            "anchor", "approve", anchor, "--fingerprint-read", pki.root_sha256, "--spoke-with", "Pat", "--called",
            "+1 555 0100", "--ticket", "CASE-1", person=person, expected=(0,),
        )  # fmt: skip


def unsigned(folder: Path, pki: VendorPKI, kind: str) -> tuple[Path, bytes]:
    """A file without a signature of its own, and the detached one that belongs to it."""
    from tests.trust_store.package_craft import archive

    file = folder / f"Full-upgrade-package-dten.{kind}"
    file.write_bytes(archive({"firmware.bin": b"1" * 1000}) if kind == "zip" else b"raw firmware " * 100)
    return file, pki.sign(file.read_bytes())


def lay_beside(dropped: Path, signature: bytes) -> None:
    """The sidecar arrives, whole at once."""
    draft = dropped.with_name(f".{dropped.name}.p7s.upload")
    draft.write_bytes(signature)
    draft.rename(dropped.with_name(dropped.name + ".p7s"))


@pytest.mark.parametrize("kind", ["zip", "bin"])
def test_a_restart_does_not_end_the_wait_for_a_sidecar(place: Installation, pki: VendorPKI, kind: str) -> None:
    """Waiting is no verdict and no alert, survives a restart, and ends with the sidecar, which here makes it pass."""
    place.sidecar_wait_seconds = 600.0
    place.configure()
    place.start()
    trusted(place, pki)
    file, signature = unsigned(place.folder, pki, kind)
    dropped = place.drop(file, "dten")
    path = f"dten/{file.name}"
    status, sha256 = await_("the file's row", lambda: intake(place, path))
    assert status == "waiting"
    kill(place)
    place.start()
    assert intake(place, path) == ("waiting", sha256)
    assert rows(place, "SELECT id FROM alert WHERE kind = 'verdict'") == []
    lay_beside(dropped, signature)
    await_("the examination", lambda: intake(place, path) == ("checked", sha256))
    assert place.check(dropped, vendor="dten", expected=(0,))["outcome"] == "passed"
    assert rows(place, "SELECT id FROM alert WHERE kind = 'verdict'") == []
    place.run("package", "show", sha256, "--vendor", "dten", expected=(0,))


@pytest.mark.parametrize("kind", ["zip", "bin"])
def test_a_sidecar_that_comes_after_the_alert_reopens_the_check(place: Installation, pki: VendorPKI, kind: str) -> None:
    """Nobody waited any more, the alert went out; the good signature turns the package passed and resolves the alert."""
    place.sidecar_wait_seconds = 0.3
    place.configure()
    place.start()
    trusted(place, pki)
    file, signature = unsigned(place.folder, pki, kind)
    dropped = place.drop(file, "dten")
    await_("the alert", lambda: rows(place, "SELECT id FROM alert WHERE kind = 'verdict' AND status = 'open'"))
    place.check(dropped, vendor="dten", expected=(3,))
    kill(place)
    lay_beside(dropped, signature)
    place.start()
    await_(
        "the alert to be resolved",
        lambda: rows(place, "SELECT 1 FROM alert WHERE kind = 'verdict' AND status = 'resolved'"),
    )
    assert place.check(dropped, vendor="dten", expected=(0,))["outcome"] == "passed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_in_two_seconds_and_leaves_nothing_behind(
    place: Installation, mail: SMTPServer, slack: SlackServer, pki: VendorPKI, number: int
) -> None:
    """Ctrl-C and systemctl stop: exit 0 and no process left, even while both channels hang in the middle of a message."""
    place.smtp_port, place.slack_webhook = mail.port, slack.webhook
    place.configure()
    for attempt in range(STOP_ATTEMPTS):
        mail.faults.append("hang")
        slack.faults.append(Fault(hang=True))
        mail.reached_data.clear()
        slack.seen.clear()
        place.start()
        place.drop(package(place.folder, pki, f"Full-upgrade-package-dten-{attempt}.zip"), "dten")
        assert mail.reached_data.wait(20)
        assert slack.seen.wait(20)
        assert place.daemon is not None
        below = descendants(place.daemon.pid)
        assert below
        try:
            assert place.stop(number, seconds=2.0) == 0
            break
        except subprocess.TimeoutExpired:
            assert place.daemon.wait(30) == 0
    else:
        pytest.fail(f"took more than 2 s in each of {STOP_ATTEMPTS} runs")
    await_("the worker processes to end", lambda: not alive(below))
    assert not (place.folder / "control.sock").exists()
    sound(place)


def test_a_second_daemon_refuses(place: Installation) -> None:
    """One writer: the second daemon on the same store ends with 4 and says who holds it, and the first goes on."""
    place.configure()
    place.start()
    refused = place.run("run", expected=(4,))
    assert "the daemon" in refused.stderr
    assert '"ok": true' in place.ask_raw('{"command": "ping"}')


def test_a_package_that_arrived_while_the_daemon_was_down_is_taken_in(
    place: Installation, mail: SMTPServer, slack: SlackServer, pki: VendorPKI
) -> None:
    """Nobody has to touch the folder again after the start."""
    place.smtp_port, place.slack_webhook = mail.port, slack.webhook
    place.configure()
    file = package(place.folder, pki)
    place.incoming.mkdir(exist_ok=True)
    place.drop(file, "dten")
    requires_delivery(place, mail, slack, file.name)
    assert intake(place, f"dten/{file.name}") is not None


def test_a_file_that_is_still_written_is_not_examined(place: Installation, pki: VendorPKI) -> None:
    """A writer that pauses longer than the settle time: nothing is said about the half, then one verdict on the whole."""
    place.configure()
    place.start()
    whole = package(place.folder, pki)
    data = whole.read_bytes()
    slow = place.incoming / "dten" / whole.name
    with slow.open("wb") as writer:
        writer.write(data[: len(data) // 2])
        writer.flush()
        for number in range(3):  # each takes longer than the settle time
            other = place.drop(package(place.folder, pki, f"other-{number}.zip"), "dten")
            await_("another package's row", partial(intake, place, f"dten/{other.name}"))
        assert intake(place, f"dten/{slow.name}") is None
        writer.write(data[len(data) // 2 :])
    await_("the row", lambda: intake(place, f"dten/{slow.name}"))
    verdict = place.check(whole, vendor="dten", expected=(3,))
    assert intake(place, f"dten/{slow.name}") == ("checked", verdict["package"]["sha256"])
    assert len(rows(place, "SELECT DISTINCT package_sha256 FROM sighting WHERE name = ?", whole.name)) == 1


def test_a_trusted_package_never_passes_for_another_vendor(place: Installation, pki: VendorPKI) -> None:
    """The approved root is DTEN's: in ACME's folder, before and after a restart, the same bytes do not pass."""
    place.configure()
    place.start()
    trusted(place, pki)
    file = package(place.folder, pki)
    for vendor in ("dten", "acme"):
        place.drop(file, vendor)
        await_("the row", partial(intake, place, f"{vendor}/{file.name}"))
    verdict = place.check(file, vendor="dten", expected=(0,))
    for _ in range(2):
        assert place.check(file, vendor="acme", expected=(3, 10))["outcome"] != "passed"
        place.run("package", "show", verdict["package"]["sha256"], "--vendor", "acme", expected=(3, 10))
        kill(place)
        place.start()
    assert [a["vendor"] for a in place.alerts() if a["kind"] == "verdict"] == ["acme"]
