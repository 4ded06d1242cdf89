"""Measures what docs/architecture.md promises about speed, side by side in one run: ``make benchmarks``.

Prints one Markdown table: what, measured ratio, limit. Exit 1 where a ratio is over its limit. ``python -m benchmarks check``
(or ``formats``, ``paths``, ``scale``) measures only one part; ``scale`` builds a store of 100,000 keys and 1,000,000 packages first.
"""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import checks, formats, path_validation, store_scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measuring import Row

PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "check": checks.rows,
    "formats": formats.rows,
    "paths": path_validation.rows,
    "scale": store_scale.rows,
}


def main(names: list[str]) -> int:
    """Run the parts named, or all, and print the table."""
    rows: list[Row] = []
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            rows += PARTS[name](Path(folder))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    print(
        f"commit {commit}, {platform.machine()}, Python {platform.python_version()}, {resource.getpagesize()} byte pages\n"
    )
    print("| what | measured | limit |\n| --- | ---: | ---: |")
    for row in rows:
        print(f"| {row.what} | {row.measured:.2f} | {'' if row.limit is None else f'{row.limit:.2f}'} |")
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
