"""Files of keys, of whatever kind: bytes -> key material. One reader for each kind, recognised by content alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.key_readers.certificates import DERReader, PEMReader
from trust_store.decode.key_readers.minisign import MinisignReader
from trust_store.decode.key_readers.npm import NpmReader
from trust_store.decode.key_readers.openpgp_keyrings import AptSourcesReader, KeyringReader
from trust_store.decode.key_readers.p11_kit import P11KitReader
from trust_store.decode.key_readers.pkcs12 import PKCS12Reader
from trust_store.decode.key_readers.protocol import MAX_KEY_FILE_BYTES, KeyFile
from trust_store.decode.key_readers.sigstore import IdentityReader, TrustedRootReader
from trust_store.decode.key_readers.ssh import SSHReader
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.key_material import KeyFileContents

if TYPE_CHECKING:
    from trust_store.decode.key_readers.protocol import KeyReader
    from trust_store.model.key_material import KeyMaterial

READERS: tuple[KeyReader, ...] = (
    AptSourcesReader(),
    DERReader(),
    IdentityReader(),
    KeyringReader(),
    MinisignReader(),
    NpmReader(),
    P11KitReader(),
    PEMReader(),
    PKCS12Reader(),
    SSHReader(),
    TrustedRootReader(),
)
"""Every kind of key file that is read; no file is of two kinds."""

_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xfe\xed\xfe\xed", "a Java keystore of the old kind (JKS); 'keytool -importkeystore -srckeystore FILE -destkeystore"
     " FILE.p12 -deststoretype pkcs12' converts it"),
    (0, b"\xce\xce\xce\xce", "a Java keystore of the kind JCEKS; 'keytool -importkeystore -srckeystore FILE -srcstoretype jceks"
     " -destkeystore FILE.p12 -deststoretype pkcs12' converts it"),
    (8, b"KBXf", "a GnuPG keybox; 'gpg --no-default-keyring --keyring FILE --export' writes its keys"),
    (0, b"PuTTY-User-Key-File-", "a PuTTY key; 'puttygen FILE -L' writes its public half"),
    (0, b"---- BEGIN SSH2 PUBLIC KEY", "an SSH key in the format of RFC 4716; 'ssh-keygen -i -f FILE' converts it"),
)  # fmt: skip


def read_keys(data: bytes, *, name: str = "", password: bytes | None = None) -> tuple[KeyMaterial, ...]:
    """The keys in a file, at least one; ``name`` is the file's, for keys that carry none, ``password`` opens a PKCS#12 file.

    Raises MalformedError, UnsupportedError or ResourceLimitError, nothing else.
    """
    return read_key_file(data, name=name, password=password).keys


def read_key_file(data: bytes, *, name: str = "", password: bytes | None = None) -> KeyFileContents:
    """As ``read_keys``, with the kind of file and what in it was left out."""
    if len(data) > MAX_KEY_FILE_BYTES:
        raise ResourceLimitError(f"a key file of {len(data)} bytes; at most {MAX_KEY_FILE_BYTES} are read")
    for position, mark, told in _FOREIGN:
        if data[position : position + len(mark)] == mark:
            raise UnsupportedError(told)
    file = KeyFile(data, name, password)
    fitting = [reader for reader in READERS if reader.recognises(file)]
    if not fitting:
        raise MalformedError("no key file of a kind that is known")
    if len(fitting) > 1:
        kinds = " and ".join(reader.NAME for reader in fitting)
        raise MalformedError(f"it holds keys of several kinds ({kinds}): give them in a file each")
    found = fitting[0].read(file)
    if not found.keys:
        raise MalformedError("no key in it")
    return KeyFileContents(fitting[0].NAME, found.keys, found.left_out)
