"""``rootwarden demo``: plays the whole story against real servers. It lives with the tests, so it needs a checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from trust_store.errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--keep", is_flag=True, help="Leave the demo's folders, to look around in them.")
def command(*, keep: bool) -> int:
    """Play the story end to end: an unknown root, the alert, the call, the decision; exit 0 only if every step held.

    \b
    Examples:
      make demo
      rootwarden demo --keep
    """
    if not (CHECKOUT / "tests/stories/demo.py").is_file():
        raise UsageError("the demo plays with the servers of the test suite: run 'make demo' in a checkout")
    sys.path.insert(0, str(CHECKOUT))
    try:
        story = importlib.import_module("tests.stories.demo")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the demo needs the development dependencies ({error.name} is missing): run 'make demo'"
        ) from error
    return int(story.main(keep=keep))
