"""Facts as JSON and back: how the isolated worker answers and how facts are kept. Reading is strict; a crafted answer is malformed.

Certificates, which several signatures of a message share, are written once in a table.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, TypeVar

from trust_store.errors import MalformedError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.model.package_facts import (
    Coverage,
    KeyCheck,
    PackageFacts,
    Problem,
    SideFile,
    SignatureFact,
    SignatureOrigin,
    SignerHint,
    Uncovered,
)
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

SCHEMA = "rootwarden/facts/1"
MAX_FACTS_BYTES = 64 * 1024**2
MAX_SIGNATURES = 4096
MAX_ITEMS = 200_000
MAX_TEXT = 8192
MAX_BYTES = 16 * 1024**2
MAX_INTEGER = 1 << 512
_HEX = frozenset("0123456789abcdef")
_T = TypeVar("_T")


def facts_to_json(facts: PackageFacts) -> str:
    """The facts as one line of ASCII JSON."""
    table: dict[bytes, int] = {}
    signatures = [_signature_out(fact, table) for fact in facts.signatures]
    return json.dumps(
        {
            "schema": SCHEMA,
            "sha256": facts.sha256,
            "size": facts.size,
            "format": facts.format,
            "reader_version": facts.reader_version,
            "material": list(facts.material),
            "problem": _problem_out(facts.problem),
            "signatures": signatures,
            "certificates": [_base64(certificate) for certificate in table],
            "coverage": {
                "covered_bytes": facts.coverage.covered_bytes,
                "uncovered": [[u.start, u.end, u.member, u.inert] for u in facts.coverage.uncovered],
            },
            "isolated": facts.isolated,
        },
        separators=(",", ":"),
    )


def facts_from_json(text: str | bytes) -> PackageFacts:
    """The facts that ``facts_to_json`` wrote; raises MalformedError for anything else."""
    if len(text) > MAX_FACTS_BYTES:
        raise MalformedError(f"facts: more than {MAX_FACTS_BYTES} bytes")
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"facts: not JSON: {str(error)[:100]}") from error
    outer = _object(
        value,
        "schema sha256 size format reader_version material problem signatures certificates coverage isolated",
    )
    if outer["schema"] != SCHEMA:
        raise MalformedError("facts: another schema")
    certificates = _list(outer["certificates"], _bytes_in)
    coverage = _object(outer["coverage"], "covered_bytes uncovered")
    return PackageFacts(
        sha256=_digest(outer["sha256"], empty=True),
        size=_natural(outer["size"]),
        format=_optional(outer["format"], _text),
        reader_version=_natural(outer["reader_version"]),
        material=_list(outer["material"], _digest),
        problem=_optional(outer["problem"], _problem_in),
        signatures=_list(outer["signatures"], lambda item: _signature_in(item, certificates), MAX_SIGNATURES),
        coverage=Coverage(_natural(coverage["covered_bytes"]), _list(coverage["uncovered"], _uncovered_in)),
        isolated=_boolean(outer["isolated"]),
    )


def _signature_out(fact: SignatureFact, table: dict[bytes, int]) -> dict[str, Any]:
    hint = fact.hint
    return {
        "scheme": fact.scheme,
        "origin": fact.origin.value,
        "file": [fact.file.name, fact.file.sha256] if fact.file else None,
        "problem": _problem_out(fact.problem),
        "hint": {
            "issuer_der": _base64(hint.issuer_der),
            "issuer": hint.issuer,
            "serial_number": None if hint.serial_number is None else f"{hint.serial_number:x}",
            "subject_key_identifier": hint.subject_key_identifier,
            "openpgp": hint.openpgp,
            "key_id": hint.key_id,
        },
        "digest_algorithm": fact.digest_algorithm,
        "signature_algorithm": fact.signature_algorithm,
        "signature": _base64(fact.signature),
        "signed": _base64(fact.signed),
        "digest": _base64(fact.digest),
        "content_matches": fact.content_matches,
        "packet": _base64(fact.packet),
        "certificates": [table.setdefault(certificate, len(table)) for certificate in fact.certificates],
        "claimed_at": format_time(fact.claimed_at) if fact.claimed_at else None,
        "timestamps": [_base64(token) for token in fact.timestamps],
        "countersignatures": fact.countersignatures,
        "key_checks": [[c.key, c.owner, c.holds, c.second_opinion] for c in fact.key_checks],
    }


def _signature_in(value: object, certificates: tuple[bytes, ...]) -> SignatureFact:
    item = _object(
        value,
        "scheme origin file problem hint digest_algorithm signature_algorithm signature signed digest content_matches "
        "packet certificates claimed_at timestamps countersignatures key_checks",
    )
    return SignatureFact(
        scheme=_text(item["scheme"]),
        origin=_member(SignatureOrigin, item["origin"]),
        file=_optional(item["file"], _file_in),
        problem=_optional(item["problem"], _problem_in),
        hint=_hint_in(item["hint"]),
        digest_algorithm=_text(item["digest_algorithm"]),
        signature_algorithm=_text(item["signature_algorithm"]),
        signature=_bytes_in(item["signature"]),
        signed=_bytes_in(item["signed"]),
        digest=_bytes_in(item["digest"]),
        content_matches=_boolean(item["content_matches"]),
        packet=_bytes_in(item["packet"]),
        certificates=_list(item["certificates"], lambda index: _at(certificates, index)),
        claimed_at=_optional(item["claimed_at"], _time_in),
        timestamps=_list(item["timestamps"], _bytes_in),
        countersignatures=_natural(item["countersignatures"]),
        key_checks=_list(item["key_checks"], _check_in),
    )


def _hint_in(value: object) -> SignerHint:
    item = _object(value, "issuer_der issuer serial_number subject_key_identifier openpgp key_id")
    return SignerHint(
        issuer_der=_bytes_in(item["issuer_der"]),
        issuer=_optional(item["issuer"], _text),
        serial_number=_optional(item["serial_number"], _serial_in),
        subject_key_identifier=_optional(item["subject_key_identifier"], _hex),
        openpgp=_optional(item["openpgp"], _hex),
        key_id=_optional(item["key_id"], _hex),
    )


def _check_in(value: object) -> KeyCheck:
    key, owner, holds, opinion = _row(value, 4)
    return KeyCheck(_hex(key), _hex(owner), _boolean(holds), _optional(opinion, _boolean))


def _uncovered_in(value: object) -> Uncovered:
    start, end, member, inert = _row(value, 4)
    return Uncovered(_optional(start, _natural), _optional(end, _natural), _optional(member, _text), _boolean(inert))


def _file_in(value: object) -> SideFile:
    name, sha256 = _row(value, 2)
    return SideFile(_text(name), _digest(sha256))


def _problem_out(problem: Problem | None) -> list[str] | None:
    return [problem.reason.value, problem.detail] if problem else None


def _problem_in(value: object) -> Problem:
    reason, detail = _row(value, 2)
    found = _member(Reason, reason)
    if found is Reason.TRUSTED:
        raise MalformedError("facts: trust is no problem")
    return Problem(found, _text(detail))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse(text: str) -> float:
    raise ValueError(f"{text[:20]} has no place here")


def _object(value: object, keys: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(keys.split()):
        raise MalformedError("facts: an object with other keys than it must have")
    return value


def _row(value: object, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise MalformedError(f"facts: not a list of {length}")
    return value


def _list(value: object, read: Callable[[object], _T], most: int = MAX_ITEMS) -> tuple[_T, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise MalformedError("facts: not a list, or too long a one")
    return tuple(read(item) for item in value)


def _optional(value: object, read: Callable[[object], _T]) -> _T | None:
    return None if value is None else read(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or any("\ud800" <= c <= "\udfff" for c in value):
        raise MalformedError("facts: not a text, or too long a one")
    return value


def _hex(value: object) -> str:
    text = _text(value)
    if not _HEX.issuperset(text):
        raise MalformedError("facts: not lower-case hex")
    return text


def _digest(value: object, *, empty: bool = False) -> str:
    text = _hex(value)
    if len(text) != 64 and not (empty and not text):
        raise MalformedError("facts: not a SHA-256")
    return text


def _natural(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise MalformedError("facts: not a natural number")
    return value


def _serial_in(value: object) -> int:
    try:
        number = int(_text(value), 16)
    except ValueError as error:
        raise MalformedError("facts: not a serial number") from error
    if abs(number) > MAX_INTEGER or f"{number:x}" != value:
        raise MalformedError("facts: not a serial number")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise MalformedError("facts: neither true nor false")
    return value


def _bytes_in(value: object) -> bytes:
    if not isinstance(value, str) or len(value) > MAX_BYTES:
        raise MalformedError("facts: not base64, or too much of it")
    try:
        return base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise MalformedError("facts: not base64") from error


def _time_in(value: object) -> datetime:
    try:
        return parse_time(_text(value))
    except ValueError as error:
        raise MalformedError("facts: not a time") from error


def _at(table: tuple[bytes, ...], index: object) -> bytes:
    number = _natural(index)
    if number >= len(table):
        raise MalformedError("facts: a certificate that is not in the table")
    return table[number]


def _member(kind: Callable[[str], _T], value: object) -> _T:
    try:
        return kind(_text(value))
    except ValueError as error:
        raise MalformedError("facts: an unknown word") from error
