from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.packages.generate.sshsig import KEYS
from tests.packages.pki import new_key
from tests.packages.table import FIXTURES
from tests.trust_store.package_craft import read
from tests.trust_store.verdict_craft import AT, ask, beside
from trust_store.decode.key_files import read_keys
from trust_store.decode.spki import spki_identifiers
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.model.vendor import VendorPolicy
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.signatures.protocol import CandidateKey
from trust_store.signatures.schemes import with_candidates

if TYPE_CHECKING:
    from pathlib import Path

    from trust_store.formats.protocol import SideMaterial
    from trust_store.model.package_facts import PackageFacts

MINISIGN, SSHSIG = FIXTURES / "minisign", FIXTURES / "sshsig"
PACKAGE = (MINISIGN / "package.bin").read_bytes()


def anchor_of(folder: Any, name: str, state: AnchorState = AnchorState.VALID, **fields: Any) -> TrustAnchor:
    """The one key of a file as an anchor of dten."""
    (key,) = read_keys((folder / name).read_bytes(), name=name)
    digest = hashlib.sha256(key.material).hexdigest()
    values: dict[str, Any] = {
        "id": f"anchor_{digest[:8]}",
        "vendor_id": "dten",
        "kind": key.kind,
        "name": key.name,
        "key_sha256": digest,
        "material": key.material,
        "state": state,
        "recorded_at": AT - timedelta(days=10),
        "effective_from": AT - timedelta(days=10),
        "signer_rule": SignerRule(dedicated=True),
        "identifiers": key.identifiers,
    }
    return TrustAnchor(**(values | fields))


@lru_cache
def facts_of(scheme: str, signature: str, *anchors: TrustAnchor) -> PackageFacts:
    """The package with one signature beside it, read with the keys of ``anchors`` at hand."""
    data = (FIXTURES / scheme / signature).read_bytes()
    keys = tuple(CandidateKey(anchor.kind.value, anchor.material) for anchor in anchors)
    return read(PACKAGE, beside(data, SignatureOrigin.GIVEN, signature), keys=keys)


def given(path: Path) -> SideMaterial:
    """A signature file that was found beside the package."""
    return beside(path.read_bytes(), name=path.name)


MINISIGN_KEY, SSH_KEY = anchor_of(MINISIGN, "vendor.pub"), anchor_of(SSHSIG, "ed25519.pub")
BY_MINISIGN = facts_of("minisign", "package.bin.minisig", MINISIGN_KEY)
BY_SSH = facts_of("sshsig", "package.bin.sig")
both = pytest.mark.parametrize(
    ("facts", "key"), [(BY_MINISIGN, MINISIGN_KEY), (BY_SSH, SSH_KEY)], ids=["minisign", "ssh"]
)


@both
def test_an_anchor_that_is_the_key_vouches(facts: PackageFacts, key: TrustAnchor) -> None:
    """A valid anchor on the signing key passes; the path is the anchor alone, since there is no certificate."""
    verdict = ask(facts, key)
    (signature,) = verdict.signatures
    assert verdict.reason is Reason.TRUSTED
    assert signature.anchor == (key.id, key.name)
    assert [node.sha256 for node in signature.path] == [key.key_sha256]
    assert signature.integrity == "intact"


def test_identifiers_of_a_minisign_key() -> None:
    """A minisign signer is told by the key number as minisign displays it, and by the digest of the key."""
    signer = ask(BY_MINISIGN, MINISIGN_KEY).signatures[0].signer
    assert signer is not None
    shown = (MINISIGN / "vendor.pub").read_text().split("\n")[0].rpartition(" ")[2]
    assert (signer.kind, dict(signer.identifiers)["key_id"]) == ("minisign", shown.lower().rjust(16, "0"))
    assert dict(signer.identifiers)["sha256"] == MINISIGN_KEY.key_sha256


def test_identifiers_of_an_ssh_key() -> None:
    """An SSH signer is told by the SHA-256 of its key blob."""
    signer = ask(BY_SSH, SSH_KEY).signatures[0].signer
    assert signer is not None
    assert (signer.kind, dict(signer.identifiers)["sha256"]) == ("ssh", SSH_KEY.key_sha256)


def test_an_unknown_ssh_key_is_intact_and_named() -> None:
    """An SSH signature brings its key: without an anchor it is intact, by a key that is named, under no known root."""
    verdict = ask(BY_SSH)
    (signature,) = verdict.signatures
    assert (verdict.reason, signature.integrity) == (Reason.UNKNOWN_ROOT, "intact")
    assert signature.signer is not None
    assert dict(signature.signer.identifiers) == {"sha256": SSH_KEY.key_sha256}


def test_an_unknown_minisign_key_is_unchecked_and_named() -> None:
    """A minisign signature names its key by number alone: without the key nothing can be computed."""
    verdict = ask(facts_of("minisign", "package.bin.minisig"))
    (signature,) = verdict.signatures
    assert (verdict.reason, signature.integrity) == (Reason.UNKNOWN_ROOT, "unchecked")
    assert signature.signer is not None
    assert [kind for kind, _ in signature.signer.identifiers] == ["key_id"]


@both
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (AnchorState.PENDING, Reason.UNKNOWN_ROOT),
        (AnchorState.REMOVED, Reason.UNKNOWN_ROOT),
        (AnchorState.REJECTED, Reason.UNKNOWN_ROOT),
        (AnchorState.SUPERSEDED, Reason.REVOKED),
        (AnchorState.REVOKED, Reason.REVOKED),
        (AnchorState.COMPROMISED, Reason.COMPROMISED),
        (AnchorState.DISTRUSTED, Reason.DISTRUSTED),
    ],
)
def test_states(facts: PackageFacts, key: TrustAnchor, state: AnchorState, reason: Reason) -> None:
    """An anchor in any state but valid passes nothing, and says why."""
    assert ask(facts, replace(key, state=state)).reason is reason


@both
def test_a_tombstone_wins(facts: PackageFacts, key: TrustAnchor) -> None:
    """A key that another vendor has buried passes under no anchor."""
    buried = replace(key, id="anchor_buried", vendor_id="other", state=AnchorState.DISTRUSTED)
    assert ask(facts, key, buried).reason is Reason.DISTRUSTED


def test_a_tombstone_finds_the_key_in_another_kind() -> None:
    """One Ed25519 key is one key: buried as a raw key, it signs nothing as a minisign or SSH key either."""
    for facts, key in ((BY_MINISIGN, MINISIGN_KEY), (BY_SSH, SSH_KEY)):
        point = key.material[-32:]
        spki = bytes.fromhex("302a300506032b6570032100") + point
        raw = replace(
            key, id="anchor_raw", kind=AnchorKind.RAW, material=spki, key_sha256=hashlib.sha256(spki).hexdigest(),
            identifiers=spki_identifiers(spki), state=AnchorState.COMPROMISED,
        )  # fmt: skip
        assert ask(facts, key, raw).reason is Reason.COMPROMISED


def test_a_key_does_not_speak_in_another_protocol() -> None:
    """A key that was approved as a minisign key does not vouch as an SSH key: whoever approved it meant the one protocol."""
    spki = bytes.fromhex("302a300506032b6570032100") + SSH_KEY.material[-32:]
    digest = hashlib.sha256(spki).hexdigest()
    raw = replace(SSH_KEY, kind=AnchorKind.RAW, material=spki, key_sha256=digest, identifiers=spki_identifiers(spki))
    assert ask(BY_SSH, raw).reason is Reason.UNKNOWN_ROOT


@both
def test_other_vendors_do_not_count(facts: PackageFacts, key: TrustAnchor) -> None:
    """An anchor of another vendor vouches for nothing of this one."""
    assert ask(facts, replace(key, vendor_id="other")).reason is Reason.UNKNOWN_ROOT


@both
def test_vendor_unstated(facts: PackageFacts, key: TrustAnchor) -> None:
    """Without a vendor nothing in the store passes a package."""
    assert ask(facts, key, vendor=ExpectedVendor(None, "none")).outcome is Outcome.INDETERMINATE


@both
@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(products=("other-*",)),
        Constraints(formats=("zip",)),
        Constraints(purposes=("tls",)),
        Constraints(valid_until=AT - timedelta(days=1)),
        Constraints(valid_from=AT + timedelta(days=1)),
        Constraints(distrust_after=AT - timedelta(days=1)),
        Constraints(digests=("sha384",)),
        Constraints(permitted_names=(("dns", "dten.example"),)),
    ],
)
def test_constraints(facts: PackageFacts, key: TrustAnchor, constraints: Constraints) -> None:
    """Every constraint of the anchor holds for a key without a certificate; one about names cannot be met."""
    assert ask(facts, replace(key, constraints=constraints)).reason is Reason.OUT_OF_SCOPE


@both
def test_a_rule_about_certificates_cannot_be_met(facts: PackageFacts, key: TrustAnchor) -> None:
    """A signer rule with a condition on certificates is met by no bare key."""
    rule = SignerRule(subject=(("O", "DTEN"),))
    assert ask(facts, replace(key, signer_rule=rule)).reason is Reason.UNEXPECTED_SIGNER


@both
def test_required_revocation_cannot_be_had(facts: PackageFacts, key: TrustAnchor) -> None:
    """Nobody issues revocation lists about bare keys: where they are required nothing passes."""
    assert ask(facts, replace(key, constraints=Constraints(revocation="required"))).reason is Reason.REVOCATION_UNKNOWN


def test_small_rsa_keys_are_weak() -> None:
    """An RSA key of 1024 bits does not count, whoever approved it."""
    small = anchor_of(SSHSIG, "rsa1024.pub")
    assert ask(facts_of("sshsig", "rsa1024.sshsig"), small).reason is Reason.WEAK_ALGORITHM


def test_rsa_size_constraint() -> None:
    """The anchor's least RSA size is compared with the SSH key's."""
    key = anchor_of(SSHSIG, "rsa.pub", constraints=Constraints(minimum_rsa_bits=3072))
    assert ask(facts_of("sshsig", "rsa-sha512.sshsig"), key).reason is Reason.OUT_OF_SCOPE


def test_two_signatures_by_one_key_count_once() -> None:
    """A vendor whose policy asks for two keys does not get them from one key in two algorithms."""
    two = (given(MINISIGN / "package.bin.minisig"), given(MINISIGN / "legacy.minisig"))
    facts = read(PACKAGE, *two, keys=(CandidateKey("minisign", MINISIGN_KEY.material),))
    assert ask(facts, MINISIGN_KEY, policy=VendorPolicy(required_signatures=2)).reason is Reason.UNSIGNED
    assert ask(facts, MINISIGN_KEY, policy=VendorPolicy(required_signatures=1)).reason is Reason.TRUSTED


def test_two_keys_of_two_kinds_count_twice() -> None:
    """Signatures by a minisign key and an SSH key are by two keys."""
    two = (given(MINISIGN / "package.bin.minisig"), given(SSHSIG / "package.bin.sig"))
    facts = read(PACKAGE, *two, keys=(CandidateKey("minisign", MINISIGN_KEY.material),))
    assert ask(facts, MINISIGN_KEY, SSH_KEY, policy=VendorPolicy(required_signatures=2)).reason is Reason.TRUSTED


def test_a_minisign_key_that_comes_later() -> None:
    """A key that comes to hand later is tried without the file where the digest is kept."""
    facts = facts_of("minisign", "package.bin.minisig")
    found = with_candidates(facts.signatures[0], (CandidateKey("minisign", MINISIGN_KEY.material),))
    assert ask(replace(facts, signatures=(found,)), MINISIGN_KEY).reason is Reason.TRUSTED


def test_a_long_package_is_not_kept_and_the_file_is_asked_for() -> None:
    """The message of an Ed25519 value is kept with the facts only where it is short: a later key needs the file again, and is told so."""
    folder, data = FIXTURES / "signify", b"\0" * 100_000
    facts = read(data, beside((folder / "package.bin.sig").read_bytes(), name="package.bin.sig"))
    verdict = ask(facts)
    assert facts.signatures[0].signed == b""
    assert (verdict.reason, verdict.needs_file) == (Reason.UNKNOWN_ROOT, True)
    later = with_candidates(facts.signatures[0], (CandidateKey("minisign", anchor_of(folder, "vendor.pub").material),))
    assert later.key_checks == ()


def test_every_ssh_key_type_is_read_as_an_anchor() -> None:
    """Keys of all types that sign are anchors of kind ssh."""
    assert {anchor_of(SSHSIG, f"{name}.pub").kind for name in KEYS} == {AnchorKind.SSH}


def test_a_raw_value_under_a_key_of_another_kind() -> None:
    """A bare value is tried with no SSH or minisign key: such keys were approved for their own protocols."""
    key = new_key("ed25519")
    point = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + point
    keys = (CandidateKey("ssh", blob), CandidateKey("minisign", b"Ed" + bytes(8) + point))
    facts = read(PACKAGE, beside(key.sign(PACKAGE), name="a.sig"), keys=keys)
    assert facts.signatures[0].key_checks == ()
