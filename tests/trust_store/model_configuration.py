"""What happens to the configuration: people edit it, the daemon loads it, people approve it, the clock is set."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.trust_store import model_world as world
from tests.trust_store.model_machine import StoreBesideModel
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    from tests.trust_store.model_store import Model

people = st.sampled_from([*world.PEOPLE, *world.PEOPLE, *world.PEOPLE, world.STRANGER])
vendors = st.sampled_from(world.VENDORS)
cuts = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 160))


class ConfiguredStore(StoreBesideModel):
    """The rules about vendor files, approvers and time."""

    @precondition(lambda self: self.changed())
    @rule()
    def reload(self) -> None:
        """The daemon loads the configuration: whatever was edited is told."""
        told: set[str] = set()

        def made() -> None:
            with transaction(self.store):
                changes = record_vendors(self.store, self.files_on_disk(), self.now, self.random)
                told.update(change.vendor_id for change in changes)
                if record_approvers(self.store, self.model.loaded.items(), self.now) is not None:
                    told.add("approvers")

        expected = copy.deepcopy(self.model).load(self.now)

        def wanted(model: Model) -> None:
            model.load(self.now)

        self.does(wanted, made)
        assert told == expected, "an edit of the configuration went unnoticed, or one was invented"

    @rule(
        vendor=vendors,
        policy=st.sampled_from(world.POLICIES),
        phones=st.sets(st.sampled_from([*world.PHONES, world.ROGUE])),
        loads=st.booleans(),
    )
    def edit_vendor(self, vendor: str, policy: tuple[int, str, int], phones: set[str], loads: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """Somebody writes in a vendor file; perhaps nobody loads it yet."""
        people_, call, wait = policy
        state = self.model.vendors[vendor]
        state.file = replace(
            state.file, people=people_, call=call, wait=wait, phones=frozenset(phones or {world.PHONES[0]})
        )
        if loads:
            self.reload()

    @rule(identity=st.sampled_from(list(world.PEOPLE)), loads=st.booleans())
    def edit_approvers(self, identity: str, loads: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """Somebody takes a person out of [approvers], or puts one in."""
        if identity in self.model.loaded and len(self.model.loaded) > 1:
            del self.model.loaded[identity]
        else:
            self.model.loaded[identity] = world.PEOPLE[identity]
        if loads:
            self.reload()

    @precondition(lambda self: any(state.awaiting for state in self.model.vendors.values()))
    @rule(identity=people, vendor=vendors, cut=cuts)
    def approve_policy(self, identity: str, vendor: str, cut: int | None) -> None:
        self.decides("policy.approve", identity, lambda m: m.approve_policy(identity, vendor), cut, vendor=vendor)

    @precondition(lambda self: self.model.recorded != self.model.counting)
    @rule(identity=people)
    def approve_approvers(self, identity: str) -> None:
        self.decides("approvers.approve", identity, lambda m: m.approve_list(identity, self.now))

    @rule(days=st.sampled_from([0.01, 0.5, 1, 3, 7, 12, 31, 95, -0.01, -1, -8, -40]))
    def clock(self, days: float) -> None:
        """The clock is set, forward or back."""
        self.now += timedelta(days=days)
