"""What a path question may demand and cost: purposes, depth, peers, dates; keys nobody can compute with; hostile lines."""

from __future__ import annotations

import io
import json
import random
import sys
from datetime import timedelta
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.cli import main
from tests.trust_store.path_craft import (
    AT,
    CA,
    FROM,
    Issued,
    alternative,
    ask,
    authority,
    issue,
    key,
    name,
    signed_anew,
    usage,
)
from trust_store.chain.algorithms import signature_holds
from trust_store.chain.building import MAX_COMPARISONS, MAX_PATHS, SignatureBudget
from trust_store.chain.peer_names import PeerName, matches
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.cli.path_request import parse_line, parse_question
from trust_store.decode.asn1 import length_octets
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError
from trust_store.model.verdict import Outcome, Reason

if TYPE_CHECKING:
    from pathlib import Path

ROOT = authority("root")
INT = authority("int", ROOT)
LEAF = issue("leaf", INT)
QUESTION: dict[str, Any] = {
    "leaf": LEAF.pem, "intermediates": [INT.pem], "anchors": [ROOT.pem], "at": "2026-11-25T12:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("purposes", "critical", "good"),
    [
        ([ExtendedKeyUsageOID.TIME_STAMPING], True, True),
        ([ExtendedKeyUsageOID.TIME_STAMPING], False, False),
        ([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING], True, False),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True, False),
    ],
)
def test_a_time_stamp_authority_does_nothing_else(
    purposes: list[x509.ObjectIdentifier], *, critical: bool, good: bool
) -> None:
    """Time stamping is the only purpose and critical (RFC 3161 section 2.3)."""
    stamping = issue("tsa", INT, (x509.ExtendedKeyUsage(purposes), critical), usage("digital_signature"))
    assert (ask(stamping, [INT], [ROOT], purpose="timestamping").reason is Reason.TRUSTED) is good


def test_self_issued_certificates_are_free_of_depth() -> None:
    """``max_depth`` counts intermediates as path length does: a CA's certificate for its own new key is not one more."""
    again = authority("int", INT)
    leaf = issue("leaf", again)
    assert ask(leaf, [again, INT], [ROOT], max_depth=1).reason is Reason.TRUSTED
    assert ask(leaf, [again, INT], [ROOT], max_depth=0).reason is Reason.PATH_INVALID


def test_an_address_asked_for_as_a_host_is_looked_for_among_the_addresses() -> None:
    """No host has an address for a name: a DNS name spelt like the address never matches, an address does."""
    address = issue("leaf", INT, alternative(x509.IPAddress(ip_address("2001:db8::1")))).certificate
    names = address.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert matches(PeerName("dns", "2001:DB8:0::1"), names)
    assert not matches(PeerName("dns", "192.0.2.1"), [x509.DNSName("192.0.2.1")])


def test_issuers_in_time_are_tried_before_the_others() -> None:
    """More expired twins of an issuer than paths are tried do not hide the one that is in time."""
    old = (FROM, FROM + timedelta(days=1))
    twins = [authority("int", ROOT, private=INT.key, serial=n + 1, dates=old) for n in range(MAX_PATHS + 5)]
    assert ask(LEAF, [*twins, INT], [ROOT]).reason is Reason.TRUSTED


def test_comparisons_of_names_are_bounded_over_all_paths() -> None:
    """What one path may compare, many paths of one question together may not: resource_limit."""
    budget = SignatureBudget()
    assert budget.compare(MAX_COMPARISONS - 1)
    assert not budget.compare(2)
    assert budget.compare(1)
    hosts = [x509.DNSName(f"{n}.example") for n in range(130)]
    constraints = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=hosts)
    middle = authority("middle", ROOT, (constraints, True))
    leaf = issue("leaf", middle, alternative(*[x509.DNSName(f"{n}.test") for n in range(130)]))
    path = (leaf.decoded, middle.decoded, ROOT.decoded)
    shared, parameters = SignatureBudget(), ValidationParameters(at=AT)
    found = [validate_path(path, parameters, shared).problems for _ in range(8)]
    assert found[0] == ()
    assert [problem.reason for problem in found[-1]] == [Reason.RESOURCE_LIMIT]


def test_a_key_that_is_for_pss_alone_makes_no_other_signature() -> None:
    """An RSASSA-PSS key (RFC 4055 section 3.1) signs with PSS; a PKCS #1 v1.5 signature of the same number is none of its own."""
    private = rsa.generate_private_key(65537, 2048)
    plain = issue("self", private=private)
    pss = issue("self", private=private, rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32))
    encryption, for_pss = bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("300b06092a864886f70d01010a")
    inner = plain.decoded.spki[4:].replace(encryption, for_pss, 1)
    only = b"\x30" + length_octets(len(inner)) + inner
    assert signature_holds(only, pss.decoded)
    assert not signature_holds(only, plain.decoded)
    assert signature_holds(plain.decoded.spki, plain.decoded)


def test_a_certificate_whose_key_nobody_can_compute_with_is_decoded() -> None:
    """The key's digest is that of the octets as they stand; as a signer of others, or of anything, it proves nothing."""
    known, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209")
    odd = load_certificate(signed_anew(INT, ROOT.key, known, unknown))
    assert unknown in odd.spki
    assert odd.spki_sha256 != INT.decoded.spki_sha256
    found = answer(PathQuestion(LEAF.der, (ROOT.der,), ValidationParameters(at=AT), (odd.der,)))
    assert found.outcome is not Outcome.PASSED
    found = answer(PathQuestion(odd.der, (ROOT.der,), ValidationParameters(at=AT)))
    assert (found.reason, "cannot be read" in found.detail) == (Reason.WEAK_ALGORITHM, True)


def test_a_kind_of_name_that_is_not_read_is_no_fault_of_the_bytes() -> None:
    """A certificate with an EDI party name is decoded, and refused where a path would have to compare its names."""
    edi = b"\x30\x0a\xa5\x08\xa1\x06\x0c\x04" + b"name"
    value = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, edi)
    leaf = issue("leaf", INT, (value, False))
    assert leaf.decoded.subject == "CN=leaf"
    assert ask(leaf, [INT], [ROOT]).reason is Reason.PATH_INVALID


def _constrained() -> tuple[Issued, Issued]:
    names = [x509.DNSName("example.com"), x509.IPAddress(ip_network("10.0.0.0/8")), x509.RFC822Name("example.com")]
    constraints = x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=[x509.DNSName("bad.example.com")])
    mapping = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a06032a030406032a0305")
    )
    middle = authority(
        "middle", ROOT, (constraints, True), (mapping, True), (x509.PolicyConstraints(3, 2), True), usage("key_cert_sign"),
        (x509.InhibitAnyPolicy(2), True),
    )  # fmt: skip
    names = [x509.DNSName("www.example.com"), x509.RFC822Name("a@example.com")]
    return middle, issue("leaf", middle, alternative(*names), usage("digital_signature"))


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), leaf_too=st.booleans(), changes=st.integers(1, 4))
def test_damage_that_was_signed_ends_in_an_answer(*, seed: int, leaf_too: bool, changes: int) -> None:
    """A CA that signs garbage inside its certificates gets an answer, never an exception."""
    middle, leaf = _CONSTRAINED
    chosen = random.Random(seed)  # noqa: S311 - reproducible damage
    victim, signer = (leaf, middle.key) if leaf_too else (middle, ROOT.key)
    tbs = bytearray(victim.certificate.tbs_certificate_bytes)
    for _ in range(changes):
        tbs[chosen.randrange(len(tbs))] = chosen.choice([0, 1, 0x30, 0x80, 0xFF, chosen.randrange(256)])
    signature = b"\0" + signer.sign(bytes(tbs), ec.ECDSA(hashes.SHA256()))
    body = bytes(tbs) + bytes.fromhex("300a06082a8648ce3d040302") + b"\x03" + length_octets(len(signature)) + signature
    damaged = b"\x30" + length_octets(len(body)) + body
    chain = (damaged, middle.der) if leaf_too else (leaf.der, damaged)
    parameters = ValidationParameters(at=AT, profile=True, name=PeerName("dns", "www.example.com"))
    found = answer(PathQuestion(chain[0], (ROOT.der,), parameters, (chain[1],)))
    assert found.detail


_CONSTRAINED = _constrained()

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_KEYS = [*QUESTION, "id", "crls", "purpose", "name", "eku", "key_usage", "policies", "max_depth"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_any_values_in_a_line_end_in_a_question_or_malformed(values: dict[str, Any]) -> None:
    """No value of any type in any key raises anything but MalformedError."""
    _, asked = parse_line(json.dumps({**QUESTION, **values}).encode())
    if isinstance(asked, MalformedError):
        return
    try:
        question = parse_question(asked, AT)
    except MalformedError:
        return
    assert question.parameters.profile


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_line_with_an_answer(data: bytes) -> None:
    """Arbitrary bytes are a request or malformed, never an exception."""
    identity, asked = parse_line(data)
    assert isinstance(asked, dict | MalformedError)
    assert identity is None or isinstance(identity, str | int | float)


def test_a_hostile_line_ends_in_an_answer_and_the_next_is_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mesh of cross-signed CAs in one line costs no more than the budget."""
    mesh = [
        issue(f"ca {i}", None, CA, private=key(i), signed_with=key(j), issuer_name=name(f"ca {j}"))
        for i in range(20) for j in range(20) if i != j
    ]  # fmt: skip
    hostile = {**QUESTION, "leaf": issue("leaf", mesh[0]).pem, "intermediates": [c.pem for c in mesh]}
    lines = "\n".join(json.dumps({"id": n, **line}) for n, line in enumerate((hostile, QUESTION)))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines.encode())))
    with pytest.raises(SystemExit) as stopped:
        main(["path", "validate", "--batch"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(a["id"], a["reason"]) for a in found] == [(0, "resource_limit"), (1, "trusted")]
    assert stopped.value.code == 3


def test_names_from_certificates_cannot_write_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters in a subject are escaped in the text."""
    (tmp_path / "evil.pem").write_text(issue("\x1b[2Jpassed: trusted\n", ROOT).pem)
    (tmp_path / "root.pem").write_text(ROOT.pem)
    with pytest.raises(SystemExit):
        main(["path", "validate", "--leaf", f"{tmp_path}/evil.pem", "--anchors", f"{tmp_path}/root.pem"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
