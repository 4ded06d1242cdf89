"""``rootwarden path validate``: certification paths by RFC 5280 section 6.1, one by one or as JSON lines."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store.chain.peer_names import KINDS
from trust_store.chain.question import PathAnswer, PathQuestion, answer
from trust_store.chain.validation import PURPOSES, ValidationParameters
from trust_store.cli.exit_codes import exit_code, outcome_code
from trust_store.cli.output import write_line
from trust_store.cli.path_request import parse_line, parse_question, peer_name, require_few
from trust_store.decode.crl import MAX_LIST_BYTES, decode_lists
from trust_store.decode.x509 import decode_certificates
from trust_store.errors import MalformedError, ResourceLimitError, UsageError
from trust_store.model.identifiers import parse_time
from trust_store.model.verdict import Reason
from trust_store.package_files import PackageUnreadableError, open_package
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from trust_store.chain.peer_names import PeerName

MAX_LINE_BYTES = 32 * 1024 * 1024
_FILE = click.Path()
_SEQUENCE = b"\x30"
_CERTIFICATES = re.compile(rb"-----BEGIN (X509 )?CERTIFICATE-----|-----BEGIN PKCS7-----")


@click.group()
def command() -> None:
    """Certification paths (RFC 5280).

    \b
    Examples:
      rootwarden path validate --leaf signer.pem --untrusted chain.pem --anchors root.pem --purpose code-signing
      rootwarden path validate --batch < questions.jsonl
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@click.option("--leaf", type=_FILE, metavar="FILE", help="The end entity's certificate alone, PEM or DER.")
@click.option("--untrusted", multiple=True, type=_FILE, metavar="FILE", help="Certificates that may help.")
@click.option("--anchors", multiple=True, type=_FILE, metavar="FILE", help="Certificates trusted for this question.")
@click.option(
    "--crl",
    "crls",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="Revocation list, PEM or DER; makes them required for the whole path.",
)
@click.option("--at", metavar="TIME", help="Ask about this time; ISO 8601 with zone. Default: now.")
@click.option("--purpose", type=click.Choice(list(PURPOSES)), help="What the key is to be used for.  [default: any]")
@click.option("--dns", metavar="NAME", help="The host name it must be for.")
@click.option("--ip", metavar="ADDRESS", help="The IP address it must be for.")
@click.option("--email", metavar="ADDRESS", help="The mailbox it must be for.")
@click.option("--batch", is_flag=True, help="Read JSON lines from standard input, answer with one line each.")
def validate(*, as_json: bool, batch: bool, **asked: Any) -> int:
    """Is there a valid path from a certificate to an anchor?

    Exit 0: there is. 10: failed. 3: indeterminate, no path reaches an anchor, a date is not met or revocation is not known. 2: usage.
    4: could not run. Certificates and lists are held to the profile of RFC 5280 sections 4 and 5 as well, and with --purpose server-auth
    to the Web PKI's. With --crl the status of every certificate below the anchor must be known. With --batch a line that is no
    request is answered failed / malformed, and the run goes on.

    \b
    Examples:
      rootwarden path validate --leaf signer.pem --anchors root.pem --purpose code-signing --at 2026-11-25T12:00:00Z
      rootwarden path validate --json --leaf www.pem --untrusted chain.pem --anchors roots.pem --dns www.example.org
      rootwarden path validate --leaf signer.pem --untrusted ca.pem --anchors root.pem --crl root.crl --crl ca.crl
      rootwarden path validate --batch < questions.jsonl
    """
    now = click.get_current_context().obj.now
    if not batch:
        return _one(asked, now(), as_json=as_json)
    if any(asked.values()):
        raise UsageError('with --batch every question is a line on standard input: {"id": 1, "leaf": "...", ...}')
    codes = set()
    for line in _lines():
        identity, found = _batch_answer(line, now())
        write_line(
            json.dumps({"id": identity, "outcome": found.outcome, "reason": found.reason, "detail": found.detail})
        )
        codes.add(outcome_code(found.outcome))
    if not codes:
        raise UsageError(
            'no question came on standard input; each is a line: {"id": 1, "leaf": "...", "anchors": ["..."]}'
        )
    return exit_code(codes)


def _one(asked: dict[str, Any], now: datetime, *, as_json: bool) -> int:
    if not asked["leaf"] or not asked["anchors"]:
        raise UsageError("--leaf and --anchors are needed: rootwarden path validate --leaf FILE --anchors FILE")
    parameters = ValidationParameters(
        at=_time(asked["at"]) if asked["at"] else now,
        purpose=asked["purpose"] or "any",
        name=_peer(asked),
        profile=True,
    )
    anchors = tuple(_anchor_file(name) for name in asked["anchors"])
    untrusted = tuple(_helping_file(name) for name in asked["untrusted"])
    crls = tuple(_list_file(name) for name in asked["crls"])
    try:
        require_few(untrusted, "--untrusted")
        found = answer(PathQuestion(_read(asked["leaf"]), anchors, parameters, untrusted, crls))
    except ResourceLimitError as error:
        found = PathAnswer(Reason.RESOURCE_LIMIT, str(error))
    except PackageUnreadableError as error:
        found = PathAnswer(Reason.UNREADABLE, safe(str(error)))
    for line in [json.dumps(_as_dict(found))] if as_json else _text(found):
        write_line(line)
    return outcome_code(found.outcome)


def _as_dict(found: PathAnswer) -> dict[str, Any]:
    return {
        "id": None,
        "outcome": found.outcome,
        "reason": found.reason,
        "detail": found.detail,
        "path": [{"name": c.subject, "sha256": c.sha256} for c in found.path],
        "missing_issuer": None
        if found.missing is None
        else {
            "name": found.missing.issuer,
            "authority_key_identifier": found.missing.authority_key_identifier,
            "same_name_new_key": found.same_name_new_key,
        },
    }


def _text(found: PathAnswer) -> Iterable[str]:
    yield f"{found.outcome}: {found.reason}"
    if found.detail:
        yield f"  {safe(found.detail)}"
    for certificate in found.path:
        yield f"  {certificate.sha256}  {safe(certificate.subject, 200)}"


def _batch_answer(line: bytes | None, now: datetime) -> tuple[str | int | float | None, PathAnswer]:
    """The answer to one line and its id; a line that is no request is answered too."""
    if line is None:
        return None, PathAnswer(Reason.MALFORMED, f"a line longer than {MAX_LINE_BYTES} bytes")
    identity, asked = parse_line(line)
    try:
        if isinstance(asked, MalformedError):
            raise asked
        question = parse_question(asked, now)
    except MalformedError as error:
        return identity, PathAnswer(Reason.MALFORMED, str(error))
    except ResourceLimitError as error:
        return identity, PathAnswer(Reason.RESOURCE_LIMIT, str(error))
    return identity, answer(question)


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


def _time(text: str) -> datetime:
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--at: {safe(str(error), 200)}") from error


def _peer(asked: dict[str, Any]) -> PeerName | None:
    given = [(kind, asked[kind]) for kind in KINDS if asked[kind] is not None]
    if len(given) > 1:
        raise UsageError("--dns, --ip and --email exclude each other")
    try:
        return peer_name(*given[0]) if given else None
    except MalformedError as error:
        raise UsageError(f"--{given[0][0]}: {error}") from error


def _anchor_file(name: str) -> bytes:
    data = _file(name)
    try:
        decode_certificates(data)
    except (MalformedError, ResourceLimitError) as error:
        raise UsageError(f"{safe(name, 300)}: no certificates that can be read: {_without(data) or error}") from error
    return data


def _helping_file(name: str) -> bytes:
    """Certificates, readable or not; raises UsageError for a file that holds nothing of that kind at all."""
    data = _file(name)
    if not data.startswith(_SEQUENCE) and not _CERTIFICATES.search(data):
        raise UsageError(f"{safe(name, 300)}: {_without(data) or 'no certificate in it'}")
    return data


def _without(data: bytes) -> str:
    """Of which other kind a file is that holds no certificate that is read here; nothing where that does not show."""
    if b"-----BEGIN TRUSTED CERTIFICATE-----" in data:
        return (
            "the trust settings in OpenSSL's TRUSTED CERTIFICATE are not read here; without them it is a certificate: "
            "openssl x509 -in FILE -out PLAIN"
        )
    return "a bare public key; here a certificate is needed" if b"-----BEGIN PUBLIC KEY-----" in data else ""


def _list_file(name: str) -> bytes:
    data = _file(name)
    try:
        decode_lists(data)
    except (MalformedError, ResourceLimitError) as error:
        raise UsageError(f"{safe(name, 300)}: no revocation list that can be read: {error}") from error
    return data


def _file(name: str) -> bytes:
    try:
        return _read(name)
    except PackageUnreadableError as error:
        raise UsageError(str(error)) from error


def _read(name: str) -> bytes:
    """A regular file, one byte beyond the cap at most, so that the decoder refuses it; raises PackageUnreadableError."""
    with open_package(Path(name)) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
        try:
            return stream.read(2 * MAX_LIST_BYTES + 1)
        except OSError as error:
            raise PackageUnreadableError(f"{name} cannot be read: {error.strerror}") from error
