"""Manifests and signature files of signed JARs: sections, their attributes, and the bytes that digests are over.

Reference: JAR File Specification, "JAR Manifest", "Signed JAR File"; apksig ManifestParser. Lines end in CR LF, LF or CR, a line that
starts with a blank goes on with the one before, a blank line ends a section and belongs to it.
"""

from __future__ import annotations

import re

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

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
MAX_LINE_BYTES = 64 * 1024
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,69}")


@dataclass(frozen=True, slots=True)
class Section:
    """``attributes`` by upper-case name; ``raw`` the bytes with the blank line that ends it. ``name`` is empty for the main section."""

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
    for raw, attributes in _sections(data, what):
        if main is None:
            if version.upper() not in attributes:
                raise MalformedError(f"{what}: no {version}")
            main = Section("", attributes, raw)
            continue
        name = attributes.get("NAME")
        if not name or next(iter(attributes)) != "NAME":
            raise MalformedError(f"{what}: a section without a name")
        if name in sections:
            raise MalformedError(f"{what}: two sections for {name[:80]!a}")
        sections[name] = Section(name, attributes, raw)
        if len(sections) > max_sections:
            raise ResourceLimitError(f"{what}: more than {max_sections} sections")
    if main is None:
        raise MalformedError(f"{what}: empty")
    return Manifest(main, sections, data)


def digests_of(section: Section, suffix: str) -> dict[str, str]:
    """hashlib name -> value in base64 of the attributes ``ALGORITHM`` + ``suffix`` whose algorithm is known."""
    found: dict[str, str] = {}
    for key, value in section.attributes.items():
        algorithm = DIGESTS.get(key.removesuffix(suffix)) if key.endswith(suffix) else None
        if algorithm is None:
            continue
        if found.setdefault(algorithm, value.strip()) != value.strip():
            raise MalformedError(f"manifest: two different {algorithm} digests for {section.name[:80]!a}")
    return found


def states_digest(section: Section) -> bool:
    """Whether the section states a digest of its member, be it of an unknown algorithm."""
    return any(key.endswith(SECTION) for key in section.attributes)


def _sections(data: bytes, what: str) -> list[tuple[bytes, dict[str, str]]]:
    """Raw bytes and attributes of every section; blank lines before one belong to none."""
    found: list[tuple[bytes, dict[str, str]]] = []
    start = position = 0
    lines: list[bytes] = []
    while position < len(data):
        match = _LINE.match(data, position)
        assert match is not None  # noqa: S101 - the pattern matches anywhere
        line = match[0].rstrip(b"\r\n")
        if len(line) > MAX_LINE_BYTES:
            raise ResourceLimitError(f"{what}: a line of {len(line)} bytes")
        position = match.end()
        if line:
            lines.append(line)
            continue
        if lines:
            found.append((data[start:position], _attributes(lines, what)))
            lines = []
        start = position
    if lines:
        found.append((data[start:], _attributes(lines, what)))
    return found


def _attributes(lines: list[bytes], what: str) -> dict[str, str]:
    joined: list[list[bytes]] = []
    for line in lines:
        if line[:1] != b" ":
            joined.append([line])
        elif not joined:
            raise MalformedError(f"{what}: a section starts with the rest of a line")
        else:
            joined[-1].append(line[1:])
    attributes: dict[str, str] = {}
    for parts in joined:
        raw = b"".join(parts)
        try:
            key, colon, value = raw.decode("utf-8").partition(": ")
        except UnicodeDecodeError as error:
            raise MalformedError(f"{what}: not UTF-8") from error
        if not colon or not _NAME.fullmatch(key) or "\0" in value:
            raise MalformedError(f"{what}: a line that is no attribute")
        upper = key.upper()
        if upper in attributes and (upper == "NAME" or SECTION in upper):
            raise MalformedError(f"{what}: attribute {key} occurs twice in a section")
        attributes[upper] = value
    return attributes
