from __future__ import annotations

import base64
import contextlib
import gzip
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packages.generate.mender import members, pack
from tests.packages.generate.tar import by_hand
from tests.packages.judged import judged
from tests.trust_store.package_craft import LIMITS, read
from trust_store.decode.fixed_width_ecdsa import to_der
from trust_store.decode.mender_artifact import header_compression, payload_of, require_version
from trust_store.errors import READ_ERRORS, MalformedError, UnsupportedError
from trust_store.formats.readers import mender
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures" / "mender"
RSA = (FIXTURES / "rsa.mender").read_bytes()
FILES = members(RSA)
PAYLOAD = next(name for name in FILES if name.startswith("data/"))


def reason(data: bytes) -> Reason | None:
    """The problem's reason."""
    facts = read(data)
    return facts.problem.reason if facts.problem else None


def packed(**changed: bytes) -> bytes:
    """The artifact with some members others."""
    return pack(*(FILES | {name.replace("_", "."): data for name, data in changed.items()}).items())


def test_product_is_what_the_signed_header_says() -> None:
    """The device types stand in the header, which the manifest covers; in another header they count for nothing."""
    assert read(RSA).product == Product("fixture-device")
    assert read((FIXTURES / "version-2.mender").read_bytes()).product == Product("fixture-device")
    assert read(packed(header_tar_gz=FILES["header.tar.gz"][:-1] + b"x")).product is None


def test_no_product_without_a_signature() -> None:
    """What an artifact that nobody signed says it is for counts for nothing."""
    assert read((FIXTURES / "unsigned.mender").read_bytes()).product is None


def test_names_of_members() -> None:
    """Header and payloads say by their names how they are compressed."""
    assert header_compression("header.tar.gz") == (True, "gzip")
    assert header_compression("header-augment.tar.gz") == (False, None)
    assert payload_of("data/0003.tar.xz") == ("data/0003", "xz")
    assert payload_of("data/0003.tar") == ("data/0003", None)
    assert payload_of("data/3.tar.gz") is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{"format":"other","version":3}', MalformedError), (b'{"format":"mender","version":1}', UnsupportedError),
        (b'{"format":"mender","version":4}', UnsupportedError), (b'{"format":"mender"', MalformedError),
    ],
)  # fmt: skip
def test_versions(text: bytes, error: type[Exception]) -> None:
    """Formats 2 and 3 are read; 1 has no manifest to sign."""
    with pytest.raises(error):
        require_version(text)


@settings(max_examples=20)
@given(st.binary(min_size=1, max_size=40))
def test_fixed_width_values(message: bytes) -> None:
    """r and s in fixed width become the DER of the same two numbers."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.sign(message, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    assert to_der(r.to_bytes(32, "big") + s.to_bytes(32, "big")) == der


@pytest.mark.parametrize("value", [b"", b"1", b"123", bytes(134)])
def test_values_of_no_fixed_width(value: bytes) -> None:
    """Halves of different width are no value."""
    with pytest.raises(MalformedError):
        to_der(value)


@pytest.mark.parametrize("value", [b"", b"!!!!", base64.b64encode(bytes(100)), b"A" * 3])
def test_signature_that_is_none(value: bytes) -> None:
    """What is no value in base64 is told as a signature that cannot be read."""
    facts = read(packed(manifest_sig=value))
    assert [fact.problem and fact.problem.reason for fact in facts.signatures] == [Reason.MALFORMED]


def test_payloads_are_walked_strictly() -> None:
    """A payload with a link, or in a compression that is not read, is not passed by."""
    assert (
        reason(packed(**{PAYLOAD.replace(".", "_"): gzip.compress(by_hand(("a", b"2", b"/etc/passwd")))}))
        is Reason.MALFORMED
    )
    other = [(name if name != PAYLOAD else "data/0000.tar.zst", data) for name, data in FILES.items()]
    assert reason(pack(*other)) is Reason.UNSUPPORTED_FORMAT


def test_two_payload_archives_with_one_name() -> None:
    """A payload that is there twice in two compressions is no artifact."""
    assert reason(pack(*FILES.items(), ("data/0000.tar", gzip.decompress(FILES[PAYLOAD])))) is Reason.MALFORMED


@settings(max_examples=200)
@given(st.integers(0, len(RSA) - 4), st.binary(min_size=1, max_size=4))
def test_broken_artifacts_raise_nothing_else(position: int, data: bytes) -> None:
    """Whatever stands in an artifact, only the three errors come out."""
    source = BytesSource(RSA[:position] + data + RSA[position + len(data) :])
    with contextlib.suppress(*READ_ERRORS):
        mender.read(source, (), LIMITS)


def test_signature_on_several_lines(tmp_path: Path) -> None:
    """A signature value whose base64 is broken into lines is the same one: Mender's client passes over their ends."""
    value = FILES["manifest.sig"]
    lines = b"\r\n".join(value[at : at + 64] for at in range(0, len(value), 64)) + b"\n"
    made = packed(manifest_sig=lines)
    assert judged(tmp_path, made, ((FIXTURES / "rsa.pub").read_bytes(),)).reason is Reason.TRUSTED
