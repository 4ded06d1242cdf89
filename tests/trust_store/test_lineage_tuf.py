"""The next TUF root proves a succession by both thresholds, and no root metadata that is forged, changed or out of shape does."""

from __future__ import annotations

import json

import pytest

from tests.trust_store.lineage_craft import tuf_root
from tests.trust_store.lineage_setup import REFUSALS, ROOT, flips, grade, tuf_anchor
from trust_store.decode.tuf_root import MAX_ROOT_BYTES, canonical_json, read_root
from trust_store.errors import MalformedError
from trust_store.lineage import Grade, ProofKind, grade_succession

NEXT = tuf_root(2, ("ed2", "ecpoint2"), 2, ("ed1", "rsa1", "ed2", "ecpoint2"))


def test_the_next_tuf_root_proves_a_succession() -> None:
    """Root N+1 signed by a threshold of root N's keys and of its own is a cryptographic proof; Ed25519, ECDSA and RSA count."""
    graded = grade_succession(tuf_anchor(ROOT), tuf_anchor(NEXT), None)
    assert (graded.grade, graded.proof_kind, graded.proof) == (Grade.CRYPTOGRAPHIC, ProofKind.TUF_ROOT, NEXT)
    pretty = json.dumps(json.loads(NEXT), indent=1).encode()
    assert grade(tuf_anchor(ROOT), tuf_anchor(pretty)) is Grade.CRYPTOGRAPHIC


def _forged_roots() -> dict[str, tuple[bytes, bytes]]:
    new = ("ed2", "ec2")
    return {
        "version skipped": (ROOT, tuf_root(3, new, 2, ("ed1", "ec1", *new))),
        "version not raised": (ROOT, tuf_root(1, new, 2, ("ed1", "ec1", *new))),
        "below the old threshold": (ROOT, tuf_root(2, new, 2, ("ed1", *new))),
        "below its own threshold": (ROOT, tuf_root(2, new, 2, ("ed1", "ec1", "ed2"))),
        "by new keys only": (ROOT, tuf_root(2, new, 2, new)),
        "by nobody": (ROOT, tuf_root(2, new, 2, ())),
        "by one key under two ids": (
            tuf_root(1, ("ed1",), 2, ("ed1",), aliases=("again=ed1",)),
            tuf_root(2, ("ed1",), 1, ("ed1", "again=ed1")),
        ),
        "by keys the old root names, of its own making": (ROOT, tuf_root(2, (*new, "ed1", "ec1"), 1, new)),
        "by a short RSA key": (
            tuf_root(1, ("rsa1024",), 1, ("rsa1024",)), tuf_root(2, new, 1, ("rsa1024", "ed2")),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("how", sorted(_forged_roots()))
def test_a_forged_tuf_root_proves_nothing(how: str) -> None:
    """Root metadata that the old root's threshold did not sign stays asserted."""
    old, new = _forged_roots()[how]
    assert grade(tuf_anchor(old), tuf_anchor(new)) is Grade.ASSERTED


def test_a_changed_tuf_root_proves_nothing() -> None:
    """No root metadata with one byte changed is a cryptographic proof where every signature in it is needed."""
    old, new = tuf_root(1, ("ed1", "ec1"), 2, ()), tuf_root(2, ("ed1", "ec1"), 2, ("ed1", "ec1"))
    assert grade(tuf_anchor(old), tuf_anchor(new)) is Grade.CRYPTOGRAPHIC
    assert all(grade(tuf_anchor(old), tuf_anchor(changed)) is Grade.ASSERTED for changed in flips(new))


def _bad_roots() -> dict[str, bytes]:
    good = json.loads(ROOT)
    signed = good["signed"]

    def with_root(**role: object) -> dict[str, object]:
        root = {**signed["roles"]["root"], **role}
        return {**good, "signed": {**signed, "roles": {"root": root}}}

    bad = {
        "targets": {**good, "signed": {**signed, "_type": "targets"}},
        "no signatures": {"signed": signed},
        "more members": {**good, "other": 1},
        "a version that is true": {**good, "signed": {**signed, "version": True}},
        "version 0": {**good, "signed": {**signed, "version": 0}},
        "threshold 0": with_root(threshold=0),
        "a threshold in text": with_root(threshold="2"),
        "a key named twice": with_root(keyids=["ed1", "ed1"]),
        "keys that are a text": with_root(keyids="ed1"),
        "too many keys": with_root(keyids=[str(n) for n in range(65)]),
        "no roles": {**good, "signed": {**signed, "roles": []}},
        "signatures that are a text": {**good, "signatures": "none"},
        "a signature with more": {**good, "signatures": [{"keyid": "a", "sig": "00", "x": 1}]},
        "a signature in capitals": {**good, "signatures": [{"keyid": "a", "sig": "AA"}]},
        "two signatures of one key": {**good, "signatures": [{"keyid": "a", "sig": "00"}, {"keyid": "a", "sig": "01"}]},
    }
    return {
        **{how: json.dumps(value).encode() for how, value in bad.items()},
        "no JSON": b"{",
        "a list": b"[]",
        "a fraction": ROOT.replace(b'"version":1', b'"version":1.0'),
        "a member twice": ROOT.replace(b'"version":1', b'"version":1,"version":1'),
        "too long": ROOT + b" " * MAX_ROOT_BYTES,
    }


@pytest.mark.parametrize("how", sorted(_bad_roots()))
def test_root_metadata_is_read_strictly(how: str) -> None:
    """What is not TUF root metadata to the letter is refused, with one of the errors for bad bytes."""
    with pytest.raises(REFUSALS):
        read_root(_bad_roots()[how])


def test_keys_that_cannot_be_read_count_for_nothing() -> None:
    """A key of an unknown kind, of another curve than its scheme or with a broken value is left out of the role."""
    whole = json.loads(ROOT)
    keys, role = whole["signed"]["keys"], whole["signed"]["roles"]["root"]["keyids"]
    pem = keys["ec1"]["keyval"]["public"]
    bad = {
        "none": None,
        "no value": {"keytype": "ed25519", "scheme": "ed25519"},
        "unknown": {"keytype": "x", "scheme": "x", "keyval": {"public": "00"}},
        "other kind": {"keytype": "rsa", "scheme": "ed25519", "keyval": {"public": "00" * 32}},
        "short": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}},
        "curve": {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp384", "keyval": {"public": pem}},
        "number": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": 1}},
        "list": {"keytype": "ed25519", "scheme": [], "keyval": {"public": "00"}},
    }
    keys.update(bad)
    role.extend([*bad, "nobody"])
    whole["signatures"].append({"keyid": "rsa1", "sig": ""})  # not yet signed
    read = read_root(json.dumps(whole).encode())
    assert sorted(read.keys) == ["ec1", "ed1", "rsa1"]
    assert [name for name, _ in read.signatures] == ["ed1", "ec1"]


def test_canonical_json_is_that_of_olpc() -> None:
    """Sorted keys, no blanks, only quote and backslash escaped, no fractions."""
    value = {"b": [1, True, None, '\n"\\é'], "a": {}}
    assert canonical_json(value) == '{"a":{},"b":[1,true,null,"\n\\"\\\\é"]}'.encode()
    with pytest.raises(MalformedError):
        canonical_json(1.5)
