"""Fuzz targets: decoders of Windows formats, and countersignatures that tell a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.packages.generate.cms_message import Signer
from tests.packages.pki import TIME_STAMPING, issue
from tests.packages.table import FIXTURES
from trust_store.decode import authenticode, pe
from trust_store.decode.cabinet_header import HEADER_BYTES, read_header
from trust_store.decode.countersignature import parse_countersignature
from trust_store.decode.ole import read_compound
from trust_store.decode.script_signature import POWERSHELL, SCRIPT_HOST, parse_script, texts
from trust_store.errors import READ_ERRORS
from trust_store.formats.streaming import BytesSource
from trust_store.signatures.authenticode import read_embedded

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz_targets import Target


def targets() -> tuple[Target, ...]:
    """Every target, seeded with the committed fixtures."""
    from tests.fuzz_targets import Target  # joins these to its own

    stamp = Signer(issue("Time Authority", kind="p256", eku=[TIME_STAMPING])).info(b"value", "1.2.840.113549.1.7.1")
    message = parse_script((FIXTURES / "powershell/valid.ps1").read_bytes(), POWERSHELL, last=False).message
    found: list[tuple[str, Callable[[bytes], object], tuple[bytes, ...]]] = [
        ("pe", _image, _files("pe", "valid.exe", "pe32_overlay.exe", "nested.exe", "efi_two_entries.exe")),
        ("ole", lambda data: read_compound(BytesSource(data)), _files("msi", "valid.msi", "extended.msi")),
        ("cabinet header", lambda data: read_header(data[:HEADER_BYTES], len(data)), _files("cab", "valid.cab")),
        ("catalog", _catalog, _files("catalog", "valid.cat")),
        ("powershell", _script, _files("powershell", "valid.ps1", "utf16.ps1", "utf8_mark.ps1", "types.ps1xml")),
        ("script host", _script, _files("wsh-script", "valid.vbs", "valid.js", "valid.wsf", "ansi.vbs")),
        ("countersignature", parse_countersignature, (stamp,)),
    ]
    read = Target("authenticode.read_embedded", lambda data: read_embedded([data]), (message,), ())
    return (*(Target(f"windows: {name}", run, seeds, READ_ERRORS) for name, run, seeds in found), read)


def _files(folder: str, *names: str) -> tuple[bytes, ...]:
    return tuple((FIXTURES / folder / name).read_bytes() for name in names)


def _image(data: bytes) -> None:
    head = data[: pe.header_bytes(data)]
    image = pe.read_image(data[: pe.header_bytes(head)], len(data))
    if image.table is not None:
        pe.read_table(data[slice(*image.table)])


def _catalog(data: bytes) -> None:
    authenticode.parse_members(authenticode.parse_message(data).content)


def _script(data: bytes) -> None:
    for _ in texts(parse_script(data, POWERSHELL + SCRIPT_HOST, last=True)):
        pass
