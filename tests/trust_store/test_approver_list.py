"""Who may decide: identities of several kinds, and that a longer list counts only once the people of the old one approve it."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.trust_store.store_setup import AT, open_store, randomness, vendor
from trust_store import audit
from trust_store.decisions import perform
from trust_store.errors import ConfigError, DecisionRefusedError, StoreInconsistentError
from trust_store.policy_approval import person_deciding
from trust_store.settings import Approvers, load_trust_settings
from trust_store.storage.approver_list import newest, record_approvers
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

ANN, BOB, CYD = ("uid:1", "ann"), ("uid:2", "bob"), ("uid:3", "cyd")
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def load(store: sqlite3.Connection, *people: tuple[str, str], at: Any = AT) -> bool | None:
    """The configuration is loaded with this list; whether the change weakens, None where there is none."""
    with transaction(store):
        change = record_approvers(store, people, at)
    return change.weakens if change else None


def who(store: sqlite3.Connection, identity: str, *people: tuple[str, str]) -> str | None:
    """The person as whom an identity decides, or None if it is refused."""
    try:
        return person_deciding(store, Approvers(people), identity, "rootwarden.toml")
    except DecisionRefusedError:
        return None


def approve(store: sqlite3.Connection, person: str, at: Any = AT, approvals: int = 2) -> dict[str, Any]:
    """One person's approval of the list."""
    return perform(
        store,
        "approvers.approve",
        {},
        identity=person,
        vendors=(vendor(approvals=approvals),),
        at=at,
        randomness=randomness,
    )


def test_without_a_record_the_configuration_counts(store: sqlite3.Connection) -> None:
    """Before any daemon recorded a list whoever is named decides; nobody else does."""
    assert (who(store, "uid:1", ANN), who(store, "uid:2", ANN)) == ("ann", None)


def test_the_first_list_counts(store: sqlite3.Connection) -> None:
    """There is nobody to ask about the first list, nor about the first that names anybody."""
    assert load(store) is None
    assert load(store, ANN, BOB) is False
    assert (who(store, "uid:1", ANN, BOB), who(store, "uid:2", ANN, BOB)) == ("ann", "bob")
    with pytest.raises(DecisionRefusedError, match="no change"):
        approve(store, "ann")


def test_somebody_new_counts_when_the_old_list_approves(store: sqlite3.Connection) -> None:
    """A person added to the file decides nothing until as many of the old people approve as the strictest vendor asks."""
    load(store, ANN, BOB)
    assert load(store, ANN, BOB, CYD) is True
    now = (ANN, BOB, CYD)
    assert (who(store, "uid:1", *now), who(store, "uid:3", *now)) == ("ann", None)
    with pytest.raises(DecisionRefusedError, match="approve-policy --approvers"):
        person_deciding(store, Approvers(now), "uid:3", "x")
    assert approve(store, "ann")["outcome"] == "recorded"
    with pytest.raises(DecisionRefusedError, match="another person"):
        approve(store, "ann")
    assert who(store, "uid:3", *now) is None
    assert approve(store, "bob")["outcome"] == "effective"
    assert who(store, "uid:3", *now) == "cyd"


def test_one_approval_where_every_vendor_asks_for_one(store: sqlite3.Connection) -> None:
    """A team that wrote one approval out changes its list with one."""
    load(store, ANN, BOB)
    load(store, ANN, BOB, CYD)
    assert approve(store, "ann", approvals=1)["outcome"] == "effective"


def test_a_vendor_file_that_is_gone_still_counts(store: sqlite3.Connection) -> None:
    """Taking the strict vendor's file away does not make the list easier to change."""
    with transaction(store):
        record_vendors(store, (vendor("strict", 2), vendor("dten", 1)), AT, randomness)
        record_vendors(store, (vendor("dten", 1),), AT, randomness)
    load(store, ANN, BOB)
    load(store, ANN, BOB, CYD)
    assert approve(store, "ann", approvals=1)["needed"] == 2


def test_the_person_of_an_identity_is_part_of_the_list(store: sqlite3.Connection) -> None:
    """An identity given to somebody else, and a second identity of somebody known, are new as well."""
    load(store, ANN, BOB)
    swapped = (("uid:1", "bob"), ("uid:2", "ann"))
    assert load(store, *swapped) is True
    assert (who(store, "uid:1", *swapped), who(store, "uid:2", *swapped)) == (None, None)
    more = (ANN, BOB, ("token:ci", "ann"))
    assert load(store, *more) is True
    assert (who(store, "token:ci", *more), who(store, "uid:1", *more)) == (None, "ann")


def test_somebody_removed_stops_counting_at_once(store: sqlite3.Connection) -> None:
    """Nobody approves a removal; coming back needs nothing while no list without the person was approved, and all of it then."""
    load(store, ANN, BOB, CYD)
    assert load(store, ANN, BOB) is False
    assert who(store, "uid:3", ANN, BOB) is None
    load(store, ANN, BOB, CYD)
    assert who(store, "uid:3", ANN, BOB, CYD) == "cyd"
    load(store, ANN, BOB)
    assert [approve(store, person)["outcome"] for person in ("ann", "bob")] == ["recorded", "effective"]
    assert load(store, ANN, BOB, CYD) is True
    assert who(store, "uid:3", ANN, BOB, CYD) is None


def test_one_left_over_waits(store: sqlite3.Connection) -> None:
    """Removing the second person and adding a puppet is not in one person's power: whoever is left waits a week, in sight of all."""
    load(store, ANN, BOB)
    load(store, ANN)
    load(store, ANN, CYD, at=AT + DAY)
    with pytest.raises(DecisionRefusedError, match=r"2 people .* 1 are left.*2026-05-11 12:00 UTC"):
        approve(store, "ann", AT + 7 * DAY)
    assert who(store, "uid:3", ANN, CYD) is None
    assert approve(store, "ann", AT + 8 * DAY)["outcome"] == "effective"
    assert who(store, "uid:3", ANN, CYD) == "cyd"


def test_an_emptied_list_does_not_start_again(store: sqlite3.Connection) -> None:
    """Taking everybody out and putting somebody else in is no first list."""
    load(store, ANN, BOB)
    load(store)
    assert load(store, CYD) is True
    assert who(store, "uid:3", CYD) is None
    load(store, ANN, BOB)
    assert who(store, "uid:1", ANN, BOB) == "ann"


def test_an_approval_is_for_one_list(store: sqlite3.Connection) -> None:
    """What was approved of one list does not count for the next."""
    load(store, ANN, BOB)
    load(store, ANN, BOB, CYD)
    approve(store, "ann")
    load(store, ANN, BOB, ("uid:4", "dan"))
    assert approve(store, "bob")["outcome"] == "recorded"


def test_a_changed_entry_is_noticed(store: sqlite3.Connection) -> None:
    """The list is what the audit log says, and an edited entry is an inconsistent store."""
    load(store, ANN, BOB)
    store.execute("DROP TRIGGER audit_log_no_update")
    (body,) = store.execute("SELECT body FROM audit_log").fetchone()
    store.execute("UPDATE audit_log SET body = ?", (body.replace("bob", "eve"),))
    with pytest.raises(StoreInconsistentError):
        newest(store)
    store.execute("UPDATE audit_log SET body = ?", (body,))


def settings(folder: Path, text: str) -> Approvers:
    """The approvers of a configuration."""
    file = folder / "rootwarden.toml"
    file.write_text(f"[approvers]\n{text}\n")
    return load_trust_settings(file).approvers


def test_a_person_has_identities_of_several_kinds(tmp_path: Path) -> None:
    """Users by number, name or uid:, tokens and logins are read; each stands for one person."""
    found = settings(tmp_path, 'ann = [4711, "uid:4712", "root", "token:ci-eu", "login:ann@example.org"]\nbob = 4713')
    assert {found.person_of(i) for i in ("uid:4711", "uid:4712", "uid:0", "token:ci-eu", "login:ann@example.org")} == {
        "ann"
    }
    assert (found.person_of("uid:4713"), found.person_of("token:CI-EU"), found.person_of("4711")) == ("bob", None, None)
    assert found.by_uid == ((0, "ann"), (4711, "ann"), (4712, "ann"), (4713, "bob"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('ann = "token:ci"\nbob = "token:ci"', "stands for both"),
        ('ann = 4711\nbob = "uid:4711"', "stands for both"),
        ('ann = "token:"', "is not uid:NUMBER"),
        ('ann = "login:a b"', "is not uid:NUMBER"),
        ('ann = "uid:007"', "is not uid:NUMBER"),
        ('ann = "uid:-1"', "is not uid:NUMBER"),
        ('ann = "a\\u0000b"', "is no Unix user"),
        ("ann = 1\nAnn = 2", "look like one person"),
        ("system = 1", "cannot be a person"),
        ("configuration = 1", "cannot be a person"),
        ('"" = 1', "cannot be a person"),
        ('" ann" = 1', "cannot be a person"),
    ],
)
def test_one_identity_is_one_person(tmp_path: Path, text: str, told: str) -> None:
    """An identity under two names, names that look like one person, and what is neither user, token nor login are refused."""
    with pytest.raises(ConfigError, match=told):
        settings(tmp_path, text)


def test_a_vendor_file_that_is_put_back_is_told(store: sqlite3.Connection) -> None:
    """An edit that waited for approval and is undone changes no policy, and is a change that people hear of with old and new value."""
    told = []
    for approvals in (2, 1, 2):
        with transaction(store):
            told.append(record_vendors(store, (vendor(approvals=approvals),), AT, randomness))
    assert [[(c.field, c.old, c.new, c.weakens) for c in changes] for changes in told] == [
        [],
        [("policy.approvals", 2, 1, True)],
        [("policy.approvals", 1, 2, False)],
    ]


def test_a_vendor_that_comes_later_is_a_change(store: sqlite3.Connection) -> None:
    """The first vendors are how a store begins; one whose file appears afterwards is told, with nothing weakened."""
    with transaction(store):
        assert record_vendors(store, [vendor()], AT, randomness) == ()
    with transaction(store):
        changes = record_vendors(store, [vendor(), vendor("late", approvals=1)], AT, randomness)
    assert [(c.vendor_id, c.field, c.new, c.weakens) for c in changes] == [("late", "file", "present", False)]
    with transaction(store):
        assert record_vendors(store, [vendor(), vendor("late", approvals=1)], AT, randomness) == ()
