"""Writes the cabinet fixtures: ``python -m tests.packages.generate.cab``. Needs gcab and osslsigncode."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.packages.generate import pe_craft
from tests.packages.generate.windows_tools import Signers, osslsigncode, run
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

FILES = {"driver.inf": b"; a fixture, version 1.0\r\n" * 4, "driver.sys": bytes(range(256))}


def cabinet(*options: str, files: dict[str, bytes] = FILES) -> bytes:
    """An unsigned cabinet by gcab."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for member, data in files.items():
            (place / member).write_bytes(data)
        run(place, "gcab", "-c", *options, "x.cab", *files)
        return (place / "x.cab").read_bytes()


def sign(data: bytes, signer: Issued, chain: Sequence[Issued], *options: str, **more: object) -> bytes:
    """The cabinet signed by osslsigncode."""
    return osslsigncode(data, signer, chain, *options, suffix=".cab", **more)  # type: ignore[arg-type]


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("cab")
    signers = Signers.make(folder)
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    unsigned = cabinet()
    valid = sign(unsigned, vendor, chain)
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    _add(folder, "compressed", sign(cabinet("-z"), signers.second, chain, "-h", "sha384"), PASSED, "trusted")
    _add(folder, "unsigned", unsigned, INDETERMINATE, "unsigned")
    image = osslsigncode(pe_craft.image(), vendor, chain)
    inside = cabinet("-z", files={"setup.exe": image, "read.me": b"text", "broken.exe": image + b"appended"})
    _add(folder, "packages_inside", inside, INDETERMINATE, "unsigned")
    folder.case("unknown_root", "valid.cab", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.cab", INDETERMINATE, "unknown_root", anchors=[])
    folder.case("revoked", "valid.cab", FAILED, "revoked", crls=["revoked.crl"])
    _add(folder, "expired", sign(unsigned, signers.ended, chain), INDETERMINATE, "expired")
    authority = [signers.authority, signers.authority_root]
    stamped = sign(unsigned, signers.ended, chain, authority=authority)
    _add(folder, "timestamped", stamped, PASSED, "trusted", anchors=["root.pem", "time.pem"])
    weak = sign(unsigned, signers.second, chain, "-h", "sha1")
    _add(folder, "weak", weak, FAILED, "weak_algorithm")
    _add(folder, "nested", sign(weak, vendor, chain, "-nest", "-h", "sha256"), PASSED, "trusted")
    _damaged(folder, valid)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    folder.case(name, folder.write(f"{name}.cab", data), outcome, reason, **fields)


def _damaged(folder: FixtureFolder, valid: bytes) -> None:
    _add(folder, "tampered", valid.replace(b"version 1.0", b"version 1.1", 1), FAILED, "invalid_signature")
    _add(folder, "truncated", valid[:-100], FAILED, "malformed")
    _add(folder, "appended", valid + b"appended", FAILED, "uncovered_content")
    length = struct.unpack_from("<I", valid, 48)[0]
    stuffed = valid[:48] + struct.pack("<I", length + 8) + valid[52:] + b"appended"
    _add(folder, "stuffed", stuffed, FAILED, "uncovered_content")
    reserving = valid[:39] + b"\x08" + valid[40:]
    _add(folder, "space_in_data", reserving, FAILED, "malformed")
    start = struct.unpack_from("<I", valid, 8)[0]
    # the reserved area emptied and the signature cut off: what is left says nothing of a signature
    stripped = valid[:44] + bytes(8) + valid[52:start]
    _add(folder, "stripped", stripped, INDETERMINATE, "unsigned")


if __name__ == "__main__":
    main()
