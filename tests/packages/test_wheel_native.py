"""RECORD.p7s of the wheel fixtures as openssl sees it: the same signature over the same bytes."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.packages.generate.wheel import INFO
from tests.packages.table import Case, cases, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
EXPLAINED = {
    "cms_tampered": "openssl sees RECORD alone, not the files that it lists",
    "weak": "openssl takes SHA-1 at its default security level for CMS content",
    "revoked": "openssl is given no list here",
}
"""Fixtures on which the verdicts differ, and why."""
SIGNED = tuple(
    case
    for case in cases("wheel")
    if case.values["format"] == "wheel" and f"{INFO}/RECORD.p7s" in zipfile.ZipFile(case.file).namelist()
)


def openssl_accepts(case: Case, folder: Path) -> bool:
    """``openssl cms -verify`` of RECORD.p7s over RECORD under the case's anchors."""
    archive = zipfile.ZipFile(case.file)
    (folder / "signature").write_bytes(archive.read(f"{INFO}/RECORD.p7s"))
    (folder / "record").write_bytes(archive.read(f"{INFO}/RECORD"))
    anchors = [word for path in case.paths("anchors") for word in ("-CAfile", str(path))] or ["-no-CAfile"]
    found = subprocess.run(
        ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signature", "-content", "record",
         "-purpose", "any", "-attime", "1780272000", "-out", "out", "-no-CApath", *anchors],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return found.returncode == 0


@pytest.mark.parametrize("case", SIGNED, ids=lambda case: case.id)
def test_openssl_says_the_same(case: Case, tmp_path: Path) -> None:
    """A wheel with RECORD.p7s passes exactly where openssl accepts that, or the difference is explained."""
    ours = verdict_of(case).outcome.value == "passed"
    if case.values["name"] in EXPLAINED:
        assert openssl_accepts(case, tmp_path)
        assert not ours
    else:
        assert openssl_accepts(case, tmp_path) == ours
