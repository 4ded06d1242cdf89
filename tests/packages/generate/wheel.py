"""Writes the wheel fixtures: ``python -m tests.packages.generate.wheel``. RECORD.jws by wheel 0.29 from PyPI, RECORD.p7s by openssl."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import Issued, issue, make_pki, revocation_list
from trust_store.decode.spki import ed25519_spki

if TYPE_CHECKING:
    from collections.abc import Mapping

INFO = "example_tool-1.2.3.dist-info"
FILES = {
    "example_tool/__init__.py": b'"""Nothing."""\n',
    "example_tool/data.bin": bytes(range(256)),
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: Example.Tool\nVersion: 1.2.3\n\nName: not this\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: fixtures\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def record(files: Mapping[str, bytes] = FILES, digest: str = "sha256") -> bytes:
    """What RECORD says of ``files``."""
    lines = [
        f"{name},{digest}={base64.urlsafe_b64encode(hashlib.new(digest, data).digest()).decode().rstrip('=')},{len(data)}\n"
        for name, data in files.items()
    ]
    return ("".join(lines) + f"{INFO}/RECORD,,\n").encode()


def wheel(files: Mapping[str, bytes] = FILES, **last: bytes) -> bytes:
    """The archive: ``files``, then RECORD (as of FILES unless it is among ``last``) and signatures, named by their ending."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**files, **{f"{INFO}/RECORD{end}": data for end, data in _ends(last).items()}}.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def _ends(last: Mapping[str, bytes]) -> dict[str, bytes]:
    ends = {"record": "", "jws": ".jws", "p7s": ".p7s"}
    return {ends[name]: data for name, data in ({"record": record()} | dict(last)).items()}


def old_wheel_project(folder: Path) -> Any:
    """``wheel.signatures`` of the last release with ``wheel sign``, out of its own wheel."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "wheel==0.29.0"],
        check=True,
    )
    sys.path.insert(0, str(next(folder.glob("*.whl"))))
    return import_module("wheel.signatures")


def jws(project: Any, keys: Any, signed: bytes) -> bytes:
    """``RECORD.jws`` as ``wheel sign`` writes it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(signed).digest()).decode().rstrip("=")
    return json.dumps(project.sign({"hash": f"sha256={digest}"}, keys)).encode()


def p7s(folder: Path, signer: Issued, chain: tuple[Issued, ...], signed: bytes, digest: str = "sha256") -> bytes:
    """``RECORD.p7s`` by openssl."""
    certificate, key = signer.write(folder, "signer")
    (folder / "chain.pem").write_bytes(b"".join(one.pem for one in chain))
    arguments = [
        "cms",
        "-sign",
        "-binary",
        "-outform",
        "DER",
        "-md",
        digest,
        "-signer",
        str(certificate),
        "-inkey",
        str(key),
    ]
    found = subprocess.run(
        ["openssl", *arguments, "-certfile", str(folder / "chain.pem")],
        input=signed, check=True, capture_output=True,
    )  # fmt: skip
    return found.stdout


def main() -> None:
    """Write everything."""
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name))


def _write(work: Path) -> None:
    folder = FixtureFolder("wheel")
    project = old_wheel_project(work)
    keys, others = (project.get_ed25519ll().crypto_sign_keypair() for _ in range(2))
    for name, pair in (("key", keys), ("other", others)):
        spki = base64.b64encode(ed25519_spki(pair.vk)).decode()
        folder.write(f"{name}.pub", f"-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n".encode())
    pki = make_pki("Publisher", kind="p256")
    folder.write("root.pem", pki.root.pem)
    _jws_cases(folder, jws(project, keys, record()), jws(project, others, record(FILES | {"x": b"1"})))
    _p7s_cases(folder, work, pki)
    folder.write("unsigned.whl", wheel())
    folder.case("unsigned", "unsigned.whl", INDETERMINATE, "unsigned")
    folder.write("downgrade.whl", wheel(FILES | {"example_tool/data.bin": b"changed"}))
    folder.case(
        "downgrade", "downgrade.whl", INDETERMINATE, "unsigned", note="the signature stripped, the content changed"
    )
    sha512 = record(digest="sha512")
    folder.write("sha512.whl", wheel(record=sha512, jws=jws(project, keys, sha512)))
    folder.case("sha512", "sha512.whl", PASSED, "trusted", anchors=["key.pub"])
    md5 = record(digest="md5")
    folder.write("md5.whl", wheel(record=md5, jws=jws(project, keys, md5)))
    folder.case("weak_record", "md5.whl", INDETERMINATE, "unsupported_format", anchors=["key.pub"])
    folder.close()


def _jws_cases(folder: FixtureFolder, good: bytes, other: bytes) -> None:
    anchors = {"anchors": ["key.pub"]}
    valid = wheel(jws=good)
    folder.write("valid.whl", valid)
    folder.case("valid", "valid.whl", PASSED, "trusted", mutate=True, **anchors)
    folder.case("unknown_root", "valid.whl", INDETERMINATE, "unknown_root", anchors=["other.pub"])
    folder.case("no_anchor", "valid.whl", INDETERMINATE, "unknown_root", anchors=[])
    for name, files, reason in (
        ("tampered", FILES | {"example_tool/data.bin": b"changed"}, "invalid_signature"),
        ("unlisted", FILES | {"example_tool/evil.py": b"import os\n"}, "uncovered_content"),
        ("unlisted_folder", FILES | {"example_tool/more/": b""}, "uncovered_content"),
        ("absent", {name: data for name, data in FILES.items() if "data" not in name}, "invalid_signature"),
    ):
        folder.write(f"{name}.whl", wheel(files, jws=good))
        folder.case(name, f"{name}.whl", FAILED, reason, **anchors)
    longer = FILES | {"example_tool/evil.py": b"import os\n"}
    folder.write("record-changed.whl", wheel(longer, record=record(longer), jws=good))
    folder.case("record_changed", "record-changed.whl", FAILED, "invalid_signature", **anchors)
    folder.write("other-record.whl", wheel(jws=other))
    folder.case("signature_of_another_wheel", "other-record.whl", FAILED, "invalid_signature", anchors=["other.pub"])
    folder.write("truncated.whl", valid[:-30])
    folder.case("truncated", "truncated.whl", FAILED, "malformed", format="zip", **anchors)
    folder.write("appended.whl", valid + b"appended")
    folder.case("appended", "appended.whl", FAILED, "malformed", format="zip", **anchors)
    twice = wheel(FILES | {"example_tool/Data.bin": b"evil"}, jws=good)
    folder.write("duplicate.whl", twice)
    folder.case("duplicate_entries", "duplicate.whl", FAILED, "malformed", format="zip", **anchors)


def _p7s_cases(folder: FixtureFolder, work: Path, pki: Any) -> None:
    good = p7s(work, pki.leaf, (pki.intermediate,), record())
    folder.write("cms.whl", wheel(p7s=good))
    folder.case("cms", "cms.whl", PASSED, "trusted", mutate=True)
    folder.case("cms_no_anchor", "cms.whl", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "cms.whl", FAILED, "revoked", crls=["signer.crl"])
    folder.write("cms-tampered.whl", wheel(FILES | {"example_tool/data.bin": b"changed"}, p7s=good))
    folder.case("cms_tampered", "cms-tampered.whl", FAILED, "invalid_signature")
    begin, end = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    old = issue("Old Signer", pki.intermediate, kind="p256", begin=begin, end=end)
    folder.write("expired.whl", wheel(p7s=p7s(work, old, (pki.intermediate,), record())))
    folder.case("expired", "expired.whl", INDETERMINATE, "expired")
    folder.write("weak.whl", wheel(p7s=p7s(work, pki.leaf, (pki.intermediate,), record(), "sha1")))
    folder.case("weak", "weak.whl", FAILED, "weak_algorithm")
    folder.write("garbage.whl", wheel(p7s=b"no signature"))
    folder.case("garbage_signature", "garbage.whl", FAILED, "malformed")


if __name__ == "__main__":
    main()
