"""The whole-file signature of an Android OTA package (AOSP ``bootable/recovery/otautil/verifier.cpp``).

Recovery takes the signature octets out of a PKCS #7 message and ignores everything else in it: signed attributes are not
used and the value is over the package's own digest. So it is here; the certificate inside is a hint and a claim.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.distinguished_name import name_text
from trust_store.decode.public_keys import key_kind, verifies
from trust_store.decode.unsigned_attributes import unsigned_attributes
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import KeyCheck, SignatureFact, SignerHint
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import RAW, X509, DigestRequest, raw_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

NAME = "android-ota"
DOC = """AOSP whole-file signature in the archive comment: RSA PKCS #1 v1.5 with SHA-1 or SHA-256, ECDSA P-256 with SHA-256."""
_KEYS = {"rsa": "rsa-pkcs1", "secp256r1": "ecdsa"}
_DIGESTS = {"rsa-pkcs1": ("sha1", "sha256"), "ecdsa": ("sha256",)}


@dataclass(frozen=True, slots=True)
class PendingOTASignature:
    """The one signature of the package, before the package has been read."""

    info: cms.SignerInfo
    certificates: tuple[bytes, ...]
    origin: SignatureOrigin

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """The one digest the SignerInfo names."""
        return (DigestRequest(self.info.digest_algorithm),)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact; the value is over the content, so that ``signed`` stays empty."""
        unsigned = unsigned_attributes(self.info)
        return SignatureFact(
            scheme=NAME,
            origin=self.origin,
            file=None,
            hint=SignerHint(
                issuer_der=self.info.issuer_der,
                issuer=name_text(self.info.issuer_der),
                serial_number=self.info.serial_number,
                subject_key_identifier=self.info.subject_key_identifier,
            ),
            digest_algorithm=self.info.digest_algorithm,
            signature_algorithm=self.info.signature_algorithm,
            signature=self.info.signature,
            digest=states[self.digests[0]].copy().digest(),
            content_matches=True,
            certificates=self.certificates,
            timestamps=unsigned.timestamps,
            countersignatures=unsigned.countersignatures,
        )


class AndroidOTAScheme:
    """The scheme as the registry holds it."""

    NAME = NAME
    DOC = DOC

    def recognises(self, data: bytes) -> bool:  # noqa: ARG002 - the protocol's signature
        """Never: this signature stands in an archive's comment, not in a file beside the package."""
        return False

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingOTASignature, ...]:
        """The one signature of the message; raises MalformedError, UnsupportedError or ResourceLimitError."""
        if file is not None:
            raise UnsupportedError("an Android OTA signature in a file of its own")
        signed_data = cms.parse_signed_data(data)
        if len(signed_data.signer_infos) != 1:  # recovery reads the first and would not see the others
            raise MalformedError(f"Android OTA: {len(signed_data.signer_infos)} signer infos, expected one")
        info = signed_data.signer_infos[0]
        if info.digest_algorithm not in _DIGESTS.get(info.signature_algorithm, ()):
            raise UnsupportedError(f"Android OTA: {info.signature_algorithm} with {info.digest_algorithm}")
        return (PendingOTASignature(info, signed_data.certificates, origin),)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under ``key``.

        Any key may be tried, as recovery does; False only for the certificate the message names, None for others.
        """
        if fact.scheme != NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        if key.kind == RAW:
            return raw_check(key.material) if _verifies(fact, key.material) else None
        try:
            names = cms.certificate_names(key.material)
        except (MalformedError, ResourceLimitError):
            return None
        good = _verifies(fact, names.spki)
        named = (names.issuer_der, names.serial_number) == (fact.hint.issuer_der, fact.hint.serial_number) or (
            fact.hint.subject_key_identifier is not None
            and fact.hint.subject_key_identifier == names.subject_key_identifier
        )
        if not good and not named:
            return None
        fingerprint = hashlib.sha256(key.material).hexdigest()
        return KeyCheck(key=fingerprint, owner=fingerprint, holds=good)


def _verifies(fact: SignatureFact, spki: bytes) -> bool:
    return _KEYS.get(key_kind(spki) or "") == fact.signature_algorithm and verifies(
        spki, fact.signature_algorithm, fact.digest_algorithm, fact.signature, fact.digest
    )


SCHEME: SignatureScheme = AndroidOTAScheme()
