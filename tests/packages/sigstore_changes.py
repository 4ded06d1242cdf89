"""Sigstore bundles that are handed over each with one thing changed: name -> what a verifier gets, and what it is to say.

Good ones, and ones with something wrong about log or time, or about anything else, stand in modules of their own.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.packages.sigstore_craft import ISSUER, Instance, b64, statement

if TYPE_CHECKING:
    from collections.abc import Callable

WHO = "someone@vendor.example"
ARTIFACT = b"one artifact\n"
DAY = timedelta(days=1)
INSTANCE = Instance.make()


@dataclass(frozen=True)
class Handed:
    """What a verifier gets; ``reason`` is what it is to say."""

    bundle: dict[str, Any]
    root: dict[str, Any]
    reason: str
    artifact: bytes = ARTIFACT
    identity: str = WHO
    issuer: str = ISSUER


def every() -> dict[str, Handed]:
    """All of them."""
    from tests.packages import sigstore_good, sigstore_log_changes, sigstore_other_changes

    modules = (sigstore_good, sigstore_log_changes, sigstore_other_changes)
    made = {
        name[1:]: make for one in modules for name, make in vars(one).items() if name.startswith(("_good_", "_bad_"))
    }
    return {name: make() for name, make in sorted(made.items())}


def signed_once(**certificate: Any) -> Any:
    """A message signature with a certificate; what is given is the certificate's."""
    return INSTANCE.sign(ARTIFACT, WHO, **certificate)


def attested_once(*subjects: tuple[str, dict[str, str]], **certificate: Any) -> Any:
    """A statement about the artifact, or about ``subjects``."""
    subjects = subjects or (("artifact", {"sha256": hashlib.sha256(ARTIFACT).hexdigest()}),)
    return INSTANCE.attest(statement(*subjects), WHO, **certificate)


def handed(
    bundle: dict[str, Any], reason: str = "trusted", root: dict[str, Any] | None = None, **fields: Any
) -> Handed:
    """Everything, with the instance's own root unless another is given."""
    return Handed(bundle, root or INSTANCE.trusted_root(), reason, **fields)


def entry_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """The one entry of a bundle."""
    entry: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return entry


def flipped(text: str) -> str:
    """Base64 of the same bytes but for one bit."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return b64(bytes(data))


def noted(change: Callable[[str], str]) -> dict[str, Any]:
    """A bundle whose checkpoint is another."""
    bundle: dict[str, Any] = signed_once().bundle()
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = change(checkpoint["envelope"])
    return bundle


def logged_as(**changes: Any) -> Handed:
    """A bundle whose log entry says something else than it."""
    signed = signed_once()
    return handed(signed.bundle(entries=[signed.entry(**changes)]), "invalid_signature")


def second(**stamp: Any) -> tuple[Any, dict[str, Any]]:
    """A signature in the second log, with a timestamp: it and its bundle."""
    signed = signed_once()
    return signed, signed.bundle(entries=[signed.entry("hashedrekord 0.0.2")], timestamps=[signed.timestamp(**stamp)])


def with_hint(hint: bytes) -> Callable[[str], str]:
    """Gives the last signature of a note another key hint."""

    def change(note: str) -> str:
        head, _, value = note.rstrip("\n").rpartition(" ")
        return f"{head} {b64(hint + base64.b64decode(value)[4:])}\n"

    return change
