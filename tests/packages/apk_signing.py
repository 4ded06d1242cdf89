"""APK signatures of schemes v2, v3 and v3.1 made from their description, with anything wrong that a test wants."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.packages.apk_craft import Parts, block_of, signed_apk, split_apk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.packages.pki import Issued

V2, V3, V31, PADDING = 0x7109871A, 0xF05368C0, 0x1B93AD61, 0x42726577
STRIPPING, ROTATION, ROTATION_MIN_SDK = 0xBEEFF00D, 0x3BA06F8C, 0x559F8B02
MAX_SDK = 0x7FFFFFFF
PSS256, PSS512, RSA256, RSA512, EC256, EC512, VERITY_RSA, VERITY_EC = (
    0x0101, 0x0102, 0x0103, 0x0104, 0x0201, 0x0202, 0x0421, 0x0423,
)  # fmt: skip
CHUNK = 1 << 20


def u32(value: int) -> bytes:
    """A number."""
    return struct.pack("<I", value)


def lp(*parts: bytes) -> bytes:
    """Bytes after their length."""
    data = b"".join(parts)
    return u32(len(data)) + data


def content_digest(data: bytes, algorithm: int) -> bytes:
    """The content digest of an APK (its block left out) that goes with a signature algorithm."""
    parts = split_apk(data)
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, parts.entries_count, parts.entries_count, len(parts.directory),
        len(parts.entries), len(parts.comment),
    ) + parts.comment  # fmt: skip
    if algorithm in (VERITY_RSA, VERITY_EC):
        whole = parts.entries + parts.directory + end
        return verity_root(whole, bytes(8)) + struct.pack("<Q", len(whole))
    name = "sha512" if algorithm in (PSS512, RSA512, EC512) else "sha256"
    chunks = [
        hashlib.new(name, b"\xa5" + u32(len(chunk)) + chunk).digest()
        for section in (parts.entries, parts.directory, end)
        for chunk in (section[at : at + CHUNK] for at in range(0, len(section), CHUNK))
    ]
    return hashlib.new(name, b"\x5a" + u32(len(chunks)) + b"".join(chunks)).digest()


def verity_root(data: bytes, salt: bytes) -> bytes:
    """The root of a hash tree with blocks of 4096 bytes."""
    level = data
    while True:
        level = level.ljust(-(-len(level) // 4096) * 4096, b"\0")
        digests = [hashlib.sha256(salt + level[at : at + 4096]).digest() for at in range(0, len(level), 4096)]
        level = b"".join(digests)
        if len(level) <= 4096:
            return hashlib.sha256(salt + level.ljust(4096, b"\0")).digest()


def value(signer: Issued, algorithm: int, message: bytes) -> bytes:
    """A signature."""
    digest: hashes.HashAlgorithm = hashes.SHA512() if algorithm in (PSS512, RSA512, EC512) else hashes.SHA256()
    key = signer.key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(digest))
    assert isinstance(key, rsa.RSAPrivateKey)
    if algorithm in (PSS256, PSS512):
        return key.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    return key.sign(message, padding.PKCS1v15(), digest)


def spki(signer: Issued) -> bytes:
    """SubjectPublicKeyInfo."""
    return bytes(signer.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def signer_block(
    signer: Issued,
    digests: Mapping[int, bytes],
    *,
    sdk: tuple[int, int] | None = None,
    attributes: Sequence[tuple[int, bytes]] = (),
    certificates: Sequence[bytes] | None = None,
    outer_sdk: tuple[int, int] | None = None,
    public_key: bytes | None = None,
    extra_signatures: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """One signer, of v3 where ``sdk`` is given; one signature for each algorithm of ``digests``."""
    listed = lp(*(lp(u32(algorithm), lp(digest)) for algorithm, digest in digests.items()))
    carried = lp(*map(lp, [signer.der] if certificates is None else certificates))
    ranged = struct.pack("<II", *sdk) if sdk else b""
    signed = listed + carried + ranged + lp(*(lp(u32(kind), content) for kind, content in attributes))
    values = [lp(u32(algorithm), lp(value(signer, algorithm, signed))) for algorithm in digests]
    values += [lp(u32(algorithm), lp(content)) for algorithm, content in extra_signatures]
    around = struct.pack("<II", *(outer_sdk or sdk)) if sdk else b""
    return lp(signed) + around + lp(*values) + lp(spki(signer) if public_key is None else public_key)


def scheme(*signers: bytes) -> bytes:
    """The value of a scheme in the signing block."""
    return lp(*map(lp, signers))


def lineage(*signers: Issued, algorithm: int = EC256, flags: int = 0x17) -> bytes:
    """A proof of rotation from the first to the last."""
    nodes = b""
    for number, signer in enumerate(signers):
        before = signers[number - 1] if number else None
        signed = lp(signer.der) + u32(algorithm if before else 0)
        made = value(before, algorithm, signed) if before else b""
        following = algorithm if number + 1 < len(signers) else 0
        nodes += lp(lp(signed), u32(flags), u32(following), lp(made))
    return u32(1) + nodes


def with_pairs(data: bytes, pairs: Mapping[int, bytes]) -> bytes:
    """The APK with a signing block of these pairs in place of its own."""
    parts: Parts = split_apk(data)
    return signed_apk(parts.entries, block_of([*pairs.items()]), parts.directory, parts.entries_count, parts.comment)


def v2_signed(data: bytes, signer: Issued, *algorithms: int, attributes: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """The APK signed by v2 with each of the algorithms."""
    digests = {algorithm: content_digest(data, algorithm) for algorithm in algorithms}
    pairs = {V2: scheme(signer_block(signer, digests, attributes=attributes))}
    if set(algorithms) & {VERITY_RSA, VERITY_EC}:  # apksig wants whole pages under a verity digest
        pairs[PADDING] = bytes(-(len(block_of([*pairs.items()])) + 12) % 4096)
    return with_pairs(data, pairs)


def stamp(
    signer: Issued,
    schemes: Mapping[int, Sequence[tuple[int, bytes]]],
    algorithm: int = EC256,
    attributes: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """A source stamp over content digests (kind, digest) by scheme."""
    listed = b""
    for number, digests in schemes.items():
        over = b"".join(lp(u32(kind), lp(digest)) for kind, digest in digests)
        listed += lp(u32(number), lp(lp(u32(algorithm), lp(value(signer, algorithm, over)))))
    stated = lp(*(lp(u32(kind), content) for kind, content in attributes))
    values = lp(lp(u32(algorithm), lp(value(signer, algorithm, stated))))
    return lp(lp(signer.der) + lp(listed) + lp(stated) + values)


def signing_info(signer: Issued, data: bytes, digest: bytes, algorithm: int = EC256) -> bytes:
    """A v4 signature over the hash tree of ``data``, bound to a content digest by another scheme."""
    hashing = struct.pack("<IB", 1, 12) + lp() + lp(verity_root(data, b""))
    over = struct.pack("<Q", len(data)) + hashing + lp(digest) + lp(signer.der) + lp()
    made = value(signer, algorithm, u32(len(over) + 4) + over)
    return lp(digest) + lp(signer.der) + lp() + lp(spki(signer)) + u32(algorithm) + lp(made)


def idsig(data: bytes, info: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """An .idsig file without its tree."""
    hashing = struct.pack("<IB", 1, 12) + lp() + lp(verity_root(data, b""))
    further = b"".join(u32(identifier) + lp(content) for identifier, content in blocks)
    return u32(2) + lp(hashing) + lp(info + further)
