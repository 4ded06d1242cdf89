"""Whether an anchor's new rules let through no more than its old ones (pure): trust may be lowered at once, never raised so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.distinguished_name import attribute_name
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from trust_store.model.trust_anchor import Constraints, SignerRule, TrustAnchor

_REVOCATION = ("off", "if_available", "required")
_ISSUING_KINDS = frozenset({AnchorKind.X509, AnchorKind.SPKI, AnchorKind.SIGSTORE_ROOT})
_ALTERNATIVES = ("spki_sha256", "san", "issuer_spki_sha256", "team_id", "eku", "policy")


def widened(old: TrustAnchor, new: TrustAnchor) -> tuple[str, ...]:
    """The names of the rules under which ``new`` may let through what ``old`` does not; empty if there is none.

    In doubt a change counts as widening: patterns and names are compared as they are written.
    """
    found = [*_rule(old.signer_rule, new.signer_rule), *_limits(old.constraints, new.constraints)]
    if new.follow_rotation and not old.follow_rotation:
        found.append("follow-rotation")
    return tuple(found)


def inapplicable(anchor: TrustAnchor) -> tuple[str, ...]:
    """The rules of ``anchor`` that speak of certificates below it, where its kind of key issues none."""
    if anchor.kind in _ISSUING_KINDS:
        return ()
    rule, limits = anchor.signer_rule, anchor.constraints
    found = ["signer rule"] if rule.stated else []
    if limits.max_path_length is not None:
        found.append("max-path-length")
    if limits.permitted_names or limits.excluded_names:
        found.append("names")
    return tuple(found)


def _rule(old: SignerRule, new: SignerRule) -> Iterator[str]:
    if new.dedicated and not old.dedicated:
        yield "dedicated"
    elif old.stated and not new.stated:
        yield "signer rule"
    if not old.conditional:
        return  # whatever condition is stated now, it was not asked for before
    # A second value of an attribute lets a signer through that has both, and the old rule did not: see verification.signer_rule.
    old_kinds = {attribute_name(kind) for kind, _ in old.subject}
    added = {attribute_name(kind) for kind, _ in set(new.subject) - set(old.subject)}
    if not set(old.subject) <= set(new.subject) or old_kinds & added:
        yield "signer-subject"
    for name in _ALTERNATIVES:
        if _fewer_limits(getattr(old, name), getattr(new, name)):
            yield name.replace("_", "-")


def _limits(old: Constraints, new: Constraints) -> Iterator[str]:
    for name in ("products", "formats", "digests"):
        if _fewer_limits(getattr(old, name), getattr(new, name)):
            yield name
    if not set(new.purposes) <= set(old.purposes):
        yield "purposes"
    if _earlier(new.valid_from, old.valid_from):
        yield "valid-from"
    for name in ("valid_until", "distrust_after"):
        if _later(getattr(new, name), getattr(old, name)):
            yield name.replace("_", "-")
    if old.max_path_length is not None and (new.max_path_length is None or new.max_path_length > old.max_path_length):
        yield "max-path-length"
    if (new.minimum_rsa_bits or 0) < (old.minimum_rsa_bits or 0):
        yield "minimum-rsa-bits"
    if _REVOCATION.index(new.revocation) < _REVOCATION.index(old.revocation):
        yield "revocation"
    if not set(old.excluded_names) <= set(new.excluded_names):
        yield "excluded names"
    # Subtrees limit only names of their own kind (RFC 5280 4.2.1.10): each kind that was limited stays limited.
    for kind in {k for k, _ in old.permitted_names}:
        if _fewer_limits(_of(old.permitted_names, kind), _of(new.permitted_names, kind)):
            yield f"permitted {kind} names"


def _of(names: Iterable[tuple[str, str]], kind: str) -> tuple[str, ...]:
    return tuple(value for k, value in names if k == kind)


def _fewer_limits(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    """Whether a list of which one entry suffices, and of which an empty one limits nothing, lets more through."""
    return bool(old) and not (new and set(new) <= set(old))


def _earlier(new: datetime | None, old: datetime | None) -> bool:
    return old is not None and (new is None or new < old)


def _later(new: datetime | None, old: datetime | None) -> bool:
    return old is not None and (new is None or new > old)
