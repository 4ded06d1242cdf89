"""A member of an archive kept in memory while the archive is walked: only for members whose stated size has been capped before."""

from __future__ import annotations


class MemberBytes:
    """``decode.zip_archive.MemberSink`` that keeps what it is given."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        self._pieces.append(data)

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)
