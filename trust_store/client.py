"""How a command has a decision made: by the daemon over its control socket, else in process under the writer's lock.

While the daemon runs it is the only writer. The identity is what the other side can prove (SO_PEERCRED there, the effective uid
here), mapped by ``[approvers]``; no flag or environment variable names one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import time
from typing import TYPE_CHECKING, Any

from trust_store import audit, checkpoints, client_memory
from trust_store.decisions import perform
from trust_store.errors import DaemonUnavailableError, DecisionRefusedError
from trust_store.policy_approval import person_deciding
from trust_store.remembered import memory_folder
from trust_store.storage.connection import StoreClosedError, connect, owner_of
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS
from trust_store.storage.writer_lock import WriterBusyError, writer_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from trust_store.settings import TrustSettings

MAX_ANSWER_BYTES = 1024 * 1024
REQUEST_TIMEOUT_SECONDS = 30.0
LOCK_WAIT_SECONDS = 5.0
NOT_NAMED = "is not named in [approvers]"
"""What ``policy_approval`` says of a stranger, here or in the daemon."""


class _NobodyAnswersError(DaemonUnavailableError):
    """No connection was made, so nothing was asked of anybody."""


def request(path: Path, command: str, arguments: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Ask the daemon at the Unix socket ``path`` (``timeout`` in seconds) and return its result.

    Raises DaemonUnavailableError where it does not answer, DecisionRefusedError where it refused.
    """
    line = json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout)
        try:
            peer.connect(os.fspath(path))
        except OSError as error:
            raise _NobodyAnswersError(
                f"the daemon does not answer at {path}: {error.strerror or error}; {_way_out(error)}"
            ) from error
        try:
            peer.sendall(line)
            answer = _read_line(peer, time.monotonic() + timeout)
        except OSError as error:
            raise DaemonUnavailableError(
                f"the daemon at {path} gave no answer ({error}); 'rootwarden audit show' tells whether it decided"
            ) from error
    return _result(answer, path)


def decide(
    settings: TrustSettings,
    command: str,
    arguments: Mapping[str, Any],
    *,
    now: Callable[[], datetime],
    randomness: Callable[[int], bytes],
) -> dict[str, Any]:
    """Have a decision made by the daemon, or in process where none runs; raises as ``decisions.perform`` does."""
    try:
        return request(settings.control.socket, command, arguments, REQUEST_TIMEOUT_SECONDS)
    except DecisionRefusedError as refused:
        if NOT_NAMED in str(refused) and settings.approvers.person_of(f"uid:{os.geteuid()}") is not None:
            raise DecisionRefusedError(
                f"{refused} as the running daemon loaded it, before it was edited; restart it: systemctl restart rootwarden"
            ) from refused
        raise
    except _NobodyAnswersError as silent:
        try:
            owner = owner_of(settings.store.database)
        except StoreClosedError:
            raise silent from None  # only the daemon could have decided for this user
        uid = os.geteuid()
        if owner != uid:
            raise DecisionRefusedError(f"uid {uid} does not own {settings.store.database}, and {silent}") from silent
        return _in_process(settings, command, arguments, now=now, randomness=randomness)


def _in_process(
    settings: TrustSettings,
    command: str,
    arguments: Mapping[str, Any],
    *,
    now: Callable[[], datetime],
    randomness: Callable[[int], bytes],
) -> dict[str, Any]:
    """Decide as the effective uid, which owns the store and must be named in ``[approvers]``."""
    database, uid = settings.store.database, os.geteuid()
    if settings.approvers.person_of(f"uid:{uid}") is None:
        raise DecisionRefusedError(f"uid {uid} ({_user(uid)}) {NOT_NAMED} of {settings.file}")
    checkpoint_file = database.with_name(checkpoints.CHECKPOINT_NAME)
    with exclusive(settings.store.lock), contextlib.closing(connect(database)) as connection:
        checkpoint = checkpoints.read_checkpoint(checkpoint_file)
        require_schema(connection, (MIGRATIONS,))
        audit.verify(connection)
        checkpoints.require_checkpoint(connection, checkpoint)
        folder = memory_folder()
        client_memory.require_not_older(connection, folder, client_memory.recall(connection, folder))
        person = person_deciding(connection, settings.approvers, f"uid:{uid}", settings.file)
        try:
            return perform(
                connection,
                command,
                arguments,
                identity=person,
                vendors=settings.vendors,
                at=now(),
                randomness=randomness,
            )
        finally:
            checkpoints.keep_checkpoint(connection, checkpoint_file, now())


@contextlib.contextmanager
def exclusive(lock: Path, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
    """Hold the writer's lock; raises DaemonUnavailableError if somebody else (a daemon that does not answer) keeps it."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(writer_lock(lock, wait_seconds=wait_seconds))
        except WriterBusyError as error:
            raise DaemonUnavailableError(
                f"{lock} is held: a daemon runs, or starts and does not answer yet; stop it (systemctl stop rootwarden) or try again"
            ) from error
        yield


def _read_line(peer: socket.socket, until: float) -> bytes:
    """One line of at most MAX_ANSWER_BYTES; raises TimeoutError (an OSError) or an empty line where the peer just closed."""
    parts: list[bytes] = []
    size = 0
    while size <= MAX_ANSWER_BYTES:
        peer.settimeout(max(0.001, until - time.monotonic()))
        part = peer.recv(65536)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if b"\n" in part:
            break
    return b"".join(parts)


def _result(answer: bytes, path: Path) -> dict[str, Any]:
    """What the daemon's line says; anything but its documented shape is no answer."""
    whole = answer if answer.endswith(b"\n") and len(answer) <= MAX_ANSWER_BYTES else b""
    try:
        said = json.loads(whole)
        if said["ok"] is True and isinstance(said["result"], dict):
            return dict(said["result"])
        message, code = str(said["error"]), int(said["exit_code"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DaemonUnavailableError(
            f"the daemon at {path} gave no readable answer; 'rootwarden audit show' tells whether it decided"
        ) from error
    if code == DecisionRefusedError.exit_code:
        raise DecisionRefusedError(message, kind=str(said.get("kind", "refused")))
    raise DaemonUnavailableError(message)


def _way_out(error: OSError) -> str:
    """What whoever did not reach the daemon does next."""
    if isinstance(error, PermissionError):
        return "join the socket's group ([control] group) and log in again"
    return "start it: systemctl start rootwarden"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "no user of that number"
