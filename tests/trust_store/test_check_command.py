"""`rootwarden check` on real files, as a user runs it: what it answers to whom, and what it refuses as a question."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.check_command_setup import TOP_KEYS, Run, decide_root, here, only, pki, run, store
from tests.trust_store.verdict_craft import CONTENT, der
from trust_store.cli.exit_codes import exit_code

__all__ = ["here", "pki", "run", "store"]  # fixtures
SIGNATURE_KEYS = {
    "scheme", "file", "integrity", "signer", "path", "anchor", "missing_issuer", "claimed_at", "timestamped_at", "outcome",
    "reason", "also",
}  # fmt: skip


def test_supplied_anchor_needs_neither_store_nor_configuration(run: Run) -> None:
    """With --only-anchors a root handed over answers alone, whatever vendor is named or none."""
    for vendor in ((), ("--vendor", "nobody-configured"), ("--vendor", "any")):
        code, out, err = run(
            "check", "--json", "--only-anchors", "--anchors", "root.pem", *vendor, "firmware.bin", config="absent.toml"
        )
        answer = only(out)
        assert (code, answer["outcome"], answer["reason"], err) == (0, "passed", "trusted", "")
        assert answer["basis"] == {
            "trust": "supplied", "store_id": None, "store_revision": None, "time": "now", "decision": "supplied",
        }  # fmt: skip


def test_json_has_every_key_always(run: Run, here: Path) -> None:
    """Every answer has all keys of the contract, passed or not, readable or not."""
    (here / "plain.txt").write_bytes(b"text")
    paths = ["firmware.bin", "smuggled.zip", "plain.txt", "absent.bin", "."]
    code, out, _ = run("check", "--json", "--only-anchors", "--anchors", "root.pem", *paths)
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 10
    assert [a["reason"] for a in answers] == [
        "trusted", "uncovered_content", "unsupported_format", "unreadable", "unreadable",
    ]  # fmt: skip
    for path, answer in zip(paths, answers, strict=True):
        assert set(answer) == TOP_KEYS
        assert set(answer["package"]) == {"path", "name", "size", "sha256"}
        assert answer["package"]["path"] == path
        assert set(answer["basis"]) == {"trust", "store_id", "store_revision", "time", "decision"}
        for signature in answer["signatures"]:
            assert set(signature) == SIGNATURE_KEYS
    signature = answers[0]["signatures"][0]
    assert signature["file"]["name"] == "firmware.bin.p7s"
    assert set(signature["signer"]) == {"kind", "name", "identifiers", "not_before", "not_after"}
    assert [set(node) for node in signature["path"]] == [{"name", "sha256"}] * 2
    assert answers[0]["package"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert answers[3]["package"]["sha256"] is None
    assert {"member": "evil.sh", "inert": False} in answers[1]["coverage"]["uncovered"]


def test_without_configuration_the_answer_names_init(run: Run) -> None:
    """No configuration is exit 2, no store exit 4; both say what to do."""
    code, out, err = run("check", "--vendor", "dten", "firmware.bin", config="absent.toml")
    assert (code, out) == (2, "")
    assert all(way in err for way in ("rootwarden init", "--config", "--only-anchors"))
    code, out, err = run("check", "--vendor", "dten", "firmware.bin")
    assert (code, out) == (4, "")
    assert "rootwarden init" in err


@pytest.mark.usefixtures("store")
def test_store_answers_for_the_stated_vendor_only(run: Run) -> None:
    """The same file passes for its vendor, not for another, not for nobody; 'any' is the opt-out and is shown."""
    expected = {
        "dten": (0, "trusted"),
        "acme": (3, "unknown_root"),
        "any": (0, "trusted"),
        None: (3, "vendor_unstated"),
    }
    for vendor, (code, reason) in expected.items():
        told = run("check", "--json", *(("--vendor", vendor) if vendor else ()), "firmware.bin")
        answer = only(told[1])
        assert (told[0], answer["reason"]) == (code, reason)
        assert answer["vendor"]["id"] == vendor
        assert answer["vendor"]["basis"] == {"any": "any", None: "none"}.get(vendor, "stated")
        assert answer["basis"]["store_id"]
        assert answer["basis"]["trust"] == "store"
    assert answer["vendor"]["suggested"] == "dten"
    both = only(run("check", "--json", "--vendor", "acme", "--anchors", "root.pem", "firmware.bin")[1])
    assert (both["reason"], both["basis"]["trust"]) == ("trusted", "store+supplied")


def test_disowned_root_fails_even_if_supplied(run: Run, here: Path, pki: VendorPKI) -> None:
    """What the vendor disowned is failed / distrusted, exit 10."""
    decide_root(here, pki, "anchor.reject", because="disowned")
    for options in ((), ("--only-anchors", "--anchors", "root.pem")):
        code, out, _ = run("check", "--json", "--vendor", "dten", *options, "firmware.bin")
        # without the store nobody can know what was disowned
        assert (code, only(out)["reason"]) == ((0, "trusted") if options else (10, "distrusted"))


@pytest.mark.usefixtures("store")
def test_unknown_vendor_names_the_nearest(run: Run) -> None:
    """A vendor the configuration does not know is exit 2."""
    code, out, err = run("check", "--vendor", "dtne", "firmware.bin")
    assert (code, out) == (2, "")
    assert "did you mean 'dten'" in err


BAD_OPTIONS = [
    ("--at", "2026-05-03"),
    ("--at", "yesterday"),
    ("--anchors", "absent.pem"),
    ("--anchors", "firmware.bin"),
    ("--anchors", "minisign.pub"),
    ("--untrusted", "ssh.pub"),
    ("--untrusted", "."),
    ("--crl", "root.pem"),
    ("--crl", "absent.crl"),
    ("--signature", "absent.sig"),
    ("--signature", "."),
]


@pytest.mark.parametrize("option", BAD_OPTIONS, ids=" ".join)
def test_bad_options_are_usage_errors(run: Run, here: Path, option: tuple[str, str]) -> None:
    """A file that cannot be used for what it was given as, or a time without a zone, is exit 2 and nothing is answered."""
    (here / "minisign.pub").write_text("untrusted comment: minisign public key\nRWQ=\n")
    (here / "ssh.pub").write_text("ssh-ed25519 AAAA release\n")
    code, out, err = run("check", "--only-anchors", *option, "firmware.bin")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_no_items_is_a_usage_error(run: Run) -> None:
    """Nothing to check is exit 2, on the command line and in a batch."""
    assert run("check", "--only-anchors")[0] == 2
    assert run("check", "--batch")[:2] == (2, "")
    assert run("check", "--batch", "firmware.bin", stdin=b"{}\n")[0] == 2
    two = run("check", "--only-anchors", "--signature", "firmware.bin.p7s", "firmware.bin", "bundle.zip")
    assert two[0] == 2


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([], 2), ([0], 0), ([0, 3], 3), ([3, 10, 0], 10), ([10, 4, 3], 4), ([0, 0], 0), ([7], 2)],
)
def test_the_worst_code_counts(codes: list[int], expected: int) -> None:
    """4 over 10 over 3 over 0."""
    assert exit_code(codes) == expected


def test_another_time(run: Run) -> None:
    """--at replaces now and is shown as the basis."""
    root = ("check", "--json", "--only-anchors", "--anchors", "root.pem")
    code, out, _ = run(*root, "--at", "2001-01-01T00:00:00Z", "firmware.bin")
    answer = only(out)
    assert (code, answer["reason"], answer["basis"]["time"]) == (3, "not_yet_valid", "requested")
    assert answer["validation_time"] == "2001-01-01T00:00:00.000000Z"


@pytest.mark.usefixtures("store")
def test_human_output_names_what_is_missing(run: Run, here: Path) -> None:
    """Without --json the lines tell outcome, reason, signer, path or missing root, and the next action, nothing unescaped."""
    code, out, _ = run("check", "--vendor", "dten", "firmware.bin")
    assert code == 0
    assert out.startswith("firmware.bin: passed / trusted\n")
    assert "DTEN Upgrade Root CA G2" in out
    code, out, _ = run("check", "--vendor", "dten", "--as-known-at", "2001-01-01T00:00:00Z", "firmware.bin")
    assert (code, "missing" in out, "next" in out) == (3, True, True)
    evil = here / "evil\x1b[2J.bin"
    evil.write_bytes(b"x")
    for arguments in (("--vendor", "any", str(evil)), (str(evil),)):
        assert "\x1b" not in run("check", *arguments)[1]
    assert "uncovered  evil.sh" in run("check", "--vendor", "dten", "smuggled.zip")[1]
    assert "as of" in run("check", "--vendor", "dten", "--at", "2026-01-01T00:00:00Z", "firmware.bin")[1]
    assert "not stated; its name suggests dten" in run("check", "firmware.bin")[1]


@pytest.mark.usefixtures("store")
def test_another_vendors_package_is_called_that(run: Run) -> None:
    """Signed under an anchor of another vendor: the answer names that vendor, and points at no key that could be approved here."""
    code, out, _ = run("check", "--vendor", "acme", "firmware.bin")
    assert code == 3
    assert "'CN=DTEN Upgrade Root CA G2" in out
    assert "of vendor dten, and no anchor of acme vouches for it" in out
    assert "check it again with --vendor dten" in out
    assert not any(word in out for word in ("relative", "anchor list", "anchor show", "pending"))
    answer = only(run("check", "--json", "--vendor", "acme", "firmware.bin")[1])
    assert (answer["outcome"], answer["reason"]) == ("indeterminate", "unknown_root")
    assert answer["signatures"][0]["missing_issuer"]["relatives"] == []


@pytest.mark.usefixtures("store")
def test_the_screen_shows_no_fingerprint_of_an_undecided_key(run: Run, pki: VendorPKI) -> None:
    """What the vendor is to read out on the telephone does not stand in the human answer."""
    _, out, _ = run("check", "--vendor", "acme", "firmware.bin")
    assert hashlib.sha256(der(pki.signer)).hexdigest() not in out
    assert pki.root_sha256 not in out


def test_strange_paths_are_unreadable(run: Run, here: Path) -> None:
    """A missing path, a directory, a pipe, a device and a file without permission each get their line and exit 3."""
    os.mkfifo(here / "pipe")
    paths = ["absent", ".", "pipe", "/dev/null", "/dev/zero"]
    code, out, _ = run("check", "--json", "--only-anchors", *paths, "firmware.bin")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert [a["reason"] for a in answers[:5]] == ["unreadable"] * 5
    assert answers[5]["reason"] == "unknown_root"
