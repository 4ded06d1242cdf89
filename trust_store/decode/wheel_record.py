"""``RECORD`` of a Python wheel (PEP 376, PEP 427) and the names that a wheel has: bytes -> values."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from typing import TYPE_CHECKING

from trust_store.decode.member_names import check_name, require_distinct
from trust_store.decode.plain_xml import decimal
from trust_store.decode.record_jws import base64url
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DIST_INFO = re.compile(r"[^/]{1,255}\.dist-info")
ALGORITHMS = ("sha256", "sha384", "sha512")
"""PEP 427: SHA-256 or better; MD5, SHA-1 and SHA-224 may not be used."""
MAX_METADATA_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9A-Za-z.!+_-]{1,128}")


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """One file with its digest; ``size`` in bytes where it is stated."""

    name: str
    algorithm: str
    digest: bytes
    size: int | None


def parse_record(data: bytes, *, max_entries: int) -> tuple[RecordEntry, ...]:
    """The files that RECORD states a digest of; those without one are left out: nothing is said of them.

    Raises MalformedError, UnsupportedError (a digest that PEP 427 does not allow) or ResourceLimitError.
    """
    names: list[str] = []
    found: list[RecordEntry] = []
    for number, row in enumerate(_rows(data)):
        if number >= max_entries:
            raise ResourceLimitError(f"RECORD: more than {max_entries} lines")
        if not row:
            continue
        if len(row) != 3:  # path, hash, size
            raise MalformedError(f"RECORD: a line of {len(row)} fields, expected three")
        name, stated, size = row
        check_name(name)
        names.append(name)
        if stated:
            found.append(_entry(name, stated, size))
    require_distinct(names)
    return tuple(found)


def dist_info_of(names: Iterable[str]) -> str | None:
    """The one ``.dist-info`` folder that holds WHEEL and RECORD; None where there is none or more than one: many packages are no wheel."""
    held = set(names)
    folders = {name.partition("/")[0] for name in held if "/" in name}
    found = [
        folder
        for folder in sorted(folders)
        if DIST_INFO.fullmatch(folder) and {f"{folder}/WHEEL", f"{folder}/RECORD"} <= held
    ]
    return found[0] if len(found) == 1 else None


def product_of(metadata: bytes) -> tuple[str, str] | None:
    """Name (normalised, PEP 503) and version out of METADATA's header (core metadata); None unless each is stated once and is one."""
    header = re.split(rb"\r?\n\r?\n", metadata, maxsplit=1)[0]
    stated = [line.partition(b":") for line in header.splitlines()]
    values = {
        field: [value.strip().decode("utf-8", "replace") for key, _, value in stated if key.strip().lower() == field]
        for field in (b"name", b"version")
    }
    if any(len(found) != 1 for found in values.values()):
        return None
    name, version = values[b"name"][0], values[b"version"][0]
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        return None
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _rows(data: bytes) -> Iterator[list[str]]:
    """One row at a time: most of what a hostile file may hold is never looked at."""
    try:
        yield from csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=""), strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(f"RECORD: cannot be read: {error}") from error


def _entry(name: str, stated: str, size: str) -> RecordEntry:
    algorithm, separator, value = stated.partition("=")
    if not separator:
        raise MalformedError(f"RECORD: {name[:80]!a} with a hash that names no algorithm")
    if algorithm not in ALGORITHMS:
        raise UnsupportedError(f"RECORD: a hash of kind {algorithm[:40]!a}, which PEP 427 does not allow")
    digest = base64url(value, "RECORD: a hash")
    if len(digest) != hashlib.new(algorithm).digest_size:
        raise MalformedError(f"RECORD: a {algorithm} of {len(digest)} bytes")
    return RecordEntry(name, algorithm, digest, decimal(size, "RECORD: a size") if size else None)
