"""Path validation: what RFC 5280 says of every shape of chain, held against openssl where both decide the same question."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import ObjectIdentifier

from tests.trust_store.path_craft import (
    AT,
    CA,
    FROM,
    UNTIL,
    Issued,
    alternative,
    ask,
    authority,
    eku,
    issue,
    key,
    name,
    signed_anew,
    usage,
)
from trust_store.chain.building import SignatureBudget
from trust_store.chain.peer_names import PeerName
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.decode.asn1 import length_octets, read_one
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = ObjectIdentifier("1.3.6.1.4.1.55738.666.1")
CODE = {"purpose": "code-signing"}


@dataclass(frozen=True)
class Case:
    """One chain: leaf, what lies between, the anchor; what is expected of it."""

    leaf: Issued
    between: tuple[Issued, ...]
    root: Issued
    reason: Reason = Reason.TRUSTED
    asked: dict[str, Any] = field(default_factory=dict)
    openssl: bool | None = None
    """What openssl says where it differs (no profile, common names as hosts, no way back from a wrong issuer); None: the same."""


ROOT = authority("root")
INT = authority("int", ROOT)
BAD = Reason.PATH_INVALID


def _below(*extensions: Any, **options: Any) -> tuple[Issued, tuple[Issued, ...], Issued]:
    """A chain whose intermediate has these extensions instead of a CA's."""
    middle = issue("middle", ROOT, *extensions, **options)
    return issue("leaf", middle), (middle,), ROOT


def _leaf(*extensions: Any, subject: str | None = "leaf", **options: Any) -> tuple[Issued, tuple[Issued, ...], Issued]:
    return issue(subject, INT, *extensions, **options), (INT,), ROOT


def _rooted(*extensions: Any, **options: Any) -> tuple[Issued, tuple[Issued, ...], Issued]:
    root = issue("other root", None, *extensions, **options)
    return issue("leaf", root), (), root


def _limited(length: int, *more: str) -> tuple[Issued, tuple[Issued, ...], Issued]:
    """An intermediate that allows ``length`` more, and CAs of these names below it."""
    chain = [issue("limited", ROOT, (x509.BasicConstraints(ca=True, path_length=length), True))]
    for subject in more:
        chain.append(authority(subject, chain[-1]))
    return issue("leaf", chain[-1]), tuple(chain), ROOT


def _unknown(*, critical: bool) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(UNKNOWN, b"\x05\x00"), critical


def _dates(start: int, end: int) -> tuple[datetime, datetime]:
    return AT + timedelta(days=start), AT + timedelta(days=end)


def _cases() -> dict[str, Case]:
    rsa_short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too short on purpose
    rsa_key = rsa.generate_private_key(65537, 2048)
    rsa_root = authority("rsa root", private=rsa_key)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 222)
    ed_root = authority("ed root", private=ed25519.Ed25519PrivateKey.generate())
    aia = x509.AuthorityInformationAccess([x509.AccessDescription(x509.OID_CA_ISSUERS, x509.DNSName("example.com"))])
    dns = alternative(x509.DNSName("www.example.com"))
    host = {"name": PeerName("dns", "www.example.com")}
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(INT.key.public_key())
    return {
        "plain": Case(*_leaf()),
        "directly below the root": Case(issue("leaf", ROOT), (), ROOT),
        "the anchor itself": Case(ROOT, (), ROOT),
        "unknown root": Case(issue("leaf", INT), (INT,), authority("else"), Reason.UNKNOWN_ROOT),
        "intermediate missing": Case(issue("leaf", INT), (), ROOT, Reason.UNKNOWN_ROOT),
        "root expired": Case(*_rooted(CA, dates=_dates(-9, -1)), Reason.EXPIRED),
        "intermediate expired": Case(*_below(CA, dates=_dates(-9, -1)), Reason.EXPIRED),
        "leaf expired": Case(*_leaf(dates=_dates(-9, -1)), Reason.EXPIRED),
        "leaf not yet valid": Case(*_leaf(dates=_dates(1, 9)), Reason.NOT_YET_VALID),
        "no basic constraints": Case(*_below(), BAD),
        "not a CA": Case(*_below((x509.BasicConstraints(ca=False, path_length=None), True)), BAD),
        "root without basic constraints": Case(*_rooted(), BAD),
        "root with soft basic constraints": Case(
            *_rooted((x509.BasicConstraints(ca=True, path_length=None), False)), BAD, openssl=True
        ),
        "soft basic constraints below": Case(*_below((x509.BasicConstraints(ca=True, path_length=None), False))),
        "may not sign": Case(*_below(CA, usage("crl_sign")), BAD),
        "may sign": Case(*_below(CA, usage("key_cert_sign"))),
        "root may not sign": Case(*_rooted(CA, usage("crl_sign")), BAD),
        "length 0": Case(*_limited(0)),
        "length 0 exceeded": Case(*_limited(0, "one"), BAD),
        "length 1": Case(*_limited(1, "one")),
        "length 1 exceeded": Case(*_limited(1, "one", "two"), BAD),
        "self-issued do not count": Case(*_limited(1, "limited", "one"), openssl=False),
        "self-issued is not last": Case(*_limited(0, "limited"), openssl=False),
        "a CA as the last one": Case(authority("below", INT), (INT,), ROOT),
        "unknown critical in the leaf": Case(*_leaf(_unknown(critical=True)), BAD),
        "unknown in the leaf": Case(*_leaf(_unknown(critical=False))),
        "unknown critical in between": Case(*_below(CA, _unknown(critical=True)), BAD),
        "unknown critical in the root": Case(*_rooted(CA, _unknown(critical=True)), BAD),
        "critical access to the issuer": Case(*_leaf((aia, True)), BAD),
        "access to the issuer": Case(*_leaf((aia, False))),
        "critical key identifier": Case(*_leaf((aki, True)), BAD),
        "code signing": Case(*_leaf(eku(Purpose.CODE_SIGNING)), asked=CODE),
        "code signing, any": Case(*_leaf(eku(Purpose.ANY_EXTENDED_KEY_USAGE)), asked=CODE),
        "code signing, none": Case(*_leaf(), asked=CODE),
        "code signing, other": Case(*_leaf(eku(Purpose.SERVER_AUTH)), BAD, CODE),
        "code signing below another purpose": Case(*_below(CA, eku(Purpose.SERVER_AUTH)), BAD, CODE),
        "code signing below its purpose": Case(*_below(CA, eku(Purpose.CODE_SIGNING)), asked=CODE),
        "code signing, root of another purpose": Case(*_rooted(CA, eku(Purpose.SERVER_AUTH)), BAD, CODE),
        "code signing without the bit": Case(*_leaf(usage("key_encipherment")), BAD, CODE),
        "code signing with the bit": Case(*_leaf(usage("digital_signature")), asked=CODE),
        "code signing with non-repudiation": Case(*_leaf(usage("content_commitment")), asked=CODE),
        "time stamping needs the purpose": Case(*_leaf(), BAD, {"purpose": "timestamping"}),
        "a purpose that must be named": Case(*_leaf(), BAD, {"eku": (Purpose.CODE_SIGNING.dotted_string,)}),
        "a purpose that is named": Case(
            *_leaf(eku(Purpose.CODE_SIGNING)), asked={"eku": (Purpose.CODE_SIGNING.dotted_string,)}
        ),
        "a bit that is not set": Case(*_leaf(usage("digital_signature")), BAD, {"key_usage": ("encipher_only",)}),
        "no bits at all": Case(*_leaf(), asked={"key_usage": ("key_agreement",)}),
        "host": Case(*_leaf(dns), asked=host),
        "another host": Case(*_leaf(alternative(x509.DNSName("example.com"))), BAD, host),
        "host in the common name": Case(*_leaf(subject="www.example.com"), BAD, host, openssl=True),
        "address": Case(
            *_leaf(alternative(x509.IPAddress(ip_address("192.0.2.1")))), asked={"name": PeerName("ip", "192.0.2.1")}
        ),
        "mailbox": Case(
            *_leaf(alternative(x509.RFC822Name("a@example.com"))), asked={"name": PeerName("email", "a@EXAMPLE.com")}
        ),
        "too deep": Case(*_leaf(), BAD, {"max_depth": 0}),
        "deep enough": Case(*_leaf(), asked={"max_depth": 1}),
        "leaf that may sign": Case(
            *_leaf((x509.BasicConstraints(ca=False, path_length=None), True), usage("key_cert_sign")), BAD, openssl=True
        ),
        "nameless leaf": Case(*_leaf(subject=None), BAD, openssl=True),
        "nameless leaf, soft names": Case(*_leaf(dns, subject=None), BAD, openssl=True),
        "nameless leaf, critical names": Case(
            *_leaf(alternative(x509.DNSName("www.example.com"), critical=True), subject=None)
        ),
        "soft name constraints": Case(*_below(CA, _permitted(critical=False)), BAD, openssl=True),
        "name constraints": Case(*_below(CA, _permitted(critical=True))),
        "name constraints in a leaf": Case(*_leaf(_permitted(critical=True)), BAD, openssl=True),
        "SHA-512": Case(*_leaf(digest=hashes.SHA512())),
        "RSA-1024 leaf": Case(*_leaf(private=rsa_short), Reason.WEAK_ALGORITHM, openssl=True),
        "RSA-2048": Case(issue("leaf", rsa_root), (), rsa_root),
        "RSA-PSS of another salt": Case(issue("leaf", rsa_root, rsa_padding=pss), (), rsa_root),
        "Ed25519": Case(issue("leaf", ed_root), (), ed_root),
        "P-384": Case(*_rooted(CA, private=ec.generate_private_key(ec.SECP384R1()))),
        "DSA": Case(*_rooted(CA, private=dsa.generate_private_key(2048)), Reason.WEAK_ALGORITHM, openssl=True),
        "same name, other key": Case(issue("leaf", INT, signed_with=key(9)), (INT,), ROOT, Reason.UNKNOWN_ROOT),
        "renewed root": Case(issue("leaf", ROOT), (), authority("root", private=ROOT.key)),
        "same root under other dates": Case(authority("root", private=ROOT.key), (), ROOT, openssl=False),
    }


def _permitted(*, critical: bool) -> tuple[x509.ExtensionType, bool]:
    return x509.NameConstraints(permitted_subtrees=[x509.DNSName("example.com")], excluded_subtrees=None), critical


CASES = _cases()


@pytest.mark.parametrize("case", CASES)
def test_every_shape_of_chain_gets_the_answer_of_the_standard(case: str) -> None:
    """The reason is the one that RFC 5280 sections 4 and 6 give."""
    asked = CASES[case]
    found = ask(asked.leaf, asked.between, [asked.root], **asked.asked)
    assert found.reason is asked.reason, found.detail


@pytest.mark.native
def test_openssl_says_the_same_of_every_chain(tmp_path: Path) -> None:
    """Where no purpose is asked, ``openssl verify`` passes exactly what this program passes, but for the differences on record."""
    different = {}
    for number, (title, case) in enumerate(CASES.items()):
        if set(case.asked) - {"name"}:
            continue
        ours = case.reason is Reason.TRUSTED
        theirs = _openssl(case, tmp_path / str(number))
        if theirs is not (ours if case.openssl is None else case.openssl):
            different[title] = theirs
    assert different == {}


def _openssl(case: Case, folder: Path) -> bool:
    folder.mkdir()
    for file, certificates in (("leaf", [case.leaf]), ("between", case.between), ("root", [case.root])):
        (folder / file).write_text("".join(c.pem for c in certificates))
    command = ["openssl", "verify", "-attime", str(int(AT.timestamp())), "-CAfile", "root", "-partial_chain"]
    if case.between:
        command += ["-untrusted", "between"]
    peer = case.asked.get("name")
    if peer is not None:
        command += [{"dns": "-verify_hostname", "ip": "-verify_ip", "email": "-verify_email"}[peer.kind], peer.value]
    done = subprocess.run([*command, "leaf"], cwd=folder, capture_output=True, check=False)
    return done.returncode == 0


def test_no_bit_of_a_certificate_can_be_flipped() -> None:
    """A chain with any one bit of leaf or intermediate flipped is never trusted."""
    parameters = ValidationParameters(at=AT)
    leaf = issue("leaf", INT)
    for victim in (leaf, INT):
        for position in range(len(victim.der)):
            flipped = bytearray(victim.der)
            flipped[position] ^= 1 << (position % 8)
            chain = (bytes(flipped), INT.der) if victim is leaf else (leaf.der, bytes(flipped))
            found = answer(PathQuestion(chain[0], (ROOT.der,), parameters, (chain[1],)))
            assert found.reason is not Reason.TRUSTED, position


def test_no_bit_of_an_anchors_certificate_can_be_flipped_in_the_leafs_place() -> None:
    """A leaf that has an anchor's name and key is the anchor only byte for byte, or where that key signed it."""
    for position in range(len(ROOT.der)):
        flipped = bytearray(ROOT.der)
        flipped[position] ^= 1 << (position % 8)
        found = answer(PathQuestion(bytes(flipped), (ROOT.der,), ValidationParameters(at=AT)))
        assert found.reason is not Reason.TRUSTED, position


@pytest.mark.parametrize(
    ("serial", "reason"), [(b"\x02\x01\x00", Reason.PATH_INVALID), (b"\x02\x01\xff", Reason.TRUSTED)]
)
def test_a_serial_number_of_zero_breaks_the_profile_and_a_negative_one_is_handled(
    serial: bytes, reason: Reason
) -> None:
    """Zero is refused, negative numbers are to be handled gracefully (RFC 5280 section 4.1.2.2), without a warning on the way."""
    leaf = signed_anew(issue("leaf", INT, serial=1), INT.key, b"\x02\x01\x01", serial)
    found = answer(PathQuestion(leaf, (ROOT.der,), ValidationParameters(at=AT, profile=True), (INT.der,)))
    assert found.reason is reason, found.detail


def test_a_serial_number_beyond_twenty_octets_breaks_the_profile() -> None:
    """Section 4.1.2.2 caps serial numbers at 20 octets."""
    long = signed_anew(issue("leaf", INT, serial=1), INT.key, b"\x02\x01\x01", b"\x02\x15" + b"\x7f" * 21)
    found = answer(PathQuestion(long, (ROOT.der,), ValidationParameters(at=AT, profile=True), (INT.der,)))
    assert found.outcome == "failed", found.detail


def test_inner_and_outer_algorithm_must_be_the_same_bytes() -> None:
    """A certificate whose signed AlgorithmIdentifier is another than the one outside is not signed (section 4.1.1.2)."""
    inner = bytes.fromhex("06082a8648ce3d040302")
    leaf = signed_anew(issue("leaf", INT), INT.key, inner, inner[:-1] + b"\x03")
    found = answer(PathQuestion(leaf, (ROOT.der,), ValidationParameters(at=AT), (INT.der,)))
    assert found.outcome != "passed"


def test_a_certificate_signed_with_sha1_is_weak() -> None:
    """A valid SHA-1 signature proves too little: weak_algorithm, not a broken path."""
    old, new = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06072a8648ce3d0401")
    plain = issue("leaf", INT)
    content = read_one(plain.certificate.tbs_certificate_bytes, "tbs").content
    sequence = b"\x30" + length_octets(len(old)) + old
    algorithm = b"\x30" + length_octets(len(new)) + new
    content = content.replace(sequence, algorithm, 1)
    tbs = b"\x30" + length_octets(len(content)) + content
    signature = b"\0" + INT.key.sign(tbs, ec.ECDSA(hashes.SHA1()))  # noqa: S303 - the weak one is the point
    body = tbs + algorithm + b"\x03" + length_octets(len(signature)) + signature
    leaf = b"\x30" + length_octets(len(body)) + body
    found = answer(PathQuestion(leaf, (ROOT.der,), ValidationParameters(at=AT), (INT.der,)))
    assert found.reason is Reason.WEAK_ALGORITHM, found.detail


def test_duplicate_extensions_are_malformed() -> None:
    """A certificate with one extension twice has no meaning (section 4.2)."""
    one = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    two = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.6"), b"\x05\x00")
    leaf = signed_anew(
        issue("leaf", INT, (one, False), (two, False)), INT.key, b"\x2a\x03\x04\x06", b"\x2a\x03\x04\x05"
    )
    assert answer(PathQuestion(leaf, (ROOT.der,), ValidationParameters(at=AT), (INT.der,))).reason is Reason.MALFORMED


def test_the_question_is_asked_in_whole_seconds() -> None:
    """Both ends of the validity are included, and a fraction of a second belongs to its second (section 4.1.2.5)."""
    start, end = AT - timedelta(days=1), AT
    leaf = issue("leaf", ROOT, dates=(start, end))
    for at, reason in (
        (start, Reason.TRUSTED),
        (start - timedelta(milliseconds=1), Reason.NOT_YET_VALID),
        (end + timedelta(milliseconds=5), Reason.TRUSTED),
        (end + timedelta(seconds=1), Reason.EXPIRED),
    ):
        assert ask(leaf, [], [ROOT], at=at).reason is reason


def test_times_are_read_from_the_decoded_certificate() -> None:
    """A caller that knows no expiry sets the times on the certificate and keeps every other check."""
    expired = issue("leaf", ROOT, dates=(FROM, FROM + timedelta(days=1))).decoded
    timeless = replace(expired, not_after=UNTIL)
    parameters = ValidationParameters(at=AT, purpose="code-signing")
    bad = validate_path((expired, ROOT.decoded), parameters, SignatureBudget())
    good = validate_path((timeless, ROOT.decoded), parameters, SignatureBudget())
    assert [problem.reason for problem in bad.problems] == [Reason.EXPIRED]
    assert (good.problems, good.steps) == ((), 2)


def test_an_empty_path_and_an_empty_purse_are_problems() -> None:
    """Nothing to validate, and nothing to pay the arithmetic with, is never a good path."""
    parameters = ValidationParameters(at=AT)
    assert validate_path((), parameters, SignatureBudget()).problems[0].reason is Reason.PATH_INVALID
    found = validate_path((INT.decoded, ROOT.decoded), parameters, SignatureBudget(0))
    assert [problem.reason for problem in found.problems] == [Reason.RESOURCE_LIMIT]


def test_names_that_do_not_chain_are_a_problem_even_where_the_signature_holds() -> None:
    """Section 6.1.3(a)(4) is checked by validation itself, whoever built the path."""
    odd = issue("leaf", ROOT, issuer_name=name("somebody else")).decoded
    found = validate_path((odd, ROOT.decoded), ValidationParameters(at=AT), SignatureBudget())
    assert "do not chain" in found.problems[0].detail


def test_a_path_whose_bytes_are_no_certificate_is_a_problem() -> None:
    """Bytes that cannot be read in the midst of a path are path_invalid, never an exception."""
    broken = replace(INT.decoded, der=b"\x30\x00")
    found = validate_path(
        (issue("l", INT).decoded, broken, ROOT.decoded), ValidationParameters(at=AT), SignatureBudget()
    )
    assert Reason.PATH_INVALID in {problem.reason for problem in found.problems}


def test_extensions_of_a_certificate_of_version_1_make_no_ca() -> None:
    """Only version 3 has extensions (section 4.1.2.9): one that claims to be of version 1 and has them is refused."""
    odd = signed_anew(INT, ROOT.key, b"\xa0\x03\x02\x01\x02", b"")
    found = answer(PathQuestion(issue("leaf", INT).der, (ROOT.der,), ValidationParameters(at=AT), (odd,)))
    assert (found.reason, "version 1" in found.detail) == (Reason.PATH_INVALID, True)


def test_a_certificate_of_version_1_may_be_an_anchor_and_nothing_in_between() -> None:
    """Who anchors a version 1 certificate decided so; nobody else's is a CA's (section 6.1.4(k))."""
    version = b"\xa0\x03\x02\x01\x02"
    old = issue("old", private=key(31))
    old_root = signed_anew(old, key(31), version, b"")
    leaf = issue("leaf", old)
    assert answer(PathQuestion(leaf.der, (old_root,), ValidationParameters(at=AT))).reason is Reason.TRUSTED
    between = issue("old", ROOT, private=key(31))
    old_between = signed_anew(between, ROOT.key, version, b"")
    found = answer(PathQuestion(leaf.der, (ROOT.der,), ValidationParameters(at=AT), (old_between,)))
    assert (found.reason, "is no CA" in found.detail) == (Reason.PATH_INVALID, True)
