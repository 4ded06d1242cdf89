"""Every supported kind of package, whole and damaged, through ``rootwarden check``."""

from __future__ import annotations

import io
import stat
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.packages import CONTENT, FILES, KINDS, Kit, archive, bundle

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden

TOP = {
    "schema", "package", "format", "vendor", "outcome", "reason", "also", "summary", "checked_at", "validation_time",
    "valid_until", "basis", "signatures", "coverage", "members", "evidence", "evidence_available", "needs_file", "advice",
}  # fmt: skip
SIGNATURE = {
    "scheme", "file", "integrity", "signer", "path", "anchor", "missing_issuer", "claimed_at", "timestamped_at", "outcome",
    "reason", "also",
}  # fmt: skip
FAILED = {"invalid_signature", "malformed"}
EXITS = {"passed": 0, "failed": 10, "indeterminate": 3}


def lay(folder: Path, kit: Kit, kind: str) -> tuple[Path, list[Path], Path]:
    """Write a valid package with its side files; gives package, side files, anchors."""
    name, data, sides, anchors = kit.package(kind)
    package = folder / name
    package.write_bytes(data)
    files = []
    for suffix, content in sides.items():
        files.append(folder / (name + suffix))
        files[-1].write_bytes(content)
    return package, files, anchors


def ask_each(
    fast: Rootwarden, folder: Path, variants: list[bytes], sides: list[Path], anchors: Path
) -> list[dict[str, Any]]:
    """The verdicts on ``variants`` of one package."""
    lines = []
    for number, data in enumerate(variants):
        path = folder / f"variant-{number}"
        path.write_bytes(data)
        lines.append(
            {
                "id": number, "path": str(path), "anchors": [str(anchors)], "only_anchors": True,
                "signatures": [str(side) for side in sides],
            }
        )  # fmt: skip
    code, answers = fast.batch(*lines)
    codes = {EXITS[answer["outcome"]] for answer in answers}
    assert code == (10 if 10 in codes else 3 if 3 in codes else 0)
    return answers


def flipped(data: bytes, bits: range) -> list[bytes]:
    """``data`` with one bit changed each."""
    return [data[: b // 8] + bytes([data[b // 8] ^ 1 << b % 8]) + data[b // 8 + 1 :] for b in bits]


@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_package_passes_and_every_key_is_there(
    rootwarden: Rootwarden, kit: Kit, tmp_path: Path, kind: str
) -> None:
    """A valid package passes with exit 0, named rightly, and the verdict has exactly the documented keys."""
    package, sides, anchors = lay(tmp_path, kit, kind)
    code, verdict = rootwarden.supplied(anchors, package)
    assert (code, verdict["outcome"], verdict["reason"]) == (0, "passed", "trusted")
    assert set(verdict) == TOP
    assert set(verdict["package"]) == {"path", "name", "size", "sha256"}
    assert set(verdict["vendor"]) == {"id", "basis", "suggested"}
    assert set(verdict["basis"]) == {"trust", "store_id", "store_revision", "time", "decision"}
    assert set(verdict["coverage"]) == {"covered_bytes", "uncovered"}
    assert verdict["schema"] == "rootwarden/verdict/1"
    assert verdict["package"]["size"] == package.stat().st_size
    assert verdict["vendor"] == {"id": None, "basis": "none", "suggested": None}
    assert verdict["basis"] == {
        "trust": "supplied", "store_id": None, "store_revision": None, "time": "now", "decision": "supplied",
    }  # fmt: skip
    (signature,) = verdict["signatures"]
    assert set(signature) == SIGNATURE
    assert set(signature["signer"]) == {"kind", "name", "identifiers", "not_before", "not_after"}
    assert set(signature["anchor"]) == {"id", "name"}
    assert all(set(node) == {"name", "sha256"} for node in signature["path"])
    assert (verdict["format"], signature["scheme"]) == KINDS[kind]
    assert signature["integrity"] == "intact"
    assert (signature["file"] or {}).get("name") == (
        sides[0].name if sides else {"bundle-p7s": "SHA256SUMS.p7s", "bundle-asc": "SHA256SUMS.asc"}.get(kind)
    )
    if signature["signer"]["kind"] == "x509":
        assert [node["name"] for node in signature["path"]] == ["CN=DTEN signer", "CN=DTEN middle", "CN=DTEN root"]
    else:
        assert signature["signer"]["identifiers"]["openpgp"] == kit.pgp.lower()
        assert len(signature["signer"]["identifiers"]["key_id"]) == 16


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_of_signed_bytes_are_evidence_against(
    fast: Rootwarden, kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One changed bit never passes, unless a bundle unpacks to the very same files: times and permissions are in no list."""
    # The version said to be needed is an upper bound of what a program may expect, not of what it gets.
    monkeypatch.setattr(zipfile, "MAX_EXTRACT_VERSION", 0xFF)
    package, sides, anchors = lay(tmp_path, kit, kind)
    data = package.read_bytes()
    signed = data if sides or kind.startswith("bundle") else data[: -2 - struct.unpack("<H", data[-2:])[0]]
    bits = range(3, 8 * len(signed), 11)
    answers = ask_each(fast, tmp_path, flipped(data, bits), sides, anchors)
    for bit, variant, answer in zip(bits, flipped(data, bits), answers, strict=True):
        told = (answer["outcome"], answer["reason"])
        if answer["outcome"] == "passed":
            assert kind.startswith("bundle"), (bit // 8, bit % 8)
            assert _unpacked(variant) == _unpacked(data), (bit // 8, bit % 8)
        elif answer["format"] in (KINDS[kind][0], "detached" if sides else None):
            assert told[0] == "failed", (bit // 8, bit % 8, told, answer["summary"])
            assert told[1] in FAILED | {"uncovered_content"}, (bit // 8, bit % 8, told)


def _unpacked(data: bytes) -> dict[str, tuple[bytes, bool]]:
    """What an installer gets out of a bundle: names and contents in any packing, and whether it is anything but a plain file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive_:
        return {
            info.filename: (archive_.read(info), info.external_attr >> 28 not in (0, stat.S_IFREG >> 12))
            for info in archive_.infolist()
            if "SHA256SUMS." not in info.filename
        }


@pytest.mark.parametrize("kind", ["file-p7s", "file-asc", "file-sig", "file-p7s-pem"])
def test_flipped_bits_of_a_signature_pass_only_where_the_native_tool_agrees(
    fast: Rootwarden, kit: Kit, tmp_path: Path, kind: str
) -> None:
    """A changed signature file passes only if openssl or gpg still verifies it too."""
    package, (side,), anchors = lay(tmp_path, kit, kind)
    data = side.read_bytes()
    lines = []
    variants = flipped(data, range(1, 8 * len(data), 13))
    for number, variant in enumerate(variants):
        changed = tmp_path / f"changed-{number}"
        changed.write_bytes(variant)
        lines.append(
            {
                "id": number, "path": str(package), "signatures": [str(changed)], "anchors": [str(anchors)],
                "only_anchors": True,
            }
        )  # fmt: skip
    _, answers = fast.batch(*lines)
    passed = [answer["id"] for answer in answers if answer["outcome"] == "passed"]
    assert len(passed) < len(answers) // 4
    for number in passed:
        assert _native(kit, kind, package, tmp_path / f"changed-{number}"), variants[number].hex()


def _native(kit: Kit, kind: str, package: Path, signature: Path) -> bool:
    if "p7s" in kind:
        form = "PEM" if kind.endswith("pem") else "DER"
        # Any white space may stand between the lines (RFC 7468 section 3), which openssl is stricter about.
        signature.write_bytes(signature.read_bytes().replace(b"\v", b"\n") if form == "PEM" else signature.read_bytes())
        done = subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-inform", form, "-in", signature, "-content", package,
             "-CAfile", kit.root.pem, "-purpose", "any", "-out", "/dev/null"],
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0
    told = kit.gpg.run("--ignore-crc-error", "--status-fd", "1", "--verify", str(signature), str(package), check=False)
    return b"GOODSIG" in told


@pytest.mark.parametrize("kind", ["android-ota", "bundle-p7s"])
def test_flipped_bits_of_embedded_signatures_never_make_another_signer(
    fast: Rootwarden, kit: Kit, tmp_path: Path, kind: str
) -> None:
    """Changed signatures and certificates inside a package pass only by the same signer's unchanged signature value."""
    package, _, anchors = lay(tmp_path, kit, kind)
    data = package.read_bytes()
    start = data.rfind(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02") if kind == "android-ota" else 0
    if kind == "android-ota":
        answers = ask_each(fast, tmp_path, flipped(data, range(8 * start, 8 * len(data), 13)), [], anchors)
        _, good = fast.supplied(anchors, package)
        for answer in answers:
            if answer["outcome"] == "passed":
                assert answer["signatures"][0]["signer"] == good["signatures"][0]["signer"]
        return
    signature = kit.signer.cms(b"")
    for number, changed in enumerate(flipped(signature, range(0, 8 * len(signature), 61))):
        package.write_bytes(bundle(lambda _, c=changed: c))  # type: ignore[misc]
        code, verdict = fast.supplied(anchors, package)
        assert code in (3, 10), (number, verdict["reason"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_cut_short_never_passes(fast: Rootwarden, kit: Kit, tmp_path: Path, kind: str) -> None:
    """Cut anywhere, a package is failed as long as it is recognised; of an empty one nothing is left to recognise."""
    package, sides, anchors = lay(tmp_path, kit, kind)
    data = package.read_bytes()
    lengths = [0, 1, 2, 3, 4, 5, *range(6, len(data), 23), len(data) - 2, len(data) - 1]
    answers = ask_each(fast, tmp_path, [data[:length] for length in lengths], sides, anchors)
    for length, answer in zip(lengths, answers, strict=True):
        told = (answer["outcome"], answer["reason"])
        if length == 0 or (length < 4 and not sides):
            assert told == ("indeterminate", "unsupported_format"), (length, told)
        else:
            assert told[0] == "failed", (length, told)
            assert told[1] in FAILED, (length, told)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_before_and_after_a_package_never_pass(fast: Rootwarden, kit: Kit, tmp_path: Path, kind: str) -> None:
    """What is put before, after or into a package makes it fail."""
    package, sides, anchors = lay(tmp_path, kit, kind)
    data = package.read_bytes()
    middle = len(data) // 2
    variants = [data + b"\0", data + b"PK\x05\x06" + b"\0" * 18, data + data, b"\0" + data, b"#!/bin/sh\n" + data]
    variants += [data[:middle] + b"\0" + data[middle:], data[:-1] + data[-1:] * 2]
    for number, answer in enumerate(ask_each(fast, tmp_path, variants, sides, anchors)):
        assert answer["outcome"] == "failed", (number, answer["reason"])
        assert answer["reason"] in FAILED, (number, answer["reason"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_wrong_root_is_unknown(rootwarden: Rootwarden, kit: Kit, tmp_path: Path, kind: str) -> None:
    """An intact package whose key nobody trusted is indeterminate / unknown_root, and says what is missing."""
    package, _, _ = lay(tmp_path, kit, kind)
    code, verdict = rootwarden.supplied(kit.folder / "stranger-root.pem", package)
    assert (code, verdict["outcome"], verdict["reason"]) == (3, "indeterminate", "unknown_root")
    (signature,) = verdict["signatures"]
    if KINDS[kind][1] == "openpgp":
        assert signature["integrity"] == "unchecked"
    else:
        assert signature["integrity"] == "intact"
        assert signature["missing_issuer"]["name"] == "CN=DTEN root"
        assert signature["missing_issuer"]["authority_key_identifier"]
        assert signature["anchor"] is None
        assert signature["path"] == []


ARCHIVES: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "smuggled": ([("evil.sh", b"rm -rf /")], "uncovered_content"),
    "smuggled deep": ([("bin/x/y/evil.sh", b"rm -rf /")], "uncovered_content"),
    "smuggled folder": ([("empty/", b"")], "uncovered_content"),
    "no signature by that name": ([("SHA256SUMS.sig", b"#!/bin/sh\nrm -rf /")], "uncovered_content"),
    "duplicate": ([("manifest.json", b"other")], "malformed"),
    "duplicate manifest": ([("SHA256SUMS", b"")], "malformed"),
    "traversal": ([("../evil.sh", b"")], "malformed"),
    "traversal inside": ([("a/../../evil.sh", b"")], "malformed"),
    "absolute": ([("/etc/passwd", b"")], "malformed"),
    "backslash": ([("..\\evil.sh", b"")], "malformed"),
    "drive": ([("C:/evil.sh", b"")], "malformed"),
    "case": ([("MANIFEST.JSON", b"other")], "malformed"),
    "case folder": ([("BIN", b"other")], "malformed"),
    "normal form": ([("o\u0308.txt", b""), ("\u00f6.txt", b"")], "malformed"),
    "line feed": ([("a\nb", b"")], "malformed"),
    "dot": ([("./manifest.json", b"other")], "malformed"),
    "empty part": ([("a//b", b"")], "malformed"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", ARCHIVES)
def test_members_that_an_installer_might_misread(fast: Rootwarden, kit: Kit, tmp_path: Path, case: str) -> None:
    """A member that is not in the signed list is uncovered content; a name that two programs read in two ways is malformed."""
    extra, reason = ARCHIVES[case]
    package = tmp_path / "package.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zipfile.os.sep", "/")
        package.write_bytes(bundle(kit.signer.cms, extra=extra))
    code, verdict = fast.supplied(kit.anchors, package)
    assert (code, verdict["outcome"], verdict["reason"]) == (10, "failed", reason)
    if reason == "uncovered_content":
        assert extra[0][0] in [part.get("member") for part in verdict["coverage"]["uncovered"] if not part["inert"]]


def test_what_the_list_promises_must_be_there(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A listed file that is absent, or is another one, is an invalid signature."""
    package = tmp_path / "package.zip"
    for files in ({"manifest.json": FILES["manifest.json"]}, {**FILES, "bin/firmware.img": b"other"}):
        package.write_bytes(bundle(kit.signer.cms, files, listed=FILES))
        code, verdict = fast.supplied(kit.anchors, package)
        assert (code, verdict["outcome"], verdict["reason"]) == (10, "failed", "invalid_signature")


def test_links_in_an_archive_are_malformed(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A member that is a symbolic link is malformed, signed or not."""
    package = tmp_path / "package.zip"
    data = archive([("link", b"/etc/passwd")], attributes=0o120777)
    package.write_bytes(data)
    (tmp_path / "package.zip.p7s").write_bytes(kit.signer.cms(data))
    code, verdict = fast.supplied(kit.anchors, package)
    assert (code, verdict["reason"]) == (10, "malformed")


def test_an_archive_without_signature_is_unsigned(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A zip with no signature is unsigned even if its member is a package that passes; a bare file has no format at all."""
    package = tmp_path / "outer.zip"
    package.write_bytes(archive([("inner.zip", bundle(kit.signer.cms))]))
    code, verdict = fast.supplied(kit.anchors, package)
    assert (code, verdict["outcome"], verdict["reason"]) == (3, "indeterminate", "unsigned")
    (tmp_path / "bare").write_bytes(CONTENT)
    code, verdict = fast.supplied(kit.anchors, tmp_path / "bare")
    assert (code, verdict["outcome"], verdict["reason"]) == (3, "indeterminate", "unsupported_format")
    assert verdict["format"] is None
