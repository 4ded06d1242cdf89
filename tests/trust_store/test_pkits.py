"""NIST PKITS through ``rootwarden path validate --batch``: every test agrees, or stands in ``DIFFERENT`` with the reason."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import Invocation
from tests.trust_store.path_craft import AT
from tests.trust_store.pkits_cases import FOLDER, TITLES, Case, cases, line
from trust_store.cli.path import command as group

DIFFERENT = {
    "4.1.4": "DSA keys and SHA-1 are not accepted (FIPS 186-5 withdrew DSA for signing; SP 800-131A disallows SHA-1)",
    "4.1.5": "as 4.1.4; moreover the parameters of the DSA key stand in another certificate (RFC 3279 section 2.3.2)",
}
"""Valid tests that are refused on purpose."""
REVOKED = frozenset({
    "4.4.2", "4.4.3", "4.4.15", "4.4.18", "4.4.20", "4.5.2", "4.5.5", "4.5.7", "4.14.2", "4.14.6", "4.14.15", "4.14.16",
    "4.14.20", "4.14.21", "4.14.23", "4.14.31", "4.14.32", "4.14.34", "4.15.3", "4.15.4", "4.15.6", "4.15.9",
})  # fmt: skip
"""Tests whose certificate a usable list revokes."""
_DOCUMENT = Path(__file__).parents[2] / "docs" / "path-validation.md"


def _run(
    lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    text = "".join(json.dumps(asked) + "\n" for asked in lines)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    invocation = Invocation(config=None, now=lambda: AT, randomness=bytes)  # type: ignore[arg-type]
    group.main(["validate", "--batch"], standalone_mode=False, obj=invocation)
    answers = [json.loads(found) for found in capsys.readouterr().out.splitlines()]
    assert [found["id"] for found in answers] == [asked["id"] for asked in lines]
    return {found["id"]: found for found in answers}


@pytest.fixture(scope="module")
def every() -> tuple[Case, ...]:
    """Every test of the suite."""
    return cases()


def test_the_suite_is_whole(every: tuple[Case, ...]) -> None:
    """Each end entity of the vectors is asked about, and each section has as many tests as the document."""
    assert {case.leaf for case in every} == {path.stem for path in (FOLDER / "certs").glob("*EE.crt")}
    tests = {(case.section, case.number.split(".")[2]) for case in every}
    assert Counter(section for section, _ in tests) == {
        "4.1": 6, "4.2": 8, "4.3": 11, "4.4": 21, "4.5": 8, "4.6": 17, "4.7": 5, "4.8": 20, "4.9": 8, "4.10": 14,
        "4.11": 11, "4.12": 10, "4.13": 38, "4.14": 35, "4.15": 10, "4.16": 2,
    }  # fmt: skip


def test_every_test_agrees_with_its_own_lists(
    every: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Valid paths pass, invalid ones do not, and what is refused on purpose is in the table; nothing is wrongly accepted."""
    answers = _run([line(case) for case in every], monkeypatch, capsys)
    passed = {number for number, found in answers.items() if found["outcome"] == "passed"}
    assert passed == {case.number for case in every if case.valid} - set(DIFFERENT)
    assert {number for number, found in answers.items() if found["reason"] == "revoked"} == REVOKED


def test_a_directory_full_of_other_certificates_and_lists_changes_nothing(
    every: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With every CA certificate and list of the suite at hand the tests that are about lists end alike."""
    about_lists = [case for case in every if case.section in ("4.4", "4.5", "4.14", "4.15")]
    answers = _run([line(case, everything=True) for case in about_lists], monkeypatch, capsys)
    assert {number for number, found in answers.items() if found["outcome"] == "passed"} == {
        case.number for case in about_lists if case.valid
    }
    assert {number for number, found in answers.items() if found["reason"] == "revoked"} == REVOKED


def test_without_lists_only_what_lists_say_is_missed(
    every: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other rules do not lean on revocation: what passes without lists and not with them are tests of lists."""
    bare = _run([line(case) | {"crls": []} for case in every], monkeypatch, capsys)
    more = {case.number for case in every if not case.valid and bare[case.number]["outcome"] == "passed"}
    assert {".".join(number.split(".")[:2]) for number in more} == {"4.4", "4.5", "4.7", "4.14", "4.15"}


def test_the_document_has_the_table_of_results(every: tuple[Case, ...]) -> None:
    """docs/path-validation.md tells per section how many tests agree, and every test that does not, with the reason."""
    text = _DOCUMENT.read_text()
    assert pkits_table(every) in text
    for number, reason in DIFFERENT.items():
        assert f"- {number}: {reason}" in text
    assert not re.findall(r"- (4\.\d+\.\d+): ", text) or set(re.findall(r"- (4\.\d+\.\d+): ", text)) == set(DIFFERENT)


def pkits_table(every: tuple[Case, ...]) -> str:
    """The table in the document; ``python -c`` this to write it anew."""
    rows = ["| section | about | questions | agree | refused on purpose |", "|---|---|---|---|---|"]
    for section, title in TITLES.items():
        asked = [case for case in every if case.section == section]
        refused = [case for case in asked if case.number in DIFFERENT]
        names = ", ".join(case.number for case in refused) or "none"
        rows.append(f"| {section} | {title} | {len(asked)} | {len(asked) - len(refused)} | {names} |")
    return "\n".join(rows)
