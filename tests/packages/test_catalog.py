from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.catalog_craft import TRUST_LIST, member, trust_list, unsigned
from tests.packages.generate.cms_message import Signer, octets, oid, seq, signed_data
from tests.packages.pki import issue
from tests.packages.table import FIXTURES
from trust_store.decode.asn1 import read_one
from trust_store.decode.authenticode import MAX_MESSAGE_BYTES, parse_members, parse_message, recognises_trust_list
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.readers import catalog, detached
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import SideFile, SignatureFact, SignatureOrigin
from trust_store.signatures.authenticode import SCHEMES
from trust_store.signatures.cms import SCHEME as CMS

VALID = (FIXTURES / "catalog/valid.cat").read_bytes()
LIMITS = ReadLimits()
SIGNER = issue("Signer", kind="p256")
FILE = b"a file"


def signed(*members: bytes) -> bytes:
    """A catalog signed by hand."""
    content = trust_list(*members)
    inner = content[2:] if content[1] < 0x80 else content[2 + (content[1] & 0x7F) :]
    info = Signer(SIGNER).info(inner, TRUST_LIST)
    return signed_data([info], [SIGNER], content=content, content_type=TRUST_LIST)


def facts(message: bytes, content: bytes = FILE) -> tuple[SignatureFact, ...]:
    """What the catalog says beside a file."""
    side = SideMaterial(SideFile("x.cat", hashlib.sha256(message).hexdigest()), SignatureOrigin.GIVEN, message)
    return detached.read(BytesSource(content), (side,), LIMITS).signatures


def digest(algorithm: str, content: bytes = FILE) -> bytes:
    """A digest."""
    return hashlib.new(algorithm, content).digest()


def test_one_scheme_reads_catalogs() -> None:
    """A catalog is no detached CMS signature, and one such is no catalog."""
    assert (SCHEMES["catalog"].recognises(VALID), CMS.recognises(VALID)) == (True, False)
    assert not recognises_trust_list((FIXTURES / "pe/intermediate.pem").read_bytes())


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("sha256", digest("sha256"))], ("sha256", True)),
        ([("sha1", digest("sha1"))], ("sha1", True)),
        ([("sha1", digest("sha1")), ("sha256", digest("sha256"))], ("sha256", True)),
        ([("sha1", digest("sha1")), ("sha256", digest("sha256", b"another"))], ("sha1", True)),
        ([("sha256", digest("sha256", b"another"))], ("sha256", False)),
        ([], ("sha256", False)),
    ],
)
def test_which_digest_counts(members: list[tuple[str, bytes]], expected: tuple[str, bool]) -> None:
    """The strongest of the catalog's digests that is the file's is the one that is told."""
    (fact,) = facts(signed(*(member(*one) for one in members)))
    assert (fact.scheme, fact.digest_algorithm, fact.content_matches) == ("catalog", *expected)


def test_members_without_a_digest_vouch_for_nothing() -> None:
    """A member that is only named, or whose digest is of an unknown kind, is left out."""
    named = seq(octets(digest("sha256")))
    known = member("sha256", digest("sha256"))
    strange = known.replace(oid("2.16.840.1.101.3.4.2.1"), oid("2.16.840.1.101.3.4.2.99"))
    assert strange != known
    assert parse_members(read_one(trust_list(named, strange), "list")) == ()
    assert parse_members(read_one(trust_list(named, strange, known), "list")) == (("sha256", digest("sha256")),)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x30\x00", MalformedError),
        (VALID + b"\0", MalformedError),
        (VALID[:-1], MalformedError),
        (unsigned(usage="1.2.3"), UnsupportedError),
    ],
)
def test_broken_catalogs(data: bytes, error: type[Exception]) -> None:
    """Bytes that are missing or too many, and trust lists that are no catalog, are refused."""
    with pytest.raises(error):
        catalog.read(BytesSource(data), (), LIMITS)


def test_catalog_that_is_too_large() -> None:
    """More than 8 MiB are not read."""
    with pytest.raises(ResourceLimitError):
        catalog.read(BytesSource(VALID + bytes(MAX_MESSAGE_BYTES)), (), LIMITS)


def test_broken_catalog_beside_a_file() -> None:
    """A catalog that cannot be read is told as a signature with a problem."""
    (fact,) = facts(VALID[:-10])
    assert fact.problem is not None


def test_unsigned_catalog() -> None:
    """A list without signers has no signature; beside a file it is malformed."""
    listing = unsigned(member("sha256", digest("sha256")))
    assert catalog.read(BytesSource(listing), (), LIMITS).signatures == ()
    (fact,) = facts(listing)
    assert fact.problem is not None


@given(st.integers(0, len(VALID) - 1), st.binary(max_size=8), st.integers(0, 16))
def test_hostile_catalogs(place: int, inserted: bytes, removed: int) -> None:
    """Whatever the bytes, they are a catalog or one of the errors of readers."""
    data = VALID[:place] + inserted + VALID[place + removed :]
    try:
        message = parse_message(data)
        found = parse_members(message.content)
    except READ_ERRORS:
        return
    assert all(len(value) == hashlib.new(name).digest_size for name, value in found)
