"""The tables of docs/trust-model.md, made from the code they are about: the state table is asked, not copied."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import click

from tests.trust_store.verdict_chain import Chain
from tests.trust_store.verdict_craft import AT, anchor, ask
from trust_store.anchor_approval import REVOCATION_CAUSES
from trust_store.anchor_narrowing import inapplicable
from trust_store.anchor_rules import BREAK_GLASS_PEOPLE, Reading, compare_reading
from trust_store.cli import anchor_constrain
from trust_store.decode.sigstore_identity import canonical_identity
from trust_store.exchange.exporting.protocol import SIGNER_RULE, VENDOR
from trust_store.exchange.exporting.registry import EXPORTERS
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import (
    TRANSITIONS,
    AnchorKind,
    AnchorState,
    Approvals,
    Constraints,
    SignerRule,
    TrustAnchor,
)
from trust_store.verification import x509 as judging
from trust_store.verification.anchor_state import DISOWNED, SOFT_CAUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

_NEEDED = {
    Approvals.NONE: "nobody: any sighting or import",
    Approvals.ONE: "1",
    Approvals.POLICY: "as many as policy asks",
}
_NOTES = {
    AnchorState.VALID: f"; or {BREAK_GLASS_PEOPLE} who break the glass; one more than policy asks over a tombstone",
    AnchorState.REJECTED: ", or nobody: it lapses after `proposal_lapse_days`",
    AnchorState.SUPERSEDED: ", naming the successor",
}
_SITUATIONS = ("now", "asked about a time before the change", "proven older than the change")
_CHANGED = AT - timedelta(days=10)
_BEFORE = _CHANGED - timedelta(days=1)
_SAMPLE = bytes(range(42))
_ISSUER, _IDENTITY = "https://issuer.example", "https://ci.example/release"


def transitions() -> list[str]:
    """Every change of state there is, with the people it needs."""
    lines = ["| from | to | people |", "| --- | --- | --- |"]
    for (old, new), needed in TRANSITIONS.items():
        lines.append(f"| {old or '(none)'} | {new} | {_NEEDED[needed]}{_NOTES.get(new, '')} |")
    return lines


def effects() -> list[str]:
    """What a verdict says about a package whose signer chains to an anchor in each state."""
    chain = Chain.of()
    facts = chain.facts()
    lines = [f"| state | {' | '.join(_SITUATIONS)} |", "| --- " * (1 + len(_SITUATIONS)) + "|"]
    for state, cause, told in _states():
        changed = anchor(chain.root.der, state, cause=cause, effective_from=_CHANGED)
        answers = (
            ask(facts, changed),
            ask(facts, changed, at=_BEFORE, time_basis="requested"),
            _proven(facts, changed, _BEFORE),
        )
        lines.append(f"| {told} | {' | '.join(f'{a.outcome} / {a.reason}' for a in answers)} |")
    return lines


def _states() -> Iterable[tuple[AnchorState, str | None, str]]:
    for state in AnchorState:
        if state is AnchorState.REVOKED:
            soft = sorted(SOFT_CAUSES)
            hard = [c for c in REVOCATION_CAUSES if c not in SOFT_CAUSES]
            yield state, soft[0], f"{state}, because {', '.join(soft)}"
            # A key compromise is a state of its own.
            yield state, hard[0], f"{state}, because {', '.join(c for c in hard if c != 'key-compromise')}"
        elif state is AnchorState.REJECTED:
            yield state, "unconfirmed", f"{state} (unconfirmed, lapsed)"
        elif state is AnchorState.DISTRUSTED:
            yield state, DISOWNED, f"{state} (also: {DISOWNED} by the vendor)"
        else:
            yield state, None, state.value


def _proven(facts: PackageFacts, changed: TrustAnchor, at: datetime) -> Verdict:
    """The verdict where a trusted timestamp proves the signature to have been there at ``at``."""
    time = SimpleNamespace(at=at, proven=True, timestamped_at=at, findings=())
    with mock.patch.object(judging, "validation_time", return_value=time):
        return ask(facts, changed)


def kinds() -> list[str]:
    """The kinds of keys and what the vendor may read out for each: tried, not stated."""
    digest = hashlib.sha256(_SAMPLE).digest()
    identity = canonical_identity(_ISSUER, _IDENTITY)
    forms: tuple[tuple[str, bytes, str], ...] = (
        ("all 64 hex digits of the SHA-256", _SAMPLE, digest.hex()),
        ("all digits of the primary key's fingerprint", _SAMPLE, "ab" * 20),
        ("`SHA256:` and base64, as `ssh-keygen -l` prints it", _SAMPLE, "SHA256:" + base64.b64encode(digest).decode()),
        ("the whole public key in base64", _SAMPLE, base64.b64encode(_SAMPLE).decode()),
        ("the identity and the issuer", identity, f"{_IDENTITY} {_ISSUER}"),
    )
    lines = ["| kind | the vendor reads out one of | issues certificates |", "| --- | --- | --- |"]
    for kind in AnchorKind:
        taken = [name for name, material, read in forms if _matches(kind, material, read)]
        issues = "no" if inapplicable(_sample(kind, _SAMPLE)) else "yes"
        lines.append(f"| `{kind}` | {'; '.join(taken)} | {issues} |")
    return lines


def _matches(kind: AnchorKind, material: bytes, read: str) -> bool:
    return compare_reading(_sample(kind, material), read).reading is Reading.MATCH


def _sample(kind: AnchorKind, material: bytes) -> TrustAnchor:
    named = (Identifier(IdentifierKind.OPENPGP, "ab" * 20),) if kind is AnchorKind.OPENPGP else ()
    return TrustAnchor(
        id="anchor_0", vendor_id="dten", kind=kind, name="sample", key_sha256=hashlib.sha256(material).hexdigest(),
        material=material, state=AnchorState.PENDING, recorded_at=AT, effective_from=AT, identifiers=named,
        signer_rule=SignerRule(dedicated=True), constraints=Constraints(),
    )  # fmt: skip


def rules() -> list[str]:
    """The fields of the signer rule and the constraints with the option that states each."""
    options = {
        str(p.name): p
        for p in anchor_constrain.command.params
        if isinstance(p, click.Option) and p.name not in ("as_json", "clear")
    }
    named = {
        "subject": "signer_subject",
        "spki_sha256": "signer_spki",
        "san": "signer_san",
        "issuer_spki_sha256": "issuer_spki",
    }
    lines = ["| rule | default | option of `anchor constrain` | meaning |", "| --- | --- | --- | --- |"]
    for kind in (SignerRule, Constraints):
        for field in dataclasses.fields(kind):
            option = options[named.get(field.name, field.name)]
            default = field.default
            told = (
                "none"
                if default in ((), None, False)
                else f"`{', '.join(default) if isinstance(default, tuple) else default}`"
            )
            lines.append(f"| `{field.name}` | {told} | `{option.opts[0]}` | {option.help} |")
    return lines


def exports() -> list[str]:
    """What each export format can hold, and which limits survive in it."""
    everything = {VENDOR, SIGNER_RULE, *Constraints.__dataclass_fields__}
    lines = ["| format | kinds | limits that survive | what it is |", "| --- | --- | --- | --- |"]
    for exporter in EXPORTERS:
        held = "all" if set(AnchorKind) <= exporter.KINDS else ", ".join(sorted(exporter.KINDS))
        kept = "all" if everything <= exporter.KEEPS else ", ".join(sorted(exporter.KEEPS)) or "none"
        lines.append(f"| `{exporter.NAME}` | {held} | {kept} | {exporter.DOC} |")
    return lines


TABLES: dict[str, Callable[[], list[str]]] = {
    "transitions": transitions,
    "effects": effects,
    "kinds": kinds,
    "rules": rules,
    "exports": exports,
}
"""Name between the markers -> the lines of the table."""
