"""Random decisions, approvals, clock jumps, crashes and tampering: the store equals a second store that is a small model.

``STATE_MACHINE_EXAMPLES`` and ``STATE_MACHINE_STEPS`` make the run longer.
"""

from __future__ import annotations

import itertools
import os
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.trust_store import model_crash as crash
from tests.trust_store import model_world as world
from tests.trust_store.model_configuration import ConfiguredStore, cuts, people, vendors
from tests.trust_store.model_records import TABLE
from tests.trust_store.store_setup import AT
from trust_store import anchor_management, audit, query
from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import SignerRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.trust_store.model_store import Model
    from trust_store.model.trust_anchor import TrustAnchor

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "15"))
STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "30"))

numbers = st.integers(0, 30)
rules = st.sampled_from(["none", "dedicated", "acme"])
RULES: dict[str, dict[str, Any]] = {
    "none": {},
    "dedicated": {"dedicated": True},
    "acme": {"signer_subject": ["O=ACME"]},
}
LIMITS: dict[str, dict[str, Any]] = {
    "none": {"clear": ["products"]},
    "here": {"products": ["*.bin"]},
    "elsewhere": {"products": ["other-*"]},
}
READINGS: dict[str, Callable[[str], str]] = {
    "right": lambda whole: whole,
    "wrong": lambda whole: whole[:-1] + ("0" if whole[-1] != "0" else "1"),
    "part": lambda whole: whole[:40],
}
LAPSE = timedelta(days=world.LAPSE_DAYS)
CAUSES = ("unspecified", "superseded", "cessation-of-operation", "affiliation-changed", "key-compromise")


class StoreMachine(ConfiguredStore):
    """What may happen to a store, in any order."""

    # Configuration

    @initialize(focus=st.sampled_from(world.FOCUS), known=st.lists(st.tuples(vendors, numbers, rules), max_size=4))
    def start(self, focus: tuple[str, ...], known: list[tuple[str, int, str]]) -> None:
        """The daemon starts; a few keys have been approved before the run begins."""
        self.focus = focus
        nodes = {world.KEYS[key].node for key in focus}
        self.packages = [name for name, made in world.PACKAGES.items() if nodes & world.above(made)] + ["unknown"]
        self.reload()
        for vendor, number, stated in known:
            self.hear(vendor, number, "none" if stated == "dedicated" else "acme", None)
            place = len(self.model.anchors) - 1
            if stated == "dedicated" and self.model.anchors[place].key != "openpgp":
                self.constrain_at("uid:1001", place, "dedicated", None, None)
            for identity in ("uid:1001", "uid:1002"):
                self.approve_at(identity, place, "call", world.PHONES[0], "right", None)

    # Proposals

    @rule(vendor=vendors, number=numbers, suggested=st.sampled_from(["none", "acme"]), cut=cuts)
    def hear(self, vendor: str, number: int, suggested: str, cut: int | None) -> None:
        """A channel tells of a key."""
        key = self.focus[number % len(self.focus)]
        said = SignerRule(subject=(("O", "ACME"),)) if suggested == "acme" and key != "openpgp" else None
        rule_ = "acme" if said else "none"

        def made() -> None:
            anchor_management.propose(
                self.store, world.proposal(key, vendor), signer_rule=said, at=self.now, randomness=self.random
            )

        def wanted(model: Model) -> None:
            model.propose(vendor, key, "system", rule_, self.now)

        self.does(wanted, made, cut)

    @rule(identity=people, vendor=vendors, number=numbers, stated=rules, cut=cuts)
    def import_key(self, identity: str, vendor: str, number: int, stated: str, cut: int | None) -> None:
        key = self.key(number)
        self.decides(
            "anchor.import", identity, lambda m: m.import_key(identity, vendor, key, stated, self.now), cut,
            vendor=vendor, data=world.data_of(key), **RULES[stated],
        )  # fmt: skip

    @rule(identity=people, vendor=vendors, number=numbers)
    def bury(self, identity: str, vendor: str, number: int) -> None:
        """A tombstone for a key that somebody found in the wild."""
        key = self.key(number)
        self.decides(
            "anchor.import", identity, lambda m: m.bury(identity, vendor, key, self.now),
            vendor=vendor, data=world.data_of(key), distrust=True, reason="found in the wild",
        )  # fmt: skip

    @precondition(lambda self: self.model.anchors)
    @rule(identity=people, number=numbers, stated=rules, limit=st.sampled_from([None, None, *LIMITS]), cut=cuts)
    def constrain(self, identity: str, number: int, stated: str, limit: str | None, cut: int | None) -> None:
        if stated != "none" or limit is not None:
            self.constrain_at(identity, self.place(number), stated, limit, cut)

    def constrain_at(self, identity: str, place: int, stated: str, limit: str | None, cut: int | None) -> None:
        arguments = RULES[stated] | (LIMITS[limit] if limit else {})
        self.decides(
            "anchor.constrain", identity,
            lambda m: m.constrain(identity, m.anchors[place], None if stated == "none" else stated, limit, self.now), cut,
            anchor=self.anchor_id(place), **arguments,
        )  # fmt: skip

    @precondition(lambda self: any(a.state == "pending" and a.first_at < self.now - LAPSE for a in self.model.anchors))
    @rule()
    def lapse(self) -> None:
        """The daemon closes what nobody decided."""

        def made() -> None:
            anchor_management.lapse_proposals(self.store, self.now, world.LAPSE_DAYS)

        self.does(lambda m: m.lapse(self.now), made)

    # Decisions about an anchor

    @precondition(lambda self: self.model.anchors)
    @rule(
        identity=people, number=numbers, way=st.sampled_from(["call", "call", "call", "hold_down", "break_glass"]),
        called=st.sampled_from([*world.PHONES, world.ROGUE]), reading=st.sampled_from(["right", "right", "right", *READINGS]),
        cut=cuts,
    )  # fmt: skip
    def approve(self, identity: str, number: int, way: str, called: str, reading: str, cut: int | None) -> None:
        self.approve_at(identity, self.place(number), way, called, reading, cut)

    def approve_at(self, identity: str, place: int, way: str, called: str, reading: str, cut: int | None) -> None:
        key = self.model.anchors[place].key
        arguments: dict[str, Any] = {"fingerprint_read": READINGS[reading](world.fingerprint(key)), "ticket": "T-1"}
        if way == "call":
            arguments |= {"spoke_with": "Ada", "called": called}
        else:
            arguments |= {"reason": "nobody answers", "without_call" if way == "hold_down" else "break_glass": True}
        self.decides(
            "anchor.approve", identity, lambda m: m.approve(identity, m.anchors[place], way, called, reading, self.now),
            cut, anchor=self.anchor_id(place), **arguments,
        )  # fmt: skip

    @precondition(lambda self: any(a.state == "pending" for a in self.model.anchors))
    @rule(number=numbers, first=numbers, way=st.sampled_from(["call", "call", "hold_down", "break_glass"]))
    def everybody_approves(self, number: int, first: int, way: str) -> None:
        """All who may, one after the other: so that most runs get something valid."""
        pending = [i for i, a in enumerate(self.model.anchors) if a.state == "pending"]
        chosen = pending[number % len(pending)]
        if self.model.anchors[chosen].rule == "none":
            self.constrain_at(list(world.PEOPLE)[first % 4], chosen, "dedicated", None, None)
        for turn in range(len(world.PEOPLE)):
            identity = list(world.PEOPLE)[(first + turn) % len(world.PEOPLE)]
            if self.model.anchors[chosen].state == "pending":
                self.approve_at(identity, chosen, way, world.PHONES[0], "right", None)

    @precondition(lambda self: any(a.state == "valid" for a in self.model.anchors))
    @rule(number=numbers, heir=numbers, first=numbers, removes=st.booleans())
    def everybody_retires(self, number: int, heir: int, first: int, removes: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """All who may, about an anchor that is valid."""
        valid = [i for i, a in enumerate(self.model.anchors) if a.state == "valid"]
        chosen = valid[number % len(valid)]
        for turn in range(len(world.PEOPLE)):
            identity = list(world.PEOPLE)[(first + turn) % len(world.PEOPLE)]
            if self.model.anchors[chosen].state == "valid":
                self.retire_at(identity, chosen, None if removes else valid[heir % len(valid)], None)

    @precondition(lambda self: self.model.anchors)
    @rule(identity=people, number=numbers, because=st.sampled_from(["unconfirmed", "disowned"]), cut=cuts)
    def reject(self, identity: str, number: int, because: str, cut: int | None) -> None:
        place = self.place(number)
        self.decides(
            "anchor.reject", identity, lambda m: m.reject(identity, m.anchors[place], because, self.now), cut,
            anchor=self.anchor_id(place), because=because,
        )  # fmt: skip

    @precondition(lambda self: self.model.anchors)
    @rule(
        identity=people, number=numbers, how=st.sampled_from(["distrust", "compromise", *CAUSES]),
        days=st.sampled_from([None, None, 0, -30, 1]), cut=cuts,
    )  # fmt: skip
    def lower(self, identity: str, number: int, how: str, days: int | None, cut: int | None) -> None:
        place = self.place(number)
        since = None if days is None else self.now + timedelta(days=days)
        arguments: dict[str, Any] = {} if since is None else {"effective_from": format_time(since)}
        if how == "distrust":
            command, new, cause = "anchor.distrust", "distrusted", "seen in malware"
            arguments["reason"] = cause
        elif how == "compromise":
            command, new, cause = "anchor.compromise", "compromised", "key-compromise"
        else:
            command, new, cause = "anchor.revoke", "compromised" if how == "key-compromise" else "revoked", how
            arguments["because"] = how
        self.decides(
            command, identity, lambda m: m.lower(identity, m.anchors[place], new, cause, since, self.now), cut,
            anchor=self.anchor_id(place), **arguments,
        )  # fmt: skip

    @precondition(lambda self: self.model.anchors)
    @rule(identity=people, number=numbers, heir=numbers, removes=st.booleans(), cut=cuts)
    def retire(self, identity: str, number: int, heir: int, removes: bool, cut: int | None) -> None:  # noqa: FBT001 - drawn by hypothesis
        self.retire_at(identity, self.place(number), None if removes else self.place(heir), cut)

    def retire_at(self, identity: str, place: int, heir: int | None, cut: int | None) -> None:
        if heir is None:
            self.decides(
                "anchor.remove", identity, lambda m: m.retire(identity, m.anchors[place], "removed", None, self.now), cut,
                anchor=self.anchor_id(place),
            )  # fmt: skip
            return
        self.decides(
            "anchor.supersede", identity,
            lambda m: m.retire(identity, m.anchors[place], "superseded", m.anchors[heir], self.now), cut,
            anchor=self.anchor_id(place), successor=self.anchor_id(heir),
        )  # fmt: skip

    # Digests and sets

    @rule(
        identity=people, number=numbers, vendor=vendors, effect=st.sampled_from(["block", "allow", "allow"]),
        days=st.sampled_from([None, 5, 29, 29, 45]), cut=cuts,
    )  # fmt: skip
    def decide_digest(
        self, identity: str, number: int, vendor: str, effect: str, days: int | None, cut: int | None
    ) -> None:
        package = self.packages[number % len(self.packages)]
        # Whole days, so that several people name the same end.
        until = None if days is None else datetime.combine(self.now.date(), AT.timetz()) + timedelta(days=days)
        arguments = {} if until is None else {"until": format_time(until)}
        self.decides(
            f"package.{effect}", identity,
            lambda m: m.decide_digest(identity, package, vendor, effect, until, self.now), cut,
            package=world.facts(package).sha256, vendor=vendor, reason="because", **arguments,
        )  # fmt: skip

    @precondition(lambda self: self.model.digests)
    @rule(identity=people, number=numbers, cut=cuts)
    def withdraw(self, identity: str, number: int, cut: int | None) -> None:
        chosen = number % len(self.model.digests)
        self.decides(
            "package.withdraw", identity, lambda m: m.withdraw(identity, m.digests[chosen]), cut,
            decision=self.ids("digest_decision_version", "decision_id")[chosen],
        )  # fmt: skip

    @rule(identity=people, vendor=vendors, drawn=st.lists(numbers, min_size=1, max_size=3), stated=rules, cut=cuts)
    def propose_set(self, identity: str, vendor: str, drawn: list[int], stated: str, cut: int | None) -> None:
        chosen = [self.key(number) for number in drawn]
        self.decides(
            "baseline.propose", identity, lambda m: m.propose_set(identity, vendor, tuple(chosen), stated, self.now), cut,
            vendor=vendor, data=[world.data_of(key) for key in chosen], **RULES[stated],
        )  # fmt: skip

    @precondition(lambda self: self.model.baselines)
    @rule(identity=people, number=numbers, reading=st.sampled_from(["right", "right", *READINGS]), cut=cuts)
    def approve_set(self, identity: str, number: int, reading: str, cut: int | None) -> None:
        chosen = number % len(self.model.baselines)
        baseline = self.ids("baseline_version", "baseline_id")[chosen]
        digest = self.store.execute(
            "SELECT digest FROM baseline_version WHERE baseline_id = ?", (baseline,)
        ).fetchone()[0]
        self.decides(
            "baseline.approve", identity, lambda m: m.approve_set(identity, m.baselines[chosen], reading, self.now), cut,
            baseline=baseline, digest_read=READINGS[reading](digest),
        )  # fmt: skip

    @precondition(lambda self: self.model.baselines)
    @rule(identity=people, number=numbers)
    def reject_set(self, identity: str, number: int) -> None:
        chosen = number % len(self.model.baselines)
        self.decides(
            "baseline.reject", identity, lambda m: m.reject_set(identity, m.baselines[chosen]),
            baseline=self.ids("baseline_version", "baseline_id")[chosen], reason="no",
        )  # fmt: skip

    # What nobody may do unnoticed

    @rule()
    def reopen(self) -> None:
        """The machine stops between two decisions; what is read next is what was decided, and is remembered."""
        self.restart()
        query.open_consistent(self.folder / crash.DATABASE).close()
        if self.old is None:
            self.old = crash.copied(self.folder, self.base / "old")
            self.old_revision = query.store_revision(self.store)

    @rule(data=st.data())
    def tamper(self, data: st.DataObject) -> None:
        """Any column of any row that trust rests on, changed or gone: no opening and no walk passes it.

        The signature of one entry is looked at by the walk and by each answer that rests on it, not on opening.
        """
        table = data.draw(st.sampled_from(list(crash.TABLES)))
        row = data.draw(numbers)
        self.turn += 1
        copy_of = crash.copied(self.folder, self.base / f"tampered-{self.turn}")
        if data.draw(st.booleans()) or table == "store_revision":
            done = crash.edit_row(copy_of, table, data.draw(st.sampled_from(crash.TABLES[table])), row)
        else:
            done = crash.delete_row(copy_of, table, row)
        if done is not None:
            found, signature = crash.noticed(copy_of), done.startswith("audit_log.signature ")
            assert found == ("on opening", "by the walk") or (signature and found == ("by the walk",)), done
        shutil.rmtree(copy_of)

    @precondition(lambda self: self.old is not None and query.store_revision(self.store) > self.old_revision)
    @rule()
    def put_back(self) -> None:
        """A copy of the store as it was: whoever has seen it newer does not take it."""
        query.open_consistent(self.folder / crash.DATABASE).close()
        assert self.old is not None
        with pytest.raises(StoreInconsistentError, match="older"):
            query.open_consistent(self.old / crash.DATABASE).close()

    # What always holds

    @invariant()
    def log_is_whole(self) -> None:
        """The chain, the tables and the head agree, and the revision never falls."""
        head = audit.verify(self.store)
        assert head.revision >= self.revision
        self.revision = head.revision

    @invariant()
    def states_are_the_models(self) -> None:
        """Every anchor, digest decision and set stands where the model has it, and got there by the table."""
        found = [query.anchor(self.store, i) for i in self.ids("anchor_version", "anchor_id")]
        assert [_shown(a) for a in found if a] == [
            (
                a.vendor, world.fingerprint(a.key) if a.key != "openpgp" else None, a.state, a.cause, a.basis, a.rule, a.limit,
                a.effective_from,
            )
            for a in self.model.anchors
        ]  # fmt: skip
        versions = self.store.execute(
            "SELECT anchor_id, state, audit_seq FROM anchor_version ORDER BY anchor_id, version"
        )
        before: dict[str, str] = {}
        for name, state, _ in versions.fetchall():
            old = before.get(name)
            assert old == state or (old, state) in TABLE
            before[name] = state
        newest = (
            "SELECT state FROM {0} t WHERE version = (SELECT max(version) FROM {0} o WHERE o.{1} = t.{1}) ORDER BY {1}"
        )
        both: tuple[tuple[str, str, list[str]], ...] = (
            ("digest_decision_version", "decision_id", [one.state for one in self.model.digests]),
            ("baseline_version", "baseline_id", [one.state for one in self.model.baselines]),
        )
        for table, column, said in both:
            order = self.ids(table, column)
            now = [row[0] for row in self.store.execute(newest.format(table, column))]
            assert dict(zip(sorted(order), now, strict=True)) == dict(zip(order, said, strict=True))

    @invariant()
    def verdicts_are_the_models(self) -> None:
        """Three questions after each step, all of them in turn: outcome and reason are what the model says."""
        every = list(itertools.product(self.packages, (*world.VENDORS, None)))
        for _ in range(3):
            self.walked += 1
            self.ask(*every[self.walked % len(every)])


def _shown(anchor: TrustAnchor) -> tuple[Any, ...]:
    rule_ = "dedicated" if anchor.signer_rule.dedicated else "acme" if anchor.signer_rule.subject else "none"
    limit = {(): "none", ("*.bin",): "here", ("other-*",): "elsewhere"}[anchor.constraints.products]
    return (
        anchor.vendor_id, anchor.key_sha256 if anchor.kind == "x509" else None, anchor.state.value, anchor.cause,
        anchor.basis.value, rule_, limit, anchor.effective_from,
    )  # fmt: skip


def test_the_store_equals_its_model() -> None:
    """Whatever is decided, by whom, in which order, with which clock and however often the power fails."""
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
