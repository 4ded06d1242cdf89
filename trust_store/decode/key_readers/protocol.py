"""What every reader of a kind of key file offers: a NAME, a recogniser that never raises, and a strict read."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from trust_store.decode import asn1
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.model.key_material import KeyMaterial

MAX_KEY_FILE_BYTES = 8 * 1024 * 1024
MAX_KEYS_PER_FILE = 4096
MAX_LEFT_OUT = 1000
MAX_NAME_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file's bytes, its name (a hint for keys that carry none) and the password that opens it, where it needs one."""

    data: bytes
    name: str = ""
    password: bytes | None = field(default=None, repr=False)

    @property
    def start(self) -> bytes:
        """The first bytes without a byte order mark and blanks."""
        return self.data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()


@dataclass(frozen=True, slots=True)
class Reading:
    """The keys of a file, and a sentence for each entry that is no key this program can hold."""

    keys: tuple[KeyMaterial, ...]
    left_out: tuple[str, ...] = ()


class KeyReader(Protocol):
    """One kind of key file. At most one reader recognises a file; ``read`` raises a read error for all that is not exact."""

    NAME: str

    def recognises(self, file: KeyFile, /) -> bool:
        """Whether the file is of this kind, by its content alone; never raises."""

    def read(self, file: KeyFile, /) -> Reading:
        """Its keys; raises MalformedError, ResourceLimitError or UnsupportedError, nothing else."""


def json_start(file: KeyFile) -> dict[str, Any]:
    """The file as a JSON object, or an empty one where it is none; never raises."""
    if not file.start.startswith(b"{"):
        return {}
    try:
        return parse_object(file.data)
    except (MalformedError, ResourceLimitError):
        return {}


def top_tags(data: bytes) -> tuple[int, ...] | None:
    """Tags of the values inside the one SEQUENCE that ``data`` is (at most 10), or None where it is none. Never raises."""
    if data[:1] != b"\x30":
        return None
    try:
        return tuple(child.tag for child in asn1.read_one(data, "file").children()[:10]) or None
    except (MalformedError, ResourceLimitError):
        # It begins as DER does, so that whoever reads it says what is wrong with it; but "0" begins many a text.
        return None if data.isascii() else (asn1.SEQUENCE,)
