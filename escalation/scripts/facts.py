"""The facts that call sheet, script and messages are made of (pure): redacted once, here, so that no template can leak.

Contacts come from the vendor's configuration only, never from what was said in a channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalation.model import AlertContext, AlertDraft, CallPurpose
from escalation.redaction import Redactor, redactor_for
from escalation.scripts.rules_text import rule_lines
from trust_store.anchor_rules import rules_code
from trust_store.model.claim import Authority
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorKind
from trust_store.storage.anchors import proposal_digest
from trust_store.terminal import safe

if TYPE_CHECKING:
    from trust_store.model.claim import Evidence
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Contact

MAX_CONTACTS, MAX_EVIDENCE, MAX_KEYS, MAX_SIGNATURES = 20, 8, 8, 4
MAX_RULE = 600
UNIDENTIFIED = (
    "The matching key comes from someone we cannot identify. Whoever made this package could have written this post."
)
_AUTHORITY = {
    Authority.VENDOR_SITE: "the vendor's own web site",
    Authority.SIGNED_ADVISORY: "an advisory signed by the vendor",
    Authority.STAFF: "someone the forum marks as the vendor's staff",
    Authority.THIRD_PARTY: "a third party, not the vendor",
    Authority.UNAUTHENTICATED: "someone we cannot identify",
}


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key awaiting decision, without anything by which its value could be told.

    ``rules`` is what an approval accepts, a line each, and ``rules_code`` names exactly that to the store.
    """

    anchor_id: str
    name: str
    kind: str
    digest: str
    lengths: tuple[int, ...]
    authority: str
    rules: tuple[str, ...]
    rules_code: str


@dataclass(frozen=True, slots=True)
class SaidFacts:
    """One thing said in a channel: what, where, when, by whom, and on whose word."""

    claim: str
    url: str
    when: str
    author: str
    authority: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """One configured contact, each field on one line."""

    name: str
    phone: str
    mail: str
    portal: str
    hours: str


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """Who signed and what is missing, one signature."""

    scheme: str
    signer: str
    state: str
    missing: str


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """Everything a template may show."""

    alert_id: str
    title: str
    severity: str
    outcome: str
    reason: str
    summary: str
    checked_at: str
    vendor_id: str
    vendor_name: str
    key_name: str
    package_name: str
    package_sha256: str
    package_path: str
    retained_path: str
    config_path: str
    purpose: str
    approvals: int
    rotation_note: str
    first: str
    warning: str
    contacts: tuple[ContactFacts, ...]
    keys: tuple[KeyFacts, ...]
    said: tuple[SaidFacts, ...]
    signatures: tuple[SignatureFacts, ...]
    lines: tuple[str, ...]


def facts_of(alert_id: str, draft: AlertDraft, context: AlertContext) -> ScriptFacts:
    """The facts of one alert; every text from outside is redacted, on one line and free of control characters."""
    redactor, verdict, vendor = redactor_for(context), context.verdict, context.vendor
    purpose = draft.purpose or CallPurpose.INSPECT
    about_key = purpose in (CallPurpose.CONFIRM_KEY, CallPurpose.OBTAIN_KEY)
    return ScriptFacts(
        alert_id=alert_id,
        title=draft.title,
        severity=draft.severity.value,
        outcome=verdict.outcome.value,
        reason=verdict.reason.value,
        summary=draft.summary,
        checked_at=format_time(verdict.checked_at),
        vendor_id=safe(verdict.vendor.id or "", 80),
        vendor_name=redactor.text(vendor.name if vendor else verdict.vendor.id, 80) or "(nobody stated a vendor)",
        key_name=redactor.text(vendor.policy.key_name if vendor else "", 120),
        package_name=redactor.text(verdict.name, 200),
        package_sha256=verdict.sha256 or "",
        package_path=_path(context.package_path or verdict.path, redactor),
        retained_path=_path(context.retained_path, redactor),
        config_path=context.config_path or "",
        purpose=purpose.value,
        approvals=vendor.policy.approvals if vendor else 2,
        rotation_note=redactor.said(context.rotation_note, 400),
        first=draft.first,
        warning=_warning(context) if about_key else "",
        contacts=tuple(_contact(c) for c in (vendor.contacts if vendor else ())[:MAX_CONTACTS]),
        keys=tuple(_key(a, redactor) for a in context.proposals[:MAX_KEYS]) if about_key else (),
        said=tuple(_said(e, redactor) for e in _evidence(context)[:MAX_EVIDENCE]),
        signatures=_signatures(context, redactor),
        lines=draft.lines,
    )


def _evidence(context: AlertContext) -> tuple[Evidence, ...]:
    """What was said; the verdict carries it too where the caller looked it up there."""
    return context.evidence or context.verdict.evidence


def _path(path: str | None, redactor: Redactor) -> str:
    """A path as it is, or nothing where showing it would show a key's fingerprint (then the operator names the file)."""
    return path if path and redactor.clean(path) else ""


def _warning(context: AlertContext) -> str:
    """On whose word the key came, if not on the vendor's."""
    said = {e.authority for e in _evidence(context)} | {_authority(a.authority) for a in context.proposals}
    if not said or any(a.authenticated for a in said):
        return ""
    if said == {Authority.THIRD_PARTY}:
        return "The matching key comes from a third party, not from the vendor."
    return UNIDENTIFIED


def _authority(text: str) -> Authority:
    """An unknown word is the weakest authority."""
    try:
        return Authority(text)
    except ValueError:
        return Authority.UNAUTHENTICATED


def _contact(contact: Contact) -> ContactFacts:
    """The team's own words, unchanged: the number must reach the sheet whole, the name must be found again by the store."""
    return ContactFacts(
        safe(contact.name, 120),
        safe(contact.phone, 80),
        safe(contact.mail, 200),
        safe(contact.portal, 300),
        safe(contact.hours, 120),
    )


def _key(anchor: TrustAnchor, redactor: Redactor) -> KeyFacts:
    openpgp = anchor.kind is AnchorKind.OPENPGP
    name = redactor.text(anchor.name, 200)
    return KeyFacts(
        anchor_id=anchor.id,
        name=name or "(a key without a name)",
        kind="OpenPGP key" if openpgp else "X.509 certificate",
        digest="OpenPGP fingerprint of the primary key" if openpgp else "SHA-256 fingerprint of the certificate",
        lengths=(40, 64) if openpgp else (64,),
        authority=_AUTHORITY[_authority(anchor.authority)],
        rules=tuple(redactor.text(line, MAX_RULE) for line in rule_lines(anchor)),
        rules_code=rules_code(proposal_digest(anchor)),
    )


def _said(evidence: Evidence, redactor: Redactor) -> SaidFacts:
    return SaidFacts(
        claim=redactor.said(evidence.claim, 120),
        url=redactor.url(evidence.url, 400),
        when=format_time(evidence.published)[:10] if evidence.published else "date unknown",
        author=redactor.said(evidence.author, 80) or "author unknown",
        authority=_AUTHORITY[_authority(evidence.authority)],
        excerpt=redactor.said(evidence.excerpt, 400),
    )


def _signatures(context: AlertContext, redactor: Redactor) -> tuple[SignatureFacts, ...]:
    found = []
    for signature in context.verdict.signatures[:MAX_SIGNATURES]:
        missing = signature.missing_issuer
        told = redactor.text(missing.name, 200) or "an issuer without a name" if missing else ""
        if missing and missing.same_name_new_key:
            told += " (we know a root of this name, but with another key)"
        signer = redactor.text(signature.signer.name, 200) if signature.signer else ""
        found.append(
            SignatureFacts(
                safe(signature.scheme, 40),
                signer or "a signer whose key is not at hand",
                f"{safe(signature.integrity, 20)}, {signature.reason.value}",
                told,
            )
        )
    return tuple(found)
