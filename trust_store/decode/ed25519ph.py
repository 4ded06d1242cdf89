"""Ed25519ph (RFC 8032 5.1): signatures over a SHA-512 digest, which the library does not offer. Verification alone: nothing here is secret.

Rekor logs Ed25519 signatures over files in this form, since it sees digests and no files.
"""

from __future__ import annotations

import hashlib

from trust_store.decode.spki import ed25519_spki
from trust_store.errors import MalformedError

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_PREFIX = b"SigEd25519 no Ed25519 collisions\x01\x00"
"""dom2(1, "") (RFC 8032 2): prehashed, and no context."""
_HALF, _DIGEST_OCTETS = 32, 64
_Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T (RFC 8032 5.1.4)."""
_NEUTRAL: _Point = (0, 1, 1, 0)


def verifies_prehashed(point: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether ``signature`` (64 octets) over the SHA-512 ``digest`` verifies under the key ``point`` (32 octets). Never raises."""
    if len(point) != _HALF or len(signature) != 2 * _HALF or len(digest) != _DIGEST_OCTETS:
        return False
    try:
        ed25519_spki(point)  # under a key of small order almost anything verifies
    except MalformedError:
        return False
    key, first = _decoded(point), _decoded(signature[:_HALF])
    second = int.from_bytes(signature[_HALF:], "little")
    if key is None or first is None or second >= _L:  # 5.1.7 step 1
        return False
    challenge = hashlib.sha512(_PREFIX + signature[:_HALF] + point + digest).digest()
    factor = int.from_bytes(challenge, "little") % _L
    left, right = _times(second, _BASE), _sum(first, _times(factor, key))
    # 5.1.7 step 3, without the cofactor: what this accepts, every verifier accepts.
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (left[1] * right[2] - right[1] * left[2]) % _P == 0


def _decoded(data: bytes) -> _Point | None:
    """5.1.3; None for what is no point on the curve, or one in another encoding than its own."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def _sum(p: _Point, q: _Point) -> _Point:
    """5.1.4."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    found = _NEUTRAL
    while scalar:
        if scalar & 1:
            found = _sum(found, point)
        point = _sum(point, point)
        scalar >>= 1
    return found


_BASE = _decoded((4 * pow(5, -1, _P) % _P).to_bytes(_HALF, "little")) or _NEUTRAL
