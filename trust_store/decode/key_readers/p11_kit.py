"""p11-kit's own files (``.p11-kit``, what ``trust dump`` prints): certificates with trust, distrust and stapled usages.

https://p11-glue.github.io/p11-glue/p11-kit/manual/ ("Storing Trust Policy", persist format): ini-like objects of attributes, each
followed by PEM. A stapled extension belongs to the certificates that have its public key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from trust_store.decode import asn1
from trust_store.decode.certificate_keys import CODE_SIGNING, certificate_material, purposes_of
from trust_store.decode.key_readers.protocol import MAX_KEYS_PER_FILE, MAX_LEFT_OUT, KeyFile, Reading
from trust_store.decode.x509 import decode_certificates, load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.trust_anchor import Constraints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate
    from trust_store.model.key_material import KeyMaterial

MAX_ATTRIBUTES = 64
MAX_BLOCK_BYTES = 96 * 1024
"""Of PEM in one object: a certificate of the largest size that is read."""
_HEADER = b"[p11-kit-object-v1]"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_REJECTED_USAGE = "1.3.6.1.4.1.3319.6.10.1"
"""p11-kit's own extension: what OpenSSL's trust settings reject."""
_HARMLESS = frozenset({"2.5.29.14"})
"""A subject key identifier limits nothing."""
_DERIVED = frozenset({"x-certificate-extension", "nss-builtin-root-list", "nss-trust", "x-trust-assertion"})
"""What is read elsewhere, or what p11-kit itself computes from the certificates for other programs."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s++[A-Za-z0-9+/=\s]*+-----END \1-----")


@dataclass(slots=True)
class _Object:
    """One object: its attributes by name and the PEM behind them."""

    attributes: dict[str, str] = field(default_factory=dict)
    pem: bytes = b""

    def true(self, name: str) -> bool:
        value = self.attributes.get(name, "false")
        if value not in ("true", "false"):
            raise MalformedError(f"p11-kit: {name} is {value[:40]!r}, neither true nor false")
        return value == "true"


class P11KitReader:
    """Objects of the persist format."""

    NAME = "p11-kit trust file"

    def recognises(self, file: KeyFile, /) -> bool:
        """The header of an object at a line's begin."""
        return file.data.startswith(_HEADER) or b"\n" + _HEADER in file.data

    def read(self, file: KeyFile, /) -> Reading:
        """Every certificate, with its usages; distrust without a certificate (issuer and serial number) is left out and named."""
        objects = _objects(file.data)
        stapled = _stapled(objects)
        found: dict[str, KeyMaterial] = {}
        left_out: list[str] = []
        for item in objects:
            kind = item.attributes.get("class", "certificate")
            if kind in _DERIVED:
                continue
            certificates = _certificates(item) if kind == "certificate" else ()
            if not certificates:
                what = (
                    "a distrusted issuer and serial number"
                    if item.true("x-distrusted")
                    else f"an object of class {kind[:60]!r}"
                )
                left_out.append(f"{what} without a certificate")
            for certificate in certificates:
                key = _key(item, certificate, stapled.get(certificate.spki, {}))
                if isinstance(key, str):
                    left_out.append(f"{certificate.subject[:200]}: {key}")
                # whoever distrusts it anywhere in the file is heard
                elif key.distrusted or certificate.sha256 not in found:
                    found[certificate.sha256] = key
        if len(found) > MAX_KEYS_PER_FILE or len(left_out) > MAX_LEFT_OUT:
            raise ResourceLimitError(f"more than {MAX_KEYS_PER_FILE} certificates in one file")
        if not found:
            raise UnsupportedError(left_out[0] if left_out else "no certificate in it")
        return Reading(tuple(found.values()), tuple(left_out))


def _objects(data: bytes) -> list[_Object]:
    found: list[_Object] = []
    within: bytes | None = None
    for raw in data.split(b"\n"):
        line = raw.strip()
        if within is not None:
            if len(found[-1].pem) > MAX_BLOCK_BYTES:
                raise ResourceLimitError(f"p11-kit: a block of more than {MAX_BLOCK_BYTES} bytes")
            found[-1].pem += line + b"\n"
            within = None if line == within else within
        elif line == _HEADER:
            found.append(_Object())
            if len(found) > 2 * MAX_KEYS_PER_FILE:
                raise ResourceLimitError("too many objects in one p11-kit file")
        elif not line or line.startswith(b"#"):
            continue
        elif not found:
            raise MalformedError("p11-kit: something stands before the first object")
        elif line.startswith(b"-----BEGIN ") and line.endswith(b"-----"):
            if found[-1].pem:
                raise MalformedError("p11-kit: an object with two blocks")
            found[-1].pem = line + b"\n"
            within = b"-----END " + line[len(b"-----BEGIN ") :]
        else:
            _attribute(found[-1], line)
    if within is not None:
        raise MalformedError("p11-kit: a block is cut short")
    return found


def _attribute(item: _Object, line: bytes) -> None:
    try:
        name, mark, value = line.decode().partition(":")
    except UnicodeDecodeError as error:
        raise MalformedError("p11-kit: an attribute that is no text") from error
    name = name.strip()
    if not mark or name in item.attributes or len(item.attributes) >= MAX_ATTRIBUTES:
        raise MalformedError(f"p11-kit: {name[:60]!r} is no attribute, stands twice or is one too many")
    item.attributes[name] = value.strip()


def _value(item: _Object, name: str) -> bytes | None:
    """A percent-encoded attribute in its double quotes."""
    text = item.attributes.get(name)
    if text is None or text == "false":
        return None
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        raise MalformedError(f"p11-kit: {name} is not in double quotes")
    return unquote_to_bytes(text[1:-1])


def _certificates(item: _Object) -> tuple[Certificate, ...]:
    value = _value(item, "value")
    if value:
        return (load_certificate(value),)
    block = _BLOCK.match(item.pem)
    if block is None:
        return ()
    if block[1] == b"CERTIFICATE":
        return decode_certificates(item.pem)
    raise UnsupportedError(f"p11-kit: a block {block[1].decode()!r}")


def _stapled(objects: Iterable[_Object]) -> dict[bytes, dict[str, bytes]]:
    """Stapled extensions, by OID, of each SubjectPublicKeyInfo."""
    found: dict[bytes, dict[str, bytes]] = {}
    for item in objects:
        if item.attributes.get("class") != "x-certificate-extension":
            continue
        key, value, oid = _public_key(item), _value(item, "value"), item.attributes.get("object-id")
        if key is None or value is None or oid is None:
            raise MalformedError("p11-kit: a stapled extension without its key, name or value")
        if oid in found.setdefault(key, {}):
            raise MalformedError("p11-kit: an extension is stapled twice to one key")
        found[key][oid] = value
    return found


def _public_key(item: _Object) -> bytes | None:
    import binascii

    block = _BLOCK.match(item.pem)
    if block is None or block[1] != b"PUBLIC KEY":
        return _value(item, "public-key-info")
    body = item.pem.split(b"\n", 1)[1].rsplit(b"-----END", 1)[0]
    try:
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"p11-kit: {error}") from error


def _usages(extension: bytes, oid: str) -> tuple[str, ...]:
    """The OIDs of an Extension (RFC 5280 4.1) ``oid`` whose value is a list of usages (4.2.1.12)."""
    parts = asn1.read_one(extension, "stapled extension").expect(asn1.SEQUENCE, "stapled extension").children()
    if len(parts) not in (2, 3) or parts[0].oid("extension") != oid:
        raise MalformedError("p11-kit: a stapled usage that is another extension")
    inner = asn1.read_one(parts[-1].expect(asn1.OCTET_STRING, "extension value").content, "extended key usage")
    return tuple(child.oid("usage") for child in inner.expect(asn1.SEQUENCE, "extended key usage").children()[:100])


def _key(item: _Object, certificate: Certificate, stapled: dict[str, bytes]) -> KeyMaterial | str:
    """The certificate with its limits, or why it is none to propose."""
    distrusted = item.true("x-distrusted")
    if not distrusted and not item.true("trusted"):
        return "neither trusted nor distrusted there"
    unread = sorted(set(stapled) - {_EXTENDED_KEY_USAGE, _REJECTED_USAGE, *_HARMLESS})
    if unread and not distrusted:
        return f"limited by a stapled extension {unread[0][:60]} that is not taken over"
    usages = (
        _usages(stapled[_EXTENDED_KEY_USAGE], _EXTENDED_KEY_USAGE)
        if _EXTENDED_KEY_USAGE in stapled
        else (CODE_SIGNING,)
    )
    rejected = _usages(stapled[_REJECTED_USAGE], _REJECTED_USAGE) if _REJECTED_USAGE in stapled else ()
    # An empty list of usages is p11-kit's way to say "for nothing".
    purposes = purposes_of(usages, rejected)
    moments = [m for n in ("nss-server-distrust-after", "nss-email-distrust-after") if (m := _moment(_value(item, n)))]
    limits = Constraints(purposes=purposes or Constraints().purposes, distrust_after=min(moments, default=None))
    return certificate_material(certificate, constraints=limits, distrusted=distrusted or not purposes)


def _moment(value: bytes | None) -> datetime | None:
    """A UTCTime's content, ``YYMMDDHHMMSSZ``."""
    if not value:
        return None
    try:
        return datetime.strptime(value.decode("ascii"), "%y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError("p11-kit: a distrust time that is no UTCTime") from error
