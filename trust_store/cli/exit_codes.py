"""Exit codes of ``check`` and ``path validate``, as programs rely on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_PASSED, EXIT_USAGE, EXIT_INDETERMINATE, EXIT_NOT_RUN, EXIT_FAILED = 0, 2, 3, 4, 10
_CODES = {"passed": EXIT_PASSED, "indeterminate": EXIT_INDETERMINATE, "failed": EXIT_FAILED}
_WORST = (EXIT_NOT_RUN, EXIT_FAILED, EXIT_INDETERMINATE, EXIT_PASSED)


def exit_code(codes: Iterable[int]) -> int:
    """The code of several items: 4 over 10 over 3 over 0; no items at all is a usage error."""
    seen = set(codes)
    return next((code for code in _WORST if code in seen), EXIT_USAGE)


def outcome_code(outcome: str) -> int:
    """The exit code that one outcome stands for; one that nobody knows is no pass."""
    return _CODES.get(outcome, EXIT_NOT_RUN)
