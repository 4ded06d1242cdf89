from __future__ import annotations

import bz2
import hashlib
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.sshsig import armoured, covered, mpint, string
from tests.packages.table import FIXTURES
from tests.trust_store.openpgp_craft import packet
from trust_store.decode import checksum_list, comment_signatures, deb822, openpgp_message, sshsig
from trust_store.decode.bare_values import read_value, recovered_digest
from trust_store.decode.foreign_messages import HEAD_BYTES, TAIL_BYTES, foreign_message
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.kept_content import ForeignState, MessageState

MINISIG = (FIXTURES / "minisign" / "package.bin.minisig").read_bytes()
SIGNIFY = (FIXTURES / "signify" / "package.bin.sig").read_bytes()
SSHSIG = (FIXTURES / "sshsig" / "package.bin.sig").read_bytes()
MESSAGE = (FIXTURES / "openpgp_message" / "openpgp_message.asc").read_bytes()
PACKAGE = (FIXTURES / "openpgp_message" / "package.bin").read_bytes()
APK_SIGNED_DATA = bytes.fromhex("08000000") + bytes(8) + bytes.fromhex("0e0000000a000000") + b"0\x08" + bytes(8)
ED25519 = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(1, 33))
READERS = (
    comment_signatures.parse_minisign,
    comment_signatures.parse_signify,
    sshsig.parse_sshsig,
    openpgp_message.read_message,
    checksum_list.parse_list,
    deb822.parse_paragraph,
    read_value,
)
SEEDS = (MINISIG, SIGNIFY, SSHSIG, MESSAGE, b"0" * 64 + b"  a\n", b"A: b\nSha256:\n " + b"0" * 64 + b" 1 c\n")


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes, every decoder answers or raises one of the three errors."""
    for read in READERS:
        try:
            read(data)
        except READ_ERRORS:
            continue


@given(st.sampled_from(SEEDS), st.data())
def test_changed_signature_files(seed: bytes, data: st.DataObject) -> None:
    """Whatever is changed in a good file, every decoder answers or raises one of the three errors."""
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    for read in READERS:
        try:
            read(bytes(changed))
        except READ_ERRORS:
            continue


def test_minisign_is_no_signify_and_signify_no_minisign() -> None:
    """The third line tells the two apart, so that no file is of both."""
    found = [(comment_signatures.is_minisign(data), comment_signatures.is_signify(data)) for data in (MINISIG, SIGNIFY)]
    assert found == [(True, False), (False, True)]


def test_claimed_time_of_a_trusted_comment() -> None:
    """The timestamp in the trusted comment is what the signer claims."""
    assert comment_signatures.parse_minisign(MINISIG).claimed_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "comment", [b"timestamp:", b"timestamp:-1", b"timestamp:99999999999999", b"file:a", b"timestamp:1e3"]
)
def test_no_claimed_time(comment: bytes) -> None:
    """A trusted comment that says no time, or none that can be, claims none."""
    lines = MINISIG.split(b"\n")
    lines[2] = b"trusted comment: " + comment
    assert comment_signatures.parse_minisign(b"\n".join(lines)).claimed_at is None


def test_control_characters_in_a_trusted_comment() -> None:
    """A trusted comment with control characters is refused: it is shown to people."""
    with pytest.raises(MalformedError):
        comment_signatures.parse_minisign(MINISIG.replace(b"trusted comment: t", b"trusted comment: \x1b[2Jt"))


@pytest.mark.parametrize(
    ("signature", "error"),
    [
        (string(b"ssh-ed25519") + string(bytes(63)), MalformedError),
        (string(b"ssh-ed25519") + string(bytes(64)) + b"x", MalformedError),
        (string(b"ecdsa-sha2-nistp256") + string(mpint(1) + mpint(2)), MalformedError),
        (string(b"ssh-ed448") + string(bytes(64)), UnsupportedError),
        (b"\xff\xff\xff\xff", MalformedError),
        (b"", MalformedError),
    ],
)
def test_ssh_signature_values(signature: bytes, error: type[Exception]) -> None:
    """A value must be of the key's own type, of its length, and the last thing in the signature."""
    with pytest.raises(error):
        sshsig.parse_sshsig(armoured(ED25519, signature))


def test_ssh_signatures_over_other_digests() -> None:
    """Only SHA-256 and SHA-512 are digests of SSH signatures (PROTOCOL.sshsig)."""
    with pytest.raises(UnsupportedError):
        sshsig.parse_sshsig(armoured(ED25519, string(b"ssh-ed25519") + string(bytes(64)), hash_name=b"sha1"))


def test_security_key_without_counter() -> None:
    """A security key's signature ends with its flags and counter, and nothing else."""
    key = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(range(1, 33))) + string(b"ssh:")
    value = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(64))
    assert sshsig.parse_sshsig(armoured(key, value + b"\1\0\0\0\7")).suffix == b"\1\0\0\0\7"
    with pytest.raises(MalformedError):
        sshsig.parse_sshsig(armoured(key, value))


def test_what_an_ssh_signature_covers() -> None:
    """Namespace, digest name and digest are covered, in the structure of PROTOCOL.sshsig."""
    parsed = sshsig.parse_sshsig(armoured(ED25519, string(b"ssh-ed25519") + string(bytes(64))))
    assert parsed.signed(hashlib.sha512(b"data").digest()) == covered(b"data")


def test_bare_values() -> None:
    """A bare value is told by its length or shape, binary, base64 and hex alike; zeros, patterns and counts are none."""
    rsa = (FIXTURES / "raw" / "rsa.raw").read_bytes()
    assert read_value(rsa) == (("rsa",), rsa)
    assert read_value(rsa.hex().encode() + b"\n") == (("rsa",), rsa)
    assert read_value(hashlib.sha512(b"as good as random").digest())[0] == ("ed25519",)
    assert read_value((FIXTURES / "raw" / "package.bin.sig").read_bytes())[0] == ("ecdsa", "dsa")
    patterns = [
        piece * (size // len(piece)) for piece in (b"\0", b"ab", bytes(range(64))) for size in (64, 128, 256, 512)
    ]
    for junk in (b"", b"text", b"\0" * 100, b"0" * 9000, b"=" * 64, bytes(range(256)), *patterns):
        with pytest.raises(MalformedError):
            read_value(junk)


def test_recovered_digest() -> None:
    """An RSA value opens under its own key alone, and shows the digest that was signed."""
    from trust_store.decode.key_files import read_keys

    value = (FIXTURES / "raw" / "rsa.raw").read_bytes()
    own, other = (
        read_keys((FIXTURES / "raw" / f"{name}.pub.pem").read_bytes())[0].material for name in ("rsa", "rsa1024")
    )
    assert recovered_digest(own, value) == ("sha256", hashlib.sha256(PACKAGE).digest())
    assert recovered_digest(other, value) is None
    assert recovered_digest(b"no key", value) is None


@pytest.mark.parametrize(
    ("data", "is_foreign"),
    [
        (bytes(range(200, 232)), True),
        (b"a" * 32, False),
        (b"SSHSIG\0\0\0\x04file", True),
        (b"SSHSIG is a format", False),
        (b"eyJhbGciOiJFUzI1NiJ9.e30", True),
        (b"eyJhbGciOiJFUzI1NiJ9.e30 and more", False),
        (b"eyJhIjoxfQ.e30", False),
        (b"\x84\x6aSignature1\x43\xa1\x01\x26\x40\x40", True),
        (b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + bytes(32), True),
        (bytes(64) + b"\x03\x00\x17\x41" + bytes(65), True),
        (bytes(64) + b"\x03\x00\x17\x41" + bytes(66), False),
        (b"\0\0\0 " + bytes(32) + b"\x32\0\0\0\4root\0\0\0\x0essh-connection\0\0\0\x09publickey\x01", True),
        (b"\0\0\0\x1cssh-ed25519-cert-v01@openssh.com" + bytes(100), False),
        (b"\0\0\0 ssh-ed25519-cert-v01@openssh.com" + bytes(100), True),
        (b"firmware" * 100, False),
        (b"firmware" + bytes.fromhex("04000108000004ff00000006"), True),
        (b"firmware, firmware" + bytes.fromhex("04000108000104ff00000006"), False),
        (b"DSSEv1 1 a 1 b", True),
        (b"@acme/tool@1.0.0:sha512-" + b"A" * 86 + b"==", True),
        (b"tool@1.0.0:sha512-" + b"A" * 86 + b"==", True),
        (b"tool@1.0.0:sha512-" + b"A" * 86 + b"==\n", False),
        (APK_SIGNED_DATA + bytes(4), True),
        (APK_SIGNED_DATA + bytes.fromhex("1800000021000000") + bytes(4), True),
        (APK_SIGNED_DATA + bytes(5), False),
        (b"", False),
    ],
)
def test_foreign_messages(data: bytes, is_foreign: bool) -> None:  # noqa: FBT001 - a table of cases
    """What keys sign in other protocols is told from files that merely begin alike."""
    assert (foreign_message(data, data[-TAIL_BYTES:], len(data)) is not None) is is_foreign


@given(st.binary(max_size=400), st.integers(1, 50))
def test_states_do_not_depend_on_pieces(data: bytes, size: int) -> None:
    """Content kept in pieces is the content, whatever the pieces, and copies do not share what comes after."""
    message, ends = MessageState(), ForeignState()
    for at in range(0, len(data), size):
        message.update(data[at : at + size])
        ends.update(data[at : at + size])
    copy = message.copy()
    message.update(b"more")
    assert (copy.digest(), message.digest()) == (data, data + b"more")
    assert (ends._head, ends._tail, ends._size) == (data, data, len(data))


def test_long_content_is_not_kept() -> None:
    """Beyond the limit nothing is kept, and the answer is a matter of limits."""
    state = MessageState(limit=10)
    for _ in range(3):
        state.update(b"12345")
    with pytest.raises(ResourceLimitError):
        state.copy().digest()


def test_both_ends_of_long_content() -> None:
    """Of long content a beginning and an end are kept, and no more."""
    state = ForeignState()
    data = bytes(range(256)) * 8192
    state.update(data)
    state.update(b"end")
    assert (len(state._head), state._tail) == (HEAD_BYTES, (data + b"end")[-TAIL_BYTES:])
    assert state.copy().digest() == b""


LITERAL = packet(11, b"b\0\0\0\0\0content")
ONE_PASS = packet(4, b"\3\0\x08\x16" + bytes(8) + b"\1")
SIGNATURE = packet(2, b"\4\0\x16\x08")


def test_message_of_parts() -> None:
    """The literal data of a one-pass signed message is its content, and lies where the message says."""
    data = ONE_PASS + LITERAL + SIGNATURE
    message = openpgp_message.read_message(data)
    assert (message.content, len(message.signatures)) == (b"content", 1)
    assert b"".join(data[start:end] for start, end in message.places) == b"content"


@pytest.mark.parametrize(
    "data",
    [
        LITERAL + SIGNATURE,
        ONE_PASS + LITERAL,
        ONE_PASS + ONE_PASS + LITERAL + SIGNATURE,
        ONE_PASS + LITERAL + LITERAL + SIGNATURE,
        ONE_PASS + SIGNATURE,
        SIGNATURE,
        SIGNATURE + LITERAL + SIGNATURE,
        ONE_PASS + packet(11, b"x\0\0\0\0\0content") + SIGNATURE,
        ONE_PASS + packet(11, b"b\xff") + SIGNATURE,
        packet(8, b"\1" + zlib.compress(ONE_PASS + LITERAL + SIGNATURE)[2:-4] + b"more"),
        packet(8, b"\2" + zlib.compress(ONE_PASS + LITERAL + SIGNATURE)[:-1]),
        packet(8, b"\3" + bz2.compress(ONE_PASS + LITERAL + SIGNATURE)[:-1]),
        packet(8, b"\2" + zlib.compress(ONE_PASS + LITERAL + SIGNATURE)) + LITERAL,
    ],
)  # fmt: skip
def test_messages_of_other_parts(data: bytes) -> None:
    """Anything but one literal data packet with the signatures that were announced is malformed (RFC 9580 10.3)."""
    with pytest.raises(MalformedError):
        openpgp_message.read_message(data)


def test_unsigned_and_encrypted_messages() -> None:
    """A message without a signature, and one that is encrypted, is of a kind that is not read."""
    for data in (LITERAL, packet(1, bytes(10)) + packet(18, bytes(10))):
        with pytest.raises(UnsupportedError):
            openpgp_message.read_message(data)


def test_compression_bombs() -> None:
    """A message that unpacks to far more than it is, or again and again, is refused by its limits."""
    zeros = ONE_PASS + packet(11, b"b\0\0\0\0\0" + bytes(70_000_000)) + SIGNATURE
    for bomb in (packet(8, b"\2" + zlib.compress(zeros)), packet(8, b"\3" + bz2.compress(zeros))):
        with pytest.raises(ResourceLimitError):
            openpgp_message.read_message(bomb)
    nested = ONE_PASS + LITERAL + SIGNATURE
    for _ in range(3):
        nested = packet(8, b"\2" + zlib.compress(nested))
    with pytest.raises(ResourceLimitError):
        openpgp_message.read_message(nested)


def test_many_signatures() -> None:
    """The number of signatures of a message is bounded."""
    with pytest.raises(ResourceLimitError):
        openpgp_message.read_message(ONE_PASS * 65 + LITERAL + SIGNATURE * 65)


@pytest.mark.parametrize(
    "data", [b"\xa3\1" + bytes(50), b"\xc4\x0d\3\0" + bytes(11), b"\x90\x0d\3\2" + bytes(11), b"\x7fELF", b""]
)
def test_recognising_messages(data: bytes) -> None:
    """Only what begins with a one-pass signature of a document, or a signature before literal data, is taken for a message."""
    assert openpgp_message.recognises(data) is (data[:1] == b"\xc4")


def test_lists_of_every_shape() -> None:
    """Lines of GNU and BSD tools may be mixed, with comments; a digest of 128 digits may be of two kinds."""
    text = (
        b"# comment\n\n"
        + b"a" * 64
        + b" *x\n"
        + b"B" * 128
        + b"  ./d/y\r\nSHA512 (z) = "
        + b"c" * 128
        + b"\nSHA256 (x) = "
        + b"d" * 64
    )
    entries = checksum_list.parse_list(text.replace(b"SHA256 (x)", b"SHA3-256 (x)"))
    assert [(e.name, e.base_name, e.algorithms) for e in entries] == [
        ("x", "x", ("sha256",)),
        ("d/y", "y", ("sha512", "blake2b")),
        ("z", "z", ("sha512",)),
        ("x", "x", ("sha3_256",)),
    ]


def test_a_digest_alone() -> None:
    """A file that holds a digest and nothing else is a list of one file that is not named; 128 digits may be a signature value."""
    (entry,) = checksum_list.parse_list(b"\xef\xbb\xbf" + b"A" * 64 + b"\r\n")
    assert (entry.name, entry.algorithms, entry.digest) == (checksum_list.UNNAMED, ("sha256",), "a" * 64)
    assert not checksum_list.is_list(b"a" * 128)


def test_escaped_names() -> None:
    """A backslash before the line says that the name is escaped; what comes out must be a plain name."""
    assert checksum_list.parse_list(b"\\" + b"a" * 64 + b"  x\\\\y\n".replace(b"\\\\", b""))[0].name == "xy"
    with pytest.raises(MalformedError):
        checksum_list.parse_list(b"\\" + b"a" * 64 + b"  x\\ny\n")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# only a comment\n",
        b"hello\n",
        b"a" * 63 + b"  x\n",
        b"a" * 64 + b"  x\n" + b"a" * 64 + b"  x\n",
        b"a" * 64 + b"  /x\n",
        b"a" * 64 + b"  x/../y\n",
        b"a" * 64 + b"  x\nhello\n",
        b"a" * 64 + b"  \xff\n",
        b"SHA256:\n " + b"a" * 64 + b" x y\n",
        b"SHA256:\n " + b"a" * 63 + b" 1 y\n",
        b"SHA256:\n " + b"a" * 64 + b" 1 y\nsha256:\n",
        b"RMD160 (x) = " + b"a" * 40 + b"\n",
    ],
)
def test_lists_refused(text: bytes) -> None:
    """Anything that is no list in whole, and a name that leads elsewhere or has two digests, is malformed."""
    with pytest.raises(MalformedError):
        checksum_list.parse_list(text)


def test_long_lists() -> None:
    """The number of entries and the length of a name are bounded."""
    for text in (b"".join(b"a" * 64 + b"  %d\n" % n for n in range(65_537)), b"a" * 64 + b"  " + b"x" * 5000):
        with pytest.raises(ResourceLimitError):
            checksum_list.parse_list(text)


def test_strong_digests_alone_count() -> None:
    """Of a list with strong digests the weak ones are left out, so that nothing rests on them."""
    entries = checksum_list.parse_list(b"a" * 32 + b"  x\n" + b"b" * 64 + b"  y\n")
    assert [entry.name for entry in entries] == ["y"]
    assert checksum_list.parse_list(b"a" * 32 + b"  x\n")[0].algorithms == ("md5",)


def test_control_data() -> None:
    """Fields are known by their names in any case; continued lines lose one blank; comments are passed over."""
    fields = deb822.parse_paragraph(b"Source: a\n# comment\nDescription: one\n two\n .\n")
    assert fields == {"source": "a", "description": "one\ntwo\n."}


@pytest.mark.parametrize("text", [b" a\n", b"A: b\n\nC: d\n", b"A: b\na: c\n", b"no field\n", b"-A: b\n", b"A: \xff\n"])
def test_control_data_refused(text: bytes) -> None:
    """One paragraph of fields, each once, in UTF-8; anything else is malformed."""
    with pytest.raises(MalformedError):
        deb822.parse_paragraph(text)


def test_lists_of_very_many_lines_are_not_read() -> None:
    """Comments and empty lines count as well: each would be kept while the list is taken apart."""
    entry = b"%064x  package.bin\n" % 7
    assert checksum_list.parse_list(entry + b"#\n" * (checksum_list.MAX_LINES - 1))
    for line in (b"#\n", b"\n"):
        with pytest.raises(ResourceLimitError):
            checksum_list.parse_list(entry + line * checksum_list.MAX_LINES)
