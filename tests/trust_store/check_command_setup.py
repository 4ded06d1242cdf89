"""What the tests of `rootwarden check` and `rootwarden package` share: signed files in a folder, a store, and the command run on them."""

from __future__ import annotations

import io
import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.cli import main
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store.store_setup import DEDICATED, PHONE, open_store, proposal_of, randomness
from tests.trust_store.verdict_craft import CONTENT, der
from trust_store import anchor_management
from trust_store.decisions import perform
from trust_store.settings import load_trust_settings

TOP_KEYS = {
    "schema", "package", "format", "vendor", "outcome", "reason", "also", "summary", "checked_at", "validation_time",
    "valid_until", "basis", "signatures", "coverage", "members", "evidence", "evidence_available", "needs_file", "advice",
}  # fmt: skip


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys."""
    return VendorPKI.generate("DTEN", datetime.now(UTC))


@pytest.fixture
def here(tmp_path: Path, pki: VendorPKI, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a signed file, a bundle, the root, and a configuration without a store."""
    (tmp_path / "firmware.bin").write_bytes(CONTENT)
    (tmp_path / "firmware.bin.p7s").write_bytes(pki.sign(CONTENT))
    (tmp_path / "bundle.zip").write_bytes(vendor_bundle(pki, {"a.bin": CONTENT}))
    (tmp_path / "smuggled.zip").write_bytes(vendor_bundle(pki, {"a.bin": CONTENT}, smuggled={"evil.sh": b"rm"}))
    (tmp_path / "root.pem").write_text(pki.root_pem)
    (tmp_path / "vendors.d").mkdir()
    for vendor, patterns in (("dten", '["*upgrade*", "firm*"]'), ("acme", "[]")):
        (tmp_path / "vendors.d" / f"{vendor}.toml").write_text(
            f'[vendor]\nid = "{vendor}"\nname = "{vendor}"\n[vendor.policy]\napprovals = 1\n'
            f'[vendor.packages]\npatterns = {patterns}\n[[vendor.contact]]\nname = "desk"\nphone = "{PHONE}"\n'
        )
    (tmp_path / "rootwarden.toml").write_text(f'[store]\ndirectory = "{tmp_path}"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; gives exit code, standard output and standard error."""

    def go(*arguments: str, stdin: bytes | None = None, config: str = "rootwarden.toml") -> tuple[int, str, str]:
        before, sys.stdin = sys.stdin, SimpleNamespace(buffer=io.BytesIO(stdin or b""))  # type: ignore[assignment]
        try:
            with pytest.raises(SystemExit) as stopped:
                main(["--config", str(here / config), *arguments])
        finally:
            sys.stdin = before
        told = capsys.readouterr()
        return int(stopped.value.code or 0), told.out, told.err

    return go


@pytest.fixture
def store(here: Path, pki: VendorPKI) -> Path:
    """A store in which the vendor's root is a valid anchor."""
    decide_root(here, pki)
    return here


def decide_root(folder: Path, pki: VendorPKI, command: str = "anchor.approve", **arguments: Any) -> None:
    """One person's decision about the vendor's root, proposed to the store in ``folder``; an approval unless told otherwise."""
    settings = load_trust_settings(folder / "rootwarden.toml")
    at = datetime.now(UTC)
    with closing(open_store(folder)) as connection:
        identity = anchor_management.propose(
            connection, proposal_of(der(pki.root)), signer_rule=DEDICATED, at=at, randomness=randomness
        )
        call = {"spoke_with": "Ada", "called": PHONE, "ticket": "T-1"}
        if command == "anchor.approve":
            arguments = {"fingerprint_read": pki.root_sha256}
        perform(
            connection, command, {"anchor": identity, **call, **arguments}, identity="ann", vendors=settings.vendors,
            at=at, randomness=randomness,
        )  # fmt: skip


def only(output: str) -> dict[str, Any]:
    """The one answer that was printed."""
    (line,) = output.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer
