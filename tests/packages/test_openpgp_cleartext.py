from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_store.decode.openpgp_cleartext import BEGIN, MAX_MESSAGE_BYTES, find_cleartext, read_cleartext
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError

SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n"


def message(text: bytes, *, headers: bytes = b"Hash: SHA512\n") -> bytes:
    """A message whose text stands in it as given."""
    return BEGIN + b"\n" + headers + b"\n" + text + SIGNATURE


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        (b"", b""),
        (b"\n", b""),
        (b"a\n", b"a"),
        (b"a\n\n", b"a\r\n"),
        (b"a \t\nb\n", b"a\r\nb"),
        (b"a b\n", b"a b"),
        (b"a\r\nb\r\n", b"a\r\nb"),
        (b"- -----BEGIN PGP SIGNATURE-----\n- - x\n", b"-----BEGIN PGP SIGNATURE-----\r\n- x"),
        (b"- \n", b""),
    ],
)
def test_what_is_signed(text: bytes, signed: bytes) -> None:
    """The signature is over the text with escapes and blanks at line ends taken off, CR LF between lines (RFC 9580 7.2)."""
    found = read_cleartext(message(text))
    assert (found.signed, found.signature, found.hashes) == (signed, SIGNATURE, ("sha512",))


def test_text_for_readers() -> None:
    """Whoever reads the text reads exactly what was signed, with line feeds."""
    assert read_cleartext(message(b"- -a \r\nb\r\n")).text == b"-a\nb\n"


def test_offsets() -> None:
    """Offsets say where message and text stand in a file with something before and after."""
    data = b"before\n" + message(b"text\n") + b"after\n"
    found = find_cleartext(data)
    assert (data[: found.start], data[found.text_start : found.text_end], data[found.end :]) == (
        b"before\n",
        b"text\n",
        b"after\n",
    )


@pytest.mark.parametrize("tail", [b"", b"\n", b" \t\r\n\n"])
def test_blank_lines_after(tail: bytes) -> None:
    """Blank lines after the message change nothing."""
    assert read_cleartext(message(b"a\n") + tail).signed == b"a"


@pytest.mark.parametrize(
    "data",
    [
        b"\n" + message(b"a\n"),
        b"x\n" + message(b"a\n"),
        b"\xef\xbb\xbf" + message(b"a\n"),
        message(b"a\n") + b"x\n",
        message(b"a\n") + message(b"b\n"),
        message(b"a\n") + SIGNATURE,
        message(b"a\n").replace(BEGIN, b" " + BEGIN),
        BEGIN,
        message(b"a\n")[:-30],
        BEGIN + b"\nHash: SHA512\n\ntext\n",
        message(b"a\n-b\n"),
        message(b"-----BEGIN PGP MESSAGE-----\n"),
        message(b"a\0b\n"),
        message(b"a\n", headers=b"Comment: x\n"),
        message(b"a\n", headers=b"Hash: SHA512\0x\n"),
        message(b"a\n", headers=b"Hash: SHA512 x\n"),
        message(b"a\n", headers=b"NotDashEscaped: yes\n"),
        message(b"a\n", headers=b"Hash: SHA512\n" * 40),
        message(b"a\n", headers=b"Hash:" + b" " * 4000 + b"SHA512\n"),
    ],
)
def test_framing_refused(data: bytes) -> None:
    """Anything outside the one message, and any framing that is not exactly the standard's, is malformed."""
    with pytest.raises(MalformedError):
        read_cleartext(data)


def test_two_messages_are_malformed_wherever_they_stand() -> None:
    """A file with two signed messages has no one text that was signed."""
    with pytest.raises(MalformedError, match="more than one"):
        find_cleartext(b"x\n" + message(b"a\n") + b"y\n" + message(b"b\n"))


def test_lone_carriage_return() -> None:
    """Text with a CR that is no line end is refused: programs disagree on what of it is signed."""
    with pytest.raises(UnsupportedError):
        read_cleartext(message(b"a\rb\n"))


def test_size_limit() -> None:
    """A text above the cap is a matter of limits, not of form."""
    with pytest.raises(ResourceLimitError):
        read_cleartext(b"a" * (MAX_MESSAGE_BYTES + 1))


def test_long_blanks_take_linear_time() -> None:
    """A long run of blanks inside a line is looked at once; squared, this one would take hours."""
    assert read_cleartext(message(b" " * 4_000_000 + b"x\n")).signed.endswith(b" x")


def test_no_headers() -> None:
    """A message without a Hash header is one: the header only repeats what the signature says (RFC 9580 7.1)."""
    assert read_cleartext(message(b"a\n", headers=b"")).hashes == ()


_PIECES = st.lists(
    st.sampled_from(
        [BEGIN, b"-----BEGIN PGP SIGNATURE-----", b"-----END PGP SIGNATURE-----", b"\n", b"\r\n", b"\r", b"- ", b"-",
         b" ", b"\t", b"Hash: SHA256", b"a", b"\0"]
    ),
    max_size=40,
)  # fmt: skip


@given(_PIECES)
def test_hostile_bytes(pieces: list[bytes]) -> None:
    """Whatever the bytes, the answer is a message that lies inside them or one of the three errors."""
    data = b"".join(pieces)
    try:
        found = find_cleartext(data)
    except READ_ERRORS:
        return
    assert 0 <= found.start < found.text_start <= found.text_end < found.end <= len(data)


@given(st.text(st.characters(blacklist_characters="\r\0", codec="utf-8"), max_size=200))
def test_escaping_is_undone(text: str) -> None:
    """Dash escaping as RFC 9580 7.2 says and reading give the text back but for blanks at line ends."""
    lines = text.encode().split(b"\n")
    escaped = b"".join((b"- " + line if line.startswith(b"-") else line) + b"\n" for line in lines)
    assert read_cleartext(message(escaped)).signed == b"\r\n".join(line.rstrip(b" \t") for line in lines)


def test_a_long_text_of_short_lines() -> None:
    """A text is taken in pieces, of which none ends within a line: the same as line by line, in little memory."""
    lines = [b"- -x \t", b"", b" ", b"- ", b"a b"] * 80_000 + [b"y\t" * 50_000]
    data = message(b"\n".join(lines) + b"\n")
    tracemalloc.start()
    try:
        signed = read_cleartext(data).signed
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert signed == b"\r\n".join(line.removeprefix(b"- ").rstrip(b" \t") for line in lines)
    assert peak < 12 * 1024 * 1024
