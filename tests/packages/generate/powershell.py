"""Writes the PowerShell fixtures: ``python -m tests.packages.generate.powershell``. Needs osslsigncode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.packages.generate.windows_tools import Signers, osslsigncode
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

SCRIPT = 'Write-Output "A fixture, version 1.0"\r\nexit 0\r\n'
ACCENTS = SCRIPT.replace("fixture", "fixture\u00e9\u20ac \U0001f600")
XML = "<?xml version='1.0'?>\r\n<Types></Types>\r\n"


def sign(data: bytes, signer: Issued, chain: Sequence[Issued], *options: str, **more: object) -> bytes:
    """The script signed by osslsigncode."""
    return osslsigncode(data, signer, chain, *options, **{"suffix": ".ps1"} | more)  # type: ignore[arg-type]


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("powershell")
    signers = Signers.make(folder)
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    valid = sign(SCRIPT.encode(), vendor, chain)
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    for name, data in {
        "utf8": ACCENTS.encode(),
        "utf8_mark": b"\xef\xbb\xbf" + ACCENTS.encode(),
        "utf16": b"\xff\xfe" + ACCENTS.encode("utf-16-le"),
        "bare_line_feeds": SCRIPT.replace("\r\n", "\n").encode(),
    }.items():
        _add(folder, name, sign(data, vendor, chain), PASSED, "trusted", mutate=name == "utf16")
    xml = folder.write("types.ps1xml", sign(XML.encode(), vendor, chain, suffix=".ps1xml"))
    folder.case("xml", xml, PASSED, "trusted")
    _add(folder, "unsigned", SCRIPT.encode(), INDETERMINATE, "unsupported_format", format=None)
    folder.case("unknown_root", "valid.ps1", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.ps1", INDETERMINATE, "unknown_root", anchors=[])
    folder.case("revoked", "valid.ps1", FAILED, "revoked", crls=["revoked.crl"])
    _add(folder, "expired", sign(SCRIPT.encode(), signers.ended, chain), INDETERMINATE, "expired")
    authority = [signers.authority, signers.authority_root]
    stamped = sign(SCRIPT.encode(), signers.ended, chain, authority=authority)
    _add(folder, "timestamped", stamped, PASSED, "trusted", anchors=["root.pem", "time.pem"])
    _add(folder, "weak", sign(SCRIPT.encode(), signers.second, chain, "-h", "sha1"), FAILED, "weak_algorithm")
    _damaged(folder, valid)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    folder.case(name, folder.write(f"{name}.ps1", data), outcome, reason, **fields)


def _damaged(folder: FixtureFolder, valid: bytes) -> None:
    _add(folder, "tampered", valid.replace(b"version 1.0", b"version 1.1"), FAILED, "invalid_signature")
    _add(folder, "appended", valid + b"Remove-Item *\r\n", FAILED, "uncovered_content")
    start = valid.index(b"\r\n# SIG # Begin")
    _add(folder, "duplicate_entries", valid + valid[start:], FAILED, "uncovered_content")
    _add(folder, "prepended", b"Remove-Item *\r\n" + valid, FAILED, "invalid_signature")
    _add(folder, "truncated", valid[:-200] + b"\r\n# SIG # End signature block\r\n", FAILED, "malformed")
    _add(folder, "line_inserted", valid.replace(b"\r\n# MII", b"\r\nexit 1\r\n# MII", 1), FAILED, "malformed")


if __name__ == "__main__":
    main()
