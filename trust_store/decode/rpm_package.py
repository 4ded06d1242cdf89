"""The parts of an RPM package before its payload (rpm's ``docs/manual/format_v3.md``, ``format_v4.md``, ``format_v6.md``), and its tags.

::

    lead (96 bytes) | signature header, padded to 8 | main header | payload

Nothing before the main header is signed. Signature tags of a v3 package are over main header and payload, later ones over the main header
alone, its magic included, which then binds the payload by a digest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.openpgp_signature import HASHES
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.rpm_header import RpmHeader

LEAD_MAGIC = b"\xed\xab\xee\xdb"
LEAD_BYTES = 96
_LEAD_MAJORS = (3, 4)
_HEADER_STYLE = 5

DSA, RSA, SHA1, SHA256, OPENPGP, SHA3_256 = 267, 268, 269, 273, 278, 279
PGP, MD5, GPG = 1002, 1004, 1005
_LAST_TAG_OF_V6 = 999
NAME, VERSION, RELEASE, EPOCH, FORMAT = 1000, 1001, 1002, 1003, 5114
FORMAT_6 = 6
PAYLOAD_SHA256, PAYLOAD_ALGORITHM, PAYLOAD_SHA256_ALT = 5092, 5093, 5097
PAYLOAD_SHA512, PAYLOAD_SHA512_ALT, PAYLOAD_SHA3_256, PAYLOAD_SHA3_256_ALT = 5121, 5122, 5123, 5124
_PAYLOAD_DIGESTS = {PAYLOAD_SHA512: "sha512", PAYLOAD_SHA3_256: "sha3_256"}
_PAYLOAD_ALTERNATIVES = {PAYLOAD_SHA512_ALT: "sha512", PAYLOAD_SHA3_256_ALT: "sha3_256"}
_STRONG = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_512"})
_HEADER_DIGESTS = {SHA1: "sha1", SHA256: "sha256", SHA3_256: "sha3_256"}


@dataclass(frozen=True, slots=True)
class RpmSignatures:
    """OpenPGP signatures as they stand in the signature header: packets over the header, over header and payload, and v6 ones.

    ``header_v6`` are over the header too; where there are any, rpm takes no notice of ``header``.
    """

    header: tuple[bytes, ...]
    header_v6: tuple[bytes, ...]
    package: tuple[bytes, ...]


def require_lead(lead: bytes) -> None:
    """Raise MalformedError where rpm reads no package: the magic, a version 3 or 4, a signature that is a header. The rest is history."""
    if len(lead) < LEAD_BYTES or not lead.startswith(LEAD_MAGIC):
        raise MalformedError("rpm: no lead")
    if lead[4] not in _LEAD_MAJORS or int.from_bytes(lead[78:80], "big") != _HEADER_STYLE:
        raise MalformedError("rpm: a lead of another version of the format")


def signatures_of(signatures: RpmHeader, main: RpmHeader) -> RpmSignatures:
    """What is signed how; raises MalformedError for tags that a package of this version may not have."""
    if signatures.repeated:
        raise MalformedError(f"rpm: signature tag {min(signatures.repeated)} occurs twice")
    if main.integer(FORMAT) == FORMAT_6:
        _require_v6(signatures, main)
    if main.region is None and any(signatures.has(tag) for tag in (DSA, RSA, OPENPGP)):
        raise MalformedError("rpm: a signature over the header, and no region that says what that is")
    encoded = signatures.strings(OPENPGP)
    return RpmSignatures(
        header=tuple(value for tag in (RSA, DSA) if (value := signatures.binary(tag)) is not None),
        header_v6=tuple(_decoded(value) for value in encoded),
        package=tuple(value for tag in (PGP, GPG) if (value := signatures.binary(tag)) is not None),
    )


def _require_v6(signatures: RpmHeader, main: RpmHeader) -> None:
    """``format_v6.md``: no tag above 999 in the signature header, no tag twice, the payload bound by the header.

    rpm 6 reads packages all the same to which a signature of the old kind over header and payload was added; here it must hold.
    """
    if main.repeated:
        raise MalformedError(f"rpm: tag {min(main.repeated)} occurs twice")
    if main.region is None or signatures.region is None:
        raise MalformedError("rpm: a v6 package without regions")
    illegal = [tag for tag in signatures.entries if tag > _LAST_TAG_OF_V6 and tag not in (PGP, GPG)]
    if illegal:
        raise MalformedError(f"rpm: signature tag {min(illegal)} has no place in a v6 package")
    if not payload_digests(main):
        raise MalformedError("rpm: a v6 package whose header does not bind its payload")


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("rpm: a signature that is not base64") from error


def payload_digests(main: RpmHeader) -> dict[str, tuple[bytes, ...]]:
    """What the main header says of the payload, by strong digest: as it was written, and unpacked. Raises MalformedError.

    The payload in the file must be either: ``format_v6.md`` lets anybody unpack it, so that it lies there as it is.
    """
    stated = main.integer(PAYLOAD_ALGORITHM)
    algorithm = HASHES.get(8 if stated is None else stated, "")
    strong = algorithm in _STRONG
    written = _stated(main, _PAYLOAD_DIGESTS | ({PAYLOAD_SHA256: algorithm} if strong else {}))
    unpacked = _stated(main, _PAYLOAD_ALTERNATIVES | ({PAYLOAD_SHA256_ALT: algorithm} if strong else {}))
    names = sorted(written.keys() | unpacked.keys())
    return {name: tuple(each[name] for each in (written, unpacked) if name in each) for name in names}


def header_digests(signatures: RpmHeader) -> dict[str, bytes]:
    """What the signature header says of the main header; nobody has signed it. Raises MalformedError."""
    return _stated(signatures, _HEADER_DIGESTS)


def _stated(header: RpmHeader, tags: Mapping[int, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for tag, algorithm in tags.items():
        _put(found, algorithm, header.string(tag))
    return found


def _put(found: dict[str, bytes], algorithm: str, value: bytes | None) -> None:
    if value is None:
        return
    try:
        digest = bytes.fromhex(value.decode("ascii"))
    except ValueError as error:
        raise MalformedError("rpm: a digest that is not hexadecimal") from error
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise MalformedError(f"rpm: a {algorithm} digest of {len(digest)} bytes")
    if found.setdefault(algorithm, digest) != digest:
        raise MalformedError(f"rpm: two different {algorithm} digests of one thing")


def product_of(main: RpmHeader) -> tuple[str, str] | None:
    """Name and [epoch:]version-release; None where the header does not say. Raises MalformedError."""
    parts = [main.string(tag) for tag in (NAME, VERSION, RELEASE)]
    if not all(parts):
        return None
    name, version, release = ((part or b"").decode("utf-8", "replace") for part in parts)
    epoch = main.integer(EPOCH)
    return name, f"{'' if epoch is None else f'{epoch}:'}{version}-{release}"
