"""Fuzz targets: signatures beside any file, lists of digests, and text documents with their signature."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from tests.packages.table import Case, cases, facts_and_verdict, verdict_of
from trust_store.decode import checksum_list, comment_signatures, deb822, openpgp_cleartext, openpgp_message, sshsig
from trust_store.decode.bare_values import read_value
from trust_store.decode.foreign_messages import TAIL_BYTES, foreign_message
from trust_store.errors import READ_ERRORS
from trust_store.formats.protocol import SideMaterial
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import digests_of
from trust_store.model.package_facts import SideFile, SignatureOrigin
from trust_store.model.verdict import Outcome
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.fuzz_targets import Target
    from trust_store.model.package_facts import PackageFacts

FOLDERS = ("minisign", "signify", "sshsig", "raw", "signed_lists")
TEXTS = ("openpgp_cleartext", "dsc", "checksum_list", "openpgp_message", "cms_message", "signify_message")


def targets() -> tuple[Target, ...]:
    """Every target, seeded with the committed fixtures."""
    return (*_decoders(), *_side_files(), *_documents())


def _decoders() -> Iterable[Target]:
    from tests.fuzz_targets import Target  # joins these to its own

    readers: dict[str, tuple[Callable[[bytes], object], tuple[str, ...]]] = {
        "minisign": (comment_signatures.parse_minisign, ("minisign",)),
        "signify": (comment_signatures.parse_signify, ("signify",)),
        "sshsig": (sshsig.parse_sshsig, ("sshsig",)),
        "bare value": (read_value, ("raw",)),
        "cleartext": (openpgp_cleartext.find_cleartext, ("openpgp_cleartext", "dsc", "checksum_list")),
        "openpgp message": (openpgp_message.read_message, ("openpgp_message",)),
        "checksum list": (checksum_list.parse_list, ("signed_lists",)),
    }
    for name, (read, folders) in readers.items():
        yield Target(f"decode: {name}", read, _readable(read, _seeds(folders)), READ_ERRORS)
    texts = tuple(text.replace(b"\r\n", b"\n") for text in map(_signed_text, _seeds(("dsc",))))
    yield Target("decode: control data", deb822.parse_paragraph, _readable(deb822.parse_paragraph, texts), READ_ERRORS)
    whole = _seeds(("raw",))
    yield Target(
        "decode: foreign message", lambda data: foreign_message(data, data[-TAIL_BYTES:], len(data)), whole, ()
    )


def _readable(read: Callable[[bytes], object], seeds: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Those that ``read`` takes; what else lies in a folder is other things, or broken on purpose."""
    found = []
    for seed in seeds:
        with contextlib.suppress(*READ_ERRORS):
            read(seed)
            found.append(seed)
    return tuple(found)


def _signed_text(data: bytes) -> bytes:
    """What a cleartext-signed message says, nothing where there is none."""
    try:
        return openpgp_cleartext.find_cleartext(data).signed
    except READ_ERRORS:
        return b""


def _seeds(folders: tuple[str, ...]) -> tuple[bytes, ...]:
    found: dict[bytes, None] = {}
    for case in cases(*folders):
        for path in (case.file, *case.paths("signatures")):
            found[path.read_bytes()] = None
    return tuple(found)


def _side_files() -> Iterable[Target]:
    from tests.fuzz_targets import Target  # joins these to its own

    for folder in FOLDERS:
        yield Target(f"side file: {folder}", partial(_beside, b"another content"), _seeds((folder,)), ())


def _beside(content: bytes, data: bytes) -> None:
    """Any file beside a package: nothing is raised, and without a key nothing holds but what brings its own."""
    if len(data) > MAX_SIGNATURE_FILE_BYTES:
        return
    files = read_side((SideMaterial(SideFile("SHA256SUMS.asc", "0" * 64), SignatureOrigin.GIVEN, data),))
    files.complete(digests_of(content, files.digests))


def _documents() -> Iterable[Target]:
    from tests.fuzz_targets import Target  # joins these to its own

    for folder in (*FOLDERS, *TEXTS):
        for case in cases(folder):
            if case.values["name"] == "valid":
                yield Target(f"package: {folder}", partial(_package, case), (case.file.read_bytes(),), ())


def _package(case: Case, data: bytes) -> None:
    """No other package passes; of a document with its signature inside, none with other signed content."""
    from tests.fuzz_targets import LieError

    if data == case.file.read_bytes() or verdict_of(case, data).outcome is not Outcome.PASSED:
        return
    facts, _ = facts_and_verdict(case, data)
    good, _ = facts_and_verdict(case)
    if case.folder.name in FOLDERS or not _content(facts) & _content(good):
        raise LieError(f"{case.id}: other content passed")


def _content(facts: PackageFacts | None) -> set[tuple[bytes, bytes]]:
    """What the signatures are over."""
    return {(signature.digest, signature.signed) for signature in facts.signatures} if facts else set()
