"""Writes the RPM fixtures: ``python -m tests.packages.generate.rpm``. Needs rpmbuild, rpmsign and gpg."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.packages.generate.openpgp_keys import SIGNED, OldKey, VendorKeys, armored
from tests.packages.generate.rpm_craft import Parts, Tag, header, lead, number, octets, split, tags_of, text, texts
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.trust_store.openpgp_craft import CraftedKey, packet, subpacket
from tests.trust_store.openpgp_tools import Gpg

SPEC = """Name: fixture
Version: 1.2
Release: 3
Summary: A fixture
License: MIT
BuildArch: noarch
%description
A fixture.
%install
mkdir -p %{buildroot}/opt
echo contents > %{buildroot}/opt/fixture
%files
/opt/fixture
"""
RSA, DSA, SHA1, SHA256, OPENPGP, SHA3 = 267 + 1, 267, 269, 273, 278, 279
PGP, MD5, GPG = 1002, 1004, 1005


def build(place: Path) -> bytes:
    """An unsigned package by rpmbuild."""
    spec = place / "fixture.spec"
    spec.write_text(SPEC)
    defined = ("--define", f"_topdir {place}/rpm", "--define", "_binary_payload w9.gzdio")
    subprocess.run(["rpmbuild", "-bb", *defined, spec], check=True, capture_output=True)
    return (place / "rpm/RPMS/noarch/fixture-1.2-3.noarch.rpm").read_bytes()


def rpmsign(gpg: Gpg, fingerprint: str, package: bytes, *options: str, extra: str = "") -> bytes:
    """The package with the signatures that rpmsign adds."""
    place = gpg.home / "to-sign.rpm"
    place.write_bytes(package)
    defined = (
        f"_gpg_name {fingerprint}", f"_gpg_path {gpg.home}", f"__gpg {shutil.which('gpg')}",
        f"_gpg_sign_cmd_extra_args --faked-system-time {SIGNED}! {extra}",
    )  # fmt: skip
    arguments = [part for one in defined for part in ("--define", one)]
    subprocess.run(["rpmsign", "--addsign", *options, *arguments, place], check=True, capture_output=True)
    return place.read_bytes()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("rpm")
    with tempfile.TemporaryDirectory() as place, Gpg() as gpg:
        keys = VendorKeys(gpg, folder)
        for name in ("vendor", "other"):
            keys.make(name)
        keys.make("curve", "ed25519")
        keys.make("ended", expire="20250101T000000")
        keys.make("withdrawn")
        keys.make("small", "rsa1024")
        unsigned = build(Path(place))
        _by_tools(folder, keys, unsigned)
        parts = split(unsigned)
        _damaged(folder, rpmsign(gpg, keys.fingerprint("vendor"), unsigned))
        _headers(folder, keys, parts)
        _old(folder, keys, parts)
        _format_6(folder, keys, parts)
        _subkeys(folder, parts)
        keys.revoke("withdrawn")
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    fields.setdefault("anchors", ["vendor.asc"])
    folder.case(name, folder.write(f"{name}.rpm", data), outcome, reason, **fields)


def _by_tools(folder: FixtureFolder, keys: VendorKeys, unsigned: bytes) -> None:
    def signed(name: str, *options: str, extra: str = "") -> bytes:
        return rpmsign(keys.gpg, keys.fingerprint(name), unsigned, *options, extra=extra)

    _add(folder, "unsigned", unsigned, INDETERMINATE, "unsigned")
    valid = signed("vendor")
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.rpm", INDETERMINATE, "unknown_root", anchors=["other.asc"])
    folder.case("no_anchor", "valid.rpm", INDETERMINATE, "unknown_root", anchors=[])
    _add(folder, "header_and_payload", signed("vendor", "--rpmv3"), PASSED, "trusted")
    _add(folder, "curve", signed("curve"), PASSED, "trusted", anchors=["curve.asc"])
    _add(folder, "expired", signed("ended"), INDETERMINATE, "expired", anchors=["ended.asc"])
    _add(folder, "revoked", signed("withdrawn"), FAILED, "revoked", anchors=["withdrawn.asc"])
    _add(folder, "weak_key", signed("small"), FAILED, "weak_algorithm", anchors=["small.asc"])
    sha1 = signed("vendor", extra="--digest-algo SHA1")
    _add(folder, "weak", sha1, FAILED, "weak_algorithm")


def _damaged(folder: FixtureFolder, valid: bytes) -> None:
    parts = split(valid)
    start = len(valid) - len(parts.payload)
    payload = bytes([*valid[:-1], valid[-1] ^ 1])
    _add(folder, "tampered", payload, FAILED, "invalid_signature")
    _add(folder, "tampered_header", valid.replace(b"A fixture.", b"A Fixture."), FAILED, "invalid_signature")
    _add(folder, "appended", valid + b"appended", FAILED, "invalid_signature")
    _add(folder, "truncated", valid[: start - 100], FAILED, "malformed")
    _add(folder, "truncated_payload", valid[:-10], FAILED, "invalid_signature")


def _digests(parts: Parts, *tags: int) -> list[Tag]:
    """The digests that a signature header states."""
    main = parts.main
    every = {
        SHA1: text(SHA1, hashlib.new("sha1", main, usedforsecurity=False).hexdigest()),
        SHA256: text(SHA256, hashlib.sha256(main).hexdigest()),
        SHA3: text(SHA3, hashlib.sha3_256(main).hexdigest()),
        MD5: octets(MD5, hashlib.new("md5", parts.signed, usedforsecurity=False).digest()),
    }
    return [every[tag] for tag in tags]


def _headers(folder: FixtureFolder, keys: VendorKeys, parts: Parts) -> None:
    signature = octets(RSA, keys.sign("vendor", parts.main))
    digests = _digests(parts, SHA256)
    twice = parts.signed_by(signature, signature, *digests)
    _add(folder, "duplicate_entries", twice.data, FAILED, "malformed")
    outside = parts.signed_by(*digests, outside=[signature])
    _add(folder, "signature_outside_region", outside.data, FAILED, "malformed")
    more = Parts(parts.lead, b"", _more(parts.main), parts.payload)
    _add(folder, "entry_outside_region", more.signed_by(signature).data, FAILED, "malformed")
    stripped = parts.signed_by(*_digests(parts, SHA1, MD5))
    _add(folder, "downgrade", stripped.data, INDETERMINATE, "downgrade")
    wrong = parts.signed_by(text(SHA256, "0" * 64), signature)
    _add(folder, "wrong_digest", wrong.data, FAILED, "invalid_signature")
    both = parts.signed_by(signature, octets(GPG, keys.sign("other", parts.signed)), *digests)
    _add(folder, "second_signer_unknown", both.data, PASSED, "trusted")
    broken = parts.signed_by(signature, octets(GPG, keys.sign("vendor", parts.signed + b"!")), *digests)
    _add(folder, "second_signature_broken", broken.data, FAILED, "invalid_signature")
    text_signature = parts.signed_by(octets(RSA, keys.sign("vendor", parts.main, "--textmode")), *digests)
    _add(folder, "text_signature", text_signature.data, INDETERMINATE, "unsupported_format")
    unbound = _unbound(parts)
    only_header = unbound.signed_by(octets(RSA, keys.sign("vendor", unbound.main)))
    _add(folder, "payload_not_bound", only_header.data, FAILED, "uncovered_content")
    unknown = unbound.signed_by(
        octets(RSA, keys.sign("vendor", unbound.main)), octets(GPG, keys.sign("other", unbound.signed))
    )
    _add(folder, "payload_bound_by_another", unknown.data, INDETERMINATE, "unknown_root")
    whole = unbound.signed_by(
        octets(RSA, keys.sign("vendor", unbound.main)), octets(PGP, keys.sign("vendor", unbound.signed))
    )
    _add(folder, "payload_bound_by_signature", whole.data, PASSED, "trusted")


def _more(main: bytes) -> bytes:
    """The header with a tag that its region does not have."""
    tags = tags_of(main)
    return header(tags, 63, [text(1000, "other")])


def _unbound(parts: Parts) -> Parts:
    """The package as it was before payload digests."""
    tags = [tag for tag in tags_of(parts.main) if tag.tag not in (5092, 5093, 5097)]
    return Parts(parts.lead, b"", header(tags, 63), parts.payload)


def _old(folder: FixtureFolder, keys: VendorKeys, parts: Parts) -> None:
    """Packages from before regions, and signature packets of version 3."""
    old = OldKey()
    folder.write("old.asc", armored(old.certificate))
    tags = [tag for tag in tags_of(_unbound(parts).main) if tag.tag >= 1000]
    first = Parts(lead(), b"", header(tags, None), parts.payload)
    sized = number(1000, len(first.signed))
    md5 = _digests(first, MD5)
    signed = first.signed_by(sized, octets(GPG, keys.sign("vendor", first.signed)), *md5, region=None)
    _add(folder, "format_3", signed.data, PASSED, "trusted", mutate=True)
    unsigned = first.signed_by(sized, *md5, region=None)
    _add(folder, "format_3_unsigned", unsigned.data, INDETERMINATE, "unsigned")
    on_header = first.signed_by(octets(RSA, keys.sign("vendor", first.main)), sized, region=None)
    _add(folder, "header_signature_without_region", on_header.data, FAILED, "malformed")
    for name, algorithm, outcome in (
        ("packet_3", 8, (PASSED, "trusted")),
        ("packet_3_sha1", 2, (FAILED, "weak_algorithm")),
    ):
        package = parts.signed_by(octets(RSA, old.sign(parts.main, algorithm)), *_digests(parts, SHA256))
        _add(folder, name, package.data, *outcome, anchors=["old.asc"])
    tampered = parts.signed_by(octets(RSA, old.sign(parts.main + b"!")), *_digests(parts, SHA256))
    _add(folder, "packet_3_tampered", tampered.data, FAILED, "invalid_signature", anchors=["old.asc"])


def _format_6(folder: FixtureFolder, keys: VendorKeys, parts: Parts) -> None:
    tags = [tag for tag in tags_of(_unbound(parts).main) if tag.tag < 5092]
    payload = parts.payload
    bound = [
        texts(5092, hashlib.sha256(payload).hexdigest()), number(5093, 8), number(5114, 6),
        text(5121, hashlib.sha512(payload).hexdigest()), text(5123, hashlib.sha3_256(payload).hexdigest()),
    ]  # fmt: skip
    main = header([*tags, *bound], 63)
    six = Parts(lead(4), b"", main, payload)
    digests, reserved = _digests(six, SHA256), [*_digests(six, SHA3), octets(999, bytes(32))]

    def encoded(*names: str, data: bytes = main) -> Tag:
        return texts(OPENPGP, *(base64.b64encode(keys.sign(name, data)).decode() for name in names))

    good = six.signed_by(*digests, encoded("vendor"), *reserved)
    _add(folder, "format_6", good.data, PASSED, "trusted", mutate=True)
    two = six.signed_by(*digests, encoded("other", "vendor"), *reserved)
    _add(folder, "format_6_two", two.data, PASSED, "trusted")
    with_old = six.signed_by(octets(RSA, keys.sign("vendor", main)), *digests, encoded("other"), *reserved)
    _add(folder, "format_6_old_signature_ignored", with_old.data, INDETERMINATE, "unknown_root")
    bad = six.signed_by(*digests, encoded("vendor", data=main + b"!"), *reserved)
    _add(folder, "format_6_tampered", bad.data, FAILED, "invalid_signature")
    _add(folder, "format_6_unsigned", six.signed_by(*digests, *reserved).data, INDETERMINATE, "unsigned")
    added = six.signed_by(*digests, encoded("vendor"), *reserved, octets(GPG, keys.sign("vendor", six.signed)))
    _add(folder, "format_6_old_signature_added", added.data, PASSED, "trusted")
    wrong = six.signed_by(*digests, encoded("vendor"), *reserved, octets(GPG, keys.sign("vendor", six.signed + b"!")))
    _add(folder, "format_6_old_signature_broken", wrong.data, FAILED, "invalid_signature")
    illegal = six.signed_by(*digests, encoded("vendor"), *reserved, octets(MD5, bytes(16)))
    _add(folder, "format_6_illegal_tag", illegal.data, FAILED, "malformed")
    no_base64 = six.signed_by(*digests, texts(OPENPGP, "?"), *reserved)
    _add(folder, "format_6_not_base64", no_base64.data, FAILED, "malformed")
    unbound = header([*tags, number(5114, 6)], 63)
    loose = Parts(lead(4), b"", unbound, payload).signed_by(encoded("vendor", data=unbound))
    _add(folder, "format_6_payload_not_bound", loose.data, FAILED, "malformed")


def _subkeys(folder: FixtureFolder, parts: Parts) -> None:
    """A signing subkey, and one that never signed its primary key in return (CVE-2021-3521)."""
    primary, sub = CraftedKey(1), CraftedKey(2)
    folder.write("subkey.asc", armored(primary.certificate + primary.subkey(sub)))
    folder.write("adopted.asc", armored(primary.certificate + primary.subkey(sub, back=b"")))
    folder.write("loose.asc", armored(primary.certificate + packet(14, sub.body)))
    key_id = subpacket(16, bytes.fromhex(sub.fingerprint[-16:]))  # rpm 4 knows keys by nothing else
    signature = octets(DSA, packet(2, sub.signature(0, parts.main, unhashed=key_id)))
    package = parts.signed_by(signature, *_digests(parts, SHA256))
    _add(folder, "subkey", package.data, PASSED, "trusted", anchors=["subkey.asc"])
    folder.case("subkey_without_binding", "subkey.rpm", FAILED, "path_invalid", anchors=["loose.asc"])
    folder.case("subkey_not_bound", "subkey.rpm", FAILED, "path_invalid", anchors=["adopted.asc"])


if __name__ == "__main__":
    main()
