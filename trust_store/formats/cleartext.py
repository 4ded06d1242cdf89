"""What the readers of cleartext-signed files have in common: the one message, its signatures, and which bytes no signature covers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode.openpgp_cleartext import MAX_MESSAGE_BYTES, find_cleartext, read_cleartext
from trust_store.errors import READ_ERRORS
from trust_store.formats.protocol import Reading
from trust_store.formats.signed_content import of_cleartext, read_whole
from trust_store.model.package_facts import Coverage, SignatureOrigin, Uncovered

if TYPE_CHECKING:
    from trust_store.decode.openpgp_cleartext import CleartextMessage
    from trust_store.formats.protocol import PackageSource, SideMaterial
    from trust_store.model.package_facts import Product

MAX_TOLD = 4096
"""Line ends with blanks before them that the coverage map tells one by one."""
_LINE_END = re.compile(rb"(?<![ \t\r])[ \t]*\r(?=\n)|(?<![ \t\r])[ \t]+(?=\r?\n)")


def strict_message(source: PackageSource) -> CleartextMessage | None:
    """The message that the file is in whole; None where there is anything outside it, or it cannot be read."""
    if source.size > MAX_MESSAGE_BYTES:
        return None
    try:
        return read_cleartext(source.read_at(0, source.size))
    except READ_ERRORS:
        return None


def read_cleartext_file(source: PackageSource, side: tuple[SideMaterial, ...]) -> tuple[CleartextMessage, Reading]:
    """The one message of the file and what its signatures, and those beside it, say; raises MalformedError and the like."""
    data, sha256, beside = read_whole(source, side, MAX_MESSAGE_BYTES)
    message = find_cleartext(data)
    embedded = of_cleartext(message, origin=SignatureOrigin.EMBEDDED).facts()
    return message, Reading(sha256, embedded + beside, coverage_of(data, message))


def with_product(reading: Reading, product: Product | None) -> Reading:
    """The same with what signed fields say the package is."""
    return Reading(reading.sha256, reading.signatures, reading.coverage, reading.problem, product=product)


def coverage_of(data: bytes, message: CleartextMessage) -> Coverage:
    """The signed text is covered but for blanks and CR at line ends and its last line end; framing is inert, text outside is not."""
    uncovered: list[Uncovered] = []
    if message.start:
        uncovered.append(Uncovered(0, message.start))
    uncovered.append(Uncovered(message.start, message.text_start, inert=True))
    blanks = 0
    for match in _LINE_END.finditer(data, message.text_start, message.text_end):
        blanks += match.end() - match.start()
        if len(uncovered) < MAX_TOLD:
            uncovered.append(Uncovered(match.start(), match.end(), inert=True))
    last = message.text_end - 1 if message.text_end > message.text_start else message.text_end
    uncovered.append(Uncovered(last, message.end, inert=True))
    if message.end < len(data):
        uncovered.append(Uncovered(message.end, len(data), inert=not data[message.end :].strip(b" \t\r\n")))
    return Coverage(max(0, last - message.text_start - blanks), tuple(uncovered))
