"""What the table of APK fixtures cannot say: hostile signing blocks, signers, archives, and what Android is lenient about."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import zipfile
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.packages import apk_signing as signing
from tests.packages.android_xml import android_manifest
from tests.packages.apk_craft import block_of, replace_pairs, split_apk, with_block
from tests.packages.generate.apk import package
from tests.packages.generate.cms_message import Signer, signed_data
from tests.packages.pki import Issued, issue
from tests.packages.table import FIXTURES
from tests.packages.test_jar import archive, digest, manifest_of, signature_file
from trust_store.decode import android_manifest as manifest_xml
from trust_store.decode import apk_archive, apk_idsig, apk_signers, apk_signing_block
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import PackageFacts, SideFile, SignatureFact, SignatureOrigin, SignatureRole
from trust_store.model.verdict import Reason

LIMITS = ReadLimits()
FOLDER = FIXTURES / "apk"
PLAIN = package(min_sdk=28)
PACKAGE_FOR_ALL = package(min_sdk=21)
EC = signing.EC256


@pytest.fixture(scope="module")
def one() -> Issued:
    """A signer."""
    return issue("One", kind="p256")


@pytest.fixture(scope="module")
def two() -> Issued:
    """Another one."""
    return issue("Two", kind="p256")


def read(data: bytes, *side: SideMaterial) -> PackageFacts:
    """The facts."""
    return read_package(BytesSource(data), side, (), LIMITS)


def only(facts: PackageFacts) -> SignatureFact:
    """The one signature."""
    (fact,) = facts.signatures
    return fact


def holds(fact: SignatureFact) -> bool:
    """Whether it is intact under a certificate that it carries."""
    return fact.content_matches and any(check.holds for check in fact.key_checks)


def v2(*signers: bytes, data: bytes = PLAIN) -> bytes:
    """An APK with these v2 signers."""
    return signing.with_pairs(data, {signing.V2: signing.scheme(*signers)})


def digests(data: bytes = PLAIN, *algorithms: int) -> dict[int, bytes]:
    """Content digests."""
    return {algorithm: signing.content_digest(data, algorithm) for algorithm in algorithms or (EC,)}


def v1_signed(files: dict[str, bytes], signers: tuple[Issued, ...], carried: tuple[Issued, ...] | None = None) -> bytes:
    """An APK of these files signed by v1."""
    manifest, sections = manifest_of(files)
    content = signature_file(sections, f"SHA-256-Digest-Manifest: {digest(manifest)}\r\n")
    related = {"META-INF/MANIFEST.MF": manifest}
    for number, signer in enumerate(signers):
        made = signed_data([Signer(signer).info(content)], carried or (signer,), content=None)
        related |= {f"META-INF/S{number}.SF": content, f"META-INF/S{number}.EC": made}
    return archive(files | related)


def test_content_digests_of_several_chunks(one: Issued) -> None:
    """Chunks of 1 MiB start anew with each section, and the digests over them are those of another implementation."""
    large = package({"big.bin": b"", "assets/noise.bin": hashlib.shake_256(b"seed").digest(2_500_000)}, min_sdk=28)
    rsa = issue("RSA")
    for algorithms, signer in (((EC, signing.EC512, signing.VERITY_EC), one), ((signing.PSS256, signing.PSS512), rsa)):
        facts = read(signing.v2_signed(large, signer, *algorithms))
        assert holds(only(facts)), algorithms
        assert facts.problem is None


def test_the_strongest_algorithm_is_told(one: Issued) -> None:
    """Of several content digests Android takes SHA-512 before the tree's before SHA-256."""
    fact = only(read(signing.v2_signed(PLAIN, one, EC, signing.EC512, signing.VERITY_EC)))
    assert fact.digest_algorithm == "sha512"


@pytest.mark.parametrize("wrong", [EC, signing.EC512])
def test_every_content_digest_counts(one: Issued, wrong: int) -> None:
    """A digest that is not the package's breaks the signature, also where Android would look at the other one alone."""
    stated = digests(PLAIN, EC, signing.EC512)
    stated[wrong] = bytes(len(stated[wrong]))
    assert not only(read(v2(signing.signer_block(one, stated)))).content_matches


def test_every_signature_of_a_signer_counts(one: Issued) -> None:
    """A weaker signature that does not hold breaks a signer whose strongest one does."""
    block = signing.signer_block(one, digests(PLAIN, EC, signing.EC512))
    (signed,) = struct.unpack_from("<I", block)
    at = (
        4 + signed + 4 + 4 + 4 + 4 + 20
    )  # into the first value: lengths of the list, the entry and the value, and its algorithm
    changed = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
    fact = only(read(v2(changed)))
    assert fact.digest_algorithm == "sha512"
    assert not fact.content_matches


def test_unknown_algorithms_are_passed_over(one: Issued) -> None:
    """An algorithm that nobody knows, stated with its digest, changes nothing where a known one is there."""
    block = signing.signer_block(one, digests() | {0x0999: b"?"})
    assert holds(only(read(v2(block))))


def test_only_unknown_algorithms(one: Issued) -> None:
    """A signer without a known algorithm is unsupported, and required all the same."""
    fact = only(read(v2(signing.signer_block(one, {0x0999: b"?"}))))
    assert fact.problem is not None
    assert (fact.problem.reason, fact.role) == (Reason.UNSUPPORTED_FORMAT, SignatureRole.REQUIRED)


def test_malformed_signers(one: Issued, two: Issued) -> None:
    """Digests and signatures of different algorithms, another key than the certificate's, and no certificate make a signer malformed."""
    stated = digests()
    broken = {
        "more signatures than digests": signing.signer_block(one, stated, extra_signatures=[(0x0202, b"x")]),
        "another public key": signing.signer_block(one, stated, public_key=signing.spki(two)),
        "no certificate": signing.signer_block(one, stated, certificates=[]),
        "an algorithm twice": signing.signer_block(one, stated, extra_signatures=[(EC, b"x")]),
        "something after it": signing.signer_block(one, stated) + b"\0",
    }
    for what, block in broken.items():
        problem = only(read(v2(block))).problem
        assert problem is not None, what
        assert problem.reason is Reason.MALFORMED, what


def test_number_of_signers(one: Issued) -> None:
    """Ten signers are read, eleven are not; none at all is malformed."""
    block = signing.signer_block(one, digests())
    ten = read(v2(*[block] * 10))
    assert (len(ten.signatures), all(map(holds, ten.signatures))) == (10, True)
    for signers in ([block] * 11, []):
        problem = only(read(v2(*signers))).problem
        assert problem is not None
        assert problem.reason is Reason.MALFORMED


def test_every_signer_is_required(one: Issued, two: Issued) -> None:
    """Two signers of v2: a broken one beside a good one is not hidden by it."""
    good, bad = (signing.signer_block(signer, digests()) for signer in (one, two))
    facts = read(v2(good, bad[:-200] + bytes([bad[-200] ^ 1]) + bad[-199:]))
    assert [fact.role for fact in facts.signatures] == [SignatureRole.REQUIRED] * 2
    assert not holds(facts.signatures[1])


def test_newest_scheme_decides(one: Issued) -> None:
    """v3 is required and v2 beside it reported."""
    stated = digests()
    ranged = signing.signer_block(one, stated, sdk=(28, signing.MAX_SDK))
    pairs = {signing.V2: signing.scheme(signing.signer_block(one, stated)), signing.V3: signing.scheme(ranged)}
    facts = read(signing.with_pairs(PLAIN, pairs))
    assert [(fact.scheme, fact.role.value) for fact in facts.signatures] == [
        ("apk-v3", "required"),
        ("apk-v2", "reported"),
    ]
    assert all(map(holds, facts.signatures))


def test_sdk_versions_of_v3(one: Issued, two: Issued) -> None:
    """Versions inside and outside of what is signed agree, and those of two signers neither overlap nor leave a gap."""

    def v3(*signers: bytes) -> PackageFacts:
        return read(signing.with_pairs(PLAIN, {signing.V3: signing.scheme(*signers)}))

    differing = only(v3(signing.signer_block(one, digests(), sdk=(28, 30), outer_sdk=(28, 31)))).problem
    assert differing is not None
    for first, second, fits in (((28, 32), (33, 99), True), ((28, 33), (33, 99), False), ((28, 31), (33, 99), False)):
        blocks = [signing.signer_block(s, digests(), sdk=sdk) for s, sdk in ((one, first), (two, second))]
        assert (v3(*blocks).problem is None) is fits


def test_proofs_of_rotation(one: Issued, two: Issued) -> None:
    """A proof that does not hold breaks its signer, one that ends at another certificate makes it malformed."""

    def v3(proof: bytes) -> SignatureFact:
        attributes = [(signing.ROTATION, proof)]
        block = signing.signer_block(two, digests(), sdk=(28, signing.MAX_SDK), attributes=attributes)
        return only(read(signing.with_pairs(PLAIN, {signing.V3: signing.scheme(block)})))

    good = signing.lineage(one, two)
    assert holds(v3(good))
    assert not v3(good[:-5] + bytes([good[-5] ^ 1]) + good[-4:]).content_matches
    assert v3(signing.lineage(two, one)).problem is not None


def test_older_scheme_by_one_who_was_succeeded(one: Issued, two: Issued) -> None:
    """v2 by the old key beside v3 by the new one is in order with a proof of rotation, and a forgery without."""
    stated = digests()
    for attributes, problem in (
        ([(signing.ROTATION, signing.lineage(one, two))], None),
        ([], Reason.INVALID_SIGNATURE),
    ):
        newer = signing.signer_block(two, stated, sdk=(28, signing.MAX_SDK), attributes=attributes)
        pairs = {signing.V3: signing.scheme(newer), signing.V2: signing.scheme(signing.signer_block(one, stated))}
        found = read(signing.with_pairs(PLAIN, pairs)).problem
        assert (found.reason if found else None) is problem


def test_signing_blocks_that_contradict_themselves(one: Issued) -> None:
    """A block with two sizes, a pair beyond its end, or a scheme twice is malformed."""
    good = v2(signing.signer_block(one, digests()))
    block, pairs = split_apk(good).block, split_apk(good).pairs
    broken = {
        "sizes": struct.pack("<Q", len(block)) + block[8:],
        "twice": block_of([*pairs.items(), *pairs.items()]),
        "pair": block[:8] + struct.pack("<Q", len(block)) + block[16:],
    }
    for what, changed in broken.items():
        problem = read(with_block(good, changed)).problem
        assert problem is not None, what
        assert problem.reason is Reason.MALFORMED, what


def test_v1_by_others_than_v2(one: Issued) -> None:
    """A JAR signature by another signer than the newer scheme's is a forgery."""
    data = (FOLDER / "v1.apk").read_bytes()
    problem = read(signing.v2_signed(data, one, EC)).problem
    assert problem is not None
    assert problem.reason is Reason.INVALID_SIGNATURE


def test_zip64_is_not_supported() -> None:
    """Android installs no zip64 archives."""
    parts = split_apk(PLAIN)
    start = len(parts.entries)
    count, size = parts.entries_count, len(parts.directory)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)
    problem = read(parts.entries + parts.directory + record + locator + end).problem
    assert problem is not None
    assert problem.reason is Reason.UNSUPPORTED_FORMAT


def test_a_stamp_of_another_package_is_told_and_fails_nothing() -> None:
    """A source stamp over other digests is unsupported: it is no evidence against a package whose signatures hold."""
    stamped = (FOLDER / "stamped.apk").read_bytes()
    stamp = read(stamped).signatures[-1]
    assert (stamp.scheme, stamp.role, holds(stamp)) == ("source-stamp", SignatureRole.REPORTED, True)
    value = split_apk(stamped).pairs[0x6DFF800D]
    for changed in (value[:-9] + bytes([value[-9] ^ 1]) + value[-8:], value[:40], b""):
        told = read(replace_pairs(stamped, {0x6DFF800D: (0x6DFF800D, changed)})).signatures[-1]
        assert told.problem is not None
        assert told.problem.reason is Reason.UNSUPPORTED_FORMAT


def test_attributes_of_a_stamp(one: Issued, two: Issued) -> None:
    """A stamp's time is after 1970, its proof of rotation holds and ends at its certificate, and the package names that certificate."""
    store = issue("Store", kind="p256")
    named = {"stamp-cert-sha256": hashlib.sha256(store.der).digest()}
    data = package(named, min_sdk=28)
    signed = signing.signer_block(one, digests(data))
    over = {2: [(1, signing.content_digest(data, EC))]}
    proof, time = 0x9D6303F7, 0xE43C5946
    for attributes, good in (
        ([], True),
        ([(time, struct.pack("<q", 1_644_886_584))], True),
        ([(time, bytes(8))], False),
        ([(time, struct.pack("<q", -1))], False),
        ([(time, bytes(4))], False),
        ([(proof, signing.lineage(two, store))], True),
        ([(proof, signing.lineage(store, two))], False),
        ([(proof, b"x")], False),
    ):
        block = signing.stamp(store, over, attributes=attributes)
        pairs = {signing.V2: signing.scheme(signed), 0x6DFF800D: block}
        decided, told = read(signing.with_pairs(data, pairs)).signatures
        assert holds(decided)
        assert (told.problem is None and holds(told)) is good, attributes
    other = {signing.V2: signing.scheme(signed), 0x6DFF800D: signing.stamp(two, over)}
    assert read(signing.with_pairs(data, other)).signatures[1].problem is not None
    missing = read(signing.with_pairs(data, {signing.V2: signing.scheme(signed)})).signatures[1]
    assert missing.problem is not None
    assert missing.problem.reason is Reason.UNSUPPORTED_FORMAT


def test_a_stamp_is_over_every_scheme_that_it_names(one: Issued) -> None:
    """A stamp that is right for the newest scheme and wrong for an older one is not over this package; unnamed ones may be missing."""
    store = issue("Store", kind="p256")
    data = package({"stamp-cert-sha256": hashlib.sha256(store.der).digest()}, min_sdk=28)
    over, content = digests(data), [(1, signing.content_digest(data, EC))]
    newer = signing.scheme(signing.signer_block(one, over, sdk=(28, signing.MAX_SDK)))
    pairs = {signing.V2: signing.scheme(signing.signer_block(one, over)), signing.V3: newer}
    for named, good in (
        ({2: content, 3: content}, True),
        ({3: content}, True),
        ({2: content}, True),
        ({2: [(1, bytes(32))], 3: content}, False),
        ({2: content, 3: [(1, bytes(32))]}, False),
        ({1: content}, False),
    ):
        told = read(signing.with_pairs(data, pairs | {0x6DFF800D: signing.stamp(store, named)})).signatures[-1]
        assert (told.problem is None and holds(told)) is good, named


def test_stamp_over_a_jar_manifest() -> None:
    """Where v1 is what there is, a stamp is over the manifest's SHA-256."""
    store = issue("Store", kind="p256")
    data = (FOLDER / "v1.apk").read_bytes()
    manifest = zipfile.ZipFile(io.BytesIO(data)).read("META-INF/MANIFEST.MF")
    block = signing.stamp(store, {1: [(4, hashlib.sha256(manifest).digest())]})
    told = read(signing.with_pairs(data, {0x6DFF800D: block})).signatures[-1]
    assert told.problem is not None  # the package names no stamp
    assert "another certificate" in told.problem.detail


def test_v4_is_bound_to_file_tree_and_signer() -> None:
    """A changed root, digest or tree in an .idsig breaks it; one that is cut short is malformed."""
    data, idsig = ((FOLDER / name).read_bytes() for name in ("v4.apk", "v4.apk.idsig"))

    def beside(content: bytes) -> SignatureFact:
        file = SideFile("v4.apk.idsig", hashlib.sha256(content).hexdigest())
        return read(data, SideMaterial(file, SignatureOrigin.GIVEN, content)).signatures[-1]

    assert holds(beside(idsig))
    for at in (8 + 5 + 4 + 4 + 3, len(idsig) - 1):
        assert not holds(beside(idsig[:at] + bytes([idsig[at] ^ 1]) + idsig[at + 1 :]))
    assert beside(idsig[:60]).problem is not None


def beside(data: bytes, content: bytes) -> SignatureFact:
    """The v4 signature of ``data`` in such an .idsig."""
    file = SideFile("x.apk.idsig", hashlib.sha256(content).hexdigest())
    return read(data, SideMaterial(file, SignatureOrigin.GIVEN, content)).signatures[-1]


def test_v4_where_the_key_has_changed(one: Issued, two: Issued) -> None:
    """With v3.1 there are two v4 signatures, each bound to the signer of its scheme; without it there is one."""
    over = digests()
    proof = signing.lineage(one, two)
    old = signing.scheme(
        signing.signer_block(one, over, sdk=(28, 32), attributes=[(signing.ROTATION_MIN_SDK, signing.u32(33))])
    )
    new = signing.signer_block(two, over, sdk=(33, signing.MAX_SDK), attributes=[(signing.ROTATION, proof)])
    data = signing.with_pairs(PLAIN, {signing.V3: old, signing.V31: signing.scheme(new)})
    first, second = (signing.signing_info(signer, data, over[EC]) for signer in (one, two))
    stranger, unbound = (
        signing.signing_info(issue("X", kind="p256"), data, over[EC]),
        signing.signing_info(two, data, bytes(32)),
    )
    good = beside(data, signing.idsig(data, first, (signing.V31, second)))
    assert holds(good)
    assert good.certificates == (two.der,)
    broken = [
        signing.idsig(data, first),
        signing.idsig(data, second),
        signing.idsig(data, first, (signing.V31, unbound)),
        signing.idsig(data, first, (signing.V31, stranger)),
        signing.idsig(data, first, (signing.V31, first)),
        signing.idsig(data, stranger, (signing.V31, second)),
        signing.idsig(data, first[:-1] + bytes([first[-1] ^ 1]), (signing.V31, second)),
    ]
    assert [holds(beside(data, content)) for content in broken] == [False] * len(broken)
    assert beside(data, signing.idsig(data, first, (signing.V3, second))).problem is not None
    assert beside(data, signing.idsig(data, first, (signing.V31, second), (signing.V31, second))).problem is not None
    alone = signing.with_pairs(
        PLAIN, {signing.V3: signing.scheme(signing.signer_block(one, over, sdk=(28, signing.MAX_SDK)))}
    )
    info, extra = (signing.signing_info(signer, alone, over[EC]) for signer in (one, two))
    assert holds(beside(alone, signing.idsig(alone, info)))
    assert not holds(beside(alone, signing.idsig(alone, info, (signing.V31, extra))))


def test_v2_beside_a_newer_scheme_is_by_the_first_key(one: Issued, two: Issued) -> None:
    """Android before 9 goes by v2: under v3 it has one signer, the one with whom the proof of rotation begins."""
    over = digests()
    three = issue("Three", kind="p256")
    proof = signing.lineage(one, two, three)
    newest = signing.signer_block(three, over, sdk=(28, signing.MAX_SDK), attributes=[(signing.ROTATION, proof)])
    verdicts = {}
    for signers in ((one,), (two,), (three,), (one, two)):
        older = signing.scheme(*(signing.signer_block(signer, over) for signer in signers))
        problem = read(signing.with_pairs(PLAIN, {signing.V2: older, signing.V3: signing.scheme(newest)})).problem
        verdicts[signers] = problem.reason if problem else None
    assert list(verdicts.values()) == [None, *[Reason.INVALID_SIGNATURE] * 3]


def test_v1_beside_v2_is_by_all_of_its_signers(one: Issued, two: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    """Android before 7 goes by v1: a package that it would take for signed by fewer, or by others of the same name, is a forgery."""
    files = {name: zipfile.ZipFile(io.BytesIO(PACKAGE_FOR_ALL)).read(name) for name in ("AndroidManifest.xml",)}
    monkeypatch.setattr(x509, "random_serial_number", lambda: one.certificate.serial_number)
    namesake = issue("One", kind="p256")

    def verdict(by: tuple[Issued, ...], *newer: Issued, carried: tuple[Issued, ...] | None = None) -> Reason | None:
        data = v1_signed(files, by, carried or by)
        over = {EC: signing.content_digest(data, EC)}
        problem = read(v2(*(signing.signer_block(signer, over) for signer in newer), data=data)).problem
        return problem.reason if problem else None

    assert verdict((one,), one) is None
    assert verdict((one, two), two, one) is None
    assert verdict((one,), one, two) is Reason.INVALID_SIGNATURE
    assert verdict((one, two), one) is Reason.INVALID_SIGNATURE
    assert verdict((namesake,), one, carried=(one, namesake)) is Reason.INVALID_SIGNATURE


class ChangingSource:
    """A file to which somebody writes after its end has been read."""

    def __init__(self, data: bytes, later: bytes) -> None:
        self._data, self._later, self._reads = data, later, 0

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    def read_at(self, offset: int, length: int) -> bytes:
        """The first content until the whole file is read from its start in one piece."""
        if offset == 0 and length > 64 * 1024:
            self._data = self._later
        return self._data[offset : offset + length]


def test_a_file_that_changes_meanwhile_is_unreadable() -> None:
    """The signing block and the manifest that are judged are those of the bytes that were hashed."""
    data = (FOLDER / "valid.apk").read_bytes()
    block = data.index(b"APK Sig Block 42") - 200
    facts = read_package(ChangingSource(data, data[:block] + b"\1" + data[block + 1 :]), (), (), LIMITS)
    assert facts.problem is not None
    assert facts.problem.reason is Reason.UNREADABLE


@pytest.mark.parametrize("utf8", [False, True])
def test_product_and_sdk_versions(utf8: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Name, version and Android versions are read from binary XML with strings in either encoding."""
    found = manifest_xml.parse_manifest(
        android_manifest("com.example.x", version_code=42, min_sdk=24, target_sdk="S", sandbox=2, utf8=utf8)
    )
    assert (found.package, found.version_code, found.version_name) == ("com.example.x", 42, "1.2.3")
    assert (found.min_sdk, found.target_sdk > 30, found.sandbox) == (24, True, 2)
    left_out = manifest_xml.parse_manifest(android_manifest(min_sdk=None, target_sdk=None, utf8=utf8))
    assert (left_out.min_sdk, left_out.target_sdk) == (1, 1)


def test_product_comes_from_a_covered_manifest_only(one: Issued) -> None:
    """Package and versionCode are stated where a signature covers them."""
    product = read(signing.v2_signed(PLAIN, one, EC)).product
    assert product is not None
    assert (product.name, product.version) == ("com.example.app", "7")
    assert read(PLAIN).product is None


def test_a_package_without_its_manifest_is_malformed(one: Issued) -> None:
    """A signed archive without AndroidManifest.xml is no package that Android installs."""
    odd = PLAIN.replace(b"AndroidManifest.xml", b"AndroidManifest.XML")
    problem = read(signing.v2_signed(odd, one, EC)).problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


def test_a_manifest_that_cannot_be_read_states_no_product(one: Issued) -> None:
    """The signature decides; name and version are left out."""
    odd = zipped({"AndroidManifest.xml": b"<manifest package='com.example'/>", "classes.dex": b"dex"})
    facts = read(signing.v2_signed(odd, one, EC))
    assert (holds(only(facts)), facts.product) == (True, None)


def zipped(files: dict[str, bytes]) -> bytes:
    """A plain archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


DECODERS = {
    "archive": lambda data: apk_archive.read_apk_archive(BytesSource(data), LIMITS),
    "block": lambda data: apk_signing_block.find_signing_block(BytesSource(data), len(data)),
    "signers": lambda data: [
        apk_signers.parse_signer(one, "x", ranged=True) for one in apk_signers.split_signers(data, "x")
    ],
    "stamp": apk_signers.parse_stamp,
    "idsig": apk_idsig.parse_idsig,
    "manifest": manifest_xml.parse_manifest,
}
SEEDS = (
    (FOLDER / "valid.apk").read_bytes(),
    split_apk((FOLDER / "valid.apk").read_bytes()).block,
    split_apk((FOLDER / "v3.apk").read_bytes()).pairs[signing.V3],
    split_apk((FOLDER / "stamped.apk").read_bytes()).pairs[0x6DFF800D],
    (FOLDER / "v4.apk.idsig").read_bytes(),
    android_manifest(),
)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_decoders_raise_nothing_else(name: str, data: st.DataObject) -> None:
    """Whatever the bytes, a decoder answers or raises one of the three errors."""
    seed = bytearray(data.draw(st.sampled_from((*SEEDS, b""))))
    for _ in range(data.draw(st.integers(0, 4))):
        if seed:
            at = data.draw(st.integers(0, len(seed) - 1))
            seed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(*READ_ERRORS):
        DECODERS[name](bytes(seed))


def test_a_signing_block_cannot_be_larger_than_the_file() -> None:
    """A size that reaches before the file's start is malformed."""
    data = struct.pack("<Q", 1 << 40) + b"APK Sig Block 42"
    with pytest.raises(MalformedError):
        apk_signing_block.find_signing_block(BytesSource(data), len(data))


def test_facts_know_no_other_package(one: Issued) -> None:
    """The same signer over another package does not match."""
    block = signing.signer_block(one, digests())
    other = package({"classes.dex": b"other"}, min_sdk=28)
    fact = only(read(v2(block, data=other)))
    assert not fact.content_matches
    assert replace(fact, content_matches=True).signed == fact.signed
