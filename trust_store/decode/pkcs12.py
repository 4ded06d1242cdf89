"""PKCS#12 (RFC 7292) as far as a truststore goes: the certificates inside. Key bags are never decrypted.

Own code because a general reader computes whatever iteration counts the file states, also those of keys nobody asked for. Here
every count is capped before anything is derived.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from trust_store.decode import asn1
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PKCS12_BYTES = 8 * 1024 * 1024
MAX_ITERATIONS = 250_000
MAX_TOTAL_ITERATIONS = 1_000_000
MAX_BAGS = 4096
MAX_PARTS = 64
MAX_PASSWORD_BYTES = 1024
_DATA, _ENCRYPTED, _SIGNED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6", "1.2.840.113549.1.7.2"
_CERT_BAG, _X509 = "1.2.840.113549.1.12.10.1.3", "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME, _LOCAL_KEY_ID = "1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"
_TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
_PBES2, _PBKDF2, _PBE_3DES = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12", "1.2.840.113549.1.12.1.3"
_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_PRFS = {f"1.2.840.113549.2.{n}": name for n, name in ((7, "sha1"), (9, "sha256"), (10, "sha384"), (11, "sha512"))}
_AES_BYTES = {f"2.16.840.1.101.3.4.1.{n}": size for n, size in ((2, 16), (22, 24), (42, 32))}
_BMP_STRING, _CONTEXT_0, _CONSTRUCTED_OCTETS = 0x1E, 0xA0, 0x24
_FOR_KEY, _FOR_IV, _FOR_MAC = 1, 2, 3
CONVERT = "'openssl pkcs12 -in FILE -nokeys -legacy -out FILE.pem' writes its certificates as PEM"


@dataclass(frozen=True, slots=True)
class CertificateBag:
    """One certificate: its DER, its alias, whether it belongs to a private key of the file, and Java's trusted usages (OIDs)."""

    der: bytes
    alias: str
    of_private_key: bool
    trusted_usages: tuple[str, ...] | None


def read_certificates(data: bytes, passwords: Iterable[str]) -> tuple[CertificateBag, ...]:
    """Every certificate bag, opened with the first of ``passwords`` that fits.

    Raises MalformedError (also where none fits), ResourceLimitError, UnsupportedError.
    """
    if len(data) > MAX_PKCS12_BYTES:
        raise ResourceLimitError(f"a PKCS#12 file of {len(data)} bytes")
    fields = asn1.read_one(data, "PKCS#12").expect(asn1.SEQUENCE, "PKCS#12").children()
    if len(fields) not in (2, 3) or fields[0].integer("version") != 3:  # RFC 7292 section 4
        raise UnsupportedError("no PKCS#12 of version 3; a private key by itself is not read")
    content = _data(fields[1])
    opening = _Opening()
    candidates = [p for p in passwords if len(p.encode("utf-8", "surrogateescape")) <= MAX_PASSWORD_BYTES]
    if len(fields) == 3:
        candidates = [p for p in candidates if opening.mac_holds(fields[2], content, p)][:1]
        if not candidates:
            raise MalformedError("PKCS#12: the password does not open it (or it was altered)")
    parts = asn1.read_one(content, "authenticated safe").expect(asn1.SEQUENCE, "authenticated safe").children()
    if len(parts) > MAX_PARTS:
        raise ResourceLimitError(f"a PKCS#12 file of more than {MAX_PARTS} parts")
    found = [bag for part in parts for bag in _bags(opening.open(part, candidates))]
    if len(found) > MAX_BAGS:
        raise ResourceLimitError(f"more than {MAX_BAGS} certificates in one PKCS#12 file")
    return tuple(found)


def derive(purpose: int, digest: str, password: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """``length`` bytes of key material by RFC 7292 appendix B.2 (``password`` as B.1 writes it)."""
    block = hashlib.new(digest).block_size
    diversifier = bytes([purpose]) * block
    salted = _repeated(salt, block) + _repeated(password, block)
    found = b""
    while len(found) < length:
        part = diversifier + salted
        for _ in range(iterations):
            part = hashlib.new(digest, part).digest()
        found += part
        added = int.from_bytes((part * (block // len(part) + 1))[:block], "big") + 1
        salted = b"".join(
            ((int.from_bytes(salted[i : i + block], "big") + added) % (1 << 8 * block)).to_bytes(block, "big")
            for i in range(0, len(salted), block)
        )
    return found[:length]


def _repeated(value: bytes, block: int) -> bytes:
    length = -(-len(value) // block) * block
    return (value * (length // len(value) + 1))[:length] if value else b""


class _Opening:
    """Opens one file: spends a budget of iterations, whatever is tried."""

    def __init__(self) -> None:
        self._left = MAX_TOTAL_ITERATIONS

    def mac_holds(self, mac: asn1.Element, content: bytes, password: str) -> bool:
        """Whether the MAC (RFC 7292 section 4, MacData) is right under the password; an empty one is written in two ways."""
        fields = mac.expect(asn1.SEQUENCE, "MAC").children()
        if not 2 <= len(fields) <= 3:
            raise MalformedError("PKCS#12: a MAC is a digest, a salt and a count")
        info = fields[0].expect(asn1.SEQUENCE, "MAC digest").children()
        digest = _DIGESTS.get(_algorithm(info[0] if info else fields[0])[0])
        if digest is None or len(info) != 2:
            raise UnsupportedError(f"a PKCS#12 file with another MAC than HMAC by RFC 7292; {CONVERT}")
        said = info[1].expect(asn1.OCTET_STRING, "MAC value").content
        salt = fields[1].expect(asn1.OCTET_STRING, "MAC salt").content
        rounds = fields[2].integer("MAC iterations") if len(fields) == 3 else 1
        size = hashlib.new(digest).digest_size
        for encoded in _encodings(password):
            key = derive(_FOR_MAC, digest, encoded, _capped(salt), self._spend(rounds), size)
            if hmac.compare_digest(hmac.digest(key, content, digest), said):
                return True
        return False

    def open(self, part: asn1.Element, passwords: list[str]) -> bytes:
        """The SafeContents of one ContentInfo."""
        kind, inner = _content_info(part)
        if kind == _DATA:
            return _octets(inner)
        if kind != _ENCRYPTED:
            raise UnsupportedError(f"a PKCS#12 part of type {kind}; {CONVERT}")
        fields = inner.expect(asn1.SEQUENCE, "encrypted data").children()
        encrypted = fields[1].expect(asn1.SEQUENCE, "encrypted content").children() if len(fields) >= 2 else ()
        if len(encrypted) != 3 or encrypted[0].oid("content type") != _DATA:
            raise MalformedError("PKCS#12: an encrypted part without content")
        cipher = encrypted[2]
        text = _octets(cipher) if cipher.tag == _CONTEXT_0 else cipher.expect(0x80, "encrypted content").content
        for password in passwords:
            for encoded in _encodings(password):
                plain = self._decrypt(encrypted[1], text, password.encode("utf-8", "surrogateescape"), encoded)
                if plain is not None:
                    return plain
        raise MalformedError("PKCS#12: the password does not open it")

    def _decrypt(self, algorithm: asn1.Element, text: bytes, password: bytes, encoded: bytes) -> bytes | None:
        """The plain SafeContents, or None where the padding or the structure says that the password is another one."""
        name, parameters = _algorithm(algorithm)
        if name == _PBES2 and parameters is not None:
            key, vector = self._pbes2(parameters, password)
            cipher = Cipher(AES(key), CBC(vector))
        elif name == _PBE_3DES and parameters is not None:
            from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

            salt, rounds = self._salt_and_rounds(parameters)
            self._spend(rounds)  # a key of 24 bytes takes two runs of SHA-1
            self._spend(rounds)
            key = derive(_FOR_KEY, "sha1", encoded, salt, rounds, 24)
            cipher = Cipher(TripleDES(key), CBC(derive(_FOR_IV, "sha1", encoded, salt, rounds, 8)))
        else:
            raise UnsupportedError(f"a PKCS#12 file encrypted in a way that is not read ({name}); {CONVERT}")
        try:
            decryptor, unpadder = cipher.decryptor(), PKCS7(cipher.algorithm.block_size).unpadder()  # type: ignore[attr-defined]
            padded = decryptor.update(text) + decryptor.finalize()
            plain: bytes = unpadder.update(padded) + unpadder.finalize()
            asn1.read_one(plain, "safe contents").expect(asn1.SEQUENCE, "safe contents")
        except (ValueError, MalformedError, ResourceLimitError):
            return None
        return plain

    def _pbes2(self, parameters: asn1.Element, password: bytes) -> tuple[bytes, bytes]:
        """(key, initialisation vector) by RFC 8018 section 6.2."""
        parts = parameters.expect(asn1.SEQUENCE, "PBES2").children()
        if len(parts) != 2:
            raise MalformedError("PKCS#12: PBES2 is a key derivation and a cipher")
        (kdf, kdf_parameters), (scheme, vector) = (_algorithm(p) for p in parts)
        if kdf != _PBKDF2 or kdf_parameters is None or vector is None or scheme not in _AES_BYTES:
            raise UnsupportedError(f"a PKCS#12 file encrypted in a way that is not read ({kdf}, {scheme}); {CONVERT}")
        salt, rounds = self._salt_and_rounds(kdf_parameters)
        prf = "sha1"
        for field in kdf_parameters.children()[2:]:
            if field.tag == asn1.SEQUENCE:
                prf = _PRFS.get(_algorithm(field)[0], "")
        if not prf:
            raise UnsupportedError(f"a PKCS#12 file with an unknown pseudo-random function; {CONVERT}")
        octets = vector.expect(asn1.OCTET_STRING, "initialisation vector").content
        if len(octets) != 16:
            raise MalformedError("PKCS#12: an initialisation vector that is not a block")
        return hashlib.pbkdf2_hmac(prf, password, salt, rounds, _AES_BYTES[scheme]), octets

    def _salt_and_rounds(self, parameters: asn1.Element) -> tuple[bytes, int]:
        fields = parameters.expect(asn1.SEQUENCE, "parameters").children()
        if len(fields) < 2:
            raise MalformedError("PKCS#12: a key derivation without salt or count")
        salt = fields[0].expect(asn1.OCTET_STRING, "salt").content
        return _capped(salt), self._spend(fields[1].integer("iterations"))

    def _spend(self, rounds: int) -> int:
        if rounds < 1:
            raise MalformedError("PKCS#12: a count of iterations below 1")
        self._left -= rounds
        if rounds > MAX_ITERATIONS or self._left < 0:
            raise ResourceLimitError(f"PKCS#12: {rounds} iterations; at most {MAX_ITERATIONS} are computed")
        return rounds


def _encodings(password: str) -> tuple[bytes, ...]:
    """The password as a BMPString with its final zero (RFC 7292 B.1); programs disagree whether an empty one has it."""
    encoded = password.encode("utf-16-be", "surrogatepass") + b"\0\0"
    return (encoded,) if password else (encoded, b"")


def _capped(salt: bytes) -> bytes:
    if len(salt) > 1024:
        raise ResourceLimitError(f"PKCS#12: a salt of {len(salt)} bytes")
    return salt


def _algorithm(element: asn1.Element) -> tuple[str, asn1.Element | None]:
    fields = element.expect(asn1.SEQUENCE, "algorithm").children()
    if not 1 <= len(fields) <= 2:
        raise MalformedError("PKCS#12: an algorithm is a name and parameters")
    return fields[0].oid("algorithm"), fields[1] if len(fields) == 2 else None


def _content_info(element: asn1.Element) -> tuple[str, asn1.Element]:
    fields = element.expect(asn1.SEQUENCE, "content info").children()
    if len(fields) != 2 or len(fields[1].expect(_CONTEXT_0, "content").children()) != 1:
        raise MalformedError("PKCS#12: a content info without content")
    return fields[0].oid("content type"), fields[1].children()[0]


def _data(element: asn1.Element) -> bytes:
    kind, inner = _content_info(element)
    if kind == _SIGNED:
        raise UnsupportedError(f"a PKCS#12 file that is signed instead of locked with a password; {CONVERT}")
    if kind != _DATA:
        raise MalformedError("PKCS#12: an authenticated safe that is no data")
    return _octets(inner)


def _octets(element: asn1.Element) -> bytes:
    """An octet string, in BER perhaps in pieces (X.690 8.7)."""
    if element.tag == asn1.OCTET_STRING:
        return element.content
    if element.tag not in (_CONSTRUCTED_OCTETS, _CONTEXT_0):
        raise MalformedError(f"PKCS#12: an octet string of tag {element.tag:#04x}")
    return b"".join(child.expect(asn1.OCTET_STRING, "octet string").content for child in element.children())


def _bags(safe: bytes) -> list[CertificateBag]:
    """The certificate bags of a SafeContents (RFC 7292 4.2); other bags hold no trust."""
    found: list[CertificateBag] = []
    for bag in asn1.read_one(safe, "safe contents").expect(asn1.SEQUENCE, "safe contents").children():
        fields = bag.expect(asn1.SEQUENCE, "bag").children()
        if not 2 <= len(fields) <= 3:
            raise MalformedError("PKCS#12: a bag is a type, a value and attributes")
        if fields[0].oid("bag type") != _CERT_BAG:
            continue
        inner = fields[1].expect(_CONTEXT_0, "bag value").children()
        parts = inner[0].expect(asn1.SEQUENCE, "certificate bag").children() if len(inner) == 1 else ()
        if len(parts) != 2:
            raise MalformedError("PKCS#12: a certificate bag is a type and a value")
        if parts[0].oid("certificate type") != _X509:
            continue
        value = parts[1].expect(_CONTEXT_0, "certificate").children()
        if len(value) != 1:
            raise MalformedError("PKCS#12: a certificate bag without certificate")
        attributes = _attributes(fields[2]) if len(fields) == 3 else {}
        found.append(_bag(_octets(value[0]), attributes))
    return found


def _bag(der: bytes, attributes: dict[str, tuple[asn1.Element, ...]]) -> CertificateBag:
    name = attributes.get(_FRIENDLY_NAME, ())
    alias = name[0].content.decode("utf-16-be", "replace") if name and name[0].tag == _BMP_STRING else ""
    usages = attributes.get(_TRUSTED_KEY_USAGE)
    oids = None if usages is None else tuple(u.oid("trusted usage") for u in usages[:100])
    return CertificateBag(der, alias, _LOCAL_KEY_ID in attributes, oids)


def _attributes(element: asn1.Element) -> dict[str, tuple[asn1.Element, ...]]:
    found: dict[str, tuple[asn1.Element, ...]] = {}
    for attribute in element.expect(asn1.SET, "bag attributes").children():
        fields = attribute.expect(asn1.SEQUENCE, "bag attribute").children()
        if len(fields) != 2 or fields[0].oid("attribute") in found:
            raise MalformedError("PKCS#12: an attribute without values, or twice")
        found[fields[0].oid("attribute")] = fields[1].expect(asn1.SET, "attribute values").children()
    return found
