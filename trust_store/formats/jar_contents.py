"""The signatures of a JAR, and of an APK by scheme v1: from members through manifest and signature files to signature blocks.

``JarContents`` is made from the signature-related members before the archive is read in order, says which digests over the other
members are wanted, and is then asked for facts. References: JAR File Specification, "Signed JAR File"; java.util.jar; apksig
V1SchemeVerifier.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.jar_manifest import (
    MAIN,
    SCHEMES,
    SECTION,
    WHOLE,
    digests_of,
    parse_jar_manifest,
)
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.side_signatures import problem_of
from trust_store.model.package_facts import SideFile, SignatureFact, SignatureOrigin
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.jar import block_facts, strongest, weakest
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trust_store.decode.jar_manifest import Manifest, Section
    from trust_store.decode.zip_directory import Member
    from trust_store.errors import UnsupportedError
    from trust_store.formats.protocol import ReadLimits

MANIFEST = "META-INF/MANIFEST.MF"
MAX_SIGNATURE_FILES = 64
MAX_RELATED_MEMBERS = 4 * MAX_SIGNATURE_FILES
MAX_RELATED_BYTES = 32 * 1024**2
"""All signature-related members are in memory at once."""
MIN_TEXT_BYTES, MAX_TEXT_RATIO = 4 * 1024**2, 8
"""They are mostly digests, which do not compress: no more of them than so many bytes, or so many times the packed archive."""
MIN_SECTIONS, SECTIONS_PER_MEMBER = 1024, 2
MIN_HASHED_BYTES, MAX_HASHED_RATIO = 512 * 1024**2, 64
"""Members' unpacked bytes times digests stated of each: more than so many times the packed archive is a bomb."""
MAX_COMPARED_BYTES, _BYTES_PER_DIGEST = 256 * 1024**2, 256
"""Of manifest sections that are digested for signature files, and what every digest counts for at least."""
_RELATED = re.compile(r"META-INF/(?:MANIFEST\.MF|SIG-[^/]*|[^/]*\.(?:SF|RSA|DSA|EC))", re.IGNORECASE | re.ASCII)
_BLOCK = re.compile(r"META-INF/[^/]*\.(?:RSA|DSA|EC)", re.IGNORECASE | re.ASCII)
_FILE = re.compile(r"META-INF/[^/]*\.SF", re.IGNORECASE | re.ASCII)


def is_related(name: str) -> bool:
    """Whether a member of that name is for signatures, and so signed by none."""
    return _RELATED.fullmatch(name) is not None


def has_signature(names: Iterable[str]) -> bool:
    """Whether some name is that of a signature block."""
    return any(_BLOCK.fullmatch(name) for name in names)


def related_members(members: Collection[Member], limits: ReadLimits) -> tuple[Member, ...]:
    """The signature-related members, whose contents are to be read; raises ResourceLimitError where that is too much."""
    found = tuple(member for member in members if is_related(member.name))
    for member in found:
        text = member.name.upper().endswith((".MF", ".SF"))
        if member.size > (limits.max_manifest_bytes if text else MAX_SIGNATURE_FILE_BYTES):
            raise ResourceLimitError(f"JAR: {member.name[:80]!a} of {member.size} bytes")
    most = min(MAX_RELATED_BYTES, max(MIN_TEXT_BYTES, MAX_TEXT_RATIO * _packed(members)))
    if len(found) > MAX_RELATED_MEMBERS or sum(member.size for member in found) > most:
        raise ResourceLimitError(f"JAR: {len(found)} signature-related members, or more than {most} bytes of them")
    return found


def _packed(members: Iterable[Member]) -> int:
    return sum(member.compressed_size for member in members)


@dataclass(frozen=True, slots=True)
class _SignatureFile:
    """A signature file and its blocks."""

    name: str
    data: bytes
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vouched:
    """What one signature file vouches for: whether all that it says is so, members by name, and whether the whole manifest.

    ``schemes`` are the APK schemes that it names; ``error`` is why it says nothing.
    """

    names: frozenset[str] = frozenset()
    manifest: bool = False
    algorithms: frozenset[str] = frozenset()
    good: bool = False
    detail: str = ""
    schemes: frozenset[int] = frozenset()
    error: MalformedError | UnsupportedError | ResourceLimitError | None = None


@dataclass(frozen=True, slots=True)
class JarJudgement:
    """``facts`` with what they match, ``names`` of members that every signature covers; ``mismatch`` says what is not as signed.

    ``manifest_covered`` is whether every signature covers the manifest as a whole, ``schemes`` the APK schemes that signature files name.
    """

    facts: tuple[SignatureFact, ...]
    names: frozenset[str]
    manifest_covered: bool
    mismatch: str | None
    schemes: frozenset[int]


class JarContents:
    """The signature-related members of an archive; ``contents`` holds them by name, ``members`` are all of the archive.

    The manifest is kept parsed, signature files are read one after the other: there may be many.
    """

    def __init__(self, contents: Mapping[str, bytes], members: Collection[Member], limits: ReadLimits) -> None:
        """Raises MalformedError where the manifest, or the way in which names pair up, cannot be taken in one way.

        Raises ResourceLimitError where the digests that it states would be of far more than the archive holds.
        """
        self._contents = contents
        self._left = MAX_COMPARED_BYTES
        self._whole: dict[str, bytes] = {}
        self._max_sections = min(limits.max_members, MIN_SECTIONS + SECTIONS_PER_MEMBER * len(members))
        self.manifest_name = _manifest_name(contents)
        data = contents.get(self.manifest_name)
        if data is None:
            raise MalformedError("JAR: signatures without META-INF/MANIFEST.MF")
        self.manifest = parse_jar_manifest(data, MANIFEST, version="Manifest-Version", max_sections=self._max_sections)
        self._files = tuple(_signature_file(name, contents) for name in _file_names(contents))
        paired = {self.manifest_name, *(n for file in self._files if file.blocks for n in (file.name, *file.blocks))}
        self.unpaired = frozenset(contents) - paired
        """Signature-related members that belong to no signature: nobody looks at them, and nobody signed them."""
        work = sum(member.size * len(self.wanted(member.name)) for member in members)
        if work > max(MIN_HASHED_BYTES, MAX_HASHED_RATIO * _packed(members)):
            raise ResourceLimitError(f"JAR: digests of {work} bytes, unpacked, of an archive much smaller")

    def wanted(self, name: str) -> frozenset[str]:
        """The digests (hashlib names) over the member's content that the manifest states."""
        section = self.manifest.sections.get(name)
        return frozenset(digests_of(section, SECTION)) if section is not None else frozenset()

    def judge(self, digests: Mapping[str, Mapping[str, bytes]], names: Collection[str], *, scheme: str) -> JarJudgement:
        """Compare. ``digests`` by member and hashlib name are those ``wanted``; ``names`` are all members of the archive."""
        good, wrong, used = self._members(digests, names)
        signed = [file for file in self._files if file.blocks]
        vouched = [self._vouched(file) for file in signed]
        facts = tuple(
            fact
            for file, said in zip(signed, vouched, strict=True)
            for fact in self._facts(file, said, good, used, wrong, scheme)
        )
        covered = frozenset.intersection(*(said.names for said in vouched)) & good if vouched else frozenset[str]()
        details = [wrong, *(said.detail for said in vouched)]
        schemes = frozenset(number for said in vouched for number in said.schemes)
        return JarJudgement(
            facts, covered, all(said.manifest for said in vouched), next(filter(None, details), None), schemes
        )

    def _members(
        self, digests: Mapping[str, Mapping[str, bytes]], names: Collection[str]
    ) -> tuple[frozenset[str], str | None, frozenset[str]]:
        """Members that are what the manifest says, what is not so, and the strongest digest used for each of the others."""
        good: set[str] = set()
        used: set[str] = set()
        wrong: str | None = None
        present = set(names)
        for name, section in self.manifest.sections.items():
            stated = digests_of(section, SECTION)
            if not stated:
                continue
            if name not in present:
                wrong = wrong or f"{name[:80]!a} is in the signed manifest and not in the archive"
            elif all(digests.get(name, {}).get(algorithm) == _decoded(value) for algorithm, value in stated.items()):
                good.add(name)
                used.add(strongest(set(stated)))
            else:
                wrong = wrong or f"{name[:80]!a} is not what the signed manifest says it is"
        return frozenset(good), wrong, frozenset(used)

    def _vouched(self, file: _SignatureFile) -> _Vouched:
        """Raises ResourceLimitError where there is too much to digest."""
        try:
            parsed = parse_jar_manifest(
                file.data, file.name[:80], version="Signature-Version", max_sections=self._max_sections
            )
        except READ_ERRORS as error:
            return _Vouched(error=error)
        algorithms, nothing = set[str](), _Vouched(schemes=_stated_schemes(parsed))
        whole = self._compared(parsed.main, WHOLE, self.manifest.data, algorithms)
        start = self._compared(parsed.main, MAIN, self.manifest.main.raw, set() if whole else algorithms)
        if start is False:
            return replace(nothing, detail=f"the manifest's main section is not what {file.name[:80]!a} says it is")
        for name, section in parsed.sections.items():
            here = self.manifest.sections.get(name)
            if here is None:
                return replace(nothing, detail=f"{file.name[:80]!a} names {name[:80]!a}, which the manifest does not")
            if not whole and not self._compared(section, SECTION, here.raw, algorithms):
                return replace(
                    nothing, detail=f"the manifest's section for {name[:80]!a} is not what {file.name[:80]!a} says"
                )
        names = frozenset(parsed.sections)
        everything = whole is True or (start is True and names >= set(self.manifest.sections))
        return replace(nothing, names=names, manifest=everything, algorithms=frozenset(algorithms), good=True)

    def _compared(self, section: Section, suffix: str, data: bytes, algorithms: set[str]) -> bool | None:
        """Whether every digest in ``section`` under ``suffix`` is that of ``data``; None where there is none that is known.

        The strongest of those that are right is added to ``algorithms``.
        """
        stated = digests_of(section, suffix)
        if not stated:
            return None
        if any(self._digest(algorithm, data) != _decoded(value) for algorithm, value in stated.items()):
            return False
        algorithms.add(strongest(set(stated)))
        return True

    def _digest(self, algorithm: str, data: bytes) -> bytes:
        """Of the manifest or a section of it: every signature file may ask for each of them anew."""
        if data is self.manifest.data and algorithm in self._whole:
            return self._whole[algorithm]
        self._left -= len(data) + _BYTES_PER_DIGEST
        if self._left < 0:
            raise ResourceLimitError("JAR: more digests of the manifest's sections than are computed")
        digest = hashlib.new(algorithm, data, usedforsecurity=False).digest()
        if data is self.manifest.data:
            self._whole[algorithm] = digest
        return digest

    def _facts(
        self,
        file: _SignatureFile,
        said: _Vouched,
        good: frozenset[str],
        used: frozenset[str],
        wrong: str | None,
        scheme: str,
    ) -> tuple[SignatureFact, ...]:
        found: list[SignatureFact] = []
        for name in file.blocks:
            side = SideFile(name, hashlib.sha256(self._contents[name]).hexdigest())
            try:
                if said.error is not None:
                    raise said.error
                facts = block_facts(self._contents[name], file.data, scheme=scheme, file=side)
            except READ_ERRORS as error:
                found.append(SignatureFact(scheme, SignatureOrigin.EMBEDDED, side, problem=problem_of(error)))
                continue
            for fact in facts:
                matches = fact.content_matches and said.good and wrong is None
                weak = weakest({fact.digest_algorithm, *said.algorithms, *(used if good else ())})
                found.append(replace(fact, content_matches=matches, digest_algorithm=weak))
        return tuple(found)


def _manifest_name(contents: Mapping[str, bytes]) -> str:
    found = [name for name in contents if name.upper() == MANIFEST]
    if len(found) > 1:
        raise MalformedError("JAR: two manifests")
    return found[0] if found else MANIFEST


def _file_names(contents: Mapping[str, bytes]) -> list[str]:
    names = [name for name in contents if _FILE.fullmatch(name)]
    if len({name.upper() for name in names}) != len(names):
        raise MalformedError("JAR: two signature files of one name")
    if len(names) > MAX_SIGNATURE_FILES:
        raise MalformedError(f"JAR: {len(names)} signature files")
    return names


def _signature_file(name: str, contents: Mapping[str, bytes]) -> _SignatureFile:
    stem = name[:-3].upper()
    blocks = tuple(n for n in contents if _BLOCK.fullmatch(n) and n.rpartition(".")[0].upper() == stem)
    return _SignatureFile(name, contents[name], blocks)


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _stated_schemes(file: Manifest) -> frozenset[int]:
    stated = file.main.attributes.get(SCHEMES, "")
    parts = re.split(r"[,\s]+", stated)
    return frozenset(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 4)
