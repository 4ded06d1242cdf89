"""Keys that stand in lines of text or JSON, as minisign, ssh and npm write them, are read to the letter or refused."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_ssh_public_key
from cryptography.hazmat.primitives.serialization import PublicFormat as Form

from tests.trust_store.key_files_craft import NPM_KEY_ID, minisign_file, npm_list, sk_line, ssh_blob, ssh_line
from tests.trust_store.key_files_setup import READ_ERRORS
from trust_store.decode.key_files import read_key_file, read_keys
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, Constraints


def test_minisign_keys_show_their_number_as_minisign_does() -> None:
    """The 42 bytes are the key; the number is shown turned round; the base64 line alone is enough."""
    (key,) = read_keys(minisign_file())
    assert (key.kind, len(key.material), key.name) == (AnchorKind.MINISIGN, 42, "minisign public key 0706050403020100")
    assert {i.value for i in key.identifiers if i.kind is IdentifierKind.KEY_ID} == {"0706050403020100"}
    (bare,) = read_keys(minisign_file().splitlines()[1])
    assert (bare.material, bare.name) == (key.material, "minisign key 0706050403020100")
    assert read_keys(minisign_file().replace(b"\n", b"\r\n")) == (key,)


@pytest.mark.parametrize(
    ("material", "error"),
    [
        (b"Ed" + bytes(72), MalformedError),
        (b"Ed" + bytes(102), UnsupportedError),
        (b"ED" + bytes(40), UnsupportedError),
        (b"Ed" + bytes(8) + b"\1" + bytes(31), MalformedError),
        (b"Ed" + bytes(8) + bytes(32), MalformedError),
        (b"Ed" + bytes(8) + b"\xff" * 32, MalformedError),
        (
            b"Ed" + bytes(8) + bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
            MalformedError,
        ),
        (b"Ed" + bytes(39), MalformedError),
    ],
)
def test_what_is_no_minisign_key_is_refused(material: bytes, error: type[Exception]) -> None:
    """A signature, a secret key, another algorithm, another length, and keys under which anything verifies."""
    with pytest.raises(error):
        read_keys(b"untrusted comment: x\n" + base64.b64encode(material) + b"\n")
    with pytest.raises(MalformedError):
        read_keys(minisign_file() * 2)
    with pytest.raises(MalformedError):
        read_keys(b"untrusted comment: x\n!!!!\n")


@pytest.mark.parametrize(
    ("patterns", "is_taken"),
    [
        ("file", True),
        ("git,file", True),
        ("f*", True),
        ("*", True),
        ("git", False),
        ("*,!file", False),
        ("!git,*", True),
        ("!git", False),
    ],
)
def test_ssh_keys_for_other_namespaces_are_left_out(patterns: str, is_taken: bool) -> None:  # noqa: FBT001 - a table of cases
    """A key whose line limits it to namespaces signs files only where ``file`` is one of them (ssh-keygen(1), ssh_config(5) PATTERNS)."""
    text = f'a@x.org namespaces="{patterns}" '.encode() + ssh_line("ed25519") + b"\nb@x.org " + ssh_line("rsa") + b"\n"
    found = read_key_file(text)
    assert (len(found.keys), len(found.left_out)) == ((2, 0) if is_taken else (1, 1))


def test_ssh_lines_keep_principals_and_validity() -> None:
    """authorized_keys and allowed_signers: principals and namespaces are in the name, validity is a limit, in the narrowest zone."""
    one, two, three = ssh_line("ed25519"), ssh_line("ecdsa"), ssh_line("rsa")
    text = b"\n".join(
        [
            b"# comment", b"", b'no-pty,command="a \\" b, c",expiry-time="20300101Z" ' + one + b" it's \"Ada",
            b'ada@x.org,"eve q@x.org" namespaces="file,git",valid-after="20250101",valid-before="203001011200" ' + two,
            b"*@x.org " + three + b"\r",
        ]
    )  # fmt: skip
    found = read_key_file(text)
    assert found.left_out == ()
    first, second, third = found.keys
    assert (first.name, first.constraints.valid_until) == ("it's \"Ada", datetime(2030, 1, 1, tzinfo=UTC))
    assert second.name == "ada@x.org,eve q@x.org namespaces file,git"
    assert second.constraints.valid_from == datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert second.constraints.valid_until == datetime(2029, 12, 31, 22, tzinfo=UTC)
    assert (third.name, third.constraints) == ("*@x.org", Constraints())
    for key, line in zip(found.keys, (one, two, three), strict=True):
        blob = base64.b64decode(line.split()[1])
        spki = load_ssh_public_key(line).public_bytes(Encoding.DER, Form.SubjectPublicKeyInfo)
        named = {i.kind: i.value for i in key.identifiers}
        assert (key.kind, key.material) == (AnchorKind.SSH, blob)
        assert named[IdentifierKind.SPKI_SHA256] == hashlib.sha256(spki).hexdigest()
    (security_key,) = read_keys(sk_line() + b"\n")
    assert security_key.name == "sk-ssh-ed25519@openssh.com"


def test_ssh_lines_that_are_no_signing_keys_are_left_out() -> None:
    """Certificate authorities, host keys, certificates and old key types are named and left out; alone they are refused."""
    good = ssh_line()
    others = (
        b"cert-authority " + ssh_line(), b"* cert-authority " + ssh_line(), b"@revoked * " + ssh_line(), b"|1|a|b " + ssh_line(),
        b"ssh-dss AAAAB3NzaC1kc3MAAA", b"ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1l",
    )  # fmt: skip
    found = read_key_file(b"\n".join((good, *others)))
    assert (len(found.keys), len(found.left_out)) == (1, len(others))
    for other in others:
        with pytest.raises(UnsupportedError):
            read_keys(other)


@pytest.mark.parametrize(
    "line",
    [
        b"ssh-ed25519 AAAA", b"ssh-ed25519 AAAA!!", b"a b c " + ssh_line(), b'a "b ' + ssh_line(), b"a unknown-option " + ssh_line(),
        b'a valid-before="soon" ' + ssh_line(), b'a valid-before="20301301" ' + ssh_line(), b"a namespaces=x,namespaces=y " + ssh_line(),
        b'a valid-before="99991231" ' + ssh_line().replace(b"ssh-ed25519 ", b"ssh-rsa "), b'a valid-after="999912312359" ' + ssh_line(),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", bytes(32))),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", b"\2" * 31)),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", b"\2" * 32, b"")),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", b"\2" * 32) + b"\0"),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\0\0" + b"\xff" * 256)),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\xff" * 256)),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 3000)),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 60)),
        b"ecdsa-sha2-nistp256 " + base64.b64encode(ssh_blob(b"ecdsa-sha2-nistp256", b"nistp384", b"\4" + bytes(64))),
        b"ecdsa-sha2-nistp256 " + base64.b64encode(ssh_blob(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + bytes(64))),
        b"ecdsa-sha2-nistp256 " + base64.b64encode(ssh_blob(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(32))),
        b"sk-ssh-ed25519@openssh.com " + base64.b64encode(ssh_blob(b"sk-ssh-ed25519@openssh.com", b"\2" * 32, b"")),
        b"ssh-ed25519 AAAA" + b"A" * 40_000,
    ],
    ids=lambda line: line.split(b"AAAAC3")[0][:50].decode(),  # the key differs from one process to the next
)  # fmt: skip
def test_ssh_lines_that_are_not_exact_are_refused(line: bytes) -> None:
    """Wrong structure, numbers, points, options and times: refused, never taken for some key."""
    with pytest.raises(READ_ERRORS):
        read_keys(line)


def test_one_ssh_key_under_two_times_is_refused() -> None:
    """Which of two validities counts is nobody's to guess; the same line twice is one key."""
    line = ssh_line()
    assert len(read_keys(b"a " + line + b"\nb " + line)) == 1
    with pytest.raises(MalformedError):
        read_keys(b"a " + line + b'\nb valid-before="20300101Z" ' + line)


def test_npm_keys_carry_their_expiry_and_an_opaque_id() -> None:
    """The id that npm gave is no digest of the key and is a hint only; the expiry bounds the key."""
    (key,) = read_keys(json.dumps(npm_list()).encode())
    assert (key.kind, key.name) == (AnchorKind.NPM, f"npm registry key {NPM_KEY_ID}")
    assert key.constraints == Constraints(valid_until=datetime(2025, 1, 29, tzinfo=UTC))
    assert (IdentifierKind.KEY_ID, NPM_KEY_ID) in {(i.kind, i.value) for i in key.identifiers}
    digest = base64.b64encode(hashlib.sha256(key.material).digest()).decode()
    (named,) = read_keys(json.dumps(npm_list(keyid=f"SHA256:{digest}", expires=None)).encode())
    assert (named.name, named.constraints) == ("npm registry key", Constraints())


@pytest.mark.parametrize(
    "changes",
    [
        {"keytype": "rsa"}, {"scheme": "x"}, {"key": "!!"}, {"key": ""}, {"key": "AAAA"}, {"expires": "2025-01-29"}, {"expires": 7},
        {"keyid": ""}, {"keyid": "a\nb"}, {"keyid": "x" * 300}, {"keyid": 1}, {"expires": "soon"},
    ],
    ids=repr,
)  # fmt: skip
def test_npm_entries_that_are_not_exact_are_refused(changes: dict[str, Any]) -> None:
    """An unknown scheme, a broken key, a time without zone, an id that is no text."""
    with pytest.raises(READ_ERRORS):
        read_keys(json.dumps(npm_list(**changes)).encode())


def test_npm_lists_are_read_as_a_whole() -> None:
    """A foreign entry is left out and named; the same id or key twice, too many, and a web key set are refused."""
    (entry,) = npm_list()["keys"]
    mixed = {"keys": [entry, {**entry, "keyid": "other", "keytype": "rsa"}]}
    found = read_key_file(json.dumps(mixed).encode())
    assert (len(found.keys), len(found.left_out)) == (1, 1)
    for keys in (
        [entry, entry],
        [entry, {**entry, "keyid": "2"}],
        [{**entry, "keyid": str(n)} for n in range(300)],
        [{"kty": "EC"}],
        [],
    ):
        with pytest.raises(READ_ERRORS):
            read_keys(json.dumps({"keys": keys}).encode())
