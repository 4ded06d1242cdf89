"""One signature by a key that is an anchor itself, without certificate or user ids (minisign, signify, SSH, npm registry). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.algorithms import weak_spki
from trust_store.decode.bare_keys import MINISIGN, NPM, RAW, SSH, canonical_sha256, spki_of
from trust_store.decode.public_keys import rsa_bits
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.verdict import PathNode, Reason, Signer
from trust_store.verification.anchor_scope import anchor_moments, key_scope_findings
from trust_store.verification.judging import SignatureJudging
from trust_store.verification.material import counts_for, vendor_findings
from trust_store.verification.question import NO_MATCH, Finding, PathOutcome
from trust_store.verification.signer_rule import key_rule_findings

if TYPE_CHECKING:
    from trust_store.model.package_facts import KeyCheck
    from trust_store.model.trust_anchor import TrustAnchor

SIGNER_KINDS = {"minisign": MINISIGN, "signify": MINISIGN, "sshsig": SSH, "npm": RAW}
"""What a signer is called in a verdict, by scheme."""
ANCHOR_KINDS = {
    "cosign-bundle": (RAW,),
    "minisign": (MINISIGN,),
    "npm": (NPM, RAW),
    "npm-attestation": (NPM, RAW),
    "signify": (MINISIGN,),
    "sigstore": (RAW,),
    "sshsig": (SSH,),
}
"""Anchors of which kinds count for a scheme: a key that is approved for one protocol does not speak in another."""
_IDENTIFYING = (IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.KEY_ID)


class BareKeyJudging(SignatureJudging):
    """The steps for a signature by a key that is an anchor or nobody's."""

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about the anchors on its key."""
        # (1) Arithmetic: a key that holds, else a key that is named and does not, else nobody to ask.
        holding, named = self._holding, self._failing
        if self._is_broken:
            self.integrity = "broken"
            self.findings.append(Finding(Reason.INVALID_SIGNATURE, NO_MATCH))
            self.signer = self._named([*holding, *named])
            decided = {digest for _, digest in self._material.bare}
            self.known_key = any(check.key in decided for check in (*holding, *named))
            for check in named:
                self.findings += self._material.tombstones(self._values(check.key), "the signer")
            return
        self.signer = self._named(holding)
        if not holding:
            # A value over the package itself, which is kept only where it is short: another key can be tried with the file alone.
            self.needs_file = not self._fact.signed and not self._fact.digest
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's key is not at hand"))
            return
        self.integrity = "intact"
        # (2) A signature made for something else is nobody's statement about a package.
        self._used_for()
        for check in holding:
            # (3) A buried key always wins.
            self.findings += self._material.tombstones(self._values(check.key), "the signer")
            # (4) Every anchor that is the key.
            for anchor, digest in self._material.bare:
                if digest == check.key and anchor.kind.value in ANCHOR_KINDS.get(self._fact.scheme, ()):
                    self._judge_under(anchor, digest)
        # (5) A key that is at hand and that nobody decided about.
        if not self.outcomes:
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's key is no trusted anchor"))

    def _used_for(self) -> None:
        """SSHSIG: the namespace that the signature was made for must be the one asked for (OpenSSH PROTOCOL.sshsig)."""
        made_for, wanted = self._fact.namespace, self._question.namespace
        if made_for is not None and made_for != wanted:
            detail = f"the signature is for the namespace {made_for[:80]!a}, not for {wanted[:80]!a}"
            self.findings.append(Finding(Reason.UNEXPECTED_SIGNER, detail))

    def _judge_under(self, anchor: TrustAnchor, digest: str) -> None:
        kind, name = anchor.kind.value, anchor.name
        spki = spki_of(kind, anchor.material)
        findings = self._state(anchor)
        findings += key_scope_findings(anchor, self._use(), [(name, rsa_bits(spki))])
        findings += key_rule_findings(anchor)
        if weak := weak_spki(spki, name):
            findings.append(Finding(Reason.WEAK_ALGORITHM, weak))
        findings += vendor_findings(anchor, self._question)
        # Another vendor's tombstone condemns what it is about, and where it spares a signature it still vouches for nothing.
        if not findings and not counts_for(anchor, self._question):
            return
        if not findings:
            self.key = canonical_sha256(kind, anchor.material)
        signer = self._signer_of(anchor)
        node = PathNode(name, digest)
        moments = anchor_moments(anchor)
        self.outcomes.append(PathOutcome(signer, (node,), anchor, tuple(findings), moments=moments))

    def _values(self, digest: str) -> tuple[str, ...]:
        """A key's digest, and the one it has in every other encoding."""
        kinds = ANCHOR_KINDS.get(self._fact.scheme, ())
        anchor = dict(self._material.bare_keys).get(digest)
        material = anchor.material if anchor is not None else None
        for key in self._fact.keys if material is None else ():
            material = key.material
        for kind in kinds if material is not None else ():
            try:
                return digest, canonical_sha256(kind, material or b"")
            except READ_ERRORS:
                continue
        return (digest,)

    def _named(self, checks: list[KeyCheck]) -> Signer:
        """The signer as known so far: from a key at hand, else from what the signature says."""
        at_hand = dict(self._material.bare_keys)
        for check in checks:
            if check.key in at_hand:
                return self._signer_of(at_hand[check.key])
        hint = self._fact.hint
        digest = checks[0].key if checks else hint.key_sha256
        said = ((IdentifierKind.SHA256.value, digest), (IdentifierKind.KEY_ID.value, hint.key_id))
        return Signer(self._kind(), None, tuple((kind, value) for kind, value in said if value))

    def _signer_of(self, anchor: TrustAnchor) -> Signer:
        known = tuple((i.kind.value, i.value) for i in anchor.identifiers if i.kind in _IDENTIFYING)
        return Signer(self._kind(), anchor.name, known or ((IdentifierKind.SHA256.value, anchor.key_sha256),))

    def _kind(self) -> str:
        return SIGNER_KINDS.get(self._fact.scheme, RAW)
