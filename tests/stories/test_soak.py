"""A long run: packages, polls and decisions for SOAK_SECONDS; nothing may be lost, and nothing may pile up."""

from __future__ import annotations

import itertools
import json
import os
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulator.slack import shown
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.simulator.vendor_site import VendorSite
from tests.stories.demo import open_thread, vendor_file
from tests.stories.installation import Installation, await_
from tests.stories.watching import alive, descendants, intake, rows

if TYPE_CHECKING:
    from tests.simulator.slack import SlackServer
    from tests.simulator.smtp import SMTPServer

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
WARM_UP_ROUNDS = 5
RSS_GROWTH_KIB = 24 * 1024
"""What may be added after the warm-up: caches of SQLite and of the libraries fill, then it must be flat."""
DESCRIPTORS_GROWTH = 4
PROCESSES_GROWTH = 1


def footprint(pid: int) -> tuple[int, int, int]:
    """(resident KiB, open descriptors, processes below) of the daemon."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0])
    return resident, len(list(Path(f"/proc/{pid}/fd").iterdir())), len(descendants(pid))


def dropped(place: Installation, number: int, data: bytes) -> str:
    """A new package in the vendor's folder; its path there."""
    name = f"Full-upgrade-package-dten-{number}.zip"
    file = place.folder / name
    file.write_bytes(data)
    place.drop(file, "dten")
    file.unlink()
    return f"dten/{name}"


def taken_in(place: Installation, path: str) -> bool:
    """Whether the file has its row and verdict."""
    return (intake(place, path) or ("",))[0] == "checked"


def decided(place: Installation, pki: VendorPKI, name: str, *, reject: bool) -> None:
    """One decision about a root of its own: approved by everybody, or thrown out."""
    file = place.folder / "root.pem"
    file.write_text(pki.root_pem)
    file.chmod(0o644)
    first = place.proposer
    place.run("anchor", "import", str(file), "--vendor", "dten", person=first, expected=(0,))
    listed = json.loads(place.run("anchor", "list", "--state", "pending", "--json", expected=(0,)).stdout)
    anchor = next(a["id"] for a in listed if f"{name} " in a["name"])
    place.run("anchor", "constrain", anchor, "--dedicated", person=first, expected=(0,))
    if reject:
        place.run("anchor", "reject", anchor, "--because", "unconfirmed", person=first, expected=(0,))
        return
    for person in place.people:
        place.run(
            "anchor", "approve", anchor, "--fingerprint-read", pki.root_sha256, "--spoke-with", "Pat", "--called",
            "+1 555 0100", "--ticket", "CASE-1", person=person, expected=(0,),
        )  # fmt: skip


@pytest.mark.soak
def test_it_runs_on_without_losing_or_piling_up(folder: Path, mail: SMTPServer, slack: SlackServer) -> None:
    """Every package has a row and a verdict, every alert arrives once, and memory, descriptors and processes stay flat."""
    with VendorSite() as site:
        news = VendorPKI.generate("DTEN", datetime.now(UTC))
        sources = (("feed", site.feed_url), ("discourse", open_thread(site, news.root_pem).url))
        place = Installation(
            folder / "place",
            mail.port,
            slack.webhook,
            {"dten": vendor_file("dten", "DTEN", sources)},
            settle_seconds=0.1,
        )
        place.configure()
        place.start()
        try:
            _soak(place, site, mail, slack)
        finally:
            place.stop(9)


def _soak(place: Installation, site: VendorSite, mail: SMTPServer, slack: SlackServer) -> None:
    assert place.daemon is not None
    pid = place.daemon.pid
    end = time.monotonic() + SECONDS
    first: tuple[int, int, int] | None = None
    paths: list[str] = []
    for number in itertools.count():
        if number > WARM_UP_ROUNDS and time.monotonic() > end:
            break
        pki = VendorPKI.generate(f"Soak {number}", datetime.now(UTC))
        kinds = (
            vendor_bundle(pki, {"firmware.bin": os.urandom(200_000)}),
            vendor_bundle(pki, {"firmware.bin": b"x"}, smuggled={"evil.sh": os.urandom(8)}),
            b"PK\x03\x04" + os.urandom(5000),
        )
        paths += [dropped(place, 3 * number + i, data) for i, data in enumerate(kinds)]
        site.publish(f"Version {number}", f"<p>Version {number} is available.</p>")
        place.run("poll", expected=(0,))
        if number % 4 == 0:
            decided(place, pki, f"Soak {number}", reject=number % 8 == 4)
        await_("the last package's row", partial(taken_in, place, paths[-1]), 60)
        if number == WARM_UP_ROUNDS:
            first = footprint(pid)
    assert first is not None
    await_("every delivery", lambda: not rows(place, "SELECT 1 FROM delivery WHERE state <> 'sent' LIMIT 1"), 120)
    _nothing_lost(place, paths, mail, slack)
    last = footprint(pid)
    assert last[0] - first[0] < RSS_GROWTH_KIB
    assert last[1] - first[1] <= DESCRIPTORS_GROWTH
    assert last[2] - first[2] <= PROCESSES_GROWTH
    below = descendants(pid)
    assert place.stop() == 0
    await_("the worker processes to end", lambda: not alive(below))


def _nothing_lost(place: Installation, paths: list[str], mail: SMTPServer, slack: SlackServer) -> None:
    """Rows, verdicts and deliveries are complete."""
    await_("every row", lambda: all(taken_in(place, path) for path in paths), 60)
    for path in paths[:: max(1, len(paths) // 20)]:
        sha256 = (intake(place, path) or ("", ""))[1]
        place.run("package", "show", sha256, "--vendor", "dten", "--json", expected=(0, 3, 10))
    assert rows(place, "SELECT count(DISTINCT package_sha256) FROM sighting") == [(len(paths),)]
    alerts = rows(place, "SELECT count(*) FROM alert")[0][0]
    assert alerts >= len(paths)
    assert len(mail.messages) == len(slack.accepted) == rows(place, "SELECT count(*) FROM delivery")[0][0] // 2
    assert not any(m.mail["X-Rootwarden-Possible-Repeat-Of"] for m in mail.messages)
    assert not any("ossible repeat of" in shown(m) for m in slack.accepted)
    assert slack.refusals == []
    place.run("audit", "verify", expected=(0,))
