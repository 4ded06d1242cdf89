"""Workers end when nobody wants their answer any more."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.package_craft import LIMITS
from trust_store.formats.worker import ForkServerReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from trust_store.formats.worker import PackageWorker

BIG = 20 * 1024**3


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file that takes long to read and no room."""
    path = tmp_path / "big"
    path.touch()
    os.truncate(path, BIG)
    return path


def begun(reader: PackageWorker, big: Path) -> tuple[threading.Thread, list[BaseException]]:
    """A thread in which the file is being read, and what it will have raised."""
    raised: list[BaseException] = []

    def read() -> None:
        with big.open("rb") as file:
            try:
                reader.read(file.fileno(), (), (), LIMITS)
            except CancelledError as error:
                raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.5)
    return thread, raised


def ended(thread: threading.Thread, raised: list[BaseException]) -> bool:
    """Whether the reading ends in a second, without facts."""
    thread.join(1.0)
    return not thread.is_alive() and len(raised) == 1


def test_a_closed_reader_ends_what_it_reads_and_reads_no_more(big: Path) -> None:
    """Closing kills every worker at once, the apart ones too; neither these readings nor later ones give facts."""
    server = ForkServerReader()
    with server.apart() as apart:
        threads = [begun(server, big), begun(apart, big)]
        server.close()
        server.close()
        assert [ended(*thread) for thread in threads] == [True, True]
        for reader in (server, apart):
            assert ended(*begun(reader, big))
    with server.apart() as late:
        assert ended(*begun(late, big))


@pytest.mark.parametrize("close", [lambda apart: apart.close(), lambda _: None])
def test_a_reader_apart_ends_alone(big: Path, tmp_path: Path, close: Callable[[PackageWorker], None]) -> None:
    """Closing one asker's reader, or leaving it, kills his workers and nobody else's."""
    server = ForkServerReader()
    with server.apart() as apart:
        thread = begun(apart, big)
        close(apart)
    assert ended(*thread)
    small = tmp_path / "small"
    small.write_bytes(b"data")
    with small.open("rb") as file:
        assert server.read(file.fileno(), (), (), LIMITS).size == 4


def test_a_file_that_no_worker_read_is_not_hashed_to_its_end_for_nobody(big: Path) -> None:
    """The digest of a file whose worker failed is given up too when the reader is closed."""
    server = ForkServerReader()
    with server.apart() as apart:
        thread, raised = begun(apart, big)
        for process in tuple(apart.scope._running):
            process.kill()
        time.sleep(0.5)
        assert thread.is_alive()
    assert ended(thread, raised)
