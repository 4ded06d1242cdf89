"""Signers of APK Signature Scheme v2, v3, v3.1 and v4, and source stamps: bytes -> values, nothing verified.

References: source.android.com/docs/security/features/apksigning/v2, /v3, /v4; apksig V2SchemeVerifier, V3SchemeVerifier,
V2SourceStampVerifier, V4Signature. Every length is exact; what is left over makes the signer malformed.
"""

from __future__ import annotations

from trust_store.decode import cms
from trust_store.decode.length_prefixed import LengthPrefixed
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

CHUNKED_SHA256, CHUNKED_SHA512, VERITY_SHA256 = "sha256", "sha512", "verity-sha256"
MANIFEST_SHA256 = "manifest-sha256"
CONTENT_DIGEST_IDS = {CHUNKED_SHA256: 1, CHUNKED_SHA512: 2, VERITY_SHA256: 3, MANIFEST_SHA256: 4}
"""As source stamps number them (apksig ContentDigestAlgorithm)."""
_STRENGTH = (CHUNKED_SHA256, VERITY_SHA256, CHUNKED_SHA512)
"""Ascending, as Android prefers them (ApkSigningBlockUtils.compareContentDigestAlgorithm)."""
MAX_SIGNERS = 10
MAX_CERTIFICATES = 64
MAX_ALGORITHMS = 32
STRIPPING_PROTECTION, PROOF_OF_ROTATION = 0xBEEFF00D, 0x3BA06F8C
ROTATION_MIN_SDK, ROTATION_DEVELOPMENT = 0x559F8B02, 0xC2A6B3BA
MAX_SDK = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A signature algorithm: its names for ``public_keys.verifies``, and the kind of content digest that goes with it."""

    signature: str
    digest: str
    content: str


ALGORITHMS: dict[int, Algorithm] = {
    0x0101: Algorithm("rsa-pss/32", "sha256", CHUNKED_SHA256),
    0x0102: Algorithm("rsa-pss/64", "sha512", CHUNKED_SHA512),
    0x0103: Algorithm("rsa-pkcs1", "sha256", CHUNKED_SHA256),
    0x0104: Algorithm("rsa-pkcs1", "sha512", CHUNKED_SHA512),
    0x0201: Algorithm("ecdsa", "sha256", CHUNKED_SHA256),
    0x0202: Algorithm("ecdsa", "sha512", CHUNKED_SHA512),
    0x0301: Algorithm("dsa", "sha256", CHUNKED_SHA256),
    0x0421: Algorithm("rsa-pkcs1", "sha256", VERITY_SHA256),
    0x0423: Algorithm("ecdsa", "sha256", VERITY_SHA256),
    0x0425: Algorithm("dsa", "sha256", VERITY_SHA256),
}


@dataclass(frozen=True, slots=True)
class Signer:
    """One signer. ``signatures`` and ``digests`` hold the supported algorithms only, ``attributes`` the first value of each identifier.

    ``signed`` is what the signatures are over. SDK versions are 0 and MAX_SDK where the scheme states none.
    """

    signed: bytes
    signatures: dict[int, bytes]
    digests: dict[int, bytes]
    certificates: tuple[bytes, ...]
    attributes: dict[int, bytes]
    public_key: bytes
    min_sdk: int = 0
    max_sdk: int = MAX_SDK

    @property
    def strongest(self) -> int:
        """The algorithm that Android verifies."""
        return strongest(self.signatures)

    @property
    def content_digests(self) -> dict[str, bytes]:
        """By kind of content digest."""
        return {ALGORITHMS[algorithm].content: digest for algorithm, digest in self.digests.items()}


def strongest(algorithms: dict[int, bytes]) -> int:
    """The first of the algorithms with the best kind of content digest."""
    return max(algorithms, key=lambda algorithm: _STRENGTH.index(ALGORITHMS[algorithm].content))


def split_signers(value: bytes, what: str) -> tuple[bytes, ...]:
    """The signers of a scheme's value in the signing block; raises MalformedError for none, ResourceLimitError for more than ten."""
    outer = LengthPrefixed(value, what)
    signers = tuple(outer.sequence())
    outer.finish()
    if not signers:
        raise MalformedError(f"{what} has no signer")
    if len(signers) > MAX_SIGNERS:
        raise MalformedError(f"{what} has more than {MAX_SIGNERS} signers")
    return signers


def parse_signer(data: bytes, what: str, *, ranged: bool) -> Signer:
    """One signer of v2, or of v3 and v3.1 (``ranged``: with SDK versions); raises MalformedError or UnsupportedError."""
    outer = LengthPrefixed(data, what)
    signed = outer.prefixed()
    sdks = (outer.number(), outer.number()) if ranged else (0, MAX_SDK)
    signatures = _by_algorithm(outer, what)
    public_key = outer.prefixed()
    outer.finish()
    inner = LengthPrefixed(signed, what)
    digests = _by_algorithm(inner, what)
    certificates = tuple(inner.sequence())
    if ranged and (inner.number(), inner.number()) != sdks:
        raise MalformedError(f"{what}: the SDK versions inside and outside of what is signed differ")
    attributes: dict[int, bytes] = {}
    for attribute in inner.sequence():
        cursor = LengthPrefixed(attribute, what)
        attributes.setdefault(cursor.number(), cursor.take(cursor.left))
    if inner.take(inner.left).strip(b"\0"):  # apksigner writes an empty list more into v2, which Android does not read
        raise MalformedError(f"{what} holds more than it says")
    if sdks[0] > sdks[1]:
        raise MalformedError(f"{what}: the lowest SDK version is above the highest")
    _check(certificates, public_key, what)
    if not signatures:
        raise MalformedError(f"{what} has no signatures")
    if list(signatures) != list(digests):
        raise MalformedError(f"{what}: digests and signatures are not of the same algorithms")
    known = {algorithm: value for algorithm, value in signatures.items() if algorithm in ALGORITHMS}
    if not known:
        raise UnsupportedError(f"{what}: no known signature algorithm")
    return Signer(signed, known, {a: digests[a] for a in known}, certificates, attributes, public_key, *sdks)


def _check(certificates: tuple[bytes, ...], public_key: bytes, what: str) -> None:
    if not certificates:
        raise MalformedError(f"{what} has no certificate")
    if len(certificates) > MAX_CERTIFICATES:
        raise ResourceLimitError(f"{what} has more than {MAX_CERTIFICATES} certificates")
    if cms.certificate_names(certificates[0]).spki != public_key:
        raise MalformedError(f"{what}: the public key is not that of the first certificate")


def _by_algorithm(cursor: LengthPrefixed, what: str) -> dict[int, bytes]:
    """A sequence of (algorithm, length-prefixed bytes)."""
    found: dict[int, bytes] = {}
    for element in cursor.sequence():
        inner = LengthPrefixed(element, what)
        algorithm, value = inner.number(), inner.prefixed()
        inner.finish()
        if algorithm in found:
            raise MalformedError(f"{what}: algorithm {algorithm:#06x} occurs twice")
        found[algorithm] = value
        if len(found) > MAX_ALGORITHMS:
            raise ResourceLimitError(f"{what}: more than {MAX_ALGORITHMS} algorithms")
    return found


@dataclass(frozen=True, slots=True)
class SourceStamp:
    """A stamp's certificate, and by scheme (1, 2, 3, 31) the signatures over that scheme's content digests."""

    certificate: bytes
    signatures: dict[int, dict[int, bytes]]
    attributes: bytes
    attribute_signatures: dict[int, bytes]


def parse_stamp(value: bytes) -> SourceStamp:
    """A source stamp of version 2; raises MalformedError."""
    what = "source stamp"
    outer = LengthPrefixed(value, what)
    inner = outer.inside()
    certificate = inner.prefixed()
    signatures: dict[int, dict[int, bytes]] = {}
    for element in inner.sequence():
        cursor = LengthPrefixed(element, what)
        scheme = cursor.number()
        if scheme in signatures:
            raise MalformedError("source stamp: a scheme occurs twice")
        signatures[scheme] = _by_algorithm(cursor, what)
    attributes, over = b"", {}
    if inner.left:
        attributes = inner.prefixed()
        over = _by_algorithm(inner, what)
    return SourceStamp(certificate, signatures, attributes, over)


def stamped_digests(digests: dict[str, bytes]) -> bytes:
    """What a stamp's signature is over: kinds and values of a scheme's content digests, by kind."""
    pairs = sorted((CONTENT_DIGEST_IDS[kind], digest) for kind, digest in digests.items())
    encoded = (_number(identifier) + _prefixed(digest) for identifier, digest in pairs)
    return b"".join(_prefixed(pair) for pair in encoded)


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _prefixed(data: bytes) -> bytes:
    return _number(len(data)) + data
