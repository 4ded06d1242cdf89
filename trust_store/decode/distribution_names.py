"""File names of Python distributions: wheels (PEP 427) and source distributions (PEP 625), compared as PEP 740's verifiers compare them."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[-_.]+")
_WHEEL_PARTS = (5, 6)
MAX_NAME = 1024


def same_distribution(stated: str, name: str) -> bool:
    """Whether both are names of one distribution: project name without regard to case and separators, tags in any order."""
    first, second = _parsed(stated), _parsed(name)
    return first is not None and first == second


def _parsed(name: str) -> tuple[str, ...] | None:
    if not 0 < len(name) <= MAX_NAME or "/" in name or not name.isascii():
        return None
    if name.endswith(".whl"):
        parts = name[:-4].split("-")
        if len(parts) not in _WHEEL_PARTS or not all(parts):
            return None
        tags = (".".join(sorted(tag.split("."))) for tag in parts[-3:])
        build = parts[2] if len(parts) == max(_WHEEL_PARTS) else ""
        return "wheel", _normal(parts[0]), _version(parts[1]), build, *tags
    for suffix in (".tar.gz", ".zip"):
        project, dash, version = name.removesuffix(suffix).rpartition("-")
        if name.endswith(suffix) and project and dash and version:
            return "sdist", _normal(project), _version(version)
    return None


def _normal(project: str) -> str:
    """PEP 503."""
    return _PLAIN.sub("-", project).lower()


def _version(version: str) -> str:
    """As written but for case and separators (PEP 440, Integers and separators)."""
    return version.lower().replace("_", "-")
