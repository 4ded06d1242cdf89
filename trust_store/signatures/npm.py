"""An npm registry's signature over a package's name, version and digest, in the metadata that the registry serves.

https://docs.npmjs.com/about-registry-signatures. The metadata is a packument (all versions) or that of one version; in a packument the
version is the one whose digest the file has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from trust_store.decode.bare_keys import NPM, RAW
from trust_store.decode.json_fields import a_text, an_object, base64_octets, maybe_object, objects
from trust_store.decode.public_keys import verifies
from trust_store.decode.signature_documents import NPM as NPM_REGISTRY
from trust_store.decode.signature_documents import documents, kind_of
from trust_store.decode.strict_json import parse_object
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.model.identifiers import parse_time
from trust_store.model.package_facts import KeyCheck, Problem, SignatureFact
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

NAME = NPM_REGISTRY
MAX_VERSIONS = 20_000
MAX_SIGNATURES = 8
MAX_NAME = 256
MAX_KEY_ID = 200
_SHA512 = DigestRequest("sha512")
_ALGORITHM = "sha512"


@dataclass(frozen=True, slots=True)
class Published:
    """One version: the digest the registry states, the text that is signed, the signatures (key id and value), when it was published."""

    digest: bytes
    message: bytes
    signatures: tuple[tuple[str, bytes], ...]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class PendingVersion:
    """The signatures of whichever version the file turns out to be."""

    versions: tuple[Published, ...]
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """SHA-512 of the whole file."""
        return (_SHA512,)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact about the version with the file's digest; of a file that is none of them, one whose content does not match."""
        digest = states[_SHA512].copy().digest()
        matching = [one for one in self.versions if hmac.compare_digest(one.digest, digest)]
        version = next((one for one in matching if one.signatures), None) or (matching or self.versions)[0]
        if matching and not version.signatures:
            problem = Problem(Reason.UNSIGNED, "npm: the registry's metadata has no signature of this version")
            return SignatureFact(NAME, self.origin, self.file, problem=problem)
        return SignatureFact(
            scheme=NAME,
            origin=self.origin,
            file=self.file,
            digest_algorithm="sha256",
            signature_algorithm="ecdsa",
            signature=version.signatures[0][1] if version.signatures else b"",
            signed=version.message,
            digest=digest,
            content_matches=bool(matching),
            packet=_packed(version.signatures),
            claimed_at=version.at,
        )


class NpmScheme:
    """The scheme as the registry holds it."""

    NAME = NAME
    DOC = """A registry's ECDSA P-256 signature over `NAME@VERSION:sha512-DIGEST`, in a packument or the metadata of one version
(`dist.integrity`, `dist.signatures`). Its keys are `npm` anchors (`/-/npm/v1/keys`); one that has expired counts only for what policy or
our own sighting lets it: the time of publication is the registry's unsigned word. Metadata without a signature is `unsigned`."""

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` is JSON with a package's name and one or more versions of it."""
        return kind_of(data) == NAME

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingVersion, ...]:
        """The versions with a SHA-512 digest; raises MalformedError or ResourceLimitError."""
        said = documents(data)[0]
        listed = maybe_object(said, "versions")
        times = maybe_object(said, "time") if listed is not None else None
        manifests = [said] if listed is None else [an_object(listed, version) for version in listed]
        if len(manifests) > MAX_VERSIONS:
            raise ResourceLimitError(f"npm: {len(manifests)} versions")
        name = a_text(said, "name", MAX_NAME)
        found = [one for m in manifests if (one := _published(name, m, times or {})) is not None]
        if not found:
            raise MalformedError("npm: no version with a SHA-512 integrity")
        return (PendingVersion(tuple(found), origin, file),)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether one of the signatures holds under ``key``; None for a key that made none: only its anchor knows its key id."""
        if fact.scheme != NAME or fact.problem is not None or key.kind not in (NPM, RAW) or not fact.content_matches:
            return None
        message = hashlib.sha256(fact.signed).digest()
        values = [value for _, value in signatures_of(fact)]
        if not any(verifies(key.material, "ecdsa", "sha256", value, message) for value in values):
            return None
        digest = hashlib.sha256(key.material).hexdigest()
        return KeyCheck(key=digest, owner=digest, holds=True)


def signatures_of(fact: SignatureFact) -> tuple[tuple[str, bytes], ...]:
    """(key id, value) of each signature of the version; none where the fact cannot be read."""
    try:
        said = parse_object(fact.packet)
        return tuple(
            (a_text(s, "keyid", MAX_KEY_ID), base64_octets(a_text(s, "sig"), "sig")) for s in said["signatures"]
        )
    except (*READ_ERRORS, KeyError, TypeError):
        return ()


def _packed(signatures: tuple[tuple[str, bytes], ...]) -> bytes:
    said = [{"keyid": key_id, "sig": base64.b64encode(value).decode()} for key_id, value in signatures]
    return json.dumps({"signatures": said}, separators=(",", ":")).encode()


def _published(name: str, said: dict[str, Any], times: dict[str, Any]) -> Published | None:
    """One version; None where the registry states no SHA-512 digest of it (very old ones)."""
    dist, version = an_object(said, "dist"), a_text(said, "version", MAX_NAME)
    if said.get("name", name) != name:
        raise MalformedError("npm: a version of another package")
    integrity = dist.get("integrity")
    if not isinstance(integrity, str) or not integrity.startswith("sha512-") or " " in integrity:
        return None
    digest = base64_octets(integrity.removeprefix("sha512-"), "integrity")
    if len(digest) != hashlib.new(_ALGORITHM).digest_size:
        raise MalformedError("npm: an integrity that is no SHA-512 digest")
    listed = objects(dist, "signatures", MAX_SIGNATURES)
    signatures = tuple((a_text(s, "keyid", MAX_KEY_ID), base64_octets(a_text(s, "sig", 1024), "sig")) for s in listed)
    return Published(digest, f"{name}@{version}:{integrity}".encode(), signatures, _time(times.get(version)))


def _time(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


SCHEME: SignatureScheme = NpmScheme()
