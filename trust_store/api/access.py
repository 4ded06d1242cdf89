"""Opening a file for somebody else: beneath a configured folder, through no symbolic link, and only if he could read it himself."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SEARCH, _READ = 1, 4
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Peer:
    """A Unix user with every group he is in."""

    uid: int
    gids: frozenset[int]

    @classmethod
    def of(cls, uid: int) -> Peer:
        """The user as the system knows him; one who is not in the user database is in no group."""
        try:
            known = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid, frozenset())
        return cls(uid, frozenset(os.getgrouplist(known.pw_name, known.pw_gid)))

    def may(self, status: os.stat_result, wanted: int) -> bool:
        """Whether the mode bits let this user (POSIX 4.7: owner, else group, else others); root may everything."""
        if self.uid == 0:
            return True
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid in self.gids else 0
        return bool(stat.S_IMODE(status.st_mode) >> shift & wanted)


@contextmanager
def opened_for(peer: Peer, path: Path, folders: Iterable[Path]) -> Iterator[int]:
    """A descriptor of the regular file at ``path``; raises ProblemError.

    Every component below the folder is opened from the one before with O_NOFOLLOW, and the very descriptor that is used is the one
    that was asked about: nothing can be exchanged in between. What does not exist and what may not be seen are not told apart.
    """
    folder = next((f for f in folders if _beneath(path, f)), None)
    if folder is None:
        raise ProblemError(HTTPStatus.FORBIDDEN, f"{path} is in none of the folders of [api] folders")
    descriptors = [_opened(folder, None, follow=True)]
    try:
        for part in path.relative_to(folder).parts:
            if not peer.may(os.fstat(descriptors[-1]), _SEARCH):
                raise _absent(path)
            descriptors.append(_opened(Path(part), descriptors[-1]))
        status = os.fstat(descriptors[-1])
        if not stat.S_ISREG(status.st_mode) or not peer.may(status, _READ):
            raise _absent(path)
        yield descriptors[-1]
    except OSError as error:
        raise _absent(path) from error
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _beneath(path: Path, folder: Path) -> bool:
    """Whether ``path`` is written below ``folder``, without ``..`` (what links make of it is for opening to find)."""
    return path.is_absolute() and ".." not in path.parts and path != folder and path.is_relative_to(folder)


def _opened(name: Path, parent: int | None, *, follow: bool = False) -> int:
    flags = _OPEN & ~os.O_NOFOLLOW if follow else _OPEN
    try:
        return os.open(name, flags, dir_fd=parent)
    except (OSError, ValueError) as error:
        raise _absent(name) from error


def _absent(path: Path) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"{path.name} is no regular file that you may read there")
