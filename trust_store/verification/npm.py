"""One npm registry signature: the key is an anchor of that kind, named by a key id, and may have an end (``expires``). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.verdict import Reason
from trust_store.signatures.npm import signatures_of
from trust_store.verification.bare_key import BareKeyJudging
from trust_store.verification.question import NO_MATCH, Finding

if TYPE_CHECKING:
    from trust_store.model.trust_anchor import TrustAnchor


class NpmJudging(BareKeyJudging):
    """The steps for a bare key, with the key id that the metadata states and the end that the registry set for a key."""

    def judge(self) -> None:
        """Fill the attributes."""
        super().judge()
        if self.integrity != "unchecked":
            return
        # A signature that names a key at hand and does not hold under it is no stranger's: something was changed.
        stated = {key_id for key_id, _ in signatures_of(self._fact)}
        named = [
            anchor for anchor, _ in self._material.bare if anchor.kind is AnchorKind.NPM and stated & _key_ids(anchor)
        ]
        if named:
            self.integrity, self.known_key = "broken", True
            self.findings = [Finding(Reason.INVALID_SIGNATURE, NO_MATCH)]
            self.signer = self._signer_of(named[0])

    def _judge_under(self, anchor: TrustAnchor, digest: str) -> None:
        """A key that has an end signs nothing new after it. What it signed before stays good where the time is known from elsewhere."""
        end = anchor.constraints.valid_until
        if anchor.kind is not AnchorKind.NPM or end is None or self.at <= end:
            super()._judge_under(anchor, digest)
            return
        key, before = self.key, len(self.outcomes)
        super()._judge_under(replace(anchor, constraints=replace(anchor.constraints, valid_until=None)), digest)
        if any(at <= end for at in self._forgiven_at()) or len(self.outcomes) == before:
            return
        self.key = key
        late = Finding(
            Reason.EXPIRED, f"the registry's key expired on {end:%Y-%m-%d}, and nothing proves that it signed before"
        )
        self.outcomes[-1] = replace(self.outcomes[-1], findings=(*self.outcomes[-1].findings, late))


def _key_ids(anchor: TrustAnchor) -> set[str]:
    return {identifier.value for identifier in anchor.identifiers if identifier.kind is IdentifierKind.KEY_ID}
