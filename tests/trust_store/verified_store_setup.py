"""A store for the tests of decisions that must verify after every test."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_setup import open_store
from trust_store import audit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)
