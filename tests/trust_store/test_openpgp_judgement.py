"""Whether the key behind an OpenPGP signature counted at a time T, beside GnuPG."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pysequoia
import pytest

from tests.trust_store.openpgp_craft import CERTIFY, CREATED, SIGNED, CraftedKey, packet, seconds, subpacket
from tests.trust_store.openpgp_tools import DOCUMENT, NOW, Gpg, fact, judged
from trust_store.chain.openpgp import judge
from trust_store.decode.openpgp import load_keys
from trust_store.decode.openpgp_packets import split_packets
from trust_store.model.verdict import Reason
from trust_store.signatures.openpgp import second_opinion

KEY, SUB = CraftedKey(1), CraftedKey(2, CREATED + 86400)
GOOD = packet(2, KEY.signature(0, DOCUMENT))
SUB_SIGNED = packet(2, SUB.signature(0, DOCUMENT))
DAY = 86400
CREATED_AT = datetime.fromtimestamp(CREATED, UTC)
SIGNED_AT = datetime.fromtimestamp(SIGNED, UTC)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """One GnuPG home for this module."""
    with Gpg() as home:
        yield home


def reason_for_revocation(code: int | None) -> bytes:
    """The subpacket, or nothing."""
    return b"" if code is None else subpacket(29, bytes((code,)) + b"because")


def revoked(code: int | None, *, created: int = SIGNED + 30 * DAY, **options: object) -> bytes:
    """KEY with a revocation of its primary key."""
    signature = KEY.signature(0x20, KEY.framed, created=created, hashed=reason_for_revocation(code), **options)  # type: ignore[arg-type]
    return KEY.primary + packet(2, signature) + KEY.user_id()


def test_a_good_signature_has_nothing_against_it() -> None:
    """Primary key, self-signature and document signature in order give no reasons, no end and no change."""
    judgement = judged(GOOD, KEY.certificate)
    assert (judgement.reasons, judgement.detail, judgement.not_after, judgement.next_change) == ((), "", None, None)
    assert judgement.component
    assert judgement.component.fingerprint == KEY.fingerprint
    assert not judgement.expired_since
    assert not judgement.renewed_since


def test_a_naive_time_is_refused() -> None:
    """A time without a zone has no meaning."""
    with pytest.raises(ValueError, match="zone"):
        judge(fact(GOOD), load_keys(KEY.certificate)[0], NOW.replace(tzinfo=None))


def test_another_key_made_it() -> None:
    """A key that is not named is no signer; a named one that does not fit makes the signature invalid."""
    judgement = judged(GOOD, CraftedKey(9).certificate)
    assert (judgement.component, judgement.reasons) == (None, (Reason.UNKNOWN_ROOT,))
    broken = judged(GOOD, KEY.certificate, data=DOCUMENT + b"x")
    assert broken.reasons == (Reason.INVALID_SIGNATURE,)
    assert broken.component


@pytest.mark.parametrize("reason", [0, 1, 2, 3])
def test_gpg_revocations(gpg: Gpg, reason: int) -> None:
    """Every reason GnuPG offers makes the key revoked now, for signatures of any claimed age, as in GnuPG."""
    fingerprint = gpg.make_key(f"revoked-{reason}", "ed25519")
    signature = gpg.sign(fingerprint)
    key = gpg.revoke(fingerprint, reason)
    assert judged(signature, key).reasons == (Reason.COMPROMISED if reason == 1 else Reason.REVOKED,)
    assert "REVKEYSIG" in gpg.verdict(signature, "20240601T000000")
    before = judged(signature, key, datetime(2024, 2, 10, tzinfo=UTC))
    assert bool(before.reasons) is (reason in (0, 1))


@pytest.mark.parametrize(
    ("code", "now", "before"),
    [
        (None, Reason.REVOKED, Reason.REVOKED),
        (0, Reason.REVOKED, Reason.REVOKED),
        (2, Reason.COMPROMISED, Reason.COMPROMISED),
        (1, Reason.REVOKED, None),
        (3, Reason.REVOKED, None),
        (32, Reason.REVOKED, Reason.REVOKED),
        (100, Reason.REVOKED, Reason.REVOKED),
    ],
)
def test_hard_and_soft_revocations(code: int | None, now: Reason, before: Reason | None) -> None:
    """A hard revocation counts at any T; a soft one from its own time on, whatever the signature says of its age."""
    assert judged(GOOD, revoked(code)).reasons == (now,)
    earlier = judged(GOOD, revoked(code), SIGNED_AT)
    assert earlier.reasons == ((before,) if before else ())
    assert earlier.next_change == (None if before else SIGNED_AT + timedelta(days=30))
    signature = SUB_SIGNED
    revocation = KEY.signature(
        0x28, KEY.framed + SUB.framed, created=SIGNED + 30 * DAY, hashed=reason_for_revocation(code)
    )
    key = KEY.certificate + KEY.subkey(SUB) + packet(2, revocation)
    assert judged(signature, key).reasons == (now,)
    assert judged(GOOD, key).reasons == ()


def test_signature_times() -> None:
    """A signature from the future is not yet valid, an expired one is expired, and the change is foretold."""
    signature = packet(2, KEY.signature(0, DOCUMENT, hashed=seconds(3, 10 * DAY)))
    end = SIGNED_AT + timedelta(days=10)
    early = judged(signature, KEY.certificate, SIGNED_AT - timedelta(seconds=1))
    assert (early.reasons, early.next_change) == ((Reason.NOT_YET_VALID,), SIGNED_AT)
    good = judged(signature, KEY.certificate, SIGNED_AT)
    assert (good.reasons, good.next_change) == ((), end)
    late = judged(signature, KEY.certificate, end)
    assert (late.reasons, late.next_change, late.expired_since) == ((Reason.EXPIRED,), None, False)


def test_key_expiry() -> None:
    """A key that expired since is told apart from one that had expired when the signature claims to be made."""
    key = KEY.primary + KEY.user_id(hashed=seconds(9, 60 * DAY))
    end = CREATED_AT + timedelta(days=60)
    alive = judged(GOOD, key, end - timedelta(seconds=1))
    assert (alive.reasons, alive.not_after, alive.next_change) == ((), end, end)
    since = judged(GOOD, key, end)
    assert (since.reasons, since.expired_since) == ((Reason.EXPIRED,), True)
    dead = judged(GOOD, KEY.primary + KEY.user_id(hashed=seconds(9, DAY)), SIGNED_AT)
    assert (dead.reasons, dead.expired_since) == ((Reason.EXPIRED,), False)


def test_gpg_expiry_and_renewal(gpg: Gpg) -> None:
    """An expired key is expired as in GnuPG; renewed by its owner it counts again, and the renewal is said."""
    fingerprint = gpg.make_key("expiring", "ed25519", expire="90d")
    signature, key = gpg.sign(fingerprint), gpg.export(fingerprint)
    assert judged(signature, key).reasons == (Reason.EXPIRED,)
    assert "EXPKEYSIG" in gpg.verdict(signature, "20240601T000000")
    gpg.run("--quick-set-expire", fingerprint, "2y", at="20240515T000000")
    renewed = gpg.export(fingerprint)
    assert "GOODSIG" in gpg.verdict(signature, "20240601T000000")
    judgement = judged(signature, renewed)
    assert (judgement.reasons, judgement.renewed_since) == ((), True)
    assert second_opinion(DOCUMENT, fact(signature), renewed) is False
    assert judged(signature, key + b"".join(_signatures(renewed)), NOW).renewed_since is False


def _signatures(key: bytes) -> list[bytes]:
    """The self-certification packets of a certificate, to be merged into another version of it."""
    return [packet(one.tag, one.body) for one in split_packets(key) if one.tag == 2]


def test_the_newest_self_signature_counts() -> None:
    """Of several certifications the newest that holds, is made by T and not withdrawn states the expiry."""
    text = b"u"
    covered = KEY.framed + b"\xb4" + len(text).to_bytes(4, "big") + text

    def certification(created: int, days: int, signer: CraftedKey = KEY) -> bytes:
        return packet(
            2, signer.signature(0x13, covered, created=created, hashed=seconds(9, days * DAY), issuer=KEY.issuer)
        )

    first, second = certification(CREATED, 40), certification(CREATED + 20 * DAY, 400)
    forged = certification(CREATED + 25 * DAY, 4000, CraftedKey(3))
    key = KEY.primary + packet(13, text) + second + forged + first
    assert judged(GOOD, key, NOW).not_after == CREATED_AT + timedelta(days=400)
    early = judged(GOOD, key, CREATED_AT + timedelta(days=19))
    assert (early.not_after, early.next_change) == (CREATED_AT + timedelta(days=40), CREATED_AT + timedelta(days=20))
    withdrawn = packet(2, KEY.signature(0x30, covered, created=CREATED + 30 * DAY))
    assert judged(GOOD, key + withdrawn).reasons == (Reason.PATH_INVALID,)
    direct = packet(
        2, KEY.signature(0x1F, KEY.framed, created=CREATED, hashed=seconds(9, 300 * DAY) + subpacket(27, b"\x03"))
    )
    with_direct = KEY.primary + direct + packet(13, text) + second
    assert judged(GOOD, with_direct).not_after == CREATED_AT + timedelta(days=300)
    assert judged(GOOD, with_direct + withdrawn).reasons == ()
    only_later = KEY.primary + packet(13, text) + certification(SIGNED + 300 * DAY, 1000)
    later = judged(GOOD, only_later)
    assert (later.reasons, later.next_change) == ((Reason.NOT_YET_VALID,), SIGNED_AT + timedelta(days=300))


def test_a_primary_key_without_a_self_signature_is_nobodys() -> None:
    """No self-signature, a forged one, an expired one or one with an unread critical part: the key does not count."""
    forged = KEY.primary + packet(13, b"u") + packet(2, CraftedKey(3).signature(0x13, b"", issuer=KEY.issuer))
    expired = KEY.primary + KEY.user_id(hashed=seconds(3, DAY))
    strange = KEY.primary + KEY.user_id(hashed=subpacket(20, bytes(8), critical=True))
    for key in (KEY.primary, forged, strange):
        assert judged(GOOD, key).reasons == (Reason.PATH_INVALID,)
    lapsed = judged(GOOD, expired)
    assert (lapsed.reasons, lapsed.expired_since) == ((Reason.EXPIRED,), False)


def test_a_signature_older_than_its_key_does_not_count() -> None:
    """A signature that claims to be older than its key, or a key from the future, is not valid yet."""
    old = packet(2, KEY.signature(0, DOCUMENT, created=CREATED - 1))
    assert judged(old, KEY.certificate).reasons == (Reason.NOT_YET_VALID,)
    assert Reason.NOT_YET_VALID in judged(GOOD, KEY.certificate, CREATED_AT - timedelta(days=1)).reasons


def test_primary_key_flags() -> None:
    """A primary key that is only for certifying, or that does not say what it is for, does not sign documents."""
    assert judged(GOOD, KEY.primary + KEY.user_id(flags=CERTIFY)).reasons == (Reason.PATH_INVALID,)
    assert judged(GOOD, KEY.primary + KEY.user_id(flags=None)).reasons == (Reason.PATH_INVALID,)


def test_subkeys_are_bound_both_ways() -> None:
    """A signing subkey needs a binding with the signing flag and its own signature in return."""
    primary = KEY.primary + KEY.user_id(flags=CERTIFY)
    good = judged(SUB_SIGNED, primary + KEY.subkey(SUB))
    assert good.reasons == ()
    assert good.component
    assert good.component.fingerprint == SUB.fingerprint
    covered = KEY.framed + SUB.framed
    bad = {
        "no binding": packet(14, SUB.body),
        "binding by another": packet(14, SUB.body)
        + packet(2, CraftedKey(3).signature(0x18, covered, issuer=KEY.issuer)),
        "no back signature": KEY.subkey(SUB, back=b""),
        "broken back signature": KEY.subkey(SUB, back=b"\x04"),
        "back signature by another": KEY.subkey(SUB, back=CraftedKey(3).signature(0x19, covered)),
        "back signature over another key": KEY.subkey(SUB, back=SUB.signature(0x19, CraftedKey(3).framed + SUB.framed)),
        "back signature of another type": KEY.subkey(SUB, back=SUB.signature(0x18, covered)),
        "expired back signature": KEY.subkey(SUB, back=SUB.signature(0x19, covered, hashed=seconds(3, 1))),
        "back signature without time": KEY.subkey(SUB, back=SUB.signature(0x19, covered, created=None)),
        "no signing flag": KEY.subkey(SUB, flags=0x04),
        "no flags": KEY.subkey(SUB, flags=None),
        "empty flags": packet(14, SUB.body)
        + packet(
            2,
            KEY.signature(0x18, covered, hashed=subpacket(27, b"") + subpacket(32, SUB.signature(0x19, covered))),
        ),
    }
    for name, subkey in bad.items():
        assert (name, judged(SUB_SIGNED, primary + subkey).reasons) == (name, (Reason.PATH_INVALID,))


def test_a_binding_that_lapsed_is_a_matter_of_time() -> None:
    """A subkey whose binding has expired counts no more; before that it did, and the change was foretold."""
    covered = KEY.framed + SUB.framed
    hashed = (
        seconds(3, 50 * DAY) + subpacket(27, b"\x02") + subpacket(32, SUB.signature(0x19, covered, created=SUB.created))
    )
    binding = KEY.signature(0x18, covered, created=SUB.created, hashed=hashed)
    key = KEY.certificate + packet(14, SUB.body) + packet(2, binding)
    end = CREATED_AT + timedelta(days=51)
    assert judged(SUB_SIGNED, key).reasons == (Reason.EXPIRED,)
    early = judged(SUB_SIGNED, key, SIGNED_AT)
    assert (early.reasons, early.next_change) == ((), end)


@pytest.mark.parametrize("suite", ["Cv25519", "Cv448"])
def test_version_6_keys_are_judged(suite: str) -> None:
    """A version 6 key needs its direct-key signature, and its subkey is bound like any other."""
    secret = pysequoia.Tsk.generate(
        "six", profile=pysequoia.Profile.RFC9580, cipher_suite=getattr(pysequoia.CipherSuite, suite)
    )
    key = bytes(secret.extract_certificate())
    signature = pysequoia.sign(secret.signer(), DOCUMENT, mode=pysequoia.SignatureMode.DETACHED, armor=False)
    at = fact(signature).claimed_at
    assert at
    assert judged(signature, key, at).reasons == ()
    packets = split_packets(key)
    without_direct = key[: packets[0].end] + key[packets[1].end :]
    assert judged(signature, without_direct, at).reasons == (Reason.PATH_INVALID,)


def test_gpg_subkey_stripped_of_its_back_signature(gpg: Gpg) -> None:
    """GnuPG's own signing subkey counts; with the embedded signature cut out of the unsigned area it does not."""
    fingerprint = gpg.make_key("stripped", "ed25519", "cert")
    gpg.run("--quick-add-key", fingerprint, "ed25519", "sign", "1y", at="20240102T000000")
    key, signature = gpg.export(fingerprint), gpg.sign(fingerprint)
    judgement = judged(signature, key)
    assert (judgement.reasons, judgement.not_after) == ((), datetime(2025, 1, 1, tzinfo=UTC))
    packets = split_packets(key)
    body = packets[-1].body
    hashed_end = 6 + int.from_bytes(body[4:6], "big")
    unhashed = int.from_bytes(body[hashed_end : hashed_end + 2], "big")
    stripped = body[:hashed_end] + b"\x00\x00" + body[hashed_end + 2 + unhashed :]
    assert judged(signature, key[: packets[-1].start] + packet(2, stripped)).reasons == (Reason.PATH_INVALID,)


def test_an_expired_subkey() -> None:
    """A subkey's end is in its binding, and counts beside the primary key's."""
    covered = KEY.framed + SUB.framed
    hashed = seconds(9, 50 * DAY) + subpacket(27, b"\x02") + subpacket(32, SUB.signature(0x19, covered))
    key = KEY.primary + KEY.user_id(hashed=seconds(9, 70 * DAY)) + packet(14, SUB.body)
    key += packet(2, KEY.signature(0x18, covered, created=SUB.created, hashed=hashed))
    end = CREATED_AT + timedelta(days=51)
    judgement = judged(SUB_SIGNED, key, end - timedelta(seconds=1))
    assert (judgement.reasons, judgement.not_after, judgement.next_change) == ((), end, end)
    assert judged(SUB_SIGNED, key, end).reasons == (Reason.EXPIRED,)


def test_weak_algorithms_are_said(gpg: Gpg) -> None:
    """MD5, SHA-1 and RIPEMD-160, in the signature, the self-signature, the binding and in return, and short keys are weak."""
    weak = (Reason.WEAK_ALGORITHM,)
    covered = KEY.framed + SUB.framed
    for algorithm in (1, 2):
        assert judged(packet(2, KEY.signature(0, DOCUMENT, hash_algorithm=algorithm)), KEY.certificate).reasons == weak
        assert judged(GOOD, KEY.primary + KEY.user_id(hash_algorithm=algorithm)).reasons == weak
        assert judged(SUB_SIGNED, KEY.certificate + KEY.subkey(SUB, hash_algorithm=algorithm)).reasons == weak
        back = SUB.signature(0x19, covered, created=SUB.created, hash_algorithm=algorithm)
        assert judged(SUB_SIGNED, KEY.certificate + KEY.subkey(SUB, back=back)).reasons == weak
    fingerprint = gpg.make_key("short", "rsa1024")
    assert judged(gpg.sign(fingerprint), gpg.export(fingerprint)).reasons == weak
    fingerprint = gpg.make_key("old digest", "rsa2048")
    assert judged(gpg.sign(fingerprint, "--digest-algo", "RIPEMD160"), gpg.export(fingerprint)).reasons == weak
    assert judged(gpg.sign(fingerprint), gpg.export(fingerprint)).reasons == ()


def test_gpg_and_this_program_agree(gpg: Gpg) -> None:
    """Over a spread of times, what counts here is what GnuPG calls a good signature."""
    fingerprint = gpg.make_key("agree", "nistp256", expire="120d")
    signature = gpg.sign(fingerprint, "--default-sig-expire", "60d")
    key = gpg.export(fingerprint)
    for day in (datetime(2024, 2, 2, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC), datetime(2024, 6, 2, tzinfo=UTC)):
        counts = judged(signature, key, day).reasons == ()
        assert counts is ("GOODSIG" in gpg.verdict(signature, day.strftime("%Y%m%dT%H%M%S")))
