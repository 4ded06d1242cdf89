"""The `rootwarden check` and `rootwarden package` commands on real files, as a user runs them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from monitor.cli import main
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.store_setup import DEDICATED, PHONE, open_store, proposal_of, randomness
from tests.trust_store.verdict_craft import CONTENT, der
from trust_store import anchor_management
from trust_store.cli.exit_codes import exit_code
from trust_store.decisions import perform
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect, transaction
from trust_store.storage.facts import record_sighting, save_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.model.package_facts import PackageFacts

TOP_KEYS = {
    "schema", "package", "format", "vendor", "outcome", "reason", "also", "summary", "checked_at", "validation_time",
    "valid_until", "basis", "signatures", "coverage", "members", "evidence", "evidence_available", "needs_file", "advice",
}  # fmt: skip
SIGNATURE_KEYS = {
    "scheme", "file", "integrity", "signer", "path", "anchor", "missing_issuer", "claimed_at", "timestamped_at", "outcome",
    "reason", "also",
}  # fmt: skip
# cryptography.x509 itself imports email.utils; nothing else of it may be there
FORBIDDEN = (
    "sqlite_utils", "pydantic", "structlog", "httpx", "asyncio", "rich", "jinja2", "fastapi", "apscheduler", "feedparser",
    "bs4", "lxml", "smtplib", "email.mime", "multiprocessing",
)  # fmt: skip
RARE = (
    "trust_store.decode.cms", "trust_store.decode.crl", "trust_store.decode.ocsp", "trust_store.decode.openpgp",
    "trust_store.decode.timestamp_token", "trust_store.chain.revocation", "trust_store.chain.timestamping",
    "trust_store.query_client", "http.client", "ssl", "secrets",
)  # fmt: skip
"""What only some packages carry, some questions ask about, or a daemon is asked with."""
OWN_ANSWER = (
    "cryptography",
    "sqlite3",
    "asn1crypto",
    "trust_store.query",
    "trust_store.verifier",
    "trust_store.formats",
)
"""What it takes to judge a package; where the daemon answers nothing of it is wanted."""
READERS_SIDE = ("trust_store.formats.worker_process", "trust_store.formats.detect", "pysequoia", "ctypes")
"""What only the process that reads packages needs; the command would wait for it twice."""
COMMAND = [str(Path(sys.executable).with_name("rootwarden"))]


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
    _approve(here, pki)
    return here


def _approve(folder: Path, pki: VendorPKI, command: str = "anchor.approve", **arguments: Any) -> None:
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


def _only(output: str) -> dict[str, Any]:
    (line,) = output.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


def test_supplied_anchor_needs_neither_store_nor_configuration(run: Run) -> None:
    """With --only-anchors a root handed over answers alone, whatever vendor is named or none."""
    for vendor in ((), ("--vendor", "nobody-configured"), ("--vendor", "any")):
        code, out, err = run(
            "check", "--json", "--only-anchors", "--anchors", "root.pem", *vendor, "firmware.bin", config="absent.toml"
        )
        answer = _only(out)
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
    """No configuration, or no store, is exit 4 and says what to do."""
    code, out, err = run("check", "--vendor", "dten", "firmware.bin", config="absent.toml")
    assert (code, out) == (4, "")
    assert "rootwarden init" in err
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
        answer = _only(told[1])
        assert (told[0], answer["reason"]) == (code, reason)
        assert answer["vendor"]["id"] == vendor
        assert answer["vendor"]["basis"] == {"any": "any", None: "none"}.get(vendor, "stated")
        assert answer["basis"]["store_id"]
        assert answer["basis"]["trust"] == "store"
    assert answer["vendor"]["suggested"] == "dten"
    both = _only(run("check", "--json", "--vendor", "acme", "--anchors", "root.pem", "firmware.bin")[1])
    assert (both["reason"], both["basis"]["trust"]) == ("trusted", "store+supplied")


def test_disowned_root_fails_even_if_supplied(run: Run, here: Path, pki: VendorPKI) -> None:
    """What the vendor disowned is failed / distrusted, exit 10."""
    _approve(here, pki, "anchor.reject", because="disowned")
    for options in ((), ("--only-anchors", "--anchors", "root.pem")):
        code, out, _ = run("check", "--json", "--vendor", "dten", *options, "firmware.bin")
        # without the store nobody can know what was disowned
        assert (code, _only(out)["reason"]) == ((0, "trusted") if options else (10, "distrusted"))


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


def _list_of(pki: VendorPKI, *serials: int, days: int = 30) -> bytes:
    """The root's revocation list (DER), current from yesterday for ``days``; negative: it has run out."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(pki.root.subject)
        .last_update(now - timedelta(days=60))
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.root_key.public_key()), critical=False)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(days=1)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(pki.root_key, hashes.SHA256()).public_bytes(Encoding.DER)


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n"


def test_revocation_lists_handed_over_decide(run: Run, here: Path, pki: VendorPKI) -> None:
    """A list that names the signer revokes it, one that does not lets it pass, and one that has run out leaves it open."""
    root = ("check", "--json", "--only-anchors", "--anchors", "root.pem")
    for lists, expected in (
        (_pem(_list_of(pki)), (0, "trusted")),
        (_list_of(pki, pki.signer.serial_number), (10, "revoked")),
        (_list_of(pki, days=-1), (3, "revocation_unknown")),
        (_pem(_list_of(pki, days=-1)) + _pem(_list_of(pki)), (0, "trusted")),
    ):
        (here / "list.crl").write_bytes(lists)
        code, out, _ = run(*root, "--crl", "list.crl", "firmware.bin")
        assert (code, _only(out)["reason"]) == expected


def test_an_ocsp_response_is_known_by_its_content(run: Run, here: Path, pki: VendorPKI) -> None:
    """A response in a file given as list decides like one."""
    now = datetime.now(UTC)
    for status, expected in (
        (ocsp.OCSPCertStatus.GOOD, (0, "trusted")),
        (ocsp.OCSPCertStatus.REVOKED, (10, "revoked")),
    ):
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                pki.signer, pki.root, hashes.SHA256(), status, now - timedelta(days=1), now + timedelta(days=1),
                now - timedelta(days=2) if revoked else None, x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, pki.root)
            .sign(pki.root_key, hashes.SHA256())
        )  # fmt: skip
        (here / "answer.crl").write_bytes(response.public_bytes(Encoding.DER))
        code, out, _ = run(
            "check", "--json", "--only-anchors", "--anchors", "root.pem", "--crl", "answer.crl", "firmware.bin"
        )
        assert (code, _only(out)["reason"]) == expected


def test_an_identity_that_cannot_be_checked_is_not_passed_over(run: Run, here: Path) -> None:
    """A sigstore identity asked for of a signature that has none keeps it from passing."""
    asked = ("--certificate-identity", "release@dten.example", "firmware.bin")
    code, out, _ = run("check", "--json", "--only-anchors", "--anchors", "root.pem", *asked)
    assert (here / "root.pem").exists()
    assert (code, _only(out)["reason"]) == (3, "unexpected_signer")


def test_given_signature_and_helping_material(run: Run, here: Path) -> None:
    """A signature of another name is given; it must verify; a broken one fails and a signature file of another file too."""
    (here / "firmware.bin.p7s").rename(here / "elsewhere.sig")
    root = ("check", "--json", "--only-anchors", "--anchors", "root.pem")
    assert _only(run(*root, "firmware.bin")[1])["reason"] == "unsupported_format"
    code, out, _ = run(*root, "--signature", "elsewhere.sig", "firmware.bin")
    assert (code, _only(out)["signatures"][0]["file"]["name"]) == (0, "elsewhere.sig")
    (here / "other.bin").write_bytes(b"other")
    code, out, _ = run(*root, "--signature", "elsewhere.sig", "other.bin")
    assert (code, _only(out)["reason"]) == (10, "invalid_signature")
    code, out, _ = run(
        "check", "--json", "--only-anchors", "--untrusted", "root.pem", "--signature", "elsewhere.sig", "firmware.bin"
    )
    assert (code, _only(out)["reason"], _only(out)["signatures"][0]["integrity"]) == (3, "unknown_root", "intact")


def test_another_time(run: Run) -> None:
    """--at replaces now and is shown as the basis."""
    root = ("check", "--json", "--only-anchors", "--anchors", "root.pem")
    code, out, _ = run(*root, "--at", "2001-01-01T00:00:00Z", "firmware.bin")
    answer = _only(out)
    assert (code, answer["reason"], answer["basis"]["time"]) == (3, "not_yet_valid", "requested")
    assert answer["validation_time"] == "2001-01-01T00:00:00.000000Z"


@pytest.mark.usefixtures("store")
def test_human_output_names_what_is_missing(run: Run, here: Path) -> None:
    """Without --json the lines tell outcome, reason, signer, path or missing root, and the next action, nothing unescaped."""
    code, out, _ = run("check", "--vendor", "dten", "firmware.bin")
    assert code == 0
    assert out.startswith("firmware.bin: passed / trusted\n")
    assert "DTEN Upgrade Root CA G2" in out
    code, out, _ = run("check", "--vendor", "acme", "firmware.bin")
    assert "missing" in out
    assert "next" in out
    evil = here / "evil\x1b[2J.bin"
    evil.write_bytes(b"x")
    for arguments in (("--vendor", "any", str(evil)), (str(evil),)):
        assert "\x1b" not in run("check", *arguments)[1]
    assert "uncovered  evil.sh" in run("check", "--vendor", "dten", "smuggled.zip")[1]
    assert "as of" in run("check", "--vendor", "dten", "--at", "2026-01-01T00:00:00Z", "firmware.bin")[1]
    assert "not stated; its name suggests dten" in run("check", "firmware.bin")[1]


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


def test_side_files_that_cannot_be_read_are_told(run: Run, here: Path) -> None:
    """A file named as a signature that is none, too large or no file stands in the answer; it does not hide a good one."""
    (here / "firmware.bin.asc").mkdir()
    with (here / "firmware.bin.sig").open("wb") as stream:
        stream.truncate(9 * 1024 * 1024)
    code, out, _ = run("check", "--json", "--only-anchors", "--anchors", "root.pem", "firmware.bin")
    answer = _only(out)
    assert (code, answer["outcome"]) == (0, "passed")
    assert sorted(s["reason"] for s in answer["signatures"]) == ["trusted", "unreadable", "unreadable"]
    (here / "firmware.bin.p7s").unlink()
    assert run("check", "--only-anchors", "firmware.bin")[0] == 3


def _batch(run: Run, *lines: Any) -> tuple[int, list[dict[str, Any]]]:
    data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    code, out, _ = run("check", "--batch", stdin=data)
    return code, [json.loads(line) for line in out.splitlines()]


@pytest.mark.usefixtures("store")
def test_batch_answers_every_line_in_order(run: Run) -> None:
    """One verdict a line, with its id, in order; every field of the contract is taken."""
    supplied = {"anchors": ["root.pem"], "only_anchors": True}
    code, answers = _batch(
        run,
        {"id": "a", "path": "firmware.bin", "vendor": "dten"},
        {"id": 2, "path": "smuggled.zip", **supplied},
        {"path": "absent", **supplied, "signatures": None, "at": None},
        {"id": 4, "path": "firmware.bin", "signatures": ["firmware.bin.p7s"], "untrusted": ["root.pem"], "crls": [],
         "vendor": "any", "at": "2001-01-01T00:00:00Z", "namespace": "file"},
    )  # fmt: skip
    assert code == 10
    assert [(a["id"], a["reason"]) for a in answers] == [
        ("a", "trusted"), (2, "uncovered_content"), (None, "unreadable"), (4, "not_yet_valid"),
    ]  # fmt: skip
    assert all(set(a) == TOP_KEYS | {"id"} for a in answers)


def test_batch_takes_what_a_line_leaves_out_from_the_command_line(run: Run) -> None:
    """Options beside --batch hold for every line that does not say otherwise."""
    lines = b'{"id": 1, "path": "firmware.bin"}\n{"id": 2, "path": "firmware.bin", "anchors": []}\n'
    code, out, _ = run("check", "--batch", "--json", "--only-anchors", "--anchors", "root.pem", stdin=lines)
    assert [json.loads(line)["reason"] for line in out.splitlines()] == ["trusted", "unknown_root"]
    assert code == 3


BAD_LINES = [
    (b"", None),
    (b"not json", None),
    (b"[1]", None),
    (b"\xff\xfe", None),
    (b"[" * 100_000, None),
    (b'{"id": 1}', 1),
    (b'{"id": true, "path": "firmware.bin"}', None),
    (b'{"id": {"a": 1}, "path": "firmware.bin"}', None),
    (b'{"id": 2, "path": 5}', 2),
    (b'{"id": 3, "path": ""}', 3),
    (b'{"id": 4, "path": "firmware.bin", "require": "all"}', 4),
    (b'{"id": 5, "path": "firmware.bin", "anchors": "root.pem"}', 5),
    (b'{"id": 6, "path": "firmware.bin", "only_anchors": 1}', 6),
    (b'{"id": 7, "path": "firmware.bin", "only_anchors": true, "at": "now"}', 7),
    (b'{"id": 8, "path": "firmware.bin", "only_anchors": true, "signatures": ["absent"]}', 8),
    (b'{"id": 9, "path": "firmware.bin", "vendor": "nobody"}', 9),
    (b'{"id": 10, "path": "' + b"x" * (1024 * 1024) + b'"}', None),
]


@pytest.mark.parametrize(("line", "identity"), BAD_LINES, ids=lambda value: str(value)[:40])
def test_a_bad_batch_line_is_answered_and_not_fatal(run: Run, line: bytes, identity: object) -> None:
    """A line that is no request gets bad_request with its id if it has one; the others are answered; exit 4 at the end."""
    good = {"id": "good", "path": "firmware.bin", "anchors": ["root.pem"], "only_anchors": True}
    code, answers = _batch(run, line, good)
    assert code == 4
    assert set(answers[0]) == {"id", "outcome", "reason", "detail"}
    assert (answers[0]["id"], answers[0]["outcome"], answers[0]["reason"]) == (identity, "error", "bad_request")
    assert answers[1]["reason"] == "trusted"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as home:
        yield home


def test_openpgp_signatures_from_the_command_line(run: Run, here: Path, gpg: Gpg) -> None:
    """A keyring handed over is tried by both readers; an armoured signature is found by its name."""
    fingerprint = gpg.make_key("Release <r@dten.example>", "ed25519")
    (here / "key.asc").write_bytes(gpg.export(fingerprint, armor=True))
    (here / "key.gpg").write_bytes(gpg.export(fingerprint))
    (here / "note.txt").write_bytes(CONTENT)
    (here / "note.txt.asc").write_bytes(gpg.sign(fingerprint, "--armor", data=CONTENT))
    for key in ("key.asc", "key.gpg"):
        code, out, _ = run("check", "--json", "--only-anchors", "--anchors", key, "note.txt")
        assert (code, _only(out)["reason"]) == (0, "trusted")
        assert _only(out)["signatures"][0]["signer"]["identifiers"]["openpgp"] == fingerprint.lower()
    assert (
        _only(run("check", "--json", "--only-anchors", "--untrusted", "key.asc", "note.txt")[1])["reason"]
        == "unknown_root"
    )


def _seen(store: Path, facts: PackageFacts, name: str = "firmware.bin") -> str:
    at = datetime.now(UTC)
    with closing(connect(store / "rootwarden.db")) as connection, transaction(connection):
        save_facts(connection, facts, origin="intake", at=at, randomness=randomness)
        record_sighting(connection, facts.sha256, name, f"/incoming/dten/{name}", "dten", "intake", at)
    return facts.sha256


def test_package_show_answers_without_the_file(run: Run, store: Path, pki: VendorPKI) -> None:
    """Stored facts are judged anew under what is trusted now; the file is not there any more."""
    from tests.trust_store.verdict_craft import signed

    digest = _seen(store, signed(pki))
    (store / "firmware.bin").unlink()
    code, out, _ = run("package", "show", digest, "--vendor", "dten", "--json")
    answer = _only(out)
    assert (code, answer["reason"], answer["package"]["name"]) == (0, "trusted", "firmware.bin")
    assert run("package", "show", digest, "--vendor", "acme")[0] == 3
    assert run("package", "show", digest.upper(), "--vendor", "any")[1].startswith(
        "/incoming/dten/firmware.bin: passed"
    )
    assert run("package", "show", "ab" * 32, "--vendor", "dten")[0] == 2
    assert run("package", "show", "abc", "--vendor", "dten")[0] == 2
    assert run("package", "show", digest)[0] == 2


def test_stale_facts_ask_for_the_file(run: Run, store: Path, pki: VendorPKI) -> None:
    """Facts of an older reader are never passed; the answer says that the file is needed."""
    from dataclasses import replace

    from tests.trust_store.verdict_craft import signed

    digest = _seen(store, replace(signed(pki), reader_version=0))
    code, out, _ = run("package", "show", digest, "--vendor", "dten", "--json")
    assert (code, _only(out)["reason"], _only(out)["needs_file"]) == (3, "unreadable", True)


def _process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], check=False, **({"capture_output": True, "timeout": 60} | options))


@pytest.mark.usefixtures("here")
def test_exit_codes_of_the_installed_command() -> None:
    """The installed command ends with the documented codes, with and without --json."""
    root = ("check", "--only-anchors", "--anchors", "root.pem")
    for arguments, code in (
        (("firmware.bin", "bundle.zip"), 0),
        (("--json", "smuggled.zip", "firmware.bin"), 10),
        (("--json", "absent", "firmware.bin"), 3),
        (("absent", "smuggled.zip"), 10),
        ((), 2),
    ):
        assert _process(*root, *arguments).returncode == code
    assert _process("--config", "absent.toml", "check", "firmware.bin").returncode == 4
    batch = b'{"id": 1, "path": "firmware.bin", "only_anchors": true, "anchors": ["root.pem"]}\nnonsense\n'
    done = _process("check", "--batch", input=batch)
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (4, 2, b"")


@pytest.mark.usefixtures("here")
def test_output_that_is_not_written_is_exit_4() -> None:
    """A closed pipe and a full disk are told by exit 4, never by 0 or 1."""
    arguments = ("check", "--json", "--only-anchors", "--anchors", "root.pem", "firmware.bin")
    reading, writing = os.pipe()
    os.close(reading)
    assert _process(*arguments, capture_output=False, stdout=writing, stderr=subprocess.DEVNULL).returncode == 4
    os.close(writing)
    with Path("/dev/full").open("wb") as full:
        assert _process(*arguments, capture_output=False, stdout=full, stderr=subprocess.DEVNULL).returncode == 4


def _imported(unwanted: tuple[str, ...], *arguments: str) -> str:
    """Run the command in an interpreter of its own; gives which of ``unwanted`` it imported, and its exit code."""
    script = (
        "import sys\nfrom monitor.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"print([m for m in {unwanted!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, check=False, timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("COV")},
    )  # fmt: skip
    return done.stderr.decode().strip()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--only-anchors", "--anchors", "root.pem", "firmware.bin"),
        ("--config", "rootwarden.toml", "check", "--vendor", "dten", "firmware.bin"),
        ("--config", "rootwarden.toml", "check", "--json", "--vendor", "dten", "bundle.zip"),
    ],
)
def test_check_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """A cold check imports nothing that would make it slow, nothing that this package does not need, and no reader of packages."""
    assert _imported(FORBIDDEN + READERS_SIDE + RARE, *arguments) == "[] 0"


def test_what_the_daemon_answers_needs_no_cryptography(store: Path, run: Run) -> None:
    """Where the daemon knows the package, the command prints its verdict and imports neither what judges nor what reads packages."""
    arguments = ("check", "--json", "--vendor", "dten", "bundle.zip")
    _, answer, _ = run(*arguments)
    config = store / "rootwarden.toml"
    config.write_text(f'{config.read_text()}[api]\nsocket = "{store}/api.sock"\n')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{store}/api.sock")
        server.listen()
        asked: list[bytes] = []
        daemon = threading.Thread(target=_answer_once, args=(server, answer.encode(), asked))
        daemon.start()
        told = _imported(FORBIDDEN + READERS_SIDE + OWN_ANSWER, "--config", str(config), *arguments)
        daemon.join(60)
    assert told == "[] 0"
    assert b"GET /v1/packages/" in asked[0]


def _answer_once(server: socket.socket, body: bytes, asked: list[bytes]) -> None:
    """A daemon that answers one question."""
    peer, _ = server.accept()
    with peer:
        asked.append(peer.recv(65_536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
