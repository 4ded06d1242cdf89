"""``rootwarden analyse``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ANNOUNCEMENT = "The package signing key has been replaced on 2026-05-01."
ROW_KEYS = ["id", "label", "claims", "cves"]
CLAIM_KEYS = ["kind", "keys", "effective_dates", "urls", "excerpt", "author", "authority"]


def run(*arguments: str, given: bytes = b"") -> tuple[int, str, str]:
    """The command in its own process, as users run it."""
    code = "from monitor.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "analyse", *arguments], input=given, capture_output=True, check=False, timeout=60
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_batch_answers_every_line_in_order_in_the_documented_shape() -> None:
    """One answer a line, all keys present, a thread's claims with author and authority."""
    rows = [
        {
            "id": "a",
            "title": "",
            "text": ANNOUNCEMENT,
            "url": "https://v.example/a",
            "published": "2026-04-01T10:00:00Z",
        },
        {"id": "b", "title": "Hello", "text": "Nothing here."},
        {
            "id": "c",
            "title": "",
            "text": "",
            "posts": [{"author": "mia", "role": "staff", "date": "2026-04-01", "text": ANNOUNCEMENT}],
        },
    ]
    code, out, _ = run("--batch", "--json", given="".join(json.dumps(row) + "\n" for row in rows).encode())
    answers = [json.loads(line) for line in out.splitlines()]
    assert (code, [answer["id"] for answer in answers]) == (0, ["a", "b", "c"])
    assert [answer["label"] for answer in answers] == ["rotation", "neither", "rotation"]
    assert all(list(answer) == ROW_KEYS for answer in answers)
    claim = answers[2]["claims"][0]
    assert list(claim) == CLAIM_KEYS
    assert (claim["author"], claim["authority"], claim["effective_dates"]) == ("mia", "staff", ["2026-05-01"])


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        (b"not json", None),
        (b"[1]", None),
        (b"{}", None),
        (b'{"id": "x"}', "x"),
        (b'{"id": "x", "text": 5}', "x"),
        (b'{"id": "x", "text": "a", "posts": 5}', "x"),
        (b'{"id": "x", "posts": [5]}', "x"),
        (b'{"id": true, "text": "a"}', True),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_bad_line_is_answered_and_the_rest_too(line: bytes, identity: object) -> None:
    """A line that is no request gets ``bad_request``; the next is still answered; the exit code is 2 at the end."""
    code, out, err = run("--batch", given=line + b'\n{"id": "ok", "text": "The key."}\n')
    bad, good = (json.loads(answer) for answer in out.splitlines())
    assert (code, bad["error"], bad["id"], good["id"], err) == (2, "bad_request", identity, "ok", "")


def test_files_are_read_as_text_markdown_or_html(tmp_path: Path) -> None:
    """A file gives a readable answer, ``--explain`` says why, and terminal escapes stay text."""
    page = tmp_path / "page.html"
    page.write_text(f"<h1>News</h1><p>{ANNOUNCEMENT}</p><p>\x1b[31mCVE-2030-1111 key</p>")
    code, out, _ = run("--explain", str(page))
    assert code == 0
    assert "rotation" in out.splitlines()[0]
    assert "date: 2026-05-01" in out
    assert "key-was-changed" in out
    assert "\x1b" not in out
    code, out, _ = run("--json", "--explain", "-", given=ANNOUNCEMENT.encode() + b"\xff")
    assert (code, json.loads(out)["label"], json.loads(out)["explain"][0]["rule"]) == (0, "rotation", "key-was-changed")


def test_unreadable_files_and_wrong_questions(tmp_path: Path) -> None:
    """A missing file is 4 and the others are still answered; neither or both ways to ask is 2."""
    (tmp_path / "a.txt").write_text(ANNOUNCEMENT)
    code, out, err = run(str(tmp_path / "none.txt"), str(tmp_path / "a.txt"))
    assert (code, "rotation" in out, "none.txt" in err) == (4, True, True)
    assert run()[0] == 2
    assert run("--batch", "x")[0] == 2
    assert "Examples:" in run("--help")[1]


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    """What nobody ends is told as unreadable (4) at once."""
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        code, out, err = run(str(endless))
        assert (code, out, "it is no regular file" in err) == (4, "", True)


def test_the_command_imports_only_what_it_needs() -> None:
    """No network, feed, database or HTML library is loaded."""
    code = (
        "import sys, monitor.cli.analyse\n"
        "bad = {'httpx', 'feedparser', 'bs4', 'lxml', 'sqlite_utils', 'asyncio', 'rich', 'jinja2', 'structlog', 'apscheduler'}\n"
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
