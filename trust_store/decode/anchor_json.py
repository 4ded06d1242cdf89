"""Anchors with every limit as JSON values and back; reading is strict: a missing, unknown or odd field is malformed."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from trust_store.errors import MalformedError
from trust_store.model.identifiers import Identifier, IdentifierKind, format_time, parse_time
from trust_store.model.trust_anchor import (
    AnchorKind,
    AnchorState,
    Constraints,
    SignerRule,
    TrustAnchor,
    TrustBasis,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 8192
MAX_ITEMS = 4096
_ANCHOR_FIELDS = frozenset(
    {
        "id", "vendor", "kind", "name", "key_sha256", "material", "state", "recorded_at", "effective_from", "signer_rule",
        "constraints", "follow_rotation", "identifiers", "authority", "cause", "previous", "successor", "basis",
    }
)  # fmt: skip
_T = TypeVar("_T")


def rule_to_json(rule: SignerRule) -> dict[str, Any]:
    """A signer rule as JSON values."""
    return {name: _plain(value) for name, value in asdict(rule).items()}


def rule_from_json(value: object) -> SignerRule:
    """The rule that ``rule_to_json`` wrote; raises MalformedError."""
    item = _object(value, SignerRule)
    return SignerRule(
        dedicated=_boolean(item["dedicated"]),
        subject=_pairs(item["subject"]),
        spki_sha256=_texts(item["spki_sha256"]),
        san=_pairs(item["san"]),
        issuer_spki_sha256=_texts(item["issuer_spki_sha256"]),
        team_id=_texts(item["team_id"]),
        eku=_texts(item["eku"]),
        policy=_texts(item["policy"]),
    )


def constraints_to_json(constraints: Constraints) -> dict[str, Any]:
    """Constraints as JSON values; times as ``format_time`` writes them."""
    return {name: _plain(value) for name, value in asdict(constraints).items()}


def constraints_from_json(value: object) -> Constraints:
    """The constraints that ``constraints_to_json`` wrote; raises MalformedError."""
    item = _object(value, Constraints)
    return Constraints(
        products=_texts(item["products"]),
        formats=_texts(item["formats"]),
        purposes=_texts(item["purposes"]),
        valid_from=_optional(item["valid_from"], _time),
        valid_until=_optional(item["valid_until"], _time),
        distrust_after=_optional(item["distrust_after"], _time),
        max_path_length=_optional(item["max_path_length"], _number),
        permitted_names=_pairs(item["permitted_names"]),
        excluded_names=_pairs(item["excluded_names"]),
        minimum_rsa_bits=_optional(item["minimum_rsa_bits"], _number),
        digests=_texts(item["digests"]),
        revocation=_text(item["revocation"]),
    )


def anchor_to_json(anchor: TrustAnchor) -> dict[str, Any]:
    """One anchor, whole; ``material`` in base64."""
    return {
        "id": anchor.id,
        "vendor": anchor.vendor_id,
        "kind": anchor.kind.value,
        "name": anchor.name,
        "key_sha256": anchor.key_sha256,
        "material": base64.b64encode(anchor.material).decode(),
        "state": anchor.state.value,
        "recorded_at": format_time(anchor.recorded_at),
        "effective_from": format_time(anchor.effective_from),
        "signer_rule": rule_to_json(anchor.signer_rule),
        "constraints": constraints_to_json(anchor.constraints),
        "follow_rotation": anchor.follow_rotation,
        "identifiers": [[i.kind.value, i.value] for i in sorted(set(anchor.identifiers))],
        "authority": anchor.authority,
        "cause": anchor.cause,
        "previous": anchor.previous,
        "successor": anchor.successor,
        "basis": anchor.basis.value,
    }


def anchor_from_json(value: object) -> TrustAnchor:
    """The anchor that ``anchor_to_json`` wrote; raises MalformedError, also where material and digest disagree."""
    item = _keys(value, _ANCHOR_FIELDS)
    material = _base64(item["material"])
    if hashlib.sha256(material).hexdigest() != item["key_sha256"]:
        raise MalformedError("anchor: the digest is not that of the material")
    try:
        return TrustAnchor(
            id=_text(item["id"]),
            vendor_id=_text(item["vendor"]),
            kind=AnchorKind(_text(item["kind"])),
            name=_text(item["name"]),
            key_sha256=_text(item["key_sha256"]),
            material=material,
            state=AnchorState(_text(item["state"])),
            recorded_at=_time(item["recorded_at"]),
            effective_from=_time(item["effective_from"]),
            signer_rule=rule_from_json(item["signer_rule"]),
            constraints=constraints_from_json(item["constraints"]),
            follow_rotation=_boolean(item["follow_rotation"]),
            identifiers=tuple(Identifier(IdentifierKind(k), v) for k, v in _pairs(item["identifiers"])),
            authority=_text(item["authority"]),
            cause=_optional(item["cause"], _text),
            previous=_optional(item["previous"], _text),
            successor=_optional(item["successor"], _text),
            basis=TrustBasis(_text(item["basis"])),
        )
    except ValueError as error:
        raise MalformedError(f"anchor: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return format_time(value) if isinstance(value, datetime) else value


def _object(value: object, shape: type[SignerRule] | type[Constraints]) -> dict[str, Any]:
    return _keys(value, frozenset(f.name for f in fields(shape)))


def _keys(value: object, names: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise MalformedError("anchor: a field is missing or unknown")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise MalformedError("anchor: a text is missing or too long")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise MalformedError("anchor: true or false is wanted")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise MalformedError("anchor: a number is out of its range")
    return value


def _time(value: object) -> datetime:
    try:
        return parse_time(_text(value))
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"anchor: {error}") from error


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise MalformedError("anchor: a list is missing or too long")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in _list(value))


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in _list(value):
        if len(_list(item)) != 2:
            raise MalformedError("anchor: a pair is wanted")
        pairs.append((_text(item[0]), _text(item[1])))
    return tuple(pairs)


def _optional(value: object, read: Callable[[object], _T]) -> _T | None:
    return None if value is None else read(value)


def _base64(value: object) -> bytes:
    try:
        if not isinstance(value, str):
            raise MalformedError("anchor: material is base64 text")
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("anchor: material is not base64") from error
