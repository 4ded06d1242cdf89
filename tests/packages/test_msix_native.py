"""The app packages of the fixtures as osslsigncode sees them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.osslsigncode import READS_EVERYTHING, version
from tests.packages.table import Case, cases, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
EXPLAINED = {
    "block_map_lies": "osslsigncode checks the digest of the block map, not what the block map says of the files",
    "not_in_the_block_map": "the same",
    "not_in_the_package": "the same",
    "weak": "osslsigncode 2.9 takes RSA keys of 1024 bits",
    "revoked": "osslsigncode is given no list here",
}
"""Fixtures that osslsigncode accepts although they do not pass, and why."""


def osslsigncode_accepts(case: Case, folder: Path) -> bool:
    """``osslsigncode verify`` under the case's anchors, which serve for timestamps as well."""
    bundle = folder / "anchors.pem"
    bundle.write_bytes(b"".join(path.read_bytes() for path in case.paths("anchors")))
    found = subprocess.run(
        ["osslsigncode", "verify", "-CAfile", str(bundle), "-TSA-CAfile", str(bundle), "-time", "1780272000", "-in", str(case.file)],
        capture_output=True, check=False,
    )  # fmt: skip
    return found.returncode == 0


@pytest.mark.parametrize("case", cases("msix"), ids=lambda case: case.id)
def test_osslsigncode_says_the_same(case: Case, tmp_path: Path) -> None:
    """A package passes only where osslsigncode accepts it; where that accepts what does not pass, the difference is explained."""
    ours, theirs = verdict_of(case).outcome.value == "passed", osslsigncode_accepts(case, tmp_path)
    if version() < READS_EVERYTHING:
        assert not theirs
        return
    assert theirs == (ours or case.values["name"] in EXPLAINED)
