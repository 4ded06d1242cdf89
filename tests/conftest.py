"""Fixtures for every test."""

from __future__ import annotations

import itertools
import os
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The same examples each time, so that a failure is the change's; ``make fuzz`` asks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("random", settings.get_profile("default"))
settings.load_profile("repeatable")

# A runner in the background (``&``, nohup) hands ignored signals on, which a shell can then not even trap: the programs under test
# are to get them as they would from a terminal.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(autouse=True, scope="session")
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What commands remember of the tests' stores stays among the tests' files."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


_tests = itertools.count()


@pytest.fixture
def now() -> datetime:
    """A fixed moment."""
    return datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def randomness() -> Callable[[int], bytes]:
    """A counter in place of randomness."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(size, "big")

    return draw


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, _state_folder: Path) -> None:
    """No variable of the developer's machine decides a test, and no test remembers another's stores."""
    monkeypatch.setenv("XDG_STATE_HOME", str(_state_folder / str(next(_tests))))
    for name in (
        "ROOTWARDEN_CONFIG",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "CREDENTIALS_DIRECTORY",
        "STATE_DIRECTORY",
        "http_proxy",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    os.environ.pop("RUST_BACKTRACE", None)
