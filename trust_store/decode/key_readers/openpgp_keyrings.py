"""OpenPGP keyrings: binary (apt ``.gpg``), armoured (``.asc``, what rpm prints of ``gpg-pubkey``), and inside deb822 ``.sources``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode.key_readers.protocol import KeyFile, Reading
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.key_material import KeyMaterial
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SOURCES_BYTES = 1024 * 1024
_ARMOR = re.compile(rb"^-----BEGIN PGP [A-Z0-9 ,/]{1,40}-----[ \t\r]*$", re.MULTILINE)
_SIGNED_BY = re.compile(rb"^signed-by:", re.MULTILINE | re.IGNORECASE)
_FIELD = re.compile(rb"[!-9;-~]+:")  # Debian policy 5.1


class KeyringReader:
    """A binary keyring or armoured blocks, text around them ignored."""

    NAME = "OpenPGP keyring"

    def recognises(self, file: KeyFile, /) -> bool:
        """An armoured block at a line's begin; or the first octet of a packet (RFC 9580 4.2: bit 7 set; DER and text never)."""
        if file.data[:1] >= b"\x80" and not file.data.startswith(b"\xef\xbb\xbf"):
            return True
        return b"-----BEGIN PGP " in file.data and bool(_ARMOR.search(file.data))

    def read(self, file: KeyFile, /) -> Reading:
        """One key for each primary key."""
        return Reading(_keys(file.data))


class AptSourcesReader:
    """A deb822 source file whose Signed-By holds the key itself (sources.list(5))."""

    NAME = "apt sources with Signed-By"

    def recognises(self, file: KeyFile, /) -> bool:
        """A Signed-By field."""
        return bool(_SIGNED_BY.search(file.data)) and not _ARMOR.search(file.data)

    def read(self, file: KeyFile, /) -> Reading:
        """The keys of every stanza; a Signed-By that names files or fingerprints is left out and named."""
        if len(file.data) > MAX_SOURCES_BYTES:
            raise ResourceLimitError(f"an apt source file of {len(file.data)} bytes")
        found: dict[bytes, KeyMaterial] = {}
        left_out: list[str] = []
        for value in _signed_by(file.data):
            if b"-----BEGIN PGP" in value:
                found |= {key.material: key for key in _keys(value)}
            else:
                named = value.strip().decode("utf-8", "replace")[:200]
                left_out.append(f"Signed-By names {named!r}: import that keyring itself")
        if not found:
            raise UnsupportedError(left_out[0] if left_out else "no key in it")
        return Reading(tuple(found.values()), tuple(left_out))


def _signed_by(data: bytes) -> Iterable[bytes]:
    """The value of each Signed-By field: continuation lines lose their one blank, and a lone dot is an empty line."""
    value: list[bytes] | None = None
    for line in [*data.split(b"\n"), b""]:
        plain = line.rstrip(b"\r")
        if value is not None and plain[:1] in (b" ", b"\t"):
            text = plain[1:]
            value.append(b"" if text.strip() == b"." else text)
            continue
        if plain.startswith(b"#"):
            continue
        if value is not None:
            yield b"\n".join(value)
            value = None
        if _SIGNED_BY.match(plain):
            value = [plain.split(b":", 1)[1].strip()]
        elif plain.strip() and not _FIELD.match(plain) and plain[:1] not in (b" ", b"\t"):
            raise MalformedError("an apt source file with a line that is no field")


def _keys(data: bytes) -> tuple[KeyMaterial, ...]:
    from trust_store.decode.openpgp import load_keys  # most files hold certificates

    found = load_keys(data)
    if not found:
        raise MalformedError("no OpenPGP key in it")
    keys = (KeyMaterial(AnchorKind.OPENPGP, key.name, key.data, tuple(dict.fromkeys(key.identifiers))) for key in found)
    return tuple({key.material: key for key in keys}.values())
