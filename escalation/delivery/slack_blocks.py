"""A message as Block Kit (pure), always within Slack's documented limits, whatever the texts are.

Text from outside stands in ``plain_text`` objects alone: no mention, link or formatting can come from it. ``&``, ``<`` and
``>`` are escaped besides, and lengths are counted in UTF-16 units after escaping, the strictest way to count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.terminal import safe

if TYPE_CHECKING:
    from escalation.model import Delivery

MAX_BLOCKS, MAX_HEADER, MAX_SECTION, MAX_FIELD, MAX_FIELDS, MAX_BUTTON = 50, 150, 3000, 2000, 10, 75
MAX_TEXT = 3000
_MAX_SAID = 12
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def payload(delivery: Delivery) -> dict[str, Any]:
    """The body of the webhook call."""
    message = delivery.message
    blocks: list[dict[str, Any]] = [{"type": "header", "text": plain(message.title, MAX_HEADER)}]
    if delivery.possible_repeat_of:
        blocks.append(_context(f"Possible repeat of {delivery.possible_repeat_of}"))
    blocks.append(_section(message.summary))
    facts = [plain(f"{label}: {value}", MAX_FIELD) for label, value in message.facts[:MAX_FIELDS]]
    if facts:
        blocks.append({"type": "section", "fields": facts})
    if message.warning:
        blocks.append(_section(f"\u26a0 {message.warning}"))
    blocks += [_section(line) for line in message.said[:_MAX_SAID]]
    if message.script:
        blocks.append(_section(f"Call sheet and script: rootwarden script show {message.alert_id} --sheet"))
    blocks.append(_context(f"{message.alert_id} / {delivery.id}"))
    return {**fallback(delivery), "blocks": blocks[:MAX_BLOCKS]}


def fallback(delivery: Delivery) -> dict[str, Any]:
    """The message without blocks: for notifications, and where Slack does not take the blocks."""
    message = delivery.message
    mark = f"[possible repeat of {delivery.possible_repeat_of}] " if delivery.possible_repeat_of else ""
    lines = [f"{mark}{message.severity.upper()}: {message.title}", message.summary, *message.said[:2], message.alert_id]
    # mrkdwn false: this text is the one place where Slack would otherwise format, and it repeats outside text.
    text = "\n".join(escaped(line, MAX_TEXT // 6) for line in lines)
    return {"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def plain(text: str, limit: int) -> dict[str, Any]:
    """A ``plain_text`` object of at most ``limit`` characters; emoji codes stay text."""
    return {"type": "plain_text", "text": escaped(text, limit) or "-", "emoji": False}


def escaped(text: str, limit: int) -> str:
    """``text`` on one line, escaped, cut so that no entity and no surrogate pair is split."""
    parts: list[str] = []
    used = 0
    for character in safe(text.strip(), limit):
        part = _ESCAPES.get(character, character)
        used += len(part) if ord(character) < 0x10000 else 2
        if used > limit:
            break
        parts.append(part)
    return "".join(parts).strip()


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": plain(text, MAX_SECTION)}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [plain(text, MAX_FIELD)]}
