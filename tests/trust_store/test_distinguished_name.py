from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import tlv
from trust_store.decode.distinguished_name import name_text

CN, O, C = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.COUNTRY_NAME  # noqa: E741 - as RFC 4514 calls it


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([CN, O, NameOID.LOCALITY_NAME, NameOID.USER_ID]), st.text(min_size=1, max_size=20)),
        max_size=5,
    )
)
def test_same_text_as_cryptography(parts: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    """Names read as the library writes them."""
    try:
        name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
        encoded = name.public_bytes()
    except (ValueError, UnicodeError):
        return
    assert name_text(encoded) == name.rfc4514_string()


def test_unknown_types_and_encodings() -> None:
    """An unknown attribute type is written as its number, an unknown encoding as hex, two values with a plus."""
    mail = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010901")), tlv(0x16, b"a@b"))
    bits = tlv(0x30, tlv(6, bytes.fromhex("550403")), tlv(3, b"\0x"))
    wide = tlv(0x30, tlv(6, bytes.fromhex("55040a")), tlv(0x1E, "Ö".encode("utf-16-be")))
    assert (
        name_text(tlv(0x30, tlv(0x31, mail, wide), tlv(0x31, bits))) == "2.5.4.3=#03020078,1.2.840.113549.1.9.1=a@b+O=Ö"
    )
    assert name_text(tlv(0x30)) == ""


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"x",
        tlv(0x31),
        tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, b"\x55\x04\x03")))),
        tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, b"\x55\x04\x03"), tlv(0x0C, b"\xff")))),
        tlv(0x30, *[tlv(0x31)] * 65),
        tlv(0x30, tlv(0x31, *[tlv(0x30)] * 65)),
        tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, b"\x55\x04\x03"), tlv(0x0C, b"x" * 5000)))),
    ],
)
def test_unreadable_names_are_none(name: bytes) -> None:
    """What is no name, or too long a one, has no text, and raises nothing."""
    assert name_text(name) is None
