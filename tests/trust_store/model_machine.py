"""One store beside its model: both do the same, with power cuts, and are asked the same."""

from __future__ import annotations

import copy
import itertools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine

from tests.trust_store import model_crash as crash
from tests.trust_store import model_world as world
from tests.trust_store.model_records import OPEN, RefusedError, Told, VendorState
from tests.trust_store.model_store import Model
from tests.trust_store.model_verdict import verdict as verdict_of
from tests.trust_store.store_setup import AT, open_store
from trust_store import audit
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.verdict import ExpectedVendor
from trust_store.policy_approval import person_deciding
from trust_store.settings import Approvers
from trust_store.storage.connection import transaction
from trust_store.storage.facts import record_sighting, save_facts
from trust_store.stored_verdict import verify_stored

if TYPE_CHECKING:
    from collections.abc import Callable


class StoreBesideModel(RuleBasedStateMachine):
    """One store, its model, a clock that jumps both ways, and a configuration that people edit."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.base = Path(tempfile.mkdtemp(prefix="state-machine-"))
        self.patch.setenv("XDG_STATE_HOME", str(self.base / "remembered"))
        self.count = itertools.count(1)
        self.folder = self.base / "store-0"
        self.folder.mkdir()
        open_store(self.folder).close()
        self.store = crash.open_fragile(self.folder)
        self.now = AT
        self.revision = 0
        self.walked = 0
        self.turn = 0
        self.focus: tuple[str, ...] = ()
        self.packages: list[str] = []
        self.old: Path | None = None
        first = {v: world.VendorFile(v, *world.POLICIES[0], frozenset(world.PHONES)) for v in world.VENDORS}
        loaded = {i: p for i, p in world.PEOPLE.items() if p != "eve"}
        self.model = Model({v: VendorState(f) for v, f in first.items()}, loaded)
        with transaction(self.store):
            for name in world.PACKAGES:
                facts = world.facts(name)
                save_facts(self.store, facts, origin="intake", at=AT, randomness=self.random)
                record_sighting(self.store, facts.sha256, "fw.bin", None, None, "intake", AT)

    def random(self, size: int) -> bytes:
        return next(self.count).to_bytes(size, "big")

    def teardown(self) -> None:
        self.store.close()
        self.patch.undo()
        shutil.rmtree(self.base)

    # The store's side of things

    def ids(self, table: str, column: str) -> list[str]:
        """The ids of what was recorded, in the order of recording: the model has them in the same order."""
        asked = f"SELECT {column} FROM {table} WHERE version = 1 ORDER BY audit_seq"  # noqa: S608 - own names
        rows = self.store.execute(asked).fetchall()
        return [str(row[0]) for row in rows]

    def anchor_id(self, place: int) -> str:
        return self.ids("anchor_version", "anchor_id")[place]

    def place(self, number: int) -> int:
        """An anchor by a number that was drawn: with an even one, one that is not closed if there is any."""
        chosen = range(len(self.model.anchors))
        standing = [i for i in chosen if self.model.anchors[i].state in OPEN]
        return (
            standing[number // 2 % len(standing)] if standing and number % 2 == 0 else chosen[number // 2 % len(chosen)]
        )

    def key(self, number: int) -> str:
        """One of the keys that this run is about, of which there is a file."""
        files = [key for key in self.focus if key != "openpgp"]
        return files[number % len(files)]

    def changed(self) -> bool:
        """Whether somebody edited the configuration and nothing loaded it yet."""
        return self.model.loaded != self.model.recorded or any(s.latest != s.file for s in self.model.vendors.values())

    def files_on_disk(self) -> tuple[Any, ...]:
        return tuple(state.file.built() for state in self.model.vendors.values())

    def does(
        self, wanted: Callable[[Model], Told | None], made: Callable[[], dict[str, Any] | None], cut: int | None = None
    ) -> None:
        """Have model and store do the same; with ``cut`` the power goes at that statement, and all of it happened or none."""
        after = copy.deepcopy(self.model)
        expected: Told | str | None
        try:
            expected = wanted(after)
        except RefusedError:
            expected, after = "refused", self.model
        before = audit.head(self.store)
        self.store.left, self.store.after = (None, False) if cut is None else (cut // 2, cut % 2 == 1)
        try:
            told = made()
        except (DecisionRefusedError, UsageError) as error:
            kind = getattr(error, "kind", None)
            actual: Any = Told(str(kind)) if kind in ("mismatch", "incomplete") else "refused"
            why = str(error)
        except crash.PowerCutError:
            self.restart()
            self.model = after if audit.head(self.store) != before else self.model
            return
        else:
            why = str(told)
            actual = None if told is None else Told(told["outcome"], told.get("approvals"), told.get("needed"))
        finally:
            self.store.left = None
        if isinstance(expected, Told) and isinstance(actual, Told):
            given = actual.given if expected.given is not None else None
            actual = replace(actual, given=given, needed=actual.needed if expected.needed is not None else None)
        assert actual == expected, f"the store says {actual} ({why}), the model {expected}"
        if expected == "refused":
            assert audit.head(self.store) == before, "something was recorded of what was refused"
        self.model = after

    def decides(
        self, command: str, identity: str, wanted: Callable[[Model], Told], cut: int | None = None, **arguments: Any
    ) -> None:
        """One decision over the one entry, by somebody who is told by the kernel."""

        def made() -> dict[str, Any]:
            listed = Approvers(tuple(self.model.loaded.items()))
            person = person_deciding(self.store, listed, identity, "rootwarden.toml")
            return perform(
                self.store, command, arguments, identity=person, vendors=self.files_on_disk(), at=self.now,
                randomness=self.random,
            )  # fmt: skip

        self.does(wanted, made, cut)

    def restart(self) -> None:
        """What lies on the disk is opened anew, as after a power cut."""
        self.turn += 1
        self.folder = crash.copied(self.folder, self.base / f"store-{self.turn}")
        self.store.close()
        self.store = crash.open_fragile(self.folder)

    def ask(self, package: str, vendor: str | None) -> None:
        """One question, answered from the stored facts, by store and model."""
        verdict = verify_stored(
            self.store, world.facts(package).sha256, ExpectedVendor(vendor, "stated" if vendor else "none"),
            self.files_on_disk(), at=self.now,
        )  # fmt: skip
        outcome, reasons = verdict_of(self.model, package, vendor, self.now)
        said = f"{package} of {vendor}: {verdict.reason} {verdict.also}, the model says {outcome} {reasons}: {verdict.summary}"
        assert verdict.outcome.value == outcome, said
        assert verdict.reason.value in reasons, said
