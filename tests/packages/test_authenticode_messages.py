from __future__ import annotations

import hashlib

import pytest

from tests.packages.generate.catalog_craft import INDIRECT_DATA, PE_IMAGE, indirect_data
from tests.packages.generate.cms_message import (
    MESSAGE_DIGEST,
    Signer,
    attribute,
    digest_algorithm,
    octets,
    oid,
    seq,
    set_of,
    signed_data,
    tlv,
)
from tests.packages.pki import Issued, issue
from trust_store.decode.asn1 import read_one
from trust_store.decode.authenticode import ID_INDIRECT_DATA, parse_indirect, parse_message
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import SideFile, SignatureFact, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.signatures import schemes
from trust_store.signatures.authenticode import SCHEMES, read_embedded
from trust_store.signatures.protocol import CandidateKey

DIGEST = hashlib.sha256(b"a file").digest()
EC, RSA = issue("EC", kind="p256"), issue("RSA", kind="rsa2048")
INDIRECT = indirect_data("sha256", DIGEST, PE_IMAGE)
NULL = b"\x05\x00"


def octets_of(value: bytes) -> bytes:
    """A value without its tag and length."""
    return read_one(value, "value").content


def message(info: bytes, signer: Issued, *, content: bytes = INDIRECT, content_type: str = INDIRECT_DATA) -> bytes:
    """A message with one signer."""
    return signed_data([info], [signer], content=content, content_type=content_type)


def with_algorithm(info: bytes, algorithm: bytes) -> bytes:
    """A SignerInfo that names its signature algorithm in another way."""
    parts = [part.raw for part in read_one(info, "info").children()]
    return seq(*parts[:4], algorithm, *parts[5:])


def fact_of(data: bytes) -> SignatureFact:
    """The one signature, for a file of the digest."""
    (fact,) = read_embedded([data]).complete({"sha256": DIGEST, "sha1": bytes(20)}, lambda _: True)
    return fact


def holds(data: bytes, signer: Issued) -> bool | None:
    """Whether the arithmetic holds under the signer's certificate."""
    check = SCHEMES["authenticode"].holds(fact_of(data), CandidateKey("x509", signer.der))
    return check.holds if check else None


@pytest.mark.parametrize(
    ("signer", "algorithm"),
    [
        (EC, seq(oid("1.2.840.10045.2.1"))),
        (EC, seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"))),
        (EC, seq(oid("1.2.840.10045.4.3"), digest_algorithm("sha256"))),
        (RSA, seq(oid("1.2.840.113549.1.1.1"))),
        (RSA, seq(oid("1.2.840.113549.1.1.11"), NULL)),
    ],
)
def test_ways_to_name_the_algorithm(signer: Issued, algorithm: bytes) -> None:
    """Windows names an elliptic curve key by its kind, or with the digest as a parameter; the digest is the signer's in each case."""
    info = with_algorithm(Signer(signer).info(octets_of(INDIRECT), INDIRECT_DATA), algorithm)
    assert holds(message(info, signer), signer) is True


@pytest.mark.parametrize(
    "algorithm",
    [
        seq(oid("1.2.840.10045.4.3"), digest_algorithm("sha512")),
        seq(oid("1.2.840.10045.4.3")),
        seq(oid("1.3.14.3.2.29"), NULL),
        seq(oid("1.2.840.10045.4.3.2"), oid("1.2.840.10045.3.1.7")),
    ],
)
def test_algorithm_that_contradicts_the_digest(algorithm: bytes) -> None:
    """A signature algorithm for another digest than the signer's is malformed."""
    info = with_algorithm(Signer(EC).info(octets_of(INDIRECT), INDIRECT_DATA), algorithm)
    assert fact_of(message(info, EC)).problem is not None


def test_attributes_signed_as_they_stand() -> None:
    """Attributes out of DER's order that were signed so hold; the same with a value over the order of DER hold as well."""
    inner = octets_of(INDIRECT)
    digest = attribute(MESSAGE_DIGEST, octets(hashlib.sha256(inner).digest()))
    kind = attribute("1.2.840.113549.1.9.3", oid(INDIRECT_DATA))
    for order in ([digest, kind], [kind, digest]):
        for signed in (tlv(0x31, *order), set_of(*order)):
            parts = [part.raw for part in read_one(Signer(EC).info(inner, INDIRECT_DATA), "info").children()]
            info = seq(*parts[:3], tlv(0xA0, *order), parts[4], octets(Signer(EC).value(signed)))
            assert holds(message(info, EC), EC) is True
        info = seq(*parts[:3], tlv(0xA0, *order), parts[4], octets(Signer(EC).value(b"something else")))
        assert holds(message(info, EC), EC) is False


def test_content_in_an_octet_string() -> None:
    """A content that CMS tools wrapped is digested without the wrapping's tag and length (RFC 5652 5.4)."""
    data = message(Signer(EC).info(INDIRECT, INDIRECT_DATA), EC, content=octets(INDIRECT))
    assert (fact_of(data).content_matches, holds(data, EC)) == (True, True)


def test_digest_of_the_content_with_its_tag() -> None:
    """messageDigest is over the content without tag and length: one over all of it is wrong."""
    assert not fact_of(message(Signer(EC).info(INDIRECT, INDIRECT_DATA), EC)).content_matches


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (b"-----BEGIN PKCS7-----\nMA==\n-----END PKCS7-----\n", MalformedError),
        (
            message(Signer(EC).info(b"x"), EC, content=octets(b"x"), content_type="1.2.840.113549.1.7.1"),
            UnsupportedError,
        ),
        (
            signed_data([Signer(EC).info(b"x", INDIRECT_DATA)], [], content=None, content_type=INDIRECT_DATA),
            MalformedError,
        ),
        (message(Signer(EC).info(octets_of(INDIRECT)), EC), MalformedError),
        (message(Signer(EC).info(b"", INDIRECT_DATA), EC, content=INDIRECT + INDIRECT), MalformedError),
        (message(Signer(EC).info(b"", INDIRECT_DATA), EC, content=b"\x05\x00"), MalformedError),
        (seq(bytes(9 << 20)), ResourceLimitError),
    ],
)
def test_what_is_no_message(data: bytes, error: type[Exception]) -> None:
    """Armour, plain data, no content, two contents, another signed content type than the content's, too many bytes."""
    with pytest.raises(error):
        parse_message(data)


def test_signer_without_attributes() -> None:
    """A content that is no data needs signed attributes (RFC 5652 5.3)."""
    parts = [part.raw for part in read_one(Signer(EC).info(b"", INDIRECT_DATA), "info").children()]
    with pytest.raises(MalformedError):
        parse_message(message(seq(*parts[:3], *parts[4:]), EC))


@pytest.mark.parametrize(
    "content",
    [
        seq(),
        seq(seq(oid(PE_IMAGE)), seq()),
        seq(seq(), seq(digest_algorithm("sha256"), octets(DIGEST))),
        seq(seq(oid(PE_IMAGE)), seq(digest_algorithm("sha256"), octets(DIGEST[:-1]))),
        seq(seq(oid(PE_IMAGE)), seq(digest_algorithm("sha256"), octets(DIGEST)), seq()),
        seq(seq(oid("1.3.6.1.4.1.311.2.1.30"), seq()), seq(digest_algorithm("sha256"), octets(DIGEST))),
    ],
)
def test_broken_indirect_content(content: bytes) -> None:
    """What is digested, or the digest, is missing, too much, or of the wrong length."""
    with pytest.raises(MalformedError):
        parse_indirect(read_one(content, "content"))


def test_one_digest_alone() -> None:
    """What is digested may be named without more."""
    content = seq(seq(oid(PE_IMAGE)), seq(digest_algorithm("sha256"), octets(DIGEST)))
    assert parse_indirect(read_one(content, "content")).digest == DIGEST
    assert ID_INDIRECT_DATA == INDIRECT_DATA


def test_more_signers_than_anybody_has() -> None:
    """Each signer of a message takes time: more than sixteen are not read."""
    info = Signer(EC).info(octets_of(INDIRECT), INDIRECT_DATA)
    assert (
        len(parse_message(signed_data([info] * 16, [EC], content=INDIRECT, content_type=INDIRECT_DATA)).signers) == 16
    )
    with pytest.raises(ResourceLimitError):
        parse_message(signed_data([info] * 17, [EC], content=INDIRECT, content_type=INDIRECT_DATA))


def test_a_message_full_of_certificates() -> None:
    """Of very many certificates those are tried that the signature names, wherever they stand; each takes time."""
    info = Signer(EC).info(octets_of(INDIRECT), INDIRECT_DATA)
    others = [RSA] * 3 + [issue(f"Other {n}", kind="p256") for n in range(10)]
    made = signed_data([info], [*others, EC], content=INDIRECT, content_type=INDIRECT_DATA)
    checks = schemes.with_candidates(fact_of(made), ()).key_checks
    assert [(check.key, check.holds) for check in checks] == [(hashlib.sha256(EC.der).hexdigest(), True)]
    likeliest = schemes.likeliest(fact_of(made))
    assert likeliest[0] == EC.der
    assert len(likeliest) == schemes.MAX_CARRIED_CERTIFICATES


@pytest.mark.parametrize(("files", "read"), [(4, True), (5, False)])
def test_more_signatures_than_anybody_makes(files: int, read: bool) -> None:  # noqa: FBT001 - what is expected
    """Every signature is tried with keys and judged: a package with more than 256, in files of 64 each, is not."""
    made = signed_data([Signer(EC).info(b"a file")] * 64, [EC], content=None)
    side = tuple(SideMaterial(SideFile(f"{n}.p7s", "0" * 64), SignatureOrigin.GIVEN, made) for n in range(files))
    facts = read_package(BytesSource(b"a file"), side, (), ReadLimits())
    assert (facts.problem is None) is read
    assert len(facts.signatures) == (64 * files if read else 0)
    if facts.problem is not None:
        assert facts.problem.reason is Reason.RESOURCE_LIMIT
