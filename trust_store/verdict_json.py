"""Verdicts as JSON of the schema ``rootwarden/verdict/1``: every key always there, unknown is null, lists are ``[]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.model.identifiers import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.claim import Evidence
    from trust_store.model.package_facts import Uncovered
    from trust_store.model.verdict import SignatureVerdict, Signer, Verdict

SCHEMA = "rootwarden/verdict/1"


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values that ``json.dumps`` takes; times as ``format_time`` writes them."""
    return {
        "schema": SCHEMA,
        "package": {"path": verdict.path, "name": verdict.name, "size": verdict.size, "sha256": verdict.sha256},
        "format": verdict.format,
        "vendor": {"id": verdict.vendor.id, "basis": verdict.vendor.basis, "suggested": verdict.vendor.suggested},
        "outcome": verdict.outcome.value,
        "reason": verdict.reason.value,
        "also": list(verdict.also),
        "summary": verdict.summary,
        "checked_at": format_time(verdict.checked_at),
        "validation_time": format_time(verdict.validation_time),
        "valid_until": format_time(verdict.valid_until),
        "basis": {
            "trust": verdict.basis.trust,
            "store_id": verdict.basis.store_id,
            "store_revision": verdict.basis.store_revision,
            "time": verdict.basis.time,
            "decision": verdict.basis.decision,
        },
        "signatures": [_signature(signature) for signature in verdict.signatures],
        "coverage": {
            "covered_bytes": verdict.coverage.covered_bytes,
            "uncovered": [_uncovered(uncovered) for uncovered in verdict.coverage.uncovered],
        },
        "members": [verdict_to_dict(member) for member in verdict.members],
        "evidence": [_evidence(evidence) for evidence in verdict.evidence],
        "evidence_available": verdict.evidence_available,
        "needs_file": verdict.needs_file,
        "advice": list(verdict.advice),
    }


def _signature(verdict: SignatureVerdict) -> dict[str, Any]:
    missing = verdict.missing_issuer
    return {
        "scheme": verdict.scheme,
        "file": {"name": verdict.file.name, "sha256": verdict.file.sha256} if verdict.file else None,
        "integrity": verdict.integrity,
        "signer": _signer(verdict.signer) if verdict.signer else None,
        "path": [{"name": node.name, "sha256": node.sha256} for node in verdict.path],
        "anchor": {"id": verdict.anchor[0], "name": verdict.anchor[1]} if verdict.anchor else None,
        "missing_issuer": {
            "name": missing.name,
            "authority_key_identifier": missing.authority_key_identifier,
            "same_name_new_key": missing.same_name_new_key,
            "relatives": [
                {"anchor_id": r.anchor_id, "name": r.name, "state": r.state, "kind": r.kind} for r in missing.relatives
            ],
        }
        if missing
        else None,
        "claimed_at": _time(verdict.claimed_at),
        "timestamped_at": _time(verdict.timestamped_at),
        "outcome": verdict.outcome.value,
        "reason": verdict.reason.value,
        "also": [reason.value for reason in verdict.also],
    }


def _signer(signer: Signer) -> dict[str, Any]:
    return {
        "kind": signer.kind,
        "name": signer.name,
        "identifiers": dict(signer.identifiers),
        "not_before": _time(signer.not_before),
        "not_after": _time(signer.not_after),
    }


def _uncovered(uncovered: Uncovered) -> dict[str, Any]:
    """A member by its name, or a range of bytes; the end is the first byte after it."""
    if uncovered.member is not None:
        return {"member": uncovered.member, "inert": uncovered.inert}
    return {"start": uncovered.start, "end": uncovered.end, "inert": uncovered.inert}


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "claim": evidence.claim,
        "url": evidence.url,
        "published": _time(evidence.published),
        "author": evidence.author,
        "authority": evidence.authority.value,
        "excerpt": evidence.excerpt,
    }


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None
