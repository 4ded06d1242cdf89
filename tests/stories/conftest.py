"""What every story needs: a folder that other users may enter, a vendor's keys, and servers to deliver to."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulator.slack import SlackServer
from tests.simulator.smtp import SMTPServer
from tests.simulator.vendor_pki import VendorPKI

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of its own with a short name (a control socket's path is limited) that other users can enter."""
    path = Path(tempfile.mkdtemp(prefix="rootwarden-story-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def pki() -> VendorPKI:
    """The keys of the vendor DTEN."""
    return VendorPKI.generate("DTEN", datetime.now(UTC))


@pytest.fixture
def mail() -> Iterator[SMTPServer]:
    """A real SMTP server."""
    with SMTPServer() as server:
        yield server


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A strict stand-in for Slack."""
    with SlackServer() as server:
        yield server
