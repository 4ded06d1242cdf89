"""What a channel writes in titles and addresses is no way to show the fingerprint of a key that waits."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

from tests.monitor.test_listening_commands import config, run, site
from trust_store import query
from trust_store.anchor_rules import fingerprint_of
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator.vendor_site import VendorSite

__all__ = ["config", "site"]  # fixtures


def test_titles_and_addresses_spell_no_waiting_key(config: Path, site: VendorSite) -> None:
    """A post whose title or key file's address is the fingerprint is shown without it, in text and as JSON."""
    run(config, "poll")
    with closing(connect(config.parent / "state/rootwarden.db", read_only=True)) as connection:
        (anchor,) = query.anchors(connection, None, {AnchorState.PENDING})
    (secret,) = fingerprint_of(anchor)
    grouped = " ".join(secret[i : i + 4] for i in range(0, 64, 4))
    site.publish(f"The new root is {grouped.upper()}", f"<a href='/{secret}.pem'>key</a>")
    said = [run(config, "poll")[1], run(config, "poll", "--json")[1], run(config, "source", "list", "--json")[1]]
    shown = run(config, "source", "show", "news", "--json")[1]
    assert any("The new root is" in d["title"] for d in json.loads(shown)["documents"])
    for text in (shown, *said, run(config, "source", "list")[1], run(config, "source", "show", "news")[1]):
        plain = "".join(c for c in text.lower() if c in "0123456789abcdef")
        assert not [i for i in range(57) if secret[i : i + 8] in plain]
