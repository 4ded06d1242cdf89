"""Writes the Windows Script Host fixtures, as wshext.dll would: ``python -m tests.packages.generate.wsh_script``."""

from __future__ import annotations

from tests.packages.generate.script_craft import block, host_content, message
from tests.packages.generate.windows_tools import Signers
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder

SCRIPTS = {
    "vbs": ('WScript.Echo "A fixture, version 1.0"\r\n', ""),
    "js": ('WScript.Echo("A fixture, version 1.0");\r\n', ""),
    "wsf": ('<job id="x">\r\n<script language="JScript">\r\nvar a = 1;\r\n</script>', "</job>\r\n"),
}


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("wsh-script")
    signers = Signers.make(folder)
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    signed: dict[str, str] = {}
    for kind, (before, after) in SCRIPTS.items():
        made = message(host_content(before, after), kind, vendor, chain)
        signed[kind] = before + block(made, kind) + after
        name = folder.write(f"valid.{kind}", signed[kind].encode())
        folder.case("valid" if kind == "vbs" else kind, name, PASSED, "trusted", mutate=True)
    _encodings(folder, signers)
    # osslsigncode from 2.10 on signs the text alone, as if it were a PowerShell script
    js = SCRIPTS["js"][0]
    tool = js + block(message(js.encode("utf-16-le"), "ps1", vendor, chain), "js")
    folder.case("js_as_osslsigncode", folder.write("tool.js", tool.encode()), PASSED, "trusted", mutate=True)
    _add(folder, "unsigned", SCRIPTS["vbs"][0].encode(), INDETERMINATE, "unsupported_format", format=None)
    folder.case("unknown_root", "valid.vbs", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.vbs", INDETERMINATE, "unknown_root", anchors=[])
    folder.case("revoked", "valid.vbs", FAILED, "revoked", crls=["revoked.crl"])
    before = SCRIPTS["vbs"][0]
    ended = message(host_content(before), "vbs", signers.ended, chain)
    _add(folder, "expired", (before + block(ended, "vbs")).encode(), INDETERMINATE, "expired")
    for name, digests in {"weak": ("sha1", "sha1"), "weak_content": ("sha256", "sha1")}.items():
        made = message(host_content(before), "vbs", signers.second, chain, digest=digests[0], file_digest=digests[1])
        _add(folder, name, (before + block(made, "vbs")).encode(), FAILED, "weak_algorithm")
    _damaged(folder, signed["vbs"].encode(), before)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    folder.case(name, folder.write(f"{name}.vbs", data), outcome, reason, **fields)


def _encodings(folder: FixtureFolder, signers: Signers) -> None:
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    before = SCRIPTS["vbs"][0].replace("fixture", "fixture \u00e9\u201c")
    text = before + block(message(host_content(before), "vbs", vendor, chain), "vbs")
    for name, data in {
        "ansi": text.encode("cp1252"),
        "utf8": text.encode(),
        "utf16": b"\xff\xfe" + text.encode("utf-16-le"),
    }.items():
        _add(folder, name, data, PASSED, "trusted")


def _damaged(folder: FixtureFolder, valid: bytes, before: str) -> None:
    _add(folder, "tampered", valid.replace(b"version 1.0", b"version 1.1"), FAILED, "invalid_signature")
    _add(folder, "appended", valid + b"WScript.Quit 1\r\n", FAILED, "invalid_signature")
    moved = b"Rem\r\n" + valid[len(before) :] + before.encode()
    _add(folder, "moved", moved, FAILED, "invalid_signature")
    _add(
        folder, "truncated", valid[: len(before) + 500] + b"\r\n'' SIG '' End signature block\r\n", FAILED, "malformed"
    )
    _add(folder, "duplicate_entries", valid + valid[len(before) :], FAILED, "invalid_signature")


if __name__ == "__main__":
    main()
