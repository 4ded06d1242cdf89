from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.package_craft import Signer, ota, read
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside
from trust_store.chain.openpgp import OpenPGPJudgement
from trust_store.decode.openpgp import load_keys
from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey
from trust_store.model.package_facts import SignatureFact, SignatureOrigin
from trust_store.model.trust_anchor import AnchorState, Constraints, SignerRule
from trust_store.model.trust_view import TrustView
from trust_store.model.vendor import VendorPolicy
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification import Question, verify_package
from trust_store.verification.material import prepare
from trust_store.verification.openpgp import OpenPGPJudging, _opinion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

MADE = "20240201T000000"
THEN = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as home:
        yield home


@pytest.fixture(scope="module")
def key(gpg: Gpg) -> bytes:
    """The vendor's key."""
    return gpg.export(gpg.make_key("Vendor Release <release@dten.example>", "ed25519"))


@pytest.fixture(scope="module")
def facts(gpg: Gpg, key: bytes) -> PackageFacts:
    """A file signed with it, read with the key at hand."""
    return _read(gpg.sign(load_keys(key)[0].fingerprint, data=CONTENT), key)


def _read(signature: bytes, *keys: bytes, data: bytes = CONTENT) -> PackageFacts:
    return read(data, beside(signature, name="firmware.bin.asc"), keys=tuple(CandidateKey("openpgp", k) for k in keys))


def _with_opinion(facts: PackageFacts, *, opinion: bool | None) -> PackageFacts:
    (signature,) = facts.signatures
    checks = tuple(replace(check, second_opinion=opinion) for check in signature.key_checks)
    return replace(facts, signatures=(replace(signature, key_checks=checks),))


def _of_key_alone(facts: PackageFacts) -> PackageFacts:
    (signature,) = facts.signatures
    checks = tuple(replace(check, key_alone=True) for check in signature.key_checks)
    return replace(facts, signatures=(replace(signature, key_checks=checks),))


def _signer(verdict: Verdict) -> dict[str, str]:
    signer = verdict.signatures[0].signer
    assert signer is not None
    return dict(signer.identifiers)


def test_both_readers_agree(facts: PackageFacts, key: bytes) -> None:
    """A valid anchor on the signing key passes when both readers accept the signature, and names key and key id."""
    verdict = ask(facts, anchor(key))
    fingerprint = load_keys(key)[0].fingerprint
    assert verdict.reason is Reason.TRUSTED
    assert _signer(verdict) == {"openpgp": fingerprint, "key_id": fingerprint[-16:]}
    assert verdict.signatures[0].path[0].name == "Vendor Release <release@dten.example>"


@pytest.mark.parametrize(
    ("opinion", "reason", "needs_file"),
    [(True, Reason.TRUSTED, False), (False, Reason.INVALID_SIGNATURE, False), (None, Reason.UNREADABLE, True)],
)
def test_passed_needs_the_second_opinion(
    facts: PackageFacts, key: bytes, reason: Reason, *, opinion: bool | None, needs_file: bool
) -> None:
    """Now a no is invalid_signature and a missing answer needs the file; for another time only our own rules answer."""
    verdict = ask(_with_opinion(facts, opinion=opinion), anchor(key))
    assert (verdict.reason, verdict.needs_file) == (reason, needs_file)
    then = ask(_with_opinion(facts, opinion=opinion), anchor(key), at=THEN, time_basis="requested")
    assert then.reason is Reason.TRUSTED


@pytest.mark.parametrize(("opinion", "reason"), [(True, Reason.TRUSTED), (False, Reason.INVALID_SIGNATURE)])
def test_an_opinion_on_the_key_alone_suffices_and_is_told(
    facts: PackageFacts, key: bytes, reason: Reason, *, opinion: bool
) -> None:
    """What cannot be handed to the second reader passes if it accepts the key, which the answer says; its no is a no."""
    verdict = ask(_of_key_alone(_with_opinion(facts, opinion=opinion)), anchor(key))
    assert (verdict.reason, verdict.needs_file) == (reason, False)
    assert ("judged the signer's key and not the signature" in verdict.signatures[0].detail) == opinion


def test_an_opinion_on_the_key_alone_excuses_nothing(gpg: Gpg) -> None:
    """A signature that does not hold, and a key that our own rules refuse, are what they are."""
    fingerprint = gpg.make_key("Gone <g@dten.example>", "ed25519")
    signature, public = gpg.sign(fingerprint, data=CONTENT), gpg.export(fingerprint)
    revoked = gpg.revoke(fingerprint, 0)
    accepted = _of_key_alone(_with_opinion(_read(signature, public), opinion=True))
    assert ask(accepted, anchor(revoked)).reason is Reason.REVOKED
    broken = _read(signature, public, data=CONTENT + b"!")
    assert ask(_of_key_alone(_with_opinion(broken, opinion=True)), anchor(public)).reason is Reason.INVALID_SIGNATURE


def test_a_no_that_our_own_rules_explain_stays_what_it_is(gpg: Gpg) -> None:
    """Expiry is told as expiry, whatever the second reader says; claimed time is accepted only where policy says so."""
    fingerprint = gpg.make_key("Short <s@dten.example>", "ed25519", expire="20240601T000000")
    public = gpg.export(fingerprint)
    facts = _with_opinion(_read(gpg.sign(fingerprint, data=CONTENT), public), opinion=None)
    assert ask(facts, anchor(public)).reason is Reason.EXPIRED
    assert ask(facts, anchor(public), at=THEN, time_basis="requested").reason is Reason.TRUSTED
    accept = VendorPolicy(claimed_time="accept")
    assert ask(_with_opinion(facts, opinion=True), anchor(public), policy=accept).reason is Reason.TRUSTED


def test_a_key_renewed_since_is_told_as_a_matter_of_time(facts: PackageFacts) -> None:
    """The second reader judges as of the claimed creation; where that explains its no, it is no tampering."""
    from trust_store.chain.openpgp import OpenPGPJudgement

    (check,) = _with_opinion(facts, opinion=False).signatures[0].key_checks
    findings, needs_file = _opinion(check, OpenPGPJudgement(None, (), "", renewed_since=True))
    assert ([f.reason for f in findings], needs_file) == ([Reason.NOT_YET_VALID], False)


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
def test_every_anchor_state(facts: PackageFacts, key: bytes, state: AnchorState) -> None:
    """Each state of an anchor on the key gives the contract's reason; another vendor's never passes."""
    assert ask(facts, anchor(key, state)).reason is STATES[state]
    foreign = ask(facts, anchor(key, state, vendor_id="acme"))
    tombstone = state in (AnchorState.COMPROMISED, AnchorState.DISTRUSTED)
    assert foreign.reason is (STATES[state] if tombstone else Reason.UNKNOWN_ROOT)


def test_a_tombstone_wins_over_a_valid_anchor(facts: PackageFacts, key: bytes) -> None:
    """A buried key fails even where another anchor on it is valid."""
    buried = anchor(key, AnchorState.DISTRUSTED, id="anchor_b", vendor_id="acme")
    assert ask(facts, anchor(key), buried).reason is Reason.DISTRUSTED


def test_constraints_and_rules(facts: PackageFacts, key: bytes) -> None:
    """Constraints count for keys too; a rule about certificates cannot be met by a key."""
    assert ask(facts, anchor(key, constraints=Constraints(products=("x*",)))).reason is Reason.OUT_OF_SCOPE
    assert ask(facts, anchor(key, signer_rule=SignerRule())).reason is Reason.TRUSTED
    subject = SignerRule(subject=(("O", "DTEN"),))
    assert ask(facts, anchor(key, signer_rule=subject)).reason is Reason.UNEXPECTED_SIGNER


def test_a_bundle_of_keys_is_no_anchor(gpg: Gpg, facts: PackageFacts, key: bytes) -> None:
    """Of several keys in one anchor nobody can say which was meant: none is trusted."""
    other = gpg.export(gpg.make_key("Other <o@dten.example>", "ed25519"))
    assert ask(facts, anchor(key + other)).reason is Reason.UNKNOWN_ROOT


def test_subkeys(gpg: Gpg) -> None:
    """A subkey's signature counts for its primary key, is named beside it, and a tombstone on the subkey alone fails it."""
    fingerprint = gpg.make_key("Sub <sub@dten.example>", "ed25519", "cert")
    gpg.run("--quick-add-key", fingerprint, "ed25519", "sign", at="20240101T000000")
    public = gpg.export(fingerprint)
    subkey = load_keys(public)[0].components[1].fingerprint
    facts = _read(gpg.sign(fingerprint, data=CONTENT), public)
    verdict = ask(facts, anchor(public))
    assert verdict.reason is Reason.TRUSTED
    assert _signer(verdict)["openpgp"] == fingerprint.lower()
    assert _signer(verdict)["openpgp_subkey"] == subkey
    other = gpg.export(gpg.make_key("Elsewhere <e@dten.example>", "ed25519"))
    from trust_store.model.identifiers import Identifier, IdentifierKind

    buried = anchor(other, AnchorState.DISTRUSTED, identifiers=(Identifier(IdentifierKind.OPENPGP_SUBKEY, subkey),))
    assert ask(facts, anchor(public), buried).reason is Reason.DISTRUSTED


@pytest.mark.parametrize("content", [b"one\rtwo\n", b"one\r\r\n", b"one\r", b"\rone\r\n", b"one\n\r"], ids=repr)
def test_text_that_programs_read_differently_never_passes(gpg: Gpg, key: bytes, content: bytes) -> None:
    """A text signature over a CR that is no line end is unsupported, whatever its maker hashed; a binary one is about the bytes."""
    fingerprint = load_keys(key)[0].fingerprint
    others = (content, content.replace(b"\r", b""), content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    for signed in others:
        signature = gpg.run("--textmode", "--detach-sign", "-u", fingerprint, data=signed, at=MADE)
        told = ask(_read(signature, key, data=content), anchor(key))
        assert (told.outcome, told.reason) == (Outcome.INDETERMINATE, Reason.UNSUPPORTED_FORMAT)
    binary = gpg.sign(fingerprint, data=content)
    assert ask(_read(binary, key, data=content), anchor(key)).reason is Reason.TRUSTED
    plain = gpg.run("--textmode", "--detach-sign", "-u", fingerprint, data=b"one\r\ntwo\n", at=MADE)
    assert ask(_read(plain, key, data=b"one\ntwo\r\n"), anchor(key)).reason is Reason.TRUSTED


def test_a_subkey_that_is_only_named_is_told_under_its_primary_key(gpg: Gpg) -> None:
    """A signature by a subkey names the primary key where a key at hand or one that was tried has it, and the subkey beside it."""
    fingerprint = gpg.make_key("Named <named@dten.example>", "ed25519", "cert").lower()
    gpg.run("--quick-add-key", fingerprint, "ed25519", "sign", at="20240101T000000")
    public = gpg.export(fingerprint)
    subkey = load_keys(public)[0].components[1]
    both = {"openpgp": fingerprint, "openpgp_subkey": subkey.fingerprint, "key_id": subkey.key_id}
    signature = gpg.sign(fingerprint, data=CONTENT)
    unseen, tried = _read(signature), _read(signature, public)
    assert _signer(ask(unseen, untrusted_keys=load_keys(public))) == both
    assert _signer(ask(unseen, anchor(public, AnchorState.PENDING))) == both
    assert _signer(ask(tried)) == both
    assert _signer(ask(_read(signature, public, data=CONTENT + b"!"))) == both
    assert _signer(ask(unseen)) == {"openpgp": subkey.fingerprint, "key_id": subkey.key_id}


def test_two_subkeys_are_one_key(gpg: Gpg) -> None:
    """Where policy asks for two signatures, two subkeys of one key do not do; the same and another vendor's key do."""
    fingerprint = gpg.make_key("Two <two@dten.example>", "ed25519", "cert")
    for _ in range(2):
        gpg.run("--quick-add-key", fingerprint, "ed25519", "sign", at="20240101T000000")
    public = gpg.export(fingerprint)
    other = gpg.make_key("Second <second@dten.example>", "ed25519")
    subkeys = [component.fingerprint for component in load_keys(public)[0].components[1:]]
    both = b"".join(gpg.run("--detach-sign", "-u", f"{sub.upper()}!", data=CONTENT, at=MADE) for sub in subkeys)
    ours = (anchor(public), anchor(gpg.export(other)))
    policy = VendorPolicy(required_signatures=2)
    facts = _read(both, public)
    assert len(facts.signatures) == 2
    assert ask(facts, *ours).reason is Reason.TRUSTED
    assert ask(facts, *ours, policy=policy).outcome is not Outcome.PASSED
    mixed = both + gpg.run("--detach-sign", "-u", other, data=CONTENT, at=MADE)
    assert ask(_read(mixed, public, gpg.export(other)), *ours, policy=policy).reason is Reason.TRUSTED


def test_key_not_at_hand(gpg: Gpg, facts: PackageFacts, key: bytes) -> None:
    """Without the key nothing can be said about the signature; with it and no anchor it is intact and unknown."""
    unseen = _read(gpg.sign(load_keys(key)[0].fingerprint, data=CONTENT))
    verdict = ask(unseen)
    assert (verdict.reason, verdict.signatures[0].integrity) == (Reason.UNKNOWN_ROOT, "unchecked")
    assert _signer(verdict)["key_id"] == load_keys(key)[0].components[0].key_id
    assert verdict.advice
    known = ask(facts, untrusted_keys=load_keys(key))
    assert (known.reason, known.signatures[0].integrity) == (Reason.UNKNOWN_ROOT, "intact")
    assert "Vendor Release" in known.summary


def test_tampered_content(gpg: Gpg, key: bytes) -> None:
    """Content that does not match is failed / invalid_signature; the key is known where an anchor is on it."""
    signature = gpg.sign(load_keys(key)[0].fingerprint, data=CONTENT)
    facts = _read(signature, key, data=CONTENT + b"!")
    verdict = ask(facts, anchor(key))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.INVALID_SIGNATURE)
    assert verdict.signatures[0].known_key
    assert not ask(facts, anchor(key, AnchorState.PENDING)).signatures[0].known_key


def test_vendor_unstated(facts: PackageFacts, key: bytes) -> None:
    """A stored key speaks for its vendor only; unstated, the answer is vendor_unstated."""
    assert ask(facts, anchor(key), vendor=ExpectedVendor(None, "none")).reason is Reason.VENDOR_UNSTATED


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """A key as Android's make_key makes it: a self-signed certificate that is a CA."""
    return Signer.make(
        tmp_path_factory.mktemp("ota"), "releasekey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"
    )


def test_android_ota(recovery: Signer) -> None:
    """An OTA package passes under its own certificate as anchor, knows no expiry, and is weak with SHA-1."""
    facts = read(ota(recovery, {"META-INF/com/android/metadata": b"x"}))
    root = anchor(recovery.der)
    later = AT + timedelta(days=4000)
    assert ask(facts, root).reason is Reason.TRUSTED
    assert ask(facts, root, at=later, time_basis="requested").reason is Reason.TRUSTED
    ended = anchor(recovery.der, constraints=Constraints(valid_until=AT + timedelta(days=1)))
    assert ask(facts, ended, at=later, time_basis="requested").reason is Reason.OUT_OF_SCOPE
    assert ask(facts).reason is Reason.UNKNOWN_ROOT
    weak = read(ota(recovery, {"a": b"x"}, digest="sha1"))
    assert (ask(weak, root).outcome, ask(weak, root).reason) == (Outcome.FAILED, Reason.WEAK_ALGORITHM)


def _own(judgement: OpenPGPJudgement, *, accept: bool = False, seen: datetime | None = None) -> list[Reason]:
    question = Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "a", first_seen_at=seen)
    material = prepare(TrustView(), question)
    fact = SignatureFact("openpgp", SignatureOrigin.FOUND, None)
    judging = OpenPGPJudging(fact, material, question, container=None, accept_claimed_time=accept)
    nobody = OpenPGPKey(b"", (), (), ())
    return [finding.reason for finding in judging._own(judgement, nobody)]


def test_what_our_own_judgement_says() -> None:
    """No component and nothing against it is an invalid signature; expiry is forgiven where it came since, and nothing beside it."""
    component = OpenPGPComponentKey("0" * 40, "0" * 16, 4, 22, AT, b"", is_primary=True)
    assert _own(OpenPGPJudgement(None, (), "")) == [Reason.INVALID_SIGNATURE]
    assert _own(OpenPGPJudgement(None, (Reason.MALFORMED,), "")) == [Reason.MALFORMED]
    assert _own(OpenPGPJudgement(component, (), "")) == []
    both = (Reason.WEAK_ALGORITHM, Reason.EXPIRED)
    for since, accept, expected in (
        (True, True, [Reason.WEAK_ALGORITHM]),
        (True, False, list(both)),
        (False, True, list(both)),
        (False, False, list(both)),
    ):
        assert _own(OpenPGPJudgement(component, both, "", expired_since=since), accept=accept) == expected


def test_our_own_sighting_before_an_openpgp_key_expired(gpg: Gpg) -> None:
    """A file that was seen while the key was alive passes after its expiry; one seen later, or never, does not."""
    key = gpg.export(gpg.make_key("Two years <two@dten.example>", "ed25519", expire="2y"))
    facts = _with_opinion(_read(gpg.sign(load_keys(key)[0].fingerprint, data=CONTENT), key), opinion=True)
    held = anchor(key)
    assert ask(facts, held).reason is Reason.EXPIRED
    for seen, reason in (
        (datetime(2025, 1, 1, tzinfo=UTC), Reason.TRUSTED),
        (datetime(2026, 11, 1, tzinfo=UTC), Reason.EXPIRED),
        (AT + timedelta(days=1), Reason.EXPIRED),
    ):
        question = Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "firmware.bin", first_seen_at=seen)
        assert verify_package(facts, TrustView(anchors=(held,)), question).reason is reason


def test_constraints_on_an_openpgp_anchor(facts: PackageFacts, key: bytes) -> None:
    """Digest, time of distrust and purposes hold for keys too, and what cannot be judged about a key is not passed over."""
    judged = _with_opinion(facts, opinion=True)
    for limits, reason in (
        (Constraints(digests=("sha1",)), Reason.OUT_OF_SCOPE),
        (Constraints(purposes=("tls",)), Reason.OUT_OF_SCOPE),
        (Constraints(distrust_after=datetime(2024, 1, 1, tzinfo=UTC)), Reason.OUT_OF_SCOPE),
        (
            Constraints(distrust_after=datetime(2024, 3, 1, tzinfo=UTC)),
            Reason.OUT_OF_SCOPE,
        ),  # it only claims to be older
        (Constraints(distrust_after=AT), Reason.TRUSTED),
        (Constraints(permitted_names=(("email", "dten.example"),)), Reason.OUT_OF_SCOPE),
        (Constraints(revocation="required"), Reason.REVOCATION_UNKNOWN),
        (Constraints(minimum_rsa_bits=4096), Reason.TRUSTED),
    ):
        assert ask(judged, anchor(key, constraints=limits)).reason is reason


def test_whoever_has_a_key_does_not_sign_before_it_was_distrusted(facts: PackageFacts, key: bytes) -> None:
    """That a signature by a bare key is older is shown by our own sighting, or believed where policy says so; never by its claim alone."""
    judged = _with_opinion(facts, opinion=True)
    held = anchor(key, constraints=Constraints(distrust_after=datetime(2024, 3, 1, tzinfo=UTC)))
    assert ask(judged, held).reason is Reason.OUT_OF_SCOPE
    assert ask(judged, held, policy=VendorPolicy(claimed_time="accept")).reason is Reason.TRUSTED
    for seen, reason in ((datetime(2024, 2, 1, tzinfo=UTC), Reason.TRUSTED), (AT, Reason.OUT_OF_SCOPE)):
        question = Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "firmware.bin", first_seen_at=seen)
        assert verify_package(judged, TrustView(anchors=(held,)), question).reason is reason


def test_another_vendors_openpgp_tombstone_is_no_anchor(facts: PackageFacts, key: bytes) -> None:
    """A compromised key of another vendor is compromised here, and stands for nothing."""
    buried = anchor(key, AnchorState.COMPROMISED, vendor_id="acme")
    assert ask(_with_opinion(facts, opinion=True), buried).reason is Reason.COMPROMISED
