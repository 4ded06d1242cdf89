"""Detached CMS signatures (RFC 5652), as ``openssl cms -sign -binary`` and PKCS #7 tools write them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.authenticode import recognises_trust_list
from trust_store.decode.public_keys import verifies, verifies_message
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import KeyCheck, Problem, SignatureFact, SignerHint
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.embedded import signer_fact
from trust_store.signatures.protocol import FOREIGN, MAX_SIGNATURE_FILE_BYTES, RAW, X509, DigestRequest, raw_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

NAME = "cms"
DOC = """RFC 5652 SignedData without content, DER or BER, bare or PEM; RSA PKCS #1 v1.5, RSA-PSS, ECDSA, DSA, Ed25519 (RFC 8419).

Every SignerInfo is one signature. Without signed attributes, content that is itself a message which keys sign in another protocol (signed
attributes, the content of a certificate, a revocation list or an OCSP response, a digest, a handshake ...) is `malformed`: the value may
have been made for that. RFC 3161 timestamps over it (at most 8) count where their authority is trusted; PKCS #9
countersignatures are told and prove nothing; revocation lists inside are not read."""


@dataclass(frozen=True, slots=True)
class PendingCMSSignature:
    """One SignerInfo whose content has not been read yet."""

    info: cms.SignerInfo
    attributes: cms.SignedAttributes | None
    certificates: tuple[bytes, ...]
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """The one digest the SignerInfo names; without signed attributes the content must be nothing that keys sign elsewhere.

        Such a value is over the content alone (RFC 5652 5.4), so that one made for signed attributes, for a certificate or in another
        protocol could be shown with a file that is that message (draft-ietf-lamps-cms-euf-cma-signeddata).
        """
        digest = DigestRequest(self.info.digest_algorithm)
        return (digest,) if self.attributes is not None else (digest, DigestRequest(FOREIGN))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact, with the digest over the content compared with the one that was signed (RFC 5652 5.6)."""
        digest = states[self.digests[0]].copy().digest()
        fact = signer_fact(self.info, self.attributes, digest, scheme=NAME, origin=self.origin)
        return replace(fact, file=self.file, certificates=self.certificates, problem=self._problem(states))

    def _problem(self, states: Mapping[DigestRequest, DigestState]) -> Problem | None:
        try:
            for request in self.digests[1:]:
                states[request].copy().digest()
        except MalformedError as error:
            return Problem(Reason.MALFORMED, f"CMS without signed attributes: {error}")
        return None


class CMSScheme:
    """The scheme as the registry holds it."""

    NAME = NAME
    DOC = DOC

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` claims to be CMS or PKCS #7, and no catalog, which is a scheme of its own."""
        return cms.recognises(data) and not recognises_trust_list(data)

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingCMSSignature, ...]:
        """Every SignerInfo as one pending signature; raises MalformedError, UnsupportedError or ResourceLimitError."""
        if len(data) > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"CMS: larger than {MAX_SIGNATURE_FILE_BYTES} bytes")
        signed_data = cms.parse_signed_data(data)
        if signed_data.encapsulated:
            # its signature would be over the content inside, whatever the package says
            raise UnsupportedError("CMS: the message carries its own content; a detached signature is needed")
        return pending_over_data(signed_data, origin=origin, file=file)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under ``key``; None if the hint names another certificate.

        A raw key is named by nobody: it may be tried, and is left out where it does not hold.
        """
        if fact.scheme != NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        if key.kind == RAW:
            good = fact.content_matches and _verifies(fact, key.material)
            return raw_check(key.material) if good else None
        spki = named_key(fact.hint, key.material)
        if spki is None:
            return None
        fingerprint = hashlib.sha256(key.material).hexdigest()
        return KeyCheck(key=fingerprint, owner=fingerprint, holds=fact.content_matches and _verifies(fact, spki))


def pending_over_data(
    signed_data: cms.SignedData, *, origin: SignatureOrigin, file: SideFile | None = None
) -> tuple[PendingCMSSignature, ...]:
    """Every SignerInfo over content of type data, wherever that stands; raises MalformedError or UnsupportedError."""
    if signed_data.content_type != cms.ID_DATA:
        # a timestamp token or a code directory signed by the same key must not pass for a signature over a file
        raise UnsupportedError(f"CMS: a signature over content type {signed_data.content_type}, not over data")
    return tuple(
        PendingCMSSignature(info, _attributes(info), signed_data.certificates, origin, file)
        for info in signed_data.signer_infos
    )


def named_key(hint: SignerHint, certificate: bytes) -> bytes | None:
    """The certificate's key if it is the one the hint names (RFC 5652 5.3), byte for byte; None otherwise."""
    try:
        names = cms.certificate_names(certificate)
    except (MalformedError, ResourceLimitError):
        return None
    if hint.serial_number is not None:
        named = (names.issuer_der, names.serial_number) == (hint.issuer_der, hint.serial_number)
    else:
        named = hint.subject_key_identifier is not None and names.subject_key_identifier == hint.subject_key_identifier
    return names.spki if named else None


def _attributes(info: cms.SignerInfo) -> cms.SignedAttributes | None:
    if info.attributes is None:
        if info.signature_algorithm == "ed25519":
            # RFC 8419 3.2 signs the content itself, which cannot be streamed through a digest
            raise UnsupportedError("CMS: Ed25519 without signed attributes")
        return None
    attributes = cms.parse_attributes(info.attributes)
    if attributes.content_type != cms.ID_DATA:  # RFC 5652 11.1: must be that of the content
        raise MalformedError(f"CMS: the signed content type is {attributes.content_type}, the content's is data")
    return attributes


def _verifies(fact: SignatureFact, spki: bytes) -> bool:
    if fact.signature_algorithm == "ed25519":
        return bool(fact.signed) and verifies_message(spki, fact.signature, fact.signed)
    digest = hashlib.new(fact.digest_algorithm, fact.signed).digest() if fact.signed else fact.digest
    return verifies(spki, fact.signature_algorithm, fact.digest_algorithm, fact.signature, digest)


SCHEME: SignatureScheme = CMSScheme()
