"""What the table of wheels cannot say: hostile RECORDs and RECORD.jws, limits, the product."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.wheel import FILES, record, wheel
from tests.packages.table import FIXTURES
from tests.trust_store.package_craft import LIMITS
from trust_store.decode.record_jws import MAX_RECIPIENTS, parse_record_jws
from trust_store.decode.wheel_record import dist_info_of, parse_record, product_of
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

HASH = "sha256=" + "A" * 43
VALID = (FIXTURES / "wheel" / "valid.whl").read_bytes()


def facts(data: bytes) -> PackageFacts:
    """What is read of a package."""
    return read_package(BytesSource(data), (), (), LIMITS)


def b64(value: Any) -> str:
    """JSON in the URL alphabet."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jws(header: Any = None, payload: Any = None, **changes: Any) -> bytes:
    """A RECORD.jws of the right form whose signature is all zeros, with parts changed."""
    key = {"kty": "Ed25519", "vk": "A" * 43}
    recipient = {"header": b64(header or {"alg": "Ed25519", "jwk": key}), "signature": "A" * 86}
    return json.dumps({"recipients": [recipient], "payload": b64(payload or {"hash": HASH})} | changes).encode()


def test_name_and_version_come_from_the_metadata_that_record_covers() -> None:
    """The name is normalised as PEP 503 says; what stands in the description is no field."""
    assert facts(VALID).product == Product("example-tool", "1.2.3")


def test_an_unsigned_wheel_states_no_product_and_compares_no_record() -> None:
    """RECORD alone vouches for nothing: a wheel whose RECORD is broken is unsigned like any other."""
    found = facts(wheel(record=b"no record at all"))
    assert (found.product, found.problem, found.signatures) == (None, None, ())


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n",
        "/etc/passwd," + HASH + ",1\n",
        "a/../b," + HASH + ",1\n",
        "a," + HASH + ",1\nA," + HASH + ",1\n",
        "a," + HASH + ",1\na,,\n",
        "a," + HASH + ",x\n",
        "a," + HASH + ",-1\n",
        "a,sha256,1\n",
        "a,sha256=" + "A" * 42 + ",1\n",
        "a,sha256=" + "A" * 42 + "B,1\n",
        "a,sha256=" + "A" * 42 + "/,1\n",
        '"a,' + HASH + ",1\n",
    ],
)
def test_a_record_that_can_be_read_in_two_ways_is_malformed(text: str) -> None:
    """Names that are absolute, climb, collide or stand twice, and hashes or sizes that are none."""
    with pytest.raises(MalformedError):
        parse_record(text.encode(), max_entries=10)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "shake_256", ""])
def test_a_hash_that_pep_427_does_not_allow_is_unsupported(algorithm: str) -> None:
    """SHA-256 or better."""
    with pytest.raises(UnsupportedError):
        parse_record(f"a,{algorithm}=AAAA,1\n".encode(), max_entries=10)


def test_the_number_of_lines_is_capped() -> None:
    """More lines than an archive may have members are too many."""
    with pytest.raises(ResourceLimitError):
        parse_record(b"".join(b"%d,,\n" % n for n in range(11)), max_entries=10)


def test_an_archive_of_several_installed_wheels_is_no_wheel() -> None:
    """Folders of many packages are zipped for other ends than to be installed: pip takes a wheel with one .dist-info alone."""
    assert dist_info_of([f"{name}.dist-info/{last}" for name in "ab" for last in ("WHEEL", "RECORD")]) is None


def test_a_size_other_than_the_stated_one_is_invalid() -> None:
    """RECORD states sizes as well: one that is not the file's contradicts what was signed."""
    changed = record().replace(b",256\n", b",257\n")
    problem = facts(wheel(record=changed, jws=jws())).problem
    assert problem is not None
    assert problem.reason.value == "invalid_signature"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[]", MalformedError),
        (jws(extra=1), MalformedError),
        (jws(recipients=[]), MalformedError),
        (jws(recipients=[{"header": "A"}]), MalformedError),
        (jws(recipients=[{}] * (MAX_RECIPIENTS + 1)), ResourceLimitError),
        (jws(payload=b64({"hash": HASH, "more": 1})), MalformedError),
        (jws(payload="!"), MalformedError),
        (jws(payload=b64({"hash": "md5=AAAA"})), MalformedError),
        (jws(header={"alg": "none", "jwk": {"kty": "Ed25519", "vk": "A" * 43}}), UnsupportedError),
        (jws(header={"alg": "HS256", "jwk": {"kty": "oct", "vk": "A" * 43}}), UnsupportedError),
        (jws(header={"alg": "Ed25519", "jwk": {"kty": "Ed25519", "vk": "AAAA"}}), MalformedError),
        (jws(header={"alg": "Ed25519"}), MalformedError),
    ],
)
def test_a_record_jws_of_another_form_is_refused(data: bytes, error: type[Exception]) -> None:
    """Exactly the form of PEP 427: recipients of Ed25519 and a payload that states one SHA-256."""
    with pytest.raises(error):
        parse_record_jws(data)


def test_a_signature_that_cannot_be_read_is_told_and_fails_the_wheel() -> None:
    """A RECORD.jws that is none is not passed over as if the wheel were unsigned."""
    (fact,) = facts(wheel(jws=b"{}")).signatures
    assert fact.problem is not None
    assert fact.problem.reason.value == "malformed"


@pytest.mark.parametrize(
    ("metadata", "product"),
    [
        (b"Name: a_B.c\r\nVersion: 1!2.0+x\r\n\r\nName: other", ("a-b-c", "1!2.0+x")),
        (b"Name: a\nName: b\nVersion: 1\n", None),
        (b"Name: a\n", None),
        (b"Name: a b\nVersion: 1\n", None),
        (b"", None),
    ],
)
def test_metadata_that_does_not_say_one_thing_names_no_product(metadata: bytes, product: object) -> None:
    """One name and one version in the header, both of the characters that they may have."""
    assert product_of(metadata) == product


@given(st.one_of(st.binary(max_size=200), st.text("sha256=,\n\"'/\\.AB", max_size=80).map(str.encode)))
def test_no_bytes_make_the_readers_raise_anything_else(data: bytes) -> None:
    """Whatever stands in RECORD or RECORD.jws gives a value or one of the three errors."""
    for reader in (lambda: parse_record(data, max_entries=5), lambda: parse_record_jws(data), lambda: product_of(data)):
        try:
            reader()
        except READ_ERRORS:
            continue


@given(
    st.dictionaries(st.sampled_from(["recipients", "payload"]), st.recursive(st.none() | st.text(max_size=5), st.lists))
)
def test_no_object_makes_the_signature_reader_raise_anything_else(value: Any) -> None:
    """JSON of any shape gives a value or one of the three errors."""
    try:
        parse_record_jws(json.dumps(value).encode())
    except READ_ERRORS:
        return


def test_files_of_the_fixtures_are_listed() -> None:
    """What the generator signs is what PEP 427 says: every file but RECORD and its signatures."""
    assert [entry.name for entry in parse_record(record(), max_entries=99)] == list(FILES)


def test_lines_beyond_the_cap_are_never_looked_at() -> None:
    """A RECORD of many empty lines ends at the cap, whatever follows."""
    with pytest.raises(ResourceLimitError):
        parse_record(b"\n" * 100_000 + b"\xff", max_entries=10)
