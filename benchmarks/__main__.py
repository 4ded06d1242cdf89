"""Measures what docs/architecture.md promises about speed, side by side in one run: ``make benchmarks``.

Prints one Markdown table: what, measured ratio, limit. Exit 1 where a ratio is over its limit. ``python -m benchmarks check``
(or ``paths``, ``scale``) measures only one part; ``scale`` builds a store of 100,000 keys and 1,000,000 packages first.
"""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import path_validation, store_scale
from benchmarks.measuring import Row, ratio
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = Path(sys.executable).parent
ROUNDS = 15
LARGE_BYTES = 1024**3
VENDORS = 40


ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")}
"""As an installed program runs: with compiled modules."""


def run(command: list[str], expected: int = 0) -> None:
    """Run ``command`` as an installed program; its exit code must be ``expected``."""
    code = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT).returncode
    if code != expected:
        raise SystemExit(f"{command} ended with {code}")


def cold_check(folder: Path) -> float:
    """A small package against an existing store with 40 vendors, relative to importing cryptography.x509."""
    pki = VendorPKI.generate("ACME", datetime.now(UTC))
    package = folder / "small.zip"
    package.write_bytes(vendor_bundle(pki, {"firmware.bin": b"x" * 4096}))
    config = folder / "rootwarden.toml"
    rootwarden = [str(BIN / "rootwarden"), "--config", str(config)]
    config.write_text('[store]\ndirectory = "state"\n[intake]\ndirectory = "incoming"\n')
    (folder / "vendors.d").mkdir()
    for number in range(VENDORS):
        (folder / f"vendors.d/v{number}.toml").write_text(f'[vendor]\nid = "v{number}"\nname = "Vendor {number}"\n')
    subprocess.run([*rootwarden, "init"], check=True, capture_output=True)
    check = [*rootwarden, "check", "--json", "--vendor", "v1", str(package)]
    baseline = [sys.executable, "-c", "import cryptography.x509"]
    return ratio(lambda: run(check, 3), lambda: run(baseline), rounds=ROUNDS)


def large_package(folder: Path) -> tuple[float, float]:
    """A 1 GiB stored zip: time relative to hashlib's SHA-256, and MiB of memory added to a small check."""
    package = folder / "large.zip"
    with (
        zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as archive,
        archive.open("firmware.bin", "w", force_zip64=True) as member,
    ):
        for _ in range(LARGE_BYTES // 2**20):
            member.write(b"\xa5" * 2**20)
    anchor = folder / "root.pem"
    anchor.write_text(VendorPKI.generate("ACME", datetime.now(UTC)).root_pem)
    command = [str(BIN / "rootwarden"), "check", "--only-anchors", "--anchors", str(anchor)]
    small_memory = _memory([*command, str(folder / "small.zip")])
    memory = _memory([*command, str(package)])

    def digest() -> None:
        with package.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")

    return ratio(lambda: run([*command, str(package)], 3), digest, rounds=3), memory - small_memory


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


def packages(folder: Path) -> list[Row]:
    """A check as people run it."""
    cold = cold_check(folder)
    time_ratio, memory = large_package(folder)
    return [
        Row("cold check of a small package / import of cryptography.x509 (wall)", cold, 3.0),
        Row("check of a 1 GiB zip / hashlib SHA-256 of it (wall)", time_ratio, 1.25),
        Row("memory added by a 1 GiB zip (MiB)", memory, 64.0),
    ]


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "check": packages,
    "paths": path_validation.rows,
    "scale": store_scale.rows,
}


def main(names: list[str]) -> int:
    """Run the parts named, or all, and print the table."""
    rows: list[Row] = []
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            rows += PARTS[name](Path(folder))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    print(
        f"commit {commit}, {platform.machine()}, Python {platform.python_version()}, {resource.getpagesize()} byte pages\n"
    )
    print("| what | measured | limit |\n| --- | ---: | ---: |")
    for row in rows:
        print(f"| {row.what} | {row.measured:.2f} | {'' if row.limit is None else f'{row.limit:.2f}'} |")
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
