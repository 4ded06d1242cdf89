"""What AndroidManifest.xml of an APK says of the package: name, version and the Android versions it is for.

The file is in Android's binary XML (frameworks/base ``ResourceTypes.h``: ResStringPool_header, ResXMLTree_attrExt): chunks of u16 type,
u16 header size, u32 size. Only the attributes of ``manifest`` and ``uses-sdk`` are read; nothing else is looked into.
"""

from __future__ import annotations

import struct

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAX_BYTES = 16 * 1024**2
MAX_STRINGS = 1_000_000
MAX_TEXT_BYTES = 4096
_XML, _STRINGS, _RESOURCES, _START = 0x0003, 0x0001, 0x0180, 0x0102
_UTF8 = 0x100
_STRING, _INTEGERS = 0x03, range(0x10, 0x20)
_CHUNK = struct.Struct("<HHI")
_NONE = 0xFFFFFFFF
VERSION_CODE, VERSION_NAME, VERSION_CODE_MAJOR = 0x0101021B, 0x0101021C, 0x01010576
MIN_SDK, TARGET_SDK, SANDBOX = 0x0101020C, 0x01010270, 0x0101054C
_UNDATED = 10_000
"""Of a development version of Android, which has a letter for a number."""


@dataclass(frozen=True, slots=True)
class AndroidManifest:
    """``package`` is None where it is not stated as text; SDK versions as Android takes them where they are left out."""

    package: str | None = None
    version_code: int | None = None
    version_name: str | None = None
    min_sdk: int = 1
    target_sdk: int = 1
    sandbox: int = 1


class _Strings:
    """The string pool: looked up one at a time."""

    def __init__(self, chunk: bytes) -> None:
        if len(chunk) < 28:
            raise MalformedError("AndroidManifest.xml: the string pool is cut short")
        self._chunk = chunk
        header, count, _, flags, start = struct.unpack_from("<2xH4xIIII", chunk)
        if count > MAX_STRINGS:
            raise ResourceLimitError(f"AndroidManifest.xml: {count} strings")
        if header + 4 * count > len(chunk):
            raise MalformedError("AndroidManifest.xml: the string pool is cut short")
        self._header, self._count, self._start, self._utf8 = header, count, start, bool(flags & _UTF8)

    def text(self, index: int) -> str | None:
        if index >= self._count:
            return None
        (offset,) = struct.unpack_from("<I", self._chunk, self._header + 4 * index)
        at = self._start + offset
        try:
            if self._utf8:
                _, at = self._short(at, 1)
                length, at = self._short(at, 1)
                raw, encoding = self._chunk[at : at + length], "utf-8"
            else:
                length, at = self._short(at, 2)
                length *= 2
                raw, encoding = self._chunk[at : at + length], "utf-16-le"
            if len(raw) != length or length > MAX_TEXT_BYTES:
                raise MalformedError("AndroidManifest.xml: a string that is cut short or very long")
            return raw.decode(encoding)
        except (IndexError, UnicodeDecodeError) as error:
            raise MalformedError("AndroidManifest.xml: a broken string") from error

    def _short(self, at: int, width: int) -> tuple[int, int]:
        """A length in one or two units, the first marked by its highest bit."""
        unit = self._chunk[at : at + width]
        if len(unit) != width:
            raise IndexError
        value, top = int.from_bytes(unit, "little"), 1 << (8 * width - 1)
        if not value & top:
            return value, at + width
        more = self._chunk[at + width : at + 2 * width]
        return (value ^ top) << (8 * width) | int.from_bytes(more, "little"), at + 2 * width


def parse_manifest(data: bytes) -> AndroidManifest:
    """Read the attributes of ``manifest`` and ``uses-sdk``; raises MalformedError or ResourceLimitError."""
    if len(data) > MAX_BYTES:
        raise ResourceLimitError(f"AndroidManifest.xml: {len(data)} bytes")
    kind, header, size = _chunk(data, 0)
    if kind != _XML or size > len(data):
        raise MalformedError("AndroidManifest.xml: not Android's binary XML")
    strings: _Strings | None = None
    resources: tuple[int, ...] = ()
    elements: dict[str, dict[int | str, int | str | None]] = {}
    position = header
    while position < size and not {"manifest", "uses-sdk"} <= set(elements):
        kind, header, length = _chunk(data, position)
        if position + length > size:
            raise MalformedError("AndroidManifest.xml: a chunk reaches beyond the file")
        chunk = data[position : position + length]
        if kind == _STRINGS and strings is None:
            strings = _Strings(chunk)
        elif kind == _RESOURCES:
            resources = struct.unpack_from(f"<{(length - header) // 4}I", chunk, header)
        elif kind == _START and strings is not None:
            name, attributes = _element(chunk, strings, resources)
            if name in ("manifest", "uses-sdk"):
                elements.setdefault(name, attributes)
        position += length
    if "manifest" not in elements:
        raise MalformedError("AndroidManifest.xml: no manifest element")
    return _manifest(elements["manifest"], elements.get("uses-sdk", {}))


def _chunk(data: bytes, position: int) -> tuple[int, int, int]:
    if len(data) - position < _CHUNK.size:
        raise MalformedError("AndroidManifest.xml: cut short")
    kind, header, size = _CHUNK.unpack_from(data, position)
    if not _CHUNK.size <= header <= size:
        raise MalformedError("AndroidManifest.xml: a chunk smaller than its header")
    return kind, header, size


def _element(
    chunk: bytes, strings: _Strings, resources: tuple[int, ...]
) -> tuple[str, dict[int | str, int | str | None]]:
    """Name and attributes of a start tag: by resource identifier, else by name."""
    if len(chunk) < 36:
        raise MalformedError("AndroidManifest.xml: a start tag is cut short")
    name, first, width, count = struct.unpack_from("<20xIHHH", chunk)
    attributes: dict[int | str, int | str | None] = {}
    if width < 20 or 16 + first + width * count > len(chunk):
        raise MalformedError("AndroidManifest.xml: attributes reach beyond their tag")
    for index in range(count):
        at = 16 + first + width * index
        attribute, raw, kind, value = struct.unpack_from("<4xII3xBI", chunk, at)
        key: int | str | None = resources[attribute] if attribute < len(resources) else strings.text(attribute)
        if key is None or key in attributes:
            continue
        if kind == _STRING or (kind not in _INTEGERS and raw != _NONE):
            attributes[key] = strings.text(value if kind == _STRING else raw)
        elif kind in _INTEGERS:
            attributes[key] = value
    return strings.text(name) or "", attributes


def _manifest(manifest: dict[int | str, int | str | None], sdk: dict[int | str, int | str | None]) -> AndroidManifest:
    package, name = manifest.get("package"), manifest.get(VERSION_NAME)
    code, major = manifest.get(VERSION_CODE), manifest.get(VERSION_CODE_MAJOR)
    version = (major if isinstance(major, int) else 0) << 32 | code if isinstance(code, int) else None
    lowest = _sdk(sdk.get(MIN_SDK), 1)
    return AndroidManifest(
        package if isinstance(package, str) else None,
        version,
        name if isinstance(name, str) else None,
        lowest,
        _sdk(sdk.get(TARGET_SDK), lowest),
        _sdk(manifest.get(SANDBOX), 1),
    )


def _sdk(value: int | str | None, default: int) -> int:
    """A version as a number; that of a development version, which is text, counts as newer than any."""
    if isinstance(value, int):
        return value
    return default if value is None else int(value) if value.isascii() and value.isdigit() else _UNDATED
