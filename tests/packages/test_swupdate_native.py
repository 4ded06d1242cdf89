from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.packages.table import Case, cases

pytestmark = pytest.mark.native
CMS_ONLY = {"rsa.swu", "pss.swu", "pss_digest.swu", "rsa1024.swu", "openpgp.swu", "description-rsa.swu"}
"""Debian's swupdate is built to verify CMS signatures; the raw values are compared with openssl below."""
NO_CRL = {"revoked"}
"""swupdate reads no revocation lists (corelib/swupdate_cms_verify.c)."""
WEAK = {"weak"}
"""OpenSSL verifies SHA-1 signatures still; here they are weak_algorithm."""
SKIPPED_BY_SWUPDATE = {"unlisted_file", "absolute_name", "appended"}
"""swupdate passes over files that no entry names, and what follows the end; here they are uncovered content, or no archive at all."""
CASES = [case for case in cases("swupdate") if case.file.name not in CMS_ONLY]


def _accepts(case: Case, keys: Path, folder: Path) -> bool:
    """Whether ``swupdate -c`` installs the image, dry. Its processes now and then fail or hang as they end: it is asked up to thrice."""
    command = ["swupdate", "-c", "-n", "-i", case.file, "-k", keys, "--cert-purpose", "codeSigning", "-H", "x:1.0"]
    codes: list[int] = []
    for _ in range(3):
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True,
            env=os.environ | {"TMPDIR": str(folder)},
        ) as process:  # fmt: skip
            try:
                codes.append(process.wait(20))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        if 0 in codes:
            return True
    assert codes, "swupdate hung three times"
    return False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_swupdate_agrees(case: Case, tmp_path: Path) -> None:
    """`swupdate -c` accepts exactly the images that pass, but for the differences named above."""
    anchors = case.paths("anchors") or (case.folder / "other.pem",)
    keys = tmp_path / "keys.pem"
    # swupdate looks for intermediates among its keys only where unknown signers are skipped (check_verified_signer)
    keys.write_bytes(b"".join(path.read_bytes() for path in (*anchors, case.folder / "intermediate.pem")))
    lenient = case.values["name"] in NO_CRL | WEAK | SKIPPED_BY_SWUPDATE
    assert _accepts(case, keys, tmp_path) is (case.values["outcome"] == "passed" or lenient)


@pytest.mark.parametrize(
    ("name", "options"), [("rsa", ()), ("pss", ("rsa_padding_mode:pss",)), ("pss_digest", ("rsa_padding_mode:pss",))]
)
def test_openssl_agrees_on_raw_values(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """The value and the description in the archive verify with ``openssl dgst``."""
    image = next(case for case in cases("swupdate") if case.file.name == f"{name}.swu")
    subprocess.run(["cpio", "-i", "--quiet"], input=image.file.read_bytes(), cwd=tmp_path, check=True)
    chosen = [part for option in options for part in ("-sigopt", option)]
    key = image.folder / "signer.pub"
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        key,
        *chosen,
        "-signature",
        "sw-description.sig",
        "sw-description",
    ]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
