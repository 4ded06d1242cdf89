from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.package_craft import LIMITS, archive
from tests.trust_store.store_setup import DEDICATED, open_store, proposal_of, randomness, vendor
from tests.trust_store.verdict_craft import AT, CONTENT, DTEN, bare_cms, candidates, der
from trust_store import anchor_management
from trust_store.decisions import perform
from trust_store.decode.openpgp import load_keys
from trust_store.errors import UsageError
from trust_store.formats.detect import read_package as read_in_process
from trust_store.formats.streaming import FileSource
from trust_store.formats.worker import ForkedReader
from trust_store.model.claim import Authority, Evidence, Proposal
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import PackageFacts, SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.verdict import ExpectedVendor, NotPassedError, Outcome, Reason, require_passed
from trust_store.package_files import PackageUnreadableError, open_package
from trust_store.storage.connection import transaction
from trust_store.storage.facts import record_sighting, save_facts
from trust_store.stored_verdict import PackageUnknownError, StoredTrust, verify_stored, with_stored_keys
from trust_store.verification.supplied import SuppliedMaterial, read_material, supplied_anchors
from trust_store.verifier import (
    MAX_SIDE_BYTES,
    MAX_SIDE_FILES,
    CheckRequest,
    Verifier,
    read_package,
    suggested_vendor,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from trust_store.formats.protocol import ReadLimits, SideMaterial
    from trust_store.signatures.protocol import CandidateKey


class Reader:
    """The readers without their worker, with a count of how often a package was read."""

    def __init__(self) -> None:
        self.reads: list[tuple[CandidateKey, ...]] = []

    def read(
        self, package_fd: int, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
    ) -> PackageFacts:
        """Read in this process."""
        self.reads.append(candidates)
        return read_in_process(FileSource(package_fd), side, candidates, limits)


class Channels:
    """Evidence that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[Identifier] = set()

    def evidence_for(self, identifiers: Iterable[Identifier]) -> tuple[Evidence, ...]:
        """One claim about everything."""
        self.asked |= set(identifiers)
        return (Evidence("rotated", "https://forum.example/43", AT, "staff", Authority.STAFF, "new root"),)


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys."""
    return VendorPKI.generate("DTEN", AT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


@pytest.fixture
def package(tmp_path: Path, pki: VendorPKI) -> Path:
    """A signed file with its signature beside it."""
    path = tmp_path / "firmware.bin"
    path.write_bytes(CONTENT)
    path.with_name("firmware.bin.p7s").write_bytes(pki.sign(CONTENT))
    return path


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as home:
        yield home


def _propose(connection: sqlite3.Connection, pki: VendorPKI) -> str:
    return anchor_management.propose(
        connection, proposal_of(der(pki.root)), signer_rule=DEDICATED, at=AT, randomness=randomness
    )


def _approve(connection: sqlite3.Connection, anchor_id: str, read: str) -> None:
    arguments = {
        "anchor": anchor_id, "fingerprint_read": read, "spoke_with": "Ada", "called": "Product security", "ticket": "T",
    }  # fmt: skip
    perform(
        connection,
        "anchor.approve",
        arguments,
        identity="ann",
        vendors=(vendor(approvals=1),),
        at=AT,
        randomness=randomness,
    )


def _verifier(connection: sqlite3.Connection | None, reader: Reader | None = None, **options: object) -> Verifier:
    return Verifier(
        reader or Reader(),
        now=lambda: AT,
        source=None if connection is None else StoredTrust(connection, (vendor(approvals=1),)),
        **options,  # type: ignore[arg-type]
    )


def test_the_same_package_passes_after_approval(store: sqlite3.Connection, package: Path, pki: VendorPKI) -> None:
    """Unknown root, then pending, then approved: the same question gets its answer from the store alone."""
    verifier, request = _verifier(store), CheckRequest(package, DTEN)
    assert verifier.verify(request).reason is Reason.UNKNOWN_ROOT
    anchor_id = _propose(store, pki)
    assert verifier.verify(request).reason is Reason.UNKNOWN_ROOT
    _approve(store, anchor_id, pki.root_sha256)
    verdict = verifier.verify(request)
    require_passed(verdict)
    assert verdict.signatures[0].anchor == (anchor_id, verdict.signatures[0].path[-1].name)
    other = verifier.verify(CheckRequest(package, ExpectedVendor("acme", "stated")))
    with pytest.raises(NotPassedError, match="unknown_root"):
        require_passed(other)


def test_stored_facts_answer_without_the_file(store: sqlite3.Connection, package: Path, pki: VendorPKI) -> None:
    """Facts saved once are judged anew after a decision, with the name and place where the package was seen."""
    facts, _ = _verifier(store).examine(CheckRequest(package, DTEN))
    assert facts is not None
    with transaction(store):
        save_facts(store, facts, origin="intake", at=AT, randomness=randomness)
        record_sighting(store, facts.sha256, package.name, str(package), "dten", "intake", AT)
    package.unlink()
    anchor_id = _propose(store, pki)
    vendors = (vendor(approvals=1),)
    assert verify_stored(store, facts.sha256, DTEN, vendors, at=AT).reason is Reason.UNKNOWN_ROOT
    _approve(store, anchor_id, pki.root_sha256)
    verdict = verify_stored(store, facts.sha256, DTEN, vendors, at=AT)
    assert (verdict.reason, verdict.path, verdict.name) == (Reason.TRUSTED, str(package), "firmware.bin")
    with pytest.raises(PackageUnknownError, match="has been seen"):
        verify_stored(store, "ab" * 32, DTEN, vendors, at=AT)


def test_a_key_that_arrives_later_is_tried_without_the_file(
    store: sqlite3.Connection, tmp_path: Path, pki: VendorPKI
) -> None:
    """A signature that carries no certificate is unchecked until the store learns of the signer's, then intact."""
    path = tmp_path / "bare.bin"
    path.write_bytes(CONTENT)
    path.with_name("bare.bin.p7s").write_bytes(bare_cms(pki))
    facts, verdict = _verifier(store).examine(CheckRequest(path, DTEN))
    assert facts is not None
    assert verdict.signatures[0].integrity == "unchecked"
    anchor_management.propose(store, proposal_of(der(pki.signer)), signer_rule=None, at=AT, randomness=randomness)
    assert any(check.holds for check in with_stored_keys(store, facts, "dten").signatures[0].key_checks)


def _openpgp_proposal(key: bytes) -> Proposal:
    import hashlib

    (parsed,) = load_keys(key)
    return Proposal(
        "dten",
        AnchorKind.OPENPGP,
        parsed.name,
        hashlib.sha256(key).hexdigest(),
        key,
        parsed.identifiers,
        Authority.STAFF,
        "u",
    )


def test_an_openpgp_key_that_arrives_later_needs_the_file(store: sqlite3.Connection, tmp_path: Path, gpg: Gpg) -> None:
    """Stored facts lack the second opinion: not passed and needs_file, until the file is read again under the key."""
    fingerprint = gpg.make_key("Release <r@dten.example>", "ed25519")
    path = tmp_path / "note.txt"
    path.write_bytes(CONTENT)
    path.with_name("note.txt.asc").write_bytes(gpg.sign(fingerprint, "--armor", data=CONTENT))
    facts, _ = _verifier(store).examine(CheckRequest(path, DTEN))
    assert facts is not None
    with transaction(store):
        save_facts(store, facts, origin="intake", at=AT, randomness=randomness)
        record_sighting(store, facts.sha256, path.name, str(path), "dten", "intake", AT)
    anchor_id = anchor_management.propose(
        store, _openpgp_proposal(gpg.export(fingerprint)), signer_rule=None, at=AT, randomness=randomness
    )
    _approve(store, anchor_id, fingerprint)
    verdict = verify_stored(store, facts.sha256, DTEN, (vendor(approvals=1),), at=AT)
    assert (verdict.outcome, verdict.reason, verdict.needs_file) == (Outcome.INDETERMINATE, Reason.UNREADABLE, True)
    assert any("again" in advice for advice in verdict.advice)
    assert _verifier(store).verify(CheckRequest(path, DTEN)).reason is Reason.TRUSTED
    assert _verifier(store).verify(CheckRequest(path, ExpectedVendor(None, "none"))).reason is Reason.VENDOR_UNSTATED


def test_a_key_beyond_the_first_candidates_is_found_by_its_hint(
    store: sqlite3.Connection, tmp_path: Path, gpg: Gpg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store holds more keys than are tried at first, the signature's hint brings the right one and a second reading."""
    from trust_store import query

    fingerprint = gpg.make_key("Late <l@dten.example>", "ed25519")
    path = tmp_path / "note.txt"
    path.write_bytes(CONTENT)
    path.with_name("note.txt.asc").write_bytes(gpg.sign(fingerprint, data=CONTENT))
    anchor_management.propose(
        store, _openpgp_proposal(gpg.export(fingerprint)), signer_rule=None, at=AT, randomness=randomness
    )
    real = query.candidates
    monkeypatch.setattr(
        query, "candidates", lambda c, v, hints=(), **how: real(c, v, hints, **how) if tuple(hints) else ()
    )
    reader = Reader()
    facts, _ = _verifier(store, reader).examine(CheckRequest(path, DTEN))
    assert facts is not None
    assert len(reader.reads) == 2
    assert facts.signatures[0].key_checks[0].second_opinion is True


def test_evidence_is_asked_for_everything_that_names_the_key(
    store: sqlite3.Connection, package: Path, pki: VendorPKI
) -> None:
    """The channels are asked by signer, carried certificates and missing issuer; without channels nothing is claimed."""
    channels = Channels()
    verdict = _verifier(store, evidence=channels).verify(CheckRequest(package, DTEN))
    assert (verdict.evidence_available, len(verdict.evidence)) == (True, 1)
    root = proposal_of(der(pki.root)).identifiers
    assert {
        i for i in root if i.kind in (IdentifierKind.SUBJECT_KEY_IDENTIFIER, IdentifierKind.SUBJECT)
    } <= channels.asked
    plain = _verifier(store).verify(CheckRequest(package, DTEN))
    assert (plain.evidence_available, plain.evidence) == (False, ())


def test_packages_inside_are_kept_judged_anew_and_asked_about(
    store: sqlite3.Connection, tmp_path: Path, pki: VendorPKI
) -> None:
    """What is stored of an unsigned archive answers about the packages inside as well, and channels are asked about their keys."""
    path = tmp_path / "upgrade.zip"
    path.write_bytes(archive({"image.bin": CONTENT, "image.bin.p7s": pki.sign(CONTENT)}))
    channels = Channels()
    facts, verdict = _verifier(store, evidence=channels).examine(CheckRequest(path, DTEN))
    assert facts is not None
    assert [member.reason for member in verdict.members] == [Reason.UNKNOWN_ROOT]
    assert {i for i in proposal_of(der(pki.root)).identifiers if i.kind is IdentifierKind.SUBJECT} <= channels.asked
    with transaction(store):
        save_facts(store, facts, origin="intake", at=AT, randomness=randomness)
    path.unlink()
    _approve(store, _propose(store, pki), pki.root_sha256)
    stored = verify_stored(store, facts.sha256, DTEN, (vendor(approvals=1),), at=AT)
    assert (stored.reason, [member.reason for member in stored.members]) == (Reason.UNSIGNED, [Reason.TRUSTED])
    with pytest.raises(NotPassedError, match="unsigned"):
        require_passed(stored)


def test_a_blocked_package_is_withdrawn_inside_another_as_well(store: sqlite3.Connection, tmp_path: Path) -> None:
    """A decision about a digest is about it wherever it lies."""
    path = tmp_path / "outer.zip"
    path.write_bytes(archive({"middle.zip": archive({"inner.zip": archive({"a": b"a"})})}))
    (inner,) = _verifier(store).verify(CheckRequest(path, DTEN)).members[0].members
    decision = {"package": inner.sha256, "vendor": "dten", "reason": "withdrawn by the vendor"}
    perform(
        store, "package.block", decision, identity="ann", vendors=(vendor(approvals=1),), at=AT, randomness=randomness
    )
    verdict = _verifier(store).verify(CheckRequest(path, DTEN))
    assert verdict.members[0].members[0].reason is Reason.WITHDRAWN
    assert (verdict.reason, verdict.members[0].reason) == (Reason.UNSIGNED, Reason.UNSIGNED)


def test_the_isolated_reader_gives_the_same_answer(package: Path, pki: VendorPKI) -> None:
    """Through the real worker process the verdict is the same as in this process."""
    reader = ForkedReader.start()
    try:
        request = CheckRequest(package, DTEN, anchors=read_material(der(pki.root), "root"), only_supplied=True)
        isolated = Verifier(reader, now=lambda: AT).verify(request)
    finally:
        reader.close()
    assert replace(isolated, also=()) == replace(_verifier(None).verify(request), also=())
    assert isolated.reason is Reason.TRUSTED


def test_only_regular_files_are_opened(tmp_path: Path, package: Path) -> None:
    """Anything but a regular file is refused without waiting for it; a link is followed to one."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(package)
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", ".", "absent", "loop", "nul\0name"):
        with pytest.raises(PackageUnreadableError), open_package(tmp_path / name):
            pass
    with open_package(tmp_path / "link") as descriptor:
        assert os.pread(descriptor, 9, 0) == CONTENT[:9]
        assert not os.get_inheritable(descriptor)


def test_side_files_are_never_left_out(package: Path, pki: VendorPKI) -> None:
    """A side file that cannot be read is a signature with that problem if it was found, a usage error if it was given."""
    absent = package.with_name("absent.p7s")
    sides = (package.with_name("firmware.bin.p7s"), absent)
    facts = read_package(package, sides, Reader(), candidates(pki.root), LIMITS)
    assert [bool(s.problem) for s in facts.signatures] == [False, True]
    with pytest.raises(UsageError, match="cannot be opened"):
        read_package(package, sides, Reader(), (), LIMITS, origin=SignatureOrigin.GIVEN)


def test_a_flood_of_side_files_is_cut_off_and_told(package: Path, pki: VendorPKI) -> None:
    """Of more signature files than may be read, in number or bytes, the others are told as one that could not be."""
    many = [package.with_name(f"{number}.sig") for number in range(MAX_SIDE_FILES + 3)]
    for side in many:
        side.write_bytes(b"-")
    large = [package.with_name(f"{number}.large") for number in range(5)]
    for side in large:
        side.write_bytes(b"-" * (MAX_SIDE_BYTES // 3))
    for sides, read in ((many, MAX_SIDE_FILES), (large, 3)):
        for origin in (SignatureOrigin.FOUND, SignatureOrigin.GIVEN):
            facts = read_package(package, sides, Reader(), candidates(pki.root), LIMITS, origin=origin)
            beside = [fact.problem for fact in facts.signatures if fact.origin is origin and fact.problem]
            assert [problem.reason for problem in beside].count(Reason.RESOURCE_LIMIT) == 1
            assert len(facts.material) == read


def test_the_open_file_is_what_is_answered_about(package: Path, pki: VendorPKI) -> None:
    """A file put in its place while it is being read changes nothing about the verdict's digest."""
    import hashlib

    class Swapping(Reader):
        def read(self, package_fd, side, candidates, limits):  # type: ignore[no-untyped-def]
            other = package.with_name("other")
            other.write_bytes(b"other")
            other.replace(package)
            return super().read(package_fd, side, candidates, limits)

    request = CheckRequest(package, DTEN, anchors=read_material(der(pki.root), "root"), only_supplied=True)
    verdict = Verifier(Swapping(), now=lambda: AT).verify(request)
    assert verdict.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_vendor_suggestions() -> None:
    """A file name suggests the one vendor whose pattern fits, nobody where two fit or none; case does not matter."""
    first = replace(vendor("dten"), package_patterns=("*dten*.zip",))
    second = replace(vendor("acme"), package_patterns=("full-*",))
    assert suggested_vendor("upgrade-DTEN-1.zip", (first, second)) == "dten"
    assert suggested_vendor("full-upgrade-dten.zip", (first, second)) is None
    assert suggested_vendor("other.bin", (first, second)) is None


def test_supplied_material(pki: VendorPKI, gpg: Gpg) -> None:
    """Certificates and keyrings become dedicated anchors of any vendor for one check; the same twice is one."""
    keys = gpg.export(gpg.make_key("One <1@dten.example>", "ed25519")) + gpg.export(
        gpg.make_key("Two <2@dten.example>", "ed25519")
    )
    material = read_material(pki.root_pem.encode() * 2, "root.pem") + read_material(keys, "ring.gpg")
    found = supplied_anchors(material, AT)
    assert [a.kind for a in found] == [AnchorKind.X509, AnchorKind.OPENPGP, AnchorKind.OPENPGP]
    assert all(a.vendor_id == "any" and a.signer_rule.dedicated and a.id == f"supplied:{a.key_sha256}" for a in found)
    assert len(material.candidates) == 4
    assert SuppliedMaterial().candidates == ()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"text", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x99\x01", b"{}",
        b"-----BEGIN PUBLIC KEY-----\n", b"\x30\x03\x02\x01\x01",
    ],
    ids=repr,
)  # fmt: skip
def test_material_that_is_none_is_a_usage_error(data: bytes) -> None:
    """What holds no key that can be read is refused, never taken as an empty set of anchors."""
    with pytest.raises(UsageError, match=r"^thing: "):
        read_material(data, "thing")


def test_a_weakened_policy_does_not_count_before_it_is_approved(
    store: sqlite3.Connection, package: Path, pki: VendorPKI
) -> None:
    """Fewer signatures asked for in the file than in the policy on record: the one on record counts."""
    from trust_store.storage.vendors import record_vendors

    _approve(store, _propose(store, pki), pki.root_sha256)
    with transaction(store):
        record_vendors(store, (vendor(approvals=1, required_signatures=2),), AT, randomness)
    verdict = _verifier(store).verify(CheckRequest(package, DTEN))
    assert (verdict.reason, verdict.outcome) == (Reason.UNSIGNED, Outcome.INDETERMINATE)
