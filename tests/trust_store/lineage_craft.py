"""Proofs of succession, made by hand and by the tools that make real ones, for the lineage tests."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust_store.decode.openpgp import load_keys
from trust_store.decode.tuf_root import canonical_json
from trust_store.decode.x509 import load_certificate
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState, TrustAnchor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.trust_store.path_craft import Issued

AT = datetime(2026, 5, 3, 12, tzinfo=UTC)


def anchor_of(kind: AnchorKind, material: bytes, name: str = "key") -> TrustAnchor:
    """An anchor of this material; its id tells the material."""
    digest = hashlib.sha256(material).hexdigest()
    identifiers: tuple[Identifier, ...] = (Identifier(IdentifierKind.SHA256, digest),)
    if kind is AnchorKind.X509:
        identifiers = load_certificate(material).identifiers
    elif kind is AnchorKind.OPENPGP:
        identifiers = load_keys(material)[0].identifiers
    return TrustAnchor(
        f"anchor_{digest[:26]}",
        "dten",
        kind,
        name,
        digest,
        material,
        AnchorState.VALID,
        AT,
        AT,
        identifiers=identifiers,
    )


def prefixed(data: bytes) -> bytes:
    """Bytes with their length before them, as Android writes them."""
    return struct.pack("<I", len(data)) + data


def apk_lineage(*signers: Issued, wrong_signer: int | None = None, algorithm: int = 0x0201) -> bytes:
    """A signing lineage of these signers, the oldest first; ``wrong_signer`` signs the last certificate instead of its parent."""
    nodes = b""
    for place, signer in enumerate(signers):
        stated = algorithm if place else 0
        signed = prefixed(signer.der) + struct.pack("<I", stated)
        own = algorithm if place + 1 < len(signers) else 0
        signature = b""
        if place:
            last = place + 1 == len(signers)
            parent = signers[wrong_signer] if wrong_signer is not None and last else signers[place - 1]
            signature = parent.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        nodes += prefixed(prefixed(signed) + struct.pack("<II", 23, own) + prefixed(signature))
    return struct.pack("<I", 1) + nodes


@cache
def root_key(name: str) -> Any:
    """A TUF root key: ``ed...``, ``ec...`` or ``rsa...``."""
    if name.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 1024 if name.startswith("rsa1024") else 2048)


def _public(name: str) -> dict[str, Any]:
    key = root_key(name).public_key()
    if name.startswith("ed"):
        public = key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}
    if name.startswith("ecpoint"):
        public = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
        return {"keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public}}
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    if name.startswith("ec"):
        return {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}}
    return {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": pem}}


def _sign(name: str, data: bytes) -> str:
    key = root_key(name)
    if name.startswith("ed"):
        return str(key.sign(data).hex())
    if name.startswith("ec"):
        return str(key.sign(data, ec.ECDSA(hashes.SHA256())).hex())
    return str(key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()).hex())


def tuf_root(
    version: int,
    keys: tuple[str, ...],
    threshold: int,
    signers: tuple[str, ...],
    aliases: tuple[str, ...] = (),
    **more: Any,
) -> bytes:
    """Root metadata in compact form; ``aliases`` are further key ids (``alias=key``) of the root role."""
    named = {name: _public(name) for name in keys} | {a: _public(a.partition("=")[2]) for a in aliases}
    signed = {
        "_type": "root", "spec_version": "1.0.31", "version": version, "expires": "2030-01-01T00:00:00Z",
        "consistent_snapshot": True, "keys": named,
        "roles": {"root": {"keyids": [*keys, *aliases], "threshold": threshold}}, **more,
    }  # fmt: skip
    data = canonical_json(signed)
    signatures = [{"keyid": name, "sig": _sign(name.rpartition("=")[2], data)} for name in signers]
    return json.dumps({"signed": signed, "signatures": signatures}, separators=(",", ":")).encode()


def rotate_with_apksigner(folder: Path) -> tuple[bytes, list[bytes]]:
    """A lineage file that apksigner wrote about two keys of keytool's, and the DER of both certificates."""
    certificates = []
    for name in ("first", "second"):
        store = [
            "-keystore",
            str(folder / f"{name}.p12"),
            "-storetype",
            "PKCS12",
            "-storepass",
            "android",
            "-alias",
            "k",
        ]
        made = ["-keyalg", "EC", "-groupname", "secp256r1", "-dname", f"CN={name}", "-validity", "3650"]
        subprocess.run(["keytool", "-genkeypair", *store, *made], check=True, capture_output=True)
        exported = subprocess.run(["keytool", "-exportcert", *store], check=True, capture_output=True)
        certificates.append(exported.stdout)
    old, new = ([f"--{which}-signer", "--ks", str(folder / f"{name}.p12"), "--ks-pass", "pass:android"]
                for which, name in (("old", "first"), ("new", "second")))  # fmt: skip
    subprocess.run(
        ["apksigner", "rotate", "--out", str(folder / "lineage"), *old, *new], check=True, capture_output=True
    )
    return (folder / "lineage").read_bytes(), certificates
