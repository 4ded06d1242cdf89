"""``rootwarden analyse``: what documents say about signing keys, from files or as JSON lines, offline."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from monitor.analysis.analyse import analyse
from monitor.analysis.model import AnalysisInput, Post
from trust_store.cli.files import read_start
from trust_store.errors import UsageError
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from monitor.analysis.model import Analysis

MAX_LINE_BYTES = 64 << 20
MAX_FILE_BYTES = 64 << 20
MAX_POSTS = 100_000


class _BadRequestError(ValueError):
    """A batch line that is not a request; the text says why."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per document.")
@click.option("--batch", is_flag=True, help="Read JSON lines from standard input, answer each in order as JSON.")
@click.option("--explain", is_flag=True, help="Show which phrase of which sentence carried which weight.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
def command(*, as_json: bool, batch: bool, explain: bool, files: tuple[Path, ...]) -> int:
    """Tell whether a text announces a change of a signing key or CA, and which keys, dates and addresses it names.

    FILE is plain text, Markdown or HTML ("-" is standard input). Nothing is fetched, stored or trusted. A batch line is
    {"id", "title", "text", "posts": [{"author", "role", "date", "text"}], "url", "published"}; a post's "role" must come from the
    server's own flags, never from a display name.

    \b
    Exit codes: 0 answered, 2 a wrong question (a batch line that is not a request), 4 could not read.

    \b
    Examples:
      rootwarden analyse announcement.md
      rootwarden analyse --explain thread.html
      curl -s https://vendor.example/blog/key | rootwarden analyse --json -
      rootwarden analyse --batch < documents.jsonl > answers.jsonl
    """
    if batch == bool(files):
        raise UsageError(
            "give either --batch with JSON lines on standard input, or files to read (see rootwarden analyse --help)"
        )
    if batch:
        return _answer_batch(_lines(sys.stdin.buffer), explain=explain)
    code = 0
    for path in files:
        try:
            text = _read(path)
        except (UsageError, OSError) as error:  # the latter of standard input
            told = error if isinstance(error, UsageError) else f"standard input: {error.strerror or 'cannot be read'}"
            click.echo(f"rootwarden: {told}", err=True)
            code = 4
            continue
        answer = analyse(AnalysisInput(id=str(path), title="", text=text))
        if as_json:
            _print(_as_json(str(path), answer, explain=explain))
        else:
            click.echo(_as_text(str(path), answer, explain=explain))
    return code


def _read(path: Path) -> str:
    data = sys.stdin.buffer.read(MAX_FILE_BYTES) if str(path) == "-" else read_start(path, MAX_FILE_BYTES)
    return data.decode("utf-8", errors="replace")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of ``stream`` as they come; of one that is too long only as much as shows that it is."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                pass
        yield line


def _answer_batch(lines: Iterable[bytes], *, explain: bool) -> int:
    """Answer every line in order, the bad ones with ``error``; they make the exit code 2 at the end."""
    code = 0
    for line in lines:
        if not line.strip():
            continue
        identity: Any = None
        try:
            row = _row(line)
            identity = row.get("id") if isinstance(row.get("id"), str | int) else None
            answer = _as_json(identity, analyse(_request(row)), explain=explain)
        except _BadRequestError as error:
            answer, code = {"id": identity, "error": "bad_request", "detail": str(error)}, 2
        _print(answer)
    return code


def _row(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _BadRequestError(f"the line is longer than {MAX_LINE_BYTES} bytes")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadRequestError(f"not JSON: {str(error)[:200]}") from None
    if not isinstance(row, dict):
        raise _BadRequestError("not a JSON object")
    return row


def _request(row: dict[str, Any]) -> AnalysisInput:
    if not isinstance(row.get("id"), str | int) or isinstance(row.get("id"), bool):
        raise _BadRequestError("id: a string is needed")
    posts = row.get("posts") or []
    if not isinstance(posts, list) or len(posts) > MAX_POSTS or not all(isinstance(post, dict) for post in posts):
        raise _BadRequestError(f"posts: a list of at most {MAX_POSTS} objects is needed")
    if row.get("text") is None and not posts:
        raise _BadRequestError("text: a string is needed where there are no posts")
    return AnalysisInput(
        id=str(row["id"]),
        title=_text(row, "title"),
        text=_text(row, "text"),
        posts=tuple(
            Post(_text(post, "author") or None, _text(post, "role") or None, _date(post, "date"), _text(post, "text"))
            for post in posts
        ),
        url=_text(row, "url") or None,
        published=_date(row, "published"),
    )


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise _BadRequestError(f"{name}: a string is needed")
    return value or ""


def _date(row: dict[str, Any], name: str) -> date | None:
    """The day in a date or time as ISO 8601 writes them; None where it is missing or not understood, for it is only a hint."""
    try:
        return datetime.fromisoformat(_text(row, name)[:10]).date()
    except ValueError:
        return None


def _as_json(identity: str | int | None, answer: Analysis, *, explain: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": identity,
        "label": answer.label.value,
        "claims": [
            {
                "kind": claim.kind.value,
                "keys": [{"role": key.role, "algorithm": key.algorithm, "value": key.value} for key in claim.keys],
                "effective_dates": list(claim.effective_dates),
                "urls": list(claim.urls),
                "excerpt": claim.excerpt,
                "author": claim.author,
                "authority": claim.authority.value,
            }
            for claim in answer.claims
        ],
        "cves": list(answer.cves),
    }
    if explain:
        shown["score"], shown["truncated"] = answer.score, answer.truncated
        shown["explain"] = [
            {"rule": hit.rule, "weight": hit.weight, "phrase": hit.phrase, "sentence": hit.sentence, "why": hit.why}
            for hit in answer.hits
        ]
    return shown


def _as_text(name: str, answer: Analysis, *, explain: bool) -> str:
    lines = [f"{safe(name)}: {answer.label.value}" + (" (only the first part was read)" if answer.truncated else "")]
    for claim in answer.claims:
        lines.append(f"  {claim.kind.value} ({claim.authority.value}): {safe(claim.excerpt, 300)}")
        lines += [f"    {key.role} key, {key.algorithm}: {safe(key.value, 200)}" for key in claim.keys]
        lines += [f"    date: {day}" for day in claim.effective_dates]
        lines += [f"    address: {safe(url, 300)}" for url in claim.urls]
    lines += [f"  key in the text: {block.kind}, {len(block.data)} bytes" for block in answer.key_material]
    lines += [f"  {identifier}" for identifier in answer.cves]
    if explain:
        lines.append(f"  score {answer.score:.2f}")
        lines += [f"    {hit.weight:+.1f} {hit.rule}: {safe(hit.phrase, 120)!r} ({hit.why})" for hit in answer.hits]
    return "\n".join(lines)


def _print(answer: dict[str, Any]) -> None:
    """One line, ASCII, flushed: whoever reads the answers as they come must not wait for the next."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
