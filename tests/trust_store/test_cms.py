from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import Signer, passes, read, run, side, tlv
from trust_store.decode.asn1 import read_one
from trust_store.decode.cms import certificate_names, parse_signed_data, unarmour
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.signatures import cms
from trust_store.signatures.protocol import CandidateKey
from trust_store.signatures.schemes import SCHEMES, with_candidates

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"firmware" * 1000
ID_DATA = bytes.fromhex("06092a864886f70d010701")
RSA = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
EC = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where keys lie."""
    return tmp_path_factory.mktemp("cms")


@pytest.fixture(scope="module")
def rsa(folder: Path) -> Signer:
    """An RSA signer."""
    return Signer.make(folder, "rsa", *RSA)


@pytest.fixture(scope="module")
def ec(folder: Path) -> Signer:
    """An EC signer."""
    return Signer.make(folder, "ec", *EC)


@pytest.fixture(scope="module")
def ed(folder: Path) -> Signer:
    """An Ed25519 signer."""
    return Signer.make(folder, "ed", "-algorithm", "ED25519")


OPTIONS = [
    ("rsa", ("-md", "sha256")),
    ("rsa", ("-md", "sha512", "-noattr")),
    ("rsa", ("-md", "sha1")),
    ("rsa", ("-md", "sha256", "-keyopt", "rsa_padding_mode:pss")),
    ("rsa", ("-md", "sha384", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:-1", "-noattr")),
    ("rsa", ("-md", "sha256", "-keyid")),
    ("ec", ("-md", "sha256")),
    ("ec", ("-md", "sha384", "-noattr", "-keyid")),
    ("ec", ("-md", "sha1")),
]


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_openssl_signatures_hold(request: pytest.FixtureRequest, kind: str, options: tuple[str, ...]) -> None:
    """Whatever openssl signs holds under the certificate that it carries."""
    signer: Signer = request.getfixturevalue(kind)
    facts = read(DATA, side(signer.cms(DATA, *options)))
    assert passes(facts)
    assert facts.format == "detached"
    assert facts.signatures[0].key_checks[0].key == hashlib.sha256(signer.der).hexdigest()


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_other_content_does_not_hold(request: pytest.FixtureRequest, kind: str, options: tuple[str, ...]) -> None:
    """Under every algorithm, one changed bit of the content and the named key is False."""
    signer: Signer = request.getfixturevalue(kind)
    changed = DATA[:-1] + bytes([DATA[-1] ^ 1])
    facts = read(changed, side(signer.cms(DATA, *options)))
    assert [check.holds for check in facts.signatures[0].key_checks] == [False]


def indefinite(data: bytes, depth: int) -> bytes:
    """The same value in BER with indefinite lengths on the outer ``depth`` levels."""
    element = read_one(data, "value")
    if depth == 0 or not element.tag & 0x20:
        return element.raw
    return bytes([element.tag, 0x80]) + b"".join(indefinite(c.raw, depth - 1) for c in element.children()) + b"\0\0"


@pytest.mark.parametrize("depth", [1, 3, 4, 20])
@pytest.mark.parametrize("options", [(), ("-noattr",)])
def test_indefinite_lengths(ec: Signer, depth: int, options: tuple[str, ...]) -> None:
    """BER with indefinite lengths, down into the signed attributes, holds; the attributes are hashed as DER."""
    data = ec.cms(DATA, "-md", "sha256", "-nocerts", *options)
    assert passes(read(DATA, side(indefinite(data, depth)), keys=(ec.candidate,)))


def test_streamed_message_carries_its_content(ec: Signer) -> None:
    """What ``openssl cms -stream`` writes as DER has its content inside, in BER: it is the package, octet for octet."""
    fact = read(DATA, side(ec.cms(DATA, "-stream"))).signatures[0]
    assert (fact.problem, fact.content_matches, [check.holds for check in fact.key_checks]) == (None, True, [True])


def test_signer_certificate_may_be_absent(ec: Signer, rsa: Signer) -> None:
    """Without certificates inside, the matching candidate is found, also later and without the file."""
    facts = read(DATA, side(ec.cms(DATA, "-nocerts")))
    fact = facts.signatures[0]
    assert (fact.key_checks, fact.certificates) == ((), ())
    found = with_candidates(fact, (rsa.candidate, CandidateKey("x509", b"no certificate"), ec.candidate))
    assert [(check.key, check.holds) for check in found.key_checks] == [(hashlib.sha256(ec.der).hexdigest(), True)]


def test_signing_time_is_claimed(ec: Signer) -> None:
    """The signing time is reported as claimed, and absent where there is none."""
    claimed = read(DATA, side(ec.cms(DATA))).signatures[0].claimed_at
    assert claimed is not None
    assert claimed.tzinfo is UTC
    assert read(DATA, side(ec.cms(DATA, "-noattr"))).signatures[0].claimed_at is None


def test_pem_armour(ec: Signer) -> None:
    """PEM armour is taken off, one block and nothing else."""
    text = b"-----BEGIN CMS-----\n" + base64.encodebytes(ec.cms(DATA)) + b"-----END CMS-----\n"
    assert passes(read(DATA, side(text)))
    for broken in (text + b"x", text.replace(b"END CMS", b"END PKCS7"), text[:-20], text.replace(b"\nM", b"\n-M", 1)):
        assert read(DATA, side(broken)).signatures[0].problem is not None
    with pytest.raises(MalformedError):
        unarmour(b"-----BEGIN CMS-----\nA\n-----END CMS-----\n")


def test_encapsulated_content_must_be_the_package(ec: Signer) -> None:
    """A message that carries its own content says nothing about a file beside it that is another."""
    fact = read(DATA + b"x", side(ec.cms(DATA, "-nodetach"))).signatures[0]
    assert (fact.scheme, fact.problem, fact.content_matches) == ("cms", None, False)
    assert [check.holds for check in fact.key_checks] == [False]


def test_other_content_type_is_refused(ec: Signer) -> None:
    """A signature over a content type other than data never passes for one over a file."""
    fact = read(DATA, side(ec.cms(DATA, "-econtent_type", "1.2.840.113549.1.9.16.1.4"))).signatures[0]
    assert fact.problem is not None
    assert fact.problem.reason is Reason.UNSUPPORTED_FORMAT


def test_no_signer_infos_is_malformed(ec: Signer) -> None:
    """A bag of certificates signs nothing."""
    bag = run("openssl", "crl2pkcs7", "-nocrl", "-certfile", str(ec.certificate), "-outform", "DER")
    fact = read(DATA, side(bag)).signatures[0]
    assert fact.problem is not None
    assert fact.problem.reason is Reason.MALFORMED


def test_two_signers_are_two_facts(ec: Signer, rsa: Signer) -> None:
    """Every SignerInfo is a signature of its own."""
    both = ec.cms(DATA, "-md", "sha256", "-signer", str(rsa.certificate), "-inkey", str(rsa.key))
    facts = read(DATA, side(both))
    assert len(facts.signatures) == 2
    assert passes(facts)


def attribute(oid_hex: str, *values: bytes) -> bytes:
    """A CMS attribute."""
    return tlv(0x30, tlv(6, bytes.fromhex(oid_hex)), tlv(0x31, *values))


CONTENT_TYPE = attribute("2a864886f70d010903", ID_DATA)
SHA256_OID, SHA512_OID = "608648016503040201", "608648016503040203"
ECDSA_SHA256, ED25519, PSS = "2a8648ce3d040302", "2b6570", "2a864886f70d01010a"


def message_digest(data: bytes = DATA, algorithm: str = "sha256") -> bytes:
    """The message-digest attribute."""
    return attribute("2a864886f70d010904", tlv(4, hashlib.new(algorithm, data).digest()))


def message(
    signer: Signer,
    attributes: list[bytes] | None,
    signature: bytes,
    *,
    digest: str = SHA256_OID,
    algorithm: bytes | None = None,
    version: int = 1,
    content_type: bytes = ID_DATA,
) -> bytes:
    """SignedData by hand, attributes in the order given."""
    names = certificate_names(signer.der)
    serial = names.serial_number.to_bytes(names.serial_number.bit_length() // 8 + 1, "big")
    digest_algorithm = tlv(0x30, tlv(6, bytes.fromhex(digest)))
    info = tlv(
        0x30,
        tlv(2, bytes([version])),
        tlv(0x30, names.issuer_der, tlv(2, serial)),
        digest_algorithm,
        tlv(0xA0, *attributes) if attributes is not None else b"",
        algorithm or tlv(0x30, tlv(6, bytes.fromhex(ECDSA_SHA256))),
        tlv(4, signature),
    )
    data = tlv(
        0x30,
        tlv(2, b"\1"),
        tlv(0x31, digest_algorithm),
        tlv(0x30, content_type),
        tlv(0xA0, signer.der),
        tlv(0x31, info),
    )
    return tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")), tlv(0xA0, data))


def signed(signer: Signer, attributes: list[bytes], **options: object) -> bytes:
    """A message whose signature is over the attributes as RFC 5652 5.4 wants it."""
    return message(signer, attributes, signer.raw(tlv(0x31, *sorted(attributes))), **options)  # type: ignore[arg-type]


def test_hand_made_message_holds(ec: Signer) -> None:
    """The hand-made message of the tests below is good where nothing is wrong with it, also with unsorted attributes."""
    assert passes(read(DATA, side(signed(ec, [CONTENT_TYPE, message_digest()]))))
    assert passes(read(DATA, side(signed(ec, [message_digest(), CONTENT_TYPE]))))


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [CONTENT_TYPE],
        [message_digest()],
        [CONTENT_TYPE, message_digest(), message_digest()],
        [CONTENT_TYPE, CONTENT_TYPE, message_digest()],
        [CONTENT_TYPE, message_digest(), attribute("2a03", b"\5\0"), attribute("2a03", b"\5\0")],
        [attribute("2a864886f70d010903", ID_DATA, ID_DATA), message_digest()],
        [attribute("2a864886f70d010903"), message_digest()],
        [attribute("2a864886f70d010903", tlv(6, bytes.fromhex("2a03"))), message_digest()],
        [CONTENT_TYPE, attribute("2a864886f70d010904", tlv(0x24, tlv(4, b"x")))],
        [CONTENT_TYPE, message_digest(), attribute("2a864886f70d010905", tlv(0x17, b"269913000000Z"))],
        [CONTENT_TYPE, message_digest(), attribute("2a864886f70d010905", tlv(0x17, b"2601010000Z"))],
        [CONTENT_TYPE, message_digest(), attribute("2a864886f70d010905", tlv(0x04, b"260101000000Z"))],
        [CONTENT_TYPE, message_digest(), tlv(0x30, tlv(6, b"\x2a\x03"))],
        [CONTENT_TYPE, message_digest(), *(attribute(f"2a{n:02x}", b"\5\0") for n in range(70))],
    ],
)
def test_wrong_signed_attributes_are_malformed(ec: Signer, attributes: list[bytes]) -> None:
    """Missing, repeated, many-valued or ill-typed attributes are malformed even when correctly signed."""
    fact = read(DATA, side(signed(ec, attributes))).signatures[0]
    assert fact.problem is not None
    assert fact.problem.reason is Reason.MALFORMED


def test_generalized_time(ec: Signer) -> None:
    """A signing time after 2049 stands as GeneralizedTime, one before 1950 as UTCTime of the last century."""
    for octets, expected in (
        (tlv(0x18, b"20510203040506Z"), datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (tlv(0x17, b"510203040506Z"), datetime(1951, 2, 3, 4, 5, 6, tzinfo=UTC)),
    ):
        attributes = [CONTENT_TYPE, message_digest(), attribute("2a864886f70d010905", octets)]
        assert read(DATA, side(signed(ec, attributes))).signatures[0].claimed_at == expected


def test_attributes_of_other_content_do_not_hold(ec: Signer) -> None:
    """A good signature over attributes with another digest holds for nobody."""
    fact = read(DATA, side(signed(ec, [CONTENT_TYPE, message_digest(b"other")]))).signatures[0]
    assert not fact.content_matches
    assert [check.holds for check in fact.key_checks] == [False]


def test_attribute_octets_as_content_do_not_hold(ec: Signer) -> None:
    """The signed attributes' own octets, offered as content without attributes, hold as content of themselves only."""
    attributes = tlv(0x31, *sorted([CONTENT_TYPE, message_digest()]))
    stripped = message(ec, None, ec.raw(attributes))
    assert not passes(read(DATA, side(stripped)))


def test_ed25519(ed: Signer) -> None:
    """Ed25519 holds with signed attributes and SHA-512; without attributes it cannot be streamed and is unsupported."""
    algorithm = tlv(0x30, tlv(6, bytes.fromhex(ED25519)))
    attributes = [CONTENT_TYPE, message_digest(algorithm="sha512")]
    key = load_pem_private_key(ed.key.read_bytes(), None)
    signature = key.sign(tlv(0x31, *sorted(attributes)))  # type: ignore[union-attr,call-arg]
    good = message(ed, attributes, signature, digest=SHA512_OID, algorithm=algorithm)
    assert passes(read(DATA, side(good)))
    assert not passes(read(DATA + b"x", side(good)))
    bad = message(ed, attributes, signature[:-1] + bytes([signature[-1] ^ 1]), digest=SHA512_OID, algorithm=algorithm)
    assert [check.holds for check in read(DATA, side(bad)).signatures[0].key_checks] == [False]
    for options, reason in (
        ((None, SHA512_OID), Reason.UNSUPPORTED_FORMAT),
        (([CONTENT_TYPE, message_digest()], SHA256_OID), Reason.MALFORMED),
    ):
        odd = message(ed, options[0], signature, digest=options[1], algorithm=algorithm)
        problem = read(DATA, side(odd)).signatures[0].problem
        assert problem is not None
        assert problem.reason is reason


@pytest.mark.parametrize(
    ("algorithm", "reason"),
    [
        (tlv(0x30, tlv(6, bytes.fromhex("2a8648ce3d040303"))), Reason.MALFORMED),
        (tlv(0x30, tlv(6, bytes.fromhex("2a03"))), Reason.UNSUPPORTED_FORMAT),
        (tlv(0x30, tlv(6, bytes.fromhex(ECDSA_SHA256)), tlv(4, b"x")), Reason.MALFORMED),
        (tlv(0x30, tlv(6, bytes.fromhex(PSS))), Reason.MALFORMED),
        (tlv(0x30, tlv(6, bytes.fromhex(PSS)), tlv(0x30, tlv(0xA3, tlv(2, b"\2")))), Reason.MALFORMED),
        (tlv(0x30, tlv(6, bytes.fromhex(PSS)), tlv(0x30, tlv(0xA2))), Reason.MALFORMED),
        (
            tlv(0x30, tlv(6, bytes.fromhex(PSS)), tlv(0x30, tlv(0xA1, tlv(0x30, tlv(6, bytes.fromhex("2a03")))))),
            Reason.UNSUPPORTED_FORMAT,
        ),
        (tlv(0x30), Reason.MALFORMED),
    ],
)
def test_algorithm_confusion_is_refused(ec: Signer, algorithm: bytes, reason: Reason) -> None:
    """A signature algorithm that contradicts the digest algorithm, or has stray parameters, is refused."""
    problem = read(DATA, side(message(ec, None, b"x", algorithm=algorithm))).signatures[0].problem
    assert problem is not None
    assert problem.reason is reason


def test_key_of_another_kind_is_false(rsa: Signer) -> None:
    """A message naming an RSA certificate with an ECDSA signature is broken, not unknown."""
    attributes = [CONTENT_TYPE, message_digest()]
    fact = read(DATA, side(message(rsa, attributes, rsa.raw(tlv(0x31, *sorted(attributes)))))).signatures[0]
    assert [check.holds for check in fact.key_checks] == [False]


@pytest.mark.parametrize("version", [0, 2, 4])
def test_unknown_signer_info_versions(ec: Signer, version: int) -> None:
    """SignerInfo has version 1 or 3."""
    assert read(DATA, side(message(ec, None, b"x", version=version))).signatures[0].problem is not None


def test_too_many_certificates_or_signers(ec: Signer) -> None:
    """Counts are capped."""
    whole = parse_signed_data(ec.cms(DATA))
    assert len(whole.certificates) == 1
    data = tlv(
        0x30, tlv(2, b"\1"), tlv(0x31), tlv(0x30, ID_DATA), tlv(0xA0, *[tlv(0x30, tlv(5))] * 65), tlv(0x31, tlv(0x30))
    )
    with pytest.raises(ResourceLimitError):
        parse_signed_data(tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")), tlv(0xA0, data)))
    data = tlv(0x30, tlv(2, b"\1"), tlv(0x31), tlv(0x30, ID_DATA), tlv(0x31, *[tlv(0x30)] * 65))
    with pytest.raises(ResourceLimitError):
        parse_signed_data(tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")), tlv(0xA0, data)))
    with pytest.raises(ResourceLimitError):
        cms.SCHEME.parse(bytes(9 * 1024 * 1024), origin=SignatureOrigin.GIVEN, file=None)


def test_other_content_info_types_are_unsupported() -> None:
    """Enveloped data is recognised as CMS, and not supported."""
    with pytest.raises(UnsupportedError):
        parse_signed_data(tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010703")), tlv(0xA0, tlv(0x30))))


def test_each_flipped_byte(ec: Signer) -> None:
    """A byte changed anywhere in the message never raises; what still holds is bytes that no signature covers."""
    original = ec.cms(DATA, "-md", "sha256", "-nocerts")
    reference = read(DATA, side(original), keys=(ec.candidate,)).signatures[0]
    for position in range(len(original)):
        for bit in (0x01, 0x80):
            changed = bytearray(original)
            changed[position] ^= bit
            facts = read(DATA, side(bytes(changed)), keys=(ec.candidate,))
            if passes(facts):
                fact = facts.signatures[0]
                assert (fact.signature, fact.signed) == (reference.signature, reference.signed)


def test_each_truncation(ec: Signer) -> None:
    """A message cut short anywhere is a fact with a problem."""
    original = ec.cms(DATA)
    for length in range(len(original)):
        assert read(DATA, side(original[:length])).signatures[0].problem is not None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise_raises_only_our_errors(noise: bytes) -> None:
    """Any bytes behind the recognisable start end in one of this program's errors."""
    for data in (noise, tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")), tlv(0xA0, noise))):
        with pytest.raises(TrustStoreError):
            parse_signed_data(data)
        assert cms.named_key(read(DATA, side(data)).signatures[0].hint, data) is None


def test_registry() -> None:
    """Scheme names are unique and stand in alphabetical order, each with its documentation."""
    names = [scheme.name for scheme in SCHEMES]
    assert names == sorted(set(names))
    assert [entry.load().NAME for entry in SCHEMES] == names
    assert all(entry.load().DOC for entry in SCHEMES)
