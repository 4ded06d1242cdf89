"""``rootwarden check``: who signed a package, and does its key chain to a root that is trusted for the expected vendor?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store.cli.check_request import CheckOptions, CheckSession, batch_line, batch_options
from trust_store.cli.output import write_line
from trust_store.cli.verdict_text import verdict_lines
from trust_store.errors import UsageError
from trust_store.formats.worker import ForkedReader
from trust_store.model.verdict import Outcome
from trust_store.verdict_json import verdict_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trust_store.model.verdict import Verdict

MAX_LINE_BYTES = 1024 * 1024
EXIT_PASSED, EXIT_USAGE, EXIT_INDETERMINATE, EXIT_NOT_RUN, EXIT_FAILED = 0, 2, 3, 4, 10
_CODES = {Outcome.PASSED: EXIT_PASSED, Outcome.INDETERMINATE: EXIT_INDETERMINATE, Outcome.FAILED: EXIT_FAILED}
_WORST = (EXIT_NOT_RUN, EXIT_FAILED, EXIT_INDETERMINATE, EXIT_PASSED)
_FILE = click.Path()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line per package.")
@click.option("--vendor", metavar="ID", help="Whose package it is said to be; 'any' is the explicit opt-out.")
@click.option("--at", metavar="TIME", help="Ask about this time, as known now; ISO 8601 with zone.")
@click.option(
    "--anchors", multiple=True, type=_FILE, metavar="FILE",
    help="Certificates or OpenPGP keys trusted for this check only, for any vendor.",
)  # fmt: skip
@click.option("--only-anchors", is_flag=True, help="Leave the store out; neither store nor configuration is needed.")
@click.option(
    "--signature", "signatures", multiple=True, type=_FILE, metavar="FILE",
    help="A file with signatures over the package; each must verify. Default: the usual names beside it.",
)  # fmt: skip
@click.option("--untrusted", multiple=True, type=_FILE, metavar="FILE", help="Certificates or keys that help only.")
@click.option("--crl", "crls", multiple=True, type=_FILE, metavar="FILE", help="Revocation list (not implemented yet).")
@click.option("--certificate-identity", metavar="TEXT", help="Sigstore identity (not implemented yet).")
@click.option("--certificate-oidc-issuer", metavar="URL", help="Sigstore issuer (not implemented yet).")
@click.option("--namespace", metavar="TEXT", help="Namespace of SSH signatures (not implemented yet).")
@click.option("--batch", is_flag=True, help="Read JSON lines from standard input, answer with one line each.")
@click.argument("paths", nargs=-1, type=_FILE, metavar="PATH...")
def command(paths: tuple[str, ...], *, as_json: bool, batch: bool, **asked: Any) -> int:
    """Who signed this package, and does the key chain to a trusted root of the expected vendor?

    Exit 0: every package passed. 10: one failed. 3: one is indeterminate. 2: usage or configuration. 4: could not run.
    Anything else means not passed.

    \b
    Examples:
      rootwarden check --vendor dten Full-upgrade-package-dten.zip
      rootwarden check --json --vendor dten firmware.bin --signature firmware.bin.asc
      rootwarden check --only-anchors --anchors root.pem firmware.bin
      rootwarden check --batch < requests.jsonl
    """
    # First of all, before a store is open or a thread runs: the reader's process is forked from this one.
    reader = ForkedReader.start()
    try:
        options = CheckOptions(**asked)
        invocation = click.get_current_context().obj
        with CheckSession(Path(invocation.config), reader, invocation.now, invocation.evidence) as session:
            if batch:
                return _batch(session, paths, options)
            return _check(session, paths, options, as_json=as_json)
    finally:
        reader.close()


def exit_code(codes: Iterable[int]) -> int:
    """The code of several items: 4 over 10 over 3 over 0; no items at all is a usage error."""
    seen = set(codes)
    return next((code for code in _WORST if code in seen), EXIT_USAGE)


def verdict_code(verdict: Verdict) -> int:
    """The exit code that one verdict stands for."""
    return _CODES.get(verdict.outcome, EXIT_NOT_RUN)


def _check(session: CheckSession, paths: tuple[str, ...], options: CheckOptions, *, as_json: bool) -> int:
    if not paths:
        raise UsageError("name at least one package: rootwarden check --vendor ID PATH...")
    if len(paths) > 1 and options.signatures:
        raise UsageError("--signature is about one package; check them one by one, or with --batch")
    # All questions are put together before the first is answered: what is wrong with an option is told at once.
    requests = [session.request(path, options) for path in paths]
    codes: list[int] = []
    for request in requests:
        verdict = session.verifier(request).verify(request)
        write_line(json.dumps(verdict_to_dict(verdict)) if as_json else "\n".join(verdict_lines(verdict)))
        codes.append(verdict_code(verdict))
    return exit_code(codes)


def _batch(session: CheckSession, paths: tuple[str, ...], options: CheckOptions) -> int:
    if paths:
        raise UsageError('with --batch every question is a line on standard input: {"id": 1, "path": "...", ...}')
    codes: list[int] = []
    for line in _lines():
        answer, code = _answer(session, line, options)
        write_line(json.dumps(answer))
        codes.append(code)
    return exit_code(codes)


def _answer(session: CheckSession, line: bytes | None, otherwise: CheckOptions) -> tuple[dict[str, Any], int]:
    """The answer to one line and its exit code; a line that is no request is answered too."""
    if line is None:
        return _refused(None, f"a line longer than {MAX_LINE_BYTES} bytes")
    identity = None
    try:
        identity, asked = batch_line(line)
        path, options = batch_options(asked, otherwise)
        request = session.request(path, options)
        verdict = session.verifier(request).verify(request)
    except UsageError as error:
        return _refused(identity, str(error))
    return {"id": identity, **verdict_to_dict(verdict)}, verdict_code(verdict)


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
