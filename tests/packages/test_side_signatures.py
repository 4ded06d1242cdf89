from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import FIXTURES, NOW, Case, InProcessReader, cases, facts_and_verdict, verdict_of
from tests.trust_store.openpgp_craft import CraftedKey, packet
from tests.trust_store.package_craft import archive, read
from tests.trust_store.verdict_craft import anchor, ask, beside
from trust_store.cli.check_request import CheckOptions, CheckSession
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.decode.key_files import read_keys
from trust_store.errors import UsageError
from trust_store.formats import side_signatures
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.package_files import SIDE_SUFFIXES
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from trust_store.formats.protocol import SideMaterial
    from trust_store.model.package_facts import PackageFacts, SignatureFact

LISTS = FIXTURES / "signed_lists"
PACKAGE = (LISTS / "package.bin").read_bytes()
KEYS = tuple(
    CandidateKey(key.kind.value, key.material)
    for name in ("vendor.asc", "minisign.pub", "signify.pub", "ssh.pub", "raw.pub")
    for key in read_keys((LISTS / name).read_bytes())
)


def side(name: str, data: bytes | None = None, origin: SignatureOrigin = SignatureOrigin.GIVEN) -> SideMaterial:
    """A fixture, or ``data`` under that name, beside the package."""
    return beside((LISTS / name).read_bytes() if data is None else data, origin, name)


def holding(facts: PackageFacts) -> list[tuple[str | None, bool]]:
    """Of each signature its file, and whether it holds and speaks for the package."""
    return [(fact.file.name if fact.file else None, _speaks(fact)) for fact in facts.signatures]


def _speaks(fact: SignatureFact) -> bool:
    return fact.problem is None and fact.content_matches and any(check.holds for check in fact.key_checks)


def test_pairs_by_name() -> None:
    """Each signature that is named after a list is over that list; one that is named after none is over the package."""
    other = side("SHA512SUMS", hashlib.sha512(b"another").hexdigest().encode() + b"  another.bin\n")
    found = read(PACKAGE, side("SHA256SUMS"), other, side("SHA256SUMS.asc"), side("SHA256SUMS.minisig"), keys=KEYS)
    assert holding(found) == [("SHA256SUMS.asc", True), ("SHA256SUMS.minisig", True), ("SHA512SUMS", False)]
    assert found.signatures[-1].problem is not None
    assert found.signatures[-1].problem.reason is Reason.UNSIGNED


def test_the_only_pair() -> None:
    """One list and one other file belong together, whatever they are called."""
    renamed = side("signature.bin", (LISTS / "SHA256SUMS.gpg").read_bytes())
    assert holding(read(PACKAGE, renamed, side("SHA256SUMS"), keys=KEYS)) == [("signature.bin", True)]


def test_a_suffix_of_the_list_may_be_replaced() -> None:
    """``SHA256SUMS.txt`` may be signed by ``SHA256SUMS.asc`` as well as by ``SHA256SUMS.txt.asc``."""
    text = side("SHA256SUMS.txt", (LISTS / "SHA256SUMS").read_bytes())
    found = read(PACKAGE, text, side("SHA256SUMS.asc"), side("SHA256SUMS.minisig"), keys=KEYS)
    assert [speaks for _, speaks in holding(found)] == [True, True]


def test_a_signature_named_after_the_package() -> None:
    """Beside ``a.bin.sha256`` the file ``a.bin.asc`` is named after the package: it is over that, and the list has no signature."""
    listed = side("a.bin.sha256", (LISTS / "SHA256SUMS").read_bytes())
    found = read(PACKAGE, listed, side("a.bin.asc", (LISTS / "SHA256SUMS.asc").read_bytes()), keys=KEYS)
    reasons = {fact.file.name if fact.file else None: fact.problem and fact.problem.reason for fact in found.signatures}
    assert reasons == {"a.bin.asc": None, "a.bin.sha256": Reason.UNSIGNED}


def test_a_signature_over_the_package_beside_a_list() -> None:
    """A signature of another name than the list's is over the package where there is more than the one pair."""
    detached = FIXTURES / "minisign"
    own = beside((detached / "package.bin.minisig").read_bytes(), SignatureOrigin.GIVEN, "package.bin.minisig")
    keys = (*KEYS, CandidateKey("minisign", read_keys((detached / "vendor.pub").read_bytes())[0].material))
    package = (detached / "package.bin").read_bytes()
    found = read(package, own, side("SHA256SUMS"), side("SHA256SUMS.asc"), keys=keys)
    assert holding(found) == [("SHA256SUMS.asc", True), ("package.bin.minisig", True)]


def test_a_list_that_cannot_be_read() -> None:
    """A signature over a broken list is told with what is wrong with the list."""
    broken = side("SHA256SUMS", (LISTS / "SHA256SUMS").read_bytes() + b"and more\n")
    (fact,) = read(PACKAGE, broken, side("SHA256SUMS.asc"), keys=KEYS).signatures
    assert fact.problem is not None
    assert fact.problem.reason is Reason.MALFORMED


def test_other_names_are_kept() -> None:
    """The names to which the list gives other digests stand in the facts, as they are written down and read again."""
    facts = read(PACKAGE, side("SHA256SUMS"), side("SHA256SUMS.asc"), keys=KEYS)
    assert facts.signatures[0].other_names == ("other.bin",)
    assert facts_from_json(facts_to_json(facts)) == facts


def test_the_name_is_the_askers() -> None:
    """One package under two names: it passes under the name that the list gives its digest, or none, not under another's."""
    (case,) = (one for one in cases("signed_lists") if one.values["name"] == "valid_cleartext")
    facts, verdict = facts_and_verdict(case)
    assert verdict.reason is Reason.TRUSTED
    (stray,) = (one for one in cases("signed_lists") if one.values["name"] == "listed_under_another_name")
    assert verdict_of(stray).reason is Reason.INVALID_SIGNATURE
    renamed, _ = facts_and_verdict(replace(stray, values=stray.values | {"anchors": ["vendor.asc"]}))
    assert renamed is not None
    assert facts is not None
    assert renamed.signatures[0].content_matches


def test_the_second_reader_is_shown_the_list() -> None:
    """An OpenPGP signature over a list is judged by both readers over the list; the list itself is not kept with the facts."""
    (fact,) = read(PACKAGE, side("SHA256SUMS"), side("SHA256SUMS.asc"), keys=KEYS).signatures
    assert [(check.holds, check.second_opinion) for check in fact.key_checks] == [(True, True)]
    assert fact.signed == b""


def test_lists_beside_an_archive() -> None:
    """Signed lists speak for packages of every format, not for files of none alone."""
    data = archive({"a.txt": b"a"})
    listed = hashlib.sha256(data).hexdigest().encode() + b"  a.zip\n"
    key = CraftedKey(7)
    signature = packet(2, key.signature(0, listed))
    sides = (side("SHA256SUMS", listed), side("SHA256SUMS.sig", signature))
    found = read(data, *sides, keys=(CandidateKey("openpgp", key.certificate),))
    assert (found.format, holding(found)) == ("zip", [("SHA256SUMS.sig", True)])
    assert ask(found, anchor(key.certificate), name="b.zip").reason is Reason.TRUSTED
    assert ask(found, anchor(key.certificate), name="a.zip").reason is Reason.TRUSTED


@pytest.mark.parametrize("suffix", SIDE_SUFFIXES)
def test_files_found_by_name_are_never_silently_left_out(suffix: str) -> None:
    """Whatever lies beside a package under a signature's name becomes a fact, if only with a problem."""
    name = f"package.bin{suffix}"
    assert len(read(PACKAGE, beside(b"junk", SignatureOrigin.FOUND, name)).signatures) == 1


def test_an_unknown_file_beside_a_list() -> None:
    """The only other file beside a list is told as no signature."""
    (fact,) = read(PACKAGE, side("SHA256SUMS"), side("x", b"junk\0"), keys=KEYS).signatures
    assert fact.problem is not None
    assert (fact.scheme, fact.problem.reason) == (side_signatures.UNKNOWN_SCHEME, Reason.UNSUPPORTED_FORMAT)


@pytest.mark.parametrize("case", [case for case in cases() if case.paths("signatures")], ids=lambda case: case.id)
def test_the_command_takes_every_file_of_the_table(case: Case) -> None:
    """``--signature`` takes whatever a verdict can be about: signatures of every kind, lists, indexes; what is none is an error of use."""
    given = tuple(str(path) for path in case.paths("signatures"))
    anchors = (str(LISTS / "ssh.pub"),)
    with CheckSession(Path("none.toml"), InProcessReader(), lambda: NOW) as session:
        options = CheckOptions(signatures=given, anchors=anchors, only_anchors=True)
        if case.id == "raw/truncated":
            with pytest.raises(UsageError):
                session.request(str(case.file), options)
        else:
            assert session.request(str(case.file), options).signatures == case.paths("signatures")
