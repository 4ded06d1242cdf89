"""Which end entities below an anchor are the vendor's: a known root is not a known signer. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor


def rule_findings(anchor: TrustAnchor, path: tuple[Certificate, ...]) -> list[Finding]:
    """UNEXPECTED_SIGNER unless the anchor's rule names the end entity ``path[0]``.

    A CA without a rule names nobody. An end-entity certificate that is itself the anchor needs none, but one that is stated holds.
    """
    rule, signer = anchor.signer_rule, path[0]
    if rule.dedicated:
        return []
    if not rule.stated:
        if len(path) == 1 and not signer.is_ca:
            return []
        return _unexpected("the anchor is a CA, and nobody said which of its signers are the vendor's")
    if rule.spki_sha256 and signer.spki_sha256 not in rule.spki_sha256:
        return _unexpected("the signer's key is none of those pinned for this anchor")
    # Exact pairs, every one: a name that merely contains the vendor's belongs to anybody.
    if any(pair not in signer.subject_attributes for pair in rule.subject):
        return _unexpected("the signer's name is not the one stated for this anchor")
    return []


def key_rule_findings(anchor: TrustAnchor) -> list[Finding]:
    """The same for a key that is the anchor itself: it needs no rule, and one about certificates cannot be met."""
    rule = anchor.signer_rule
    if rule.dedicated or not rule.stated:
        return []
    return _unexpected("the anchor's rule is about certificates, and the signer is a key")


def _unexpected(sentence: str) -> list[Finding]:
    return [Finding(Reason.UNEXPECTED_SIGNER, sentence)]
