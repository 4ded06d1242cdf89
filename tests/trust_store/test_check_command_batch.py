"""`rootwarden check --batch` answers every line in order, whatever the lines are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.trust_store.check_command_setup import TOP_KEYS, Run, here, pki, run, store

__all__ = ["here", "pki", "run", "store"]  # fixtures


def _batch(run: Run, *lines: Any) -> tuple[int, list[dict[str, Any]]]:
    data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    code, out, _ = run("check", "--batch", stdin=data)
    return code, [json.loads(line) for line in out.splitlines()]


@pytest.mark.usefixtures("store")
def test_batch_answers_every_line_in_order(run: Run) -> None:
    """One verdict a line, with its id, in order; every field of the contract is taken."""
    supplied = {"anchors": ["root.pem"], "only_anchors": True}
    code, answers = _batch(
        run,
        {"id": "a", "path": "firmware.bin", "vendor": "dten"},
        {"id": 2, "path": "smuggled.zip", **supplied},
        {"path": "absent", **supplied, "signatures": None, "at": None},
        {"id": 4, "path": "firmware.bin", "signatures": ["firmware.bin.p7s"], "untrusted": ["root.pem"], "crls": [],
         "vendor": "any", "at": "2001-01-01T00:00:00Z"},
    )  # fmt: skip
    assert code == 10
    assert [(a["id"], a["reason"]) for a in answers] == [
        ("a", "trusted"), (2, "uncovered_content"), (None, "unreadable"), (4, "not_yet_valid"),
    ]  # fmt: skip
    assert all(set(a) == TOP_KEYS | {"id"} for a in answers)


@pytest.mark.parametrize("demand", ["certificate_identity", "certificate_oidc_issuer"])
def test_a_demand_of_a_batch_line_that_cannot_be_met_never_passes(run: Run, demand: str) -> None:
    """An identity that a line asks for stands against every signature that states none, an empty text included."""
    line = {"path": "firmware.bin", "anchors": ["root.pem"], "only_anchors": True}
    code, answers = _batch(run, line, *({**line, demand: text} for text in ("file", "")))
    assert code == 3
    assert [answer["reason"] for answer in answers] == ["trusted", "unexpected_signer", "unexpected_signer"]


def test_batch_takes_what_a_line_leaves_out_from_the_command_line(run: Run) -> None:
    """Options beside --batch hold for every line that does not say otherwise."""
    lines = b'{"id": 1, "path": "firmware.bin"}\n{"id": 2, "path": "firmware.bin", "anchors": []}\n'
    code, out, _ = run("check", "--batch", "--json", "--only-anchors", "--anchors", "root.pem", stdin=lines)
    assert [json.loads(line)["reason"] for line in out.splitlines()] == ["trusted", "unknown_root"]
    assert code == 3


BAD_LINES = [
    (b"", None),
    (b"not json", None),
    (b"[1]", None),
    (b"\xff\xfe", None),
    (b"[" * 100_000, None),
    (b'{"id": 1}', 1),
    (b'{"id": true, "path": "firmware.bin"}', None),
    (b'{"id": {"a": 1}, "path": "firmware.bin"}', None),
    (b'{"id": 2, "path": 5}', 2),
    (b'{"id": 3, "path": ""}', 3),
    (b'{"id": 4, "path": "firmware.bin", "require": "all"}', 4),
    (b'{"id": 5, "path": "firmware.bin", "anchors": "root.pem"}', 5),
    (b'{"id": 6, "path": "firmware.bin", "only_anchors": 1}', 6),
    (b'{"id": 7, "path": "firmware.bin", "only_anchors": true, "at": "now"}', 7),
    (b'{"id": 8, "path": "firmware.bin", "only_anchors": true, "signatures": ["absent"]}', 8),
    (b'{"id": 9, "path": "firmware.bin", "vendor": "nobody"}', 9),
    (b'{"id": 10, "path": "' + b"x" * (1024 * 1024) + b'"}', None),
]


@pytest.mark.parametrize(("line", "identity"), BAD_LINES, ids=lambda value: str(value)[:40])
def test_a_bad_batch_line_is_answered_and_not_fatal(run: Run, line: bytes, identity: object) -> None:
    """A line that is no request gets bad_request with its id if it has one; the others are answered; exit 4 at the end."""
    good = {"id": "good", "path": "firmware.bin", "anchors": ["root.pem"], "only_anchors": True}
    code, answers = _batch(run, line, good)
    assert code == 4
    assert set(answers[0]) == {"id", "outcome", "reason", "detail"}
    assert (answers[0]["id"], answers[0]["outcome"], answers[0]["reason"]) == (identity, "error", "bad_request")
    assert answers[1]["reason"] == "trusted"
