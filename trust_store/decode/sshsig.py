"""SSH signatures of files (OpenSSH PROTOCOL.sshsig), from hostile bytes.

::

    -----BEGIN SSH SIGNATURE-----       byte[6] SSHSIG, uint32 version, string publickey, string namespace, string reserved,
    base64                              string hash_algorithm, string signature
    -----END SSH SIGNATURE-----
"""

from __future__ import annotations

import binascii
import hashlib
import re

from trust_store.decode.asn1 import INTEGER, SEQUENCE, length_octets
from trust_store.decode.ssh_keys import OTHER_TYPES, fields_of, ssh_spki
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_FILE_BYTES = 64 * 1024
MAX_NAMESPACE_BYTES = 1024
MAGIC = b"SSHSIG"
_BEGIN = b"-----BEGIN SSH SIGNATURE-----"
_ARMOUR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]*)-----END SSH SIGNATURE-----\s*\Z")
HASHES = frozenset({"sha256", "sha512"})
_SK = "sk-"
_PLAIN_FIELDS = 2
# Signature algorithm -> (key type, arithmetic, digest it is over)
_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519", "ed25519", "sha512"),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256", "ecdsa", "sha256"),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384", "ecdsa", "sha384"),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521", "ecdsa", "sha512"),
    "rsa-sha2-256": ("ssh-rsa", "rsa-pkcs1", "sha256"),
    "rsa-sha2-512": ("ssh-rsa", "rsa-pkcs1", "sha512"),
    "ssh-rsa": ("ssh-rsa", "rsa-pkcs1", "sha1"),
    "sk-ssh-ed25519@openssh.com": ("sk-ssh-ed25519@openssh.com", "ed25519", "sha512"),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("sk-ecdsa-sha2-nistp256@openssh.com", "ecdsa", "sha256"),
}


@dataclass(frozen=True, slots=True)
class SSHSignature:
    """One signature. ``key`` is the public key blob, ``spki`` the key in it.

    ``algorithm`` and ``digest`` are as ``decode.public_keys`` has them, ``value`` in the shape it wants (ECDSA in DER, RSA of the modulus'
    length); ``hash_name`` is the digest over the message. ``suffix`` is what a security key puts after the digest of its application:
    flags and counter (OpenSSH PROTOCOL.u2f), empty for other keys; ``application`` that digest.
    """

    key: bytes
    key_type: str
    spki: bytes
    namespace: str
    reserved: bytes
    hash_name: str
    algorithm: str
    digest: str
    value: bytes
    application: bytes = b""
    suffix: bytes = b""

    def signed(self, message_digest: bytes) -> bytes:
        """What the value is over, given the message's digest by ``hash_name``."""
        namespace, hash_name = self.namespace.encode(), self.hash_name.encode()
        blob = MAGIC + b"".join(map(_string, (namespace, self.reserved, hash_name, message_digest)))
        if not self.application:
            return blob
        return self.application + self.suffix + hashlib.sha256(blob).digest()


def recognises(data: bytes) -> bool:
    """Whether ``data`` begins as an armoured SSH signature."""
    return data.lstrip(b"\r\n\t ")[: len(_BEGIN)] == _BEGIN


def parse_sshsig(data: bytes) -> SSHSignature:
    """The one signature in an armoured file; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if len(data) > MAX_FILE_BYTES:
        raise ResourceLimitError(f"an SSH signature file of {len(data)} bytes")
    armour = _ARMOUR.match(data.lstrip(b"\r\n\t "))
    if armour is None:
        raise MalformedError("the armour of an SSH signature is broken, or is followed by something else")
    try:
        blob = binascii.a2b_base64(b"".join(armour[1].split()), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"an SSH signature that is not base64: {error}") from error
    if not blob.startswith(MAGIC):
        raise MalformedError("an SSH signature does not begin with SSHSIG")
    version = int.from_bytes(blob[6:10], "big")
    if version != 1:
        raise UnsupportedError(f"SSH signatures of version {version} are not read")
    fields = fields_of(blob[10:])
    if len(fields) != 5:
        raise MalformedError("an SSH signature is key, namespace, reserved, hash and signature")
    key, namespace, reserved, hash_name, signature = fields
    return _signature(key, _text(namespace, "namespace"), reserved, _text(hash_name, "hash"), signature)


def _signature(key: bytes, namespace: str, reserved: bytes, hash_name: str, signature: bytes) -> SSHSignature:
    if not namespace or len(namespace) > MAX_NAMESPACE_BYTES:
        raise MalformedError("an SSH signature without a namespace, or with one that is too long")
    if hash_name not in HASHES:
        raise UnsupportedError(f"SSH signatures over {hash_name[:40]!a} are not read")
    key_type, spki = _key(key)
    name, rest = _first(signature)
    algorithm_name = _text(name, "signature algorithm")
    wanted, algorithm, digest = _ALGORITHMS.get(algorithm_name, ("", "", ""))
    if not wanted:
        raise UnsupportedError(f"SSH signatures of type {algorithm_name[:60]!a} are not read")
    if wanted != key_type:
        raise MalformedError("an SSH signature of another type than its key")
    value, rest = _first(rest)
    application = suffix = b""
    if key_type.startswith(_SK):
        if len(rest) != 5:  # byte flags, uint32 counter
            raise MalformedError("a security key's signature ends with flags and a counter")
        application, suffix = hashlib.sha256(fields_of(key)[-1]).digest(), rest
    elif rest:
        raise MalformedError("an SSH signature with something after its value")
    if algorithm == "ecdsa":
        value = _ecdsa_der(value)
    elif algorithm == "ed25519" and len(value) != 64:
        raise MalformedError(f"an Ed25519 value of {len(value)} bytes")
    return SSHSignature(
        key, key_type, spki, namespace, reserved, hash_name, algorithm, digest, value, application, suffix
    )


def _key(blob: bytes) -> tuple[str, bytes]:
    kind = _text(_first(blob)[0], "key type")
    if kind in OTHER_TYPES and "-cert-" in kind:
        raise UnsupportedError(f"an SSH signature by a certificate ({kind}): certificates are not read")
    return ssh_spki(blob)


def _first(data: bytes) -> tuple[bytes, bytes]:
    """A string and what follows it (RFC 4251 section 5); raises MalformedError."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < 4 or end > len(data):
        raise MalformedError("an SSH signature is cut short")
    return data[4:end], data[end:]


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _text(data: bytes, what: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"the {what} of an SSH signature is no text") from error
    if not text.isprintable():
        raise MalformedError(f"the {what} of an SSH signature has control characters")
    return text


def _ecdsa_der(value: bytes) -> bytes:
    """Two mpints (RFC 5656 3.1.2) as Ecdsa-Sig-Value (RFC 3279 2.2.3)."""
    numbers = fields_of(value)
    if len(numbers) != _PLAIN_FIELDS or any(not number or len(number) > 67 for number in numbers):
        raise MalformedError("an ECDSA value is two numbers")
    body = b"".join(bytes([INTEGER]) + length_octets(len(number)) + number for number in numbers)
    return bytes([SEQUENCE]) + length_octets(len(body)) + body
