"""TUF root metadata (The Update Framework 1.0, sections 4.2 and 4.3): keys, threshold, and what their signatures cover.

Signatures cover the canonical JSON of ``signed`` (section 4.2.1: OLPC canonical form), computed here. Nothing is verified here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from trust_store.decode.library_panic import panic_is_malformed
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_ROOT_BYTES = 512 * 1024
MAX_ROOT_KEYS = 64
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,2048}\Z")
_SCHEMES = {
    "ed25519": ("ed25519", ""),
    "ecdsa-sha2-nistp256": ("ecdsa", "sha256"),
    "ecdsa-sha2-nistp384": ("ecdsa", "sha384"),
    "rsassa-pss-sha256": ("rsa-pss/32", "sha256"),
}
_CURVES = {"ecdsa-sha2-nistp256": "secp256r1", "ecdsa-sha2-nistp384": "secp384r1"}


@dataclass(frozen=True, slots=True)
class RootKey:
    """A key of the root role: DER SubjectPublicKeyInfo, algorithm and digest in the words of ``public_keys.verifies``."""

    spki: bytes
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class TUFRoot:
    """Root metadata of one ``version``. ``signatures`` pairs key ids with values; ``covered`` are the bytes they are made over.

    ``keys`` are those of the root role by key id; a key of a kind that is not known is left out and counts for nothing.
    """

    version: int
    threshold: int
    keys: dict[str, RootKey]
    signatures: tuple[tuple[str, bytes], ...]
    covered: bytes


def read_root(data: bytes) -> TUFRoot:
    """Read root metadata; raises MalformedError or ResourceLimitError, nothing else."""
    if len(data) > MAX_ROOT_BYTES:
        raise ResourceLimitError(f"TUF root metadata of {len(data)} bytes; at most {MAX_ROOT_BYTES} are read")
    whole = parse_object(data)
    signed = _object(whole, "signed")
    if set(whole) != {"signed", "signatures"} or signed.get("_type") != "root":
        raise MalformedError("not TUF root metadata")
    role = _object(_object(signed, "roles"), "root")
    version, threshold, named = signed.get("version"), role.get("threshold"), role.get("keyids")
    # Section 4.3: version and threshold are integers greater than 0 (a bool is an int to Python, not to JSON).
    if type(version) is not int or version < 1 or type(threshold) is not int or threshold < 1:
        raise MalformedError("TUF root metadata without a version and a threshold above 0")
    if not isinstance(named, list) or not all(isinstance(k, str) for k in named) or len(set(named)) != len(named):
        raise MalformedError("TUF root metadata whose root role names no keys, or one twice")
    if len(named) > MAX_ROOT_KEYS:
        raise ResourceLimitError(f"a TUF root role of more than {MAX_ROOT_KEYS} keys")
    known = _object(signed, "keys")
    keys = {name: key for name in named if (key := _key(known.get(name))) is not None}
    return TUFRoot(version, threshold, keys, _signatures(whole["signatures"]), canonical_json(signed))


def canonical_json(value: Any) -> bytes:
    """OLPC canonical JSON of a value that ``strict_json`` read: keys sorted, no blanks, only quote and backslash escaped.

    Raises MalformedError for a fraction, which has no canonical form.
    """
    return _canonical(value).encode()


def _canonical(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(_canonical(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_canonical(k)}:{_canonical(value[k])}" for k in sorted(value)) + "}"
    raise MalformedError("JSON that has no canonical form")


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise MalformedError(f"TUF root metadata without {name!r}")
    return found


def _signatures(value: Any) -> tuple[tuple[str, bytes], ...]:
    if not isinstance(value, list) or len(value) > MAX_ROOT_KEYS:
        raise MalformedError(f"TUF metadata with no list of at most {MAX_ROOT_KEYS} signatures")
    found: list[tuple[str, bytes]] = []
    for one in value:
        if not isinstance(one, dict) or set(one) != {"keyid", "sig"} or not isinstance(one["keyid"], str):
            raise MalformedError("TUF metadata with a signature that is not a key id and a value")
        text = one["sig"]
        # An empty value is what go-tuf writes for a key that has not signed yet.
        if text == "":
            continue
        if not isinstance(text, str) or not _HEX.match(text):
            raise MalformedError("TUF metadata with a signature that is not lower-case hex")
        found.append((one["keyid"], bytes.fromhex(text)))
    if len({name for name, _ in found}) != len(found):
        raise MalformedError("TUF metadata with two signatures of one key")
    return tuple(found)


def _key(value: Any) -> RootKey | None:
    """The key, or None for one of a kind that is not known or that cannot be read: nothing verifies under it."""
    if not isinstance(value, dict) or not isinstance(value.get("keyval"), dict):
        return None
    kind, scheme, public = value.get("keytype"), value.get("scheme"), value["keyval"].get("public")
    if not isinstance(scheme, str) or scheme not in _SCHEMES or not isinstance(public, str):
        return None
    wanted = {"ed25519": ("ed25519",), "rsassa-pss-sha256": ("rsa",)}.get(scheme, ("ecdsa", scheme))
    if kind not in wanted:
        return None
    spki = _spki(scheme, public)
    return RootKey(spki, *_SCHEMES[scheme]) if spki else None


def _spki(scheme: str, public: str) -> bytes | None:
    try:
        with panic_is_malformed:
            key = _loaded(scheme, public)
            if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name != _CURVES.get(scheme):
                return None
            return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, MalformedError):
        return None


def _loaded(scheme: str, public: str) -> PublicKeyTypes:
    """Ed25519 keys are hex of the 32 bytes; elliptic curve keys PEM or, in older metadata, hex of the point; RSA keys PEM."""
    if scheme == "ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    if scheme in _CURVES and _HEX.match(public):
        curve = ec.SECP256R1() if scheme == "ecdsa-sha2-nistp256" else ec.SECP384R1()
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, bytes.fromhex(public))
    return load_pem_public_key(public.encode())
