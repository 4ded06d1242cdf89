"""What a PKCS #9 countersignature with a signed time proves, as Authenticode had them before RFC 3161, and what a forged one does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.cms_message import SIGNING_TIME, Signer, attribute, oid, seq, tlv
from tests.packages.pki import CODE_SIGNING, TIME_STAMPING, Issued, issue
from tests.trust_store.verdict_craft import anchor
from trust_store.chain.building import SignatureBudget
from trust_store.chain.timestamping import ProvenTime, prove_countersignature
from trust_store.chain.validation import PathProblem
from trust_store.decode.countersignature import MAX_COUNTERSIGNATURE_BYTES, parse_countersignature
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.trust_anchor import Constraints, TrustAnchor
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate

VALUE = b"the value of a signature"
DATA = "1.2.840.113549.1.7.1"
MADE, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
ROOT = issue("Time Root", kind="p256", is_ca=True)
AUTHORITY = issue("Time Authority", ROOT, kind="p256", eku=[TIME_STAMPING])


def trusted(issued: Issued = ROOT, purposes: tuple[str, ...] = ("timestamp",)) -> tuple[TrustAnchor, Certificate]:
    """The certificate as an anchor."""
    return anchor(issued.der, constraints=Constraints(purposes=purposes)), load_certificate(issued.der)


def nothing(*_: object) -> tuple[PathProblem, ...]:
    """No objection."""
    return ()


def asked(
    info: bytes, *carried: Issued, root: tuple[TrustAnchor, Certificate] | None = None, at: datetime = NOW
) -> ProvenTime:
    """What the countersignature proves, with certificates that stand in the message around it."""
    helping = [load_certificate(one.der) for one in carried]
    return prove_countersignature(
        info, VALUE, [root or trusted()], helping, at=at, budget=SignatureBudget(50), objections=nothing
    )


def reasons(found: ProvenTime) -> list[Reason]:
    """Why nothing is proven; nothing is, where there is a reason."""
    assert (found.latest is None) == bool(found.problems)
    return [problem.reason for problem in found.problems]


@pytest.mark.parametrize("content_type", [None, DATA])
def test_a_good_one_proves_its_time(content_type: str | None) -> None:
    """What was countersigned existed at the signed time; a content type of data, as such authorities wrote it, changes nothing."""
    root = trusted()
    found = asked(Signer(AUTHORITY).info(VALUE, content_type), AUTHORITY, root=root)
    assert found == ProvenTime(MADE, MADE, (), root[0])


def test_an_authority_that_has_ended_since() -> None:
    """The path is judged at the signed time, whatever has ended since."""
    ended = issue("Old Authority", ROOT, kind="p256", eku=[TIME_STAMPING], end=MADE + timedelta(days=1))
    assert asked(Signer(ended).info(VALUE, DATA), ended).latest == MADE


def test_an_authority_that_may_do_more() -> None:
    """A certificate for time stamping among other purposes will do: the rule that it be alone is RFC 3161's."""
    both = issue("Both", ROOT, kind="p256", eku=[TIME_STAMPING, CODE_SIGNING])
    assert asked(Signer(both).info(VALUE, DATA), both).latest == MADE


@pytest.mark.parametrize(
    ("signer", "expected"),
    [
        (issue("Code", ROOT, kind="p256"), Reason.PATH_INVALID),
        (issue("Any", ROOT, kind="p256", eku=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), Reason.PATH_INVALID),
        (issue("None", ROOT, kind="p256", eku=None), Reason.PATH_INVALID),
        (issue("Ended", ROOT, kind="p256", eku=[TIME_STAMPING], end=MADE - timedelta(days=1)), Reason.EXPIRED),
        (issue("Self", None, kind="p256", eku=[TIME_STAMPING]), Reason.UNKNOWN_ROOT),
    ],
)
def test_who_is_no_authority(signer: Issued, expected: Reason) -> None:
    """A certificate that is not for time stamping, had ended by then, or that no anchor for timestamps vouches for proves nothing."""
    assert reasons(asked(Signer(signer).info(VALUE, DATA), signer)) == [expected]


def test_an_anchor_for_code_vouches_for_no_time() -> None:
    """Only an anchor whose purposes name timestamps counts."""
    found = asked(Signer(AUTHORITY).info(VALUE, DATA), AUTHORITY, root=trusted(purposes=("code",)))
    assert reasons(found) == [Reason.UNKNOWN_ROOT]


def test_over_another_value() -> None:
    """A countersignature that was taken from another signature proves nothing of this one."""
    assert reasons(asked(Signer(AUTHORITY).info(b"another value", DATA), AUTHORITY)) == [Reason.INVALID_SIGNATURE]


def test_by_another_key() -> None:
    """One that names the authority and was made by another key is forged."""
    forger = issue("Forger", kind="p256", eku=[TIME_STAMPING])
    forged = Signer(Issued(AUTHORITY.certificate, forger.key)).info(VALUE, DATA)
    assert reasons(asked(forged, AUTHORITY)) == [Reason.INVALID_SIGNATURE]


def test_changed_time() -> None:
    """The time is signed: another one in its place breaks the signature."""
    info = Signer(AUTHORITY).info(VALUE, DATA)
    changed = info.replace(b"260101000000Z", b"200101000000Z")
    assert changed != info
    assert reasons(asked(changed, AUTHORITY)) == [Reason.INVALID_SIGNATURE]


def test_weak_digest() -> None:
    """SHA-1 lets two values have one digest, of which one was stamped: it proves nothing."""
    rsa = issue("RSA Authority", ROOT, kind="rsa2048", eku=[TIME_STAMPING])
    assert reasons(asked(Signer(rsa, "sha1").info(VALUE, DATA), rsa)) == [Reason.WEAK_ALGORITHM]


def test_time_to_come() -> None:
    """A time that lies ahead was not read from a clock."""
    assert reasons(asked(Signer(AUTHORITY).info(VALUE, DATA), AUTHORITY, at=MADE - timedelta(days=1))) == [
        Reason.NOT_YET_VALID
    ]


def test_certificate_not_at_hand() -> None:
    """Without the authority's certificate nobody can tell."""
    assert reasons(asked(Signer(AUTHORITY).info(VALUE, DATA))) == [Reason.UNKNOWN_ROOT]


def _without(info: bytes, kind: str) -> bytes:
    """The SignerInfo without one signed attribute; its signature does not matter."""
    return info.replace(oid(kind), oid("1.2.840.113549.1.9.99"), 1)


@pytest.mark.parametrize(
    "info",
    [
        b"",
        b"\x30\x00",
        b"\x05\x00",
        _without(Signer(AUTHORITY).info(VALUE, DATA), SIGNING_TIME),
        Signer(AUTHORITY).info(VALUE, "1.2.840.113549.1.9.16.1.4"),
        Signer(AUTHORITY).info(VALUE, DATA) + b"\0",
        Signer(AUTHORITY, attributes=(attribute(SIGNING_TIME, tlv(0x17, b"260101000000Z")),)).info(VALUE, DATA),
    ],
)
def test_what_is_none(info: bytes) -> None:
    """No SignerInfo, no signed time or two, another content type, bytes behind it: malformed, and nothing is proven."""
    assert reasons(asked(info, AUTHORITY)) == [Reason.MALFORMED]


def test_too_long() -> None:
    """A countersignature of more than 64 KiB is not read."""
    assert reasons(asked(seq(bytes(MAX_COUNTERSIGNATURE_BYTES)), AUTHORITY)) == [Reason.RESOURCE_LIMIT]


GOOD = Signer(AUTHORITY).info(VALUE, DATA)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_proves_nothing(place: int, change: int) -> None:
    """Whatever byte is changed, no other time is proven, and no error but those of readers is raised."""
    changed = bytearray(GOOD)
    changed[place] ^= change
    found = asked(bytes(changed), AUTHORITY)
    assert found.latest in (None, MADE)
    try:
        parse_countersignature(bytes(changed))
    except READ_ERRORS:
        assert found.latest is None
