"""What a token proves, step by step: what it is over, who made it, and under which anchor."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.timestamp_craft import Authority
from tests.trust_store.verdict_craft import AT, anchor
from trust_store.chain.building import SignatureBudget
from trust_store.chain.timestamping import CLOCK_SKEW, ProvenTime, prove
from trust_store.chain.validation import PathProblem
from trust_store.decode.x509 import load_certificate
from trust_store.model.trust_anchor import Constraints, TrustAnchor
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from trust_store.chain.timestamping import Objections
    from trust_store.model.certificate import Certificate

VALUE = b"the value of a signature"
MADE = AT - timedelta(days=500)
PURPOSES = ("timestamp",)


@pytest.fixture(scope="module")
def tsa() -> Authority:
    """An authority."""
    return Authority.make(AT)


def trusted(der: bytes, purposes: tuple[str, ...] = PURPOSES) -> tuple[TrustAnchor, Certificate]:
    """The certificate as an anchor."""
    return anchor(der, constraints=Constraints(purposes=purposes)), load_certificate(der)


def nothing(*_: object) -> tuple[PathProblem, ...]:
    """No objection."""
    return ()


def asked(
    token: bytes,
    *anchors: tuple[TrustAnchor, Certificate],
    value: bytes = VALUE,
    at: datetime = AT,
    untrusted: tuple[bytes, ...] = (),
    budget: int = 50,
    objections: Objections = nothing,
) -> ProvenTime:
    """What the token proves."""
    helping = [load_certificate(der) for der in untrusted]
    return prove(token, value, anchors, helping, at=at, budget=SignatureBudget(budget), objections=objections)


def reasons(found: ProvenTime) -> list[Reason]:
    """Why nothing is proven; nothing is, where there is a reason."""
    assert (found.latest is None) == bool(found.problems)
    return [problem.reason for problem in found.problems]


def test_a_good_token_proves_its_time(tsa: Authority) -> None:
    """What was stamped existed before the stated time and its accuracy; the anchor that vouches for the authority is named."""
    root = trusted(tsa.root_der)
    found = asked(tsa.token(VALUE, MADE, accuracy={"seconds": 3}), root)
    assert found == ProvenTime(MADE, MADE + timedelta(seconds=3), (), root[0])


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("options", ["", "tsa_name = yes", "ess_cert_id_alg = sha256", "ordering = yes"])
def test_openssl_tokens_prove_now(tsa: Authority, tmp_path: Path, digest: str, options: str) -> None:
    """A token that openssl ts made is good, in each of its forms."""
    token = tsa.openssl(tmp_path, VALUE, digest=digest, options=options)
    found = asked(token, trusted(tsa.root_der), at=datetime.now(AT.tzinfo))
    assert found.problems == ()
    assert found.at is not None
    assert found.latest == found.at + timedelta(seconds=1, microseconds=500_100)


def test_openssl_agrees_about_what_it_is_over(tsa: Authority, tmp_path: Path) -> None:
    """A SHA-1 imprint, which openssl ts makes and takes, is too weak here."""
    token = tsa.openssl(tmp_path, VALUE, digest="sha1")
    assert reasons(asked(token, trusted(tsa.root_der), at=datetime.now(AT.tzinfo))) == [Reason.WEAK_ALGORITHM]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"imprint": "sha1"}, Reason.WEAK_ALGORITHM),
        ({"imprint": "sha224"}, Reason.WEAK_ALGORITHM),
        ({"digest": "sha1"}, Reason.WEAK_ALGORITHM),
        ({"digest": "sha224"}, Reason.WEAK_ALGORITHM),
        ({"signers": 2}, Reason.MALFORMED),
        ({"signing": ()}, Reason.MALFORMED),
        ({"signed_type": "data"}, Reason.INVALID_SIGNATURE),
        ({"carried": False}, Reason.UNKNOWN_ROOT),
        ({"content_type": "data"}, Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_broken_tokens_prove_nothing(tsa: Authority, changes: dict[str, Any], expected: Reason) -> None:
    """Weak digests, two signers, no named certificate, another signed type, no certificate at hand, another content."""
    assert reasons(asked(tsa.token(VALUE, MADE, **changes), trusted(tsa.root_der))) == [expected]


def test_usage_that_is_not_critical() -> None:
    """RFC 3161 2.3 wants the extended key usage critical and alone; who asks for Authenticode lets it be not critical, but no more."""
    root = Authority.make(AT, critical=False)
    token, anchors = root.token(VALUE, MADE), [trusted(root.root_der)]
    assert reasons(asked(token, *anchors)) == [Reason.PATH_INVALID]
    budget = SignatureBudget(50)
    lenient = prove(token, VALUE, anchors, [], at=AT, budget=budget, objections=nothing, critical=False)
    assert lenient.latest == MADE
    usages = (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)
    both = Authority.make(AT, usages=usages)
    token, anchors = both.token(VALUE, MADE), [trusted(both.root_der)]
    found = prove(token, VALUE, anchors, [], at=AT, budget=budget, objections=nothing, critical=False)
    assert reasons(found) == [Reason.PATH_INVALID]


def test_what_is_no_token_proves_nothing(tsa: Authority) -> None:
    """Bytes that are no token, and too many of them, are told."""
    assert reasons(asked(b"\x30\x00", trusted(tsa.root_der))) == [Reason.MALFORMED]
    assert reasons(asked(b"\x30" * 300_000, trusted(tsa.root_der))) == [Reason.RESOURCE_LIMIT]


def test_a_token_over_something_else(tsa: Authority) -> None:
    """A token over another signature proves nothing about this one."""
    found = asked(tsa.token(b"another signature", MADE), trusted(tsa.root_der))
    assert reasons(found) == [Reason.INVALID_SIGNATURE]
    assert "something else" in found.problems[0].detail


@pytest.mark.parametrize("signing", [("v1",), ("v2",), ("v2+serial",), ("v2+sha512",), ("v1", "v2")])
def test_the_named_certificate_is_the_signers(tsa: Authority, signing: tuple[str, ...]) -> None:
    """Each version of the attribute does; one that names another certificate does not."""
    assert asked(tsa.token(VALUE, MADE, signing=signing), trusted(tsa.root_der)).latest == MADE
    found = asked(tsa.token(VALUE, MADE, signing=signing, named=tsa.root_der), trusted(tsa.root_der))
    assert reasons(found) == [Reason.INVALID_SIGNATURE]
    assert "named in its signed attributes" in found.problems[0].detail


def test_the_certificate_may_come_from_elsewhere(tsa: Authority) -> None:
    """A token without certificates is good where the authority's certificate is at hand, trusted or not."""
    token = tsa.token(VALUE, MADE, carried=False)
    assert asked(token, trusted(tsa.root_der), untrusted=(tsa.der,)).latest == MADE


def test_the_authority_itself_may_be_the_anchor(tsa: Authority) -> None:
    """The authority's own certificate may be what is trusted."""
    assert asked(tsa.token(VALUE, MADE), trusted(tsa.der)).latest == MADE


@pytest.mark.parametrize(
    "fields",
    [
        {"usages": (ExtendedKeyUsageOID.CODE_SIGNING,)},
        {"usages": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)},
        {"usages": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
        {"usages": ()},
        {"critical": False},
    ],
)
def test_the_certificate_is_for_timestamps_alone(fields: dict[str, Any]) -> None:
    """RFC 3161 2.3: one purpose, time stamping, critical; also where the authority's certificate itself is the anchor."""
    other = Authority.make(AT, **fields)
    for der in (other.root_der, other.der):
        found = asked(other.token(VALUE, MADE), trusted(der))
        assert set(reasons(found)) == {Reason.PATH_INVALID}
        assert "RFC 3161 2.3" in " ".join(problem.detail for problem in found.problems)


@pytest.mark.parametrize("purposes", [("code",), ("code", "firmware"), ("tls",), ()])
def test_an_anchor_for_something_else_vouches_for_no_time(tsa: Authority, purposes: tuple[str, ...]) -> None:
    """Only an anchor whose purposes name timestamps is one for timestamps."""
    token = tsa.token(VALUE, MADE)
    found = asked(token, trusted(tsa.root_der, purposes))
    assert reasons(found) == [Reason.UNKNOWN_ROOT]
    assert found.at == MADE
    assert asked(token, trusted(tsa.root_der, purposes), trusted(tsa.root_der, (*purposes, "timestamp"))).latest == MADE


def test_no_anchor_proves_nothing(tsa: Authority) -> None:
    """Without an anchor, or with another authority's root, nothing is proven."""
    assert reasons(asked(tsa.token(VALUE, MADE))) == [Reason.UNKNOWN_ROOT]
    assert reasons(asked(tsa.token(VALUE, MADE), trusted(Authority.make(AT).root_der))) == [Reason.UNKNOWN_ROOT]


def test_the_authority_is_judged_at_the_stated_time() -> None:
    """A certificate that has expired since leaves the token good; one that had expired, or had not begun, does not."""
    tsa = Authority.make(AT, days=(-600, -400))
    assert asked(tsa.token(VALUE, MADE), trusted(tsa.root_der)).latest == MADE
    for days, reason in ((-399, Reason.EXPIRED), (-601, Reason.NOT_YET_VALID)):
        found = asked(tsa.token(VALUE, AT + timedelta(days=days)), trusted(tsa.root_der))
        assert reasons(found) == [reason]


@pytest.mark.parametrize(("seconds", "good"), [(0, True), (300, True), (301, False), (10**8, False)])
def test_a_time_that_has_not_come(tsa: Authority, seconds: int, good: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A clock may be five minutes ahead, and its accuracy; no more."""
    token = tsa.token(VALUE, AT + timedelta(seconds=seconds))
    assert (reasons(asked(token, trusted(tsa.root_der)))[:1] == []) == good
    ahead = AT + CLOCK_SKEW + timedelta(seconds=9)
    assert asked(tsa.token(VALUE, ahead, accuracy={"seconds": 9}), trusted(tsa.root_der)).problems == ()
    assert asked(tsa.token(VALUE, ahead, accuracy={"seconds": 8}), trusted(tsa.root_der)).problems != ()


def test_a_stated_name_is_the_certificates(tsa: Authority) -> None:
    """A token that states another authority's name than its certificate's proves nothing."""
    from asn1crypto import x509 as asn1_x509

    for der, good in ((tsa.der, True), (tsa.root_der, False)):
        name = asn1_x509.GeneralName({"directory_name": asn1_x509.Certificate.load(der).subject})
        found = asked(tsa.token(VALUE, MADE, tsa=name), trusted(tsa.root_der))
        assert (found.latest == MADE) == good


def test_objections_are_heard(tsa: Authority) -> None:
    """What the caller has against a path stands against it; another path without an objection is enough."""
    first, second = trusted(tsa.root_der), trusted(tsa.der)

    def against(one: TrustAnchor, path: tuple[Certificate, ...], _token: object) -> tuple[PathProblem, ...]:
        assert path[0].sha256 == second[1].sha256
        return (PathProblem(Reason.REVOKED, "revoked"),) if one.id == first[0].id else ()

    token = tsa.token(VALUE, MADE)
    found = asked(token, first, objections=against)
    assert found.problems == (PathProblem(Reason.REVOKED, "timestamp: revoked"),)
    assert asked(token, first, second, objections=against).anchor == second[0]


def test_the_budget_ends_it(tsa: Authority) -> None:
    """Where there is nothing left to compute with, nothing is proven."""
    token = tsa.token(VALUE, MADE)
    for budget in (0, 1):
        assert reasons(asked(token, trusted(tsa.root_der), budget=budget)) == [Reason.RESOURCE_LIMIT]
    assert asked(token, trusted(tsa.root_der), budget=2).problems == ()


def test_no_changed_byte_proves_another_time(tsa: Authority) -> None:
    """Whichever byte of a token is changed, it proves its own time or nothing."""
    root = trusted(tsa.root_der)
    token = tsa.token(VALUE, MADE, accuracy={"seconds": 1}, nonce=5)
    for position in range(len(token)):
        for mask in (0x01, 0x80, 0xFF):
            changed = token[:position] + bytes([token[position] ^ mask]) + token[position + 1 :]
            found = asked(changed, root)
            assert found.latest in (None, MADE + timedelta(seconds=1)), position
            if found.latest is not None:
                assert found.at == MADE


def test_a_stamp_of_a_stamp_is_none(tsa: Authority) -> None:
    """A token is over the signature's value: one over the content, or over another token, is over something else."""
    inner = tsa.token(VALUE, MADE)
    assert reasons(asked(tsa.token(inner, MADE), trusted(tsa.root_der))) == [Reason.INVALID_SIGNATURE]
