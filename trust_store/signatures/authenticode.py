"""Authenticode signatures: embedded in Windows files, and in catalogs that vouch for files beside them.

The value is over the signed attributes; they hold the digest of the message's content, which in turn states the digest of the file (of
each file of a catalog). Both digests must be right. Signatures nested in another one are read like it: nobody signed that they stand there.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from trust_store.decode import authenticode
from trust_store.decode.authenticode import ID_INDIRECT_DATA, ID_TRUST_LIST
from trust_store.decode.cms import certificate_names
from trust_store.decode.public_keys import verifies
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import Problem, SignatureFact, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.embedded import is_named, signer_fact, value_check
from trust_store.signatures.protocol import RAW, WEAK_DIGESTS, X509, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trust_store.decode.authenticode import IndirectData, Message, Signer
    from trust_store.decode.cms import CertificateNames
    from trust_store.model.package_facts import KeyCheck, SideFile
    from trust_store.signatures.protocol import CandidateKey, DigestState, PendingSignature, SignatureScheme

NAME, CATALOG = "authenticode", "catalog"
DOC = """PKCS #7 SignedData over SpcIndirectDataContent (Microsoft, "Windows Authenticode Portable Executable Signature Format"), in PE
images, Windows Installer files, cabinets and scripts.

The digest in the signed attributes must be that of the content, and the digest in the content that of the file; `weak_algorithm` where
either is by MD5 or SHA-1. Nested signatures (1.3.6.1.4.1.311.2.4.1) are further signatures: one good one suffices, a broken one fails the
package. RFC 3161 timestamps (1.3.6.1.4.1.311.3.3.1) and PKCS #9 countersignatures over the signature prove when it was made,
but for a signer whose certificate has the usage "lifetime signing" (1.3.6.1.4.1.311.10.3.13): its signatures end with it. Page hashes
are covered and not looked at: the digest of the whole file says more."""
CATALOG_DOC = """A security catalog (.cat): PKCS #7 SignedData over a certificate trust list that states digests of files.

A catalog beside a file is a signature over it where one of its digests is the file's: that of the whole file, or the Authenticode digest of
a PE image or cabinet. A catalog that does not list the file is a broken signature over it."""
MAX_SIGNATURES = 16
MAX_NAMED = 4
"""Certificates of the name that a signer states: each that is tried takes time."""
MAX_DEPTH = 2
"""A signature, those nested in it, and those in them."""


@dataclass(frozen=True, slots=True)
class EmbeddedSignature:
    """One signer of one embedded message, before the file has been read."""

    message: Message
    indirect: IndirectData
    signer: Signer

    def complete(self, digests: Mapping[str, bytes], *, kind_matches: bool) -> SignatureFact:
        """The fact; ``digests`` of the file by algorithm, ``kind_matches`` whether it was signed as a file of this kind."""
        expected = digests[self.indirect.algorithm]
        matches = kind_matches and hmac.compare_digest(expected, self.indirect.digest)
        return _fact(self.message, self.signer, NAME, matches=matches, file_digest=self.indirect.algorithm)


@dataclass(frozen=True, slots=True)
class EmbeddedSignatures:
    """All signatures of a file, in the order in which they stand: nested ones after the one that they stand in."""

    found: tuple[EmbeddedSignature | SignatureFact, ...]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The digests of the file that are wanted, by hashlib name, each once."""
        wanted = (one.indirect.algorithm for one in self.found if isinstance(one, EmbeddedSignature))
        return tuple(dict.fromkeys(wanted))

    def complete(
        self, digests: Mapping[str, bytes], accepts: Callable[[IndirectData], bool]
    ) -> tuple[SignatureFact, ...]:
        """The facts; ``accepts`` says whether what was signed was signed as a file of the kind at hand."""
        return tuple(
            one.complete(digests, kind_matches=accepts(one.indirect)) if isinstance(one, EmbeddedSignature) else one
            for one in self.found
        )


def read_embedded(messages: Iterable[bytes]) -> EmbeddedSignatures:
    """The signatures of ``messages`` and those nested in them; one that cannot be read is a fact with its problem. Never raises."""
    found: list[EmbeddedSignature | SignatureFact] = []
    for data in messages:
        _read(data, found, 0)
    return EmbeddedSignatures(tuple(found))


def _read(data: bytes, found: list[EmbeddedSignature | SignatureFact], depth: int) -> None:
    try:
        if len(found) >= MAX_SIGNATURES or depth > MAX_DEPTH:
            raise ResourceLimitError(f"Authenticode: more than {MAX_SIGNATURES} signatures, or nested too deep")
        message = authenticode.parse_message(data)
        if message.content_type != ID_INDIRECT_DATA:
            raise UnsupportedError("Authenticode: a catalog inside a file")
        indirect = authenticode.parse_indirect(message.content)
        inner = [nested for signer in message.signers for nested in authenticode.nested_messages(signer.info)]
    except READ_ERRORS as error:
        if not (found and found[-1:] == [_unreadable(error)]):  # one of a kind tells it
            found.append(_unreadable(error))
        return
    found += [EmbeddedSignature(message, indirect, signer) for signer in message.signers]
    for nested in inner:
        _read(nested, found, depth + 1)


def _unreadable(error: MalformedError | ResourceLimitError | UnsupportedError) -> SignatureFact:
    reason = Reason.RESOURCE_LIMIT if isinstance(error, ResourceLimitError) else Reason.MALFORMED
    if isinstance(error, UnsupportedError):
        reason = Reason.UNSUPPORTED_FORMAT
    problem = Problem(reason, str(error)[:500])
    return SignatureFact(scheme=NAME, origin=SignatureOrigin.EMBEDDED, file=None, problem=problem)


def _fact(message: Message, signer: Signer, scheme: str, *, matches: bool, file_digest: str) -> SignatureFact:
    """``packet`` is the name of the digest that the arithmetic is with, where that of the file is the weaker one and is told."""
    info = signer.info
    content = hashlib.new(info.digest_algorithm, message.octets, usedforsecurity=False).digest()
    fact = signer_fact(info, signer.attributes, content, scheme=scheme, origin=SignatureOrigin.EMBEDDED)
    fact = replace(
        fact, certificates=message.certificates, content_matches=fact.content_matches and matches,
        signed=_signed_octets(fact, message, signer),
    )  # fmt: skip
    if file_digest in WEAK_DIGESTS and info.digest_algorithm not in WEAK_DIGESTS:
        fact = replace(fact, digest_algorithm=file_digest, packet=info.digest_algorithm.encode("ascii"))
    return fact


def _signed_octets(fact: SignatureFact, message: Message, signer: Signer) -> bytes:
    """What the value is over: the attributes in DER, unless it holds over them as they stand under a certificate that it names."""
    if signer.alternative is None or fact.signature_algorithm == "ed25519":
        return fact.signed
    digest = hashlib.new(fact.digest_algorithm, signer.alternative, usedforsecurity=False).digest()
    named = (names.spki for names in map(_names, message.certificates) if names and is_named(fact.hint, names))
    for spki in islice(named, MAX_NAMED):
        if verifies(spki, fact.signature_algorithm, fact.digest_algorithm, fact.signature, digest):
            return signer.alternative
    return fact.signed


def _names(certificate: bytes) -> CertificateNames | None:
    try:
        return certificate_names(certificate)
    except READ_ERRORS:
        return None


class AuthenticodeScheme:
    """A scheme whose signatures stand in no file of their own."""

    NAME = NAME
    DOC = DOC

    def recognises(self, data: bytes) -> bool:  # noqa: ARG002 - the protocol's signature
        """Never."""
        return False

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingSignature, ...]:  # noqa: ARG002
        """Raises UnsupportedError: the format's reader makes the facts."""
        raise UnsupportedError("an Authenticode signature in a file of its own")

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under ``key``; None if it cannot be or need not be the signer's."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        algorithm = fact.packet.decode("ascii", "replace") or fact.digest_algorithm
        if algorithm not in hashlib.algorithms_available:
            return None
        return value_check(replace(fact, digest_algorithm=algorithm), key)


@dataclass(frozen=True, slots=True)
class CatalogSignature:
    """One signer of a catalog beside a file, before the file has been read."""

    message: Message
    signer: Signer
    members: Mapping[str, frozenset[bytes]]
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Every kind of digest that the catalog states."""
        return tuple(DigestRequest(algorithm) for algorithm in self.members)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact, for a file of which ``states`` hold the digests."""
        return self.complete_with({r.algorithm: (states[r].copy().digest(),) for r in self.digests})

    def complete_with(self, digests: Mapping[str, tuple[bytes, ...]]) -> SignatureFact:
        """The fact, for a file that the catalog may list by any of ``digests``; the strongest one that it does counts."""
        listed = [name for name, known in self.members.items() if not known.isdisjoint(digests.get(name, ()))]
        strong = [name for name in listed if name not in WEAK_DIGESTS]
        algorithm = next(iter(strong or listed or self.members), self.signer.info.digest_algorithm)
        fact = _fact(self.message, self.signer, CATALOG, matches=bool(listed), file_digest=algorithm)
        return replace(fact, origin=self.origin, file=self.file)


class CatalogScheme(AuthenticodeScheme):
    """Catalogs, which stand beside the files that they vouch for."""

    NAME = CATALOG
    DOC = CATALOG_DOC

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` claims to be a certificate trust list that is signed."""
        return authenticode.recognises_trust_list(data)

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[CatalogSignature, ...]:
        """Every signer as one pending signature; raises MalformedError, UnsupportedError or ResourceLimitError."""
        message, members = read_catalog(data, unsigned=False)
        known: dict[str, frozenset[bytes]] = {}
        for algorithm in dict.fromkeys(algorithm for algorithm, _ in members):
            known[algorithm] = frozenset(digest for name, digest in members if name == algorithm)
        return tuple(CatalogSignature(message, signer, known, origin, file) for signer in message.signers)


def read_catalog(data: bytes, *, unsigned: bool = True) -> tuple[Message, tuple[tuple[str, bytes], ...]]:
    """The message and the files that it lists; raises MalformedError, UnsupportedError or ResourceLimitError."""
    message = authenticode.parse_message(data, unsigned=unsigned)
    if message.content_type != ID_TRUST_LIST:
        raise UnsupportedError("Authenticode: the message is no catalog")
    return message, authenticode.parse_members(message.content)


def catalog_facts(message: Message) -> tuple[SignatureFact, ...]:
    """The signatures of a catalog over itself."""
    return tuple(
        _fact(message, signer, CATALOG, matches=True, file_digest=signer.info.digest_algorithm)
        for signer in message.signers
    )


SCHEMES: dict[str, SignatureScheme] = {NAME: AuthenticodeScheme(), CATALOG: CatalogScheme()}
