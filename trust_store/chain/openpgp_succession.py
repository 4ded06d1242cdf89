"""Whether one OpenPGP key certified a user id of another (RFC 9580 sections 5.2.1.4 and 5.2.4), as proof that it hands over to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.openpgp import MIN_FACTORING_BITS
from trust_store.decode.openpgp import PUBLIC_KEY_LABEL, framed_key
from trust_store.decode.openpgp_arithmetic import key_bits, signature_holds
from trust_store.decode.openpgp_packets import Packet, Tag, is_armored, read_armor, split_packets
from trust_store.decode.openpgp_signature import SignatureType, parse_signature
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError

if TYPE_CHECKING:
    from trust_store.decode.openpgp_signature import OpenPGPSignature
    from trust_store.model.openpgp_key import OpenPGPKey

MAX_CHECKS = 64
_WEAK_HASHES = frozenset({1, 2, 3})
# 0x11, persona, says of itself that nothing was verified.
_CERTIFICATIONS = frozenset({0x10, 0x12, 0x13})


def certified_by(old: OpenPGPKey, new: OpenPGPKey, material: bytes) -> bytes | None:
    """The shortest proof out of ``material`` (an export of the new key) that ``old`` certified it, or None.

    The proof is three packets: the new primary key, the user id, the certification without its unhashed area, which nobody
    signed. A certification that ``old`` revoked itself later does not count. Raises MalformedError or ResourceLimitError.
    """
    bits = key_bits(old.components[0])
    if bits is not None and bits < MIN_FACTORING_BITS:
        return None
    checks = _Checks(old)
    for user_id, signatures in _user_ids(new, material):
        covered = _covered(new, user_id)
        made = [s for s in signatures if s[1].type in _CERTIFICATIONS and checks.holds(*s, covered)]
        ended = [
            s for s in signatures if s[1].type == SignatureType.CERTIFICATION_REVOCATION and checks.holds(*s, covered)
        ]
        for body, signature in made:
            if not any(_not_before(revocation, signature) for _, revocation in ended):
                packets = (
                    (Tag.PUBLIC_KEY, new.components[0].body),
                    (Tag.USER_ID, user_id),
                    (Tag.SIGNATURE, _bare(body)),
                )
                return b"".join(_packet(tag, content) for tag, content in packets)
    return None


class _Checks:
    """Signatures checked against one primary key, within a budget: a key with thousands of certifications is an old attack."""

    def __init__(self, old: OpenPGPKey) -> None:
        self._primary, self._left = old.components[0], MAX_CHECKS

    def holds(self, body: bytes, signature: OpenPGPSignature, covered: bytes) -> bool:
        """Whether the certification in packet ``body`` is the key's own over ``covered``, strong enough to prove anything."""
        if not self._named(signature):
            return False
        if signature.created is None or signature.created < self._primary.created or signature.unknown_critical:
            return False
        if signature.hash_algorithm in _WEAK_HASHES:
            return False
        if self._left <= 0:
            raise ResourceLimitError(f"more than {MAX_CHECKS} certifications would have to be checked")
        self._left -= 1
        try:
            digest = signature.digest(covered)
            return _digest_start(body) == digest[:2] and signature_holds(self._primary, signature, digest)
        except TrustStoreError:
            return False

    def _named(self, signature: OpenPGPSignature) -> bool:
        """Whether the signature says it is by this key; one that names nobody is not tried."""
        if signature.version == 3 or (signature.issuer_fingerprint is None and signature.issuer_key_id is None):
            return False
        return signature.issuer_fingerprint in (None, self._primary.fingerprint) and signature.issuer_key_id in (
            None,
            self._primary.key_id,
        )


def _user_ids(new: OpenPGPKey, material: bytes) -> list[tuple[bytes, list[tuple[bytes, OpenPGPSignature]]]]:
    """The user ids of ``new`` in ``material`` with the signatures that stand behind each; those of other keys are passed over."""
    streams = [material]
    if is_armored(material):
        streams = [block.data for block in read_armor(material) if block.label == PUBLIC_KEY_LABEL]
    found: list[tuple[bytes, list[tuple[bytes, OpenPGPSignature]]]] = []
    for stream in streams:
        of_new = about_user_id = False
        for packet in split_packets(stream):
            if packet.tag == Tag.PUBLIC_KEY:
                of_new, about_user_id = packet.body == new.components[0].body, False
            elif packet.tag == Tag.USER_ID:
                about_user_id = of_new and packet.body.decode("utf-8", "replace") in new.user_ids
                if about_user_id:
                    found.append((packet.body, []))
            elif packet.tag in (Tag.PUBLIC_SUBKEY, Tag.USER_ATTRIBUTE):
                about_user_id = False
            elif packet.tag == Tag.SIGNATURE and about_user_id:
                found[-1][1].extend(_readable(packet))
    return found


def _readable(packet: Packet) -> list[tuple[bytes, OpenPGPSignature]]:
    try:
        return [(packet.body, parse_signature(packet.body))]
    except TrustStoreError:
        return []  # RFC 9580 5.2: one in error is ignored


def _covered(new: OpenPGPKey, user_id: bytes) -> bytes:
    """RFC 9580 5.2.4: the key as it is hashed, then 0xB4, the length and the user id."""
    primary = new.components[0]
    return framed_key(primary.version, primary.body) + b"\xb4" + len(user_id).to_bytes(4, "big") + user_id


def _not_before(revocation: OpenPGPSignature, certification: OpenPGPSignature) -> bool:
    return revocation.created is None or certification.created is None or revocation.created >= certification.created


def _areas(body: bytes) -> tuple[int, int, int]:
    """Offsets where the hashed area ends, where the unhashed one ends, and the width of their lengths (RFC 9580 5.2.3)."""
    wide = 4 if body[0] == 6 else 2
    hashed = 4 + wide + int.from_bytes(body[4 : 4 + wide], "big")
    return hashed, hashed + wide + int.from_bytes(body[hashed : hashed + wide], "big"), wide


def _digest_start(body: bytes) -> bytes:
    """The left 16 bits of the digest as the packet states them; elsewhere a hint, here whatever is stated has to be true."""
    _, end, _ = _areas(body)
    return body[end : end + 2]


def _bare(body: bytes) -> bytes:
    """A version 4 or 6 signature packet with an empty unhashed area, where the issuer stands in the hashed one."""
    hashed, end, wide = _areas(body)
    bare = body[:hashed] + bytes(wide) + body[end:]
    signature = parse_signature(bare)
    named = signature.issuer_fingerprint is not None or signature.issuer_key_id is not None
    return bare if named else body  # older programs name the issuer in the unhashed area alone


def _packet(tag: int, content: bytes) -> bytes:
    """One packet in the newer framing with a length of five octets (RFC 9580 4.2.1)."""
    if len(content) >= 1 << 32:
        raise MalformedError("a packet too long to be framed")
    return bytes((0xC0 | tag, 0xFF)) + len(content).to_bytes(4, "big") + content
