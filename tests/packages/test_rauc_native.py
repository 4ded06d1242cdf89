from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packages.table import Case, cases
from trust_store.decode.dm_verity import HashTree

pytestmark = pytest.mark.native
NO_CRL = {"revoked"}
"""rauc looks at revocation lists only where its configuration has them in the keyring and asks for it."""
PAYLOAD_ONLY_WHEN_MOUNTED = {"tampered", "tampered_tree", "lengthened", "another_signature"}
"""`rauc info` verifies a verity bundle's signature; its payload only when it is mounted ("Bundle Formats"): `veritysetup` below."""
WEAK = {"weak"}
"""OpenSSL verifies SHA-1 signatures still; here they are weak_algorithm."""


@pytest.mark.parametrize(
    "case", [case for case in cases("rauc") if "signatures" not in case.values], ids=lambda case: case.id
)
def test_rauc_agrees(case: Case, tmp_path: Path) -> None:
    """`rauc info` accepts exactly the bundles that pass, but for what it does not look at there."""
    anchors = case.paths("anchors") or (case.folder / "other.pem",)
    keyring = tmp_path / "keyring.pem"
    keyring.write_bytes(b"".join(path.read_bytes() for path in anchors))
    configuration = tmp_path / "system.conf"
    configuration.write_text(
        f"[system]\ncompatible=Fixture Device\nbootloader=noop\n[keyring]\npath={keyring}\ncheck-purpose=codesign\n"
    )
    done = subprocess.run(["rauc", f"--conf={configuration}", "info", case.file], capture_output=True, check=False)
    lenient = case.values["name"] in NO_CRL | PAYLOAD_ONLY_WHEN_MOUNTED | WEAK
    name = case.values["name"]
    if name == "crypt":
        return
    assert (done.returncode == 0) is (case.values["outcome"] == "passed" or lenient), (done.stdout, done.stderr)


def test_the_tree_is_that_of_veritysetup(tmp_path: Path) -> None:
    """`veritysetup format` finds the same root and writes the same levels over 300 blocks."""
    data = bytes(range(251)) * 4896
    data = data[: 300 * 4096]
    image, tree_file = tmp_path / "data", tmp_path / "tree"
    image.write_bytes(data)
    salt = bytes(range(32))
    done = subprocess.run(
        ["veritysetup", "format", "--no-superblock", f"--salt={salt.hex()}", image, tree_file],
        capture_output=True,
        check=True,
    )
    root = next(line.split()[-1] for line in done.stdout.decode().splitlines() if line.startswith("Root hash"))
    tree = HashTree(salt, 300)
    tree.update(data)
    assert tree.root().hex() == root
    assert tree_file.stat().st_size == tree.size
