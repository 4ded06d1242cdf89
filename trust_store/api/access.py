"""Opening a file for somebody else: beneath a configured folder, through no symbolic link, and only if he could read it himself."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SEARCH, _READ = 1, 4
_ROOT = 0
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_ACCESS_LISTS = ("system.posix_acl_access", "system.nfs4_acl")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that asks: its user, and every group that it is in; None where the kernel does not tell them all."""

    uid: int
    gids: frozenset[int] | None

    def may(self, status: os.stat_result, wanted: int) -> bool:
        """Whether the mode bits let this user (POSIX 4.7: owner, else group, else others); root may everything."""
        if self.uid == _ROOT:
            return True
        if self.gids is None:
            return False
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid in self.gids else 0
        return bool(stat.S_IMODE(status.st_mode) >> shift & wanted)


@contextmanager
def opened_for(peer: Peer, path: Path, folders: Iterable[Path]) -> Iterator[int]:
    """A descriptor of the regular file at ``path``; raises ProblemError.

    Every component from the root folder down is opened from the one before with O_NOFOLLOW, and the very descriptor that is used is
    the one that was asked about: nothing can be exchanged in between. The folder itself may be configured by a link; what counts is
    where it leads. What does not exist and what may not be seen are not told apart.
    """
    folder = next((f for f in folders if _beneath(path, f)), None)
    if folder is None:
        raise ProblemError(HTTPStatus.FORBIDDEN, f"{path} is in none of the folders of [api] folders")
    parts = (*Path(os.path.realpath(folder)).parts[1:], *path.relative_to(folder).parts)
    with ExitStack() as held:
        current = _opened("/", None, _FOLDER, held)
        try:
            for name in parts[:-1]:
                _require(peer, current, _SEARCH)
                current = _opened(name, current, _FOLDER, held)
            _require(peer, current, _SEARCH)
            file = _opened(parts[-1], current, _FILE, held)
            _require(peer, file, _READ)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise _absent(path)
        except (OSError, ValueError) as error:
            raise _absent(path) from error
        yield file


def _require(peer: Peer, descriptor: int, wanted: int) -> None:
    """Raises PermissionError where the mode bits do not let the peer, ProblemError where they do not tell."""
    if peer.uid != _ROOT and _has_list(descriptor):
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "the file or a folder above it has an access control list, which is not looked into here: send the bytes instead",
        )
    if not peer.may(os.fstat(descriptor), wanted):
        raise PermissionError


def _has_list(descriptor: int) -> bool:
    """Whether more than the mode bits decides who may open this; so too where nobody can say."""
    for name in _ACCESS_LISTS:
        try:
            os.getxattr(f"/proc/self/fd/{descriptor}", name)  # a descriptor with O_PATH is not taken itself
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
                return True
        else:
            return True
    return False


def _beneath(path: Path, folder: Path) -> bool:
    """Whether ``path`` is written below ``folder``, without ``..`` (what links make of it is for opening to find)."""
    return path.is_absolute() and ".." not in path.parts and path != folder and path.is_relative_to(folder)


def _opened(name: str, parent: int | None, flags: int, held: ExitStack) -> int:
    descriptor = os.open(name, flags, dir_fd=parent)
    held.callback(os.close, descriptor)
    return descriptor


def _absent(path: Path) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"{path.name} is no regular file that you may read there")
