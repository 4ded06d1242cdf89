"""Which root really took another's place: what proves it or lends it weight, and that no forged cross-certificate and no noise does."""

from __future__ import annotations

import struct
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.lineage_craft import anchor_of, root_key
from tests.trust_store.lineage_setup import FIRST, NEW, OLD, ROOT, flips, grade, tuf_anchor, x509_anchor
from tests.trust_store.path_craft import CA, Issued, issue
from trust_store.lineage import MAX_PROOF_BYTES, Grade, ProofKind, grade_succession, independent_places
from trust_store.model.claim import Authority, Evidence
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trust_store.model.trust_anchor import TrustAnchor

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
