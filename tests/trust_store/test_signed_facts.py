"""What was read from packages is signed by the instance: whoever writes the database cannot have it say more, nor date it back."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from click.testing import CliRunner

from monitor.cli import group
from tests.trust_store.package_craft import read
from tests.trust_store.path_craft import authority, issue
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.store_setup import open_store, randomness, vendor
from tests.trust_store.test_attacks_tombstones import AT, CODE, record, signed_by
from tests.trust_store.verdict_craft import CONTENT
from trust_store import instance_key
from trust_store.api.access import Peer
from trust_store.api.answers import Answers
from trust_store.api.app import build_app, peer_of
from trust_store.errors import StoreInconsistentError, TrustStoreError
from trust_store.instance_key import KEY_NAME, PUBLIC_NAME, InstanceKey
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.rekeying import rekey
from trust_store.storage import fact_signatures
from trust_store.storage.connection import transaction
from trust_store.storage.fact_signatures import COVERED, FactsNotSignedError, message, require_all, text_digest
from trust_store.storage.facts import discard_facts, load_facts, record_sighting, save_facts
from trust_store.storage.first_seen import first_seen
from trust_store.storage.head import known_store_id
from trust_store.stored_verdict import verify_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trust_store.api.readings import Readings
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

DAY = timedelta(days=1)
DTEN = ExpectedVendor("dten", "stated")
EVIL = read(b"evil")
"""Bytes that nobody signed."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that trusts one root, and a configuration for it."""
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "vendors.d/dten.toml").write_text('[vendor]\nid = "dten"\nname = "DTEN"\n')
    (tmp_path / "rootwarden.toml").write_text(f'[store]\ndirectory = "{tmp_path}"\n')
    with closing(open_store(tmp_path)) as connection:
        record(connection, authority("Root", private=private_key(501)))
        yield connection


@pytest.fixture(scope="module")
def good() -> PackageFacts:
    """Facts of a package that the root signed."""
    signer = issue("Signer", authority("Root", private=private_key(501)), CODE, private=private_key(502))
    return signed_by(signer)


def save(connection: sqlite3.Connection, facts: PackageFacts, at: Any = AT, origin: str = "intake") -> str:
    """Save facts as the intake does."""
    with transaction(connection):
        record_sighting(connection, facts.sha256, "firmware.bin", None, "dten", "intake", at)
        return save_facts(connection, facts, origin=origin, at=at, randomness=randomness)


def change(connection: sqlite3.Connection, statement: str, *values: object) -> None:
    """Edit the file past the program."""
    connection.execute("PRAGMA foreign_keys = OFF")
    assert connection.execute(statement, values).rowcount == 1


def answer(connection: sqlite3.Connection, sha256: str) -> Verdict:
    """The verdict from stored facts."""
    return verify_stored(connection, sha256, DTEN, (vendor(),), at=AT)


def insert(connection: sqlite3.Connection, row: dict[str, object], text: str) -> None:
    """A row of somebody else's."""
    change(
        connection,
        f"INSERT INTO fact_set ({', '.join(row)}, facts) VALUES ({', '.join('?' * len(row))}, ?)",  # noqa: S608 - of this test
        *row.values(),
        text,
    )


def row_of(connection: sqlite3.Connection, sha256: str) -> tuple[dict[str, object], str]:
    """A stored row and its facts."""
    found = connection.execute("SELECT * FROM fact_set WHERE package_sha256 = ?", (sha256,)).fetchone()
    return {name: found[name] for name in (*COVERED, "signature")}, found["facts"]


def forged(connection: sqlite3.Connection, good: PackageFacts, **changed: object) -> None:
    """The facts of the good package as those of the evil one."""
    with transaction(connection):
        record_sighting(connection, EVIL.sha256, "firmware.bin", None, "dten", "intake", AT)
    row, text = row_of(connection, good.sha256)
    text = text.replace(good.sha256, EVIL.sha256)
    insert(
        connection,
        row | {"id": "facts_forged", "package_sha256": EVIL.sha256, "facts_sha256": text_digest(text)} | changed,
        text,
    )


def test_what_was_saved_is_believed(store: sqlite3.Connection, good: PackageFacts) -> None:
    """A row of this program's own makes its package pass, and all rows are counted."""
    save(store, good)
    save(store, EVIL)
    assert answer(store, good.sha256).outcome is Outcome.PASSED
    assert require_all(store) == 2


def test_every_column_of_the_table_is_signed(store: sqlite3.Connection) -> None:
    """A column that is added later is signed too, or this fails."""
    columns = {row["name"] for row in store.execute("PRAGMA table_info(fact_set)")}
    assert columns == {*COVERED, "signature", "facts"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "'facts_other'"),
        ("package_sha256", f"'{EVIL.sha256}'"),
        ("material", "''"),
        ("reader", "'zip_plain'"),
        ("reader_version", "reader_version + 1"),
        ("reader_version", "reader_version + 0.5"),
        ("registry", "'another'"),
        ("origin", "'api:uid:0'"),
        ("facts", "replace(facts, 'firmware', 'hardware')"),
        ("facts", "'{'"),
        ("facts", "CAST(facts AS BLOB)"),
        ("facts", "CAST(x'ff' AS TEXT)"),
        ("facts_sha256", "lower(hex(zeroblob(32)))"),
        ("recorded_at", "'2001-01-01T00:00:00Z'"),
        ("updated_at", "'2999-01-01T00:00:00Z'"),
        ("id", "CAST(x'ff' AS TEXT)"),
        ("origin", "CAST(origin AS BLOB)"),
        ("material", "CAST(material AS BLOB)"),
        ("material", "CAST(x'ff' AS TEXT)"),
        ("signature", "''"),
        ("signature", "upper(signature)"),
        ("signature", "CAST(signature AS BLOB)"),
        ("signature", "signature || '00'"),
    ],
)
def test_a_changed_column_is_named(store: sqlite3.Connection, good: PackageFacts, column: str, value: str) -> None:
    """Whatever was edited: nothing passes by that row, it is not believed about the past, and the walk names it."""
    save(store, good)
    assert first_seen(store, good) == AT
    change(store, f"UPDATE fact_set SET {column} = {value}")  # noqa: S608 - of this test
    with pytest.raises(FactsNotSignedError, match="fact_set: row "):
        require_all(store)
    # The signature is over the digest of the facts' text, which alone says when they were first read.
    assert first_seen(store, good) is None or column == "facts"
    for facts in (good, EVIL):
        try:
            assert answer(store, facts.sha256).outcome is not Outcome.PASSED
        except TrustStoreError as error:
            assert "row" in str(error) or "has been seen" in str(error)  # noqa: PT017 - either way out will do


@pytest.mark.parametrize("attack", ["moved", "another row's", "another key's", "none", "another store's"])
def test_facts_for_other_bytes_are_refused(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path, attack: str
) -> None:
    """Good facts under another digest: with their signature, another's, one by another key or of another store, or with none."""
    save(store, good)
    if attack == "moved":
        row, _ = row_of(store, good.sha256)
        change(store, "UPDATE package SET sha256 = ?", EVIL.sha256)
        change(store, "UPDATE fact_set SET package_sha256 = ? WHERE id = ?", EVIL.sha256, row["id"])
        change(store, "UPDATE sighting SET package_sha256 = ?", EVIL.sha256)
    else:
        forged(store, good)
        row = row_of(store, EVIL.sha256)[0]
        said = [row[name] for name in COVERED]
        signature = {
            "another row's": row["signature"],
            "another key's": InstanceKey.generate().sign(message(known_store_id(store), said)),
            "none": "",
            "another store's": instance_key.private_key(tmp_path / "rootwarden.db").sign(message("store_other", said)),
        }[attack]
        change(store, "UPDATE fact_set SET signature = ? WHERE id = ?", signature, row["id"])
    with pytest.raises(FactsNotSignedError, match=str(row["id"])):
        answer(store, EVIL.sha256)
    with pytest.raises(FactsNotSignedError, match=str(row["id"])):
        require_all(store)


def test_a_signature_of_this_key_over_the_row_is_what_counts(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path
) -> None:
    """The forgeries above fail for their signature alone: signed by the instance the same row would pass."""
    save(store, good)
    forged(store, good)
    row = row_of(store, EVIL.sha256)[0]
    signature = instance_key.private_key(tmp_path / "rootwarden.db").sign(
        message(known_store_id(store), [row[name] for name in COVERED])
    )
    change(store, "UPDATE fact_set SET signature = ? WHERE id = ?", signature, row["id"])
    assert answer(store, EVIL.sha256).outcome is Outcome.PASSED


def test_nobody_dates_a_first_sighting_back(store: sqlite3.Connection, good: PackageFacts) -> None:
    """An older time in the row or in a copy of it is not believed; the true row beside a forged one still is."""
    save(store, good, AT)
    row, text = row_of(store, good.sha256)
    older = "2001-01-01T00:00:00Z"
    insert(store, row | {"id": "facts_old", "reader_version": 0, "recorded_at": older}, text)
    assert first_seen(store, good) == AT
    change(store, "UPDATE fact_set SET recorded_at = ? WHERE id = ?", older, row["id"])
    assert first_seen(store, good) is None


def test_saving_again_keeps_the_first_time_and_signs_again(store: sqlite3.Connection, good: PackageFacts) -> None:
    """The first time, origin and id stay, content and the time of the change do not, and the row holds."""
    first = save(store, good)
    before = row_of(store, good.sha256)[0]
    changed = dataclasses.replace(good, size=good.size + 1)
    assert save(store, changed, AT + DAY, "api:uid:0") == first
    after = row_of(store, good.sha256)[0]
    kept = {"id", "package_sha256", "material", "reader", "reader_version", "registry", "origin", "recorded_at"}
    assert {name for name in after if after[name] == before[name]} == kept
    assert require_all(store) == 1
    assert load_facts(store, good.sha256) == changed
    assert first_seen(store, good) == AT


@pytest.mark.parametrize("value", ["'2001-01-01T00:00:00Z'", "CAST(x'ff' AS TEXT)"])
def test_saving_again_adopts_nothing_of_a_forged_row(store: sqlite3.Connection, good: PackageFacts, value: str) -> None:
    """A backdated row is not signed in passing: it is refused, and once discarded the package is new."""
    save(store, good)
    change(store, f"UPDATE fact_set SET recorded_at = {value}")  # noqa: S608 - of this test
    with pytest.raises(FactsNotSignedError):
        save(store, good, AT + DAY)
    discard_facts(store, good)
    save(store, good, AT + DAY)
    assert first_seen(store, good) == AT + DAY
    assert require_all(store) == 1


def test_a_removed_row_makes_a_package_unknown(store: sqlite3.Connection, good: PackageFacts) -> None:
    """Nobody notices that it is gone, and nothing passes."""
    save(store, good)
    change(store, "DELETE FROM fact_set")
    assert require_all(store) == 0
    assert first_seen(store, good) is None
    assert answer(store, good.sha256).reason is Reason.UNREADABLE


def test_without_the_public_half_nothing_is_believed(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path
) -> None:
    """With both halves gone nobody can tell who wrote the facts; a new key is not made over them."""
    save(store, good)
    for name in (KEY_NAME, PUBLIC_NAME):
        (tmp_path / name).unlink()
    for ask in (
        lambda: answer(store, good.sha256),
        lambda: first_seen(store, good),
        lambda: require_all(store),
        lambda: save(store, good),
    ):
        with pytest.raises(StoreInconsistentError, match="is missing"):
            ask()
    assert not (tmp_path / KEY_NAME).exists()


def test_the_first_thing_in_a_store_may_be_a_package(tmp_path: Path, good: PackageFacts) -> None:
    """Facts before any decision give the store its id and key, and hold after the first decision too."""
    with closing(open_store(tmp_path)) as connection:
        save(connection, good)
        assert load_facts(connection, good.sha256) == good
        record(connection, authority("Root", private=private_key(501)))
        assert answer(connection, good.sha256).outcome is Outcome.PASSED
        (tmp_path / KEY_NAME).unlink()
    with closing(open_store(tmp_path)) as connection:
        rekeyed(connection, tmp_path)
        assert require_all(connection) == 1


def rekeyed(connection: sqlite3.Connection, folder: Path) -> str:
    """The key is lost; another takes its place."""
    (folder / KEY_NAME).unlink(missing_ok=True)
    return rekey(connection, folder / "rootwarden.db", identity="ann", reason="disk failure", at=AT)


def test_a_new_key_signs_what_the_lost_one_had_signed(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path
) -> None:
    """After a rekey old facts answer as before, and their first time stays."""
    save(store, good)
    save(store, EVIL)
    rekeyed(store, tmp_path)
    assert require_all(store) == 2
    assert (answer(store, good.sha256).outcome, first_seen(store, good)) == (Outcome.PASSED, AT)


def test_a_new_key_adopts_no_forged_row(store: sqlite3.Connection, good: PackageFacts, tmp_path: Path) -> None:
    """A row that the lost key did not sign stops the rekey and is named; without it the rekey goes on where it stood."""
    save(store, good)
    forged(store, good)
    with pytest.raises(FactsNotSignedError, match="facts_forged"):
        rekeyed(store, tmp_path)
    assert not (tmp_path / KEY_NAME).exists()
    change(store, "DELETE FROM fact_set WHERE id = 'facts_forged'")
    rekeyed(store, tmp_path)
    assert require_all(store) == 1


def test_an_old_row_is_not_believed_after_a_rekey(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path
) -> None:
    """The lost key, wherever it turns up, makes no more facts."""
    lost = instance_key.private_key(tmp_path / "rootwarden.db")
    save(store, good)
    rekeyed(store, tmp_path)
    row, _ = row_of(store, good.sha256)
    signature = lost.sign(message(known_store_id(store), [row[name] for name in COVERED]))
    change(store, "UPDATE fact_set SET signature = ?", signature)
    with pytest.raises(FactsNotSignedError):
        answer(store, good.sha256)


def test_the_walk_tells_how_far_it_is(
    store: sqlite3.Connection, good: PackageFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are many, whoever waits hears of it."""
    monkeypatch.setattr(fact_signatures, "PROGRESS_ROWS", 2)
    for number in range(5):
        save(store, dataclasses.replace(good, sha256=f"{number:064x}"))
    heard: list[tuple[int, int]] = []
    assert require_all(store, told=lambda done, of: heard.append((done, of))) == 5
    assert heard == [(2, 5), (4, 5)]


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """A command; errors become their codes."""
    result = CliRunner().invoke(group, ["--config", str(folder / "rootwarden.toml"), *arguments], standalone_mode=False)
    if isinstance(result.exception, TrustStoreError):
        return result.exception.exit_code, "", str(result.exception)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.stdout, result.stderr


def test_the_commands_name_a_forged_row(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``package show`` and ``audit verify`` pass before, and end with 4 and the row's name after."""
    monkeypatch.setattr(fact_signatures, "PROGRESS_ROWS", 1)
    save(store, good)
    assert run(tmp_path, "package", "show", good.sha256, "--vendor", "dten")[0] == 0
    code, out, err = run(tmp_path, "audit", "verify", "--json")
    assert (code, json.loads(out)["fact_sets"], "1 of 1" in err) == (0, 1, True)
    assert "1 fact set(s) signed" in run(tmp_path, "audit", "verify")[1]
    forged(store, good, id="facts_\x1b[2J")
    for command in (("package", "show", EVIL.sha256, "--vendor", "dten"), ("audit", "verify")):
        code, out, err = run(tmp_path, *command)
        assert (code, out, "row facts_\\u001b[2J" in err) == (4, "", True)
    assert run(tmp_path, "package", "show", good.sha256, "--vendor", "dten")[0] == 0


async def test_the_api_passes_nothing_by_a_forged_row(
    store: sqlite3.Connection, good: PackageFacts, tmp_path: Path
) -> None:
    """An honest row answers 200 and passed; a forged one is 503, which is no verdict."""
    save(store, good)
    forged(store, good)

    async def ask(function: Callable[[sqlite3.Connection], Any]) -> Any:
        return function(store)

    def unused(*_: object) -> Any:
        raise AssertionError

    answers = Answers(
        run=ask, look=ask, readings=cast("Readings", None), vendors=(vendor(),), folders=(), record=unused,
        evidence=lambda _: None, sealed=unused, now=lambda: AT,
    )  # fmt: skip
    app = build_app(answers, max_upload_bytes=len(CONTENT), uploads=tmp_path, version="1")
    app.dependency_overrides[peer_of] = lambda: Peer(0, frozenset())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        honest = await client.get(f"/v1/packages/{good.sha256}", params={"vendor": "dten"})
        assert (honest.status_code, honest.json()["outcome"]) == (200, "passed")
        answer = await client.get(f"/v1/packages/{EVIL.sha256}", params={"vendor": "dten"})
        assert (answer.status_code, "facts_forged" in answer.json()["detail"]) == (503, True)
