"""Judges who made an OpenPGP signature and whether that key counted at a time T (RFC 9580), in numbered steps.

Pure: facts + key + time -> judgement. Revocations are looked for first and are never outlived by a signature's own claim
of when it was made; every self-signature that is relied upon is verified here, under a budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.openpgp_copies import with_copies
from trust_store.chain.openpgp_self_signatures import Clock, SelfSignatures, SignatureBudgetExhaustedError
from trust_store.decode.openpgp_arithmetic import ED448, ED25519, key_bits, possible_signers, signature_holds
from trust_store.decode.openpgp_signature import parse_signature
from trust_store.errors import MalformedError, TrustStoreError, UnsupportedError
from trust_store.model.verdict import PRECEDENCE, Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from trust_store.chain.openpgp_self_signatures import Statement
    from trust_store.decode.openpgp_signature import OpenPGPSignature
    from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey
    from trust_store.model.package_facts import SignatureFact

MIN_FACTORING_BITS = 2048
_WEAK_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160"}
_SIGN_FLAG = 0x02
_COMPROMISED = 2
_SOFT_REASONS = frozenset({1, 3})  # superseded, retired (RFC 9580 5.2.3.31); every other reason, and none, is hard
_LEAST_DIGEST_BYTES = {ED25519: 32, ED448: 64}  # RFC 9580 5.2.3.4, 5.2.3.5


@dataclass(frozen=True, slots=True)
class OpenPGPJudgement:
    """What one key has to say about one signature at T.

    ``component`` made it (None if no component of this key did); ``reasons`` against it in the order of precedence,
    empty if it counts; ``detail`` a sentence for each. ``not_after`` is when the signing key ceases by itself,
    ``next_change`` the earliest time after T at which time alone may change the judgement.

    ``expired_since``: EXPIRED is there only because the key has expired after the signature's claimed creation.
    ``renewed_since``: no self-signature of the key held yet at that creation (GnuPG replaces them when a key is
    extended); a reader that judges as of the claimed creation, as pysequoia does, finds the key unbound and disagrees.
    """

    component: OpenPGPComponentKey | None
    reasons: tuple[Reason, ...]
    detail: str
    not_after: datetime | None = None
    next_change: datetime | None = None
    expired_since: bool = False
    renewed_since: bool = False


def judge(
    fact: SignatureFact, key: OpenPGPKey, at: datetime, *, copies: tuple[OpenPGPKey, ...] = ()
) -> OpenPGPJudgement:
    """Return the judgement on ``fact`` under ``key`` at ``at`` (aware); raises ValueError for a naive time, nothing else.

    ``copies`` are other copies of the same certificate, trusted or not: what the key withdraws in one of them is withdrawn. They never
    give it anything that ``key`` does not have.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone has no meaning here")
    judging = _Judging(fact, key, at, copies)
    try:
        judging.run()
    except SignatureBudgetExhaustedError as error:
        judging.against(Reason.RESOURCE_LIMIT, str(error))
    except UnsupportedError as error:
        judging.against(Reason.UNSUPPORTED_FORMAT, str(error))
    except TrustStoreError as error:
        judging.against(Reason.MALFORMED, str(error))
    return judging.result()


class _Judging:
    """The run of one judgement; ``run`` is the list of its steps."""

    def __init__(self, fact: SignatureFact, key: OpenPGPKey, at: datetime, copies: tuple[OpenPGPKey, ...]) -> None:
        self._fact, self._key = fact, key
        self._clock = Clock(at)
        self._self_signatures = SelfSignatures(key)
        everything = with_copies(key, copies) if copies else key
        self._everywhere = None if everything is key else SelfSignatures(everything)
        self._component: OpenPGPComponentKey | None = None
        self._found: list[tuple[Reason, str]] = []
        self._ends: list[datetime] = []
        self._only_expired_since = True
        self._renewed_since = False

    def against(self, reason: Reason, detail: str) -> None:
        """Note a reason why the signature does not count."""
        self._found.append((reason, detail))

    def result(self) -> OpenPGPJudgement:
        reasons = {reason for reason, _ in self._found}
        return OpenPGPJudgement(
            component=self._component,
            reasons=tuple(reason for reason in PRECEDENCE if reason in reasons),
            detail="; ".join(dict.fromkeys(detail for _, detail in self._found)),
            not_after=min(self._ends, default=None),
            next_change=self._clock.next_change,
            expired_since=Reason.EXPIRED in reasons and self._only_expired_since,
            renewed_since=self._renewed_since,
        )

    def run(self) -> None:
        """The steps; a step that notes a reason does not stop the later ones, so that all that applies is reported."""
        # (1) The component that made the signature (RFC 9580 5.2.4); no other step matters without one.
        signature = parse_signature(self._fact.packet)
        component = self._component = self._signer(signature)
        if component is None:
            return
        # (2) Revocations of the primary key and of the signing subkey (5.2.1.11, 5.2.1.12), before anything that could
        #     fail early or use up the budget; those in other copies of the certificate are the key's own as well.
        for statements in (self._everywhere, self._self_signatures):
            self._revocations(statements, "key_revocation", self._key.components[0])
            if not component.is_primary:
                self._revocations(statements, "subkey_revocation", component)
        # (3) The signature itself: signed creation time, not from the future, not expired (5.2.3.11, 5.2.3.18).
        created = self._signature_itself(signature)
        # (4) The primary key: bound by its own signature, alive when the signature claims to be made, and at T.
        primary = self._primary(created)
        # (5) The signing key: allowed to sign, and for a subkey bound both ways (5.2.1.8, 5.2.1.9).
        if not component.is_primary:
            self._subkey(component, created)
        elif primary:
            self._may_sign(primary.flags)
        # (5a) What the key has taken back since, as other copies say (5.2.3.10: of its own statements the newest counts).
        if self._everywhere is not None:
            self._taken_back(self._everywhere, component, created)
        # (6) Algorithms: the signature's digest, and the keys in the path.
        self._strength("the signature", signature, component)
        self._key_size(self._key.components[0])
        self._key_size(component)

    def _signer(self, signature: OpenPGPSignature) -> OpenPGPComponentKey | None:
        named = possible_signers(signature, self._key)
        unsupported: UnsupportedError | None = None
        for component in named:
            try:
                if signature_holds(component, signature, self._fact.digest):
                    return component
            except UnsupportedError as error:
                unsupported = error
        if unsupported:
            raise unsupported
        if named and (signature.issuer_fingerprint or signature.issuer_key_id):
            self.against(Reason.INVALID_SIGNATURE, "the signature does not hold under the key it names")
            return named[0]
        self.against(Reason.UNKNOWN_ROOT, "no component of this key made the signature")
        return None

    def _revocations(self, statements: SelfSignatures | None, role: str, component: OpenPGPComponentKey) -> None:
        if statements is None:
            return
        name = "the primary key" if component.is_primary else "the signing subkey"
        found = statements.revocations(role, component.fingerprint)
        for revocation in found.holding:
            reason = revocation.revocation_reason
            if reason == _COMPROMISED:
                self.against(Reason.COMPROMISED, f"{name} was revoked by its owner as compromised")
            elif reason not in _SOFT_REASONS:
                self.against(
                    Reason.REVOKED, f"{name} was revoked by its owner without a reason that spares older signatures"
                )
            # A soft revocation spares what is proven to be older. T is the proof: the signature's own creation time is
            # its maker's word and rescues nothing. One without a signed time counts from the beginning.
            elif revocation.created is None or self._clock.reached(revocation.created):
                self.against(Reason.REVOKED, f"{name} was superseded or retired by its owner")
        if found.unverifiable:
            self.against(Reason.REVOCATION_UNKNOWN, f"{name} carries a revocation that cannot be checked")

    def _signature_itself(self, signature: OpenPGPSignature) -> datetime:
        if signature.created is None:
            raise MalformedError("an OpenPGP signature without a signed creation time")
        if signature.unknown_critical:
            raise UnsupportedError("an OpenPGP signature with an unknown critical subpacket")
        if not self._clock.reached(signature.created):
            self.against(Reason.NOT_YET_VALID, "the signature claims to be made in the future")
        if signature.expires and self._clock.reached(signature.expires):
            self.against(Reason.EXPIRED, "the signature has expired")
            self._only_expired_since = False
        return signature.created

    def _primary(self, created: datetime) -> _Primary | None:
        primary = self._said_of_primary(self._self_signatures, created)
        if primary is None:
            return None
        for statement in primary.current:
            self._weak_hash("a self-signature of the primary key", statement.signature)
        then = self._self_signatures.about_primary(Clock(created))
        self._renewed_since |= (then.direct, then.certification) == (None, None)
        return primary

    def _said_of_primary(self, self_signatures: SelfSignatures, created: datetime) -> _Primary | None:
        """What speaks for the primary key at T, if anything does, with its end."""
        primary_key = self._key.components[0]
        statements = self_signatures.about_primary(self._clock)
        # RFC 9580 10.1.1: a version 6 key needs a direct-key signature; a version 4 key that or a certified user id.
        current = [one for one in (statements.direct, statements.certification) if one]
        if not current or (primary_key.version == 6 and statements.direct is None):
            self._unbound("the primary key has no self-signature that holds", ("direct", "certification"), primary_key)
            return None
        # Where a direct-key signature and a user id disagree, readers differ; the earlier end is the safe one.
        validities = [one.signature.key_validity for one in current if one.signature.key_validity]
        self._alive("the primary key", primary_key, min(validities, default=None), created)
        ordered = current if primary_key.version == 6 else current[::-1]
        flags = next((one.signature.key_flags for one in ordered if one.signature.key_flags is not None), None)
        return _Primary(flags, tuple(current))

    def _taken_back(self, everywhere: SelfSignatures, component: OpenPGPComponentKey, created: datetime) -> None:
        """User ids, ends and flags by the newest of all statements. Only adds reasons: what ``key`` itself says stands beside it.

        The subkey's signature in return is not asked for: it may be in the unsigned part, which anybody can take out of a copy.
        """
        primary = self._said_of_primary(everywhere, created)
        if component.is_primary:
            if primary is not None:
                self._may_sign(primary.flags)
            return
        binding = everywhere.binding(component.fingerprint, self._clock)
        if binding is not None:
            self._alive("the signing subkey", component, binding.signature.key_validity, created)
            self._may_sign(binding.signature.key_flags)

    def _subkey(self, component: OpenPGPComponentKey, created: datetime) -> None:
        binding = self._self_signatures.binding(component.fingerprint, self._clock)
        if binding is None:
            self._unbound("the signing subkey is not bound to the primary key", ("subkey_binding",), component)
            return
        self._weak_hash("the binding of the signing subkey", binding.signature)
        self._renewed_since |= self._self_signatures.binding(component.fingerprint, Clock(created)) is None
        self._alive("the signing subkey", component, binding.signature.key_validity, created)
        self._may_sign(binding.signature.key_flags)
        # RFC 9580 5.2.1.9: without the subkey's own signature anybody could adopt a foreign signing key as a subkey.
        back = self._self_signatures.back_signature(binding, component, self._clock)
        if back is None:
            self.against(Reason.PATH_INVALID, "the signing subkey has not signed its primary key in return")
        else:
            self._weak_hash("the subkey's signature in return", back)

    def _unbound(self, detail: str, roles: tuple[str, ...], component: OpenPGPComponentKey) -> None:
        """Nothing speaks for ``component`` at T; that something did, or will, makes it a matter of time."""
        other_time = self._self_signatures.other_time(roles, component.fingerprint, self._clock)
        if other_time == "later":
            self.against(Reason.NOT_YET_VALID, f"{detail} yet")
        elif other_time == "earlier":
            self.against(Reason.EXPIRED, f"{detail} any more")
            self._only_expired_since = False
        else:
            self.against(Reason.PATH_INVALID, detail)

    def _alive(self, name: str, component: OpenPGPComponentKey, validity: timedelta | None, created: datetime) -> None:
        if created < component.created:
            self.against(Reason.NOT_YET_VALID, f"the signature claims to be older than {name}")
        if not self._clock.reached(component.created):
            self.against(Reason.NOT_YET_VALID, f"{name} claims to be made in the future")
        if validity is None:
            return
        end = component.created + validity
        self._ends.append(end)
        if end <= created:
            self.against(Reason.EXPIRED, f"{name} had expired when the signature claims to be made")
            self._only_expired_since = False
        elif self._clock.reached(end):
            self.against(Reason.EXPIRED, f"{name} has expired")

    def _may_sign(self, flags: bytes | None) -> None:
        """RFC 9580 5.2.3.29: what the flags do not say is not allowed; that goes for keys older than flags too."""
        if not flags or not flags[0] & _SIGN_FLAG:
            self.against(Reason.PATH_INVALID, "the key that made the signature is not allowed to sign documents")

    def _strength(self, name: str, signature: OpenPGPSignature, component: OpenPGPComponentKey) -> None:
        self._weak_hash(name, signature)
        if len(self._fact.digest) < _LEAST_DIGEST_BYTES.get(component.algorithm, 0):
            self.against(Reason.WEAK_ALGORITHM, f"{name} uses a digest too short for its key")

    def _weak_hash(self, name: str, signature: OpenPGPSignature) -> None:
        weak = _WEAK_HASHES.get(signature.hash_algorithm)
        if weak:
            self.against(Reason.WEAK_ALGORITHM, f"{name} uses {weak}")

    def _key_size(self, component: OpenPGPComponentKey) -> None:
        bits = key_bits(component)
        if bits is not None and bits < MIN_FACTORING_BITS:
            self.against(Reason.WEAK_ALGORITHM, f"a key of {bits} bits; {MIN_FACTORING_BITS} are the least that count")


@dataclass(frozen=True, slots=True)
class _Primary:
    """What the primary key's current self-signatures say of it."""

    flags: bytes | None
    current: tuple[Statement, ...]
