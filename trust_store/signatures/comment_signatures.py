"""Signatures of minisign and signify: Ed25519 over a file, or over its BLAKE2b-512 digest, in a file of commented lines."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import comment_signatures as files
from trust_store.decode.bare_keys import MINISIGN, spki_of
from trust_store.decode.public_keys import verifies_message
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import KeyCheck, Problem, SignatureFact, SignerHint
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import FOREIGN, MESSAGE, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.comment_signatures import CommentSignature
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

SIGNIFY = "signify"
BLAKE2B = "blake2b"
ED25519_DIGEST = "sha512"
"""What Ed25519 uses inside (RFC 8032 5.1)."""
_GLOBAL_BYTES = 64


@dataclass(frozen=True, slots=True)
class PendingCommentSignature:
    """One signature file whose package has not been read yet."""

    scheme: str
    signature: CommentSignature
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """The BLAKE2b-512 digest; for algorithm ``Ed`` the package itself, which must be nothing that keys sign elsewhere."""
        if self.signature.algorithm == files.PREHASHED:
            return (DigestRequest(BLAKE2B),)
        return (DigestRequest(MESSAGE), DigestRequest(FOREIGN))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact; ``packet`` is minisign's global value and trusted comment, ``signed`` the package where that is what is signed."""
        prehashed = self.signature.algorithm == files.PREHASHED
        hint = SignerHint(key_id=self.signature.key_number)
        try:
            content, *_ = [states[request].copy().digest() for request in self.digests]
        except READ_ERRORS as error:
            return SignatureFact(self.scheme, self.origin, self.file, problem=_problem(error), hint=hint)
        return SignatureFact(
            scheme=self.scheme,
            origin=self.origin,
            file=self.file,
            hint=hint,
            digest_algorithm=BLAKE2B if prehashed else ED25519_DIGEST,
            signature_algorithm="ed25519",
            signature=self.signature.value,
            signed=b"" if prehashed else content,
            digest=content if prehashed else b"",
            content_matches=True,
            packet=self.signature.global_value + (self.signature.trusted_comment or b""),
            claimed_at=self.signature.claimed_at,
        )


class _CommentScheme:
    """What both have in common: a key is the signer's if its number is the one that the signature names."""

    NAME = ""

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether every value in the file holds under ``key``; None for a key of another number, and where the message was not kept."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind != MINISIGN:
            return None
        message = fact.digest or fact.signed
        if not message or key.material[2:10][::-1].hex() != fact.hint.key_id:
            return None
        try:
            spki = spki_of(MINISIGN, key.material)
        except (MalformedError, UnsupportedError):
            return None
        digest = hashlib.sha256(key.material).hexdigest()
        good = verifies_message(spki, fact.signature, message) and self._comment_holds(fact, spki)
        return KeyCheck(key=digest, owner=digest, holds=fact.content_matches and good)

    def _comment_holds(self, fact: SignatureFact, spki: bytes) -> bool:
        raise NotImplementedError


class MinisignScheme(_CommentScheme):
    """minisign, of which both values must hold under one key."""

    NAME = MINISIGN
    DOC = """minisign signature files (https://jedisct1.github.io/minisign/), prehashed (`ED`, BLAKE2b-512) and legacy (`Ed`).

The value over the package and the one over the trusted comment must both hold under the key whose number the file names. The time in the
trusted comment is told as a claim; it and the file name there decide nothing. For `Ed` the same holds as for signify."""

    def recognises(self, data: bytes) -> bool:
        """Whether there is an untrusted comment, and a trusted one as third line."""
        return files.is_minisign(data)

    def parse(
        self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None
    ) -> tuple[PendingCommentSignature, ...]:
        """The one signature; raises MalformedError, UnsupportedError or ResourceLimitError."""
        return (PendingCommentSignature(self.NAME, files.parse_minisign(data), origin, file),)

    def _comment_holds(self, fact: SignatureFact, spki: bytes) -> bool:
        value, comment = fact.packet[:_GLOBAL_BYTES], fact.packet[_GLOBAL_BYTES:]
        return len(value) == _GLOBAL_BYTES and verifies_message(spki, value, fact.signature + comment)


class SignifyScheme(_CommentScheme):
    """signify, over the package itself."""

    NAME = SIGNIFY
    DOC = """signify(1) signature files, detached: Ed25519 over the package itself, which is kept in memory for it (at most 64 MiB).

A package that is itself a message which keys sign in another protocol (a digest, the content of a certificate, an SSH or TLS handshake,
the input of a JWS ...) is `malformed`: the value may have been made for that."""

    def recognises(self, data: bytes) -> bool:
        """Whether there is an untrusted comment, and no trusted one."""
        return files.is_signify(data)

    def parse(
        self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None
    ) -> tuple[PendingCommentSignature, ...]:
        """The one signature; raises MalformedError, UnsupportedError or ResourceLimitError."""
        signature = files.parse_signify(data)
        if signature.message is not None:
            raise UnsupportedError("signify: the signature carries its own message; a detached one is needed")
        return (PendingCommentSignature(self.NAME, signature, origin, file),)

    def _comment_holds(self, fact: SignatureFact, spki: bytes) -> bool:  # noqa: ARG002 - there is nothing else to hold
        return True


def _problem(error: Exception) -> Problem:
    reasons = {UnsupportedError: Reason.UNSUPPORTED_FORMAT, ResourceLimitError: Reason.RESOURCE_LIMIT}
    reason = next((reason for kind, reason in reasons.items() if isinstance(error, kind)), Reason.MALFORMED)
    return Problem(reason, str(error)[:500])


SCHEMES: dict[str, SignatureScheme] = {MINISIGN: MinisignScheme(), SIGNIFY: SignifyScheme()}
