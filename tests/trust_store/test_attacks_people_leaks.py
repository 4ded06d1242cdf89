"""The fingerprint that a vendor is to read out: nothing shown anywhere tells it while the key awaits decision, or the call would
be circular."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli import main
from tests.trust_store.key_files_craft import minisign_file, npm_list, ssh_line
from tests.trust_store.store_setup import (
    PHONE,
    certificate,
    fingerprint,
    open_store,
    openpgp_proposal,
    proposal_of,
    randomness,
)
from trust_store import anchor_management, query
from trust_store.anchor_rules import disclosed, fingerprint_of
from trust_store.exchange.importing import proposals_in
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trust_store.model.claim import Proposal
    from trust_store.model.trust_anchor import TrustAnchor

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
PGP = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command against a configured store; gives exit code and everything that it printed."""
    (tmp_path / "vendors.d").mkdir()
    for name in ("dten", "other"):
        (tmp_path / "vendors.d" / f"{name}.toml").write_text(VENDOR.replace('"dten"', f'"{name}"'))
    (tmp_path / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{tmp_path}"\n[control]\nsocket = "{tmp_path}/none.sock"\n[approvers]\nann = {os.geteuid()}\n'
    )
    open_store(tmp_path).close()

    def go(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["--config", str(tmp_path / "rootwarden.toml"), *arguments])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out + err

    return go


def proposals() -> list[Proposal]:
    """A key of every kind that a vendor reads out."""
    keys = [proposal_of(certificate("Leaky root")), openpgp_proposal(PGP)]
    npm = json.dumps(npm_list()).encode()
    for data in (minisign_file(), ssh_line(), npm):
        keys += proposals_in(data, "dten", "u")[:1]
    return keys


def put(folder: Path, proposal: Proposal, **changes: Any) -> TrustAnchor:
    """The proposal as a pending anchor."""
    with closing(connect(folder / "rootwarden.db")) as connection:
        name = anchor_management.propose(
            connection, replace(proposal, **changes), at=datetime.now(UTC), randomness=randomness
        )
        found = query.anchor(connection, name)
    assert found is not None
    return found


def readings(anchor: TrustAnchor) -> list[str]:
    """Every form in which the key's fingerprint can be typed."""
    (value,) = fingerprint_of(anchor)
    forms = [value, value.upper(), ":".join(value[i : i + 2] for i in range(0, len(value), 2)), " ".join(value)]
    digest = base64.b64encode(hashlib.sha256(anchor.material).digest()).decode()
    if anchor.kind in (AnchorKind.SSH, AnchorKind.NPM):
        forms += [f"SHA256:{digest}", "SHA256:" + " ".join(digest[i : i + 5] for i in range(0, 44, 5))]
    if anchor.kind is AnchorKind.MINISIGN:
        whole = base64.b64encode(anchor.material).decode()
        forms += [whole, " ".join(whole[i : i + 4] for i in range(0, 56, 4)), "-".join(whole)]
    return forms


def told(anchor: TrustAnchor, text: str) -> list[str]:
    """Eight characters in a row of what identifies the key that a text holds, whatever stands between them."""
    run = re.sub("[^0-9a-f]", "", re.sub(r"(anchor|store|decision|baseline)_[0-9A-Z]{26}", "", text).lower())
    found = [v[i : i + 8] for v in {*fingerprint_of(anchor), anchor.key_sha256} for i in range(len(v) - 7)]
    leaks = [part for part in found if part in run]
    if anchor.kind in (AnchorKind.SSH, AnchorKind.NPM, AnchorKind.MINISIGN):
        run = re.sub("[^A-Za-z0-9+/]", "", text)
        for raw in (anchor.material, hashlib.sha256(anchor.material).digest()):
            value = base64.b64encode(raw).decode()
            leaks += [value[i : i + 8] for i in range(len(value) - 7) if value[i : i + 8] in run]
    return leaks


@pytest.mark.parametrize("proposal", proposals(), ids=lambda p: p.kind.value)
def test_no_name_and_no_reference_spells_the_key(proposal: Proposal, tmp_path: Path, run: Any) -> None:
    """A key's own name and the place it was heard of are withheld in every form in which its fingerprint could be typed."""
    plain = put(tmp_path, proposal)
    for number, form in enumerate(readings(plain)):
        named = replace(plain, name=f"call us: {form} ok")
        assert told(named, disclosed(named, named.name)) == [], form
        spelled = put(
            tmp_path, proposal, vendor_id=f"v{number}", name=f"k {form}", reference=f"https://x.example/{form}"
        )
        for arguments in (("list",), ("list", "--json"), ("show", spelled.id), ("show", spelled.id, "--json")):
            assert told(spelled, run("anchor", *arguments)[1]) == [], (form, arguments)


def test_a_sigstore_identity_is_withheld_however_it_is_spaced() -> None:
    """An identity that the vendor is to name is withheld with other capitals and with blanks in it."""
    from trust_store.decode.sigstore_identity import canonical_identity
    from trust_store.model.trust_anchor import TrustAnchor

    at = datetime.now(UTC)
    material = canonical_identity("https://accounts.example", "release@dten.example")
    anchor = TrustAnchor(
        "anchor_1", "dten", AnchorKind.SIGSTORE_IDENTITY, "", hashlib.sha256(material).hexdigest(), material,
        AnchorState.PENDING, at, at,
    )  # fmt: skip
    for text in ("release@dten.example", "Release@DTEN.example", "release @dten. example"):
        assert "withheld" in disclosed(anchor, f"say {text}")


def test_what_was_decided_earlier_about_the_same_key_gives_nothing_away(tmp_path: Path, run: Any) -> None:
    """A rejected, removed or buried anchor on a key, this vendor's or another's, hides its fingerprint while the key is proposed again."""
    first = put(tmp_path, proposal_of(certificate("Leaky root")))
    assert run("anchor", "reject", first.id, "--because", "unconfirmed")[0] == 0
    assert fingerprint_of(first)[0] in run("anchor", "show", first.id)[1]
    again = put(tmp_path, proposal_of(certificate("Leaky root")))
    other = put(tmp_path, proposal_of(certificate("Leaky root"), "other"))
    assert run("anchor", "distrust", other.id, "--reason", "not theirs")[0] == 0
    assert again.previous == first.id
    for arguments in (
        ("list",), ("list", "--json"), ("list", "--state", "rejected", "--json"), ("list", "--vendor", "other", "--json"),
        ("show", first.id), ("show", first.id, "--json"), ("show", other.id), ("show", other.id, "--json"), ("show", again.id),
        ("lineage", first.id), ("forecast",), ("forecast", "--json"), ("preview", again.id, "--to", "valid"),
    ):  # fmt: skip
        assert told(again, run("anchor", *arguments)[1]) == [], arguments
    assert run("anchor", "reject", again.id, "--because", "unconfirmed")[0] == 0
    assert fingerprint_of(first)[0] in run("anchor", "show", first.id)[1]


def test_what_people_write_beside_a_call_is_not_shown_while_the_key_waits(tmp_path: Path, run: Any) -> None:
    """A ticket or a name that repeats the fingerprint is withheld from the log's readers while another person has to call."""
    anchor = put(tmp_path, proposal_of(certificate("Leaky root")))
    read = fingerprint("Leaky root")
    call = ("--spoke-with", f"Ada: {read}", "--called", PHONE, "--ticket", f"T {read.lower()}")
    for typed in ("00" * 32, read[:23], read.replace(":", "")[:40]):
        assert run("anchor", "approve", anchor.id, "--fingerprint-read", typed, *call)[0] == 2
    for arguments in (("show",), ("show", "--json")):
        code, out = run("audit", *arguments)
        assert (code, "withheld" in out, told(anchor, out)) == (0, True, [])


def test_a_part_of_a_fingerprint_cannot_be_guessed_back_from_the_log(tmp_path: Path, run: Any) -> None:
    """Of a reading that is incomplete no digest is kept: few digits are found again by trying them all."""
    anchor = put(tmp_path, proposal_of(certificate("Leaky root")))
    part = fingerprint("Leaky root").replace(":", "")[:10]
    run(
        "anchor",
        "approve",
        anchor.id,
        "--fingerprint-read",
        part,
        "--spoke-with",
        "A",
        "--called",
        PHONE,
        "--ticket",
        "T",
    )
    out = run("audit", "show", "--json")[1]
    assert '"digits": 10' in out
    assert hashlib.sha256(part.encode()).hexdigest() not in out


def test_imports_sets_and_refusals_tell_nothing(tmp_path: Path, run: Any) -> None:
    """Importing, proposing as a set, deciding wrongly: no answer repeats the key's fingerprint."""
    file = tmp_path / "key.der"
    file.write_bytes(certificate("Leaky root"))
    anchor = put(tmp_path, proposal_of(certificate("Leaky root")))
    said = [
        run("anchor", "import", str(file), "--vendor", "dten"),
        run("anchor", "import", str(file), "--vendor", "dten", "--json"),
        run("anchor", "import", "--baseline", str(file), "--vendor", "dten", "--dedicated"),
        run("anchor", "import", "--baseline", str(file), "--vendor", "dten", "--dedicated", "--json"),
        run("baseline", "list", "--json"),
        run("anchor", "remove", anchor.id),
        run("anchor", "supersede", anchor.id, "--successor", anchor.id),
        run("anchor", "constrain", anchor.id, "--product", "x"),
        run("audit", "show", "--json"),
        run("audit", "verify", "--json"),
    ]
    digest = next(json.loads(out)[0]["digest"] for _, out in [said[4]])
    for _, out in said:
        assert told(anchor, out.replace(digest, "").replace(" ".join(re.findall("....", digest)), "")) == [], out
