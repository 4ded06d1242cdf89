"""Seeds for the readers of key files: one small file of each kind, made in memory."""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PublicFormat,
    pkcs12,
)

from tests.trust_store.key_files_craft import (
    IDENTITY,
    ISSUER,
    certificate,
    minisign_file,
    npm_list,
    sk_line,
    ssh_line,
    trusted_root,
)
from trust_store.decode.key_files import read_keys
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind

CODE_TRUSTED = bytes.fromhex("300c300a06082b06010505070303")
"""OpenSSL's trust settings: trusted for code signing."""


def seeds() -> dict[str, bytes]:
    """Kind of file -> one file of it."""
    made = certificate("Root")
    der, pem = made.public_bytes(Encoding.DER), made.public_bytes(Encoding.PEM)
    spki = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    store = [pkcs12.PKCS12Certificate(made, b"root")]
    trusted = base64.encodebytes(der + CODE_TRUSTED).decode()
    return {
        "PEM": pem + spki,
        "trusted certificate": f"-----BEGIN TRUSTED CERTIFICATE-----\n{trusted}-----END TRUSTED CERTIFICATE-----\n".encode(),
        "DER key": made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "PKCS#12": pkcs12.serialize_java_truststore(store, NoEncryption()),
        "PKCS#12, encrypted": pkcs12.serialize_java_truststore(store, BestAvailableEncryption(b"changeit")),
        "p11-kit": b"[p11-kit-object-v1]\ntrusted: true\nx-distrusted: false\n" + pem,
        "minisign": minisign_file(),
        "SSH": b'ada@x.org namespaces="file",valid-before="20300101" ' + ssh_line() + b" c\n" + sk_line() + b"\n",
        "npm": json.dumps(npm_list()).encode(),
        "sigstore root": json.dumps(trusted_root()).encode(),
        "sigstore identity": json.dumps({"issuer": ISSUER, "identity": IDENTITY}).encode(),
    }


def read(data: bytes) -> str | None:
    """Read a key file; what is wrong with the answer, or None."""
    for key in read_keys(data):
        digests = [i.value for i in key.identifiers if i.kind is IdentifierKind.SHA256]
        if key.kind is not AnchorKind.OPENPGP and digests != [hashlib.sha256(key.material).hexdigest()]:
            return "a key under another identity than its own"
        if not key.constraints.purposes:
            return "a key without any limit of purpose"
    return None
