"""The story, end to end: its three endings, that the demonstration notices what goes wrong, and who may decide."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.stories import demo
from tests.stories.installation import PROPOSER, STRANGER, UIDS, Installation, StepFailedError, await_

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.simulator.vendor_pki import VendorPKI
    from tests.stories.demo import Stage

PHONE = "+1 555 0100"


def quiet(_step: str) -> None:
    """Tell nobody."""


@pytest.mark.parametrize("ending", demo.ENDINGS, ids=lambda e: e.__name__)
def test_every_ending_holds(ending: Callable[[Stage], None], folder: Path) -> None:
    """Poll, package, alert, script and decision end as the story says, step by step."""
    steps: list[str] = []
    demo.play(ending, folder / "play", steps.append)
    assert len(steps) >= 6


def test_a_wrong_fingerprint_leaves_the_proposal_pending_and_alerts(folder: Path) -> None:
    """What was typed is not the key's fingerprint: refused, still indeterminate, an alert fingerprint_mismatch on both channels."""

    def mistaken(stage: Stage) -> None:
        script = stage.until_alerted()
        wrong = stage.pki.root_sha256[:-1] + ("0" if stage.pki.root_sha256[-1] != "0" else "1")
        stage.call(script, stage.place.people[0], "1", "Pat Vendor", "CASE-1", "yes", wrong, expected=(2,))
        verdict = stage.place.check(stage.package, vendor="dten", expected=(3,))
        assert (verdict["outcome"], verdict["reason"]) == ("indeterminate", "unknown_root")
        assert anchor_of(stage.place)["state"] == "pending"
        alert = await_("the alert", lambda: [a for a in stage.place.alerts() if a["kind"] == "fingerprint_mismatch"])[0]
        assert (alert["reason"], alert["status"], alert["severity"]) == ("mismatch", "open", "critical")
        await_("the mail and the Slack message", lambda: len(stage.mail.messages) > 1 and len(stage.slack.accepted) > 1)
        assert stage.pki.root_sha256[:16] not in stage.mail.messages[1].raw.decode().lower()
        stage.place.run("audit", "verify", expected=(0,))

    demo.play(mistaken, folder / "play", quiet)


def test_the_demonstration_fails_where_a_step_does_not_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exit code other than the story's ends the play, is printed as FAILED, and the demonstration exits 4."""

    def hoped_for_too_much(stage: Stage) -> None:
        """A package that nobody vouches for is expected to pass."""
        stage.place.drop(stage.package, "dten")
        stage.place.check(stage.package, vendor="dten", expected=(0,))

    with pytest.raises(StepFailedError, match="exit 3, expected"):
        demo.play(hoped_for_too_much, folder / "play", quiet)
    monkeypatch.setattr(demo, "ENDINGS", (hoped_for_too_much,))
    assert demo.main() == 4
    told = capsys.readouterr().out
    assert "FAILED" in told
    assert "0 of 1 endings held" in told


@pytest.mark.parametrize(
    ("condition", "holds"), [(True, True), ([1], True), (False, False), ([], False), (None, False), (0, False)]
)
def test_require_fails_unless_the_condition_holds(condition: object, *, holds: bool) -> None:
    """Nothing, nought and an empty list are no fulfilment."""
    if holds:
        demo.require(condition, "never told")
    else:
        with pytest.raises(StepFailedError, match="told"):
            demo.require(condition, "told")


def test_waiting_in_vain_fails() -> None:
    """A condition that never comes true is a step that did not hold."""
    with pytest.raises(StepFailedError, match="a miracle"):
        await_("a miracle", lambda: False, 0.05)


def anchor_of(place: Installation) -> dict[str, object]:
    """The one anchor of the store."""
    found: list[dict[str, object]] = json.loads(place.run("anchor", "list", "--json", expected=(0,)).stdout)
    assert len(found) == 1
    return found[0]


def proposed(place: Installation, pki: VendorPKI, by: str | None) -> str:
    """Start the daemon and have the vendor's root proposed, dedicated to the vendor; return its id."""
    place.start()
    file = place.folder / "root.pem"
    file.write_text(pki.root_pem)
    file.chmod(0o644)
    place.run("anchor", "import", str(file), "--vendor", "dten", person=by, expected=(0,))
    anchor = str(anchor_of(place)["id"])
    place.run("anchor", "constrain", anchor, "--dedicated", person=by, expected=(0,))
    return anchor


def approve(place: Installation, anchor: str, pki: VendorPKI, person: str | None, *expected: int) -> str:
    """One approval with the right fingerprint; what the command printed."""
    done = place.run(
        "anchor", "approve", anchor, "--fingerprint-read", pki.root_sha256, "--spoke-with", "Pat Vendor", "--called",
        PHONE, "--ticket", "CASE-1", "--json", person=person, expected=expected,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[[dict[str, int]], Installation]]:
    """Configures installations with the given approvers (none: the usual ones) and ends their daemons afterwards."""
    places: list[Installation] = []

    def open_(approvers: dict[str, int]) -> Installation:
        place = Installation(
            folder / f"place{len(places)}", vendors={"dten": demo.vendor_file("dten", "DTEN")}, approvers=approvers
        )
        places.append(place)
        place.configure()
        return place

    yield open_
    for place in places:
        place.stop(9)


def test_only_named_people_decide_and_each_counts_once(
    opened: Callable[[dict[str, int]], Installation], pki: VendorPKI
) -> None:
    """An unmapped uid, an unnamed root and the proposer are refused; the same person twice is one approval; the next completes it."""
    place = opened({})
    first, second = place.people[0], place.people[-1]
    anchor = proposed(place, pki, place.proposer)
    if not place.one_person:
        for nobody in (STRANGER, None):
            assert "is not named in [approvers]" in approve(place, anchor, pki, nobody, 2)
        told = json.loads(approve(place, anchor, pki, first, 0))
        assert (told["approvals"], told["needed"], told["state"]) == (1, 2, "pending")
        assert "another person is needed" in approve(place, anchor, pki, first, 2)
        assert "carol proposed" in approve(place, anchor, pki, place.proposer, 2)
        assert anchor_of(place)["state"] == "pending"
    approve(place, anchor, pki, second, 0)
    assert anchor_of(place)["state"] == "valid"
    place.run("audit", "verify", expected=(0,))


def test_the_service_user_decides_only_where_it_is_named(
    opened: Callable[[dict[str, int]], Installation], pki: VendorPKI
) -> None:
    """Owning the store, or being root, is no right to decide: with the daemon or without it."""
    unnamed = opened({"somebody": os.geteuid() + 77})
    file = unnamed.folder / "root.pem"
    file.write_text(pki.root_pem)
    for running in (False, True):
        if running:
            unnamed.start()
        refused = unnamed.run("anchor", "import", str(file), "--vendor", "dten", expected=(2,))
        assert "is not named in [approvers]" in refused.stderr
    named = opened({"operator": os.geteuid()} | ({} if unnamed.one_person else {PROPOSER: UIDS[PROPOSER]}))
    anchor = proposed(named, pki, None if named.one_person else PROPOSER)
    approve(named, anchor, pki, None, 0)
    log = named.run("audit", "show", "--json", expected=(0,)).stdout
    assert '"operator"' in log
