"""Keys in a channel's bytes: what they are called, and which of them are worth proposing. Pure; nothing here trusts any."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trust_store.decode.x509 import decode_certificates
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.model.certificate import Certificate
from trust_store.model.claim import Authority, Proposal
from trust_store.model.identifiers import Identifier, IdentifierKind, normalise_hex
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trust_store.model.claim import ClaimKey
    from trust_store.model.openpgp_key import OpenPGPKey

    Key = Certificate | OpenPGPKey

MAX_KEYS = 32
KEY_FILE_SUFFIXES = (".asc", ".cer", ".crt", ".der", ".gpg", ".key", ".p7b", ".pem")
_OPENPGP_SUFFIXES = (".asc", ".gpg", ".key")


def is_key_file(url: str) -> bool:
    """Whether the path of ``url`` ends like a file that holds certificates or OpenPGP keys."""
    return urlsplit(url).path.lower().endswith(KEY_FILE_SUFFIXES)


def read_keys(data: bytes, name: str = "") -> tuple[Key, ...]:
    """Every certificate or OpenPGP key in ``data``, at most MAX_KEYS; raises MalformedError where there is none.

    What the bytes begin with decides; only where they do not tell does the ending of ``name``.
    """
    from trust_store.decode.openpgp import load_keys  # not for those who only name keys

    head = data[:65536]
    openpgp_first = b"-----BEGIN PGP" in head or (
        b"-----BEGIN" not in head and name.lower().endswith(_OPENPGP_SUFFIXES)
    )
    readers: list[Callable[[bytes], tuple[Key, ...]]] = [decode_certificates, load_keys]
    first: Exception | None = None
    for read in reversed(readers) if openpgp_first else readers:
        try:
            keys = read(data)
        except READ_ERRORS as error:
            first = first or error
            continue
        if keys:
            return keys[:MAX_KEYS]
    raise MalformedError(f"no certificate or OpenPGP key in it: {first or 'nothing found'}") from first


def identifiers_of(keys: Iterable[Key]) -> tuple[Identifier, ...]:
    """Everything by which the keys may be named elsewhere, each once."""
    return tuple(dict.fromkeys(i for key in keys for i in key.identifiers))


def proposals_of(keys: Iterable[Key], *, vendor_id: str, authority: Authority, reference: str) -> tuple[Proposal, ...]:
    """Certificates that may issue or vouch for themselves, and OpenPGP keys. An end entity's certificate is evidence only."""
    found: list[Proposal] = []
    for key in keys:
        if isinstance(key, Certificate):
            if not (key.is_ca or key.self_issued):
                continue
            kind, name, material = AnchorKind.X509, key.subject, key.der
        else:
            kind, name, material = AnchorKind.OPENPGP, key.name, key.data
        digest = hashlib.sha256(material).hexdigest()
        found.append(Proposal(vendor_id, kind, name, digest, material, key.identifiers, authority, reference))
    return tuple({p.key_sha256: p for p in found}.values())


def identifiers_named(keys: Iterable[ClaimKey]) -> tuple[Identifier, ...]:
    """What a key named in a text may be found under. A bare digest does not say what it is of, so it is noted as each it may be."""
    found: list[Identifier] = []
    for key in keys:
        value = normalise_hex(key.value) or key.value
        kinds: tuple[IdentifierKind, ...] = {
            "sha256": (IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256),
            "sha1": (IdentifierKind.SHA1, IdentifierKind.SUBJECT_KEY_IDENTIFIER),
            "openpgp": (IdentifierKind.OPENPGP,),
            "key_id": (IdentifierKind.KEY_ID,),
            "name": (IdentifierKind.SUBJECT,),
        }.get(key.algorithm, ())
        found += [Identifier(kind, key.value if kind is IdentifierKind.SUBJECT else value) for kind in kinds]
        if key.algorithm == "openpgp":
            if len(value) == 40:  # 40 digits are also a SHA-1 or a key identifier, and texts seldom say which
                found += [Identifier(k, value) for k in (IdentifierKind.SHA1, IdentifierKind.SUBJECT_KEY_IDENTIFIER)]
            found += key_id_of(value)
    return tuple(dict.fromkeys(found))


def key_id_of(fingerprint: str) -> tuple[Identifier, ...]:
    """The key id in an OpenPGP fingerprint: the last 8 bytes of version 4, the first of version 6 (RFC 9580 5.5.4)."""
    if len(fingerprint) == 40:
        return (Identifier(IdentifierKind.KEY_ID, fingerprint[-16:]),)
    return (Identifier(IdentifierKind.KEY_ID, fingerprint[:16]),) if len(fingerprint) == 64 else ()
