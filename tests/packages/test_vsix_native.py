"""The XML signatures of the VSIX fixtures as xmlsec1 sees them."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.packages.generate.vsix import DS, SIGNATURE
from tests.packages.table import Case, cases, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
PARTS = "xmlsec1 sees the signature alone, not the parts that its manifest lists"
EXPLAINED = {
    "tampered": PARTS,
    "absent": PARTS,
    "added_member": PARTS,
    "added_in_the_signatures_folder": PARTS,
    "origin_with_content": PARTS,
    "relationship_added": PARTS,
    "relationship_changed": PARTS,
    "other_type": PARTS,
    "comment": "Canonical XML leaves comments out, so that one in what is signed changes nothing; here it is refused",
    "weak": "xmlsec1 takes SHA-1",
    "revoked": "xmlsec1 is given no list here",
}
"""Fixtures that xmlsec1 accepts although they do not pass, and why."""
STRICTER = {
    "timestamped": "xmlsec1 does not look at timestamps",
    "detached_certificate": "the certificate is a part beside the signature",
}
"""Fixtures that pass although xmlsec1 does not accept them, and why."""
SIGNED = tuple(
    case
    for case in cases("vsix")
    if case.values["format"] == "vsix" and SIGNATURE in zipfile.ZipFile(case.file).namelist()
)


def xmlsec_accepts(case: Case, folder: Path) -> bool:
    """``xmlsec1 --verify`` of the signature part under the case's anchors."""
    (folder / "signature.xml").write_bytes(zipfile.ZipFile(case.file).read(SIGNATURE))
    anchors = [word for path in case.paths("anchors") if path.suffix == ".pem" for word in ("--trusted-pem", str(path))]
    found = subprocess.run(
        ["xmlsec1", "--verify", "--ignore-manifests", "--enabled-key-data", "x509", *anchors, "--verification-time",
         "2026-06-01 00:00:00", "--id-attr:Id", f"{DS}:Object", "signature.xml"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return found.returncode == 0


@pytest.mark.parametrize("case", SIGNED, ids=lambda case: case.id)
def test_xmlsec_says_the_same(case: Case, tmp_path: Path) -> None:
    """A package passes exactly where xmlsec1 accepts its signature, or the difference is explained."""
    ours = verdict_of(case).outcome.value == "passed"
    name = case.values["name"]
    assert xmlsec_accepts(case, tmp_path) == ((ours and name not in STRICTER) or name in EXPLAINED)
