"""Sigstore: a trusted_root.json as published (protobuf-specs, sigstore_trustroot.proto), and an identity to expect.

Of a trusted root the file itself is the anchor; its timestamp authorities are given beside it as roots for timestamps only. Its
certificate authorities are reached through it alone: as roots of their own they would vouch for everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.decode import spki
from trust_store.decode.certificate_keys import certificate_material
from trust_store.decode.json_fields import a_window, an_object, objects, some_octets
from trust_store.decode.key_readers.protocol import KeyFile, Reading, json_start
from trust_store.decode.sigstore_identity import canonical_identity, identity_of, require_identity
from trust_store.decode.strict_json import parse_object
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
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
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    }
)
MAX_ROOTS = 16
_MARK = b"application/vnd.dev.sigstore.trustedroot"


class TrustedRootReader:
    """A trusted_root.json, or several of them, one a line (``gh attestation trusted-root``)."""

    NAME = "sigstore trusted root"

    def recognises(self, file: KeyFile, /) -> bool:
        """The media type, whatever its version, of the file or of each of its lines."""
        if _MARK not in file.data:
            return False
        if _is_root(json_start(file)):
            return True
        lines = _lines(file.data)
        try:
            return len(lines) > 1 and all(_is_root(parse_object(line)) for line in lines)
        except (MalformedError, ResourceLimitError):
            return False

    def read(self, file: KeyFile, /) -> Reading:
        """The roots, and the root certificate of each timestamp authority with the times it is good for."""
        several = _lines(file.data) if not json_start(file) else [file.data]
        if len(several) > MAX_ROOTS:
            raise ResourceLimitError(f"{len(several)} trusted roots in one file")
        readings = [self._root(data) for data in several]
        keys = {(key.material, key.constraints): key for reading in readings for key in reading.keys}
        return Reading(tuple(keys.values()), tuple(told for reading in readings for told in reading.left_out))

    def _root(self, data: bytes) -> Reading:
        from trust_store.decode.trusted_root import read_trusted_root  # few key files are roots

        said = parse_object(data)
        read_trusted_root(data)  # what cannot be judged by is refused here, and not silently later
        if said.get("mediaType") not in MEDIA_TYPES:
            raise UnsupportedError(f"a trusted root of the version {str(said.get('mediaType'))[:80]!r}")
        left_out: list[str] = []
        for name in ("tlogs", "ctlogs"):
            left_out += [told for entry in objects(said, name, MAX_ENTRIES) if (told := _log(entry, name))]
        authorities = [_authority(entry) for entry in objects(said, "certificateAuthorities", MAX_ENTRIES)]
        stamping = [_authority(entry) for entry in objects(said, "timestampAuthorities", MAX_ENTRIES)]
        # One with logs alone, or not even these, is for signatures by bare keys (cosign sign-blob --key).
        named = [authority.subject for authority, _ in authorities] or [
            _address(e) for e in objects(said, "tlogs", MAX_ENTRIES)
        ]
        named = named or [authority.subject for authority, _ in stamping] or ["nobody"]
        root = KeyMaterial(
            AnchorKind.SIGSTORE_ROOT,
            f"sigstore trusted root ({named[0]})",
            data,
            (spki.whole(data),),
        )
        return Reading((root, *(_timestamping(*one) for one in stamping)), tuple(left_out))


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


def _is_root(said: dict[str, Any]) -> bool:
    kind = said.get("mediaType")
    return isinstance(kind, str) and kind.startswith(_MARK.decode())


def _lines(data: bytes) -> list[bytes]:
    """One root more than are read, at most."""
    return [line for line in data.split(b"\n", MAX_ROOTS + 1) if line.strip()]


def _log(entry: dict[str, Any], part: str) -> str | None:
    """None for a transparency log whose key can be used, else a sentence; raises MalformedError for a broken one."""
    key = an_object(entry, "publicKey")
    details = key.get("keyDetails")
    a_window(key, "validFor")
    if not isinstance(details, str) or not details.startswith("PKIX_"):
        return f"{part}: a log key of the kind {str(details)[:60]!r} is not used"
    try:
        spki.require_spki(some_octets(key, "rawBytes"))
    except UnsupportedError as error:
        return f"{part}: {error}"
    return None


def _authority(entry: dict[str, Any]) -> tuple[Certificate, tuple[datetime | None, datetime | None]]:
    """The root of an authority's chain (it is listed from the signer upwards) and when the authority is good."""
    chain = objects(an_object(entry, "certChain"), "certificates", MAX_CHAIN)
    if not chain:
        raise MalformedError("an authority without certificates")
    return [load_certificate(some_octets(c, "rawBytes")) for c in chain][-1], a_window(entry, "validFor")


def _address(log: dict[str, Any]) -> str:
    """Where a log says it is, for people."""
    address = log.get("baseUrl")
    return address[:200] if isinstance(address, str) and address.isascii() and address.isprintable() else "a log"


def _timestamping(root: Certificate, window: tuple[datetime | None, datetime | None]) -> KeyMaterial:
    limits = Constraints(purposes=("timestamp",), valid_from=window[0], valid_until=window[1])
    return certificate_material(root, constraints=limits)
