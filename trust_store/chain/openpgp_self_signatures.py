"""Which of a certificate's own signatures hold at a time T, under a budget of signature checks (RFC 9580 section 10.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.openpgp_arithmetic import signature_holds
from trust_store.decode.openpgp_signature import SignatureType, parse_signature
from trust_store.errors import ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from trust_store.decode.openpgp_signature import OpenPGPSignature
    from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey

MAX_SIGNATURE_CHECKS = 128


class SignatureBudgetExhaustedError(ResourceLimitError):
    """More signatures would have to be checked than one judgement may: a poisoned key."""


class Clock:
    """Comparisons with T that remember which later moment would turn one of them."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.next_change: datetime | None = None

    def reached(self, moment: datetime) -> bool:
        """Whether ``moment`` is not after T."""
        if moment <= self.at:
            return True
        if self.next_change is None or moment < self.next_change:
            self.next_change = moment
        return False


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed signature of the certificate with the bytes it covers."""

    signature: OpenPGPSignature
    covered: bytes


@dataclass(frozen=True, slots=True)
class AboutPrimary:
    """The newest direct-key signature and the newest certification of a user id that hold at T."""

    direct: Statement | None
    certification: Statement | None


@dataclass(frozen=True, slots=True)
class Revocations:
    """Revocations that hold, and whether there is one by the key or its appointed revoker that cannot be checked."""

    holding: tuple[OpenPGPSignature, ...]
    unverifiable: bool


def _parsed(body: bytes) -> OpenPGPSignature | None:
    try:
        return parse_signature(body)
    except TrustStoreError:
        return None


class SelfSignatures:
    """The signatures of one certificate; each answer costs checks from one budget, the same check is paid once."""

    def __init__(self, key: OpenPGPKey, *, max_checks: int = MAX_SIGNATURE_CHECKS) -> None:
        self._key, self._primary = key, key.components[0]
        self._left = max_checks
        self._checked: dict[tuple[str, bytes, bytes], bool] = {}
        self._by_role: dict[tuple[str, str], list[tuple[OpenPGPSignature | None, bytes]]] = {}
        for kept in key.self_signatures:
            self._by_role.setdefault((kept.role, kept.component), []).append((_parsed(kept.packet), kept.covered))

    def about_primary(self, clock: Clock) -> AboutPrimary:
        """What currently speaks for the primary key."""
        return AboutPrimary(
            direct=next(self._current("direct", self._primary.fingerprint, clock), None),
            certification=next(
                (
                    one
                    for one in self._current("certification", self._primary.fingerprint, clock)
                    if not self._withdrawn(one, clock)
                ),
                None,
            ),
        )

    def binding(self, fingerprint: str, clock: Clock) -> Statement | None:
        """The newest binding of a subkey that holds at T (RFC 9580 5.2.1.8)."""
        return next(self._current("subkey_binding", fingerprint, clock), None)

    def other_time(self, roles: tuple[str, ...], fingerprint: str, clock: Clock) -> str | None:
        """Where no statement of these roles holds at T: whether one does ``later``, or ``earlier`` and has lapsed since."""
        found = [
            signature
            for role in roles
            for signature, covered in self._of(role, fingerprint)
            if signature
            and signature.created
            and not signature.unknown_critical
            and not self._live(signature, clock)
            and self._counts(self._primary, signature, covered)
        ]
        if any(signature.expires and signature.expires <= clock.at for signature in found):
            return "earlier"
        return "later" if found else None

    def back_signature(self, binding: Statement, subkey: OpenPGPComponentKey, clock: Clock) -> OpenPGPSignature | None:
        """The embedded primary key binding signature (0x19) by ``subkey`` that holds at T (RFC 9580 5.2.1.9)."""
        for body in binding.signature.embedded:
            try:
                signature = parse_signature(body)
            except TrustStoreError:
                continue
            if (
                signature.type == SignatureType.PRIMARY_KEY_BINDING
                and self._live(signature, clock)
                and self._counts(subkey, signature, binding.covered)
            ):
                return signature
        return None

    def revocations(self, role: str, fingerprint: str) -> Revocations:
        """Every revocation that holds, whatever its time; a critical subpacket nobody understands makes it no weaker."""
        holding: list[OpenPGPSignature] = []
        unverifiable = False
        for signature, covered in self._of(role, fingerprint):
            if signature is None:
                unverifiable = True
                continue
            try:
                holds = self._holds(self._primary, signature, covered)
            except UnsupportedError:
                unverifiable = True
                continue
            if holds:
                holding.append(signature)
            elif self._appointed(signature):
                unverifiable = True
        return Revocations(tuple(holding), unverifiable)

    def _appointed(self, revocation: OpenPGPSignature) -> bool:
        """Whether a holding direct-key or user id signature names this revocation's maker as a revoker (5.2.3.23)."""
        maker = revocation.issuer_fingerprint or revocation.issuer_key_id
        if maker is None:
            return False
        for role in ("direct", "certification"):
            for signature, covered in self._of(role, self._primary.fingerprint):
                if (
                    signature
                    and any(revoker.endswith(maker) for revoker in signature.revokers)
                    and self._counts(self._primary, signature, covered)
                ):
                    return True
        return False

    def _of(self, role: str, fingerprint: str) -> list[tuple[OpenPGPSignature | None, bytes]]:
        """Every signature of this role about this component with what it covers; None for one that cannot be read."""
        return self._by_role.get((role, fingerprint), [])

    def _current(self, role: str, fingerprint: str, clock: Clock) -> Iterator[Statement]:
        """Statements of this role that hold at T, newest first."""
        found = [
            (signature.created, Statement(signature, covered))
            for signature, covered in self._of(role, fingerprint)
            if signature and signature.created and self._live(signature, clock)
        ]
        # Two of the same second: the bytes decide, so that the order of packets in the file does not.
        for _, statement in sorted(found, key=lambda one: (one[0], one[1].signature.trailer), reverse=True):
            if self._counts(self._primary, statement.signature, statement.covered):
                yield statement

    @staticmethod
    def _live(signature: OpenPGPSignature, clock: Clock) -> bool:
        """Whether a self-signature may be used at T: dated, made, not expired, nothing critical left unread."""
        if signature.created is None or signature.unknown_critical or not clock.reached(signature.created):
            return False
        return signature.expires is None or not clock.reached(signature.expires)

    def _withdrawn(self, certification: Statement, clock: Clock) -> bool:
        """Whether the same user id was revoked at or after this certification (RFC 9580 5.2.1.13)."""
        for signature, covered in self._of("certification_revocation", self._primary.fingerprint):
            if signature is None or covered != certification.covered:
                continue
            created = signature.created
            later = created is None or (
                certification.signature.created is not None
                and created >= certification.signature.created
                and clock.reached(created)
            )
            if later and self._counts(self._primary, signature, covered):
                return True
        return False

    def _counts(self, component: OpenPGPComponentKey, signature: OpenPGPSignature, covered: bytes) -> bool:
        """Like ``_holds``, where a signature that cannot be computed simply does not speak for the key."""
        try:
            return self._holds(component, signature, covered)
        except UnsupportedError:
            return False

    def _holds(self, component: OpenPGPComponentKey, signature: OpenPGPSignature, covered: bytes) -> bool:
        identity = (component.fingerprint, signature.trailer + signature.values, covered)
        known = self._checked.get(identity)
        if known is not None:
            return known
        if self._left <= 0:
            raise SignatureBudgetExhaustedError("the key carries more signatures than are checked for one judgement")
        self._left -= 1
        holds = self._checked[identity] = signature_holds(component, signature, signature.digest(covered))
        return holds
