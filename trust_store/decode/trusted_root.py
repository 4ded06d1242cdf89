"""A sigstore trusted root (protobuf-specs ``sigstore_trustroot.proto``): an instance's authorities and logs."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trust_store.decode.json_fields import a_window, an_object, maybe_object, objects, some_octets
from trust_store.decode.key_decides import verifies_octets
from trust_store.decode.public_keys import key_kind
from trust_store.decode.strict_json import parse_object
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.certificate import Certificate

MAX_ENTRIES = 256
MAX_CHAIN = 16


@dataclass(frozen=True, slots=True)
class Window:
    """When something counts; None where there is no such end."""

    start: datetime | None
    end: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether ``at`` lies within."""
        return (self.start is None or self.start <= at) and (self.end is None or at <= self.end)


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log. ``ids``: what entries, promises and SCTs may call it; every one of them is a hint, the key decides.

    ``checkpoint_id`` is what its checkpoints call it where that is something else (checkpointKeyId), else None.
    """

    ids: frozenset[bytes]
    spki: bytes
    window: Window
    checkpoint_id: bytes | None = None

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether the log's key signed ``message``: RSA PKCS #1 v1.5 or ECDSA with the key's usual digest or SHA-256, or Ed25519."""
        return verifies_octets(self.spki, signature, message)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority or time-stamp authority: its chain as listed, from the issuer (or signer) up to the root."""

    chain: tuple[Certificate, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """All of it. A log with a key of a kind that is not used here is left out: nothing verifies under it."""

    tlogs: tuple[Log, ...]
    ctlogs: tuple[Log, ...]
    authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[Authority, ...]


@lru_cache(maxsize=64)
def read_trusted_root(data: bytes) -> TrustedRoot:
    """The trusted root in ``data``; raises MalformedError or ResourceLimitError, nothing else."""
    said = parse_object(data)
    return TrustedRoot(
        tuple(_log(entry) for entry in objects(said, "tlogs", MAX_ENTRIES)),
        tuple(_log(entry) for entry in objects(said, "ctlogs", MAX_ENTRIES)),
        tuple(_authority(entry) for entry in objects(said, "certificateAuthorities", MAX_ENTRIES)),
        tuple(_authority(entry) for entry in objects(said, "timestampAuthorities", MAX_ENTRIES)),
    )


def _log(said: dict[str, Any]) -> Log:
    key = an_object(said, "publicKey")
    spki = some_octets(key, "rawBytes")
    ids = {hashlib.sha256(spki).digest()}  # RFC 6962 3.2; Rekor's first version takes the same
    stated = maybe_object(said, "logId")
    if stated is not None and stated.get("keyId"):
        ids.add(some_octets(stated, "keyId"))
    host = urlsplit_host(said.get("baseUrl"))
    if host and key_kind(spki) == "ed25519":
        # the key id of a signed note (C2SP signed-note): name, line end, algorithm 1, key
        ids.add(hashlib.sha256(host.encode() + b"\n\x01" + spki[-32:]).digest())
    noted = maybe_object(said, "checkpointKeyId")
    checkpoint_id = some_octets(noted, "keyId") if noted is not None and noted.get("keyId") else None
    return Log(frozenset(ids), spki, Window(*a_window(key, "validFor")), checkpoint_id)


def urlsplit_host(url: object) -> str:
    """The host of an address with its port, empty where there is none."""
    try:
        return urlsplit(url).netloc if isinstance(url, str) else ""
    except ValueError:
        return ""


def _authority(said: dict[str, Any]) -> Authority:
    listed = objects(an_object(said, "certChain"), "certificates", MAX_CHAIN)
    if not listed:
        raise MalformedError("trusted root: an authority without certificates")
    chain = tuple(load_certificate(some_octets(item, "rawBytes")) for item in listed)
    return Authority(chain, Window(*a_window(said, "validFor")))
