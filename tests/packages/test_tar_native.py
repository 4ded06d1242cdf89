from __future__ import annotations

import subprocess

import pytest

from tests.packages.table import Case, cases
from trust_store.errors import READ_ERRORS
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.streaming import BytesSource, PackageStream
from trust_store.formats.tar_reading import TarReading

pytestmark = pytest.mark.native
EVERYTHING = [case for case in cases("tar", "vendor-bundle-tar") if "minisig" not in case.values["name"]]


@pytest.mark.parametrize("case", EVERYTHING, ids=lambda case: case.id)
def test_tar_lists_the_same_members(case: Case) -> None:
    """GNU tar lists the members that the walk finds, wherever the walk accepts the archive."""
    source = BytesSource(case.file.read_bytes())
    reading = TarReading(source, ReadLimits())
    try:
        reading.walk(PackageStream(source, ()))
    except READ_ERRORS:
        assert case.values["outcome"] == "failed"
        return
    listed = subprocess.run(["tar", "-taf", case.file], capture_output=True, check=True).stdout.decode().splitlines()
    assert [member.name for member in reading.members] == listed
