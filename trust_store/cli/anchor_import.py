"""``rootwarden anchor import``: files and folders of keys become pending anchors; nothing trusts them yet."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store import client
from trust_store.anchor_rules import disclosed
from trust_store.cli.key_folders import KeyPath, key_paths, read_regular
from trust_store.cli.output import write_line
from trust_store.decisions import MAX_IMPORT_BYTES
from trust_store.decode.key_files import read_key_file
from trust_store.decode.key_readers.pkcs12 import PKCS12Reader
from trust_store.decode.x509 import to_pem
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError, UsageError
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Purpose, TrustAnchor
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trust_store.model.key_material import KeyFileContents, KeyMaterial

MAX_PASSWORD_BYTES = 1024
MAX_BASELINE_FILES = 100
SHOWN_REASONS = 5
_PROGRESS_FROM = 10
_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class _Read:
    """One file: its bytes and keys, or why it was skipped."""

    source: KeyPath
    data: bytes = b""
    contents: KeyFileContents | None = None
    skipped: str | None = None


@click.command("import")
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--vendor", required=True, help="Whose keys these are said to be.")
@click.option("--distrust", "bury", is_flag=True, help="Record them as distrusted at once.")
@click.option("--baseline", is_flag=True, help="Propose all of them as one set, approved as one; for the first day.")
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    type=click.Choice([p.value for p in Purpose]),
    help="What they may vouch for, whatever the file says.",
)
@click.option("--dedicated", is_flag=True, help="The CAs among them issue for this vendor only.")
@click.option("--reason", default="", help="Why they are distrusted, for the log.")
@click.option(
    "--password-file", type=click.Path(path_type=Path), help="Opens PKCS#12; without it '' and 'changeit' are tried."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    paths: tuple[Path, ...],
    vendor: str,
    password_file: Path | None,
    purposes: tuple[str, ...],
    *,
    as_json: bool,
    **flags: Any,
) -> int:
    """Propose the keys of files, or of all files in directories, as pending anchors; nothing trusts them yet.

    Read are certificates (PEM, DER, PKCS#7, OpenSSL's trusted ones, PKCS#12 and Java truststores, p11-kit), OpenPGP keyrings
    (also apt's Signed-By), bare public keys, minisign, signify and SSH keys, npm key lists, sigstore trusted roots and identities.
    A key that its file lists as distrusted is skipped and told; --distrust records it.

    \b
    Examples:
      rootwarden anchor import vendor-root.pem --vendor dten
      rootwarden anchor import truststore.p12 --password-file pass.txt --vendor dten --dedicated
      rootwarden anchor import ~/.config/notation/truststore --vendor dten
      rootwarden anchor import stolen-key.asc --vendor dten --distrust --reason "key was stolen"
      rootwarden anchor import --baseline roots.pem keyring.gpg --vendor dten --dedicated
    """
    bury, baseline = bool(flags["bury"]), bool(flags["baseline"])
    if bury and (baseline or purposes or flags["dedicated"]):
        raise UsageError("--distrust buries keys: it goes with no --baseline, --purpose and --dedicated")
    stated: dict[str, Any] = {"vendor": vendor}
    if flags["dedicated"]:
        stated["dedicated"] = True
    if purposes:
        stated["purposes"] = list(purposes)
    if bury:
        stated |= {"distrust": True} | ({"reason": flags["reason"]} if flags["reason"] else {})
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)

    def decide(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return client.decide(settings, name, arguments, now=invocation.now, randomness=invocation.randomness)

    password = None if password_file is None else _password(password_file)
    sources = key_paths(paths)
    with _progress(len(sources)) as advance:
        read = [_told(advance, _read(source, password)) for source in _distinct(sources)]
        if not any(r.contents for r in read):
            raise UsageError(
                "; ".join(f"{r.source.path}: {r.skipped}" for r in read[:SHOWN_REASONS]) or "there is no file"
            )
        if baseline:
            return _propose_baseline(read, stated, decide, as_json=as_json)
        results = [(r, _import(r, stated, decide)) for r in read]
    return _report(results, vendor, bury=bury, as_json=as_json)


def _told(advance: Callable[[], None], read: _Read) -> _Read:
    advance()
    return read


def _distinct(sources: Iterable[KeyPath]) -> Iterator[KeyPath]:
    """Every file once, whichever links lead to it."""
    seen: set[Path] = set()
    for source in sources:
        real = source.path.resolve()
        if real not in seen:
            seen.add(real)
            yield source


def _read(source: KeyPath, password: bytes | None) -> _Read:
    try:
        data = read_regular(source.path, MAX_IMPORT_BYTES)
        return _Read(source, data, read_key_file(data, name=source.path.name, password=password))
    except (UsageError, MalformedError, UnsupportedError, ResourceLimitError) as error:
        return _Read(source, skipped=str(error))


def _import(
    read: _Read, stated: dict[str, Any], decide: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """What became of each key of the file, in order; one request a file."""
    if read.contents is None:
        return []
    found: list[dict[str, Any]] = []
    for data, keys, own in _requests(read):
        arguments = {"data": base64.b64encode(data).decode(), "name": _name(read.source.path), **own, **stated}
        if stated.get("distrust"):
            arguments.pop("purposes", None)
        outcomes = decide("anchor.import", arguments)["keys"]
        found += [
            {"name": _shown_name(key), "kind": key.kind.value, **outcome}
            for key, outcome in zip(keys, outcomes, strict=True)
        ]
    return found


def _requests(read: _Read) -> Iterator[tuple[bytes, tuple[KeyMaterial, ...], dict[str, Any]]]:
    """(bytes, keys, arguments) for each request: the file as it is; or, of PKCS#12, PEM, so that no password leaves this process."""
    assert read.contents is not None  # noqa: S101 - the caller looked
    own: dict[str, Any] = {"purposes": list(read.source.purposes)} if read.source.purposes else {}
    if read.contents.format != PKCS12Reader.NAME:
        yield read.data, read.contents.keys, own
        return
    for purposes in dict.fromkeys(key.constraints.purposes for key in read.contents.keys):
        keys = tuple(key for key in read.contents.keys if key.constraints.purposes == purposes)
        yield to_pem(key.material for key in keys), keys, {"purposes": list(purposes)} | own


def _propose_baseline(
    read: list[_Read], stated: dict[str, Any], decide: Callable[[str, dict[str, Any]], dict[str, Any]], *, as_json: bool
) -> int:
    """One request for all files; plain certificates travel as one bundle, so that a folder of them is one file."""
    plain = {key.material: key for r in read for key in _plain_certificates(r)}
    files = [to_pem(key.material for key in plain.values())] if plain else []
    files += [r.data for r in read if r.contents is not None and not _plain_certificates(r)]
    if len(files) > MAX_BASELINE_FILES or sum(len(data) for data in files) > MAX_IMPORT_BYTES:
        raise UsageError(
            f"a baseline is at most {MAX_BASELINE_FILES} files and {MAX_IMPORT_BYTES} bytes: propose several"
        )
    result = decide("baseline.propose", {"data": [base64.b64encode(data).decode() for data in files], **stated})
    if as_json:
        write_line(json.dumps({**result, "files": [_file_told(r, []) for r in read]}))
    else:
        lines = [line for r in read for line in _skip_lines(r)]
        write_line("\n".join([*lines, safe(str(result["message"]), 2000)]))
    return 2 if any(r.skipped and r.source.named for r in read) else 0


def _plain_certificates(read: _Read) -> tuple[KeyMaterial, ...]:
    """The keys of a file of nothing but certificates without limits of their own; empty for any other."""
    keys = read.contents.keys if read.contents else ()
    plain = all(
        k.kind is AnchorKind.X509 and k.distrusted is None and k.constraints.purposes == ("code",) for k in keys
    )
    return keys if plain and not read.source.purposes else ()


def _report(results: list[tuple[_Read, list[dict[str, Any]]]], vendor: str, *, bury: bool, as_json: bool) -> int:
    """The summary; 2 where a file that was named could not be read, though others were."""
    keys = [key for _, found in results for key in found]
    counts = {o: sum(k["outcome"] == o for k in keys) for o in ("proposed", "known", "distrusted", "skipped")}
    skipped_files = sum(read.skipped is not None for read, _ in results)
    message = ", ".join(f"{count} key(s) {outcome}" for outcome, count in counts.items() if count) or "no key"
    message += f", {skipped_files} file(s) skipped" if skipped_files else ""
    anchors = list(dict.fromkeys(key["anchor"] for key in keys if key["anchor"]))
    if as_json:
        outcome = "distrusted" if bury else "proposed"
        files = [_file_told(read, found) for read, found in results]
        write_line(
            json.dumps({"outcome": outcome, "vendor": vendor, "anchors": anchors, "files": files, "message": message})
        )
    else:
        lines = [line for read, found in results for line in _file_lines(read, found)]
        write_line("\n".join([message, *lines]))
    return 2 if any(read.skipped and read.source.named for read, _ in results) else 0


def _file_told(read: _Read, found: list[dict[str, Any]]) -> dict[str, Any]:
    contents = read.contents
    return {
        "file": str(read.source.path).encode("utf-8", "backslashreplace").decode(),
        "format": contents.format if contents else None,
        "keys": found,
        "left_out": list(contents.left_out) if contents else [],
        "skipped": read.skipped,
    }


def _file_lines(read: _Read, found: list[dict[str, Any]]) -> list[str]:
    lines = _skip_lines(read)
    for key in found:
        if key["outcome"] == "known":
            continue  # counted in the first line; 'anchor list' shows it
        told = key["anchor"] or safe(key["reason"] or "", 200)
        lines.append(f"  {key['outcome']:<10} {key['kind']:<17} {told}  {safe(key['name'], _NAME_CHARACTERS)}")
    known = sum(key["outcome"] == "known" for key in found)
    if found and read.contents is not None:
        lines.insert(0, f"{safe(str(read.source.path))}: {read.contents.format}, {len(found)} key(s), {known} known")
    return lines


def _skip_lines(read: _Read) -> list[str]:
    if read.skipped is not None:
        return [f"{safe(str(read.source.path))}: skipped: {safe(read.skipped, 300)}"]
    left_out = read.contents.left_out if read.contents else ()
    lines = [f"  left out   {safe(sentence, 300)}" for sentence in left_out[:SHOWN_REASONS]]
    more = len(left_out) - SHOWN_REASONS
    return [*lines, f"  left out   {more} more (--json names them)"] if more > 0 else lines


def _shown_name(key: KeyMaterial) -> str:
    """The key's name, unless it gives away what the vendor will be asked to read out."""
    pending = TrustAnchor(
        id="", vendor_id="", kind=key.kind, name="", key_sha256=hashlib.sha256(key.material).hexdigest(), material=key.material,
        state=AnchorState.PENDING, recorded_at=datetime.min.replace(tzinfo=UTC), effective_from=datetime.min.replace(tzinfo=UTC),
        identifiers=key.identifiers,
    )  # fmt: skip
    return disclosed(pending, key.name)


def _name(path: Path) -> str:
    """A file's name as it may travel in JSON."""
    return path.name.encode("utf-8", "backslashreplace").decode()[:_NAME_CHARACTERS]


def _password(file: Path) -> bytes:
    """The first line of the file."""
    try:
        return read_regular(file, MAX_PASSWORD_BYTES).split(b"\n", 1)[0].removesuffix(b"\r")
    except UsageError as error:
        raise UsageError(f"--password-file {file} {error}") from error


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal where there are many files; it is called once for each."""
    if total < _PROGRESS_FROM or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reading files of keys", total=total)
        yield lambda: progress.advance(bar)
