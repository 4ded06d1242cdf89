"""What a request may say: each parameter that its route knows, each once; the body of a question about a path."""

from __future__ import annotations

import json
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations

from trust_store.api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_REQUEST_BYTES = 64 * 1024
MAX_PATH_CHARACTERS = 4096
NEVER_STORED = ("anchors", "only_anchors", "at", "as_known_at", "untrusted", "crls")
"""What only a person may add to a question, on the command line: whoever gates on the answer must not choose what is trusted."""


async def require_known_query(request: Request) -> None:
    """Raises ProblemError for a parameter that the route does not describe, and for one that is said twice and no list."""
    described = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", ""), {})
    parameters = described.get(request.method.lower(), {}).get("parameters", [])
    known = {p["name"]: _is_list(p["schema"]) for p in parameters if p["in"] == "query"}
    require_known(Counter(name for name, _ in request.query_params.multi_items()), known)


def require_known(said: Mapping[str, int], known: Mapping[str, bool]) -> None:
    """Raises ProblemError where a name that was ``said`` (-> how often) is not ``known`` (-> whether it may be said again)."""
    for name, times in said.items():
        if name in NEVER_STORED:
            raise _bad(f"{name}: only 'rootwarden check' takes it, never a gate")
        if name not in known:
            raise _bad(f"{name[:60]}: not known here")
        if times > 1 and not known[name]:
            raise _bad(f"{name}: say it once")


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in schema.get("anyOf", [schema]))


async def asked_path(request: Request) -> tuple[Path, str | None]:
    """Path and vendor of a question in JSON; raises ProblemError."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_REQUEST_BYTES:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request is at most {MAX_REQUEST_BYTES} bytes")
    try:
        asked = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _bad("the request is no JSON") from error
    if not isinstance(asked, dict):
        raise _bad("the request is no JSON object")
    require_known(Counter(asked.keys()), {"path": False, "vendor": False})
    path, vendor = asked.get("path"), asked.get("vendor")
    if not isinstance(path, str) or not 0 < len(path) <= MAX_PATH_CHARACTERS or "\0" in path:
        raise _bad("path: the absolute path of a file")
    if vendor is not None and not isinstance(vendor, str):
        raise _bad("vendor: text")
    if vendor is not None and "vendor" in request.query_params:
        raise _bad("vendor: say it once, in the query or in the body")
    return Path(path), vendor or request.query_params.get("vendor")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names stand there once each: two readers of it might take different ones."""
    known = list(pairs)
    for name, times in Counter(name for name, _ in known).items():
        if times > 1:
            raise _bad(f"{name[:60]}: say it once")
    return dict(known)


def _bad(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, detail)
