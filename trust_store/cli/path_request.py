"""From one batch line to a ``PathQuestion``: every key known, every type strict, so that no demand is silently left out."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from trust_store.chain.extensions import ANY_POLICY
from trust_store.chain.peer_names import KINDS, PeerName
from trust_store.chain.policies import PolicyInputs
from trust_store.chain.question import PathQuestion
from trust_store.chain.validation import KEY_USAGES, PURPOSES, ValidationParameters
from trust_store.cli.json_line import read_question
from trust_store.errors import MalformedError, ResourceLimitError, UsageError
from trust_store.model.identifiers import parse_time
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_ITEMS = 4096
"""Certificates, purposes or policies in one list."""
EKUS = {
    "anyExtendedKeyUsage": "2.5.29.37.0",
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
}
"""Names of RFC 5280 section 4.2.1.12 -> OID."""
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,31}\Z")
_KEYS = frozenset(
    ["leaf", "intermediates", "anchors", "crls", "at", "purpose", "name", "eku", "key_usage", "max_depth", "policies"]
)


def parse_line(line: bytes) -> tuple[str | int | float | None, dict[str, Any] | MalformedError]:
    """The line's id (None where it has no usable one) and its content, or why it is no request."""
    try:
        return read_question(line)
    except UsageError as error:
        return None, MalformedError(str(error))


def parse_question(asked: dict[str, Any], now: datetime) -> PathQuestion:
    """The question of a line; null stands for absent. Raises MalformedError naming what is wrong, ResourceLimitError for too much."""
    given = {key: value for key, value in asked.items() if value is not None}
    if unknown := sorted(set(asked) - _KEYS):
        raise MalformedError(f"unknown key {safe(unknown[0], 60)!r}")
    for key in ("leaf", "anchors"):
        if key not in given:
            raise MalformedError(f"{key!r} is missing")
    parameters = ValidationParameters(
        at=_time(given["at"]) if "at" in given else now,
        purpose=_purpose(given.get("purpose", "any")),
        name=_name(given["name"]) if "name" in given else None,
        eku=tuple(_eku(item) for item in _texts(given, "eku")),
        key_usage=tuple(_key_usage(item) for item in _texts(given, "key_usage")),
        max_depth=_depth(given["max_depth"]) if "max_depth" in given else None,
        policies=_policies(given.get("policies", {})),
        profile=True,
    )
    found = {key: tuple(_pem(item, key) for item in _texts(given, key)) for key in ("anchors", "intermediates", "crls")}
    for key, items in found.items():
        require_few(items, repr(key))
    return PathQuestion(
        _pem(given["leaf"], "leaf"), found["anchors"], parameters, found["intermediates"], found["crls"]
    )


def require_few(items: Iterable[bytes], what: str) -> None:
    """Raises ResourceLimitError for more certificates or lists than are looked at: what is left out could be on the path."""
    if sum(max(1, data.count(b"-----BEGIN ")) for data in items) > MAX_ITEMS:
        raise ResourceLimitError(f"{what}: more than {MAX_ITEMS} items")


def peer_name(kind: str, value: str) -> PeerName:
    """A name to look for; raises MalformedError for an address that is none and for an empty name."""
    if kind not in KINDS:
        raise MalformedError(f"'kind' must be one of {', '.join(KINDS)}")
    if not value:
        raise MalformedError("the name is empty")
    if kind == "ip":
        try:
            ipaddress.ip_address(value)
        except ValueError as error:
            raise MalformedError(f"{safe(value, 60)!r} is no IP address") from error
    return PeerName(kind, value)


def _texts(given: dict[str, Any], key: str) -> list[str]:
    found = given.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise MalformedError(f"{key!r} must be a list of strings")
    if len(found) > MAX_ITEMS:
        raise ResourceLimitError(f"{key!r}: more than {MAX_ITEMS} items")
    return found


def _pem(value: object, key: str) -> bytes:
    if not isinstance(value, str):
        raise MalformedError(f"{key!r} must be PEM text")
    return value.encode(errors="replace")


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise MalformedError("'at' must be a string")
    try:
        return parse_time(value)
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"'at': {safe(str(error), 120)}") from error


def _purpose(value: object) -> str:
    if not isinstance(value, str) or value not in PURPOSES:
        raise MalformedError(f"'purpose' must be one of {', '.join(PURPOSES)}")
    return value


def _name(value: object) -> PeerName:
    if not isinstance(value, dict) or set(value) != {"kind", "value"}:
        raise MalformedError("'name' must have 'kind' and 'value', and nothing else")
    kind, text = value["kind"], value["value"]
    if not isinstance(kind, str) or not isinstance(text, str):
        raise MalformedError("'kind' and 'value' must be strings")
    return peer_name(kind, text)


def _eku(value: str) -> str:
    if value in EKUS:
        return EKUS[value]
    if _OID.match(value):
        return value
    raise MalformedError(f"'eku': {safe(value, 60)!r} is neither a dotted OID nor one of {', '.join(EKUS)}")


def _key_usage(value: str) -> str:
    if value in KEY_USAGES:
        return KEY_USAGES[value]
    raise MalformedError(f"'key_usage': {safe(value, 60)!r} is not one of {', '.join(KEY_USAGES)}")


def _depth(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedError("'max_depth' must be a number of intermediates, 0 or more")
    return value


def _policies(value: object) -> PolicyInputs:
    """RFC 5280 section 6.1.1(c), (e)-(g)."""
    names = {"require_explicit", "inhibit_mapping", "inhibit_any"}
    if not isinstance(value, dict) or not set(value) <= {"initial_set", *names}:
        raise MalformedError(f"'policies' may have initial_set, {', '.join(sorted(names))}, and nothing else")
    given = {key: item for key, item in value.items() if item is not None}
    if not all(isinstance(given.get(name, False), bool) for name in names):
        raise MalformedError(f"{', '.join(sorted(names))} must be true or false")
    initial = [ANY_POLICY if item == "anyPolicy" else item for item in _texts(given, "initial_set")]
    if not all(_OID.match(item) for item in initial):
        raise MalformedError("'initial_set' must be a list of dotted OIDs")
    return PolicyInputs(frozenset(initial), **{name: given.get(name, False) for name in names})
