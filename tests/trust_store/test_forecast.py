"""What ends when: each time is one at which the verdict, asked then, is the first that does not pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.package_craft import read
from tests.trust_store.timestamp_craft import DAY, Authority, signature_value, stamped
from tests.trust_store.verdict_craft import AT, CONTENT, DTEN, anchor, beside, der, issue, signed
from trust_store.chain.key_ends import CUT_OFFS, openpgp_ends
from trust_store.chain.openpgp_self_signatures import SelfSignatures
from trust_store.decode.openpgp import load_keys
from trust_store.forecast import (
    ALGORITHM,
    ANCHOR,
    DISTRUST,
    KEY,
    LIMIT,
    PACKAGE,
    STATE,
    Expiry,
    Subject,
    forecast,
    text_of,
)
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, TrustAnchor
from trust_store.model.trust_view import DigestDecision, RevocationMaterial, TrustView
from trust_store.model.verdict import Outcome, Reason
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification import Question, verify_package

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

YEARS = timedelta(days=20_000)
SECOND = timedelta(seconds=1)
NAME = "firmware.bin"


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """A signer of thirty days under a root of ten years."""
    return issue(VendorPKI.generate("DTEN", AT))


def subject(facts: PackageFacts, *anchors: TrustAnchor, **view: object) -> Subject:
    """A package of dten."""
    return Subject(NAME, DTEN, facts, TrustView(anchors=anchors, **view))  # type: ignore[arg-type]


def passes(one: Subject, at: datetime) -> bool:
    """Whether the package passes when asked at that time."""
    question = Question(one.vendor, at, at, "now", one.product)
    return verify_package(one.facts, one.view, question).outcome is Outcome.PASSED


def stops(one: Subject, horizon: timedelta = YEARS) -> Expiry | None:
    """When the package stops, checked against the verdict on both sides of that time."""
    found = forecast((), [one], AT, horizon)
    assert len(found) <= 1
    if not found:
        assert passes(one, AT) == passes(one, AT + horizon)
        return None
    assert found[0].what == PACKAGE
    assert not passes(one, found[0].at)
    assert passes(one, found[0].at - SECOND)
    return found[0]


def test_a_signer_that_expires(pki: VendorPKI) -> None:
    """A package stops in the second after its signer's end, with the verdict's own reason and the anchor it passed under."""
    root = anchor(der(pki.root))
    found = stops(subject(signed(pki), root))
    assert found is not None
    assert found.at == pki.signer.not_valid_after_utc + SECOND
    assert "expired" in found.why
    assert (found.vendor, found.product, found.anchor_id) == ("dten", NAME, root.id)
    assert "package firmware.bin" in text_of(found)


def test_a_root_that_ends_first(pki: VendorPKI) -> None:
    """Whichever certificate of the path ends first ends the package, and every limit of the anchor does."""
    early = AT + 3 * DAY
    found = stops(subject(signed(pki), anchor(der(pki.root), constraints=Constraints(valid_until=early))))
    assert found is not None
    assert early <= found.at <= early + SECOND


def test_a_proven_timestamp_outlasts_the_certificates(pki: VendorPKI) -> None:
    """A package with a timestamp that is proven does not stop with its signer, nor with the authority."""
    tsa = Authority.make(AT, days=(-10, 10))
    message = pki.sign(CONTENT)
    facts = read(CONTENT, beside(stamped(message, tsa.token(signature_value(message), AT - DAY))))
    trusted = anchor(tsa.root_der, constraints=Constraints(purposes=("timestamp",)))
    assert stops(subject(facts, anchor(der(pki.root)), trusted)) is None
    assert stops(subject(facts, anchor(der(pki.root)))) is not None


def test_what_does_not_pass_has_nothing_to_lose(pki: VendorPKI) -> None:
    """A package that fails today is not told to fail tomorrow."""
    facts = signed(pki)
    assert stops(subject(facts)) is None
    assert stops(subject(facts, anchor(der(pki.root), AnchorState.PENDING))) is None


def test_the_horizon(pki: VendorPKI) -> None:
    """What lies further away than asked for is not told."""
    root = anchor(der(pki.root))
    left = pki.signer.not_valid_after_utc - AT
    for still in (left - SECOND, left):
        assert forecast((), [subject(signed(pki), root)], AT, still) == ()
    assert len(forecast((), [subject(signed(pki), root)], AT, left + SECOND)) == 1
    with pytest.raises(ValueError, match="zone"):
        forecast((), (), AT.replace(tzinfo=None), YEARS)


def test_revocation_lists_are_taken_to_be_kept_current(pki: VendorPKI) -> None:
    """A list that becomes stale next week ends nothing; a package that is revoked already does not pass to begin with."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(pki.root.subject)
        .last_update(AT - DAY)
        .next_update(AT + DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.root_key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    root = anchor(der(pki.root), constraints=Constraints(revocation="required"))
    clean = builder.sign(pki.root_key, hashes.SHA256()).public_bytes(Encoding.DER)
    one = subject(signed(pki), root, revocation=RevocationMaterial(crls=(clean,)))
    (found,) = forecast((), [one], AT, YEARS)
    assert found.at == pki.signer.not_valid_after_utc + SECOND
    entry = x509.RevokedCertificateBuilder().serial_number(pki.signer.serial_number).revocation_date(AT - DAY).build()
    revoked = builder.add_revoked_certificate(entry).sign(pki.root_key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert forecast((), [subject(signed(pki), root, revocation=RevocationMaterial(crls=(revoked,)))], AT, YEARS) == ()


def test_a_decision_that_lapses() -> None:
    """A package that is allowed for a while stops when the decision ends."""
    old = issue(VendorPKI.generate("DTEN", AT), not_after=AT - DAY, not_before=AT - 5 * DAY)
    facts = signed(old)
    allowed = DigestDecision("decision_1", facts.sha256, "dten", "allow", "urgent", AT - DAY, AT + 5 * DAY)
    found = stops(subject(facts, anchor(der(old.root)), decisions=(allowed,)))
    assert found is not None
    assert AT + 5 * DAY <= found.at <= AT + 5 * DAY + SECOND


@settings(max_examples=15, deadline=None)
@given(days=st.lists(st.integers(-20, 40), min_size=2, max_size=2), limit=st.none() | st.integers(-5, 60))
def test_forecast_and_verdict_agree(days: list[int], limit: int | None) -> None:
    """Whatever the times of certificate and anchor are, the package passes until the time told and not at it."""
    begin, end = sorted(days)
    made = issue(ROOTED, not_before=AT + begin * DAY, not_after=AT + (end + 1) * DAY)
    limits = Constraints(valid_until=None if limit is None else AT + limit * DAY)
    stops(subject(signed(made), anchor(der(made.root), constraints=limits)))


ROOTED = VendorPKI.generate("DTEN", AT)


def told(*anchors: TrustAnchor, horizon: timedelta = YEARS) -> list[tuple[datetime, str]]:
    """Times and kinds of what ends."""
    return [(found.at, found.what) for found in forecast(anchors, (), AT, horizon)]


def test_anchors_end(pki: VendorPKI) -> None:
    """A certificate's end, limits that somebody set and states that count later are told, the earliest first."""
    limits = Constraints(valid_until=AT + 5 * DAY, distrust_after=AT + 3 * DAY, purposes=("timestamp",))
    one = anchor(der(pki.root), AnchorState.SUPERSEDED, effective_from=AT + 4 * DAY, constraints=limits)
    assert told(one) == [
        (AT + 3 * DAY, DISTRUST),
        (AT + 4 * DAY, STATE),
        (AT + 5 * DAY, LIMIT),
        (pki.root.not_valid_after_utc, ANCHOR),
    ]
    assert told(one, horizon=4 * DAY) == [(AT + 3 * DAY, DISTRUST), (AT + 4 * DAY, STATE)]
    assert "timestamp" in forecast([one], (), AT, YEARS)[-1].why


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (AnchorState.PENDING, []),
        (AnchorState.REJECTED, []),
        (AnchorState.COMPROMISED, [STATE]),
        (AnchorState.REVOKED, [STATE]),
        (AnchorState.VALID, [ANCHOR]),
    ],
)
def test_only_what_is_trusted_ends(pki: VendorPKI, state: AnchorState, expected: list[str]) -> None:
    """What awaits decision or was refused has no end; a revocation that counts later is told."""
    one = anchor(der(pki.root), state, effective_from=AT + DAY)
    assert [what for _, what in told(one)] == expected
    assert told(replace(one, effective_from=AT)) == [e for e in told(one) if e[1] is ANCHOR]


def test_short_rsa_keys() -> None:
    """A standard's date for short RSA keys is told beside what ends by itself; a key without a certificate has that alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    spki = key.public_key().public_bytes(Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = replace(anchor(der(ROOTED.root)), kind=AnchorKind.RAW, material=spki)
    assert told(raw) == [(CUT_OFFS[0].at, ALGORITHM)]
    assert "no verdict changes" in forecast([raw], (), AT, YEARS)[0].why
    for other in (AnchorKind.SSH, AnchorKind.MINISIGN, AnchorKind.SIGSTORE_ROOT):
        assert told(replace(raw, kind=other)) == []
    for kind in (AnchorKind.X509, AnchorKind.OPENPGP, AnchorKind.RAW):
        assert told(replace(raw, kind=kind, material=b"\x30garbage")) == []


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as home:
        yield home


def test_openpgp_keys_expire(gpg: Gpg) -> None:
    """A key's own end is told of the anchor and of the package that it signed; a key without an end has none."""
    begin = AT - 900 * DAY
    made = begin.strftime("%Y%m%dT%H%M%S")
    for expiry, end in (("1000d", begin + 1000 * DAY), ("never", None)):
        key = gpg.export(gpg.make_key(f"Vendor {expiry}", "ed25519", expire=expiry, at=made))
        found = load_keys(key)[0]
        assert [one.at for one in openpgp_ends(found, AT)] == ([end] if end else [])
        signature = gpg.sign(found.fingerprint, at=made, data=CONTENT)
        keys = (CandidateKey("openpgp", key),)
        facts = read(CONTENT, beside(signature, name="firmware.bin.asc"), keys=keys)
        one = anchor(key)
        assert told(one) == ([(end, KEY)] if end else [])
        stop = stops(subject(facts, one))
        assert (stop.at if stop else None) == end
        if stop:
            assert Reason.EXPIRED.value in stop.why


def test_signing_subkeys_expire_as_well(gpg: Gpg) -> None:
    """Each signing subkey has an end of its own, one for encryption is no matter; the earlier of two self-signatures' ends counts."""
    begin = AT - 900 * DAY
    made = begin.strftime("%Y%m%dT%H%M%S")
    fingerprint = gpg.make_key("Vendor subkeys", "ed25519", usage="cert", expire="1000d", at=made)
    for usage, algorithm, expire in (
        ("sign", "ed25519", "950d"),
        ("sign", "ed25519", "never"),
        ("encr", "cv25519", "910d"),
    ):
        gpg.run("--quick-add-key", fingerprint, algorithm, usage, expire, at=made)
    key = gpg.export(fingerprint)
    one = anchor(key)
    assert told(one) == [(begin + 950 * DAY, KEY), (begin + 1000 * DAY, KEY)]
    assert ["subkey" in found.why for found in forecast([one], (), AT, YEARS)] == [True, False]
    assert openpgp_ends(load_keys(key)[0], begin - DAY) == ()


def test_a_poisoned_key_ends_nothing(gpg: Gpg, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that carries more signatures than are checked has no end that can be told."""
    key = load_keys(gpg.export(gpg.make_key("Vendor poisoned", "ed25519", expire="1000d")))[0]
    assert openpgp_ends(key, AT)
    monkeypatch.setattr("trust_store.chain.key_ends.SelfSignatures", lambda key: SelfSignatures(key, max_checks=0))
    assert openpgp_ends(key, AT) == ()
