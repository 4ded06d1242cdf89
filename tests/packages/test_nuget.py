"""What the table of NuGet fixtures cannot say: hostile messages, limits, and the digest as NuGet computes it."""

from __future__ import annotations

import base64
import hashlib
import math
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.cms_message import DATA, Signer, attribute, octets, seq, signed_data
from tests.packages.generate.nuget import FILES, RECEIPT, package, sign, signer, with_entry
from tests.packages.pki import issue, make_pki
from tests.trust_store.package_craft import LIMITS
from trust_store.decode import nuget_signature, nuspec
from trust_store.decode.asn1 import read_one
from trust_store.decode.zip_directory import read_directory
from trust_store.errors import READ_ERRORS, MalformedError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.readers import nuget
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

AUTHOR = make_pki("Author")
ARCHIVE = package()
MESSAGE = sign(ARCHIVE, signer(AUTHOR.leaf), AUTHOR.chain)


def facts(data: bytes) -> PackageFacts:
    """What is read of a package."""
    return read_package(BytesSource(data), (), (), LIMITS)


def test_the_package_without_its_signature_is_the_one_that_was_signed() -> None:
    """Taking the signature's entry out in pieces gives the unsigned archive back, wherever the entry stands (NuGet, RemoveSignature)."""
    signed = with_entry(ARCHIVE, MESSAGE)
    directory = read_directory(BytesSource(signed), LIMITS)
    record = nuget._signature_record(directory)
    pieces = nuget._unsigned_package(directory, record)
    assert b"".join(piece if isinstance(piece, bytes) else signed[slice(*piece)] for piece in pieces) == ARCHIVE


def test_an_entry_after_the_signature_has_its_offset_moved() -> None:
    """Records of entries behind the signature's are hashed with the offset that they would have without it."""
    before = package({"a": b"1"})
    later = with_entry(with_entry(before, MESSAGE), b"2", "b")
    directory = read_directory(BytesSource(later), LIMITS)
    pieces = nuget._unsigned_package(directory, nuget._signature_record(directory))
    assert b"".join(p if isinstance(p, bytes) else later[slice(*p)] for p in pieces) == with_entry(before, b"2", "b")


def test_product_and_version_come_from_the_nuspec() -> None:
    """The signature covers the nuspec, so that what it says of the package may be compared with other versions."""
    assert facts(with_entry(ARCHIVE, MESSAGE)).product == Product("example.tool", "1.2.3")


def test_an_unsigned_package_states_no_product() -> None:
    """Nobody vouches for an unsigned nuspec."""
    assert facts(ARCHIVE).product is None


@pytest.mark.parametrize("extra", ["Other.nuspec", "EXAMPLE2.NUSPEC"])
def test_two_nuspecs_name_no_product(extra: str) -> None:
    """Which of two nuspecs counts is not said: neither does."""
    archive = package(FILES | {extra: FILES["Example.Tool.nuspec"]})
    assert facts(with_entry(archive, sign(archive, signer(AUTHOR.leaf), AUTHOR.chain))).product is None


@pytest.mark.parametrize(
    "data",
    [
        b"<package/>",
        b"<package><metadata><id>a</id></metadata></package>",
        b"<package><metadata><id>a</id><id>b</id><version>1</version></metadata></package>",
        b"<package><metadata><id>a b</id><version>1</version></metadata></package>",
        b'<!DOCTYPE package [<!ENTITY e "x">]><package><metadata><id>&e;</id><version>1</version></metadata></package>',
        b"<other><metadata><id>a</id><version>1</version></metadata></other>",
    ],
)
def test_a_nuspec_that_does_not_say_one_thing_is_malformed(data: bytes) -> None:
    """One id, one version, both of the characters that they may have, and no document type."""
    with pytest.raises(MalformedError):
        nuspec.parse_nuspec(data)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"Version:2\n\n2.16.840.1.101.3.4.2.1-Hash:AAAA\n\n", MalformedError),
        (b"Version:1\n\n1.3.14.3.2.26-Hash:AAAA\n\n", UnsupportedError),
        (b"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:AAAA\n\n", MalformedError),
        (b"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:AAAA\n2.16.840.1.101.3.4.2.3-Hash:AAAA\n\n", MalformedError),
        (b"", MalformedError),
    ],
)
def test_a_statement_other_than_one_digest_is_refused(content: bytes, error: type[Exception]) -> None:
    """Version 1 with one SHA-2 digest of its right length, and nothing else."""
    message = signed_data([signer(AUTHOR.leaf).info(content)], AUTHOR.chain, content=octets(content))
    with pytest.raises(error):
        nuget_signature.parse_signature(message)


def test_two_primary_signatures_are_malformed() -> None:
    """NuGet takes a package with exactly one primary signature."""
    content = b"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:" + b"A" * 43 + b"=\n\n"
    infos = [signer(AUTHOR.leaf).info(content), signer(AUTHOR.leaf, RECEIPT).info(content)]
    with pytest.raises(MalformedError):
        nuget_signature.parse_signature(signed_data(infos, AUTHOR.chain, content=octets(content)))


def test_a_repository_without_its_address_is_malformed() -> None:
    """A repository's signature names its service index."""
    who = signer(AUTHOR.leaf, RECEIPT)
    content = b"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:" + b"A" * 43 + b"=\n\n"
    message = signed_data(
        [Signer(who.issued, "sha256", who.attributes[:2]).info(content)], AUTHOR.chain, content=octets(content)
    )
    with pytest.raises(MalformedError):
        nuget_signature.parse_signature(message)


def test_a_countersignature_over_a_value_under_a_key_with_a_huge_exponent_does_not_count() -> None:
    """A key may be computed for a given value where its exponent is free: then the value binds nothing that it is over."""
    numbers = AUTHOR.leaf.key.private_numbers()
    exponent = 2**200 + 235
    while math.gcd(exponent, (numbers.p - 1) * (numbers.q - 1)) != 1:
        exponent += 2
    secret = pow(exponent, -1, (numbers.p - 1) * (numbers.q - 1))
    parts = (secret % (numbers.p - 1), secret % (numbers.q - 1), rsa.rsa_crt_iqmp(numbers.p, numbers.q))
    public = rsa.RSAPublicNumbers(exponent, numbers.public_numbers.n)
    key = rsa.RSAPrivateNumbers(numbers.p, numbers.q, secret, *parts, public).private_key()
    leaf = issue("Odd Signer", AUTHOR.intermediate, key=key)
    message = sign(ARCHIVE, signer(leaf), (leaf, *AUTHOR.chain), repository=signer(AUTHOR.leaf, RECEIPT))
    matching = [fact.content_matches for fact in facts(with_entry(ARCHIVE, message)).signatures]
    assert matching == [True, False]


def test_the_digest_is_over_the_archive_as_it_was_before() -> None:
    """The statement inside the message is the digest of the unsigned archive."""
    assert nuget_signature.parse_signature(MESSAGE).package_digest == hashlib.sha256(ARCHIVE).digest()


@given(st.binary(max_size=300))
def test_no_bytes_make_the_signature_reader_raise_anything_else(data: bytes) -> None:
    """Whatever stands in the entry gives a value or one of the three errors."""
    try:
        nuget_signature.parse_signature(data)
    except READ_ERRORS:
        return


@given(st.integers(min_value=0, max_value=len(MESSAGE) - 1), st.integers(min_value=0, max_value=255))
def test_a_changed_message_gives_a_value_or_one_of_the_three_errors(position: int, value: int) -> None:
    """A signature with one byte changed is read or refused, never more."""
    changed = bytearray(MESSAGE)
    changed[position] = value
    try:
        nuget_signature.parse_signature(bytes(changed))
    except READ_ERRORS:
        return


def test_a_countersignature_by_somebody_else_means_nothing() -> None:
    """Only a repository's countersignature is one to NuGet; any other neither helps nor harms."""
    element = read_one(Signer(AUTHOR.leaf).info(b"x", None), "SignerInfo")
    assert nuget_signature.parse_countersigner(element) is None


def test_many_countersignatures_are_too_many() -> None:
    """Their number is capped before any is read."""
    content = f"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:{nuget_digest()}\n\n".encode()
    beside = attribute("1.2.840.113549.1.9.6", *(seq(octets(bytes([n]))) for n in range(nuget.MAX_COUNTERSIGNERS + 1)))
    info = signer(AUTHOR.leaf).info(content, unsigned=[beside])
    message = signed_data([info], AUTHOR.chain, content=octets(content))
    problems = [fact.problem.reason.value for fact in facts(with_entry(ARCHIVE, message)).signatures if fact.problem]
    assert problems == ["resource_limit"]


def nuget_digest() -> str:
    """The digest in the statement of the unchanged archive."""
    return base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode()


@pytest.mark.parametrize(("kind", "good"), [(None, True), (DATA, True), ("1.2.840.113549.1.7.2", False)])
def test_a_countersignature_may_state_that_it_is_over_data(kind: str | None, *, good: bool) -> None:
    """RFC 5652 11.4 leaves the content type out; Windows writes it, as data."""
    who = signer(AUTHOR.leaf, RECEIPT)
    element = read_one(who.info(b"x", kind), "SignerInfo")
    if good:
        assert nuget_signature.parse_countersigner(element) is not None
    else:
        with pytest.raises(MalformedError):
            nuget_signature.parse_countersigner(element)


def test_an_archive_without_a_nuspec_is_no_package_of_nugets() -> None:
    """Other archives have a file of that name as well: the signature archives of Visual Studio Code's marketplace."""
    assert facts(package({".signature.p7s": MESSAGE, ".signature.manifest": b"{}"})).format == "zip"


def test_of_many_nuspecs_none_is_read() -> None:
    """Which of them names the product nobody can say, and keeping all of them would take what they unpack to."""
    for names, read in ((("a.nuspec",), 1), (("a.nuspec", "b.nuspec"), 0)):
        archive = package(dict.fromkeys(names, b"<package/>"))
        directory = read_directory(BytesSource(with_entry(archive, MESSAGE)), LIMITS)
        assert [member.name for member in nuget._wanted(directory)] == [".signature.p7s", *names[:read]]
