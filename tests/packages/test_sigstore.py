"""Sigstore verification: each rule broken alone, whose identity counts, and bytes that are no bundle."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages import sigstore_changes
from tests.packages.pki import new_key
from tests.packages.sigstore_changes import ARTIFACT, WHO, Handed
from tests.packages.sigstore_craft import (
    IN_TOTO,
    ISSUER,
    SIGNED_AT,
    Instance,
    b64,
    merkle,
    pae,
    pem,
    proof,
    sign,
    statement,
)
from trust_store.decode.json_fields import a_digest, an_integer, any_base64, base64_octets
from trust_store.decode.rekor_entry import parse_body
from trust_store.decode.signature_documents import MAX_LINES, documents, kind_of
from trust_store.decode.sigstore_bundle import MAX_ENTRIES, MAX_PROOF_HASHES, MAX_TIMESTAMPS, InclusionProof, parse
from trust_store.decode.sigstore_identity import canonical_identity
from trust_store.decode.timestamp_response import token_of
from trust_store.decode.transparency import includes, parse_checkpoint
from trust_store.decode.trusted_root import read_trusted_root
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import SideFile, SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.model.trust_view import TrustView
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification import Question, verify_package
from trust_store.verification.material import prepare
from trust_store.verification.question import ExpectedIdentity
from trust_store.verification.signature import judge_signature
from trust_store.verification.supplied import read_material, supplied_anchors

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
HANDED = sigstore_changes.every()
INSTANCE = Instance.make("test.example")
GOOD = INSTANCE.sign(ARTIFACT, WHO).bundle()
LIMITS = ReadLimits()


def facts_of(bundle: dict[str, Any] | bytes, artifact: bytes = ARTIFACT, *keys: CandidateKey) -> PackageFacts:
    """What is seen in an artifact with a bundle beside it."""
    data = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    side = SideMaterial(SideFile("side", "0" * 64), SignatureOrigin.GIVEN, data)
    return read_package(BytesSource(artifact), (side,), keys, LIMITS)


def question(
    identity: tuple[str | None, str | None] | None = (WHO, ISSUER), vendor: str | None = None, **fields: Any
) -> Question:
    """Asked now."""
    asked = ExpectedIdentity(*identity) if identity else None
    expected = ExpectedVendor(vendor, "stated" if vendor else "none")
    return Question(expected, NOW, NOW, "now", "artifact", identity=asked, **fields)


def supplied(root: dict[str, Any]) -> TrustView:
    """A trusted root handed over with the question."""
    material = read_material(json.dumps(root).encode(), "root.json")
    return TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")


def stored(
    kind: AnchorKind, material: bytes, state: AnchorState = AnchorState.VALID, vendor: str = "acme", **fields: Any
) -> TrustAnchor:
    """An anchor of a store."""
    digest = hashlib.sha256(material).hexdigest()
    values: dict[str, Any] = {"signer_rule": SignerRule(), "constraints": Constraints()} | fields
    return TrustAnchor(
        f"{kind}:{digest[:8]}:{vendor}", vendor, kind, str(kind), digest, material, state, NOW, SINCE, **values
    )


def identity(name: str = WHO, issuer: str = ISSUER, **fields: Any) -> TrustAnchor:
    """A stored identity."""
    return stored(AnchorKind.SIGSTORE_IDENTITY, canonical_identity(issuer, name), **fields)


def root(**fields: Any) -> TrustAnchor:
    """The instance's trusted root, stored."""
    return stored(AnchorKind.SIGSTORE_ROOT, json.dumps(INSTANCE.trusted_root()).encode(), **fields)


def asked(
    *anchors: TrustAnchor, identity: tuple[str | None, str | None] | None = None, bundle: dict[str, Any] | None = None
) -> Verdict:
    """The verdict for the vendor acme under stored anchors."""
    view = TrustView(anchors=anchors)
    return verify_package(facts_of(bundle or GOOD), view, question(identity, "acme"))


@pytest.mark.parametrize("name", HANDED)
def test_each_change_gets_its_reason(name: str) -> None:
    """A bundle with one thing wrong never passes and says what is wrong; one that is merely unusual passes."""
    handed: Handed = HANDED[name]
    facts = facts_of(handed.bundle, handed.artifact)
    verdict = verify_package(facts, supplied(handed.root), question((handed.identity, handed.issuer)))
    assert handed.reason == verdict.reason.value, verdict.summary
    assert (verdict.outcome is Outcome.PASSED) is name.startswith("good_")


def test_a_stored_root_alone_makes_nobody_known() -> None:
    """A known root is not a known signer, dedicated or not, even where the asker says whose signature it is to be."""
    for rule in (SignerRule(), SignerRule(dedicated=True)):
        assert asked(root(signer_rule=rule)).reason is Reason.UNEXPECTED_SIGNER
        assert asked(root(signer_rule=rule), identity=(WHO, ISSUER)).reason is Reason.UNEXPECTED_SIGNER


def test_a_stored_root_and_a_stored_identity_make_a_signer_known() -> None:
    """The vendor's identity under the vendor's root passes, and the identity is the anchor that is told."""
    verdict = asked(root(), identity())
    assert verdict.reason is Reason.TRUSTED
    assert verdict.signatures[0].anchor == (identity().id, identity().name)
    assert verdict.validation_time == SIGNED_AT


def test_what_the_asker_demands_is_one_demand_more() -> None:
    """A stored identity that matches does not answer a question about another one."""
    assert asked(root(), identity(), identity=(WHO, ISSUER)).reason is Reason.TRUSTED
    assert asked(root(), identity(), identity=("else@vendor.example", ISSUER)).reason is Reason.UNEXPECTED_SIGNER
    assert asked(root(), identity(), identity=(WHO, None)).reason is Reason.UNEXPECTED_SIGNER


@pytest.mark.parametrize(
    ("stated", "known"),
    [
        (r"^[a-z]+@vendor\.example$", True),
        (r"^someone@vendor\.exam$", False),
        (r"^(some|any)one@vendor\.example$", True),
        ("else@vendor.example", False),
    ],
)
def test_a_pattern_matches_the_whole_identity(stated: str, known: bool) -> None:  # noqa: FBT001 - a row of the table
    """A pattern is held against the identity from end to end."""
    assert (asked(root(), identity(stated)).reason is Reason.TRUSTED) is known


def test_identities_of_another_issuer_are_other_identities() -> None:
    """The same name vouched for by another provider is somebody else."""
    assert asked(root(), identity(issuer="https://accounts.else.example")).reason is Reason.UNEXPECTED_SIGNER


def test_anchors_of_another_vendor_never_count() -> None:
    """Neither another vendor's root nor another vendor's identity lets a package pass."""
    assert asked(root(vendor="other"), identity()).reason is Reason.UNKNOWN_ROOT
    assert asked(root(), identity(vendor="other")).reason is Reason.UNEXPECTED_SIGNER


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (AnchorState.PENDING, Reason.UNEXPECTED_SIGNER),
        (AnchorState.REMOVED, Reason.UNEXPECTED_SIGNER),
        (AnchorState.DISTRUSTED, Reason.DISTRUSTED),
        (AnchorState.COMPROMISED, Reason.COMPROMISED),
    ],
)
def test_the_state_of_an_identity_decides(state: AnchorState, reason: Reason) -> None:
    """An identity that is pending or removed is not stated; one that is buried condemns what it signed."""
    assert asked(root(), identity(state=state)).reason is reason


@pytest.mark.parametrize("state", [AnchorState.PENDING, AnchorState.REMOVED, AnchorState.REJECTED])
def test_a_root_that_is_not_valid_vouches_for_nothing(state: AnchorState) -> None:
    """A proposed or removed root is no root."""
    assert asked(root(state=state), identity()).reason is Reason.UNKNOWN_ROOT


def test_a_distrusted_root_condemns() -> None:
    """What a distrusted root vouches for is distrusted."""
    assert asked(root(state=AnchorState.DISTRUSTED), identity()).reason is Reason.DISTRUSTED


def test_a_distrusted_identity_wins_over_a_valid_pattern() -> None:
    """A buried identity fails a package even where a wider pattern would let it pass."""
    wide = identity(r"^[a-z]+@vendor\.example$")
    assert asked(root(), wide, identity(state=AnchorState.DISTRUSTED)).reason is Reason.DISTRUSTED


def test_the_constraints_of_root_and_identity_hold() -> None:
    """A product rule of either anchor is asked about the package's name."""
    elsewhere = Constraints(products=("other-*",))
    assert asked(root(constraints=elsewhere), identity()).reason is Reason.OUT_OF_SCOPE
    assert asked(root(), identity(constraints=elsewhere)).reason is Reason.OUT_OF_SCOPE


def test_one_identity_counts_once() -> None:
    """Two signatures by one identity, each with its own short-lived key, are one signer's."""
    lines = b"\n".join(json.dumps(INSTANCE.sign(ARTIFACT, WHO).bundle()).encode() for _ in range(2))
    facts = facts_of(lines)
    verdict = verify_package(facts, supplied(INSTANCE.trusted_root()), question())
    assert (len(facts.signatures), verdict.reason) == (2, Reason.TRUSTED)
    view = supplied(INSTANCE.trusted_root())
    material = prepare(view, question())
    judged = [judge_signature(fact, material, view, question(), "detached") for fact in facts.signatures]
    assert len({one.key for one in judged}) == 1


def test_a_question_about_the_time_before_does_not_pass() -> None:
    """Asked about a moment before it was signed, the signature did not exist."""
    early = replace(question(), at=SIGNED_AT - timedelta(days=1), time_basis="requested")
    assert verify_package(facts_of(GOOD), supplied(INSTANCE.trusted_root()), early).reason is Reason.NOT_YET_VALID


def test_a_key_of_another_kind_in_the_log_is_told() -> None:
    """A bundle by a bare key whose log entry names another key is refused under its own key too."""
    key, other = new_key("p256"), new_key("p256")
    signed = INSTANCE.with_key(key, ARTIFACT)
    bundle = signed.bundle(entries=[signed.entry(verifier=pem(other))])
    material = read_material(pem(key), "key.pub")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    verdict = verify_package(facts_of(bundle, ARTIFACT, *material.candidates), view, question(None))
    assert verdict.reason is Reason.INVALID_SIGNATURE


def test_a_root_handed_over_with_a_key_asks_for_its_log() -> None:
    """With a trusted root beside the key, the log entry must be there and hold; without one, the key alone decides."""
    key = new_key("p256")
    signed = INSTANCE.with_key(key, ARTIFACT)
    material = read_material(pem(key), "key.pub")
    alone = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    both = replace(alone, anchors=alone.anchors + supplied(INSTANCE.trusted_root()).anchors)
    unlogged = facts_of(signed.bundle(entries=[]), ARTIFACT, *material.candidates)
    assert verify_package(unlogged, alone, question(None)).reason is Reason.TRUSTED
    assert verify_package(unlogged, both, question(None)).reason is Reason.UNKNOWN_ROOT
    bare = INSTANCE.trusted_root() | {"tlogs": []}
    with_nobody = replace(alone, anchors=alone.anchors + supplied(bare).anchors)
    assert verify_package(unlogged, with_nobody, question(None)).reason is Reason.TRUSTED
    broken = signed.bundle()
    broken["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["treeSize"] = "9"
    facts = facts_of(broken, ARTIFACT, *material.candidates)
    assert verify_package(facts, both, question(None)).reason is Reason.INVALID_SIGNATURE


def test_a_file_of_statements_may_have_some_about_other_packages() -> None:
    """A key's statements about other files beside the one about this package say nothing; alone such a one does not hold."""
    key = new_key("p256")
    subjects = [("a", {"sha256": hashlib.sha256(content).hexdigest()}) for content in (ARTIFACT, b"other")]
    own, other = (INSTANCE.with_key(key, statement(one), envelope=True).bundle() for one in subjects)
    material = read_material(pem(key), "key.pub")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    for bundles, reason in (((own, other), Reason.TRUSTED), ((other, other), Reason.INVALID_SIGNATURE)):
        lines = b"\n".join(json.dumps(one).encode() for one in bundles)
        facts = facts_of(lines, ARTIFACT, *material.candidates)
        assert verify_package(facts, view, question(None)).reason is reason
    alone = verify_package(facts_of(other, ARTIFACT, *material.candidates), view, question(None))
    assert alone.reason is Reason.INVALID_SIGNATURE
    assert alone.signatures[0].known_key


def test_an_envelope_is_no_signature_over_its_own_encoding() -> None:
    """What was signed and logged as an envelope is not shown as a file that holds the envelope's PAE; a bare key signs more than that."""
    digests = {"sha256": hashlib.sha256(ARTIFACT).hexdigest()}
    attested = INSTANCE.attest(statement(("artifact", digests)), WHO)
    encoded = pae(IN_TOTO, attested.content)
    shown = replace(attested, content=encoded, envelope=False)
    bundle = shown.bundle(entries=[attested.entry("hashedrekord 0.0.2")], timestamps=[attested.timestamp()])
    verdict = verify_package(facts_of(bundle, encoded), supplied(INSTANCE.trusted_root()), question())
    assert verdict.reason is Reason.MALFORMED
    for content, reason in ((bytes(range(200, 232)), Reason.MALFORMED), (ARTIFACT, Reason.TRUSTED)):
        key = new_key("p256")
        material = read_material(pem(key), "key.pub")
        view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
        facts = facts_of(INSTANCE.with_key(key, content).bundle(entries=[]), content, *material.candidates)
        assert verify_package(facts, view, question(None)).reason is reason
    digest = bytes(range(200, 232))
    facts = facts_of(INSTANCE.sign(digest, WHO).bundle(), digest)
    assert verify_package(facts, supplied(INSTANCE.trusted_root()), question()).reason is Reason.TRUSTED


def test_a_certificate_and_a_key_never_stand_in_for_each_other() -> None:
    """A certificate's bundle does not pass because its key is an anchor."""
    key = new_key("p256")
    bundle = INSTANCE.sign(ARTIFACT, WHO, key=key).bundle()
    material = read_material(pem(key), "key.pub")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    verdict = verify_package(facts_of(bundle, ARTIFACT, *material.candidates), view, question(None))
    assert verdict.reason is Reason.UNKNOWN_ROOT


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_inclusion_proofs_of_every_leaf(size: int) -> None:
    """RFC 9162 2.1.3: every leaf of a tree is proven, and no proof is one of another leaf or of a tree of another size."""
    bodies = [b"leaf %d" % index for index in range(size)]
    leaves = [hashlib.sha256(b"\0" + body).digest() for body in bodies]
    for index, body in enumerate(bodies):
        good = InclusionProof(index, merkle(leaves), size, tuple(proof(leaves, index)), None)
        assert includes(body, good)
        assert not includes(body + b"x", good)
        others = [i for i in range(size + 2) if i != index]
        assert not any(includes(body, replace(good, index=other)) for other in others)
        assert not includes(body, replace(good, hashes=(*good.hashes, bytes(32))))
        assert not good.hashes or not includes(body, replace(good, hashes=good.hashes[:-1]))


def test_limits_are_told_as_limits() -> None:
    """More entries, timestamps or hashes than are read are a resource limit, not a verdict on what was read."""
    entry = GOOD["verificationMaterial"]["tlogEntries"][0]
    many = copy.deepcopy(GOOD)
    many["verificationMaterial"]["tlogEntries"] = [entry] * (MAX_ENTRIES + 1)
    stamps = [{"signedTimestamp": b64(b"%d" % number)} for number in range(MAX_TIMESTAMPS + 1)]
    stamped = copy.deepcopy(GOOD)
    stamped["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    long = copy.deepcopy(GOOD)
    long["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"] = [b64(bytes(32))] * (
        MAX_PROOF_HASHES + 1
    )
    for bundle in (many, stamped, long):
        with pytest.raises(ResourceLimitError):
            parse(json.dumps(bundle).encode())


def test_more_lines_than_are_read() -> None:
    """A file with more bundles than are judged is a resource limit, and none of them counts."""
    facts = facts_of(json.dumps(GOOD).encode().join([b"", *[b"\n"] * MAX_LINES, b"\n"]))
    problems = [fact.problem.reason for fact in facts.signatures if fact.problem]
    assert problems == [Reason.RESOURCE_LIMIT]


def test_one_unreadable_line_is_not_left_out() -> None:
    """Of several bundles in a file, one that cannot be read is a signature with that problem beside the others."""
    strange = GOOD | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.9"}
    facts = facts_of(json.dumps(GOOD).encode() + b"\n" + json.dumps(strange).encode())
    assert [fact.problem is None for fact in facts.signatures] == [True, False]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "veri', "sigstore"),
        (b'{"base64Signature": "', "cosign-bundle"),
        (b'{"version": 1, "verification_material": {', "pypi-attestation"),
        (b'{"attestations": [{"bundle": {"mediaType": "application/vnd.dev.sigstore.bundle', "npm-attestation"),
        (b'{"payload": "", "payloadType": "", "signatures": [', "dsse"),
        (b'{"name": "x", "dist": {"integrity": "sha512-', "npm"),
        (b'{"protected": "", "header": {"x5c": [', "notation-jws"),
        (b'{"name": "x"', None),
        (b"[1]", None),
        (b"", None),
    ],
)
def test_what_is_cut_short_is_of_its_kind(text: bytes, kind: str | None) -> None:
    """A document that is cut short is damaged and not unknown."""
    assert kind == kind_of(text)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=40)
    | st.sampled_from([b64(b"x"), "0.3", "0.0.1", "sha256"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


_BUNDLES = [HANDED[name].bundle for name in ("good_v02", "good_v03", "good_dsse", "good_rekor2", "good_intoto")]


@given(data=st.data())
def test_whatever_stands_in_a_bundle_is_answered(data: st.DataObject) -> None:
    """Any value in place of any part of a bundle is read or refused, judged without an exception, and never lets more pass."""
    bundle = copy.deepcopy(data.draw(st.sampled_from(_BUNDLES)))
    *path, last = data.draw(st.sampled_from([place for place in _places(bundle) if place]))
    inner: Any = bundle
    for key in path:
        inner = inner[key]
    inner[last] = data.draw(_JSON)
    verdict = verify_package(
        facts_of(bundle), supplied(HANDED["good_v03"].root), question(("else@vendor.example", ISSUER))
    )
    assert verdict.outcome is not Outcome.PASSED


@given(st.binary(max_size=300))
def test_decoders_raise_nothing_else(data: bytes) -> None:
    """Any bytes: one of the three errors or a value."""
    for read in (parse, parse_body, read_trusted_root, token_of, documents):
        try:
            read(data)
        except READ_ERRORS:
            continue


@given(st.text(max_size=200))
def test_checkpoints_raise_nothing_else(note: str) -> None:
    """Any text: one of the three errors or a checkpoint."""
    for text in (note, f"origin\n7\n{b64(bytes(32))}\n\n— {note}\n"):
        try:
            parse_checkpoint(text)
        except READ_ERRORS:
            continue


@pytest.mark.parametrize("value", ["", "-1", "1.0", " 1", "\uff11", True, 1.5, None, 1 << 63, "9" * 21])
def test_numbers_are_natural_and_of_64_bits(value: object) -> None:
    """A number that is anything else is malformed, in whichever way it is written."""
    with pytest.raises(MalformedError):
        an_integer({"n": value}, "n")


def test_base64_and_hexadecimal_are_strict() -> None:
    """Outside protobuf line ends, other alphabets and missing padding are refused; inside, two alphabets at once and what is neither."""
    for text in ("YQ", "YQ=\n=", "Y-==", "é", "YWJj=", "YWJj====", "YQ==="):
        with pytest.raises(MalformedError):
            base64_octets(text, "it")
    assert {any_base64(text, "it") for text in ("+/8A", "-_8A", "+/\n8A\r\n")} == {b"\xfb\xff\x00"}
    assert any_base64("YQ", "it") == any_base64("YQ==", "it") == b"a"
    for text in ("+_8A", "YQ=", "Y", "YWJj=", "YWJj====", "Y Q=", "YQ==YQ==", "é", "YQ\0="):
        with pytest.raises(MalformedError):
            any_base64(text, "it")
    for wrong in ("00", "zz" * 32, None, "0" * 63):
        with pytest.raises(MalformedError):
            a_digest(wrong, 32)


def test_the_signature_of_a_cosign_key_is_a_bare_value() -> None:
    """``cosign sign-blob --key`` writes ECDSA in base64: read as the bare value that it is."""
    key = new_key("p256")
    material = read_material(pem(key), "cosign.pub")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    facts = facts_of(b64(sign(key, ARTIFACT)).encode(), ARTIFACT, *material.candidates)
    assert verify_package(facts, view, question(None)).reason is Reason.TRUSTED


def test_cosigns_files_stand_for_one_signature() -> None:
    """``.sig`` and the log's answer beside it, as cosign wrote them into two files, are one signature; each file verifies."""
    signed = INSTANCE.sign(ARTIFACT, WHO)
    whole, logged = signed.cosign(), signed.cosign()["rekorBundle"]
    value, other = b64(signed.value).encode(), b64(sign(new_key("p256"), ARTIFACT)).encode()
    root = INSTANCE.trusted_root()
    for beside in (whole, logged):
        sides = [json.dumps(beside).encode(), value]
        facts = facts_of(sides[0]), several(sides), several([sides[0], other])
        reasons = [verify_package(one, supplied(root), question()).reason for one in facts]
        assert reasons == [Reason.TRUSTED, Reason.TRUSTED, Reason.UNKNOWN_ROOT]


def test_cosigns_files_may_be_over_a_list() -> None:
    """The same beside a list of digests, as release tools sign their ``checksums.txt``."""
    listed = f"{hashlib.sha256(ARTIFACT).hexdigest()}  artifact\n".encode()
    signed = INSTANCE.sign(listed, WHO)
    sides = [listed, json.dumps(signed.cosign()).encode(), b64(signed.value).encode()]
    names = ("list.txt", "list.txt.bundle", "list.txt.sig")
    for count, reason in ((1, Reason.UNSIGNED), (2, Reason.TRUSTED), (3, Reason.TRUSTED)):
        verdict = verify_package(several(sides[:count], names), supplied(INSTANCE.trusted_root()), question())
        assert verdict.reason is reason
    other = [
        sides[0].replace(b"artifact", b"other").replace(listed[:1], b"f" if listed[:1] != b"f" else b"e", 1),
        *sides[1:],
    ]
    verdict = verify_package(several(other, names), supplied(INSTANCE.trusted_root()), question())
    assert verdict.reason is Reason.INVALID_SIGNATURE


def several(sides: list[bytes], names: tuple[str, ...] = ("side0", "side1")) -> PackageFacts:
    """What is seen in the artifact with several files beside it."""
    given = [
        SideMaterial(SideFile(name, f"{n:064x}"), SignatureOrigin.GIVEN, data)
        for n, (name, data) in enumerate(zip(names, sides, strict=False))
    ]
    return read_package(BytesSource(ARTIFACT), tuple(given), (), LIMITS)
