"""Android's proof of rotation (APK Signature Scheme v3): certificates of which each is signed by the one before it.

Read from the attribute of a v3 signer (``u32 version``, nodes) or from the file that ``apksigner rotate`` writes (magic, version,
length, then the same). Strict: every length exact, nothing left over, no certificate twice. Nothing is verified here.

References: source.android.com/docs/security/features/apksigning/v3, "Proof-of-rotation attribute"; apksig SigningCertificateLineage.
Limitation: the capability flags are not signed inside the lineage and are used for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

FILE_MAGIC = 0x3EFF39D1
VERSION = 1
MAX_LINEAGE_BYTES = 512 * 1024
MAX_NODES = 32
_KNOWN_FLAGS = 0x1F
_ALGORITHMS: dict[int, tuple[str, str]] = {
    0x0101: ("rsa-pss/32", "sha256"),
    0x0102: ("rsa-pss/64", "sha512"),
    0x0103: ("rsa-pkcs1", "sha256"),
    0x0104: ("rsa-pkcs1", "sha512"),
    0x0201: ("ecdsa", "sha256"),
    0x0202: ("ecdsa", "sha512"),
    0x0301: ("dsa", "sha256"),
    0x0421: ("rsa-pkcs1", "sha256"),
    0x0423: ("ecdsa", "sha256"),
    0x0425: ("dsa", "sha256"),
}


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


class _Slice:
    """A cursor over little-endian, length-prefixed bytes that raises MalformedError instead of running past the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedError("a signing lineage is cut short")
        taken = self._data[self._position : self._position + count]
        self._position += count
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def prefixed(self) -> bytes:
        return self.take(self.number())

    def finish(self) -> None:
        if self.left:
            raise MalformedError("a signing lineage holds more than it says")


def read_lineage(data: bytes) -> tuple[LineageNode, ...]:
    """The nodes, oldest first; at least two.

    Raises MalformedError, UnsupportedError (another version or algorithm) or ResourceLimitError, nothing else.
    """
    if len(data) > MAX_LINEAGE_BYTES:
        raise ResourceLimitError(f"a signing lineage of {len(data)} bytes; at most {MAX_LINEAGE_BYTES} are read")
    octets = _Slice(data)
    version = octets.number()
    if version == FILE_MAGIC:
        if octets.number() != VERSION:
            raise UnsupportedError("a signing lineage file of another version")
        inner = octets.prefixed()
        octets.finish()
        octets = _Slice(inner)
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
    if len(nodes) < 2:  # one certificate succeeds nobody
        raise MalformedError("a signing lineage of fewer than two certificates")
    if next_algorithm:
        raise MalformedError("a signing lineage that announces a signature which is not there")
    if len({node.certificate for node in nodes}) != len(nodes):
        raise MalformedError("a signing lineage in which a certificate stands twice")
    return tuple(nodes)


def _node(data: bytes, algorithm_before: int, *, first: bool) -> tuple[LineageNode, int]:
    """A node and the algorithm with which its certificate signs the next one (0: there is none)."""
    octets = _Slice(data)
    signed = octets.prefixed()
    flags, own_algorithm = octets.number(), octets.number()
    signature = octets.prefixed()
    octets.finish()
    inside = _Slice(signed)
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
    if stated not in _ALGORITHMS:
        raise UnsupportedError(f"signature algorithm {stated:#x} of a signing lineage")
    return LineageNode(certificate, signed, *_ALGORITHMS[stated], signature), own_algorithm
