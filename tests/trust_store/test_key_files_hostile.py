"""Whatever bytes are handed over as a key file, they are keys or end in a read error, at a bounded cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.key_files_craft import ssh_line
from tests.trust_store.key_files_setup import READ_ERRORS, armored, folder
from tests.trust_store.openpgp_craft import CraftedKey
from trust_store.decode.key_files import read_keys
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["folder"]  # a fixture


def test_files_of_several_kinds_and_of_none_are_refused(folder: Path) -> None:
    """What is of two kinds is not guessed at; an empty file, a text and a file over the cap are refused."""
    cert = (folder / "cert.pem").read_bytes()
    with pytest.raises(MalformedError, match="several kinds"):
        read_keys(cert + armored(CraftedKey(1)))
    for data in (b"", b"text", b"{}", b"[]", b"{" * 5000, b'{"keys": [' + b"[" * 5000, b"0 not DER\n", b"\x30"):
        with pytest.raises(READ_ERRORS):
            read_keys(data)
    with pytest.raises(ResourceLimitError):
        read_keys(bytes(8 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    "data",
    [
        b'{"issuer": "a", "issuer": "b", "identity": "c"}', b'{"issuer": NaN, "identity": 1}', b'{"issuer": 1e9, "identity": 1}',
        b'{"issuer": ' + b"9" * 50 + b', "identity": 1}', b'{"issuer": "\\ud800", "identity": "a@b"}',
        b'{"issuer": ' + b"[" * 40 + b"]" * 40 + b', "identity": 1}', b'{"issuer": "\xff", "identity": 1}',
    ],
)  # fmt: skip
def test_json_is_read_strictly(data: bytes) -> None:
    """A key twice, no numbers, halves of characters, depth and foreign encodings are refused."""
    with pytest.raises(READ_ERRORS):
        read_keys(data)


def test_every_byte_changed_or_cut_off_ends_in_a_read_error_or_a_key(folder: Path) -> None:
    """Whatever one byte of a small key file is changed to, nothing but a read error is raised, and cut files give no new key."""
    names = (
        "cert.der",
        "spki.der",
        "pkcs1.der",
        "bare.p12",
        "minisign.pub",
        "ssh-ed25519.pub",
        "identity.json",
        "npm.json",
    )
    for name in names:
        data = (folder / name).read_bytes()
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= 1 + position % 255
            _harmless(bytes(changed))
            _harmless(data[:position])


@pytest.mark.parametrize("name", ["aux-tls.pem", "trusted_root.json", "one.p11-kit", "legacy.p12", "openssl.p12"])
def test_larger_files_survive_changes(folder: Path, name: str) -> None:
    """The same, at every 13th byte of a larger file."""
    data = (folder / name).read_bytes()
    for position in range(0, len(data), 13):
        changed = bytearray(data)
        changed[position] ^= 0x41
        _harmless(bytes(changed))


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"0\x82", b"-----BEGIN ", b"ssh-rsa AAAA", b"untrusted comment:", b"{", b"[p11-kit-object-v1]\n"]
    ),
)
def test_arbitrary_bytes_are_harmless(data: bytes, start: bytes) -> None:
    """No bytes at all raise anything but a read error."""
    _harmless(start + data)


def _harmless(data: bytes) -> None:
    try:
        keys = read_keys(data)
    except READ_ERRORS:
        return
    assert keys
    for key in keys:
        assert key.constraints.purposes
        assert (key.constraints.valid_until or datetime.now(UTC)) > datetime(1, 1, 2, tzinfo=UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    "data",
    [
        b"[p11-kit-object-v1]\n" + b"-----BEGIN A-----\n" * 10_000, b"[p11-kit-object-v1]\n" * 10_000, (ssh_line() + b"\n") * 5000,
        b"cert-authority " + (ssh_line() + b"\ncert-authority ") * 1500, b'{"keys": [' + b'{"keyid": "1"},' * 80_000 + b"1]}",
        b"-----BEGIN X-----\nAAAA\n-----END X-----\n" * 5000, b"Signed-By: x\n" * 100_000, b"untrusted comment:" + b" " * 5000,
        b"-----BEGIN TRUSTED CERTIFICATE-----\n" + b"MIID" * 60_000 + b"\n-----END TRUSTED CERTIFICATE-----\n",
    ],
    ids=lambda data: data[:30].decode(),
)  # fmt: skip
def test_every_kind_has_its_caps(data: bytes) -> None:
    """Too many entries, lines or bytes of any kind are refused before they cost anything."""
    with pytest.raises(READ_ERRORS):
        read_keys(data)
