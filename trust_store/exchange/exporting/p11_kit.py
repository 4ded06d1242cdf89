"""A p11-kit trust file (p11-kit persist format): certificates with their trust and the purpose stapled as an extended key usage."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from trust_store.exchange.exporting.encodings import comment, one_line, pem
from trust_store.exchange.exporting.protocol import ExportedFile
from trust_store.model.trust_anchor import AnchorKind, Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "p11-kit"
DOC = "a p11-kit trust file, for /etc/ca-certificates/trust-source and /etc/pki/ca-trust/source"
KINDS = frozenset({AnchorKind.X509})
KEEPS: frozenset[str] = frozenset()
SINGLE = True
_USAGES = {
    Purpose.CODE: bytes.fromhex("06082b06010505070303"),
    Purpose.FIRMWARE: bytes.fromhex("06082b06010505070303"),
    Purpose.TIMESTAMP: bytes.fromhex("06082b06010505070308"),
    Purpose.TLS: bytes.fromhex("06082b06010505070301"),
    Purpose.ADVISORY: bytes.fromhex("06082b06010505070304"),
}
"""Purpose -> OID of the extended key usage, DER; advisories are signed mail (id-kp-emailProtection)."""


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """For each anchor the trusted certificate, then the usage that p11-kit applies in place of the certificate's own."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    oid = _USAGES[Purpose(context.purpose)]
    usage = b"\x30" + bytes([len(oid)]) + oid
    extension = b"\x06\x03\x55\x1d\x25" + b"\x04" + bytes([len(usage)]) + usage
    value = quote(b"\x30" + bytes([len(extension)]) + extension, safe="")
    parts = [comment(f"for {context.purpose}, store {context.store_id} revision {context.store_revision}")]
    for anchor in anchors:
        label = one_line(f"{anchor.vendor_id}: {anchor.name}").replace('"', "'").replace("\\", "/").replace("%", "%25")
        label = label.replace("-----", "- - -")  # no reader may take it for the start of a block
        key = x509.load_der_x509_certificate(anchor.material).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        parts.append(f'[p11-kit-object-v1]\nlabel: "{label}"\ntrusted: true\n{pem("CERTIFICATE", anchor.material)}\n')
        parts.append(
            f'[p11-kit-object-v1]\nclass: x-certificate-extension\nlabel: "{label}"\nobject-id: 2.5.29.37\n'
            f'value: "{value}"\n{pem("PUBLIC KEY", spki)}\n'
        )
    return (ExportedFile("rootwarden.p11-kit", "".join(parts).encode()),)
