"""OpenPGP judgements on poisoned, mutated and contradictory keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.openpgp_craft import CERTIFY, CREATED, SIGNED, CraftedKey, packet, seconds, subpacket
from tests.trust_store.openpgp_tools import DOCUMENT, NOW, fact, judged
from trust_store.chain.openpgp import judge
from trust_store.chain.openpgp_self_signatures import MAX_SIGNATURE_CHECKS
from trust_store.decode.openpgp import load_keys
from trust_store.decode.openpgp_packets import split_packets
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.verdict import Reason

KEY, SUB = CraftedKey(1), CraftedKey(2, CREATED + 86400)
GOOD = packet(2, KEY.signature(0, DOCUMENT))
SUB_SIGNED = packet(2, SUB.signature(0, DOCUMENT))
DAY = 86400
CREATED_AT = datetime.fromtimestamp(CREATED, UTC)
SIGNED_AT = datetime.fromtimestamp(SIGNED, UTC)


def reason_for_revocation(code: int | None) -> bytes:
    """The subpacket, or nothing."""
    return b"" if code is None else subpacket(29, bytes((code,)) + b"because")


def revoked(code: int | None, *, created: int = SIGNED + 30 * DAY, **options: object) -> bytes:
    """KEY with a revocation of its primary key."""
    signature = KEY.signature(0x20, KEY.framed, created=created, hashed=reason_for_revocation(code), **options)  # type: ignore[arg-type]
    return KEY.primary + packet(2, signature) + KEY.user_id()


def test_revocations_that_are_odd_still_count() -> None:
    """No signed time, an unread critical part or MD5 does not weaken a revocation; a forged one is none."""
    assert judged(GOOD, revoked(1, created=None), SIGNED_AT).reasons == (Reason.REVOKED,)  # type: ignore[arg-type]
    strange = KEY.signature(0x20, KEY.framed, hashed=subpacket(99, b"", critical=True))
    assert judged(GOOD, KEY.certificate + packet(2, strange)).reasons == (Reason.REVOKED,)
    assert judged(GOOD, revoked(2, hash_algorithm=1)).reasons == (Reason.COMPROMISED,)
    forged = CraftedKey(3).signature(0x20, KEY.framed, issuer=KEY.issuer)
    assert judged(GOOD, KEY.certificate + packet(2, forged)).reasons == ()
    foreign = CraftedKey(3).signature(0x20, KEY.framed)
    assert judged(GOOD, KEY.certificate + packet(2, foreign)).reasons == ()


def test_a_revocation_that_cannot_be_checked_is_said() -> None:
    """A broken revocation, one of unknown algorithm, or one by an appointed revoker leaves revocation unknown."""
    unknown_hash = bytearray(KEY.signature(0x20, KEY.framed))
    unknown_hash[3] = 99
    for body in (bytes(unknown_hash), b"\x04\x20\x16"):
        assert judged(GOOD, KEY.certificate + packet(2, body)).reasons == (Reason.REVOCATION_UNKNOWN,)
    revoker = CraftedKey(3)
    appointed = subpacket(12, b"\x80\x16" + bytes.fromhex(revoker.fingerprint))
    key = KEY.primary + packet(2, revoker.signature(0x20, KEY.framed)) + KEY.user_id(hashed=appointed)
    assert judged(GOOD, key).reasons == (Reason.REVOCATION_UNKNOWN,)
    nameless = KEY.primary + packet(2, revoker.signature(0x20, KEY.framed, issuer=b"")) + KEY.user_id(hashed=appointed)
    assert judged(GOOD, nameless).reasons == ()


def test_a_poisoned_key_costs_no_more_than_the_budget() -> None:
    """A key that carries hundreds of forged self-signatures ends in a resource limit after a fixed number of checks."""
    forger = CraftedKey(3)
    text = b"u"
    flood = b"".join(
        packet(2, forger.signature(0x13, b"", created=SIGNED + n, issuer=KEY.issuer))
        for n in range(MAX_SIGNATURE_CHECKS + 1)
    )
    key = KEY.primary + packet(13, text) + flood + KEY.user_id()
    assert judged(GOOD, key).reasons == (Reason.RESOURCE_LIMIT,)
    hidden = (
        KEY.primary
        + packet(2, KEY.signature(0x20, KEY.framed, hashed=reason_for_revocation(2)))
        + key[len(KEY.primary) :]
    )
    assert judged(GOOD, hidden).reasons == (Reason.RESOURCE_LIMIT, Reason.COMPROMISED)


def test_facts_that_do_not_parse_never_count() -> None:
    """A fact with a broken, unsupported or undated packet has a reason, never an exception."""
    seen, key = fact(GOOD), load_keys(KEY.certificate)[0]
    undated = KEY.signature(0, DOCUMENT, created=None)
    cases = {
        b"": Reason.MALFORMED,
        b"\x04": Reason.MALFORMED,
        b"\x05": Reason.UNSUPPORTED_FORMAT,
        undated: Reason.MALFORMED,
        KEY.signature(0, DOCUMENT, hashed=subpacket(99, b"", critical=True)): Reason.UNSUPPORTED_FORMAT,
    }
    for body, reason in cases.items():
        assert reason in judge(replace(seen, packet=body), key, NOW).reasons
    unknown = packet(6, KEY.body[:5] + b"\x64" + KEY.body[6:])
    (other,) = load_keys(unknown)
    issuer = subpacket(33, b"\x04" + bytes.fromhex(other.fingerprint))
    judgement = judged(packet(2, KEY.signature(0, DOCUMENT, issuer=issuer)), unknown)
    assert judgement.reasons == (Reason.UNSUPPORTED_FORMAT,)


def test_flipping_any_byte_of_a_certificate_never_makes_it_better() -> None:
    """With a byte of a subkey certificate changed, the signature counts only if the change was in a part nobody signs."""
    key = KEY.primary + KEY.user_id(b"u", flags=CERTIFY) + KEY.subkey(SUB)
    unsigned: set[int] = set()
    for one in split_packets(key):
        if one.tag == 2:
            start = one.end - len(one.body)
            hashed_end = start + 6 + int.from_bytes(one.body[4:6], "big")
            unsigned |= set(range(hashed_end, hashed_end + 4))
    for place in range(len(key)):
        changed = bytearray(key)
        changed[place] ^= 0x04
        try:
            reasons = judged(SUB_SIGNED, bytes(changed)).reasons
        except (MalformedError, ResourceLimitError, UnsupportedError):
            continue
        assert place in unsigned or reasons != ()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 500), st.lists(st.integers(0, 500), min_size=1, max_size=6, unique=True))
def test_next_change_is_never_too_late(key_days: int, days: list[int]) -> None:
    """Between T and ``next_change`` the judgement is the same at every time."""
    signature = packet(2, SUB.signature(0, DOCUMENT, hashed=seconds(3, 90 * DAY)))
    soft = packet(2, KEY.signature(0x20, KEY.framed, created=SIGNED + 200 * DAY, hashed=reason_for_revocation(1)))
    key = KEY.primary + soft + KEY.user_id(hashed=seconds(9, key_days * DAY)) + KEY.subkey(SUB)
    (first, *others) = (CREATED_AT + timedelta(days=day) for day in sorted(days))
    judgement = judged(signature, key, first)
    for other in others:
        if judgement.next_change is None or other < judgement.next_change:
            assert judged(signature, key, other).reasons == judgement.reasons


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=5))
def test_mutated_certificates_never_raise(changes: list[tuple[int, int]]) -> None:
    """A certificate with bytes changed gives a judgement or the program's own errors."""
    data = bytearray(KEY.certificate + KEY.subkey(SUB) + packet(2, KEY.signature(0x28, KEY.framed + SUB.framed)))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        keys = load_keys(bytes(data))
    except (MalformedError, ResourceLimitError, UnsupportedError):
        return
    for key in keys:
        judge(fact(SUB_SIGNED), key, NOW)


def _withdrawal(text: bytes = b"Vendor <v@example.org>", *, maker: CraftedKey = KEY, **options: object) -> bytes:
    covered = KEY.framed + b"\xb4" + len(text).to_bytes(4, "big") + text
    return packet(2, maker.signature(0x30, covered, **options))  # type: ignore[arg-type]


def test_which_revocation_withdraws_a_user_id() -> None:
    """The same user id, by the key itself, not before the certification, made by T; one without a date is as old as it may be."""
    made = CREATED + 10 * DAY
    key = KEY.primary + KEY.user_id(created=made)
    other = KEY.user_id(b"Else", created=made)
    for withdrawal, withdrawn in (
        (_withdrawal(created=made), True),
        (_withdrawal(created=made + 1), True),
        (_withdrawal(created=made - 1), False),
        (_withdrawal(created=None), True),
        (_withdrawal(created=int(NOW.timestamp())), True),
        (_withdrawal(created=int(NOW.timestamp()) + 1), False),
        (_withdrawal(b"Else", created=made), False),
        (_withdrawal(maker=CraftedKey(3), issuer=KEY.issuer, created=made), False),
        (packet(2, b"\x04\x30\x16"), False),
        (packet(2, b"\x04\x30\x16") + _withdrawal(created=made), True),
        (_withdrawal(created=made - 1) + _withdrawal(created=made + 1), True),
    ):
        reasons = judged(GOOD, key + withdrawal).reasons
        assert reasons == ((Reason.PATH_INVALID,) if withdrawn else ())
        # Another user id that stands speaks for the key just as well.
        assert judged(GOOD, key + withdrawal + other).reasons == ()


def test_a_withdrawal_yet_to_come_ends_the_answer() -> None:
    """The judgement may change when a revocation of the user id begins to count, and says so."""
    later = NOW + timedelta(hours=2)
    judgement = judged(GOOD, KEY.certificate + _withdrawal(created=int(later.timestamp())))
    assert (judgement.reasons, judgement.next_change) == ((), later.replace(microsecond=0))
