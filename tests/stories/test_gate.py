"""``rootwarden gate``: the command runs on the bytes that were checked, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.stories import demo
from tests.stories.installation import Installation
from tests.stories.test_story import approve, proposed

ROOT = os.geteuid() == 0


@pytest.fixture
def place() -> Iterator[Installation]:
    """An installation whose configuration is root's alone, where the tests are run by root."""
    base = Path(tempfile.mkdtemp(prefix="rw-", dir="/opt" if ROOT else None))
    base.chmod(0o755)
    made = Installation(base / "p", vendors={"dten": demo.vendor_file("dten", "DTEN")})
    made.configure()
    yield made
    made.stop()
    shutil.rmtree(base, ignore_errors=True)


def upgrade(place: Installation, pki: VendorPKI) -> Path:
    """A signed package outside the watched folder."""
    path = place.folder / "upgrade.zip"
    path.write_bytes(vendor_bundle(pki, {"firmware.bin": b"firmware"}))
    return path


def gate(place: Installation, package: Path, *command: str, expected: int) -> str:
    """What the command printed; a tester who is not root is refused in every case: the configuration is not root's."""
    done = place.run("gate", "--vendor", "dten", str(package), "--", *command)
    assert done.returncode == (expected if ROOT else 2), done.stderr
    return done.stdout + done.stderr if ROOT else ""


def test_nothing_runs_before_the_package_passes(place: Installation, pki: VendorPKI) -> None:
    """Unknown root: exit 3 and no command; approved: the command gets a copy of these bytes, and its exit code is the gate's."""
    anchor = proposed(place, pki, place.proposer)
    package = upgrade(place, pki)
    ran = place.folder / "ran"
    gate(place, package, "sh", "-c", f"touch {ran}; sha256sum $0", "{}", expected=3)
    assert not ran.exists()
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    said = gate(place, package, "sh", "-c", f"touch {ran}; cmp $0 {package} && echo same $0", "{}", expected=0)
    assert ran.exists() is ROOT
    assert ("same /var/tmp/rootwarden-gate-" in said) is ROOT
    gate(place, package, "sh", "-c", "exit 7", "{}", expected=7)
    gate(place, package, "sh", "-c", "kill -9 $$", "{}", expected=137)
    assert not list(Path("/var/tmp").glob("rootwarden-gate-*"))  # noqa: S108 - where the copies were


def test_a_package_that_changes_after_the_check_is_not_what_is_run(place: Installation, pki: VendorPKI) -> None:
    """The command sees the checked bytes though the original was exchanged while it starts."""
    anchor = proposed(place, pki, place.proposer)
    for person in place.people:
        approve(place, anchor, pki, person, 0)
    package = upgrade(place, pki)
    was = package.stat().st_size
    said = gate(place, package, "sh", "-c", f"echo changed > {package}; stat -c size=%s $0", "{}", expected=0)
    assert (f"size={was}\n" in said) is ROOT
    gate(place, package, "true", "{}", expected=3)


def test_observe_mode_lets_through_with_a_warning(place: Installation, pki: VendorPKI) -> None:
    """mode = "observe", once approved as a weakening, runs the command with a warning, but not on what the team blocked."""
    vendor = place.folder / "vendors.d/dten.toml"
    place.start()
    place.stop()
    vendor.write_text(vendor.read_text() + 'mode = "observe"\n')
    place.start()
    package = upgrade(place, pki)
    gate(place, package, "true", "{}", expected=3)
    for person in place.people:
        place.run("anchor", "approve-policy", "dten", person=person, expected=(0,))
    assert ("warning: let through" in gate(place, package, "true", "{}", expected=0)) is ROOT
    digest = place.command(["sha256sum", str(package)], expected=(0,)).stdout.split()[0]
    place.run("package", "block", digest, "--vendor", "dten", "--reason", "bad", person=place.people[0], expected=(0,))
    gate(place, package, "true", "{}", expected=10)


def test_a_blocked_package_with_more_wrong_is_blocked_all_the_same(place: Installation, pki: VendorPKI) -> None:
    """In observe mode nothing that was smuggled into a blocked package lets it through: the other reason hides no decision."""
    vendor = place.folder / "vendors.d/dten.toml"
    vendor.write_text(vendor.read_text() + 'mode = "observe"\n')
    place.start()
    package = place.folder / "upgrade.zip"
    package.write_bytes(vendor_bundle(pki, {"firmware.bin": b"firmware"}, smuggled={"more": b"x"}))
    assert ("uncovered_content" in gate(place, package, "true", "{}", expected=0)) is ROOT
    digest = place.command(["sha256sum", str(package)], expected=(0,)).stdout.split()[0]
    place.run("package", "block", digest, "--vendor", "dten", "--reason", "bad", person=place.people[0], expected=(0,))
    assert ("uncovered_content" in gate(place, package, "true", "{}", expected=10)) is ROOT


@pytest.mark.parametrize("fault", ["writable", "foreign", "environment", "link", "no hole", "any vendor"])
def test_a_gate_trusts_only_roots_configuration(place: Installation, pki: VendorPKI, fault: str) -> None:
    """A configuration somebody else can write, or named by the environment, ends in 2; so does a command without a place for the file."""
    package, config, vendor, command = upgrade(place, pki), place.config, "dten", ["true", "{}"]
    environment: list[str] = []
    if fault == "writable":
        (place.folder / "vendors.d/dten.toml").chmod(0o666)
    elif fault == "foreign" and ROOT:
        os.chown(place.folder / "vendors.d", 61003, -1)
    elif fault == "link":
        config = place.folder / "linked.toml"
        config.symlink_to(place.config)
    elif fault == "no hole":
        command = ["true"]
    elif fault == "any vendor":
        vendor = "any"
    named = ["--config", str(config)]
    if fault == "environment":
        environment, named = ["env", f"ROOTWARDEN_CONFIG={config}"], []
    place.command(
        [*environment, "rootwarden", *named, "gate", "--vendor", vendor, str(package), "--", *command], expected=(2,)
    )
