from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.table import FIXTURES, cases, facts_and_verdict
from trust_store.decode.apt_release import is_index, is_release, listed_package, parse_release
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats import apt_index
from trust_store.formats.apt_index import holds_index, through_index
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.readers import apt_release
from trust_store.formats.registry import READERS, looked_at
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, SideFile, SignatureOrigin

FOLDER = FIXTURES / "apt-release"
RELEASE = (FOLDER / "Release").read_bytes()
INDEX = (FOLDER / "Packages").read_bytes()
PACKAGE = (FOLDER / "fixture.deb").read_bytes()
DIGESTS = {name: hashlib.new(name, PACKAGE).hexdigest() for name in ("sha256", "sha512")}


def side(name: str, data: bytes | None = None) -> SideMaterial:
    """A file of the fixtures, beside a package."""
    content = (FOLDER / name).read_bytes() if data is None else data
    return SideMaterial(SideFile(name, hashlib.sha256(content).hexdigest()), SignatureOrigin.GIVEN, content)


def test_the_release_file_states_its_time_and_product() -> None:
    """Date and Valid-Until bound every signature; origin, codename and date are the product."""
    reading = apt_release.read(BytesSource((FOLDER / "valid").read_bytes()), (), ReadLimits())
    (fact,) = reading.signatures
    assert (fact.valid_from, fact.valid_until) == (datetime(2024, 1, 31, tzinfo=UTC), datetime(2030, 1, 31, tzinfo=UTC))
    assert reading.product == Product("Vendor one", "20240131000000")


def test_time_alone_changes_the_answer_at_the_end_of_validity() -> None:
    """The verdict is asked for again before Valid-Until."""
    (case,) = [one for one in cases("apt-release") if one.values["name"] == "valid"]
    facts, _ = facts_and_verdict(case)
    assert facts is not None
    assert facts.signatures[0].valid_until == datetime(2030, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        "", "now", "Wed, 31 Jan 2024 00:00:00", "Wed, 31 Jan 2024 00:00:00 CET", "Wed, 31 Jan 2024 00:00:00 +0100",
        "Wed, 31 Foo 2024 00:00:00 UTC", "Wed, 32 Jan 2024 00:00:00 UTC", "Wed, 31 Jan 2024 25:00:00 UTC",
        "2024-01-31T00:00:00Z",
    ],
)  # fmt: skip
def test_a_time_that_programs_read_differently_is_malformed(time: str) -> None:
    """Only the one form of RFC 1123 in UTC is a time."""
    for field in (b"Date", b"Valid-Until"):
        lines = [line for line in RELEASE.splitlines() if not line.startswith(field + b":")]
        with pytest.raises(MalformedError):
            parse_release(b"\n".join([field + b": " + time.encode(), *lines]))


def test_times_in_utc_are_read_whatever_it_is_called() -> None:
    """UTC, GMT, Z and +0000 are one zone, and a day of one digit may have a blank in place of the other."""
    lines = b"\n".join(line for line in RELEASE.splitlines() if not line.startswith(b"Date:"))
    for time in (b"Thu, 1 Feb 2024 01:02:03 GMT", b"Thu,  1 Feb 2024 01:02:03 Z", b"01 Feb 2024 1:02:03 +0000"):
        assert parse_release(lines + b"\nDate: " + time).date == datetime(2024, 2, 1, 1, 2, 3, tzinfo=UTC)


def test_a_release_file_without_a_date_is_malformed() -> None:
    """Nothing would say how old it is."""
    with pytest.raises(MalformedError, match="date"):
        parse_release(b"\n".join(line for line in RELEASE.splitlines() if not line.startswith(b"Date:")))


def test_contradicting_lists_are_malformed() -> None:
    """One file with two digests of one kind is not chosen from, nor are names that lead elsewhere taken."""
    line = f" {'0' * 64} 1 main/binary-all/Packages\n".encode()
    with pytest.raises(MalformedError, match="twice"):
        parse_release(RELEASE.replace(b"SHA256:\n", b"SHA256:\n" + line))
    with pytest.raises(MalformedError):
        parse_release(RELEASE.replace(b"SHA256:\n", b"SHA256:\n" + line.replace(b"main", b"..")))


def test_only_files_that_are_called_packages_are_indexes() -> None:
    """The digest of some other file of the repository is no index, and the size must be right as well."""
    release = parse_release(RELEASE)
    digests = {name: hashlib.new(name, INDEX).hexdigest() for name in ("sha256", "sha512")}
    assert release.lists_index(digests, len(INDEX))
    assert not release.lists_index(digests, len(INDEX) + 1)
    renamed = parse_release(RELEASE.replace(b"/Packages", b"/Contents"))
    assert not renamed.lists_index(digests, len(INDEX))


def test_a_source_package_is_no_release_file() -> None:
    """Control data with a format and a source is a .dsc, whatever dates it has."""
    assert is_release(RELEASE)
    assert not is_release(b"Format: 1.8\nSource: a\n" + RELEASE)
    assert not is_release(b"Date: x\n")


def test_one_that_says_when_it_ends_is_a_release_file_without_a_date_as_well() -> None:
    """Read as a text like others it would count for ever; names of fields are the same in any case (deb822(5))."""
    lines = [line for line in RELEASE.splitlines() if not line.startswith(b"Date:")]
    text = b"\n".join([*(line.replace(b"Valid-Until", b"valid-until") for line in lines)])
    assert is_release(text)
    with pytest.raises(MalformedError, match="date"):
        parse_release(text)
    reader = next(entry for entry in READERS if entry.name == "apt-release-file")
    assert reader.may_read(looked_at(BytesSource(text)))


def test_the_package_is_found_by_every_digest_its_paragraph_states() -> None:
    """A paragraph whose other digest is another one is not about the package."""
    found = listed_package(INDEX, DIGESTS)
    assert found is not None
    assert (found["package"], found["version"]) == ("fixture", "1:2.3-4")
    assert listed_package(INDEX, {"sha256": "0" * 64, "sha512": "0" * 128}) is None
    assert listed_package(INDEX, DIGESTS | {"sha512": "0" * 128}) is None


def test_a_paragraph_among_many_is_found() -> None:
    """Paragraphs before and after play no part."""
    other = INDEX.replace(DIGESTS["sha256"].encode(), b"1" * 64)
    many = b"\n".join([other] * 50 + [INDEX] + [other] * 50)
    assert listed_package(many, DIGESTS) == listed_package(INDEX, DIGESTS)


def test_a_digest_in_a_description_is_no_statement() -> None:
    """Only a field of its own names the package; a line that continues another one does not."""
    text = INDEX.replace(b"SHA256: " + DIGESTS["sha256"].encode(), b"X-Note: a\n SHA256: " + DIGESTS["sha256"].encode())
    without = b"\n".join(line for line in text.split(b"\n") if not line.startswith(b"SHA512"))
    assert listed_package(without, DIGESTS) is None


def test_a_very_long_paragraph_is_a_resource_limit() -> None:
    """An index without blank lines is not taken apart."""
    long = b"Package: a\n" + b"A: " + b"x" * (1024 * 1024) + b"\nSHA256: " + DIGESTS["sha256"].encode() + b"\n"
    with pytest.raises(ResourceLimitError):
        listed_package(long, DIGESTS)


def test_an_index_is_known_by_its_content() -> None:
    """Whatever it is called and compressed with; a control file alone is none."""
    assert is_index(INDEX)
    assert not is_index(b"Package: a\nVersion: 1\n")
    assert holds_index(side("x", gzip.compress(INDEX)))
    assert not holds_index(side("x", gzip.compress(b"something else")))
    assert not holds_index(side("x", b"\x1f\x8b\x08"))


def test_an_index_that_unpacks_to_very_much_is_a_resource_limit() -> None:
    """A bomb beside a package is the signature's problem, not the package's."""
    bomb = gzip.compress(INDEX + bytes(300 * 1024 * 1024), 9)
    files, rest = through_index((side("InRelease"), side("Packages.gz", bomb)))
    assert rest == ()
    assert [fact.problem and fact.problem.reason.value for fact in files.unreadable] == ["resource_limit"]


def test_indexes_are_capped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What several unpack to counts as one."""
    monkeypatch.setattr(apt_index, "MAX_INDEX_BYTES", 2 * len(INDEX) - 1)
    one, _ = through_index((side("InRelease"), side("Packages.gz")))
    two, _ = through_index((side("InRelease"), side("Packages.gz"), side("Packages.xz")))
    assert one.unreadable == ()
    assert [fact.problem and fact.problem.reason.value for fact in two.unreadable] == ["resource_limit"]


def test_other_signatures_beside_an_index_stay_signatures() -> None:
    """A detached signature that belongs to no Release file is over the package."""
    _, rest = through_index((side("InRelease"), side("Packages"), side("Release.gpg")))
    assert [item.file.name for item in rest] == ["Release.gpg"]


@pytest.mark.parametrize("line", [b"-x: 1", b"- -x: 1", b"- x: 1\nLabel: b", b"x"])
def test_a_line_that_is_no_field_is_malformed(line: bytes) -> None:
    """Dash-escaped or not, a line that begins with a dash has no place, nor has a second field of one name."""
    data = (FOLDER / "valid").read_bytes().replace(b"Label:", line + b"\nLabel:")
    with pytest.raises(MalformedError):
        apt_release.read(BytesSource(data), (), ReadLimits())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_reading_error(data: bytes) -> None:
    """Only the three errors of a reader come of Release files and indexes."""
    for read in (
        lambda b: parse_release(RELEASE + b),
        lambda b: parse_release(b),
        lambda b: listed_package(INDEX + b, DIGESTS),
    ):
        try:
            read(data)
        except READ_ERRORS:
            continue
        assert isinstance(data, bytes)


@given(st.integers(0, len(RELEASE) - 1), st.integers(0, 255))
def test_a_changed_release_file_is_read_or_refused(position: int, value: int) -> None:
    """A byte changed gives a Release file or one of the three errors."""
    try:
        parse_release(bytes([*RELEASE[:position], value, *RELEASE[position + 1 :]]))
    except READ_ERRORS:
        return
