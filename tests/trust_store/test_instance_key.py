"""The key that signs is this instance's own: made once, kept to its owner, found by systemd's name, never shown."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.trust_store.store_setup import AT, open_store, propose, randomness
from trust_store import audit, instance_key
from trust_store.errors import StoreInconsistentError, StoreUnavailableError
from trust_store.instance_key import KEY_NAME, PUBLIC_NAME, InstanceKey, private_key, public_key, verifies
from trust_store.storage.anchors import ensure_store_id, raise_revision
from trust_store.storage.connection import StoreConnection, transaction
from trust_store.storage.head import database_of, require_signed_head, start_rekeyed_head
from trust_store.storage.schema import MIGRATIONS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_first_write_makes_the_key(tmp_path: Path) -> None:
    """An unused store has no key; its first entry makes one: private 0600, public 0644, both what openssl reads."""
    with closing(open_store(tmp_path)) as connection:
        assert not (tmp_path / KEY_NAME).exists()
        propose(connection)
        require_signed_head(connection)
    assert ((tmp_path / KEY_NAME).stat().st_mode & 0o777, (tmp_path / PUBLIC_NAME).stat().st_mode & 0o777) == (
        0o600,
        0o644,
    )
    command = ["openssl", "pkey", "-in", str(tmp_path / KEY_NAME), "-pubout"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == (tmp_path / PUBLIC_NAME).read_bytes()


def test_a_key_does_not_show_itself() -> None:
    """Neither text form of the key holds its secret."""
    key = InstanceKey.generate()
    secret = key.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()).hex()
    assert secret not in repr(key) + str(key)
    assert key.public in repr(key)


def test_one_text_form_verifies() -> None:
    """A signature is 128 lower-case hex digits over exactly these bytes by exactly this key."""
    key = InstanceKey.generate()
    signature = key.sign(b"message")
    assert verifies(key.public, signature, b"message")
    wrong = [
        (key.public, signature, b"Message"),
        (InstanceKey.generate().public, signature, b"message"),
        (key.public, signature.upper(), b"message"),
        (key.public, f"{signature} ", b"message"),
        (key.public, signature[:-2], b"message"),
        (key.public, "", b"message"),
        (key.public, "zz", b"message"),
        ("", signature, b"message"),
        ("ab", signature, b"message"),
    ]
    assert [
        verifies(*one) for one in wrong if one[1] != signature.lower() or one[0:3:2] != (key.public, b"message")
    ] == [False] * 9


def test_a_credential_is_the_key(tmp_path: Path) -> None:
    """What systemd hands over signs, its public half is written beside the database, and no private file is needed."""
    given = tmp_path / "credentials"
    given.mkdir()
    database = tmp_path / "rootwarden.db"
    key = instance_key.create(given / "db")
    (given / KEY_NAME).rename(given / "rootwarden_instance-key")
    environment = {"CREDENTIALS_DIRECTORY": str(given)}
    assert private_key(database, environment=environment).public == key.public == public_key(database)
    assert not (tmp_path / KEY_NAME).exists()
    assert private_key(database, environment=environment).public == key.public
    with pytest.raises(StoreInconsistentError, match="audit rekey"):
        private_key(database, environment={})
    (given / "instance-key").write_text("nothing")
    with pytest.raises(StoreUnavailableError, match="no private key"):
        private_key(database, environment=environment)


def test_a_missing_key_is_made_for_an_unused_store_only(tmp_path: Path) -> None:
    """A store with entries, or with a public half, is never given a new key on the quiet."""
    database = tmp_path / "rootwarden.db"
    with pytest.raises(StoreInconsistentError, match="audit rekey"):
        private_key(database, environment={})
    made = private_key(database, unused=True, environment={})
    assert private_key(database, unused=True, environment={}).public == made.public
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(StoreInconsistentError, match="audit rekey"):
        private_key(database, unused=True, environment={})


def test_the_public_half_is_found_or_told(tmp_path: Path) -> None:
    """It is derived where only the private half is there, and written again by the next writer; with neither nobody can tell."""
    database = tmp_path / "rootwarden.db"
    made = instance_key.create(database)
    (tmp_path / PUBLIC_NAME).unlink()
    assert public_key(database) == made.public
    assert not (tmp_path / PUBLIC_NAME).exists()
    private_key(database, environment={})
    assert (tmp_path / PUBLIC_NAME).exists()
    (tmp_path / PUBLIC_NAME).unlink()
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(StoreInconsistentError, match="is missing"):
        public_key(database)


def test_key_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    """Another algorithm, no PEM, a link, a pipe, a file open to others: each is told, none is used."""
    database = tmp_path / "rootwarden.db"
    instance_key.create(database)
    secret, public = tmp_path / KEY_NAME, tmp_path / PUBLIC_NAME
    other = ec.generate_private_key(ec.SECP256R1())
    good = secret.read_bytes(), public.read_bytes()
    secret.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(StoreUnavailableError, match="no Ed25519"):
        private_key(database, environment={})
    secret.write_bytes(good[0])
    for data in (other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), b"", b"\xff" * 9000):
        public.write_bytes(data)
        with pytest.raises(StoreInconsistentError, match="restore it"):
            public_key(database)
    public.write_bytes(good[1])
    secret.chmod(0o644)
    with pytest.raises(StoreUnavailableError, match="chmod 0600"):
        private_key(database, environment={})
    secret.rename(tmp_path / "elsewhere")
    secret.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailableError, match="cannot be read"):
        private_key(database, environment={})
    secret.unlink()
    os.mkfifo(secret, 0o600)
    with pytest.raises(StoreUnavailableError, match="no regular file"):
        private_key(database, environment={})


def test_a_key_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where no key can be made nothing is decided."""
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        instance_key.create(tmp_path / "missing" / "rootwarden.db")
    with pytest.raises(StoreUnavailableError, match="is gone"):
        instance_key.promote_next(tmp_path / "rootwarden.db")


def test_a_database_in_memory_has_a_key_of_its_own() -> None:
    """It is signed and verified like any other, and leaves nothing behind."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=StoreConnection)
    connection.row_factory = sqlite3.Row
    for migration in MIGRATIONS.migrations:
        for statement in migration.sqlite:
            connection.execute(statement)
    assert database_of(connection) is None
    propose(connection)
    assert audit.verify(connection).seq == 1


def test_the_head_changes_in_a_transaction_only(tmp_path: Path) -> None:
    """Revision, name of the store and key change inside of transaction(), where they are signed, or not at all."""
    with closing(open_store(tmp_path)) as connection:
        connection.execute("BEGIN")
        for change in (
            lambda: raise_revision(connection),
            lambda: ensure_store_id(connection, at=AT, randomness=randomness),
            lambda: start_rekeyed_head(connection, InstanceKey.generate()),
        ):
            with pytest.raises(ValueError, match="transaction"):
                change()
        connection.execute("ROLLBACK")
        with transaction(connection):
            ensure_store_id(connection, at=AT, randomness=randomness)
        assert require_signed_head(connection).seq == 0
        propose(connection)
        with transaction(connection):
            raise_revision(connection)
        assert require_signed_head(connection).revision == audit.head(connection).revision


def test_what_is_rolled_back_is_not_signed(tmp_path: Path) -> None:
    """An error inside the transaction leaves the head and its signature as they were, and the next one starts afresh."""
    with closing(open_store(tmp_path)) as connection:
        propose(connection)
        before = require_signed_head(connection)

        def fail() -> None:
            with transaction(connection):
                raise_revision(connection)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert require_signed_head(connection) == before
        with transaction(connection):
            pass
        propose(connection, "Second")
        assert require_signed_head(connection).seq == before.seq + 1
