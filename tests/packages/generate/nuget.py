"""Writes the NuGet fixtures from the specification: ``python -m tests.packages.generate.nuget``. No NuGet client is to be had here."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from datetime import UTC, datetime

from asn1crypto import core

from tests.packages.generate.cms_message import (
    Signer,
    attribute,
    octets,
    oid,
    seq,
    signature_value,
    signed_data,
    signing_certificate_v2,
)
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import PKI, Issued, issue, make_pki, revocation_list
from tests.trust_store.timestamp_craft import TOKEN, Authority

NAME = ".signature.p7s"
ORIGIN, RECEIPT = "1.2.840.113549.1.9.16.6.1", "1.2.840.113549.1.9.16.6.2"
OIDS = {"sha256": "2.16.840.1.101.3.4.2.1", "sha512": "2.16.840.1.101.3.4.2.3"}
FILES = {
    "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
    "Example.Tool.nuspec": b'<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">'
    b"<metadata><id>Example.Tool</id><version>1.2.3</version></metadata></package>",
    "lib/net8.0/tool.dll": bytes(range(256)) * 2,
}


def package(files: dict[str, bytes] = FILES) -> bytes:
    """An unsigned package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def with_entry(archive: bytes, data: bytes, name: str = NAME) -> bytes:
    """The archive with one stored entry added at the end, as NuGet adds its signature."""
    here, _, size, start = struct.unpack_from("<HHII", archive, len(archive) - 14)
    common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x5C21, zlib.crc32(data), len(data), len(data), len(name), 0)
    local = b"PK\x03\x04" + common + name.encode() + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, start) + name.encode()
    counts = struct.pack("<HHII", here + 1, here + 1, size + len(central), start + len(local))
    return archive[:start] + local + archive[start : start + size] + central + archive[-22:-14] + counts + archive[-2:]


def commitment(kind: str) -> bytes:
    """What the signer vouches for."""
    return attribute("1.2.840.113549.1.9.16.2.16", seq(oid(kind)))


def signer(issued: Issued, kind: str = ORIGIN, digest: str = "sha256", *, named: Issued | None = None) -> Signer:
    """An author, or a repository with its address."""
    attributes = [commitment(kind), signing_certificate_v2((named or issued).der)]
    if kind == RECEIPT:
        url = bytes(core.IA5String("https://repository.example/v3/index.json").dump())
        attributes.append(attribute("1.3.6.1.4.1.311.84.2.1.1.1", url))
    return Signer(issued, digest, tuple(attributes))


def statement(archive: bytes, digest: str = "sha256") -> bytes:
    """What is signed."""
    value = base64.b64encode(hashlib.new(digest, archive).digest()).decode()
    return f"Version:1\n\n{OIDS[digest]}-Hash:{value}\n\n".encode()


def sign(
    archive: bytes,
    who: Signer,
    chain: tuple[Issued, ...],
    *,
    repository: Signer | None = None,
    authority: Authority | None = None,
    package_digest: str = "sha256",
) -> bytes:
    """The content of ``.signature.p7s``."""
    content = statement(archive, package_digest)
    value = signature_value(who.info(content))
    beside = []
    if repository is not None:
        beside.append(attribute("1.2.840.113549.1.9.6", repository.info(value, None)))
    if authority is not None:
        beside.append(attribute(TOKEN, authority.token(value, datetime(2022, 6, 1, tzinfo=UTC))))
    info = who.info(content, unsigned=beside)
    return signed_data([info], chain, content=octets(content), digest=who.digest)


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("nuget")
    pki, store, other = make_pki("Author"), make_pki("Repository"), make_pki("Other")
    for name, one in (("root", pki.root), ("repository", store.root), ("other", other.root)):
        folder.write(f"{name}.pem", one.pem)
    archive = package()
    author = signer(pki.leaf)
    message = sign(archive, author, pki.chain)
    valid = with_entry(archive, message)
    folder.write("valid.nupkg", valid)
    folder.case("valid", "valid.nupkg", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.nupkg", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.nupkg", INDETERMINATE, "unknown_root", anchors=[])
    folder.write(
        "sha512.nupkg",
        with_entry(archive, sign(archive, signer(pki.leaf, digest="sha512"), pki.chain, package_digest="sha512")),
    )
    folder.case("sha512", "sha512.nupkg", PASSED, "trusted")
    folder.write("unsigned.nupkg", archive)
    folder.case("unsigned", "unsigned.nupkg", INDETERMINATE, "unsigned")
    _damaged(folder, archive, valid, message)
    _times(folder, archive, pki)
    _repositories(folder, archive, pki, store)
    _wrong(folder, archive, pki, other)
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.nupkg", FAILED, "revoked", crls=["signer.crl"])
    folder.close()


def _damaged(folder: FixtureFolder, archive: bytes, valid: bytes, message: bytes) -> None:
    changed = package(FILES | {"lib/net8.0/tool.dll": bytes(512)})
    folder.write("tampered.nupkg", with_entry(changed, message))
    folder.case("tampered", "tampered.nupkg", FAILED, "invalid_signature")
    folder.write("added.nupkg", with_entry(package(FILES | {"tools/init.ps1": b"evil"}), message))
    folder.case("added_member", "added.nupkg", FAILED, "invalid_signature")
    folder.write("truncated.nupkg", valid[:-40])
    folder.case("truncated", "truncated.nupkg", FAILED, "malformed", format="zip")
    folder.write("appended.nupkg", valid + b"appended")
    folder.case("appended", "appended.nupkg", FAILED, "malformed", format="zip")
    folder.write("duplicate.nupkg", with_entry(valid, message))
    folder.case("duplicate_entries", "duplicate.nupkg", FAILED, "malformed", format="zip")
    folder.write("garbage.nupkg", with_entry(archive, b"no signature"))
    folder.case("garbage_signature", "garbage.nupkg", FAILED, "malformed")


def _times(folder: FixtureFolder, archive: bytes, pki: PKI) -> None:
    year = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    old = issue("Old Signer", pki.intermediate, begin=year[0], end=year[1])
    folder.write("expired.nupkg", with_entry(archive, sign(archive, signer(old), (old, pki.intermediate))))
    folder.case("expired", "expired.nupkg", INDETERMINATE, "expired")
    authority = Authority.make(datetime(2026, 1, 1, tzinfo=UTC))
    folder.write("tsa.der", authority.root_der)
    stamped = sign(archive, signer(old), (old, pki.intermediate), authority=authority)
    folder.write("timestamped.nupkg", with_entry(archive, stamped))
    folder.case("timestamped", "timestamped.nupkg", PASSED, "trusted", anchors=["root.pem", "tsa.der"])
    folder.case("timestamp_unknown", "timestamped.nupkg", INDETERMINATE, "expired")


def _repositories(folder: FixtureFolder, archive: bytes, pki: PKI, store: PKI) -> None:
    author, repository = signer(pki.leaf), signer(store.leaf, RECEIPT)
    primary = sign(archive, repository, store.chain)
    folder.write("repository.nupkg", with_entry(archive, primary))
    folder.case("repository", "repository.nupkg", PASSED, "trusted", anchors=["repository.pem"])
    both = sign(archive, author, (*pki.chain, *store.chain), repository=repository)
    folder.write("countersigned.nupkg", with_entry(archive, both))
    folder.case("countersigned", "countersigned.nupkg", PASSED, "trusted", anchors=["root.pem", "repository.pem"])
    folder.case("countersigned_author_known", "countersigned.nupkg", PASSED, "trusted")
    folder.case("countersigned_repository_known", "countersigned.nupkg", PASSED, "trusted", anchors=["repository.pem"])
    folder.case("countersigned_unknown", "countersigned.nupkg", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    changed = package(FILES | {"lib/net8.0/tool.dll": bytes(512)})
    folder.write("countersigned-tampered.nupkg", with_entry(changed, both))
    folder.case(
        "countersigned_tampered",
        "countersigned-tampered.nupkg",
        FAILED,
        "invalid_signature",
        anchors=["repository.pem"],
    )
    foreign = signature_value(author.info(b"another package"))
    wrong = attribute("1.2.840.113549.1.9.6", repository.info(foreign, None))
    content = statement(archive)
    message = signed_data([author.info(content, unsigned=[wrong])], (*pki.chain, *store.chain), content=octets(content))
    folder.write("countersignature-moved.nupkg", with_entry(archive, message))
    folder.case("countersignature_moved", "countersignature-moved.nupkg", FAILED, "invalid_signature")
    two = sign(archive, repository, store.chain, repository=repository)
    folder.write("two-repositories.nupkg", with_entry(archive, two))
    folder.case("two_repositories", "two-repositories.nupkg", FAILED, "malformed", anchors=["repository.pem"])


def _wrong(folder: FixtureFolder, archive: bytes, pki: PKI, other: PKI) -> None:
    weak = sign(archive, signer(pki.leaf, digest="sha1"), pki.chain)
    folder.write("weak.nupkg", with_entry(archive, weak))
    folder.case("weak", "weak.nupkg", FAILED, "weak_algorithm")
    named = sign(archive, signer(pki.leaf, named=other.leaf), pki.chain)
    folder.write("other-certificate.nupkg", with_entry(archive, named))
    folder.case("names_another_certificate", "other-certificate.nupkg", FAILED, "invalid_signature")
    neither = Signer(pki.leaf, "sha256", (signing_certificate_v2(pki.leaf.der),))
    folder.write("neither.nupkg", with_entry(archive, sign(archive, neither, pki.chain)))
    folder.case("neither_author_nor_repository", "neither.nupkg", INDETERMINATE, "unsupported_format")
    curve = make_pki("Curve", kind="p256")
    folder.write("curve.pem", curve.root.pem)
    folder.write("ecdsa.nupkg", with_entry(archive, sign(archive, signer(curve.leaf), curve.chain)))
    folder.case("ecdsa", "ecdsa.nupkg", INDETERMINATE, "unsupported_format", anchors=["curve.pem"])


if __name__ == "__main__":
    main()
