"""What the table of Android payload fixtures cannot say: hostile headers, manifests and signature messages."""

from __future__ import annotations

import contextlib
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.payload_craft import HEADER, manifest, message, number, payload, signatures, varint
from tests.packages.pki import Issued, issue
from tests.packages.table import FIXTURES
from trust_store.decode import android_payload
from trust_store.decode.android_payload import parse_signatures, read_payload
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats import jar_contents
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import PackageFacts
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import RAW, X509, CandidateKey

BLOBS = (b"data " * 300, bytes(range(256)), b"more")


@pytest.fixture(scope="module")
def signer() -> Issued:
    """A signer."""
    return issue("OTA", kind="p256")


def read(data: bytes, *keys: CandidateKey) -> PackageFacts:
    """The facts."""
    return read_package(BytesSource(data), (), keys, ReadLimits())


def test_every_key_at_hand_is_tried(signer: Issued) -> None:
    """Nothing names the key: the value holds under a certificate or a bare key, and is nobody's under others."""
    data = payload(BLOBS, signer, width=72)
    facts = read(data, CandidateKey(X509, issue("Other", kind="p256").der), CandidateKey(X509, signer.der))
    assert [[check.holds for check in fact.key_checks] for fact in facts.signatures] == [[True], [True]]
    assert [fact.key_checks for fact in read(data, CandidateKey(RAW, b"no key")).signatures] == [(), ()]


@pytest.mark.parametrize("blob", [0, 1, 2])
def test_changed_data_is_found_by_the_manifest(signer: Issued, blob: int) -> None:
    """An operation's data that is not what the manifest says is told without any key."""
    data = payload(BLOBS, signer, width=72)
    at = data.index(BLOBS[blob])
    problem = read(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]).problem
    assert problem is not None
    assert problem.reason is Reason.INVALID_SIGNATURE


def test_operations_that_reach_into_the_signature() -> None:
    """Data beyond what is signed is malformed: the payload's signature would be read as data."""
    blob = b"x" * 100
    body = manifest([blob], 20)
    longer = body.replace(number(3, 100), number(3, 110))
    data = HEADER.pack(b"CrAU", 2, len(longer), 0) + longer + blob + bytes(20)
    with pytest.raises(MalformedError):
        read_payload(BytesSource(data))


def test_several_operations_may_share_data() -> None:
    """Two operations over the same bytes are read, and their data is compared once."""
    operation = message(8, number(1, 0) + number(2, 0) + number(3, 4) + message(8, hashlib.sha256(b"same").digest()))
    body = number(4, 4) + number(5, 2) + message(13, message(1, b"system") + operation * 2)
    data = HEADER.pack(b"CrAU", 2, len(body), 0) + body + b"same" + bytes(2)
    assert len(read_payload(BytesSource(data)).operations) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        message(2, b"x"),
        message(1, b""),
        message(1, message(2, b"")),
        message(1, message(2, b"ab") + varint(3 << 3 | 5) + struct.pack("<I", 3)),
        message(1, message(2, b"ab") + varint(3 << 3 | 5) + struct.pack("<I", 1)),
        b"\x0a\x7fx",
        b"\x0b",
        b"\xff" * 11,
        b"\x00\x00",
    ],
)
def test_signature_messages_that_say_nothing(data: bytes) -> None:
    """No value, padding that is not zero, lengths beyond the end, and unknown wire types are malformed."""
    with pytest.raises(MalformedError):
        parse_signatures(data)


def test_padding_of_values() -> None:
    """The stated size cuts the padding off; the form tells RSA from ECDSA."""
    short, long = (
        parse_signatures(signatures([b"\x30\x06" + bytes(6)], 72))[0],
        parse_signatures(signatures([bytes(256)]))[0],
    )
    assert (short.algorithm, len(short.value)) == ("ecdsa", 8)
    assert (long.algorithm, len(long.value)) == ("rsa-pkcs1", 256)


@given(data=st.data())
def test_decoders_raise_nothing_else(data: st.DataObject) -> None:
    """Whatever the bytes, header, manifest and signatures are read or refused by one of the three errors."""
    seed = bytearray(HEADER.pack(b"CrAU", 2, 60, 8) + manifest([b"abc", b"d"], 8)[:60] + bytes(24))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(seed) - 1))
        seed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(*READ_ERRORS):
        read_payload(BytesSource(bytes(seed)))
    with contextlib.suppress(*READ_ERRORS):
        parse_signatures(bytes(seed[20:]))


def test_more_than_any_payload_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations and the bytes of a manifest are counted before they fill the memory."""
    made = payload([b"a", b"b", b"c"])
    assert len(read_payload(BytesSource(made)).operations) == 3
    monkeypatch.setattr(android_payload, "MAX_OPERATIONS", 2)
    with pytest.raises(ResourceLimitError):
        read_payload(BytesSource(made))
    with pytest.raises(ResourceLimitError):
        read_payload(BytesSource(HEADER.pack(b"CrAU", 2, android_payload.MAX_MANIFEST_BYTES + 1, 0)))


def test_an_archive_whose_jar_signature_is_too_much_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole-file signature decides: a JAR signature below it that is not judged is told as such, and hides nothing."""
    data = (FIXTURES / "android-payload" / "ota.zip").read_bytes()
    usual = read_package(BytesSource(data), (), (), ReadLimits())
    monkeypatch.setattr(jar_contents, "MAX_COMPARED_BYTES", 0)
    facts = read_package(BytesSource(data), (), (), ReadLimits())
    assert facts.problem is None
    told = [fact for fact in facts.signatures if fact.scheme == "jar"]
    assert [fact.problem.reason for fact in told if fact.problem] == [Reason.RESOURCE_LIMIT]
    rest = [fact for fact in usual.signatures if fact.scheme != "jar"]
    assert [fact for fact in facts.signatures if fact.scheme != "jar"] == rest
