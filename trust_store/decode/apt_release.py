"""Release files of apt repositories (Debian's "RepositoryFormat"), and the indexes of packages that they list.

::

    InRelease | Release + Release.gpg  --(SHA-256 and size)-->  Packages  --(SHA-256 and size)-->  .deb
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trust_store.decode.deb822 import listed_files, parse_paragraph
from trust_store.decode.member_names import check_name
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RELEASE_BYTES = 16 * 1024 * 1024
MAX_FILES = 65_536
MAX_PARAGRAPH_BYTES = 1024 * 1024
STRONG = {"sha256": "sha256", "sha512": "sha512"}
"""Field -> hashlib name; MD5Sum and SHA1 bind nothing, as in apt since 2016."""
WEAK = {"md5sum": "md5", "sha1": "sha1"}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TIME = re.compile(
    r"(?:[A-Z][a-z]{2}, {1,2})?([0-3]?[0-9]) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-2]?[0-9]):([0-5][0-9]):([0-6][0-9]) (?:UTC|GMT|Z|\+0000)"
)
_TIMES = re.compile(rb"(?mi)^(?:Date|Valid-Until):[ \t]*[^\r\n]")
_LISTS = re.compile(rb"(?mi)^(?:SHA256|SHA512|SHA1|MD5Sum):[ \t]*\r?\n[ \t]+[0-9a-f]{32}")
_PACKAGE = re.compile(rb"\s*Package:[ \t]*[a-z0-9]")
_INDEX = re.compile(r"Packages(?:\.[a-z0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class ListedIndex:
    """One file of the repository as a Release file lists it."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class AptRelease:
    """What a Release file says: when it was made, until when it counts (None: for ever), and the files by strong digest and name.

    ``weak`` are the names that have only MD5 or SHA-1 digests.
    """

    name: str
    date: datetime
    valid_until: datetime | None
    files: Mapping[str, Mapping[str, ListedIndex]]
    weak: frozenset[str]

    def lists_index(self, digests: Mapping[str, str], size: int) -> bool:
        """Whether an index of packages with these digests (hashlib name -> hex) and this size in bytes is one of the repository."""
        for algorithm, files in self.files.items():
            for name, listed in files.items():
                if _INDEX.fullmatch(name.rpartition("/")[2]) and (listed.digest, listed.size) == (
                    digests[algorithm],
                    size,
                ):
                    return True
        return False


def is_release(text: bytes) -> bool:
    """Whether ``text`` has a date, or an end of its validity, and lists files as Release files do, and no source package's fields."""
    head = text[:MAX_RELEASE_BYTES]
    return _TIMES.search(head) is not None and _LISTS.search(head) is not None and not _has(head, b"Format", b"Source")


def _has(text: bytes, *names: bytes) -> bool:
    return any((b"\n" + name + b":") in b"\n" + text[:65536] for name in names)


def parse_release(text: bytes) -> AptRelease:
    """The Release file ``text``; raises MalformedError for anything else, for lists that contradict each other and for strange names.

    A file without ``Date``, or with a time that is not in UTC, is malformed: nothing then says how old it is.
    """
    if len(text) > MAX_RELEASE_BYTES:
        raise ResourceLimitError(f"apt: a Release file of {len(text)} bytes")
    fields = parse_paragraph(text.replace(b"\r\n", b"\n"))
    if "date" not in fields:
        raise MalformedError("apt: a Release file without a date")
    files = {algorithm: _listed(fields.get(field, ""), algorithm) for field, algorithm in STRONG.items()}
    weak = {name for field, algorithm in WEAK.items() for name in _listed(fields.get(field, ""), algorithm)}
    strong = {name for listed in files.values() for name in listed}
    until = fields.get("valid-until")
    suite = fields.get("codename") or fields.get("suite") or ""
    return AptRelease(
        name=" ".join(part for part in (fields.get("origin", ""), suite) if part),
        date=_time(fields["date"]),
        valid_until=None if until is None else _time(until),
        files=files,
        weak=frozenset(weak - strong),
    )


def _listed(value: str, algorithm: str) -> dict[str, ListedIndex]:
    found: dict[str, ListedIndex] = {}
    for name, digest, size in listed_files(value, algorithm):
        check_name(name)
        if found.setdefault(name, ListedIndex(digest, size)) != ListedIndex(digest, size):
            raise MalformedError(f"apt: {name[:80]!a} is listed twice, with different digests")
        if len(found) > MAX_FILES:
            raise ResourceLimitError(f"apt: a Release file that lists more than {MAX_FILES} files")
    return found


def _time(value: str) -> datetime:
    match = _TIME.fullmatch(value)
    if match is None or match[2] not in _MONTHS:
        raise MalformedError("apt: a time that is not of the form 'Sat, 02 Jul 2016 05:20:50 UTC'")
    day, month, year, hour, minute, second = match.groups()
    try:
        return datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        raise MalformedError("apt: a time that there is not") from error


def is_index(text: bytes) -> bool:
    """Whether ``text`` begins as an index of binary packages does."""
    return _PACKAGE.match(text[:4096]) is not None and b"\nFilename:" in text


def listed_package(index: bytes, digests: Mapping[str, str]) -> Mapping[str, str] | None:
    """The fields of the paragraph about the package that has ``digests`` (hashlib name -> hex), None where none has all it states.

    Raises MalformedError for a paragraph that is none.
    """
    for field, name in (("SHA256", "sha256"), ("SHA512", "sha512")):
        line = f"\n{field}: {digests[name]}\n".encode()
        at = index.find(line)
        if at < 0:
            continue
        start = index.rfind(b"\n\n", 0, at + 1) + 1
        end = index.find(b"\n\n", at)
        end = len(index) if end < 0 else end
        if end - start > MAX_PARAGRAPH_BYTES:
            raise ResourceLimitError("apt: a very long paragraph in an index of packages")
        fields = parse_paragraph(index[start:end])
        stated = {n: fields[n].lower() for n in STRONG if n in fields}
        return fields if all(digests[STRONG[n]] == value for n, value in stated.items()) else None
    return None
