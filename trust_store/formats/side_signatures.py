"""Signatures in files: which scheme a file is of, what its signatures want digested, and the facts that come of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.formats.streaming import digests_of, new_state
from trust_store.model.package_facts import Problem, SignatureFact
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES
from trust_store.signatures.schemes import recognising

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.formats.protocol import SideMaterial
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import DigestRequest, DigestState, PendingSignature

UNKNOWN_SCHEME = "unknown"
_INDEX_BEGINS = (b"Package:", b"\x1f\x8b", b"\xfd7zXZ\0")
_CLEARTEXT = b"-----BEGIN PGP SIGNED MESSAGE-----"


def problem_of(error: TrustStoreError) -> Problem:
    """The problem an error of this package stands for; what is no known kind is malformed."""
    reasons = {UnsupportedError: Reason.UNSUPPORTED_FORMAT, ResourceLimitError: Reason.RESOURCE_LIMIT}
    reason = next((reason for kind, reason in reasons.items() if isinstance(error, kind)), Reason.MALFORMED)
    return Problem(reason, str(error)[:500])


@dataclass(frozen=True, slots=True)
class SignatureFiles:
    """Signatures read from files, still waiting for the bytes they are over; unreadable ones are facts already."""

    pending: tuple[PendingSignature, ...]
    unreadable: tuple[SignatureFact, ...]

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Every digest that some signature wants, once."""
        return tuple(dict.fromkeys(request for pending in self.pending for request in pending.digests))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> tuple[SignatureFact, ...]:
        """The facts of all signatures, unreadable ones included."""
        return (*(pending.complete(states) for pending in self.pending), *self.unreadable)


def read_side(side: tuple[SideMaterial, ...]) -> SignatureFiles:
    """The signatures of all side files.

    A list of digests (``SHA256SUMS``) is no signature: files that are named after it, or the only other file there is, are signatures
    over it, and speak for the package where its digest stands in the list. A list without any is told as such. A message with content
    inside speaks for the package if the content is the package, or a list in which it stands. An index of an apt repository is reached
    through the repository's signed Release file.
    """
    if any(item.data.startswith(_INDEX_BEGINS) for item in side):
        from trust_store.formats.apt_index import holds_index, through_index  # few packages have one beside them

        if any(holds_index(item) for item in side):
            files, rest = through_index(side)
            return joined(files, read_side(rest))
    lists = tuple(item for item in side if _is_list(item.data))
    others = tuple(item for item in side if item not in lists)
    if not lists:
        return _explained(joined(*map(_read_one, others)), others)
    only = len(lists) == len(others) == 1
    pairs = [(item, one) for item in others for one in lists if _is_over(item.file.name, one.file.name, only=only)]
    over = [(tuple(item for item, listed in pairs if listed is one), one) for one in lists]
    found = [_over_list(items, one) for items, one in over if items]
    found += [_read_one(item) for item in others if not any(item is paired for paired, _ in pairs)]
    found += [_unsigned_list(one) for one in lists if not any(one is paired for _, paired in pairs)]
    return joined(*found)


def _explained(files: SignatureFiles, items: tuple[SideMaterial, ...]) -> SignatureFiles:
    if len(items) < 2 or not any(item.data[:1] == b"{" for item in items):
        return files
    from trust_store.formats.beside_bundle import explained  # few packages have several signatures, one of them in JSON

    return SignatureFiles(explained(files.pending), files.unreadable)


def may_speak(data: bytes) -> bool:
    """Whether a file may speak for a package beside it: as a signature, or together with one as a list of digests or an index."""
    if recognising(data) or _may_have_content(data) or _is_list(data):
        return True
    from trust_store.decode.compressed import unpacked_head  # an index of an apt repository, perhaps packed

    return (unpacked_head(data[:4096], 16) or data).startswith(b"Package:")


def _is_list(data: bytes) -> bool:
    if data[:1] in (b"-", b"{", b"<", b"u") or len(data) > MAX_SIGNATURE_FILE_BYTES or b"\0" in data[:512]:
        return False  # armour, JSON, XML, an untrusted comment, and whatever is binary: most signatures, told at once
    from trust_store.decode.checksum_list import is_list

    return is_list(data)


def _is_over(name: str, listed: str, *, only: bool) -> bool:
    """Whether the signature ``name`` is over the list ``listed``, by their names; ``only``: there are no other files.

    ``SHA256SUMS.txt`` may be signed by ``SHA256SUMS.asc``. Beside ``a.zip.sha256`` however ``a.zip.asc`` is a signature over ``a.zip``.
    """
    if name.startswith(f"{listed}."):
        return True
    stem, _, suffix = listed.rpartition(".")
    same_stem = bool(stem) and name.startswith(f"{stem}.")
    return same_stem or only if suffix.lower() == "txt" else only and not same_stem


def _read_one(item: SideMaterial) -> SignatureFiles:
    """A file that is a signature over the package, or a message with content."""
    if len(item.data) <= MAX_SIGNATURE_FILE_BYTES and _may_have_content(item.data):
        from trust_store.formats.signed_content import (
            kind_of,
        )  # not free to import, and few signatures are such messages

        kind = kind_of(item.data)
        if kind is not None:
            return _with_content(item, kind)
    return read_file(item.data, origin=item.origin, file=item.file)


def _may_have_content(data: bytes) -> bool:
    """Whether it is worth while to look closer: what is certain to be a detached signature, as most are, is told by its beginning."""
    if data[:1] == b"0" or data[:64].lstrip().startswith((b"-----BEGIN CMS", b"-----BEGIN PKCS")):
        try:
            return cms.parse_signed_data(data).encapsulated
        except READ_ERRORS:
            return False
    if data[:1] == b"u":
        return len(data.split(b"\n", 2)[-1]) > 0 and not data.split(b"\n", 2)[-1].startswith(b"trusted comment:")
    if data[:1] >= b"\x80":
        from trust_store.decode.openpgp_message import recognises

        return recognises(data[:4096])
    return _CLEARTEXT in data or data[:64].lstrip().startswith(b"-----BEGIN PGP MESSAGE")


def _with_content(item: SideMaterial, kind: str) -> SignatureFiles:
    from trust_store.decode.checksum_list import is_list
    from trust_store.formats.listed_digests import over_content
    from trust_store.formats.signed_content import SCHEME_OF, open_content

    try:
        found = open_content(kind, item.data, origin=item.origin, file=item.file)
        facts = found.facts()
        if is_list(found.content):
            return _speaking_by_list(facts, found.content)
    except TrustStoreError as error:
        return _unread(SCHEME_OF[kind], item, problem_of(error))
    return SignatureFiles(tuple(over_content(fact, *found.stands_for) for fact in facts), ())


def _over_list(items: tuple[SideMaterial, ...], one: SideMaterial) -> SignatureFiles:
    """The signatures of ``items`` over the list ``one``."""
    from trust_store.formats.signed_content import shown

    files = joined(*(read_file(item.data, origin=item.origin, file=item.file) for item in items))
    files = _explained(files, items)
    facts = files.complete(digests_of(one.data, files.digests))
    try:
        return _speaking_by_list(tuple(shown(fact, one.data) for fact in facts), one.data)
    except TrustStoreError as error:
        return joined(*(_unread(UNKNOWN_SCHEME, item, problem_of(error)) for item in items))


def _speaking_by_list(facts: tuple[SignatureFact, ...], text: bytes) -> SignatureFiles:
    """Signatures over a list; a Release file counts from its date until the end that it sets itself. Raises MalformedError and the like."""
    from trust_store.decode.apt_release import is_release, parse_release
    from trust_store.decode.checksum_list import parse_list
    from trust_store.formats.listed_digests import PendingOverList

    listed = parse_list(text)
    if is_release(text):
        release = parse_release(text)
        facts = tuple(replace(fact, valid_from=release.date, valid_until=release.valid_until) for fact in facts)
    return SignatureFiles(tuple(PendingOverList(fact, listed) for fact in facts), ())


def _unsigned_list(item: SideMaterial) -> SignatureFiles:
    return _unread(UNKNOWN_SCHEME, item, Problem(Reason.UNSIGNED, "a list of digests, and no signature over it"))


def _unread(scheme: str, item: SideMaterial, problem: Problem) -> SignatureFiles:
    return SignatureFiles((), (SignatureFact(scheme=scheme, origin=item.origin, file=item.file, problem=problem),))


def joined(*files: SignatureFiles) -> SignatureFiles:
    """All of them as one."""
    return SignatureFiles(
        tuple(pending for item in files for pending in item.pending),
        tuple(fact for item in files for fact in item.unreadable),
    )


def read_file(data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> SignatureFiles:
    """The signatures of one file. What cannot be read becomes a fact with its problem: it is never left out."""
    name = UNKNOWN_SCHEME
    try:
        if len(data) > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"a signature file of {len(data)} bytes")
        schemes = recognising(data)
        if not schemes:
            raise UnsupportedError("no known kind of signature")
        if len(schemes) > 1:
            raise MalformedError(f"two kinds of signature at once: {', '.join(s.NAME for s in schemes)}")
        name = schemes[0].NAME
        pending = schemes[0].parse(data, origin=origin, file=file)
        if not pending:
            raise MalformedError("a signature file without a signature")
        for request in {request for item in pending for request in item.digests}:
            new_state(request)  # a digest that is not available here is this file's problem, not the package's
    except TrustStoreError as error:
        return SignatureFiles((), (SignatureFact(scheme=name, origin=origin, file=file, problem=problem_of(error)),))
    return SignatureFiles(pending, ())
