"""The worker's side of ``worker``: all that runs in processes of their own, and all that these need to have imported.

Nothing here is imported by the process that asks: a command goes on to its store while its child imports the readers.
"""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import cryptography.hazmat.backends.openssl.backend  # noqa: F401 - else the first signature of every package would load it

from trust_store.decode.facts_json import facts_to_json
from trust_store.formats.detect import import_readers, read_package
from trust_store.formats.isolation import close_all_but, die_with_parent, isolate
from trust_store.formats.protocol import CHUNK_BYTES
from trust_store.formats.streaming import FileSource
from trust_store.formats.worker_request import LENGTH, READ, STATUS, decode_request, unread_facts
from trust_store.model.package_facts import Problem
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from trust_store.formats.protocol import ReadLimits, SideMaterial
    from trust_store.model.package_facts import PackageFacts
    from trust_store.signatures.protocol import CandidateKey


def serve(channel: socket.socket) -> None:
    """A worker's life: take one request, isolate, read, answer, end."""
    never_return(lambda: _serve(channel, os.getppid()))


def _serve(channel: socket.socket, parent: int) -> None:
    die_with_parent(parent)
    header, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, 1)
    request = _receive(channel, LENGTH.unpack(header)[0])
    side, candidates, limits = decode_request(request)
    seconds = min(limits.wall_seconds, 86_400.0)
    cpu_seconds = int(4 * seconds) + 2  # several digests at once; the parent's deadline is the real one
    import_readers(FileSource(descriptors[0]))
    isolated = isolate({channel.fileno(), descriptors[0]}, cpu_seconds=cpu_seconds)
    facts = replace(answer_for(descriptors[0], side, candidates, limits), isolated=isolated)
    channel.sendall(facts_to_json(facts).encode("ascii"))


def answer_for(
    descriptor: int, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
) -> PackageFacts:
    """``read_package``, with whatever a reader should never raise turned into a problem."""
    try:
        return read_package(FileSource(descriptor), side, candidates, limits)
    except (MemoryError, RecursionError) as error:
        return unread_facts(
            descriptor, side, Problem(Reason.RESOURCE_LIMIT, f"the reader ran out of {type(error).__name__}")
        )
    except Exception as error:  # noqa: BLE001 - hostile input met a defect: say so, and never pass
        return unread_facts(descriptor, side, Problem(Reason.UNREADABLE, f"the reader failed: {type(error).__name__}"))


def fork_workers(control: socket.socket, parent: int) -> None:
    """The forked child's life: one worker after another, until the parent closes its end."""
    die_with_parent(parent)
    close_all_but({control.fileno()})
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the parent decides what an interrupt means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    own = os.getpid()
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if command != READ:
            return
        worker = os.fork()
        if worker == 0:
            control.close()
            never_return(lambda channel=descriptors[0]: _serve(socket.socket(fileno=channel), own))  # type: ignore[misc]
        os.close(descriptors[0])
        control.recv(1)  # finished, or the parent is gone; the worker's id is not free before it has been waited for
        os.kill(worker, signal.SIGKILL)
        _, status = os.waitpid(worker, 0)
        control.send(STATUS.pack(status))


def never_return(life: Callable[[], None]) -> NoReturn:
    """Run ``life`` and end the process without the parent's exit functions, whatever happens."""
    code = 1
    try:
        life()
        code = 0
    finally:
        os._exit(code)


def _receive(channel: socket.socket, length: int) -> bytes:
    pieces: list[bytes] = []
    while length:
        piece = channel.recv(min(length, CHUNK_BYTES))
        if not piece:
            os._exit(0)
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
