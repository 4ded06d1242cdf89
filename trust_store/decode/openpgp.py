"""OpenPGP transferable public keys (RFC 9580 section 10.1): bytes -> ``OpenPGPKey``. Nothing is verified here.

Self-signatures are kept with the bytes they cover, so that ``chain.openpgp`` can judge them later at any time T.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from trust_store.decode.openpgp_packets import Packet, Tag, is_armored, read_armor, split_packets
from trust_store.decode.openpgp_signature import OpenPGPSignature, SignatureType, parse_signature
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey, OpenPGPSelfSignature

MAX_KEYS = 1024
MAX_COMPONENTS = 64
MAX_USER_IDS = 256
MAX_USER_ID_BYTES = 2048
MAX_SELF_SIGNATURES = 512
MAX_KEY_BODY_BYTES = 8 * 1024
MAX_COVERED_BYTES = 64 * 1024 * 1024  # what self-signatures cover is kept with each, so small files could grow large
PUBLIC_KEY_LABEL = "PUBLIC KEY BLOCK"

# RFC 9580 4.3: type ids 0-39 are critical, an unknown one makes the whole sequence unreadable; 40-63 may be skipped.
_FIRST_NONCRITICAL_TAG = 40
_SKIPPED_TAGS = frozenset({Tag.MARKER, Tag.TRUST, Tag.PADDING})
_ROLES: dict[tuple[int, int], str] = {
    (Tag.PUBLIC_KEY, SignatureType.DIRECT_KEY): "direct",
    (Tag.PUBLIC_SUBKEY, SignatureType.SUBKEY_BINDING): "subkey_binding",
    (Tag.PUBLIC_SUBKEY, SignatureType.SUBKEY_REVOCATION): "subkey_revocation",
    (Tag.USER_ID, SignatureType.CERTIFICATION_REVOCATION): "certification_revocation",
}


def load_keys(data: bytes) -> tuple[OpenPGPKey, ...]:
    """Return the certificates in ``data``: binary, or any number of armoured public key blocks; at least one.

    Raises MalformedError, UnsupportedError (key versions other than 4 and 6, secret keys) or ResourceLimitError.
    """
    if is_armored(data):
        blocks = read_armor(data)
        if any(block.label == "PRIVATE KEY BLOCK" for block in blocks):
            raise UnsupportedError("a secret key was given; only public keys are read")
        streams = [block.data for block in blocks if block.label == PUBLIC_KEY_LABEL]
    else:
        streams = [data] if data else []
    keys: list[OpenPGPKey] = []
    covered = 0
    for stream in streams:
        for packets in _split_keys(split_packets(stream)):
            if len(keys) >= MAX_KEYS:
                raise ResourceLimitError(f"more than {MAX_KEYS} OpenPGP keys in one file")
            keys.append(_KeyReading(stream[packets[0].start : packets[-1].end], packets).key())
            covered += sum(len(kept.covered) for kept in keys[-1].self_signatures)
            if covered > MAX_COVERED_BYTES:
                raise ResourceLimitError("OpenPGP keys with more signed data than is kept")
    if not keys:
        raise MalformedError("no OpenPGP public key in the data")
    return tuple(keys)


def component_key(body: bytes, *, is_primary: bool) -> OpenPGPComponentKey:
    """Return the key in a public key packet's ``body``, with its fingerprint and key id (RFC 9580 5.5.4).

    Raises MalformedError, or UnsupportedError for versions other than 4 and 6.
    """
    if not body:
        raise MalformedError("an empty OpenPGP key packet")
    if len(body) > MAX_KEY_BODY_BYTES:
        raise ResourceLimitError(f"an OpenPGP key packet of {len(body)} bytes; at most {MAX_KEY_BODY_BYTES} are read")
    version = body[0]
    if version not in (4, 6):
        raise UnsupportedError(f"OpenPGP key version {version} is not supported")
    if len(body) < 6 or (version == 6 and (len(body) < 10 or int.from_bytes(body[6:10], "big") != len(body) - 10)):
        raise MalformedError("an OpenPGP key packet is cut short")
    framed = framed_key(version, body)
    if version == 4:
        # RFC 9580 5.5.4.2: version 4 fingerprints are SHA-1 by definition; there is no choice to make here.
        fingerprint = hashlib.sha1(framed, usedforsecurity=False).hexdigest()
        key_id = fingerprint[-16:]
    else:
        fingerprint = hashlib.sha256(framed).hexdigest()
        key_id = fingerprint[:16]
    created = datetime.fromtimestamp(int.from_bytes(body[1:5], "big"), UTC)
    return OpenPGPComponentKey(fingerprint, key_id, version, body[5], created, body, is_primary)


def framed_key(version: int, body: bytes) -> bytes:
    """Return a key body as it is hashed (RFC 9580 5.2.4): 0x99 and 2 octets of length, or 0x9B and 4 for version 6."""
    if version == 6:
        return b"\x9b" + len(body).to_bytes(4, "big") + body
    return b"\x99" + len(body).to_bytes(2, "big") + body


def _split_keys(packets: tuple[Packet, ...]) -> list[list[Packet]]:
    """Group packets by certificate, each beginning with a primary key; skipped types leave no trace."""
    groups: list[list[Packet]] = []
    for packet in packets:
        if packet.tag in _SKIPPED_TAGS or packet.tag >= _FIRST_NONCRITICAL_TAG:
            continue
        if packet.tag in (Tag.SECRET_KEY, Tag.SECRET_SUBKEY):
            raise UnsupportedError("a secret key was given; only public keys are read")
        if packet.tag == Tag.PUBLIC_KEY:
            groups.append([packet])
        elif not groups:
            raise MalformedError("OpenPGP data does not begin with a public key")
        elif packet.tag in (Tag.SIGNATURE, Tag.USER_ID, Tag.PUBLIC_SUBKEY, Tag.USER_ATTRIBUTE):
            groups[-1].append(packet)
        else:
            raise MalformedError(f"an OpenPGP packet of type {packet.tag} has no place in a public key")
    return groups


class _KeyReading:
    """Reads one certificate's packets in order; signatures belong to the component or user id before them."""

    def __init__(self, data: bytes, packets: list[Packet]) -> None:
        self._data = data
        primary = component_key(packets[0].body, is_primary=True)
        self._components = [primary]
        self._user_ids: list[str] = []
        self._signatures: dict[tuple[str, bytes, bytes], OpenPGPSelfSignature] = {}
        self._about = packets[0]
        self._primary_framed = framed_key(primary.version, primary.body)
        for packet in packets[1:]:
            self._read(packet)

    def key(self) -> OpenPGPKey:
        return OpenPGPKey(self._data, tuple(self._components), tuple(self._user_ids), tuple(self._signatures.values()))

    def _read(self, packet: Packet) -> None:
        if packet.tag == Tag.SIGNATURE:
            self._keep(packet.body)
            return
        self._about = packet
        if packet.tag == Tag.PUBLIC_SUBKEY:
            subkey = component_key(packet.body, is_primary=False)
            # RFC 9580 10.1.1: a primary key and its subkeys have one version.
            if subkey.version != self._components[0].version:
                raise MalformedError("an OpenPGP subkey has another version than its primary key")
            if len(self._components) >= MAX_COMPONENTS:
                raise ResourceLimitError(f"more than {MAX_COMPONENTS} keys in one OpenPGP certificate")
            self._components.append(subkey)
        elif packet.tag == Tag.USER_ID:
            if len(packet.body) > MAX_USER_ID_BYTES or len(self._user_ids) >= MAX_USER_IDS:
                raise ResourceLimitError(
                    f"an OpenPGP certificate has more than {MAX_USER_IDS} user ids, or one of over {MAX_USER_ID_BYTES} bytes"
                )
            self._user_ids.append(packet.body.decode("utf-8", "replace"))

    def _keep(self, body: bytes) -> None:
        """Keep a signature the primary key claims to have made, and every key revocation, whoever claims it."""
        try:
            signature = parse_signature(body)
        except TrustStoreError:
            # RFC 9580 5.2: one in error is ignored. But an unreadable revocation is kept, to be reported as such.
            signature = None
        kind = signature.type if signature else body[1] if len(body) > 1 else -1
        role = self._role(kind)
        if role is None or not (role in ("key_revocation", "subkey_revocation") or self._claims_primary(signature)):
            return
        about_subkey = role in ("subkey_binding", "subkey_revocation")
        component = self._components[-1 if about_subkey else 0].fingerprint
        kept = OpenPGPSelfSignature(role, component, body, self._covered(role, body[0]))
        identity = (role, kept.covered, body)
        if identity not in self._signatures and len(self._signatures) >= MAX_SELF_SIGNATURES:
            raise ResourceLimitError(
                f"an OpenPGP certificate has more than {MAX_SELF_SIGNATURES} signatures of its own"
            )
        self._signatures[identity] = kept

    def _role(self, kind: int) -> str | None:
        """The role a signature of this type has after the packet it stands behind; None where it has none there."""
        if kind == SignatureType.KEY_REVOCATION:
            return "key_revocation"  # wherever it stands: moving it behind a user id must not hide it
        if self._about.tag == Tag.USER_ID and kind in range(
            SignatureType.GENERIC_CERTIFICATION, SignatureType.POSITIVE_CERTIFICATION + 1
        ):
            return "certification"
        return _ROLES.get((self._about.tag, kind))

    def _claims_primary(self, signature: OpenPGPSignature | None) -> bool:
        primary = self._components[0]
        if signature is None:
            return False
        if signature.issuer_fingerprint is not None:
            return signature.issuer_fingerprint == primary.fingerprint
        return signature.issuer_key_id in (None, primary.key_id)

    def _covered(self, role: str, signature_version: int) -> bytes:
        """What precedes the trailer in the hash (RFC 9580 5.2.4)."""
        if role in ("direct", "key_revocation"):
            return self._primary_framed
        body = self._about.body
        if role in ("subkey_binding", "subkey_revocation"):
            return self._primary_framed + framed_key(self._components[0].version, body)
        # A version 3 certification hashes the user id without prefix and length.
        return self._primary_framed + (b"" if signature_version < 4 else b"\xb4" + len(body).to_bytes(4, "big")) + body
