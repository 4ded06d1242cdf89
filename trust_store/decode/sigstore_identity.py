"""What may stand as an expected sigstore identity: an issuer, and a subject alternative name, exact or as an anchored pattern.

A pattern begins with ``^`` and ends with ``$``; it must be one that RE2 takes and must pin whose identities it matches by a literal
beginning (``https://host/owner...``) or a literal end (``@domain``): a catch-all trusts everybody who can log in somewhere.
"""

from __future__ import annotations

import json
import re

from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, UnsupportedError

MAX_ISSUER_CHARACTERS = 500
MAX_IDENTITY_CHARACTERS = 1000
_META = frozenset(".[](){}*+?|^$")
_ISSUER = re.compile(r"https://[a-z0-9.-]+(?::\d{1,5})?(?:/[!-~]*)?")
_PINNED_START = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+/[A-Za-z0-9_.-]+/")
_PINNED_END = re.compile(r"@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def is_pattern(identity: str) -> bool:
    """Whether the identity is a pattern; no exact one begins so."""
    return identity.startswith("^")


def canonical_identity(issuer: str, identity: str) -> bytes:
    """The one encoding of both: JSON with sorted keys and no blanks, in UTF-8."""
    said = {"identity": identity, "issuer": issuer}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "surrogatepass")


def identity_of(material: bytes) -> tuple[str, str]:
    """(issuer, identity) of what ``canonical_identity`` wrote; raises MalformedError."""
    said = parse_object(material)
    issuer, identity = said.get("issuer"), said.get("identity")
    if set(said) != {"issuer", "identity"} or not isinstance(issuer, str) or not isinstance(identity, str):
        raise MalformedError("no sigstore identity")
    return issuer, identity


def require_identity(issuer: str, identity: str) -> None:
    """Raise MalformedError or UnsupportedError unless both may stand in an anchor."""
    if len(issuer) > MAX_ISSUER_CHARACTERS or not _ISSUER.fullmatch(issuer):
        raise MalformedError("an issuer is the https address of an identity provider")
    if not 0 < len(identity) <= MAX_IDENTITY_CHARACTERS or not identity.isprintable() or identity != identity.strip():
        raise MalformedError(f"an identity is printable text of at most {MAX_IDENTITY_CHARACTERS} characters")
    if is_pattern(identity):
        _require_pattern(identity)
    elif "@" not in identity and "://" not in identity:
        raise MalformedError("an identity is a mail address, an address, or a pattern from ^ to $")
    elif identity.endswith("$") or "*" in identity:
        raise MalformedError("this looks like a pattern: write it from ^ to $")


def _require_pattern(identity: str) -> None:
    body = identity[1:-1]
    if not identity.endswith("$") or len(identity) < 3 or (len(body) - len(body.rstrip("\\"))) % 2:
        raise MalformedError("a pattern begins with ^ and ends with $")
    if "(?" in body or "\\Q" in body:
        raise UnsupportedError("a pattern with flags, groups of other kinds or quoting is not taken")
    if _has_open_alternative(body):
        raise MalformedError("an alternative outside a group escapes the pattern's ends")
    from re2 import Options, error
    from re2 import compile as compile_re2

    options = Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        compile_re2(identity, options)
    except error as refused:
        raise MalformedError(f"no pattern that RE2 takes: {str(refused)[:200]}") from refused
    if not _PINNED_START.match(_literal_start(body)) and not _PINNED_END.fullmatch(_literal_end(body)):
        raise MalformedError(
            "a pattern must say literally whose it is: begin with scheme, host and owner (https://github\\.com/owner/), or end with @domain"
        )


def _has_open_alternative(body: str) -> bool:
    """Whether ``|`` stands outside every group and class."""
    depth, position, in_class = 0, 0, False
    while position < len(body):
        character = body[position]
        if character == "\\":
            position += 2
            continue
        if in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
            position += body[position + 1 : position + 3].startswith("^]") + (
                body[position + 1 : position + 2] in ("]", "^")
            )
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            return True
        position += 1
    return False


def _literal_start(body: str) -> str:
    """The characters that every match begins with."""
    found: list[str] = []
    position = 0
    while position < len(body):
        character = body[position]
        if character == "\\":
            character = body[position + 1 : position + 2]
            if not character or character.isalnum():  # a class such as \d
                break
            position += 1
        elif character in _META:
            break
        found.append(character)
        position += 1
    if found and body[position : position + 1] in ("*", "?", "{", "+"):
        found.pop()  # the last one need not be there, or more than once
    return "".join(found)


def _literal_end(body: str) -> str:
    """The last ``@`` and what is literal after it to the end; nothing where anything after it is not."""
    tail = body[body.rfind("@") :] if "@" in body else ""
    literal = _literal_start(tail)
    return literal if len(literal) + tail.count("\\") == len(tail) else ""
