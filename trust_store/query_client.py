"""The HTTP API's client on this machine: asks the daemon over its Unix socket, and believes it only if it owns the store."""

from __future__ import annotations

import http.client
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from trust_store.errors import DaemonUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    Form = Iterable[tuple[str, str, BinaryIO]]

MAX_ANSWER_BYTES = 300 * 1024 * 1024
PIECE_BYTES = 256 * 1024
_CREDENTIALS = "3i"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket whose other end is one of ``owners``."""

    def __init__(self, path: Path, owners: frozenset[int], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path, self._owners = path, owners

    def connect(self) -> None:
        """Connect, and ask the kernel who answers: anybody could have put a socket there."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))
        data = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
        uid = int(struct.unpack(_CREDENTIALS, data)[1])
        if uid not in self._owners:
            raise ConnectionError(f"who answers at {self._path} is uid {uid}, which is not the store's owner")


def _owner(database: Path) -> int:
    """Whose store it is. Who may not look into its folder asks whose that is: whoever owns it puts any database there."""
    try:
        return database.stat().st_uid
    except PermissionError:
        return database.parent.stat().st_uid


def get(
    path: Path, target: str, parameters: Mapping[str, str | Sequence[str]], *, database: Path, timeout: float
) -> Answer:
    """One GET request to the API at the Unix socket ``path`` (``timeout`` in seconds).

    Raises DaemonUnavailableError where nobody answers, or somebody who is neither root nor the owner of ``database``.
    """
    return _ask(path, "GET", f"{target}?{urlencode(parameters, doseq=True)}", database=database, timeout=timeout)


def post_form(
    path: Path, target: str, parameters: Mapping[str, str], files: Form, *, database: Path, timeout: float
) -> Answer:
    """One POST of ``files`` as multipart/form-data (RFC 7578), read and sent piece by piece; raises like ``get``.

    ``files`` are (part, file name, open file).
    """
    boundary = f"rootwarden-{os.urandom(16).hex()}"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Transfer-Encoding": "chunked"}
    return _ask(
        path, "POST", f"{target}?{urlencode(parameters)}", database=database, timeout=timeout, headers=headers,
        body=_form(files, boundary.encode()),
    )  # fmt: skip


def _form(files: Form, boundary: bytes) -> Iterator[bytes]:
    for part, name, stream in files:
        quoted = name.encode("utf-8", "surrogateescape").translate(None, b'"\r\n\\')
        yield b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n' % (
            boundary,
            part.encode(),
            quoted,
        )
        while piece := stream.read(PIECE_BYTES):
            yield piece
        yield b"\r\n"
    yield b"--%s--\r\n" % boundary


def _ask(
    path: Path,
    method: str,
    target: str,
    *,
    database: Path,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    body: Iterator[bytes] | None = None,
) -> Answer:
    try:
        connection = _UnixConnection(path, frozenset({0, _owner(database)}), timeout)
        try:
            connection.request(method, target, body, dict(headers or {}), encode_chunked=body is not None)
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise DaemonUnavailableError(f"the daemon does not answer at {path}: {error}") from error
    if len(content) > MAX_ANSWER_BYTES:
        raise DaemonUnavailableError(f"the daemon's answer at {path} is larger than {MAX_ANSWER_BYTES} bytes")
    return Answer(answer.status, content)
