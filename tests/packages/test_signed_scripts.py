from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.script_craft import block, host_content, message
from tests.packages.pki import issue
from tests.packages.table import FIXTURES
from trust_store.decode.script_signature import (
    MAX_SCRIPT_BYTES,
    POWERSHELL,
    SCRIPT_HOST,
    SignedScript,
    may_be_signed,
    parse_script,
    texts,
)
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.readers import powershell, wsh_script
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import SignatureFact, Uncovered

LIMITS = ReadLimits()
PS1 = (FIXTURES / "powershell/valid.ps1").read_bytes()
VBS = (FIXTURES / "wsh-script/valid.vbs").read_bytes()
SIGNER = issue("Signer", kind="p256")
DATA = base64.b64encode(b"a message").decode()


def hashed(text: str) -> str:
    """A PowerShell file with a block that holds no signature."""
    return f"{text}\r\n# SIG # Begin signature block\r\n# {DATA}\r\n# SIG # End signature block\r\n"


def parsed(data: bytes) -> SignedScript:
    """The block of a PowerShell file."""
    return parse_script(data, POWERSHELL, last=False)


def fact_of(data: bytes, *, host: bool) -> SignatureFact:
    """The one signature."""
    read = wsh_script.read if host else powershell.read
    (fact,) = read(BytesSource(data), (), LIMITS).signatures
    return fact


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_where_the_block_is(encoding: str) -> None:
    """Offsets are in bytes whatever the encoding; the line end before the block belongs to it."""
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    data = (mark + hashed("exit 0")).encode(encoding)
    script = parsed(data)
    assert script.message == b"a message"
    assert (data[: script.start], data[script.end :]) == (script.before, script.after)
    assert (script.before.decode(encoding).removeprefix("\ufeff"), script.after) == ("exit 0", b"")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_characters_outside_the_first_plane(encoding: str) -> None:
    """A character of two units counts as two."""
    data = ("\ufeff" + hashed("\U0001f600" * 3)).encode(encoding)
    assert parsed(data).before == ("\ufeff" + "\U0001f600" * 3).encode(encoding)
    assert next(iter(texts(parsed(data))))[0] == ("\ufeff" + "\U0001f600" * 3).encode("utf-16-le")


def test_line_feeds_alone() -> None:
    """A file whose line ends were made line feeds is read; what was before the last one is the text."""
    assert parsed(hashed("exit 0\r\n").replace("\r\n", "\n").encode()).before == b"exit 0\n"


@pytest.mark.parametrize(
    "text",
    [
        "exit 0\r\n",
        "# SIG # Begin signature block\r\n# YQ==\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# YQ==\r\n",
        "\r\n# SIG # Begin signature block\r\nYQ==\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# YQ=\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# \u00e9\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# YQ==\r\nexit\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# \rcalc\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# \x0ccalc\r\n# SIG # End signature block\r\n",
        "\r\n# SIG # Begin signature block\r\n# \xa0calc\r\n# SIG # End signature block\r\n",
    ],
)
def test_broken_blocks(text: str) -> None:
    """No line before the block, no end, a line that is no comment, no base64, a carriage return that ends the comment."""
    with pytest.raises(MalformedError):
        parsed(text.encode())


def test_encodings_without_a_mark() -> None:
    """Bytes that are UTF-8 may be that or Windows-1252 or ISO 8859-1; others are no UTF-8."""
    found = [before.decode("utf-16-le") for before, _ in texts(parsed(hashed("\u20ac").encode()))]
    assert found == ["\u20ac", "\u00e2\u201a\u00ac", "\u00e2\x82\u00ac"]
    found = [before.decode("utf-16-le") for before, _ in texts(parsed(hashed("\x80\x81").encode("latin-1")))]
    assert found == ["\u20ac\x81", "\x80\x81"]


def test_what_follows_a_powershell_block() -> None:
    """Line ends after the block are nothing; whatever else is there would be run and is not signed."""
    blank = powershell.read(BytesSource(PS1 + b"\r\n\n"), (), LIMITS).coverage.uncovered
    assert [one.inert for one in blank] == [True, True]
    more = powershell.read(BytesSource(PS1 + b" "), (), LIMITS).coverage.uncovered
    assert more[-1] == Uncovered(start=len(PS1), end=len(PS1) + 1, inert=False)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_letters_whose_octets_are_line_ends(encoding: str) -> None:
    """U+0A0A is a letter, and so a command after the block, though its two octets are line feeds."""
    text = "\ufeff" + hashed("exit 0") + "\u0a0a"
    more = powershell.read(BytesSource(text.encode(encoding)), (), LIMITS).coverage.uncovered
    assert [one.inert for one in more] == [True, False]


@pytest.mark.parametrize(("signed", "kind"), [("ps1", "vbs"), ("ps1", "wsf"), ("js", "vbs"), ("vbs", "js")])
def test_a_script_of_another_language(signed: str, kind: str) -> None:
    """What was signed as a script of one language is no signed script of another, be the text the same."""
    text = "a = 1\r\n"
    for subject, same in ((kind, True), (signed, False)):
        made = block(message(host_content(text), subject, SIGNER, []), kind)
        assert fact_of((text + made).encode(), host=True).content_matches is same


@pytest.mark.parametrize(("kind", "same"), [("ps1", True), ("vbs", False), ("js", False), ("wsf", False)])
def test_a_script_host_file_as_a_powershell_file(kind: str, same: bool) -> None:  # noqa: FBT001 - what is expected
    """A signature over a file of Windows Script Host vouches for no PowerShell file."""
    text = "exit 0"
    made = message(text.encode("utf-16-le"), kind, SIGNER, [])
    lines = block(made, "ps1").replace("# Begin", "# SIG # Begin").replace("# End", "# SIG # End")
    assert fact_of((text + lines).encode(), host=False).content_matches is same


def test_the_place_of_a_script_host_block_is_signed() -> None:
    """The same text with the block elsewhere is another script."""
    before, after = "a = 1\r\n", "b = 2\r\n"
    made = block(message(host_content(before, after), "vbs", SIGNER, []), "vbs")
    assert fact_of((before + made + after).encode(), host=True).content_matches
    assert not fact_of((before + after + made).encode(), host=True).content_matches


def test_other_ways_to_count_only_at_the_end() -> None:
    """A digest without the place, or with the length in its stead, counts where nothing but the end of the job follows."""
    before, after = "<job>\r\n<script>x</script>", "</job>\r\n"
    text = (before + after).encode("utf-16-le")
    for content in (text, text + (len(text) // 2).to_bytes(4, "little")):
        made = block(message(content, "wsf", SIGNER, []), "wsf")
        assert fact_of((before + made + after).encode(), host=True).content_matches
        moved = before.replace("<script>", "<script>" + made)
        assert not fact_of((moved + after).encode(), host=True).content_matches


def test_message_for_an_installer_is_none_for_a_script() -> None:
    """The subject that was signed must not be an installer's file."""
    text = "a = 1\r\n"
    made = message(host_content(text), "vbs", SIGNER, [])
    other = made.replace(
        bytes.fromhex("4ef029169927b54d8fe5ace10f17ebab"), bytes.fromhex("f1100c0000000000c000000000000046")
    )
    assert fact_of((text + block(made, "vbs")).encode(), host=True).content_matches
    assert not fact_of((text + block(other, "vbs")).encode(), host=True).content_matches


def test_the_last_block_counts_for_script_host() -> None:
    """A script that quotes a block before its own is signed by its own."""
    text = f"a = 1{block(b'quoted', 'vbs')}b = 2\r\n"
    made = message(host_content(text), "vbs", SIGNER, [])
    assert fact_of((text + block(made, "vbs")).encode(), host=True).content_matches


def test_recognition() -> None:
    """Text with a block is recognised, binary data and text without are not, one kind of script is not the other."""
    for data, reader in ((PS1, powershell), (VBS, wsh_script)):
        assert reader.recognises(BytesSource(data), LIMITS)
        assert not reader.recognises(BytesSource(b"\0" + data), LIMITS)
    assert not powershell.recognises(BytesSource(VBS), LIMITS)
    assert not wsh_script.recognises(BytesSource(PS1), LIMITS)
    assert not may_be_signed(b"exit 0", POWERSHELL + SCRIPT_HOST)
    assert not may_be_signed(b"<a>\n<signature>\nx\n</signature>\n</a>\n", SCRIPT_HOST)
    assert not may_be_signed(b"a block ends with # SIG # End signature block\n# so it is\n", POWERSHELL)


def test_script_that_is_too_large() -> None:
    """More than 4 MiB are not read: the block at the end says that it is a script all the same."""
    data = b"#" * MAX_SCRIPT_BYTES + PS1
    assert powershell.recognises(BytesSource(data), LIMITS)
    with pytest.raises(ResourceLimitError):
        powershell.read(BytesSource(data), (), LIMITS)


@given(st.integers(0, len(VBS) - 1), st.binary(max_size=6), st.integers(0, 12), st.booleans())
def test_hostile_scripts(place: int, inserted: bytes, removed: int, host: bool) -> None:  # noqa: FBT001 - a strategy
    """Whatever the bytes, the answer is a reading of this very file or one of the errors of readers."""
    data = VBS if host else PS1
    data = data[:place] + inserted + data[place + removed :]
    try:
        reading = (wsh_script if host else powershell).read(BytesSource(data), (), LIMITS)
    except READ_ERRORS:
        return
    assert reading.sha256 == hashlib.sha256(data).hexdigest()


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"]), st.booleans())
def test_hostile_text(text: bytes, mark: bytes, host: bool) -> None:  # noqa: FBT001 - a strategy
    """Bytes in no encoding before and after a block are told or refused, never anything else."""
    try:
        script = parse_script(mark + text + hashed("").encode() + text, POWERSHELL + SCRIPT_HOST, last=host)
    except MalformedError:
        return
    assert all(len(before) % 2 == 0 for before, _ in texts(script))
