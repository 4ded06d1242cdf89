"""Writes the MSIX fixtures: ``python -m tests.packages.generate.msix``. Packages built by hand, signed by osslsigncode."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import subprocess
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import PKI, TIME_STAMPING, Issued, issue, make_pki, revocation_list

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE = "AppxSignature.p7x"
MANIFEST = (
    b'<?xml version="1.0"?><Package xmlns="http://schemas.microsoft.com/appx/manifest/foundation/windows10">'
    b'<Identity Name="Example.Tool" Publisher="CN=Vendor Signer, O=Fixtures" Version="1.2.3.0"/></Package>'
)
BUNDLE = (
    b'<?xml version="1.0"?><Bundle xmlns="http://schemas.microsoft.com/appx/2013/bundle">'
    b'<Identity Name="Example.Tool" Publisher="CN=Vendor Signer, O=Fixtures" Version="1.2.3.0"/></Bundle>'
)
FILES = {"App.exe": bytes(range(256)) * 300, "Assets/a%20logo.png": b"picture", "AppxManifest.xml": MANIFEST}
TYPES = (
    b'<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="xml" ContentType="application/vnd.ms-appx.manifest+xml"/></Types>'
)
METHODS = {
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}


def block_map(files: Mapping[str, bytes], digest: str = "sha256") -> bytes:
    """What the block map says of ``files``."""
    lines = []
    for name, data in files.items():
        blocks = "".join(
            f'<Block Hash="{base64.b64encode(hashlib.new(digest, data[at : at + 65536]).digest()).decode()}"/>'
            for at in range(0, len(data), 65536)
        )
        shown = quoteattr(unquote(name).replace("/", "\\"))
        lines.append(f'<File Name={shown} Size="{len(data)}" LfhSize="{30 + len(name)}">{blocks}</File>')
    return (
        '<?xml version="1.0" encoding="UTF-8"?><BlockMap xmlns="http://schemas.microsoft.com/appx/2010/blockmap" '
        f'HashMethod="{METHODS[digest]}">{"".join(lines)}</BlockMap>'
    ).encode()


def package(
    files: Mapping[str, bytes] = FILES, mapped: Mapping[str, bytes] | None = None, digest: str = "sha256"
) -> bytes:
    """An unsigned package; the block map is of ``mapped`` where that is given."""
    whole = {
        **files,
        "AppxBlockMap.xml": block_map(files if mapped is None else mapped, digest),
        "[Content_Types].xml": TYPES,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in whole.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".appx") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def as_makeappx(data: bytes) -> bytes:
    """The archive in the form that Microsoft's packer gives it: data descriptors with long sizes, and zip64 end records."""
    entries, central = b"", b""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        for entry in infos:
            start = entry.header_offset + 30 + len(entry.filename)
            content, name = data[start : start + entry.compress_size], entry.filename.encode()
            common = struct.pack("<HHHHH", 45, 8, entry.compress_type, 0, 0x5C21)
            sizes = struct.pack("<III", entry.CRC, entry.compress_size, entry.file_size)
            central += b"PK\x01\x02" + struct.pack("<H", 45) + common + sizes
            central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, len(entries)) + name
            entries += b"PK\x03\x04" + common + bytes(12) + struct.pack("<HH", len(name), 0) + name + content
            entries += b"PK\x07\x08" + struct.pack("<IQQ", entry.CRC, entry.compress_size, entry.file_size)
    place = len(entries) + len(central)
    end = b"PK\x06\x06" + struct.pack("<QHHII", 44, 45, 45, 0, 0)
    end += struct.pack("<QQQQ", len(infos), len(infos), len(central), len(entries))
    end += b"PK\x06\x07" + struct.pack("<IQI", 0, place, 1)
    short = struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return entries + central + end + b"PK\x05\x06" + short


def sign(work: Path, data: bytes, signer: Issued, chain: tuple[Issued, ...], *options: str) -> bytes:
    """The package signed by osslsigncode."""
    (work / "in.appx").write_bytes(data)
    (work / "out.appx").unlink(missing_ok=True)
    (work / "certificates.pem").write_bytes(b"".join(one.pem for one in (signer, *chain)))
    (work / "key.pem").write_bytes(signer.key_pem)
    subprocess.run(
        ["osslsigncode", "sign", "-certs", "certificates.pem", "-key", "key.pem", *options, "-in", "in.appx", "-out", "out.appx"],
        check=True, capture_output=True, cwd=work,
    )  # fmt: skip
    return (work / "out.appx").read_bytes()


def rewritten(data: bytes, changes: Mapping[str, bytes], *, without: str = "") -> bytes:
    """The archive written anew without a member and with others: no digest over its bytes is right any more."""
    buffer, more = io.BytesIO(), dict(changes)
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != without:
                new.writestr(entry, more.pop(entry.filename, old.read(entry)))
        for name, content in more.items():
            new.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def main() -> None:
    """Write everything."""
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name))


def _write(work: Path) -> None:
    folder = FixtureFolder("msix")
    pki, other = make_pki("Vendor"), make_pki("Other")
    folder.write("root.pem", pki.root.pem)
    folder.write("other.pem", other.root.pem)
    chain = (pki.intermediate,)
    valid = sign(work, package(), pki.leaf, chain)
    folder.write("valid.msix", valid)
    folder.case("valid", "valid.msix", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.msix", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.msix", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.msix", FAILED, "revoked", crls=["signer.crl"])
    for name, unsigned in {
        "sha512": package(digest="sha512"),
        "zip64": as_makeappx(package()),
        "bundle": package(
            {"inner.appx": package(), "AppxMetadata/AppxBundleManifest.xml": BUNDLE},
            {"AppxMetadata/AppxBundleManifest.xml": BUNDLE},
        ),
        "code_integrity": package(FILES | {"AppxMetadata/CodeIntegrity.cat": b"catalog"}, FILES),
    }.items():
        folder.write(
            f"{name}.msix", sign(work, unsigned, pki.leaf, chain, "-h", "sha512" if name == "sha512" else "sha256")
        )
        folder.case(name, f"{name}.msix", PASSED, "trusted")
    folder.write("unsigned.msix", package())
    folder.case("unsigned", "unsigned.msix", INDETERMINATE, "unsigned")
    _damaged(folder, work, pki, valid)
    _times(folder, work, pki)
    folder.close()


def _damaged(folder: FixtureFolder, work: Path, pki: PKI, valid: bytes) -> None:
    changed = FILES | {"App.exe": b"evil"}
    chain = (pki.intermediate,)
    with zipfile.ZipFile(io.BytesIO(valid)) as archive:
        message = archive.read(SIGNATURE)
    bundle = {"AppxMetadata/AppxBundleManifest.xml": BUNDLE}
    for name, data, reason in (
        ("tampered", rewritten(package(changed), {SIGNATURE: message}), "invalid_signature"),
        ("content_types", rewritten(valid, {"[Content_Types].xml": TYPES}), "invalid_signature"),
        ("added_member", rewritten(rewritten(valid, {"evil": b"evil"}, without=SIGNATURE), {SIGNATURE: message}), "invalid_signature"),
        ("after_the_signature", rewritten(valid, {"evil": b"evil"}), "malformed"),
        ("block_map_lies", sign(work, package(FILES, changed), pki.leaf, chain), "invalid_signature"),
        ("not_in_the_block_map", sign(work, package(FILES | {"more": b"x"}, FILES), pki.leaf, chain), "invalid_signature"),
        ("not_in_the_package", sign(work, package(FILES, FILES | {"more": b"x"}), pki.leaf, chain), "invalid_signature"),
        ("package_as_bundle", rewritten(package(bundle, bundle), {SIGNATURE: message}), "invalid_signature"),
        ("garbage_signature", rewritten(valid, {SIGNATURE: b"no signature"}), "malformed"),
    ):  # fmt: skip
        folder.write(f"{name}.msix", data)
        folder.case(name, f"{name}.msix", FAILED, reason)
    for name, data in {
        "truncated": valid[:-30],
        "appended": valid + b"appended",
        "duplicate_entries": _twice(valid),
    }.items():
        folder.write(f"{name}.msix", data)
        folder.case(name, f"{name}.msix", FAILED, "malformed", format="zip")


def _twice(data: bytes) -> bytes:
    """A second file under a name that some file system takes for the first."""
    return rewritten(data, {"APP.exe": b"evil"})


def _times(folder: FixtureFolder, work: Path, pki: PKI) -> None:
    begin, end = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    old, chain = issue("Old Signer", pki.intermediate, begin=begin, end=end), (pki.intermediate,)
    folder.write("expired.msix", sign(work, package(), old, chain))
    folder.case("expired", "expired.msix", INDETERMINATE, "expired")
    root = issue("Time Root", is_ca=True)
    authority = issue("Time Stamper", root, eku=(TIME_STAMPING,))
    certificate, key = authority.write(work, "tsa")
    moment = str(int(datetime(2022, 6, 1, tzinfo=UTC).timestamp()))
    options = ("-TSA-certs", certificate.name, "-TSA-key", key.name, "-TSA-time", moment)
    folder.write("tsa.pem", root.pem)
    folder.write("timestamped.msix", sign(work, package(), old, chain, *options))
    folder.case("timestamped", "timestamped.msix", PASSED, "trusted", anchors=["root.pem", "tsa.pem"])
    weak = issue("Weak Signer", pki.intermediate, kind="rsa1024")
    folder.write("weak.msix", sign(work, package(), weak, chain))
    folder.case("weak", "weak.msix", FAILED, "weak_algorithm")


if __name__ == "__main__":
    main()
