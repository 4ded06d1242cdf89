"""What the OpenAPI document says beside what FastAPI reads off the routes: the bodies of a check, and what a refusal looks like."""

from __future__ import annotations

from typing import Any

from trust_store.api.problems import MEDIA_TYPE

_PROBLEM = {
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                },
            }
        }
    }
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused, and why", **_PROBLEM},
    "5XX": {"description": "No answer, and why", **_PROBLEM},
}
WHOSE = "whose package this is said to be, or any"
_FILE = {"type": "string", "format": "binary"}
CHECK_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["path", "vendor"],
                "properties": {"path": {"type": "string"}, "vendor": {"type": "string"}},
                "additionalProperties": False,
            }
        },
        "application/octet-stream": {"schema": _FILE},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["package"],
                "properties": {"package": _FILE, "signature": {"type": "array", "items": _FILE}},
            }
        },
    },
}
