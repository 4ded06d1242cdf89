"""Writes the Windows Installer fixtures: ``python -m tests.packages.generate.msi``. Needs msibuild and osslsigncode."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.packages.generate.windows_tools import Signers, osslsigncode, run
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

PROPERTY = "CREATE TABLE `Property` (`Property` CHAR(72) NOT NULL, `Value` CHAR(0) NOT NULL LOCALIZABLE PRIMARY KEY `Property`)"
STREAMS = {"Binary.one": b"A" * 70, "Binary.onetwo": b"B" * 40, "Data1.cab": b"C" * 5000, "Binary.z": b"D" * 4096}


def package(streams: dict[str, bytes] = STREAMS) -> bytes:
    """An unsigned package by msibuild, with one table and ``streams``."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        about = ("-s", "Fixture", "Vendor", ";1033", "{11111111-1111-1111-1111-111111111111}")
        row = "INSERT INTO `Property` (`Property`, `Value`) VALUES ('{}', '{}')"
        rows = [("-q", row.format(*one)) for one in (("ProductName", "Fixture"), ("ProductVersion", "1.2.3"))]
        for options in (about, ("-q", PROPERTY), *rows):
            run(place, "msibuild", "x.msi", *options)
        for number, (stream, data) in enumerate(streams.items()):
            (place / f"{number}").write_bytes(data)
            run(place, "msibuild", "x.msi", "-a", stream, f"{number}")
        return (place / "x.msi").read_bytes()


def sign(data: bytes, signer: Issued, chain: Sequence[Issued], *options: str, **more: object) -> bytes:
    """The package signed by osslsigncode."""
    return osslsigncode(data, signer, chain, *options, suffix=".msi", **more)  # type: ignore[arg-type]


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("msi")
    signers = Signers.make(folder)
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    unsigned = package()
    valid = sign(unsigned, vendor, chain)
    extended = sign(unsigned, vendor, chain, "-h", "sha256", "-add-msi-dse")
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    _add(folder, "extended", extended, PASSED, "trusted", mutate=True)
    _add(folder, "unsigned", unsigned, INDETERMINATE, "unsigned")
    folder.case("unknown_root", "valid.msi", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.msi", INDETERMINATE, "unknown_root", anchors=[])
    folder.case("revoked", "valid.msi", FAILED, "revoked", crls=["revoked.crl"])
    small = package({"Binary.one": b"A" * 70})
    _add(folder, "expired", sign(small, signers.ended, chain), INDETERMINATE, "expired")
    authority = [signers.authority, signers.authority_root]
    stamped = sign(small, signers.ended, chain, authority=authority)
    _add(folder, "timestamped", stamped, PASSED, "trusted", anchors=["root.pem", "time.pem"])
    weak = sign(small, signers.second, chain, "-h", "sha1")
    _add(folder, "weak", weak, FAILED, "weak_algorithm")
    nested = sign(weak, vendor, chain, "-nest", "-h", "sha256")
    _add(folder, "nested", nested, PASSED, "trusted")
    _damaged(folder, valid, extended)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    folder.case(name, folder.write(f"{name}.msi", data), outcome, reason, **fields)


def _damaged(folder: FixtureFolder, valid: bytes, extended: bytes) -> None:
    _add(folder, "tampered", valid.replace(b"C" * 100, b"C" * 99 + b"c", 1), FAILED, "invalid_signature")
    _add(folder, "truncated", valid[: len(valid) // 2], FAILED, "malformed")
    _add(folder, "appended", valid + b"appended", FAILED, "uncovered_content")
    # the signature itself stands in the directory under its name: without it there is none
    name = "\x05DigitalSignature".encode("utf-16-le")
    _add(folder, "signature_renamed", valid.replace(name, b"\x06" + name[1:]), INDETERMINATE, "unsigned")
    ex = "\x05MsiDigitalSignatureEx".encode("utf-16-le")
    _add(folder, "downgrade", extended.replace(ex, b"\x06" + ex[1:]), FAILED, "invalid_signature")
    at = valid.index(name)
    renamed = bytearray(valid)
    renamed[at : at + 128] = _twin(valid, at)
    _add(folder, "duplicate_entries", bytes(renamed), FAILED, "malformed")


def _twin(data: bytes, at: int) -> bytes:
    """The signature's directory entry with the name of another one at the root."""
    entry = bytearray(data[at : at + 128])
    other = "\x05SummaryInformation".encode("utf-16-le")
    entry[:66] = (other + b"\0\0").ljust(64, b"\0") + struct.pack("<H", len(other) + 2)
    return bytes(entry)


if __name__ == "__main__":
    main()
