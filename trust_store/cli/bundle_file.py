"""Opening a signed bundle from a file, with what this user remembers of its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.cli.files import read_capped
from trust_store.errors import MalformedError, UsageError
from trust_store.exchange.bundle import MAX_BUNDLE_BYTES, Bundle, open_bundle
from trust_store.instance_key import public_key_in
from trust_store.remembered import least_revision, memory_folder, remember_bundle
from trust_store.terminal import safe

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

MAX_KEY_BYTES = 4096


def open_bundle_file(file: Path, keys: tuple[Path, ...], at: datetime) -> Bundle:
    """The bundle in ``file``, if it is good at ``at``; raises UsageError for files that cannot be read, else BundleRefusedError."""
    if not keys:
        raise UsageError(
            "--bundle needs --bundle-key FILE: the public instance key (instance.pub), fetched another way"
        )
    known = tuple(_public_key(key) for key in keys)
    folder = memory_folder()
    bundle = open_bundle(
        read_capped(file, MAX_BUNDLE_BYTES), known, at=at, least_revision=lambda store: least_revision(folder, store)
    )
    remember_bundle(folder, bundle.store_id, bundle.revision, known[0].hex())
    return bundle


def _public_key(path: Path) -> bytes:
    try:
        return public_key_in(read_capped(path, MAX_KEY_BYTES))
    except MalformedError as error:
        raise UsageError(f"{safe(str(path), 300)} holds {error}") from error
