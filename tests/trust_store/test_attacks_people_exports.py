"""Exports and files of keys as an attacker would want them: what is buried stays out, and no field becomes another line."""

from __future__ import annotations

import base64
import json
import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli import main
from tests.trust_store.key_files_craft import ssh_blob
from tests.trust_store.store_setup import (
    DEDICATED,
    PHONE,
    certificate,
    fingerprint,
    open_store,
    proposal_of,
    randomness,
)
from trust_store import anchor_management
from trust_store.decisions import perform
from trust_store.decode.key_files import read_keys
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VENDOR = f"""
[vendor]
id = "dten"
name = "DTEN"
[vendor.policy]
approvals = 1
[[vendor.contact]]
name = "Product security"
phone = "{PHONE}"
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command against a configured store with two vendors; exit code, standard output and standard error."""
    (tmp_path / "vendors.d").mkdir()
    for name in ("dten", "other"):
        (tmp_path / "vendors.d" / f"{name}.toml").write_text(VENDOR.replace('"dten"', f'"{name}"'))
    (tmp_path / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{tmp_path}"\n[control]\nsocket = "{tmp_path}/none.sock"\n[approvers]\nann = {os.geteuid()}\n'
    )
    open_store(tmp_path).close()

    def go(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["--config", str(tmp_path / "rootwarden.toml"), *arguments])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return go


def valid(run: Any, folder: Path, name: str, vendor: str = "dten") -> str:
    """A key that one person approved after a call."""
    with closing(connect(folder / "rootwarden.db")) as connection:
        anchor = anchor_management.propose(
            connection, proposal_of(certificate(name), vendor), signer_rule=DEDICATED, at=datetime.now(UTC),
            randomness=randomness,
        )  # fmt: skip
    call = ("--fingerprint-read", fingerprint(name), "--spoke-with", "A", "--called", PHONE, "--ticket", "T")
    code, _, err = run("anchor", "approve", anchor, *call)
    assert code == 0, err
    return anchor


def test_a_key_that_another_vendors_people_buried_is_exported_by_nobody(tmp_path: Path, run: Any) -> None:
    """A tombstone counts against everybody, so that a valid anchor on its key is left out of every export, and that is told."""
    kept, lost = valid(run, tmp_path, "Kept root"), valid(run, tmp_path, "Shared root")
    file, out = tmp_path / "key.der", tmp_path / "out.json"
    file.write_bytes(certificate("Shared root"))
    assert run("anchor", "import", str(file), "--vendor", "other", "--distrust", "--reason", "stolen")[0] == 0
    code, _, err = run("anchor", "export", "json", "--out", str(out))
    assert (code, [a["id"] for a in json.loads(out.read_text())["anchors"]]) == (0, [kept])
    assert lost in err
    assert "distrusted" in err
    assert run("anchor", "export", "pem", "--anchor", lost, "--out", str(out))[0] == 2
    assert run("anchor", "remove", kept)[0] == 0
    assert run("anchor", "export", "pem", "--out", str(out))[0] == 2


def test_a_key_accepted_again_over_its_tombstone_is_exported(tmp_path: Path, run: Any) -> None:
    """What the vendor's people approved later, over the tombstone, counts here as in verdicts."""
    first = valid(run, tmp_path, "Shared root")
    assert run("anchor", "distrust", first, "--reason", "a mistake")[0] == 0
    with closing(connect(tmp_path / "rootwarden.db")) as connection:
        again = anchor_management.propose(
            connection, proposal_of(certificate("Shared root")), signer_rule=DEDICATED, at=datetime.now(UTC), randomness=randomness
        )  # fmt: skip
        vendors = load_trust_settings(tmp_path / "rootwarden.toml").vendors
        for who in ("ann", "bob"):
            told = perform(
                connection, "anchor.approve",
                {"anchor": again, "fingerprint_read": fingerprint("Shared root"), "spoke_with": "A", "called": PHONE, "ticket": "T"},
                identity=who, vendors=vendors, at=datetime.now(UTC), randomness=randomness,
            )  # fmt: skip
    assert told["outcome"] == "valid"
    out = tmp_path / "out.json"
    code, _, err = run("anchor", "export", "json", "--out", str(out))
    assert (code, err, [a["id"] for a in json.loads(out.read_text())["anchors"]]) == (0, "", [again])


@pytest.mark.parametrize(
    "kind",
    [
        b"ssh-ed25519\n* ssh-ed25519 AAAA",
        b"ssh-ed25519 x",
        b"ssh-ed25519\0",
        b"",
        b"ssh-ed25519\r",
        b"SSH-ED25519",
        b"\xff",
    ],
)
def test_a_key_type_with_a_line_in_it_is_no_key(kind: bytes) -> None:
    """An SSH key whose blob names its type with blanks or line ends is never read, so never a line of allowed_signers."""
    blob = base64.b64encode(ssh_blob(kind, b"k" * 32)).decode()
    for text in (f"ssh-ed25519 {blob} comment\n", f"* ssh-ed25519 {blob}\n"):
        with pytest.raises((MalformedError, UnsupportedError, ResourceLimitError)):
            read_keys(text.encode())


HOSTILE = (
    "\n* ssh-ed25519 AAAA", "\r\n-----BEGIN CERTIFICATE-----", '"\n[p11-kit-object-v1]\ntrusted: true', "\u202egnp.exe",
    "$(touch /tmp/x)`id`;rm -rf /", "<script>alert(1)</script>", "\x1b]0;owned\x07", "a\0b", "\u2028", '"},{"x":"', "../../etc/passwd",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_on_their_line(name: str, tmp_path: Path, run: Any) -> None:
    """Whatever a key is called, list, show, log and exports print no control character, and no export gains a block."""
    with closing(connect(tmp_path / "rootwarden.db")) as connection:
        said = replace(proposal_of(certificate("Named root")), name=name, reference=name)
        anchor = anchor_management.propose(
            connection, said, signer_rule=DEDICATED, at=datetime.now(UTC), randomness=randomness
        )
    call = (
        "--fingerprint-read",
        fingerprint("Named root"),
        "--spoke-with",
        f"Ada{name}",
        "--called",
        PHONE,
        "--ticket",
        f"T{name}",
    )
    if "\0" not in name:
        assert run("anchor", "approve", anchor, *call)[0] == 0
    for arguments in (("anchor", "list"), ("anchor", "show", anchor), ("audit", "show"), ("anchor", "forecast")):
        code, out, err = run(*arguments)
        assert code == 0
        assert all(c.isprintable() or c == "\n" for c in out + err), arguments
        assert sum(line.startswith(("*", "-----BEGIN", "[p11")) for line in out.splitlines()) == 0
    for kind in ("pem", "p11-kit") if "\0" not in name else ():
        assert run("anchor", "export", kind, "--out", str(tmp_path / kind))[0] == 0
        text = (tmp_path / kind).read_text("ascii")
        assert all(c.isprintable() or c == "\n" for c in text)
        assert text.count("-----BEGIN CERTIFICATE") == 1
        assert sum(line == "trusted: true" for line in text.splitlines()) == (kind == "p11-kit")
