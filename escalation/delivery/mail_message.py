"""A message as mail (pure): text first, HTML second without remote content, call sheet and script attached.

No text from outside reaches a header but the subject, and that on one line, encoded by ``EmailMessage``.
"""

from __future__ import annotations

import html
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from trust_store.terminal import safe

if TYPE_CHECKING:
    from escalation.model import Delivery, Message

MAX_SUBJECT = 180
MAX_LINE = 10_000
# 7-bit everywhere: nothing depends on 8BITMIME or SMTPUTF8, and no byte of the text is changed on the way.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=78)


def build_mail(delivery: Delivery, sender: str, recipients: tuple[str, ...]) -> bytes:
    """The mail of one delivery, CRLF line ends; the same delivery always gives the same Message-ID."""
    message = delivery.message
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = _subject(delivery)
    mail["Date"] = format_datetime(delivery.created_at)
    mail["Message-ID"] = f"<{delivery.message_id}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Rootwarden-Alert"] = message.alert_id
    if delivery.possible_repeat_of:
        mail["X-Rootwarden-Possible-Repeat-Of"] = delivery.possible_repeat_of
    mail.set_content(_lines(_text(delivery)), cte="quoted-printable")
    mail.add_alternative(_lines(_html(delivery)), subtype="html", cte="quoted-printable")
    if message.sheet:
        mail.add_attachment(_lines(message.sheet), filename="call-sheet.txt", cte="base64")
    if message.script:
        script = message.script.encode(errors="backslashreplace")
        mail.add_attachment(script, maintype="application", subtype="x-sh", filename="escalation.sh")
    return _checkpoint(delivery) + mail.as_bytes()


def _checkpoint(delivery: Delivery) -> bytes:
    """The newest signed line about the audit log as a header: a mailbox is a place that whoever rolls a store back does not reach.

    Folded by hand, at its blanks: ``EmailMessage`` would make encoded words of a signature longer than a line.
    """
    fields = delivery.checkpoint.split(" ")
    if not all(re.fullmatch(r"[A-Za-z0-9_/:.-]{1,200}", field) for field in fields):
        return b""
    folded = "\r\n ".join(fields)
    return f"X-Rootwarden-Checkpoint: {folded}\r\n".encode()


def _subject(delivery: Delivery) -> str:
    # An encoded word (RFC 2047) in the text would be decoded by some releases of ``email``, line ends and all: it is broken up.
    title = delivery.message.title.replace("=?", "= ?")
    mark = f"[possible repeat of {delivery.possible_repeat_of}] " if delivery.possible_repeat_of else ""
    return safe(f"{mark}[rootwarden] {delivery.message.severity.upper()}: {title}", MAX_SUBJECT)


def _lines(text: str) -> str:
    """``text`` with its line breaks, and every other control character or lone surrogate made visible."""
    return "\n".join(safe(line, MAX_LINE) for line in text.split("\n"))


def _text(delivery: Delivery) -> str:
    message = delivery.message
    parts = []
    if delivery.possible_repeat_of:
        parts.append(f"Possible repeat of {delivery.possible_repeat_of}: an earlier attempt may have reached you.\n")
    parts.append(f"{message.title}\n\n{message.summary}\n")
    parts.append("\n".join(f"{label}: {value}" for label, value in message.facts) + "\n")
    if message.warning:
        parts.append(f"!! {message.warning}\n")
    if message.said:
        parts.append("\n".join(f"- {line}" for line in message.said) + "\n")
    if message.script:
        parts.append("The call sheet and the escalation script are attached.\n")
    if message.sheet:
        parts.append(message.sheet)
    return "\n".join(parts)


def _html(delivery: Delivery) -> str:
    message: Message = delivery.message
    e = html.escape
    rows = "".join(f"<tr><th align=left>{e(label)}</th><td>{e(value)}</td></tr>" for label, value in message.facts)
    said = "".join(f"<li>{e(line)}</li>" for line in message.said)
    repeat = f"<p>Possible repeat of {e(delivery.possible_repeat_of)}.</p>" if delivery.possible_repeat_of else ""
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>'
        f"{repeat}<h2>{e(message.title)}</h2><p>{e(message.summary)}</p><table>{rows}</table>"
        + (f"<p><strong>{e(message.warning)}</strong></p>" if message.warning else "")
        + (f"<ul>{said}</ul>" if said else "")
        + (f"<pre>{e(message.sheet)}</pre>" if message.sheet else "")
        + "</body></html>"
    )
