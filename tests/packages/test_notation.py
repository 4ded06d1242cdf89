"""Notary Project envelopes and CBOR: what the table cannot say."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.notation_craft import PREFIX, cose, jws, number, payload
from tests.packages.pki import TIME_STAMPING, issue, make_pki
from tests.packages.test_sigstore import NOW, facts_of, question
from trust_store.decode import cbor
from trust_store.decode.notation import parse_cose, parse_jws
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.trust_view import TrustView
from trust_store.model.verdict import Outcome, Reason
from trust_store.verification import verify_package
from trust_store.verification.supplied import read_material, supplied_anchors

CONTENT = b"one file that notation signed\n"
PKI = make_pki(kind="p256")
CHAIN = (PKI.intermediate, PKI.root)
GOOD = jws(PKI.leaf, CHAIN, payload(CONTENT))


def reason_of(side: dict[str, Any] | bytes, content: bytes = CONTENT, root: bytes = PKI.root.pem) -> Reason:
    """What is said of a file with an envelope beside it under one root."""
    material = read_material(root, "root.pem")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    return verify_package(facts_of(side, content, *material.candidates), view, question(None)).reason


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "rsa3072"])
def test_every_algorithm_of_the_specification(kind: str) -> None:
    """Each key of the table of algorithms signs in both envelopes."""
    root = issue("Own Root", kind="p256", is_ca=True)
    signer = issue("Own Signer", root, kind=kind)
    for side in (jws(signer, (root,), payload(CONTENT)), cose(signer, (root,), payload(CONTENT))):
        assert reason_of(side, root=root.pem) is Reason.TRUSTED


@pytest.mark.parametrize("kind", ["rsa1024", "ed25519"])
def test_other_keys_are_not_taken(kind: str) -> None:
    """A key of another kind or size has no algorithm that goes with it."""
    signer = issue("Odd Signer", PKI.intermediate, kind=kind)
    envelope = copy.deepcopy(GOOD)
    envelope["header"]["x5c"][0] = base64.b64encode(signer.der).decode()
    assert reason_of(envelope) is Reason.UNSUPPORTED_FORMAT


def test_a_self_signed_signer_may_be_the_anchor() -> None:
    """A certificate that signs for itself passes as its own anchor, and under no other."""
    own = issue("Own", kind="p256")
    envelope = jws(own, (), payload(CONTENT))
    assert reason_of(envelope, root=own.pem) is Reason.TRUSTED
    assert reason_of(envelope) is Reason.UNKNOWN_ROOT


def test_certificates_for_other_uses_are_refused() -> None:
    """A certificate for timestamps, or a CA's, signs no file."""
    stamping = issue("Stamper", PKI.intermediate, kind="p256", eku=(TIME_STAMPING,))
    assert reason_of(jws(stamping, CHAIN, payload(CONTENT))) is Reason.PATH_INVALID
    assert reason_of(jws(PKI.intermediate, (PKI.root,), payload(CONTENT))) is Reason.PATH_INVALID


@pytest.mark.parametrize("size", [0, len(CONTENT) - 1, len(CONTENT) + 1])
def test_the_descriptor_states_the_size(size: int) -> None:
    """A descriptor whose digest is the file's and whose size is not describes something else."""
    assert reason_of(jws(PKI.leaf, CHAIN, payload(CONTENT, size=size))) is Reason.INVALID_SIGNATURE
    assert reason_of(cose(PKI.leaf, CHAIN, payload(CONTENT, size=size))) is Reason.INVALID_SIGNATURE


def test_the_chain_is_not_trusted_for_standing_there() -> None:
    """A root inside the envelope vouches for nothing."""
    other = make_pki("Stranger", kind="p256")
    assert reason_of(jws(other.leaf, (other.intermediate, other.root), payload(CONTENT))) is Reason.UNKNOWN_ROOT


def test_a_signer_out_of_place_is_not_the_signer() -> None:
    """The first certificate is the signer's: one whose key made the value does not count further down."""
    envelope = copy.deepcopy(GOOD)
    chain = envelope["header"]["x5c"]
    envelope["header"]["x5c"] = [chain[1], chain[0], chain[2]]
    assert reason_of(envelope) is Reason.INVALID_SIGNATURE


def test_values_in_der_are_refused() -> None:
    """ECDSA values are r and s side by side (RFC 7518 3.4), not DER."""
    import hashlib

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    message = f"{GOOD['protected']}.{GOOD['payload']}".encode()
    value = PKI.leaf.key.sign(message, ec.ECDSA(hashes.SHA256()))
    assert decode_dss_signature(value)
    assert hashlib.sha256(message).digest()
    envelope = GOOD | {"signature": base64.urlsafe_b64encode(value).rstrip(b"=").decode()}
    assert reason_of(envelope) is Reason.INVALID_SIGNATURE


@pytest.mark.parametrize("field", ["payload", "protected", "signature"])
def test_padded_base64url_is_malformed(field: str) -> None:
    """RFC 7515 2: no padding, so that one envelope has one text."""
    assert reason_of(GOOD | {field: GOOD[field] + "="}) is Reason.MALFORMED


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"crit": []}, Reason.MALFORMED),
        ({"crit": "x"}, Reason.MALFORMED),
        ({"crit": [PREFIX + "signingScheme"] * 2}, Reason.MALFORMED),
        ({"crit": [PREFIX + "signingScheme", PREFIX + "expiry"]}, Reason.MALFORMED),
        ({PREFIX + "signingScheme": "other"}, Reason.UNSUPPORTED_FORMAT),
        ({PREFIX + "signingTime": None}, Reason.MALFORMED),
        ({PREFIX + "signingTime": "2026-03-04"}, Reason.MALFORMED),
        ({"cty": "text/plain"}, Reason.UNSUPPORTED_FORMAT),
        ({"alg": "none"}, Reason.UNSUPPORTED_FORMAT),
        ({"alg": "HS256"}, Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_protected_headers_are_held_to_the_specification(headers: dict[str, Any], reason: Reason) -> None:
    """What is missing, repeated or not understood among the signed headers is refused."""
    assert reason_of(jws(PKI.leaf, CHAIN, payload(CONTENT), changes=headers)) is reason


def test_cose_headers_are_held_to_the_specification() -> None:
    """The same in the other envelope."""
    text = cbor.encode_text
    unknown = {"2": cbor.encode_array((text(PREFIX + "signingScheme"), text("strange"))), "strange": number(1)}
    assert reason_of(cose(PKI.leaf, CHAIN, payload(CONTENT), changes=unknown)) is Reason.UNSUPPORTED_FORMAT
    assert reason_of(cose(PKI.leaf, CHAIN, payload(CONTENT), changes={"2": None})) is Reason.MALFORMED
    assert reason_of(cose(PKI.leaf, CHAIN, payload(CONTENT), changes={"1": number(-257)})) is Reason.UNSUPPORTED_FORMAT
    bare = cose(PKI.leaf, CHAIN, payload(CONTENT), changes={PREFIX + "signingTime": number(7)})
    assert reason_of(bare) is Reason.MALFORMED


def test_every_changed_byte_of_a_cose_envelope_is_seen_or_unsigned() -> None:
    """Nothing in the protected headers, the payload and the value can be changed; what passes changed is an unprotected header."""
    envelope = cose(PKI.leaf, (PKI.intermediate,), payload(CONTENT))
    agent = envelope.index(b"fixtures/1")
    passing = []
    for position in range(len(envelope)):
        changed = bytearray(envelope)
        changed[position] ^= 1
        if reason_of(bytes(changed)) is Reason.TRUSTED:
            passing.append(position)
    name = envelope.index((PREFIX + "signingAgent").encode())
    assert set(passing) <= set(range(name, agent + len(b"fixtures/1")))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", 0), (b"\x18\x18", 24), (b"\x1b" + b"\xff" * 8, 2**64 - 1), (b"\x20", -1), (b"\x43abc", b"abc"),
        (b"\x63abc", "abc"), (b"\x82\x01\x02", [1, 2]), (b"\xa1\x01\x61a", {1: "a"}), (b"\xf4", False), (b"\xf5", True),
        (b"\xf6", None), (b"\xc1\x00", cbor.Tag(1, 0)), (b"\x19\x00\x01", 1),
    ],
)  # fmt: skip
def test_cbor_values(data: bytes, value: object) -> None:
    """RFC 8949 appendix A, as far as it is read."""
    assert value == cbor.decode(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError), (b"\x00\x00", MalformedError), (b"\x18", MalformedError), (b"\x5f\x41a\xff", MalformedError),
        (b"\x1c", MalformedError), (b"\x43ab", MalformedError), (b"\x9b" + b"\xff" * 8, MalformedError),
        (b"\x61\xff", MalformedError), (b"\xa2\x01\x01\x01\x02", MalformedError), (b"\xf9\x00\x00", UnsupportedError),
        (b"\xf7", UnsupportedError), (b"\xa1\x80\x01", UnsupportedError), (b"\xa1\xf5\x01", UnsupportedError),
        (b"\x81" * 20 + b"\x01", ResourceLimitError), (b"\x99\xff\xff" + b"\0" * 65535, ResourceLimitError),
        (b"\xf8\x14", UnsupportedError),
    ],
)  # fmt: skip
def test_cbor_that_is_not_read(data: bytes, error: type[Exception]) -> None:
    """Cut short, indefinite, duplicate, too deep, too many: each is told as what it is."""
    with pytest.raises(error):
        cbor.decode(data)


@given(st.integers(0, 2**64 - 1))
def test_cbor_heads_are_read_again(number: int) -> None:
    """What is written in the shortest form is read as what it was."""
    assert number == cbor.decode(cbor.head(0, number))


@given(st.binary(max_size=200))
def test_decoders_raise_nothing_else(data: bytes) -> None:
    """Any bytes: one of the three errors or a value."""
    for read in (cbor.decode, parse_cose, parse_jws, lambda d: parse_cose(b"\xd2\x84" + d)):
        try:
            read(data)
        except READ_ERRORS:
            continue


@given(data=st.data())
def test_whatever_stands_in_an_envelope_is_answered(data: st.DataObject) -> None:
    """Any value in place of a field is refused or judged, and other content never passes."""
    envelope = copy.deepcopy(GOOD)
    value = st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3)
    envelope[data.draw(st.sampled_from(sorted(envelope)))] = data.draw(value)
    material = read_material(PKI.root.pem, "root.pem")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    facts = facts_of(json.dumps(envelope).encode(), CONTENT + b"!", *material.candidates)
    assert verify_package(facts, view, question(None)).outcome is not Outcome.PASSED
