"""libconfig text (libconfig manual, section 3 "Configuration Files") read strictly: what SWUpdate's ``sw-description`` is written in.

Groups become dicts, lists and arrays lists; numbers keep their text, since nothing here counts with them. ``@include`` is refused.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

Value: TypeAlias = "str | bool | list[Value] | dict[str, Value]"
MAX_TEXT_BYTES = 1024 * 1024
MAX_DEPTH = 24
MAX_TOKENS = 200_000
_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | //[^\n]* | /\*(?:[^*]|\*(?!/))*\*/
    | (?P<string>"(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z*][-A-Za-z0-9_*]*)
    | (?P<number>[-+]?\.?[0-9][0-9A-Za-z.+-]*) | (?P<mark>[=:;,{}()\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "a": "\a", "b": "\b", "v": "\v", "\\": "\\", '"': '"'}
_CLOSING = {"(": ")", "[": "]"}


def parse(data: bytes) -> dict[str, Value]:
    """The settings; raises MalformedError, ResourceLimitError, or UnsupportedError for an inclusion. No setting may stand twice."""
    if len(data) > MAX_TEXT_BYTES:
        raise ResourceLimitError(f"libconfig: a text of {len(data)} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("libconfig: not UTF-8") from error
    return _Reader(_tokens(text)).settings(None, 0)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            if text.startswith("@include", position):
                raise UnsupportedError("libconfig: a file that includes others")
            raise MalformedError(f"libconfig: {text[position : position + 20]!a} is no part of the syntax")
        position = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match[0]))
        if len(found) > MAX_TOKENS:
            raise ResourceLimitError(f"libconfig: more than {MAX_TOKENS} tokens")
    return found


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at = tokens, 0

    def settings(self, closing: str | None, depth: int) -> dict[str, Value]:
        """Settings up to ``closing``, or to the end."""
        if depth > MAX_DEPTH:
            raise ResourceLimitError("libconfig: nested too deep")
        found: dict[str, Value] = {}
        while (token := self._next(end=closing is None)) != ("mark", closing):
            if token is None:
                return found
            kind, name = token
            if kind != "word" or name in found:
                raise MalformedError(f"libconfig: {name[:40]!a} is no setting's name, or stands twice")
            if self._next() not in (("mark", "="), ("mark", ":")):
                raise MalformedError(f"libconfig: setting {name[:40]!a} without a value")
            found[name] = self._value(depth)
            if self._peek() in (("mark", ";"), ("mark", ",")):
                self._at += 1
        return found

    def _value(self, depth: int) -> Value:
        token = self._next()
        if token is None:
            raise MalformedError("libconfig: cut short")
        kind, text = token
        if kind == "string":
            return self._string(text)
        if kind == "number":
            return text
        if kind == "word" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if token == ("mark", "{"):
            return self.settings("}", depth + 1)
        if kind == "mark" and text in _CLOSING:
            return self._list(_CLOSING[text], depth + 1)
        raise MalformedError(f"libconfig: {text[:40]!a} is no value")

    def _list(self, closing: str, depth: int) -> list[Value]:
        if depth > MAX_DEPTH:
            raise ResourceLimitError("libconfig: nested too deep")
        found: list[Value] = []
        while self._peek() != ("mark", closing):
            found.append(self._value(depth))
            if self._peek() == ("mark", ","):
                self._at += 1
            elif self._peek() != ("mark", closing):
                raise MalformedError("libconfig: a list whose values no comma parts")
        self._at += 1
        return found

    def _string(self, text: str) -> str:
        """Strings that stand side by side are one."""
        parts = [_unescaped(text)]
        while (token := self._peek()) is not None and token[0] == "string":
            self._at += 1
            parts.append(_unescaped(token[1]))
        return "".join(parts)

    def _peek(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self, *, end: bool = False) -> tuple[str, str] | None:
        token = self._peek()
        if token is None and not end:
            raise MalformedError("libconfig: cut short")
        self._at += 1
        return token


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        said = match[1]
        if said.startswith("x") and len(said) > 1:
            return chr(int(said[1:], 16))
        return _ESCAPED.get(said, match[0])  # libconfig keeps a backslash before anything else

    return _ESCAPE.sub(one, text[1:-1])
