"""Sigstore: a trusted_root.json as published (protobuf-specs, sigstore_trustroot.proto), and an identity to expect.

Of a trusted root the file itself is the anchor; its timestamp authorities are given beside it as roots for timestamps only. Its
certificate authorities are reached through it alone: as roots of their own they would vouch for everybody.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from trust_store.decode import spki
from trust_store.decode.certificate_keys import certificate_material
from trust_store.decode.key_readers.protocol import KeyFile, Reading, json_start
from trust_store.decode.sigstore_identity import canonical_identity, identity_of, require_identity
from trust_store.decode.strict_json import parse_object
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import parse_time
from trust_store.model.key_material import KeyMaterial
from trust_store.model.trust_anchor import AnchorKind, Constraints

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.certificate import Certificate

MAX_ENTRIES = 256
MAX_CHAIN = 16
MEDIA_TYPES = frozenset(
    {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    }
)
_PARTS = ("tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities")


class TrustedRootReader:
    """A trusted_root.json."""

    NAME = "sigstore trusted root"

    def recognises(self, file: KeyFile, /) -> bool:
        """The media type, whatever its version."""
        said = json_start(file).get("mediaType")
        return isinstance(said, str) and said.startswith("application/vnd.dev.sigstore.trustedroot")

    def read(self, file: KeyFile, /) -> Reading:
        """The root, and the root certificate of each timestamp authority with the times it is good for."""
        said = parse_object(file.data)
        if said.get("mediaType") not in MEDIA_TYPES:
            raise UnsupportedError(f"a trusted root of the version {str(said.get('mediaType'))[:80]!r}")
        left_out: list[str] = []
        for name in ("tlogs", "ctlogs"):
            left_out += [told for entry in _list(said, name) if (told := _log(entry, name))]
        authorities = [_authority(entry) for entry in _list(said, "certificateAuthorities")]
        # One with logs alone is for signatures by bare keys (cosign sign-blob --key), which have log entries as well.
        named = [authority.subject for authority, _ in authorities] or [_address(e) for e in _list(said, "tlogs")]
        if not named:
            raise MalformedError("a trusted root without authorities and logs vouches for nothing")
        root = KeyMaterial(
            AnchorKind.SIGSTORE_ROOT,
            f"sigstore trusted root ({named[0]})",
            file.data,
            (spki.whole(file.data),),
        )
        stamps = [_timestamping(*_authority(entry)) for entry in _list(said, "timestampAuthorities")]
        unique = {(key.material, key.constraints): key for key in stamps}
        return Reading((root, *unique.values()), tuple(left_out))


class IdentityReader:
    """``{"issuer": ..., "identity": ...}``: whose signatures are expected."""

    NAME = "sigstore identity"

    def recognises(self, file: KeyFile, /) -> bool:
        """Exactly these two fields."""
        return set(json_start(file)) == {"issuer", "identity"}

    def read(self, file: KeyFile, /) -> Reading:
        """The one identity, in canonical JSON."""
        issuer, identity = identity_of(file.data)
        require_identity(issuer, identity)
        material = canonical_identity(issuer, identity)
        key = KeyMaterial(
            AnchorKind.SIGSTORE_IDENTITY, f"sigstore identity at {issuer}", material, (spki.whole(material),)
        )
        return Reading((key,))


def _list(said: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = said.get(name, [])
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise MalformedError(f"{name!r} is no list of objects")
    if len(value) > MAX_ENTRIES:
        raise ResourceLimitError(f"more than {MAX_ENTRIES} entries in {name!r}")
    return value


def _object(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"{name!r} is no object")
    return value


def _raw(said: dict[str, Any]) -> bytes:
    value = said.get("rawBytes")
    if not isinstance(value, str) or not value:
        raise MalformedError("'rawBytes' is no text")
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"'rawBytes' is not base64: {error}") from error


def _log(entry: dict[str, Any], part: str) -> str | None:
    """None for a transparency log whose key can be used, else a sentence; raises MalformedError for a broken one."""
    key = _object(entry, "publicKey")
    details = key.get("keyDetails")
    _window(key)
    if not isinstance(details, str) or not details.startswith("PKIX_"):
        return f"{part}: a log key of the kind {str(details)[:60]!r} is not used"
    try:
        spki.require_spki(_raw(key))
    except UnsupportedError as error:
        return f"{part}: {error}"
    return None


def _authority(entry: dict[str, Any]) -> tuple[Certificate, tuple[datetime | None, datetime | None]]:
    """The root of an authority's chain (it is listed from the signer upwards) and when the authority is good."""
    chain = _list(_object(entry, "certChain"), "certificates")
    if not 0 < len(chain) <= MAX_CHAIN:
        raise MalformedError(f"a chain of {len(chain)} certificates")
    return [load_certificate(_raw(c)) for c in chain][-1], _window(entry)


def _address(log: dict[str, Any]) -> str:
    """Where a log says it is, for people."""
    address = log.get("baseUrl")
    return address[:200] if isinstance(address, str) and address.isascii() and address.isprintable() else "a log"


def _timestamping(root: Certificate, window: tuple[datetime | None, datetime | None]) -> KeyMaterial:
    limits = Constraints(purposes=("timestamp",), valid_from=window[0], valid_until=window[1])
    return certificate_material(root, constraints=limits)


def _window(said: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    window = said.get("validFor")
    if window is None:
        return None, None
    if not isinstance(window, dict):
        raise MalformedError("'validFor' is no object")
    first, last = (_moment(window.get(name)) for name in ("start", "end"))
    if first and last and first > last:
        raise MalformedError("'validFor' ends before it starts")
    return first, last


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(value) if isinstance(value, str) else _no_time()
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"'validFor' holds no time: {error}") from error


def _no_time() -> datetime:
    raise ValueError("not a text")
