"""Facts as JSON and back: how the isolated worker answers and how facts are kept. Reading is strict; a crafted answer is malformed.

Certificates, which several signatures of a message share, are written once in a table.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypeVar

from trust_store.decode.json_values import (
    boolean,
    list_of,
    moment,
    natural,
    object_of,
    octets,
    optional,
    row_of,
    text,
)
from trust_store.errors import MalformedError
from trust_store.model.identifiers import format_time
from trust_store.model.package_facts import (
    CarriedKey,
    Coverage,
    KeyCheck,
    Member,
    PackageFacts,
    Problem,
    Product,
    SideFile,
    SignatureFact,
    SignatureOrigin,
    SignatureRole,
    SignerHint,
    Uncovered,
)
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = "rootwarden/facts/2"
MAX_FACTS_BYTES = 64 * 1024**2
MAX_SIGNATURES = 4096
MAX_MEMBERS = 256
MAX_MEMBER_DEPTH = 4
MAX_INTEGER = 1 << 512
_HEX = frozenset("0123456789abcdef")
_FACTS = frozenset(
    (
        "schema",
        "sha256",
        "size",
        "format",
        "reader_version",
        "material",
        "problem",
        "signatures",
        "certificates",
        "coverage",
        "isolated",
        "product",
        "members",
    )
)
_COVERAGE = frozenset(("covered_bytes", "uncovered"))
_SIGNATURE = frozenset(
    (
        "scheme", "origin", "file", "problem", "hint", "digest_algorithm", "signature_algorithm", "signature", "signed", "digest",
        "content_matches", "packet", "certificates", "claimed_at", "timestamps", "countersignatures", "key_checks", "role", "keys",
        "namespace", "other_names", "valid_from", "valid_until", "part",
    )
)  # fmt: skip
_HINT = frozenset(
    ("issuer_der", "issuer", "serial_number", "subject_key_identifier", "openpgp", "key_id", "key_sha256")
)
_OF_KEY_ALONE = {"key": True, "not the key": False}
_T = TypeVar("_T")


def facts_to_json(facts: PackageFacts) -> str:
    """The facts as one line of ASCII JSON."""
    return json.dumps(_facts_out(facts), separators=(",", ":"))


def _facts_out(facts: PackageFacts) -> dict[str, Any]:
    table: dict[bytes, int] = {}
    signatures = [_signature_out(fact, table) for fact in facts.signatures]
    product = facts.product
    return {
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
        "product": [product.name, product.version] if product else None,
        "members": [[member.name, _facts_out(member.facts)] for member in facts.members],
    }


def facts_from_json(data: str | bytes) -> PackageFacts:
    """The facts that ``facts_to_json`` wrote; raises MalformedError for anything else."""
    if len(data) > MAX_FACTS_BYTES:
        raise MalformedError(f"facts: more than {MAX_FACTS_BYTES} bytes")
    try:
        value = json.loads(data, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"facts: not JSON: {str(error)[:100]}") from error
    return _facts_in(value, MAX_MEMBER_DEPTH)


def _facts_in(value: object, depth: int) -> PackageFacts:
    outer = object_of(value, _FACTS)
    if outer["schema"] != SCHEMA:
        raise MalformedError("facts: another schema")
    certificates = list_of(outer["certificates"], octets)
    coverage = object_of(outer["coverage"], _COVERAGE)
    return PackageFacts(
        sha256=_digest(outer["sha256"], empty=True),
        size=natural(outer["size"]),
        format=optional(outer["format"], text),
        reader_version=natural(outer["reader_version"]),
        material=list_of(outer["material"], _digest),
        problem=optional(outer["problem"], _problem_in),
        signatures=list_of(outer["signatures"], lambda item: _signature_in(item, certificates), MAX_SIGNATURES),
        coverage=Coverage(natural(coverage["covered_bytes"]), list_of(coverage["uncovered"], _uncovered_in)),
        isolated=boolean(outer["isolated"]),
        product=optional(outer["product"], _product_in),
        members=list_of(outer["members"], lambda item: _member_in(item, depth), MAX_MEMBERS),
    )


def _product_in(value: object) -> Product:
    name, version = row_of(value, 2)
    return Product(text(name), optional(version, text))


def _member_in(value: object, depth: int) -> Member:
    if depth <= 0:
        raise MalformedError("facts: packages inside packages, too deep")
    name, facts = row_of(value, 2)
    return Member(text(name), _facts_in(facts, depth - 1))


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
            "key_sha256": hint.key_sha256,
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
        "countersignatures": [_base64(one) for one in fact.countersignatures],
        "key_checks": [[c.key, c.owner, c.holds, _opinion_out(c)] for c in fact.key_checks],
        "role": fact.role.value,
        "keys": [[key.kind, _base64(key.material)] for key in fact.keys],
        "namespace": fact.namespace,
        "other_names": list(fact.other_names),
        "valid_from": format_time(fact.valid_from) if fact.valid_from else None,
        "valid_until": format_time(fact.valid_until) if fact.valid_until else None,
        "part": fact.part,
    }


def _signature_in(value: object, certificates: tuple[bytes, ...]) -> SignatureFact:
    item = object_of(value, _SIGNATURE)
    return SignatureFact(
        scheme=text(item["scheme"]),
        origin=_member(SignatureOrigin, item["origin"]),
        file=optional(item["file"], _file_in),
        problem=optional(item["problem"], _problem_in),
        hint=_hint_in(item["hint"]),
        digest_algorithm=text(item["digest_algorithm"]),
        signature_algorithm=text(item["signature_algorithm"]),
        signature=octets(item["signature"]),
        signed=octets(item["signed"]),
        digest=octets(item["digest"]),
        content_matches=boolean(item["content_matches"]),
        packet=octets(item["packet"]),
        certificates=list_of(item["certificates"], lambda index: _at(certificates, index)),
        claimed_at=optional(item["claimed_at"], moment),
        timestamps=list_of(item["timestamps"], octets),
        countersignatures=list_of(item["countersignatures"], octets),
        key_checks=list_of(item["key_checks"], _check_in),
        role=_member(SignatureRole, item["role"]),
        keys=list_of(item["keys"], _key_in),
        namespace=optional(item["namespace"], text),
        other_names=list_of(item["other_names"], text),
        valid_from=optional(item["valid_from"], moment),
        valid_until=optional(item["valid_until"], moment),
        part=optional(item["part"], text),
    )


def _key_in(value: object) -> CarriedKey:
    kind, material = row_of(value, 2)
    return CarriedKey(text(kind), octets(material))


def _hint_in(value: object) -> SignerHint:
    item = object_of(value, _HINT)
    return SignerHint(
        issuer_der=octets(item["issuer_der"]),
        issuer=optional(item["issuer"], text),
        serial_number=optional(item["serial_number"], _serial_in),
        subject_key_identifier=optional(item["subject_key_identifier"], _hex),
        openpgp=optional(item["openpgp"], _hex),
        key_id=optional(item["key_id"], _hex),
        key_sha256=optional(item["key_sha256"], _digest),
    )


def _check_in(value: object) -> KeyCheck:
    key, owner, holds, opinion = row_of(value, 4)
    if isinstance(opinion, str):
        if opinion not in _OF_KEY_ALONE:
            raise MalformedError("facts: an unknown word")
        return KeyCheck(_hex(key), _hex(owner), boolean(holds), _OF_KEY_ALONE[opinion], key_alone=True)
    return KeyCheck(_hex(key), _hex(owner), boolean(holds), optional(opinion, boolean))


def _opinion_out(check: KeyCheck) -> bool | str | None:
    """The second opinion; a word where it is about the key alone."""
    if not check.key_alone or check.second_opinion is None:
        return check.second_opinion
    return next(word for word, said in _OF_KEY_ALONE.items() if said is check.second_opinion)


def _uncovered_in(value: object) -> Uncovered:
    start, end, member, inert = row_of(value, 4)
    return Uncovered(optional(start, natural), optional(end, natural), optional(member, text), boolean(inert))


def _file_in(value: object) -> SideFile:
    name, sha256 = row_of(value, 2)
    return SideFile(text(name), _digest(sha256))


def _problem_out(problem: Problem | None) -> list[str] | None:
    return [problem.reason.value, problem.detail] if problem else None


def _problem_in(value: object) -> Problem:
    reason, detail = row_of(value, 2)
    found = _member(Reason, reason)
    if found is Reason.TRUSTED:
        raise MalformedError("facts: trust is no problem")
    return Problem(found, text(detail))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse(text: str) -> float:
    raise ValueError(f"{text[:20]} has no place here")


def _hex(value: object) -> str:
    digits = text(value)
    if not _HEX.issuperset(digits):
        raise MalformedError("facts: not lower-case hex")
    return digits


def _digest(value: object, *, empty: bool = False) -> str:
    digits = _hex(value)
    if len(digits) != 64 and not (empty and not digits):
        raise MalformedError("facts: not a SHA-256")
    return digits


def _serial_in(value: object) -> int:
    try:
        number = int(text(value), 16)
    except ValueError as error:
        raise MalformedError("facts: not a serial number") from error
    if abs(number) > MAX_INTEGER or f"{number:x}" != value:
        raise MalformedError("facts: not a serial number")
    return number


def _at(table: tuple[bytes, ...], index: object) -> bytes:
    number = natural(index)
    if number >= len(table):
        raise MalformedError("facts: a certificate that is not in the table")
    return table[number]


def _member(kind: Callable[[str], _T], value: object) -> _T:
    try:
        return kind(text(value))
    except ValueError as error:
        raise MalformedError("facts: an unknown word") from error
