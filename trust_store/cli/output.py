"""Lines on standard output that are either written or an error: a verdict that never arrived is no verdict."""

from __future__ import annotations

import sys

from trust_store.errors import TrustStoreError


class OutputError(TrustStoreError):
    """Standard output could not be written (exit 4)."""


def write_line(text: str) -> None:
    """Write one line and flush it; raises OutputError. Characters that the terminal's encoding lacks are escaped."""
    if sys.stdout is None:
        raise OutputError("the output could not be written: standard output is closed")
    try:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        raise OutputError(f"the output could not be written: {error}") from error
