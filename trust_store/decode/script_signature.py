"""Signature blocks in scripts: PKCS #7 in base64 in comment lines, as PowerShell and Windows Script Host have them.

A file is UTF-16 with a byte order mark or in an encoding of one byte a unit: nobody says which. So positions are counted in units (bytes
or 16-bit units), and what is digested is told for every encoding that the signer may have taken it for.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
LITTLE, BIG = b"\xff\xfe", b"\xfe\xff"
UTF8_MARK = b"\xef\xbb\xbf"
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Style:
    """How the lines of a block begin and end; ``begin`` and ``end`` are the whole first and last line."""

    name: str
    prefix: str
    suffix: str
    begin: str
    end: str


SUBJECTS = {
    "vbs": bytes.fromhex("4ef029169927b54d8fe5ace10f17ebab"),
    "js": bytes.fromhex("10e0c906ce38d411a2a300104bd35090"),
    "wsf": bytes.fromhex("7005611ace38d411a2a300104bd35090"),
}
"""The subject interface packages of Windows Script Host by style, as they stand in a message."""
POWERSHELL_SUBJECT = bytes.fromhex("1fcc3b60594b084eb724d2c6297ef351")
"""That of every PowerShell file; osslsigncode writes it for JScript too."""
POWERSHELL = (
    Style("ps1", "# ", "", "# SIG # Begin signature block", "# SIG # End signature block"),
    Style("xml", "<!-- ", " -->", "<!-- SIG # Begin signature block -->", "<!-- SIG # End signature block -->"),
    Style("mof", "/* ", " */", "/* SIG # Begin signature block */", "/* SIG # End signature block */"),
)
SCRIPT_HOST = (
    Style("vbs", "'' SIG '' ", "", "'' SIG '' Begin signature block", "'' SIG '' End signature block"),
    Style("js", "// SIG // ", "", "// SIG // Begin signature block", "// SIG // End signature block"),
    Style("wsf", "** SIG ** ", "", "<signature>", "</signature>"),
)


@dataclass(frozen=True, slots=True)
class SignedScript:
    """A script with one block. ``start`` and ``end`` of the block are byte offsets, the line end before it and after it included.

    ``message`` is the PKCS #7 message, ``before`` and ``after`` the bytes around the block, ``encoding`` utf-16-le, utf-16-be or none.
    """

    style: Style
    message: bytes
    start: int
    end: int
    before: bytes
    after: bytes
    encoding: str | None


def may_be_signed(data: bytes, styles: tuple[Style, ...]) -> bool:
    """Whether the last line of a block of one of ``styles`` stands in ``data`` after another line of it, in any of the encodings."""
    encoding = _encoding(data) or "ascii"
    return any(
        f"\n{style.end}".encode(encoding) in data and f"\n{style.prefix}".encode(encoding) in data for style in styles
    )


def looks_like_text(head: bytes) -> bool:
    """Whether the first bytes of a file are no binary data: a NUL stands in UTF-16 alone."""
    return head.startswith((LITTLE, BIG)) or b"\0" not in head


def parse_script(data: bytes, styles: tuple[Style, ...], *, last: bool) -> SignedScript:
    """The block, the ``last`` or the first one that begins; raises MalformedError where none is there, or a broken one."""
    encoding = _encoding(data)
    unit = 2 if encoding else 1
    if len(data) % unit:
        raise MalformedError("script: half a character at the end")
    try:
        text = data.decode(encoding or "latin-1", "surrogatepass" if encoding else "strict")
    except UnicodeDecodeError as error:
        raise MalformedError("script: the text is not in the encoding that its first bytes announce") from error
    if encoding and not text.isascii():
        text = "".join(c if c < "\U00010000" else "\ufffd\ufffd" for c in text)  # one place for each unit
    found: list[tuple[int, int, int, Style]] = []
    for style in styles:
        pattern = re.compile(rf"\r?\n{re.escape(style.begin)}[ \t]*\r?\n")
        found += [(match.start(), match.end(), len(match[0]), style) for match in pattern.finditer(text)]
    if not found:
        raise MalformedError("script: no signature block")
    start, body, _, style = max(found) if last else min(found)
    close = re.compile(rf"^{re.escape(style.end)}[ \t]*(?:\r?\n|\Z)", re.MULTILINE).search(text, body)
    if close is None:
        raise MalformedError("script: the signature block has no end")
    message = _message(text[body : close.start()], style)
    first, after = start * unit, close.end() * unit
    return SignedScript(style, message, first, after, data[:first], data[after:], encoding)


def _message(body: str, style: Style) -> bytes:
    """The message; a line holds base64 and blanks alone: a bare carriage return ends the comment for whoever runs the script."""
    lines: list[str] = []
    for line in body.split("\n"):
        stripped = line.rstrip("\r \t")
        if not stripped:
            continue
        if not stripped.startswith(style.prefix) or not stripped.endswith(style.suffix.rstrip()):
            raise MalformedError("script: a line in the signature block that is none of it")
        lines.append(stripped[len(style.prefix) : len(stripped) - len(style.suffix)].strip(" \t"))
    try:
        return base64.b64decode("".join(lines), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("script: the signature block is not base64") from error


def is_subject_of(subject: bytes, style: Style) -> bool:
    """Whether what was signed as ``subject`` may be a script of ``style``: a text means another thing in another language."""
    if subject in SUBJECTS.values():
        return SUBJECTS.get(style.name) == subject
    return subject != POWERSHELL_SUBJECT or style.name not in ("vbs", "wsf")


def texts(script: SignedScript) -> Iterator[tuple[bytes, bytes]]:
    """The text before and after the block in UTF-16LE, for every encoding that the bytes may be in; byte order marks are kept.

    Without a mark Windows takes a script for UTF-8 if it can be, else (Windows Script Host: always) for the ANSI code page, here
    Windows-1252.
    """
    before, after = script.before, script.after
    if script.encoding == "utf-16-le":
        yield before, after
    elif script.encoding == "utf-16-be":
        yield _swapped(before), _swapped(after)
    elif (before + after).isascii():
        yield before.decode("ascii").encode("utf-16-le"), after.decode("ascii").encode("utf-16-le")
    else:
        for decode in (_utf8, _windows_1252, _latin_1):
            try:
                yield decode(before).encode("utf-16-le"), decode(after).encode("utf-16-le")
            except UnicodeDecodeError:
                continue


def _encoding(data: bytes) -> str | None:
    if data.startswith(LITTLE):
        return "utf-16-le"
    return "utf-16-be" if data.startswith(BIG) else None


def _swapped(data: bytes) -> bytes:
    swapped = bytearray(data)
    swapped[::2], swapped[1::2] = data[1::2], data[::2]
    return bytes(swapped)


def _utf8(data: bytes) -> str:
    return data.decode("utf-8")


def _latin_1(data: bytes) -> str:
    return data.decode("latin-1")


def _windows_1252(data: bytes) -> str:
    """With the five octets that it does not assign as the control characters that Windows makes of them."""
    return data.decode("latin-1").translate(_WINDOWS_1252)


_WINDOWS_1252 = {
    octet: bytes([octet]).decode("cp1252") for octet in range(0x80, 0xA0) if octet not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
