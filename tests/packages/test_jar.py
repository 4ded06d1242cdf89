"""What the table of JAR fixtures cannot say: manifests that could be read in two ways, and who vouches for what."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.cms_message import (
    Signer,
    attribute,
    digest_algorithm,
    integer,
    octets,
    oid,
    seq,
    signed_data,
    tlv,
)
from tests.packages.pki import Issued, issue
from trust_store.decode.cms import certificate_names
from trust_store.decode.jar_manifest import parse_jar_manifest
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.formats import jar_contents
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import PackageFacts, SignatureFact
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import RAW, CandidateKey

LIMITS = ReadLimits()
FILES = {"a.txt": b"one", "b.txt": b"two"}


@pytest.fixture(scope="module")
def signer() -> Issued:
    """A signer."""
    return issue("Signer", kind="p256")


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """As manifests state it."""
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


def manifest_of(files: dict[str, bytes], main: str = "") -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and the raw section of each member."""
    sections = {
        name: f"Name: {name}\r\nSHA-256-Digest: {digest(data)}\r\n\r\n".encode() for name, data in files.items()
    }
    return f"Manifest-Version: 1.0\r\n{main}\r\n".encode() + b"".join(sections.values()), sections


def signature_file(sections: dict[str, bytes], main: str = "") -> bytes:
    """A signature file over these sections."""
    listed = "".join(f"Name: {name}\r\nSHA-256-Digest: {digest(raw)}\r\n\r\n" for name, raw in sections.items())
    return f"Signature-Version: 1.0\r\n{main}\r\n{listed}".encode()


def block(signer: Issued, content: bytes) -> bytes:
    """A signature block."""
    return signed_data([Signer(signer).info(content)], (signer,), content=None)


def archive(files: dict[str, bytes]) -> bytes:
    """The JAR."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, data in files.items():
            opened.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def jar(signer: Issued, manifest: bytes, *signature_files: bytes, files: dict[str, bytes] = FILES) -> PackageFacts:
    """The facts on a JAR with these signature files, each signed."""
    related = {"META-INF/MANIFEST.MF": manifest}
    for number, content in enumerate(signature_files):
        related |= {f"META-INF/S{number}.SF": content, f"META-INF/S{number}.EC": block(signer, content)}
    return read_package(BytesSource(archive(related | files)), (), (), LIMITS)


def holds(fact: SignatureFact) -> bool:
    """Whether it is intact under a certificate that it carries."""
    return fact.content_matches and any(check.holds for check in fact.key_checks)


def uncovered(facts: PackageFacts) -> set[str | None]:
    """Members that must not be uncovered and are."""
    return {gap.member for gap in facts.coverage.uncovered if not gap.inert}


def test_sections_alone_do_not_cover_the_manifest(signer: Issued) -> None:
    """Without a digest of the whole manifest or of its main section anybody can change what the main section says."""
    manifest, sections = manifest_of(FILES, "Main-Class: x\r\n")
    facts = jar(signer, manifest, signature_file(sections))
    assert holds(facts.signatures[0])
    assert uncovered(facts) == {"META-INF/MANIFEST.MF"}
    main = manifest[: manifest.index(b"\r\n\r\n") + 4]
    stated = f"SHA-256-Digest-Manifest-Main-Attributes: {digest(main)}\r\n"
    assert uncovered(jar(signer, manifest, signature_file(sections, stated))) == set()


def test_every_signature_covers_every_member(signer: Issued) -> None:
    """A member that one of two signature files does not name is uncovered."""
    manifest, sections = manifest_of(FILES)
    whole = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
    first = signature_file(sections, whole)
    second = signature_file({"a.txt": sections["a.txt"]}, whole)
    assert uncovered(jar(signer, manifest, first, first)) == set()
    facts = jar(signer, manifest, first, second)
    assert all(map(holds, facts.signatures))
    assert uncovered(facts) == {"b.txt"}


def test_a_signature_file_that_names_what_the_manifest_does_not(signer: Issued) -> None:
    """Such a signature is broken: the manifest is another than the signed one."""
    manifest, sections = manifest_of({"a.txt": b"one"})
    facts = jar(signer, manifest, signature_file(sections | {"b.txt": b"x"}), files={"a.txt": b"one"})
    assert not holds(facts.signatures[0])
    assert facts.problem is not None
    assert facts.problem.reason is Reason.INVALID_SIGNATURE


def test_every_known_digest_must_be_right(signer: Issued) -> None:
    """A wrong digest beside a right one breaks the archive, whichever of the two is the stronger; an unknown one is passed over."""
    for extra, intact in (
        (f"SHA1-Digest: {digest(b'one', 'sha1')}", True),
        (f"SHA1-Digest: {digest(b'other', 'sha1')}", False),
        (f"SHA-512-Digest: {digest(b'other', 'sha512')}", False),
        ("MD2-Digest: AAAA", True),
    ):
        section = f"Name: a.txt\r\nSHA-256-Digest: {digest(b'one')}\r\n{extra}\r\n\r\n".encode()
        manifest = b"Manifest-Version: 1.0\r\n\r\n" + section
        stated = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
        facts = jar(signer, manifest, signature_file({"a.txt": section}, stated), files={"a.txt": b"one"})
        assert holds(facts.signatures[0]) is intact, extra
        assert not intact or facts.signatures[0].digest_algorithm == "sha256"


def test_the_weakest_digest_that_is_needed_is_told(signer: Issued) -> None:
    """SHA-1 for the one member there is makes a signature that is SHA-256 otherwise a weak one."""
    section = f"Name: a.txt\r\nSHA1-Digest: {digest(b'one', 'sha1')}\r\n\r\n".encode()
    manifest = b"Manifest-Version: 1.0\r\n\r\n" + section
    stated = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
    fact = jar(signer, manifest, signature_file({"a.txt": section}, stated), files={"a.txt": b"one"}).signatures[0]
    assert (holds(fact), fact.digest_algorithm) == (True, "sha1")


def test_folders_and_long_names(signer: Issued) -> None:
    """Folders need no signature; a name that goes on in the next line is one name."""
    name = "folder/" + "n" * 100
    line = f"Name: {name}"
    section = f"{line[:70]}\r\n {line[70:]}\r\nSHA-256-Digest: {digest(b'long')}\r\n\r\n".encode()
    manifest = b"Manifest-Version: 1.0\r\n\r\n" + section
    stated = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
    facts = jar(signer, manifest, signature_file({name: section}, stated), files={"folder/": b"", name: b"long"})
    assert (holds(facts.signatures[0]), uncovered(facts)) == (True, set())


def test_nothing_signed_is_unsigned(signer: Issued) -> None:
    """A signature over a manifest that names no member vouches for nothing."""
    manifest = b"Manifest-Version: 1.0\r\n\r\n"
    stated = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
    assert jar(signer, manifest, signature_file({}, stated), files={}).signatures == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Name: a\r\n\r\n",
        b"Manifest-Version: 1.0\r\n\r\nSHA-256-Digest: x\r\n\r\n",
        b"Manifest-Version: 1.0\r\n\r\nName: a\r\n\r\nName: a\r\n\r\n",
        b"Manifest-Version: 1.0\r\n\r\nName: a\r\nName: b\r\n\r\n",
        b"Manifest-Version: 1.0\r\n\r\nName: a\r\nSHA-256-Digest: x\r\nsha-256-digest: y\r\n\r\n",
        b"Manifest-Version: 1.0\r\nno colon\r\n\r\n",
        b" Manifest-Version: 1.0\r\n\r\n",
        b"Manifest-Version: 1.0\r\n\r\nName: \xff\r\n\r\n",
        b"Manifest-Version: 1.0\r\n\r\nName: a\0b\r\n\r\n",
    ],
)
def test_manifests_that_can_be_read_in_two_ways(data: bytes) -> None:
    """No version, a section without name, a name or digest twice, or a line that is no attribute: malformed."""
    with pytest.raises(MalformedError):
        parse_jar_manifest(data, "manifest", version="Manifest-Version", max_sections=10)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_line_ends(end: bytes) -> None:
    """Lines end in CR LF, LF or CR; a section's bytes are those up to and with the blank line."""
    data = end.join(
        [b"Manifest-Version: 1.0", b"", b"Name: a", b"SHA-256-Digest: y", b" z", b"", b"", b"Name: b", b"X: y", b""]
    )
    parsed = parse_jar_manifest(data, "manifest", version="Manifest-Version", max_sections=10)
    assert parsed.sections["a"].attributes["SHA-256-DIGEST"] == "yz"
    assert parsed.main.raw == b"Manifest-Version: 1.0" + end * 2
    assert parsed.sections["a"].raw == end.join([b"Name: a", b"SHA-256-Digest: y", b" z", b"", b""])
    assert parsed.sections["b"].raw == end.join([b"Name: b", b"X: y", b""])


@given(
    data=st.binary(max_size=200),
    lines=st.lists(st.sampled_from([b"Name: a", b" b", b"", b"X-Digest: c", b"Y: "]), max_size=8),
)
def test_manifests_raise_nothing_else(data: bytes, lines: list[bytes]) -> None:
    """Whatever the bytes, a manifest is read or refused by one of the three errors."""
    for content in (data, b"Manifest-Version: 1.0\r\n\r\n" + b"\r\n".join(lines) + data):
        with contextlib.suppress(*READ_ERRORS):
            parse_jar_manifest(content, "manifest", version="Manifest-Version", max_sections=5)


def test_blocks_and_signature_files_that_cannot_be_read(signer: Issued) -> None:
    """Garbage for a block, content inside it, another content type, a signature file that does not parse: each has a problem."""
    manifest, sections = manifest_of(FILES)
    content = signature_file(sections, f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n")
    info = Signer(signer).info(content)
    timestamp = "1.2.840.113549.1.9.16.1.4"
    broken = {
        b"garbage": Reason.MALFORMED,
        signed_data([info], (signer,), content=octets(content)): Reason.UNSUPPORTED_FORMAT,
        signed_data([info], (signer,), content=None, content_type=timestamp): Reason.UNSUPPORTED_FORMAT,
        signed_data([Signer(signer).info(content, timestamp)], (signer,), content=None): Reason.MALFORMED,
    }
    for data, reason in broken.items():
        related = {"META-INF/MANIFEST.MF": manifest, "META-INF/S.SF": content, "META-INF/S.EC": data}
        problem = read_package(BytesSource(archive(related | FILES)), (), (), LIMITS).signatures[0].problem
        assert problem is not None
        assert problem.reason is reason
    problem = jar(signer, manifest, b"nothing").signatures[0].problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


def test_no_manifest(signer: Issued) -> None:
    """Signatures without a manifest are malformed."""
    content = signature_file({})
    related = {"META-INF/S.SF": content, "META-INF/S.EC": block(signer, content)}
    problem = read_package(BytesSource(archive(related | FILES)), (), (), LIMITS).signatures[0].problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


def test_digests_that_are_not_base64(signer: Issued) -> None:
    """Such a digest is that of nothing."""
    section = b"Name: a.txt\r\nSHA-256-Digest: ?\r\n\r\n"
    manifest = b"Manifest-Version: 1.0\r\n\r\n" + section
    stated = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
    facts = jar(signer, manifest, signature_file({"a.txt": section}, stated), files={"a.txt": b"one"})
    assert not holds(facts.signatures[0])


def test_a_key_without_a_certificate(signer: Issued) -> None:
    """A bare key that is at hand is tried too."""
    manifest, sections = manifest_of(FILES)
    content = signature_file(sections, f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n")
    message = signed_data([Signer(signer).info(content)], (), content=None)
    related = {"META-INF/MANIFEST.MF": manifest, "META-INF/S.SF": content, "META-INF/S.EC": message}
    key = CandidateKey(RAW, certificate_names(signer.der).spki)
    (fact,) = read_package(
        BytesSource(archive(related | FILES)), (), (key, CandidateKey("openpgp", b"x")), LIMITS
    ).signatures
    assert [check.holds for check in fact.key_checks] == [True]


def test_many_signature_files(signer: Issued) -> None:
    """Signature-related members are read into memory: too many of them, or too much in them, is told before any is read."""
    manifest, sections = manifest_of(FILES)
    content = signature_file(sections, f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n")
    good = {"META-INF/MANIFEST.MF": manifest, "META-INF/S.SF": content, "META-INF/S.EC": block(signer, content)} | FILES
    for more in (
        {f"META-INF/{n}.RSA": b"" for n in range(300)},
        {f"META-INF/{n}.SF": bytes(9 << 20) for n in range(4)},
    ):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, data in (good | more).items():
                opened.writestr(name, data)
        problem = read_package(BytesSource(buffer.getvalue()), (), (), LIMITS).problem
        assert problem is not None
        assert problem.reason is Reason.RESOURCE_LIMIT


def reordered(signer: Issued, content: bytes) -> bytes:
    """A block whose signed attributes stand in another order than DER has, with a value over them as they stand."""
    attributes = sorted(
        (
            attribute("1.2.840.113549.1.9.4", octets(hashlib.sha256(content).digest())),
            attribute("1.2.840.113549.1.9.3", oid("1.2.840.113549.1.7.1")),
        ),
        reverse=True,
    )
    names = certificate_names(signer.der)
    info = seq(
        integer(1),
        seq(names.issuer_der, integer(names.serial_number)),
        digest_algorithm("sha256"),
        tlv(0xA0, *attributes),
        seq(oid("1.2.840.10045.4.3.2")),
        octets(Signer(signer).value(tlv(0x31, *attributes))),
    )
    return signed_data([info], (signer,), content=None)


@pytest.mark.parametrize(("member", "intact"), [("AndroidManifest.xml", True), ("a.txt", False)])
def test_signed_attributes_as_they_stand(signer: Issued, member: str, intact: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Android verifies signed attributes in the order in which they stand, Java in that of DER (RFC 5652 5.4)."""
    files = {member: b"content"}
    manifest, sections = manifest_of(files)
    content = signature_file(sections, f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n")
    related = {"META-INF/MANIFEST.MF": manifest, "META-INF/S.SF": content, "META-INF/S.EC": reordered(signer, content)}
    (fact,) = read_package(BytesSource(archive(related | files)), (), (), LIMITS).signatures
    assert holds(fact) is intact


def deflated(files: dict[str, bytes]) -> bytes:
    """An archive whose members are compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return buffer.getvalue()


def problem(facts: PackageFacts) -> Reason | None:
    """What is wrong with the package or its one signature."""
    found = facts.problem or next((fact.problem for fact in facts.signatures if fact.problem), None)
    return found.reason if found else None


def test_text_that_no_digests_fill() -> None:
    """Manifests are digests, which do not compress: one that unpacks to far more than the archive holds is not read."""
    manifest = b"Manifest-Version: 1.0\r\n\r\nName: a\r\n" + b"X: y\r\n" * 1_000_000
    bomb = deflated({"META-INF/MANIFEST.MF": manifest, "META-INF/A.RSA": b"x"})
    assert problem(read_package(BytesSource(bomb), (), (), LIMITS)) is Reason.RESOURCE_LIMIT


def test_sections_of_members_that_are_not_there(signer: Issued) -> None:
    """A manifest or signature file with far more sections than the archive has members is not kept in memory."""
    manifest, sections = manifest_of(FILES)
    many = b"".join(b"Name: %x\r\n\r\n" % number for number in range(1100))
    assert problem(jar(signer, manifest + many, signature_file(sections))) is Reason.RESOURCE_LIMIT
    assert problem(jar(signer, manifest, signature_file(sections) + many)) is Reason.RESOURCE_LIMIT
    assert problem(jar(signer, manifest, signature_file(sections))) is None


def test_digests_of_more_than_the_archive_holds(signer: Issued) -> None:
    """Members that unpack to far more than the archive, and a section with more digests than anybody states, are not digested."""
    stated = b"Manifest-Version: 1.0\r\n\r\nName: a\r\nSHA-256-Digest: x\r\n\r\n"
    content = signature_file({})
    related = {"META-INF/MANIFEST.MF": stated, "META-INF/A.SF": content, "META-INF/A.EC": block(signer, content)}
    bomb = deflated(related | {"a": bytes(513 * 1024**2)})
    assert len(bomb) < 1024**2
    assert problem(read_package(BytesSource(bomb), (), (), LIMITS)) is Reason.RESOURCE_LIMIT
    algorithms = ("MD5", "SHA1", "SHA-256", "SHA-384", "SHA-512")
    several = "".join(f"{name}-Digest: x\r\n" for name in algorithms)
    manifest = f"Manifest-Version: 1.0\r\n\r\nName: a.txt\r\n{several}\r\n".encode()
    assert problem(jar(signer, manifest, content)) is Reason.RESOURCE_LIMIT


def test_signature_files_that_ask_for_the_same_digests(signer: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is digested once for all signature files, its sections for as many as there is a budget for."""
    manifest, sections = manifest_of(FILES)
    whole = f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n"
    monkeypatch.setattr(jar_contents, "MAX_COMPARED_BYTES", len(manifest) + 256)
    facts = jar(signer, manifest, *[signature_file(sections, whole)] * 3)
    assert [holds(fact) for fact in facts.signatures] == [True] * 3
    assert problem(jar(signer, manifest, *[signature_file(sections)] * 3)) is Reason.RESOURCE_LIMIT


def test_an_attribute_of_any_length(signer: Issued) -> None:
    """An attribute that goes on for more than a megabyte is not put together."""
    manifest, sections = manifest_of(FILES, "X: " + "\r\n ".join(["y" * 1000] * 1100) + "\r\n")
    assert problem(jar(signer, manifest, signature_file(sections))) is Reason.RESOURCE_LIMIT
