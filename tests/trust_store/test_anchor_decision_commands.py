"""The options of the decision commands: what they pass on, and what they refuse before anybody is asked."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.trust_store.store_setup import PHONE, fingerprint, propose
from tests.trust_store.test_anchor_commands import VENDOR, approve, pending, run
from trust_store import query

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["pending", "run"]  # fixtures


def shown(run: Any, anchor: str) -> dict[str, Any]:
    """The anchor as a program reads it."""
    found: dict[str, Any] = json.loads(run("anchor", "show", anchor, "--json")[1])
    return found


@pytest.mark.parametrize("missing", ["--spoke-with", "--called", "--ticket"])
def test_a_call_is_told_whole(run: Any, pending: str, missing: str) -> None:
    """An approval after a call that does not say who, where or which ticket ends in 2, names the option and asks nobody."""
    said = list(approve(pending, fingerprint()))
    at = said.index(missing)
    code, _, err = run(*said[:at], *said[at + 2 :])
    assert (code, missing in err, "--without-call" in err) == (2, True, True)


def test_every_rule_has_its_option(run: Any, pending: str) -> None:
    """Each rule stated by an option is shown as it was said."""
    pin = "ab" * 32
    code, out, err = run(
        "anchor", "constrain", pending, "--signer-subject", "O=Example", "--signer-spki", pin, "--signer-san", "dns=a.example",
        "--issuer-spki", pin, "--team-id", "A1B2C3D4E5", "--eku", "1.3.6.1.5.5.7.3.3", "--policy", "2.23.140.1.4.1",
        "--product", "a*", "--format", "zip", "--purpose", "firmware", "--valid-from", "2026-01-01T00:00:00Z",
        "--valid-until", "2027-01-01T00:00:00Z", "--distrust-after", "2026-12-01T00:00:00Z", "--max-path-length", "0",
        "--permit-name", "dns=example", "--exclude-name", "ip=192.0.2.0/24", "--minimum-rsa-bits", "3072", "--digest", "sha256",
        "--revocation", "required", "--follow-rotation",
    )  # fmt: skip
    assert (code, err) == (0, ""), out
    found = shown(run, pending)
    rule, limits = found["signer_rule"], found["constraints"]
    assert all(value for name, value in rule.items() if name != "dedicated")
    assert (rule["dedicated"], found["follow_rotation"], limits["max_path_length"]) == (False, True, 0)
    assert (limits["purposes"], limits["revocation"], limits["minimum_rsa_bits"]) == (["firmware"], "required", 3072)
    assert all(value not in (None, []) for value in limits.values())
    assert run("anchor", "constrain", pending, "--clear", "max_path_length", "--no-follow-rotation")[0] == 0
    found = shown(run, pending)
    assert (found["constraints"]["max_path_length"], found["follow_rotation"]) == (None, False)


def test_show_names_who_approved(run: Any, pending: str) -> None:
    """A pending and a decided anchor both tell who approved it, how and when."""
    run("anchor", "approve", pending, "--fingerprint-read", fingerprint(), "--break-glass", "--reason", "plant down")
    (given,) = shown(run, pending)["approvals"]
    assert (given["person"], given["way"]) == ("ann", "break_glass")
    assert "ann (break_glass, " in run("anchor", "show", pending)[1]
    assert run(*approve(pending, fingerprint()))[0] == 0
    assert [g["way"] for g in shown(run, pending)["approvals"]] == ["break_glass", "call"]
    assert shown(run, pending)["basis"] == "called"


def test_waiting_is_told_with_its_time(run: Any, pending: str, tmp_path: Path) -> None:
    """Without a call the command says from when on it takes effect; with one as well it is refused."""
    file = tmp_path / "vendors.d" / "dten.toml"
    file.write_text(VENDOR.replace("approvals = 1", 'approvals = 1\ncall = "or_hold_down"\nhold_down_days = 7'))
    without = (
        "anchor",
        "approve",
        pending,
        "--fingerprint-read",
        fingerprint(),
        "--without-call",
        "--reason",
        "manual",
    )
    code, out, _ = run(*without)
    assert (code, "stays pending until somebody approves again on" in out) == (0, True)
    assert run(*without)[0] == 2
    assert run(*without, "--called", PHONE)[0] == 2


def test_distrust_says_since_when(run: Any, pending: str) -> None:
    """The time from which a key is distrusted is on record."""
    since = "2026-03-01T00:00:00Z"
    assert run("anchor", "distrust", pending, "--reason", "sold", "--effective-from", since)[0] == 0
    found = shown(run, pending)
    assert (found["state"], found["cause"], found["effective_from"]) == (
        "distrusted",
        "sold",
        "2026-03-01T00:00:00.000000Z",
    )


@pytest.mark.parametrize("said", [(), ("dten", "--approvers")])
def test_one_policy_is_approved_at_a_time(run: Any, said: tuple[str, ...]) -> None:
    """Either a vendor's file or the approvers' list."""
    code, _, err = run("anchor", "approve-policy", *said)
    assert (code, "either a vendor's id" in err) == (2, True)


def test_no_list_waits(run: Any) -> None:
    """Where no change of the approvers is on record there is nothing to approve."""
    code, _, err = run("anchor", "approve-policy", "--approvers")
    assert (code, "no change of [approvers]" in err) == (2, True)


@pytest.mark.parametrize("command", ["revoke", "distrust", "supersede", "remove", "reject"])
def test_the_other_decisions_pass_their_options_on(run: Any, pending: str, command: str) -> None:
    """Each command decides about the anchor it names; what the table refuses ends in 2 with the state named."""
    options = {
        "revoke": ("--because", "superseded", "--effective-from", "2026-06-01T00:00:00Z"),
        "distrust": ("--reason", "r"),
        "supersede": ("--successor", "anchor_none"),
        "remove": ("--reason", "r"),
        "reject": ("--because", "unconfirmed"),
    }[command]
    code, _, err = run("anchor", command, pending, *options)
    refused = command in ("revoke", "supersede", "remove")
    assert code == (2 if refused else 0)
    assert ("pending cannot become" in err) == refused


@pytest.mark.parametrize(
    ("command", "more"),
    [("revoke", ("--because", "superseded")), ("revoke", ("--because", "key-compromise")), ("remove", ())],
)
def test_reason_and_ticket_are_on_record(run: Any, pending: str, command: str, more: tuple[str, ...]) -> None:
    """What people say about lowering trust stands in the decision's own entry of the log."""
    assert run(*approve(pending, fingerprint()))[0] == 0
    code, _, err = run("anchor", command, pending, *more, "--reason", "plant closed", "--ticket", "SEC-79")
    assert (code, err) == (0, "")
    assert '"SEC-79"' in (told := entry_of(run, pending))
    assert "plant closed" in told


def test_superseding_records_why(run: Any, pending: str, tmp_path: Path) -> None:
    """Reason and ticket of a succession are on record with each approval and with the new version."""
    assert run(*approve(pending, fingerprint()))[0] == 0
    with closing(query.connect(tmp_path / "rootwarden.db")) as connection:
        heir = propose(connection, "Next root", at=datetime.now(UTC))
    assert run(*approve(heir, fingerprint("Next root")))[0] == 0
    said = ("--reason", "rotated in May", "--ticket", "SEC-80")
    assert run("anchor", "supersede", pending, "--successor", heir, *said)[0] == 0
    assert shown(run, pending)["cause"] == "rotated in May"
    assert '"SEC-80"' in entry_of(run, pending)


def entry_of(run: Any, anchor: str) -> str:
    """The newest entry of the log about the anchor, as JSON."""
    entries = [json.loads(line) for line in run("audit", "show", "--json")[1].splitlines()]
    return json.dumps([e for e in entries if e["subject"] == anchor][-1])
