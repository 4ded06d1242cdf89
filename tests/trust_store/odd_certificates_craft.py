"""Certificates put together octet by octet, each odd in one place and properly signed, so that the odd part is what is looked at."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.trust_store.package_craft import tlv

CODE, STAMPS, STATUS = "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9"
ECDSA = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
TIMES = tlv(0x30, b"\x17\x0d200101000000Z", b"\x17\x0d400101000000Z")
OBJECT = {
    "subject key": "551d0e", "authority key": "551d23", "names": "551d11", "issuer names": "551d12", "basic": "551d13",
    "usage": "551d0f", "purposes": "551d25", "constraints": "551d1e", "policies": "551d20", "mappings": "551d21",
    "policy constraints": "551d24", "inhibit any": "551d36", "points": "551d1f", "freshest": "551d2e",
    "access": "2b06010505070101", "unknown": "2a030405",
}  # fmt: skip
LONG_OID = tlv(0x06, b"\x2a" + b"\x81" * 80 + b"\x01")
X400, EDI, OTHER = (
    tlv(0xA3, tlv(0x30)),
    tlv(0xA5, tlv(0xA1, b"\x0c\x01a")),
    tlv(0xA0, b"\x06\x03\x2a\x03\x04", tlv(0xA0)),
)
DIRECTORY_NAME = tlv(0xA4, tlv(0x30))
NAMES = (
    X400, EDI, OTHER, tlv(0x82, b"\xff"), tlv(0x82), tlv(0x82, b"*." * 200), tlv(0x81, b"@@"), tlv(0x86, b"http://["),
    tlv(0x87, b"abc"), tlv(0x87, bytes(8)), tlv(0x87, b"\x01\x02\x03\x04\xff\x00\xff\x00"), DIRECTORY_NAME,
    tlv(0xA4, tlv(0x30, tlv(0x31))), tlv(0x88, b"\x2a\x03"), tlv(0x89, b"x"), tlv(0x9F, b"x"),
)  # fmt: skip
VALUES = (
    b"",
    b"\x30",
    b"\x30\x80\x00\x00",
    b"\x05\x00",
    tlv(0x30),
    tlv(0x30, tlv(0x30)),
    tlv(0x30, tlv(0xA0)),
    b"\x04\x80",
    tlv(0x02, b"\xff"),
)
ODD_VALUES: dict[str, tuple[bytes, ...]] = {
    "subject key": (tlv(0x04), tlv(0x04, bytes(300)), b"\x24\x80\x00\x00"),
    "authority key": (
        *(tlv(0x30, tlv(0xA1, name), tlv(0x82, b"\x01")) for name in NAMES), tlv(0x30, tlv(0x82, b"\x01")),
        tlv(0x30, tlv(0xA1, DIRECTORY_NAME)), tlv(0x30, tlv(0x80), tlv(0xA1, DIRECTORY_NAME), tlv(0x82, b"\xff" * 99)),
    ),
    "names": tuple(tlv(0x30, name) for name in NAMES),
    "issuer names": tuple(tlv(0x30, name) for name in NAMES),
    "basic": (tlv(0x30, b"\x01\x01\xff", tlv(0x02, b"\xff")), tlv(0x30, b"\x01\x01\xff", tlv(0x02, b"\x7f" * 20)),
              tlv(0x30, b"\x01\x01\x05")),
    "usage": (tlv(0x03), tlv(0x03, b"\x00"), tlv(0x03, b"\x09\xff"), tlv(0x03, b"\x00\x00\xff")),
    "purposes": (tlv(0x30, LONG_OID), tlv(0x30, tlv(0x06)), tlv(0x30, tlv(0x06, b"\x80\x01"))),
    "constraints": (
        *(tlv(0x30, tlv(kind, tlv(0x30, name))) for kind in (0xA0, 0xA1) for name in NAMES),
        tlv(0x30, tlv(0xA0, tlv(0x30, DIRECTORY_NAME, tlv(0x80, b"\x01")))), tlv(0x30, tlv(0xA0), tlv(0xA1)),
    ),
    "policies": (
        tlv(0x30, tlv(0x30, LONG_OID)), tlv(0x30, *[tlv(0x30, b"\x06\x01\x2a")] * 2),
        tlv(0x30, tlv(0x30, b"\x06\x01\x2a", tlv(0x30, tlv(0x30, b"\x06\x08\x2b\x06\x01\x05\x05\x07\x02\x02", tlv(0x30))))),
    ),
    "mappings": (tlv(0x30, tlv(0x30, b"\x06\x01\x2a")), tlv(0x30, tlv(0x30, b"\x06\x04\x55\x1d\x20\x00", b"\x06\x01\x2a"))),
    "policy constraints": (tlv(0x30, tlv(0x80, b"\xff")), tlv(0x30, tlv(0x80, b"\x7f" * 20)), tlv(0x30, tlv(0x81))),
    "inhibit any": (tlv(0x02, b"\x7f" * 20), tlv(0x02)),
    "points": (
        *(tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, name)))) for name in NAMES),
        *(tlv(0x30, tlv(0x30, tlv(0xA2, name))) for name in NAMES), tlv(0x30, tlv(0x30, tlv(0x81, b"\x08\xff"))),
        tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA1, tlv(0x30))))), tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA1)), tlv(0xA2, DIRECTORY_NAME))),
    ),
    "freshest": tuple(tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, name)))) for name in NAMES),
    "access": tuple(tlv(0x30, tlv(0x30, b"\x06\x01\x2a", name)) for name in NAMES),
    "unknown": (),
}  # fmt: skip


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    """One Extension."""
    return tlv(0x30, tlv(0x06, bytes.fromhex(OBJECT[kind])), b"\x01\x01\xff" if critical else b"", tlv(0x04, value))


def dn(common: str) -> bytes:
    """CN=common."""
    return tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x03\x55\x04\x03", tlv(0x0C, common.encode()))))


def spki(key: Any) -> bytes:
    """The public key in DER."""
    found: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found


def key_identifier(key: Any) -> bytes:
    """What the subject key identifier of that key is here."""
    return hashlib.sha256(spki(key)).digest()[:20]


def certificate(subject: str, issuer: str, key: Any, signer: Any, purpose: str | None, /, **odd: Any) -> bytes:
    """A certificate signed by ``signer``; ``purpose`` None is a CA. ``odd`` replaces a part, or an extension by its kind."""
    replaced = odd.pop("extensions", {})
    ca = purpose is None
    plain = {
        "subject key": (tlv(0x04, key_identifier(key)), False),
        "basic": (tlv(0x30, b"\x01\x01\xff") if ca else tlv(0x30), True),
        **({} if purpose is None else {"purposes": (tlv(0x30, _oid(purpose)), purpose == STAMPS)}),
    }
    every = [extension(kind, value, critical=critical) for kind, (value, critical) in (plain | replaced).items()]
    every = odd.pop("whole", lambda listed: listed)(every)
    parts = {
        "version": tlv(0xA0, b"\x02\x01\x02"), "serial": b"\x02\x01\x05", "algorithm": ECDSA, "issuer": dn(issuer),
        "times": TIMES, "subject": dn(subject), "spki": spki(key), "unique": b"", "listed": tlv(0xA3, tlv(0x30, *every)),
    } | odd  # fmt: skip
    tbs = tlv(0x30, *parts.values())
    return tlv(0x30, tbs, parts["algorithm"], tlv(0x03, b"\0", signer.sign(tbs, ec.ECDSA(hashes.SHA256()))))


def _oid(dotted: str) -> bytes:
    arcs = [int(arc) for arc in dotted.split(".")]
    return tlv(0x06, bytes([arcs[0] * 40 + arcs[1], *arcs[2:]]))  # every arc in use here is short


def oddities() -> dict[str, dict[str, Any]]:
    """By name: what to hand to ``certificate``."""
    found: dict[str, dict[str, Any]] = {"nothing odd": {}}
    serials = {
        "huge": b"\x7f" * 65,
        "enormous": b"\x7f" * 300,
        "negative": b"\xff" * 3,
        "zero": b"\0",
        "padded": b"\0\0\x05",
        "empty": b"",
    }
    found |= {f"serial {name}": {"serial": tlv(0x02, value)} for name, value in serials.items()}
    found |= {f"version {n}": {"version": tlv(0xA0, tlv(0x02, bytes([n])))} for n in (0, 1, 3, 9)}
    found |= {
        "version absent": {"version": b""},
        "version 1": {"version": b"", "listed": b""},
        "version 2": {"version": tlv(0xA0, b"\x02\x01\x01"), "listed": b""},
    }
    found |= {f"{part} odd {n}": {part: name} for part in ("subject", "issuer") for n, name in enumerate(_names())}
    found |= {f"key odd {n}": {"spki": value} for n, value in enumerate(_keys())}
    found |= {f"times odd {n}": {"times": value} for n, value in enumerate(_times())}
    found |= {
        "unique identifiers": {"unique": b"\x81\x01\x00\x82\x01\x00"},
        "no extensions": {"listed": tlv(0xA3, tlv(0x30))},
    }
    found |= {"extensions no list": {"listed": tlv(0xA3)}, "extensions twice": {"whole": lambda listed: listed * 2}}
    found |= {"extension cut short": {"whole": lambda listed: [tlv(0x30), *listed]}}
    found |= {"extensions reversed": {"whole": lambda listed: listed[::-1]}}
    for kind, values in ODD_VALUES.items():
        for critical in (False, True):
            for n, value in enumerate((*VALUES, *values)):
                found[f"{kind} {n}{' critical' * critical}"] = {"extensions": {kind: (value, critical)}}
    # A key identifier that is broken, behind a general name that the library does not read.
    hidden = {"authority key": (tlv(0x30, tlv(0xA1, X400), tlv(0x82, b"\x01")), False)}
    found["broken identifier behind a name that is not read"] = {
        "extensions": {**hidden, "subject key": (b"\x04\x05", False)}, "whole": lambda listed: [*listed[1:], listed[0]],
    }  # fmt: skip
    return found


def _names() -> tuple[bytes, ...]:
    def one(tag: int, value: bytes, kind: bytes = b"\x06\x03\x55\x04\x03") -> bytes:
        return tlv(0x30, tlv(0x31, tlv(0x30, kind, tlv(tag, value))))

    return (
        tlv(0x30), tlv(0x30, tlv(0x31)), one(0x0C, b"\xff\xfe"), one(0x0C, b""), one(0x13, b"\xff"), one(0x1E, b"abc"),
        one(0x1C, b"\xff\xff\xff\xff"), one(0x14, b"\xe9"), one(0x03, b"\0ab"), one(0x30, b""), one(0x0C, b"a" * 5000),
        one(0x0C, b"x", LONG_OID), one(0x0C, b"x", b"\x06\x03\x55\x04\x06"), one(0x16, b"@@", bytes.fromhex("06092a864886f70d010901")),
        one(0x0C, "a\u0300\u0316\ufdfa\u200b".encode() * 50), tlv(0x30, tlv(0x31, *[tlv(0x30, b"\x06\x03\x55\x04\x03", b"\x0c\x01a")] * 2)),
    )  # fmt: skip


def _keys() -> tuple[bytes, ...]:
    curve = bytes.fromhex("06072a8648ce3d0201")
    p256 = bytes.fromhex("06082a8648ce3d030107")
    encryption = bytes.fromhex("06092a864886f70d0101010500")
    huge = rsa.RSAPublicNumbers(2**63 + 1, 2**17000 + 1).public_key()
    return (
        tlv(0x30), tlv(0x30, tlv(0x30)), tlv(0x30, tlv(0x30, b"\x06\x01\x2a"), tlv(0x03, b"\0")),
        tlv(0x30, tlv(0x30, curve, p256), tlv(0x03, b"\0\x04" + bytes(64))), tlv(0x30, tlv(0x30, curve, p256), tlv(0x03, b"\0\x00")),
        tlv(0x30, tlv(0x30, curve, b"\x05\x00"), tlv(0x03, b"\0\x04" + bytes(64))),
        tlv(0x30, tlv(0x30, curve, tlv(0x30)), tlv(0x03, b"\0")), tlv(0x30, tlv(0x30, encryption), tlv(0x03, b"\0", tlv(0x30))),
        tlv(0x30, tlv(0x30, encryption), tlv(0x03, b"\0", tlv(0x30, tlv(0x02, b"\0"), tlv(0x02, b"\0")))),
        tlv(0x30, tlv(0x30, encryption), tlv(0x03, b"\0", tlv(0x30, tlv(0x02, b"\xff"), tlv(0x02, b"\x03")))),
        tlv(0x30, tlv(0x30, encryption), tlv(0x03)),
        tlv(0x30, tlv(0x30, LONG_OID), tlv(0x03, b"\0")), tlv(0x30, tlv(0x30, bytes.fromhex("06032b6570")), tlv(0x03, b"\0\x01")),
        huge.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    )  # fmt: skip


def _times() -> tuple[bytes, ...]:
    values = (
        (b"\x18\x0f00000101000000Z", b"\x18\x0f99991231235959Z"), (b"\x18\x0f00010101000000Z", b"\x18\x0f99991231235959Z"),
        (b"\x17\x0d991301000000Z", b"\x17\x0d400101000000Z"), (b"\x17\x0b2001010000Z", b"\x17\x0d400101000000Z"), (b"\x17\x00", b""),
        (b"\x17\x0d400101000000Z", b"\x17\x0d200101000000Z"), (b"\x05\x00", b"\x05\x00"),
        (b"\x18\x13202001010000.000+0", b"\x17\x0d400101000000Z"),
    )  # fmt: skip
    return tuple(tlv(0x30, *pair) for pair in values)
