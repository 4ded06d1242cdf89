"""Which key really took another's place: what proves it, and that no forgery of a proof does."""

from __future__ import annotations

import json
import struct
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.lineage_craft import anchor_of, apk_lineage, prefixed, root_key, rotate_with_apksigner, tuf_root
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.path_craft import CA, Issued, issue
from trust_store.decode.apk_lineage import MAX_LINEAGE_BYTES, MAX_NODES, read_lineage
from trust_store.decode.openpgp_packets import split_packets
from trust_store.decode.tuf_root import MAX_ROOT_BYTES, canonical_json, read_root
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.lineage import MAX_PROOF_BYTES, Grade, Graded, ProofKind, grade_succession, independent_places
from trust_store.model.claim import Authority, Evidence
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trust_store.model.trust_anchor import TrustAnchor

x509_anchor = partial(anchor_of, AnchorKind.X509)
tuf_anchor = partial(anchor_of, AnchorKind.SIGSTORE_ROOT)
openpgp_anchor = partial(anchor_of, AnchorKind.OPENPGP)
REFUSALS = (MalformedError, ResourceLimitError, UnsupportedError)


def grade(old: TrustAnchor, new: TrustAnchor, proof: bytes | None = None) -> Grade:
    """The grade without anything said."""
    return grade_succession(old, new, proof).grade


def flips(data: bytes) -> Iterator[bytes]:
    """``data`` with one bit changed, each byte once (and the bit that goes with its place)."""
    for place in range(len(data)):
        yield data[:place] + bytes((data[place] ^ (1 << place % 8),)) + data[place + 1 :]


OLD, NEW = issue("Old root", None, CA), issue("New root", None, CA)
CROSS = issue("New root", OLD, CA, private=NEW.key)


def test_a_cross_certificate_proves_a_succession() -> None:
    """A CA certificate for the new root's name and key that verifies under the old CA's key is a cryptographic proof."""
    graded = grade_succession(x509_anchor(OLD.der), x509_anchor(NEW.der), CROSS.pem.encode())
    assert (graded.grade, graded.proof_kind, graded.proof) == (
        Grade.CRYPTOGRAPHIC, ProofKind.CROSS_CERTIFICATE, CROSS.der,
    )  # fmt: skip


def test_an_intermediate_carries_its_own_proof() -> None:
    """A successor that the predecessor itself issued needs no further proof."""
    assert grade(x509_anchor(OLD.der), x509_anchor(CROSS.der)) is Grade.CRYPTOGRAPHIC


def _forged_cross() -> dict[str, bytes]:
    stranger = issue("Old root", None, CA)
    no_sign = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return {
        "signed by a stranger who has the old name": issue("New root", stranger, CA, private=NEW.key).der,
        "for another key": issue("New root", OLD, CA).der,
        "for another name": issue("Other root", OLD, CA, private=NEW.key).der,
        "that may not issue": issue("New root", OLD, private=NEW.key).der,
        "whose key usage forbids to issue": issue("New root", OLD, CA, (no_sign, True), private=NEW.key).der,
        "with another issuer name": issue(
            "New root", OLD, CA, private=NEW.key, issuer_name=issue("Elsewhere").certificate.subject
        ).der,
        "that the new key made for the old one": issue("Old root", NEW, CA, private=OLD.key).der,
        "that is the new root alone": NEW.der,
        "that is nothing": b"",
        "that is noise": b"\x30\x82\xff\xff" + bytes(64),
        "that is too long": CROSS.der + bytes(MAX_PROOF_BYTES),
    }


@pytest.mark.parametrize("how", sorted(_forged_cross()))
def test_a_forged_cross_certificate_proves_nothing(how: str) -> None:
    """A cross-certificate that does not hand the old CA's word on stays asserted, however it looks."""
    assert grade(x509_anchor(OLD.der), x509_anchor(NEW.der), _forged_cross()[how]) is Grade.ASSERTED


def test_a_broken_digest_proves_nothing(tmp_path: Path) -> None:
    """A cross-certificate signed over SHA-1 may be somebody else's: two documents can share that digest."""
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, issued in (("old", OLD), ("new", NEW)):
        (tmp_path / f"{name}.pem").write_text(issued.pem)
        (tmp_path / f"{name}.key").write_bytes(issued.key.private_bytes(*plain))
    (tmp_path / "ca.cnf").write_text("basicConstraints=critical,CA:TRUE\n")
    run = partial(subprocess.run, check=True, capture_output=True, cwd=tmp_path)
    run(["openssl", "req", "-new", "-key", "new.key", "-subj", "/CN=New root", "-utf8", "-out", "new.csr"])
    for digest, expected in (("-sha256", Grade.CRYPTOGRAPHIC), ("-sha1", Grade.ASSERTED)):
        signer = ["-CA", "old.pem", "-CAkey", "old.key", digest, "-extfile", "ca.cnf", "-set_serial", "7"]
        run(["openssl", "x509", "-req", "-in", "new.csr", *signer, "-out", "cross.pem"])
        proof = (tmp_path / "cross.pem").read_bytes()
        assert grade(x509_anchor(OLD.der), x509_anchor(NEW.der), proof) is expected, digest


def test_only_a_ca_hands_over_to_a_ca() -> None:
    """A predecessor that is no CA, may issue no CA or has a weak key proves nothing by a signature."""
    leaf = issue("Old root", None)
    narrow = issue("Old root", None, (x509.BasicConstraints(ca=True, path_length=0), True))
    weak = issue("Old root", None, CA, private=root_key("rsa1024"))
    for old in (leaf, narrow, weak):
        proof = issue("New root", old, CA, private=NEW.key).der
        assert grade(x509_anchor(old.der), x509_anchor(NEW.der), proof) is Grade.ASSERTED


def test_no_key_succeeds_itself() -> None:
    """A self-signed certificate is no proof that its key replaced itself."""
    assert grade(x509_anchor(OLD.der), x509_anchor(OLD.der), OLD.der) is Grade.ASSERTED


def test_a_changed_cross_certificate_proves_nothing() -> None:
    """No cross-certificate with one byte changed is a cryptographic proof."""
    old, new = x509_anchor(OLD.der), x509_anchor(NEW.der)
    assert all(grade(old, new, changed) is Grade.ASSERTED for changed in flips(CROSS.der))


FIRST, SECOND, THIRD = (issue(f"signer {n}", None) for n in "123")
LINEAGE = apk_lineage(FIRST, SECOND, THIRD)


def test_an_android_lineage_proves_a_succession_over_any_number_of_steps() -> None:
    """Every certificate signed by the one before: each earlier one is succeeded by each later one, and never the reverse."""
    ones = [x509_anchor(s.der) for s in (FIRST, SECOND, THIRD)]
    raw = anchor_of(AnchorKind.RAW, THIRD.decoded.spki)
    assert grade(ones[0], ones[1], LINEAGE) is Grade.CRYPTOGRAPHIC
    assert grade_succession(ones[0], ones[2], LINEAGE) == Graded(
        Grade.CRYPTOGRAPHIC,
        ProofKind.APK_LINEAGE,
        LINEAGE,
        "every certificate of the signing lineage is signed by the one before it",
    )
    assert grade(ones[0], raw, LINEAGE) is Grade.CRYPTOGRAPHIC
    assert grade(ones[2], ones[0], LINEAGE) is Grade.ASSERTED
    assert grade(ones[0], x509_anchor(NEW.der), LINEAGE) is Grade.ASSERTED


def test_a_lineage_that_apksigner_wrote_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The file of 'apksigner rotate' proves the succession of its two certificates."""
    lineage, (first, second) = rotate_with_apksigner(tmp_path_factory.mktemp("apk"))
    assert [node.certificate for node in read_lineage(lineage)] == [first, second]
    assert grade(x509_anchor(first), x509_anchor(second), lineage) is Grade.CRYPTOGRAPHIC


def test_a_lineage_with_a_foreign_signature_proves_nothing() -> None:
    """One level that the level before did not sign makes the whole lineage worthless, for the levels before it as well."""
    forged = apk_lineage(FIRST, SECOND, THIRD, wrong_signer=2)
    for new in (SECOND, THIRD):
        assert grade(x509_anchor(FIRST.der), x509_anchor(new.der), forged) is Grade.ASSERTED
    skipped = apk_lineage(FIRST, SECOND, THIRD, wrong_signer=0)
    assert grade(x509_anchor(FIRST.der), x509_anchor(THIRD.der), skipped) is Grade.ASSERTED


def test_a_weak_key_in_a_lineage_proves_nothing() -> None:
    """Nobody can tell who signed with a key that can be broken."""
    weak = issue("weak", None, private=root_key("rsa1024"))
    forged = apk_lineage(FIRST, weak)
    assert grade(x509_anchor(FIRST.der), x509_anchor(weak.der), forged) is Grade.ASSERTED


def test_a_changed_lineage_proves_nothing() -> None:
    """No lineage with one byte changed proves anything; the capability flags alone are signed by nobody and used for nothing."""
    lineage = apk_lineage(FIRST, SECOND)
    first, signed = struct.unpack_from("<II", lineage, 4)
    second = 8 + first
    flags = {12 + signed, second + 8 + struct.unpack_from("<I", lineage, second + 4)[0]}
    old, new = x509_anchor(FIRST.der), x509_anchor(SECOND.der)
    for place, changed in enumerate(flips(lineage)):
        assert place in flags or grade(old, new, changed) is Grade.ASSERTED, place


def node(certificate: bytes, stated: int, own: int, signature: bytes, flags: int = 23) -> bytes:
    """One node of a lineage, whatever it is worth."""
    signed = prefixed(certificate) + struct.pack("<I", stated)
    return prefixed(prefixed(signed) + struct.pack("<II", flags, own) + prefixed(signature))


def _bad_lineages() -> dict[str, bytes]:
    head = struct.pack("<I", 1)
    return {
        "empty": b"",
        "no node": head,
        "another version": struct.pack("<I", 2) + LINEAGE[4:],
        "a file of another version": struct.pack("<III", 0x3EFF39D1, 2, len(LINEAGE)) + LINEAGE,
        "a file with a tail": struct.pack("<III", 0x3EFF39D1, 1, len(LINEAGE)) + LINEAGE + b"x",
        "a file cut short": struct.pack("<III", 0x3EFF39D1, 1, len(LINEAGE) + 1) + LINEAGE,
        "one certificate": apk_lineage(FIRST),
        "a tail": LINEAGE + b"\0",
        "cut short": LINEAGE[:-1],
        "a signed first": head + node(b"a", 0, 0x201, b"s") + node(b"b", 0x201, 0, b"s"),
        "algorithms that differ": head + node(b"a", 0, 0x201, b"") + node(b"b", 0x101, 0, b"s"),
        "an algorithm nobody knows": head + node(b"a", 0, 0x999, b"") + node(b"b", 0x999, 0, b"s"),
        "flags nobody knows": head + node(b"a", 0, 0x201, b"", 64) + node(b"b", 0x201, 0, b"s"),
        "a certificate twice": head + node(b"a", 0, 0x201, b"") + node(b"a", 0x201, 0, b"s"),
        "a promise": head + node(b"a", 0, 0x201, b"") + node(b"b", 0x201, 0x201, b"s"),
        "too many": head + node(b"a", 0, 0x201, b"") + b"".join(
            node(bytes((n,)), 0x201, 0x201, b"s") for n in range(MAX_NODES)
        ),
        "too long": LINEAGE + bytes(MAX_LINEAGE_BYTES),
    }  # fmt: skip


@pytest.mark.parametrize("how", sorted(_bad_lineages()))
def test_a_lineage_is_read_strictly(how: str) -> None:
    """A lineage that is not exactly what the format says is refused, and refused means asserted."""
    with pytest.raises(REFUSALS):
        read_lineage(_bad_lineages()[how])
    assert grade(x509_anchor(FIRST.der), x509_anchor(SECOND.der), _bad_lineages()[how]) is Grade.ASSERTED


ROOT = tuf_root(1, ("ed1", "ec1", "rsa1"), 2, ("ed1", "ec1"))
NEXT = tuf_root(2, ("ed2", "ecpoint2"), 2, ("ed1", "rsa1", "ed2", "ecpoint2"))


def test_the_next_tuf_root_proves_a_succession() -> None:
    """Root N+1 signed by a threshold of root N's keys and of its own is a cryptographic proof; Ed25519, ECDSA and RSA count."""
    graded = grade_succession(tuf_anchor(ROOT), tuf_anchor(NEXT), None)
    assert (graded.grade, graded.proof_kind, graded.proof) == (Grade.CRYPTOGRAPHIC, ProofKind.TUF_ROOT, NEXT)
    pretty = json.dumps(json.loads(NEXT), indent=1).encode()
    assert grade(tuf_anchor(ROOT), tuf_anchor(pretty)) is Grade.CRYPTOGRAPHIC


def _forged_roots() -> dict[str, tuple[bytes, bytes]]:
    new = ("ed2", "ec2")
    return {
        "version skipped": (ROOT, tuf_root(3, new, 2, ("ed1", "ec1", *new))),
        "version not raised": (ROOT, tuf_root(1, new, 2, ("ed1", "ec1", *new))),
        "below the old threshold": (ROOT, tuf_root(2, new, 2, ("ed1", *new))),
        "below its own threshold": (ROOT, tuf_root(2, new, 2, ("ed1", "ec1", "ed2"))),
        "by new keys only": (ROOT, tuf_root(2, new, 2, new)),
        "by nobody": (ROOT, tuf_root(2, new, 2, ())),
        "by one key under two ids": (
            tuf_root(1, ("ed1",), 2, ("ed1",), aliases=("again=ed1",)),
            tuf_root(2, ("ed1",), 1, ("ed1", "again=ed1")),
        ),
        "by keys the old root names, of its own making": (ROOT, tuf_root(2, (*new, "ed1", "ec1"), 1, new)),
        "by a short RSA key": (
            tuf_root(1, ("rsa1024",), 1, ("rsa1024",)), tuf_root(2, new, 1, ("rsa1024", "ed2")),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("how", sorted(_forged_roots()))
def test_a_forged_tuf_root_proves_nothing(how: str) -> None:
    """Root metadata that the old root's threshold did not sign stays asserted."""
    old, new = _forged_roots()[how]
    assert grade(tuf_anchor(old), tuf_anchor(new)) is Grade.ASSERTED


def test_a_changed_tuf_root_proves_nothing() -> None:
    """No root metadata with one byte changed is a cryptographic proof where every signature in it is needed."""
    old, new = tuf_root(1, ("ed1", "ec1"), 2, ()), tuf_root(2, ("ed1", "ec1"), 2, ("ed1", "ec1"))
    assert grade(tuf_anchor(old), tuf_anchor(new)) is Grade.CRYPTOGRAPHIC
    assert all(grade(tuf_anchor(old), tuf_anchor(changed)) is Grade.ASSERTED for changed in flips(new))


def _bad_roots() -> dict[str, bytes]:
    good = json.loads(ROOT)
    signed = good["signed"]

    def with_root(**role: object) -> dict[str, object]:
        root = {**signed["roles"]["root"], **role}
        return {**good, "signed": {**signed, "roles": {"root": root}}}

    bad = {
        "targets": {**good, "signed": {**signed, "_type": "targets"}},
        "no signatures": {"signed": signed},
        "more members": {**good, "other": 1},
        "a version that is true": {**good, "signed": {**signed, "version": True}},
        "version 0": {**good, "signed": {**signed, "version": 0}},
        "threshold 0": with_root(threshold=0),
        "a threshold in text": with_root(threshold="2"),
        "a key named twice": with_root(keyids=["ed1", "ed1"]),
        "keys that are a text": with_root(keyids="ed1"),
        "too many keys": with_root(keyids=[str(n) for n in range(65)]),
        "no roles": {**good, "signed": {**signed, "roles": []}},
        "signatures that are a text": {**good, "signatures": "none"},
        "a signature with more": {**good, "signatures": [{"keyid": "a", "sig": "00", "x": 1}]},
        "a signature in capitals": {**good, "signatures": [{"keyid": "a", "sig": "AA"}]},
        "two signatures of one key": {**good, "signatures": [{"keyid": "a", "sig": "00"}, {"keyid": "a", "sig": "01"}]},
    }
    return {
        **{how: json.dumps(value).encode() for how, value in bad.items()},
        "no JSON": b"{",
        "a list": b"[]",
        "a fraction": ROOT.replace(b'"version":1', b'"version":1.0'),
        "a member twice": ROOT.replace(b'"version":1', b'"version":1,"version":1'),
        "too long": ROOT + b" " * MAX_ROOT_BYTES,
    }


@pytest.mark.parametrize("how", sorted(_bad_roots()))
def test_root_metadata_is_read_strictly(how: str) -> None:
    """What is not TUF root metadata to the letter is refused, with one of the errors for bad bytes."""
    with pytest.raises(REFUSALS):
        read_root(_bad_roots()[how])


def test_keys_that_cannot_be_read_count_for_nothing() -> None:
    """A key of an unknown kind, of another curve than its scheme or with a broken value is left out of the role."""
    whole = json.loads(ROOT)
    keys, role = whole["signed"]["keys"], whole["signed"]["roles"]["root"]["keyids"]
    pem = keys["ec1"]["keyval"]["public"]
    bad = {
        "none": None,
        "no value": {"keytype": "ed25519", "scheme": "ed25519"},
        "unknown": {"keytype": "x", "scheme": "x", "keyval": {"public": "00"}},
        "other kind": {"keytype": "rsa", "scheme": "ed25519", "keyval": {"public": "00" * 32}},
        "short": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}},
        "curve": {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp384", "keyval": {"public": pem}},
        "number": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": 1}},
        "list": {"keytype": "ed25519", "scheme": [], "keyval": {"public": "00"}},
    }
    keys.update(bad)
    role.extend([*bad, "nobody"])
    whole["signatures"].append({"keyid": "rsa1", "sig": ""})  # not yet signed
    read = read_root(json.dumps(whole).encode())
    assert sorted(read.keys) == ["ec1", "ed1", "rsa1"]
    assert [name for name, _ in read.signatures] == ["ed1", "ec1"]


def test_canonical_json_is_that_of_olpc() -> None:
    """Sorted keys, no blanks, only quote and backslash escaped, no fractions."""
    value = {"b": [1, True, None, '\n"\\é'], "a": {}}
    assert canonical_json(value) == '{"a":{},"b":[1,true,null,"\n\\"\\\\é"]}'.encode()
    with pytest.raises(MalformedError):
        canonical_json(1.5)


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


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_noise_proves_nothing_and_harms_nobody(noise: bytes, kind: int) -> None:
    """Whatever bytes are handed over as a proof, the answer is asserted and never an error."""
    pairs: list[Callable[[], tuple[TrustAnchor, TrustAnchor]]] = [
        lambda: (x509_anchor(OLD.der), x509_anchor(NEW.der)),
        lambda: (x509_anchor(FIRST.der), anchor_of(AnchorKind.RAW, noise)),
        lambda: (tuf_anchor(ROOT), tuf_anchor(noise)),
        lambda: (anchor_of(AnchorKind.RAW, noise), x509_anchor(NEW.der)),
    ]
    old, new = pairs[kind]()
    for proof in (noise, struct.pack("<I", 1) + noise, None):
        assert grade(old, new, proof) is Grade.ASSERTED


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(LINEAGE) - 1), st.binary(min_size=1, max_size=6))
def test_a_spliced_lineage_ends_in_an_error_for_bad_bytes(place: int, splice: bytes) -> None:
    """However a lineage is cut and filled, it is read or refused as bad bytes, and nothing else happens."""
    try:
        read_lineage(LINEAGE[:place] + splice + LINEAGE[place + len(splice) :])
    except REFUSALS:
        return


def said(url: str, authority: Authority = Authority.VENDOR_SITE) -> Evidence:
    """A statement that the key was rotated."""
    return Evidence("rotated", url, None, None, authority, "...")


def test_two_independent_places_corroborate() -> None:
    """The vendor itself at two registrable domains makes a succession corroborated, nothing less does."""
    two = (said("https://www.dten.com/keys"), said("https://status.dten.io/1"))
    graded = grade_succession(x509_anchor(OLD.der), x509_anchor(NEW.der), None, two)
    assert (graded.grade, graded.proof_kind) == (Grade.CORROBORATED, ProofKind.NONE)
    for few in (
        (),
        two[:1],
        (said("https://www.dten.com/"), said("https://blog.dten.com./x")),
        (two[0], said("https://forum.example/1", Authority.UNAUTHENTICATED)),
        (two[0], said("https://10.0.0.1/")),
        (two[0], said("https://[::1")),
        (two[0], said("https://localhost/")),
        (two[0], Evidence("rotated", None, None, None, Authority.SIGNED_ADVISORY, "...")),
    ):
        assert grade_succession(x509_anchor(OLD.der), x509_anchor(NEW.der), b"forged", few).grade is Grade.ASSERTED
    assert independent_places(two) == ("dten.com", "dten.io")


def test_a_proof_outranks_what_is_said() -> None:
    """What verifies is cryptographic whatever was said about it."""
    two = (said("https://www.dten.com/keys"), said("https://status.dten.io/1"))
    assert grade_succession(x509_anchor(OLD.der), x509_anchor(NEW.der), CROSS.der, two).grade is Grade.CRYPTOGRAPHIC


def test_the_craft_signs_with_the_keys_it_says() -> None:
    """The generator's keys are distinct, so that a threshold in these tests counts people and not copies."""
    assert root_key("ed1") is not root_key("ed2")
    assert isinstance(OLD, Issued)
