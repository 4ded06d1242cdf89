"""``check`` as people run it: cold, by way of the daemon, and of a large package. Whole processes, with compiled modules."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from benchmarks.measuring import Row, least_ratio, ratio
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store.package_craft import Signer
from trust_store import query_client
from trust_store.errors import DaemonUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
ROUNDS = 41
LARGE_ROUNDS = 3
LARGE_BYTES = 4 * 1024**3
VENDORS = 40
START_SECONDS = 60.0
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")}
"""As an installed program runs: with compiled modules."""
_BASELINE = [sys.executable, "-c", "import cryptography.x509"]
_INDETERMINATE = 3


def rows(folder: Path) -> list[Row]:
    """Everything about one store with 40 vendors and two packages."""
    pki = VendorPKI.generate("ACME", datetime.now(UTC))
    package = folder / "small.zip"
    package.write_bytes(vendor_bundle(pki, {"firmware.bin": b"x" * 4096}))
    rootwarden = _configured(folder)
    check = [*rootwarden, "check", "--json", "--vendor", "v1", str(package)]
    cold = _against_import(check)
    with _daemon(folder, rootwarden, package):
        asked = _against_import(check)
    anchor = folder / "root.pem"
    anchor.write_text(pki.root_pem)
    time_ratio, memory = _large_package(folder, anchor)
    return [
        Row("cold check of a small package / import of cryptography.x509 (wall)", cold, 3.0),
        Row("check answered by the daemon / import of cryptography.x509 (wall)", asked, 2.0),
        Row("check of a 4 GiB Android OTA zip / hashlib SHA-256 of it (wall)", time_ratio, 1.25),
        Row("memory added by a 4 GiB Android OTA zip (MiB)", memory, 64.0),
    ]


def run(command: list[str], expected: int = 0) -> None:
    """Run ``command`` as an installed program; its exit code must be ``expected``."""
    code = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT).returncode
    if code != expected:
        raise SystemExit(f"{command} ended with {code}")


def _against_import(check: list[str]) -> float:
    return ratio(lambda: run(check, _INDETERMINATE), lambda: run(_BASELINE), rounds=ROUNDS)


def _configured(folder: Path) -> list[str]:
    """A store with many vendors; gives the command that uses it."""
    config = folder / "rootwarden.toml"
    config.write_text(
        '[store]\ndirectory = "state"\n[intake]\ndirectory = "incoming"\nsettle_seconds = 0.1\n'
        '[control]\nsocket = "control.sock"\n[api]\nsocket = "api.sock"\n'
    )
    (folder / "vendors.d").mkdir()
    for number in range(VENDORS):
        (folder / f"vendors.d/v{number}.toml").write_text(f'[vendor]\nid = "v{number}"\nname = "Vendor {number}"\n')
    rootwarden = [str(BIN / "rootwarden"), "--config", str(config)]
    run([*rootwarden, "init"])
    return rootwarden


@contextmanager
def _daemon(folder: Path, rootwarden: list[str], package: Path) -> Iterator[None]:
    """A daemon that knows ``package``; ended afterwards."""
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen([*rootwarden, "run"], stdout=log, stderr=log, env=ENVIRONMENT)
    try:
        dropped = folder / "incoming/v1" / package.name
        dropped.parent.mkdir(parents=True, exist_ok=True)
        dropped.write_bytes(package.read_bytes())
        end = time.monotonic() + START_SECONDS
        while not _known(folder, package):
            if daemon.poll() is not None or time.monotonic() > end:
                raise SystemExit((folder / "daemon.log").read_text())
            time.sleep(0.1)
        yield
    finally:
        daemon.terminate()
        daemon.wait()


def _known(folder: Path, package: Path) -> bool:
    """Whether the daemon answers for the package."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    try:
        answer = query_client.get(
            folder / "api.sock", f"/v1/packages/{digest}", {"vendor": "v1", "exact": "true"},
            database=folder / "state/rootwarden.db", timeout=10.0,
        )  # fmt: skip
    except DaemonUnavailableError:
        return False
    return answer.status == 200


def _large_package(folder: Path, anchor: Path) -> tuple[float, float]:
    """A 4 GiB Android OTA package: time relative to hashlib's SHA-256, and MiB of memory added to a small check."""
    package = folder / "large.zip"
    with (
        zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as archive,
        archive.open("firmware.bin", "w", force_zip64=True) as member,
    ):
        for _ in range(LARGE_BYTES // 2**20):
            member.write(b"\xa5" * 2**20)
    _sign_as_ota(package, folder)
    command = [str(BIN / "rootwarden"), "check", "--only-anchors", "--anchors", str(anchor)]
    small_memory = _memory([*command, str(folder / "small.zip")])
    memory = _memory([*command, str(package)])

    def digest() -> None:
        with package.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")

    shortest = least_ratio(lambda: run([*command, str(package)], _INDETERMINATE), digest, rounds=LARGE_ROUNDS)
    return shortest, memory - small_memory


def _sign_as_ota(package: Path, folder: Path) -> None:
    """Append what SignApk -w writes (``otautil/verifier.cpp``): PKCS #7 in the comment, over all before the comment's length."""
    signer = Signer.make(folder, "ota", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    with package.open("r+b") as stream:
        size = stream.seek(-2, os.SEEK_END)
        stream.truncate()
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").digest()
        key = load_pem_private_key(signer.key.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - made above
        value = key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        # the value is the last thing in the message, and of the same length whatever it is over
        block = signer.cms(b"anything", "-noattr", "-md", "sha256")[: -len(value)] + value
        comment = b"signed by SignApk\0" + block
        comment += struct.pack("<HHH", len(block) + 6, 0xFFFF, len(comment) + 6)
        stream.seek(size)
        stream.write(struct.pack("<H", len(comment)) + comment)


def _memory(command: list[str]) -> float:
    """Peak resident MiB of ``command`` and of its children."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return (
        int(subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True).stdout)
        / 1024
    )
