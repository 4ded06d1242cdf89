"""What the judging of a signature has in common, whatever its scheme: its inputs, its results, its validation time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.building import SignatureBudget
from trust_store.verification.anchor_scope import Use
from trust_store.verification.anchor_state import state_findings
from trust_store.verification.question import NOW

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.package_facts import SignatureFact
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.verdict import MissingIssuer, Signer
    from trust_store.verification.material import TrustMaterial
    from trust_store.verification.question import Finding, PathOutcome, Question
    from trust_store.verification.validation_time import ValidationTime

SIGNATURE_CHECKS = 200
"""Public-key operations spent on the paths of one signature; its timestamps have a budget of their own."""


class SignatureJudging:
    """Judges one signature of a package. ``judge`` is the list of the steps; the results stand in the attributes.

    ``told`` is what people should know and what says nothing against the signature.
    """

    def __init__(
        self,
        fact: SignatureFact,
        material: TrustMaterial,
        question: Question,
        *,
        container: str | None,
        accept_claimed_time: bool = False,
    ) -> None:
        self._fact, self._material, self._question = fact, material, question
        self._container, self._accept_claimed_time = container, accept_claimed_time
        self._budget = SignatureBudget(SIGNATURE_CHECKS)
        self._holding = [check for check in fact.key_checks if check.holds]
        self._failing = [check for check in fact.key_checks if not check.holds]
        self._proven_at: datetime | None = None
        self.at = question.at
        self.timestamped_at: datetime | None = None
        self.integrity = "unchecked"
        self.signer: Signer | None = None
        self.missing: MissingIssuer | None = None
        self.key: str | None = None
        self.known_key = False
        self.needs_file = False
        self.findings: list[Finding] = []
        self.told: tuple[Finding, ...] = ()
        self.outcomes: list[PathOutcome] = []

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about its paths and anchors."""
        raise NotImplementedError

    @property
    def _is_broken(self) -> bool:
        """The arithmetic: a key that holds decides, else one that is named and does not, else there is nobody to ask."""
        return not self._fact.content_matches or bool(self._failing and not self._holding)

    def _judged_at(self, time: ValidationTime) -> None:
        """Take the proven time in place of the question's."""
        self.at, self.timestamped_at = time.at, time.timestamped_at
        self._proven_at = time.at if time.proven else None
        self.told = time.findings

    def _state(self, anchor: TrustAnchor) -> list[Finding]:
        """What the anchor's state says against the signature.

        Now is later than whatever was decided, even by a clock that was set back since: only who asks about another time, or a proven
        one, is answered as of before the decision.
        """
        now = self._question.time_basis == NOW and self._proven_at is None
        at = max(self.at, anchor.effective_from) if now else self.at
        return state_findings(anchor, at, self._proven_at)

    def _use(self) -> Use:
        signed = (self._fact.claimed_at, self._proven_at)
        shown = [at for at in (self._proven_at, *self._forgiven_at()) if at is not None]
        return Use(
            name=self._question.name,
            container=self._container,
            at=self.at,
            signed_at=tuple(moment for moment in signed if moment is not None),
            digest=self._fact.digest_algorithm,
            shown_at=min(shown, default=None),
        )

    def _forgiven_at(self) -> tuple[datetime, ...]:
        """Times at which a key that has merely expired since may be judged instead: our own sighting, and by policy the claim."""
        claimed = self._fact.claimed_at if self._accept_claimed_time else None
        return tuple(at for at in (self._question.first_seen_at, claimed) if at is not None and at <= self._question.at)
