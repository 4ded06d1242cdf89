"""Takes a body in under a cap, packed and unpacked. Pure: fed with chunks."""

from __future__ import annotations

import zlib


class BodyTooLargeError(ValueError):
    """The body is larger than allowed, as sent or unpacked."""


class BodyEncodingError(ValueError):
    """The packing is unknown, damaged or ends early."""


class CappedBody:
    """Collects chunks; what is packed with gzip is unpacked piece by piece, so that a bomb never unfolds beyond the cap."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise BodyEncodingError(f"content encoding {encoding[:40]!r}, which was not asked for")
        self._packed = encoding in ("gzip", "x-gzip")
        self._unpacker = zlib.decompressobj(wbits=31)
        self._max_bytes = max_bytes
        self._received = 0
        self._body = bytearray()

    def take(self, chunk: bytes) -> None:
        """Add a chunk as received; raises BodyTooLargeError or BodyEncodingError."""
        self._received += len(chunk)
        if self._received > self._max_bytes:
            raise BodyTooLargeError(f"more than {self._max_bytes} bytes")
        if not self._packed:
            self._body += chunk
            return
        data = chunk
        while data:
            if self._unpacker.eof:  # RFC 1952 2.2: several members one after another
                self._unpacker = zlib.decompressobj(wbits=31)
            try:
                self._body += self._unpacker.decompress(data, self._max_bytes + 1 - len(self._body))
            except zlib.error as error:
                raise BodyEncodingError(f"damaged gzip: {error}") from error
            if len(self._body) > self._max_bytes:
                raise BodyTooLargeError(f"unpacks to more than {self._max_bytes} bytes")
            data = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail

    def finish(self) -> bytes:
        """The whole body; raises BodyEncodingError where gzip ended early."""
        if self._packed and self._received and not self._unpacker.eof:
            raise BodyEncodingError("gzip that ends early")
        return bytes(self._body)
