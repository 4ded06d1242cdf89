"""How a command has a decision made: over the daemon's socket, or in process as the Unix user it really is."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import socket
import tempfile
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.trust_store.store_setup import AT, PHONE, fingerprint, open_store, propose, randomness, vendor
from trust_store import audit, checkpoints, client, query
from trust_store.errors import (
    DaemonUnavailableError,
    DecisionRefusedError,
    StoreInconsistentError,
    StoreUnavailableError,
    TrustStoreError,
)
from trust_store.policy_approval import person_deciding
from trust_store.settings import Approvers, ControlSettings, StoreSettings, TrustSettings
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = os.geteuid() == 0
ANN, BOB, STRANGER = (61001, 61002, 61003) if ROOT else (os.geteuid(),) * 3


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    made = Path(tempfile.mkdtemp(prefix="rootwarden-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def settings(folder: Path, **people: int) -> TrustSettings:
    """Settings with a store in ``folder`` and approvers by name."""
    return TrustSettings(
        file=folder / "rootwarden.toml",
        store=StoreSettings(folder),
        control=ControlSettings(folder / "control.sock"),
        approvers=Approvers(tuple((f"uid:{uid}", name) for name, uid in people.items())),
        vendors=(vendor(),),
    )


def arguments(anchor_id: str) -> dict[str, Any]:
    """A call in which the right fingerprint was read out."""
    return {
        "anchor": anchor_id, "fingerprint_read": fingerprint(), "spoke_with": "Ada", "called": PHONE, "ticket": "T",
    }  # fmt: skip


def decide(where: TrustSettings, command: str, asked: dict[str, Any]) -> dict[str, Any]:
    """As the current process."""
    return client.decide(where, command, asked, now=lambda: AT, randomness=randomness)


def as_user(uid: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run ``work`` in a process that really is ``uid`` and return its result, or the error it raised."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer: dict[str, Any] = {"error": "crash"}
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            answer = work()
        except TrustStoreError as error:
            answer = {"error": str(error), "exit_code": error.exit_code}
        finally:
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said: dict[str, Any] = json.loads(stream.read())
    os.waitpid(child, 0)
    return said


def store_of(folder: Path, uid: int) -> str:
    """A store owned by ``uid`` with one pending anchor, whose id is returned."""
    with closing(open_store(folder)) as connection:
        anchor_id = propose(connection)
    for path in (folder, *folder.iterdir()):
        os.chown(path, uid, -1)
    return anchor_id


def test_the_owner_decides_as_who_it_is(folder: Path) -> None:
    """Without a daemon the store's owner decides in process, as the person its uid is mapped to."""
    me = os.geteuid()
    anchor_id = store_of(folder, me)
    assert decide(settings(folder, ann=me), "anchor.approve", arguments(anchor_id))["outcome"] == "recorded"
    with closing(query.open_consistent(folder / "rootwarden.db")) as connection:
        assert audit.entries(connection)[-1]["actor"] == "ann"


def test_an_unmapped_uid_decides_nothing(folder: Path) -> None:
    """Owning the store is not enough: the error names the uid, the user and the file to write it in."""
    me = os.geteuid()
    anchor_id = store_of(folder, me)
    told = rf"uid {me} \({pwd.getpwuid(me).pw_name}\) is not named in \[approvers\] of {folder}/rootwarden.toml"
    with pytest.raises(DecisionRefusedError, match=told):
        decide(settings(folder, ann=me + 1), "anchor.approve", arguments(anchor_id))


@pytest.mark.parametrize("name", ["SUDO_USER", "SUDO_UID", "USER", "LOGNAME"])
def test_no_environment_variable_names_a_person(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What sudo or the shell says of the user counts for nothing."""
    me = os.geteuid()
    anchor_id = store_of(folder, me)
    monkeypatch.setenv(name, "61001" if name == "SUDO_UID" else "ann")
    with pytest.raises(DecisionRefusedError, match="not named"):
        decide(settings(folder, ann=61001 if me != 61001 else 61002), "anchor.approve", arguments(anchor_id))


def test_two_real_users_and_an_intruder(folder: Path) -> None:
    """Only the uid that owns the store decides in process; another mapped uid is sent to the daemon (needs root to try)."""
    anchor_id = store_of(folder, ANN)
    where = settings(folder, ann=ANN) if ANN == BOB else settings(folder, ann=ANN, bob=BOB)

    def work() -> dict[str, Any]:
        return decide(where, "anchor.approve", arguments(anchor_id))

    if ANN == BOB:
        assert work()["outcome"] == "recorded"
        return
    assert as_user(ANN, work)["outcome"] == "recorded"
    refused = as_user(BOB, work)
    assert (refused["exit_code"], f"uid {BOB} does not own" in refused["error"]) == (2, True)
    assert "has approved this already" in as_user(ANN, work)["error"]
    for path in (folder, *folder.iterdir()):
        os.chown(path, BOB, -1)
    assert as_user(BOB, work)["outcome"] == "valid"
    for path in (folder, *folder.iterdir()):
        os.chown(path, STRANGER, -1)
    assert f"uid {STRANGER} (no user of that number) is not named" in as_user(STRANGER, work)["error"]


@pytest.mark.skipif(not ROOT, reason="needs another user")
@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o600, "join the socket's group ([control] group)"), (None, "start it: systemctl start rootwarden")],
)
def test_an_approver_whom_no_daemon_hears_is_told_what_to_do(folder: Path, mode: int | None, told: str) -> None:
    """Whom the state directory is closed to hears of the daemon that is to be started or the group to join, never of 'init'."""
    state = folder / "state"
    state.mkdir()
    anchor_id = store_of(state, ANN)
    state.chmod(0o700)
    where = replace(settings(folder, bob=BOB), store=StoreSettings(state))
    with socket.socket(socket.AF_UNIX) as listener:
        if mode is not None:
            listener.bind(str(folder / "control.sock"))
            (folder / "control.sock").chmod(mode)
            listener.listen(1)
        refused = as_user(BOB, lambda: decide(where, "anchor.approve", arguments(anchor_id)))
    assert (refused["exit_code"], told in refused["error"], "init" in refused["error"]) == (4, True, False)


def open_for_reading(path: Path) -> dict[str, Any]:
    """Open the store as readers of it do."""
    query.open_consistent(path).close()
    return {}


@pytest.mark.skipif(not ROOT, reason="needs another user")
@pytest.mark.parametrize("opened", [open_for_reading, lambda path: {"rows": bool(connect(path, read_only=True))}])
def test_a_closed_store_says_who_may_read_it(folder: Path, opened: Callable[[Path], dict[str, Any]]) -> None:
    """Whoever may not read the store is told who may; that 'init' makes one is said only where there is none."""
    store_of(folder, ANN)
    folder.chmod(0o700)
    refused = as_user(BOB, lambda: opened(folder / "rootwarden.db"))
    assert refused["exit_code"] == 4
    assert "run this as root or as the store's owner" in refused["error"]
    assert "init" not in refused["error"]


def test_two_uids_of_one_person_are_one_approver(folder: Path) -> None:
    """A person with two accounts approves once."""
    anchor_id = store_of(folder, ANN)
    both = Approvers(((f"uid:{ANN}", "ann"), (f"uid:{BOB}", "ann")))
    where = replace(settings(folder, ann=ANN), approvers=both)

    def work() -> dict[str, Any]:
        return decide(where, "anchor.approve", arguments(anchor_id))

    first = as_user(ANN, work) if ROOT else work()
    assert first["outcome"] == "recorded"
    if ROOT:
        for path in (folder, *folder.iterdir()):
            os.chown(path, BOB, -1)
        assert "ann has approved this already" in as_user(BOB, work)["error"]


def test_a_held_lock_means_a_daemon(folder: Path) -> None:
    """While somebody holds the writer's lock no command writes beside it."""
    me = os.geteuid()
    anchor_id = store_of(folder, me)
    with (folder / "writer.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(DaemonUnavailableError, match="is held"),
            client.exclusive(folder / "writer.lock", wait_seconds=0.05),
        ):
            pytest.fail("two writers")
    (folder / "writer.lock").unlink()
    (folder / "writer.lock").symlink_to(folder / "elsewhere")
    with pytest.raises(StoreUnavailableError, match="cannot open"):
        decide(settings(folder, ann=me), "anchor.approve", arguments(anchor_id))


def test_a_changed_store_takes_no_decision(folder: Path) -> None:
    """In process the whole log is walked first: nothing is decided on a store that was tampered with."""
    me = os.geteuid()
    anchor_id = store_of(folder, me)
    with closing(connect(folder / "rootwarden.db")) as connection:
        connection.execute("DROP TRIGGER anchor_version_no_update")
        connection.execute("UPDATE anchor_version SET name = 'x'")
    with pytest.raises(StoreInconsistentError):
        decide(settings(folder, ann=me), "anchor.approve", arguments(anchor_id))


def test_a_checkpoint_is_carried_on(folder: Path) -> None:
    """Where an outside checkpoint is kept, a decision in process moves it to the new head."""
    me = os.geteuid()
    anchor_id = store_of(folder, me)
    path = folder / checkpoints.CHECKPOINT_NAME
    with closing(connect(folder / "rootwarden.db")) as connection:
        before = checkpoints.keep_checkpoint(connection, path, AT)
    decide(settings(folder, ann=me), "anchor.approve", arguments(anchor_id))
    after = checkpoints.read_checkpoint(path)
    assert before is not None
    assert after is not None
    assert (before.head.seq, after.head.seq) == (1, 2)


def test_no_store_is_unavailable(folder: Path) -> None:
    """A missing store says how one is made."""
    with pytest.raises(StoreUnavailableError, match="rootwarden init"):
        decide(settings(folder, ann=os.geteuid()), "anchor.approve", arguments("anchor_x"))


def serve(path: Path, answer: bytes) -> tuple[threading.Thread, list[bytes]]:
    """A daemon that reads one line and answers with fixed bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    heard: list[bytes] = []

    def run() -> None:
        with listener:
            peer, _ = listener.accept()
            with peer:
                heard.append(peer.makefile("rb").readline())
                peer.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, heard


def test_the_daemons_result_is_handed_on(folder: Path) -> None:
    """A running daemon is asked, one JSON line each way; nobody's name is in the request."""
    thread, heard = serve(folder / "control.sock", b'{"ok": true, "result": {"outcome": "valid"}}\n')
    assert decide(settings(folder), "anchor.reject", {"anchor": "a"}) == {"outcome": "valid"}
    thread.join()
    assert json.loads(heard[0]) == {"command": "anchor.reject", "arguments": {"anchor": "a"}}


@pytest.mark.parametrize("named", [True, False])
def test_a_stranger_to_the_daemon_alone_restarts_it(folder: Path, named: object) -> None:
    """Where the file names the user by now, the daemon's refusal says that it was edited since; else it stands as it is."""
    me = os.geteuid()
    with closing(open_store(folder)) as connection, pytest.raises(DecisionRefusedError) as stranger:
        person_deciding(connection, Approvers(), f"uid:{me}", folder / "rootwarden.toml")
    said = json.dumps({"ok": False, "error": str(stranger.value), "exit_code": 2}).encode() + b"\n"
    thread, _ = serve(folder / "control.sock", said)
    with pytest.raises(DecisionRefusedError) as refused:
        decide(settings(folder, ann=me) if named else settings(folder), "anchor.reject", {"anchor": "a"})
    thread.join()
    assert ("as the running daemon loaded it" in str(refused.value)) is named
    assert f"uid {me} is not named in [approvers]" in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'{"ok": false, "error": "no", "exit_code": 2, "kind": "mismatch"}\n', DecisionRefusedError),
        (b'{"ok": false, "error": "broken", "exit_code": 4}\n', DaemonUnavailableError),
        (b'{"ok": true, "result": {}}', DaemonUnavailableError),
        (b'{"ok": true, "result": []}\n', DaemonUnavailableError),
        (b'{"ok": "yes", "result": {}}\n', DaemonUnavailableError),
        (b"[]\n", DaemonUnavailableError),
        (b"\xff\n", DaemonUnavailableError),
        (b"[" * 100_000 + b"\n", DaemonUnavailableError),
        (b"", DaemonUnavailableError),
        (b" " * (client.MAX_ANSWER_BYTES + 10) + b"{}\n", DaemonUnavailableError),
    ],
)
def test_an_answer_of_another_shape_is_none(folder: Path, answer: bytes, error: type[TrustStoreError]) -> None:
    """Refusals keep their kind; whatever is not the documented shape never looks like a decision."""
    thread, _ = serve(folder / "control.sock", answer)
    with pytest.raises(error) as raised:
        client.request(folder / "control.sock", "anchor.approve", {}, 5)
    thread.join()
    assert getattr(raised.value, "kind", "mismatch") == "mismatch"


def test_a_silent_daemon_times_out(folder: Path) -> None:
    """A daemon that accepts and says nothing does not hold the command for ever, nor is the decision made twice."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "control.sock"))
        listener.listen(1)
        with pytest.raises(DaemonUnavailableError, match="audit show"):
            client.request(folder / "control.sock", "anchor.approve", {}, 0.05)
