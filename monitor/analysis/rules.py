"""The rules of ``rules.toml``, compiled: which phrase speaks for or against a change of a signing key, how strongly, and why."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import re2

from trust_store.model.claim import ClaimKind

_MAX_PROGRAM_BYTES = 64 << 20
_PLACEHOLDER = re.compile(r"<([A-Z]+)(\d*)>")


@dataclass(frozen=True, slots=True)
class Rule:
    """``weight`` > 0 speaks for a change of kind ``kind``, < 0 against it.

    ``place``: ``any``, ``item`` (list entries, headings and titles only) or ``text`` (everything else). ``also``: a second expression
    that must match the same sentence, None if there is none.
    """

    name: str
    weight: float
    pattern: Any
    why: str
    kind: ClaimKind
    place: str
    also: Any


def _expand(pattern: str, words: dict[str, str]) -> str:
    """The pattern on one line with its word groups filled in; ``<W3>`` is a gap of at most three words."""
    joined = "".join(line.strip() if line[:2] != " (" else line.rstrip() for line in pattern.split("\n"))

    def group(match: re.Match[str]) -> str:
        if match.group(1) == "W":
            return "(?: [^ ;?!]{1,40}){0," + match.group(2) + "}"
        return words[match.group(1)]

    return _PLACEHOLDER.sub(group, joined)


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_PROGRAM_BYTES
    options.never_capture = True
    return re2.compile(pattern, options)


def _load() -> tuple[dict[str, tuple[Rule, ...]], Rule]:
    data = tomllib.loads(files("monitor.analysis").joinpath("rules.toml").read_text(encoding="utf-8"))
    words: dict[str, str] = {}
    for name, pattern in data["words"].items():
        words[name] = _expand(pattern, words)

    def rule(row: dict[str, Any]) -> Rule:
        also = _compile(_expand(row["also"], words)) if "also" in row else None
        kind = ClaimKind(row.get("kind", "rotated"))
        return Rule(
            row["name"],
            row["weight"],
            _compile(_expand(row["pattern"], words)),
            row["why"],
            kind,
            row.get("place", "any"),
            also,
        )

    return {part: tuple(rule(row) for row in data[part]) for part in ("for", "cue", "against")}, rule(data["host_key"])


_PARTS, HOST_KEY = _load()
FOR, CUES, AGAINST = _PARTS["for"], _PARTS["cue"], _PARTS["against"]
