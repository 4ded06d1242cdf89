"""How a command has its decision made and tells what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from trust_store import client
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def message_of(result: dict[str, Any]) -> str:
    """What a decision says of itself."""
    return str(result["message"])


def decide(
    name: str,
    arguments: dict[str, Any],
    *,
    as_json: bool,
    told: Callable[[dict[str, Any]], str] = message_of,
) -> int:
    """Have the decision made and tell what came of it; a refusal is raised and ends in exit 2."""
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    result = client.decide(settings, name, arguments, now=invocation.now, randomness=invocation.randomness)
    click.echo(json.dumps(result) if as_json else "\n".join(safe(line) for line in told(result).splitlines()))
    return 0


def stated(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as arguments of a decision: a flag that is off and an empty list say nothing."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options.items() if v not in (None, (), False, "")}
