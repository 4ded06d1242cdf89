"""Android's proof of rotation (APK Signature Scheme v3): certificates of which each is signed by the one before it.

Read from the attribute of a v3 signer (``u32 version``, nodes) or from the file that ``apksigner rotate`` writes (magic, version,
length, then the same). Strict: every length exact, nothing left over, no certificate twice. Nothing is verified here.

References: source.android.com/docs/security/features/apksigning/v3, "Proof-of-rotation attribute"; apksig SigningCertificateLineage.
Limitation: the capability flags are not signed inside the lineage and are used for nothing.
"""

from __future__ import annotations

from trust_store.decode.apk_signers import ALGORITHMS
from trust_store.decode.length_prefixed import LengthPrefixed
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

FILE_MAGIC = 0x3EFF39D1
VERSION = 1
MAX_LINEAGE_BYTES = 512 * 1024
MAX_NODES = 32
_KNOWN_FLAGS = 0x1F
_WHAT = "a signing lineage"


@dataclass(frozen=True, slots=True)
class LineageNode:
    """One certificate (DER) of a lineage: ``signature`` over ``signed`` was made by the certificate before it.

    ``algorithm`` and ``digest`` are those of that signature in the words of ``public_keys.verifies``; empty in the first node.
    """

    certificate: bytes
    signed: bytes
    algorithm: str
    digest: str
    signature: bytes


def read_lineage(data: bytes, *, fewest: int = 2) -> tuple[LineageNode, ...]:
    """The nodes, oldest first; at least ``fewest``: one certificate succeeds nobody.

    Raises MalformedError, UnsupportedError (another version or algorithm) or ResourceLimitError, nothing else.
    """
    if len(data) > MAX_LINEAGE_BYTES:
        raise ResourceLimitError(f"a signing lineage of {len(data)} bytes; at most {MAX_LINEAGE_BYTES} are read")
    octets = LengthPrefixed(data, _WHAT)
    version = octets.number()
    if version == FILE_MAGIC:
        if octets.number() != VERSION:
            raise UnsupportedError("a signing lineage file of another version")
        inner = octets.prefixed()
        octets.finish()
        octets = LengthPrefixed(inner, _WHAT)
        version = octets.number()
    if version != VERSION:
        raise UnsupportedError(f"a signing lineage of version {version}")
    nodes: list[LineageNode] = []
    next_algorithm = 0
    while octets.left:
        if len(nodes) >= MAX_NODES:
            raise ResourceLimitError(f"a signing lineage of more than {MAX_NODES} certificates")
        node, next_algorithm = _node(octets.prefixed(), next_algorithm, first=not nodes)
        nodes.append(node)
    if len(nodes) < fewest:
        raise MalformedError(f"a signing lineage of fewer than {fewest} certificates")
    if next_algorithm:
        raise MalformedError("a signing lineage that announces a signature which is not there")
    if len({node.certificate for node in nodes}) != len(nodes):
        raise MalformedError("a signing lineage in which a certificate stands twice")
    return tuple(nodes)


def _node(data: bytes, algorithm_before: int, *, first: bool) -> tuple[LineageNode, int]:
    """A node and the algorithm with which its certificate signs the next one (0: there is none)."""
    octets = LengthPrefixed(data, _WHAT)
    signed = octets.prefixed()
    flags, own_algorithm = octets.number(), octets.number()
    signature = octets.prefixed()
    octets.finish()
    inside = LengthPrefixed(signed, _WHAT)
    certificate, stated = inside.prefixed(), inside.number()
    inside.finish()
    if flags & ~_KNOWN_FLAGS:
        raise MalformedError("a signing lineage with capabilities nobody knows")
    # The algorithm is stated twice, and only the second place is signed: they agree, or it was exchanged.
    if stated != algorithm_before:
        raise MalformedError("a signing lineage that states two algorithms for one signature")
    if first:
        if signature:
            raise MalformedError("a signing lineage whose first certificate is signed by nobody it holds")
        return LineageNode(certificate, signed, "", "", b""), own_algorithm
    if stated not in ALGORITHMS:
        raise UnsupportedError(f"signature algorithm {stated:#x} of a signing lineage")
    algorithm = ALGORITHMS[stated]
    return LineageNode(certificate, signed, algorithm.signature, algorithm.digest, signature), own_algorithm
