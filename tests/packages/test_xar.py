"""What the table of xar archives cannot say: hostile tables, limits, Apple's certificates, the stapler's trailer."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.xar import FILES, INFO, INSTALLER, Package, Stored, ticket
from tests.packages.pki import CODE_SIGNING, Issued, make_pki
from tests.trust_store.package_craft import LIMITS
from trust_store.chain.building import SignatureBudget
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.decode import apple_product, xar_archive
from trust_store.decode.x509 import load_certificate
from trust_store.decode.xar_trailer import is_trailer
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import PackageFacts, Product

if TYPE_CHECKING:
    from collections.abc import Iterable

PKI = make_pki("Installer")
SIGNED = Package(signer=PKI.leaf, chain=(PKI.intermediate,))
AT = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = xar_archive.Header(28, 0, 0, "sha256")


def facts(data: bytes) -> PackageFacts:
    """What is read of a package."""
    return read_package(BytesSource(data), (), (), LIMITS)


def header(
    *, size: int = 28, version: int = 1, packed: int = 10, plain: int = 10, number: int = 3, name: bytes = b""
) -> bytes:
    """A header of any values."""
    return struct.pack(">4sHHQQI", b"xar!", size, version, packed, plain, number) + name


def table(
    inside: str, checksum: str = '<checksum style="sha256"><offset>0</offset><size>32</size></checksum>'
) -> bytes:
    """A table of contents with a checksum and something else."""
    return f"<xar><toc>{checksum}{inside}</toc></xar>".encode()


def test_identifier_and_version_come_from_the_description_that_the_table_covers() -> None:
    """PackageInfo of a component package, packed as xar packs."""
    assert facts(SIGNED.write()).product == Product("com.example.tool", "1.2.3")


@pytest.mark.parametrize(
    ("data", "product"),
    [
        (INFO, ("com.example.tool", "1.2.3")),
        (b'<installer-gui-script><product id="a.b" version="2"/></installer-gui-script>', ("a.b", "2")),
        (b'<installer-gui-script><product version="2"/></installer-gui-script>', None),
        (b'<pkg-info identifier="a b" version="1"/>', None),
        (b"<pkg-info/>", None),
    ],
)
def test_a_description_names_one_product_or_none(data: bytes, product: tuple[str, str] | None) -> None:
    """PackageInfo and Distribution, each with its own words."""
    assert apple_product.product_of(data, "") == product


def test_a_description_that_unpacks_to_too_much_is_refused() -> None:
    """A bomb costs no more than the cap."""
    with pytest.raises(MalformedError):
        apple_product.product_of(zlib.compress(bytes(2 * apple_product.MAX_BYTES)), "application/x-gzip")


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"xar!", MalformedError),
        (header(size=27), MalformedError),
        (header(size=64), MalformedError),
        (header(size=65, number=3, name=bytes(40)), MalformedError),
        (header(version=2), UnsupportedError),
        (header(number=9), UnsupportedError),
        (header(size=64, name=b"crc32".ljust(36, b"\0")), UnsupportedError),
        (header(size=64, name=b"sha512\0x".ljust(36, b"\0")), UnsupportedError),
        (header(size=64, number=1, name=b"sha512".ljust(36, b"\0")), MalformedError),
        (header(packed=xar_archive.MAX_COMPRESSED_BYTES + 1), ResourceLimitError),
        (header(plain=1 << 40), ResourceLimitError),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(head: bytes, error: type[Exception]) -> None:
    """Sizes and numbers of the header, the digest's name after it included."""
    with pytest.raises(error):
        xar_archive.parse_header(head)


def test_a_digest_may_be_named_after_the_header() -> None:
    """Number 3 with a name is whatever the name says, without one it is Apple's SHA-256."""
    named = xar_archive.parse_header(header(size=64, name=b"sha512".ljust(36, b"\0")))
    assert (named.digest, xar_archive.parse_header(header()).digest) == ("sha512", "sha256")


@pytest.mark.parametrize("change", [b"", b"more"])
def test_a_table_is_exactly_what_the_header_says(change: bytes) -> None:
    """Neither longer when unpacked nor followed by anything."""
    packed = zlib.compress(b"<xar/>") + change
    with pytest.raises(MalformedError):
        xar_archive.unpack_table(packed, replace(HEADER, compressed=len(packed), uncompressed=5 if not change else 6))


@pytest.mark.parametrize(
    "data",
    [
        b"<xar/>",
        b"<rax><toc/></rax>",
        b"<xar><toc/><toc/></xar>",
        b'<!DOCTYPE xar [<!ENTITY e "1">]><xar><toc/></xar>',
        table("", checksum='<checksum style="sha1"><offset>0</offset><size>20</size></checksum>'),
        table("", checksum='<checksum style="sha256"><offset>0</offset><size>20</size></checksum>'),
        table('<checksum style="sha256"><offset>32</offset><size>32</size></checksum>'),
        table('<signature style="RSA"><offset>0</offset><size>1</size></signature>' * 2),
        table('<signature style="RSA"><offset>-1</offset><size>1</size></signature>'),
        table('<signature style="RSA"><offset>0x1</offset><size>1</size></signature>'),
        table('<signature style="RSA"><offset>1 2</offset><size>1</size></signature>'),
        table('<signature style="RSA"><offset>1</offset><offset>2</offset><size>1</size></signature>'),
        table('<signature style="RSA"><offset>18446744073709551616</offset><size>1</size></signature>'),
        table("<file><type>file</type></file>"),
        table("<file><name>a/b</name></file>"),
        table("<file><name>a</name></file><file><name>A</name></file>"),
        table('<file><name enctype="base64">Li4=</name></file>'),
        table("<file><name>a</name><data/></file>"),
    ],
)
def test_a_table_that_can_be_read_in_two_ways_is_malformed(data: bytes) -> None:
    """One table, one checksum of the header's kind, one reading of every number, names that are names (CVE-2022-42841)."""
    with pytest.raises(MalformedError):
        xar_archive.parse_table(data, HEADER)


def test_an_unknown_style_of_signature_is_unsupported() -> None:
    """A signature that cannot be read is not passed over."""
    with pytest.raises(UnsupportedError):
        xar_archive.parse_table(table('<signature style="DSA"><offset>0</offset><size>1</size></signature>'), HEADER)


def test_an_extended_attribute_is_digested_like_a_file() -> None:
    """What extended attributes keep in the heap is covered by a checksum of their own, or by none."""
    inside = "<file><name>a</name><ea><name>x</name><offset>32</offset><length>3</length></ea></file>"
    (data,) = xar_archive.parse_table(table(inside), HEADER).data
    assert (data.extent, data.algorithm) == (xar_archive.Extent(32, 3), None)


def test_files_that_overlap_are_refused_before_they_are_digested() -> None:
    """A thousand files that all are the whole heap but a byte would cost a thousand times the file."""
    files = "".join(
        f'<file><name>{n}</name><data><offset>{n}</offset><length>5000</length><archived-checksum style="sha256">'
        f"{'00' * 32}</archived-checksum></data></file>"
        for n in range(1000)
    )
    big = replace(
        SIGNED, files=(Stored("big", bytes(8000)),), changed_table=lambda text: text.replace("</toc>", files + "</toc>")
    )
    problem = facts(big.write()).problem
    assert problem is not None
    assert problem.detail == "xar: two stretches of the heap overlap"


@pytest.mark.parametrize(
    "data",
    [b"", b"t8lr", ticket()[:-1], ticket(b"nots"), ticket() + b"\0", ticket()[:4] + b"\2" + ticket()[5:], ticket(b"")],
)
def test_anything_but_a_ticket_in_its_frame_is_no_trailer(data: bytes) -> None:
    """Exactly an end mark, a ticket and its length."""
    assert not is_trailer(data)


def apple(*, eku: Iterable[x509.ObjectIdentifier], mark: str | None) -> Issued:
    """A certificate as Apple issues them: its own purpose, and a critical mark."""
    base = PKI.leaf.certificate
    builder = x509.CertificateBuilder(
        base.issuer,
        base.subject,
        base.public_key(),
        x509.random_serial_number(),
        base.not_valid_before_utc,
        base.not_valid_after_utc,
    ).add_extension(x509.ExtendedKeyUsage(list(eku)), critical=True)
    if mark:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(mark), b"\x05\x00")
        builder = builder.add_extension(extension, critical=True)
    return Issued(builder.sign(PKI.intermediate.key, hashes.SHA256()), PKI.leaf.key)


@pytest.mark.parametrize(
    ("eku", "mark", "good"),
    [
        ((INSTALLER,), "1.2.840.113635.100.6.1.14", True),
        ((CODE_SIGNING,), None, True),
        ((INSTALLER,), "1.2.840.113549.1.1.1", False),
        ((x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1"),), None, False),
    ],
)
def test_apples_purposes_and_marks_are_understood_for_apples_schemes(
    eku: tuple[x509.ObjectIdentifier, ...], mark: str | None, *, good: bool
) -> None:
    """Installer signing serves in place of code signing, and Apple's marks may be critical: no other purpose and no other extension."""
    path = tuple(load_certificate(one.der) for one in (apple(eku=eku, mark=mark), PKI.intermediate, PKI.root))
    parameters = ValidationParameters(
        at=AT,
        purpose="code-signing",
        instead=frozenset({INSTALLER.dotted_string}),
        understood=("1.2.840.113635.100.6.",),
    )
    assert (validate_path(path, parameters, SignatureBudget()).problems == ()) is good


def test_apples_purpose_is_no_code_signing_elsewhere() -> None:
    """Where nobody asked for Apple's rules its certificates are not for code signing, and its marks are unknown."""
    leaf = apple(eku=(INSTALLER,), mark="1.2.840.113635.100.6.1.14")
    path = tuple(load_certificate(one.der) for one in (leaf, PKI.intermediate, PKI.root))
    problems = validate_path(path, ValidationParameters(at=AT, purpose="code-signing"), SignatureBudget()).problems
    assert len(problems) == 2  # the extension and the purpose


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise_anything_else(data: bytes) -> None:
    """Whatever stands in header, table or description gives a value or one of the three errors."""
    for reader in (
        lambda: xar_archive.parse_header(data),
        lambda: xar_archive.parse_header(b"xar!" + data),
        lambda: xar_archive.unpack_table(data, HEADER),
        lambda: xar_archive.parse_table(data, HEADER),
        lambda: apple_product.product_of(data, "application/x-gzip"),
        lambda: is_trailer(data),
    ):
        try:
            reader()
        except READ_ERRORS:
            continue


WRITTEN = SIGNED.write()


@given(st.integers(min_value=4, max_value=len(WRITTEN) - 1), st.binary(max_size=4))
def test_a_changed_archive_is_read_or_refused(position: int, put: bytes) -> None:
    """An archive with bytes put into it gives facts, never an exception."""
    assert facts(WRITTEN[:position] + put + WRITTEN[position + len(put) :]).format == "xar"


def test_the_fixtures_hold_what_a_flat_package_does() -> None:
    """A component package: description, payload, bill of materials."""
    assert [file.name for file in FILES] == ["PackageInfo", "Payload", "Bom"]


def test_a_table_of_attributes() -> None:
    """Attributes are counted over the whole table: sixty on each of a few thousand elements take more room than their octets."""
    names = " ".join(f'a{n}=""' for n in range(60))
    table = f"<xar><toc>{f'<file {names}/>' * 7000}</toc></xar>".encode()
    with pytest.raises(ResourceLimitError):
        xar_archive.parse_table(table, HEADER)
