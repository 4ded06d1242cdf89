"""What the signatures in an APK Signing Block say, compared with the package: facts with the roles that Android gives them.

The newest scheme decides (v3.1 from Android 13 on, v3 from 9, v2 from 7): each of its signers must hold. Those of older schemes are
reported: they may fail the package, never pass it, and must be by the same signers or by ones that the newest proves to have succeeded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from trust_store.decode import apk_signers, apk_signing_block
from trust_store.decode.apk_lineage import read_lineage
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.formats.side_signatures import problem_of
from trust_store.model.package_facts import Problem, SignatureFact, SignatureOrigin, SignatureRole
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures import apk
from trust_store.signatures.jar import SCHEMES as JAR_SCHEMES
from trust_store.signatures.protocol import X509, CandidateKey
from trust_store.signatures.schemes import likeliest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.apk_signers import Signer
    from trust_store.decode.apk_signing_block import SigningBlock

NUMBERS = {apk.V2: 2, apk.V3: 3, apk.V31: 31}
_IDENTIFIERS = {apk.V31: apk_signing_block.V31, apk.V3: apk_signing_block.V3, apk.V2: apk_signing_block.V2}
"""The newest first."""


@dataclass(frozen=True, slots=True)
class ParsedSigner:
    """A signer, or why it cannot be read; ``past`` are the certificates of its proof of rotation, oldest first."""

    signer: Signer | None
    problem: Problem | None = None
    past: tuple[bytes, ...] = ()
    proven: bool = True


@dataclass(frozen=True, slots=True)
class BlockSignatures:
    """The signers of each scheme that is there, the newest scheme first."""

    schemes: dict[str, tuple[ParsedSigner, ...]]

    @property
    def newest(self) -> str | None:
        """The scheme that decides."""
        return next(iter(self.schemes), None)

    @property
    def numbers(self) -> frozenset[int]:
        """As signatures of older schemes name them."""
        return frozenset(NUMBERS[scheme] for scheme in self.schemes)

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind of content digest that is stated."""
        return frozenset(k for parsed in self.signers() for k in parsed.content_digests)

    def signers(self, scheme: str | None = None) -> tuple[Signer, ...]:
        """Those that can be read, of all schemes or of one."""
        chosen = self.schemes.values() if scheme is None else (self.schemes.get(scheme, ()),)
        return tuple(parsed.signer for some in chosen for parsed in some if parsed.signer is not None)

    def accepted(self) -> frozenset[bytes]:
        """Certificates of the deciding signers, and those that they prove to have succeeded."""
        found: set[bytes] = set()
        for parsed in self.schemes.get(self.newest or "", ()):
            found |= {*parsed.past, *(parsed.signer.certificates[:1] if parsed.signer else ())}
        return frozenset(found)

    def original(self) -> frozenset[bytes]:
        """Certificates that Android versions which know none of the rotation go by: v1's, and under v3 also v2's.

        Those with which the proofs of rotation of v3 and v3.1 begin (one and the same), or all of v2.
        """
        rotating = [parsed for scheme in (apk.V31, apk.V3) for parsed in self.schemes.get(scheme, ())]
        if not rotating:
            return frozenset(signer.certificates[0] for signer in self.signers())
        known = ((parsed.past or parsed.signer.certificates)[0] for parsed in rotating if parsed.signer is not None)
        return frozenset(known)


def parse_block(block: SigningBlock | None) -> BlockSignatures:
    """The signers of v2, v3 and v3.1; what cannot be read is kept as such."""
    values = block.values if block is not None else {}
    found = {scheme: _signers(values[number], scheme) for scheme, number in _IDENTIFIERS.items() if number in values}
    return BlockSignatures(found)


def facts(signatures: BlockSignatures, digests: Mapping[str, bytes]) -> tuple[SignatureFact, ...]:
    """Every signer as a fact; ``digests`` are those of the package by kind."""
    found: list[SignatureFact] = []
    for scheme, signers in signatures.schemes.items():
        role = SignatureRole.REQUIRED if scheme == signatures.newest else SignatureRole.REPORTED
        for parsed in signers:
            if parsed.signer is None:
                found.append(SignatureFact(scheme, SignatureOrigin.EMBEDDED, None, problem=parsed.problem, role=role))
            else:
                matches = parsed.proven and _matches(parsed.signer, digests)
                found.append(_fact(scheme, parsed.signer, matches, role))
    return tuple(found)


def disagreement(signatures: BlockSignatures) -> Problem | None:
    """What is wrong between schemes: one that is announced and missing, or signers that do not go together."""
    for scheme in signatures.schemes:
        problem = _announced(signatures, scheme) or _ranges(signatures, scheme)
        if problem is not None:
            return problem
    if apk.V31 in signatures.schemes and apk.V3 not in signatures.schemes:
        return Problem(Reason.MALFORMED, "APK: a signature of scheme v3.1 without one of v3")
    accepted = signatures.accepted()
    others = (s for scheme in signatures.schemes if scheme != signatures.newest for s in signatures.signers(scheme))
    if accepted and any(signer.certificates[0] not in accepted for signer in others):
        return Problem(
            Reason.INVALID_SIGNATURE, "APK: older schemes are signed by others than the newest proves to have succeeded"
        )
    v2 = [signer.certificates[0] for signer in signatures.signers(apk.V2)]
    if v2 and signatures.newest != apk.V2 and (len(v2) > 1 or {*v2} != signatures.original()):
        return Problem(
            Reason.INVALID_SIGNATURE, "APK: scheme v2 is not signed by the one with whom the proof of rotation begins"
        )
    return None


def _signers(value: bytes, scheme: str) -> tuple[ParsedSigner, ...]:
    try:
        return tuple(_parsed(data, scheme) for data in apk_signers.split_signers(value, scheme))
    except READ_ERRORS as error:
        return (ParsedSigner(None, problem_of(error)),)


def _parsed(data: bytes, scheme: str) -> ParsedSigner:
    try:
        signer = apk_signers.parse_signer(data, scheme, ranged=scheme != apk.V2)
        proof = signer.attributes.get(apk_signers.PROOF_OF_ROTATION) if scheme != apk.V2 else None
        if proof is None:
            return ParsedSigner(signer)
        nodes = read_lineage(proof, fewest=1)
        past = tuple(node.certificate for node in nodes)
        if past[-1] != signer.certificates[0]:
            raise MalformedError(f"{scheme}: a proof of rotation to another certificate")
        return ParsedSigner(signer, past=past, proven=apk.lineage_holds(nodes))
    except READ_ERRORS as error:
        return ParsedSigner(None, problem_of(error))


def _matches(signer: Signer, digests: Mapping[str, bytes]) -> bool:
    """Whether every content digest is the package's, and every signature but the one that decides holds as well."""
    others = (a for a in signer.signatures if a != signer.strongest)
    return all(
        digests.get(apk_signers.ALGORITHMS[a].content) == digest for a, digest in signer.digests.items()
    ) and all(apk.value_holds(signer.public_key, a, signer.signatures[a], signer.signed) for a in others)


def _fact(scheme: str, signer: Signer, matches: bool, role: SignatureRole) -> SignatureFact:  # noqa: FBT001 - what was found
    algorithm = signer.strongest
    return apk.signer_fact(
        scheme, signer.signed, signer.certificates, algorithm, signer.signatures[algorithm], matches=matches, role=role
    )


def _announced(signatures: BlockSignatures, scheme: str) -> Problem | None:
    """A newer scheme that a signer says to be there (stripping protection), and that is not."""
    for signer in signatures.signers(scheme):
        newer = _number(signer.attributes.get(apk_signers.STRIPPING_PROTECTION)) if scheme == apk.V2 else None
        if newer in NUMBERS.values() and newer not in signatures.numbers:
            return Problem(Reason.DOWNGRADE, f"APK: signed by scheme v{newer} as well, and that signature is gone")
        rotated = _number(signer.attributes.get(apk_signers.ROTATION_MIN_SDK)) if scheme == apk.V3 else None
        if rotated is None:
            continue
        rotating = signatures.signers(apk.V31)
        if apk.V31 not in signatures.schemes:
            return Problem(Reason.DOWNGRADE, "APK: signed by scheme v3.1 as well, and that signature is gone")
        if rotating and min(other.min_sdk for other in rotating) != rotated:
            return Problem(
                Reason.MALFORMED, "APK: schemes v3 and v3.1 differ in which Android version the key changes with"
            )
    return None


def _ranges(signatures: BlockSignatures, scheme: str) -> Problem | None:
    """The Android versions of a scheme's signers must follow each other without gap or overlap."""
    if scheme == apk.V2:
        return None
    ranges = sorted((signer.min_sdk, signer.max_sdk) for signer in signatures.signers(scheme))
    if any(before[1] + 1 != after[0] for before, after in pairwise(ranges)):
        return Problem(Reason.MALFORMED, f"{scheme}: two signers for one Android version, or none for one between")
    return None


def _number(value: bytes | None) -> int | None:
    return int.from_bytes(value[:4], "little") if value is not None and len(value) >= 4 else None


def signer_certificate(fact: SignatureFact) -> bytes | None:
    """The certificate, among those it carries, under which a JAR signature holds; several may be of the name that it states."""
    scheme = JAR_SCHEMES[fact.scheme]
    for certificate in likeliest(fact):
        check = scheme.holds(fact, CandidateKey(X509, certificate))
        if check is not None and check.holds:
            return certificate
    return None
