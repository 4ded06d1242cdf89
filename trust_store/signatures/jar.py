"""Signatures of JARs and of APKs by the same scheme (v1): CMS over a signature file, which states digests of the manifest's sections."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.asn1 import SET
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.package_facts import SignatureOrigin
from trust_store.signatures.embedded import EmbeddedScheme, signer_fact, value_check
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES, RAW, X509, CandidateKey

if TYPE_CHECKING:
    from trust_store.decode.asn1 import Element
    from trust_store.model.package_facts import KeyCheck, SideFile, SignatureFact
    from trust_store.signatures.protocol import SignatureScheme

JAR, APK_V1 = "jar", "apk-v1"
_STRENGTH = ("md5", "sha1", "sha224", "sha3_224", "sha256", "sha3_256", "sha384", "sha3_384", "sha512", "sha3_512")


class JarScheme(EmbeddedScheme):
    """``packet`` of a fact names the digest of the value itself; ``digest_algorithm`` is the weakest between it and the members."""

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the value holds under ``key``; None if the message does not name it and it does not hold."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        return value_check(replace(fact, digest_algorithm=fact.packet.decode("ascii")), key)


def weakest(algorithms: set[str]) -> str:
    """The weakest of digests by their hashlib names."""
    return min(algorithms, key=lambda name: _STRENGTH.index(name) if name in _STRENGTH else -1)


def strongest(algorithms: set[str]) -> str:
    """The strongest."""
    return max(algorithms, key=lambda name: _STRENGTH.index(name) if name in _STRENGTH else -1)


def block_facts(block: bytes, signature_file: bytes, *, scheme: str, file: SideFile) -> tuple[SignatureFact, ...]:
    """Every SignerInfo of a signature block over the bytes of its signature file; raises MalformedError or UnsupportedError."""
    message = cms.parse_signed_data(block)
    if message.encapsulated:
        raise UnsupportedError("JAR: a signature block with content of its own")
    if message.content_type != cms.ID_DATA:
        raise UnsupportedError(f"JAR: a signature over content type {message.content_type}")
    return tuple(_fact(info, message.certificates, signature_file, scheme, file) for info in message.signer_infos)


def _fact(
    info: cms.SignerInfo, certificates: tuple[bytes, ...], signature_file: bytes, scheme: str, file: SideFile
) -> SignatureFact:
    if info.attributes is None and info.signature_algorithm == "ed25519":
        raise UnsupportedError("JAR: Ed25519 without signed attributes")
    attributes = cms.parse_attributes(info.attributes) if info.attributes is not None else None
    if attributes is not None and attributes.content_type != cms.ID_DATA:
        raise MalformedError(f"CMS: the signed content type is {attributes.content_type}, the content's is data")
    digest = hashlib.new(info.digest_algorithm, signature_file, usedforsecurity=False).digest()
    fact = signer_fact(info, attributes, digest, scheme=scheme, origin=SignatureOrigin.EMBEDDED)
    if scheme == APK_V1 and info.attributes is not None:
        fact = _as_they_stand(fact, info.attributes, certificates)
    packet = info.digest_algorithm.encode("ascii")
    return replace(fact, file=file, certificates=certificates, packet=packet)


def _as_they_stand(fact: SignatureFact, attributes: Element, certificates: tuple[bytes, ...]) -> SignatureFact:
    """Android does not put signed attributes into the order of DER before it verifies: what it accepts is kept as it stands."""
    raw = bytes([SET]) + attributes.raw[1:]
    if raw == fact.signed or len(raw) > MAX_SIGNATURE_FILE_BYTES:
        return fact
    other = replace(fact, signed=raw, content_matches=True)
    for certificate in certificates:
        check = value_check(other, CandidateKey(X509, certificate))
        if check is not None and check.holds:
            return replace(fact, signed=raw)
    return fact


_DOC = "CMS (PKCS #7) over a .SF file; RSA, DSA, ECDSA, Ed25519. The digest told is the weakest needed from the value to the members."
SCHEMES: dict[str, SignatureScheme] = {
    JAR: JarScheme(JAR, f"A JAR's signature: {_DOC} RFC 3161 timestamps count as for CMS."),
    APK_V1: JarScheme(
        APK_V1, f"APK Signature Scheme v1, a JAR signature: {_DOC} Android knows no expiry of certificates."
    ),
}
