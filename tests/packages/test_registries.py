"""npm metadata, PyPI's file names and in-toto statements: what the table cannot say; sigstore anchors of a store."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.pki import new_key
from tests.packages.sigstore_craft import IN_TOTO, ISSUER, Instance, b64, pem, sign, spki, statement
from tests.packages.test_sigstore import NOW, facts_of, question, stored
from trust_store.decode.distribution_names import same_distribution
from trust_store.decode.dsse import MAX_SUBJECTS, parse_envelope, parse_statement
from trust_store.decode.strict_json import MAX_JSON_ITEMS, parse_object
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints
from trust_store.model.trust_view import TrustView
from trust_store.model.vendor import Vendor, VendorPolicy
from trust_store.model.verdict import Outcome, Reason
from trust_store.signatures.dsse import MAX_SIGNED_BYTES
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification import verify_package
from trust_store.verification.supplied import read_material, supplied_anchors

if TYPE_CHECKING:
    from trust_store.model.verdict import Verdict

TARBALL = b"a tarball\n"
KEY = new_key("p256")
KIND = "ecdsa-sha2-nistp256"
INTEGRITY = "sha512-" + b64(hashlib.sha512(TARBALL).digest())
INSTANCE = Instance.make("registry.example")


def manifest(*signatures: dict[str, str], **dist: Any) -> dict[str, Any]:
    """The metadata of one version, signed with KEY unless ``signatures`` are given."""
    value = b64(sign(KEY, f"tool@1.0.0:{INTEGRITY}".encode()))
    listed = list(signatures) or [{"keyid": "SHA256:k", "sig": value}]
    return {"name": "tool", "version": "1.0.0", "dist": {"integrity": INTEGRITY, "signatures": listed} | dist}


def keys(expires: str | None = None, key_id: str = "SHA256:k") -> bytes:
    """The registry's list."""
    entry = {"keyid": key_id, "keytype": KIND, "scheme": KIND, "key": b64(spki(KEY)), "expires": expires}
    return json.dumps({"keys": [entry]}).encode()


def judged(side: Any, listed: bytes, content: bytes = TARBALL, policy: VendorPolicy | None = None) -> Verdict:
    """What is said of a tarball."""
    material = read_material(listed, "keys")
    vendor = Vendor(id="acme", name="Acme", policy=policy) if policy else None
    view = TrustView(anchors=supplied_anchors(material, NOW), vendor=vendor, trust="supplied")
    data = side if isinstance(side, bytes) else json.dumps(side).encode()
    return verify_package(facts_of(data, content, *material.candidates), view, question(None))


def test_one_of_several_signatures_of_a_version_suffices() -> None:
    """A registry that rotates its key signs with both for a while."""
    good = manifest()["dist"]["signatures"][0]
    strange = {"keyid": "SHA256:other", "sig": b64(sign(new_key("p256"), b"x"))}
    assert judged(manifest(strange, good), keys()).reason is Reason.TRUSTED


def test_a_key_id_is_a_hint() -> None:
    """A signature holds under a key at hand whatever its id; one that names a key and does not hold under it is broken."""
    assert judged(manifest(), keys(key_id="SHA256:renamed")).reason is Reason.TRUSTED
    forged = {"keyid": "SHA256:k", "sig": b64(sign(new_key("p256"), b"x"))}
    assert judged(manifest(forged), keys()).reason is Reason.INVALID_SIGNATURE


def test_the_time_of_publication_is_the_registrys_word() -> None:
    """It rescues a signature by a key that has expired since only where the policy believes what is claimed."""
    old = "2026-04-01T00:00:00Z"
    packument = {"name": "tool", "versions": {"1.0.0": manifest()}, "time": {"1.0.0": "2026-03-01T00:00:00Z"}}
    late = packument | {"time": {"1.0.0": "2026-05-01T00:00:00Z"}}
    assert judged(packument, keys(old)).reason is Reason.EXPIRED
    assert judged(packument, keys(old), policy=VendorPolicy(claimed_time="accept")).reason is Reason.TRUSTED
    assert judged(late, keys(old), policy=VendorPolicy(claimed_time="accept")).reason is Reason.EXPIRED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"integrity": None}, Reason.MALFORMED),
        ({"integrity": "sha1-" + b64(bytes(20))}, Reason.MALFORMED),
        ({"integrity": "sha512-" + b64(bytes(63))}, Reason.MALFORMED),
        ({"integrity": INTEGRITY + " " + INTEGRITY}, Reason.MALFORMED),
        ({"signatures": "none"}, Reason.MALFORMED),
        ({"signatures": None}, Reason.UNSIGNED),
    ],
)
def test_metadata_that_says_too_little(change: dict[str, Any], reason: Reason) -> None:
    """Without one SHA-512 digest there is nothing that was signed; without a signature it is unsigned."""
    assert judged(manifest(**change), keys()).reason is reason


def test_a_version_under_another_name_is_malformed() -> None:
    """A packument holds versions of one package."""
    packument = {"name": "tool", "versions": {"1.0.0": manifest() | {"name": "else"}}}
    assert judged(packument, keys()).reason is Reason.MALFORMED


def test_a_key_of_the_registry_speaks_for_npm_alone() -> None:
    """An npm key makes neither a bare statement nor a bundle of another kind pass."""
    content = statement(("tool", {"sha256": hashlib.sha256(TARBALL).hexdigest()}))
    signed = INSTANCE.with_key(KEY, content, envelope=True)
    assert judged(signed.dsse(), keys()).reason is Reason.UNKNOWN_ROOT
    assert judged(signed.bundle(), keys()).reason is Reason.UNKNOWN_ROOT


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("tool-1.0.tar.gz", "tool-1.0.tar.gz", True),
        ("My.Tool-1.0.tar.gz", "my_tool-1.0.tar.gz", True),
        ("my_tool-1.0-py2.py3-none-any.whl", "My_Tool-1.0-py3.py2-none-any.whl", True),
        ("tool-1.0-1-py3-none-any.whl", "tool-1.0-py3-none-any.whl", False),
        ("tool-1.0.tar.gz", "tool-1.1.tar.gz", False),
        ("tool-1.0.tar.gz", "tool-1.0-py3-none-any.whl", False),
        ("tool-1.0.tar.gz", "d/tool-1.0.tar.gz", False),
        ("tool.exe", "tool.exe", False),
        ("", "", False),
    ],
)
def test_names_of_distributions(first: str, second: str, same: bool) -> None:  # noqa: FBT001 - a row of the table
    """PEP 740: the names must be of one distribution; what is no distribution's name is nobody's."""
    assert same is same_distribution(first, second)
    assert same is same_distribution(second, first)


def test_base64_in_lines_is_the_same_base64() -> None:
    """Early attestations on PyPI have their certificate and statement in lines of 76 characters, and some bundles their timestamps."""
    digest = hashlib.sha256(TARBALL).hexdigest()
    attestation = INSTANCE.attest(statement(("tool-1.0.tar.gz", {"sha256": digest})), "a@vendor.example").attestation()
    folded = json.loads(json.dumps(attestation))
    for part, name in (("verification_material", "certificate"), ("envelope", "statement"), ("envelope", "signature")):
        folded[part][name] = base64.encodebytes(base64.b64decode(folded[part][name])).decode()
    first, second = (facts_of(json.dumps(said).encode(), TARBALL).signatures[0] for said in (attestation, folded))
    assert (first.key_checks, first.signed) == (second.key_checks, second.signed)
    assert second.key_checks[0].holds
    bundle = INSTANCE.sign(TARBALL, "a@vendor.example").bundle()
    for end, is_read in (("\n", True), (" ", False)):
        changed = {**bundle["messageSignature"], "signature": bundle["messageSignature"]["signature"] + end}
        (fact,) = facts_of(bundle | {"messageSignature": changed}, TARBALL).signatures
        assert (fact.problem is None) is is_read


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_names_are_answered(first: str, second: str) -> None:
    """The comparison is one of equals, and never an exception."""
    assert same_distribution(first, second) is same_distribution(second, first)


def _envelope(payload: object, kind: str = IN_TOTO) -> dict[str, Any]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {"payload": b64(data), "payloadType": kind, "signatures": [{"sig": b64(b"x"), "keyid": None}]}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"_type": "https://in-toto.io/Statement/v9"}, UnsupportedError),
        ({"_type": None}, MalformedError),
        ({"subject": []}, MalformedError),
        ({"subject": "x"}, MalformedError),
        ({"subject": [{"name": "x"}]}, MalformedError),
        ({"subject": [{"name": 1, "digest": {}}]}, MalformedError),
        ({"subject": [{"name": "x", "digest": {"sha256": "00"}}]}, MalformedError),
        ({"subject": [{"name": "x", "digest": {"gitCommit": "0" * 40}}]}, UnsupportedError),
        ({"subject": [{"digest": {}}] * (MAX_SUBJECTS + 1)}, ResourceLimitError),
        ({"predicateType": None}, MalformedError),
    ],
)
def test_statements_that_are_not_taken(change: dict[str, Any], error: type[Exception]) -> None:
    """A statement of another kind, about nothing, or without a digest that counts."""
    said = json.loads(statement(("x", {"sha256": "0" * 64}))) | change
    with pytest.raises(error):
        parse_statement(parse_envelope(_envelope(said)))


def test_a_predicate_may_hold_fractions() -> None:
    """Numbers in a predicate (a software bill of materials has some) are none of our business."""
    said = json.loads(statement(("x", {"sha256": "0" * 64}))) | {"predicate": {"score": 9.5e3}}
    assert parse_statement(parse_envelope(_envelope(said))).count == 1


def test_every_stated_digest_must_be_the_files() -> None:
    """A subject that states a right SHA-256 and a wrong SHA-512 is another file."""
    content = statement(("x", {"sha256": hashlib.sha256(TARBALL).hexdigest(), "sha512": "0" * 128}))
    verdict = judged(INSTANCE.with_key(KEY, content, envelope=True).dsse(), pem(KEY))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.INVALID_SIGNATURE)


def test_the_end_of_a_registrys_key_is_its_last_moment() -> None:
    """A key counts up to its end and not after."""
    at = datetime(2026, 6, 1, tzinfo=UTC)
    assert judged(manifest(), keys(at.isoformat())).reason is Reason.TRUSTED
    assert judged(manifest(), keys("2026-05-31T23:59:59Z")).reason is Reason.EXPIRED


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (AnchorState.VALID, Reason.TRUSTED),
        (AnchorState.PENDING, Reason.OUT_OF_SCOPE),
        (AnchorState.DISTRUSTED, Reason.OUT_OF_SCOPE),
    ],
)
def test_a_log_proves_that_a_key_signed_before_its_end(state: AnchorState, reason: Reason) -> None:
    """A registry's key that has ended since counts for what a log of a valid root took in before; a buried root's log proves nothing."""
    content = statement(("pkg:npm/tool@1.0.0", {"sha512": hashlib.sha512(TARBALL).hexdigest()}))
    bundle = INSTANCE.with_key(KEY, content, envelope=True).bundle("0.2")
    side = json.dumps({"attestations": [{"predicateType": "publish", "bundle": bundle}]}).encode()
    ended = Constraints(valid_until=datetime(2026, 4, 1, tzinfo=UTC))
    root = stored(AnchorKind.SIGSTORE_ROOT, json.dumps(INSTANCE.trusted_root()).encode(), state)
    anchors = (stored(AnchorKind.NPM, spki(KEY), constraints=ended), root)
    facts = facts_of(side, TARBALL, CandidateKey("npm", spki(KEY)))
    assert verify_package(facts, TrustView(anchors=anchors), question(None, "acme")).reason is reason


def test_an_attestation_of_another_kind_says_nothing_about_publication() -> None:
    """PEP 740 names the predicates that count beside a distribution."""
    digest = hashlib.sha256(TARBALL).hexdigest()
    material = read_material(json.dumps(INSTANCE.trusted_root()).encode(), "root.json")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    named = replace(question(("a@vendor.example", ISSUER)), name="tool-1.0.tar.gz")
    found = []
    for predicate in ("https://docs.pypi.org/attestations/publish/v1", "https://vendor.example/reviewed/v1"):
        content = statement(("tool-1.0.tar.gz", {"sha256": digest}), predicate=predicate)
        side = json.dumps(INSTANCE.attest(content, "a@vendor.example").attestation()).encode()
        found.append(verify_package(facts_of(side, TARBALL), view, named).reason)
    assert found == [Reason.TRUSTED, Reason.OUT_OF_SCOPE]


def test_an_envelope_is_kept_for_each_of_its_signatures_within_bounds() -> None:
    """What all signatures of a file are over is kept together with each of them: a large payload has few."""
    payload = statement(("x", {"sha256": "0" * 64}), predicate="x" * 4000)
    said = {
        "payload": b64(payload + b" " * (MAX_SIGNED_BYTES // 8)),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": "AAAA"}] * 7,
    }
    (problem,) = {fact.problem for fact in facts_of(json.dumps(said).encode(), TARBALL).signatures}
    assert problem is None
    (fact,) = facts_of(json.dumps(said | {"signatures": [{"sig": "AAAA"}] * 8}).encode(), TARBALL).signatures
    assert fact.problem is not None
    assert fact.problem.reason is Reason.RESOURCE_LIMIT


def test_json_of_very_many_values_is_not_read() -> None:
    """Each value becomes an object of many times its length: their number is limited before any of them is made."""
    for value in (b"[]", b"{}", b"9", b'{"a":1}'):
        many = b",".join([value] * MAX_JSON_ITEMS)
        with pytest.raises(ResourceLimitError):
            parse_object(b'{"it":[%b,%b]}' % (many, value), max_bytes=len(many) * 2)
    assert len(parse_object(b'{"it":[%b]}' % b",".join([b"9"] * (MAX_JSON_ITEMS - 1)))["it"]) == MAX_JSON_ITEMS - 1
