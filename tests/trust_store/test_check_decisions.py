"""What ``rootwarden check`` makes of digest decisions and of what this program has seen before, on a real store."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli import main
from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import read
from tests.trust_store.store_setup import PHONE, open_store, randomness
from tests.trust_store.verdict_craft import CONTENT, beside
from trust_store.decisions import perform
from trust_store.model.package_facts import SignatureOrigin
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import transaction
from trust_store.storage.facts import save_facts
from trust_store.storage.first_seen import first_seen

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., tuple[int, dict[str, Any]]]

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys; nobody trusts them here."""
    return VendorPKI.generate("DTEN", datetime.now(UTC))


@pytest.fixture
def here(tmp_path: Path, pki: VendorPKI, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a signed file, a configuration for one vendor and an empty store."""
    (tmp_path / "firmware.bin").write_bytes(CONTENT)
    (tmp_path / "firmware.bin.p7s").write_bytes(pki.sign(CONTENT))
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "vendors.d" / "dten.toml").write_text(
        '[vendor]\nid = "dten"\nname = "dten"\n[vendor.policy]\napprovals = 1\n'
        f'[[vendor.contact]]\nname = "desk"\nphone = "{PHONE}"\n'
    )
    (tmp_path / "rootwarden.toml").write_text(f'[store]\ndirectory = "{tmp_path}"\n')
    open_store(tmp_path).close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Ask about the file; gives exit code and verdict. With ``stdin`` it is a batch of one line."""

    def go(*arguments: str, stdin: bytes | None = None) -> tuple[int, dict[str, Any]]:
        before, sys.stdin = sys.stdin, SimpleNamespace(buffer=io.BytesIO(stdin or b""))
        paths = () if stdin is not None else ("firmware.bin",)
        try:
            with pytest.raises(SystemExit) as stopped:
                main(["--config", str(here / "rootwarden.toml"), "check", "--json", *arguments, *paths])
        finally:
            sys.stdin = before
        return int(stopped.value.code or 0), json.loads(capsys.readouterr().out)

    return go


def _decide(here: Path, command: str, **arguments: Any) -> None:
    settings = load_trust_settings(here / "rootwarden.toml")
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    values = {"package": sha256, "vendor": "dten", "reason": "SEC-78", **arguments}
    with closing(open_store(here)) as connection:
        perform(
            connection, command, values, identity="ann", vendors=settings.vendors, at=datetime.now(UTC), randomness=randomness
        )  # fmt: skip


def _told(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, str]:
    code, verdict = answer
    return code, verdict["reason"], verdict["basis"]["trust"]


def test_an_allowed_package_passes_and_an_anchor_may_be_required(here: Path, check: Run) -> None:
    """A decision lets the package of an unknown root pass; --require-anchor refuses it, in a batch as well."""
    stated = ("--vendor", "dten")
    assert _told(check(*stated)) == (3, "unknown_root", "store")
    _decide(here, "package.allow", until=f"{datetime.now(UTC) + 7 * DAY:%Y-%m-%d}")
    assert _told(check(*stated)) == (0, "trusted", "digest_decision")
    assert _told(check()) == (3, "unknown_root", "store")
    assert _told(check("--vendor", "any")) == (3, "unknown_root", "store")
    assert _told(check(*stated, "--require-anchor")) == (3, "unknown_root", "store")
    assert _told(check(*stated, "--only-anchors"))[:2] == (3, "unknown_root")
    assert _told(check(*stated, "--certificate-identity", "x"))[:2] == (3, "unknown_root")
    line: dict[str, Any] = {"id": 1, "path": "firmware.bin", "vendor": "dten"}
    for demand, options, code in (
        ({}, (), 0),
        ({"require_anchor": False}, (), 0),
        ({"require_anchor": True}, (), 3),
        ({}, ("--require-anchor",), 3),
        ({"require_anchor": False}, ("--require-anchor",), 3),
    ):
        asked = json.dumps(line | demand).encode() + b"\n"
        assert check("--batch", *options, stdin=asked)[0] == code
    code, answer = check("--batch", stdin=json.dumps(line | {"require_anchor": "no"}).encode() + b"\n")
    assert (code, answer["outcome"]) == (4, "error")


def test_a_blocked_package_fails_whoever_signed_it(here: Path, check: Run, pki: VendorPKI) -> None:
    """A block counts beside a supplied anchor too; only leaving the store out leaves it out."""
    (here / "root.pem").write_text(pki.root_pem)
    supplied = ("--vendor", "dten", "--anchors", "root.pem")
    assert _told(check(*supplied)) == (0, "trusted", "store+supplied")
    _decide(here, "package.block")
    assert _told(check(*supplied)) == (10, "withdrawn", "store+supplied")
    assert _told(check(*supplied, "--only-anchors")) == (0, "trusted", "supplied")


def test_since_when_a_package_is_known_with_its_signatures(here: Path, pki: VendorPKI) -> None:
    """The digest alone says nothing about a signature beside it: both must have been seen."""
    at = datetime(2026, 5, 1, tzinfo=UTC)
    unsigned, signed = read(CONTENT), read(CONTENT, beside(pki.sign(CONTENT)))
    with closing(open_store(here)) as store:
        assert first_seen(store, unsigned) is None
        for facts, day in ((unsigned, at), (signed, at + DAY), (signed, at + 2 * DAY)):
            with transaction(store):
                save_facts(store, facts, origin="intake", at=day, randomness=randomness)
        assert first_seen(store, unsigned) == at
        assert first_seen(store, signed) == at + DAY
        assert first_seen(store, read(CONTENT, beside(pki.sign(CONTENT)), beside(b"x", name="other.sig"))) is None
        assert first_seen(store, replace(signed, sha256="0" * 64)) is None
        # What is embedded came with the package itself.
        inside = replace(
            signed, signatures=tuple(replace(s, origin=SignatureOrigin.EMBEDDED) for s in signed.signatures)
        )
        assert first_seen(store, inside) == at


def test_a_key_that_expired_since_the_package_was_seen(here: Path, check: Run, pki: VendorPKI) -> None:
    """The stored sighting lets the same files pass after the key's end, and no others."""
    from tests.trust_store.verdict_craft import issue

    now = datetime.now(UTC)
    old = issue(pki, not_before=now - 20 * DAY, not_after=now - DAY)
    (here / "root.pem").write_text(pki.root_pem)
    (here / "firmware.bin.p7s").write_bytes(old.sign(CONTENT))
    asked = ("--vendor", "dten", "--anchors", "root.pem")
    assert _told(check(*asked))[:2] == (3, "expired")
    side = beside((here / "firmware.bin.p7s").read_bytes())
    with closing(open_store(here)) as store, transaction(store):
        save_facts(store, read(CONTENT, side), origin="intake", at=now - 2 * DAY, randomness=randomness)
    assert _told(check(*asked))[:2] == (0, "trusted")
    (here / "firmware.bin.p7s").write_bytes(old.sign(CONTENT))
    assert _told(check(*asked))[:2] == (3, "expired")
