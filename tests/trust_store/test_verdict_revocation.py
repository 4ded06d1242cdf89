"""Revocation lists in a verdict: each anchor's policy, what was handed over, and what a proven time spares."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.trust_store.path_craft import Issued
from tests.trust_store.verdict_chain import Chain
from tests.trust_store.verdict_craft import AT, anchor, ask
from trust_store.model.trust_anchor import Constraints
from trust_store.model.trust_view import RevocationMaterial
from trust_store.model.verdict import Reason, Verdict
from trust_store.verification import x509 as judging
from trust_store.verification.revocation import decode_revocation, is_status_response

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Root, issuing CA, signer."""
    return Chain.of()


def _crl(
    issuer: Issued,
    *revoked: Issued,
    since: datetime = AT - 10 * DAY,
    reason: x509.ReasonFlags | None = None,
    until: datetime = AT + 5 * DAY,
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(min(AT, until) - DAY)
        .next_update(until)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.certificate.serial_number)
        entry = entry.revocation_date(since)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _ask(chain: Chain, policy: str, *, stored: tuple[bytes, ...] = (), demanded: tuple[bytes, ...] = ()) -> Verdict:
    held = anchor(chain.root.der, constraints=Constraints(revocation=policy))
    return ask(chain.facts(), held, revocation=RevocationMaterial(crls=stored, demanded=demanded))


def test_each_policy(chain: Chain) -> None:
    """Off asks nothing of the store; if_available takes what decides; required wants the status of every certificate."""
    clean, above = _crl(chain.middle), _crl(chain.root)
    bad = _crl(chain.middle, chain.signer)
    stale = _crl(chain.middle, until=AT - DAY)
    for policy, lists, reason in (
        ("off", (), Reason.TRUSTED),
        ("off", (bad,), Reason.TRUSTED),
        ("off", (stale,), Reason.TRUSTED),
        ("if_available", (), Reason.TRUSTED),
        ("if_available", (clean,), Reason.TRUSTED),
        ("if_available", (bad,), Reason.REVOKED),
        ("if_available", (stale,), Reason.REVOCATION_UNKNOWN),
        ("if_available", (_crl(chain.root, chain.middle),), Reason.REVOKED),
        ("if_available", (b"junk",), Reason.TRUSTED),
        ("required", (), Reason.REVOCATION_UNKNOWN),
        ("required", (clean,), Reason.REVOCATION_UNKNOWN),
        ("required", (clean, above), Reason.TRUSTED),
        ("required", (b"junk",), Reason.REVOCATION_UNKNOWN),
    ):
        assert _ask(chain, policy, stored=lists).reason is reason


@pytest.mark.parametrize("policy", ["off", "if_available", "required"])
def test_what_is_handed_over_counts_under_every_policy(chain: Chain, policy: str) -> None:
    """A list that the asker brings is never passed over, and makes the status of what its issuer issued required."""
    above = _crl(chain.root)
    assert _ask(chain, policy, demanded=(_crl(chain.middle, chain.signer), above)).reason is Reason.REVOKED
    assert _ask(chain, policy, demanded=(_crl(chain.middle, until=AT - DAY), above)).reason is Reason.REVOCATION_UNKNOWN
    assert _ask(chain, policy, demanded=(_crl(chain.middle), above)).reason is Reason.TRUSTED
    forged = _crl(Issued(chain.middle.certificate, chain.signer.key), chain.signer)
    assert _ask(chain, policy, demanded=(forged, above)).reason is Reason.REVOCATION_UNKNOWN


def test_lists_for_other_issuers_demand_nothing_of_this_one(chain: Chain) -> None:
    """The issuing CA's list leaves the question about the issuing CA itself to the anchor's policy."""
    assert _ask(chain, "if_available", demanded=(_crl(chain.middle),)).reason is Reason.TRUSTED
    assert _ask(chain, "off", demanded=(_crl(chain.middle),)).reason is Reason.TRUSTED
    assert _ask(chain, "required", demanded=(_crl(chain.middle),)).reason is Reason.REVOCATION_UNKNOWN


def test_stored_and_handed_over_lists_are_read_together(chain: Chain) -> None:
    """What the store knows revokes beside a clean list that was brought along."""
    both = _ask(chain, "if_available", stored=(_crl(chain.root, chain.middle),), demanded=(_crl(chain.middle),))
    assert both.reason is Reason.REVOKED


def test_a_proven_time_before_a_soft_revocation(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that was superseded keeps what is provably older; one whose key was stolen keeps nothing."""
    time = SimpleNamespace(at=AT - 20 * DAY, proven=True, timestamped_at=AT - 20 * DAY, findings=())
    monkeypatch.setattr(judging, "validation_time", lambda *_, **__: time)
    for reason, expected in (
        (x509.ReasonFlags.superseded, Reason.TRUSTED),
        (x509.ReasonFlags.key_compromise, Reason.REVOKED),
        (None, Reason.REVOKED),
    ):
        assert _ask(chain, "if_available", stored=(_crl(chain.middle, chain.signer, reason=reason),)).reason is expected
        newer = _crl(chain.middle, chain.signer, reason=reason, since=AT - 30 * DAY)
        assert _ask(chain, "if_available", stored=(newer,)).reason is Reason.REVOKED


def test_the_answer_names_certificate_and_rule(chain: Chain) -> None:
    """A revoked signer is named, with the list that says so."""
    summary = _ask(chain, "if_available", stored=(_crl(chain.middle, chain.signer),)).summary
    assert "DTEN Release" in summary


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x00", b"\x02\x01\x00", b"junk", b"\x30\x80"])
def test_what_is_no_status_response(junk: bytes) -> None:
    """What cannot be read counts as a list that cannot be read, never as an answer."""
    assert not is_status_response(junk)
    decoded = decode_revocation((junk,))
    assert decoded is not None
    assert (decoded.lists, decoded.responses, decoded.unreadable) == ((), (), 1)
    assert decode_revocation(()) is None
