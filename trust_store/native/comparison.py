"""What native tools say beside a verdict: one that rejects what passed keeps it from passing, and every disagreement is told."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.model.verdict import Outcome, Reason, Verdict
from trust_store.native.protocol import Asked, Opinion, Says
from trust_store.native.running import Run
from trust_store.native.tools import TOOLS
from trust_store.quick_dataclass import dataclass
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.package_facts import PackageFacts
    from trust_store.native.protocol import NativeTool
    from trust_store.signatures.protocol import CandidateKey

DISAGREEMENT = "native_disagreement"
_NOT_INTACT = frozenset({Reason.INVALID_SIGNATURE, Reason.MALFORMED, Reason.UNCOVERED_CONTENT})


@dataclass(frozen=True, slots=True)
class Compared:
    """One tool's opinion, and whether it agrees with the verdict; None where there is nothing to compare."""

    opinion: Opinion
    agrees: bool | None


def keys_at_hand(facts: PackageFacts, candidates: Iterable[CandidateKey]) -> tuple[tuple[str, bytes], ...]:
    """(kind, material) of the keys that signatures were tried with, and of the certificates that they carry."""
    keys = [(key.kind, key.material) for key in candidates]
    keys += [("x509", der) for signature in facts.signatures for der in signature.certificates]
    return tuple(dict.fromkeys(keys))


def ask_tools(
    verdict: Verdict, package: Path, sides: Iterable[Path], keys: tuple[tuple[str, bytes], ...],
    tools: Iterable[NativeTool] = TOOLS,
) -> tuple[Compared, ...]:  # fmt: skip
    """Ask every installed tool that knows such packages; ``keys`` are (kind, material) of all keys at hand. Raises OSError."""
    found: list[Compared] = []
    schemes = frozenset(signature.scheme for signature in verdict.signatures)
    for tool in tools:
        with tempfile.TemporaryDirectory(prefix="rootwarden-native-") as scratch:
            folder = Path(scratch)
            asked = Asked(package.resolve(), verdict.format, schemes, tuple(s.resolve() for s in sides), keys, folder)
            if tool.knows(asked) and shutil.which(tool.PROGRAM):
                opinion = tool.ask(asked, Run(folder))
                found.append(Compared(opinion, agrees(verdict, opinion)))
    return tuple(found)


def agrees(verdict: Verdict, opinion: Opinion) -> bool | None:
    """Whether the tool and the verdict say the same of the signatures; who is trusted is not the tool's to say."""
    if opinion.says is Says.UNABLE:
        return None
    if verdict.outcome is Outcome.PASSED:
        return opinion.says is Says.ACCEPTS
    told = {verdict.reason.value, *verdict.also}
    broken = bool(told & {reason.value for reason in _NOT_INTACT})
    if broken:
        return opinion.says is Says.REJECTS
    return True if opinion.says is Says.ACCEPTS else None


def with_opinions(verdict: Verdict, compared: Iterable[Compared]) -> Verdict:
    """The verdict, which no disagreement lets pass: two programs that should say the same do not, and nobody knows which is right."""
    against = [one.opinion for one in compared if one.agrees is False]
    if not against:
        return verdict
    told = ", ".join(f"{one.tool} {one.says} it ({safe(one.detail, 120)})" for one in against)
    also = (*verdict.also, DISAGREEMENT)
    if verdict.outcome is not Outcome.PASSED:
        return replace(verdict, also=also, summary=f"{verdict.summary} A native tool disagrees: {told}.")
    return replace(
        verdict,
        reason=Reason.UNREADABLE,
        also=also,
        summary=f"This program accepts the package and a native tool does not: {told}.",
        advice=("do not install; report the package and both answers, one of the two programs is wrong",),
    )
