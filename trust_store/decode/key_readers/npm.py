"""An npm registry's key list (``/-/npm/v1/keys``): ECDSA keys with an opaque key id and, once rotated, an expiry.

https://docs.npmjs.com/about-registry-signatures. The key id is a name that the registry gave (npm's own are no digest of the key
in any encoding), so it is a hint and never what a key is compared by.
"""

from __future__ import annotations

import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from trust_store.decode import spki
from trust_store.decode.key_readers.protocol import KeyFile, Reading, json_start
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import Identifier, IdentifierKind, parse_time
from trust_store.model.key_material import KeyMaterial
from trust_store.model.trust_anchor import AnchorKind, Constraints

if TYPE_CHECKING:
    from datetime import datetime

MAX_KEYS = 256
MAX_KEY_ID_CHARACTERS = 200
_SCHEME = "ecdsa-sha2-nistp256"


class NpmReader:
    """The list as the registry serves it."""

    NAME = "npm key list"

    def recognises(self, file: KeyFile, /) -> bool:
        """An object whose ``keys`` are objects with a key id; a JSON web key set has none."""
        keys = json_start(file).get("keys")
        return isinstance(keys, list) and bool(keys) and all(isinstance(k, dict) and "keyid" in k for k in keys)

    def read(self, file: KeyFile, /) -> Reading:
        """A key for each entry; entries of another key type or scheme are left out and named."""
        entries = parse_object(file.data)["keys"]
        if len(entries) > MAX_KEYS:
            raise ResourceLimitError(f"more than {MAX_KEYS} keys in one list")
        found: list[KeyMaterial] = []
        left_out: list[str] = []
        ids = [_text(entry, "keyid") for entry in entries]
        if len(set(ids)) != len(ids):
            raise MalformedError("a key id stands twice in the list")
        for entry in entries:
            try:
                found.append(_key(entry))
            except UnsupportedError as error:
                left_out.append(f"{entry['keyid'][:80]}: {error}")
        if len({key.material for key in found}) != len(found):
            raise MalformedError("a key stands twice in the list")
        if not found:
            raise UnsupportedError(left_out[0])
        return Reading(tuple(found), tuple(left_out))


def _key(entry: dict[str, Any]) -> KeyMaterial:
    for field in ("keytype", "scheme"):
        if _text(entry, field) != _SCHEME:
            raise UnsupportedError(f"a {field} other than {_SCHEME}")
    try:
        der = binascii.a2b_base64(_text(entry, "key"), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"a key that is not base64: {error}") from error
    if spki.require_spki(der) != "ECDSA secp256r1":
        raise MalformedError("a key that is not of the type it says")
    key_id = _text(entry, "keyid")
    identifiers = (spki.whole(der), Identifier(IdentifierKind.KEY_ID, key_id), *spki.spki_identifiers(der))
    digest = binascii.b2a_base64(hashlib.sha256(der).digest(), newline=False).decode().rstrip("=")
    # A key id that is the digest is what the vendor will be asked to read out, and so no name to show.
    name = "npm registry key" if digest in key_id else f"npm registry key {key_id}"
    return KeyMaterial(AnchorKind.NPM, name, der, identifiers, Constraints(valid_until=_expiry(entry)))


def _expiry(entry: dict[str, Any]) -> datetime | None:
    if entry.get("expires") is None:
        return None
    try:
        return parse_time(_text(entry, "expires"))
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"an expiry that is no time: {error}") from error


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    limit = MAX_KEY_ID_CHARACTERS if name != "key" else spki.MAX_SPKI_BYTES
    if not isinstance(value, str) or not value or len(value) > limit or not value.isascii() or not value.isprintable():
        raise MalformedError(f"{name!r} is not printable text of at most {limit} characters")
    return value
