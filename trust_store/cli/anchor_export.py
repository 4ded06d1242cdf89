"""``rootwarden anchor export``: what is trusted, in the format of another program; never quietly less strict than the store."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trust_store import query
from trust_store.cli.check_request import expected_vendor
from trust_store.cli.files import read_capped, write_whole
from trust_store.errors import UsageError
from trust_store.exchange.exporting.protocol import ExportContext, losses
from trust_store.exchange.exporting.registry import EXPORTERS
from trust_store.model.trust_anchor import AnchorState, Purpose
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trust_store.exchange.exporting.protocol import ExportedFile, Exporter, Loss
    from trust_store.model.trust_anchor import TrustAnchor

MAX_PASSWORD_BYTES = 1024
_BY_NAME = {exporter.NAME: exporter for exporter in EXPORTERS}
_FORMATS = "\n".join(f"  {exporter.NAME:<20} {exporter.DOC}" for exporter in EXPORTERS)
_HELP = f"""Write the valid anchors in the format of another program.

An export that would lose a limit of an anchor (its vendor, signer rule, window, products ...) is refused and says which;
--lossy writes it all the same.

\b
Formats:
{_FORMATS}

\b
Examples:
  rootwarden anchor export pem --vendor dten --out dten-roots.pem
  rootwarden anchor export apt-keyring --out /etc/apt/keyrings
  rootwarden anchor export json --purpose timestamp --out anchors.json
"""


@click.command("export", help=_HELP)
@click.argument("format_name", metavar="FORMAT", type=click.Choice(list(_BY_NAME)))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file, or the directory of several.")
@click.option("--vendor", help="Only this vendor's.")
@click.option("--anchor", "anchor_ids", multiple=True, metavar="ID", help="Only these anchors.")
@click.option(
    "--purpose",
    type=click.Choice([p.value for p in Purpose]),
    default=Purpose.CODE.value,
    show_default=True,
    help="What whoever reads the export will use it for.",
)
@click.option("--lossy", is_flag=True, help="Write it although limits are lost.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Of a Java truststore; 'changeit' without.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    format_name: str,
    out: Path,
    vendor: str | None,
    anchor_ids: tuple[str, ...],
    purpose: str,
    password_file: Path | None,
    *,
    lossy: bool,
    as_json: bool,
) -> int:
    """See ``help``."""
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    if vendor is not None:
        expected_vendor(vendor, settings.vendors, "")
    exporter = _BY_NAME[format_name]
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        valid = query.anchors(connection, vendor, [AnchorState.VALID])
        graves = query.buried(connection, valid)
        context = ExportContext(
            purpose, invocation.now(), query.store_id(connection) or "", query.store_revision(connection),
            **_password(password_file),
        )  # fmt: skip
    chosen = _chosen(valid, exporter, purpose, anchor_ids, graves)
    lost = losses(exporter, chosen)
    if lost and not lossy:
        raise UsageError(_refusal(format_name, lost))
    paths = _write(exporter, exporter.export(chosen, context), out)
    _tell(chosen, paths, lost, as_json=as_json)
    for anchor_id, grave in graves.items():
        click.echo(f"{anchor_id} left out: its key is {grave.state.value} ({grave.id})", err=True)
    return 0


def _chosen(
    valid: Iterable[TrustAnchor],
    exporter: Exporter,
    purpose: str,
    anchor_ids: tuple[str, ...],
    graves: Mapping[str, TrustAnchor],
) -> list[TrustAnchor]:
    """The anchors that the format can hold, for the purpose, oldest first; raises UsageError where there are none.

    What nothing passes under, since its key was buried, is trusted nowhere else either.
    """
    known = {anchor.id: anchor for anchor in valid if anchor.id not in graves}
    missing = [anchor_id for anchor_id in anchor_ids if anchor_id not in known]
    if missing:
        raise UsageError(
            f"{safe(missing[0], 64)!r} is no valid anchor here; 'rootwarden anchor list --state valid' shows them"
        )
    found = [
        anchor
        for anchor in known.values()
        if (not anchor_ids or anchor.id in anchor_ids)
        and anchor.kind in exporter.KINDS
        and purpose in anchor.constraints.purposes
    ]
    if not found:
        kinds = ", ".join(sorted(exporter.KINDS))
        raise UsageError(f"no valid anchor for {purpose} is of a kind that {exporter.NAME} holds ({kinds})")
    return sorted(found, key=lambda a: a.id)


def _refusal(format_name: str, lost: tuple[Loss, ...]) -> str:
    told = [f"  {loss.anchor_id}: {loss.limit.replace('_', ' ')} ({safe(loss.value, 200)})" for loss in lost[:20]]
    more = [f"  and {len(lost) - 20} more"] if len(lost) > len(told) else []
    head = f"a {format_name} export would lose these limits:"
    return "\n".join([head, *told, *more, "--lossy writes it all the same; 'json' and the signed bundle lose nothing"])


def _write(exporter: Exporter, files: tuple[ExportedFile, ...], out: Path) -> list[Path]:
    """Each file written beside its place and renamed; raises StoreUnavailableError where that cannot be done."""
    single = exporter.SINGLE and not out.is_dir()
    paths = []
    for file in files:
        paths.append(out if single else out / file.path)
        write_whole(paths[-1], file.content)
    return paths


def _tell(chosen: list[TrustAnchor], paths: list[Path], lost: tuple[Loss, ...], *, as_json: bool) -> None:
    if as_json:
        said = {
            "files": [str(path) for path in paths],
            "anchors": [anchor.id for anchor in chosen],
            "lost": [{"anchor": loss.anchor_id, "limit": loss.limit, "value": loss.value} for loss in lost],
        }
        click.echo(json.dumps(said))
        return
    for path in paths:
        click.echo(safe(str(path), 1000))
    click.echo(f"{len(chosen)} anchor(s)" + (f", {len(lost)} limit(s) lost" if lost else ""))


def _password(file: Path | None) -> dict[str, bytes]:
    if file is None:
        return {}
    return {"password": read_capped(file, MAX_PASSWORD_BYTES).rstrip(b"\r\n")}
