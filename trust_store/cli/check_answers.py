"""What ``check`` does with what it was asked: each question is put together, answered and written down."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from trust_store.cli.check_request import CheckOptions, CheckSession, batch_options
from trust_store.cli.exit_codes import EXIT_NOT_RUN, exit_code, outcome_code
from trust_store.cli.json_line import read_question
from trust_store.cli.output import write_line
from trust_store.cli.verdict_text import verdict_lines
from trust_store.errors import TrustStoreError, UsageError
from trust_store.verdict_json import verdict_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.verifier import CheckRequest

MAX_LINE_BYTES = 1024 * 1024


def answer_all(
    session: CheckSession, paths: tuple[str, ...], options: CheckOptions, *, as_json: bool, compare: bool = False
) -> int:
    """Answer for every path and return the exit code; raises UsageError before the first answer."""
    if not paths:
        raise UsageError("name at least one package: rootwarden check --vendor ID PATH...")
    if len(paths) > 1 and options.signatures:
        raise UsageError("--signature is about one package; check them one by one, or with --batch")
    # All questions are put together before the first is answered: what is wrong with an option is told at once.
    first = session.request(paths[0], options, pipes=True)
    requests = [session.about(first, path, options) for path in paths]
    codes: list[int] = []
    for request in requests:
        said, code = _verdict(session, request, compare=compare)
        write_line(json.dumps(said) if as_json else "\n".join(verdict_lines(said)))
        codes.append(code)
    return exit_code(codes)


def answer_batch(session: CheckSession, paths: tuple[str, ...], options: CheckOptions, *, compare: bool = False) -> int:
    """Answer every line of standard input with one line, and return the exit code; raises UsageError for paths beside them."""
    if paths:
        raise UsageError('with --batch every question is a line on standard input: {"id": 1, "path": "...", ...}')
    codes: list[int] = []
    for line in _lines():
        answer, code = _answer(session, line, options, compare=compare)
        write_line(json.dumps(answer))
        codes.append(code)
    if not codes:
        raise UsageError(
            'no question came on standard input; each is a line: {"id": 1, "path": "...", "vendor": "..."}'
        )
    return exit_code(codes)


def _answer(
    session: CheckSession, line: bytes | None, otherwise: CheckOptions, *, compare: bool
) -> tuple[dict[str, Any], int]:
    """The answer to one line and its exit code; a line that is no request, or has no store to ask, is answered too."""
    if line is None:
        return _refused(None, f"a line longer than {MAX_LINE_BYTES} bytes")
    identity = None
    try:
        identity, asked = read_question(line)
        path, options = batch_options(asked, otherwise)
        request = session.request(path, options)
        said, code = _verdict(session, request, compare=compare)
    except TrustStoreError as error:
        return _refused(identity, str(error))
    return {"id": identity, **said}, code


def _verdict(session: CheckSession, request: CheckRequest, *, compare: bool) -> tuple[dict[str, Any], int]:
    """The verdict as JSON, and its exit code; with ``native``, what native tools said, where they were to be asked."""
    if not compare:
        verdict = session.verifier(request).verify(request)
        return verdict_to_dict(verdict), outcome_code(verdict.outcome)
    verdict, compared = session.verifier(request).compare(request)
    native = [
        {"tool": c.opinion.tool, "says": c.opinion.says.value, "agrees": c.agrees, "detail": c.opinion.detail}
        for c in compared
    ]
    return {**verdict_to_dict(verdict), "native": native}, outcome_code(verdict.outcome)


def _refused(identity: Any, detail: str) -> tuple[dict[str, Any], int]:
    return {"id": identity, "outcome": "error", "reason": "bad_request", "detail": detail[:500]}, EXIT_NOT_RUN


def _lines() -> Iterator[bytes | None]:
    """The lines of standard input, None for one that is too long."""
    stream = sys.stdin.buffer
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)
        yield None
