from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packages.table import Case, cases

pytestmark = pytest.mark.native
NO_ED25519 = {"valid_ed25519"}
"""mender-artifact 3.9 knows RSA and P-256."""
NOT_BY_CERTIFICATE = {"valid_by_certificate"}
"""mender-artifact takes a key and no chain."""
BY_DESIGN = {"augmented"}
"""What manifest-augment lists is installed unsigned ("artifact-format-v3"); here it is uncovered content."""
LENIENT = {"appended", "duplicate_entries"}
"""mender-artifact stops at the end of the archive, and reads a second payload of the same name."""
WEAK = {"weak"}
"""RSA of 1024 bits is verified; here it is weak_algorithm."""
CASES = [case for case in cases("mender") if case.values["name"] not in NO_ED25519 | NOT_BY_CERTIFICATE]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_mender_artifact_agrees(case: Case, tmp_path: Path) -> None:
    """`mender-artifact validate` accepts exactly the artifacts that pass, but for the differences named above."""
    key = next(iter(case.paths("anchors")), case.folder / "other.pub")
    command = ["mender-artifact", "validate", "-k", key, case.file]
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    expected = case.values["outcome"] == "passed" or case.values["name"] in BY_DESIGN | LENIENT | WEAK
    assert (done.returncode == 0) is expected, (done.stdout, done.stderr)
