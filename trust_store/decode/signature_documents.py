"""Which kind of signature a JSON file holds, by its content alone; the one place that tells them apart. Nothing is verified.

A file that is cut short or has a field twice is of the kind that its text shows: then it is damaged, and not unknown.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any

from trust_store.decode.notation import JWS, is_jws
from trust_store.decode.sigstore_bundle import MAX_BUNDLE_BYTES, is_attestation, is_bundle, is_cosign
from trust_store.decode.strict_json import parse_object
from trust_store.errors import READ_ERRORS, ResourceLimitError, UnsupportedError

SIGSTORE, COSIGN, PYPI, NPM_ATTESTATION = "sigstore", "cosign-bundle", "pypi-attestation", "npm-attestation"
DSSE, NPM = "dsse", "npm"
MAX_LINES = 64
_DSSE_FIELDS = frozenset({"payload", "payloadType", "signatures"})
_MARKS: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    (NPM_ATTESTATION, (b'"attestations"', b'"bundle"')),
    (PYPI, (b'"attestation_bundles"',)),
    (PYPI, (b'"verification_material"',)),
    (SIGSTORE, (b"application/vnd.dev.sigstore.bundle",)),
    (COSIGN, (b'"base64Signature"',)),
    (COSIGN, (b'"SignedEntryTimestamp"', b'"Payload"')),
    (JWS, (b'"protected"', b'"x5c"')),
    (DSSE, (b'"payloadType"', b'"signatures"')),
    (NPM, (b'"dist"', b'"integrity"')),
)


@lru_cache(maxsize=4)
def kind_of(data: bytes) -> str | None:
    """The scheme's name, None for what is no signature in JSON; never raises."""
    if not _is_object(data):
        return None
    try:
        found = documents(data)
    except READ_ERRORS:
        return next((name for name, marks in _MARKS if all(mark in data for mark in marks)), None)
    kinds = {_kind(said) for said in found}
    kind = kinds.pop() if len(kinds) == 1 else None
    return kind if len(found) == 1 or kind in (SIGSTORE, DSSE) else None


@lru_cache(maxsize=4)
def documents(data: bytes) -> tuple[dict[str, Any], ...]:
    """The JSON object that ``data`` is, or one a line (JSON Lines); raises one of READ_ERRORS."""
    if not _is_object(data):
        raise UnsupportedError("no JSON object")
    lines = _lines(data)
    if len(lines) > 1:
        try:
            found = tuple(_read(line) for line in lines)
        except READ_ERRORS:
            found = ()  # one object over several lines
        if len(found) > MAX_LINES:
            raise ResourceLimitError(f"more than {MAX_LINES} signatures in one file")
        if found:
            return found
    return (_read(data),)


def _lines(data: bytes) -> list[bytes]:
    """The lines that say anything where each may be an object, at most one more than are read; none of other JSON."""
    found: list[bytes] = []
    for line in BytesIO(data):
        said = line.strip()
        if said and not said.endswith(b"}"):
            return []
        found += [line] if said else []
        if len(found) > MAX_LINES:
            break
    return found


def _is_object(data: bytes) -> bool:
    return data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _read(data: bytes) -> dict[str, Any]:
    return parse_object(data, max_bytes=MAX_BUNDLE_BYTES, fractions=True)


def _kind(said: dict[str, Any]) -> str | None:
    if is_bundle(said):
        return SIGSTORE
    if is_cosign(said):
        return COSIGN
    if is_attestation(said) or "attestation_bundles" in said:
        return PYPI
    if "attestations" in said:
        return NPM_ATTESTATION
    if is_jws(said):
        return JWS
    if set(said) >= _DSSE_FIELDS:
        return DSSE
    named = isinstance(said.get("name"), str)
    return NPM if named and any(isinstance(said.get(part), dict) for part in ("dist", "versions")) else None
