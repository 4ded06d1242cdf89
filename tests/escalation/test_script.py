"""The escalation script is really run, under dash and bash, with a stand-in for rootwarden that writes down its arguments."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalation.scripts.quoting import quote, quote_path
from tests.escalation.conftest import (
    ANCHOR_ID,
    DTEN,
    KEY_SHA256,
    PACKAGE,
    make_anchor,
    make_context,
    make_evidence,
    make_verdict,
)
from tests.escalation.desk import ALERT, HOSTILE, SHELLS, YES, Desk, made, story
from trust_store.anchor_rules import rules_code
from trust_store.model.claim import Authority
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.vendor import Contact
from trust_store.model.verdict import Reason
from trust_store.storage.anchors import proposal_digest

if TYPE_CHECKING:
    from pathlib import Path

    from escalation.model import AlertContext


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An operator's desk."""
    return Desk(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_confirmed_key_is_approved_with_what_the_vendor_read(desk: Desk, shell: str) -> None:
    """Contact, person, ticket and the typed fingerprint are handed to anchor approve; exit 0."""
    done = desk.run(story(desk), YES, "--go", shell=shell)
    assert done.returncode == 0, done.stderr
    assert desk.arguments == [
        [
            "--config=/etc/rootwarden/rootwarden.toml", "anchor", "approve", ANCHOR_ID[:-1] + "0",
            f"--fingerprint-read={KEY_SHA256}", "--spoke-with=Grace Hopper", "--called=Security desk", "--ticket=CASE-4711",
            f"--rules={rules_code(proposal_digest(make_anchor()))}",
        ]
    ]  # fmt: skip
    assert "is the one that the alert is about" in done.stderr


@pytest.mark.parametrize(
    ("answer", "because"), [("not ours", "disowned"), ("Not Ours", "disowned"), ("unsure", "unconfirmed")]
)
def test_a_key_that_is_not_theirs_is_rejected(desk: Desk, answer: str, because: str) -> None:
    """Not ours disowns the key, unsure leaves it unconfirmed; both are decisions that were accepted."""
    done = desk.run(story(desk), f"2\nGrace\nT1\n{answer}\n", "--go")
    assert done.returncode == 0, done.stderr
    assert desk.arguments[0][1:5] == ["anchor", "reject", ANCHOR_ID[:-1] + "0", f"--because={because}"]
    assert "--called=Account manager" in desk.arguments[0]


@pytest.mark.parametrize(
    "answers",
    [
        "", "0\n", "1\n", "1\n\n", "1\nGrace\n", "1\nGrace\n\n", "1\nGrace\nT1\n", "1\nGrace\nT1\nnobody\n", "1\nGrace\nT1\n\n",
        "9\n9\n9\n", "1\nGrace\nT1\nno\nno\nno\n", "1\nGrace\nT1\nyes\n", "1\nGrace\nT1\nyes\nabc\nabc\nabc\n",
        f"1\nGrace\nT1\nyes\n{KEY_SHA256[:63]}\n{KEY_SHA256[:40]}\n{KEY_SHA256}0\n", "1\nGrace\nT1\nyes\nzz\n$(id)\n-x\n",
    ],
)  # fmt: skip
def test_without_a_whole_answer_nothing_is_decided(desk: Desk, answers: str) -> None:
    """Nobody answered, an interruption at any prompt, a partial reading: exit 3 and rootwarden is not called."""
    done = desk.run(story(desk), answers, "--go")
    assert done.returncode == 3, done.stderr
    assert desk.arguments == []
    assert f"Alert {ALERT} stays open." in done.stderr


def test_without_go_nothing_is_run(desk: Desk) -> None:
    """A dry run shows the command and calls nothing."""
    done = desk.run(story(desk), YES)
    assert done.returncode == 3
    assert desk.arguments == []
    assert f"--fingerprint-read={KEY_SHA256}" in done.stderr


@pytest.mark.parametrize(("status", "code"), [(0, 0), (2, 2), (4, 4), (1, 4), (137, 4)])
def test_the_answer_of_rootwarden_decides_the_exit(desk: Desk, status: int, code: int) -> None:
    """Accepted 0, refused 2, anything else could not: 4."""
    desk.install(status)
    assert desk.run(story(desk), YES, "--go").returncode == code


def test_on_a_host_without_rootwarden_it_says_so(desk: Desk) -> None:
    """Exit 4 before the first question; the dry run still works there."""
    done = desk.run(story(desk), YES, "--go", installed=False)
    assert done.returncode == 4
    assert "no rootwarden on this host" in done.stderr
    assert desk.run(story(desk), YES, installed=False).returncode == 3


def test_a_changed_package_stops_the_script(desk: Desk) -> None:
    """The file is checked again by its digest: another one ends the script with 4."""
    desk.package.write_bytes(PACKAGE + b"!")
    done = desk.run(story(desk), YES, "--go")
    assert done.returncode == 4
    assert "not the file that the alert is about" in done.stderr
    assert desk.arguments == []


def test_the_retained_copy_will_do(desk: Desk, tmp_path: Path) -> None:
    """Where the first file was replaced, the retained one is enough."""
    retained = tmp_path / "retained"
    retained.write_bytes(PACKAGE)
    desk.package.write_bytes(b"another")
    assert desk.run(story(desk, retained_path=str(retained)), YES, "--go").returncode == 0


def test_a_missing_package_needs_a_word(desk: Desk, tmp_path: Path) -> None:
    """Without the file: 4, unless the operator names it or says that he goes on without."""
    moved = tmp_path / "-moved away.zip"
    desk.package.rename(moved)
    assert desk.run(story(desk), YES, "--go").returncode == 4
    assert desk.run(story(desk), YES, "--go", "--package", moved.name).returncode == 0
    assert desk.run(story(desk), YES, "--go", "--without-file").returncode == 0
    assert desk.run(story(desk), YES).returncode == 3


@pytest.mark.parametrize("options", [("--gone",), ("--package",), ("x",)])
def test_wrong_use_is_refused(desk: Desk, options: tuple[str, ...]) -> None:
    """An unknown option ends with 2 and the usage."""
    done = desk.run(story(desk), YES, *options)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_help_is_no_error(desk: Desk) -> None:
    """--help prints the usage."""
    assert desk.run(story(desk), "", "--help").returncode == 0


def test_several_keys_are_asked_one_after_another(desk: Desk) -> None:
    """Each proposal has its own question; a refusal of one is a refusal."""
    script = story(desk, proposals=(make_anchor(0), make_anchor(1, kind=AnchorKind.OPENPGP)))
    done = desk.run(script, f"1\nGrace\nT1\nnot ours\nyes\n{KEY_SHA256[:40]}\n", "--go")
    assert done.returncode == 0, done.stderr
    assert [call[2] for call in desk.arguments] == ["reject", "approve"]
    assert f"--fingerprint-read={KEY_SHA256[:40]}" in desk.arguments[1]


def test_without_a_fitting_key_it_collects_and_tells_what_to_do(desk: Desk) -> None:
    """No proposal: the reading is recorded and anchor import is named; exit 3."""
    for answers in (YES, "1\nG\nT\nnot ours\n", "1\nG\nT\nnobody\n"):
        done = desk.run(story(desk, proposals=()), answers, "--go")
        assert done.returncode == 3, done.stderr
        assert desk.arguments == []
    done = desk.run(story(desk, proposals=()), YES, "--go")
    assert f"fingerprint read out: {KEY_SHA256}" in done.stdout
    assert "rootwarden anchor import FILE --vendor dten" in done.stderr


def test_other_reasons_collect_an_answer(desk: Desk) -> None:
    """An unsigned package has no key to decide on: the answer is recorded, nothing is called."""
    script = story(desk, verdict=make_verdict(Reason.UNSIGNED))
    done = desk.run(script, "1\nGrace\nT1\nwe re-sign it tomorrow\n", "--go")
    assert done.returncode == 3
    assert "answer: we re-sign it tomorrow" in done.stdout
    assert desk.arguments == []


def test_without_contacts_it_could_not(desk: Desk) -> None:
    """Nobody to call is a gap in the configuration, named as such."""
    done = desk.run(story(desk, vendor=None), YES, "--go")
    assert done.returncode == 4
    assert "no contact is configured" in done.stderr


def contexts() -> list[AlertContext]:
    """One context for each branch of the templates."""
    unread = replace(make_verdict(Reason.UNREADABLE), sha256=None, signatures=())
    return [
        make_context(),
        make_context(proposals=()),
        make_context(proposals=(make_anchor(0), make_anchor(1)), retained_path="/r/x", config_path=None),
        make_context(vendor=None),
        make_context(vendor=None, proposals=(), evidence=()),
        make_context(verdict=unread),
        *(make_context(reason) for reason in Reason if reason is not Reason.TRUSTED),
    ]


def test_every_branch_is_clean_for_shellcheck_and_both_shells(tmp_path: Path) -> None:
    """shellcheck has nothing to say, dash and bash parse it, lines stay readable."""
    files = []
    for number, context in enumerate(contexts()):
        file = tmp_path / f"{number}.sh"
        file.write_text(made(context)[1])
        files.append(str(file))
        for shell in SHELLS:
            assert subprocess.run([shell, "-n", str(file)], check=False).returncode == 0
    done = subprocess.run(["shellcheck", "-s", "sh", *files], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_only_data(desk: Desk, value: str) -> None:
    """A hostile value in every field at once: both shells run the script to its decision and no canary appears."""
    vendor = replace(
        DTEN,
        name=value,
        contacts=(Contact(value, value, value, value, value),),
        policy=replace(DTEN.policy, key_name=value),
    )
    evidence = replace(make_evidence(), claim=value, url=value, author=value, excerpt=value)
    verdict = replace(make_verdict(name=value), summary=value, advice=(value,), also=(value,))
    context = make_context(
        verdict=verdict, vendor=vendor, evidence=(evidence,), proposals=(make_anchor(name=value),), rotation_note=value,
        package_path=value, retained_path=str(desk.package), config_path=value,
    )  # fmt: skip
    sheet, script = made(context)
    assert not any(ord(c) < 32 and c != "\n" for c in sheet + script)
    assert not any(c in sheet + script for c in "\x7f\x9b\u202e\u2066\udc80")
    for shell in SHELLS:
        done = desk.run(script, YES, "--go", shell=shell)
        assert done.returncode == 0, done.stderr
        assert not (desk.folder / "canary").exists()
        assert not any(ord(c) < 32 and c != "\n" for c in done.stderr)
    assert len(desk.arguments) == 2


@pytest.mark.parametrize("value", [v for v in HOSTILE if "\x00" not in v and "\udc80" not in v])
def test_hostile_answers_are_only_data(desk: Desk, value: str) -> None:
    """What the operator types is passed on as one argument or refused, never run."""
    line = value.replace("\n", " ").replace("\r", " ")
    done = desk.run(story(desk), f"1\n{line}\n{line}\nyes\n{line}\n{KEY_SHA256}\n", "--go")
    assert done.returncode == 0, done.stderr
    assert not (desk.folder / "canary").exists()
    assert len(desk.arguments) == 1
    assert len(desk.arguments[0]) == 9


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80))
def test_a_quoted_value_is_one_word_in_every_shell(value: str) -> None:
    """Any text becomes exactly one word without control characters, for dash, bash and shlex alike."""
    word = quote(value)
    assert len(shlex.split(word)) == 1
    for shell in SHELLS:
        done = subprocess.run([shell, "-c", f"printf '%s\\n' {word}"], capture_output=True, check=False)
        assert done.returncode == 0
        assert done.stdout.decode() == shlex.split(word)[0] + "\n"
        assert not done.stdout.startswith(b"-")


@pytest.mark.parametrize(
    ("path", "word"), [(None, "''"), ("relative", "''"), ("/a\nb", "''"), ("/a'b", "'/a'\\''b'"), ("/\udc80", "''")]
)
def test_a_path_is_written_unchanged_or_not_at_all(path: str | None, word: str) -> None:
    """A path that cannot be written as it is would name another file."""
    assert quote_path(path) == word


def test_the_sheet_names_the_thread_and_only_configured_contacts() -> None:
    """Who signed, what is missing, where it was announced, whom to call, which digest; no contact from the post."""
    evidence = replace(make_evidence(), excerpt="Questions? Call +1 900 555 9999")
    sheet, _ = made(make_context(evidence=(evidence,)))
    for text in (
        "CN=DTEN Release Signing",
        "Missing issuer: CN=DTEN Firmware Root G2",
        "https://community.example/t/firmware/77/43",
        "Security desk, +1 408 555 0100",
        "SHA-256 fingerprint of the certificate",
        "64 characters",
    ):
        assert text in sheet
    assert "900 555 9999" not in sheet
    assert all(len(line) <= 100 for line in sheet.splitlines())


@pytest.mark.parametrize(
    ("authority", "sentence"),
    [
        (Authority.UNAUTHENTICATED, "comes from someone we cannot identify. Whoever made this package could have written this post."),
        (Authority.THIRD_PARTY, "comes from a third party, not from the vendor."),
        (Authority.STAFF, ""),
    ],
)  # fmt: skip
def test_an_unauthenticated_source_is_called_what_it_is(authority: Authority, sentence: str) -> None:
    """Where only strangers announced the key, sheet and script say so in words."""
    context = make_context(
        evidence=(make_evidence(authority),), proposals=(replace(make_anchor(), authority=authority.value),)
    )
    sheet, script = made(context)
    text = " ".join(sheet.split())
    assert (sentence in text) if sentence else ("!!" not in text)
    assert sentence in script


def test_an_unknown_authority_is_the_weakest() -> None:
    """A word for an authority that nobody knows counts as unauthenticated."""
    sheet, _ = made(make_context(evidence=(), proposals=(replace(make_anchor(), authority="friend"),)))
    assert "someone we cannot identify" in " ".join(sheet.split())


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("typed", ["", "1\n", "1\nGrace\n", "1\nGrace\nT1\n", "1\nGrace\nT1\nyes\n"])
def test_an_interruption_at_any_prompt_decides_nothing(
    desk: Desk, shell: str, number: signal.Signals, typed: str
) -> None:
    """Ctrl-C, termination or hang-up while a question stands: exit 3, rootwarden was not called."""
    file = desk.folder / "escalation.sh"
    file.write_text(story(desk))
    prompts = ("did you call?", "speak with?", "case number:", "is theirs?", "do not count):")
    waiting_for = prompts[typed.count("\n")]
    with subprocess.Popen(
        [shell, str(file), "--go"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env={"PATH": f"{desk.bin}:/usr/bin:/bin"},
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(typed.encode())
        running.stdin.flush()
        told = b""
        while waiting_for.encode() not in told and (more := running.stderr.read(1)):
            told += more
        # A shell that has not reached its read yet keeps the signal until the read ends: then, as a person would, again.
        while running.poll() is None:
            running.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout=0.5)
        assert running.returncode == 3
        rest = running.stderr.read()
    assert b"Interrupted." in rest
    assert b"Nothing was decided." in rest
    assert desk.arguments == []


def test_evidence_of_the_verdict_itself_is_used() -> None:
    """What the verdict carries is shown where the alert was given nothing else."""
    verdict = replace(make_verdict(), evidence=(make_evidence(Authority.UNAUTHENTICATED),))
    sheet, _ = made(make_context(verdict=verdict, evidence=(), proposals=()))
    assert "https://community.example/t/firmware/77/43" in sheet
    assert "we cannot identify" in " ".join(sheet.split())
