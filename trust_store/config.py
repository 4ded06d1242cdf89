"""Reads TOML into frozen dataclasses; errors name file, line and the nearest known key. Line numbers are sought only then."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
import re
import stat
import tomllib
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trust_store.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
MAX_CONFIG_BYTES = 1024 * 1024


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of ``path``; raises ConfigError with the line of a syntax error."""
    try:
        with open(path, "rb", opener=_regular) as stream:
            data = stream.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise ConfigError(f"larger than {MAX_CONFIG_BYTES} bytes", file=path)
        return tomllib.loads(data.decode())
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such file; 'rootwarden init' writes a configuration, --config names another", file=path
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8", file=path) from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"not valid TOML: {error}", file=path, line=int(place[1]) if place else 0) from error
    except RecursionError as error:
        raise ConfigError("nested too deeply", file=path) from error


def _regular(path: str, flags: int) -> int:
    """A descriptor of a regular file or directory; raises OSError for a pipe or device: whoever reads one may wait for ever."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


def section(kind: type[T], table: Mapping[str, Any], *, file: Path, name: str, nested: tuple[str, ...] = ()) -> T:
    """Return ``table`` as a ``kind`` (a frozen dataclass); unknown keys, missing keys and wrong types raise ConfigError.

    ``nested`` names sub-tables that are read by somebody else. ``name`` is the dotted table name, for messages.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"[{name}] must be a table", file=file, line=line_of(file, name))
    fields, required = _fields(kind)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in nested:
            continue
        if key not in fields:
            raise unknown_key(key, [*fields, *nested], file=file, name=name)
        values[key] = _convert(value, fields[key], file=file, name=name, key=key)
    for key in required:
        if key not in values:
            raise ConfigError(f"[{name}] needs the key {key!r}", file=file, line=line_of(file, name))
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"[{name}] {error}", file=file, line=line_of(file, name)) from error


@functools.cache
def _fields(kind: type[Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The types of a section's keys, and which keys it cannot do without; both are fixed with the class."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = tuple(f.name for f in fields if f.default is missing and f.default_factory is missing)
    return {f.name: hints[f.name] for f in fields}, required


def unknown_key(key: str, known: list[str], *, file: Path, name: str) -> ConfigError:
    """The error for a key that nobody knows, with the nearest known one."""
    import difflib  # only to put a mistake right

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    where = f" in [{name}]" if name else ""
    return ConfigError(
        f"unknown key {key!r}{where}", file=file, line=line_of(file, name, key), nearest=near[0] if near else None
    )


def line_of(file: Path, name: str, key: str | None = None) -> int:
    """Line (1-based) of ``key`` in table ``name`` of ``file``, or of the table's header; 0 where it cannot be told."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return 0
    current, header = "", 0
    for number, line in enumerate(lines, 1):
        if match := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$", line):
            current = match[1].replace(" ", "").replace('"', "")
            header = number if current == name and not header else header
            if key is not None and current == (f"{name}.{key}" if name else key):
                return number
        elif key is not None and current == name and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    return header


def _convert(value: Any, hint: Any, *, file: Path, name: str, key: str) -> Any:
    """``value`` as ``hint``: str, int, float, bool, Path, tuple[str, ...] or one of these or None."""
    if isinstance(hint, types.UnionType):
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        if isinstance(value, list):
            return tuple(_convert(v, inner, file=file, name=name, key=key) for v in value)
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif hint is Path and isinstance(value, str):
        return Path(value) if Path(value).is_absolute() else file.parent / value
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    wanted = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    told = wanted.get(hint, "a list of strings")
    raise ConfigError(f"{key!r} in [{name}] must be {told}", file=file, line=line_of(file, name, key))
