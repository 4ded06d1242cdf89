"""An anchor's own constraints: what it may be used for, by whom signed, how strongly, until when (RFC 5914 section 2, RFC 5937). Pure."""

from __future__ import annotations

import ipaddress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cryptography import x509

from trust_store.chain.algorithms import signature_digest
from trust_store.chain.extensions import read_extensions
from trust_store.chain.name_constraints import Subtrees, comparisons, names_of, violation
from trust_store.chain.named_key import name_of
from trust_store.chain.names import same_name
from trust_store.decode.public_keys import rsa_bits
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import Purpose
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import Constraints, TrustAnchor

PACKAGE_PURPOSES = frozenset({Purpose.CODE.value, Purpose.FIRMWARE.value})
"""What an anchor must be for to validate a package; one that is for TLS or timestamps alone never does."""
_UNREADABLE = (MalformedError, ResourceLimitError)


@dataclass(frozen=True, slots=True)
class Use:
    """What an anchor is asked to vouch for: a package, its format, the validation time, when it was signed, with which digest.

    ``signed_at`` holds every time that the signature claims or a timestamp proves, ``shown_at`` the earliest by which somebody other
    than the signer shows that it existed, or policy believes it did. One of ``purposes`` is enough.
    """

    name: str
    container: str | None
    at: datetime
    signed_at: tuple[datetime, ...]
    digest: str
    purposes: frozenset[str] = PACKAGE_PURPOSES
    shown_at: datetime | None = None


def path_scope_findings(
    anchor: TrustAnchor, use: Use, path: tuple[Certificate, ...], budget: SignatureBudget
) -> list[Finding]:
    """OUT_OF_SCOPE for each constraint of the anchor that the package or the path (end entity first, anchor last) breaks."""
    limits = anchor.constraints
    told = _of_use(limits, use)
    # RFC 5280 6.1.4(l): self-issued certificates do not count towards the length of a path.
    intermediates = sum(not same_name(c.subject_der, c.issuer_der) for c in path[1:-1])
    if limits.max_path_length is not None and intermediates > limits.max_path_length:
        told.append(f"{intermediates} intermediates, {limits.max_path_length} are allowed (RFC 5914 2.4)")
    told += _distrusted_since(limits, use, path[:-1])
    told += _weak(limits, [(c.subject, rsa_bits(c.spki)) for c in path])
    told += _digests(limits, [(f"the signature on {c.subject}", signature_digest(c)) for c in path[:-1]])
    found = _findings(anchor, told)
    return found + _names(anchor, path, budget)


def key_scope_findings(anchor: TrustAnchor, use: Use, keys: Iterable[tuple[str, int | None]]) -> list[Finding]:
    """The same for an anchor that is the signer's key itself; ``keys`` are (name, RSA bits or None).

    A constraint about names in certificates cannot be met without any: nobody vouches for the names a bare key comes with.
    """
    limits = anchor.constraints
    told = _of_use(limits, use) + _distrusted_since(limits, use, ()) + _weak(limits, keys)
    if limits.permitted_names or limits.excluded_names:
        told.append("it constrains names in certificates, and the signer is a key without one")
    found = _findings(anchor, told)
    if limits.revocation == "required":
        # Nobody issues revocation lists about a key without a certificate.
        found.append(
            Finding(Reason.REVOCATION_UNKNOWN, "revocation lists are required, and there are none about a bare key")
        )
    return found


def anchor_moments(anchor: TrustAnchor) -> tuple[datetime, ...]:
    """When the anchor itself may begin or cease to count without a decision."""
    limits = anchor.constraints
    moments = (limits.valid_from, limits.valid_until, limits.distrust_after, anchor.effective_from)
    return tuple(moment for moment in moments if moment)


def _findings(anchor: TrustAnchor, told: Iterable[str]) -> list[Finding]:
    return [Finding(Reason.OUT_OF_SCOPE, f"the anchor '{anchor.name[:120]}': {sentence}") for sentence in told]


def _of_use(limits: Constraints, use: Use) -> list[str]:
    told: list[str] = []
    if limits.products and not any(fnmatchcase(use.name, pattern) for pattern in limits.products):
        told.append("it is not for this product")
    if limits.formats and use.container not in limits.formats:
        told.append("it is not for this package format")
    if not use.purposes & set(limits.purposes):
        told.append(f"it is not for signing packages, only for: {', '.join(limits.purposes) or 'nothing'}")
    if limits.valid_from and use.at < limits.valid_from:
        told.append(f"it is accepted only from {format_time(limits.valid_from)} on")
    if limits.valid_until and use.at > limits.valid_until:
        told.append(f"it is not accepted after {format_time(limits.valid_until)}")
    return told + _digests(limits, [("the package's signature", use.digest)])


def _distrusted_since(limits: Constraints, use: Use, below: tuple[Certificate, ...]) -> list[str]:
    """What was issued or signed after ``distrust_after``; every time that is known must lie before it.

    Where nothing is known of the time of signing, the certificates' issue stands for it. Where there is no certificate below the
    anchor, it is shown, or the validation time stands for it: whoever has the key writes any time.
    """
    if limits.distrust_after is None:
        return []
    limit, text = limits.distrust_after, format_time(limits.distrust_after)
    told = [
        f"'{c.subject}' was issued on {format_time(c.not_before)}, after {text}" for c in below if c.not_before > limit
    ]
    times = use.signed_at if below else (*use.signed_at, use.shown_at or use.at)
    late = [at for at in times if at > limit]
    if late:
        told.append(f"signed on {format_time(max(late))}, after {text}")
    return told


def _weak(limits: Constraints, keys: Iterable[tuple[str, int | None]]) -> list[str]:
    least = limits.minimum_rsa_bits
    if least is None:
        return []
    return [
        f"'{name}' has an RSA key of {bits} bits, {least} are asked for"
        for name, bits in keys
        if bits is not None and bits < least
    ]


def _digests(limits: Constraints, used: Iterable[tuple[str, str | None]]) -> list[str]:
    allowed = {_plain(digest) for digest in limits.digests}
    if not allowed:
        return []
    return [
        f"{what} uses {digest or 'a digest that is not known'}, allowed are: {', '.join(limits.digests)}"
        for what, digest in used
        if digest is None or _plain(digest) not in allowed
    ]


def _plain(digest: str) -> str:
    return digest.lower().replace("-", "").replace("_", "")


def _names(anchor: TrustAnchor, path: tuple[Certificate, ...], budget: SignatureBudget) -> list[Finding]:
    """RFC 5937 3.2: the anchor's names are initial-permitted-subtrees and initial-excluded-subtrees of RFC 5280 6.1.1(h), (i)."""
    limits = anchor.constraints
    if not limits.permitted_names and not limits.excluded_names:
        return []
    try:
        subtrees = [
            Subtrees(
                tuple(_general_name(*pair) for pair in limits.permitted_names),
                tuple(_general_name(*pair) for pair in limits.excluded_names),
            )
        ]
    except MalformedError as error:
        return _findings(anchor, [f"its own name constraint cannot be read: {error}"])
    told: list[str] = []
    for index, certificate in enumerate(path[:-1] or path):
        # RFC 5280 6.1.3(b), (c): self-issued certificates are exempt unless they are the end entity's.
        if index and same_name(certificate.subject_der, certificate.issuer_der):
            continue
        try:
            extensions = read_extensions(certificate)
            names = names_of(extensions.names, extensions.email, subtrees)
            if not budget.compare(comparisons(names, subtrees)):
                return [Finding(Reason.RESOURCE_LIMIT, "too many comparisons of names with the anchor's constraints")]
            broken = violation(certificate.subject_der, names, subtrees)
        except _UNREADABLE as error:
            broken = str(error)
        if broken:
            told.append(f"name constraints (RFC 5937 3.2): '{certificate.subject}': {broken}")
    return _findings(anchor, told)


def _general_name(kind: str, value: str) -> x509.GeneralName:
    """One subtree as RFC 5280 4.2.1.10 has it; raises MalformedError for what cannot be read."""
    try:
        if kind == "dns":
            return x509.DNSName(value)
        if kind == "email":
            return x509.RFC822Name(value)
        if kind == "uri":
            return x509.UniformResourceIdentifier(value)
        if kind == "ip":
            return x509.IPAddress(ipaddress.ip_network(value, strict=False))
    except (ValueError, TypeError) as error:
        raise MalformedError(f"{kind} {value[:80]!r}") from error
    if kind == "dn":
        name_of(value)
        return x509.DirectoryName(x509.Name.from_rfc4514_string(value))
    raise MalformedError(f"names of kind {kind[:20]!r}")
