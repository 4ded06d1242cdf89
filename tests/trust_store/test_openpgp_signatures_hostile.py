"""Detached OpenPGP signatures: mutated, refused, flooded, and keys made of impossible numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.openpgp_craft import SIGNED, CraftedKey, integer, packet, seconds, subpacket
from tests.trust_store.openpgp_tools import DOCUMENT, Gpg, check, fact, facts
from trust_store.decode import openpgp_arithmetic
from trust_store.decode.openpgp import component_key, load_keys
from trust_store.decode.openpgp_arithmetic import signature_holds
from trust_store.decode.openpgp_packets import split_packets
from trust_store.decode.openpgp_signature import parse_signature
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import SignatureOrigin
from trust_store.signatures.openpgp import SCHEME, second_opinion
from trust_store.signatures.protocol import CandidateKey

OURS = (MalformedError, ResourceLimitError, UnsupportedError)
KEY = CraftedKey(1)
GOOD = packet(2, KEY.signature(0, DOCUMENT))


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """One GnuPG home for this module."""
    with Gpg() as home:
        yield home


def parse(data: bytes) -> tuple[object, ...]:
    """The pending signatures in ``data``."""
    return SCHEME.parse(data, origin=SignatureOrigin.FOUND, file=None)


def test_salted_signatures_are_capped() -> None:
    """Each version 6 signature needs its own pass, so few are allowed in a file."""
    secret = pysequoia.Tsk.generate("six", profile=pysequoia.Profile.RFC9580)
    signature = pysequoia.sign(secret.signer(), DOCUMENT, mode=pysequoia.SignatureMode.DETACHED, armor=False)
    with pytest.raises(ResourceLimitError):
        parse(signature * 9)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (b"text", MalformedError),
        (GOOD + b"x", MalformedError),
        (GOOD + packet(13, b"u"), MalformedError),
        (packet(10, b"PGP"), MalformedError),
        (packet(2, KEY.signature(0, DOCUMENT, created=None, unhashed=seconds(2, SIGNED))), MalformedError),
        (packet(2, KEY.signature(0, DOCUMENT, hashed=seconds(3, 1) * 2)), MalformedError),
        (packet(2, KEY.signature(0x10, DOCUMENT)), UnsupportedError),
        (packet(2, KEY.signature(0x02, DOCUMENT)), UnsupportedError),
        (packet(2, KEY.signature(0x50, DOCUMENT)), UnsupportedError),
        (packet(2, KEY.signature(0, DOCUMENT, hashed=subpacket(99, b"", critical=True))), UnsupportedError),
        (packet(2, KEY.signature(0, DOCUMENT, hashed=subpacket(20, bytes(8), critical=True))), UnsupportedError),
        (packet(2, b"\x02\x05\x00" + bytes(4 + 8) + b"\x01\x08ab" + integer(b"\x05")), UnsupportedError),
        (packet(2, b"\x03\x05\xff" + bytes(4 + 8) + b"\x01\x08ab" + integer(b"\x05")), UnsupportedError),
        (packet(2, b"\x03\x05\x00" + bytes(4 + 8) + b"\x1b\x08ab" + bytes(64)), UnsupportedError),
        (packet(2, b"\x04\x00\x63" + KEY.signature(0, DOCUMENT)[3:]), UnsupportedError),
        (packet(2, b"\x04\x00\x16\x63" + KEY.signature(0, DOCUMENT)[4:]), UnsupportedError),
        (packet(2, b"\x05" + KEY.signature(0, DOCUMENT)[1:]), UnsupportedError),
        (b"-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n-----BEGIN PGP SIGNATURE-----\n", UnsupportedError),
        (b"-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n", UnsupportedError),
        (GOOD * 65, ResourceLimitError),
        (b"x" * (8 * 1024 * 1024 + 1), ResourceLimitError),
    ],
)
def test_what_is_no_detached_document_signature_is_refused(data: bytes, error: type[Exception]) -> None:
    """Other types, unsigned times, unread critical parts, garbage and floods each end in the error that says so."""
    with pytest.raises(error):
        parse(data)


@pytest.mark.parametrize(
    ("algorithm", "material"),
    [
        (1, integer(b"\x05")),
        (1, integer(b"\x00") * 2),
        (1, integer(b"\xfe" * 256) + integer(b"\x03")),
        (1, integer(b"\xff" * 256) + integer(b"\x02")),
        (1, integer(b"\xff" * 40) + integer(b"\x03")),
        (1, integer(b"\xff" * 1200) + integer(b"\x03")),
        (1, integer(b"\xff" * 256) + integer(b"\xff" * 200)),
        (17, integer(b"\x05") * 4),
        (19, b""),
        (19, b"\x08" + bytes.fromhex("2a8648ce3d030107") + integer(b"\x04" + bytes(64))),
        (19, b"\x08" + bytes.fromhex("2a8648ce3d030107")),
        (19, b"\x05" + bytes.fromhex("2b8104000a") + integer(b"\x04" + bytes(64))),
        (22, b"\x05" + bytes.fromhex("2b8104000a") + integer(b"\x40" + bytes(32))),
        (22, b"\x09" + bytes.fromhex("2b06010401da470f01") + integer(b"\x41" + bytes(32))),
        (27, bytes(31)),
        (28, bytes(5)),
        (16, b""),
    ],
)
def test_hostile_key_material_is_no_signer(algorithm: int, material: bytes) -> None:
    """Impossible numbers, points and sizes never hold and raise nothing but UnsupportedError."""
    key = component_key(b"\x04" + bytes(4) + bytes((algorithm,)) + material, is_primary=True)
    for values in (
        integer(b"\x05"),
        integer(b"\x05") * 2,
        integer(b"\x00") * 2,
        integer(b"\x05" * 600),
        bytes(64),
        b"",
    ):
        signature = replace(parse_signature(KEY.signature(0, b"")), public_key_algorithm=algorithm, values=values)
        with contextlib.suppress(UnsupportedError):
            assert not signature_holds(key, signature, bytes(32))


class _PanicError(BaseException):
    """Like a panic of a Rust extension."""


def test_a_crash_inside_a_library_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic becomes UnsupportedError or no opinion; an interrupt goes through."""

    def panic(*_: object, **__: object) -> bool:
        raise _PanicError

    def interrupt(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    seen, signature = fact(GOOD), parse_signature(KEY.signature(0, DOCUMENT))
    component = load_keys(KEY.certificate)[0].components[0]
    monkeypatch.setitem(openpgp_arithmetic._CHECKS, 22, panic)
    with pytest.raises(UnsupportedError):
        signature_holds(component, signature, seen.digest)
    monkeypatch.setitem(openpgp_arithmetic._CHECKS, 22, interrupt)
    with pytest.raises(KeyboardInterrupt):
        signature_holds(component, signature, seen.digest)
    monkeypatch.setattr(pysequoia, "verify", panic)
    assert second_opinion(DOCUMENT, seen, KEY.certificate) is None
    monkeypatch.setattr(pysequoia, "verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        second_opinion(DOCUMENT, seen, KEY.certificate)


def test_flipping_any_byte_of_the_document_breaks_it() -> None:
    """Every changed byte of the signed content is noticed, under the key the signature names."""
    for place in range(len(DOCUMENT)):
        for bit in (0x01, 0x20, 0x80):
            changed = bytearray(DOCUMENT)
            changed[place] ^= bit
            found = check(GOOD, KEY.certificate, bytes(changed))
            assert found
            assert not found.holds


def test_flipping_any_byte_of_the_signature_breaks_it(gpg: Gpg) -> None:
    """Every changed byte of the packet ends in no answer, False or our errors, but for the parts nobody signs."""
    fingerprint = gpg.make_key("flip", "ed25519")
    key, signature = gpg.export(fingerprint), gpg.sign(fingerprint)
    body = split_packets(signature)[0].body
    start = len(signature) - len(body)
    hashed_end = start + 6 + int.from_bytes(body[4:6], "big")
    unhashed_end = hashed_end + 2 + int.from_bytes(body[hashed_end - start : hashed_end - start + 2], "big")
    unsigned = set(range(hashed_end, unhashed_end + 2))  # the unhashed area and the left 16 bits
    for place in range(len(signature)):
        for bit in range(8):
            changed = bytearray(signature)
            changed[place] ^= 1 << bit
            try:
                answers = [SCHEME.holds(one, CandidateKey("openpgp", key)) for one in facts(bytes(changed))]
            except OURS:
                continue
            assert place in unsigned or not any(one and one.holds for one in answers)


def test_flipping_any_byte_of_the_key_never_raises() -> None:
    """Every changed byte of the key packet makes it another key, which did not sign; nothing but our errors escapes."""
    for place in range(len(KEY.primary)):
        for bit in (0x01, 0x10, 0x80):
            changed = bytearray(KEY.primary)
            changed[place] ^= bit
            assert check(GOOD, bytes(changed) + KEY.user_id()) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_facts_or_our_errors(data: bytes, wrap: bool) -> None:  # noqa: FBT001 - a generated value
    """Arbitrary signature files never raise anything but the program's own errors."""
    sample = packet(2, b"\x04\x00\x16\x08" + data) if wrap else data
    SCHEME.recognises(sample)
    try:
        for one in facts(sample):
            SCHEME.holds(one, CandidateKey("openpgp", KEY.certificate))
            second_opinion(DOCUMENT, one, KEY.certificate)
    except OURS:
        pass
