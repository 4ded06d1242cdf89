"""What an OpenPGP key withdraws in one copy of its certificate is withdrawn in all of them, and nobody else can withdraw it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.trust_store.openpgp_craft import CERTIFY, CREATED, SIGN, SIGNED, CraftedKey, packet, seconds, subpacket
from tests.trust_store.openpgp_tools import DOCUMENT, NOW, fact
from tests.trust_store.test_openpgp_judgement import CREATED_AT, DAY, SIGNED_AT, reason_for_revocation, revoked
from trust_store.chain.openpgp import OpenPGPJudgement, judge
from trust_store.chain.openpgp_copies import MAX_CHECKS_PER_COPY, MAX_COPIES, with_copies
from trust_store.decode.openpgp import load_keys
from trust_store.model.verdict import Reason

KEY, SUB, STRANGER = CraftedKey(1), CraftedKey(2, CREATED + DAY), CraftedKey(3)
GOOD, SUB_SIGNED = packet(2, KEY.signature(0, DOCUMENT)), packet(2, SUB.signature(0, DOCUMENT))
BOUND = KEY.certificate + KEY.subkey(SUB)
TEXT = b"Vendor <v@example.org>"
ABOUT_USER = KEY.framed + b"\xb4" + len(TEXT).to_bytes(4, "big") + TEXT


def judged(signature: bytes, key: bytes, *copies: bytes, at: object = NOW) -> OpenPGPJudgement:
    """The judgement under the first copy, the others being at hand."""
    others = tuple(one for copy in copies for one in load_keys(copy))
    return judge(fact(signature), load_keys(key)[0], at, copies=others)  # type: ignore[arg-type]


def statement(kind: int, covered: bytes, created: int, hashed: bytes, signer: CraftedKey = KEY) -> bytes:
    """A packet with a signature that claims to be KEY's."""
    return packet(2, signer.signature(kind, covered, created=created, hashed=hashed, issuer=KEY.issuer))


def renewed(days: int | None, *, created: int = SIGNED + 40 * DAY, flags: int = CERTIFY | SIGN) -> bytes:
    """KEY with one user id that states this validity."""
    hashed = (b"" if days is None else seconds(9, days * DAY)) + subpacket(27, bytes((flags,)))
    return KEY.primary + packet(13, TEXT) + statement(0x13, ABOUT_USER, created, hashed)


@pytest.mark.parametrize("code", [None, 0, 1, 2, 3])
def test_a_revocation_counts_from_any_copy(code: int | None) -> None:
    """A copy without the revocation is judged as the copy that has it would be, at every time."""
    for at in (NOW, SIGNED_AT):
        alone, elsewhere = judged(GOOD, revoked(code), at=at), judged(GOOD, KEY.certificate, revoked(code), at=at)
        assert (elsewhere.reasons, elsewhere.next_change) == (alone.reasons, alone.next_change)
    assert judged(GOOD, KEY.certificate, revoked(code)).reasons == (
        Reason.COMPROMISED if code == 2 else Reason.REVOKED,
    )


def test_a_subkeys_revocation_counts_from_any_copy() -> None:
    """A revoked subkey does not sign, whichever copy says so; the primary key still does."""
    revocation = statement(0x28, KEY.framed + SUB.framed, SIGNED + DAY, reason_for_revocation(2))
    copy = BOUND + revocation
    assert judged(SUB_SIGNED, BOUND, copy).reasons == (Reason.COMPROMISED,)
    assert judged(GOOD, BOUND, copy).reasons == ()
    assert judged(GOOD, KEY.certificate, copy).reasons == ()


def test_nobody_else_withdraws_a_key() -> None:
    """Revocations by others, over other keys, by an appointed revoker, or unreadable ones in a copy change nothing."""
    appoints = subpacket(12, b"\x80\x16" + bytes.fromhex(STRANGER.fingerprint))
    appointing = KEY.primary + KEY.user_id() + statement(0x1F, KEY.framed, CREATED, appoints)
    by_stranger = packet(2, STRANGER.signature(0x20, KEY.framed))
    for bad in (
        KEY.primary + statement(0x20, KEY.framed, SIGNED, b"", STRANGER) + KEY.user_id(),
        KEY.primary + statement(0x20, STRANGER.framed, SIGNED, b"") + KEY.user_id(),
        KEY.primary + packet(2, b"\x04\x20\x16\x08\x00") + KEY.user_id(),
        KEY.primary + packet(2, b"\x09\x20\x16\x08\x00\x00\x00\x00") + KEY.user_id(),
        appointing + by_stranger,
        STRANGER.primary + packet(2, STRANGER.signature(0x20, STRANGER.framed)) + STRANGER.user_id(),
        KEY.primary + statement(0x28, KEY.framed + SUB.framed, SIGNED, b"") + KEY.user_id(),
    ):
        assert judged(GOOD, KEY.certificate, bad).reasons == ()
        assert judged(SUB_SIGNED, BOUND, bad).reasons == ()


def test_a_later_shorter_life_counts_and_a_longer_one_does_not() -> None:
    """Of a key's statements the newest ends it, wherever it stands; no copy makes it live longer."""
    end = CREATED_AT + timedelta(days=100)
    short, long = renewed(100), renewed(4000)
    assert judged(GOOD, KEY.certificate, short).reasons == (Reason.EXPIRED,)
    assert judged(GOOD, KEY.certificate, short).expired_since
    early = judged(GOOD, KEY.certificate, short, at=end - timedelta(days=1))
    assert (early.reasons, early.not_after, early.next_change) == ((), end, end)
    assert judged(GOOD, short, long).reasons == (Reason.EXPIRED,)
    assert judged(GOOD, short, KEY.certificate).reasons == (Reason.EXPIRED,)
    superseded = renewed(50, created=CREATED)
    assert judged(GOOD, long, superseded).reasons == ()
    ahead = renewed(100, created=SIGNED + 400 * DAY)
    foretold = judged(GOOD, KEY.certificate, ahead)
    assert (foretold.reasons, foretold.next_change) == ((), SIGNED_AT + timedelta(days=400))


def test_what_a_copy_takes_back() -> None:
    """A withdrawn user id, signing taken out of the flags, and a subkey's earlier end count from a copy."""
    withdrawn = KEY.certificate + statement(0x30, ABOUT_USER, SIGNED, b"")
    assert judged(GOOD, KEY.certificate, withdrawn).reasons == (Reason.PATH_INVALID,)
    assert judged(GOOD, KEY.certificate, renewed(None, flags=CERTIFY)).reasons == (Reason.PATH_INVALID,)
    covered = KEY.framed + SUB.framed
    for hashed, reason in (
        (seconds(9, 40 * DAY) + subpacket(27, bytes((SIGN,))), Reason.EXPIRED),
        (subpacket(27, bytes((CERTIFY,))), Reason.PATH_INVALID),
    ):
        copy = KEY.certificate + packet(14, SUB.body) + statement(0x18, covered, SIGNED + DAY, hashed)
        assert judged(SUB_SIGNED, BOUND, copy).reasons == (reason,)


def test_a_copy_gives_nothing() -> None:
    """Subkeys, bindings, user ids and leave to sign that only another copy has do not count, and one cut out of it takes nothing."""
    assert judged(SUB_SIGNED, KEY.certificate, BOUND).reasons == (Reason.UNKNOWN_ROOT,)
    assert judged(SUB_SIGNED, KEY.certificate + packet(14, SUB.body), BOUND).reasons == (Reason.PATH_INVALID,)
    assert judged(GOOD, KEY.primary, KEY.certificate).reasons == (Reason.PATH_INVALID,)
    assert judged(GOOD, renewed(None, flags=CERTIFY), KEY.certificate).reasons == (Reason.PATH_INVALID,)
    assert judged(GOOD, revoked(1), KEY.certificate).reasons == (Reason.REVOKED,)
    newer = statement(0x18, KEY.framed + SUB.framed, SIGNED + DAY, subpacket(27, bytes((SIGN,))))
    stripped = KEY.certificate + packet(14, SUB.body) + newer
    assert judged(SUB_SIGNED, BOUND, stripped, KEY.primary).reasons == ()


def test_forged_statements_hide_no_revocation() -> None:
    """A copy full of signatures that do not hold is dropped after so many, and neither hides nor withdraws anything."""
    forged = b"".join(statement(0x20, KEY.framed, SIGNED + i, b"", STRANGER) for i in range(MAX_CHECKS_PER_COPY + 1))
    poisoned = KEY.primary + forged + KEY.user_id()
    assert judged(GOOD, KEY.certificate, poisoned).reasons == ()
    assert judged(GOOD, KEY.certificate, poisoned, revoked(2)).reasons == (Reason.COMPROMISED,)
    hidden = KEY.primary + forged + packet(2, KEY.signature(0x20, KEY.framed, created=SIGNED - DAY)) + KEY.user_id()
    assert judged(GOOD, KEY.certificate, hidden).reasons == ()
    many = [renewed(None, created=SIGNED + i) for i in range(MAX_COPIES + 1)]
    added = with_copies(load_keys(KEY.certificate)[0], tuple(one for copy in many for one in load_keys(copy)))
    assert len(added.self_signatures) == 1 + MAX_COPIES


def test_a_statement_stands_once_however_it_is_dressed() -> None:
    """Variants of one signature that differ in what is not signed cost one check and are one statement."""
    revocations = b"".join(
        packet(2, KEY.signature(0x20, KEY.framed, unhashed=subpacket(100, bytes((i,))))) for i in range(100)
    )
    key = load_keys(KEY.certificate)[0]
    copies = load_keys(KEY.primary + revocations + KEY.user_id())
    merged = with_copies(key, copies)
    assert [one.role for one in merged.self_signatures] == ["certification", "key_revocation"]
    assert (merged.components, merged.user_ids, merged.data) == (key.components, key.user_ids, key.data)
    assert with_copies(key, load_keys(KEY.certificate)) is key
