"""Files that `rootwarden check` is told to read: nothing waits for ever, and what holds nothing of its kind is a wrong question."""

from __future__ import annotations

import base64
import json
import os
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.trust_store.check_command_setup import Run, here, only, pki, run, store
from trust_store.cli import files
from trust_store.cli.files import read_capped
from trust_store.errors import UsageError

__all__ = ["here", "pki", "run", "store"]  # fixtures
ROOT = ("check", "--json", "--only-anchors", "--anchors", "root.pem")


@pytest.mark.parametrize("option", ["--anchors", "--untrusted", "--crl", "--signature", "--bundle-key"])
def test_a_pipe_given_as_a_file_is_refused_at_once(run: Run, here: Path, option: str) -> None:
    """A FIFO that nobody writes to is a bad file (2), not one to wait for."""
    os.mkfifo(here / "pipe")
    bundle = ("--bundle", "pipe") if option == "--bundle-key" else ("--only-anchors",)
    code, out, err = run("check", *bundle, option, "pipe", "firmware.bin")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pipe cannot be read: it is no regular file" in err


def test_a_bundle_that_is_a_pipe_is_refused_at_once(run: Run, here: Path) -> None:
    """The key is read first, and then the pipe is refused."""
    key = Ed25519PrivateKey.generate().public_key()
    (here / "instance.pub").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    os.mkfifo(here / "pipe")
    code, out, err = run("check", "--bundle", "pipe", "--bundle-key", "instance.pub", "firmware.bin")
    assert (code, out) == (2, "")
    assert "pipe cannot be read: it is no regular file" in err


def test_a_pipe_in_a_batch_line_spoils_that_line_alone(run: Run, here: Path) -> None:
    """A line that names a pipe, or the batch's own standard input, is answered as bad, and the next one is answered."""
    os.mkfifo(here / "pipe")
    good = {"path": "firmware.bin", "only_anchors": True, "anchors": ["root.pem"]}
    reading, writing = os.pipe()
    os.write(writing, (here / "root.pem").read_bytes())
    os.close(writing)
    names = ("pipe", f"/dev/fd/{reading}")
    lines = [*({**good, "anchors": [name]} for name in names), {**good, "signatures": ["pipe"]}, good]
    code, out, _ = run("check", "--batch", stdin="\n".join(map(json.dumps, lines)).encode())
    os.close(reading)
    answers = [json.loads(line) for line in out.splitlines()]
    assert (code, [answer["reason"] for answer in answers]) == (4, ["bad_request"] * 3 + ["trusted"])


def test_what_the_shell_passes_through_a_pipe_is_read(run: Run, here: Path) -> None:
    """``--anchors <(command)`` works, once for all the packages of a command line."""
    reading, writing = os.pipe()
    os.write(writing, (here / "root.pem").read_bytes())
    os.close(writing)
    options = ("check", "--json", "--only-anchors", "--anchors", f"/dev/fd/{reading}")
    code, out, _ = run(*options, "firmware.bin", "bundle.zip")
    os.close(reading)
    assert (code, [json.loads(line)["reason"] for line in out.splitlines()]) == (0, ["trusted"] * 2)


def test_whoever_writes_into_a_pipe_has_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody ends is given up, and one that is filled too far is too large."""
    monkeypatch.setattr(files, "PIPE_SECONDS", 0.1)
    reading, writing = os.pipe()
    try:
        os.write(writing, b"some")
        with pytest.raises(UsageError, match="nobody ended it"):
            read_capped(f"/dev/fd/{reading}", 100)
        filling = threading.Thread(target=os.write, args=(writing, b"more than that"))
        filling.start()
        with pytest.raises(UsageError, match="larger than 8 bytes"):
            read_capped(f"/dev/fd/{reading}", 8)
        filling.join()
    finally:
        os.close(reading)
        os.close(writing)


def test_configuration_and_store_are_no_pipes(run: Run, here: Path) -> None:
    """A FIFO where the configuration (2) or the database (4) is expected is refused at once."""
    os.mkfifo(here / "pipe.toml")
    os.mkfifo(here / "rootwarden.db")
    for config, expected in (("pipe.toml", 2), ("rootwarden.toml", 4)):
        code, out, err = run("check", "--vendor", "dten", "firmware.bin", config=config)
        assert (code, out) == (expected, "")
        assert "no regular file" in err


@pytest.mark.parametrize(
    "content",
    [
        b"", bytes(range(200)), bytes(range(256)), bytes(64), bytes(256), b"signed, honestly\n", b"-----BEGIN CERTIFICATE-----\n",
        b"{}", b'{"signed": "honestly"}', b"{ signed", b"[]", b"null", b"0", b"<signature/>", b"\xef\xbb\xbf\r\n",
        b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}',
    ],
)  # fmt: skip
def test_a_file_without_a_signature_is_no_signature_file(run: Run, here: Path, content: bytes) -> None:
    """What --signature names must hold a signature of some kind: else the question is wrong (2), and so is a batch line's."""
    (here / "side").write_bytes(content)
    code, out, err = run(*ROOT, "--signature", "side", "firmware.bin")
    assert (code, out) == (2, "")
    assert "no signature of a known kind" in err
    line = {"id": 7, "path": "firmware.bin", "signatures": ["side"]}
    code, out, _ = run("check", "--batch", "--only-anchors", stdin=json.dumps(line).encode())
    assert (code, only(out)["id"], only(out)["reason"]) == (4, 7, "bad_request")


def test_a_signature_that_is_broken_or_not_supported_is_a_verdict(run: Run, here: Path) -> None:
    """Cut short it is malformed (10); of a kind that is not read here it is unsupported_format (3)."""
    whole = (here / "firmware.bin.p7s").read_bytes()
    minisign = b"untrusted comment: signature\nRWQ=\ntrusted comment: x\nAAAA\n"
    key = b"untrusted comment: public key\n" + base64.b64encode(b"Ed" + bytes(40)) + b"\n"
    later = b'{"mediaType": "application/vnd.dev.sigstore.bundle.v9+json", "verificationMaterial": {}}'
    expectations = (
        (whole[:200], (10, "malformed")), (minisign, (10, "malformed")), (key, (3, "unsupported_format")),
        (later, (3, "unsupported_format")),
    )  # fmt: skip
    for content, expected in expectations:
        (here / "side").write_bytes(content)
        code, out, _ = run(*ROOT, "--signature", "side", "firmware.bin")
        assert (code, only(out)["reason"]) == expected


def test_the_path_is_told_as_it_was_given_and_opened_so(run: Run, here: Path) -> None:
    """``package.path`` is the argument itself, and what the system says of it counts: a file is no folder, nothing is no path."""
    (here / "p").mkdir()
    (here / "firmware.bin").rename(here / "p/firmware.bin")
    (here / "firmware.bin.p7s").rename(here / "p/firmware.bin.p7s")
    for given, reason in (
        ("./p//firmware.bin", "trusted"),
        (f"{here}/p/../p/firmware.bin", "trusted"),
        ("p/firmware.bin/", "unreadable"),
        ("", "unreadable"),
    ):
        package = only(run(*ROOT, given)[1])
        assert (package["package"]["path"], package["reason"]) == (given, reason)


def test_lines_that_need_the_missing_store_are_answered_and_the_others_as_well(run: Run) -> None:
    """Without a store, and without a configuration, a batch goes on: those lines are errors, exit 4 at the end."""
    own = {"only_anchors": True, "anchors": ["root.pem"]}
    lines = [{"id": 1, "vendor": "dten"}, {"id": 2, **own}, {"id": 3, "vendor": "any"}]
    stdin = "\n".join(json.dumps({"path": "firmware.bin", **line}) for line in lines).encode()
    for config in ("rootwarden.toml", "absent.toml"):
        code, out, _ = run("check", "--batch", stdin=stdin, config=config)
        answers = [json.loads(line) for line in out.splitlines()]
        assert (code, [a["id"] for a in answers]) == (4, [1, 2, 3])
        assert [a["reason"] for a in answers] == ["bad_request", "trusted", "bad_request"]
        assert all("rootwarden init" in a["detail"] for a in (answers[0], answers[2]))


def test_an_empty_vendor_is_no_vendor(run: Run) -> None:
    """``--vendor ''`` is a usage error whether a store is asked or not."""
    for options in (("--only-anchors", "--anchors", "root.pem"), ()):
        code, out, err = run("check", *options, "--vendor", "", "firmware.bin")
        assert (code, out) == (2, "")
        assert "empty" in err
