"""Which end entities below an anchor are the vendor's: a known root is not a known signer. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509

from trust_store.chain.extensions import Extensions, read_extensions
from trust_store.chain.named_key import name_of
from trust_store.chain.names import same_name, same_value
from trust_store.decode.distinguished_name import attribute_name
from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import SignerRule, TrustAnchor

_APPLE = "1.2.840.113635.100.6."
"""Apple's extensions that mark what a certificate of its CAs is for."""
_APPLE_NAME = ("O", "Apple Inc.")
_REPEATED = frozenset({"ou", "dc"})
"""Attributes of which a name may have several; of every other one that is stated, a second value is another signer's."""
MAX_SHOWN = 200


def rule_findings(anchor: TrustAnchor, path: tuple[Certificate, ...]) -> list[Finding]:
    """UNEXPECTED_SIGNER unless the anchor's rule names the end entity ``path[0]``: every condition that is stated must hold.

    A CA without a rule names nobody. An end-entity certificate that is itself the anchor needs none, but one that is stated holds.
    """
    rule, signer = anchor.signer_rule, path[0]
    if not rule.stated:
        if len(path) == 1 and not signer.is_ca:
            return []
        return _unexpected(["the anchor is a CA, and nobody said which of its signers are the vendor's"])
    if not rule.conditional:
        return []
    try:
        extensions = read_extensions(signer)
    except (MalformedError, ResourceLimitError) as error:
        return _unexpected([f"what the signer's certificate says of its signer cannot be read: {error}"])
    broken = [*_subject(rule, signer), *_keys(rule, path), *_extensions(rule, path, extensions)]
    return _unexpected(broken)


def key_rule_findings(anchor: TrustAnchor) -> list[Finding]:
    """The same for a key that is the anchor itself: it needs no rule, and one about certificates cannot be met."""
    if not anchor.signer_rule.conditional:
        return []
    return _unexpected(["the anchor's rule is about certificates, and the signer is a key"])


def _subject(rule: SignerRule, signer: Certificate) -> Iterable[str]:
    """RFC 5280 7.1: values are compared without regard to case, width and white space; whole values, never parts of them."""
    for kind, wanted in rule.subject:
        shown = [value for name, value in signer.subject_attributes if attribute_name(name) == attribute_name(kind)]
        if not any(same_value(value, wanted) for value in shown):
            yield f"subject {kind} must be '{wanted}' (RFC 5280 7.1), the signer's is {_listed(shown)}"
    for kind in {attribute_name(kind) for kind, _ in rule.subject} - _REPEATED:
        stated = [value for name, value in rule.subject if attribute_name(name) == kind]
        shown = [value for name, value in signer.subject_attributes if attribute_name(name) == kind]
        if other := [value for value in shown if not any(same_value(value, one) for one in stated)]:
            yield f"subject {kind} has a further value: {_listed(other)}"


def _keys(rule: SignerRule, path: tuple[Certificate, ...]) -> Iterable[str]:
    """Pins are digests of the key as it stands or in its canonical encoding; neither is shown, the vendor reads them out."""
    if rule.spki_sha256 and not _pinned(path[0], rule.spki_sha256):
        yield "the signer's key is none of those pinned for this anchor"
    if rule.issuer_spki_sha256 and not any(_pinned(c, rule.issuer_spki_sha256) for c in path[1:-1]):
        between = [c.subject for c in path[1:-1]]
        yield f"no CA below the anchor has a key that is pinned for it, the path goes over {_listed(between)}"


def _pinned(certificate: Certificate, pins: tuple[str, ...]) -> bool:
    return certificate.spki_sha256 in pins or canonical_spki_sha256(certificate.spki) in pins


def _extensions(rule: SignerRule, path: tuple[Certificate, ...], extensions: Extensions) -> Iterable[str]:
    names = list(extensions.names or ())
    if rule.san and not any(_is_name(kind, value, name) for kind, value in rule.san for name in names):
        wanted = _listed(f"{kind}:{value}" for kind, value in rule.san)
        yield f"a subject alternative name must be {wanted} (RFC 5280 4.2.1.6), the signer's are {_listed(map(_text, names))}"
    if rule.team_id:
        units = [value for kind, value in path[0].subject_attributes if kind == "OU"]
        apple = any(oid.startswith(_APPLE) for oid in extensions.present) or _APPLE_NAME in path[-1].subject_attributes
        if not apple:
            yield "a team id is the OU of a certificate that Apple issued, and this one shows no mark of Apple's CAs"
        elif not any(team in units for team in rule.team_id):
            yield f"the team id must be {_listed(rule.team_id)}, the signer's OU is {_listed(units)}"
    # anyExtendedKeyUsage and anyPolicy name no purpose and no policy: neither fulfils a demand for a certain one.
    if rule.eku and not set(rule.eku) & (extensions.eku or frozenset()):
        yield f"an extended key usage must be {_listed(rule.eku)} (RFC 5280 4.2.1.12), the signer's are {_listed(extensions.eku or ())}"
    if rule.policy and not set(rule.policy) & (extensions.policies or frozenset()):
        yield (
            f"a certificate policy must be {_listed(rule.policy)} (RFC 5280 4.2.1.4), "
            f"the signer's are {_listed(extensions.policies or ())}"
        )


def _is_name(kind: str, wanted: str, name: x509.GeneralName) -> bool:
    """Whether a subject alternative name is the one stated (RFC 5280 7.2 to 7.5); a value that cannot be read is nobody's."""
    try:
        if kind == "dns" and isinstance(name, x509.DNSName):
            return bool(wanted) and name.value.lower().removesuffix(".") == wanted.lower().removesuffix(".")
        if kind == "email" and isinstance(name, x509.RFC822Name):
            return _mailbox(name.value) == _mailbox(wanted)
        if kind == "uri" and isinstance(name, x509.UniformResourceIdentifier):
            return _uri(name.value) == _uri(wanted)
        if kind == "ip" and isinstance(name, x509.IPAddress):
            return name.value == ipaddress.ip_address(wanted)
        if kind == "dn" and isinstance(name, x509.DirectoryName):
            return same_name(name.value.public_bytes(), name_of(wanted))
    except (ValueError, MalformedError):
        return False
    return False


def _mailbox(address: str) -> tuple[str, str]:
    """RFC 5280 7.5: the host without regard to case, the local part exactly; raises ValueError for what is no mailbox."""
    local, at, host = address.rpartition("@")
    if not at or not local or not host:
        raise ValueError("no mailbox")
    return local, host.lower()


def _uri(uri: str) -> tuple[str, str, str]:
    """RFC 5280 7.4: scheme and host without regard to case, the rest exactly; raises ValueError for what is none."""
    parts = urlsplit(uri)
    if not parts.scheme:
        raise ValueError("no URI")
    rest = uri[len(parts.scheme) + 1 :].removeprefix("//").removeprefix(parts.netloc)
    userinfo, at, host = parts.netloc.rpartition("@")
    return parts.scheme.lower(), userinfo + at + host.lower(), rest


def _text(name: x509.GeneralName) -> str:
    value = name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else getattr(name, "value", "")
    return str(value) if not isinstance(value, bytes) else value.hex()


def _listed(values: Iterable[str]) -> str:
    text = ", ".join(f"'{value}'" for value in sorted(values))
    return text[:MAX_SHOWN] if text else "not given"


def _unexpected(sentences: Iterable[str]) -> list[Finding]:
    return [Finding(Reason.UNEXPECTED_SIGNER, sentence) for sentence in sentences]
