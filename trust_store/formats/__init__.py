"""Package formats, one module each. ``READERS`` is all there are: an explicit tuple, no registration by import.

Which of them reads a package is decided in ``detect``; each reads the package once, in order, in the isolated worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats import android_ota, detached, vendor_bundle, zip_plain

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageReader

READERS: tuple[PackageReader, ...] = (android_ota, detached, vendor_bundle, zip_plain)
