"""A second, small trust store in memory: states, approvals, policy and verdicts as the documents have them, without a database.

It shares no code with the program but the names of things; ``test_state_machine`` holds the program to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.trust_store.model_records import (
    BURIED,
    LONGEST_ALLOWANCE,
    OPEN,
    REMOVAL_WAIT,
    TABLE,
    Anchor,
    Baseline,
    Digest,
    Given,
    RefusedError,
    Told,
    VendorState,
)
from tests.trust_store.model_world import KEYS, LAPSE_DAYS, VendorFile


@dataclass
class Model:
    """Everything that was decided."""

    vendors: dict[str, VendorState]
    loaded: dict[str, str]
    recorded: dict[str, str] = field(default_factory=dict)
    counting: dict[str, str] = field(default_factory=dict)
    listed_at: datetime | None = None
    list_approvals: dict[str, list[Given]] = field(default_factory=dict)
    anchors: list[Anchor] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    tick: int = 0

    # People and policy

    def person(self, identity: str) -> str:
        """Who decides: named by the configuration, and approved for that name."""
        person = self.loaded.get(identity)
        if person is None or self.counting.get(identity) != person:
            raise RefusedError
        return person

    def counts(self, who: str) -> bool:
        """Whether what somebody approved earlier still counts."""
        return who in {p for i, p in self.recorded.items() if self.counting.get(i) == p}

    def policy(self, vendor: str) -> VendorFile:
        """The stricter of the file and of what was approved, field by field."""
        state = self.vendors[vendor]
        held, now = state.held or state.file, state.file
        both = held.call == now.call == "or_hold_down"
        return VendorFile(
            vendor,
            max(held.people, now.people),
            "or_hold_down" if both else "required",
            max(held.wait, now.wait),
            held.phones & now.phones,
        )

    def load(self, at: datetime) -> set[str]:
        """The daemon loads the configuration; returns what it has to tell."""
        told = set()
        for name, state in self.vendors.items():
            if state.latest == state.file:
                continue
            if state.latest is not None:
                told.add(name)
            weaker = state.held is not None and _weaker(state.held, state.file)
            state.latest, state.awaiting, state.approvals = state.file, weaker, []
            if not weaker:
                state.held = state.file
        if self.recorded != self.loaded:
            if self.recorded:
                told.add("approvers")
            else:
                self.counting = dict(self.loaded)
            self.recorded, self.listed_at = dict(self.loaded), at
        return told

    def approve_policy(self, identity: str, vendor: str) -> Told:
        """One person of as many as the old policy asks."""
        who, state = self.person(identity), self.vendors[vendor]
        if not state.awaiting or state.latest != state.file or state.held is None:
            raise RefusedError
        given, needed = self._tally(state.approvals, who, state.held.people)
        if given >= needed:
            state.held, state.awaiting = state.file, False
        return Told("effective" if given >= needed else "recorded", given, needed)

    def approve_list(self, identity: str, at: datetime) -> Told:
        """One person of the old list."""
        who = self.person(identity)
        if self.recorded == self.counting or self.listed_at is None:
            raise RefusedError
        most = max(max(self.policy(v).people, (s.held or s.file).people) for v, s in self.vendors.items())
        needed = min(most, len(set(self.counting.values())))
        left = len({p for i, p in self.recorded.items() if self.counting.get(i) == p})
        if left < needed and at < self.listed_at + REMOVAL_WAIT:
            raise RefusedError
        bound = repr((sorted(self.recorded.items()), sorted(self.counting.items())))
        given, needed = self._tally(self.list_approvals.setdefault(bound, []), who, min(needed, left))
        if given >= needed:
            self.counting, self.listed_at = dict(self.recorded), at
        return Told("effective" if given >= needed else "recorded", given, needed)

    def _tally(self, approvals: list[Given], who: str, needed: int) -> tuple[int, int]:
        standing = [a for a in approvals if self.counts(a.who)]
        if any(a.who == who for a in standing):
            raise RefusedError
        approvals.append(Given(who, needed))
        return len({a.who for a in standing} | {who}), max([needed, *(a.needed for a in standing)])

    # Proposals

    def propose(self, vendor: str, key: str, actor: str, rule: str, at: datetime) -> Anchor:
        """A sighting or an import: the open anchor of this very key, or a new pending one."""
        found = self._open(vendor, key)
        if found is None:
            found = Anchor(vendor, key, "pending", at, actor, rule, effective_from=at)
            self.anchors.append(found)
        return found

    def bury(self, identity: str, vendor: str, key: str, at: datetime) -> Told:
        """A tombstone for a key, proposed before or not; none more where the last that was recorded of it is one."""
        self.person(identity)
        found = self._open(vendor, key)
        recorded = [a for a in self.anchors if (a.vendor, a.key) == (vendor, key)]
        if found is None and recorded and max(recorded, key=lambda a: a.moved).state == "distrusted":
            return Told("distrusted")
        if found is None:
            found = Anchor(vendor, key, "pending", at, "nobody")
            self.anchors.append(found)
        self._move(found, "distrusted", at, cause="found in the wild")
        return Told("distrusted")

    def import_key(self, identity: str, vendor: str, key: str, rule: str, at: datetime) -> Told:
        """One person's import."""
        self.propose(vendor, key, self.person(identity), rule, at)
        return Told("proposed")

    def constrain(self, identity: str, anchor: Anchor, rule: str | None, limit: str | None, at: datetime) -> Told:
        """Any rules while pending; only narrower ones later."""
        self.person(identity)
        self._require_not_lapsed(anchor, at)
        if anchor.state not in OPEN:
            raise RefusedError
        if rule is not None and anchor.key == "openpgp":
            raise RefusedError
        after = (rule or anchor.rule, limit or anchor.limit)
        if after == (anchor.rule, anchor.limit):
            raise RefusedError
        if anchor.state == "pending":
            anchor.accepted = []
        else:
            if after[0] != anchor.rule and after[0] == "dedicated":
                raise RefusedError
            if after[1] != anchor.limit and anchor.limit != "none":
                raise RefusedError
            anchor.narrowed += 1
        before = anchor.state
        anchor.rule, anchor.limit = after
        return Told("constrained" if before == "pending" else "narrowed")

    def lapse(self, at: datetime) -> None:
        """What nobody decided in time is closed."""
        for anchor in self.anchors:
            if anchor.state == "pending" and at >= anchor.first_at + timedelta(days=LAPSE_DAYS):
                self._move(anchor, "rejected", at, cause="lapsed")

    def _open(self, vendor: str, key: str) -> Anchor | None:
        return next((a for a in self.anchors if (a.vendor, a.key) == (vendor, key) and a.state in OPEN), None)

    def _require_not_lapsed(self, anchor: Anchor, at: datetime) -> None:
        if anchor.state == "pending" and at >= anchor.first_at + timedelta(days=LAPSE_DAYS):
            raise RefusedError

    # Decisions about an anchor

    def approve(self, identity: str, anchor: Anchor, way: str, called: str, reading: str, at: datetime) -> Told:
        """One person accepts a key."""
        who, policy = self.person(identity), self.policy(anchor.vendor)
        if anchor.state != "pending":
            raise RefusedError
        self._require_not_lapsed(anchor, at)
        over = self._over_tombstone(anchor.node)
        if way == "call" and called not in policy.phones:
            raise RefusedError
        if way == "hold_down" and policy.call != "or_hold_down":
            raise RefusedError
        if way == "break_glass" and over:
            raise RefusedError
        needed = 2 if way == "break_glass" else policy.people + over
        if needed > 1 and who == anchor.first_actor:
            raise RefusedError
        if reading != "right":
            return Told("mismatch" if reading == "wrong" else "incomplete")
        if KEYS[anchor.key].ca and anchor.rule == "none":
            raise RefusedError
        return self._accepted(anchor, who, way, called, needed, policy, at)

    def _accepted(
        self, anchor: Anchor, who: str, way: str, called: str, needed: int, policy: VendorFile, at: datetime
    ) -> Told:
        waits = anchor.first_at + timedelta(days=policy.wait)
        standing = [a for a in anchor.accepted if self.counts(a.who) and _stands(a, policy)]
        over = max([waits, *(a.waits for a in standing if a.waits is not None)])
        own = [a for a in standing if a.who == who]
        if way == "hold_down":
            done = [a for a in own if a.way == "hold_down" or (a.way == "call" and at < over)]
            if any(at < over or (a.at is not None and a.at >= over) for a in done):
                raise RefusedError
        elif any(a.way == way for a in own):
            raise RefusedError
        given = Given(who, needed, way, called, waits if way == "hold_down" else None, at)
        anchor.accepted.append(given)
        return self._counted(anchor, [*standing, given], needed, waits, at)

    def _counted(self, anchor: Anchor, given: list[Given], needed: int, waits: datetime, at: datetime) -> Told:
        if given[-1].way == "break_glass":
            people = {a.who for a in given if a.way == "break_glass"}
            if len(people) >= 2:
                return self._valid(anchor, "break_glass", len(people), 2, at)
            return Told("recorded", len(people), 2)
        given = [a for a in given if a.way != "break_glass"]
        wanted = max([needed, *(a.needed for a in given)])
        callers, people = {a.who for a in given if a.way == "call"}, {a.who for a in given}
        if len(callers) >= wanted:
            return self._valid(anchor, "called", len(callers), wanted, at)
        over = max([waits, *(a.waits for a in given if a.waits is not None)])
        if len(people) >= wanted and at >= over:
            return self._valid(anchor, "hold_down", len(people), wanted, at)
        return Told("recorded", len(people), wanted)

    def _valid(self, anchor: Anchor, basis: str, given: int, needed: int, at: datetime) -> Told:
        self._move(anchor, "valid", at)
        anchor.basis = basis
        return Told("valid", given, needed)

    def reject(self, identity: str, anchor: Anchor, because: str, at: datetime) -> Told:
        """One person."""
        self.person(identity)
        new = "distrusted" if because == "disowned" else "rejected"
        self._move(anchor, new, at, cause=because)
        return Told(new, 1, 1)

    def lower(self, identity: str, anchor: Anchor, new: str, cause: str, since: datetime | None, at: datetime) -> Told:
        """One person, at once."""
        self.person(identity)
        if since is not None and since > at:
            raise RefusedError
        self._move(anchor, new, at, cause=cause, since=since)
        return Told(new, 1, 1)

    def retire(self, identity: str, anchor: Anchor, new: str, heir: Anchor | None, at: datetime) -> Told:
        """As many people as policy asks."""
        who = self.person(identity)
        if (anchor.state, new) not in TABLE:
            raise RefusedError
        if new == "superseded" and (
            heir is None or heir is anchor or heir.state != "valid" or heir.vendor != anchor.vendor
        ):
            raise RefusedError
        bound = (new, id_of(self, heir), anchor.state, anchor.rule, anchor.limit, anchor.narrowed)
        given, needed = self._tally(anchor.retiring.setdefault(bound, []), who, self.policy(anchor.vendor).people)
        if given < needed:
            return Told("recorded", given, needed)
        self._move(anchor, new, at)
        return Told(new, given, needed)

    def _move(
        self, anchor: Anchor, new: str, at: datetime, *, cause: str | None = None, since: datetime | None = None
    ) -> None:
        if (anchor.state, new) not in TABLE:
            raise RefusedError
        self.tick += 1
        anchor.state, anchor.cause, anchor.effective_from = new, cause, since or at
        anchor.moved = self.tick
        if new == "valid":
            anchor.valid_since = self.tick
        if new in BURIED:
            anchor.buried_since = self.tick

    def _revoked(self, vendor: str, node: str) -> bool:
        """Whether the vendor's people revoked this key before."""
        return any(a.vendor == vendor and a.node == node and a.state == "revoked" for a in self.anchors)

    def _over_tombstone(self, node: str) -> bool:
        return any(a.state in BURIED and a.node == node for a in self.anchors)

    # Digests and sets

    def decide_digest(
        self, identity: str, package: str, vendor: str, effect: str, until: datetime | None, at: datetime
    ) -> Told:
        """One person's block or allowance."""
        who = self.person(identity)
        if until is None and effect == "allow":
            raise RefusedError
        if until is not None and (until <= at or (effect == "allow" and until - at > LONGEST_ALLOWANCE)):
            raise RefusedError
        wish = (package, vendor, effect, until)
        same = [d for d in self.digests if (d.package, d.vendor, d.effect, d.until) == wish and d.state != "withdrawn"]
        if any(d.state == "effective" for d in same):
            raise RefusedError
        needed = 1 if effect == "block" else self.policy(vendor).people
        found = same[0] if same else Digest(package, vendor, effect, until)
        given, needed = self._tally(found.approvals, who, needed)
        if not same:
            self.digests.append(found)
        if given < needed:
            return Told("recorded", given, needed)
        found.state, found.since = "effective", at
        return Told("effective", given, needed)

    def withdraw(self, identity: str, found: Digest) -> Told:
        """Ending a block takes as many people as policy asks, everything else one."""
        who = self.person(identity)
        if found.state == "withdrawn":
            raise RefusedError
        hard = found.effect == "block" and found.state == "effective"
        given, needed = self._tally(found.endings, who, self.policy(found.vendor).people if hard else 1)
        if given < needed:
            return Told("recorded", given, needed)
        found.state = "withdrawn"
        return Told("withdrawn", given, needed)

    def propose_set(self, identity: str, vendor: str, keys: tuple[str, ...], rule: str, at: datetime) -> Told:
        """The keys of some files as one set."""
        who = self.person(identity)
        members = []
        for key in dict.fromkeys(keys):
            applied = rule if KEYS[key].ca else "none"
            anchor = self.propose(vendor, key, who, applied, at)
            if anchor.state != "pending":
                continue
            if self._over_tombstone(anchor.node) or self._revoked(vendor, anchor.node):
                raise RefusedError
            if applied not in ("none", anchor.rule):
                anchor.rule, anchor.accepted = applied, []
            if KEYS[key].ca and anchor.rule == "none":
                raise RefusedError
            members.append((self.anchors.index(anchor), anchor.rule, anchor.limit))
        if not members:
            raise RefusedError
        self.baselines.append(Baseline(vendor, tuple(members), who))
        return Told("proposed", 0, self.policy(vendor).people)

    def approve_set(self, identity: str, found: Baseline, reading: str, at: datetime) -> Told:
        """One person's approval of the set as it was proposed."""
        who = self.person(identity)
        if found.state != "pending" or reading != "right":
            raise RefusedError
        anchors = []
        for number, rule, limit in found.members:
            anchor = self.anchors[number]
            if anchor.state != "pending" or (anchor.rule, anchor.limit) != (rule, limit):
                raise RefusedError
            self._require_not_lapsed(anchor, at)
            if self._over_tombstone(anchor.node) or self._revoked(found.vendor, anchor.node):
                raise RefusedError
            anchors.append(anchor)
        needed = self.policy(found.vendor).people
        if needed > 1 and who in {found.proposed_by, *(a.first_actor for a in anchors)}:
            raise RefusedError
        given, needed = self._tally(found.approvals, who, needed)
        if given < needed:
            return Told("recorded", given, needed)
        for anchor in anchors:
            self._valid(anchor, "baseline", given, needed, at)
        found.state = "approved"
        return Told("approved", given, needed)

    def reject_set(self, identity: str, found: Baseline) -> Told:
        """One person; the keys stay pending."""
        self.person(identity)
        if found.state != "pending":
            raise RefusedError
        found.state = "rejected"
        return Told("rejected")


def _stands(given: Given, policy: VendorFile) -> bool:
    if given.way == "call":
        return given.called in policy.phones
    return given.way == "break_glass" or policy.call == "or_hold_down"


def _weaker(held: VendorFile, now: VendorFile) -> bool:
    return (
        now.people < held.people
        or now.wait < held.wait
        or (held.call, now.call) == ("required", "or_hold_down")
        or not now.phones <= held.phones
    )


def id_of(model: Model, anchor: Anchor | None) -> int | None:
    """An anchor's place in the order of sightings."""
    return None if anchor is None else next(i for i, a in enumerate(model.anchors) if a is anchor)
