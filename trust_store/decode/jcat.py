"""Jcat files (libjcat ``README.md``, ``libjcat/jcat-blob.h``): gzip'd JSON with checksums and signatures for the files beside it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from trust_store.decode.compressed import UnpackBudget, Unpacking
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNPACKED_BYTES = 16 * 1024**2
MAX_ITEMS, MAX_BLOBS = 1024, 64
CHECKSUMS = {1: "sha256", 4: "sha1", 10: "sha512"}
GPG, PKCS7, ED25519, MLDSA87 = 2, 3, 9, 12
SIGNATURES = frozenset({GPG, PKCS7, ED25519, MLDSA87})
_IS_TEXT = 1


@dataclass(frozen=True, slots=True)
class JcatBlob:
    """One checksum or signature; ``target`` is the kind of checksum whose text is signed in place of the file (0: the file)."""

    kind: int
    target: int
    data: bytes


@dataclass(frozen=True, slots=True)
class JcatItem:
    """What is said of one file, by its name or one of its aliases."""

    names: tuple[str, ...]
    blobs: tuple[JcatBlob, ...]

    @property
    def signatures(self) -> tuple[JcatBlob, ...]:
        """Those of its blobs that are signatures."""
        return tuple(blob for blob in self.blobs if blob.kind in SIGNATURES)

    def checksums(self) -> Iterator[tuple[str, str]]:
        """(algorithm, digest in hex) of its checksums."""
        for blob in self.blobs:
            if blob.kind in CHECKSUMS:
                yield CHECKSUMS[blob.kind], blob.data.decode("ascii", "replace").strip().lower()


def parse_jcat(data: bytes) -> tuple[JcatItem, ...]:
    """The items; raises MalformedError, UnsupportedError or ResourceLimitError. No file may be spoken of twice."""
    unpacked = b"".join(Unpacking(iter((data,)), "gzip", UnpackBudget(MAX_UNPACKED_BYTES, 1100)))
    said = parse_object(unpacked, max_bytes=MAX_UNPACKED_BYTES)
    if said.get("JcatVersionMajor") != 0:
        raise UnsupportedError(f"jcat: version {str(said.get('JcatVersionMajor'))[:20]}")
    items = tuple(_item(one) for one in _objects(said.get("Items"), MAX_ITEMS))
    names = [name for item in items for name in item.names]
    if len(set(names)) != len(names):
        raise MalformedError("jcat: a file that is spoken of twice")
    return items


def _item(value: dict[str, Any]) -> JcatItem:
    aliases = value.get("AliasIds", [])
    names = (value.get("Id"), *(aliases if isinstance(aliases, list) else [None]))
    if not all(isinstance(name, str) and name for name in names):
        raise MalformedError("jcat: an item without a name")
    return JcatItem(tuple(map(str, names)), tuple(_blob(one) for one in _objects(value.get("Blobs", []), MAX_BLOBS)))


def _blob(value: dict[str, Any]) -> JcatBlob:
    kind, target, flags, data = (value.get(name, 0) for name in ("Kind", "Target", "Flags", "Data"))
    if not all(type(number) is int for number in (kind, target, flags)) or not isinstance(data, str):
        raise MalformedError("jcat: a blob that is none")
    if flags & _IS_TEXT:
        return JcatBlob(kind, target, data.encode())
    try:
        return JcatBlob(kind, target, base64.b64decode(data, validate=True))
    except binascii.Error as error:
        raise MalformedError("jcat: a blob that is no base64") from error


def _objects(value: object, most: int) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise MalformedError("jcat: no list of objects")
    if len(value) > most:
        raise ResourceLimitError(f"jcat: more than {most} entries in a list")
    return value
