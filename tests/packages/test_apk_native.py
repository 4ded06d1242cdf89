"""APK and JAR fixtures as apksigner and jarsigner see them: the same verdict, or the clause that explains the difference."""

from __future__ import annotations

import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import Case, cases, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
APK = tuple({case.file.name: case for case in reversed(cases("apk")) if case.file.suffix == ".apk"}.values())
"""One case for each file, the first."""
JAR = tuple({case.file.name: case for case in reversed(cases("jar"))}.values())
APK_DIFFERS = {
    "v1-sha1.apk": "apksigner knows no weak digests (CONTRACTS: weak_algorithm)",
    "weak.apk": "apksigner knows no weak keys",
    "v31-stripped.apk": "apksigner 0.9 does not know scheme v3.1, nor the attribute of v3 that announces it",
}
JAR_DIFFERS = {
    "appended.jar": "java.util.zip looks for the end record, and takes what follows it for nothing",
    "rsa1024.jar": "jarsigner warns of a key of 1024 bits",
    "added.jar": "jarsigner -verify succeeds with unsigned entries, which it warns of (-strict: 20)",
    "added-meta.jar": "the same",
    "added-signature-file.jar": "jarsigner takes every .SF for signature-related, paired or not",
    "removed.jar": "jarsigner does not ask whether what the manifest names is there",
    "expired.jar": "jarsigner -verify warns of expired certificates (-strict: 4)",
}
"""Files that the native tool accepts and this program does not, and why."""
JAR_UNSIGNED = frozenset({"md5-digests.jar", "sha1-digests.jar", "sha1-value.jar", "unsigned.jar"})
"""jarsigner -verify succeeds, and says that the archive is to be treated as unsigned (jdk.jar.disabledAlgorithms)."""


def is_sound(case: Case) -> bool:
    """Whether the program finds nothing against the file: what the native tools answer, which know no anchors."""
    return verdict_of(case).reason.value in ("trusted", "unknown_root")


@pytest.mark.parametrize("case", APK, ids=lambda case: case.file.name)
def test_apksigner_says_the_same(case: Case) -> None:
    """An APK is sound exactly where ``apksigner verify`` says so, or the difference is explained."""
    done = subprocess.run(["apksigner", "verify", str(case.file)], capture_output=True, check=False)
    if case.file.name in APK_DIFFERS:
        assert (done.returncode, is_sound(case)) == (0, False)
    else:
        assert is_sound(case) == (done.returncode == 0), done.stdout + done.stderr


@pytest.mark.parametrize("case", JAR, ids=lambda case: case.file.name)
def test_jarsigner_says_the_same(case: Case) -> None:
    """A JAR is sound exactly where ``jarsigner -verify`` calls it verified, or the difference is explained."""
    done = subprocess.run(["jarsigner", "-verify", str(case.file)], capture_output=True, check=False, text=True)
    verified = done.returncode == 0 and "jar verified." in done.stdout
    if case.file.name in JAR_DIFFERS:
        assert (verified, is_sound(case)) == (True, False), done.stdout
    elif case.file.name in JAR_UNSIGNED:
        assert (done.returncode, verified, is_sound(case)) == (0, False, False), done.stdout
    else:
        assert is_sound(case) == verified, done.stdout


def test_zipalign_leaves_a_package_that_passes(tmp_path: Path) -> None:
    """What zipalign writes between and in headers before signing is padding to this program too."""
    case = next(case for case in APK if case.file.name == "unsigned.apk")
    aligned = tmp_path / "aligned.apk"
    subprocess.run(["zipalign", "-p", "4", str(case.file), str(aligned)], check=True, capture_output=True)
    assert zipfile.ZipFile(aligned).namelist()
    assert verdict_of(case, aligned.read_bytes()).reason.value == "unsigned"
