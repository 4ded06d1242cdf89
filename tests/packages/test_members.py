from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from dataclasses import replace

import pytest

from tests.packages.table import FIXTURES
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store.package_craft import archive, read
from tests.trust_store.verdict_craft import AT, anchor, ask, der
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.formats import detect
from trust_store.formats.detect import MAX_MEMBER_DEPTH, MAX_MEMBERS
from trust_store.formats.members import MAX_PACKAGES, MAX_SIDE_BYTES, MAX_UNPACKED_BYTES, SliceSource
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Member, PackageFacts
from trust_store.model.verdict import Outcome, Reason
from trust_store.verification.package import MAX_JUDGED_INSIDE

CONTENT = b"firmware " * 64


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys."""
    return VendorPKI.generate("DTEN", AT)


def deflated(files: dict[str, bytes]) -> bytes:
    """A zip with compressed members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in files.items():
            written.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [archive, deflated])
def test_packages_inside_get_their_own_verdicts(pki: VendorPKI, pack: object) -> None:
    """An unsigned container stays unsigned; a signed package and a pair inside it each get a verdict, other files none."""
    inner = vendor_bundle(pki, {"firmware.bin": CONTENT})
    data = pack(  # type: ignore[operator]
        {"upgrade/inner.zip": inner, "image.bin": CONTENT, "image.bin.p7s": pki.sign(CONTENT), "readme.txt": b"hello"}
    )
    verdict = ask(read(data), anchor(der(pki.root)))
    assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.UNSIGNED)
    found = {member.path: (member.format, member.reason) for member in verdict.members}
    assert found == {
        "upgrade/inner.zip": ("vendor-bundle", Reason.TRUSTED),
        "image.bin": ("detached", Reason.TRUSTED),
    }


def test_members_are_kept_with_the_facts(pki: VendorPKI) -> None:
    """Facts with packages inside are written and read back as they were."""
    facts = read(archive({"a/inner.zip": vendor_bundle(pki, {"firmware.bin": CONTENT})}))
    assert facts.members
    assert facts_from_json(facts_to_json(facts)) == facts


def test_a_tampered_package_inside_is_told(pki: VendorPKI) -> None:
    """A package inside whose signature is broken says so; the container stays what it is."""
    with zipfile.ZipFile(io.BytesIO(vendor_bundle(pki, {"firmware.bin": CONTENT}))) as signed:
        files = {name: signed.read(name) for name in signed.namelist()}
    data = archive({"inner.zip": archive({**files, "firmware.bin": b"evil"})})
    (member,) = ask(read(data), anchor(der(pki.root))).members
    assert member.outcome is Outcome.FAILED


def test_containers_are_followed_only_so_deep(pki: VendorPKI) -> None:
    """Containers in containers end at the stated depth: what is deeper is not read and gets no verdict."""
    data = vendor_bundle(pki, {"firmware.bin": CONTENT})
    for _ in range(MAX_MEMBER_DEPTH + 2):
        data = archive({"inner.zip": data})
    facts: PackageFacts = read(data)
    depth = 0
    while facts.members:
        (member,) = facts.members
        facts, depth = member.facts, depth + 1
    assert depth == MAX_MEMBER_DEPTH


def test_only_so_many_packages_are_read() -> None:
    """Of a container full of packages the first are read, up to the cap."""
    inner = archive({"a": b"a"})
    facts = read(archive({f"{n:03}.zip": inner for n in range(MAX_PACKAGES + 5)}))
    assert len(facts.members) == MAX_PACKAGES


def test_a_large_compressed_package_is_told_and_not_unpacked() -> None:
    """A compressed member above the cap is not unpacked in memory: its verdict says resource_limit."""
    head = archive({"a": b"a"})
    data = deflated({"big.zip": head + bytes(MAX_UNPACKED_BYTES)})
    (member,) = read(data).members
    assert member.facts.problem is not None
    assert member.facts.problem.reason is Reason.RESOURCE_LIMIT


def test_a_slice_shows_nothing_around_it() -> None:
    """A stretch of a package begins and ends where it says."""
    slice_ = SliceSource(BytesSource(bytes(range(100))), 10, 20)
    assert slice_.size == 20
    assert slice_.read_at(0, 1000) == bytes(range(10, 30))
    assert slice_.read_at(19, 5) == bytes([29])
    assert slice_.read_at(20, 5) == b""
    assert slice_.read_at(25, 5) == b""
    assert slice_.read_at(-5, 5) == b""


def test_packages_without_a_container_are_found_inside() -> None:
    """What such a package begins with is enough to look at it closer."""
    files = {
        name: (FIXTURES / name).read_bytes() for name in ("rpm/valid.rpm", "alpine-apk-v3/valid.apk", "mar/good.mar")
    }
    assert [member.facts.format for member in read(archive(files)).members] == ["rpm", "alpine-apk-v3", "mar"]


def test_a_package_of_two_containers_is_malformed() -> None:
    """Bytes that begin as one container and end as another are read as neither, and both are named."""
    plain = archive({"a": b"a"})
    data = b"MSCF\0\0\0\0" + struct.pack("<I", 0) * 8 + plain
    facts = read(data)
    assert facts.problem is not None
    assert facts.problem.reason is Reason.MALFORMED
    assert "cab" in facts.problem.detail
    assert "zip" in facts.problem.detail


def test_packages_at_all_depths_count_together() -> None:
    """Containers full of containers hold no more packages that are read than one container does."""
    inner = archive({f"{n:02}.zip": archive({"a": b"a"}) for n in range(20)})
    facts = read(archive({f"{n:02}.zip": inner for n in range(20)}))
    assert len(facts.members) + sum(len(member.facts.members) for member in facts.members) == MAX_MEMBERS


def test_what_is_unpacked_for_packages_inside_is_capped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small archives that each unpack to much are read until it is enough; the others say resource_limit."""
    large = archive({"a": bytes(100_000)})
    monkeypatch.setattr(detect, "MAX_MEMBER_BYTES", 3 * len(large))
    found = read(deflated({f"{n}.zip": large for n in range(5)})).members
    assert [member.facts.problem and member.facts.problem.reason for member in found] == [None] * 3 + [
        Reason.RESOURCE_LIMIT
    ] * 2


def test_an_unpacked_package_unpacks_only_to_so_much_itself() -> None:
    """A bomb in a compressed container is worth a thousand times its size once, and not twice."""
    bomb = deflated({f"{n}": bytes(1_000_000) for n in range(10)})
    assert read(bomb).problem is None
    (member,) = read(deflated({"bomb.zip": bomb})).members
    assert member.facts.problem is not None
    assert member.facts.problem.reason is Reason.RESOURCE_LIMIT


def test_signatures_beside_members_are_capped_together() -> None:
    """Files that are named as signatures are unpacked until they are too many; the others cannot be read and say so."""
    files = {}
    for n in range(4):
        files |= {f"{n}.bin": CONTENT, f"{n}.bin.p7s": b"0" + bytes(MAX_SIDE_BYTES // 3 - 1)}
    empty = hashlib.sha256(b"").hexdigest()
    found = [member.facts.signatures[0].file for member in read(deflated(files)).members]
    assert [file is not None and file.sha256 == empty for file in found] == [False] * 3 + [True]


def test_only_so_many_signatures_of_a_package_inside_are_judged(pki: VendorPKI) -> None:
    """Each may cost hundreds of public-key operations: a package inside with more is a resource_limit and passes nothing."""
    one = pki.sign(CONTENT)
    facts = read(archive({"image.bin": CONTENT, "image.bin.p7s": one}))
    (member,) = facts.members
    many = replace(member.facts, signatures=member.facts.signatures * (MAX_JUDGED_INSIDE + 1))
    verdict = ask(replace(facts, members=(Member(member.name, many),)), anchor(der(pki.root)))
    assert verdict.members[0].reason is Reason.RESOURCE_LIMIT
    assert len(verdict.members[0].signatures) == MAX_JUDGED_INSIDE


def test_no_reader_unpacks_more_of_a_package_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container leaves for the packages in it holds for formats with caps of their own as well."""
    monkeypatch.setattr(detect, "MEMBER_RATIO", 0)
    monkeypatch.setattr(detect, "CHUNK_BYTES", 300)
    names = [
        "deb/gzip.deb",
        "alpine-apk/valid.apk",
        "alpine-apk-v3/deflated.apk",
        "fwupd/pkcs7.cab",
        "pacman/valid.pkg.tar.gz",
    ]
    for name in names:
        (member,) = read(deflated({"inside": (FIXTURES / name).read_bytes()})).members
        assert member.facts.problem is not None, name
        assert member.facts.problem.reason is Reason.RESOURCE_LIMIT, name
