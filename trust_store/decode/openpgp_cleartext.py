"""Cleartext-signed messages (RFC 9580 section 7): where the one message stands in a file, and which bytes its signature is over.

::

    -----BEGIN PGP SIGNED MESSAGE-----
    Hash: SHA512
                                          an empty line
    dash-escaped text
    -----BEGIN PGP SIGNATURE-----
    ...
    -----END PGP SIGNATURE-----
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_HASH_HEADERS = 16
MAX_HEADER_BYTES = 1024
MAX_SIGNATURE_BYTES = 1024 * 1024

BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_BEGIN = re.compile(rb"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\r?\n", re.MULTILINE)
_SIGNATURE = re.compile(rb"-----BEGIN PGP SIGNATURE-----[ \t]*\r?\n")
_END = re.compile(rb"^-----END PGP SIGNATURE-----[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_HASH = re.compile(rb"Hash:[ \t]*([A-Za-z0-9-]{1,20}(?:[ \t]*,[ \t]*[A-Za-z0-9-]{1,20}){0,15})\Z")
_NOT_ESCAPED = re.compile(rb"^-(?! )", re.MULTILINE)
_ESCAPE = re.compile(rb"^- ", re.MULTILINE)
# Begins only where a run of blanks does, so that a long run inside a line is looked at once.
_TRAILING = re.compile(rb"(?<![ \t])[ \t]+$", re.MULTILINE)
_BLANK = b" \t\r\n"
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CleartextMessage:
    """One message. Offsets are in bytes from the start of the file, ends exclusive.

    ``start``/``end`` are the whole message, ``text_start``/``text_end`` the text as it stands in the file with the last line end, which
    is not signed. ``hashes`` are the names of the Hash headers in lower case: hints that decide nothing (RFC 9580 7.1).
    ``signed`` is what the signature is over: dash escapes and blanks at line ends taken off, line ends CR LF, none at the end (7.2).
    ``signature`` is the armoured block, ready for ``openpgp_packets.read_armor``.
    """

    start: int
    end: int
    text_start: int
    text_end: int
    hashes: tuple[str, ...]
    signed: bytes
    signature: bytes

    @property
    def text(self) -> bytes:
        """The signed text with line feeds as line ends and one at its end: what a reader of the text should look at."""
        return self.signed.replace(b"\r\n", b"\n") + b"\n"


def read_cleartext(data: bytes) -> CleartextMessage:
    """The message that ``data`` is, in whole: only blank lines may follow, and nothing may come before.

    Raises MalformedError for anything outside the one message and for framing that is not exactly as RFC 9580 7 has it,
    UnsupportedError for text with a CR that is no line end (programs disagree on what is signed), ResourceLimitError above the caps.
    """
    message = find_cleartext(data)
    if message.start or data[message.end :].strip(_BLANK):
        raise MalformedError("there is something outside the signed message")
    return message


def find_cleartext(data: bytes) -> CleartextMessage:
    """The one message in ``data``, whatever stands before and after it: the caller says what that means.

    Raises as ``read_cleartext`` does, and MalformedError where there is no message or a second one.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ResourceLimitError(f"a signed text of {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are read")
    begin = _BEGIN.search(data)
    if begin is None:
        raise MalformedError("no cleartext-signed message begins here")
    hashes, text_start = _headers(data, begin.end())
    boundary = _NOT_ESCAPED.search(data, text_start)
    if boundary is None:
        raise MalformedError("a cleartext-signed message without a signature")
    text_end = boundary.start()
    if not _SIGNATURE.match(data, text_end):
        raise MalformedError("a line of a cleartext-signed message begins with a dash that is not escaped")
    end = _END.search(data, text_end)
    if end is None:
        raise MalformedError("the signature of a cleartext-signed message has no end line")
    if end.end() - text_end > MAX_SIGNATURE_BYTES:
        raise ResourceLimitError(f"the signature of a signed text has {end.end() - text_end} bytes")
    if _BEGIN.search(data, end.end()):
        raise MalformedError("more than one cleartext-signed message in one file")
    return CleartextMessage(
        start=begin.start(),
        end=end.end(),
        text_start=text_start,
        text_end=text_end,
        hashes=hashes,
        signed=_canonical(data[text_start:text_end]),
        signature=data[text_end : end.end()],
    )


def _headers(data: bytes, position: int) -> tuple[tuple[str, ...], int]:
    """The names in the Hash headers, and where the text begins; any other header is an error (RFC 9580 7.1)."""
    names: list[str] = []
    for _ in range(MAX_HASH_HEADERS + 1):
        end = data.find(b"\n", position, position + MAX_HEADER_BYTES)
        if end < 0:
            raise MalformedError("the headers of a cleartext-signed message do not end")
        line = data[position:end].rstrip(b" \t\r")
        position = end + 1
        if not line:
            return tuple(names), position
        header = _HASH.match(line)
        if header is None:
            raise MalformedError("a cleartext-signed message with a header that is not 'Hash'")
        names += [name.strip().lower() for name in header[1].decode("ascii").split(",")]
    raise MalformedError("too many headers before a cleartext-signed message")


def _canonical(text: bytes) -> bytes:
    """What is hashed of the text as it stands (RFC 9580 7.2, 5.2.1.2)."""
    if b"\0" in text:
        raise MalformedError("a cleartext-signed message with a NUL is no text")
    plain = text.replace(b"\r\n", b"\n").removesuffix(b"\n")
    if b"\r" in plain:
        raise UnsupportedError(
            "a signed text with a CR that is no line end (RFC 9580 5.2.1.2): programs disagree on it"
        )
    return b"".join(_TRAILING.sub(b"", _ESCAPE.sub(b"", lines)) for lines in _pieces(plain)).replace(b"\n", b"\r\n")


def _pieces(text: bytes) -> Iterator[bytes]:
    """``text`` in pieces of whole lines: of each place where a pattern is replaced something is kept until the end of its piece."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _PIECE_BYTES) + 1 or len(text)
        yield text[start:end]
        start = end
