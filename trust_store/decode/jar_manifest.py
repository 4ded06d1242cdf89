"""Manifests and signature files of signed JARs: sections, their attributes, and the bytes that digests are over.

Reference: JAR File Specification, "JAR Manifest", "Signed JAR File"; apksig ManifestParser. Lines end in CR LF, LF or CR, a line that
starts with a blank goes on with the one before, a blank line ends a section and belongs to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGESTS = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA1": "sha1",
    "SHA-1": "sha1",
    "SHA-224": "sha224",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "SHA3-224": "sha3_224",
    "SHA3-256": "sha3_256",
    "SHA3-384": "sha3_384",
    "SHA3-512": "sha3_512",
}
"""In attribute names (Java's standard algorithm names), upper case -> hashlib."""
WHOLE, MAIN, SECTION = "-DIGEST-MANIFEST", "-DIGEST-MANIFEST-MAIN-ATTRIBUTES", "-DIGEST"
NAME, SCHEMES = "NAME", "X-ANDROID-APK-SIGNED"
MAX_LINE_BYTES = 64 * 1024
MAX_ATTRIBUTE_BYTES = 1024**2
MAX_DIGESTS = 4
"""Known algorithms in one section for one purpose: writers state one, two of them in transition."""
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,69}")
_VERSIONS = frozenset({"MANIFEST-VERSION", "SIGNATURE-VERSION"})
_KEPT = {key: key for key in (NAME, SCHEMES, *(a + suffix for a in DIGESTS for suffix in (WHOLE, MAIN, SECTION)))}
"""Attributes that matter here, each one string for all sections: a manifest has as many sections as its archive has members."""


@dataclass(frozen=True, slots=True)
class Section:
    """``attributes`` are those that matter here (name, digests by known algorithms, APK schemes), by upper-case name.

    ``raw`` are the bytes with the blank line that ends it. ``name`` is empty for the main section.
    """

    name: str
    attributes: dict[str, str]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """The main section and the others by the member they are about; ``data`` is all of it."""

    main: Section
    sections: dict[str, Section]
    data: bytes


def parse_jar_manifest(data: bytes, what: str, *, version: str, max_sections: int) -> Manifest:
    """Read a manifest (``version`` Manifest-Version) or a signature file (Signature-Version), which ``what`` names in errors.

    Raises MalformedError for anything that programs could take in two ways, above all two sections of one name.
    """
    main: Section | None = None
    sections: dict[str, Section] = {}
    for opened, raw in _sections(data, what):
        if main is None:
            if version.upper() not in opened.names:
                raise MalformedError(f"{what}: no {version}")
            main = Section("", opened.attributes, raw)
            continue
        name = opened.attributes.get(NAME)
        if not name or opened.first != NAME:
            raise MalformedError(f"{what}: a section without a name")
        if name in sections:
            raise MalformedError(f"{what}: two sections for {name[:80]!a}")
        sections[name] = Section(name, opened.attributes, raw)
        if len(sections) > max_sections:
            raise ResourceLimitError(f"{what}: more than {max_sections} sections")
    if main is None:
        raise MalformedError(f"{what}: empty")
    return Manifest(main, sections, data)


def digests_of(section: Section, suffix: str) -> dict[str, str]:
    """hashlib name -> value in base64 of the attributes ``ALGORITHM`` + ``suffix`` whose algorithm is known.

    Raises MalformedError for two values of one algorithm, ResourceLimitError for more algorithms than anybody states: each is computed.
    """
    found: dict[str, str] = {}
    for key, value in section.attributes.items():
        algorithm = DIGESTS.get(key.removesuffix(suffix)) if key.endswith(suffix) else None
        if algorithm is None:
            continue
        if found.setdefault(algorithm, value.strip()) != value.strip():
            raise MalformedError(f"manifest: two different {algorithm} digests for {section.name[:80]!a}")
    if len(found) > MAX_DIGESTS:
        raise ResourceLimitError(f"manifest: {len(found)} digests for {section.name[:80]!a}")
    return found


class _Open:
    """A section while its lines come in; ``first`` is the name of its first attribute, ``names`` are those it is told by."""

    def __init__(self, what: str) -> None:
        self.attributes: dict[str, str] = {}
        self.first = ""
        self.names: set[str] = set()
        self._what = what
        self._parts: list[bytes] = []
        self._bytes = 0

    def line(self, line: bytes) -> None:
        """Take the next line, without its end."""
        if line[:1] != b" ":
            self.close()
        elif not self._parts:
            raise MalformedError(f"{self._what}: a section starts with the rest of a line")
        else:
            line = line[1:]
        self._parts.append(line)
        self._bytes += len(line)
        if self._bytes > MAX_ATTRIBUTE_BYTES:
            raise ResourceLimitError(f"{self._what}: an attribute of more than {MAX_ATTRIBUTE_BYTES} bytes")

    def close(self) -> None:
        """Take up the attribute whose last line has come."""
        if not self._parts:
            return
        raw = b"".join(self._parts)
        self._parts, self._bytes = [], 0
        try:
            key, colon, value = raw.decode("utf-8").partition(": ")
        except UnicodeDecodeError as error:
            raise MalformedError(f"{self._what}: not UTF-8") from error
        if not colon or not _NAME.fullmatch(key) or "\0" in value:
            raise MalformedError(f"{self._what}: a line that is no attribute")
        upper = key.upper()
        self.first = self.first or upper
        if upper in _VERSIONS:
            self.names.add(upper)
        kept = _KEPT.get(upper)
        if kept is None:
            return
        if kept in self.attributes and kept != SCHEMES:
            raise MalformedError(f"{self._what}: attribute {key} occurs twice in a section")
        self.attributes[kept] = value


def _sections(data: bytes, what: str) -> Iterator[tuple[_Open, bytes]]:
    """Every section and its raw bytes; blank lines before one belong to none."""
    start = position = 0
    opened: _Open | None = None
    while position < len(data):
        match = _LINE.match(data, position)
        assert match is not None  # noqa: S101 - the pattern matches anywhere
        line = match[0].rstrip(b"\r\n")
        if len(line) > MAX_LINE_BYTES:
            raise ResourceLimitError(f"{what}: a line of {len(line)} bytes")
        position = match.end()
        if line:
            opened = opened or _Open(what)
            opened.line(line)
            continue
        if opened is not None:
            opened.close()
            yield opened, data[start:position]
            opened = None
        start = position
    if opened is not None:
        opened.close()
        yield opened, data[start:]
