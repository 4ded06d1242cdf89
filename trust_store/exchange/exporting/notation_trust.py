"""A trust store and trust policy of notation (Notary Project trust-store-trust-policy.md, version 1.0).

``truststore/x509/ca/<vendor>/*.crt`` and ``trustpolicy.json`` with one policy; its identities are the exact subjects of the signer
rules, or any (``*``) under dedicated CAs. The specification wants C, ST and O in an identity.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trust_store.errors import UsageError
from trust_store.exchange.exporting.encodings import file_name, pem
from trust_store.exchange.exporting.protocol import SIGNER_RULE, VENDOR, ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "notation"
DOC = "a trust store directory and trustpolicy.json for notation"
KINDS = frozenset({AnchorKind.X509})
KEEPS = frozenset({VENDOR, SIGNER_RULE})
SINGLE = False
_MANDATORY = frozenset({"C", "ST", "O"})


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """Certificates below ``truststore/x509`` and one policy, which trusts no identity that a signer rule does not name.

    Raises UsageError for several vendors (an artifact has one policy) and for signer rules that one policy cannot say.
    """
    vendors = {anchor.vendor_id for anchor in anchors}
    if len(vendors) != 1:
        raise UsageError("notation has one policy for an artifact: export one vendor at a time (--vendor)")
    vendor = file_name(vendors.pop())
    kind = "tsa" if context.purpose == "timestamp" else "ca"
    policy = {
        "name": vendor,
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": [f"{kind}:{vendor}"],
        "trustedIdentities": _identities(anchors),
    }
    text = json.dumps({"version": "1.0", "trustPolicies": [policy]}, indent=2) + "\n"
    files = [
        ExportedFile(f"truststore/x509/{kind}/{vendor}/{file_name(a.id)}.crt", pem("CERTIFICATE", a.material).encode())
        for a in anchors
    ]
    return (*files, ExportedFile("trustpolicy.json", text.encode()))


def identity(anchor: TrustAnchor) -> str | None:
    """The signer rule as a trusted identity: ``*``, ``x509.subject: ...``, or None where it cannot be one."""
    rule = anchor.signer_rule
    only_subject = not (
        rule.spki_sha256 or rule.san or rule.issuer_spki_sha256 or rule.team_id or rule.eku or rule.policy
    )
    if rule.dedicated and not rule.conditional:
        return "*"
    names = [name for name, _ in rule.subject]
    if not only_subject or not set(names) >= _MANDATORY or len(names) != len(set(names)):
        return None
    return "x509.subject: " + ",".join(f"{name}={_escape(value)}" for name, value in rule.subject)


def _identities(anchors: Sequence[TrustAnchor]) -> list[str]:
    """What the one policy trusts; it holds for every certificate in it, so that all rules must say the same."""
    stated = {anchor.id: identity(anchor) for anchor in anchors}
    unsaid = next((anchor_id for anchor_id, text in stated.items() if text is None), None)
    if unsaid is not None:
        raise UsageError(
            f"{unsaid}: notation knows only identities with C, ST and O, or every signer of a dedicated CA; leave it out"
        )
    if len(set(stated.values())) > 1:
        raise UsageError("the anchors have different signer rules, which one notation policy cannot tell apart")
    return [text for text in list(stated.values())[:1] if text]


def _escape(text: str) -> str:
    """RFC 4514 2.4, as notation's parser wants it."""
    return "".join("\\" + c if c in '\\,+="<>;#' else c for c in text)
