"""One OpenPGP signature: which key at hand made it, whether an anchor is that key, and whether both readers agree. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.chain.openpgp import judge
from trust_store.decode.openpgp_arithmetic import ALGORITHM_NAMES, key_bits, key_material
from trust_store.errors import MalformedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.verdict import PathNode, Reason, Signer
from trust_store.verification.anchor_scope import anchor_moments, key_scope_findings
from trust_store.verification.judging import SignatureJudging
from trust_store.verification.material import counts_for, vendor_findings
from trust_store.verification.question import NO_MATCH, NOW, Finding, PathOutcome
from trust_store.verification.signer_rule import key_rule_findings

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.chain.openpgp import OpenPGPJudgement
    from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey
    from trust_store.model.package_facts import KeyCheck
    from trust_store.model.trust_anchor import TrustAnchor

KEY_ALONE = "the second OpenPGP reader has judged the signer's key and not the signature"
_ENDED = {
    Reason.COMPROMISED: "the signer's key was revoked by its owner as compromised",
    Reason.REVOKED: "the signer's key was revoked by its owner",
    Reason.EXPIRED: "the signer's key or the signature has expired",
}


class OpenPGPJudging(SignatureJudging):
    """The steps for a signature by an OpenPGP key."""

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about the anchors on its key."""
        # (1) Arithmetic: a key that holds, else a key that is named and does not, else nobody to ask.
        holding, named = self._holding, self._failing
        if self._is_broken:
            self.integrity = "broken"
            self.findings.append(Finding(Reason.INVALID_SIGNATURE, NO_MATCH))
            self._name(named)
            decided = {key.fingerprint for _, key in self._material.keys}
            self.known_key = any(check.owner in decided for check in named)
            for check in named:
                self.findings += self._material.tombstones((check.key, check.owner), "the signer")
                self.findings += self._said_of(check)
            return
        if not holding:
            self.signer = self._hinted([])
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's key is not at hand"))
            return
        self.integrity = "intact"
        self._name(holding)
        for check in holding:
            # (2) A buried key always wins: primary or subkey, under whichever primary key it appears.
            self.findings += self._material.tombstones((check.key, check.owner), "the signer")
            # (3) Every anchor on the key, judged at the validation time.
            for anchor, key in self._material.keys:
                if key.fingerprint != check.owner:
                    continue
                outcome = self._outcome(check, anchor, key)
                # Another vendor's tombstone condemns what it is about; it never vouches for anything.
                if outcome.findings or counts_for(anchor, self._question):
                    self.outcomes.append(outcome)
                    self.key = self.key if outcome.findings else self.key or _counted(key)
        # (4) A key that is at hand and that nobody decided about.
        if not self.outcomes:
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's key is no trusted anchor"))
            for check in holding:
                self.findings += self._said_of(check)

    def _said_of(self, check: KeyCheck) -> list[Finding]:
        """What a key at hand says against itself, where no anchor on it is judged: its owner's word needs nobody's trust."""
        key = next(iter(self._material.copies_of(check.owner)), None)
        reasons = self._judged(key, self.at).reasons if key is not None else ()
        return [Finding(reason, _ENDED[reason]) for reason in reasons if reason in _ENDED]

    def _outcome(self, check: KeyCheck, anchor: TrustAnchor, key: OpenPGPKey) -> PathOutcome:
        judgement = self._judged(key, self.at)
        findings = self._state(anchor)
        findings += key_scope_findings(anchor, self._use(), _sizes(key, check.key))
        findings += key_rule_findings(anchor)
        own = self._own(judgement, key)
        needs_file = False
        if not own and self._question.time_basis == NOW:
            own, needs_file = _opinion(check, judgement)
            if check.key_alone and not own:
                self.told = (Finding(Reason.UNREADABLE, KEY_ALONE),)
        findings += own
        findings += vendor_findings(anchor, self._question)
        signer = _signer(key, check.key, judgement)
        moments = [*anchor_moments(anchor), *(t for t in (judgement.not_after, judgement.next_change) if t)]
        return PathOutcome(
            signer=signer,
            nodes=(PathNode(key.name, anchor.key_sha256),),
            anchor=anchor,
            findings=tuple(findings),
            moments=tuple(moments),
            needs_file=needs_file,
        )

    def _own(self, judgement: OpenPGPJudgement, key: OpenPGPKey) -> list[Finding]:
        """Our own judgement; one merely expired since may be forgiven by policy or our own sighting, a revoked one never."""
        reasons = judgement.reasons
        if judgement.component is None and not reasons:
            return [Finding(Reason.INVALID_SIGNATURE, "no component of the key made the signature")]
        if judgement.expired_since and self._forgiven(key):
            reasons = tuple(reason for reason in reasons if reason is not Reason.EXPIRED)
        return [Finding(reason, judgement.detail) for reason in reasons]

    def _forgiven(self, key: OpenPGPKey) -> bool:
        """Whether the key had not expired yet when we saw the signature, or when it claims to be made and policy believes that."""
        if self._accept_claimed_time:
            return True
        seen = self._question.first_seen_at
        return seen is not None and seen <= self.at and Reason.EXPIRED not in self._judged(key, seen).reasons

    def _judged(self, key: OpenPGPKey, at: datetime) -> OpenPGPJudgement:
        """Under this copy of the key, less what the key has withdrawn in any other copy at hand."""
        return judge(self._fact, key, at, copies=self._material.copies_of(key.fingerprint))

    def _name(self, checks: list[KeyCheck]) -> None:
        """The signer as known so far: from a key at hand, else from what the signature says."""
        for check in checks:
            key = next(iter(self._material.copies_of(check.owner)), None)
            if key is not None:
                self.signer = _signer(key, check.key, None)
                return
        self.signer = self._hinted(checks)

    def _hinted(self, checks: list[KeyCheck]) -> Signer:
        """What the signature says of its signer, for which nobody vouches: the key it names, or names a subkey of (RFC 9580 5.2.3.35).

        Where no key at hand and none that was tried has the fingerprint, it may be a subkey's.
        """
        hint = self._fact.hint
        for key in self._material.helping_keys if hint.openpgp else ():
            if any(component.fingerprint == hint.openpgp for component in key.components):
                return _signer(key, hint.openpgp or "", None)
        tried = next((check for check in checks if hint.openpgp in (None, check.key)), None)
        primary = tried.owner if tried else hint.openpgp
        named = [(IdentifierKind.OPENPGP.value, primary), (IdentifierKind.KEY_ID.value, hint.key_id)]
        if tried is not None and tried.key != tried.owner:
            named.insert(1, (IdentifierKind.OPENPGP_SUBKEY.value, tried.key))
        return Signer("openpgp", None, tuple((kind, value) for kind, value in named if value))


def _counted(key: OpenPGPKey) -> str:
    """The primary key without its time: a key is one person's, however many subkeys sign for it and under however many fingerprints."""
    primary = key.components[0]
    algorithm = ALGORITHM_NAMES.get(primary.algorithm, str(primary.algorithm))
    return hashlib.sha256(algorithm.encode() + key_material(primary)).hexdigest()


def _sizes(key: OpenPGPKey, component: str) -> list[tuple[str, int | None]]:
    """RSA bits of the primary key, which vouches for its subkeys, and of the one that made the signature."""
    parts = [part for part in key.components if part.is_primary or part.fingerprint == component]
    return [("the primary key" if part.is_primary else "the signing subkey", _size(part)) for part in parts]


def _size(part: OpenPGPComponentKey) -> int | None:
    """A key whose numbers cannot be read is no strong one."""
    try:
        return key_bits(part)
    except MalformedError:
        return 0


def _opinion(check: KeyCheck, judgement: OpenPGPJudgement) -> tuple[list[Finding], bool]:
    """What the second reader adds where the first found nothing against the signature, and whether the file is needed for it.

    Not asked (the key came to hand after the package was read) or not able to answer is no evidence against the signature: it
    is ``unreadable`` until the file is read again, never passed. A plain "no" that nothing explains is ``invalid_signature``.
    """
    if check.second_opinion is True:
        return [], False
    if check.key_alone and check.second_opinion is False:
        detail = "the second OpenPGP reader does not accept the signer's key, and nothing explains why"
        return [Finding(Reason.INVALID_SIGNATURE, detail)], False
    if check.second_opinion is None:
        return [Finding(Reason.UNREADABLE, "the second OpenPGP reader has not judged this file under this key")], True
    if judgement.renewed_since:
        # It judges the key as of the claimed creation, when none of today's self-signatures existed.
        return [Finding(Reason.NOT_YET_VALID, "at the claimed time of signing the key was not bound yet")], False
    return [
        Finding(Reason.INVALID_SIGNATURE, "the second OpenPGP reader rejects the signature, and nothing explains why")
    ], False


def _signer(key: OpenPGPKey, component: str, judgement: OpenPGPJudgement | None) -> Signer:
    identifiers = [(IdentifierKind.OPENPGP.value, key.fingerprint)]
    made_by = next((c for c in key.components if c.fingerprint == component), None)
    if made_by is not None:
        if not made_by.is_primary:
            identifiers.append((IdentifierKind.OPENPGP_SUBKEY.value, made_by.fingerprint))
        identifiers.append((IdentifierKind.KEY_ID.value, made_by.key_id))
    return Signer(
        kind="openpgp",
        name=key.name,
        identifiers=tuple(identifiers),
        not_before=made_by.created if made_by else None,
        not_after=judgement.not_after if judgement else None,
    )
