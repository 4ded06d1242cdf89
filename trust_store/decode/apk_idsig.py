"""APK Signature Scheme v4: the ``.idsig`` file beside an APK (source.android.com/docs/security/features/apksigning/v4; apksig V4Signature).

All little-endian::

    u32 version 2 | u32 length, hashing info | u32 length, signing info, further blocks | u32 length, hash tree (may be left out)
    hashing info: u32 algorithm 1 (SHA-256) | u8 log2 of the block size, 12 | salt | root hash     (each after its u32 length)
    signing info: digest of the APK by v3 or v2 | certificate | additional data | public key | u32 algorithm | signature
    further blocks (v4.1): u32 identifier of scheme v3.1 | u32 length, signing info
"""

from __future__ import annotations

from trust_store.decode.apk_signers import ALGORITHMS
from trust_store.decode.apk_signing_block import V31
from trust_store.decode.length_prefixed import LengthPrefixed
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.quick_dataclass import dataclass

VERSION = 2
_SHA256, _LOG2_BLOCK = 1, 12
MAX_SIGNING_INFO_BYTES = 7 * 1024
"""incremental-fs takes no more (V4Signature.INCFS_MAX_SIGNATURE_SIZE)."""
_WHAT = "apk-v4"


@dataclass(frozen=True, slots=True)
class SigningInfo:
    """A signature and what it is bound to: ``digest`` is a content digest of the APK by another scheme."""

    digest: bytes
    certificate: bytes
    additional: bytes
    public_key: bytes
    algorithm: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class V4Signature:
    """``tree`` is the hash tree in the file, empty where it was left out.

    ``info`` is by the signer of v3, or of v2 where there is no v3; ``rotated`` (v4.1) by that of v3.1, where there is one.
    """

    salt: bytes
    root: bytes
    info: SigningInfo
    rotated: SigningInfo | None
    tree: bytes

    def signed(self, apk_bytes: int, info: SigningInfo) -> bytes:
        """What one of its signatures is over, for an APK of that size."""
        parts = (
            apk_bytes.to_bytes(8, "little") + _SHA256.to_bytes(4, "little") + bytes([_LOG2_BLOCK]),
            *(
                len(part).to_bytes(4, "little") + part
                for part in (self.salt, self.root, info.digest, info.certificate, info.additional)
            ),
        )
        body = b"".join(parts)
        return (len(body) + 4).to_bytes(4, "little") + body


def recognises(data: bytes) -> bool:
    """Whether the file begins as one of version 2 with SHA-256 and blocks of 4096 bytes does."""
    return data[:4] == VERSION.to_bytes(4, "little") and data[8:13] == _SHA256.to_bytes(4, "little") + bytes(
        [_LOG2_BLOCK]
    )


def parse_idsig(data: bytes) -> V4Signature:
    """Read one; raises MalformedError or UnsupportedError."""
    file = LengthPrefixed(data, _WHAT)
    if file.number() != VERSION:
        raise UnsupportedError("apk-v4: another version")
    hashing = file.inside()
    if (hashing.number(), hashing.number(1)) != (_SHA256, _LOG2_BLOCK):
        raise UnsupportedError("apk-v4: another hash tree than of SHA-256 over blocks of 4096 bytes")
    salt, root = hashing.prefixed(), hashing.prefixed()
    hashing.finish()
    raw = file.prefixed()
    if len(raw) > MAX_SIGNING_INFO_BYTES:
        raise MalformedError(f"apk-v4: signing information of {len(raw)} bytes")
    infos = LengthPrefixed(raw, _WHAT)
    info, rotated = _info(infos), None
    if infos.left:
        if infos.number() != V31:  # Android looks for the block of the scheme that it verified, and there is no other
            raise MalformedError("apk-v4: a signature for a scheme that has none")
        block = infos.inside()
        rotated = _info(block)
        block.finish()
        infos.finish()
    tree = file.prefixed() if file.left else b""
    file.finish()
    return V4Signature(salt, root, info, rotated, tree)


def _info(infos: LengthPrefixed) -> SigningInfo:
    digest, certificate, additional, public_key = (infos.prefixed() for _ in range(4))
    algorithm, signature = infos.number(), infos.prefixed()
    if algorithm not in ALGORITHMS:
        raise UnsupportedError(f"apk-v4: signature algorithm {algorithm:#06x}")
    return SigningInfo(digest, certificate, additional, public_key, algorithm, signature)
