"""SSH public keys as text: ``.pub`` and authorized_keys lines (sshd(8)), allowed_signers files (ssh-keygen(1))."""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from trust_store.decode import spki
from trust_store.decode.key_readers.protocol import MAX_KEYS_PER_FILE, MAX_LEFT_OUT, KeyFile, Reading
from trust_store.decode.ssh_keys import KEY_TYPES, OTHER_TYPES, ssh_spki
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.key_material import KeyMaterial
from trust_store.model.trust_anchor import AnchorKind, Constraints
from trust_store.quick_dataclass import dataclass

MAX_LINE_BYTES = 32 * 1024
FILES = "file"
"""The namespace of signatures over files (ssh-keygen(1)): a key that is limited to others signs no package."""
# A field ends at a blank outside double quotes; inside them a backslash keeps a quote (sshd(8)).
_FIELD = re.compile(rb'((?:[^\s"]|"(?:[^"\\]|\\.)*+")++)\s*+')
_TYPES = frozenset(t.encode() for t in KEY_TYPES | OTHER_TYPES)
_ANY_TYPE = re.compile(
    rb"(?:^|\s)(?:" + b"|".join(re.escape(t) for t in sorted(_TYPES)) + rb")[ \t]+AAAA", re.MULTILINE
)
_TIME = re.compile(r"(\d{8})(?:(\d{4})(\d{2})?)?(Z?)")
_KEY_OPTIONS = frozenset(
    {
        "agent-forwarding", "cert-authority", "command", "environment", "expiry-time", "from", "namespaces",
        "no-agent-forwarding", "no-port-forwarding", "no-pty", "no-touch-required", "no-user-rc", "no-x11-forwarding",
        "permitlisten", "permitopen", "port-forwarding", "principals", "pty", "restrict", "tunnel", "user-rc",
        "valid-after", "valid-before", "verify-required", "x11-forwarding",
    }
)  # fmt: skip
# A time without Z is in a zone that the file does not say; the narrowest window over all zones is taken.
_EARLIEST_ZONE, _LATEST_ZONE = timedelta(hours=14), timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: who (principals), under which options, the key's type, its base64 and the comment."""

    principals: str
    options: dict[str, str]
    kind: str
    blob: bytes
    comment: str


class SSHReader:
    """Lines of keys; comments and empty lines between them."""

    NAME = "SSH public keys"

    def recognises(self, file: KeyFile, /) -> bool:
        """A key type followed by base64 that begins as every blob does."""
        return b"-----BEGIN " not in file.data and b"AAAA" in file.data and bool(_ANY_TYPE.search(file.data))

    def read(self, file: KeyFile, /) -> Reading:
        """A key for each line; certificate authorities, known_hosts marks and key types that are not read are left out and named."""
        found: dict[bytes, KeyMaterial] = {}
        left_out: list[str] = []
        lines = 0
        for number, line in enumerate(file.data.split(b"\n"), 1):
            plain = line.strip()
            if not plain or plain.startswith(b"#"):
                continue
            lines += 1
            if lines > MAX_KEYS_PER_FILE or len(left_out) >= MAX_LEFT_OUT:
                raise ResourceLimitError("too many lines of SSH keys in one file")
            try:
                key = _key(_parse(plain))
            except UnsupportedError as error:
                left_out.append(f"line {number}: {error}")
                continue
            except MalformedError as error:
                raise MalformedError(f"line {number}: {error}") from error
            if found.setdefault(key.material, key).constraints != key.constraints:
                raise MalformedError(f"line {number}: the same key stands on an earlier line for another time")
        if not found:
            raise UnsupportedError(left_out[0] if left_out else "no SSH key in it")
        return Reading(tuple(found.values()), tuple(left_out))


def _parse(line: bytes) -> _Line:
    if len(line) > MAX_LINE_BYTES:
        raise ResourceLimitError(f"a line of {len(line)} bytes")
    if line.startswith((b"@", b"|")):
        raise UnsupportedError("a line of known_hosts: host keys sign no packages")
    before, kind, blob, comment = _fields(line)
    # authorized_keys has only options before the type, allowed_signers principals and then options
    listed = _split(before[0]) if len(before) == 1 else []
    only_options = bool(listed) and all(_name(option) in _KEY_OPTIONS for option in listed)
    principals = "" if only_options or not before else before[0].replace('"', "")
    options = _options(before[-1]) if only_options or len(before) == 2 else {}
    return _Line(principals, options, kind, blob, comment)


def _fields(line: bytes) -> tuple[list[str], str, bytes, str]:
    """(up to two fields before the key type, the type, the base64, the rest of the line)."""
    before: list[str] = []
    match = _FIELD.match(line)
    while match and match[1] not in _TYPES and len(before) < 2:
        before.append(match[1].decode("utf-8", "replace"))
        match = _FIELD.match(line, match.end())
    if match is None or match[1] not in _TYPES:
        raise MalformedError("no key type on it")
    kind = match[1].decode()
    blob, _, comment = line[match.end() :].strip().partition(b" ")
    return before, kind, blob, comment.strip().decode("utf-8", "replace")


def _key(line: _Line) -> KeyMaterial:
    if "cert-authority" in line.options:
        raise UnsupportedError("an SSH certificate authority: its certificates are not read")
    if "namespaces" in line.options and not _among(line.options["namespaces"], FILES):
        raise UnsupportedError(f"a key for {line.options['namespaces'][:60]!r} alone, not for files")
    if line.kind not in KEY_TYPES:
        raise UnsupportedError(f"SSH keys of type {line.kind!r} are not read")
    blob = _decoded(line.blob)
    kind, info = ssh_spki(blob)
    if kind != line.kind:
        raise MalformedError("the key is of another type than the line says")
    terms = [f"namespaces {line.options['namespaces']}"] if "namespaces" in line.options else []
    name = " ".join(text for text in (line.principals, *terms, line.comment) if text)
    identifiers = (spki.whole(blob), *spki.spki_identifiers(info))
    return KeyMaterial(AnchorKind.SSH, name[:400] or line.kind, blob, identifiers, _limits(line.options))


def _among(patterns: str, namespace: str) -> bool:
    """Whether a list of patterns (ssh_config(5) PATTERNS) takes in the namespace: one that is negated and matches leaves it out."""
    listed = patterns.split(",")
    negated = [pattern[1:] for pattern in listed if pattern.startswith("!")]
    if any(fnmatchcase(namespace, pattern) for pattern in negated):
        return False
    return any(fnmatchcase(namespace, pattern) for pattern in listed if not pattern.startswith("!"))


def _limits(options: dict[str, str]) -> Constraints:
    first = _time(options["valid-after"], _LATEST_ZONE) if "valid-after" in options else None
    last = [_time(options[o], -_EARLIEST_ZONE) for o in ("valid-before", "expiry-time") if o in options]
    return Constraints(valid_from=first, valid_until=min(last, default=None))


def _time(text: str, shift: timedelta) -> datetime:
    """``YYYYMMDD[HHMM[SS]][Z]``; without Z moved by ``shift``, so that no zone is the wrong one."""
    match = _TIME.fullmatch(text)
    if match is None or not text.isascii():
        raise MalformedError(f"{text[:40]!r} is no time")
    try:
        at = datetime.strptime(match[1] + (match[2] or "0000") + (match[3] or "00"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return at if match[4] else at + shift
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{text[:40]!r} is no time") from error


def _options(text: str) -> dict[str, str]:
    """Options by lower-case name; one that stands twice or is not known is refused: it might have been a limit."""
    found: dict[str, str] = {}
    for option in _split(text):
        name, _, value = option.partition("=")
        if _name(option) not in _KEY_OPTIONS or _name(option) in found:
            raise MalformedError(f"the option {name[:60]!r} is not known, or stands twice")
        found[_name(option)] = value.strip('"')
    return found


def _split(text: str) -> list[str]:
    """The options of a field: commas inside quotes separate nothing."""
    return re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*+")++', text)


def _name(option: str) -> str:
    return option.partition("=")[0].lower()


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"a key that is not base64: {error}") from error
