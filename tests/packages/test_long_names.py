from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.member_names import MAX_NAMES_BYTES, NameSet
from trust_store.decode.tar_archive import walk
from trust_store.errors import ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_names_are_capped_together() -> None:
    """Names outside ASCII take four bytes a character in memory, and count so."""
    names = NameSet()
    for place in range(MAX_NAMES_BYTES // 4000):
        names.add(f"{place:04}" + "\u00e4" * 996)
    with pytest.raises(ResourceLimitError, match="names take"):
        names.add("\u00e4" * 996)


@pytest.mark.parametrize("fields", [{}, {"type": tarfile.SYMTYPE, "linkname": "t" * 4000}])
def test_long_names_are_capped_together(fields: dict[str, object]) -> None:
    """A short archive can unpack to names that fill the memory, with every folder that they lie in; or to targets of links."""

    def pieces() -> Iterator[bytes]:
        for place in range(10_000):
            info = tarfile.TarInfo(f"{place:05}" if fields else f"{place:05}/" + "/".join(["f" * 30] * 120))
            for field, value in fields.items():
                setattr(info, field, value)
            yield info.tobuf(tarfile.GNU_FORMAT)

    with pytest.raises(ResourceLimitError, match=r"names take|targets of links"):
        walk(ByteReader(pieces()))
