"""Did one key really take the place of another? Pure: two anchors, a proof and what was said give a grade.

``cryptographic`` only where the old key's own signature over the new one verifies here and now: (a) a cross-certificate, (b) an OpenPGP
certification, (c) an Android signing lineage, (d) TUF root metadata N -> N+1. ``corroborated`` where the vendor itself said so
at two independent places; else ``asserted``: a proof that does not verify, whatever it looks like, proves nothing.

A grade makes nothing trusted: what stole the old key can make every such proof. The shell is ``lineage_records``.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trust_store.chain.algorithms import signature_holds, weak_key, weak_signature
from trust_store.chain.extensions import read_extensions
from trust_store.decode.apk_lineage import FILE_MAGIC, VERSION, read_lineage
from trust_store.decode.public_keys import rsa_bits, verifies, verifies_message
from trust_store.decode.tuf_root import TUFRoot, read_root
from trust_store.decode.x509 import decode_certificates, load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trust_store.decode.apk_lineage import LineageNode
    from trust_store.model.certificate import Certificate
    from trust_store.model.claim import Evidence
    from trust_store.model.trust_anchor import TrustAnchor

MAX_PROOF_BYTES = 512 * 1024
MAX_CROSS_CERTIFICATES = 64
MIN_RSA_BITS = 2048
INDEPENDENT_PLACES = 2
_KEY_KINDS = (AnchorKind.RAW, AnchorKind.SPKI)


class Grade(StrEnum):
    """How well a succession is proven."""

    CRYPTOGRAPHIC = "cryptographic"
    CORROBORATED = "corroborated"
    ASSERTED = "asserted"


class ProofKind(StrEnum):
    """What proves it; ``none`` where only words do."""

    CROSS_CERTIFICATE = "cross_certificate"
    OPENPGP_CERTIFICATION = "openpgp_certification"
    APK_LINEAGE = "apk_lineage"
    TUF_ROOT = "tuf_root"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade with its ground. ``proof`` holds exactly what verifies (None: nothing does), ``detail`` is a sentence."""

    grade: Grade
    proof_kind: ProofKind
    proof: bytes | None
    detail: str


def grade_succession(
    predecessor: TrustAnchor, successor: TrustAnchor, proof: bytes | None, evidence: Iterable[Evidence] = ()
) -> Graded:
    """Grade the claim that ``successor`` replaced ``predecessor``.

    ``proof`` is what was handed over (certificates, an OpenPGP key, a signing lineage, root metadata); the successor's own material is
    looked at as well, since a certified key or an intermediate carries its proof. ``evidence`` are statements that name both keys.
    Never raises for bad bytes: what cannot be read proves nothing.
    """
    if predecessor.key_sha256 != successor.key_sha256:
        for material in dict.fromkeys(m for m in (proof, successor.material) if m and len(m) <= MAX_PROOF_BYTES):
            for kind, verify in _PROOFS:
                found = _attempt(verify, predecessor, successor, material)
                if found is not None:
                    return Graded(Grade.CRYPTOGRAPHIC, kind, found, _SENTENCES[kind])
    places = independent_places(evidence)
    if len(places) >= INDEPENDENT_PLACES:
        told = f"the vendor itself says so at {', '.join(places[:5])}"
        return Graded(Grade.CORROBORATED, ProofKind.NONE, None, told)
    told = "the proof given does not verify under the old key" if proof else "nothing but words says so"
    return Graded(Grade.ASSERTED, ProofKind.NONE, None, told)


def independent_places(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """The distinct registrable domains on which the vendor itself speaks, sorted.

    Without a list of public suffixes the last two labels stand for the registrable domain: two vendors under one public suffix
    of two labels count as one place, never one vendor as two. A bare address is nobody's domain.
    """
    places = set()
    for one in evidence:
        if one.authority.authenticated and one.url:
            try:
                host = (urlsplit(one.url).hostname or "").rstrip(".").lower()
            except ValueError:
                continue
            labels = host.split(".")
            if len(labels) >= 2 and all(labels) and not _is_address(host):
                places.add(".".join(labels[-2:]))
    return tuple(sorted(places))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _attempt(
    verify: Callable[[TrustAnchor, TrustAnchor, bytes], bytes | None],
    predecessor: TrustAnchor,
    successor: TrustAnchor,
    material: bytes,
) -> bytes | None:
    try:
        return verify(predecessor, successor, material)
    except READ_ERRORS:
        return None


def _cross_certificate(predecessor: TrustAnchor, successor: TrustAnchor, material: bytes) -> bytes | None:
    """(a) A CA certificate with the successor's subject and key, issued and signed by the predecessor, which may issue CAs."""
    if (predecessor.kind, successor.kind) != (AnchorKind.X509, AnchorKind.X509):
        return None
    old, new = load_certificate(predecessor.material), load_certificate(successor.material)
    if not _may_certify_cas(old) or weak_key(old):
        return None
    for cross in decode_certificates(material)[:MAX_CROSS_CERTIFICATES]:
        if (
            (cross.subject_der, cross.spki) == (new.subject_der, new.spki)
            and cross.issuer_der == old.subject_der
            # A certificate for a key that may not issue hands nothing on: anybody can buy one under a public CA.
            and _is_ca(cross)
            and weak_signature(cross) is None
            and signature_holds(old.spki, cross)
        ):
            return cross.der
    return None


def _is_ca(certificate: Certificate) -> bool:
    """RFC 5280 4.2.1.9 and 4.2.1.3: the CA bit, and keyCertSign where key usage is stated."""
    extensions = read_extensions(certificate)
    return (
        extensions.basic is not None
        and extensions.basic.ca
        and (extensions.usage is None or extensions.usage.key_cert_sign)
    )


def _may_certify_cas(certificate: Certificate) -> bool:
    basic = read_extensions(certificate).basic
    return _is_ca(certificate) and basic is not None and basic.path_length != 0


def _openpgp_certification(predecessor: TrustAnchor, successor: TrustAnchor, material: bytes) -> bytes | None:
    """(b) The predecessor's primary key certified a user id of the successor's."""
    if (predecessor.kind, successor.kind) != (AnchorKind.OPENPGP, AnchorKind.OPENPGP):
        return None
    from trust_store.chain.openpgp_succession import certified_by  # most stores hold certificates only
    from trust_store.decode.openpgp import load_keys

    old, new = load_keys(predecessor.material), load_keys(successor.material)
    if len(old) != 1 or len(new) != 1:
        return None
    return certified_by(old[0], new[0], material)


def _apk_lineage(predecessor: TrustAnchor, successor: TrustAnchor, material: bytes) -> bytes | None:
    """(c) Both stand in one lineage, the old one earlier, and every certificate in it is signed by the one before."""
    kinds = (AnchorKind.X509, *_KEY_KINDS)
    if predecessor.kind not in kinds or successor.kind not in kinds:
        return None
    if int.from_bytes(material[:4], "little") not in (FILE_MAGIC, VERSION):
        return None
    nodes = read_lineage(material)
    certificates = [load_certificate(node.certificate) for node in nodes]
    for before, certificate, node in zip(certificates, certificates[1:], nodes[1:], strict=False):
        if weak_key(before) or weak_key(certificate) or not _signed_by(before, node):
            return None
    first, last = _place(predecessor, certificates), _place(successor, certificates)
    return material if first is not None and last is not None and first < last else None


def _signed_by(before: Certificate, node: LineageNode) -> bool:
    digest = hashlib.new(node.digest, node.signed, usedforsecurity=False).digest()
    return verifies(before.spki, node.algorithm, node.digest, node.signature, digest)


def _place(anchor: TrustAnchor, certificates: list[Certificate]) -> int | None:
    """Where the anchor's very certificate (or, for a bare key, its key) stands, None unless exactly once."""
    found = [
        place
        for place, certificate in enumerate(certificates)
        if anchor.material == (certificate.der if anchor.kind is AnchorKind.X509 else certificate.spki)
    ]
    return found[0] if len(found) == 1 else None


def _tuf_root(predecessor: TrustAnchor, successor: TrustAnchor, material: bytes) -> bytes | None:
    """(d) TUF 5.3.4 and 5.3.5: the next version, signed by a threshold of the old root's keys and of its own."""
    if (predecessor.kind, successor.kind) != (AnchorKind.SIGSTORE_ROOT, AnchorKind.SIGSTORE_ROOT):
        return None
    if material != successor.material:  # the metadata itself is the proof; another document proves nothing about it
        return None
    old, new = read_root(predecessor.material), read_root(material)
    if new.version != old.version + 1:
        return None
    signed = _enough_signed(old, new) and _enough_signed(new, new)
    return material if signed else None


def _enough_signed(by: TUFRoot, root: TUFRoot) -> bool:
    """Whether as many distinct keys of ``by`` as its threshold asks signed ``root``; the same key under two ids is one."""
    signers: set[bytes] = set()
    for name, signature in root.signatures:
        key = by.keys.get(name)
        if key is None:
            continue
        bits = rsa_bits(key.spki)
        if bits is not None and bits < MIN_RSA_BITS:
            continue
        if key.algorithm == "ed25519":
            holds = verifies_message(key.spki, signature, root.covered)
        else:
            digest = hashlib.new(key.digest, root.covered, usedforsecurity=False).digest()
            holds = verifies(key.spki, key.algorithm, key.digest, signature, digest)
        if holds:
            signers.add(key.spki)
    return len(signers) >= by.threshold


_PROOFS = (
    (ProofKind.CROSS_CERTIFICATE, _cross_certificate),
    (ProofKind.OPENPGP_CERTIFICATION, _openpgp_certification),
    (ProofKind.APK_LINEAGE, _apk_lineage),
    (ProofKind.TUF_ROOT, _tuf_root),
)
_SENTENCES = {
    ProofKind.CROSS_CERTIFICATE: "the old CA issued a certificate for the new one's name and key",
    ProofKind.OPENPGP_CERTIFICATION: "the old primary key certified a user id of the new key",
    ProofKind.APK_LINEAGE: "every certificate of the signing lineage is signed by the one before it",
    ProofKind.TUF_ROOT: "a threshold of the old root's keys signed the next version",
}
