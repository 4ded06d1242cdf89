"""A verdict as lines for a terminal; all text from outside is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import format_time
from trust_store.model.verdict import Outcome
from trust_store.terminal import safe
from trust_store.verification.wording import MAX_RELATIVES, RELATIVES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.model.claim import Evidence
    from trust_store.model.verdict import SignatureVerdict, Verdict

MAX_SIGNATURES = 20
MAX_EVIDENCE = 5
MAX_UNCOVERED = 10
WEAKER_BASES = {
    "baseline": "weaker than a call: the anchor was taken over in a first-day baseline, nobody had its fingerprint read out",
    "hold_down": "weaker than a call: the anchor was approved after the waiting time alone, nobody had its fingerprint read out",
    "break_glass": "weaker than usual: the anchor was approved in an emergency, without all that policy asks for",
}
"""What is to be known about an anchor that became valid by another way than a call; by ``TrustBasis``."""
_FINGERPRINTS = ("sha256", "openpgp", "openpgp_subkey")


def verdict_lines(verdict: Verdict) -> list[str]:
    """Outcome and reason first, then who signed, the path or what is missing of it, what was announced, what to do."""
    lines = [f"{safe(verdict.path or verdict.name, 400)}: {verdict.outcome} / {verdict.reason}", f"  {verdict.summary}"]
    if verdict.also:
        lines.append(f"  also       {', '.join(verdict.also)}")
    lines.append(f"  vendor     {_vendor(verdict)}")
    if verdict.sha256:
        lines.append(
            f"  package    {verdict.format or 'unknown format'}, {verdict.size} bytes, sha256 {verdict.sha256}"
        )
    if verdict.basis.time == "requested":
        lines.append(f"  as of      {format_time(verdict.validation_time)}, as known now")
    weaker = WEAKER_BASES.get(verdict.basis.decision or "") if verdict.outcome is Outcome.PASSED else None
    if weaker:
        lines.append(f"  basis      {weaker}")
    for signature in verdict.signatures[:MAX_SIGNATURES]:
        lines += _signature(signature)
    if len(verdict.signatures) > MAX_SIGNATURES:
        lines.append(f"  ... and {len(verdict.signatures) - MAX_SIGNATURES} more signatures; --json shows all")
    lines += _uncovered(verdict)
    for evidence in verdict.evidence[:MAX_EVIDENCE]:
        lines += _evidence(evidence)
    if verdict.evidence_available and not verdict.evidence and verdict.signatures and verdict.advice:
        lines.append("  evidence   no vendor channel has said anything about this key")
    lines += [f"  next       {safe(advice, 400)}" for advice in verdict.advice]
    return lines


def _vendor(verdict: Verdict) -> str:
    expected = verdict.vendor
    if expected.basis == "any":
        return "any (asked for: whoever signed it, anchors of every vendor count)"
    if expected.id is None:
        return "not stated" + (f"; its name suggests {safe(expected.suggested, 80)}" if expected.suggested else "")
    return f"{safe(expected.id, 80)} ({expected.basis})"


def _signature(signature: SignatureVerdict) -> Iterator[str]:
    where = f" in {safe(signature.file.name, 120)}" if signature.file else ""
    yield f"  signature  {signature.scheme}{where}: {signature.integrity}, {signature.outcome} / {signature.reason}"
    signer = signature.signer
    if signer is not None:
        # The fingerprint of a key that nobody decided about is for the vendor to read out, not for this screen to show.
        shown = dict(signer.identifiers) if signature.anchor else {}
        told = "".join(f", {kind} {value}" for kind, value in shown.items() if kind in _FINGERPRINTS)
        key_id = dict(signer.identifiers).get("key_id")
        name = safe(signer.name, 200) if signer.name else f"key {safe(key_id, 64)}" if key_id else "not named"
        yield f"    signer   {name}{told}"
    if signature.path:
        yield f"    path     {' <- '.join(safe(node.name, 120) for node in signature.path)}"
    if signature.anchor:
        yield f"    anchor   {safe(signature.anchor[1], 160)} ({safe(signature.anchor[0], 90)})"
    missing = signature.missing_issuer
    if missing is not None:
        key = f", key identifier {missing.authority_key_identifier}" if missing.authority_key_identifier else ""
        note = "; a certificate of this name is known, with another key" if missing.same_name_new_key else ""
        yield f"    missing  {safe(missing.name or 'an issuer that is not named', 200)}{key}{note}"
        for relative in missing.relatives[:MAX_RELATIVES]:
            told = RELATIVES.get(relative.kind, "is like it")
            yield f"    relative {safe(relative.name, 160)} ({safe(relative.anchor_id, 64)}, {safe(relative.state, 20)}) {told}"
    if signature.timestamped_at:
        yield f"    a trusted timestamp proves that it was made by {format_time(signature.timestamped_at)}"
    if signature.claimed_at:
        yield f"    claims to be made {format_time(signature.claimed_at)}"


def _uncovered(verdict: Verdict) -> Iterator[str]:
    open_parts = [part for part in verdict.coverage.uncovered if not part.inert]
    for part in open_parts[:MAX_UNCOVERED] if verdict.signatures else []:
        what = safe(part.member, 200) if part.member is not None else f"bytes {part.start} to {part.end}"
        yield f"  uncovered  {what}"


def _evidence(evidence: Evidence) -> Iterator[str]:
    when = f" on {format_time(evidence.published)}" if evidence.published else ""
    who = f" by {safe(evidence.author, 80)}" if evidence.author else ""
    yield f"  evidence   {safe(evidence.claim, 40)}: said{who}{when} ({evidence.authority})"
    if evidence.url:
        yield f"             {safe(evidence.url, 300)}"
    yield f"             {safe(evidence.excerpt, 300)}"
