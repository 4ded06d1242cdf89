"""Anchors with every limit as JSON values and back; reading is strict: a missing, unknown or odd field is malformed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from trust_store.decode.json_values import (
    boolean,
    list_of,
    moment,
    natural,
    object_of,
    octets,
    optional,
    row_of,
    text,
)
from trust_store.errors import MalformedError
from trust_store.model.identifiers import Identifier, IdentifierKind, format_time
from trust_store.model.trust_anchor import (
    AnchorKind,
    AnchorState,
    Constraints,
    SignerRule,
    TrustAnchor,
    TrustBasis,
)

_ANCHOR_FIELDS = frozenset(
    {
        "id", "vendor", "kind", "name", "key_sha256", "material", "state", "recorded_at", "effective_from", "signer_rule",
        "constraints", "follow_rotation", "identifiers", "authority", "cause", "previous", "successor", "basis",
    }
)  # fmt: skip


def rule_to_json(rule: SignerRule) -> dict[str, Any]:
    """A signer rule as JSON values."""
    return {name: _plain(value) for name, value in asdict(rule).items()}


def rule_from_json(value: object) -> SignerRule:
    """The rule that ``rule_to_json`` wrote; raises MalformedError."""
    item = _object(value, SignerRule)
    return SignerRule(
        dedicated=boolean(item["dedicated"]),
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
        valid_from=optional(item["valid_from"], moment),
        valid_until=optional(item["valid_until"], moment),
        distrust_after=optional(item["distrust_after"], moment),
        max_path_length=optional(item["max_path_length"], natural),
        permitted_names=_pairs(item["permitted_names"]),
        excluded_names=_pairs(item["excluded_names"]),
        minimum_rsa_bits=optional(item["minimum_rsa_bits"], natural),
        digests=_texts(item["digests"]),
        revocation=text(item["revocation"]),
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
    item = object_of(value, _ANCHOR_FIELDS)
    material = octets(item["material"])
    if hashlib.sha256(material).hexdigest() != item["key_sha256"]:
        raise MalformedError("anchor: the digest is not that of the material")
    try:
        return TrustAnchor(
            id=text(item["id"]),
            vendor_id=text(item["vendor"]),
            kind=AnchorKind(text(item["kind"])),
            name=text(item["name"]),
            key_sha256=text(item["key_sha256"]),
            material=material,
            state=AnchorState(text(item["state"])),
            recorded_at=moment(item["recorded_at"]),
            effective_from=moment(item["effective_from"]),
            signer_rule=rule_from_json(item["signer_rule"]),
            constraints=constraints_from_json(item["constraints"]),
            follow_rotation=boolean(item["follow_rotation"]),
            identifiers=tuple(Identifier(IdentifierKind(k), v) for k, v in _pairs(item["identifiers"])),
            authority=text(item["authority"]),
            cause=optional(item["cause"], text),
            previous=optional(item["previous"], text),
            successor=optional(item["successor"], text),
            basis=TrustBasis(text(item["basis"])),
        )
    except ValueError as error:
        raise MalformedError(f"anchor: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return format_time(value) if isinstance(value, datetime) else value


def _object(value: object, shape: type[SignerRule] | type[Constraints]) -> dict[str, Any]:
    return object_of(value, frozenset(f.name for f in fields(shape)))


def _texts(value: object) -> tuple[str, ...]:
    return list_of(value, text)


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    pairs = list_of(value, lambda item: row_of(item, 2))
    return tuple((text(first), text(second)) for first, second in pairs)
