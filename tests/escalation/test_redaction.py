"""What the vendor must read out stands nowhere."""

from __future__ import annotations

import base64
import html
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation.model import AlertDraft
from escalation.redaction import redactor_for, redactor_of
from escalation.rules import decide, notice
from escalation.scripts.render import BARE, render
from escalation.storage.rows import message_to_json
from tests.escalation.conftest import (
    ANCHOR_ID,
    KEY_SHA256,
    MATERIAL,
    SECRETS,
    SKI,
    SPKI,
    colons,
    make_anchor,
    make_context,
    make_evidence,
    make_verdict,
)
from trust_store.model.claim import Authority, Evidence
from trust_store.model.trust_anchor import AnchorKind


def leaks(text: str) -> list[str]:
    """Every eight-digit piece of a secret that ``text`` repeats, separators or not."""
    plain = "".join(c for c in text.lower() if c in "0123456789abcdef")
    return [
        s[i : i + 8]
        for s in SECRETS
        for i in range(len(s) - 7)
        if s[i : i + 8] in plain or s[i : i + 8] in text.lower()
    ]


def everything(draft: AlertDraft) -> str:
    """All that leaves for sheet, script, channels and the alert's own text."""
    made, message = render("alert_01JDHS4W800410610W3GGVCNZ1", draft)
    return "\n".join((made.sheet, made.script, message_to_json(message), draft.title, draft.summary, *draft.lines))


def written_forms(value: str) -> list[str]:
    """The ways people write a fingerprint."""
    raw = bytes.fromhex(value)
    encoded = base64.b64encode(raw).decode()
    return [
        value,
        value.upper(),
        colons(value),
        " ".join(value[i : i + 4] for i in range(0, len(value), 4)),
        f"0x{value}",
        value[:16],
        value[-8:],
        "\u200b".join(value),
        " . ".join(value[i : i + 2] for i in range(0, len(value), 2)),
        " then ".join(value[i : i + 2] for i in range(0, len(value), 2)),
        "".join(chr(ord(c) + 0xFEE0) for c in value),
        encoded,
        encoded.replace("+", "-").replace("/", "_").rstrip("="),
        html.escape(colons(value)).replace(":", "&#58;"),
        "\n".join(value[i : i + 8] for i in range(0, len(value), 8)),
    ]


@pytest.mark.parametrize("secret", [KEY_SHA256, SPKI, SKI])
def test_every_written_form_of_a_fingerprint_is_taken_out_of_everything(secret: str) -> None:
    """However a post spells the pending key, neither sheet, script, message nor alert text repeats eight digits of it."""
    for form in written_forms(secret):
        evidence = (
            Evidence(form, f"https://x.example/{quote(form)}", None, form, Authority.STAFF, f"It is {form} indeed"),
        )
        verdict = make_verdict(name=f"pkg {form}.zip")
        context = make_context(evidence=evidence, verdict=verdict, rotation_note=form, package_path=f"/in/{secret}.zip",
                               proposals=(make_anchor(name=form),))  # fmt: skip
        draft = decide(context)
        text = everything(draft)
        assert leaks(text) == [], form
        encoded = base64.b64encode(bytes.fromhex(secret)).decode()
        assert encoded[:16] not in text
        assert encoded[:16].replace("+", "-").replace("/", "_") not in text


def test_key_material_is_taken_out() -> None:
    """A posted certificate never reaches a message: its digest could be computed from it."""
    draft = decide(make_context())
    text = everything(draft)
    assert base64.b64encode(MATERIAL).decode()[:20] not in text
    assert "BEGIN CERTIFICATE" not in text
    assert leaks(text) == []


def test_an_address_that_spells_the_key_keeps_its_host() -> None:
    """A key server's address is cut after the host, plainly or percent-encoded."""
    redactor = redactor_for(make_context())
    told = redactor.url(f"https://keys.example/lookup?search=0x{SKI}")
    assert told.startswith("https://keys.example")
    assert leaks(told) == []
    percent = "".join(f"%{ord(c):02x}" for c in SKI)
    assert leaks(redactor.url(f"https://keys.example/{percent}")) == []
    assert redactor.url(None) == ""
    assert redactor.url(f"https://{SKI}.example/") == "[rest of the address withheld: it spells out the key]"
    assert redactor.url("https://forum.example/t/77/43") == "https://forum.example/t/77/43"


def test_prose_dates_and_other_digests_stay() -> None:
    """Only what repeats a key's value goes: dates, CVE ids, telephone numbers and other digests stay readable."""
    text = "Since 2026-09-05 (CVE-2026-12345) call +1 408 555 0100 about deadbeefcafe"
    assert redactor_for(make_context()).text(text) == text


def test_an_empty_redactor_still_removes_material() -> None:
    """Without known secrets, PEM blocks and long base64 go nevertheless."""
    assert redactor_of([]).text(make_evidence().excerpt).count("[key material withheld]") == 1
    assert redactor_of([]).text("A" * 80) == "[data withheld]"
    assert redactor_of(["odd", "abc", "abcdef123"]).text("abcdef123") == "[withheld]"


def test_an_openpgp_key_named_by_its_fingerprint_is_not_shown() -> None:
    """A key without user id has its fingerprint for a name; that name is withheld too."""
    draft = decide(make_context(proposals=(make_anchor(name=SKI, kind=AnchorKind.OPENPGP),), evidence=()))
    text = everything(draft)
    assert leaks(text) == []
    assert "40 or 64 characters" in text


def test_a_notice_redacts_what_it_is_told_to() -> None:
    """An alert about a mismatch on the telephone does not print the expected value."""
    from escalation.model import Severity

    draft = notice("anchor_mismatch", "mismatch", Severity.CRITICAL, f"read {KEY_SHA256}", subject="anchor_1",
                   lines=[f"expected {colons(KEY_SHA256)}"], secrets=[KEY_SHA256])  # fmt: skip
    assert leaks(everything(draft)) == []


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=200),
    st.integers(0, 56),
    st.integers(8, 64),
    st.sampled_from(["", ":", " ", "-", " \u00a0", "\n> "]),
)
def test_no_surrounding_text_shields_a_piece(around: str, start: int, length: int, separator: str) -> None:
    """Any piece of eight or more digits with any separator goes, whatever stands around it."""
    piece = KEY_SHA256[start : start + length]
    if len(piece) < 8:
        piece = KEY_SHA256[-8:]
    spelled = separator.join(piece[i : i + 2] for i in range(0, len(piece), 2))
    shown = redactor_for(make_context()).text(f"{around} {spelled} {around}", 5000)
    assert not [w for w in leaks(shown) if w in piece]


def test_the_last_wall_drops_outside_texts_but_never_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a field's redaction ever fails, the alert goes out without any text from outside."""
    from escalation.scripts import facts

    monkeypatch.setattr(facts.Redactor, "said", lambda _self, text, _limit=0: text or "")
    evidence = replace(make_evidence(), excerpt=f"it is {colons(KEY_SHA256)}")
    draft = decide(make_context(evidence=(evidence,)))
    made, message = render("alert_1", draft)
    text = "\n".join((made.sheet, made.script, message_to_json(message)))
    assert leaks(text) == []
    assert BARE in made.sheet
    assert ANCHOR_ID[:-1] in made.script
