"""Whatever people do in whatever order, a key is valid only by enough distinct people, and the log says so."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.store_setup import AT, PHONE, certificate, fingerprint, open_store, propose, randomness, vendor
from trust_store import audit, query
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError
from trust_store.model.trust_anchor import TRANSITIONS, AnchorState
from trust_store.storage.anchors import current

CLOSED = set(AnchorState) - {old for old, _ in TRANSITIONS if old}
PEOPLE = st.sampled_from(["ann", "bob", "cyd"])
STEPS = st.one_of(
    st.tuples(st.just("propose"), PEOPLE, st.none()),
    st.tuples(st.just("anchor.approve"), PEOPLE, st.sampled_from([fingerprint(), "00" * 32, fingerprint()[:-2]])),
    st.tuples(st.just("anchor.constrain"), PEOPLE, st.sampled_from(["O=a", "O=b"])),
    st.tuples(st.just("anchor.reject"), PEOPLE, st.sampled_from(["disowned", "unconfirmed"])),
    st.tuples(st.sampled_from(["anchor.distrust", "anchor.revoke", "anchor.remove"]), PEOPLE, st.none()),
)


def arguments(command: str, anchor_id: str, detail: str | None) -> dict[str, object]:
    """What the step says."""
    more: dict[str, dict[str, object]] = {
        "anchor.approve": {"fingerprint_read": detail, "spoke_with": "Ada", "called": PHONE, "ticket": "T"},
        "anchor.constrain": {"signer_subject": [detail]},
        "anchor.reject": {"because": detail},
        "anchor.distrust": {"reason": "r"},
    }
    return {"anchor": anchor_id, **more.get(command, {})}


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_any_history_keeps_the_rules(steps: list[tuple[str, str, str | None]]) -> None:
    """Valid needs policy's distinct people on the rules as they stand (one more over a tombstone); closed stays closed."""
    approved: dict[tuple[str, str], set[str]] = defaultdict(set)
    with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder))) as store:
        anchor_id, over, was = propose(store), False, AnchorState.PENDING
        for command, who, detail in steps:
            if command == "propose":
                if was in CLOSED:
                    over = over or was is AnchorState.DISTRUSTED
                    anchor_id = propose(store)
                assert propose(store) == anchor_id
            else:
                before = current(store, anchor_id)
                assert before is not None
                with suppress(DecisionRefusedError):
                    perform(
                        store, command, arguments(command, anchor_id, detail), identity=who, vendors=(vendor(),), at=AT,
                        randomness=randomness,
                    )  # fmt: skip
                    approved[anchor_id, before.proposal_digest].add(who if command == "anchor.approve" else "")
            now = current(store, anchor_id)
            assert now is not None
            if now.anchor.state is not was and now.anchor.state is AnchorState.VALID:
                assert len(approved[anchor_id, now.proposal_digest] - {""}) == (3 if over else 2)
            assert was not in CLOSED or command == "propose" or now.anchor.state is was
            was = now.anchor.state
        audit.verify(store)
        assert {a.key_sha256 for a in query.anchors(store)} == {
            current(store, anchor_id).anchor.key_sha256  # type: ignore[union-attr]
        }
        assert certificate("New root") == current(store, anchor_id).anchor.material  # type: ignore[union-attr]
