"""Packages sent over HTTP: the body as it is, or multipart/form-data (RFC 7578) with the files that belong beside the package.

Written to unnamed files as they come, capped in bytes and in parts; nothing is kept once the answer is given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from trust_store.api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import ExitStack

    from trust_store.api.room import Share

MAX_SIDES = 16
MAX_SIDE_BYTES = 8 * 1024 * 1024
MAX_HEADER_BYTES = 8192
MAX_NAME_CHARACTERS = 255
PACKAGE, SIDE = "package", "signature"


@dataclass(slots=True)
class Upload:
    """An open, unnamed file for the package, and one for each file beside it (name -> descriptor)."""

    package: int
    name: str
    sides: dict[str, int] = field(default_factory=dict)


async def receive_body(body: AsyncIterator[bytes], held: ExitStack, share: Share, *, name: str, limit: int) -> Upload:
    """The body as the package; ``held`` closes the file. Raises ProblemError."""
    plain = plain_name(name)
    sink = _Sink(share.file(held), share, limit)
    async for part in body:
        sink.write(part)
    return Upload(sink.done(), plain)


async def receive_form(
    body: AsyncIterator[bytes], content_type: str, held: ExitStack, share: Share, *, limit: int
) -> Upload:
    """One part ``package`` and up to 16 parts ``signature``, each with a file name; raises ProblemError."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _bad("a form without a boundary")
    form = _Form(held, share, limit)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for part in body:
            parser.write(part)
        parser.finalize()
    except FormParserError as error:
        raise _bad("the form is not well formed") from error
    return form.upload()


class _Sink:
    """Writes to one file, up to ``limit`` bytes."""

    def __init__(self, descriptor: int, share: Share, limit: int) -> None:
        self._descriptor, self._share, self._left, self._limit = descriptor, share, limit, limit

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self._left -= len(data)
        if self._left < 0:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a file sent here is at most {self._limit} bytes")
        self._share.write(self._descriptor, data)

    def done(self) -> int:
        """The descriptor, at its beginning; an empty file is no package and no signature."""
        if self._left == self._limit:
            raise _bad("an empty file is no package and no signature: nothing was sent")
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return self._descriptor


class _Form:
    """What the parser calls: one part after another, each into a file of its own."""

    def __init__(self, held: ExitStack, share: Share, limit: int) -> None:
        self._held, self._share, self._limit = held, share, limit
        self._field, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        self._sink: _Sink | None = None
        self._ended = False
        self._package: tuple[str, _Sink] | None = None
        self._sides: dict[str, _Sink] = {}

    def callbacks(self) -> Any:
        """In the parser's words."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def upload(self) -> Upload:
        """What came; raises ProblemError where there is no package."""
        if not self._ended:
            raise _bad("the form is cut short")
        if self._package is None:
            raise _bad("the form has no part 'package'")
        name, sink = self._package
        return Upload(sink.done(), name, {side: found.done() for side, found in self._sides.items()})

    def _begin(self) -> None:
        self._headers, self._sink = {}, None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._require_short(self._field)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._require_short(self._value)

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""
        if len(self._headers) > MAX_SIDES:
            raise _bad("a part with too many headers")

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        part = options.get(b"name", b"").decode("utf-8", "replace")
        name = plain_name(options.get(b"filename", b"").decode("utf-8", "replace"))
        if part == PACKAGE and self._package is None:
            self._package = (name, self._new_sink(self._limit))
            self._sink = self._package[1]
        elif part == SIDE and len(self._sides) < MAX_SIDES and name not in self._sides:
            self._sink = self._sides[name] = self._new_sink(MAX_SIDE_BYTES)
        else:
            raise _bad("a form has one part 'package' and at most 16 parts 'signature', each file once")

    def _new_sink(self, limit: int) -> _Sink:
        return _Sink(self._share.file(self._held), self._share, limit)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._sink is None:
            raise _bad("data outside a part")
        self._sink.write(data[start:end])

    def _end(self) -> None:
        self._ended = True

    def _require_short(self, text: bytes) -> None:
        if len(text) > MAX_HEADER_BYTES:
            raise _bad("a part whose header is too long")


def plain_name(name: str) -> str:
    """A file name that somebody sent, as it is; raises ProblemError for what names no file in a folder."""
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or name in (".", "..") or "/" in name or "\0" in name:
        raise _bad("name: a file's own name, of 1 to 255 characters, without folders")
    return name


def _bad(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, detail)
