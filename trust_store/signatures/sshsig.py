"""SSH signatures of files, as ``ssh-keygen -Y sign`` writes them (OpenSSH PROTOCOL.sshsig)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import sshsig
from trust_store.decode.bare_keys import SSH
from trust_store.decode.public_keys import ED25519, RSA_PKCS1, rsa_bits, verifies, verifies_message
from trust_store.decode.ssh_keys import ssh_spki
from trust_store.errors import READ_ERRORS
from trust_store.model.package_facts import CarriedKey, KeyCheck, SignatureFact, SignerHint
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.sshsig import SSHSignature
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

NAME = "sshsig"
SHA1 = "sha1"


@dataclass(frozen=True, slots=True)
class PendingSSHSignature:
    """One signature whose message has not been read yet."""

    signature: SSHSignature
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """The one digest that the signature names."""
        return (DigestRequest(self.signature.hash_name),)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact; ``signed`` is the structure with the message's digest in it, ``packet`` names the digest that the value is over."""
        signature = self.signature
        digest = states[self.digests[0]].copy().digest()
        return SignatureFact(
            scheme=NAME,
            origin=self.origin,
            file=self.file,
            hint=SignerHint(key_sha256=hashlib.sha256(signature.key).hexdigest()),
            # the weaker of the digest over the message and the one inside the signature
            digest_algorithm=SHA1 if signature.digest == SHA1 else signature.hash_name,
            signature_algorithm=signature.algorithm,
            signature=signature.value,
            signed=signature.signed(digest),
            digest=digest,
            content_matches=True,
            packet=signature.digest.encode(),
            keys=(CarriedKey(SSH, signature.key),),
            namespace=signature.namespace,
        )


class SSHSigScheme:
    """The scheme as the registry holds it."""

    NAME = NAME
    DOC = """Armoured SSH signatures (OpenSSH PROTOCOL.sshsig) with SHA-256 or SHA-512, as `ssh-keygen -Y sign` writes them.

Ed25519, ECDSA on the NIST curves, RSA with rsa-sha2-256 or rsa-sha2-512, and security keys (sk-ssh-ed25519, sk-ecdsa; whether the key
was touched is not asked, as `ssh-keygen -Y verify` does not). `ssh-rsa`, which is SHA-1, is `weak_algorithm`. The namespace must be the
one asked for with `--namespace` (`file` where it is not given): another one is `unexpected_signer`. A signature by an SSH certificate is
`unsupported_format`."""

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` begins as an armoured SSH signature."""
        return sshsig.recognises(data)

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingSSHSignature, ...]:
        """The one signature; raises MalformedError, UnsupportedError or ResourceLimitError."""
        return (PendingSSHSignature(sshsig.parse_sshsig(data), origin, file),)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under ``key``, which must be the one that the signature carries; None for every other one."""
        if fact.scheme != NAME or fact.problem is not None or key.kind != SSH:
            return None
        digest = hashlib.sha256(key.material).hexdigest()
        if digest != fact.hint.key_sha256:
            return None
        try:
            spki = ssh_spki(key.material)[1]
        except READ_ERRORS:
            return None
        return KeyCheck(key=digest, owner=digest, holds=fact.content_matches and _verifies(fact, spki))


def _verifies(fact: SignatureFact, spki: bytes) -> bool:
    if fact.signature_algorithm == ED25519:
        return verifies_message(spki, fact.signature, fact.signed)
    digest_name = fact.packet.decode("ascii")
    digest = hashlib.new(digest_name, fact.signed, usedforsecurity=False).digest()
    value = fact.signature
    if fact.signature_algorithm == RSA_PKCS1:  # OpenSSH takes values whose leading zero octets were left out
        value = value.rjust(((rsa_bits(spki) or 0) + 7) // 8, b"\0")
    return verifies(spki, fact.signature_algorithm, digest_name, value, digest)


SCHEME: SignatureScheme = SSHSigScheme()
