from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trust_store.decode.canonical_xml import parse_tree
from trust_store.decode.plain_xml import MAX_TOKEN_BYTES, parse_xml
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Callable

PARSERS = [lambda data: parse_xml(data, "test"), parse_tree]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "data",
    [
        b"<a " + b" ".join(b'a%d="x"' % n for n in range(300_000)) + b"/>",
        b"<a><!--" + b"x" * 2 * MAX_TOKEN_BYTES + b"--></a>",
        b"<a b='" + b"x" * 2 * MAX_TOKEN_BYTES,
    ],
)
def test_a_very_long_tag_is_a_resource_limit(parse: Callable[[bytes], object], data: bytes) -> None:
    """A short archive can unpack to one tag that fills the memory with its attributes before it ends."""
    with pytest.raises(ResourceLimitError, match="tag of more than"):
        parse(data)


@pytest.mark.parametrize("parse", PARSERS)
def test_long_texts_are_read_in_pieces(parse: Callable[[bytes], object]) -> None:
    """Text is as long as it likes, and the same as if it were read at once, whatever stands where a piece ends."""
    words = "".join(f"{n}\u00e4&amp;\r\n" for n in range(120_000))
    root = parse(f"<a>{words}</a>".encode())
    assert root.text == words.replace("&amp;", "&").replace("\r\n", "\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize("parse", PARSERS)
def test_no_document_is_malformed(parse: Callable[[bytes], object]) -> None:
    """Nothing at all, or nothing but blanks, is no element."""
    for data in (b"", b" " * 200_000):
        with pytest.raises(MalformedError):
            parse(data)
