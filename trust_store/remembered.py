"""Files in which a user's commands remember the newest state of a store: of the standard library alone, read and written safely.

``client_memory`` compares a store with them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT_STATE = Path("/var/lib/rootwarden-client")
"""Root's own place: $HOME may be that of the user who called sudo."""
_MAX_STORE_ID = 64
_SCHEMA = "rootwarden-memory/1"
_MAX_BYTES = 1000
_BUNDLE = "_bundle"


@dataclass(frozen=True, slots=True)
class Memory:
    """The newest state of a store that was seen: revision, number and hash of the newest entry, public key in hex."""

    store: str
    revision: int
    seq: int
    hash: str
    public: str

    @property
    def line(self) -> str:
        """The text form."""
        return f"{_SCHEMA} {self.store} {self.revision} {self.seq} {self.hash} {self.public}\n"


def memory_folder(environment: Mapping[str, str] | None = None, uid: int | None = None) -> Path | None:
    """Where memories are kept: $XDG_STATE_HOME, root's own folder, or ~/.local/state; None where there is no such place."""
    environment = os.environ if environment is None else environment
    uid = os.geteuid() if uid is None else uid
    for base, below in (("XDG_STATE_HOME", "rootwarden/stores"), ("HOME", ".local/state/rootwarden/stores")):
        if base == "HOME" and uid == 0:
            return ROOT_STATE / "stores"
        said = environment.get(base, "")
        if said.startswith("/"):
            return Path(said) / below
    return None


def read_memory(folder: Path, store: str) -> Memory | None:
    """What is remembered of that store; None where nothing readable is: a damaged memory is none."""
    try:
        descriptor = os.open(folder / store, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, opened without following a link
            text = stream.read(_MAX_BYTES).decode("ascii", "replace")
        _, named, revision, seq, link, public = text.removesuffix("\n").split(" ")
        said = Memory(named, int(revision), int(seq), link, public)
        whole = said.line == text and all(len(bytes.fromhex(digest)) == 32 for digest in (link, public))
    except (OSError, ValueError):
        return None
    return said if whole and named == store else None


def remember_bundle(folder: Path | None, store: str, revision: int, public: str) -> None:
    """Remember the revision of a bundle of that store; where nothing can be kept nothing is. A lower one lowers nothing."""
    name = f"{store}{_BUNDLE}"
    if folder is not None and is_name(name):
        with contextlib.suppress(OSError):
            raise_memory(folder, Memory(name, revision, 0, "0" * 64, public))


def least_revision(folder: Path | None, store: str) -> int:
    """The highest revision of that store which this user has seen, in the store itself or in a bundle; 0 where none is remembered."""
    names = (store, f"{store}{_BUNDLE}") if folder is not None else ()
    found = (read_memory(folder, name) for name in names if folder is not None and is_name(name))
    return max((memory.revision for memory in found if memory), default=0)


def why_not_kept(folder: Path | None) -> str | None:
    """Why nothing can be remembered there, None where it can."""
    if folder is None:
        return "neither XDG_STATE_HOME nor HOME names a folder"
    return None if ready(folder) else f"{folder} cannot be written, or is not this user's own"


def is_name(store: str) -> bool:
    """Whether the id of a store can be the name of a file: letters, digits, underscores."""
    return store.isascii() and store.replace("_", "a").isalnum() and len(store) <= _MAX_STORE_ID


def raise_memory(folder: Path, now: Memory) -> None:
    """Write it unless somebody wrote a newer one meanwhile."""
    if not ready(folder):
        return
    with exclusive_memory(folder, now.store):
        known = read_memory(folder, now.store)
        if known is None or (now.revision, now.seq) > (known.revision, known.seq):
            write_memory(folder, now)


def ready(folder: Path) -> bool:
    """Whether the folder is there and this user's own; it is made only below a folder of his own."""
    uid = os.geteuid()
    try:
        if not folder.exists():
            nearest = next(p for p in folder.parents if p.exists())
            if nearest.stat().st_uid != uid:
                return False
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, StopIteration):
        return False
    return found.st_uid == uid and not found.st_mode & 0o022 and os.access(folder, os.W_OK)


@contextlib.contextmanager
def exclusive_memory(folder: Path, store: str) -> Iterator[None]:
    """One writer a store at a time."""
    descriptor = os.open(folder / f".{store}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_memory(folder: Path, said: Memory) -> None:
    """Replace the memory at once; the caller holds the lock."""
    temporary = folder / f".{said.store}.new"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, made without following a link
        stream.write(said.line.encode())
    temporary.replace(folder / said.store)
