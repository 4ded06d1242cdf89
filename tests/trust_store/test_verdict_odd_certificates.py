"""``verify_package`` raises nothing that depends on the facts, whatever certificate stands wherever one may stand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.odd_certificates_craft import (
    CODE,
    ECDSA,
    STAMPS,
    STATUS,
    certificate,
    dn,
    key_identifier,
    oddities,
)
from tests.trust_store.package_craft import tlv
from tests.trust_store.path_craft import key
from tests.trust_store.verdict_craft import AT, DTEN, anchor
from trust_store.decode.asn1 import read_one
from trust_store.decode.cms import certificate_names
from trust_store.decode.x509 import load_certificate
from trust_store.errors import TrustStoreError
from trust_store.model.certificate import Certificate
from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact, SignatureOrigin, SignerHint
from trust_store.model.trust_anchor import AnchorState, Constraints, Purpose, SignerRule
from trust_store.model.trust_view import RevocationMaterial, TrustView
from trust_store.model.verdict import Reason, Verdict
from trust_store.verification import Question, verify_package

ROOT, MIDDLE, SIGNER, TSA, STATUS_KEY = (key(number) for number in range(70, 75))
VALUE = b"the value of the signature"
EVERY = tuple(purpose.value for purpose in Purpose)
ROOT_DER = certificate("Root", "Root", ROOT, ROOT, None)
MIDDLE_DER = certificate("Middle", "Root", MIDDLE, ROOT, None)
SIGNER_DER = certificate("Signer", "Middle", SIGNER, MIDDLE, CODE)
TSA_DER = certificate("TSA", "Root", TSA, ROOT, STAMPS)
LIMITS = Constraints(
    purposes=EVERY, excluded_names=(("dns", "x.example"), ("dn", "CN=Nobody"), ("email", "e.example"), ("uri", "u.example")),
    minimum_rsa_bits=2048, digests=("sha256",), revocation="if_available", distrust_after=AT, max_path_length=3,
)  # fmt: skip
RULED = SignerRule(
    subject=(("CN", "Signer"),), san=(("dns", "a"), ("email", "a@b"), ("uri", "http://a"), ("ip", "::1"), ("dn", "CN=a")),
    spki_sha256=("0" * 64,), team_id=("T",), eku=(CODE,), policy=("1.2",),
)  # fmt: skip
ODD = oddities()
PLACES = ("signer", "middle", "root", "neighbour", "authority", "above the authority", "list issuer", "responder")


def token(signer: bytes, carried: tuple[bytes, ...], *, by_key: bool) -> bytes:
    """A timestamp over VALUE by the TSA's key, whose signer is named by key identifier or by issuer and serial number."""
    imprint = tlv(0x30, _digest("sha256"), tlv(0x04, hashlib.sha256(VALUE).digest()))
    info = tlv(0x30, b"\x02\x01\x01", b"\x06\x01\x2a", imprint, b"\x02\x01\x01", b"\x18\x0f20261101000000Z")
    issuer = dn("Root")
    named = tlv(
        0x30, tlv(0x04, hashlib.sha256(signer).digest()), tlv(0x30, tlv(0x30, tlv(0xA4, issuer)), b"\x02\x01\x05")
    )
    content_type = bytes.fromhex("060b2a864886f70d0109100104")
    attributes = tlv(0x31, *sorted((
        tlv(0x30, bytes.fromhex("06092a864886f70d010903"), tlv(0x31, content_type)),
        tlv(0x30, bytes.fromhex("06092a864886f70d010904"), tlv(0x31, tlv(0x04, hashlib.sha256(info).digest()))),
        tlv(0x30, bytes.fromhex("060b2a864886f70d010910022f"), tlv(0x31, tlv(0x30, tlv(0x30, named)))),
    )))  # fmt: skip
    who = tlv(0x80, key_identifier(TSA)) if by_key else tlv(0x30, issuer, b"\x02\x01\x05")
    value = TSA.sign(attributes, ec.ECDSA(hashes.SHA256()))
    signed = tlv(0x30, b"\x02\x01\x01", who, _digest("sha256"), b"\xa0" + attributes[1:], ECDSA, tlv(0x04, value))
    inside = tlv(0x30, content_type, tlv(0xA0, tlv(0x04, info)))
    data = tlv(0x30, b"\x02\x01\x03", tlv(0x31, _digest("sha256")), inside, tlv(0xA0, *carried), tlv(0x31, signed))
    return tlv(0x30, bytes.fromhex("06092a864886f70d010702"), tlv(0xA0, data))


def crl(issuer: str, signer: ec.EllipticCurvePrivateKey) -> bytes:
    """An empty current list."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(x509.Name.from_rfc4514_string(f"CN={issuer}"))
    builder = builder.last_update(datetime(2026, 11, 1)).next_update(datetime(2027, 1, 1))  # noqa: DTZ001 - as it stands in a list
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def response(responder: bytes, *, this_update: bytes = b"20261101000000Z") -> bytes:
    """What a responder whom the middle CA made one says of the signer."""
    spki = read_one(load_certificate(MIDDLE_DER).spki, "key").children()[1].content[1:]
    digests = (tlv(0x04, hashlib.sha1(data, usedforsecurity=False).digest()) for data in (dn("Middle"), spki))
    about = tlv(0x30, tlv(0x30, b"\x06\x05\x2b\x0e\x03\x02\x1a"), *digests, b"\x02\x01\x05")
    said = tlv(0x30, tlv(0x30, about, b"\x80\x00", tlv(0x18, this_update)))
    data = tlv(0x30, tlv(0xA1, dn("Responder")), b"\x18\x0f20261102000000Z", said)
    value = STATUS_KEY.sign(data, ec.ECDSA(hashes.SHA256()))
    basic = tlv(0x30, data, ECDSA, tlv(0x03, b"\0", value), tlv(0xA0, tlv(0x30, responder)))
    outer = tlv(0x30, bytes.fromhex("06092b0601050507300101"), tlv(0x04, basic))
    return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, outer))


def verdict(place: str, odd: dict[str, Any], *, burials: bool = True) -> Verdict:
    """What is said of a package with a stamped signature, where the certificate at ``place`` is odd; keys are buried as well, or not."""
    made = {
        "signer": lambda: certificate("Signer", "Middle", SIGNER, MIDDLE, CODE, **odd),
        "middle": lambda: certificate("Middle", "Root", MIDDLE, ROOT, None, **odd),
        "root": lambda: certificate("Root", "Root", ROOT, ROOT, None, **odd),
        "neighbour": lambda: certificate("Root", "Root", MIDDLE, MIDDLE, None, **odd),
        "authority": lambda: certificate("TSA", "Root", TSA, ROOT, STAMPS, **odd),
        "above the authority": lambda: certificate("Root", "Root", ROOT, ROOT, None, **odd),
        "list issuer": lambda: certificate("Middle", "Root", STATUS_KEY, ROOT, None, **odd),
        "responder": lambda: certificate("Responder", "Middle", STATUS_KEY, MIDDLE, STATUS, **odd),
    }[place]()
    return asked(place, made, burials=burials)


def asked(place: str, made: bytes, *responses: bytes, burials: bool = True) -> Verdict:
    """The verdict where ``made`` stands at ``place``."""
    at = {place: made}
    signer, middle, authority = at.get("signer", SIGNER_DER), at.get("middle", MIDDLE_DER), at.get("authority", TSA_DER)
    above = (at["above the authority"],) if place == "above the authority" else ()
    stamps = tuple(token(authority, (authority, *above), by_key=by_key) for by_key in (True, False))
    digest = hashlib.sha256(signer).hexdigest()
    fact = SignatureFact(
        "cms", SignatureOrigin.FOUND, None, hint=SignerHint(issuer_der=b"\x30\x00"), digest_algorithm="sha256",
        signature_algorithm="ecdsa", signature=VALUE, signed=b"x", content_matches=True, certificates=(signer, middle, made),
        timestamps=stamps, key_checks=(KeyCheck(digest, digest, holds=True),),
    )  # fmt: skip
    facts = PackageFacts("0" * 64, 1, "detached", 3, signatures=(fact, replace(fact, timestamps=())))
    root = anchor(ROOT_DER, constraints=LIMITS)
    others = [
        replace(root, id=policy, constraints=replace(LIMITS, revocation=policy)) for policy in ("off", "required")
    ]
    others.append(replace(root, id="ruled", signer_rule=RULED))
    buried = replace(anchor(TSA_DER, AnchorState.COMPROMISED), id="buried", vendor_id="other")
    odd = [
        replace(root, id=state.value, material=made, state=state)
        for state in AnchorState
        if burials and place in ("root", "neighbour")
    ]
    view = TrustView(
        anchors=(root, *others, *([buried] * burials), *odd), untrusted=_readable(made),
        revocation=RevocationMaterial(
            crls=(crl("Middle", STATUS_KEY), crl("Middle", MIDDLE), crl("Root", ROOT)),
            ocsp=(*responses, response(made if place == "responder" else MIDDLE_DER)), demanded=(crl("Root", ROOT),),
        ),
    )  # fmt: skip
    return verify_package(facts, view, Question(DTEN, AT, AT, "now", "firmware.bin"))


def _digest(name: str) -> bytes:
    return tlv(0x30, {"sha256": bytes.fromhex("0609608648016503040201")}[name])


def _readable(der: bytes) -> tuple[Certificate, ...]:
    try:
        return (load_certificate(der),)
    except TrustStoreError:
        return ()


@pytest.mark.parametrize("place", PLACES)
def test_plain_certificates_do_what_they_are_for(place: str) -> None:
    """Without anything odd path, timestamp, list and response are all looked at: what is odd below is odd in a place that counts."""
    found = verdict(place, {}, burials=False)
    assert found.signatures[0].timestamped_at == datetime.fromisoformat("2026-11-01T00:00:00+00:00")
    assert found.reason is Reason.TRUSTED


@pytest.mark.parametrize("place", PLACES)
def test_odd_certificates_are_judged(place: str) -> None:
    """Whatever is odd about a certificate and wherever it stands, there is a verdict."""
    for name, odd in ODD.items():
        try:
            verdict(place, odd)
        except Exception as error:  # noqa: BLE001 - whatever it is, it should not be there
            pytest.fail(f"{name}: {error!r}")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(PLACES),
    st.sampled_from(sorted(ODD)),
    st.integers(0, 2000),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_changed_certificates_are_judged(place: str, name: str, at: int, octets: bytes, gone: int) -> None:
    """Octets that are changed anywhere in an odd certificate raise nothing either."""
    made = certificate("Middle", "Root", MIDDLE, ROOT, None, **ODD[name])
    asked(place, made[: at % len(made)] + octets + made[at % len(made) + gone :])


def test_a_token_that_names_an_unreadable_certificate_proves_nothing() -> None:
    """A certificate that is read in one place and not in the other is not the one that a token's signed attribute names."""
    made = certificate("TSA", "Root", TSA, ROOT, STAMPS, **ODD["serial huge"])
    with pytest.raises(TrustStoreError):
        certificate_names(made)
    found = asked("authority", made)
    assert found.signatures[0].timestamped_at is None


def test_a_response_from_the_end_of_time_is_no_answer() -> None:
    """A response whose thisUpdate has no day after it is one of a later time."""
    responder = certificate("Responder", "Middle", STATUS_KEY, MIDDLE, STATUS)
    last = response(responder, this_update=b"99991231235959Z")
    assert asked("responder", responder, last).reason is not Reason.INVALID_SIGNATURE
