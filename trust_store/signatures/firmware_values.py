"""Signature values in device upgrades, which carry no certificate: keys at hand are tried, the key's kind settles what is left open."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.bare_values import recovered_digest
from trust_store.decode.cms import certificate_names
from trust_store.decode.fixed_width_ecdsa import to_der
from trust_store.decode.public_keys import rsa_bits
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.package_facts import KeyCheck
from trust_store.signatures.embedded import EmbeddedScheme, value_check
from trust_store.signatures.protocol import RAW, X509

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import CandidateKey

PSS_MAX, ECDSA_FIXED = "rsa-pss/max", "ecdsa/fixed-width"
"""Salt as long as the key allows (OpenSSL's default, and -2 or -3 when signing); r and s one after the other, each as wide as the curve."""


def open_algorithm(*algorithms: str) -> str:
    """What stands as ``signature_algorithm`` of a fact where the format leaves it to the verifier: each is tried, in this order."""
    return "|".join(algorithms)


class FirmwareScheme(EmbeddedScheme):
    """A scheme whose values may have been made in several ways, of which the signature says nothing."""

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the value holds under ``key`` in one of the ways of ``signature_algorithm``; None where it need not be the key's."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        checks = [value_check(stated, key) for stated in _ways(fact, key)]
        found = next((check for check in checks if check is not None and check.holds), next(iter(checks), None))
        return found or _made_for_something_else(fact, key)


def _made_for_something_else(fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
    """A value that opens under an RSA key (RFC 8017 9.2) was made with it: over other content than this, then."""
    try:
        spki = key.material if key.kind == RAW else certificate_names(key.material).spki
    except (MalformedError, ResourceLimitError):
        return None
    if recovered_digest(spki, fact.signature) is None:
        return None
    digest = hashlib.sha256(key.material).hexdigest()
    return KeyCheck(key=digest, owner=digest, holds=False)


def _ways(fact: SignatureFact, key: CandidateKey) -> list[SignatureFact]:
    return [way for name in fact.signature_algorithm.split("|") if (way := _way(fact, name, key)) is not None]


def _way(fact: SignatureFact, name: str, key: CandidateKey) -> SignatureFact | None:
    """The fact with one algorithm, stated as the arithmetic wants it; None where it cannot be that."""
    try:
        if name == ECDSA_FIXED:
            return replace(fact, signature_algorithm="ecdsa", signature=to_der(fact.signature))
        if name != PSS_MAX:
            return replace(fact, signature_algorithm=name)
        bits = rsa_bits(key.material if key.kind == RAW else certificate_names(key.material).spki)
    except (MalformedError, ResourceLimitError):
        return None
    digest_octets = len(fact.digest)
    # RFC 8017 9.1.1: emLen - hLen - 2, where emBits is one bit less than the modulus
    salt = (bits + 6) // 8 - digest_octets - 2 if bits else -1
    return replace(fact, signature_algorithm=f"rsa-pss/{salt}") if salt >= 0 else None


SCHEMES: Mapping[str, FirmwareScheme] = {
    "fit": FirmwareScheme("fit", "Signature nodes of U-Boot's flattened image trees: RSA PKCS #1 v1.5 or PSS, ECDSA."),
    "mar": FirmwareScheme("mar", "Signature entries of Mozilla archives: RSA PKCS #1 v1.5 with SHA-1 or SHA-384."),
    "mender": FirmwareScheme(
        "mender", "manifest.sig of Mender artifacts: RSA PKCS #1 v1.5, ECDSA P-256 or Ed25519, in base64."
    ),
    "swupdate": FirmwareScheme(
        "swupdate", "sw-description.sig of SWUpdate images: RSA PKCS #1 v1.5 or PSS with SHA-256."
    ),
}
