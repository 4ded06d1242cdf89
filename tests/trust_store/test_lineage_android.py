"""An Android signing lineage proves every succession in it, and no lineage that is forged, changed or out of shape does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.lineage_craft import anchor_of, apk_lineage, prefixed, root_key, rotate_with_apksigner
from tests.trust_store.lineage_setup import FIRST, NEW, REFUSALS, SECOND, THIRD, flips, grade, x509_anchor
from tests.trust_store.path_craft import issue
from trust_store.decode.apk_lineage import MAX_LINEAGE_BYTES, MAX_NODES, read_lineage
from trust_store.lineage import Grade, Graded, ProofKind, grade_succession
from trust_store.model.trust_anchor import AnchorKind

LINEAGE = apk_lineage(FIRST, SECOND, THIRD)


def test_an_android_lineage_proves_a_succession_over_any_number_of_steps() -> None:
    """Every certificate signed by the one before: each earlier one is succeeded by each later one, and never the reverse."""
    ones = [x509_anchor(s.der) for s in (FIRST, SECOND, THIRD)]
    raw = anchor_of(AnchorKind.RAW, THIRD.decoded.spki)
    assert grade(ones[0], ones[1], LINEAGE) is Grade.CRYPTOGRAPHIC
    assert grade_succession(ones[0], ones[2], LINEAGE) == Graded(
        Grade.CRYPTOGRAPHIC,
        ProofKind.APK_LINEAGE,
        LINEAGE,
        "every certificate of the signing lineage is signed by the one before it",
    )
    assert grade(ones[0], raw, LINEAGE) is Grade.CRYPTOGRAPHIC
    assert grade(ones[2], ones[0], LINEAGE) is Grade.ASSERTED
    assert grade(ones[0], x509_anchor(NEW.der), LINEAGE) is Grade.ASSERTED


def test_a_lineage_that_apksigner_wrote_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The file of 'apksigner rotate' proves the succession of its two certificates."""
    lineage, (first, second) = rotate_with_apksigner(tmp_path_factory.mktemp("apk"))
    assert [node.certificate for node in read_lineage(lineage)] == [first, second]
    assert grade(x509_anchor(first), x509_anchor(second), lineage) is Grade.CRYPTOGRAPHIC


def test_a_lineage_with_a_foreign_signature_proves_nothing() -> None:
    """One level that the level before did not sign makes the whole lineage worthless, for the levels before it as well."""
    forged = apk_lineage(FIRST, SECOND, THIRD, wrong_signer=2)
    for new in (SECOND, THIRD):
        assert grade(x509_anchor(FIRST.der), x509_anchor(new.der), forged) is Grade.ASSERTED
    skipped = apk_lineage(FIRST, SECOND, THIRD, wrong_signer=0)
    assert grade(x509_anchor(FIRST.der), x509_anchor(THIRD.der), skipped) is Grade.ASSERTED


def test_a_weak_key_in_a_lineage_proves_nothing() -> None:
    """Nobody can tell who signed with a key that can be broken."""
    weak = issue("weak", None, private=root_key("rsa1024"))
    forged = apk_lineage(FIRST, weak)
    assert grade(x509_anchor(FIRST.der), x509_anchor(weak.der), forged) is Grade.ASSERTED


def test_a_changed_lineage_proves_nothing() -> None:
    """No lineage with one byte changed proves anything; the capability flags alone are signed by nobody and used for nothing."""
    lineage = apk_lineage(FIRST, SECOND)
    first, signed = struct.unpack_from("<II", lineage, 4)
    second = 8 + first
    flags = {12 + signed, second + 8 + struct.unpack_from("<I", lineage, second + 4)[0]}
    old, new = x509_anchor(FIRST.der), x509_anchor(SECOND.der)
    for place, changed in enumerate(flips(lineage)):
        assert place in flags or grade(old, new, changed) is Grade.ASSERTED, place


def node(certificate: bytes, stated: int, own: int, signature: bytes, flags: int = 23) -> bytes:
    """One node of a lineage, whatever it is worth."""
    signed = prefixed(certificate) + struct.pack("<I", stated)
    return prefixed(prefixed(signed) + struct.pack("<II", flags, own) + prefixed(signature))


def _bad_lineages() -> dict[str, bytes]:
    head = struct.pack("<I", 1)
    return {
        "empty": b"",
        "no node": head,
        "another version": struct.pack("<I", 2) + LINEAGE[4:],
        "a file of another version": struct.pack("<III", 0x3EFF39D1, 2, len(LINEAGE)) + LINEAGE,
        "a file with a tail": struct.pack("<III", 0x3EFF39D1, 1, len(LINEAGE)) + LINEAGE + b"x",
        "a file cut short": struct.pack("<III", 0x3EFF39D1, 1, len(LINEAGE) + 1) + LINEAGE,
        "one certificate": apk_lineage(FIRST),
        "a tail": LINEAGE + b"\0",
        "cut short": LINEAGE[:-1],
        "a signed first": head + node(b"a", 0, 0x201, b"s") + node(b"b", 0x201, 0, b"s"),
        "algorithms that differ": head + node(b"a", 0, 0x201, b"") + node(b"b", 0x101, 0, b"s"),
        "an algorithm nobody knows": head + node(b"a", 0, 0x999, b"") + node(b"b", 0x999, 0, b"s"),
        "flags nobody knows": head + node(b"a", 0, 0x201, b"", 64) + node(b"b", 0x201, 0, b"s"),
        "a certificate twice": head + node(b"a", 0, 0x201, b"") + node(b"a", 0x201, 0, b"s"),
        "a promise": head + node(b"a", 0, 0x201, b"") + node(b"b", 0x201, 0x201, b"s"),
        "too many": head + node(b"a", 0, 0x201, b"") + b"".join(
            node(bytes((n,)), 0x201, 0x201, b"s") for n in range(MAX_NODES)
        ),
        "too long": LINEAGE + bytes(MAX_LINEAGE_BYTES),
    }  # fmt: skip


@pytest.mark.parametrize("how", sorted(_bad_lineages()))
def test_a_lineage_is_read_strictly(how: str) -> None:
    """A lineage that is not exactly what the format says is refused, and refused means asserted."""
    with pytest.raises(REFUSALS):
        read_lineage(_bad_lineages()[how])
    assert grade(x509_anchor(FIRST.der), x509_anchor(SECOND.der), _bad_lineages()[how]) is Grade.ASSERTED


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(LINEAGE) - 1), st.binary(min_size=1, max_size=6))
def test_a_spliced_lineage_ends_in_an_error_for_bad_bytes(place: int, splice: bytes) -> None:
    """However a lineage is cut and filled, it is read or refused as bad bytes, and nothing else happens."""
    try:
        read_lineage(LINEAGE[:place] + splice + LINEAGE[place + len(splice) :])
    except REFUSALS:
        return
