"""An anchor counts only within its own constraints, each of them, whatever else holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.path_craft import authority
from tests.trust_store.verdict_chain import OLD, UNTIL, Chain, claimed, dn, leaf, named
from tests.trust_store.verdict_craft import AT, anchor, ask
from trust_store.chain.building import SignatureBudget
from trust_store.model.trust_anchor import Constraints, SignerRule, TrustAnchor
from trust_store.model.vendor import VendorPolicy
from trust_store.model.verdict import Outcome, Reason
from trust_store.verification.anchor_scope import Use, key_scope_findings, path_scope_findings

DAY = timedelta(days=1)
ISSUED = AT - 100 * DAY


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Root, issuing CA of 400 days ago, signer of 100 days ago."""
    return Chain.of(None, named(x509.DNSName("release.dten.example"), x509.RFC822Name("release@dten.example")))


def _verdict(chain: Chain, limits: Constraints, at: datetime = AT, claim: datetime | None = None):  # type: ignore[no-untyped-def]
    facts = claimed(chain.facts(), claim)
    return ask(facts, anchor(chain.root.der, constraints=limits), at=at, time_basis="now" if at == AT else "requested")


@pytest.mark.parametrize(
    ("purposes", "reason"),
    [
        (("code",), Reason.TRUSTED),
        (("firmware",), Reason.TRUSTED),
        (("tls", "firmware"), Reason.TRUSTED),
        (("tls",), Reason.OUT_OF_SCOPE),
        (("timestamp",), Reason.OUT_OF_SCOPE),
        (("tls", "timestamp", "advisory"), Reason.OUT_OF_SCOPE),
        ((), Reason.OUT_OF_SCOPE),
    ],
)
def test_only_code_and_firmware_anchors_validate_packages(
    chain: Chain, purposes: tuple[str, ...], reason: Reason
) -> None:
    """A root that is for TLS or timestamps alone never validates a package."""
    assert _verdict(chain, Constraints(purposes=purposes)).reason is reason


@pytest.mark.parametrize(
    ("limit", "claim", "reason"),
    [
        (ISSUED - DAY, None, Reason.OUT_OF_SCOPE),  # the signer's certificate is younger
        (ISSUED - DAY, ISSUED - 2 * DAY, Reason.OUT_OF_SCOPE),  # whatever it claims
        (ISSUED, None, Reason.TRUSTED),
        (ISSUED + DAY, None, Reason.TRUSTED),
        (ISSUED + DAY, ISSUED, Reason.TRUSTED),
        (ISSUED + DAY, ISSUED + DAY, Reason.TRUSTED),
        (ISSUED + DAY, ISSUED + 2 * DAY, Reason.OUT_OF_SCOPE),
        (OLD - DAY, ISSUED, Reason.OUT_OF_SCOPE),
    ],
)
def test_distrust_after(chain: Chain, limit: datetime, claim: datetime | None, reason: Reason) -> None:
    """What was issued or signed later does not count, what is older does."""
    assert _verdict(chain, Constraints(distrust_after=limit), claim=claim).reason is reason


def test_distrust_after_of_an_end_entity_goes_by_the_signature(chain: Chain) -> None:
    """Where no certificate stands below the anchor, a signature counts as made now, unless policy believes what it claims."""
    own = anchor(chain.signer.der, constraints=Constraints(distrust_after=AT - DAY))
    believed = VendorPolicy(claimed_time="accept")
    assert ask(claimed(chain.facts(), None), own, policy=believed).reason is Reason.OUT_OF_SCOPE
    assert ask(claimed(chain.facts(), AT - 2 * DAY), own).reason is Reason.OUT_OF_SCOPE
    assert ask(claimed(chain.facts(), AT - 2 * DAY), own, policy=believed).reason is Reason.TRUSTED


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Constraints(max_path_length=0), Reason.OUT_OF_SCOPE),
        (Constraints(max_path_length=1), Reason.TRUSTED),
        (Constraints(valid_from=AT, valid_until=AT), Reason.TRUSTED),
        (Constraints(valid_from=AT + timedelta(microseconds=1)), Reason.OUT_OF_SCOPE),
        (Constraints(valid_until=AT - timedelta(microseconds=1)), Reason.OUT_OF_SCOPE),
        (Constraints(permitted_names=(("dns", "dten.example"),)), Reason.TRUSTED),
        (Constraints(permitted_names=(("dns", "acme.example"),)), Reason.OUT_OF_SCOPE),
        (Constraints(permitted_names=(("dns", "acme.example"), ("dns", "dten.example"))), Reason.TRUSTED),
        (Constraints(excluded_names=(("dns", "release.dten.example"),)), Reason.OUT_OF_SCOPE),
        (Constraints(excluded_names=(("email", "dten.example"),)), Reason.OUT_OF_SCOPE),
        (Constraints(excluded_names=(("uri", ".dten.example"), ("ip", "192.0.2.0/24"))), Reason.TRUSTED),
        (Constraints(permitted_names=(("dn", "O=DTEN"),)), Reason.OUT_OF_SCOPE),  # the issuing CA is not below it
        (Constraints(permitted_names=(("dn", "O=Shared"), ("dn", "O=DTEN"))), Reason.TRUSTED),
        (Constraints(excluded_names=(("dn", "OU=Firmware,O=dten"),)), Reason.OUT_OF_SCOPE),
        (Constraints(excluded_names=(("ip", "nonsense"),)), Reason.OUT_OF_SCOPE),
        (Constraints(excluded_names=(("dn", ""),)), Reason.OUT_OF_SCOPE),
        (Constraints(permitted_names=(("other", "x"),)), Reason.OUT_OF_SCOPE),
        (Constraints(minimum_rsa_bits=4096), Reason.TRUSTED),  # there is no RSA key in this path
        (Constraints(digests=("SHA-256",)), Reason.TRUSTED),
        (Constraints(digests=("sha384", "sha512")), Reason.OUT_OF_SCOPE),
        (Constraints(revocation="required"), Reason.REVOCATION_UNKNOWN),
        (Constraints(revocation="off"), Reason.TRUSTED),
        (Constraints(revocation="sometimes"), Reason.REVOCATION_UNKNOWN),
    ],
    ids=str,
)
def test_each_constraint(chain: Chain, limits: Constraints, reason: Reason) -> None:
    """Lengths, times, names (RFC 5937), keys, digests and revocation of the path."""
    verdict = _verdict(chain, limits)
    assert verdict.reason is reason
    assert (verdict.outcome is Outcome.PASSED) is (reason is Reason.TRUSTED)
    assert reason is not Reason.OUT_OF_SCOPE or "the anchor 'test anchor'" in verdict.summary


def test_strength_of_every_key_and_signature_in_the_path() -> None:
    """The least RSA length and the digests hold for signer, issuing CA, anchor and the package's signature alike."""
    short = rsa.generate_private_key(65537, 2048)
    root = authority(dn(O="S", CN="R"), dates=(OLD, UNTIL), private=short)
    middle = authority(dn(O="S", CN="I"), root, dates=(OLD, UNTIL))
    chain = Chain(root, middle, leaf(middle, digest=hashes.SHA384()))
    for limits, told in (
        (Constraints(minimum_rsa_bits=2049), "'CN=R,O=S' has an RSA key of 2048 bits, 2049 are asked for"),
        (Constraints(digests=("sha256",)), "uses sha384"),
        (Constraints(digests=("sha384",)), "the package's signature uses sha256"),
    ):
        verdict = _verdict(chain, limits)
        assert (verdict.reason, told in verdict.summary) == (Reason.OUT_OF_SCOPE, True)
    assert _verdict(chain, Constraints(minimum_rsa_bits=2048, digests=("sha256", "SHA384"))).reason is Reason.TRUSTED


def test_the_digest_of_an_edwards_signature_is_its_own() -> None:
    """Ed25519 signs with SHA-512 (RFC 8032 5.1)."""
    root = authority(dn(CN="R"), dates=(OLD, UNTIL), private=ed25519.Ed25519PrivateKey.generate())
    middle = authority(dn(CN="I"), root, dates=(OLD, UNTIL))
    chain = Chain(root, middle, leaf(middle))
    assert _verdict(chain, Constraints(digests=("sha256",))).reason is Reason.OUT_OF_SCOPE
    assert _verdict(chain, Constraints(digests=("sha256", "sha512"))).reason is Reason.TRUSTED


def test_self_issued_certificates_are_free(chain: Chain) -> None:
    """A CA's certificate for its own new key neither counts for the length nor is held to the names (RFC 5280 6.1.4)."""
    again = authority(chain.root.certificate.subject, chain.root, dates=(OLD, UNTIL))
    signer = leaf(again, dn(O="DTEN", CN="x"))
    limits = Constraints(max_path_length=0, permitted_names=(("dn", "O=DTEN"),))
    assert _verdict(Chain(chain.root, again, signer), limits).reason is Reason.TRUSTED


def test_whose_names_are_held_to_the_constraints(chain: Chain) -> None:
    """Everybody's below the anchor, not the anchor's own; an end entity that is the anchor itself is held to its own."""
    own = (("dn", chain.middle.decoded.subject),)
    below = anchor(chain.middle.der, constraints=Constraints(excluded_names=own))
    assert ask(chain.facts(), below).reason is Reason.TRUSTED
    alone = anchor(chain.signer.der, constraints=Constraints(excluded_names=(("dns", "dten.example"),)))
    assert ask(chain.facts(), alone).reason is Reason.OUT_OF_SCOPE


def test_the_anchor_itself_is_not_below_itself(chain: Chain) -> None:
    """It counts neither for the length of the path nor for the digests: nobody relies on the signature on an anchor."""
    middle = authority(dn(O="S", CN="I"), chain.root, dates=(OLD, UNTIL), digest=hashes.SHA384())
    other = Chain(chain.root, middle, leaf(middle))
    for limits in (Constraints(max_path_length=0), Constraints(digests=("sha256",))):
        assert ask(other.facts(), anchor(middle.der, constraints=limits)).reason is Reason.TRUSTED
        assert ask(other.facts(), anchor(chain.root.der, constraints=limits)).reason is Reason.OUT_OF_SCOPE


def test_one_of_several_products_is_enough(chain: Chain) -> None:
    """A package is in scope if one pattern fits its name."""
    assert _verdict(chain, Constraints(products=("other*", "firm*"))).reason is Reason.TRUSTED
    assert _verdict(chain, Constraints(products=("other*", "Firm*"))).reason is Reason.OUT_OF_SCOPE


def test_too_many_names_are_a_limit(chain: Chain) -> None:
    """Comparisons with an anchor's names are paid out of the question's budget."""
    limits = Constraints(permitted_names=(("dns", "dten.example"),))
    budget = SignatureBudget()
    while budget.compare(1000):
        pass
    path = (chain.signer.decoded, chain.middle.decoded, chain.root.decoded)
    use = Use("firmware.bin", "detached", AT, (), "sha256")
    found = path_scope_findings(anchor(chain.root.der, constraints=limits), use, path, budget)
    assert [finding.reason for finding in found] == [Reason.RESOURCE_LIMIT]


KEY_LIMITS = [
    (Constraints(), []),
    (Constraints(permitted_names=(("dns", "x"),)), [Reason.OUT_OF_SCOPE]),
    (Constraints(excluded_names=(("dns", "x"),)), [Reason.OUT_OF_SCOPE]),
    (Constraints(revocation="required"), [Reason.REVOCATION_UNKNOWN]),
    (Constraints(minimum_rsa_bits=3072), [Reason.OUT_OF_SCOPE]),
    (Constraints(minimum_rsa_bits=2048, digests=("sha256",), max_path_length=0), []),
    (Constraints(digests=("sha512",)), [Reason.OUT_OF_SCOPE]),
    (Constraints(distrust_after=AT - DAY), [Reason.OUT_OF_SCOPE]),
    (Constraints(distrust_after=AT), []),
]


@pytest.mark.parametrize(("limits", "reasons"), KEY_LIMITS, ids=str)
def test_constraints_of_an_anchor_that_is_a_key(chain: Chain, limits: Constraints, reasons: list[Reason]) -> None:
    """What cannot be judged about a bare key is not passed over."""
    use = Use("firmware.bin", "detached", AT, (), "sha256")
    held = anchor(chain.root.der, constraints=limits)
    assert [f.reason for f in key_scope_findings(held, use, [("k", 2048), ("e", None)])] == reasons


BROKEN: dict[str, object] = {
    "products": ("other*",), "formats": ("android-ota",), "purposes": ("tls",), "valid_from": AT + DAY,
    "valid_until": AT - DAY, "distrust_after": ISSUED - DAY, "max_path_length": 0, "permitted_names": (("dn", "O=Else"),),
    "excluded_names": (("dns", "dten.example"),), "digests": ("sha512",), "revocation": "required",
}  # fmt: skip
HELD: dict[str, object] = {
    "products": ("firm*",), "formats": ("detached",), "purposes": ("firmware",), "valid_from": AT - DAY,
    "valid_until": AT + DAY, "distrust_after": AT + DAY, "max_path_length": 1, "permitted_names": (("dns", "dten.example"),),
    "excluded_names": (("dns", "acme.example"),), "digests": ("sha256",), "revocation": "if_available", "minimum_rsa_bits": 4096,
}  # fmt: skip
RULE_BROKEN: dict[str, object] = {
    "subject": (("O", "Else"),), "san": (("dns", "x"),), "spki_sha256": ("0" * 64,), "issuer_spki_sha256": ("0" * 64,),
    "team_id": ("X",), "eku": ("1.2.3",), "policy": ("1.2.3",),
}  # fmt: skip
RULE_HELD: dict[str, object] = {
    "subject": (("O", "DTEN"),),
    "san": (("dns", "release.dten.example"),),
    "dedicated": True,
}


@pytest.fixture(scope="module")
def held_anchor(chain: Chain) -> TrustAnchor:
    """An anchor with every constraint and condition that this chain meets."""
    limits, rule = Constraints(**HELD), SignerRule(**RULE_HELD)  # type: ignore[arg-type]
    held = anchor(chain.root.der, constraints=limits, signer_rule=rule)
    assert ask(claimed(chain.facts(), AT - DAY), held).outcome is Outcome.PASSED
    return held


@settings(max_examples=150, deadline=None)
@given(
    held=st.sets(st.sampled_from(sorted(HELD))),
    broken=st.sampled_from([*sorted(BROKEN), *sorted(f"rule:{name}" for name in RULE_BROKEN)]),
    rules=st.sets(st.sampled_from(sorted(RULE_HELD))),
)
def test_one_broken_constraint_is_enough(
    chain: Chain, held_anchor: TrustAnchor, held: set[str], broken: str, rules: set[str]
) -> None:
    """Whatever else is met, no verdict passes when any single constraint or condition is broken."""
    limits = {name: HELD[name] for name in held}
    rule = {name: RULE_HELD[name] for name in rules} or {"dedicated": True}
    if broken.startswith("rule:"):
        rule[broken[5:]] = RULE_BROKEN[broken[5:]]
    else:
        limits[broken] = BROKEN[broken]
    one = replace(held_anchor, constraints=Constraints(**limits), signer_rule=SignerRule(**rule))  # type: ignore[arg-type]
    verdict = ask(claimed(chain.facts(), AT - DAY), one)
    assert verdict.outcome is Outcome.INDETERMINATE
    assert verdict.reason in (Reason.OUT_OF_SCOPE, Reason.UNEXPECTED_SIGNER, Reason.REVOCATION_UNKNOWN)


def test_precedence_of_scope_rule_and_path(chain: Chain) -> None:
    """Out of scope comes before an unexpected signer, that before an invalid path; a weak signature before all of them."""
    stranger = leaf(
        chain.middle, dn(O="Else", CN="x"), (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), True)
    )
    facts = Chain(chain.root, chain.middle, stranger).facts()
    rule = SignerRule(subject=(("O", "DTEN"),))
    both = anchor(chain.root.der, signer_rule=rule, constraints=Constraints(purposes=("tls",)))
    verdict = ask(facts, both)
    assert (verdict.reason, verdict.also[:2]) == (Reason.PATH_INVALID, ("out_of_scope", "unexpected_signer"))
    (signature,) = verdict.signatures
    assert (signature.reason, signature.also) == (Reason.OUT_OF_SCOPE, (Reason.UNEXPECTED_SIGNER, Reason.PATH_INVALID))
