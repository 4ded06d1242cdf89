"""Lists of digests as programs write them: ``sha256sum``, BSD ``sha256``, OpenBSD's ``SHA256.sig``, .dsc, .changes and Release files.

``decode.manifest`` reads the one shape that a vendor bundle has; here every shape is read that a vendor may put beside a package.
"""

from __future__ import annotations

import re

from trust_store.decode.deb822 import DIGEST_FIELDS, listed_files, parse_paragraph
from trust_store.decode.member_names import check_name
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAX_LIST_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 65_536
MAX_LINES = 4 * MAX_ENTRIES
"""Comments and empty ones included."""
MAX_NAME_CHARACTERS = 4096
_GNU = re.compile(r"\\?([0-9a-fA-F]{32,128})[ \t][ *]?([^\n]+)")
_BSD = re.compile(r"\\?([A-Za-z0-9/-]{2,16}) ?\(([^\n]+)\) ?= ?([0-9a-fA-F]{32,128})")
# A digest without an algorithm is told by its length; of 128 digits both may be meant (b2sum)
_BY_DIGITS = {
    32: ("md5",),
    40: ("sha1",),
    56: ("sha224",),
    64: ("sha256",),
    96: ("sha384",),
    128: ("sha512", "blake2b"),
}
_BY_LABEL = {
    "md5": "md5", "sha1": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512",
    "sha2-224": "sha224", "sha2-256": "sha256", "sha2-384": "sha384", "sha2-512": "sha512", "blake2b": "blake2b",
    "sha3-224": "sha3_224", "sha3-256": "sha3_256", "sha3-384": "sha3_384", "sha3-512": "sha3_512",
}  # fmt: skip
WEAK = frozenset({"md5", "sha1"})
# A digest alone, as in ``x.sha256``; 128 digits may be a bare Ed25519 value, and are none
_ALONE = re.compile(rb"\s*((?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}))\s*\Z")
UNNAMED = "-"
"""What programs call the file that they read from standard input."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ESCAPES = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One digest of one file; ``algorithms`` are the hashlib names that it may be of, ``size`` in bytes where the list says it."""

    name: str
    algorithms: tuple[str, ...]
    digest: str
    size: int | None = None

    @property
    def base_name(self) -> str:
        """What the file itself is called."""
        return self.name.rpartition("/")[2]


def parse_list(text: bytes) -> tuple[ListedFile, ...]:
    """Every digest that ``text``, which must be a list in whole, states.

    Lines of ``sha256sum`` and BSD lines may be mixed, with comments (``#``) and empty lines between; control data of Debian is one
    paragraph with lists in it; a digest alone is one of a file that is not named. Of a list that has strong digests the weak ones are
    left out. Raises MalformedError for everything else, for names that lead elsewhere (absolute, ``..``) and for a name that has two
    digests of one kind; ResourceLimitError.
    """
    if len(text) > MAX_LIST_BYTES:
        raise ResourceLimitError(f"a list of digests of {len(text)} bytes")
    text = text.removeprefix(_BYTE_ORDER_MARK)
    found = _alone(text) or (_control(text) if _is_control(text) else _lines(text))
    if not found:
        raise MalformedError("no list of digests")
    strong = tuple(entry for entry in found if not WEAK.issuperset(entry.algorithms))
    return strong or tuple(found)


def is_list(text: bytes) -> bool:
    """Whether ``text`` is a list, even one that is broken further on: its first line that says anything is one of a list."""
    if b"\0" in text[:4096]:
        return False
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if _ALONE.match(text[:4096]) or _is_control(text):
        return True
    for line in text[:65536].split(b"\n"):
        if line.strip() and not line.startswith(b"#"):
            decoded = line.rstrip(b"\r").decode("utf-8", "replace")
            bsd = _BSD.fullmatch(decoded)
            return _GNU.fullmatch(decoded) is not None or (bsd is not None and bsd[1].lower() in _BY_LABEL)
    return False


def _is_control(text: bytes) -> bool:
    lists = b"|".join(re.escape(name.encode()) for name in DIGEST_FIELDS)
    return re.search(rb"(?mi)^(?:" + lists + rb"):[ \t]*\r?\n[ \t]+[0-9a-f]{32}", text) is not None


def _alone(text: bytes) -> list[ListedFile]:
    match = _ALONE.match(text)
    if match is None:
        return []
    return [ListedFile(UNNAMED, _BY_DIGITS[len(match[1])], match[1].decode("ascii").lower())]


def _control(text: bytes) -> list[ListedFile]:
    fields = parse_paragraph(text.replace(b"\r\n", b"\n"))
    found: list[ListedFile] = []
    for name, algorithm in DIGEST_FIELDS.items():
        seen: set[str] = set()
        for file, digest, size in listed_files(fields.get(name, ""), algorithm):
            found.append(ListedFile(_named(file, seen), (algorithm,), digest, size))
            _require_room(found)
    return found


def _lines(text: bytes) -> list[ListedFile]:
    if text.count(b"\n") > MAX_LINES:
        raise ResourceLimitError(f"a list of digests of more than {MAX_LINES} lines")
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("a list of digests that is not UTF-8") from error
    found: list[ListedFile] = []
    seen: dict[tuple[str, ...], set[str]] = {}
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        entry = _entry(line)
        if entry is None:
            raise MalformedError(f"a list of digests: line {number} is no digest and a name")
        name, algorithms, digest = entry
        file = _named(name, seen.setdefault(algorithms, set()))
        if algorithms:
            found.append(ListedFile(file, algorithms, digest))
            _require_room(found)
    return found


def _entry(line: str) -> tuple[str, tuple[str, ...], str] | None:
    """(name, algorithms, digest); no algorithm for a kind of digest that is not known."""
    gnu = _GNU.fullmatch(line)
    if gnu is not None:
        algorithms = _BY_DIGITS.get(len(gnu[1]))
        return None if algorithms is None else (_unescaped(line, gnu[2]), algorithms, gnu[1].lower())
    bsd = _BSD.fullmatch(line)
    if bsd is None:
        return None
    algorithm = _BY_LABEL.get(bsd[1].lower())
    return _unescaped(line, bsd[2]), (algorithm,) if algorithm else (), bsd[3].lower()


def _unescaped(line: str, name: str) -> str:
    """A name that ``sha256sum`` wrote with escapes, which a backslash before the line says."""
    if not line.startswith("\\"):
        return name
    return _ESCAPES.sub(lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), name)


def _named(name: str, seen: set[str]) -> str:
    plain = name.removeprefix("./")
    if len(plain) > MAX_NAME_CHARACTERS:
        raise ResourceLimitError(f"a list of digests with a name of {len(plain)} characters")
    check_name(plain)
    if plain in seen or plain.endswith("/"):
        raise MalformedError(f"a list of digests names {plain[:80]!a} twice, or a folder")
    seen.add(plain)
    return plain


def _require_room(found: list[ListedFile]) -> None:
    if len(found) > MAX_ENTRIES:
        raise ResourceLimitError(f"a list of more than {MAX_ENTRIES} digests")
