"""AndroidManifest.xml in Android's binary XML, as aapt lays it out, for fixtures and tests."""

from __future__ import annotations

import struct

_NAMES = {
    "versionCode": 0x0101021B,
    "versionName": 0x0101021C,
    "minSdkVersion": 0x0101020C,
    "targetSdkVersion": 0x01010270,
    "targetSandboxVersion": 0x0101054C,
}
_NAMESPACE = "http://schemas.android.com/apk/res/android"
_NONE = 0xFFFFFFFF


def android_manifest(
    package: str = "com.example.app",
    *,
    version_code: int = 7,
    version_name: str = "1.2.3",
    min_sdk: int | str | None = 21,
    target_sdk: int | str | None = 29,
    sandbox: int | None = None,
    utf8: bool = False,
) -> bytes:
    """The document ``<manifest package=... versionCode=...><uses-sdk .../></manifest>``."""
    root: dict[str, int | str | None] = {
        "versionCode": version_code,
        "versionName": version_name,
        "targetSandboxVersion": sandbox,
    }
    sdk: dict[str, int | str | None] = {"minSdkVersion": min_sdk, "targetSdkVersion": target_sdk}
    texts = [value for value in (*root.values(), *sdk.values()) if isinstance(value, str)]
    strings = list(
        dict.fromkeys([*_NAMES, "android", _NAMESPACE, "", "package", package, "manifest", "uses-sdk", *texts])
    )
    at = strings.index
    document = _pool(strings, utf8=utf8) + _chunk(0x0180, 8, struct.pack(f"<{len(_NAMES)}I", *_NAMES.values()))
    document += _node(0x0100, struct.pack("<II", at("android"), at(_NAMESPACE)))
    attributes = [
        _attribute(at(_NAMESPACE), at(name), value, strings) for name, value in root.items() if value is not None
    ]
    attributes.append(_attribute(_NONE, at("package"), package, strings))
    document += _start(at("manifest"), attributes)
    attributes = [
        _attribute(at(_NAMESPACE), at(name), value, strings) for name, value in sdk.items() if value is not None
    ]
    document += _start(at("uses-sdk"), attributes)
    document += _node(0x0103, struct.pack("<II", _NONE, at("uses-sdk")))
    document += _node(0x0103, struct.pack("<II", _NONE, at("manifest")))
    document += _node(0x0101, struct.pack("<II", at("android"), at(_NAMESPACE)))
    return _chunk(0x0003, 8, document)


def _chunk(kind: int, header: int, body: bytes) -> bytes:
    return struct.pack("<HHI", kind, header, 8 + len(body)) + body


def _node(kind: int, body: bytes) -> bytes:
    return _chunk(kind, 16, struct.pack("<II", 1, _NONE) + body)


def _start(name: int, attributes: list[bytes]) -> bytes:
    head = struct.pack("<IIHHHHHH", _NONE, name, 20, 20, len(attributes), 0, 0, 0)
    return _node(0x0102, head + b"".join(attributes))


def _attribute(namespace: int, name: int, value: int | str, strings: list[str]) -> bytes:
    if isinstance(value, str):
        index = strings.index(value)
        return struct.pack("<IIIHBBI", namespace, name, index, 8, 0, 0x03, index)
    return struct.pack("<IIIHBBI", namespace, name, _NONE, 8, 0, 0x10, value)


def _pool(strings: list[str], *, utf8: bool) -> bytes:
    data = b""
    offsets: list[int] = []
    for text in strings:
        offsets.append(len(data))
        if utf8:
            encoded = text.encode()
            data += bytes([len(text), len(encoded)]) + encoded + b"\0"
        else:
            data += struct.pack("<H", len(text)) + text.encode("utf-16-le") + b"\0\0"
    data += bytes(-len(data) % 4)
    head = struct.pack("<IIIII", len(strings), 0, 0x100 if utf8 else 0, 28 + 4 * len(strings), 0)
    return _chunk(0x0001, 28, head + struct.pack(f"<{len(offsets)}I", *offsets) + data)
