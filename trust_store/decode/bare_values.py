"""Signature values without any structure around them, as ``openssl dgst -sign`` and ``openssl pkeyutl -sign -rawin`` write them."""

from __future__ import annotations

import binascii
import re
from itertools import pairwise

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trust_store.decode.asn1 import INTEGER, OCTET_STRING, SEQUENCE, read_one
from trust_store.decode.cms import digest_algorithm
from trust_store.decode.library_panic import panic_is_malformed
from trust_store.decode.public_keys import DSA, ECDSA, ED25519, RSA_PKCS1
from trust_store.errors import READ_ERRORS, MalformedError

MAX_FILE_BYTES = 8192
ED25519_BYTES = 64
MAX_ECDSA_BYTES = 141
"""Two numbers of P-521 in DER."""
# Moduli of 1024 bits and more, in the steps in which they are made: what is of another length is no value.
_RSA_BYTES = range(128, 2049, 64)
MIN_DISTINCT = 20
"""Different octets, and different steps from one octet to the next, that every value of 64 octets and more has: a value is as good as
random (64 random octets have fewer once in 2^100), and zeros, a pattern or a count are none."""
# What ``openssl dgst -hex`` writes before the digits: ``RSA-SHA2-256(name)= ``
_HEX = re.compile(rb"(?:[A-Za-z0-9-]{1,40}\([^\n]{0,1024}\)= ?)?((?:[0-9a-fA-F]{2}[:\s]*)+)\Z")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+={0,2}\Z")
_TEXT = re.compile(rb"[\t\n\r -~]*\Z")
RSA = "rsa"


def read_value(data: bytes) -> tuple[tuple[str, ...], bytes]:
    """The kinds of keys that may have made the value in a file, and the value itself; the file is binary, base64 or hex.

    ``(ed25519,)``, ``(ecdsa, dsa)`` for two numbers in DER (RFC 3279 2.2.3), or ``(rsa,)`` for as many octets as a modulus has. Raises
    MalformedError for everything else, zeros and patterns included.
    """
    if not 0 < len(data) <= MAX_FILE_BYTES:
        raise MalformedError(f"a signature value in a file of {len(data)} bytes")
    for value in _readings(data):
        kinds = _kinds(value)
        if kinds:
            return kinds, value
    raise MalformedError("no bare signature value")


def recovered_digest(spki: bytes, value: bytes) -> tuple[str, bytes] | None:
    """(hashlib name, digest) inside an RSA PKCS #1 v1.5 value under this key (RFC 8017 9.2), None where the key did not make it.

    A value that opens under a key was made with it, whatever content it is shown with.
    """
    try:
        with panic_is_malformed:
            key = load_der_public_key(spki)
            if not isinstance(key, rsa.RSAPublicKey) or (key.key_size + 7) // 8 != len(value):
                return None
            info = key.recover_data_from_signature(value, padding.PKCS1v15(), None)
        parts = read_one(info, "DigestInfo").expect(SEQUENCE, "DigestInfo").children()
        if len(parts) != 2:
            return None
        name, digest = digest_algorithm(parts[0]), parts[1].expect(OCTET_STRING, "digest").content
    except (*READ_ERRORS, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        return None
    return name, digest


def _readings(data: bytes) -> tuple[bytes, ...]:
    """What the file may hold: the strictest encoding that it is in, since hex digits are base64 as well; binary where it is no text."""
    text = data.strip()
    hexadecimal = _HEX.match(text)
    if hexadecimal is not None:
        return (bytes.fromhex(re.sub(rb"[:\s]", b"", hexadecimal[1]).decode("ascii")),)
    if _BASE64.match(text):
        try:
            return (binascii.a2b_base64(b"".join(text.split()), strict_mode=True),)
        except ValueError:
            return ()
    return () if _TEXT.match(data) else (data,)


def _kinds(value: bytes) -> tuple[str, ...]:
    if _is_two_numbers(value):
        return ECDSA, DSA
    if _is_pattern(value):
        return ()
    if len(value) == ED25519_BYTES:
        return (ED25519,)
    return (RSA,) if len(value) in _RSA_BYTES else ()


def _is_pattern(value: bytes) -> bool:
    steps = {(after - before) % 256 for before, after in pairwise(value)}
    return min(len(set(value)), len(steps)) < MIN_DISTINCT


def _is_two_numbers(value: bytes) -> bool:
    if value[:1] != bytes([SEQUENCE]) or len(value) > MAX_ECDSA_BYTES:
        return False
    try:
        numbers = read_one(value, "ECDSA value").children()
        return len(numbers) == 2 and all(n.tag == INTEGER and b"\0" < n.content < b"\x80" for n in numbers)
    except READ_ERRORS:
        return False


__all__ = ["DSA", "ECDSA", "ED25519", "RSA", "RSA_PKCS1", "read_value", "recovered_digest"]
