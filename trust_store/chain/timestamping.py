"""What an RFC 3161 time-stamp token, or a countersignature, proves about a signature: that its value existed by a certain time. Pure.

A token proves nothing about who signed or what, and nothing about a time before. The time-stamp authority (TSA) must have a path to
an anchor that is trusted for timestamps at the time that the token states: a TSA's certificate that has expired since leaves its
older tokens good, as long as its key is not known to be compromised and the digests in use are strong. So no archive timestamps
(RFC 4998) are needed, and none are read: a digest or a key that becomes weak ends the proof of every token made with it.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store.chain.building import find_paths
from trust_store.chain.extensions import read_extensions
from trust_store.chain.names import same_name
from trust_store.chain.validation import PathProblem, ValidationParameters, validate_path
from trust_store.decode.countersignature import parse_countersignature
from trust_store.decode.public_keys import verifies, verifies_message
from trust_store.decode.timestamp_token import ID_CT_TST_INFO, parse_token
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.trust_anchor import Purpose
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.decode import cms
    from trust_store.decode.timestamp_token import TimestampToken
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor

    Objections = Callable[[TrustAnchor, tuple[Certificate, ...], TimestampToken], Iterable[PathProblem]]
    """What else there is against an anchor, the path to it (TSA first, anchor last) and a token that is good so far."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far a TSA's clock may be ahead of the one here, its stated accuracy apart."""
STRONG_DIGESTS = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"})
MAX_SIGNER_CANDIDATES = 8
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"


@dataclass(frozen=True, slots=True)
class ProvenTime:
    """``at`` is genTime as stated, None where the token cannot be read. ``latest``, genTime and its accuracy, is set if it is proven.

    What was stamped existed before ``latest``. ``problems`` say why nothing is proven; ``anchor`` is the one the TSA's path ends at.
    """

    at: datetime | None
    latest: datetime | None
    problems: tuple[PathProblem, ...]
    anchor: TrustAnchor | None = None


def prove(
    token: bytes,
    signature_value: bytes,
    tsa_anchors: Sequence[tuple[TrustAnchor, Certificate]],
    untrusted: Iterable[Certificate],
    *,
    at: datetime,
    budget: SignatureBudget,
    objections: Objections,
    critical: bool = True,
) -> ProvenTime:
    """When ``signature_value`` provably existed, asked ``at`` (aware); never raises for what stands in the token.

    ``critical`` False lets the authority's extended key usage be one that is not, as Microsoft's was until 2022.

    ``tsa_anchors`` whose constraints do not name the purpose ``timestamp`` are left out. ``objections`` are the caller's: revocation,
    tombstones, states and further constraints, for each path that holds otherwise.
    """
    # (1) The token is one CMS SignedData around a TSTInfo (RFC 3161 2.4.2).
    try:
        parsed = parse_token(token)
    except READ_ERRORS as error:
        return ProvenTime(None, None, (_unreadable(error),))
    stated = parsed.info.generated_at
    # (2) to (6) What the token is over, and that it is signed.
    problems = [*_imprint(parsed, signature_value), *_signed_content(parsed), *_time(parsed, at)]
    if problems:
        return ProvenTime(stated, None, tuple(problems))
    certificates = [*readable(parsed.certificates), *untrusted]
    signers = _signers(parsed, certificates, budget)
    if isinstance(signers, PathProblem):
        return ProvenTime(stated, None, (signers,))
    parameters = ValidationParameters(at=stated, purpose="timestamping")
    if not critical and all(purposes(signer) == {TIME_STAMPING} for signer in signers):
        parameters = _for_time_stamping(stated)
    return _proven(parsed, signers, tsa_anchors, certificates, budget, objections, parameters)


def prove_countersignature(
    countersignature: bytes,
    signature_value: bytes,
    tsa_anchors: Sequence[tuple[TrustAnchor, Certificate]],
    untrusted: Iterable[Certificate],
    *,
    at: datetime,
    budget: SignatureBudget,
    objections: Objections,
) -> ProvenTime:
    """The same for a PKCS #9 countersignature as Authenticode has them: a SignerInfo, over the value, whose signing time is signed.

    Who makes it must be a time-stamp authority by certificate and anchor, as for a token; RFC 3161's demand that its certificate be for
    nothing else is younger than the oldest of them.
    """
    # (1) One SignerInfo with a signed time.
    try:
        parsed = parse_countersignature(countersignature)
    except READ_ERRORS as error:
        return ProvenTime(None, None, (_unreadable(error),))
    stated = parsed.info.generated_at
    # (2) messageDigest is over the value (RFC 5652 11.4), and a strong one; (5) the time has come.
    problems = [*_imprint(parsed, signature_value), *_time(parsed, at)]
    if problems:
        return ProvenTime(stated, None, tuple(problems))
    # (6) The certificate that it names made it, and is stated to be for time stamping.
    certificates = list(untrusted)
    signers = _signers(parsed, certificates, budget)
    if isinstance(signers, PathProblem):
        return ProvenTime(stated, None, (signers,))
    authorities = [signer for signer in signers if TIME_STAMPING in purposes(signer)]
    if not authorities:
        problem = PathProblem(
            Reason.PATH_INVALID, "timestamp: the countersigner's certificate is not for time stamping"
        )
        return ProvenTime(stated, None, (problem,))
    parameters = _for_time_stamping(stated)
    return _proven(parsed, authorities, tsa_anchors, certificates, budget, objections, parameters)


def _for_time_stamping(at: datetime) -> ValidationParameters:
    """The purpose without RFC 3161's demand on the extension that states it."""
    return ValidationParameters(at=at, eku=(TIME_STAMPING,), key_usage=("digital_signature",))


def purposes(certificate: Certificate) -> frozenset[str]:
    """The certificate's extended key usage; empty where it has none or it cannot be read."""
    try:
        return read_extensions(certificate).eku or frozenset()
    except READ_ERRORS:
        return frozenset()


def _proven(
    parsed: TimestampToken,
    signers: Sequence[Certificate],
    tsa_anchors: Sequence[tuple[TrustAnchor, Certificate]],
    certificates: Sequence[Certificate],
    budget: SignatureBudget,
    objections: Objections,
    parameters: ValidationParameters,
) -> ProvenTime:
    """(7) to (9) Who signed it."""
    stated = parsed.info.generated_at
    furthest: tuple[int, tuple[PathProblem, ...]] = (-1, ())
    for signer in signers:
        proven, steps, against = _authority(parsed, signer, tsa_anchors, certificates, budget, objections, parameters)
        if proven is not None:
            return ProvenTime(stated, parsed.info.latest, (), proven)
        furthest = max(furthest, (steps, against), key=lambda found: found[0])
    return ProvenTime(stated, None, furthest[1])


def _imprint(token: TimestampToken, signature_value: bytes) -> Iterable[PathProblem]:
    """(2) messageImprint is the digest of the signature's value (RFC 3161 2.4.2, appendix A), and a strong one."""
    info = token.info
    if info.imprint_algorithm not in STRONG_DIGESTS:
        yield _weak(f"what it stamps is a {info.imprint_algorithm} digest")
    digest = hashlib.new(info.imprint_algorithm, signature_value, usedforsecurity=False).digest()
    if not hmac.compare_digest(digest, info.imprint):
        yield PathProblem(
            Reason.INVALID_SIGNATURE, "timestamp: it stamps something else (RFC 3161 2.4.2, messageImprint)"
        )


def _signed_content(token: TimestampToken) -> Iterable[PathProblem]:
    """(3) Exactly one signer (RFC 3161 2.4.2); (4) signed content type and digest are those of the content (RFC 5652 5.6, 11.1, 11.2)."""
    if len(token.signers) != 1:
        yield PathProblem(Reason.MALFORMED, f"timestamp: {len(token.signers)} signers, one is right (RFC 3161 2.4.2)")
    digest = token.signers[0].digest_algorithm
    if digest not in STRONG_DIGESTS:
        yield _weak(f"it is signed with {digest}")
    if token.attributes.content_type != ID_CT_TST_INFO:
        yield PathProblem(Reason.INVALID_SIGNATURE, "timestamp: the signed content type is not TSTInfo (RFC 5652 11.1)")
    content = hashlib.new(digest, token.content, usedforsecurity=False).digest()
    if not hmac.compare_digest(content, token.attributes.message_digest):
        yield PathProblem(Reason.INVALID_SIGNATURE, "timestamp: TSTInfo was changed (RFC 5652 11.2, messageDigest)")
    if not token.certificate_ids:
        yield PathProblem(
            Reason.MALFORMED, "timestamp: the signer's certificate is not named in a signed attribute (RFC 5816 2.2.1)"
        )


def _time(token: TimestampToken, at: datetime) -> Iterable[PathProblem]:
    """(5) A stated time that has not come yet was not read from a clock."""
    info = token.info
    if info.generated_at > at and info.generated_at - at > info.accuracy + CLOCK_SKEW:
        yield PathProblem(
            Reason.NOT_YET_VALID, f"timestamp: its time lies in the future: {info.generated_at:%Y-%m-%d %H:%M:%S} UTC"
        )


def _signers(
    token: TimestampToken, certificates: Iterable[Certificate], budget: SignatureBudget
) -> list[Certificate] | PathProblem:
    """(6) The signer's certificate is the one that every signed attribute means (RFC 5816 2.2.1), and its key made the signature."""
    info = token.signers[0]
    named = [c for c in certificates if _is_named(info, c)][:MAX_SIGNER_CANDIDATES]
    if not named:
        return PathProblem(Reason.UNKNOWN_ROOT, "timestamp: the certificate of its signer is not at hand")
    meant = [c for c in named if all(identifier.names(c.der) for identifier in token.certificate_ids)]
    if not meant:
        return PathProblem(
            Reason.INVALID_SIGNATURE,
            "timestamp: the certificate named in its signed attributes is another one (RFC 5816 2.2.1, ESSCertIDv2)",
        )
    holding: dict[str, Certificate] = {}
    for certificate in meant:
        if certificate.sha256 in holding:
            continue
        if not budget.spend():
            return PathProblem(Reason.RESOURCE_LIMIT, "timestamp: too many public-key operations")
        if _verifies(info, token.attributes.signed, certificate.spki):
            holding[certificate.sha256] = certificate
    if not holding:
        return PathProblem(Reason.INVALID_SIGNATURE, "timestamp: its signature does not hold (RFC 5652 5.6)")
    return list(holding.values())


def _is_named(info: cms.SignerInfo, certificate: Certificate) -> bool:
    """RFC 5652 5.3: issuer and serial number, or the subject key identifier."""
    if info.serial_number is None:
        return info.subject_key_identifier == certificate.subject_key_identifier
    return info.serial_number == certificate.serial_number and same_name(info.issuer_der, certificate.issuer_der)


def _verifies(info: cms.SignerInfo, signed: bytes, spki: bytes) -> bool:
    if info.signature_algorithm == "ed25519":
        return verifies_message(spki, info.signature, signed)
    digest = hashlib.new(info.digest_algorithm, signed, usedforsecurity=False).digest()
    return verifies(spki, info.signature_algorithm, info.digest_algorithm, info.signature, digest)


def _authority(
    token: TimestampToken,
    signer: Certificate,
    tsa_anchors: Sequence[tuple[TrustAnchor, Certificate]],
    certificates: Sequence[Certificate],
    budget: SignatureBudget,
    objections: Objections,
    parameters: ValidationParameters,
) -> tuple[TrustAnchor | None, int, tuple[PathProblem, ...]]:
    """The anchor that vouches for the TSA; or None, how far the best path came, and what is against it."""
    info = token.info
    # (7) A stated name of the TSA is one of its certificate's (RFC 3161 2.4.2, tsa).
    if info.tsa_name is not None and not same_name(info.tsa_name, signer.subject_der):
        return (
            None,
            0,
            (PathProblem(Reason.PATH_INVALID, "timestamp: the TSA's name is not its certificate's (RFC 3161 2.4.2)"),),
        )
    # (8) A path to an anchor for timestamps, good at the stated time (RFC 5280 6); the TSA's certificate is for timestamps, critical
    # and alone (RFC 3161 2.3).
    anchors = [(anchor, c) for anchor, c in tsa_anchors if Purpose.TIMESTAMP.value in anchor.constraints.purposes]
    distinct = {certificate.sha256: certificate for _, certificate in anchors}
    search = find_paths(signer, certificates, tuple(distinct.values()), budget, at=info.generated_at)
    furthest: tuple[int, tuple[PathProblem, ...]] = (0, (_nobody(signer, exhausted=search.exhausted),))
    for path in search.paths:
        result = validate_path(path, parameters, budget)
        for anchor, certificate in anchors:
            # An anchor is a name and a key (RFC 5280 6.1.1(d)).
            top = path[-1]
            if certificate.spki_sha256 != top.spki_sha256 or not same_name(certificate.subject_der, top.subject_der):
                continue
            # (9) Everything else that is known of the anchor and of the keys of the path.
            against = (*result.problems, *objections(anchor, path, token))
            if not against:
                return anchor, result.steps, ()
            told = tuple(PathProblem(p.reason, f"timestamp: {p.detail}") for p in against)
            furthest = max(furthest, (result.steps + 1, told), key=lambda found: found[0])
    return None, *furthest


def _nobody(signer: Certificate, *, exhausted: bool) -> PathProblem:
    if exhausted:
        return PathProblem(Reason.RESOURCE_LIMIT, "timestamp: more paths than are tried")
    return PathProblem(
        Reason.UNKNOWN_ROOT, f"timestamp: no path from '{signer.subject[:120]}' ends at an anchor for timestamps"
    )


def readable(certificates: Iterable[bytes]) -> list[Certificate]:
    """Those (DER) that can be read, in their order; the others are nobody's. Never raises."""
    found = []
    for der in certificates:
        try:
            found.append(load_certificate(der))
        except READ_ERRORS:
            continue
    return found


def _unreadable(error: MalformedError | ResourceLimitError | UnsupportedError) -> PathProblem:
    if isinstance(error, ResourceLimitError):
        return PathProblem(Reason.RESOURCE_LIMIT, str(error))
    return PathProblem(
        Reason.UNSUPPORTED_FORMAT if isinstance(error, UnsupportedError) else Reason.MALFORMED, str(error)
    )


def _weak(what: str) -> PathProblem:
    return PathProblem(Reason.WEAK_ALGORITHM, f"timestamp: {what}, at least sha256 is asked for")
