"""Renders call sheet, POSIX script and message from the same facts (pure, but for reading the packaged templates once)."""

from __future__ import annotations

import functools
import textwrap
from dataclasses import replace
from importlib import resources

from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from escalation.model import AlertContext, AlertDraft, EscalationScript, Message
from escalation.redaction import redactor_for
from escalation.scripts.facts import ScriptFacts, facts_of
from escalation.scripts.quoting import quote, quote_path

WIDTH = 78
BARE = "(withheld: the text would have shown what the vendor must read out)"


def render(alert_id: str, draft: AlertDraft) -> tuple[EscalationScript, Message]:
    """Call sheet, script and message of an alert; a notice without a verdict has no script."""
    if draft.context is None:
        return _notice(alert_id, draft)
    facts = facts_of(alert_id, draft, draft.context)
    sheet, script = _fill(facts)
    if not _clean(draft.context, sheet, script):
        # The last wall behind the redaction of each field. An alert is never dropped: it goes out without outside texts.
        facts = _bare(facts)
        sheet, script = _fill(facts)
    return EscalationScript(alert_id, sheet, script), _message(draft, facts, sheet, script)


def _fill(facts: ScriptFacts) -> tuple[str, str]:
    environment = _environment()
    return (
        environment.get_template("call_sheet.txt.j2").render(f=facts),
        environment.get_template("escalation.sh.j2").render(f=facts),
    )


def _notice(alert_id: str, draft: AlertDraft) -> tuple[EscalationScript, Message]:
    lines = [draft.title, "", draft.summary, "", *draft.lines, "", f"Alert: {alert_id}"]
    sheet = "\n".join(lines) + "\n"
    facts = [("Severity", draft.severity.value), ("Reason", draft.reason)]
    if draft.vendor_id:
        facts.append(("Vendor", draft.vendor_id))
    message = Message(
        alert_id, draft.severity, draft.title, draft.summary, (*facts, ("Alert", alert_id)), draft.lines, "", sheet
    )
    return EscalationScript(alert_id, sheet, ""), message


def _message(draft: AlertDraft, facts: ScriptFacts, sheet: str, script: str) -> Message:
    """What the channels show: the same facts, shorter."""
    rows = [
        ("Severity", facts.severity),
        ("Verdict", f"{facts.outcome} / {facts.reason}"),
        ("Vendor", facts.vendor_name),
        ("Package", facts.package_name),
        ("Package SHA-256", facts.package_sha256 or "unknown"),
    ]
    for signature in facts.signatures[:1]:
        rows.append(("Signed by", signature.signer))
        if signature.missing:
            rows.append(("Missing issuer", signature.missing))
    if facts.contacts:
        first = facts.contacts[0]
        rows.append(("Call", f"{first.name} {first.phone or first.mail or first.portal or '(no number recorded)'}"))
    rows.append(("Alert", facts.alert_id))
    said = tuple(f"{s.claim}: {s.url or 'no address'} ({s.when}, {s.author}, {s.authority})" for s in facts.said)
    if facts.rotation_note:
        said = (facts.rotation_note, *said)
    return Message(
        facts.alert_id, draft.severity, facts.title, facts.summary, tuple(rows), said, facts.warning, sheet, script
    )


def _bare(facts: ScriptFacts) -> ScriptFacts:
    """The facts without any text from outside; what the team configured and what was computed stays."""
    return replace(
        facts,
        title=f"{facts.vendor_id}: {facts.outcome} / {facts.reason}",
        summary=BARE,
        package_name=BARE,
        package_path="",
        rotation_note="",
        said=(),
        lines=(),
        signatures=tuple(replace(s, signer=BARE, missing=BARE if s.missing else "") for s in facts.signatures),
        keys=tuple(
            replace(k, name=BARE, rules=(f"see them with: rootwarden anchor show {k.anchor_id}",)) for k in facts.keys
        ),
    )


def _clean(context: AlertContext, *texts: str) -> bool:
    redactor, digest = redactor_for(context), context.verdict.sha256
    return all(redactor.spells_nothing(text.replace(digest, "") if digest else text) for text in texts)


@functools.cache
def _environment() -> SandboxedEnvironment:
    folder = resources.files("escalation.scripts.templates")
    environment = SandboxedEnvironment(
        loader=FunctionLoader(lambda name: (folder / name).read_text("utf-8")),
        undefined=StrictUndefined,
        autoescape=False,
        comment_start_string="{##",  # the usual one is the shell's ${#length}
        comment_end_string="##}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(sh=quote, shpath=quote_path, wrapped=_wrapped)
    return environment


def _wrapped(text: str, indent: int = 2) -> str:
    """``text`` broken at blanks; a long word (an address, a digest) stays whole so that it can be copied."""
    lead = " " * indent
    return textwrap.fill(
        text, WIDTH, initial_indent=lead, subsequent_indent=lead, break_long_words=False, break_on_hyphens=False
    )
