"""Digests over one member of an archive while the archive is walked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class MemberDigests:
    """``decode.zip_archive.MemberSink`` with several digests (hashlib names)."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._states = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        for state in self._states.values():
            state.update(data)

    @property
    def digests(self) -> dict[str, bytes]:
        """By algorithm."""
        return {algorithm: state.digest() for algorithm, state in self._states.items()}
