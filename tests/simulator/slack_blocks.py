"""Slack's documented limits on a message, checked as strictly as the documentation states them.

https://api.slack.com/reference/block-kit/blocks and /composition-objects, for what an incoming webhook takes.
"""

from __future__ import annotations

from typing import Any

MESSAGE_KEYS = {
    "text", "blocks", "attachments", "thread_ts", "mrkdwn", "unfurl_links", "unfurl_media", "metadata", "response_type",
    "replace_original", "delete_original",
}  # fmt: skip


class InvalidBlocksError(Exception):
    """The payload breaks a limit; the text says which."""


def require(condition: object, message: str) -> None:
    """Raise InvalidBlocksError unless ``condition`` holds."""
    if not condition:
        raise InvalidBlocksError(message)


def check_message(message: dict[str, Any]) -> None:
    """Check everything but the outermost type; raises InvalidBlocksError."""
    require(set(message) <= MESSAGE_KEYS, f"unknown keys {sorted(set(message) - MESSAGE_KEYS)}")
    require(len(message.get("text", "")) <= 40_000, "text over 40000")
    blocks = message.get("blocks", [])
    require(isinstance(blocks, list) and len(blocks) <= 50, "over 50 blocks")
    seen: set[str] = set()
    for block in blocks:
        require(isinstance(block, dict) and block.get("type") in CHECKS, f"unknown block {block!r:.80}")
        if "block_id" in block:
            name = block["block_id"]
            require(isinstance(name, str) and 1 <= len(name) <= 255, "block_id is 1 to 255 characters")
            require(name not in seen, f"block_id {name!r} is used twice")
            seen.add(name)
        CHECKS[block["type"]](block)


def _keys(value: Any, allowed: set[str], needed: set[str]) -> None:
    require(isinstance(value, dict), "not an object")
    require(set(value) <= allowed, f"unknown keys {sorted(set(value) - allowed)}")
    require(needed <= set(value), f"missing keys {sorted(needed - set(value))}")


def _text(value: Any, limit: int, types: tuple[str, ...] = ("plain_text", "mrkdwn")) -> None:
    _keys(value, {"type", "text", "emoji", "verbatim"}, {"type", "text"})
    require(value["type"] in types, f"text object of type {value['type']!r}")
    if value["type"] == "plain_text":
        require("verbatim" not in value and isinstance(value.get("emoji", False), bool), "plain_text takes emoji only")
    else:
        require("emoji" not in value and isinstance(value.get("verbatim", False), bool), "mrkdwn takes verbatim only")
    require(isinstance(value["text"], str) and 1 <= len(value["text"]) <= limit, f"text is 1 to {limit} characters")


def _header(block: dict[str, Any]) -> None:
    _keys(block, {"type", "text", "block_id"}, {"type", "text"})
    _text(block["text"], 150, ("plain_text",))


def _section(block: dict[str, Any]) -> None:
    _keys(block, {"type", "text", "fields", "accessory", "block_id", "expand"}, {"type"})
    require("text" in block or "fields" in block, "a section needs text or fields")
    if "text" in block:
        _text(block["text"], 3000)
    if "fields" in block:
        require(isinstance(block["fields"], list) and 1 <= len(block["fields"]) <= 10, "1 to 10 fields")
        for field in block["fields"]:
            _text(field, 2000)
    if "accessory" in block:
        _button(block["accessory"])


def _context(block: dict[str, Any]) -> None:
    _keys(block, {"type", "elements", "block_id"}, {"type", "elements"})
    require(isinstance(block["elements"], list) and 1 <= len(block["elements"]) <= 10, "1 to 10 elements")
    for element in block["elements"]:
        _text(element, 2000)


def _divider(block: dict[str, Any]) -> None:
    _keys(block, {"type", "block_id"}, {"type"})


def _actions(block: dict[str, Any]) -> None:
    _keys(block, {"type", "elements", "block_id"}, {"type", "elements"})
    require(isinstance(block["elements"], list) and 1 <= len(block["elements"]) <= 25, "1 to 25 elements")
    for element in block["elements"]:
        _button(element)


def _button(element: Any) -> None:
    _keys(element, {"type", "text", "action_id", "url", "value", "style", "accessibility_label"}, {"type", "text"})
    require(element["type"] == "button", "only buttons are known here")
    _text(element["text"], 75, ("plain_text",))
    for key, limit in (("action_id", 255), ("url", 3000), ("value", 2000), ("accessibility_label", 75)):
        require(key not in element or 1 <= len(element[key]) <= limit, f"{key} is 1 to {limit} characters")
    require(element.get("style", "primary") in ("primary", "danger"), "style is primary or danger")


CHECKS = {"header": _header, "section": _section, "context": _context, "divider": _divider, "actions": _actions}
