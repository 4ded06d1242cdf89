"""Who may sign a revocation list or an OCSP response (RFC 5280 section 6.3.3(f), (g); RFC 6960 section 4.2.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.building import find_paths
from trust_store.chain.extensions import Extensions, read_extensions
from trust_store.chain.names import same_name
from trust_store.chain.revocation_material import Kind, Run, Status
from trust_store.chain.signed_bytes import signed_by, strong_algorithm
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trust_store.decode.crl import RevocationList, SignedBytes
    from trust_store.model.certificate import Certificate

MAX_CANDIDATES = 64
"""Certificates of a signer's name that are tried with one list."""
Path = tuple["Certificate", ...]


class Signers:
    """Finds the certificate that signed a list and may do so. ``path_status`` judges another path's certificates for revocation."""

    def __init__(self, run: Run, path_status: Callable[[Path], Status]) -> None:
        self._run, self._path_status = run, path_status

    def of_list(self, listed: RevocationList, above: Path) -> tuple[Certificate | None, Status]:
        """The signer of ``listed``, or None and why. ``above`` is the path from the certificate's issuer up to the anchor.

        A certificate of that path needs no path of its own: its signature, rules and status are judged with the path.
        """
        if not strong_algorithm(listed.signed):
            return None, Status(Kind.UNKNOWN, "signed with an algorithm that proves nothing")
        why = "its signature is by nobody at hand (6.3.3(g))"
        for candidate in self._candidates(listed, above):
            holds = self.holds(candidate, listed.signed)
            if holds is None:
                return None, Status(Kind.LIMIT, "too many public-key operations")
            if not holds:
                continue
            if (refused := self._refused(candidate, above)) is None:
                return candidate, Status(Kind.GOOD)
            if refused.kind is Kind.LIMIT:
                return None, refused
            why = refused.detail
        return None, Status(Kind.UNKNOWN, why)

    def holds(self, signer: Certificate, signed: SignedBytes) -> bool | None:
        """Whether the signer's key signed it; None where there is nothing left to pay with."""
        return self._run.budget.proved(signer, signed.sha256, lambda: signed_by(signer.spki, signed))

    def _candidates(self, listed: RevocationList, above: Path) -> list[Certificate]:
        """Certificates of the list's name: those of the path first, then those that its key identifier points at."""
        found = {c.sha256: c for c in above if same_name(c.subject_der, listed.issuer_der)}
        others = [c for c in self._run.untrusted if same_name(c.subject_der, listed.issuer_der)]
        hint = listed.authority_key.hex()
        others.sort(key=lambda c: c.subject_key_identifier is None or c.subject_key_identifier not in hint)
        for certificate in others:
            found.setdefault(certificate.sha256, certificate)
        return list(found.values())[:MAX_CANDIDATES]

    def _refused(self, signer: Certificate, above: Path) -> Status | None:
        """Why ``signer`` may not sign lists, or None."""
        try:
            extensions = read_extensions(signer)
        except (MalformedError, ResourceLimitError) as error:
            return Status(Kind.UNKNOWN, str(error))
        if extensions.usage is not None and not extensions.usage.crl_sign:  # 6.3.3(f)
            return Status(Kind.UNKNOWN, f"{signer.subject} may not sign lists: key usage without cRLSign (6.3.3(f))")
        if any(certificate.sha256 == signer.sha256 for certificate in above):
            return None
        return self._stranger(signer, above, extensions) or self._without_path(signer)

    def _stranger(self, signer: Certificate, above: Path, extensions: Extensions) -> Status | None:
        """Stricter than (f): whoever signs lists was told so, and in a CA's own name only by that CA or one above it.

        Else any CA below the anchor could make a certificate of another's name, and lists with it that free what that one revoked.
        """
        is_ca = extensions.basic is not None and extensions.basic.ca
        if extensions.usage is None and not is_ca:  # 4.2.1.3
            return Status(Kind.UNKNOWN, f"{signer.subject} is no CA and has no key usage that lets it sign lists")
        if not same_name(signer.subject_der, above[0].subject_der):
            return None  # the certificate itself names this signer as cRLIssuer
        makers = [c for c in above if same_name(c.subject_der, signer.issuer_der)]
        found = {self._run.budget.holds(maker, signer) for maker in makers}
        if True in found:
            return None
        if None in found:
            return Status(Kind.LIMIT, "too many public-key operations")
        return Status(Kind.UNKNOWN, f"{signer.subject}: a key of that name that no CA of the path has certified")

    def _without_path(self, signer: Certificate) -> Status | None:
        """6.3.3(f): a valid path of its own to the same anchor, none of it revoked. Why not, or None; found out once."""
        run = self._run
        if signer.sha256 in run.in_progress:
            # A list may cover the certificate of the key that signs it: it decides, once the rest of the path is found good.
            return None
        if not run.budget.search():
            return Status(Kind.LIMIT, "too many paths of signers of revocation lists")
        why = f"{signer.subject} has no path to the same anchor (6.3.3(f))"
        search = find_paths(signer, run.untrusted, (run.anchor,), run.budget, at=run.demands.at)
        for path in search.paths:
            result = validate_path(path, ValidationParameters(at=run.demands.at), run.budget)
            if result.problems:
                why = f"{signer.subject}: {result.problems[0].detail}"
                continue
            status = self._path_status(path)
            if status.kind in (Kind.GOOD, Kind.NONE):
                return None
            if status.kind is Kind.LIMIT:
                return status
            why = status.detail
        if search.exhausted or run.budget.exhausted:
            return Status(Kind.LIMIT, "too many paths of a signer of revocation lists")
        return Status(Kind.UNKNOWN, why)


def own_extensions(certificate: Certificate) -> Extensions | None:
    """The certificate's extensions, None where they cannot be read."""
    try:
        return read_extensions(certificate)
    except (MalformedError, ResourceLimitError):
        return None
