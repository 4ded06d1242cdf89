"""Room on the disk for what is sent: a share of each user, a share of all, and always enough left for the store itself."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from trust_store.api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

RESERVE_BYTES = 256 * 1024**2
"""So much stays free on the file system of the store."""
PACKAGES_OF_A_USER, PACKAGES = 2, 4
"""How many of the largest packages one user's uploads, and all uploads, may take at a time."""


class UploadRoom:
    """What the uploads under way take, by user. Belongs to one event loop."""

    def __init__(self, folder: Path, largest: int) -> None:
        self.folder = folder
        self._largest, self._taken = largest, Counter[str]()

    @contextmanager
    def of(self, asker: str) -> Iterator[Share]:
        """The share of one request, given back at its end."""
        share = Share(self, asker)
        try:
            yield share
        finally:
            self._taken[asker] -= share.taken
            self._taken += Counter()  # forgets whoever has none

    def take(self, asker: str, size: int) -> None:
        """Raises ProblemError where there is no room for so many bytes more."""
        self.require(size)
        if self._taken[asker] + size > PACKAGES_OF_A_USER * self._largest:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS, "what you are sending at once is too much; wait for an answer"
            )
        if self._taken.total() + size > PACKAGES * self._largest:
            raise _full("too much is being sent at once; send it again later")
        self._taken[asker] += size

    def require(self, size: int) -> None:
        """Raises ProblemError where so many bytes do not fit, or leave too little."""
        try:
            found = os.statvfs(self.folder)
        except OSError as error:
            raise _full(f"no room for uploads: {error.strerror}") from error
        if found.f_bavail * found.f_frsize - size < RESERVE_BYTES:
            raise _full("no room on the disk of the store; name a file by its path, or send it later")


class Share:
    """What one request takes."""

    def __init__(self, room: UploadRoom, asker: str) -> None:
        self._room, self._asker, self.taken = room, asker, 0

    def expect(self, size: int) -> None:
        """Raises ProblemError at once where what is announced does not fit."""
        self._room.require(size)

    def file(self, held: ExitStack) -> int:
        """A new unnamed file, closed and gone with ``held``; raises ProblemError."""
        try:
            return held.enter_context(tempfile.TemporaryFile(dir=self._room.folder)).fileno()
        except OSError as error:
            raise _full(f"no room for uploads: {error.strerror}") from error

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of it; raises ProblemError."""
        self._room.take(self._asker, len(data))
        self.taken += len(data)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            raise _full(f"what was sent cannot be written: {error.strerror}") from error


def _full(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.INSUFFICIENT_STORAGE, detail)
