"""The Property table of a Windows Installer database: product name and version, out of the streams in which tables and strings stand.

Not documented by Microsoft; as msitools and Wine read it. A table's stream holds its columns one after the other; a text is the number of a
string, whose length stands in ``_StringPool`` and whose bytes in ``_StringData``.
"""

from __future__ import annotations

import struct

from trust_store.errors import MalformedError

MAX_STRINGS = 1_000_000
MAX_ROWS = 65_536
_LARGE = 0x8000
_PAIR, _SINGLE, MARK = 0x3800, 0x4800, "\u4840"
"""``MARK`` begins the name of every table's stream."""
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
PROPERTY, POOL, DATA, TABLES, COLUMNS = "Property", "_StringPool", "_StringData", "_Tables", "_Columns"
_UNLISTED = frozenset((POOL, DATA, TABLES, COLUMNS))


def stream_name(table: str) -> str:
    """The name of a table's stream: a mark, and two characters of the table's name in each of its own."""
    packed = MARK
    for at in range(0, len(table), 2):
        numbers = [_ALPHABET.index(character) for character in table[at : at + 2]]
        packed += chr(_PAIR + numbers[0] + (numbers[1] << 6)) if len(numbers) > 1 else chr(_SINGLE + numbers[0])
    return packed


def table_of(stream: str) -> str | None:
    """The table whose stream has that name; None where it is no name of a table's stream."""
    if not stream.startswith(MARK):
        return None
    found = ""
    for character in stream[1:]:
        number = ord(character) - _PAIR
        if 0 <= number < _SINGLE - _PAIR:
            found += _ALPHABET[number & 0x3F] + _ALPHABET[number >> 6]
        elif 0 <= number - (_SINGLE - _PAIR) < len(_ALPHABET):
            found += _ALPHABET[number - (_SINGLE - _PAIR)]
        else:
            return None
    return found


def tables_with_streams(tables: bytes, pool: bytes, data: bytes) -> frozenset[str]:
    """The tables that ``_Tables`` lists, and those that every database has unlisted; raises MalformedError."""
    width, encoding = _form(pool)
    if len(tables) % width or len(tables) // width > MAX_ROWS:
        raise MalformedError("MSI: a list of tables of broken rows")
    numbers = {int.from_bytes(tables[at : at + width], "little") for at in range(0, len(tables), width)}
    return _UNLISTED | {_decoded(text, encoding) for text in _places(pool, data, numbers).values()}


def _form(pool: bytes) -> tuple[int, str]:
    """How many bytes a string's number has in the tables, and what strings are encoded in."""
    if len(pool) < 4:
        raise MalformedError("MSI: no string pool")
    codepage, flags = struct.unpack_from("<HH", pool)
    return 3 if flags & _LARGE else 2, {65001: "utf-8", 0: "ascii"}.get(codepage, f"cp{codepage}")


def read_properties(table: bytes, pool: bytes, data: bytes, wanted: frozenset[str]) -> dict[str, str]:
    """The values of the properties that are ``wanted``; raises MalformedError."""
    width, encoding = _form(pool)
    rows, rest = divmod(len(table), 2 * width)
    if rest or rows > MAX_ROWS:
        raise MalformedError("MSI: a Property table of broken rows")
    pairs: dict[int, int] = {}
    for row in range(rows):
        key, value = (int.from_bytes(table[(column * rows + row) * width :][:width], "little") for column in range(2))
        pairs[key] = value
    places = _places(pool, data, {*pairs, *pairs.values()})
    found: dict[str, str] = {}
    for key, value in pairs.items():
        name = places.get(key, b"").decode("ascii", "replace")
        if name in wanted:
            found[name] = _decoded(places.get(value, b""), encoding)
    return found


def _places(pool: bytes, data: bytes, wanted: set[int]) -> dict[int, bytes]:
    """The bytes of the strings of these numbers."""
    found: dict[int, bytes] = {}
    at, position, number = 4, 0, 0
    while at + 4 <= len(pool):
        length, references = struct.unpack_from("<HH", pool, at)
        at += 4
        number += 1
        if number > MAX_STRINGS:
            raise MalformedError("MSI: too many strings")
        if length == 0 and references:  # one of 64 KiB or more: its length is in the next entry
            if at + 4 > len(pool):
                raise MalformedError("MSI: the string pool is cut short")
            length = int.from_bytes(pool[at : at + 4], "little")
            at += 4
        if position + length > len(data):
            raise MalformedError("MSI: strings that are longer than their bytes")
        if number in wanted:
            found[number] = data[position : position + length]
        position += length
    return found


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding, "replace").strip()
    except LookupError:
        return data.decode("ascii", "replace").strip()
