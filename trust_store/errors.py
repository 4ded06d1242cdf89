"""Every error the trust store raises, under one root."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class TrustStoreError(Exception):
    """Root of all errors of this package; ``exit_code`` is what a command ends with."""

    exit_code = 4

    def diagnostics(self) -> str:
        """One line for the operator, naming the next action where there is one."""
        return str(self)


class UsageError(TrustStoreError):
    """The question itself is wrong: a bad option, file or time (exit 2)."""

    exit_code = 2


class ConfigError(TrustStoreError):
    """A configuration file is wrong; carries file, line (1-based, 0 if unknown) and the nearest known key."""

    exit_code = 2

    def __init__(self, message: str, *, file: Path | None = None, line: int = 0, nearest: str | None = None) -> None:
        super().__init__(message)
        self.message, self.file, self.line, self.nearest = message, file, line, nearest

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.message}" + (f" (did you mean {self.nearest!r}?)" if self.nearest else "")


class MalformedError(TrustStoreError):
    """Bytes from outside do not parse as what they claim to be."""


class ResourceLimitError(TrustStoreError):
    """A cap on size, depth, count or time was reached before the bytes were understood."""


class UnsupportedError(TrustStoreError):
    """Well formed, but a kind or algorithm that is not implemented."""


class StoreUnavailableError(TrustStoreError):
    """The store cannot be opened, read or written."""


class SchemaMismatchError(StoreUnavailableError):
    """The store has another schema than this program; only ``init``, ``run`` and ``upgrade`` migrate."""


class StoreInconsistentError(TrustStoreError):
    """The audit log and the anchor table disagree, or the log's chain is broken."""


class DaemonUnavailableError(StoreUnavailableError):
    """The daemon holds the store but does not answer at its control socket."""


class DecisionRefusedError(TrustStoreError):
    """A decision was not accepted: state, policy, identity or fingerprint.

    ``kind`` is refused, or mismatch (another fingerprint was read out) or incomplete (not the whole one): these two are on record.
    """

    exit_code = 2

    def __init__(self, message: str, *, kind: str = "refused") -> None:
        super().__init__(message)
        self.kind = kind


READ_ERRORS = (MalformedError, ResourceLimitError, UnsupportedError)
"""What a reader of bytes from outside raises: they cannot be read, are too much, or of a kind that is not read."""
