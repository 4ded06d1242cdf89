from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packages.table import Case, cases

pytestmark = pytest.mark.native
CASES = [case for case in cases("fwupd") if case.paths("anchors") and case.paths("anchors")[0].suffix == ".pem"]
NO_CRL, WEAK = {"revoked"}, {"weak"}
"""jcat reads no revocation lists, and verifies SHA-1 signatures still."""
OF_THE_CABINET = {"unlisted_file", "appended"}
"""jcat-tool sees the files that the catalogue names and nothing of the cabinet."""
NOT_UNPACKED = {"truncated", "duplicate_entries"}


@pytest.mark.parametrize("name", ["pkcs7.cab", "mszip.cab", "both.cab", "appended.cab"])
def test_gcab_unpacks_the_same(name: str, tmp_path: Path) -> None:
    """gcab finds the files that the walk finds, with the same content."""
    from trust_store.decode.cab_files import contents, read_directory
    from trust_store.formats.streaming import BytesSource

    case = next(case for case in cases("fwupd") if case.file.name == name)
    subprocess.run(["gcab", "-x", "-C", tmp_path, case.file], check=True, capture_output=True)
    source = BytesSource(case.file.read_bytes())
    found = {file.name: b"".join(pieces) for file, pieces in contents(source, read_directory(source))}
    assert found == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("case", [c for c in CASES if c.values["name"] not in NOT_UNPACKED], ids=lambda case: case.id)
def test_jcat_tool_agrees(case: Case, tmp_path: Path) -> None:
    """jcat-tool verifies every file of the archives that pass, and not every one of those that do not."""
    subprocess.run(["gcab", "-x", "-C", tmp_path, case.file], check=True, capture_output=True)
    keys = [f"--public-key={path}" for path in (*case.paths("anchors"), *case.paths("untrusted"))]
    verified = [_verifies(name, keys, tmp_path) for name in ("firmware.bin", "firmware.metainfo.xml")]
    lenient = case.values["name"] in NO_CRL | WEAK | OF_THE_CABINET
    assert all(verified) is (case.values["outcome"] == "passed" or lenient)


def _verifies(name: str, keys: list[str], folder: Path) -> bool:
    """Whether a PKCS #7 signature of the file is verified, and no checksum of it fails."""
    command = ["jcat-tool", "verify", "firmware.jcat", name, *keys, "--kind"]
    said = [
        subprocess.run([*command, kind], cwd=folder, capture_output=True, check=False).stdout
        for kind in ("pkcs7", "sha256")
    ]
    return b"PASSED pkcs7" in said[0] and b"FAILED" not in said[0] + said[1]
