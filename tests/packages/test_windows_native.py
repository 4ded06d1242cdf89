"""osslsigncode and sbverify say of every fixture what is said here, but where the reason is written down."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.osslsigncode import READS_EVERYTHING, version
from tests.packages.table import Case, cases, verdict_of
from trust_store.model.identifiers import parse_time
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native

SHA1 = "osslsigncode takes SHA-1 for good"
SMALL = "osslsigncode takes RSA of 1024 bits for good"
PADDING = "osslsigncode 2.9 does not look at what stands between a signature and the end of its room (CVE-2013-3900)"
BEHIND = "osslsigncode does not look behind the signature"
EVERY = "osslsigncode wants every signature to be by somebody it knows, and one entry in the table"
DIFFERENCES = {
    "cab/weak": SHA1,
    "catalog/weak": SHA1,
    "msi/weak": SHA1,
    "pe/weak": SHA1,
    "pe/downgrade": SHA1,
    "pe/countersigned_with_sha1": SHA1,
    "powershell/weak": SHA1,
    "pe/weak_key": SMALL,
    "cab/stuffed": PADDING,
    "pe/stuffed": PADDING,
    "catalog/appended": BEHIND,
    "msi/appended": BEHIND,
    "powershell/appended": BEHIND,
    "powershell/duplicate_entries": BEHIND,
    "powershell/line_inserted": "osslsigncode passes over lines inside the block that are none of it",
    "catalog/list_of_roots": "osslsigncode takes every certificate trust list for a catalog",
    "catalog/file": "osslsigncode does not know files of this kind, and so no digest of them",
    "pe/efi_two_entries": EVERY,
    "pe/two_entries": EVERY,
    "pe/duplicate_entries": EVERY,
    "pe/lifetime_signing": "osslsigncode does not know certificates with which signatures end",
    "pe/countersigned_without_content_type": "osslsigncode wants the content type that RFC 5652 11.4 forbids",
}
"""Where osslsigncode's verdict is another one than ours, and why."""


NOT_BY_OLDER = {"catalog/cabinet", "pe/countersigned", "pe/countersigned_with_sha1", "pe/detached", "pe/stuffed"}
"""What osslsigncode accepts from 2.9 on only, beside scripts."""


def osslsigncode(case: Case, place: Path) -> bool:
    """Whether osslsigncode verifies the file under the anchors of the case, at its time."""
    anchors = [path.read_bytes() for path in (*case.paths("anchors"), *case.paths("untrusted"))]
    (place / "ca.pem").write_bytes(b"".join(anchors))
    at = str(int(parse_time(case.values["at"]).timestamp()))
    command = ["osslsigncode", "verify", "-CAfile", "ca.pem", "-TSA-CAfile", "ca.pem", "-time", at]
    for path in case.paths("crls"):
        command += ["-CRLfile", str(path)]
    file = case.file
    for path in case.paths("signatures"):
        if path.suffix == ".cat":
            command += ["-catalog", str(path)]
        else:  # what was taken out is put in again
            attach = ["osslsigncode", "attach-signature", "-sigin", str(path), "-CAfile", "ca.pem", "-time", at]
            file = place / "attached"
            subprocess.run(
                [*attach, "-in", str(case.file), "-out", str(file)], cwd=place, capture_output=True, check=False
            )
    done = subprocess.run([*command, "-in", str(file)], cwd=place, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("case", cases("pe", "msi", "cab", "powershell", "catalog"), ids=lambda case: case.id)
def test_osslsigncode_says_the_same(case: Case, tmp_path: Path) -> None:
    """osslsigncode verifies exactly what passes here, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    theirs = osslsigncode(case, tmp_path)
    if version() < READS_EVERYTHING and (case.folder.name == "powershell" or case.id in NOT_BY_OLDER):
        assert not theirs
        return
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))


@pytest.mark.parametrize(
    "name", ["valid", "efi", "efi_two_entries", "tampered", "appended", "inserted", "signature_of_another_image", "broken_entry"]
)  # fmt: skip
def test_sbverify_finds_the_same_images_intact(name: str) -> None:
    """sbverify, asked about the image alone, finds every digest right where it is here; it takes what is appended for content."""
    case = next(case for case in cases("pe") if case.values["name"] == name)
    done = subprocess.run(["sbverify", str(case.file)], capture_output=True, check=False)
    intact = all(one.integrity == "intact" for one in verdict_of(case).signatures)
    assert (b"Image fails hash check" not in done.stderr) == (intact and name != "appended")
