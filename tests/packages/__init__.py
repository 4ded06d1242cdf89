"""The tests of package formats: fixtures made by real tools, and hostile ones."""

from __future__ import annotations

from pathlib import Path

FUZZED: tuple[str, ...] = tuple(sorted(file.stem for file in Path(__file__).parent.glob("fuzz_*.py")))
"""Modules here that have fuzz targets."""
