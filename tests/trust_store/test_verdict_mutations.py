from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store.package_craft import Signer, ota, read
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside, der, signed
from trust_store.model.package_facts import PackageFacts, Problem, Uncovered
from trust_store.model.trust_anchor import AnchorState, TrustAnchor
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason

PKI = VendorPKI.generate("DTEN", AT)
STRANGER = VendorPKI.generate("Stranger", AT)
FACTS = signed(PKI)


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ (1 << position % 8),)) + data[position + 1 :]


def test_every_flipped_bit_of_a_detached_file_fails() -> None:
    """A flipped bit anywhere in a file signed from beside is failed / invalid_signature."""
    side, root = beside(PKI.sign(CONTENT)), anchor(der(PKI.root))
    reasons = {ask(read(_flipped(CONTENT, n), side), root).reason for n in range(len(CONTENT))}
    assert reasons == {Reason.INVALID_SIGNATURE}


def test_no_flipped_bit_of_a_signature_file_lets_other_content_pass() -> None:
    """A damaged signature file never makes other content pass, and never raises."""
    signature, root = PKI.sign(CONTENT), anchor(der(PKI.root))
    for position in range(len(signature)):
        verdict = ask(read(CONTENT + b"!", beside(_flipped(signature, position))), root)
        assert verdict.outcome is not Outcome.PASSED


def test_every_flipped_bit_of_an_ota_package_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A flipped bit in what an OTA signature covers is failed while the format is recognised, and never passed at all."""
    key = Signer.make(
        tmp_path_factory.mktemp("key"), "release", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"
    )
    package = ota(key, {"metadata": b"post-build=1"})
    root, covered = anchor(key.der), read(package).coverage.covered_bytes
    assert ask(read(package), root).outcome is Outcome.PASSED
    for position in range(len(package)):
        verdict = ask(read(_flipped(package, position)), root)
        if position < covered:
            assert verdict.outcome is not Outcome.PASSED
            if verdict.format == "android-ota":
                assert verdict.outcome is Outcome.FAILED


def test_every_flipped_bit_of_what_a_bundle_unpacks_to_fails() -> None:
    """A flipped bit in a compressed member is failed, unless it unpacks to the very same bytes all the same."""
    package = vendor_bundle(PKI, {"a.bin": CONTENT})
    root = anchor(der(PKI.root))
    assert ask(read(package), root).outcome is Outcome.PASSED
    start = package.index(b"a.bin") + len(b"a.bin")
    end = package.index(b"PK\x03\x04", start)
    for position in range(start, end):
        flipped = _flipped(package, position)
        if ask(read(flipped), root).outcome is not Outcome.FAILED:
            with zipfile.ZipFile(io.BytesIO(flipped)) as archive:
                assert archive.read("a.bin") == CONTENT


@st.composite
def anchors(draw: st.DrawFn) -> TrustAnchor:
    """An anchor in any state, of any vendor, on a key that made the signature or on one that did not."""
    certificate = draw(st.sampled_from([PKI.root, PKI.signer, STRANGER.root]))
    return anchor(
        der(certificate),
        draw(st.sampled_from(AnchorState)),
        vendor_id=draw(st.sampled_from(["dten", "acme", "any"])),
        cause=draw(st.sampled_from([None, "disowned", "unconfirmed", "superseded"])),
    )


@st.composite
def facts(draw: st.DrawFn) -> PackageFacts:
    """Facts with one thing or another wrong with them."""
    return replace(
        FACTS,
        sha256=draw(st.sampled_from([FACTS.sha256, ""])),
        problem=draw(
            st.sampled_from([None, None, Problem(Reason.RESOURCE_LIMIT, "x"), Problem(Reason.MALFORMED, "x")])
        ),
        signatures=draw(
            st.sampled_from([FACTS.signatures, (), (replace(FACTS.signatures[0], content_matches=False),)])
        ),
        coverage=replace(
            FACTS.coverage,
            uncovered=draw(st.sampled_from([(), (Uncovered(0, 1),), (Uncovered(0, 1, inert=True),)])),
        ),
    )


@given(facts(), st.lists(anchors(), max_size=4), st.sampled_from(["dten", "acme", "any", None]))
def test_passed_means_all_of_it(seen: PackageFacts, trusted: list[TrustAnchor], vendor: str | None) -> None:
    """No verdict is passed unless a signature passed under a valid anchor that counts, over content covered and whole."""
    expected = ExpectedVendor(vendor, "stated" if vendor else "none")
    verdict = ask(seen, *trusted, vendor=expected)
    if verdict.outcome is not Outcome.PASSED:
        return
    good = [s for s in verdict.signatures if s.outcome is Outcome.PASSED and s.integrity == "intact"]
    assert good
    counting = {vendor, "any"} if vendor != "any" else {"dten", "acme", "any"}
    assert any(
        a.id == s.anchor[0] and a.state is AnchorState.VALID and a.vendor_id in counting
        for s in good
        if s.anchor
        for a in trusted
    )
    signer = der(PKI.signer)
    lost = (AnchorState.COMPROMISED, AnchorState.DISTRUSTED)
    assert not any(a.state in lost and a.material == signer for a in trusted)
    assert seen.problem is None
    assert seen.sha256
    assert all(u.inert for u in seen.coverage.uncovered)
