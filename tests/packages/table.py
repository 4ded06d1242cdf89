"""The table of package fixtures: ``fixtures/<format>/cases.json`` -> cases, and the verdict that the program gives on one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_store.formats.detect import read_package
from trust_store.formats.streaming import BytesSource, FileSource
from trust_store.model.identifiers import parse_time
from trust_store.model.verdict import ExpectedVendor
from trust_store.verification.question import DEFAULT_NAMESPACE, ExpectedIdentity
from trust_store.verification.supplied import SuppliedMaterial, read_material, read_revocation
from trust_store.verifier import CheckRequest, Verifier

if TYPE_CHECKING:
    from trust_store.formats.protocol import ReadLimits, SideMaterial
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict
    from trust_store.signatures.protocol import CandidateKey

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
KNOWN = frozenset(
    {
        "name", "file", "signatures", "anchors", "untrusted", "crls", "at", "certificate_identity", "certificate_oidc_issuer",
        "namespace", "format", "outcome", "reason", "mutate", "note",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One line of a table; paths are absolute. ``signatures`` None: those found beside the file."""

    folder: Path
    values: dict[str, Any]

    @property
    def id(self) -> str:
        """Folder and name."""
        return f"{self.folder.name}/{self.values['name']}"

    @property
    def file(self) -> Path:
        """The package."""
        return self.folder / str(self.values["file"])

    @property
    def expected(self) -> tuple[str | None, str, str]:
        """Format, outcome and reason."""
        return self.values["format"], self.values["outcome"], self.values["reason"]

    def paths(self, field: str) -> tuple[Path, ...]:
        """The files of a field."""
        return tuple(self.folder / name for name in self.values.get(field, ()))


def cases(*formats: str) -> tuple[Case, ...]:
    """Every case of every format, or of those named."""
    found: list[Case] = []
    for table in sorted(FIXTURES.glob("*/cases.json")):
        if formats and table.parent.name not in formats:
            continue
        value = json.loads(table.read_text())
        for line in value["cases"]:
            line.setdefault("at", value.get("at", "2026-06-01T00:00:00Z"))
            unknown = set(line) - KNOWN
            if unknown:
                raise ValueError(f"{table}: unknown fields {sorted(unknown)}")
            found.append(Case(table.parent, line))
    return tuple(found)


class InProcessReader:
    """``FactReader`` without isolation, of the file or of ``data`` in its place."""

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data

    def read(
        self, package_fd: int, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
    ) -> PackageFacts:
        """The facts."""
        source = FileSource(package_fd) if self.data is None else BytesSource(self.data)
        return read_package(source, side, candidates, limits)


def material(paths: tuple[Path, ...]) -> SuppliedMaterial:
    """The keys in files."""
    found = SuppliedMaterial()
    for path in paths:
        found += read_material(path.read_bytes(), path.name)
    return found


def verdict_of(case: Case, data: bytes | None = None) -> Verdict:
    """What the program says of the case, or of ``data`` in place of its file."""
    return facts_and_verdict(case, data)[1]


def facts_and_verdict(case: Case, data: bytes | None = None) -> tuple[PackageFacts | None, Verdict]:
    """The same with the facts."""
    values = case.values
    said = values.get("certificate_identity"), values.get("certificate_oidc_issuer")
    request = CheckRequest(
        path=case.file,
        vendor=ExpectedVendor(None, "none"),
        at=parse_time(values["at"]),
        signatures=case.paths("signatures") if "signatures" in values else None,
        anchors=material(case.paths("anchors")),
        untrusted=material(case.paths("untrusted")),
        only_supplied=True,
        identity=ExpectedIdentity(*said) if any(said) else None,
        namespace=values.get("namespace", DEFAULT_NAMESPACE),
        revocation=tuple(item for path in case.paths("crls") for item in read_revocation(path.read_bytes(), path.name)),
    )
    return Verifier(InProcessReader(data), now=lambda: NOW).examine(request)
