"""Opening a package and finding the files beside it: of the standard library alone, so that asking about a package stays cheap."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trust_store.errors import TrustStoreError
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIDE_SUFFIXES = (
    ".asc", ".att", ".attestation", ".bundle", ".cose", ".cose.sig", ".gpg", ".idsig", ".intoto.jsonl", ".jws", ".jws.sig", ".minisig",
    ".p7m", ".p7s", ".provenance", ".publish.attestation", ".sig", ".sign", ".sigs", ".sigstore", ".sigstore.json", ".slsa.attestation",
)  # fmt: skip
"""Names under which a signature is looked for beside a package: its own name and one of these."""


class PackageUnreadableError(TrustStoreError):
    """The package cannot be opened, or is no regular file."""


def side_paths(package: Path) -> Iterator[Path]:
    """The files beside ``package`` that are named as its signatures."""
    for suffix in SIDE_SUFFIXES:
        side = package.with_name(package.name + suffix) if package.name else None
        if side is not None and os.path.lexists(side):
            yield side


@contextmanager
def open_package(path: str | Path) -> Iterator[int]:
    """A descriptor of the regular file at ``path``; raises PackageUnreadableError. Never waits: a pipe or device is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise PackageUnreadableError(f"{shown(path)} cannot be opened: {reason}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise PackageUnreadableError(f"{shown(path)} is {kind}")
        yield descriptor
    finally:
        os.close(descriptor)


def shown(path: str | Path) -> str:
    """A path for people, escaped and capped."""
    return safe(str(path), 300)
