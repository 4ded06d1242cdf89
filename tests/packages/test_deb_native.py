from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import Case, cases, verdict_of
from trust_store.decode.openpgp import load_keys
from trust_store.decode.openpgp_packets import read_armor
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
CASES = cases("deb")
POLICY = """<?xml version="1.0"?>
<!DOCTYPE Policy SYSTEM "https://www.debian.org/debsig/1.0/policy.dtd">
<Policy xmlns="https://www.debian.org/debsig/1.0/">
  <Origin Name="Vendor" id="{key}" Description="Vendor"/>
  <Selection><Required Type="origin" File="keys.pgp" id="{key}"/></Selection>
  <Verification MinOptional="0"><Required Type="origin" File="keys.pgp" id="{key}"/></Verification>
</Policy>
"""
BORDERS = "the contents joined are the same: debsig-verify leaves it to dpkg to find that the members are none"
NO_POLICY = "debsig-verify takes gpg's good signature as it is, by a key that has expired, was revoked or is small"
MEMBERS = "debsig-verify looks for members by name, in any order, and takes the first; others it passes over"
DIFFERENCES = {
    "deb/expired": NO_POLICY,
    "deb/revoked": NO_POLICY,
    "deb/weak_key": NO_POLICY,
    "deb/duplicate_entries": MEMBERS,
    "deb/more_members": MEMBERS,
    "deb/other_order": MEMBERS,
    "deb/second_signature_broken": "the policy asks for the origin signature alone; here any broken one by a known key fails the package",
    "deb/text_signature": "gpg takes a signature over text, which holds for other line ends in a binary package (RFC 9580 5.2.1.2)",
    "deb/border_moved": BORDERS,
    "deb/first_border_moved": BORDERS,
    "deb/data_renamed": BORDERS,
}
"""Where debsig-verify's verdict is another one than ours, and why."""


def debsig_verify(case: Case, place: Path) -> bool:
    """Whether debsig-verify accepts the package under a policy that asks for an origin signature by the case's anchor."""
    for path in case.paths("anchors"):
        certificate = read_armor(path.read_bytes())[0].data
        fingerprint = load_keys(certificate)[0].fingerprint.upper()
        for key in (fingerprint, fingerprint[-16:]):
            policies, keyrings = place / "policies" / key, place / "keyrings" / key
            policies.mkdir(parents=True)
            keyrings.mkdir(parents=True)
            (policies / "vendor.pol").write_text(POLICY.format(key=key))
            (keyrings / "keys.pgp").write_bytes(certificate)
    place.mkdir(exist_ok=True)
    command = ["debsig-verify", "--policies-dir", place / "policies", "--keyrings-dir", place / "keyrings", case.file]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_debsig_verify_says_the_same(case: Case, tmp_path: Path) -> None:
    """debsig-verify accepts exactly what passes here, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    theirs = debsig_verify(case, tmp_path / "debsig")
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))


@pytest.mark.parametrize("case", [case for case in CASES if case.expected[1] == "passed"], ids=lambda case: case.id)
def test_dpkg_reads_what_passes(case: Case) -> None:
    """dpkg-deb finds the signed control file in every package that passes."""
    done = subprocess.run(["dpkg-deb", "-f", case.file, "Package"], check=True, capture_output=True)
    assert done.stdout == b"fixture\n"
