"""The rules under which a key would be accepted, a line each, for whoever approves them (pure).

What puts no limit is said as well: an approver has to see that any product would do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.trust_anchor import Constraints, SignerRule, TrustAnchor

_ISSUING = frozenset({AnchorKind.X509, AnchorKind.SPKI})
_REVOCATION = {
    "off": "whether a certificate was revoked is not looked at",
    "required": "a certificate counts only where a current list or answer says that it was not revoked",
}


def rule_lines(anchor: TrustAnchor) -> tuple[str, ...]:
    """Whose signatures would count under ``anchor``, and for what."""
    lines = _signer_lines(anchor.signer_rule) if anchor.kind in _ISSUING else ["whose signatures count: the key's own"]
    lines += _limit_lines(anchor.constraints)
    if anchor.follow_rotation:
        lines.append("keys that this key's owner introduces with it count as well (follow_rotation)")
    return tuple(lines)


def _signer_lines(rule: SignerRule) -> list[str]:
    if not rule.stated:
        return ["whose signatures count: nobody said so; a CA cannot be approved before (rootwarden anchor constrain)"]
    conditions = (
        ("subject", _pairs(rule.subject)),
        ("alternative name", _pairs(rule.san)),
        ("public key", rule.spki_sha256),
        ("public key of an issuing CA", rule.issuer_spki_sha256),
        ("Apple team", rule.team_id),
        ("extended key usage", rule.eku),
        ("certificate policy", rule.policy),
    )
    lines = (
        ["whose signatures count: everybody's to whom this CA gave a certificate (dedicated)"] if rule.dedicated else []
    )
    return lines + [f"signers must have the {what}: {', '.join(values)}" for what, values in conditions if values]


def _limit_lines(limits: Constraints) -> list[str]:
    lines = [
        f"products: {', '.join(limits.products) or 'any'}",
        f"formats: {', '.join(limits.formats) or 'any'}",
        f"purposes: {', '.join(limits.purposes)}",
    ]
    bounds = (
        ("counts from", format_time(limits.valid_from) if limits.valid_from else ""),
        ("counts until", format_time(limits.valid_until) if limits.valid_until else ""),
        ("nothing made or issued counts after", format_time(limits.distrust_after) if limits.distrust_after else ""),
        ("CA certificates below it at most", "" if limits.max_path_length is None else str(limits.max_path_length)),
        ("only for the names", ", ".join(_pairs(limits.permitted_names))),
        ("never for the names", ", ".join(_pairs(limits.excluded_names))),
        ("RSA keys of at least", f"{limits.minimum_rsa_bits} bits" if limits.minimum_rsa_bits else ""),
        ("only with the digests", ", ".join(limits.digests)),
        ("revocation", _REVOCATION.get(limits.revocation, "")),
    )
    return lines + [f"{what}: {value}" for what, value in bounds if value]


def _pairs(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{kind}={value}" for kind, value in pairs)
