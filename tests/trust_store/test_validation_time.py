"""Verdicts on signatures with timestamps: what a proven time rescues, what it does not, and what takes nothing away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import read
from tests.trust_store.timestamp_craft import (
    COUNTERSIGNATURE,
    DAY,
    MICROSOFT_TOKEN,
    Authority,
    signature_value,
    stamped,
)
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside, der, issue
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.trust_anchor import AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.model.trust_view import RevocationMaterial
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason, Verdict

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

MADE = AT - 200 * DAY
EXPIRED = AT - 100 * DAY
TSA_ONLY = Constraints(purposes=("timestamp",))


@dataclass(frozen=True)
class Bench:
    """A signer that has expired, an authority, and a signature of the one."""

    pki: VendorPKI
    tsa: Authority
    message: bytes

    @property
    def root(self) -> TrustAnchor:
        """The vendor's root."""
        return anchor(der(self.pki.root))

    def authority(self, state: AnchorState = AnchorState.VALID, **fields: Any) -> TrustAnchor:
        """The authority's root."""
        return anchor(self.tsa.root_der, state, **({"constraints": TSA_ONLY} | fields))

    def token(self, at: datetime = MADE, **changes: Any) -> bytes:
        """A token over the signature."""
        return self.tsa.token(signature_value(self.message), at, **changes)

    def facts(self, *tokens: bytes, **options: Any) -> PackageFacts:
        """A package with the signature and these tokens beside it."""
        message = stamped(self.message, *tokens, **options) if tokens else self.message
        return read(CONTENT, beside(message, SignatureOrigin.GIVEN))


@pytest.fixture(scope="module")
def bench() -> Bench:
    """The signer's certificate ran from 300 to 100 days ago, the root a long time around it."""
    pki = issue(VendorPKI.generate("DTEN", AT - 1000 * DAY), not_before=AT - 300 * DAY, not_after=EXPIRED)
    return Bench(pki, Authority.make(AT), pki.sign(CONTENT))


def told(verdict: Verdict) -> tuple[Reason, datetime | None]:
    """The reason and the proven time."""
    return verdict.reason, verdict.signatures[0].timestamped_at


def test_a_timestamp_rescues_a_signer_that_expired_since(bench: Bench) -> None:
    """Signed and stamped while the certificate was valid: passed, as of the proven time; nothing is rescued without the stamp."""
    assert told(ask(bench.facts(), bench.root, bench.authority())) == (Reason.EXPIRED, None)
    verdict = ask(bench.facts(bench.token()), bench.root, bench.authority())
    assert told(verdict) == (Reason.TRUSTED, MADE)
    assert verdict.validation_time == MADE
    assert verdict.checked_at == AT
    assert verdict.valid_until > AT


def test_a_timestamp_keeps_no_statement_alive(bench: Bench) -> None:
    """A Release file that says until when it counts ends then, however its signature was stamped: else it could be replayed for ever."""
    facts = bench.facts(bench.token())
    (fact,) = facts.signatures
    for start, end, reason in (
        (MADE, AT + DAY, Reason.TRUSTED),
        (MADE, AT, Reason.EXPIRED),
        (AT + DAY, None, Reason.NOT_YET_VALID),
        (AT, None, Reason.TRUSTED),
    ):
        stated = replace(facts, signatures=(replace(fact, valid_from=start, valid_until=end),))
        assert told(ask(stated, bench.root, bench.authority())) == (reason, MADE)


def test_both_names_of_the_attribute_count(bench: Bench) -> None:
    """A token under Microsoft's name proves the same."""
    facts = bench.facts(bench.token(), kind=MICROSOFT_TOKEN)
    assert told(ask(facts, bench.root, bench.authority())) == (Reason.TRUSTED, MADE)


def test_without_the_authoritys_anchor_it_stays_expired(bench: Bench) -> None:
    """A token nobody trusted vouches for gives nothing, and the answer says which authority is not known."""
    verdict = ask(bench.facts(bench.token()), bench.root)
    assert told(verdict) == (Reason.EXPIRED, None)
    assert "CN=Example TSA" in verdict.signatures[0].detail
    assert verdict.validation_time == AT


def test_a_timestamp_after_the_end_rescues_nothing(bench: Bench) -> None:
    """Stamped when the certificate had expired: expired, though the time is proven; an accuracy that reaches past the end as well."""
    late = ask(bench.facts(bench.token(EXPIRED + DAY)), bench.root, bench.authority())
    assert told(late) == (Reason.EXPIRED, EXPIRED + DAY)
    last = bench.token(EXPIRED, accuracy={"seconds": 0, "millis": 1})
    assert told(ask(bench.facts(last), bench.root, bench.authority()))[0] is Reason.TRUSTED
    assert told(ask(bench.facts(bench.token(EXPIRED)), bench.root, bench.authority()))[0] is Reason.TRUSTED
    wide = bench.token(EXPIRED, accuracy={"seconds": 1})
    assert told(ask(bench.facts(wide), bench.root, bench.authority()))[0] is Reason.EXPIRED


def test_the_earliest_proven_time_counts(bench: Bench) -> None:
    """Of several good tokens the earliest proves most; a broken one beside them changes nothing."""
    broken = bench.tsa.token(b"something else", MADE - 50 * DAY)
    tokens = (bench.token(EXPIRED + DAY), broken, bench.token(), bench.token(MADE + DAY))
    assert told(ask(bench.facts(*tokens), bench.root, bench.authority())) == (Reason.TRUSTED, MADE)


@pytest.mark.parametrize("garbage", [b"\x05\x00", b"\x30\x00", b"\x04\x03abc"])
def test_broken_timestamps_take_nothing(garbage: bytes) -> None:
    """A signature that passes without timestamps passes with broken and untrusted ones, and they are told."""
    pki = VendorPKI.generate("DTEN", AT)
    bench = Bench(pki, Authority.make(AT), pki.sign(CONTENT))
    tokens = (garbage, bench.tsa.token(b"something else", MADE), bench.token(AT - DAY), bench.token(AT + 50 * DAY))
    verdict = ask(bench.facts(*tokens), bench.root)
    assert told(verdict) == (Reason.TRUSTED, None)
    assert verdict.validation_time == AT
    assert verdict.signatures[0].also == ()
    for part in ("something else", "no path from", "in the future"):
        assert part in verdict.signatures[0].detail


def test_a_countersignature_proves_nothing(bench: Bench) -> None:
    """A PKCS #9 countersignature on a plain CMS signature is told and rescues nothing: only Authenticode gives it that meaning."""
    verdict = ask(bench.facts(b"\x30\x00", kind=COUNTERSIGNATURE), bench.root, bench.authority())
    assert told(verdict) == (Reason.EXPIRED, None)
    assert "countersignature proves no time" in verdict.signatures[0].detail


def test_a_proven_time_before_the_certificate_takes_nothing() -> None:
    """A key that was certified anew after the signature was stamped passes as it would without the stamp."""
    pki = issue(VendorPKI.generate("DTEN", AT - 1000 * DAY))
    bench = Bench(pki, Authority.make(AT), pki.sign(CONTENT))
    verdict = ask(bench.facts(bench.token()), bench.root, bench.authority())
    assert told(verdict) == (Reason.TRUSTED, MADE)
    assert verdict.validation_time == AT


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-250, (Reason.TRUSTED, None)),  # valid at that time, not stamped yet
        (-201, (Reason.TRUSTED, None)),
        (-199, (Reason.TRUSTED, MADE)),
        (-50, (Reason.TRUSTED, MADE)),
        (-400, (Reason.NOT_YET_VALID, None)),
        (4000, (Reason.TRUSTED, MADE)),
    ],
)
def test_another_time_is_asked_about(bench: Bench, days: int, expected: tuple[Reason, datetime | None]) -> None:
    """A stamp counts from its own time on; before it the question's time is the validation time."""
    at = AT + days * DAY
    verdict = ask(bench.facts(bench.token()), bench.root, bench.authority(), at=at, time_basis="requested")
    assert told(verdict) == expected
    assert verdict.validation_time == (expected[1] or at)


def test_a_stamp_from_the_future_proves_nothing(bench: Bench) -> None:
    """A time that has not come is not proven, whatever time is asked about."""
    later = AT + 50 * DAY
    for at in (AT, later + DAY):
        verdict = ask(bench.facts(bench.token(later)), bench.root, bench.authority(), at=at, time_basis="requested")
        assert told(verdict) == (Reason.EXPIRED, None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": AnchorState.SUPERSEDED, "effective_from": MADE + DAY}, MADE),
        ({"state": AnchorState.SUPERSEDED, "effective_from": MADE - DAY}, None),
        ({"state": AnchorState.REVOKED, "cause": "superseded", "effective_from": MADE + DAY}, MADE),
        ({"state": AnchorState.REVOKED, "cause": "key-compromise", "effective_from": MADE + DAY}, None),
        ({"state": AnchorState.COMPROMISED, "effective_from": MADE + DAY}, None),
        ({"state": AnchorState.COMPROMISED, "effective_from": AT + DAY}, None),
        ({"state": AnchorState.DISTRUSTED, "effective_from": MADE + DAY}, None),
        ({"state": AnchorState.PENDING}, None),
        ({"state": AnchorState.REMOVED}, None),
        ({"vendor_id": "other"}, None),
        ({"signer_rule": SignerRule(subject=(("CN", "Example TSA"),))}, MADE),
        ({"signer_rule": SignerRule(subject=(("CN", "Another TSA"),))}, None),
        ({"signer_rule": SignerRule()}, None),
        ({"constraints": replace(TSA_ONLY, valid_until=MADE + DAY)}, MADE),
        ({"constraints": replace(TSA_ONLY, valid_until=MADE - DAY)}, None),
        ({"constraints": replace(TSA_ONLY, valid_from=MADE + DAY)}, None),
        ({"constraints": replace(TSA_ONLY, products=("firmware*",))}, MADE),
        ({"constraints": replace(TSA_ONLY, products=("other*",))}, None),
        ({"constraints": replace(TSA_ONLY, formats=("detached",))}, MADE),
        ({"constraints": replace(TSA_ONLY, formats=("android-ota",))}, None),
        ({"constraints": replace(TSA_ONLY, digests=("sha512",))}, None),
        ({"constraints": replace(TSA_ONLY, max_path_length=0)}, MADE),
        ({"constraints": Constraints(purposes=("code", "timestamp"))}, MADE),
        ({"constraints": Constraints(purposes=("code",))}, None),
    ],
)
def test_the_authoritys_anchor_counts_as_it_stands(
    bench: Bench, fields: dict[str, Any], expected: datetime | None
) -> None:
    """State, vendor, signer rule and constraints of the authority's anchor hold: a compromised one proves nothing at any date."""
    verdict = ask(bench.facts(bench.token()), bench.root, bench.authority(**fields))
    reason = Reason.TRUSTED if expected else Reason.EXPIRED
    assert told(verdict) == (reason, expected)


def test_distrust_after_bounds_the_stamp(bench: Bench) -> None:
    """An authority that is distrusted from a time on vouches for what it stamped before, and its certificate must be older too."""
    limits = replace(TSA_ONLY, distrust_after=MADE + DAY)
    assert told(ask(bench.facts(bench.token()), bench.root, bench.authority(constraints=limits)))[1] == MADE
    limits = replace(TSA_ONLY, distrust_after=MADE - DAY)
    assert told(ask(bench.facts(bench.token()), bench.root, bench.authority(constraints=limits)))[1] is None


def test_a_buried_authority_proves_nothing(bench: Bench) -> None:
    """The authority's own key recorded as compromised, by any vendor, ends every proof it made."""
    buried = anchor(bench.tsa.der, AnchorState.COMPROMISED, vendor_id="other", constraints=TSA_ONLY)
    verdict = ask(bench.facts(bench.token()), bench.root, bench.authority(), buried)
    assert told(verdict) == (Reason.EXPIRED, None)


@pytest.mark.parametrize(("days", "reason"), [(1, Reason.TRUSTED), (-1, Reason.COMPROMISED)])
def test_a_compromise_later_than_the_stamp(bench: Bench, days: int, reason: Reason) -> None:
    """A key compromised from a time on keeps what is proven older, and only that."""
    root = anchor(der(bench.pki.root), AnchorState.COMPROMISED, effective_from=MADE + days * DAY)
    assert told(ask(bench.facts(bench.token()), root, bench.authority()))[0] is reason
    assert ask(bench.facts(), root, bench.authority()).reason is Reason.COMPROMISED


@pytest.mark.parametrize(
    ("reason", "days", "expected"),
    [
        (None, None, MADE),
        (x509.ReasonFlags.superseded, 1, MADE),
        (x509.ReasonFlags.cessation_of_operation, 1, MADE),
        (x509.ReasonFlags.superseded, -1, None),
        (x509.ReasonFlags.key_compromise, 1, None),
        (None, 1, None),
    ],
)
def test_a_revoked_authority(
    bench: Bench, reason: x509.ReasonFlags | None, days: int | None, expected: datetime | None
) -> None:
    """RFC 3161 section 4: revoked later for a soft reason it vouches for what it stamped before; for a hard one, or none, for nothing."""
    tsa = bench.tsa
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(tsa.root.subject)
        .last_update(AT - DAY)
        .next_update(AT + DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(tsa.root_key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    if days is not None:
        entry = x509.RevokedCertificateBuilder().serial_number(tsa.certificate.serial_number)
        entry = entry.revocation_date(MADE + days * DAY)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    crl = builder.sign(tsa.root_key, hashes.SHA256()).public_bytes(Encoding.DER)
    required = replace(TSA_ONLY, revocation="required")
    for anchored in (bench.authority(), bench.authority(constraints=required)):
        verdict = ask(bench.facts(bench.token()), bench.root, anchored, revocation=RevocationMaterial(crls=(crl,)))
        assert told(verdict) == (Reason.TRUSTED if expected else Reason.EXPIRED, expected)
    unknown = ask(bench.facts(bench.token()), bench.root, bench.authority(constraints=required))
    assert told(unknown) == (Reason.EXPIRED, None)


def test_the_vendors_own_authority_needs_the_purpose(bench: Bench) -> None:
    """One root for code and timestamps is two purposes: an anchor for code alone vouches for no time."""
    pki = bench.pki
    own = Authority.under(pki.root_key, pki.root, AT)
    token = own.token(signature_value(bench.message), MADE)
    assert told(ask(bench.facts(token), bench.root)) == (Reason.EXPIRED, None)
    both = anchor(der(pki.root), constraints=Constraints(purposes=("code", "timestamp")))
    assert told(ask(bench.facts(token), both)) == (Reason.TRUSTED, MADE)


def test_nobody_stated_the_vendor(bench: Bench) -> None:
    """A stored authority counts for its vendor: where nobody said whose package it is, nothing is proven and nothing passes."""
    verdict = ask(bench.facts(bench.token()), bench.root, bench.authority(), vendor=ExpectedVendor(None, "none"))
    assert verdict.outcome is not Outcome.PASSED
    assert verdict.signatures[0].timestamped_at is None


def test_a_changed_package_is_not_rescued(bench: Bench) -> None:
    """A timestamp says nothing where the signature itself does not hold."""
    facts = read(CONTENT + b"!", beside(stamped(bench.message, bench.token()), SignatureOrigin.GIVEN))
    assert told(ask(facts, bench.root, bench.authority())) == (Reason.INVALID_SIGNATURE, None)


def test_every_byte_of_the_tokens_place(bench: Bench) -> None:
    """Whatever byte of the attribute is changed, the answer is the proven time or the one without a timestamp."""
    message = stamped(bench.message, bench.token())
    trust = (bench.root, bench.authority())
    for position in range(len(bench.message), len(message), 3):
        changed = message[:position] + bytes([message[position] ^ 0x41]) + message[position + 1 :]
        verdict = ask(read(CONTENT, beside(changed, SignatureOrigin.GIVEN)), *trust)
        assert verdict.signatures[0].timestamped_at in (None, MADE)
        assert (verdict.reason is Reason.TRUSTED) == (verdict.signatures[0].timestamped_at == MADE)
