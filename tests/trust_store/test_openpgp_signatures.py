"""Detached OpenPGP signatures: parsing, arithmetic and the second opinion, beside GnuPG and pysequoia."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pysequoia
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448

from tests.trust_store.openpgp_craft import CraftedKey, packet, subpacket
from tests.trust_store.openpgp_tools import DOCUMENT, Gpg, canonical_text, check, fact, facts
from trust_store.decode.openpgp import component_key, load_keys
from trust_store.decode.openpgp_arithmetic import signature_holds
from trust_store.decode.openpgp_signature import parse_signature
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import Problem, SignatureFact, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.signatures.openpgp import SCHEME, second_opinion
from trust_store.signatures.protocol import CandidateKey, SignatureScheme

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


def test_scheme_has_the_shape_of_a_scheme() -> None:
    """The module's SCHEME satisfies the protocol."""
    scheme: SignatureScheme = SCHEME
    assert (scheme.NAME, bool(scheme.DOC)) == ("openpgp", True)


@pytest.mark.parametrize(
    "algorithm",
    [
        "rsa3072",
        "rsa1024",
        "dsa2048",
        "ed25519",
        "nistp256",
        "nistp384",
        "nistp521",
        "brainpoolP256r1",
        "brainpoolP384r1",
        "brainpoolP512r1",
    ],
)
def test_gpg_signatures_hold(gpg: Gpg, algorithm: str) -> None:
    """What GnuPG signs holds under its key, in text and binary mode, and not over other bytes or under another key."""
    fingerprint = gpg.make_key(f"holds-{algorithm}", algorithm)
    key = gpg.export(fingerprint)
    for options in ([], ["--textmode"], ["--armor"], ["--digest-algo", "SHA512"]):
        signature = gpg.sign(fingerprint, *options)
        found = check(signature, key)
        assert found
        assert (found.key, found.owner, found.holds) == (fingerprint.lower(), fingerprint.lower(), True)
        tampered = check(signature, key, DOCUMENT + b"x")
        assert tampered
        assert not tampered.holds
        assert check(signature, KEY.certificate) is None


@pytest.mark.parametrize("digest", ["SHA1", "RIPEMD160", "SHA224", "SHA256", "SHA384", "SHA512"])
def test_every_digest_is_computed(gpg: Gpg, digest: str) -> None:
    """Weak digests compute like strong ones: the fact is arithmetic."""
    fingerprint = gpg.make_key(f"digest-{digest}", "rsa2048")
    signature = gpg.sign(fingerprint, "--digest-algo", digest)
    found = check(signature, gpg.export(fingerprint))
    assert found
    assert found.holds
    assert fact(signature).digest_algorithm == digest.lower()


def test_md5_is_computed() -> None:
    """An MD5 signature holds arithmetically; what it is worth is judged elsewhere."""
    found = check(packet(2, KEY.signature(0, DOCUMENT, hash_algorithm=1)), KEY.certificate)
    assert found
    assert found.holds


def test_the_fact_has_what_later_questions_need(gpg: Gpg) -> None:
    """A fact names signing subkey, algorithms, claimed time and packet, and holds without the file."""
    fingerprint = gpg.make_key("subkey", "ed25519", "cert")
    gpg.run("--quick-add-key", fingerprint, "ed25519", "sign", "never", at="20240102T000000")
    key = gpg.export(fingerprint)
    seen = fact(gpg.sign(fingerprint))
    (loaded,) = load_keys(key)
    assert (seen.hint.openpgp, seen.hint.key_id) == (loaded.components[1].fingerprint, loaded.components[1].key_id)
    assert (seen.scheme, seen.digest_algorithm, seen.signature_algorithm) == ("openpgp", "sha256", "eddsa")
    assert (seen.content_matches, seen.problem, seen.signed) == (True, None, b"")
    assert seen.claimed_at
    assert seen.claimed_at.isoformat() == "2024-02-01T00:00:00+00:00"
    found = SCHEME.holds(seen, CandidateKey("openpgp", key))
    assert found
    assert (found.key, found.owner, found.holds) == (loaded.components[1].fingerprint, loaded.fingerprint, True)


@pytest.mark.parametrize("suite", ["Cv25519", "Cv448", "P256", "RSA2k"])
def test_version_6_signatures_hold(suite: str) -> None:
    """Version 6 keys and salted signatures made by Sequoia hold, and pysequoia agrees."""
    secret = pysequoia.Tsk.generate(
        "six", profile=pysequoia.Profile.RFC9580, cipher_suite=getattr(pysequoia.CipherSuite, suite)
    )
    key = bytes(secret.extract_certificate())
    signature = pysequoia.sign(secret.signer(), DOCUMENT, mode=pysequoia.SignatureMode.DETACHED, armor=False)
    found = check(signature, key)
    assert found
    assert (found.holds, found.owner) == (True, secret.extract_certificate().fingerprint)
    assert second_opinion(DOCUMENT, fact(signature), key) is True
    tampered = check(signature, key, DOCUMENT + b"x")
    assert tampered
    assert not tampered.holds


def test_ed448_holds() -> None:
    """Algorithm 28 is verified over the digest (RFC 9580 5.2.3.5)."""
    private = ed448.Ed448PrivateKey.generate()
    key = component_key(b"\x04" + bytes(4) + b"\x1c" + private.public_key().public_bytes_raw(), is_primary=True)
    signed = b"\x04\x00\x1c\x0a\x00\x00"
    signature = parse_signature(signed + b"\x00\x00ab" + bytes(114))
    digest = signature.digest(b"x")
    assert not signature_holds(key, signature, digest)
    assert signature_holds(key, replace(signature, values=private.sign(digest)), digest)


def test_every_signature_in_a_file_is_answered(gpg: Gpg) -> None:
    """Concatenated packets and several armoured blocks give one fact each, in order."""
    first, second = gpg.make_key("one", "ed25519"), gpg.make_key("two", "nistp256")
    a, b = gpg.sign(first), gpg.sign(second)
    for data in (a + b, gpg.sign(first, "--armor") + gpg.sign(second, "--armor"), a + packet(10, b"PGP") + b):
        assert [(one.hint.openpgp or "").upper() for one in facts(data)] == [first, second]
    both = gpg.run("--local-user", first, "--local-user", second, "--detach-sign", at="20240201T000000", data=DOCUMENT)
    assert len(facts(both)) == 2


def test_an_unsupported_signature_beside_a_good_one_is_reported() -> None:
    """What cannot be read is neither dropped nor able to hide the one beside it."""
    strange = KEY.signature(0, DOCUMENT, hashed=subpacket(99, b"", critical=True))
    seen = facts(packet(2, strange) + GOOD)
    assert [one.problem.reason if one.problem else None for one in seen] == [Reason.UNSUPPORTED_FORMAT, None]
    assert seen[0].packet == strange
    assert SCHEME.holds(seen[0], CandidateKey("openpgp", KEY.certificate)) is None


def test_hints_decide_between_none_and_false() -> None:
    """A key named by fingerprint or key id that does not fit is False; one not named is None; unnamed, only a fit counts."""
    key_id = subpacket(16, bytes.fromhex(KEY.fingerprint)[-8:])
    for issuer, answers in ((None, (True, False)), (key_id, (True, False)), (b"", (True, None))):
        signature = packet(2, KEY.signature(0, DOCUMENT, issuer=issuer))
        seen = [check(signature, KEY.certificate, data) for data in (DOCUMENT, DOCUMENT + b"x")]
        assert tuple(one.holds if one else None for one in seen) == answers
        assert check(signature, CraftedKey(2).certificate) is None
    unhashed = packet(2, KEY.signature(0, DOCUMENT, issuer=b"", unhashed=KEY.issuer))
    assert fact(unhashed).hint.openpgp == KEY.fingerprint


def test_the_signed_issuer_comes_before_the_unsigned_one() -> None:
    """An issuer added to the unhashed area does not displace the one that was signed."""
    signature = packet(2, KEY.signature(0, DOCUMENT, unhashed=CraftedKey(2).issuer))
    assert fact(signature).hint.openpgp == KEY.fingerprint


def test_what_is_no_candidate_is_none() -> None:
    """Other kinds, unreadable keys, other schemes' facts and unsupported algorithms give no answer."""
    seen = fact(GOOD)
    for candidate in (
        CandidateKey("x509", KEY.certificate),
        CandidateKey("openpgp", b"zz"),
        CandidateKey("openpgp", b""),
    ):
        assert SCHEME.holds(seen, candidate) is None
    key = CandidateKey("openpgp", KEY.certificate)
    assert SCHEME.holds(replace(seen, scheme="cms"), key) is None
    assert SCHEME.holds(replace(seen, packet=b"\x04"), key) is None
    assert SCHEME.holds(replace(seen, problem=Problem(Reason.MALFORMED, "x")), key) is None
    unknown = KEY.body[:5] + b"\x64" + KEY.body[6:]
    named = parse_signature(KEY.signature(0, DOCUMENT))
    (other,) = load_keys(packet(6, unknown))
    assert other.fingerprint != named.issuer_fingerprint
    issuer = subpacket(33, b"\x04" + bytes.fromhex(other.fingerprint))
    assert check(packet(2, KEY.signature(0, DOCUMENT, issuer=issuer)), packet(6, unknown)) is None
    wrong_size = SCHEME.holds(replace(seen, digest=seen.digest[:-1]), key)
    assert wrong_size
    assert not wrong_size.holds


def test_second_opinion_of_descriptor_path_and_bytes(gpg: Gpg, tmp_path: Path) -> None:
    """pysequoia gives the same answer however the content is handed over, and None where it cannot be asked."""
    fingerprint = gpg.make_key("second", "ed25519")
    key, signature = gpg.export(fingerprint), gpg.sign(fingerprint)
    seen = fact(signature)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(DOCUMENT)
    bad.write_bytes(DOCUMENT + b"x")
    descriptor = os.open(good, os.O_RDONLY)
    try:
        os.lseek(descriptor, 5, os.SEEK_SET)
        assert [second_opinion(one, seen, key) for one in (descriptor, good, DOCUMENT)] == [True] * 3
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 5
    finally:
        os.close(descriptor)
    assert [second_opinion(one, seen, key) for one in (bad, DOCUMENT[1:], b"")] == [False] * 3
    assert second_opinion(DOCUMENT, seen, KEY.certificate) is False
    assert second_opinion(tmp_path / "absent", seen, key) is None
    assert second_opinion(descriptor, seen, key) is None
    assert second_opinion(DOCUMENT, seen, b"zz") is None
    assert second_opinion(tmp_path, seen, key) is None
    assert second_opinion(DOCUMENT, fact(packet(2, KEY.signature(0, DOCUMENT, issuer=b""))), KEY.certificate) is None
    assert second_opinion(DOCUMENT, SignatureFact("cms", SignatureOrigin.GIVEN, None), key) is None
    text = fact(gpg.sign(fingerprint, "--textmode"))
    assert second_opinion(DOCUMENT, text, key) is True
    assert text.digest != seen.digest


def test_no_second_opinion_on_brainpool(gpg: Gpg) -> None:
    """pysequoia calls every Brainpool signature invalid, so it is not asked."""
    fingerprint = gpg.make_key("brainpool", "brainpoolP256r1")
    assert second_opinion(DOCUMENT, fact(gpg.sign(fingerprint)), gpg.export(fingerprint)) is None


def test_text_signatures_ignore_line_ends_only() -> None:
    """A text signature covers the canonical text: CR LF for LF, nothing else (RFC 9580 5.2.1.2)."""
    signature = packet(2, KEY.signature(1, canonical_text(DOCUMENT)))
    for data, holds in ((DOCUMENT, True), (canonical_text(DOCUMENT), True), (DOCUMENT.rstrip(), False)):
        found = check(signature, KEY.certificate, data)
        assert found
        assert found.holds is holds


@pytest.mark.parametrize(
    ("data", "recognised"),
    [
        (GOOD, True),
        (b"\x88\x10\x04", True),
        (b"\x89\x00\x10\x04", True),
        (b"\xc2\xc1\x00\x06", True),
        (b"\xef\xbb\xbf-----BEGIN PGP SIGNATURE-----\n", True),
        (b"hello\n-----BEGIN PGP SIGNED MESSAGE-----\n", True),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", False),
        (b"x-----BEGIN PGP SIGNATURE-----\n", False),
        (KEY.certificate, False),
        (b"PK\x03\x04", False),
        (b"\x30\x82\x01\x00", False),
        (b"\xc2", False),
        (b"", False),
    ],
)
def test_recognition_is_by_content(data: bytes, recognised: bool) -> None:  # noqa: FBT001 - a table column
    """Only what begins as a signature packet or has an armoured signature or message claims to be of this scheme."""
    assert SCHEME.recognises(data) is recognised
