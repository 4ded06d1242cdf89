"""Writes the generated parts of docs/: ``python -m tests.docs_tables``. A test compares them with what is committed."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from escalation.config import DeliverySettings, SlackSettings, SMTPSettings
from monitor.config import IntakeSettings, PollingSettings, Source
from tests import docs_alerts, docs_http_api
from tests.docs_trust_model import TABLES
from trust_store.bundled_trust import TRIED
from trust_store.formats import registry
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.vendor import Contact, VendorPolicy
from trust_store.settings import APISettings, ControlSettings, StoreSettings
from trust_store.signatures.schemes import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).resolve().parents[1] / "docs"
SECTIONS: tuple[tuple[str, type], ...] = (
    ("[store]", StoreSettings),
    ("[control]", ControlSettings),
    ("[api]", APISettings),
    ("[intake]", IntakeSettings),
    ("[polling]", PollingSettings),
    ("[delivery]", DeliverySettings),
    ("[delivery.smtp]", SMTPSettings),
    ("[delivery.slack]", SlackSettings),
    ("[vendor.policy]", VendorPolicy),
    ("[[vendor.contact]]", Contact),
    ("[[source]]", Source),
)
NOT_WRITTEN = ("vendor_id", "file", "smtp", "slack")
"""Fields that the program sets, or that are sections of their own."""
_GENERATED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def formats() -> str:
    """docs/formats.md."""
    lines = [
        "# Package formats and signature schemes",
        "",
        "Generated from the readers themselves: `python -m tests.docs_tables`. Detection is by content, never by name; inside one",
        "container the readers are asked in the order of this page, and the last of a container takes whatever is left.",
        "",
        "| format | container | reader version |",
        "| --- | --- | ---: |",
        *(f"| `{reader.name}` | {reader.container} | {reader.version} |" for reader in registry.READERS),
        "",
        "## Formats",
        "",
        *_sections(reader.load() for reader in registry.READERS),
        "## Signature schemes",
        "",
        *_sections(scheme.load() for scheme in SCHEMES),
        "## Kinds of keys",
        "",
        f"Signatures are tried with keys of the kinds {_kinds(TRIED)}. Anchors of the kinds",
        f"{_kinds(set(AnchorKind) - TRIED)} are no keys: they are held against the certificates and logs of sigstore signatures.",
    ]
    return "\n".join(lines).rstrip() + "\n"


def settings() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Generated from the configuration's own types: `python -m tests.docs_tables`. Main file `/etc/rootwarden/rootwarden.toml`, one",
        "file per vendor in `vendors.d/` beside it. Unknown keys are refused. Relative paths are relative to the file they stand in.",
        "",
        '`[approvers]` maps people to identities, each to one person: Unix users (`alice = "alice"`, `bob = ["bob", 1004, "uid:1005"]`).',
        '`"token:..."` and `"login:..."` are reserved: nothing proves such an identity yet. Somebody new counts once the people of the',
        "list before approve with `rootwarden anchor approve-policy --approvers`; somebody who is gone stops counting at once.",
        "`[vendor]` has `id`, `name` and `domains`; `[vendor.packages]` has `patterns`.",
        "",
    ]
    for name, kind in SECTIONS:
        said, about = field_docs(kind), " ".join((kind.__doc__ or "").replace("``", "`").split())
        lines += [f"## `{name}`", "", about, "", "| key | default | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{f.name}` | {_default(f)} | {said[f.name]} |" for f in written(kind)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def written(kind: type) -> list[dataclasses.Field[object]]:
    """The fields of a section that a configuration file may hold."""
    return [f for f in dataclasses.fields(kind) if f.name not in NOT_WRITTEN]


def field_docs(kind: type) -> dict[str, str]:
    """What stands below each field of a section where it is defined; a field without a sentence is not in it."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(made, ast.ClassDef)
    return {
        field.target.id: " ".join(said.value.value.split())
        for field, said in itertools.pairwise(made.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str)
    }


def trust_model() -> str:
    """docs/trust-model.md: people's words, with the tables between the markers made anew."""
    text = (DOCS / "trust-model.md").read_text()
    written = [found[1] for found in _GENERATED.findall(text)]
    if sorted(written) != sorted(TABLES):
        raise ValueError(f"docs/trust-model.md must hold each of {sorted(TABLES)} once between markers, not {written}")
    return _GENERATED.sub(lambda m: "\n".join((m[1], *TABLES[m[2]](), "", m[3])), text)


GENERATED = {
    "alerts.md": docs_alerts.page,
    "formats.md": formats,
    "http-api.md": docs_http_api.page,
    "settings.md": settings,
    "trust-model.md": trust_model,
}


def _kinds(some: Iterable[AnchorKind]) -> str:
    return ", ".join(f"`{kind}`" for kind in AnchorKind if kind in some)


def _sections(modules: Iterable[object]) -> list[str]:
    lines = []
    for module in modules:
        lines += [f"### `{module.NAME}`", "", str(module.DOC).strip(), ""]  # type: ignore[attr-defined]
    return lines


def _default(field: dataclasses.Field[object]) -> str:
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "required"
    value = field.default
    if value is None or value in ("", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main() -> int:
    """Write every generated page."""
    for name, render in GENERATED.items():
        (DOCS / name).write_text(render())
        sys.stdout.write(f"docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
