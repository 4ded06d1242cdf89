"""What parts of a package that are signed apart are called in facts: each needs a good signature, so that none may be taken for another."""

from __future__ import annotations

import hashlib

MAX_PART_CHARACTERS = 200


def part_named(name: str) -> str:
    """The part of that name: no two are called alike, however long their names are."""
    if len(name) <= MAX_PART_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[:MAX_PART_CHARACTERS]}... {digest}"  # longer than any name that is told as it is
