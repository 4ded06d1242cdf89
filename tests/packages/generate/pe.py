"""Writes the PE fixtures: ``python -m tests.packages.generate.pe``. Needs osslsigncode and sbsign."""

from __future__ import annotations

from cryptography.x509 import ObjectIdentifier

from tests.packages.generate import pe_craft
from tests.packages.generate.cms_message import Signer
from tests.packages.generate.pe_craft import SignedImage, entry
from tests.packages.generate.windows_tools import EXPIRED_AT, Signers, osslsigncode, sbsign
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import CODE_SIGNING, issue
from tests.trust_store.timestamp_craft import COUNTERSIGNATURE, signature_value, stamped
from trust_store.decode.asn1 import read_first

UNSIGNED = pe_craft.image()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("pe")
    signers = Signers.make(folder)
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    valid = osslsigncode(UNSIGNED, vendor, chain)
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    _add(folder, "unsigned", UNSIGNED, INDETERMINATE, "unsigned")
    folder.case("unknown_root", "valid.exe", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.exe", INDETERMINATE, "unknown_root", anchors=[])
    folder.case("revoked", "valid.exe", FAILED, "revoked", crls=["revoked.crl"])
    _kinds(folder, signers)
    _judged(folder, signers)
    _several(folder, signers, valid)
    taken_out = folder.write("taken_out.p7b", read_first(SignedImage(valid).message, "message")[0].raw)
    folder.case("detached", "unsigned.exe", PASSED, "trusted", signatures=[taken_out])
    other = folder.write("another.exe", pe_craft.image(overlay=b"another"))
    folder.case("detached_from_another", other, FAILED, "invalid_signature", signatures=[taken_out])
    _damaged(folder, valid)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    folder.case(name, folder.write(f"{name}.exe", data), outcome, reason, **fields)


def _kinds(folder: FixtureFolder, signers: Signers) -> None:
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    overlay = pe_craft.image(magic=pe_craft.PE32, overlay=b"an installer's archive")
    _add(folder, "pe32_overlay", osslsigncode(overlay, vendor, chain), PASSED, "trusted", mutate=True)
    _add(folder, "page_hashes", osslsigncode(UNSIGNED, vendor, chain, "-ph", "-h", "sha256"), PASSED, "trusted")
    _add(folder, "rsa", osslsigncode(UNSIGNED, signers.second, chain, "-h", "sha512"), PASSED, "trusted")
    efi = sbsign(pe_craft.image(subsystem=10), signers.second)
    _add(folder, "efi", efi, PASSED, "trusted", untrusted=["intermediate.pem"])
    folder.write("intermediate.pem", signers.vendor.intermediate.pem)
    twice = sbsign(efi, signers.other.leaf)
    _add(folder, "efi_two_entries", twice, PASSED, "trusted", untrusted=["intermediate.pem"])


def _judged(folder: FixtureFolder, signers: Signers) -> None:
    chain = [signers.vendor.intermediate]
    authority = [signers.authority, signers.authority_root]
    ended = osslsigncode(UNSIGNED, signers.ended, chain)
    _add(folder, "expired", ended, INDETERMINATE, "expired")
    stamped = osslsigncode(UNSIGNED, signers.ended, chain, authority=authority)
    _add(folder, "timestamped", stamped, PASSED, "trusted", anchors=["root.pem", "time.pem"])
    folder.case("timestamp_not_trusted", "timestamped.exe", INDETERMINATE, "expired")
    late = osslsigncode(UNSIGNED, signers.ended, chain, authority=authority, stamped_at=EXPIRED_AT.replace(month=4))
    _add(folder, "timestamped_late", late, INDETERMINATE, "expired", anchors=["root.pem", "time.pem"])
    usages = [CODE_SIGNING, ObjectIdentifier("1.3.6.1.4.1.311.10.3.13")]
    lifetime = issue("Vendor Test Signer", signers.vendor.intermediate, kind="p256", end=EXPIRED_AT, eku=usages)
    kept = osslsigncode(UNSIGNED, lifetime, chain, authority=authority)
    _add(folder, "lifetime_signing", kept, INDETERMINATE, "expired", anchors=["root.pem", "time.pem"])
    early = {"anchors": ["root.pem", "time.pem"], "at": "2026-02-01T00:00:00Z"}
    folder.case("lifetime_signing_before", "lifetime_signing.exe", PASSED, "trusted", **early)
    _countersigned(folder, signers)
    weak = osslsigncode(UNSIGNED, signers.second, chain, "-h", "sha1")
    _add(folder, "weak", weak, FAILED, "weak_algorithm")
    _add(folder, "weak_key", osslsigncode(UNSIGNED, signers.small, chain), FAILED, "weak_algorithm")
    _add(folder, "wrong_purpose", osslsigncode(UNSIGNED, signers.server, chain), FAILED, "path_invalid")


def _countersigned(folder: FixtureFolder, signers: Signers) -> None:
    """Countersignatures as Authenticode had them before RFC 3161, over a signature whose certificate has ended since."""
    ended = osslsigncode(UNSIGNED, signers.ended, [signers.vendor.intermediate, signers.authority])
    image = SignedImage(ended)
    message = read_first(image.message, "message")[0].raw
    value = signature_value(message)
    authority, data = Signer(signers.authority), "1.2.840.113549.1.7.1"
    made = {
        "countersigned": (authority.info(value, data), PASSED, "trusted"),
        "countersigned_without_content_type": (authority.info(value, None), PASSED, "trusted"),
        "countersigned_over_another": (authority.info(value[::-1], data), INDETERMINATE, "expired"),
        "countersigned_by_vendor": (Signer(signers.ended).info(value, data), INDETERMINATE, "expired"),
        "countersigned_with_sha1": (Signer(signers.authority, "sha1").info(value, data), INDETERMINATE, "expired"),
    }
    for name, (info, outcome, reason) in made.items():
        stamp = stamped(message, info, kind=COUNTERSIGNATURE)
        _add(folder, name, image.with_table(entry(stamp)), outcome, reason, anchors=["root.pem", "time.pem"])
    folder.case("countersigner_not_trusted", "countersigned.exe", INDETERMINATE, "expired")


def _several(folder: FixtureFolder, signers: Signers, valid: bytes) -> None:
    vendor, chain = signers.vendor.leaf, [signers.vendor.intermediate]
    weak = osslsigncode(UNSIGNED, signers.second, chain, "-h", "sha1")
    nested = osslsigncode(weak, vendor, chain, "-nest", "-h", "sha256")
    _add(folder, "nested", nested, PASSED, "trusted")
    # what is signed with SHA-1 alone is what is left when the nested signature is taken away
    _add(folder, "downgrade", weak, FAILED, "weak_algorithm")
    other = pe_craft.image(overlay=b"elsewhere")
    foreign = SignedImage(osslsigncode(other, vendor, chain)).message
    stranger = SignedImage(osslsigncode(UNSIGNED, signers.other.leaf, [signers.other.intermediate])).message
    image = SignedImage(valid)
    both = image.with_table(entry(image.message) + entry(stranger))
    _add(folder, "two_entries", both, PASSED, "trusted")
    broken = image.with_table(entry(image.message) + entry(foreign))
    _add(folder, "broken_entry", broken, FAILED, "invalid_signature")
    twice = image.with_table(entry(image.message) + entry(image.message))
    _add(folder, "duplicate_entries", twice, PASSED, "trusted")
    moved = SignedImage(pe_craft.image(overlay=b"elsewhere")).with_table(entry(image.message))
    _add(folder, "signature_of_another_image", moved, FAILED, "invalid_signature")


def _damaged(folder: FixtureFolder, valid: bytes) -> None:
    image = SignedImage(valid)
    _add(folder, "tampered", valid.replace(b"version 1.0", b"version 1.1"), FAILED, "invalid_signature")
    _add(folder, "truncated", valid[:-100], FAILED, "malformed")
    _add(folder, "appended", valid + b"appended", FAILED, "uncovered_content")
    stuffed = image.with_table(entry(image.message + b"bytes after the signature"))
    _add(folder, "stuffed", stuffed, FAILED, "uncovered_content")
    zeros = image.with_table(entry(image.message + bytes(64)))
    _add(folder, "zeros_after_the_signature", zeros, PASSED, "trusted")
    strange = image.with_table(entry(image.message) + entry(b"of another kind", kind=0x0EF1))
    _add(folder, "entry_of_another_kind", strange, FAILED, "uncovered_content")
    inserted = image.with_table(entry(image.message), inserted=b"inserted")
    _add(folder, "inserted", inserted, FAILED, "invalid_signature")
    garbage = image.with_table(entry(b"\x30\x82\x01\x00" + bytes(256)))
    _add(folder, "garbage", garbage, FAILED, "malformed")


if __name__ == "__main__":
    main()
