from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import Case, cases, verdict_of
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
CASES = cases("rpm")

NO_POLICY = (
    "rpm 4.18 judges no key and no algorithm: no expiry, revocation, key size or SHA-1 (rpm 4.19 with Sequoia does)"
)
LENIENT = (
    "rpm 4.18 takes signatures from any entry of the signature header, the second of two too; format_v6.md forbids both"
)
NO_FORMAT_6 = "rpm 4.18 knows no tag 278 and no rule of format_v6.md"
DIFFERENCES = {
    "rpm/expired": NO_POLICY,
    "rpm/revoked": NO_POLICY,
    "rpm/weak_key": NO_POLICY,
    "rpm/weak": NO_POLICY,
    "rpm/packet_3_sha1": NO_POLICY,
    "rpm/duplicate_entries": LENIENT,
    "rpm/signature_outside_region": LENIENT,
    "rpm/subkey_not_bound": "rpm 4.18 asks for the primary key's binding of a subkey, not for the subkey's in return (RFC 9580 5.2.1.9)",
    "rpm/second_signer_unknown": "rpm 4 asks for every signer's key; here, and in rpm 6, one good signature suffices",
    "rpm/format_6": NO_FORMAT_6,
    "rpm/format_6_two": NO_FORMAT_6,
    "rpm/format_6_old_signature_ignored": NO_FORMAT_6,
}
"""Where rpm's verdict is another one than ours, and why."""


def rpmkeys(case: Case, place: Path) -> bool:
    """Whether rpmkeys accepts the package's signatures with the case's anchors imported into a database of its own."""
    database = place / "db"
    database.mkdir()
    for path in case.paths("anchors"):
        subprocess.run(["rpmkeys", "--dbpath", database, "--import", path], check=False, capture_output=True)
    command = ["rpmkeys", "--dbpath", str(database), "--define", "_pkgverify_level signature", "-Kv", str(case.file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin"})
    return done.returncode == 0 and "ignature" in done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_rpmkeys_says_the_same(case: Case, tmp_path: Path) -> None:
    """rpmkeys accepts exactly what passes here, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    theirs = rpmkeys(case, tmp_path)
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))
