"""``RECORD.jws`` in a Python wheel (PEP 427): Ed25519 over a statement of RECORD's digest."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from trust_store.decode.record_jws import parse_record_jws
from trust_store.model.package_facts import CarriedKey, SignatureFact, SignatureOrigin, SignerHint
from trust_store.signatures.embedded import EmbeddedScheme
from trust_store.signatures.protocol import RAW

if TYPE_CHECKING:
    from trust_store.model.package_facts import SideFile
    from trust_store.signatures.protocol import SignatureScheme

NAME = "wheel-jws"
DOC = """PEP 427's RECORD.jws: JSON Web Signature in the draft's JSON form, Ed25519 alone; each recipient is one signature. The key that the
header brings along is tried and proves nothing of itself."""


def facts(data: bytes, record: bytes, file: SideFile) -> tuple[SignatureFact, ...]:
    """Every signature of ``data`` over ``record``; raises MalformedError, UnsupportedError or ResourceLimitError."""
    digest = hashlib.sha256(record).digest()
    return tuple(
        SignatureFact(
            scheme=NAME,
            origin=SignatureOrigin.EMBEDDED,
            file=file,
            hint=SignerHint(key_sha256=hashlib.sha256(one.spki).hexdigest()),
            digest_algorithm="sha512",  # RFC 8032 5.1.7: Ed25519's own
            signature_algorithm="ed25519",
            signature=one.value,
            signed=one.signed,
            digest=digest,
            content_matches=hmac.compare_digest(one.record_sha256, digest),
            keys=(CarriedKey(RAW, one.spki),),
        )
        for one in parse_record_jws(data)
    )


SCHEME: SignatureScheme = EmbeddedScheme(NAME, DOC)
