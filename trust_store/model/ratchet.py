"""What was seen of a product so far: the strongest scheme and digest, the most signers, the newest version.

A product is known by two names, each with a ratchet of its own: the one that its signed metadata states, and the pattern that its
file's name follows, so that an unsigned or differently packaged file under the same name is held to it as well.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trust_store.model.package_facts import Product

PRODUCT, FILE = "product", "file"
"""Kinds of names: as signed metadata states it, and the pattern of a file name."""
SCHEME, DIGEST, SIGNERS, VERSION = DIMENSIONS = ("scheme", "digest", "signers", "version")
UNSIGNED = "unsigned"
"""The scheme of a package that shows no signature which counts."""
MAX_NAME_CHARACTERS = 512
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ID_DIGITS = 26
_MARKERS = "alpha|beta|rc|preview|pre|dev|post|snapshot|nightly|release|final|stable|ga|build|patch|hotfix|rev|lts|[abcprv](?=[0-9])"
_COMMIT = re.compile(r"(?<![a-z0-9])g?(?=[a-f]{0,39}[0-9])[0-9a-f]{7,40}(?![a-z0-9])")
_NUMBERS = re.compile(
    rf"(?<![a-z0-9])v?[0-9]+(?:(?:[._~+:-]+(?:(?:{_MARKERS})[._-]*)?|(?:{_MARKERS})[._-]*)[0-9]+|[._~+-]?(?:{_MARKERS})(?![a-z0-9]))*"
    r"|[0-9]+(?:[._~+:-]+[0-9]+)*"
)


@dataclass(frozen=True, slots=True)
class Strength:
    """What the signatures of one package that count show: the best scheme and digest among them, how many keys made them.

    ``digest`` is empty where none of them names one, ``version`` None where signed metadata states none.
    """

    scheme: str
    digest: str = ""
    signers: int = 0
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """The most that was seen of one dimension, in which package, and when (aware UTC)."""

    value: str
    package_sha256: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Ratchet:
    """The marks of one product under one of its names; a mark that is None holds nothing to anything.

    ``number`` counts its versions, ``recorded_at`` is when this one was written, ``lowered_at`` when people last lowered it.
    """

    vendor_id: str
    kind: str
    name: str
    number: int
    recorded_at: datetime
    scheme: Mark | None = None
    digest: Mark | None = None
    signers: Mark | None = None
    version: Mark | None = None
    lowered_at: datetime | None = None

    @property
    def id(self) -> str:
        """Its id, which follows from whose and which product it is about."""
        return ratchet_id(self.vendor_id, self.kind, self.name)

    def mark(self, dimension: str) -> Mark | None:
        """The mark of one of ``DIMENSIONS``."""
        found: Mark | None = getattr(self, dimension)
        return found

    def with_marks(self, marks: Mapping[str, Mark | None]) -> Ratchet:
        """The same with these marks; of a dimension that is not named the mark stays."""
        scheme, digest, signers, version = (marks.get(name, self.mark(name)) for name in DIMENSIONS)
        return replace(self, scheme=scheme, digest=digest, signers=signers, version=version)


def ratchet_id(vendor_id: str, kind: str, name: str) -> str:
    """The id of the ratchet of that product: 26 digits in base 32 of a digest over the three, so that no index has to be believed."""
    said = json.dumps([vendor_id, kind, name], ensure_ascii=True, separators=(",", ":")).encode()
    number = int.from_bytes(hashlib.sha256(b"rootwarden/ratchet/1\0" + said).digest())
    return "ratchet_" + "".join(_BASE32[number >> (5 * place) & 31] for place in range(_ID_DIGITS))


def file_pattern(name: str) -> str:
    """What names of files of one product have in common: lower case, each version, number and commit replaced by ``#``."""
    text = name.encode("utf-8", "backslashreplace").decode()[:MAX_NAME_CHARACTERS]
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NUMBERS.sub("#", _COMMIT.sub("#", folded))


def names_of(product: Product | None, file_name: str) -> tuple[tuple[str, str], ...]:
    """The (kind, name) pairs under which a package's ratchets are kept: none for what nobody named."""
    found = [(PRODUCT, product.name)] if product is not None and product.name else []
    return (*found, (FILE, file_pattern(file_name))) if file_name else tuple(found)
