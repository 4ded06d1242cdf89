"""OCSP responses judged for one certificate (RFC 6960 section 3.2), with the requirement at each step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

from trust_store.chain.algorithms import weak_key, weak_signature
from trust_store.chain.crl_validation import was_before
from trust_store.chain.names import same_name
from trust_store.chain.revocation_material import Kind, Run, Status, issued_by, key_digest
from trust_store.chain.revocation_signers import own_extensions
from trust_store.chain.signed_bytes import strong_algorithm
from trust_store.decode.ocsp import GOOD, REVOKED
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from trust_store.chain.revocation_signers import Path, Signers
    from trust_store.decode.ocsp import CertificateStatus, StatusResponse
    from trust_store.model.certificate import Certificate

MAX_AGE = timedelta(days=1)
"""How long a response counts that does not say when the next one is due (RFC 6960 section 4.2.2.1: newer is always to be had)."""
_OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string
_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"


class ResponseCheck:
    """Asks every response about one certificate. ``path_status`` judges a responder's own certificate for revocation."""

    def __init__(
        self,
        run: Run,
        signers: Signers,
        certificate: Certificate,
        above: Path,
        path_status: Callable[[Path], Status],
        *,
        signed_at: datetime | None = None,
    ) -> None:
        self._run, self._signers, self._path_status, self._signed_at = run, signers, path_status, signed_at
        self._certificate, self._above = certificate, above

    def status(self) -> Status:
        """REVOKED where one says so, else GOOD where one says so, else UNKNOWN or NONE."""
        found = [
            self._one(response, status)
            for response in self._run.material.responses
            for status in response.statuses
            if self._is_about(status)
        ]
        for kind in (Kind.REVOKED, Kind.LIMIT, Kind.GOOD, Kind.UNKNOWN):
            if (best := next((status for status in found if status.kind is kind), None)) is not None:
                return best
        return Status(Kind.NONE)

    def _is_about(self, status: CertificateStatus) -> bool:
        """3.2(1): serial number, and the issuer's name and key under the response's own digest."""
        return status.serial_number == self._certificate.serial_number and issued_by(
            status.hash_name,
            status.issuer_name_hash,
            status.issuer_key_hash,
            self._certificate.issuer_der,
            self._above[0],
        )

    def _one(self, response: StatusResponse, status: CertificateStatus) -> Status:
        if response.unknown_critical or status.unknown_critical:
            return Status(Kind.UNKNOWN, "an OCSP response with an unknown critical extension (4.4)")
        refused = self._untimely(response, status) or self._unsigned(response)
        if refused is not None:
            return refused
        if status.status == GOOD:
            return Status(Kind.GOOD)
        entry = status.revoked
        if status.status != REVOKED or entry is None:
            return Status(Kind.UNKNOWN, "the OCSP responder does not know the certificate (2.2)")
        if was_before(entry, self._signed_at):
            return Status(Kind.GOOD)
        return Status(Kind.REVOKED, f"revoked on {entry.revoked_at:%Y-%m-%d} ({entry.reason}) by an OCSP response")

    def _untimely(self, response: StatusResponse, status: CertificateStatus) -> Status | None:
        """3.2(5), (6)."""
        at = self._run.demands.at.replace(microsecond=0)
        if status.this_update > at or response.produced_at > at or status.this_update > response.produced_at:
            return Status(Kind.UNKNOWN, "an OCSP response of a later time (3.2(5))")
        until = status.this_update + MAX_AGE if status.next_update is None else status.next_update
        if until < at:
            return Status(Kind.UNKNOWN, f"an OCSP response that ran out on {until:%Y-%m-%d %H:%M} (3.2(6))")
        if status.this_update > self._certificate.not_after:
            return Status(Kind.UNKNOWN, "an OCSP response made after the certificate expired")
        return None

    def _unsigned(self, response: StatusResponse) -> Status | None:
        """3.2(2)-(4): signed by the responder it names, who is the issuer or whom the issuer made one. Why not, or None."""
        if not strong_algorithm(response.signed):
            return Status(Kind.UNKNOWN, "an OCSP response signed with an algorithm that proves nothing")
        why = "an OCSP response whose signature is by nobody at hand (3.2(2))"
        for signer in self._candidates(response):
            holds = self._signers.holds(signer, response.signed)
            if holds is None:
                return Status(Kind.LIMIT, "too many public-key operations")
            if not holds:
                continue
            issuer = self._above[0]
            if (
                same_name(signer.subject_der, issuer.subject_der) and signer.spki == issuer.spki
            ):  # 4.2.2.2(2): the CA itself
                return None
            refused = self._not_delegated(signer)
            if refused is None or refused.kind is Kind.LIMIT:
                return refused
            why = refused.detail
        return Status(Kind.UNKNOWN, why)

    def _candidates(self, response: StatusResponse) -> list[Certificate]:
        """Whoever has the name or the key that the response gives its responder (4.2.2.3)."""
        carried = []
        for der in response.certificates:
            try:
                carried.append(load_certificate(der))
            except (MalformedError, ResourceLimitError):
                continue  # one that cannot be read has signed nothing
        found = {c.sha256: c for c in (self._above[0], *carried, *self._run.untrusted) if _named(c, response)}
        return list(found.values())[:16]

    def _not_delegated(self, signer: Certificate) -> Status | None:
        """4.2.2.2(3): issued by the very CA, for OCSP signing, valid, and not revoked itself. Why not, or None."""
        issuer, at = self._above[0], self._run.demands.at.replace(microsecond=0)
        if signer.spki == self._certificate.spki:
            return Status(Kind.UNKNOWN, "an OCSP responder that speaks of itself: who has its key would say so")
        if not same_name(signer.issuer_der, issuer.subject_der):
            return Status(Kind.UNKNOWN, "an OCSP responder whom another CA made one (4.2.2.2)")
        holds = self._run.budget.holds(issuer, signer)
        if holds is None:
            return Status(Kind.LIMIT, "too many public-key operations")
        extensions = own_extensions(signer)
        if not holds or extensions is None:
            return Status(Kind.UNKNOWN, "an OCSP responder whose certificate does not hold (4.2.2.2)")
        usage = extensions.usage
        if extensions.unknown_critical or extensions.eku is None or _OCSP_SIGNING not in extensions.eku:
            return Status(Kind.UNKNOWN, "an OCSP responder without the purpose OCSP signing (4.2.2.2)")
        if usage is not None and not (usage.digital_signature or usage.content_commitment):
            return Status(Kind.UNKNOWN, "an OCSP responder that may not sign")
        if not signer.not_before <= at <= signer.not_after or weak_key(signer) or weak_signature(signer):
            return Status(Kind.UNKNOWN, "an OCSP responder whose certificate is not valid at that time, or is weak")
        if _NO_CHECK in extensions.present:  # 4.2.2.2.1
            return None
        status = self._path_status((signer, *self._above))
        if status.kind in (Kind.UNKNOWN, Kind.REVOKED):
            return Status(Kind.UNKNOWN, f"an OCSP responder: {status.detail}")
        return status if status.kind is Kind.LIMIT else None


def _named(certificate: Certificate, response: StatusResponse) -> bool:
    if response.responder_name is not None:
        return same_name(certificate.subject_der, response.responder_name)
    return response.responder_key == key_digest(certificate, "sha1")
