from __future__ import annotations

import gzip
import subprocess
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import Case, cases, verdict_of
from trust_store.decode.openpgp_packets import read_armor
from trust_store.formats.readers.linux_module import MARK
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
STRUCTURE = "the kernel's own checks of module and structure, which openssl does not make"
NO_POLICY = "gpgv and openssl dgst judge no key: no size, no digest"
DIFFERENCES = {
    "linux-module/fields_of_older_ones": STRUCTURE,
    "linux-module/other_id_type": STRUCTURE,
    "linux-module/signed_attributes": STRUCTURE,
    "linux-module/weak": NO_POLICY,
    "linux-module/revoked": "openssl cms is given no revocation list here",
    "alpine-apk/weak": NO_POLICY,
    "alpine-apk/weak_key": NO_POLICY,
}
"""Where the native tool's verdict is another one than ours, and why."""


def compared(case: Case, theirs: bool) -> None:  # noqa: FBT001 - what the other says
    """Ours is theirs, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))


def succeeds(*command: object) -> bool:
    """Whether the command ends with 0."""
    return subprocess.run([str(part) for part in command], check=False, capture_output=True).returncode == 0


def openssl_accepts(case: Case, place: Path) -> bool:
    """Whether openssl verifies the signature before the trailer over what stands before it."""
    data = case.file.read_bytes()
    if not data.endswith(MARK):
        return False
    end = len(data) - len(MARK) - 12
    length = int.from_bytes(data[end + 8 : end + 12], "big")
    if length > end:
        return False
    (place / "signature").write_bytes(data[end - length : end])
    (place / "module").write_bytes(data[: end - length])
    helpers = (*case.paths("untrusted"), *case.paths("anchors"))
    (place / "helpers").write_bytes(b"".join(path.read_bytes() for path in helpers))
    at = ["-attime", 1780272000, "-purpose", "any"]
    if (
        case.values["name"] == "signer_is_anchor"
    ):  # otherwise intermediates, which have to stand in one file with roots, would do
        at.append("-partial_chain")
    return succeeds(
        "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", place / "signature", "-content", place / "module",
        "-CAfile", place / "helpers", "-certfile", place / "helpers", *at,
    )  # fmt: skip


@pytest.mark.parametrize("case", cases("linux-module"), ids=lambda case: case.id)
def test_openssl_says_the_same_of_modules(case: Case, tmp_path: Path) -> None:
    """openssl cms accepts what passes here."""
    compared(case, openssl_accepts(case, tmp_path))


PACMAN = [case for case in cases("pacman") if case.file.with_name(f"{case.file.name}.sig").exists()]


@pytest.mark.parametrize("case", [c for c in PACMAN if c.values["outcome"] == "passed"], ids=lambda case: case.id)
def test_gpgv_accepts_what_passes(case: Case, tmp_path: Path) -> None:
    """The signature that pacman asks GnuPG about is good."""
    keyring = tmp_path / "keys.pgp"
    keyring.write_bytes(b"".join(read_armor(path.read_bytes())[0].data for path in case.paths("anchors")))
    assert succeeds("gpgv", "--keyring", keyring, case.file.with_name(f"{case.file.name}.sig"), case.file)


@pytest.mark.parametrize("case", [c for c in PACMAN if c.values["reason"] == "invalid_signature"], ids=lambda c: c.id)
def test_gpgv_refuses_what_is_broken(case: Case, tmp_path: Path) -> None:
    """The signature that does not match is bad there as well."""
    keyring = tmp_path / "keys.pgp"
    keyring.write_bytes(b"".join(read_armor(path.read_bytes())[0].data for path in case.paths("anchors")))
    assert not succeeds("gpgv", "--keyring", keyring, case.file.with_name(f"{case.file.name}.sig"), case.file)


SIMPLE = (
    "valid",
    "unknown_root",
    "weak",
    "weak_key",
    "tampered_control",
    "without_datahash",
    "index",
    "index_appended",
)
ALPINE = [case for case in cases("alpine-apk") if case.values["name"] in SIMPLE]


@pytest.mark.parametrize("case", ALPINE, ids=lambda case: case.id)
def test_openssl_says_the_same_of_alpine_packages(case: Case, tmp_path: Path) -> None:
    """openssl dgst accepts the first signature over the control stream, or over all the rest, where the package passes."""
    data = case.file.read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(b"\x1f\x8b\x08", at)]
    first = gzip.decompress(data[: starts[1]])
    with tarfile.open(fileobj=BytesIO(first + bytes(1024))) as tar:
        member = tar.getmembers()[0]
        signature = tar.extractfile(member)
        assert signature is not None
        (tmp_path / "signature").write_bytes(signature.read())
    bound = b"datahash" in gzip.decompress(data[starts[1] : [*starts, len(data)][2]])
    (tmp_path / "signed").write_bytes(data[starts[1] : starts[2]] if bound else data[starts[1] :])
    digest = {"RSA": "sha1", "RSA256": "sha256"}[member.name.split(".")[2]]
    (key,) = case.paths("anchors")
    verify = [
        "openssl",
        "dgst",
        f"-{digest}",
        "-verify",
        key,
        "-signature",
        tmp_path / "signature",
        tmp_path / "signed",
    ]
    compared(case, succeeds(*verify))
