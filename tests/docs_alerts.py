"""docs/alerts.md: every reason with what it means to the team, and every other kind of alert that the code raises."""

from __future__ import annotations

import re
from pathlib import Path

from escalation.rules import RULES, VERDICT_KIND
from monitor.alerting import FAILURES_BEFORE_ALERT
from monitor.expiry_alerts import STEPS
from trust_store.model.verdict import PRECEDENCE, outcome_of

ROOT = Path(__file__).resolve().parents[1]
_DAYS = ", ".join(str(days) for days, _ in reversed(STEPS))
KINDS: dict[str, tuple[str, str]] = {
    "anchor_decided": (
        "somebody decided about a key, or approved it; told to everybody, never open",
        "compare with who should have done that",
    ),
    "baseline": ("a set of keys was proposed, approved or rejected as one", "compare with who should have done that"),
    "break_glass": (
        "somebody wants a key trusted in an emergency, or it is by now",
        "call the vendor; no emergency: reject or distrust it",
    ),
    "daily_digest": (
        "what happened to vendors that are only observed",
        "look through it; say `enforce` once it is quiet",
    ),
    "delivery_failed": ("a channel refused a message for good", "`rootwarden alert show ID` tells its answer"),
    "digest_decision": (
        "a package was blocked, let through, or neither any more",
        "compare with who should have done that",
    ),
    "expiring": (
        f"something ends within days: {_DAYS} before",
        "`rootwarden anchor forecast`; ask the vendor for the successor",
    ),
    "fingerprint_mismatch": (
        "what an approver typed is not the key's fingerprint",
        "call again on the number on record; it may be an attack",
    ),
    "instance_rekeyed": (
        "the key that signs the audit log was replaced",
        "not agreed: an incident; else hand out `instance.pub`",
    ),
    "internal_fault": (
        "an unexpected error: a file, a source or a job was left out, everything else goes on",
        "look at what it names by hand, and report the error",
    ),
    "intake_passed_over": ("something in the incoming folder is no regular file", "find out who put it there"),
    "missed_decisions": ("people decided while no daemon ran", "compare with who should have done that"),
    "native_disagreement": (
        "an installed native verifier says otherwise than the verdict (`[intake] compare`)",
        "do not install; find out which of the two is wrong, and report it",
    ),
    "policy_changed": (
        "a vendor file or `[approvers]` changed",
        "`rootwarden anchor approve-policy` if it is meant and weakens",
    ),
    "policy_edited": (
        "a file was edited while the daemon runs; it counts nothing yet",
        "meant: restart the daemon; else an incident",
    ),
    "ratchet_lowered": (
        "somebody lowered what a product's packages are held to, or approved it",
        "compare with who should have done that; `rootwarden ratchet show ID`",
    ),
    "source_failing": (
        f"a source was not read {FAILURES_BEFORE_ALERT} times in a row",
        "`rootwarden source show NAME`",
    ),
    "store_changed": (
        "the store was changed behind the program's back: no decision is taken, or facts do not count",
        "an incident: `rootwarden audit verify`",
    ),
}
"""Kind -> what happened, what to do."""


def page() -> str:
    """docs/alerts.md."""
    lines = [
        "# Alerts",
        "",
        "Generated from the rules themselves: `python -m tests.docs_tables`. Every verdict other than `passed` is an alert, once a",
        "package, matter and asker; it ends by itself when the package passes. `rootwarden alert list` shows what is open,",
        '`rootwarden script show` prints the script for the call. Vendors with `mode = "observe"` wait for the daily digest, but for',
        "what the team decided against: `compromised`, `distrusted`, `revoked`, `withdrawn`, as reason or in `also`. A matter that got",
        "more severe is sent again.",
        "",
        "## About a package",
        "",
        "In the order in which the first that applies is the reason; the others stand in `also`. An unsigned package of a product that",
        "was seen signed before is a `downgrade`; `rollback` is answered where the vendor's policy refuses older versions.",
        "",
        "| reason | outcome | severity | headline | what the call is about |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{reason}` | {outcome_of(reason)} | {rule.severity.name.lower()} | {rule.headline} | {rule.purpose.value.replace('_', ' ')} |"
        for reason in PRECEDENCE
        if (rule := RULES.get(reason)) is not None
    ]
    lines += ["", "## About everything else", "", "| kind | what happened | what to do |", "| --- | --- | --- |"]
    lines += [f"| `{kind}` | {happened} | {to_do} |" for kind, (happened, to_do) in sorted(KINDS.items())]
    return "\n".join(lines) + "\n"


def kinds_in_code() -> set[str]:
    """Every kind of alert that the sources name, but for verdicts."""
    found: set[str] = set()
    for package in ("escalation", "monitor"):
        for module in sorted((ROOT / package).rglob("*.py")):
            text = module.read_text()
            found |= set(re.findall(r'\bnotice\(\s*"(\w+)"', text))
            for names, values in re.findall(r"^((?:[A-Z_]*KIND(?:, )?)+) = (.+)$", text, re.MULTILINE):
                found |= set(re.findall(r'"(\w+)"', values)) if names else set()
    return found - {VERDICT_KIND}
