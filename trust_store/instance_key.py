"""The instance's own Ed25519 key (RFC 8032): it signs the head of the audit log and the checkpoints that leave the machine.

The private half is ``instance.key`` (PKCS#8 PEM, 0600) beside the database, or the systemd credential ``instance-key``; only
writers read it. The public half is ``instance.pub`` (SubjectPublicKeyInfo PEM, 0644). Neither is ever logged.
"""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from trust_store.durable_file import replace_file
from trust_store.errors import MalformedError, StoreInconsistentError, StoreUnavailableError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_NAME, PUBLIC_NAME = "instance.key", "instance.pub"
NEXT_NAME = "instance.key.next"
CREDENTIALS = ("instance-key", "rootwarden_instance-key")
MAX_KEY_BYTES = 4096
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """The private half. Its text form shows nothing of it."""

    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"InstanceKey(public={self.public})"

    @classmethod
    def generate(cls) -> InstanceKey:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> str:
        """The public half: its 32 bytes in hex."""
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> str:
        """The signature over ``message``, 64 bytes in hex."""
        return self.private.sign(message).hex()


@functools.lru_cache(maxsize=2048)  # the same entries of the log are asked about again and again
def verifies(public: str, signature: str, message: bytes) -> bool:
    """Whether ``signature`` (128 lower-case hex digits, nothing else) over ``message`` is of the key ``public`` (hex)."""
    try:
        key, raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)), bytes.fromhex(signature)
        key.verify(raw, message)
    except (InvalidSignature, *_UNREADABLE):
        return False
    # One text form only, so that no changed character of a stored signature goes unnoticed.
    return raw.hex() == signature


@functools.cache
def ephemeral_key() -> InstanceKey:
    """The key of databases in memory: it ends with the process, as they do."""
    return InstanceKey.generate()


def private_key(
    database: Path | None, *, unused: bool = False, environment: Mapping[str, str] | None = None
) -> InstanceKey:
    """The key that signs for ``database`` (None: one in memory); a store that is still ``unused`` is given a new one.

    Raises StoreInconsistentError where the key is missing or another than the public half says, StoreUnavailableError where it
    cannot be read or is open to other users.
    """
    if database is None:
        return ephemeral_key()
    key = _from_credential(os.environ if environment is None else environment) or _from_file(database)
    known = _public_file(database)
    if key is None:
        if known is not None or not unused:
            raise StoreInconsistentError(
                f"{database.with_name(KEY_NAME)} is missing: where the daemon holds it as a credential, start the daemon; else restore it "
                "from the backup, or, where it is lost: rootwarden audit rekey"
            )
        return create(database)
    if known is None:
        replace_file(database.with_name(PUBLIC_NAME), _public_pem(key), mode=0o644)
    elif known != key.public:
        raise StoreInconsistentError(
            f"{database.with_name(PUBLIC_NAME)} is not the public half of the instance key: one of them was replaced; "
            "restore both from the backup"
        )
    return key


def public_key(database: Path | None) -> str:
    """The public half of the key of ``database`` in hex; raises StoreInconsistentError, StoreUnavailableError."""
    if database is None:
        return ephemeral_key().public
    known = _public_file(database)
    if known is None:
        key = _from_file(database)
        known = key.public if key is not None else None
    if known is None:
        raise StoreInconsistentError(
            f"{database.with_name(PUBLIC_NAME)} is missing, so nobody can tell who wrote the audit log: restore it from the backup"
        )
    return known


def public_key_in(data: bytes) -> bytes:
    """The 32 bytes of the Ed25519 key in a PEM file such as ``instance.pub``; raises MalformedError saying what is there instead."""
    try:
        key = load_pem_public_key(data)
    except _UNREADABLE as error:
        raise MalformedError("no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise MalformedError("a public key that is no Ed25519 key")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def create(database: Path) -> InstanceKey:
    """Make a new key for ``database`` and write both halves; what was there is replaced. Raises StoreUnavailableError."""
    key = InstanceKey.generate()
    replace_file(database.with_name(KEY_NAME), _private_pem(key), mode=0o600)
    replace_file(database.with_name(PUBLIC_NAME), _public_pem(key), mode=0o644)
    return key


def create_next(database: Path) -> InstanceKey:
    """Make the key that is to replace a lost one; it waits beside the database until the log says so. Raises StoreUnavailableError."""
    key = InstanceKey.generate()
    replace_file(database.with_name(NEXT_NAME), _private_pem(key), mode=0o600)
    return key


def next_key(database: Path) -> InstanceKey | None:
    """The key that waits to replace a lost one, if any."""
    data = _read(database.with_name(NEXT_NAME), private=True)
    return None if data is None else _private(data, database.with_name(NEXT_NAME))


def promote_next(database: Path) -> InstanceKey:
    """Have the waiting key take its place; raises StoreUnavailableError."""
    key = next_key(database)
    if key is None:
        raise StoreUnavailableError(f"{database.with_name(NEXT_NAME)} is gone")
    replace_file(database.with_name(KEY_NAME), _private_pem(key), mode=0o600)
    replace_file(database.with_name(PUBLIC_NAME), _public_pem(key), mode=0o644)
    database.with_name(NEXT_NAME).unlink(missing_ok=True)
    return key


def _from_credential(environment: Mapping[str, str]) -> InstanceKey | None:
    """The key that systemd hands over, None where it hands over none."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    for name in CREDENTIALS if folder else ():
        data = _read(Path(folder or "") / name)
        if data is not None:
            return _private(data, Path(folder or "") / name)
    return None


def _from_file(database: Path) -> InstanceKey | None:
    path = database.with_name(KEY_NAME)
    data = _read(path, private=True)
    return None if data is None else _private(data, path)


def _private(data: bytes, path: Path) -> InstanceKey:
    try:
        key = load_pem_private_key(data, None)
    except _UNREADABLE as error:
        raise StoreUnavailableError(f"{path} holds no private key in PEM: restore it from the backup") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreUnavailableError(f"{path} is no Ed25519 key: restore it from the backup")
    return InstanceKey(key)


def _public_file(database: Path) -> str | None:
    path = database.with_name(PUBLIC_NAME)
    data = _read(path)
    if data is None:
        return None
    try:
        return public_key_in(data).hex()
    except MalformedError as error:
        raise StoreInconsistentError(f"{path} holds {error}: restore it from the backup") from error


def _private_pem(key: InstanceKey) -> bytes:
    return key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(key: InstanceKey) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path, *, private: bool = False) -> bytes | None:
    """The bytes of a small regular file that is no link, None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, opened without following a link
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise StoreUnavailableError(f"{path} is no regular file")
        if private and mode & 0o077:
            raise StoreUnavailableError(f"{path} is open to other users ({mode & 0o777:o}): chmod 0600 {path}")
        return stream.read(MAX_KEY_BYTES)
