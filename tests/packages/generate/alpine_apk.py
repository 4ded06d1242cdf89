"""Writes the Alpine fixtures: ``python -m tests.packages.generate.alpine_apk``. abuild and apk-tools are not to be had here."""

from __future__ import annotations

from tests.packages.generate.alpine_craft import INFO, control_stream, data_stream, segment, signatures, value
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import Issued, issue


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("alpine-apk")
    vendor, other, small = issue("Vendor"), issue("Other"), issue("Small", kind="rsa1024")
    for name, one in (("vendor", vendor), ("other", other), ("small", small)):
        folder.write(f"{name}.rsa.pub", one.public_pem)
    _packages(folder, vendor, other, small)
    _wrong(folder, vendor)
    _indexes(folder, vendor)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    fields.setdefault("anchors", ["vendor.rsa.pub"])
    folder.case(name, folder.write(f"{name}.apk", data), outcome, reason, **fields)


def _packages(folder: FixtureFolder, vendor: Issued, other: Issued, small: Issued) -> None:
    data = data_stream()
    control = control_stream(data)
    valid = signatures(("RSA256", value(vendor, control))) + control + data
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.apk", INDETERMINATE, "unknown_root", anchors=["other.rsa.pub"])
    folder.case("no_anchor", "valid.apk", INDETERMINATE, "unknown_root", anchors=[])
    _add(folder, "unsigned", control + data, INDETERMINATE, "unsigned")
    sha1 = ("RSA", value(vendor, control, "RSA"))
    _add(folder, "weak", signatures(sha1) + control + data, FAILED, "weak_algorithm")
    both = signatures(sha1, ("RSA512", value(vendor, control, "RSA512"))) + control + data
    _add(folder, "two_digests", both, PASSED, "trusted")
    two = signatures(("RSA256", value(other, control)), ("RSA256", value(vendor, control))) + control + data
    _add(folder, "two_signers", two, PASSED, "trusted")
    weak = signatures(("RSA256", value(small, control))) + control + data
    _add(folder, "weak_key", weak, FAILED, "weak_algorithm", anchors=["small.rsa.pub"])
    loose = control_stream(None)
    whole = signatures(("RSA256", value(vendor, loose + data))) + loose + data
    _add(folder, "without_datahash", whole, PASSED, "trusted", mutate=True)
    dsa = signatures(("DSA", b"x" * 40)) + control + data
    _add(folder, "dsa", dsa, INDETERMINATE, "unsupported_format")


def _wrong(folder: FixtureFolder, vendor: Issued) -> None:
    data = data_stream()
    control = control_stream(data)
    first = signatures(("RSA256", value(vendor, control)))
    valid = first + control + data
    _add(folder, "tampered", first + control + data_stream(b"Contents\n"), FAILED, "invalid_signature")
    other = control_stream(data, INFO.replace("1.2-r3", "1.2-r4"))
    _add(folder, "tampered_control", first + other + data, FAILED, "invalid_signature")
    _add(folder, "truncated", valid[: len(first) + len(control) - 10], FAILED, "malformed")
    _add(folder, "truncated_data", valid[:-10], FAILED, "invalid_signature")
    _add(folder, "appended", valid + data_stream(b"more\n"), FAILED, "invalid_signature")
    _add(folder, "no_data", first + control, FAILED, "invalid_signature")
    loose = control_stream(None)
    header_only = signatures(("RSA256", value(vendor, loose))) + loose + data
    _add(folder, "downgrade", header_only, FAILED, "invalid_signature")
    twice = segment((".SIGN.RSA256.a.rsa.pub", value(vendor, control)), (".SIGN.RSA256.a.rsa.pub", b"x"))
    _add(folder, "duplicate_entries", twice + control + data, FAILED, "malformed")
    more = segment((".SIGN.RSA256.a.rsa.pub", value(vendor, control)), (".pre-install", b"#!/bin/sh\n"))
    _add(folder, "script_beside_signature", more + control + data, FAILED, "malformed")
    _add(folder, "second_signature_stream", first + first + control + data, FAILED, "malformed")
    infos = control_stream(data, INFO + "pkgname = other\n")
    _add(folder, "two_names", signatures(("RSA256", value(vendor, infos))) + infos + data, FAILED, "malformed")
    odd = control_stream(None, INFO + "datahash = 00\n")
    _add(folder, "odd_datahash", signatures(("RSA256", value(vendor, odd))) + odd + data, FAILED, "malformed")


def _indexes(folder: FixtureFolder, vendor: Issued) -> None:
    index = segment(("DESCRIPTION", b"v1\n"), ("APKINDEX", b"P:fixture\nV:1.2-r3\n\n"), end=True)
    signed = signatures(("RSA256", value(vendor, index))) + index
    _add(folder, "index", signed, PASSED, "trusted", mutate=True)
    _add(folder, "index_appended", signed + data_stream(), FAILED, "invalid_signature")


if __name__ == "__main__":
    main()
