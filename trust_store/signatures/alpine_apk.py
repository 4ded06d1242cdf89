"""Values in Alpine packages (apk-v2(5), apk-v3(5)): over the control stream, or over what stands for the metadata block."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import SEQUENCE, read_one
from trust_store.decode.bare_values import recovered_digest
from trust_store.decode.cms import certificate_names
from trust_store.decode.public_keys import ECDSA, RSA_PKCS1
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.model.package_facts import KeyCheck
from trust_store.signatures.embedded import EmbeddedScheme, value_check
from trust_store.signatures.protocol import RAW, X509

if TYPE_CHECKING:
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import CandidateKey

NAME = "alpine-apk"
EITHER = f"{RSA_PKCS1}|{ECDSA}"
"""What stands as ``signature_algorithm`` in version 3, where the key's kind settles it."""
ID_BYTES = 16


class AlpineScheme(EmbeddedScheme):
    """Version 2 names no key; version 3 has the first 16 bytes of the SHA-512 of the key's own octets as ``hint.key_id``."""

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the value holds under ``key``; False also where the key is named, or made the value for something else."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        ways = [replace(fact, signature_algorithm=name) for name in fact.signature_algorithm.split("|")]
        found = next((check for way in ways if (check := value_check(way, key)) is not None and check.holds), None)
        if found is not None:
            return found
        try:
            spki = key.material if key.kind == RAW else certificate_names(key.material).spki
            named = fact.hint.key_id is not None and fact.hint.key_id == key_id(spki)
        except READ_ERRORS:
            return None
        if not named and recovered_digest(spki, fact.signature) is None:
            return None
        digest = hashlib.sha256(key.material).hexdigest()
        return KeyCheck(key=digest, owner=digest, holds=False)


def key_id(spki: bytes) -> str:
    """The name that version 3 gives a key, in hex (``apk_pkey_init`` of apk-tools); raises MalformedError."""
    parts = read_one(spki, "public key").expect(SEQUENCE, "public key").children()
    if len(parts) != 2:
        raise MalformedError("a public key that is no SubjectPublicKeyInfo")
    return hashlib.sha512(parts[1].content[1:]).digest()[:ID_BYTES].hex()


SCHEME = AlpineScheme(
    NAME,
    "Signatures of Alpine packages and indexes: RSA PKCS #1 v1.5, in version 3 of the format ECDSA too. The key must be at hand.",
)
