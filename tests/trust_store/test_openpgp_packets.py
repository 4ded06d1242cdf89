"""OpenPGP framing: armour, packet headers, signature packets, certificates."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.openpgp_craft import CREATED, CraftedKey, integer, packet, seconds, subpacket
from trust_store.decode import openpgp, openpgp_packets
from trust_store.decode.openpgp import load_keys
from trust_store.decode.openpgp_packets import read_armor, split_packets
from trust_store.decode.openpgp_signature import parse_signature, split_integers
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

KEY = CraftedKey(1)
OURS = (MalformedError, ResourceLimitError, UnsupportedError)


def armor(
    data: bytes, label: str = "PUBLIC KEY BLOCK", *, headers: str = "", end: str = "\n", footer: str = ""
) -> bytes:
    """``data`` as one armoured block."""
    text = base64.encodebytes(data).decode().replace("\n", end)
    return f"-----BEGIN PGP {label}-----{end}{headers}{end}{text}{footer}-----END PGP {label}-----{end}".encode()


def test_old_and_new_headers_say_the_same() -> None:
    """Every way to write a packet's length gives the same packet (RFC 9580 4.2)."""
    body = b"x" * 100
    spellings = [
        b"\xb4\x64" + body,
        b"\xb5\x00\x64" + body,
        b"\xb6\x00\x00\x00\x64" + body,
        b"\xcd\x64" + body,
        b"\xcd\xff\x00\x00\x00\x64" + body,
    ]
    assert [[(p.tag, p.body) for p in split_packets(one)] for one in spellings] == [[(13, body)]] * 5
    long = b"y" * 300
    assert split_packets(b"\xcd\xc0\x6c" + long)[0].body == long


@pytest.mark.parametrize(
    "data",
    [
        b"\xb7abc",  # indeterminate
        b"\xcd\xe1abc",  # partial
        b"\xcd\x05abc",  # cut short
        b"\xcd",
        b"\xcd\xc0",
        b"\xcd\xff\x00",
        b"\xb5\x00",
        b"\x0d\x03abc",  # bit 7 clear
        b"\x80\x01a",  # type 0
        b"\xcd\x01ab",  # garbage behind
    ],
)
def test_broken_framing_is_malformed(data: bytes) -> None:
    """Partial, indeterminate, short or trailing bytes are never guessed at."""
    with pytest.raises(MalformedError):
        split_packets(data)


def test_packet_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Size and number of packets are capped before anything is kept."""
    with pytest.raises(ResourceLimitError):
        split_packets(b"\xcd\xff\x7f\xff\xff\xff")
    with pytest.raises(ResourceLimitError):
        split_packets(b"\xcd\x00" * (openpgp_packets.MAX_PACKETS + 1))
    monkeypatch.setattr(openpgp_packets, "MAX_DATA_BYTES", 10)
    for read in (split_packets, read_armor):
        with pytest.raises(ResourceLimitError):
            read(b"x" * 11)


@pytest.mark.parametrize("end", ["\n", "\r\n", " \t\n"])
@pytest.mark.parametrize("footer", ["", "=aaaa\n", "=\n"])
def test_armor_round_trip(end: str, footer: str) -> None:
    """Line ends, trailing blanks, headers and the CRC footer (right, wrong or absent) do not change the bytes (RFC 9580 6.1)."""
    data = bytes(range(200))
    block = armor(data, headers="Comment: a: b\nHash: SHA256\nVersion:\n", end=end, footer=footer)
    around = b"\xef\xbb\xbfsome text\n- -----BEGIN PGP SIGNATURE-----\n" + block + b"more\n" + block + b"tail"
    assert [(one.label, one.data) for one in read_armor(around)] == [("PUBLIC KEY BLOCK", data)] * 2


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n",
        "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP MESSAGE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        "-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\nno header\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\n=abcd\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\nAA!A\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\nAAA\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\nAA==\nAAAA\n-----END PGP SIGNATURE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\n- AAAA\n-----END PGP SIGNATURE-----\n",
    ],
)
def test_broken_armor_is_malformed(text: str) -> None:
    """Only complete blocks count: an incomplete, nested or mislabelled one is an error, not text."""
    with pytest.raises(MalformedError):
        read_armor(text.encode())


@pytest.mark.parametrize("line", [b"=" * 400_000 + b"A", b"=" * 400_000, b"A" * 400_000 + b"="])
def test_long_lines_of_padding_are_malformed(line: bytes) -> None:
    """A body line of hundreds of thousands of equals signs is no base64, and costs no more than its length."""
    with pytest.raises(MalformedError):
        read_armor(b"-----BEGIN PGP SIGNATURE-----\n\n" + line + b"\nAAAA\n-----END PGP SIGNATURE-----\n")


def test_armor_block_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of armoured blocks is capped."""
    monkeypatch.setattr(openpgp_packets, "MAX_ARMOR_BLOCKS", 2)
    with pytest.raises(ResourceLimitError):
        read_armor(armor(b"x") * 3)


def test_several_keys_in_every_framing() -> None:
    """A file with several keys gives them all, binary, in one block or in several, marker and trust packets skipped."""
    two = (
        KEY.certificate + packet(10, b"PGP") + packet(12, b"t") + CraftedKey(2).certificate + packet(60, b"private use")
    )
    expected = [KEY.fingerprint, CraftedKey(2).fingerprint]
    for data in (two, armor(two), armor(KEY.certificate) + b"text\n" + armor(CraftedKey(2).certificate)):
        assert [key.fingerprint for key in load_keys(data)] == expected
    assert load_keys(two)[0].data == KEY.certificate
    assert load_keys(load_keys(two)[1].data) == (load_keys(two)[1],)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (b"no key here", MalformedError),
        (armor(b"\x80", "SIGNATURE"), MalformedError),
        (KEY.user_id(), MalformedError),
        (packet(6, b""), MalformedError),
        (packet(6, b"\x04\x00"), MalformedError),
        (packet(6, b"\x06\x00\x00\x00\x00\x1b\x00\x00\x00\x21a"), MalformedError),
        (packet(6, b"\x03" + bytes(20)), UnsupportedError),
        (packet(6, b"\x05" + bytes(20)), UnsupportedError),
        (packet(5, KEY.body), UnsupportedError),
        (armor(packet(5, KEY.body), "PRIVATE KEY BLOCK"), UnsupportedError),
        (KEY.primary + packet(11, b"b\x00"), MalformedError),
        (KEY.primary + packet(14, b"\x06\x00\x00\x00\x00\x1b\x00\x00\x00\x01a"), MalformedError),
    ],
)
def test_what_is_no_certificate_is_refused(data: bytes, error: type[Exception]) -> None:
    """Missing, secret, old-version and misplaced packets each end in the error that says so."""
    with pytest.raises(error):
        load_keys(data)


def test_a_key_with_ten_thousand_user_ids_is_refused() -> None:
    """A poisoned key ends in a resource limit, not in a long wait."""
    with pytest.raises(ResourceLimitError):
        load_keys(KEY.primary + packet(13, b"u") * 10_000)
    with pytest.raises(ResourceLimitError):
        load_keys(KEY.primary + packet(13, b"u" * 4000))
    with pytest.raises(ResourceLimitError):
        load_keys(KEY.primary + packet(14, CraftedKey(2).body) * 100)
    body = KEY.signature(0x1F, KEY.framed)
    flood = b"".join(packet(2, body[:-1] + bytes((n % 250,)) + seconds(100, n)) for n in range(600))
    with pytest.raises(ResourceLimitError):
        load_keys(KEY.primary + flood)


def test_large_key_packets_and_their_copies_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key packet has a greatest size, and what is kept for its signatures does not grow far beyond the file."""
    with pytest.raises(ResourceLimitError):
        load_keys(packet(6, b"\x04" + bytes(9000)))
    monkeypatch.setattr(openpgp, "MAX_COVERED_BYTES", 100)
    with pytest.raises(ResourceLimitError):
        load_keys(KEY.certificate + CraftedKey(2).certificate)


def test_a_key_names_everything_it_is_known_by() -> None:
    """Fingerprints and key ids of primary key and subkeys are identifiers; the first user id is the name."""
    (key,) = load_keys(KEY.certificate + KEY.subkey(CraftedKey(2)))
    sub = CraftedKey(2).fingerprint
    assert [(one.kind.value, one.value) for one in key.identifiers] == [
        ("openpgp", KEY.fingerprint),
        ("key_id", KEY.fingerprint[-16:]),
        ("key_id", sub[-16:]),
        ("openpgp_subkey", sub),
    ]
    assert key.name == "Vendor <v@example.org>"
    assert load_keys(KEY.primary)[0].name == KEY.fingerprint


def test_key_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of keys in a file is capped."""
    monkeypatch.setattr(openpgp, "MAX_KEYS", 1)
    with pytest.raises(ResourceLimitError):
        load_keys(KEY.primary * 2)


def test_foreign_and_repeated_signatures_leave_no_trace() -> None:
    """Certifications by other keys are not kept, the same signature is kept once, an unreadable one not at all."""
    other = CraftedKey(2).signature(0x10, b"")
    twice = KEY.certificate + packet(2, KEY.signature(0x10, b"")) * 2
    key = load_keys(twice + packet(2, other) + packet(2, b"\x05\x10") + packet(2, b"\x04"))[0]
    assert [one.role for one in key.self_signatures] == ["certification", "certification"]


def test_a_key_revocation_counts_wherever_it_stands() -> None:
    """Moving a key revocation behind a user id, or breaking it, does not make it vanish."""
    good = packet(2, KEY.signature(0x20, KEY.framed))
    broken = packet(2, b"\x04\x20\x16")
    key = load_keys(KEY.certificate + good + broken + packet(17, b"photo") + packet(2, KEY.signature(0x13, b"")))[0]
    assert [one.role for one in key.self_signatures] == ["certification", "key_revocation", "key_revocation"]
    assert key.self_signatures[1].covered == KEY.framed


@pytest.mark.parametrize(
    "hashed",
    [
        b"\x00",  # a subpacket without type
        b"\x09\x02abc",  # cut short
        subpacket(2, b"abc"),
        subpacket(2, bytes(5)),
        seconds(9, 1) + seconds(9, 2),
        subpacket(29, b""),
        b"\xff\x00",
        b"\xc0",
    ],
)
def test_broken_subpackets_are_malformed(hashed: bytes) -> None:
    """Wrong lengths and contradictions in the hashed area make the signature malformed."""
    with pytest.raises(MalformedError):
        parse_signature(KEY.signature(0, b"", hashed=hashed, issuer=b""))


def test_subpacket_lengths_and_cap() -> None:
    """One, two and five octet lengths are read alike; the number of subpackets is capped."""
    two_octets = b"\xc0\x10" + bytes((20,)) + bytes(207)
    assert parse_signature(KEY.signature(0, b"", hashed=b"\x05\x03\x00\x00\x00\x09" + two_octets)).expires is not None
    with pytest.raises(ResourceLimitError):
        parse_signature(KEY.signature(0, b"", hashed=b"\x01\x64" * 300))


@pytest.mark.parametrize("body", [b"", b"\x04", b"\x03\x04", b"\x06\x00\x1b\x08" + bytes(10) + b"\x01a"])
def test_short_signatures_are_malformed(body: bytes) -> None:
    """A signature packet that ends early, or with a salt of the wrong size, is malformed."""
    with pytest.raises(MalformedError):
        parse_signature(body)


def test_version_3_signature_is_read() -> None:
    """A version 3 signature has its time, type and key id; nothing else is hashed."""
    body = b"\x03\x05\x10" + CREATED.to_bytes(4, "big") + bytes(range(8)) + b"\x01\x02ab" + integer(b"\x05")
    signature = parse_signature(body)
    assert (signature.type, signature.issuer_key_id, signature.trailer) == (0x10, bytes(range(8)).hex(), body[2:7])
    with pytest.raises(MalformedError):
        parse_signature(b"\x03\x06" + body[2:])


def test_integers_have_one_spelling() -> None:
    """A leading zero bit, a fifth integer or a cut integer is malformed (RFC 9580 3.2)."""
    for values in (b"\x00\x09\x01", b"\x00\x08\x01", integer(b"\x07") * 5, b"\x00\x10\xff"):
        with pytest.raises(MalformedError):
            split_integers(values)
    assert split_integers(b"\x00\x01\x01\x00\x00") == (b"\x01", b"")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_keys_or_our_errors(data: bytes) -> None:
    """Arbitrary bytes never raise anything but the program's own errors."""
    for read in (load_keys, parse_signature, read_armor, split_packets):
        for sample in (data, b"\xc6" + data, packet(2, data), KEY.primary + packet(2, b"\x04" + data), armor(data)):
            with contextlib.suppress(*OURS):
                read(sample)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 400))
def test_mutated_keys_give_keys_or_our_errors(changes: list[tuple[int, int]], cut: int) -> None:
    """A key with bytes changed and its end cut off never raises anything but the program's own errors."""
    data = bytearray(KEY.certificate + KEY.subkey(CraftedKey(2)))
    for place, value in changes:
        data[place % len(data)] = value
    for sample in (bytes(data), bytes(data[:-cut] if cut else data)):
        with contextlib.suppress(*OURS):
            load_keys(sample)
