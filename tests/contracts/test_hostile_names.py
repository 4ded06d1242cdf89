"""Names chosen by an attacker never reach a terminal raw, and never break the JSON."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contracts.packages import CONTENT, Kit, archive, bundle, issue

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden

EVIL = "\x1b]0;owned\x07\x1b[2J\r\n0: passed / trusted\u202egpj.exe\u2028\u200b\x9b31m\x7f"
FILE_NAME = EVIL.replace("/", "_")


def is_clean(text: str) -> bool:
    """Whether a terminal shows ``text`` as it is written."""
    return all(c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs") for c in text)


def outputs(fast: Rootwarden, *arguments: object, codes: tuple[int, ...] = (0, 3, 10)) -> str:
    """The text output, after checking both forms."""
    code, text, err = fast.run("check", "--only-anchors", *arguments)
    assert code in codes, err
    assert is_clean(text), repr(text)
    assert is_clean(err), repr(err)
    same, out, _ = fast.run("check", "--json", "--only-anchors", *arguments)
    assert same == code
    for line in out.splitlines():
        assert json.loads(line)["schema"] == "rootwarden/verdict/1"
    assert out.isascii()
    return text


def test_file_names(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A package, its folder and its side file may be called anything."""
    folder = tmp_path / FILE_NAME
    folder.mkdir()
    package = folder / FILE_NAME
    package.write_bytes(CONTENT)
    package.with_name(FILE_NAME + ".p7s").write_bytes(kit.signer.cms(CONTENT))
    text = outputs(fast, "--anchors", kit.anchors, package, codes=(0,))
    assert text.count("passed / trusted") == 2
    outputs(fast, "--anchors", kit.anchors, folder, codes=(3,))
    outputs(fast, "--anchors", kit.anchors, tmp_path / ("absent" + FILE_NAME), codes=(3,))


def test_options_that_are_wrong(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Error messages quote what was given, never raw."""
    package = tmp_path / "a"
    package.write_bytes(CONTENT)
    for option in ("--anchors", "--signature", "--untrusted", "--crl", "--at"):
        outputs(fast, "--anchors", kit.anchors, option, tmp_path / FILE_NAME, package, codes=(2,))
        (tmp_path / FILE_NAME).write_bytes(b"noise")
        if option != "--signature":
            outputs(fast, "--anchors", kit.anchors, option, tmp_path / FILE_NAME, package, codes=(2,))
        (tmp_path / FILE_NAME).unlink()
    for arguments in ((EVIL,), ("check", "--" + EVIL), ("check", "--vendor", EVIL, package), ("package", "show", EVIL)):
        code, out, err = fast.run(*arguments)
        assert code in (2, 4)
        assert is_clean(out + err), repr(err)


@pytest.mark.parametrize("character", ["\x1b[2J", "\n", "\r", "\u2028", "\u202e", "\u200b", "\x9b", "\u0000"])
def test_member_names(fast: Rootwarden, kit: Kit, tmp_path: Path, character: str) -> None:
    """A member's name is refused or shown escaped, in a list, beside it and in a plain archive."""
    package = tmp_path / "package.zip"
    name = f"a{character}b"
    for data in (
        bundle(kit.signer.cms, {name: b"x"}), bundle(kit.signer.cms, extra=[(name, b"x")]),
        bundle(kit.signer.cms, listed={name: b"x"}), archive([(name, b"x")]),
    ):  # fmt: skip
        package.write_bytes(data)
        outputs(fast, "--anchors", kit.anchors, package)


def test_subject_names(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Certificates' names are escaped, those of signer, issuer, missing root and anchor."""
    root = issue(tmp_path, "root", ca=True, subject=EVIL[:60])
    middle = issue(tmp_path, "middle", root, ca=True, subject="middle" + EVIL[:50])
    signer = issue(tmp_path, "signer", middle, subject="signer" + EVIL[:50])
    package = tmp_path / "a.bin"
    package.write_bytes(CONTENT)
    package.with_name("a.bin.p7s").write_bytes(signer.cms(CONTENT))
    outputs(fast, "--anchors", root.pem, package, codes=(0,))
    outputs(fast, "--anchors", kit.anchors, package, codes=(3,))
    package.with_name("a.bin.p7s").write_bytes(signer.cms(CONTENT, carry=False))
    outputs(fast, "--anchors", root.pem, package, codes=(3,))


def test_user_ids(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """User ids of OpenPGP keys are escaped; gpg refuses to make some, so that the key is patched under a new signature."""
    name = "Evil \u202egpj \u200b\u2028 <evil@dten.example>"
    key = kit.gpg.make_key(name, "ed25519")
    package = tmp_path / "a.bin"
    package.write_bytes(CONTENT)
    package.with_name("a.bin.asc").write_bytes(kit.gpg.sign(key, "--armor", data=CONTENT))
    (tmp_path / "key.asc").write_bytes(kit.gpg.export(key, armor=True))
    outputs(fast, "--anchors", tmp_path / "key.asc", package, codes=(0,))
    outputs(fast, "--untrusted", tmp_path / "key.asc", package, codes=(3,))


def test_batch_ids(fast: Rootwarden, tmp_path: Path) -> None:
    """Ids and paths of a batch come back as they were, in one ASCII line."""
    line = {"id": EVIL + "\U0001f600", "path": str(tmp_path / FILE_NAME), "only_anchors": True}
    code, out, _ = fast.run("check", "--batch", stdin=json.dumps(line, ensure_ascii=False).encode())
    assert code == 3
    assert out.isascii()
    assert len(out.splitlines()) == 1
    assert json.loads(out)["id"] == line["id"]
    assert json.loads(out)["package"]["path"] == line["path"]
