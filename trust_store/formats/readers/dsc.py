"""Debian's signed control files: source packages (.dsc), uploads (.changes) and build records (.buildinfo)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode.checksum_list import parse_list
from trust_store.decode.deb822 import DIGEST_FIELDS, parse_paragraph
from trust_store.errors import MalformedError
from trust_store.formats.cleartext import read_cleartext_file, strict_message, with_product
from trust_store.model.package_facts import Product

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, Reading, ReadLimits, SideMaterial

NAME = "dsc"
VERSION = 1
CONTAINER = "openpgp-text"
DOC = """Debian control files signed in cleartext, as `debsign` writes them: .dsc (dsc(5)), .changes (deb-changes(5)), .buildinfo.

Read as `openpgp-cleartext` is, with nothing outside the message. One paragraph of control data with `Format`, `Source` and a list of
files: fields that stand twice, files that are named twice and names with a folder are `malformed`. Product and version are the fields
`Source` and `Version`. The files that it lists are not read: check each with this file as its signature (`--signature x.dsc`).
Fixtures made by GnuPG."""
_SOURCE = re.compile(r"([a-z0-9][a-z0-9+.-]*)(?: \([^()]{1,200}\))?")


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file is one message, and its text control data with a source and files."""
    message = strict_message(source)
    if message is None:
        return False
    head = b"\n" + message.text[:65536].lower()
    return all(b"\n" + field + b":" in head for field in (b"format", b"source"))


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    message, reading = read_cleartext_file(source, side)
    fields = parse_paragraph(message.text)
    if not DIGEST_FIELDS.keys() & fields.keys():
        raise MalformedError("Debian control data without a list of files")
    if any("/" in entry.name for entry in parse_list(message.text)):
        raise MalformedError("Debian control data lists a file in a folder")
    return with_product(reading, _product(fields))


def _product(fields: dict[str, str]) -> Product:
    name = _SOURCE.fullmatch(fields.get("source", ""))
    if name is None:
        raise MalformedError("Debian control data without the name of a source package")
    return Product(name[1], fields.get("version") or None)
