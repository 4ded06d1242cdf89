from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import FIXTURES, Case, cases, verdict_of
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
FOLDER = FIXTURES / "apt-release"
IN_RELEASE = [case for case in cases("apt-release") if case.expected[0] in ("apt-release", "openpgp-cleartext")]
LENIENT = "apt passes over lines that are no fields and takes the first of two fields (deb822(5) allows neither)"
DIFFERENCES = {
    "apt-release/another_zone": "apt takes a date that it cannot read for none; here nothing would then say how old the file is",
    "apt-release/line_with_a_dash": LENIENT,
    "apt-release/escaped_line": LENIENT,
    "apt-release/duplicate_entries": LENIENT,
}
"""Where apt's verdict is another one than ours, and why."""


def apt_update(case: Case, place: Path) -> bool:
    """Whether apt-get update accepts the file as InRelease of a repository, with the case's anchors as its keyring."""
    suite = place / "repo/dists/one"
    (suite / "main/binary-all").mkdir(parents=True)
    shutil.copy(case.file, suite / "InRelease")
    for name in ("Packages", "Packages.gz", "Packages.xz"):
        shutil.copy(FOLDER / name, suite / "main/binary-all" / name)
    keyring = place / "vendor.asc"
    keyring.write_bytes(b"".join(path.read_bytes() for path in case.paths("anchors")))
    for name in (
        "state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d", "etc/apt.conf.d",
        "etc/trusted.gpg.d",
    ):  # fmt: skip
        (place / name).mkdir(parents=True)
    (place / "etc/sources.list").write_text(f"deb [signed-by={keyring} arch=all] file:{place}/repo one main\n")
    (place / "state/status").write_text("")
    options = (
        f"Dir::Etc={place}/etc", f"Dir::State={place}/state", f"Dir::State::status={place}/state/status",
        f"Dir::Cache={place}/cache", "APT::Sandbox::User=root", "APT::Update::Error-Mode=any", "APT::Architecture=amd64",
        "APT::Architectures=all", "Acquire::Check-Valid-Until=true", "Acquire::Check-Date=true",
    )  # fmt: skip
    command = ["apt-get", *[part for option in options for part in ("-o", option)], "update"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("case", [c for c in IN_RELEASE if "2026" in c.values["at"]], ids=lambda case: case.id)
def test_apt_says_the_same(case: Case, tmp_path: Path) -> None:
    """apt-get update accepts exactly what passes here, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    theirs = apt_update(case, tmp_path)
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))
