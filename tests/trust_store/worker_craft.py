"""Workers for the tests: forked from the test process as it is, patches included."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.package_craft import LIMITS
from trust_store.formats import worker_process
from trust_store.formats.worker import ForkedReader
from trust_store.model.package_facts import PackageFacts

if TYPE_CHECKING:
    from collections.abc import Callable


BENIGN = PackageFacts("a" * 64, 4, None, 0)


def forked() -> ForkedReader:
    """A reader forked from this process as it is now, patches included, threads or not."""
    control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        worker_process.never_return(lambda: worker_process.fork_workers(other, parent))
    other.close()
    return ForkedReader(control, child)


def read_with(
    monkeypatch: pytest.MonkeyPatch, reading: Callable[..., PackageFacts], package: int, **limits: float
) -> PackageFacts:
    """The facts where the worker runs ``reading`` in place of ``read_package``."""
    monkeypatch.setattr(worker_process, "read_package", reading)
    reader = forked()
    try:
        return reader.read(package, (), (), replace(LIMITS, **limits))  # type: ignore[arg-type]
    finally:
        reader.close()


def descriptors() -> int:
    """How many descriptors this process has open, the listing's own included."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only


def spin() -> PackageFacts:
    """Never end."""
    while True:
        pass
