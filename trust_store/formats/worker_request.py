"""What parent and worker say to each other: the request (side files, candidate keys, limits) as JSON, and what frames it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING

from trust_store.formats.protocol import CHUNK_BYTES, ReadLimits, SideMaterial
from trust_store.model.package_facts import PackageFacts, Problem, SideFile, SignatureOrigin
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = struct.Struct(">Q")
"""Of a request, before it."""
STATUS = struct.Struct(">i")
"""How a worker ended: its wait status."""
READ, FINISH = b"r", b"f"
"""To the process that forks workers: start one on the socket that comes with this; have it ended."""


def encode_request(side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits) -> bytes:
    """The request in ASCII."""
    value = {
        "side": [[s.file.name, s.file.sha256, s.origin.value, base64.b64encode(s.data).decode()] for s in side],
        "candidates": [[c.kind, base64.b64encode(c.material).decode()] for c in candidates],
        "limits": asdict(limits),
    }
    return json.dumps(value).encode("ascii")


def decode_request(data: bytes) -> tuple[tuple[SideMaterial, ...], tuple[CandidateKey, ...], ReadLimits]:
    """What ``encode_request`` was given; it comes from the parent, which is trusted."""
    value = json.loads(data)
    side = tuple(
        SideMaterial(SideFile(name, sha256), SignatureOrigin(origin), base64.b64decode(content))
        for name, sha256, origin, content in value["side"]
    )
    candidates = tuple(CandidateKey(kind, base64.b64decode(material)) for kind, material in value["candidates"])
    return side, candidates, ReadLimits(**value["limits"])


def unread_facts(
    descriptor: int, side: tuple[SideMaterial, ...], problem: Problem, go_on: Callable[[], None] = lambda: None
) -> PackageFacts:
    """Facts that say only which file it was, and what went wrong; ``go_on`` is called at every piece and raises to end it."""
    digest = hashlib.sha256()
    size = 0
    try:
        while piece := os.pread(descriptor, CHUNK_BYTES, size):
            go_on()
            digest.update(piece)
            size += len(piece)
        sha256 = digest.hexdigest()
    except OSError:
        sha256 = ""
    material = tuple(sorted(item.file.sha256 for item in side))
    return PackageFacts(sha256, size, None, 0, material, problem)
