"""A certification by the old OpenPGP key proves a succession, and none that is a stranger's, revoked, moved or changed does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.trust_store.lineage_setup import NEW, flips, grade, openpgp_anchor, x509_anchor
from tests.trust_store.openpgp_tools import Gpg
from trust_store.decode.openpgp_packets import split_packets
from trust_store.lineage import Grade, ProofKind, grade_succession

if TYPE_CHECKING:
    from collections.abc import Iterator


class Handover:
    """Two OpenPGP keys and exports of the new one: certified by the old key, by a stranger, and not at all."""

    def __init__(self, gpg: Gpg) -> None:
        self.old_id, self.new_id, self.stranger_id = (
            gpg.make_key(f"{name} <{name}@dten.example>", "ed25519", "sign,cert") for name in ("old", "new", "stranger")
        )
        self.old, self.new = gpg.export(self.old_id), gpg.export(self.new_id)
        self.by_stranger = self._certified(gpg, self.stranger_id)
        gpg.run("--delete-keys", self.stranger_id, check=False)
        self.certified = self._certified(gpg, self.old_id)
        self.armored = gpg.export(self.new_id, armor=True)
        gpg.run("--import", data=self.certified)
        self.revoked = self._revoked(gpg)

    def _certified(self, gpg: Gpg, by: str) -> bytes:
        gpg.run("--default-key", by, "--quick-sign-key", self.new_id, at="20240201T000000")
        return gpg.export(self.new_id)

    def _revoked(self, gpg: Gpg) -> bytes:
        gpg.run("--default-key", self.old_id, "--quick-revoke-sig", self.new_id, self.old_id, at="20240301T000000")
        return gpg.export(self.new_id)


@pytest.fixture(scope="module")
def handover() -> Iterator[Handover]:
    """The keys, made once."""
    with Gpg() as gpg:
        yield Handover(gpg)


def test_a_certified_openpgp_key_proves_a_succession(handover: Handover) -> None:
    """A certification of the new key's user id by the old primary key is a cryptographic proof, binary and armoured."""
    old, new = openpgp_anchor(handover.old), openpgp_anchor(handover.new)
    for proof in (handover.certified, handover.armored):
        graded = grade_succession(old, new, proof)
        assert (graded.grade, graded.proof_kind) == (Grade.CRYPTOGRAPHIC, ProofKind.OPENPGP_CERTIFICATION)
        assert graded.proof is not None
        assert [packet.tag for packet in split_packets(graded.proof)] == [6, 13, 2]
        assert grade(old, new, graded.proof) is Grade.CRYPTOGRAPHIC
    assert grade(old, openpgp_anchor(handover.certified)) is Grade.CRYPTOGRAPHIC


def test_a_forged_openpgp_certification_proves_nothing(handover: Handover) -> None:
    """A stranger's certification, the key's own signature, one for another key or one that was revoked stays asserted."""
    old, new = openpgp_anchor(handover.old), openpgp_anchor(handover.new)
    assert grade(old, new, handover.by_stranger) is Grade.ASSERTED
    assert grade(old, new, handover.new) is Grade.ASSERTED
    assert grade(new, old, handover.certified) is Grade.ASSERTED
    assert any(packet.tag == 2 and packet.body[1] == 0x30 for packet in split_packets(handover.revoked))
    assert grade(old, new, handover.revoked) is Grade.ASSERTED
    assert grade(old, new, handover.old + handover.new) is Grade.ASSERTED
    assert grade(old, x509_anchor(NEW.der), handover.certified) is Grade.ASSERTED
    assert grade(old, new, b"\x99") is Grade.ASSERTED


def test_a_certification_moved_to_another_user_id_proves_nothing(handover: Handover) -> None:
    """The user id is what was certified: the same signature behind another one is worthless."""
    old, new = openpgp_anchor(handover.old), openpgp_anchor(handover.new)
    proof = grade_succession(old, new, handover.certified).proof
    assert proof is not None
    assert grade(old, new, proof.replace(b"new@dten", b"own@dten")) is Grade.ASSERTED


def test_a_changed_openpgp_certification_proves_nothing(handover: Handover) -> None:
    """No proof with one byte changed is a cryptographic one."""
    old, new = openpgp_anchor(handover.old), openpgp_anchor(handover.new)
    proof = grade_succession(old, new, handover.certified).proof
    assert proof is not None
    assert all(grade(old, new, changed) is Grade.ASSERTED for changed in flips(proof))
