"""What a transparency log says about a signature, held against the bundle it came with and against the logs that are trusted. Pure.

Sigstore client specification, sections "Verification" and "Transparency log entry". The steps are those of the functions; each returns
what is wrong, in sentences, and nothing where all is well.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trust_store.chain.validation import PathProblem
from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.decode.rekor_entry import HASHEDREKORD, TIMED, parse_body
from trust_store.decode.sigstore_bundle import COSIGN
from trust_store.decode.transparency import HINT_OCTETS, includes, parse_checkpoint, promised
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.decode.rekor_entry import EntryBody, Verifier
    from trust_store.decode.sigstore_bundle import Bundle, InclusionProof, LogEntry
    from trust_store.decode.trusted_root import Log

PROMISE_VERSIONS = frozenset({"0.1", COSIGN})
"""Bundles that need the log's promise, and no proof (sigstore_bundle.proto, v0.1)."""


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """What one entry proves: ``at`` when the log took it in, None where it does not say or nobody vouches for what it says."""

    at: datetime | None
    problems: tuple[PathProblem, ...]
    log: Log | None = None


def inconsistencies(bundle: Bundle, digest: bytes, algorithm: str, key: bytes | None) -> list[PathProblem]:
    """What an entry's body says otherwise than the bundle (CVE-2022-36056): kind, digest, value, certificate or key.

    ``digest`` is the file's, made with ``algorithm``; ``key`` the SubjectPublicKeyInfo of the key that holds, where there is no
    certificate. Needs no trust: it is the bundle's own consistency.
    """
    found: list[PathProblem] = []
    for entry in bundle.entries:
        try:
            body = parse_body(entry.body)
            said = [*_kind(bundle, entry, body), *_digest(bundle, body, digest, algorithm), *_signer(bundle, body, key)]
        except READ_ERRORS as error:
            reason = Reason.MALFORMED if isinstance(error, MalformedError) else Reason.UNSUPPORTED_FORMAT
            found.append(PathProblem(reason, f"transparency log entry: {error}"))
            continue
        found += [PathProblem(Reason.INVALID_SIGNATURE, f"transparency log entry: {sentence}") for sentence in said]
    return found


def _kind(bundle: Bundle, entry: LogEntry, body: EntryBody) -> Iterable[str]:
    if (entry.kind, entry.version) != (body.kind, body.version):
        yield f"its body is a {body.kind} {body.version}, not a {entry.kind[:40]!a} {entry.version[:40]!a}"
    if bundle.message is not None and body.kind != HASHEDREKORD:
        yield f"a {body.kind} entry cannot be about a message signature"


def _digest(bundle: Bundle, body: EntryBody, digest: bytes, algorithm: str) -> Iterable[str]:
    if bundle.envelope is None:
        wanted = digest if body.algorithm == algorithm else b""
    elif (
        body.kind == HASHEDREKORD
    ):  # whose message is what was signed, of an envelope its PAE (client specification, Rekor v2)
        wanted = hashlib.new(body.algorithm, bundle.envelope.signed).digest()
    else:
        wanted = hashlib.new(body.algorithm, bundle.envelope.payload).digest()
    if not hmac.compare_digest(wanted, body.digest):
        yield "it is about other content"


def _signer(bundle: Bundle, body: EntryBody, key: bytes | None) -> Iterable[str]:
    """Exactly the bundle's one signature, by exactly its signer."""
    if len(body.signatures) != 1 or not hmac.compare_digest(body.signatures[0][0], bundle.signature):
        yield "it is about another signature"
    for _, verifier in body.signatures:
        if not _same_signer(verifier, bundle, key):
            yield "it names another signer"


def _same_signer(verifier: Verifier, bundle: Bundle, key: bytes | None) -> bool:
    if bundle.certificates:
        return verifier.certificate == bundle.certificates[0]
    named = verifier.key
    return key is None or (named is not None and canonical_spki_sha256(named) == canonical_spki_sha256(key))


def logged(bundle: Bundle, entry: LogEntry, logs: Iterable[Log]) -> LoggedEntry:
    """What ``entry`` proves under ``logs``, those of one trusted root."""
    # (1) The log is one of the root's, which may list it with several keys or windows. Its id is a hint: the key decides.
    found = [_logged(bundle, entry, log) for log in logs if entry.log_id in log.ids]
    if not found:
        unknown = PathProblem(Reason.UNKNOWN_ROOT, "transparency log entry: of a log that is not known")
        return LoggedEntry(None, (unknown,))
    return next((one for one in found if not one.problems), found[0])


def _logged(bundle: Bundle, entry: LogEntry, log: Log) -> LoggedEntry:
    told: list[str] = []
    # (2) The promise, where there is one, is the log's, over body, time, id and index.
    at = None
    if entry.promise is not None and (entry.integrated_at is not None or bundle.version in PROMISE_VERSIONS):
        if log.signed(entry.promise, promised(entry)):
            at = _time(entry)
        else:
            told.append("the log's promise (SET) does not verify")
    # (3) What the version of the bundle demands: a promise, or a proof with a checkpoint.
    proof = entry.proof
    if bundle.version in PROMISE_VERSIONS:
        if entry.promise is None:
            told.append(f"a {bundle.version} bundle needs the log's promise (SET)")
    elif proof is None or proof.checkpoint is None:
        told.append("there is no inclusion proof with a checkpoint")
    # (4) The proof leads to its root, and a checkpoint of that very tree is signed by the log. Without one it says nothing.
    if proof is not None and proof.checkpoint is not None:
        told += _proof(entry, proof, proof.checkpoint, log)
    # (5) The log's key was good when it took the entry in.
    if at is not None and not log.window.holds(at):
        told.append("the log's key was not in use then")
    problems = tuple(PathProblem(Reason.INVALID_SIGNATURE, f"transparency log entry: {sentence}") for sentence in told)
    return LoggedEntry(None if problems else at, problems, log)


def _time(entry: LogEntry) -> datetime | None:
    """integratedTime, of entries of the first log's kinds alone: later logs tell no time, and a promise is what vouches for it."""
    if (entry.kind, entry.version) not in TIMED or entry.integrated_at is None:
        return None
    try:
        return datetime.fromtimestamp(entry.integrated_at, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _proof(entry: LogEntry, proof: InclusionProof, note: str, log: Log) -> Iterable[str]:
    if not includes(entry.body, proof):
        yield "the inclusion proof does not lead to its root (RFC 9162 2.1.3.2)"
    try:
        checkpoint = parse_checkpoint(note)
    except READ_ERRORS as error:
        yield str(error)
        return
    if checkpoint.root != proof.root or checkpoint.size != proof.size:
        yield "the checkpoint is of another tree"
    hint = (log.checkpoint_id or entry.log_id)[:HINT_OCTETS]
    own = [value for _, named, value in checkpoint.signatures if named == hint]
    if not own:
        yield "the checkpoint has no signature with the log's key hint"
    elif not any(log.signed(value, checkpoint.signed) for value in own[:4]):
        yield "the log's signature on the checkpoint does not verify"
