"""docs/http-api.md, made from the OpenAPI document that the daemon serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from trust_store.api.answers import Answers
from trust_store.api.app import SENDING_SECONDS, build_app
from trust_store.api.front import REQUESTS_A_SECOND, REQUESTS_AT_ONCE
from trust_store.api.peer import CONNECTIONS_OF_A_USER, HEAD_SECONDS, WRITE_SECONDS
from trust_store.api.readings import READINGS, READINGS_OF_A_USER, WAIT_SECONDS
from trust_store.api.requests import NEVER_STORED
from trust_store.api.room import PACKAGES, PACKAGES_OF_A_USER, RESERVE_BYTES
from trust_store.api.uploads import MAX_SIDE_BYTES, MAX_SIDES

ASK = "curl --silent --unix-socket /run/rootwarden/api.sock"
EXAMPLES: dict[str, tuple[str, ...]] = {
    "GET /healthz": (f"{ASK} http://localhost/healthz",),
    "GET /readyz": (f"{ASK} http://localhost/readyz",),
    "POST /v1/check": (
        f"""{ASK} --json '{{"path": "/srv/upgrades/upgrade.zip", "vendor": "dten"}}' http://localhost/v1/check""",
        f"{ASK} --header 'Content-Type: application/octet-stream' --data-binary @upgrade.zip \\\n"
        "    'http://localhost/v1/check?vendor=dten&name=upgrade.zip'",
        f"{ASK} --form package=@upgrade.zip --form signature=@upgrade.zip.p7s \\\n"
        "    'http://localhost/v1/check?vendor=dten'",
    ),
    "GET /v1/packages/{sha256}": (
        f"{ASK} \"http://localhost/v1/packages/$(sha256sum upgrade.zip | cut -d' ' -f1)?vendor=dten\"",
    ),
    "GET /v1/keys/{identifier}": (f"{ASK} http://localhost/v1/keys/$FINGERPRINT",),
    "GET /v1/anchors": (f"{ASK} 'http://localhost/v1/anchors?vendor=dten&state=valid'",),
    "GET /v1/bundle": (f"{ASK} --output trust.bundle 'http://localhost/v1/bundle?days=2'",),
}
"""Operation -> what to type."""
_HEAD = f"""# HTTP API

Generated from the program's own OpenAPI document (`/v1/openapi.json`): `python -m tests.docs_tables`.

The daemon answers on the Unix socket of `[api]` (see [settings](settings.md)); there is no TCP. Who asks is the Unix user at the other
end. The API answers questions and takes no decision. Errors are RFC 9457 problem documents (`application/problem+json`): `title`,
`status`, and a `detail` that names the fix. Verdicts are the JSON of `rootwarden check --json`; the HTTP status is 200 whatever the
outcome is, so a gate reads `outcome` and lets through `passed` and nothing else.

`vendor` is required for a verdict (400 without; `any` opts out and is shown). A path must lie below one of `[api] folders`, lead through
no symbolic link and be readable for the process that asks, by its own user and groups, from `/` down; where an access control list
stands on the way the answer is 403. A parameter or field that is not described here is refused, and so is one said twice.
These are refused by name, because who gates on an answer must not choose what
is trusted: {", ".join(f"`{name}`" for name in NEVER_STORED)}.

A form has one part `package` and up to {MAX_SIDES} parts `signature`, each of at most {MAX_SIDE_BYTES // 2**20} MiB and named as it is
beside the package. What is sent is judged, recorded and alerted about like a package in `incoming/`; its bytes are not kept.

| what | at most | else |
| --- | --- | --- |
| requests of a user | {REQUESTS_AT_ONCE:g} at once, then {REQUESTS_A_SECOND:g} a second | 429 |
| connections of a user but root | {CONNECTIONS_OF_A_USER} | closed |
| packages being read, of a user and of all | {READINGS_OF_A_USER} and {READINGS} | the others wait, after {WAIT_SECONDS:g} seconds 503 |
| uploads under way, of a user and of all | {PACKAGES_OF_A_USER} and {PACKAGES} times `max_upload_bytes` | 429, 507 |
| free space on the store's disk | uploads leave {RESERVE_BYTES // 2**20} MiB | 507 |
| time to send a request's head | {HEAD_SECONDS:g} seconds | closed |
| time to send all of it | {SENDING_SECONDS / 60:g} minutes | 408 |
| time to read the answer | {WRITE_SECONDS:g} seconds | closed |

Whoever hangs up ends the reading of his package.
"""


def page() -> str:
    """docs/http-api.md."""
    app = build_app(cast("Answers", None), max_upload_bytes=1, uploads=Path("/nonexistent"), version="0")
    lines = [_HEAD]
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            lines += _operation(f"{method.upper()} {path}", operation)
    return "\n".join(lines).rstrip() + "\n"


def _operation(name: str, said: dict[str, Any]) -> list[str]:
    lines = [
        f"## `{name}`",
        "",
        f"{said['summary']}. " + " ".join(said.get("description", "").replace("``", "`").split()),
        "",
    ]
    parameters = said.get("parameters", [])
    if parameters:
        lines += ["| parameter | in | type | default |", "| --- | --- | --- | --- |"]
        lines += [_parameter(p) for p in parameters]
        lines.append("")
    return [*lines, "```sh", *EXAMPLES[name], "```", ""]


def _parameter(said: dict[str, Any]) -> str:
    schema = said["schema"]
    plain = next((one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"), schema)
    kind = "list of text" if plain.get("type") == "array" else {"string": "text"}.get(plain["type"], plain["type"])
    if "minimum" in plain:
        kind += f", {plain['minimum']} to {plain['maximum']}"
    default = "required" if said["required"] else schema.get("default", "none")
    return f"| `{said['name']}` | {said['in']} | {kind} | {str(default).lower()} |"
