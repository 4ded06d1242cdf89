from __future__ import annotations

import hashlib
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.package_craft import LIMITS, Signer, archive, bundle, ota, passes, read, run, side
from trust_store.decode.containers import CONTAINERS, container_of
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.decode.manifest import parse_manifest
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError
from trust_store.formats import readers
from trust_store.formats.detect import read_package
from trust_store.formats.registry import NONE, READERS
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Coverage, SignatureOrigin, Uncovered
from trust_store.model.verdict import Reason
from trust_store.signatures import android_ota
from trust_store.signatures.protocol import CandidateKey
from trust_store.signatures.schemes import with_candidates

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

FILES = {"firmware.bin": b"\x7fELF" + bytes(500), "notes/readme.txt": b"read me\n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where keys lie."""
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def ec(folder: Path) -> Signer:
    """A P-256 signer."""
    return Signer.make(folder, "ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


@pytest.fixture(scope="module")
def rsa(folder: Path) -> Signer:
    """An RSA signer."""
    return Signer.make(folder, "rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


def reason(facts: PackageFacts) -> Reason | None:
    """The problem's reason."""
    return facts.problem.reason if facts.problem else None


def test_registry() -> None:
    """Every reader stands once in the registry, which says the same of it as its module, and has its documentation."""
    modules = {path.stem for path in Path(readers.__file__).parent.glob("*.py")} - {"__init__"}
    assert sorted(entry.module for entry in READERS) == sorted(modules)
    assert len({entry.name for entry in READERS}) == len(READERS)
    for entry in READERS:
        reader = entry.load()
        assert (entry.name, entry.version, entry.container) == (reader.NAME, reader.VERSION, reader.CONTAINER)
        assert reader.DOC
        assert reader.VERSION >= 1
    assert {entry.container for entry in READERS} <= {name for name, _ in CONTAINERS} | {NONE}


def test_nothing_to_read() -> None:
    """An empty file, and a file of no known kind without a signature beside it, are unsupported; the digest is there."""
    for data in (b"", b"PK", b"plain text"):
        facts = read(data)
        assert (facts.format, reason(facts)) == (None, Reason.UNSUPPORTED_FORMAT)
        assert facts.sha256 == hashlib.sha256(data).hexdigest()
        assert facts.size == len(data)
    assert reason(read(b"", side(b"x"))) is Reason.UNSUPPORTED_FORMAT


def test_two_containers_are_malformed() -> None:
    """A file that is two containers at once is refused, and both are named."""
    with pytest.raises(MalformedError, match="zip and tar"):
        container_of(BytesSource(b"x"), (("zip", lambda _: True), ("tar", lambda _: True), ("ar", lambda _: False)))


def test_oversized_package_is_a_resource_limit() -> None:
    """A package above the cap is not read at all."""
    facts = read_package(BytesSource(bytes(9)), (), (), replace(LIMITS, max_package_bytes=8))
    assert reason(facts) is Reason.RESOURCE_LIMIT


def test_detached_covers_every_byte(ec: Signer) -> None:
    """A detached signature covers the whole file; material lists the side files' digests."""
    signature = side(ec.cms(b"data"))
    facts = read(b"data", signature)
    assert passes(facts)
    assert (facts.format, facts.coverage) == ("detached", Coverage(4))
    assert facts.material == (signature.file.sha256,)


def test_unknown_and_broken_side_files_are_reported(ec: Signer) -> None:
    """A side file that nothing recognises, or that is broken, is a fact with a problem beside the good one."""
    good = ec.cms(b"data")
    facts = read(b"data", side(good), side(b"hello", "x.sig"), side(good[:50], "y.p7s"))
    problems = {
        fact.file.name: (fact.scheme, fact.problem and fact.problem.reason) for fact in facts.signatures if fact.file
    }
    assert problems == {
        "package.p7s": ("cms", None),
        "x.sig": ("unknown", Reason.UNSUPPORTED_FORMAT),
        "y.p7s": ("cms", Reason.MALFORMED),
    }
    big = side(bytes(9 * 1024 * 1024))
    assert [fact.problem and fact.problem.reason for fact in read(b"data", big).signatures] == [Reason.RESOURCE_LIMIT]


def test_plain_zip_is_unsigned() -> None:
    """A zip without a signature has none, and nothing in it is covered."""
    data = archive(FILES)
    facts = read(data)
    assert (facts.format, facts.problem, facts.signatures) == ("zip", None, ())
    assert facts.coverage == Coverage(0, (Uncovered(start=0, end=len(data)),))


def test_plain_zip_with_side_signature(ec: Signer) -> None:
    """A signature beside a zip covers the whole of it."""
    data = archive(FILES)
    facts = read(data, side(ec.cms(data)))
    assert passes(facts)
    assert (facts.format, facts.coverage) == ("zip", Coverage(len(data)))


@pytest.mark.parametrize("name", ["", "release-1.2/"])
def test_vendor_bundle(ec: Signer, name: str) -> None:
    """A bundle holds where every file is in the signed manifest, at the root or in one folder."""
    data = bundle(ec, FILES, folder=name)
    facts = read(data)
    assert passes(facts)
    assert (facts.format, facts.sha256) == ("vendor-bundle", hashlib.sha256(data).hexdigest())
    fact = facts.signatures[0]
    assert fact.origin is SignatureOrigin.EMBEDDED
    assert fact.file is not None
    assert fact.file.name == f"{name}SHA256SUMS.p7s"
    members = [u for u in facts.coverage.uncovered if u.member is not None]
    assert members == [Uncovered(member=f"{name}SHA256SUMS.p7s", inert=True)]
    assert all(u.inert for u in facts.coverage.uncovered)


def test_vendor_bundle_with_side_signature(ec: Signer, rsa: Signer) -> None:
    """A signature beside a bundle counts for the whole file, besides those inside."""
    data = bundle(ec, FILES)
    facts = read(data, side(rsa.cms(data)))
    assert passes(facts)
    assert [fact.origin for fact in facts.signatures] == [SignatureOrigin.EMBEDDED, SignatureOrigin.GIVEN]


@pytest.mark.parametrize("extra", ["smuggled.sh", "notes/x", "hidden/", "SHA256SUMS.bak", "x/SHA256SUMS"])
def test_smuggled_members_are_uncovered(ec: Signer, extra: str) -> None:
    """A member that the manifest does not list is uncovered content, an empty folder included."""
    facts = read(bundle(ec, FILES, extra={extra: b"" if extra.endswith("/") else b"#!"}))
    assert (facts.format, facts.problem) == ("vendor-bundle", None)
    assert Uncovered(member=extra) in facts.coverage.uncovered
    assert not passes(facts)


def test_folder_of_a_listed_file_is_inert(ec: Signer) -> None:
    """A folder entry on the way to a listed file adds nothing."""
    facts = read(bundle(ec, FILES, extra={"notes/": b""}))
    assert passes(facts)
    assert Uncovered(member="notes/", inert=True) in facts.coverage.uncovered


def test_members_outside_the_manifest_folder_are_uncovered(ec: Signer) -> None:
    """A manifest in a folder says nothing of what lies beside the folder."""
    assert not passes(read(bundle(ec, FILES, folder="a/", extra={"b/evil": b"x", "evil": b"y"})))


def sums(lines: str, signer: Signer, members: dict[str, bytes]) -> bytes:
    """A bundle with a signed manifest of exactly ``lines``."""
    return archive({"SHA256SUMS": lines.encode(), "SHA256SUMS.p7s": signer.cms(lines.encode()), **members})


def test_missing_or_changed_members_are_invalid(ec: Signer) -> None:
    """A listed file that is absent, or has another digest, breaks the signature's promise."""
    digest = hashlib.sha256(b"x").hexdigest()
    assert passes(read(sums(f"{digest} *a\n{digest}  ./b", ec, {"a": b"x", "b": b"x"})))
    assert reason(read(sums(f"{digest}  a\n", ec, {}))) is Reason.INVALID_SIGNATURE
    assert reason(read(sums(f"{digest}  a\n", ec, {"a": b"y"}))) is Reason.INVALID_SIGNATURE
    assert reason(read(sums(f"{digest}  a\n", ec, {"a/": b""}))) is Reason.INVALID_SIGNATURE


D = "0" * 64
BAD_MANIFESTS = [
    "", "\n", f"{D} a\n", f"{D}  a\n\n", f"{D}  a\r\n", f"\\{D}  a\n", f"{D}  /a\n", f"{D}  ../a\n", f"{D}  a\n{D}  a\n",
    f"{D}  a\n{D}  A\n", f"{D}  a/\n", f"{D}  a\\b\n", f"{D}  \n", f"{D[:63]}  a\n", f"SHA256 (a) = {D}\n", f"# x\n{D}  a\n", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_MANIFESTS)
def test_bad_manifests_are_malformed(ec: Signer, text: str) -> None:
    """Every line is a digest and a plain name, once; nothing else stands in a manifest."""
    data = text.encode("utf-8", "surrogatepass")
    with pytest.raises(MalformedError):
        parse_manifest(data, max_entries=10)
    package = archive({"SHA256SUMS": data, "SHA256SUMS.p7s": ec.cms(data)})
    assert (read(package).format, reason(read(package))) == ("vendor-bundle", Reason.MALFORMED)


def test_manifest_caps(ec: Signer) -> None:
    """Manifest lines and bytes, and the bytes of signature files, are capped."""
    with pytest.raises(ResourceLimitError):
        parse_manifest(f"{D}  a\n{D}  b\n".encode(), max_entries=1)
    small = replace(LIMITS, max_manifest_bytes=10)
    assert reason(read_package(BytesSource(bundle(ec, FILES)), (), (), small)) is Reason.RESOURCE_LIMIT
    large = archive({"SHA256SUMS": b"x", "SHA256SUMS.sig": bytes(8 * 1024 * 1024 + 1)})
    assert reason(read(large)) is Reason.RESOURCE_LIMIT


def test_two_signed_manifests_in_two_folders(ec: Signer) -> None:
    """Two folders that each claim to be the bundle are ambiguous; a manifest alone makes no bundle."""
    data = b"".join([f"{D}  a\n".encode()])
    signature = ec.cms(data)
    both = {f"{x}/SHA256SUMS{s}": c for x in "ab" for s, c in (("", data), (".p7s", signature))}
    assert reason(read(archive(both))) is Reason.MALFORMED
    assert read(archive({"SHA256SUMS": data})).format == "zip"


def test_broken_bundle_signature_is_reported() -> None:
    """A signature file that cannot be read is a fact with a problem, not an unsigned bundle."""
    digest = hashlib.sha256(b"x").hexdigest()
    facts = read(archive({"a": b"x", "SHA256SUMS": f"{digest}  a\n".encode(), "SHA256SUMS.asc": b"nothing"}))
    assert facts.format == "vendor-bundle"
    assert [fact.problem and fact.problem.reason for fact in facts.signatures] == [Reason.UNSUPPORTED_FORMAT]


@pytest.mark.parametrize(("kind", "digest"), [("rsa", "sha256"), ("rsa", "sha1"), ("ec", "sha256")])
def test_android_ota(request: pytest.FixtureRequest, kind: str, digest: str) -> None:
    """A package as SignApk -w writes it holds under the key of the certificate inside, and under that key only."""
    signer: Signer = request.getfixturevalue(kind)
    data = ota(signer, FILES, digest=digest)
    facts = read(data)
    assert passes(facts)
    assert facts.format == "android-ota"
    fact = facts.signatures[0]
    assert (fact.scheme, fact.digest_algorithm, fact.signed) == ("android-ota", digest, b"")
    assert all(uncovered.inert for uncovered in facts.coverage.uncovered)
    assert facts.coverage.covered_bytes + sum((u.end or 0) - (u.start or 0) for u in facts.coverage.uncovered) == len(
        data
    )


def test_android_ota_tries_every_key(ec: Signer, rsa: Signer, folder: Path) -> None:
    """As recovery does, any known key is tried; a key that is not named and does not fit says nothing."""
    renewed = Signer(folder / "renewed.pem", ec.key)
    run(
        "openssl", "req", "-x509", "-new", "-key", str(ec.key), "-subj", "/CN=renewed", "-out", str(renewed.certificate)
    )
    fact = replace(read(ota(ec, FILES)).signatures[0], key_checks=(), certificates=())
    found = with_candidates(fact, (rsa.candidate, renewed.candidate))
    assert [(check.key, check.holds) for check in found.key_checks] == [(hashlib.sha256(renewed.der).hexdigest(), True)]


def test_android_ota_changed_content_is_false(ec: Signer) -> None:
    """A changed member leaves the named certificate with False."""
    data = bytearray(ota(ec, {"a": b"x" * 100}))
    data[12] ^= 1  # a member's date: structure stays
    facts = read(bytes(data))
    assert facts.format == "android-ota"
    assert [check.holds for check in facts.signatures[0].key_checks] == [False]


def test_android_ota_message(ec: Signer) -> None:
    """Text before the signature is inert, anything else is uncovered content."""
    assert passes(read(ota(ec, FILES, message=b"")))
    assert not passes(read(ota(ec, FILES, message=b"\x7fELF\1\2\3")))


def recomment(data: bytes, comment: bytes) -> bytes:
    """The package with another archive comment."""
    end = data.rindex(b"PK\5\6")
    return data[: end + 20] + struct.pack("<H", len(comment)) + comment


@pytest.mark.parametrize(
    ("start", "expected"),
    [(6, Reason.MALFORMED), (0, Reason.MALFORMED), (60000, Reason.MALFORMED), (20, Reason.MALFORMED)],
)
def test_android_ota_footer_must_point_into_the_comment(ec: Signer, start: int, expected: Reason) -> None:
    """A footer that points outside the comment, or to no PKCS #7, is malformed."""
    body = bytes(40)
    comment = body + struct.pack("<HHH", start, 0xFFFF, len(body) + 6)
    facts = read(recomment(ota(ec, FILES), comment))
    assert (facts.format, reason(facts)) == ("android-ota", expected)


def test_android_ota_unsupported_algorithms(folder: Path, ec: Signer, rsa: Signer) -> None:
    """Recovery knows SHA-1 and SHA-256 for RSA and SHA-256 for ECDSA; one signer; never a file beside the package."""
    assert reason(read(ota(rsa, FILES, digest="sha512"))) is Reason.UNSUPPORTED_FORMAT
    assert reason(read(ota(ec, FILES, digest="sha384"))) is Reason.UNSUPPORTED_FORMAT
    p384 = Signer.make(folder, "p384", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
    assert not passes(read(ota(p384, FILES)))
    both = ec.cms(b"x", "-noattr", "-signer", str(rsa.certificate), "-inkey", str(rsa.key))
    with pytest.raises(MalformedError):
        android_ota.SCHEME.parse(both, origin=SignatureOrigin.EMBEDDED, file=None)
    with pytest.raises(TrustStoreError):
        android_ota.SCHEME.parse(both, origin=SignatureOrigin.GIVEN, file=side(b"x").file)


def covered(original: bytes, facts: PackageFacts, name: str) -> list[tuple[int, int]]:
    """Byte ranges that a signature covers: all (detached), before the comment (OTA), contents of listed members (bundle)."""
    if name == "ota":
        return [(0, facts.coverage.covered_bytes)]
    if name == "bundle":
        starts = [original.index(content) for content in FILES.values()]
        return [(start, start + len(content)) for start, content in zip(starts, FILES.values(), strict=True)]
    return [(0, len(original))]


@pytest.mark.parametrize("name", ["detached", "zip", "bundle", "ota"])
def test_each_flipped_byte(ec: Signer, name: str) -> None:
    """A byte changed anywhere never raises, and a covered one never leaves a package that holds."""
    made = {
        "detached": lambda: b"firmware" * 20,
        "zip": lambda: archive(FILES),
        "bundle": lambda: bundle(ec, FILES, method=zipfile.ZIP_STORED),
        "ota": lambda: ota(ec, FILES, method=zipfile.ZIP_STORED),
    }
    original = made[name]()
    sides = (side(ec.cms(original)),) if name in ("detached", "zip") else ()
    good = read(original, *sides, keys=(ec.candidate,))
    assert passes(good)
    ranges = covered(original, good, name)
    for position in range(len(original)):
        changed = bytearray(original)
        changed[position] ^= 1 << position % 8
        facts = read(bytes(changed), *sides, keys=(ec.candidate,))
        if any(start <= position < end for start, end in ranges):
            assert not passes(facts), position
    for length in range(len(original)):
        assert not passes(read(original[:length], *sides, keys=(ec.candidate,))), length


@pytest.mark.parametrize("name", ["zip", "streamed zip", "ota"])
def test_each_flipped_bit_of_signed_bytes_is_evidence(ec: Signer, tmp_path: Path, name: str) -> None:
    """One bit of the signed bytes gives a broken signature or a malformed package, never a mere lack of support."""
    for file in ("a", "b"):
        (tmp_path / file).write_text(file * 9)
    streamed = run("zip", "-q", "-j", "-", str(tmp_path / "a"), str(tmp_path / "b"))
    original = {"zip": archive({"a": b"xy", "b/c": b""}), "streamed zip": streamed, "ota": ota(ec, {"a": b"xy"})}[name]
    sides = () if name == "ota" else (side(ec.cms(original)),)
    signed = read(original, *sides).coverage.covered_bytes
    assert signed > 100
    for position in range(signed):
        for bit in range(8):
            changed = bytearray(original)
            changed[position] ^= 1 << bit
            facts = read(bytes(changed), *sides)
            broken = [check.holds for fact in facts.signatures for check in fact.key_checks] == [False]
            assert broken or reason(facts) is Reason.MALFORMED, (position, bit, facts.problem)


def test_facts_round_trip(ec: Signer, rsa: Signer) -> None:
    """Facts of every format survive being written and read."""
    zipped = archive(FILES)
    for facts in (
        read(b""),
        read(zipped),
        read(zipped, side(ec.cms(zipped, "-keyid")), side(b"x")),
        read(bundle(ec, FILES, extra={"x": b""})),
        read(ota(rsa, FILES)),
        read(b"PK\3\4"),
    ):
        assert facts_from_json(facts_to_json(facts)) == facts


def test_second_opinion_on_manifest_and_package(tmp_path: Path) -> None:
    """OpenPGP signatures that hold get an opinion: over the manifest where they are inside, over the file where beside it."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback")
    run(*gpg, "--quick-gen-key", "v@example.org", "ed25519", "sign", "1y")
    keys = (CandidateKey("x509", b"other"), CandidateKey("openpgp", run(*gpg, "--export")))
    manifest = f"{hashlib.sha256(b'x').hexdigest()}  a\n".encode()
    members = {
        "a": b"x",
        "SHA256SUMS": manifest,
        "SHA256SUMS.asc": run(*gpg, "--armor", "--detach-sign", data=manifest),
    }
    data = archive(members)
    facts = read(data, side(run(*gpg, "--detach-sign", data=data), "x.sig"), keys=keys)
    run("gpgconf", "--homedir", str(home), "--kill", "all")
    assert (facts.format, passes(facts)) == ("vendor-bundle", True)
    opinions = [[(check.holds, check.second_opinion) for check in fact.key_checks] for fact in facts.signatures]
    assert opinions == [[(True, True)], [(True, True)]]
    assert [fact.key_checks for fact in read(data[:-1] + b"x", keys=keys).signatures] == []
    other = archive(members | {"SHA256SUMS": manifest.replace(b"a\n", b"b\n"), "b": b"x"})
    assert [[c.holds for c in fact.key_checks] for fact in read(other, keys=keys).signatures] == [[False]]
