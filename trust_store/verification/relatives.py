"""Anchors that are like an issuer nobody vouches for: what to look at first when a root is missing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.named_key import same_key
from trust_store.chain.names import same_name, same_value
from trust_store.decode.x509 import issuer_attributes, load_certificate
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.verdict import MissingIssuer, Relative

if TYPE_CHECKING:
    from trust_store.chain.building import PathSearch, SignatureBudget
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.trust_view import TrustView

SAME_NAME, SAME_KEY, SIBLING = "same_name_new_key", "same_key_new_certificate", "sibling"
_ORDER = (SAME_NAME, SAME_KEY, SIBLING)
MAX_RELATIVES = 8
MAX_LOOKED_AT = 1000
MAX_KEYS_TRIED = 32
"""Public-key operations spent on finding an anchor whose key, under another name, made the signature."""


def missing_issuer(search: PathSearch, view: TrustView, budget: SignatureBudget) -> MissingIssuer | None:
    """The issuer of the topmost certificate that was reached, with its nearest relatives; None where nothing is missing."""
    top = search.missing
    if top is None:
        return None
    identifier = top.authority_key_identifier or (top.subject_key_identifier if top.self_issued else None)
    return MissingIssuer(
        name=top.issuer,
        authority_key_identifier=identifier,
        same_name_new_key=search.same_name_new_key,
        relatives=relatives(top, view, budget),
    )


def relatives(top: Certificate, view: TrustView, budget: SignatureBudget) -> tuple[Relative, ...]:
    """Anchors in any state that have the name, or the key, of the issuer of ``top``, or belong beside it; the nearest first.

    They are pointers for people. None of them vouches for anything.
    """
    found: list[tuple[int, Relative]] = []
    tried = 0
    for anchor in view.anchors[:MAX_LOOKED_AT]:
        certificate = _certificate(anchor)
        if certificate is None:
            continue
        kind = _kind(top, certificate)
        if kind in (None, SIBLING) and tried < MAX_KEYS_TRIED and _may_have_made(top, certificate):
            tried += 1
            kind = SAME_KEY if budget.holds(certificate, top) else kind
        if kind is not None:
            found.append((_ORDER.index(kind), Relative(anchor.id, anchor.name, anchor.state.value, kind)))
    found.sort(key=lambda pair: pair[0])
    return tuple(relative for _, relative in found[:MAX_RELATIVES])


def _kind(top: Certificate, known: Certificate) -> str | None:
    # A self-issued certificate is its own missing issuer: its key is at hand.
    if top.self_issued and same_key(top.spki, known.spki):
        return SAME_KEY
    if same_name(top.issuer_der, known.subject_der):
        return SAME_NAME
    if same_name(top.issuer_der, known.issuer_der) or _same_organisation(top, known):
        return SIBLING
    return None


def _may_have_made(top: Certificate, known: Certificate) -> bool:
    """A key identifier is a hint, good enough to say which key is worth trying."""
    wanted = top.authority_key_identifier
    return wanted is not None and wanted == known.subject_key_identifier


def _same_organisation(top: Certificate, known: Certificate) -> bool:
    try:
        wanted = [value for kind, value in issuer_attributes(top.der) if kind == "O"]
    except MalformedError:
        return False
    have = [value for kind, value in known.subject_attributes if kind == "O"]
    return any(same_value(one, other) for one in wanted for other in have)


def _certificate(anchor: TrustAnchor) -> Certificate | None:
    if anchor.kind is not AnchorKind.X509:
        return None
    try:
        return load_certificate(anchor.material)
    except (MalformedError, ResourceLimitError):
        return None
