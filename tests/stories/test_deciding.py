"""Decisions by real users over the daemon's socket: emergencies, rules that get narrower, and a list of approvers that grows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.stories import demo
from tests.stories.installation import APPROVER_UIDS, PROPOSER, STRANGER, UIDS, Installation
from tests.stories.test_story import anchor_of, approve, opened, proposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.vendor_pki import VendorPKI

__all__ = ["opened"]  # a fixture


def broken(place: Installation, anchor: str, pki: VendorPKI, person: str, *expected: int) -> str:
    """One person breaks the glass; what the command printed."""
    done = place.run(
        "anchor", "approve", anchor, "--fingerprint-read", pki.root_sha256, "--break-glass", "--reason", "plant down", "--json",
        person=person, expected=expected,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_two_real_people_break_the_glass(opened: Callable[[dict[str, int]], Installation], pki: VendorPKI) -> None:
    """One user is one person however often; the second makes it valid; each time an alert is there, and the basis shows."""
    place = opened({})
    anchor = proposed(place, pki, place.proposer)
    first, second = place.people[0], place.people[-1]
    if place.one_person:
        assert "another" not in broken(place, anchor, pki, first, 2)
        return
    told = json.loads(broken(place, anchor, pki, first, 0))
    assert (told["outcome"], told["needed"], told["alert"]) == ("recorded", 2, "break_glass")
    assert "another person is needed" in broken(place, anchor, pki, first, 2)
    assert "carol proposed" in broken(place, anchor, pki, place.proposer, 2)
    assert "is not named in [approvers]" in broken(place, anchor, pki, STRANGER, 2)
    assert [a["reason"] for a in place.alerts() if a["kind"] == "break_glass"] == ["recorded"]
    assert json.loads(broken(place, anchor, pki, second, 0))["state"] == "valid"
    shown = json.loads(place.run("anchor", "show", anchor, "--json", expected=(0,)).stdout)
    assert (shown["basis"], [a["person"] for a in shown["approvals"]]) == ("break_glass", [first, second])
    assert sorted(a["severity"] for a in place.alerts() if a["kind"] == "break_glass") == ["critical", "critical"]
    narrower = ("anchor", "constrain", anchor, "--distrust-after")
    place.run(*narrower, "2026-01-01T00:00:00Z", person=first, expected=(0,))
    refused = place.run(*narrower, "2027-01-01T00:00:00Z", person=first, expected=(2,))
    assert "distrust-after" in refused.stderr
    place.run("audit", "verify", expected=(0,))


def test_a_new_approver_waits_for_the_old_ones(
    opened: Callable[[dict[str, int]], Installation], pki: VendorPKI
) -> None:
    """A user added to the file decides nothing until the people of the old list agree, each over the socket as himself."""
    place = opened({})
    if place.one_person:
        return
    anchor = proposed(place, pki, place.proposer)
    place.stop()
    place.approvers = {**APPROVER_UIDS, PROPOSER: UIDS[PROPOSER], STRANGER: UIDS[STRANGER]}
    place.configure()
    place.start()
    assert "does not count yet" in approve(place, anchor, pki, STRANGER, 2)
    assert [a["severity"] for a in place.alerts() if a["kind"] == "policy_changed"] == ["high"]
    agree = ("anchor", "approve-policy", "--approvers")
    assert "does not count yet" in place.run(*agree, person=STRANGER, expected=(2,)).stderr
    for person in APPROVER_UIDS:
        place.run(*agree, person=person, expected=(0,))
    assert json.loads(approve(place, anchor, pki, STRANGER, 0))["approvals"] == 1
    approve(place, anchor, pki, "alice", 0)
    assert anchor_of(place)["state"] == "valid"


def test_a_policy_that_waits_instead_of_a_call(
    opened: Callable[[dict[str, int]], Installation], pki: VendorPKI
) -> None:
    """Without a call: refused where policy asks for one, recorded and told when it counts where it does not."""
    place = opened({})
    anchor = proposed(place, pki, place.proposer)
    without = (
        "anchor", "approve", anchor, "--fingerprint-read", pki.root_sha256, "--without-call", "--reason", "in the manual",
    )  # fmt: skip
    refused = place.run(*without, person=place.people[0], expected=(2,))
    assert 'call = "or_hold_down"' in refused.stderr
    other = opened({})
    other.vendors = {"dten": demo.vendor_file("dten", "DTEN")}
    file = other.folder / "vendors.d/dten.toml"
    file.write_text(file.read_text() + 'call = "or_hold_down"\nhold_down_days = 7\n')
    anchor = proposed(other, pki, other.proposer)
    said = [other.run(*without[:2], anchor, *without[3:], person=p, expected=(0,)).stdout for p in other.people]
    assert "stays pending until somebody" in said[-1]
    assert anchor_of(other)["state"] == "pending"
