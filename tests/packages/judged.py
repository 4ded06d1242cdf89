"""Verdicts on packages that a test makes: a detached signature by a new key, and what the program says under its root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.packages.table import Case, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packages.pki import PKI, Issued
    from trust_store.model.verdict import Verdict

_OPTIONS = (pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities)


def detached_cms(content: bytes, pki: PKI, signer: Issued | None = None) -> bytes:
    """A CMS signature over ``content`` by ``signer``, or the leaf, with the intermediate inside."""
    signer = signer or pki.leaf
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
    builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
    return builder.add_certificate(pki.intermediate.certificate).sign(Encoding.DER, _OPTIONS)


def judged(folder: Path, data: bytes, anchors: tuple[bytes, ...], *beside: bytes) -> Verdict:
    """The verdict on ``data`` under the keys in ``anchors`` (each a file's content), with the signatures ``beside`` it given."""
    (folder / "package").write_bytes(data)
    names: dict[str, list[str]] = {"anchors": [], "signatures": []}
    for field, contents in (("anchors", anchors), ("signatures", beside)):
        for number, content in enumerate(contents):
            names[field].append(f"{field}-{number}")
            (folder / names[field][-1]).write_bytes(content)
    return verdict_of(Case(folder, {"file": "package", "at": "2026-06-01T00:00:00Z", **names}))
