"""``rootwarden anchor lineage`` and ``anchor link``: which key replaced which, with the proof and what it is worth."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store import query
from trust_store.anchor_rules import disclosed
from trust_store.cli.deciding import JSON_OPTION, decide, stated
from trust_store.cli.files import read_start
from trust_store.cli.output import write_line
from trust_store.errors import UsageError
from trust_store.lineage import MAX_PROOF_BYTES
from trust_store.lineage_records import lineage_of
from trust_store.model.identifiers import format_time
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

if TYPE_CHECKING:
    from trust_store.lineage_records import ShownLink
    from trust_store.model.trust_anchor import TrustAnchor

NAME_CHARACTERS = 80
REFERENCE_CHARACTERS = 300


@click.command()
@click.argument("anchor_id", metavar="ID")
@JSON_OPTION
def lineage(anchor_id: str, *, as_json: bool) -> int:
    """Show which anchors this one replaced and which replaced it, oldest statement first, each graded as of now.

    \b
    cryptographic  the old key's own signature over the new one verifies
    corroborated   the vendor itself says so at two independent places
    asserted       somebody says so
    A grade makes no key trusted.

    \b
    Examples:
      rootwarden anchor lineage anchor_01J...
      rootwarden anchor lineage anchor_01J... --json
    """
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        evidence = invocation.evidence(connection) if invocation.evidence else None
        links = lineage_of(connection, anchor_id, evidence)
        named = {name for shown in links for name in (shown.link.predecessor_id, shown.link.successor_id)}
        anchors = {name: anchor for name in sorted(named) if (anchor := query.anchor(connection, name))}
    if as_json:
        write_line(json.dumps({"anchor": anchor_id, "links": [_to_dict(shown, anchors) for shown in links]}))
        return 0
    for shown in links:
        write_line("\n".join(_lines(shown, anchors)))
    if not links:
        click.echo(
            "nothing is recorded of it; 'rootwarden anchor link OLD NEW --proof FILE' records a succession", err=True
        )
    return 0


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--proof", type=click.Path(path_type=Path, dir_okay=False),
    help="Cross-certificate, certified OpenPGP key, Android signing lineage or TUF root metadata.",
)  # fmt: skip
@click.option("--reference", default="", metavar="TEXT", help="Where it is said: a URL, a ticket.")
@JSON_OPTION
def link(old: str, new: str, proof: Path | None, reference: str, *, as_json: bool) -> int:
    """Record that anchor NEW replaced anchor OLD. A proof that does not verify under OLD leaves it "asserted".

    \b
    Examples:
      rootwarden anchor link anchor_01J... anchor_01K... --proof cross-certificate.pem
      rootwarden anchor link anchor_01J... anchor_01K... --reference https://vendor.example/rotation
    """
    data = base64.b64encode(_read(proof)).decode() if proof is not None else None
    arguments = {"predecessor": old, "successor": new, "reference": reference, "proof": data}
    return decide("lineage.record", stated(arguments), as_json=as_json)


def _read(file: Path) -> bytes:
    data = read_start(file, MAX_PROOF_BYTES + 1)
    if not 0 < len(data) <= MAX_PROOF_BYTES:
        raise UsageError(f"{safe(str(file), 300)} is no proof: it must hold 1 to {MAX_PROOF_BYTES} bytes")
    return data


def _to_dict(shown: ShownLink, anchors: dict[str, TrustAnchor]) -> dict[str, Any]:
    """A pending key's proof would identify it: its digest is withheld as the key's own is."""
    recorded, now = shown.link, shown.now
    parties = [anchors[name] for name in (recorded.predecessor_id, recorded.successor_id) if name in anchors]
    pending = any(a.state.value == "pending" for a in parties)
    digest = hashlib.sha256(recorded.proof).hexdigest() if recorded.proof is not None and not pending else None
    return {
        "predecessor": recorded.predecessor_id,
        "successor": recorded.successor_id,
        "grade": now.grade.value,
        "grade_recorded": recorded.grade.value,
        "proof_kind": now.proof_kind.value,
        "proof_sha256": digest,
        "detail": now.detail,
        "reference": _disclosed(recorded.reference, parties),
        "recorded_at": format_time(recorded.recorded_at),
    }


def _lines(shown: ShownLink, anchors: dict[str, TrustAnchor]) -> list[str]:
    told = _to_dict(shown, anchors)
    lines = [
        f"{told['predecessor']} -> {told['successor']}  {told['grade']}: {safe(told['detail'], REFERENCE_CHARACTERS)}"
    ]
    for role in ("predecessor", "successor"):
        anchor = anchors.get(told[role])
        if anchor is not None:
            name = safe(disclosed(anchor, anchor.name), NAME_CHARACTERS)
            lines.append(f"  {role:<12} {anchor.state.value:<11} {name}")
    lines.append(f"  {'recorded':<12} {told['recorded_at']}  {safe(told['reference'], REFERENCE_CHARACTERS)}")
    return lines


def _disclosed(text: str, parties: list[TrustAnchor]) -> str:
    for anchor in parties:
        text = disclosed(anchor, text)
    return text
