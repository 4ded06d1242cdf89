"""What a worker is asked: side files, candidate keys and limits, as JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict

from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.model.package_facts import SideFile, SignatureOrigin
from trust_store.signatures.protocol import CandidateKey


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
