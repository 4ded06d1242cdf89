"""RFC 3161 tokens out of hostile bytes, and what beside a CMS signature calls itself one."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import core
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import Signer, ota, read
from tests.trust_store.timestamp_craft import (
    COUNTERSIGNATURE,
    MICROSOFT_TOKEN,
    Authority,
    signature_value,
    stamped,
)
from tests.trust_store.verdict_craft import AT, CONTENT, beside
from trust_store.decode.cms import parse_signed_data
from trust_store.decode.timestamp_token import TimestampInfo, parse_info, parse_token
from trust_store.decode.unsigned_attributes import MAX_TOKEN_BYTES, MAX_TOKENS, UnsignedAttributes, unsigned_attributes
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.signatures import cms as cms_scheme

VALUE = b"the value of a signature"
READ_ERRORS = (MalformedError, ResourceLimitError, UnsupportedError)


@pytest.fixture(scope="module")
def tsa() -> Authority:
    """An authority."""
    return Authority.make(AT)


def tlv(tag: int, *contents: bytes) -> bytes:
    """A DER value of fewer than 128 octets, or in the long form."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


POLICY = bytes.fromhex("06042a030401")
IMPRINT = tlv(0x30, tlv(0x30, bytes.fromhex("0609608648016503040201")), tlv(0x04, hashlib.sha256(VALUE).digest()))
VERSION, SERIAL, TIME = b"\x02\x01\x01", b"\x02\x01\x07", tlv(0x18, b"20261125120000Z")


def info(*rest: bytes, time: bytes = TIME, version: bytes = VERSION, imprint: bytes = IMPRINT) -> bytes:
    """TSTInfo by hand."""
    return tlv(0x30, version, POLICY, imprint, SERIAL, time, *rest)


def test_every_field_is_read(tsa: Authority) -> None:
    """Accuracy, ordering, nonce and the authority's name are read as they stand."""
    crafted = tsa.info(
        VALUE, AT, accuracy={"seconds": 2, "millis": 30, "micros": 4}, ordering=True, nonce=1 << 63,
    )  # fmt: skip
    found = parse_info(crafted.dump())
    assert found == TimestampInfo(
        version=1,
        policy="1.3.6.1.4.1.13762.3",
        imprint_algorithm="sha256",
        imprint=hashlib.sha256(VALUE).digest(),
        serial_number=7,
        generated_at=AT,
        accuracy=timedelta(seconds=2, milliseconds=30, microseconds=4),
        ordering=True,
        nonce=1 << 63,
    )
    assert found.latest == AT + timedelta(seconds=2, microseconds=30_004)


def test_openssl_tokens_are_read(tsa: Authority, tmp_path: Path) -> None:
    """What openssl ts answers is read, with the name of the authority and the digest of its certificate."""
    token = parse_token(tsa.openssl(tmp_path, VALUE, digest="sha512", options="tsa_name = yes\ness_cert_id_chain = no"))
    assert token.info.imprint == hashlib.sha512(VALUE).digest()
    assert token.info.tsa_name == tsa.certificate.subject.public_bytes()
    assert token.info.accuracy == timedelta(seconds=1, microseconds=500_100)
    assert token.info.nonce is not None
    assert len(token.signers) == 1
    assert tsa.der in token.certificates
    assert all(identifier.names(tsa.der) for identifier in token.certificate_ids)
    assert not any(identifier.names(tsa.root_der) for identifier in token.certificate_ids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"20261125120000Z", datetime(2026, 11, 25, 12, tzinfo=UTC)),
        (b"20261125120000.5Z", datetime(2026, 11, 25, 12, 0, 0, 500_000, tzinfo=UTC)),
        (b"20261125120000.123456789Z", datetime(2026, 11, 25, 12, 0, 0, 123_456, tzinfo=UTC)),
        (b"99991231235959.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_times(text: bytes, expected: datetime) -> None:
    """A fraction of a second is read to the microsecond; the last moment there is has no later one."""
    found = parse_info(info(tlv(0x30, b"\x02\x01\x3c"), time=tlv(0x18, text)))
    assert found.generated_at == expected
    assert found.latest >= expected


@pytest.mark.parametrize(
    "text",
    [
        b"20261125120000", b"202611251200Z", b"20261125120000+0100", b"20261125120000.Z", b"20261125120000.50Z",
        b"20261125120000,5Z", b"20261325120000Z", b"20261125240000Z", b"20261125120060Z", b"00000101000000Z", b"",
        b"\xef\xbc\x920261125120000Z", b"20261125120000.00000000000000001Z", b" 20261125120000Z", b"20261125120000Z\n",
    ],
)  # fmt: skip
def test_what_is_no_time(text: bytes) -> None:
    """Without seconds, in another zone, with trailing zeros, or on a day there is not, genTime is malformed."""
    with pytest.raises(MalformedError):
        parse_info(info(time=tlv(0x18, text)))


@pytest.mark.parametrize(
    "rest",
    [
        (tlv(0x30, b"\x02\x01\xff"),),  # seconds below zero
        (tlv(0x30, b"\x02\x03\x01\x51\x81"),),  # more than a day
        (tlv(0x30, b"\x80\x01\x00"),),  # no milliseconds
        (tlv(0x30, b"\x80\x02\x03\xe8"),),  # a thousand
        (tlv(0x30, b"\x81\x01\x01\x80\x01\x01"),),  # in the wrong order
        (b"\x01\x01\x00",),  # ordering FALSE is left out in DER
        (b"\x01\x01\x01",),  # nor is TRUE anything but ones
        (b"\x02\x01\x05", tlv(0x30, b"\x02\x01\x01")),  # accuracy after the nonce
        (b"\x02\x01\x05", b"\x02\x01\x05"),
        (tlv(0xA0),),
        (tlv(0xA0, tlv(0xA4)),),
        (tlv(0xA0, tlv(0xA4, b"\x02\x01\x01")),),
        (tlv(0xA1),),
        (tlv(0xA1, tlv(0x30, POLICY)),),
        (tlv(0xA1, tlv(0x30, POLICY, b"\x01\x01\x00", b"\x04\x00")),),
        (tlv(0xA2, b"\x04\x00"),),
    ],
)
def test_broken_fields(rest: tuple[bytes, ...]) -> None:
    """A part that DER or RFC 3161 does not allow makes TSTInfo malformed."""
    with pytest.raises(MalformedError):
        parse_info(info(*rest))


def test_what_is_not_understood() -> None:
    """Another version and a critical extension are unsupported; an extension that is not critical, and another kind of name, pass."""
    with pytest.raises(UnsupportedError, match="version 2"):
        parse_info(info(version=b"\x02\x01\x02"))
    with pytest.raises(UnsupportedError, match="critical extension"):
        parse_info(info(tlv(0xA1, tlv(0x30, POLICY, b"\x01\x01\xff", b"\x04\x00"))))
    assert parse_info(info(tlv(0xA1, tlv(0x30, POLICY, b"\x04\x00")))).tsa_name is None
    assert parse_info(info(tlv(0xA0, tlv(0x82, b"tsa.example")))).tsa_name is None


def test_the_imprint_fits_its_algorithm() -> None:
    """A digest of another length than its algorithm's, or more than two parts, is malformed; an unknown algorithm is unsupported."""
    sha256 = tlv(0x30, bytes.fromhex("0609608648016503040201"))
    for imprint in (tlv(0x30, sha256, tlv(0x04, b"short")), tlv(0x30, sha256), tlv(0x30, sha256, b"\x05\x00")):
        with pytest.raises(MalformedError):
            parse_info(info(imprint=imprint))
    with pytest.raises(UnsupportedError):
        parse_info(info(imprint=tlv(0x30, tlv(0x30, POLICY), tlv(0x04, b"x" * 32))))


def test_only_der_is_a_tst_info() -> None:
    """A length that is longer than it must be, a part too few and bytes after the end are malformed."""
    good = info()
    assert parse_info(good).generated_at == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert good[1] < 0x80
    for bad in (bytes([0x30, 0x81, good[1]]) + good[2:], tlv(0x30, VERSION, POLICY), good + b"\0", b""):
        with pytest.raises(MalformedError):
            parse_info(bad)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"content_type": "data", "signed_type": "data"}, UnsupportedError),
        ({"content": tlv(0x30, VERSION)}, MalformedError),
        ({"content": info() + b"\0" * 20_000}, ResourceLimitError),
    ],
)
def test_messages_that_are_no_tokens(tsa: Authority, changes: dict[str, Any], error: type[Exception]) -> None:
    """A message over other content, and a TSTInfo that is too long, are no tokens."""
    with pytest.raises(error):
        parse_token(tsa.token(VALUE, AT, **changes))


def test_armour_and_size(tsa: Authority) -> None:
    """A token is binary and at most 256 KiB."""
    token = tsa.token(VALUE, AT)
    with pytest.raises(ResourceLimitError):
        parse_token(token + b"\0" * MAX_TOKEN_BYTES)
    with pytest.raises(MalformedError):
        parse_token(b"-----BEGIN CMS-----\n-----END CMS-----\n")
    with pytest.raises(MalformedError):
        parse_token(token[:-1])


def test_pieces_in_ber(tsa: Authority) -> None:
    """Content in pieces of indefinite length, as BER allows and some authorities write, is the same content."""
    token = tsa.token(VALUE, AT)
    content = tsa.info(VALUE, AT).dump()
    inside = tlv(0xA0, tlv(0x04, content))
    assert token.count(inside) == 1
    pieces = b"\xa0\x80\x24\x80" + tlv(0x04, content[:9]) + tlv(0x04, content[9:]) + b"\0\0\0\0"
    # Every length around it is rewritten as indefinite.
    eci = tlv(0x30, b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04", inside)
    assert token.count(eci) == 1
    start = token.index(eci)
    outer = parse_signed_data(token)
    assert outer.content is not None
    rebuilt_eci = b"\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04" + pieces + b"\0\0"
    signed_data_start = token.index(b"\x02\x01\x03")
    body = token[signed_data_start:start] + rebuilt_eci + token[start + len(eci) :]
    oid = bytes.fromhex("06092a864886f70d010702")
    ber = b"\x30\x80" + oid + b"\xa0\x80\x30\x80" + body + b"\0\0" * 3
    assert parse_token(ber).content == content
    assert parse_token(ber).info == parse_token(token).info


def test_signing_certificate_attributes(tsa: Authority) -> None:
    """Both versions of the attribute are read, and issuer and serial number have to fit as well."""
    for signing in (("v1",), ("v2",), ("v2+serial",), ("v2+sha512",), ("v1", "v2")):
        found = parse_token(tsa.token(VALUE, AT, signing=signing)).certificate_ids
        assert [identifier.names(tsa.der) for identifier in found] == [True] * len(signing)
        assert not any(identifier.names(tsa.root_der) for identifier in found)
    assert parse_token(tsa.token(VALUE, AT, signing=())).certificate_ids == ()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    """Whatever the bytes are, the answer is a token or one of three errors."""
    for body in (data, tlv(0x30, data), info(data)):
        try:
            parse_token(body)
            parse_info(body)
        except READ_ERRORS:
            continue


def test_every_byte_of_a_token(tsa: Authority) -> None:
    """A token with any one byte changed is read as a token or refused, never anything else."""
    token = bytearray(tsa.token(VALUE, AT))
    for position in range(len(token)):
        for value in (token[position] ^ 0x01, token[position] ^ 0x80, 0x00, 0xFF):
            changed = bytes(token[:position]) + bytes([value]) + bytes(token[position + 1 :])
            try:
                parse_token(changed)
            except READ_ERRORS:
                continue


PKI = VendorPKI.generate("DTEN", AT)


def unsigned(message: bytes) -> UnsignedAttributes:
    """What stands beside the first signer's signature."""
    return unsigned_attributes(parse_signed_data(message).signer_infos[0])


def test_tokens_beside_a_signature(tsa: Authority) -> None:
    """Tokens under both names become facts, once each; countersignatures too; nothing else is taken for either."""
    message = PKI.sign(CONTENT)
    token = tsa.token(signature_value(message), AT)
    both = stamped(stamped(message, token), token, kind=MICROSOFT_TOKEN)
    assert unsigned(message) == UnsignedAttributes()
    assert unsigned(both).timestamps == (token,)
    counter = tlv(0x30), tlv(0x30, tlv(0x05)), tlv(0x30)
    other = stamped(stamped(both, *counter, kind=COUNTERSIGNATURE), b"\x05\x00", kind="1.2.3.4")
    fact = read(CONTENT, beside(other)).signatures[0]
    assert (fact.timestamps, fact.countersignatures) == ((token,), counter[:2])
    assert fact.key_checks == read(CONTENT, beside(message)).signatures[0].key_checks
    assert fact.scheme == cms_scheme.NAME


def test_caps_beside_a_signature() -> None:
    """At most eight tokens are taken, none of more than 256 KiB, and 512 KiB of all."""
    message = PKI.sign(CONTENT)
    many = stamped(message, *(core.Integer(number).dump() for number in range(20)))
    assert len(unsigned(many).timestamps) == MAX_TOKENS
    small = b"\x02\x01\x05"
    large = b"\x04\x84" + (MAX_TOKEN_BYTES + 1).to_bytes(4, "big") + b"\0" * (MAX_TOKEN_BYTES + 1)
    assert unsigned(stamped(message, large, small)).timestamps == (small,)
    half = [
        b"\x04\x83" + (MAX_TOKEN_BYTES - 100).to_bytes(3, "big") + bytes([i]) * (MAX_TOKEN_BYTES - 100)
        for i in range(4)
    ]
    assert unsigned(stamped(message, *half, small)).timestamps == (half[0], half[1], small)


@pytest.mark.parametrize("broken", [b"\x30\x05", b"\x04\x00", b"\x30\x80\x01"])
def test_broken_attributes_take_nothing(broken: bytes, tsa: Authority) -> None:
    """Unsigned attributes that cannot be read leave the signature as it was, and what stands before them counts."""
    message = PKI.sign(CONTENT)
    token = tsa.token(signature_value(message), AT)
    data = stamped(stamped(message, token), broken)
    assert read(CONTENT, beside(data)).signatures[0].problem is None
    assert unsigned(data).timestamps[:1] == (token,)


class StampingSigner(Signer):
    """A signer whose every signature carries a token."""

    def cms(self, data: bytes, *options: str) -> bytes:
        """What openssl makes of ``data``, with a token beside the signature."""
        message = super().cms(data, *options)
        return stamped(message, TSA.token(signature_value(message), AT))


TSA = Authority.make(AT)


def test_android_footers_carry_tokens_too(tmp_path: Path) -> None:
    """The signature in an OTA package's footer gives its timestamps like any other CMS signature, and holds as before."""
    signer = StampingSigner.make(tmp_path, "ota", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    fact = read(ota(signer, {"payload.bin": b"x" * 50})).signatures[0]
    assert fact.scheme == "android-ota"
    assert parse_token(fact.timestamps[0]).info.imprint == hashlib.sha256(fact.signature).digest()
    assert [check.holds for check in fact.key_checks] == [True]
