"""The `rootwarden anchor` and `rootwarden audit` commands: what they print and how they end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pysequoia
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.cli import main
from tests.trust_store.store_setup import AT, PHONE, certificate, fingerprint, open_store, propose
from trust_store import checkpoints, query

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
Run = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command against a configured store; gives exit code, standard output and standard error."""
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "vendors.d" / "dten.toml").write_text(VENDOR)
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


@pytest.fixture
def pending(run: Any, tmp_path: Path) -> str:  # noqa: ARG001 - the store must be there
    """Id of a pending anchor."""
    with closing(query.connect(tmp_path / "rootwarden.db")) as connection:
        return propose(connection, at=datetime.now(UTC))


def approve(anchor_id: str, read: str) -> tuple[str, ...]:
    """The approve command as documented."""
    return (
        "anchor", "approve", anchor_id, "--fingerprint-read", read, "--spoke-with", "Ada", "--called", PHONE, "--ticket", "T",
    )  # fmt: skip


def hexadecimal(text: str) -> str:
    """All hex digits of a text in one run."""
    return re.sub("[^0-9a-f]", "", text.lower())


def test_a_pending_key_is_shown_without_its_fingerprint(run: Any, pending: str, tmp_path: Path) -> None:
    """List, show and audit withhold every identifier of a key that awaits decision, in JSON as well."""
    with closing(query.connect(tmp_path / "rootwarden.db")) as connection:
        found = query.anchor(connection, pending)
    assert found is not None
    parts = {i.value[:8] for i in found.identifiers if i.kind.value != "subject"}
    for arguments in (("list",), ("list", "--json"), ("show", pending), ("show", pending, "--json")):
        code, out, _ = run("anchor", *arguments)
        assert (code, pending in out, "New root" in out) == (0, True, True)
        assert [p for p in parts if p in hexadecimal(out)] == []
    assert "withheld until decided" in run("anchor", "show", pending)[1]
    shown = json.loads(run("anchor", "show", pending, "--json")[1])
    assert (shown["key_sha256"], shown["identifiers"], shown["signer_rule"]["dedicated"]) == (None, None, True)


def test_an_approved_key_is_shown_whole(run: Any, pending: str) -> None:
    """After the decision the fingerprint is public to the team, and the same approval again is refused with exit 2."""
    code, out, _ = run(*approve(pending, fingerprint()))
    assert (code, out) == (0, f"{pending} is valid\n")
    shown = json.loads(run("anchor", "show", pending, "--json")[1])
    assert (shown["state"], shown["key_sha256"]) == ("valid", hashlib.sha256(certificate("New root")).hexdigest())
    assert shown["identifiers"]["sha256"] == [shown["key_sha256"]]
    assert shown["key_sha256"] in run("anchor", "show", pending)[1]
    code, _, err = run(*approve(pending, fingerprint()))
    assert (code, "is approved already" in err) == (2, True)


def test_a_wrong_reading_ends_in_2_and_stays_on_record(run: Any, pending: str) -> None:
    """A mismatch is one line on standard error, exit 2, an audit entry, and the anchor is still pending."""
    code, out, err = run(*approve(pending, "00" * 32))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "anchor.fingerprint_mismatch" in run("audit", "show")[1]
    assert json.loads(run("anchor", "list", "--state", "pending", "--json")[1])[0]["id"] == pending


def test_decisions_by_command(run: Any, pending: str) -> None:
    """Constrain, reject, and the withdrawals end in 0 and say what came of it; an unknown anchor ends in 2."""
    assert run("anchor", "constrain", pending, "--signer-subject", "O=Example", "--no-follow-rotation")[0] == 0
    code, out, _ = run("anchor", "reject", pending, "--because", "unconfirmed", "--json")
    assert (code, json.loads(out)["state"]) == (0, "rejected")
    for command in (
        ("reject", "anchor_x", "--because", "disowned"),
        ("distrust", "anchor_x", "--reason", "r"),
        ("revoke", "anchor_x", "--effective-from", "2026-01-01T00:00:00Z"),
        ("supersede", "anchor_x", "--successor", "anchor_y"),
        ("remove", "anchor_x"),
        ("show", "anchor_x"),
        ("approve-policy", "dten"),
        ("reject", "anchor_x"),
    ):
        assert run("anchor", *command)[0] == 2


def test_import_proposes_and_buries(run: Any, tmp_path: Path) -> None:
    """A PEM file becomes pending anchors; with --distrust tombstones; what holds no key, or is too large, ends in 2."""
    pem = b"".join(
        x509.load_der_x509_certificate(certificate(n)).public_bytes(Encoding.PEM) for n in ("New root", "Second root")
    )
    (tmp_path / "roots.pem").write_bytes(pem)
    (tmp_path / "root.der").write_bytes(certificate("New root"))
    (tmp_path / "none.txt").write_bytes(b"nothing here")
    (tmp_path / "large.pem").write_bytes(b" " * 600_000)
    code, out, _ = run("anchor", "import", str(tmp_path / "roots.pem"), "--vendor", "dten", "--json")
    assert (code, json.loads(out)["outcome"], len(json.loads(out)["anchors"])) == (0, "proposed", 2)
    code, out, _ = run("anchor", "import", str(tmp_path / "root.der"), "--vendor", "dten", "--distrust")
    assert (code, out.splitlines()[0]) == (0, "1 key(s) distrusted")
    listed = json.loads(run("anchor", "list", "--vendor", "dten", "--json")[1])
    assert sorted(a["state"] for a in listed) == ["distrusted", "pending"]
    assert all(not any(a["signer_rule"].values()) for a in listed)
    for file, vendor in (("none.txt", "dten"), ("large.pem", "dten"), ("missing", "dten"), ("roots.pem", "nobody")):
        assert run("anchor", "import", str(tmp_path / file), "--vendor", vendor)[0] == 2


def test_audit_verify_names_the_bad_row(run: Any, pending: str, tmp_path: Path) -> None:
    """An intact log ends in 0; one edited cell, and the command ends in 4 naming the row; so does every reading command."""
    code, out, _ = run("audit", "verify")
    assert (code, out.startswith("audit log intact: 1 entries")) == (0, True)
    code, out, _ = run("audit", "verify", "--json")
    assert (code, json.loads(out)["entries"], json.loads(out)["checkpoint"]) == (0, 1, None)
    with closing(sqlite3.connect(tmp_path / "rootwarden.db")) as connection:
        connection.execute("DROP TRIGGER anchor_version_no_update")
        connection.execute("UPDATE anchor_version SET state = 'valid'")
        connection.commit()
    code, _, err = run("audit", "verify")
    assert (code, pending in err) == (4, True)
    for command in (("list",), ("show", pending), ("reject", pending, "--because", "disowned")):
        assert run("anchor", *command)[0] == 4


def test_a_store_older_than_its_checkpoint_ends_in_4(run: Any, pending: str, tmp_path: Path) -> None:
    """The outside checkpoint is asked by `audit verify` too."""
    with closing(query.connect(tmp_path / "rootwarden.db")) as connection:
        kept = checkpoints.checkpoint(connection, AT)
    assert kept is not None
    newer = replace(kept, head=replace(kept.head, seq=9))
    checkpoints.write_checkpoint(tmp_path / checkpoints.CHECKPOINT_NAME, newer)
    assert run("audit", "verify")[0] == 4
    assert run("anchor", "show", pending)[0] == 4


def test_audit_show_pages(run: Any, pending: str) -> None:
    """Entries come oldest first, as JSON lines, from where one asks."""
    run("anchor", "reject", pending, "--because", "unconfirmed")
    lines = run("audit", "show", "--json")[1].splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["anchor.proposed", "anchor.rejected"]
    assert json.loads(run("audit", "show", "--after", "1", "--json")[1])["actor"] == "ann"
    assert json.loads(run("audit", "show", "--limit", "1", "--json")[1])["seq"] == 2


def test_an_empty_list_says_what_to_do(run: Any) -> None:
    """No anchors is no error, and the hint goes to standard error."""
    code, out, err = run("anchor", "list")
    assert (code, out, "anchor import" in err) == (0, "", True)


@pytest.mark.parametrize(
    "command",
    [
        ("anchor",),
        *(("anchor", c) for c in ("list", "show", "approve", "reject", "constrain", "distrust", "revoke", "import")),
        *(("anchor", c) for c in ("supersede", "remove", "approve-policy")),
        ("audit",),
        ("audit", "verify"),
        ("audit", "show"),
    ],
)
def test_every_command_has_examples(run: Any, command: tuple[str, ...]) -> None:
    """--help shows how the command is used."""
    code, out, _ = run(*command, "--help")
    assert (code, "Examples:" in out, f"rootwarden {' '.join(command)}" in out) == (0, True, True)


def test_an_openpgp_key_is_imported_and_approved_by_its_fingerprint(run: Any, tmp_path: Path) -> None:
    """A real OpenPGP key file, binary, becomes a pending anchor that its whole primary fingerprint approves."""
    made = pysequoia.Tsk.generate(user_id="Vendor <v@dten.example>").extract_certificate()
    (tmp_path / "key.pgp").write_bytes(bytes(made))
    code, out, _ = run("anchor", "import", str(tmp_path / "key.pgp"), "--vendor", "dten", "--json")
    assert code == 0
    (anchor_id,) = json.loads(out)["anchors"]
    assert made.fingerprint[:8] not in run("anchor", "show", anchor_id, "--json")[1]
    assert run(*approve(anchor_id, made.fingerprint.upper()))[0] == 0
    assert json.loads(run("anchor", "show", anchor_id, "--json")[1])["identifiers"]["openpgp"] == [made.fingerprint]


def test_import_refuses_what_only_looks_like_a_key(run: Any, tmp_path: Path) -> None:
    """Armor and PEM around nothing end in 2."""
    for text in (
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
    ):
        (tmp_path / "bad").write_text(text)
        assert run("anchor", "import", str(tmp_path / "bad"), "--vendor", "dten")[0] == 2


@pytest.mark.parametrize(("before", "told"), [("sha256 Fingerprint=", True), ("", False)])
def test_what_stands_before_a_fingerprint_does_not_belong_into_it(
    run: Any, pending: str, before: str, told: object
) -> None:
    """Typing openssl's whole line is refused like any incomplete reading, and told why; a part of the digits alone is not."""
    typed = before + (fingerprint() if before else fingerprint()[:40])
    code, _, err = run(*approve(pending, typed))
    assert (code, "were typed" in err) == (2, True)
    assert ("only the digits belong into --fingerprint-read" in err) is told


@pytest.mark.parametrize(
    "command",
    [
        ("anchor", "approve-policy", "dtne"),
        ("package", "block", "ab" * 32, "--vendor", "dtne", "--reason", "x"),
        ("anchor", "import", "FILE", "--vendor", "dtne"),
    ],
)
def test_a_vendor_typed_wrong_gets_the_nearest(run: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Every decision about a vendor names the one that was probably meant."""
    (tmp_path / "root.der").write_bytes(certificate("New root"))
    code, _, err = run(*(str(tmp_path / "root.der") if word == "FILE" else word for word in command))
    assert (code, "vendor 'dtne' is not configured (did you mean 'dten'?)" in err) == (2, True)
