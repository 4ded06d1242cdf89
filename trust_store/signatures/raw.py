"""Bare RSA, ECDSA, DSA and Ed25519 values over a file: nothing in them says by whom, or over which digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.bare_values import RSA, read_value, recovered_digest
from trust_store.decode.public_keys import DSA, ECDSA, ED25519, RSA_PKCS1, RSA_PSS, rsa_bits, verifies
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import Problem, SignatureFact, SignerHint
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.embedded import value_check
from trust_store.signatures.protocol import FOREIGN, MESSAGE, RAW, WEAK_DIGESTS, X509, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trust_store.model.package_facts import KeyCheck, SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

NAME = "raw"
DIGESTS = ("sha256", "sha384", "sha512", "sha1")
"""Tried in this order: nothing in a bare value says which one it is."""
MAX_KEYS_TRIED = 1024


@dataclass(frozen=True, slots=True)
class PendingValue:
    """One value whose package has not been read yet; ``kinds`` of keys may have made it."""

    kinds: tuple[str, ...]
    value: bytes
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Every digest that may be the one; for Ed25519 the package itself. It must be nothing that keys sign elsewhere."""
        wanted = (MESSAGE,) if self.kinds == (ED25519,) else DIGESTS
        return tuple(map(DigestRequest, (*wanted, FOREIGN)))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact; the digest that counts is not known before a key fits, so that ``packet`` holds all of them."""
        try:
            content = [states[request].copy().digest() for request in self.digests][:-1]
        except READ_ERRORS as error:
            return SignatureFact(NAME, self.origin, self.file, problem=_problem(error))
        edwards = self.kinds == (ED25519,)
        return SignatureFact(
            scheme=NAME,
            origin=self.origin,
            file=self.file,
            digest_algorithm="sha512" if edwards else "",  # what Ed25519 uses inside (RFC 8032 5.1)
            signature_algorithm=ED25519 if edwards else self.kinds[0],
            signature=self.value,
            signed=content[0] if edwards else b"",
            content_matches=True,
            packet=b"" if edwards else b"".join(content),
        )


class RawScheme:
    """The scheme as the registry holds it."""

    NAME = NAME
    DOC = """A bare value in a file of its own (binary, base64 or hex), as `openssl dgst -sign` and `openssl pkeyutl -sign -rawin` write it.

RSA PKCS #1 v1.5, RSA-PSS (a salt as long as the digest or as long as fits), ECDSA and DSA in DER, Ed25519 (over the package itself, at
most 64 MiB). The certificate or public key must be at hand (`--anchors`, `--untrusted`, the store). A value names neither its key nor its
digest: SHA-256, SHA-384, SHA-512 and SHA-1 are tried, and a key under which none holds is not the signer's (`unknown_root`). An RSA
PKCS #1 v1.5 value that opens under a key is that key's: over other content it is `invalid_signature`. A package that is itself a message
which keys sign in another protocol (a digest, the content of a certificate, an SSH or TLS handshake, the input of a JWS ...) is
`malformed`: the value may have been made for that."""

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` is a value by its length or shape."""
        try:
            read_value(data)
        except MalformedError:
            return False
        return True

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingValue, ...]:
        """The one value; raises MalformedError."""
        kinds, value = read_value(data)
        return (PendingValue(kinds, value, origin, file),)

    def determined(self, fact: SignatureFact, keys: Iterable[CandidateKey]) -> SignatureFact:
        """``fact`` with the algorithms under which the first of ``keys`` fits; as it is where none does.

        An RSA value that opens under a key is named as that key's, whether or not it fits the package.
        """
        if fact.scheme != NAME or fact.problem is not None or fact.digest_algorithm:
            return fact
        for spki in _public_keys(islice(keys, MAX_KEYS_TRIED)):
            found = _with_key(fact, spki)
            if found is not None:
                return found
        return fact

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the value holds under ``key``; None for a key that need not be the signer's."""
        if fact.scheme != NAME or fact.problem is not None or not fact.digest_algorithm or key.kind not in (X509, RAW):
            return None
        return value_check(fact, key)


def _with_key(fact: SignatureFact, spki: bytes) -> SignatureFact | None:
    digests = dict(_digests(fact.packet))
    if fact.signature_algorithm == RSA:
        opened = recovered_digest(spki, fact.signature)
        if opened is not None:
            return _opened(fact, spki, opened[0], digests)
        algorithms = _pss(spki, fact.signature)
    else:
        algorithms = tuple((kind, name) for kind in (ECDSA, DSA) for name in DIGESTS)
    for algorithm, name in algorithms:
        if verifies(spki, algorithm, name, fact.signature, digests[name]):
            return replace(fact, signature_algorithm=algorithm, digest_algorithm=name, digest=digests[name])
    return None


def _opened(fact: SignatureFact, spki: bytes, name: str, digests: dict[str, bytes]) -> SignatureFact:
    if name not in digests:
        reason = Reason.WEAK_ALGORITHM if name in WEAK_DIGESTS else Reason.UNSUPPORTED_FORMAT
        return replace(fact, problem=Problem(reason, f"a bare value over {name}"))
    return replace(
        fact,
        signature_algorithm=RSA_PKCS1,
        digest_algorithm=name,
        digest=digests[name],
        hint=SignerHint(key_sha256=hashlib.sha256(spki).hexdigest()),
    )


def _pss(spki: bytes, value: bytes) -> tuple[tuple[str, str], ...]:
    """RSA-PSS with the two lengths of salt that tools choose by themselves: the digest's, and the longest (RFC 8017 9.1.1)."""
    bits = rsa_bits(spki)
    if bits is None or (bits + 7) // 8 != len(value):
        return ()
    found: list[tuple[str, str]] = []
    for name in DIGESTS:
        digest_bytes = hashlib.new(name, usedforsecurity=False).digest_size
        longest = (bits + 6) // 8 - digest_bytes - 2
        found += [(f"{RSA_PSS}/{salt}", name) for salt in (digest_bytes, longest) if salt >= 0]
    return tuple(found)


def _digests(packet: bytes) -> Iterator[tuple[str, bytes]]:
    position = 0
    for name in DIGESTS:
        size = hashlib.new(name, usedforsecurity=False).digest_size
        yield name, packet[position : position + size]
        position += size


def _public_keys(keys: Iterable[CandidateKey]) -> Iterator[bytes]:
    for key in keys:
        if key.kind == RAW:
            yield key.material
        elif key.kind == X509:
            try:
                yield cms.certificate_names(key.material).spki
            except (MalformedError, ResourceLimitError):
                continue


def _problem(error: Exception) -> Problem:
    reasons = {UnsupportedError: Reason.UNSUPPORTED_FORMAT, ResourceLimitError: Reason.RESOURCE_LIMIT}
    reason = next((reason for kind, reason in reasons.items() if isinstance(error, kind)), Reason.MALFORMED)
    return Problem(reason, str(error)[:500])


SCHEME: SignatureScheme = RawScheme()
