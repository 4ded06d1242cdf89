from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packages.table import cases, material
from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.verdict_craft import AT
from trust_store.cli.verdict_text import verdict_lines
from trust_store.formats.worker import ForkServerReader
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason, Verdict
from trust_store.native.comparison import DISAGREEMENT, agrees, ask_tools, with_opinions
from trust_store.native.protocol import Asked, Opinion, Says
from trust_store.native.running import MAX_MEMORY_BYTES, MAX_OUTPUT_BYTES, Run
from trust_store.native.tools import TOOLS
from trust_store.verification.supplied import read_material
from trust_store.verifier import CheckRequest, Verifier

CONTENT = b"firmware " * 100


@dataclass(frozen=True)
class Saying:
    """A tool that is always installed and always says the same."""

    says: Says
    NAME: str = "parrot"
    PROGRAM: str = "true"

    def knows(self, asked: Asked) -> bool:
        """Everything."""
        return bool(asked.package)

    def ask(self, asked: Asked, run: Run) -> Opinion:
        """The same."""
        assert run("true").code == 0
        assert asked.scratch.is_dir()
        return Opinion(self.NAME, self.says, "a last word")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with its CMS signature, and the vendor's root."""
    made = tmp_path_factory.mktemp("native")
    pki = VendorPKI.generate("DTEN", AT)
    (made / "firmware.bin").write_bytes(CONTENT)
    (made / "firmware.bin.p7s").write_bytes(pki.sign(CONTENT))
    (made / "tampered.bin").write_bytes(CONTENT + b"more")
    (made / "tampered.bin.p7s").write_bytes(pki.sign(CONTENT))
    (made / "root.pem").write_text(pki.root_pem)
    return made


def question(folder: Path, name: str = "firmware.bin") -> CheckRequest:
    """About a package in the folder, under its vendor's root alone."""
    anchors = read_material((folder / "root.pem").read_bytes(), "root.pem")
    return CheckRequest(folder / name, ExpectedVendor(None, "none"), at=AT, anchors=anchors, only_supplied=True)


def verifier() -> Verifier:
    """With the isolated reader."""
    return Verifier(ForkServerReader(), now=lambda: AT)


def test_a_tool_that_rejects_keeps_a_package_from_passing(folder: Path) -> None:
    """Where a native tool rejects what this program accepts the answer is indeterminate, and both are named."""
    verdict, compared = verifier().compare(question(folder), [Saying(Says.REJECTS)])
    assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.UNREADABLE)
    assert DISAGREEMENT in verdict.also
    assert "parrot" in verdict.summary
    assert [one.agrees for one in compared] == [False]


@pytest.mark.parametrize(("says", "agreed"), [(Says.ACCEPTS, True), (Says.UNABLE, None)])
def test_a_tool_that_agrees_or_cannot_tell_changes_nothing(folder: Path, says: Says, *, agreed: bool | None) -> None:
    """A package that passes still passes where the tool accepts it, and where the tool lacks the key."""
    verdict, compared = verifier().compare(question(folder), [Saying(says)])
    assert verdict.outcome is Outcome.PASSED
    assert [one.agrees for one in compared] == [agreed]


def test_no_tool_lets_a_broken_package_pass(folder: Path) -> None:
    """A tool that accepts what is broken by our reading is told as a disagreement; the package stays failed."""
    verdict, compared = verifier().compare(question(folder, "tampered.bin"), [Saying(Says.ACCEPTS)])
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.INVALID_SIGNATURE)
    assert DISAGREEMENT in verdict.also
    assert [one.agrees for one in compared] == [False]


def test_openssl_agrees_about_a_real_package(folder: Path) -> None:
    """openssl, which is installed wherever the tests run, accepts and rejects the same two packages."""
    openssl = [tool for tool in TOOLS if tool.NAME == "openssl"]
    for name, says in (("firmware.bin", Says.ACCEPTS), ("tampered.bin", Says.REJECTS)):
        _, compared = verifier().compare(question(folder, name), openssl)
        assert [(one.opinion.says, one.agrees) for one in compared] == [(says, True)], compared


@pytest.mark.native
@pytest.mark.parametrize(("name", "says"), [("valid", Says.ACCEPTS), ("tampered", Says.REJECTS)])
def test_rpmkeys_is_given_the_keys(name: str, says: Says) -> None:
    """rpmkeys verifies under the keys at hand, in a database of its own, and says the same of a genuine and of a changed package."""
    case = next(case for case in cases("rpm") if case.values["name"] == name)
    anchors = material(case.paths("anchors"))
    asked = CheckRequest(case.file, ExpectedVendor(None, "none"), anchors=anchors, only_supplied=True)
    _, (compared,) = verifier().compare(asked, [tool for tool in TOOLS if tool.NAME == "rpmkeys"])
    assert (compared.opinion.says, compared.agrees) == (says, True), compared


def test_who_is_trusted_is_not_the_tools_to_say(folder: Path) -> None:
    """An intact signature without a known root agrees with a tool that accepts it, and says nothing of one that rejects it."""
    verdict = verifier().verify(
        CheckRequest(folder / "firmware.bin", ExpectedVendor(None, "none"), at=AT, only_supplied=True)
    )
    assert verdict.reason is Reason.UNKNOWN_ROOT
    assert agrees(verdict, Opinion("parrot", Says.ACCEPTS, "")) is True
    assert agrees(verdict, Opinion("parrot", Says.REJECTS, "")) is None


def test_compare_on_the_command_line(folder: Path) -> None:
    """--compare adds what installed tools said to the JSON and to the text, and the exit code stays that of the verdict."""
    command = [
        str(Path(sys.executable).parent / "rootwarden"),
        "check",
        "--compare",
        "--only-anchors",
        "--at",
        AT.isoformat(),
    ]
    command += ["--anchors", "root.pem", "firmware.bin"]
    for extra in ([], ["--json"]):
        result = subprocess.run([*command, *extra], cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "openssl" in result.stdout
    said = json.loads(result.stdout)
    assert {k: said["native"][0][k] for k in ("tool", "says", "agrees")} == {
        "tool": "openssl",
        "says": "accepts",
        "agrees": True,
    }
    assert any("native" in line and "agrees" in line for line in verdict_lines(said))


def test_tools_that_are_not_installed_are_left_out(folder: Path) -> None:
    """A tool that is not on PATH says nothing."""
    verdict = verifier().verify(question(folder))
    missing = Saying(Says.REJECTS, PROGRAM="no-such-program-anywhere")
    assert ask_tools(verdict, folder / "firmware.bin", (), (), [missing]) == ()
    assert with_opinions(verdict, ()) == verdict


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """A program that takes too long is killed with all it started, and could not tell."""
    ended = Run(tmp_path, seconds=0.5)("sh", "-c", "sleep 600 & echo started; wait")
    assert ended.code is None
    assert ended.last_words == "started"


def test_what_a_program_writes_is_capped(tmp_path: Path) -> None:
    """Output is read up to a cap."""
    ended = Run(tmp_path)("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' a")
    assert len(ended.output) == MAX_OUTPUT_BYTES


def test_a_program_gets_no_environment_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this process's environment reaches a native tool."""
    monkeypatch.setenv("A_SECRET", "hunter2")
    assert "hunter2" not in Run(tmp_path)("env").output


def test_a_program_that_takes_too_much_memory_ends(tmp_path: Path) -> None:
    """A package that has its tool fill the memory fills none: the tool fails, which says nothing of the package."""
    ended = Run(tmp_path)(sys.executable, "-c", f"bytearray({MAX_MEMORY_BYTES} + 1)")
    assert ended.code == 1
    assert "MemoryError" in ended.output


def test_tools_stand_in_order() -> None:
    """The tuple of tools is alphabetical, each once."""
    names = [tool.NAME for tool in TOOLS]
    assert names == sorted(set(names))


def test_a_verdict_without_tools_is_itself(folder: Path) -> None:
    """Nothing is compared where no tool knows the package."""
    verdict, compared = verifier().compare(question(folder), [])
    assert isinstance(verdict, Verdict)
    assert compared == ()
