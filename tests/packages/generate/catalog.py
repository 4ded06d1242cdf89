"""Writes the catalog fixtures: ``python -m tests.packages.generate.catalog``. Needs osslsigncode."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.packages.generate import pe_craft
from tests.packages.generate.cab import cabinet
from tests.packages.generate.catalog_craft import PE_IMAGE, member, unsigned
from tests.packages.generate.windows_tools import Signers, osslsigncode
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

INF = b"[Version]\r\nClass=Fixture\r\nDriverVer=01/01/2026,1.0.0.0\r\n"
DRIVER = pe_craft.image(subsystem=1, overlay=b"odd")


def sign(data: bytes, signer: Issued, chain: Sequence[Issued], *options: str, **more: object) -> bytes:
    """The catalog signed by osslsigncode."""
    return osslsigncode(data, signer, chain, *options, suffix=".cat", **more)  # type: ignore[arg-type]


def image_digest(image: bytes, algorithm: str = "sha256") -> bytes:
    """The Authenticode digest of an image without a table: padded, without checksum and directory entry (PE32+ at 0x40)."""
    padded = image + bytes(-len(image) % 8)
    return hashlib.new(algorithm, padded[:0x98] + padded[0x9C:0xE8] + padded[0xF0:]).digest()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("catalog")
    signers = Signers.make(folder)
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    cab = cabinet()
    members = [
        member("sha256", hashlib.sha256(INF).digest()),
        member("sha256", image_digest(DRIVER), PE_IMAGE),
        member("sha256", hashlib.sha256(cab[:4] + cab[8:]).digest()),
    ]
    listing = unsigned(*members)
    valid = sign(listing, vendor, chain)
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    _add(folder, "unsigned", listing, INDETERMINATE, "unsigned")
    folder.case("unknown_root", "valid.cat", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("revoked", "valid.cat", FAILED, "revoked", crls=["revoked.crl"])
    _add(folder, "expired", sign(listing, signers.ended, chain), INDETERMINATE, "expired")
    authority = [signers.authority, signers.authority_root]
    stamped = sign(listing, signers.ended, chain, authority=authority)
    _add(folder, "timestamped", stamped, PASSED, "trusted", anchors=["root.pem", "time.pem"])
    _add(folder, "weak", sign(listing, signers.second, chain, "-h", "sha1"), FAILED, "weak_algorithm")
    _add(folder, "truncated", valid[:-10], FAILED, "malformed")
    _add(folder, "appended", valid + b"appended", FAILED, "malformed")
    digest = hashlib.sha256(INF).digest()
    _add(folder, "tampered", valid.replace(digest, bytes(32)), FAILED, "invalid_signature")
    other = sign(unsigned(*members, usage="1.3.6.1.4.1.311.10.3.9"), vendor, chain)
    _add(folder, "list_of_roots", other, INDETERMINATE, "unsupported_format")
    _beside(folder, signers, cab)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    folder.case(name, folder.write(f"{name}.cat", data), outcome, reason, **fields)


def _beside(folder: FixtureFolder, signers: Signers, cab: bytes) -> None:
    """Files that the catalog lists, and some that it does not."""
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    inf, driver, cabinet_file = (
        folder.write(name, data) for name, data in (("driver.inf", INF), ("driver.sys", DRIVER), ("driver.cab", cab))
    )
    given = {"signatures": ["valid.cat"]}
    folder.case("file", inf, PASSED, "trusted", **given, format="detached", mutate=True)
    folder.case("image", driver, PASSED, "trusted", **given, format="pe", mutate=True)
    folder.case("cabinet", cabinet_file, PASSED, "trusted", **given, format="cab", mutate=True)
    folder.case("file_unknown_root", inf, INDETERMINATE, "unknown_root", **given, anchors=[], format="detached")
    changed = folder.write("changed.inf", INF.replace(b"1.0.0.0", b"9.0.0.0"))
    folder.case("not_listed", changed, FAILED, "invalid_signature", **given, format="detached")
    another = folder.write("another.sys", pe_craft.image(subsystem=1, overlay=b"even"))
    folder.case("image_not_listed", another, FAILED, "invalid_signature", **given, format="pe")
    sha1 = unsigned(member("sha1", hashlib.sha1(INF).digest()))  # noqa: S324 - it must be found weak
    weak = folder.write("listed_by_sha1.cat", sign(sha1, vendor, chain))
    folder.case("listed_by_sha1", inf, FAILED, "weak_algorithm", signatures=[weak], format="detached")
    embedded = folder.write("signed.sys", osslsigncode(DRIVER, vendor, chain))
    folder.case("image_signed_as_well", embedded, PASSED, "trusted", **given, format="pe")


if __name__ == "__main__":
    main()
