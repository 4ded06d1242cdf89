"""Signature blocks of scripts built by hand: what Windows itself writes, where no tool for Linux does."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from asn1crypto import core

from tests.packages.generate.catalog_craft import INDIRECT_DATA
from tests.packages.generate.cms_message import Signer, digest_algorithm, integer, octets, oid, seq, signed_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

SIP_INFO = "1.3.6.1.4.1.311.2.1.30"
SUBJECTS = {
    "vbs": bytes.fromhex("4ef029169927b54d8fe5ace10f17ebab"),
    "js": bytes.fromhex("10e0c906ce38d411a2a300104bd35090"),
    "wsf": bytes.fromhex("7005611ace38d411a2a300104bd35090"),
    "ps1": bytes.fromhex("1fcc3b60594b084eb724d2c6297ef351"),
}
PREFIXES = {"vbs": "'' SIG '' ", "js": "// SIG // ", "wsf": "** SIG ** ", "ps1": "# "}


def message(
    content: bytes, kind: str, signer: Issued, chain: Sequence[Issued], *, digest: str = "sha256", file_digest: str = ""
) -> bytes:
    """A message over ``content`` as a script of ``kind``."""
    stated = file_digest or digest
    info = seq(integer(1), octets(SUBJECTS[kind]), *(bytes(core.Integer(0).dump()) for _ in range(5)))
    value = hashlib.new(stated, content).digest()
    indirect = seq(seq(oid(SIP_INFO), info), seq(digest_algorithm(stated), octets(value)))
    inner = indirect[2 if indirect[1] < 0x80 else 3 :]
    made = Signer(signer, digest).info(inner, INDIRECT_DATA)
    return signed_data([made], [signer, *chain], content=indirect, content_type=INDIRECT_DATA, digest=digest)


def block(data: bytes, kind: str) -> str:
    """The lines of a block, the line end before it included."""
    text = base64.b64encode(data).decode()
    lines = [PREFIXES[kind] + text[at : at + 44] for at in range(0, len(text), 44)]
    first, last = f"{PREFIXES[kind]}Begin signature block", f"{PREFIXES[kind]}End signature block"
    if kind == "wsf":
        first, last = "<signature>", "</signature>"
    return "\r\n" + "\r\n".join([first, *lines, last]) + "\r\n"


def host_content(before: str, after: str = "") -> bytes:
    """What Windows Script Host digests."""
    units = len(before.encode("utf-16-le")) // 2
    return (before + after).encode("utf-16-le") + units.to_bytes(4, "little")
