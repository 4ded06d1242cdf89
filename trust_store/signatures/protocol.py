"""What a signature scheme is to this package: bytes -> pending signatures -> facts -> does a candidate key hold?

Schemes are pure. A format reader asks ``parse`` for the signatures in a side file or member, streams the signed bytes once
through the digests they ask for, and calls ``complete``. ``holds`` may be asked again at any later time, without the file.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from trust_store.model.package_facts import KeyCheck
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trust_store.model.package_facts import SideFile, SignatureFact, SignatureOrigin

WEAK_DIGESTS = frozenset({"md5", "sha1", "ripemd160"})
MAX_SIGNATURE_FILE_BYTES = 8 * 1024 * 1024
MAX_SIGNATURES_PER_FILE = 64
MAX_CANDIDATE_KEYS = 64
IDENTITY_SCHEMES = frozenset({"cosign-bundle", "npm-attestation", "pypi-attestation", "sigstore"})
"""Schemes whose certificates state an identity, under a sigstore root; no identifier in such a signature leads to either."""
X509, RAW = "x509", "raw"
"""Kinds of keys that a CMS message may be tried with."""
STRONG_DIGESTS = frozenset(
    {"blake2b", "sha224", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512"}
)
MESSAGE = "message"
"""In place of a digest: the signed bytes themselves, for Ed25519 (RFC 8032), which reads its message twice."""
FOREIGN = "foreign"
"""In place of a digest: nothing, unless the signed bytes are what a key signs in another protocol: then asking raises MalformedError."""
LENGTH = "length"
"""In place of a digest: how many bytes there are, as eight octets with the highest first."""
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_KEPT_MESSAGE_BYTES = 64 * 1024
"""A message that is longer is not kept with the facts: keys that come to hand later need the file again."""


class DigestState(Protocol):
    """A hashlib object, or one whose ``digest`` raises READ_ERRORS where what it was given has none."""

    def update(self, data: bytes, /) -> None: ...
    def copy(self) -> DigestState: ...
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class DigestRequest:
    """A digest wanted over the signed bytes: hashlib name, MESSAGE or FOREIGN.

    ``text`` means line ends turned into CR LF (RFC 9580 5.2.1.2).
    ``prefix`` is fed to the digest before the first signed byte (the salt of a version 6 signature, RFC 9580 5.2.4).
    """

    algorithm: str
    text: bool = False
    prefix: bytes = b""


@dataclass(frozen=True, slots=True)
class CandidateKey:
    """A key to try: ``kind`` x509 (DER certificate), raw (SubjectPublicKeyInfo) or openpgp (binary transferable public key)."""

    kind: str
    material: bytes


def raw_check(spki: bytes) -> KeyCheck:
    """A signature that holds under a key without a certificate; the key is known by the digest of its SubjectPublicKeyInfo."""
    digest = hashlib.sha256(spki).hexdigest()
    return KeyCheck(key=digest, owner=digest, holds=True)


class PendingSignature(Protocol):
    """A parsed signature whose signed bytes have not been read yet."""

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """The digests ``complete`` needs."""
        ...

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """Return the fact. ``states`` hold every requested digest over all signed bytes; they are copied, never changed."""
        ...


class SignatureScheme(Protocol):
    """One module per scheme has NAME, DOC, recognises, parse, holds."""

    NAME: str
    DOC: str

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` claims to be of this scheme (by content)."""
        ...

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingSignature, ...]:
        """Return one or more pending signatures; raises MalformedError, UnsupportedError or ResourceLimitError."""
        ...

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the arithmetic holds under ``key``; None if the key cannot be the one (kind, hint, algorithm)."""
        ...


@runtime_checkable
class DeterminedByKey(Protocol):
    """A scheme whose signatures do not say how they were made: the key that fits shows it."""

    def determined(self, fact: SignatureFact, keys: Iterable[CandidateKey]) -> SignatureFact:
        """``fact`` with what the first key that fits shows; as it is where none does. Asked before ``holds``."""
        ...
