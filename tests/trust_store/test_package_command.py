"""`rootwarden package show` judges stored facts under what is trusted now, and asks for the file where they are stale."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.check_command_setup import Run, here, only, pki, run, store
from tests.trust_store.store_setup import randomness
from trust_store.storage.connection import connect, transaction
from trust_store.storage.facts import record_sighting, save_facts

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

__all__ = ["here", "pki", "run", "store"]  # fixtures


def _seen(store: Path, facts: PackageFacts, name: str = "firmware.bin") -> str:
    at = datetime.now(UTC)
    with closing(connect(store / "rootwarden.db")) as connection, transaction(connection):
        save_facts(connection, facts, origin="intake", at=at, randomness=randomness)
        record_sighting(connection, facts.sha256, name, f"/incoming/dten/{name}", "dten", "intake", at)
    return facts.sha256


def test_package_show_answers_without_the_file(run: Run, store: Path, pki: VendorPKI) -> None:
    """Stored facts are judged anew under what is trusted now; the file is not there any more."""
    from tests.trust_store.verdict_craft import signed

    digest = _seen(store, signed(pki))
    (store / "firmware.bin").unlink()
    code, out, _ = run("package", "show", digest, "--vendor", "dten", "--json")
    answer = only(out)
    assert (code, answer["reason"], answer["package"]["name"]) == (0, "trusted", "firmware.bin")
    assert run("package", "show", digest, "--vendor", "acme")[0] == 3
    assert run("package", "show", digest.upper(), "--vendor", "any")[1].startswith(
        "/incoming/dten/firmware.bin: passed"
    )
    assert run("package", "show", "ab" * 32, "--vendor", "dten")[0] == 2
    assert run("package", "show", "abc", "--vendor", "dten")[0] == 2
    assert run("package", "show", digest)[0] == 2


def test_stale_facts_ask_for_the_file(run: Run, store: Path, pki: VendorPKI) -> None:
    """Facts of an older reader are never passed; the answer says that the file is needed."""
    from dataclasses import replace

    from tests.trust_store.verdict_craft import signed

    digest = _seen(store, replace(signed(pki), reader_version=0))
    code, out, _ = run("package", "show", digest, "--vendor", "dten", "--json")
    assert (code, only(out)["reason"], only(out)["needs_file"]) == (3, "unreadable", True)
