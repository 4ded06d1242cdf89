"""Messages that keys sign in other protocols: a bare value over such a message says nothing about a file that looks like it.

A minisign or signify signature of algorithm ``Ed``, a bare RSA, ECDSA or Ed25519 value and a CMS signature without attributes are over
the file alone, and state nowhere that a file is what was signed. So whoever has a value that the same key made elsewhere (in TLS, in
SSH, over a digest, inside a signature of another kind) could show the message it was made over as the file.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING

from trust_store.decode.signed_structures import signed_structure

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES = 1024 * 1024
TAIL_BYTES = 65_535 + 64
"""More than the longest hashed part of an OpenPGP signature."""
_MAX_SMALL_BYTES = 256 * 1024
DSSE = "what a DSSE signature is made over"
_DIGEST_BYTES = frozenset({20, 32, 48, 64})
_TEXT = re.compile(rb"[\t\n\r -~]*")
_JWS = re.compile(rb"(eyJ[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*\Z")
_TLS13 = re.compile(rb" {64}TLS 1\.3, (?:server|client) CertificateVerify\0")
# RFC 9052 4.4: an array of three or four that begins with the context string
_COSE = re.compile(rb"[\x84-\x86](?:\x6aSignature1|\x69Signature|\x70CounterSignature)")
_NPM = re.compile(rb"(?:@[^/@\s]{1,214}/)?[^/@:\s]{1,214}@[^@:\s]{1,256}:sha512-[A-Za-z0-9+/]{86}==\Z")
_SSH_CERTIFICATE = re.compile(rb"[a-z0-9@.-]{4,60}-cert-v0[0-9]@openssh\.com")


def foreign_message(head: bytes, tail: bytes, size: int) -> str | None:
    """What else than a file the content of ``size`` bytes is, None where it is nothing known; never raises.

    ``head`` and ``tail`` are its first HEAD_BYTES and last TAIL_BYTES, or all of it.
    """
    if _ends_as_openpgp(tail):
        return "what an OpenPGP signature is made over: content and the signature's own fields (RFC 9580 5.2.4)"
    if size > len(head):
        return None
    kind = signed_structure(head)
    if kind is not None:
        return kind
    if size > _MAX_SMALL_BYTES:
        return None
    return next((name for name, is_one in _KINDS if is_one(head)), None)


def _is_digest(data: bytes) -> bool:
    """A digest, or an SSH exchange hash (RFC 4253 8): protocols that hash first sign nothing else. No text is one by chance."""
    return len(data) in _DIGEST_BYTES and _TEXT.fullmatch(data) is None


def _is_minisign_global(data: bytes) -> bool:
    """An Ed25519 value and a line of text: what minisign's global signature is over."""
    value, comment = data[:64], data[64:]
    return (
        64 < len(data) <= 64 + 8192
        and value[63] < 0x20  # RFC 8032 5.1.7: the second half is below 2**253
        and _TEXT.fullmatch(value) is None
        and _TEXT.fullmatch(comment) is not None
        and b"\n" not in comment
    )


def _is_sshsig(data: bytes) -> bool:
    return data.startswith(b"SSHSIG\0\0")


def _is_ssh_request(data: bytes) -> bool:
    """RFC 4252 7: session identifier, SSH_MSG_USERAUTH_REQUEST, user, service, ``publickey``."""
    length = int.from_bytes(data[:4], "big")
    if length not in _DIGEST_BYTES or data[4 + length : 5 + length] != b"\x32":
        return False
    return b"\0\0\0\x09publickey\x01" in data or b"publickey-hostbound" in data


def _is_ssh_certificate(data: bytes) -> bool:
    """OpenSSH PROTOCOL.certkeys: the type as a string, and the rest."""
    end = 4 + int.from_bytes(data[:4], "big")
    return end <= 100 and _SSH_CERTIFICATE.fullmatch(data[4:end]) is not None


def _is_tls12(data: bytes) -> bool:
    """RFC 8422 5.4: two random values, and the named curve with a point that ends the message."""
    return len(data) > 68 and data[64] == 3 and len(data) == 68 + data[67]


def _is_apk_signed_data(data: bytes) -> bool:
    """APK Signature Scheme v2 and v3 "signed data": digests, certificates, (v3: two SDK versions,) attributes, each after its length."""
    digests = 4 + int.from_bytes(data[:4], "little")
    certificates = digests + 4 + int.from_bytes(data[digests : digests + 4], "little")
    if not digests + 12 < certificates <= len(data) or data[digests + 8] != 0x30:
        return False
    return any(
        at + 4 <= len(data) and len(data) == at + 4 + int.from_bytes(data[at : at + 4], "little") + rest
        for at, rest in ((certificates, 0), (certificates, 4), (certificates + 8, 0))
    )


def _is_jws(data: bytes) -> bool:
    """RFC 7515 5.1: base64url of a JSON header, a dot, base64url of the payload; nothing else."""
    match = _JWS.match(data)
    if match is None:
        return False
    try:
        header = json.loads(urlsafe_b64decode(match[1] + b"=="))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _ends_as_openpgp(tail: bytes) -> bool:
    """RFC 9580 5.2.4: the hashed fields of a signature, its version again, 0xff and how many octets the fields are."""
    version, mark, length = tail[-6:-5], tail[-5:-4], int.from_bytes(tail[-4:], "big")
    if len(tail) < 12 or mark != b"\xff" or version not in (b"\x03", b"\x04", b"\x05", b"\x06"):
        return False
    fields = tail[-6 - length : -6] if 6 <= length <= len(tail) - 6 else b""
    wide = 8 if version == b"\x06" else 6
    return fields[:1] == version and int.from_bytes(fields[4:wide], "big") == length - wide


_KINDS: tuple[tuple[str, Callable[[bytes], object]], ...] = (
    ("the digest of something else", _is_digest),
    ("a minisign signature value with its trusted comment", _is_minisign_global),
    ("what an SSH signature is made over (OpenSSH PROTOCOL.sshsig)", _is_sshsig),
    ("a request to be let in by SSH (RFC 4252 7)", _is_ssh_request),
    ("an SSH certificate", _is_ssh_certificate),
    ("the end of a TLS handshake (RFC 8446 4.4.3)", _TLS13.match),
    ("a key exchange of TLS (RFC 8422 5.4)", _is_tls12),
    ("what an APK signature is made over", _is_apk_signed_data),
    ("what a JSON Web Signature is made over (RFC 7515 5.1)", _is_jws),
    ("what a COSE signature is made over (RFC 9052 4.4)", _COSE.match),
    ("what a registry of npm signs", _NPM.match),
    (DSSE, lambda data: data.startswith(b"DSSEv1 ")),
)
