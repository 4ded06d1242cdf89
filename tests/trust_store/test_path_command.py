"""``rootwarden path validate``: exit codes, batch answers in order, and every demand either checked or refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from monitor.cli import Invocation
from tests.trust_store.path_craft import AT, Issued, alternative, authority, eku, issue
from trust_store.cli import path as command
from trust_store.cli.path import command as group
from trust_store.errors import UsageError

_PROGRAM = str(Path(sys.executable).parent / "rootwarden")
ROOT = authority("root")
INT = authority("int", ROOT)
LEAF = issue(
    "leaf", INT, alternative(x509.DNSName("www.example.com")), eku(x509.OID_CODE_SIGNING, x509.OID_SERVER_AUTH)
)
BAD = issue("leaf", INT, eku(x509.OID_CLIENT_AUTH))
OTHER = authority("other")
GOOD: dict[str, Any] = {"id": 1, "leaf": LEAF.pem, "intermediates": [INT.pem], "anchors": [ROOT.pem]}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """leaf.pem, bad.pem, int.pem, root.pem, other.pem and a revocation list, crl.pem."""
    for file, issued in (("leaf", LEAF), ("bad", BAD), ("int", INT), ("root", ROOT), ("other", OTHER)):
        (tmp_path / f"{file}.pem").write_text(issued.pem)
    (tmp_path / "crl.pem").write_bytes(_list(ROOT))
    return tmp_path


def _list(issuer: Issued, *revoked: Issued) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = (
        builder.last_update(AT).next_update(AT + timedelta(days=9)).add_extension(x509.CRLNumber(1), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(AT).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _run(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [_PROGRAM, "path", "validate", *arguments],
        cwd=folder, input=stdin, capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def _ask(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: bytes = b"") -> int:
    """The command in this process; its exit code."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    invocation = Invocation(config=None, now=lambda: AT, randomness=bytes)  # type: ignore[arg-type]
    result = group.main(["validate", *arguments], standalone_mode=False, obj=invocation)
    assert isinstance(result, int)
    return result


def _batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *lines: object
) -> tuple[int, list[dict[str, Any]]]:
    text = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    code = _ask(monkeypatch, "--batch", stdin=text)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_exit_codes_of_the_real_command(files: Path) -> None:
    """0 passed, 10 failed, 3 indeterminate, 2 usage; alike with --json, which prints one line."""
    chain = ("--untrusted", "int.pem", "--anchors")
    for code, arguments in (
        (0, ("--leaf", "leaf.pem", *chain, "root.pem", "--purpose", "code-signing", "--dns", "www.example.com")),
        (10, ("--leaf", "bad.pem", *chain, "root.pem", "--purpose", "code-signing")),
        (3, ("--leaf", "leaf.pem", *chain, "other.pem")),
        (2, ("--leaf", "leaf.pem", *chain, "nowhere.pem")),
    ):
        plain, as_json = _run(files, *arguments), _run(files, "--json", *arguments)
        assert (plain.returncode, as_json.returncode) == (code, code), plain.stderr
        assert len(as_json.stdout.splitlines()) == (code != 2)
        assert (b"Traceback" in plain.stderr, plain.stdout == b"") == (False, code == 2)


def test_a_batch_through_the_real_command_answers_every_line_in_order(files: Path) -> None:
    """One line each, in order, with the id and nothing but the four keys; the worst outcome is the exit code."""
    lines = [GOOD, {**GOOD, "id": "two", "anchors": [OTHER.pem]}, b"{broken", {**GOOD, "id": 4}]
    stdin = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    done = _run(files, "--batch", stdin=stdin)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(answer) for answer in answers] == [{"id", "outcome", "reason", "detail"}] * 4
    assert [(answer["id"], answer["outcome"], answer["reason"]) for answer in answers] == [
        (1, "passed", "trusted"),
        ("two", "indeterminate", "unknown_root"),
        (None, "failed", "malformed"),
        (4, "passed", "trusted"),
    ]
    assert (done.returncode, done.stderr) == (10, b"")
    assert _run(files, "--batch").returncode == 2


def test_answers_of_a_batch_are_written_as_soon_as_they_are_known(files: Path) -> None:
    """Who sends a line and waits gets the answer before the input ends."""
    process = subprocess.Popen(
        [_PROGRAM, "path", "validate", "--batch"],
        cwd=files, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for number in range(2):
            process.stdin.write(json.dumps({**GOOD, "id": number}).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
    assert process.returncode == 0


WRONG: dict[str, object] = {
    "not JSON": b"nonsense",
    "an empty line": b"",
    "no object": [1],
    "bytes that are no text": b"\xff\xfe",
    "nested without end": b"[" * 100_000,
    "a key twice": b'{"id": 1, "leaf": "a", "leaf": "b"}',
    "no number": b'{"id": NaN}',
    "an infinite id": b'{"id": 1e999}',
    "an id that is a list": {**GOOD, "id": [1]},
    "an id that is true": {**GOOD, "id": True},
    "no leaf": {"id": 1, "anchors": []},
    "no anchors": {"id": 1, "leaf": LEAF.pem},
    "an unknown key": {**GOOD, "revocation": "required"},
    "an unknown key that is null": {**GOOD, "revocation": None},
    "a leaf that is a list": {**GOOD, "leaf": [LEAF.pem]},
    "anchors that are text": {**GOOD, "anchors": ROOT.pem},
    "an anchor that is a number": {**GOOD, "anchors": [1]},
    "a time without zone": {**GOOD, "at": "2026-01-01T00:00:00"},
    "no time": {**GOOD, "at": "now"},
    "a time that is a number": {**GOOD, "at": 1},
    "a time out of range": {**GOOD, "at": "0001-01-01T00:00:00+14:00"},
    "an unknown purpose": {**GOOD, "purpose": "mail"},
    "a purpose that is a list": {**GOOD, "purpose": ["any"]},
    "a name without kind": {**GOOD, "name": {"value": "x"}},
    "a name of unknown kind": {**GOOD, "name": {"kind": "uri", "value": "x"}},
    "a name that is no text": {**GOOD, "name": {"kind": "dns", "value": 1}},
    "an empty name": {**GOOD, "name": {"kind": "dns", "value": ""}},
    "no address": {**GOOD, "name": {"kind": "ip", "value": "example.com"}},
    "an unknown purpose by name": {**GOOD, "eku": ["mail"]},
    "an unknown usage": {**GOOD, "key_usage": ["sign"]},
    "a depth that is text": {**GOOD, "max_depth": "1"},
    "a depth that is true": {**GOOD, "max_depth": True},
    "a negative depth": {**GOOD, "max_depth": -1},
    "policies that are a list": {**GOOD, "policies": []},
    "an unknown policy input": {**GOOD, "policies": {"other": True}},
    "a policy input that is a number": {**GOOD, "policies": {"require_explicit": 1}},
    "a policy that is no OID": {**GOOD, "policies": {"initial_set": ["x"]}},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_line_that_is_no_request_is_malformed_and_the_run_goes_on(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every such line is answered failed / malformed, and the next one as if nothing had been."""
    code, answers = _batch(monkeypatch, capsys, WRONG[case], GOOD)
    assert [(answer["outcome"], answer["reason"]) for answer in answers] == [
        ("failed", "malformed"),
        ("passed", "trusted"),
    ]
    assert (code, bool(answers[0]["detail"])) == (10, True)


@pytest.mark.parametrize("texts", [[""] * 4097, [INT.pem * 4097]], ids=["in a list", "in one text"])
def test_more_certificates_than_are_looked_at_are_a_limit(
    texts: list[str], files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beyond 4096 intermediates the answer is resource_limit (3), in a line and as files: one left out could be on the path."""
    code, answers = _batch(monkeypatch, capsys, {**GOOD, "intermediates": texts}, GOOD)
    assert (code, [answer["reason"] for answer in answers]) == (3, ["resource_limit", "trusted"])
    monkeypatch.chdir(files)
    (files / "many.pem").write_text(INT.pem * 4097)
    assert _ask(monkeypatch, "--json", "--leaf", "leaf.pem", "--untrusted", "many.pem", "--anchors", "root.pem") == 3
    assert json.loads(capsys.readouterr().out)["reason"] == "resource_limit"


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "nulls stand for absent": (dict.fromkeys(["crls", "at", "name", "eku", "key_usage", "max_depth", "policies"]), "trusted"),
    "everything default": ({"crls": [], "purpose": "any", "policies": {"initial_set": ["anyPolicy"]}}, "trusted"),
    "a time": ({"at": "2050-01-01T00:00:00+02:00"}, "expired"),
    "a host": ({"name": {"kind": "dns", "value": "www.example.com"}}, "trusted"),
    "another host": ({"name": {"kind": "dns", "value": "example.com"}}, "path_invalid"),
    "an address": ({"name": {"kind": "ip", "value": "192.0.2.1"}}, "path_invalid"),
    "purposes by name and OID": ({"eku": ["codeSigning", "1.3.6.1.5.5.7.3.1"]}, "trusted"),
    "a purpose it has not": ({"eku": ["codeSigning", "timeStamping"]}, "path_invalid"),
    "usage": ({"key_usage": ["digitalSignature", "cRLSign"]}, "trusted"),
    "depth": ({"max_depth": 1}, "trusted"),
    "less depth": ({"max_depth": 0}, "path_invalid"),
    "an explicit policy": ({"policies": {"require_explicit": True}}, "path_invalid"),
    "a list that is none": ({"crls": ["anything"]}, "revocation_unknown"),
    "no lists": ({"crls": []}, "trusted"),
    "no anchors": ({"anchors": []}, "unknown_root"),
    "a leaf that is none": ({"leaf": "junk"}, "malformed"),
    "a lone surrogate": ({"leaf": "\ud800"}, "malformed"),
    "an anchor that is none": ({"anchors": [ROOT.pem, "junk"]}, "malformed"),
    "an intermediate that is none": ({"intermediates": ["junk", INT.pem]}, "trusted"),
    "no intermediates": ({"intermediates": None}, "unknown_root"),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_every_demand_of_a_batch_line_is_checked(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a line asks decides its answer; what is not done is refused, never passed."""
    more, reason = ASKED[case]
    code, (answer,) = _batch(monkeypatch, capsys, {**GOOD, **more})
    assert answer["reason"] == reason, answer
    assert code == {"passed": 0, "indeterminate": 3, "failed": 10}[answer["outcome"]]


def test_a_line_beyond_the_cap_is_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is too long is read past and answered; the next one counts again."""
    monkeypatch.setattr(command, "MAX_LINE_BYTES", len(json.dumps(GOOD)) + 1)
    code, answers = _batch(monkeypatch, capsys, b"x" * 20_000, GOOD)
    assert ([answer["reason"] for answer in answers], code) == (["malformed", "trusted"], 10)


def test_files_that_cannot_be_had(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A leaf that cannot be read is unreadable (3); anchors, helpers and lists that cannot be had are usage errors."""
    monkeypatch.chdir(files)
    for leaf in ("nowhere.pem", ".", "/dev/null"):
        assert _ask(monkeypatch, "--json", "--leaf", leaf, "--anchors", "root.pem") == 3
        assert json.loads(capsys.readouterr().out)["reason"] == "unreadable"
    (files / "junk").write_text("junk")
    assert _ask(monkeypatch, "--leaf", "junk", "--anchors", "root.pem") == 10
    good = ("--leaf", "leaf.pem", "--untrusted", "int.pem", "--anchors", "root.pem")
    for wrong in (
        ("--anchors", "junk"), ("--anchors", "."), ("--untrusted", "nowhere"), ("--untrusted", "junk"),
        ("--crl", "nowhere"), ("--crl", "junk"),
        ("--at", "today"), ("--at", "2026-01-01"), ("--dns", "a", "--ip", "192.0.2.1"), ("--ip", "a"), ("--dns", ""),
        ("--batch",),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            _ask(monkeypatch, *good, *wrong)
    with pytest.raises(UsageError):
        _ask(monkeypatch, "--leaf", "leaf.pem")
    (files / "damaged.pem").write_text(INT.pem.replace("M", "A"))
    assert _ask(monkeypatch, *good, "--untrusted", "damaged.pem") == 0, (
        "a certificate that cannot be read hides no path"
    )
    capsys.readouterr()


def test_keys_of_another_kind_are_named(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL's certificates with trust settings and bare public keys are refused as anchors and as helpers, and called what they are."""
    monkeypatch.chdir(files)
    (files / "trusted.pem").write_text(ROOT.pem.replace(" CERTIFICATE", " TRUSTED CERTIFICATE"))
    key = ROOT.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (files / "key.pem").write_bytes(key)
    for name, told in (("trusted.pem", "TRUSTED CERTIFICATE are not read"), ("key.pem", "a bare public key")):
        for option in ("--anchors", "--untrusted"):
            with pytest.raises(UsageError, match=told):
                _ask(monkeypatch, "--leaf", "leaf.pem", "--anchors", "root.pem", option, name)


def test_lists_make_revocation_required_for_the_whole_path(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one of two issuers' lists nothing is known about the other's certificate (3); a revoked one fails (10)."""
    monkeypatch.chdir(files)
    good = ("--leaf", "leaf.pem", "--untrusted", "int.pem", "--anchors", "root.pem", "--crl", "crl.pem")
    assert _ask(monkeypatch, *good) == 3
    assert "revocation_unknown" in capsys.readouterr().out
    for revoked, code in ((), 0), ((LEAF,), 10):
        (files / "int-crl.pem").write_bytes(_list(INT, *revoked))
        assert _ask(monkeypatch, *good, "--crl", "int-crl.pem") == code
    assert "revoked on 2026-11-25" in capsys.readouterr().out


def test_what_is_printed_names_the_path_and_the_missing_issuer(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON carries the path, end entity first, and the issuer that is missing; text escapes what names bring along."""
    monkeypatch.chdir(files)
    _ask(monkeypatch, "--json", "--leaf", "leaf.pem", "--untrusted", "int.pem", "--anchors", "root.pem")
    found = json.loads(capsys.readouterr().out)
    assert [node["sha256"] for node in found["path"]] == [c.decoded.sha256 for c in (LEAF, INT, ROOT)]
    assert (found["id"], found["missing_issuer"]) == (None, None)
    _ask(monkeypatch, "--json", "--leaf", "leaf.pem", "--anchors", "root.pem")
    assert json.loads(capsys.readouterr().out)["missing_issuer"] == {
        "name": "CN=int", "authority_key_identifier": None, "same_name_new_key": False,
    }  # fmt: skip
    (files / "again.pem").write_text(authority("int").pem)
    _ask(monkeypatch, "--json", "--leaf", "leaf.pem", "--anchors", "again.pem")
    assert json.loads(capsys.readouterr().out)["missing_issuer"]["same_name_new_key"] is True
    nasty = authority("evil\x1b[2J")
    (files / "nasty.pem").write_text(nasty.pem)
    assert _ask(monkeypatch, "--leaf", "nasty.pem", "--anchors", "nasty.pem") == 0
    assert "\x1b" not in capsys.readouterr().out
