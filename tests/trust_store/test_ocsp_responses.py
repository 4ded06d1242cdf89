"""OCSP responses (RFC 6960): who may answer, about whom, until when."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.path_craft import AT, FROM, Issued, authority, eku, issue, usage
from tests.trust_store.revocation_craft import (
    CA,
    DAY,
    LEAF,
    ROOT,
    SIGNS,
    about_leaf,
    entry,
    problems,
    response,
    revocation_list,
)
from trust_store.chain.building import SignatureBudget
from trust_store.chain.revocation_material import RevocationSet
from trust_store.decode.ocsp import load_response
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.verdict import Reason

REVOKED, UNKNOWN = "revoked", "revocation_unknown"
SIGNING = eku(x509.OID_OCSP_SIGNING)
NO_CHECK = x509.OCSPNoCheck(), False
RESPONDER = issue("responder", CA, SIGNING, NO_CHECK)
_GONE = ocsp.OCSPCertStatus.REVOKED


def _about(*responses: bytes, **options: Any) -> str | None:
    return about_leaf((), responses, **options)[0]


def test_the_ca_itself_answers_about_its_certificates() -> None:
    """Good, revoked and unknown, under SHA-1, SHA-256 and SHA-512, the responder named by name or by key."""
    for digest in (hashes.SHA1(), hashes.SHA256(), hashes.SHA512()):  # noqa: S303 - names a certificate, proves nothing
        for by_key in (False, True):
            made: dict[str, Any] = {"digest": digest, "by_key": by_key}
            assert _about(response(LEAF, CA, CA, **made)) is None
            assert _about(response(LEAF, CA, CA, status=_GONE, **made)) == REVOKED
            assert _about(response(LEAF, CA, CA, status=ocsp.OCSPCertStatus.UNKNOWN, **made)) == UNKNOWN
    assert _about(response(LEAF, CA, CA, digest=hashes.SHA224())) == UNKNOWN


def test_an_answer_about_another_certificate_is_none() -> None:
    """Another number, or the same number of another CA's: nothing is known, which is no error where nothing is required."""
    other = issue("leaf", CA)
    stranger = authority("ca", ROOT, SIGNS)
    for data in (response(other, CA, CA), response(LEAF, stranger, CA), response(LEAF, ROOT, CA)):
        assert _about(data) == UNKNOWN
        assert _about(data, policy="if_available") is None


def test_lists_and_responses_together() -> None:
    """Revoked wherever it is said; good wherever it is known, if the other knows nothing."""
    good, bad = response(LEAF, CA, CA), response(LEAF, CA, CA, status=_GONE)
    listed, stale = revocation_list(CA, entry(LEAF)), revocation_list(CA, dates=(AT - 9 * DAY, AT - DAY))
    for lists, responses, expected in (
        ([listed], [good], REVOKED), ([revocation_list(CA)], [bad], REVOKED), ([stale], [good], None),
        ([revocation_list(CA)], [response(LEAF, CA, CA, status=ocsp.OCSPCertStatus.UNKNOWN)], None), ([], [good, bad], REVOKED),
    ):  # fmt: skip
        assert about_leaf(lists, responses)[0] == expected


def test_the_time_of_an_answer() -> None:
    """thisUpdate and nextUpdate are edges that belong to it; without nextUpdate it counts for a day."""
    cases = (((AT - DAY, AT), None), ((AT, AT + DAY), None), ((AT - 3 * DAY, AT - DAY), UNKNOWN),
             ((AT + DAY, AT + 2 * DAY), UNKNOWN), ((AT - DAY, None), None), ((AT - 2 * DAY, None), UNKNOWN))  # fmt: skip
    for dates, expected in cases:
        data = response(LEAF, CA, CA, dates=dates)
        for policy in ("required", "if_available"):
            assert _about(data, policy=policy) == expected, (dates, policy)
    for produced in (AT + DAY, AT - 2 * DAY):  # later than the question; before what it says was true
        assert _about(response(LEAF, CA, CA, produced=produced)) == UNKNOWN


def test_a_delegated_responder_is_made_one_by_the_very_ca() -> None:
    """OCSP signing in its own right, valid, unrevoked or not to be checked, carried in the answer or at hand (4.2.2.2)."""
    stranger, sub = authority("stranger", None, SIGNS), authority("sub", CA, SIGNS)
    cases: tuple[tuple[Issued, str | None], ...] = (
        (RESPONDER, None),
        (issue("responder", CA, SIGNING, NO_CHECK, usage("digital_signature")), None),
        (issue("responder", CA, SIGNING, NO_CHECK, usage("key_agreement")), UNKNOWN),
        (issue("responder", CA, NO_CHECK), UNKNOWN),
        (issue("responder", CA, eku(x509.OID_SERVER_AUTH), NO_CHECK), UNKNOWN),
        (issue("responder", CA, eku(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE), NO_CHECK), UNKNOWN),
        (issue("responder", ROOT, SIGNING, NO_CHECK), UNKNOWN),
        (issue("responder", sub, SIGNING, NO_CHECK), UNKNOWN),
        (issue("responder", stranger, SIGNING, NO_CHECK, issuer_name=CA.certificate.subject), UNKNOWN),
        (issue("responder", CA, SIGNING, NO_CHECK, dates=(FROM, FROM + DAY)), UNKNOWN),
    )  # fmt: skip
    for responder, expected in cases:
        carried = response(LEAF, CA, responder, carried=[responder])
        assert _about(carried) == expected, responder.certificate
        assert _about(carried, policy="if_available") == expected
        assert _about(response(LEAF, CA, responder), untrusted=[responder]) == expected
    assert _about(response(LEAF, CA, RESPONDER)) == UNKNOWN
    assert _about(response(LEAF, CA, RESPONDER, carried=[RESPONDER], signed_with=LEAF.key)) == UNKNOWN


def test_a_responder_that_is_to_be_checked_is_checked() -> None:
    """Without id-pkix-ocsp-nocheck its own status counts: revoked never, unknown not where revocation is required (4.2.2.2.1)."""
    responder = issue("responder", CA, SIGNING)
    data = response(LEAF, CA, responder, carried=[responder])
    assert (_about(data), _about(data, policy="if_available")) == (UNKNOWN, None)
    about_responder = response(responder, CA, CA)
    assert _about(data, about_responder) is None
    assert _about(data, response(responder, CA, CA, status=_GONE)) == UNKNOWN
    assert _about(data, response(responder, CA, CA, status=_GONE), policy="if_available") == UNKNOWN


def test_a_soft_reason_spares_what_was_provably_signed_before() -> None:
    """As in lists: superseded after the proven time does not count, a compromised key always does."""
    for reason, expected in (("superseded", None), ("keyCompromise", REVOKED), (None, REVOKED)):
        data = response(LEAF, CA, CA, status=_GONE, reason=reason, on=AT - 2 * DAY)
        assert _about(data, signed_at=AT - 3 * DAY) == expected
        assert _about(data, signed_at=AT - DAY) == REVOKED


def test_answers_cost_operations_of_the_budget() -> None:
    """With nothing left to pay with the answer is resource_limit, never good."""
    found = problems([], [response(LEAF, CA, CA)], budget=SignatureBudget(0))
    assert Reason.RESOURCE_LIMIT in {p.reason for p in found}


def test_coverage_is_by_name_and_key() -> None:
    """A response covers the CA whose name and key its certificate ids carry."""
    found = RevocationSet.decode([], [response(LEAF, CA, CA)])
    assert (found.covers(CA.decoded), found.covers(authority("ca", ROOT).decoded)) == (True, False)


def test_what_is_no_answer() -> None:
    """Error statuses are unsupported, everything else that does not parse is malformed, and size is capped."""
    for status in (ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED):
        with pytest.raises(UnsupportedError):
            load_response(ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER))
    for data in (
        b"",
        b"\x30\x00",
        b"\x30\x03\x0a\x01\x00",
        b"\x30\x80\x0a\x01\x00\x00\x00",
        response(LEAF, CA, CA) + b"\0",
    ):
        with pytest.raises(MalformedError):
            load_response(data)
    with pytest.raises(ResourceLimitError):
        load_response(b"\x30" * 2_000_000)
