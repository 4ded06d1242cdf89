from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store.package_craft import archive, read
from tests.trust_store.verdict_craft import (
    AT,
    CONTENT,
    anchor,
    ask,
    bare_cms,
    beside,
    candidates,
    decoded,
    der,
    issue,
    signed,
)
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.trust_anchor import AnchorState, Constraints, SignerRule
from trust_store.model.trust_view import TrustView
from trust_store.model.vendor import VendorPolicy
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.verification import Question, verify_package
from trust_store.verification.question import ExpectedIdentity

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys."""
    return VendorPKI.generate("DTEN", AT)


@pytest.fixture(scope="module")
def stranger() -> VendorPKI:
    """Somebody else's keys."""
    return VendorPKI.generate("Stranger", AT)


def test_valid_anchor_passes(pki: VendorPKI) -> None:
    """A signature whose path ends at the vendor's valid anchor passes, and the answer shows the whole path."""
    verdict = ask(signed(pki), anchor(der(pki.root)))
    (signature,) = verdict.signatures
    assert (verdict.outcome, verdict.reason, verdict.also) == (Outcome.PASSED, Reason.TRUSTED, ())
    assert [node.sha256 for node in signature.path] == [decoded(pki.signer).sha256, decoded(pki.root).sha256]
    assert signature.integrity == "intact"
    assert signature.anchor == (anchor(der(pki.root)).id, "test anchor")
    assert verdict.advice == ()


def test_no_anchor_is_unknown_root_and_names_what_is_missing(pki: VendorPKI) -> None:
    """Without an anchor the signature is intact and the root's name and key identifier are told."""
    verdict = ask(signed(pki))
    (signature,) = verdict.signatures
    assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.UNKNOWN_ROOT)
    assert signature.integrity == "intact"
    assert signature.missing_issuer is not None
    assert signature.missing_issuer.name == decoded(pki.root).subject
    assert signature.missing_issuer.authority_key_identifier == decoded(pki.root).subject_key_identifier
    assert not signature.missing_issuer.same_name_new_key
    assert decoded(pki.root).subject in verdict.summary


def test_same_name_with_another_key_is_told(pki: VendorPKI) -> None:
    """A known anchor of the issuer's name with another key is no candidate, and the answer says so."""
    verdict = ask(signed(pki), anchor(der(VendorPKI.generate("DTEN", AT).root)))
    assert verdict.reason is Reason.UNKNOWN_ROOT
    assert verdict.signatures[0].missing_issuer is not None
    assert verdict.signatures[0].missing_issuer.same_name_new_key


STATES = {
    AnchorState.PENDING: Reason.UNKNOWN_ROOT,
    AnchorState.VALID: Reason.TRUSTED,
    AnchorState.SUPERSEDED: Reason.REVOKED,
    AnchorState.REVOKED: Reason.REVOKED,
    AnchorState.COMPROMISED: Reason.COMPROMISED,
    AnchorState.DISTRUSTED: Reason.DISTRUSTED,
    AnchorState.REMOVED: Reason.UNKNOWN_ROOT,
    AnchorState.REJECTED: Reason.UNKNOWN_ROOT,
}


@pytest.mark.parametrize("state", AnchorState)
def test_every_anchor_state(pki: VendorPKI, state: AnchorState) -> None:
    """Each state gives the contract's reason, with the root as anchor and with the signer's own certificate as anchor."""
    facts = signed(pki)
    for certificate in (pki.root, pki.signer):
        assert ask(facts, anchor(der(certificate), state)).reason is STATES[state]


def test_disowned_rejection_is_distrust(pki: VendorPKI) -> None:
    """A key the vendor disowned is distrusted, one nobody could confirm is unknown."""
    disowned = anchor(der(pki.root), AnchorState.REJECTED, cause="disowned")
    assert ask(signed(pki), disowned).reason is Reason.DISTRUSTED
    assert ask(signed(pki), replace(disowned, cause="unconfirmed")).reason is Reason.UNKNOWN_ROOT


@pytest.mark.parametrize(
    "state", [s for s in AnchorState if s not in (AnchorState.COMPROMISED, AnchorState.DISTRUSTED)]
)
def test_another_vendors_anchor_never_counts(pki: VendorPKI, state: AnchorState) -> None:
    """An anchor of another vendor changes nothing, whatever its state."""
    assert ask(signed(pki), anchor(der(pki.root), state, vendor_id="acme")).reason is Reason.UNKNOWN_ROOT


@pytest.mark.parametrize("state", [AnchorState.COMPROMISED, AnchorState.DISTRUSTED])
@pytest.mark.parametrize("supplied", [False, True])
def test_a_buried_signer_key_always_wins(pki: VendorPKI, state: AnchorState, *, supplied: bool) -> None:
    """Any vendor's tombstone on the signer's key beats every path that passes, supplied ones too, and a re-issue of the certificate."""
    root = anchor(der(pki.root), vendor_id="any" if supplied else "dten")
    again = issue(pki, key=pki.signer_key)
    for buried in (pki.signer, again.signer):
        verdict = ask(signed(pki), root, anchor(der(buried), state, vendor_id="acme"))
        assert (verdict.outcome, verdict.reason.value) == (Outcome.FAILED, state.value)


def test_a_buried_root_condemns_its_paths_only(pki: VendorPKI) -> None:
    """A path over a buried key fails; another path to a valid anchor still passes."""
    facts = signed(pki)
    buried = anchor(der(pki.root), AnchorState.DISTRUSTED)
    assert ask(facts, buried).reason is Reason.DISTRUSTED
    assert ask(facts, buried, anchor(der(pki.signer))).reason is Reason.TRUSTED


def test_soft_changes_spare_questions_about_the_time_before(pki: VendorPKI) -> None:
    """Superseded and softly revoked anchors answer for a time before the change; a hard revocation does not."""
    facts, then = signed(pki), AT - 20 * DAY
    for state, cause, reason in (
        (AnchorState.SUPERSEDED, None, Reason.TRUSTED),
        (AnchorState.REVOKED, "superseded", Reason.TRUSTED),
        (AnchorState.REVOKED, "unspecified", Reason.REVOKED),
        (AnchorState.REVOKED, None, Reason.REVOKED),
        (AnchorState.COMPROMISED, "key-compromise", Reason.COMPROMISED),
    ):
        changed = anchor(der(pki.root), state, cause=cause)
        assert ask(facts, changed, at=then, time_basis="requested").reason is reason
        assert ask(facts, changed).reason is not Reason.TRUSTED


RULES = [
    (SignerRule(dedicated=True), Reason.TRUSTED),
    (SignerRule(), Reason.UNEXPECTED_SIGNER),
    (SignerRule(subject=(("O", "DTEN"),)), Reason.TRUSTED),
    (SignerRule(subject=(("O", "DTEN"), ("CN", "DTEN Upgrade Signing"))), Reason.TRUSTED),
    (SignerRule(subject=(("O", "DTE"),)), Reason.UNEXPECTED_SIGNER),
    (SignerRule(subject=(("O", " dten"),)), Reason.TRUSTED),
    (SignerRule(dedicated=True, subject=(("O", "DTE"),)), Reason.UNEXPECTED_SIGNER),
    (SignerRule(subject=(("O", "DTEN"), ("OU", "Firmware"))), Reason.UNEXPECTED_SIGNER),
    (SignerRule(spki_sha256=("0" * 64,)), Reason.UNEXPECTED_SIGNER),
]


@pytest.mark.parametrize(("rule", "reason"), RULES, ids=str)
def test_signer_rules(pki: VendorPKI, rule: SignerRule, reason: Reason) -> None:
    """A known root is not a known signer: every stated condition must hold exactly, and a CA without a rule names nobody."""
    assert ask(signed(pki), anchor(der(pki.root), signer_rule=rule)).reason is reason


def test_pins(pki: VendorPKI) -> None:
    """A pin admits the signer's key among others; an end entity that is the anchor itself needs no rule."""
    pin = SignerRule(spki_sha256=("0" * 64, decoded(pki.signer).spki_sha256))
    assert ask(signed(pki), anchor(der(pki.root), signer_rule=pin)).reason is Reason.TRUSTED
    assert ask(signed(pki), anchor(der(pki.signer), signer_rule=SignerRule())).reason is Reason.TRUSTED


SCOPES = [
    (Constraints(products=("*.bin",)), Reason.TRUSTED),
    (Constraints(products=("other-*", "firm*")), Reason.TRUSTED),
    (Constraints(products=("other-*",)), Reason.OUT_OF_SCOPE),
    (Constraints(formats=("detached",)), Reason.TRUSTED),
    (Constraints(formats=("android-ota",)), Reason.OUT_OF_SCOPE),
    (Constraints(purposes=()), Reason.OUT_OF_SCOPE),
    (Constraints(purposes=("timestamp",)), Reason.OUT_OF_SCOPE),
    (Constraints(valid_from=AT + DAY), Reason.OUT_OF_SCOPE),
    (Constraints(valid_until=AT - DAY), Reason.OUT_OF_SCOPE),
    (Constraints(valid_from=AT, valid_until=AT), Reason.TRUSTED),
    (Constraints(max_path_length=0), Reason.TRUSTED),
]


@pytest.mark.parametrize(("constraints", "reason"), SCOPES, ids=str)
def test_anchor_constraints(pki: VendorPKI, constraints: Constraints, reason: Reason) -> None:
    """An anchor counts only within its own constraints."""
    assert ask(signed(pki), anchor(der(pki.root), constraints=constraints)).reason is reason


def test_vendor_must_be_stated(pki: VendorPKI) -> None:
    """Unstated, the best answer is vendor_unstated; 'any' is the opt-out; supplied anchors need no vendor."""
    facts, nobody = signed(pki), ExpectedVendor(None, "none")
    stored, supplied = anchor(der(pki.root)), anchor(der(pki.root), vendor_id="any")
    assert ask(facts, stored, vendor=nobody).reason is Reason.VENDOR_UNSTATED
    assert ask(facts, stored, vendor=nobody).outcome is Outcome.INDETERMINATE
    assert ask(facts, vendor=nobody).reason is Reason.UNKNOWN_ROOT
    assert ask(facts, vendor=nobody).also == ("vendor_unstated",)
    assert ask(facts, vendor=nobody, trust="supplied").also == ()
    assert ask(facts, stored, supplied, vendor=nobody).reason is Reason.TRUSTED
    assert ask(facts, stored, vendor=ExpectedVendor("any", "any")).reason is Reason.TRUSTED
    assert ask(facts, stored, vendor=ExpectedVendor("acme", "stated")).reason is Reason.UNKNOWN_ROOT


def test_times_of_certificates(pki: VendorPKI) -> None:
    """Validity counts at the validation time, and policy may accept the claimed time of a key that merely expired since."""
    old = issue(pki, not_after=AT - DAY)
    facts, root = signed(old), anchor(der(pki.root))
    assert ask(facts, root).reason is Reason.EXPIRED
    assert ask(facts, root, at=AT - 2 * DAY, time_basis="requested").reason is Reason.TRUSTED
    assert ask(facts, root, at=AT - 40 * DAY, time_basis="requested").reason is Reason.NOT_YET_VALID
    claimed = replace(facts, signatures=(replace(facts.signatures[0], claimed_at=AT - 2 * DAY),))
    accept = VendorPolicy(claimed_time="accept")
    assert ask(claimed, root).reason is Reason.EXPIRED
    assert ask(claimed, root, policy=accept).reason is Reason.TRUSTED
    assert ask(claimed, anchor(der(pki.root), AnchorState.SUPERSEDED), policy=accept).reason is Reason.REVOKED
    later = replace(facts, signatures=(replace(facts.signatures[0], claimed_at=AT + DAY),))
    assert ask(later, root, policy=accept).reason is Reason.EXPIRED


def test_wrong_purpose_is_an_invalid_path(pki: VendorPKI) -> None:
    """A certificate for something else than signing code gives path_invalid."""
    web = issue(pki, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    verdict = ask(signed(web), anchor(der(pki.root)))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.PATH_INVALID)


def test_broken_signature(pki: VendorPKI) -> None:
    """Content that does not match is failed / invalid_signature under a known root, and under an unknown one."""
    facts = read(CONTENT + b"!", beside(pki.sign(CONTENT)))
    for anchors in ((anchor(der(pki.root)),), ()):
        verdict = ask(facts, *anchors)
        assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.INVALID_SIGNATURE)
        assert verdict.signatures[0].integrity == "broken"
        assert verdict.signatures[0].known_key is bool(anchors)


def test_signature_without_certificate(pki: VendorPKI) -> None:
    """A signer whose certificate is not at hand is unchecked and unknown; an anchor or helping material brings it."""
    side = beside(bare_cms(pki))
    nobody = ask(read(CONTENT, side))
    assert (nobody.reason, nobody.signatures[0].integrity) == (Reason.UNKNOWN_ROOT, "unchecked")
    facts = read(CONTENT, side, keys=candidates(pki.signer))
    helped = ask(facts, untrusted=(decoded(pki.signer),))
    assert (helped.reason, helped.signatures[0].integrity) == (Reason.UNKNOWN_ROOT, "intact")
    assert ask(facts, anchor(der(pki.root)), untrusted=(decoded(pki.signer),)).reason is Reason.TRUSTED
    assert ask(facts, anchor(der(pki.signer))).reason is Reason.TRUSTED
    assert ask(facts).reason is Reason.UNKNOWN_ROOT


def test_pending_material_helps_and_trusts_nothing(pki: VendorPKI) -> None:
    """A pending root in the helping material completes the path and names itself as missing, it never passes."""
    pending = anchor(der(pki.root), AnchorState.PENDING)
    verdict = ask(signed(pki), pending, untrusted=(decoded(pki.root),))
    assert verdict.reason is Reason.UNKNOWN_ROOT
    assert verdict.signatures[0].missing_issuer is not None
    assert verdict.signatures[0].missing_issuer.name == decoded(pki.root).subject


def test_unsigned_and_uncovered(pki: VendorPKI) -> None:
    """An archive without a signature is unsigned; a file no list names is uncovered content, whoever signed the rest."""
    root = anchor(der(pki.root))
    plain = ask(read(archive({"a": b"1"})), root)
    assert (plain.reason, plain.also) == (Reason.UNSIGNED, ())
    files = {"firmware.bin": CONTENT}
    assert ask(read(vendor_bundle(pki, files)), root).reason is Reason.TRUSTED
    smuggled = read(vendor_bundle(pki, files, smuggled={"evil.sh": b"rm"}))
    verdict = ask(smuggled, root)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.UNCOVERED_CONTENT)
    assert "evil.sh" in verdict.summary
    assert ask(smuggled).reason is Reason.UNCOVERED_CONTENT
    assert ask(smuggled).also == ("unknown_root",)


def test_what_cannot_be_read_never_passes() -> None:
    """Empty and unknown files are unsupported, a torn archive malformed; the digest is still told."""
    assert ask(read(b"")).reason is Reason.UNSUPPORTED_FORMAT
    assert ask(read(b"just text")).reason is Reason.UNSUPPORTED_FORMAT
    torn = ask(read(archive({"a": b"1" * 100})[:-10]))
    assert torn.outcome is not Outcome.PASSED
    assert torn.sha256 is not None


def test_facts_without_a_digest_or_isolation(pki: VendorPKI) -> None:
    """A verdict is about a digest: without one nothing passes; a reader that was not isolated is named."""
    facts, root = signed(pki), anchor(der(pki.root))
    assert ask(replace(facts, sha256=""), root).reason is Reason.UNREADABLE
    loose = ask(replace(facts, isolated=False), root)
    assert (loose.reason, loose.also) == (Reason.TRUSTED, ("not_isolated",))


def test_policy_may_ask_for_more_signatures(pki: VendorPKI, stranger: VendorPKI) -> None:
    """Two keys asked for are two distinct keys that pass."""
    two = VendorPolicy(required_signatures=2)
    second = issue(pki)
    one = read(CONTENT, beside(pki.sign(CONTENT)))
    both = read(CONTENT, beside(pki.sign(CONTENT)), beside(second.sign(CONTENT), name="firmware.bin.sig"))
    root = anchor(der(pki.root))
    assert ask(one, root, policy=two).reason is Reason.UNSIGNED
    assert ask(both, root, policy=two).reason is Reason.TRUSTED
    mixed = read(CONTENT, beside(pki.sign(CONTENT)), beside(stranger.sign(CONTENT), name="firmware.bin.sig"))
    assert ask(mixed, root).reason is Reason.TRUSTED
    assert ask(mixed, root, policy=two).reason is Reason.UNKNOWN_ROOT


def test_given_signatures_must_each_verify(pki: VendorPKI, stranger: VendorPKI) -> None:
    """Of two files handed over both must verify; of two found one suffices."""
    for origin, reason in ((SignatureOrigin.GIVEN, Reason.UNKNOWN_ROOT), (SignatureOrigin.FOUND, Reason.TRUSTED)):
        sides = (beside(pki.sign(CONTENT), origin), beside(stranger.sign(CONTENT), origin, "other.p7s"))
        assert ask(read(CONTENT, *sides), anchor(der(pki.root))).reason is reason


def test_an_identity_that_is_asked_for_must_be_stated(pki: VendorPKI) -> None:
    """Where a sigstore identity is asked for, a signature that can state none is by an unexpected signer."""
    identity = ExpectedIdentity("somebody@example.org", None)
    question = Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "a", identity=identity)
    verdict = verify_package(signed(pki), TrustView(anchors=(anchor(der(pki.root)),)), question)
    assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.UNEXPECTED_SIGNER)
    assert "sigstore identity" in verdict.summary


def test_how_long_an_answer_stands(pki: VendorPKI) -> None:
    """An answer stands an hour at most, and no longer than the next time limit in it."""
    root = anchor(der(pki.root))
    assert ask(signed(pki), root).valid_until == AT + timedelta(hours=1)
    soon = issue(pki, not_after=AT + timedelta(minutes=5))
    assert ask(signed(soon), root).valid_until == AT + timedelta(minutes=5)
    later = issue(pki, not_before=AT + timedelta(minutes=7))
    assert ask(signed(later), root).valid_until == AT + timedelta(minutes=7)
    bounded = anchor(der(pki.root), constraints=Constraints(valid_until=AT + timedelta(minutes=3)))
    assert ask(signed(pki), bounded).valid_until == AT + timedelta(minutes=3)
    assert ask(signed(soon), root, at=AT - DAY, time_basis="requested").valid_until == AT + timedelta(hours=1)


def test_an_anchor_that_cannot_be_read_is_no_anchor(pki: VendorPKI) -> None:
    """Damaged material reaches nothing; a tombstone counts by its identifiers all the same."""
    broken = replace(anchor(der(pki.signer)), material=b"\x30\x00")
    assert ask(signed(pki), broken).reason is Reason.UNKNOWN_ROOT
    assert ask(signed(pki), replace(broken, state=AnchorState.DISTRUSTED)).reason is Reason.DISTRUSTED


def test_a_verdict_has_no_truth_value(pki: VendorPKI) -> None:
    """Nobody may take a verdict for a yes or no, and a question needs times with a zone."""
    with pytest.raises(TypeError, match="not true or false"):
        bool(ask(signed(pki)))
    with pytest.raises(ValueError, match="without a zone"):
        Question(ExpectedVendor("dten", "stated"), AT.replace(tzinfo=None), AT, "now", "a")
