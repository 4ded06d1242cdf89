"""From facts to a verdict that is on record, with its alert, in one transaction; and again for every package once trust changes.

``rules`` and ``matching`` decide. This shell runs on the storage thread and is used by the intake and by decisions alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from escalation.deduplication import notice_key, verdict_key
from escalation.digest import defer, waits
from escalation.model import AlertContext, Severity
from escalation.redaction import anchor_secrets
from escalation.rules import decide, notice
from escalation.triage import raise_alert, resolve_below, resolve_for_package, resolve_matter, stands
from monitor.faults import STORE_ERRORS, fault_key, fault_notice, taken_back_alone, unjudged
from monitor.matching import fitting, narrowest_limits, narrowest_rule
from monitor.missed_decisions import missed, note_told
from monitor.native_alerts import disagreement_key, disagreement_notice
from monitor.policy_alerts import awaits_approval, change_notice, policy_approved, settle_field, settle_waiting
from monitor.set_alerts import ANCHOR_KIND, STORE_KIND, break_glass_notice, decision_notice, mismatch_notice
from monitor.storage.evidence import StoredEvidence
from monitor.storage.sources import state_of
from trust_store import audit, query
from trust_store.anchor_management import propose_narrowest
from trust_store.model.package_facts import PackageFacts
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.ratchets import raise_by
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction
from trust_store.storage.fact_signatures import FactsNotSignedError
from trust_store.storage.facts import (
    INTAKE,
    discard_facts,
    load_facts,
    record_retained,
    record_sighting,
    retained,
    save_facts,
)
from trust_store.storage.vendors import effective_vendor, record_vendors
from trust_store.stored_verdict import judge_with_owner, seen_before, stored_view, with_evidence, with_stored_keys
from trust_store.terminal import safe
from trust_store.verification import Question
from trust_store.verification.question import NOW
from trust_store.verifier import suggested_vendor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from escalation.model import AlertDraft
    from monitor.config import MonitorSettings, Source
    from monitor.places import Place
    from trust_store.model.package_facts import Problem
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import Verdict
    from trust_store.native.comparison import Compared
    from trust_store.storage.vendors import VendorChange

SOURCE_KIND = "source_failing"
FAILURES_BEFORE_ALERT = 3
REASONS_ABOUT_KEYS = frozenset({Reason.UNKNOWN_ROOT, Reason.UNEXPECTED_SIGNER})


@dataclass(frozen=True, slots=True)
class Alerting:
    """Verdicts and alerts of one installation; ``channels`` are the names of those an alert is queued for."""

    settings: MonitorSettings
    channels: tuple[str, ...]
    now: Callable[[], datetime]
    randomness: Callable[[int], bytes]

    def record(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place, kept: Path | None) -> Verdict:
        """Save what was seen, judge it and alert, all in one transaction; return the verdict."""
        at = self.now()
        with transaction(connection):
            self._save(connection, facts, place, at)
            record_sighting(connection, facts.sha256, place.name, str(place.path), place.vendor_id, place.origin, at)
            if kept is not None:
                record_retained(connection, facts.sha256, kept, facts.size, at)
            return self.judge(connection, facts, place, kept)

    def _save(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place, at: datetime) -> None:
        """Save what was read just now; a row there that is not this program's gives way to it and is alerted about."""
        try:
            save_facts(connection, facts, origin=place.origin, at=at, randomness=self.randomness)
        except FactsNotSignedError as error:
            self._report_foreign(connection, error)
            discard_facts(connection, facts)
            save_facts(connection, facts, origin=place.origin, at=at, randomness=self.randomness)

    def _report_foreign(self, connection: sqlite3.Connection, error: FactsNotSignedError) -> None:
        told = safe(str(error), 400)
        title = "facts about a package were changed behind the program's back: they do not count"
        self._raise(
            connection, notice(STORE_KIND, "facts", Severity.CRITICAL, title, subject=told, summary=told)
        )  # fmt: skip

    def report_disagreement(
        self, connection: sqlite3.Connection, verdict: Verdict, place: Place, compared: Iterable[Compared]
    ) -> None:
        """Alert about native tools that say otherwise than the verdict; where all agree now, an earlier alert ends."""
        told = disagreement_notice(verdict, place, compared)
        with transaction(connection):
            if told is not None:
                self._raise(connection, told)
            else:
                resolve_below(connection, disagreement_key(verdict, place), "the tools agree now", self.now())

    def report_unread(self, connection: sqlite3.Connection, place: Place, problem: Problem) -> Verdict:
        """Alert about a file that could not be read to its end: it has no digest, so the path stands for it."""
        with transaction(connection):
            return self.judge(connection, PackageFacts("", 0, None, 0, problem=problem), place, None)

    def judge(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place, kept: Path | None) -> Verdict:
        """The verdict now, with evidence; raises or resolves its alert in the caller's transaction.

        An error that nobody foresaw ends in a verdict as well, ``unreadable`` and alerted about at once: this package stops no other.
        """
        try:
            with taken_back_alone(connection):
                return self._judge(connection, facts, place, kept)
        except STORE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - whoever made the package may have meant it to end the judging of all others
            at, expected = self.now(), self._expected(place)
            verdict = unjudged(facts, expected, name=place.name, path=str(place.path), at=at, error=error)
            draft = replace(self._draft(connection, verdict, place, kept), severity=Severity.HIGH)
            raise_alert(connection, draft, channels=self.channels, at=at, randomness=self.randomness)
            return verdict

    def _judge(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place, kept: Path | None) -> Verdict:
        verdict, anchor = self._verdict(connection, facts, place)
        if verdict.outcome is Outcome.PASSED:
            if place.origin == INTAKE:  # what askers send raises nothing
                raise_by(connection, facts, verdict, first_seen_at=seen_before(connection, facts), at=self.now())
            self._settle(connection, facts, place, "the package passes now")
            return verdict
        proposals = self._proposals(connection, facts, place) if verdict.reason in REASONS_ABOUT_KEYS else ()
        if proposals:
            about = {i for anchor in proposals for i in anchor.identifiers}
            said = StoredEvidence(connection).evidence_for(sorted(about))
            verdict = replace(verdict, evidence=tuple(dict.fromkeys((*said, *verdict.evidence))))
        owner = self.settings.trust.vendor(anchor.vendor_id) if anchor else None
        if place.asker and stands(connection, verdict_key(verdict, "")):
            self._settle(connection, facts, place, "told of as that of the incoming folder")
            return verdict
        self._raise(connection, self._draft(connection, verdict, place, kept, proposals=proposals, owner=owner))
        return verdict

    def _settle(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place, resolution: str) -> None:
        resolve_for_package(connection, facts.sha256, place.vendor_id, resolution, self.now(), asker=place.asker)

    def _draft(
        self,
        connection: sqlite3.Connection,
        verdict: Verdict,
        place: Place,
        kept: Path | None,
        *,
        proposals: tuple[TrustAnchor, ...] = (),
        owner: Vendor | None = None,
    ) -> AlertDraft:
        """The alert that a verdict which did not pass calls for."""
        return decide(
            AlertContext(
                verdict=verdict,
                vendor=self._vendor(connection, place.vendor_id),
                evidence=verdict.evidence,
                proposals=proposals,
                package_path=str(place.path),
                retained_path=str(kept) if kept is not None else None,
                config_path=str(self.settings.trust.file),
                owner=owner,
                asker=place.asker,
            )
        )

    def verdict(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place) -> Verdict:
        """The verdict on these facts at this moment; nothing is written."""
        return self._verdict(connection, facts, place)[0]

    def _verdict(
        self, connection: sqlite3.Connection, facts: PackageFacts, place: Place
    ) -> tuple[Verdict, TrustAnchor | None]:
        """The same, with another vendor's anchor that vouches for the package: it may lie in the wrong folder."""
        at = self.now()
        vendor = self.settings.trust.vendor(place.vendor_id) if place.vendor_id else None
        expected = self._expected(place)
        question = Question(
            vendor=expected,
            at=at,
            checked_at=at,
            time_basis=NOW,
            name=place.name,
            path=str(place.path),
            first_seen_at=seen_before(connection, facts),
        )
        facts = with_stored_keys(connection, facts, expected.id)
        view = stored_view(connection, facts, expected.id, vendor, at=at, name=place.name)
        verdict, owner = judge_with_owner(connection, facts, view, question)
        return with_evidence(verdict, facts, StoredEvidence(connection)), owner

    def _expected(self, place: Place) -> ExpectedVendor:
        suggested = suggested_vendor(place.name, self.settings.trust.vendors)
        if place.vendor_id == ANY_VENDOR:
            return ExpectedVendor(ANY_VENDOR, "any", suggested)
        vendor = self.settings.trust.vendor(place.vendor_id) if place.vendor_id else None
        return ExpectedVendor(vendor.id if vendor else None, place.basis if vendor else "none", suggested)

    def reconsider(self, connection: sqlite3.Connection, places: Iterable[tuple[str, Place]]) -> tuple[str, ...]:
        """Judge packages again after trust changed, one transaction each; return the SHA-256 of those that need their file."""
        needing = []
        for sha256, place in places:
            try:
                with transaction(connection):
                    again = self._judge_stored(connection, sha256, place)
            except STORE_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - one package must not keep the others from being judged again
                self.report_fault(connection, f"judging {place.path} again", error)
                continue
            if again is None or again.needs_file:
                needing.append(sha256)
        return tuple(needing)

    def _judge_stored(self, connection: sqlite3.Connection, sha256: str, place: Place) -> Verdict | None:
        """The verdict by what is stored about a package, None where that does not suffice."""
        try:
            facts = load_facts(connection, sha256, asker=place.origin)
        except FactsNotSignedError as error:
            self._report_foreign(connection, error)
            return None
        if facts is None:
            return None
        kept = next((r.path for r in retained(connection, sha256)), None)
        return self.judge(connection, facts, place, kept)

    def report_fault(self, connection: sqlite3.Connection, what: str, error: Exception) -> None:
        """Alert, once while it stands, that an unexpected error kept ``what`` from being dealt with."""
        draft = fault_notice(what, error, secrets=self._pending_secrets(connection))
        if not stands(connection, draft.dedup_key):
            self._raise(connection, draft)

    def settle_fault(self, connection: sqlite3.Connection, what: str) -> None:
        """End the alert about ``what``, if there is one: this time it was dealt with."""
        resolve_matter(connection, fault_key(what), "this time it worked", self.now())

    def report_decision(self, connection: sqlite3.Connection, result: Mapping[str, Any], person: str) -> None:
        """Alert, in the decision's own transaction, about what nobody may learn of later: a mismatch, an emergency."""
        note_told(connection)
        if (draft := mismatch_notice(connection, result, person)) is not None:
            self._raise(connection, draft)
        elif result.get("alert") == "break_glass":
            self._raise(connection, break_glass_notice(connection, result, person))
        elif policy_approved(result):
            settled = f"approved, it counts now ({person} was the last to approve)"
            settle_waiting(connection, result["vendor"] or "", settled, self.now())
        elif (draft := decision_notice(result, person)) is not None:
            self._raise(connection, draft)
            if draft.kind == ANCHOR_KIND:
                # Everybody is to know of it; there is nothing to be done about it.
                resolve_matter(connection, draft.dedup_key, "for your information", self.now())

    def report_missed(self, connection: sqlite3.Connection) -> None:
        """Alert about what people decided while no daemon ran, in the caller's transaction; each decision is told once."""
        if (draft := missed(connection)) is not None:
            self._raise(connection, draft)
        note_told(connection)

    def report_odd(self, connection: sqlite3.Connection, path: str) -> None:
        """Alert about something in the incoming folder that is no regular file (a link, a pipe): it is never opened."""
        draft = notice(
            "intake_passed_over",
            "unreadable",
            Severity.MEDIUM,
            f"something in the incoming folder is no package: {path}",
            subject=path,
            summary="links, pipes and folders that cannot be listed are not followed; what is behind them was not checked",
        )
        self._raise(connection, draft)

    def report_delivery(self, connection: sqlite3.Connection, channel: str, delivery_id: str, error: str) -> None:
        """Alert over the other channels, if there are any, that one did not take a message for good."""
        draft = notice(
            "delivery_failed",
            "refused",
            Severity.HIGH,
            f"an alert could not be delivered by {channel}",
            subject=channel,
            summary=f"{delivery_id}: {error}",
        )
        # Where there is no other one, over this one: it was this message that it did not take.
        others = [name for name in self.channels if name != channel] or [channel]
        raise_alert(connection, draft, channels=others, at=self.now(), randomness=self.randomness)

    def report_source(self, connection: sqlite3.Connection, source: Source) -> None:
        """Alert once about a source that failed several times in a row, and settle it when the source answers again."""
        state = state_of(connection, source, self.now())
        if state.failures == 0:
            key = notice_key(SOURCE_KIND, source.vendor_id, source.url)
            resolve_matter(connection, key, "the source answers again", self.now())
        elif state.failures >= FAILURES_BEFORE_ALERT:
            draft = notice(
                SOURCE_KIND,
                "stale",
                Severity.MEDIUM,
                f"{source.vendor_id}: {source.name} has not been read {state.failures} times in a row",
                subject=source.url,
                summary=f"what this vendor announces there is not heard: {state.last_error or 'no answer'}",
                vendor_id=source.vendor_id,
                # The channel chooses its addresses, and an error names them.
                secrets=self._pending_secrets(connection),
            )
            self._raise(connection, draft)

    def _pending_secrets(self, connection: sqlite3.Connection) -> set[str]:
        """What must not be told of any key that awaits decision."""
        return {s for a in query.anchors(connection, None, {AnchorState.PENDING}) for s in anchor_secrets(a)}

    def record_configuration(self, connection: sqlite3.Connection) -> int:
        """Record vendor files and approvers as loaded, in the caller's transaction; alert about each change and return how many."""
        trust, at = self.settings.trust, self.now()
        changes = list(record_vendors(connection, trust.vendors, at, self.randomness))
        if (approvers := record_approvers(connection, trust.approvers.by_identity, at)) is not None:
            changes.append(approvers)
        for vendor_id in {change.vendor_id for change in changes}:
            if not awaits_approval(connection, vendor_id):
                settle_waiting(connection, vendor_id, "the configuration asks for it no more", at)
        for change in changes:
            self.report_policy_change(connection, change)
        return len(changes)

    def report_policy_change(self, connection: sqlite3.Connection, change: VendorChange) -> None:
        """Alert that a policy, contact or approver changed, each time; it takes the place of what was told of that field before."""
        settle_field(connection, change, self.now())
        self._raise(connection, change_notice(change, audit.head(connection).seq))

    def _raise(self, connection: sqlite3.Connection, draft: AlertDraft) -> None:
        if waits(draft) and self._observed(connection, draft):
            defer(connection, draft, at=self.now(), randomness=self.randomness)
            return
        raise_alert(connection, draft, channels=self.channels, at=self.now(), randomness=self.randomness)

    def _observed(self, connection: sqlite3.Connection, draft: AlertDraft) -> bool:
        """Whether the vendor's policy, as it counts, says ``mode = "observe"``."""
        vendor = self._vendor(connection, draft.vendor_id)
        return vendor is not None and vendor.policy.mode == "observe"

    def _vendor(self, connection: sqlite3.Connection, vendor_id: str | None) -> Vendor | None:
        """A configured vendor with the contacts and the policy that count: not with what waits for approval."""
        vendor = self.settings.trust.vendor(vendor_id) if vendor_id else None
        return effective_vendor(connection, vendor) if vendor else None

    def _proposals(self, connection: sqlite3.Connection, facts: PackageFacts, place: Place) -> tuple[TrustAnchor, ...]:
        """The vendor's pending anchors that fit; each is proposed the narrowest rules that cover this package."""
        if place.vendor_id is None:
            return ()
        found = fitting(facts, query.anchors(connection, place.vendor_id, {AnchorState.PENDING}))
        rule = narrowest_rule(facts)
        vendor = self.settings.trust.vendor(place.vendor_id)
        limits = narrowest_limits(facts, place.name, vendor.package_patterns if vendor else ())
        for anchor in found:
            propose_narrowest(connection, anchor.id, rule, limits, at=self.now())
        # The rules as they are now: they are what the approver is shown.
        return tuple(now for a in found if (now := query.anchor(connection, a.id)) is not None)
