"""Whoever approves with the script sees the rules first and approves no others; what they say is only data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from escalation.rules import decide
from escalation.scripts.render import render
from escalation.scripts.rules_text import rule_lines
from tests.escalation.conftest import DTEN, KEY_SHA256, SPKI, make_anchor, make_context
from tests.escalation.desk import ALERT, HOSTILE, SHELLS, YES, Desk, made, story
from trust_store.anchor_rules import rules_code
from trust_store.model.trust_anchor import AnchorKind, Constraints, SignerRule, TrustAnchor
from trust_store.storage.anchors import proposal_digest

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2027, 1, 1, tzinfo=UTC)
RULE = SignerRule(subject=(("O", "DTEN"), ("CN", "Signing")))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An operator's desk."""
    return Desk(tmp_path)


def ruled(**changes: object) -> TrustAnchor:
    """The pending key under rules."""
    return replace(make_anchor(), **{"signer_rule": RULE, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_rules_are_read_before_the_question_and_handed_on(desk: Desk, shell: str) -> None:
    """Each rule stands on a line of its own above the question whether the key is theirs; its code goes into the command."""
    anchor = ruled(constraints=Constraints(products=("Full-*.zip",)))
    done = desk.run(story(desk, proposals=(anchor,)), YES, "--go", shell=shell)
    assert done.returncode == 0, done.stderr
    before, _, _ = done.stderr.partition("Does the vendor confirm")
    code = rules_code(proposal_digest(anchor))
    for line in (
        code,
        "  - signers must have the subject: O=DTEN, CN=Signing",
        "  - products: Full-*.zip",
        "  - formats: any",
    ):
        assert line in before
    assert desk.arguments[0][-1] == f"--rules={code}"


def test_each_key_has_its_own_rules(desk: Desk) -> None:
    """Two proposals are approved each under its own code."""
    anchors = (ruled(), replace(make_anchor(1), kind=AnchorKind.OPENPGP))
    answers = f"1\nGrace\nT1\nyes\n{KEY_SHA256}\nyes\n{KEY_SHA256[:40]}\n"
    assert desk.run(story(desk, proposals=anchors), answers, "--go").returncode == 0
    assert [call[-1] for call in desk.arguments] == [f"--rules={rules_code(proposal_digest(a))}" for a in anchors]


def test_other_rules_are_other_codes() -> None:
    """The sheet of the same key under another rule names another code: an approval of the one is none of the other."""
    sheets = [made(make_context(proposals=(a,)))[0] for a in (ruled(), ruled(signer_rule=SignerRule(dedicated=True)))]
    codes = [next(line for line in sheet.splitlines() if "Rules: rules_" in line) for sheet in sheets]
    assert codes[0] != codes[1]


def test_a_refusal_names_the_new_script(desk: Desk) -> None:
    """Where rootwarden refuses, the script says how to get one with the rules as they are."""
    desk.install(2)
    done = desk.run(story(desk, proposals=(ruled(),)), YES, "--go")
    assert (done.returncode, f"rootwarden script show {ALERT}" in done.stderr) == (2, True)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_rules_are_only_data(desk: Desk, value: str) -> None:
    """A subject or product pattern is shown, on one line, and never run."""
    anchor = ruled(signer_rule=SignerRule(subject=(("CN", value),)), constraints=Constraints(products=(value,)))
    _, script = made(make_context(proposals=(anchor,), package_path=str(desk.package)))
    for shell in SHELLS:
        done = desk.run(script, YES, "--go", shell=shell)
        assert done.returncode == 0, done.stderr
        assert not (desk.folder / "canary").exists()
        assert not any(ord(c) < 32 and c != "\n" for c in done.stderr)


def test_a_rule_does_not_tell_the_key() -> None:
    """A pin of the very key that awaits decision is withheld on the sheet; the code stands for it."""
    sheet, script = made(make_context(proposals=(ruled(signer_rule=SignerRule(spki_sha256=(SPKI,))),)))
    assert SPKI[:8] not in sheet + script
    assert "signers must have the public key: [withheld]" in sheet


def test_every_field_of_the_rules_is_told() -> None:
    """No condition and no limit is left out, and what is not limited is said to be open."""
    rule = replace(
        SignerRule(dedicated=True, subject=(("O", "s"),), spki_sha256=("p",), san=(("dns", "n"),)),
        issuer_spki_sha256=("i",), team_id=("t",), eku=("e",), policy=("c",),
    )  # fmt: skip
    limits = Constraints(
        ("prod",),
        ("fmt",),
        ("code",),
        AT,
        AT,
        AT,
        0,
        (("dns", "yes"),),
        (("dns", "no"),),
        3072,
        ("sha256",),
        "required",
    )
    lines = rule_lines(ruled(signer_rule=rule, constraints=limits, follow_rotation=True))
    told = "\n".join(lines)
    assert len(lines) == 1 + 7 + 12 + 1
    for value in (
        "dedicated",
        "O=s",
        ": p",
        "dns=n",
        ": i",
        ": t",
        ": e",
        ": c",
        "prod",
        "fmt",
        "yes",
        "no",
        "3072",
        "sha256",
    ):
        assert value in told
    assert "at most: 0" in told
    assert told.count("2027-01-01") == 3
    assert "follow_rotation" in told
    assert "is not looked at" in "".join(rule_lines(ruled(constraints=Constraints(revocation="off"))))
    assert "nobody said so" in rule_lines(make_anchor())[0]
    assert rule_lines(replace(make_anchor(), kind=AnchorKind.SSH))[:2] == (
        "whose signatures count: the key's own",
        "products: any",
    )


def test_where_texts_are_withheld_the_rules_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sheet without outside texts shows no rules, and says where they are; their code stays."""
    monkeypatch.setattr("escalation.scripts.render._clean", lambda *_: False)
    draft = decide(make_context(proposals=(ruled(),)))
    sheet = render(ALERT, draft)[0].sheet
    assert "O=DTEN" not in sheet
    assert f"rootwarden anchor show {ruled().id}" in " ".join(sheet.split())
    assert rules_code(proposal_digest(ruled())) in sheet


def test_the_owner_of_the_root_is_named_first() -> None:
    """A root that another vendor's anchor vouches for is the first thing said, in summary, sheet and script."""
    context = make_context(owner=replace(DTEN, id="acme", name="ACME\x1b[2J"), proposals=())
    draft = decide(context)
    assert draft.summary.startswith("Its root is a valid anchor of vendor ACME\\u001b[2J (acme): was the package put")
    sheet, script = made(context)
    assert "right folder?" in sheet
    assert "right folder?" in script
