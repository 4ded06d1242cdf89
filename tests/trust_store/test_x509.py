"""Certificates from bytes: PEM, DER and PKCS#7, every cap, and no exception but the known ones for any byte of any of them."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.path_craft import FROM, UNTIL, authority, issue
from trust_store.decode import x509 as decode
from trust_store.decode.x509 import decode_certificates, decode_readable, load_certificate
from trust_store.errors import MalformedError, ResourceLimitError

ROOT = authority("root")
LEAF = issue("leaf", ROOT)
BUNDLE = pkcs7.serialize_certificates([ROOT.certificate, LEAF.certificate], Encoding.DER)
KNOWN = (MalformedError, ResourceLimitError)


def test_a_certificate_is_decoded_once_with_everything_in_it() -> None:
    """Digests, names, key and times are those of the certificate."""
    found = load_certificate(ROOT.der)
    spki = ROOT.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (found.der, found.sha256) == (ROOT.der, hashlib.sha256(ROOT.der).hexdigest())
    assert (found.spki, found.spki_sha256) == (spki, hashlib.sha256(spki).hexdigest())
    assert (found.subject, found.issuer, found.self_issued, found.is_ca) == ("CN=root", "CN=root", True, True)
    assert (found.not_before, found.not_after) == (FROM, UNTIL)
    assert found.serial_number == ROOT.certificate.serial_number
    assert load_certificate(LEAF.der).is_ca is False


def test_pem_der_and_pkcs7_give_the_same_certificates() -> None:
    """Each container is recognised by itself, in the order it holds them."""
    both = {ROOT.der, LEAF.der}
    text = (ROOT.pem + "notes between\n" + LEAF.pem).encode()
    assert [c.der for c in decode_certificates(text)] == [ROOT.der, LEAF.der]
    assert [c.der for c in decode_certificates(ROOT.der)] == [ROOT.der]
    assert {c.der for c in decode_certificates(BUNDLE)} == both
    armoured = b"-----BEGIN PKCS7-----\n" + base64.encodebytes(BUNDLE) + b"-----END PKCS7-----\n"
    assert {c.der for c in decode_certificates(armoured)} == both
    key = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    assert [c.der for c in decode_certificates(key + ROOT.pem.encode())] == [ROOT.der]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        b"\x30\x00",
        b"\x30\x80",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END OTHER-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ROOT.der[:-1],
        ROOT.der + b"\0",
        ROOT.pem.encode() + b"-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_malformed(data: bytes) -> None:
    """Nothing, garbage, and anything cut short or prolonged."""
    with pytest.raises(MalformedError):
        decode_certificates(data)


def test_caps_are_checked_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One certificate, one bundle and the number in it are limited."""
    with pytest.raises(ResourceLimitError):
        load_certificate(b"\x30" * (decode.MAX_CERTIFICATE_BYTES + 1))
    with pytest.raises(ResourceLimitError):
        decode_certificates(b"\x30" * (decode.MAX_BUNDLE_BYTES + 1))
    assert decode_readable(b"\x30" * (decode.MAX_BUNDLE_BYTES + 1))[0] == ()
    monkeypatch.setattr(decode, "MAX_CERTIFICATES", 1)
    with pytest.raises(ResourceLimitError):
        decode_certificates((ROOT.pem * 2).encode())
    with pytest.raises(ResourceLimitError):
        decode_certificates(BUNDLE)


def test_a_body_of_blanks_that_does_not_end_is_read_once() -> None:
    """A megabyte of blanks after a PEM header takes no more than one look."""
    with pytest.raises(MalformedError):
        decode_certificates(b"-----BEGIN CERTIFICATE-----" + b" " * 1_000_000)


def test_what_can_be_read_is_read_beside_what_cannot() -> None:
    """One bad block costs only itself; what is refused is handed back."""
    bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    certificates, refused = decode_readable((bad + ROOT.pem).encode())
    assert ([c.der for c in certificates], refused) == ([ROOT.der], (b"\0\0\0",))
    assert decode_readable(ROOT.der) == ((ROOT.decoded,), ())
    assert decode_readable(b"junk") == ((), (b"junk",))
    not_base64 = bad.replace("AAAA", "A")
    assert decode_readable(not_base64.encode())[0] == ()


@pytest.mark.parametrize("data", [ROOT.der, BUNDLE, ROOT.pem.encode()], ids=["der", "pkcs7", "pem"])
def test_every_byte_may_be_wrong(data: bytes) -> None:
    """Any byte changed gives certificates or a known error, never another exception."""
    for position in range(len(data)):
        for value in (0, 0x80, 0xFF, data[position] ^ 1):
            changed = data[:position] + bytes([value]) + data[position + 1 :]
            with suppress(*KNOWN):
                decode_certificates(changed)


@given(st.binary(max_size=300))
def test_any_bytes_end_in_an_answer(data: bytes) -> None:
    """Garbage is malformed."""
    with pytest.raises(KNOWN):
        decode_certificates(data)


def test_a_panic_of_the_library_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic of the Rust core is no crash of this program; a BaseException that is none goes through."""

    class PanicException(BaseException):
        pass

    def panic(_: bytes) -> None:
        raise PanicException

    def stop(_: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decode.x509, "load_der_x509_certificate", panic)
    with pytest.raises(MalformedError):
        load_certificate(ROOT.der)
    monkeypatch.setattr(decode.x509, "load_der_x509_certificate", stop)
    with pytest.raises(KeyboardInterrupt):
        load_certificate(LEAF.der)


def test_other_curves_are_read() -> None:
    """P-521 is a key like any other."""
    assert load_certificate(authority("p521", private=ec.generate_private_key(ec.SECP521R1())).der).is_ca
