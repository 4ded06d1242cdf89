"""What the readers of signed scripts have in common: the block, the digests that it may have been made with, the coverage map."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from trust_store.decode.authenticode import ID_SIP_INFO, MSI_SUBJECT
from trust_store.decode.script_signature import (
    HEAD_BYTES,
    MAX_SCRIPT_BYTES,
    is_subject_of,
    looks_like_text,
    may_be_signed,
    parse_script,
    texts,
)
from trust_store.errors import ResourceLimitError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, Uncovered
from trust_store.signatures.authenticode import EmbeddedSignature, read_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.authenticode import IndirectData
    from trust_store.decode.script_signature import SignedScript, Style
    from trust_store.formats.protocol import PackageSource, SideMaterial
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.authenticode import EmbeddedSignatures

_TAIL_BYTES = 64 * 1024
_MARK = "\ufeff".encode("utf-16-le")
_END_OF_JOB = re.compile(r"\s*(?:</job>\s*)?(?:</package>\s*)?", re.ASCII)


def recognises(source: PackageSource, styles: tuple[Style, ...]) -> bool:
    """Whether it is text with the first line of such a block in it; of a large file the end alone is looked at."""
    head = source.read_at(0, HEAD_BYTES)
    if not looks_like_text(head):
        return False
    if source.size > MAX_SCRIPT_BYTES:
        tail = source.read_at(source.size - _TAIL_BYTES, _TAIL_BYTES)
        return may_be_signed(head[:2] + tail, styles)
    return may_be_signed(source.read_at(0, source.size), styles)


def read(source: PackageSource, side: tuple[SideMaterial, ...], styles: tuple[Style, ...], *, host: bool) -> Reading:
    """Read the script once, ``host`` for Windows Script Host; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if source.size > MAX_SCRIPT_BYTES:
        raise ResourceLimitError(f"script: {source.size} bytes")
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    script = parse_script(stream.take(source.size), styles, last=host)
    embedded = read_embedded([script.message])
    contents = _of_host(script) if host else (before for before, _ in texts(script))
    facts = _facts(embedded, contents, script.style) + files.complete(stream.states)
    return Reading(stream.sha256, facts, _coverage(script, source.size, host=host))


def _facts(embedded: EmbeddedSignatures, contents: Iterator[bytes], style: Style) -> tuple[SignatureFact, ...]:
    """Of the contents the first one of which some signature states the digest, else the first one."""
    stated = {one.indirect.digest for one in embedded.found if isinstance(one, EmbeddedSignature)}
    digests: dict[str, bytes] = {}
    wanted = set(embedded.algorithms)
    for content in contents:
        for algorithm in wanted:
            digest = hashlib.new(algorithm, content, usedforsecurity=False).digest()
            if digest in stated or algorithm not in digests:
                digests[algorithm] = digest
        wanted = {algorithm for algorithm in wanted if digests[algorithm] not in stated}
        if not wanted:
            break
    return embedded.complete(digests, lambda indirect: _is_script(indirect, style))


def _is_script(indirect: IndirectData, style: Style) -> bool:
    return indirect.kind == ID_SIP_INFO and indirect.subject != MSI_SUBJECT and is_subject_of(indirect.subject, style)


def _of_host(script: SignedScript) -> Iterator[bytes]:
    """What Windows Script Host digests: the text without the block, then where the block began, in characters (32 bits, little-endian).

    osslsigncode leaves the number out, jsign takes the length of the whole text: that is taken where the block ends the script or its
    job, and so cannot have been moved.
    """
    following = script.after.decode(script.encoding or "latin-1", "surrogatepass")
    at_end = _END_OF_JOB.fullmatch(following) is not None
    for before, after in texts(script):
        for first in dict.fromkeys((before, before.removeprefix(_MARK))):
            text = first + after
            lengths = (len(first), len(text)) if at_end else (len(first),)
            for length in dict.fromkeys(lengths):
                yield text + (length // 2).to_bytes(4, "little")
            if at_end:
                yield text


def _coverage(script: SignedScript, size: int, *, host: bool) -> Coverage:
    """The block is inert; what follows it is covered by Windows Script Host alone, and blank for PowerShell."""
    block = Uncovered(start=script.start, end=script.end, inert=True)
    if host or not script.after:
        return Coverage(script.start + len(script.after), (block,))
    blank = not script.after.decode(script.encoding or "latin-1", "surrogatepass").strip("\r\n")
    return Coverage(script.start, (block, Uncovered(start=script.end, end=size, inert=blank)))
