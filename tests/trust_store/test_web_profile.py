"""The Web PKI's profile for ``server-auth``: a chain as public CAs make it passes, and every deviation is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.path_craft import AT, CA, FROM, UNTIL, Issued, alternative, ask, eku, issue, name, usage
from tests.trust_store.revocation_craft import entry, points, revocation_list, scope
from trust_store.chain.peer_names import PeerName
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.decode.x509 import load_certificate
from trust_store.model.verdict import Outcome, Reason

Extension = tuple[x509.ExtensionType, bool]
SAN = alternative(x509.DNSName("example.com"))
PEER = PeerName("dns", "example.com")
SERVER = eku(x509.OID_SERVER_AUTH)
SIGNS = usage("key_cert_sign", "crl_sign")


def _ski(private: Any) -> Extension:
    return x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False


def _aki(issuer: Issued) -> Extension:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False


def _root(*extensions: Extension, ski: bool = True, private: Any = None, basic: Extension = CA) -> Issued:
    own = private or ec.generate_private_key(ec.SECP256R1())
    return issue("root", None, basic, SIGNS, *([_ski(own)] if ski else []), *extensions, private=own)


ROOT = _root()
_KEY = ec.generate_private_key(ec.SECP256R1())
INT = issue("int", ROOT, CA, SIGNS, _ski(_KEY), _aki(ROOT), private=_KEY)


def _leaf(*extensions: Extension, issuer: Issued = INT, san: Extension | None = SAN, aki: bool = True, subject: Any = "example.com",
          purpose: Extension | None = SERVER, **options: Any) -> Issued:  # fmt: skip
    usual = [*([_aki(issuer)] if aki else []), *([san] if san else []), *([purpose] if purpose else [])]
    return issue(subject, issuer, *usual, *extensions, **options)


def _answer(leaf: Issued, *untrusted: Issued, root: Issued = ROOT, purpose: str = "server-auth") -> tuple[Reason, str]:
    found = ask(leaf, untrusted, [root], purpose=purpose, name=PEER if purpose == "server-auth" else None)
    return found.reason, found.detail


def test_a_chain_as_public_cas_make_it_passes() -> None:
    """With the usual extensions, with client authentication beside, without key usage or extended key usage."""
    for leaf in (
        _leaf(), _leaf(usage("digital_signature")), _leaf(purpose=None), _leaf(private=rsa.generate_private_key(65537, 2048)),
        _leaf(purpose=eku(x509.OID_SERVER_AUTH, x509.OID_CLIENT_AUTH)), _leaf(private=ec.generate_private_key(ec.SECP521R1())),
        _leaf(subject=None, san=alternative(x509.DNSName("example.com"), critical=True)),
    ):  # fmt: skip
        assert _answer(leaf, INT) == (Reason.TRUSTED, "3 certificates up to CN=root")


WRONG: dict[str, tuple[Issued, str]] = {
    "no alternative names": (_leaf(san=None), "7.1.2.7.12"),
    "critical names beside a subject": (
        _leaf(san=alternative(x509.DNSName("example.com"), critical=True)),
        "7.1.2.7.12",
    ),
    "a CA": (_leaf(CA), "7.1.2.7.8"),
    "no authority key": (_leaf(aki=False), "4.2.1.1"),
    "any purpose": (_leaf(purpose=eku(x509.OID_SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)), "7.1.2.7.10"),
    "code signing": (_leaf(purpose=eku(x509.OID_SERVER_AUTH, x509.OID_CODE_SIGNING)), "7.1.2.7.10"),
    "OCSP signing": (_leaf(purpose=eku(x509.OID_SERVER_AUTH, x509.OID_OCSP_SIGNING)), "7.1.2.7.10"),
    "client authentication alone": (_leaf(purpose=eku(x509.OID_CLIENT_AUTH)), "extended key usage"),
    "a critical purpose": (_leaf(purpose=(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), True)), "7.1.2.7.6"),
    "a curve of its own": (_leaf(private=ec.generate_private_key(ec.SECP256K1())), "6.1.5"),
    "usage without a use": (_leaf(usage()), "4.2.1.3"),
    "names that bind CAs": (_leaf((x509.NameConstraints([x509.DNSName("example.com")], None), True)), "4.2.1.10"),
}


@pytest.mark.parametrize("case", WRONG)
def test_end_entities_that_break_the_profile_are_refused(case: str) -> None:
    """Each is path_invalid and the detail names the section."""
    leaf, section = WRONG[case]
    reason, detail = _answer(leaf, INT)
    assert (reason, section in detail) == (Reason.PATH_INVALID, True), detail


def _int(*extensions: Extension, ski: bool = True, aki: bool = True) -> Issued:
    usual = [*([_ski(_KEY)] if ski else []), *([_aki(ROOT)] if aki else [])]
    return issue("int", ROOT, CA, SIGNS, *usual, *extensions, private=_KEY)


def test_intermediates_that_break_the_profile_are_refused() -> None:
    """A CA names its key and its issuer's, and constrains policies critically."""
    loose = x509.PolicyConstraints(3, None), False
    empty = x509.AuthorityKeyIdentifier(None, None, None), False
    for middle, section in ((_int(ski=False), "4.2.1.2"), (_int(aki=False), "4.2.1.1"), (_int(loose), "4.2.1.11"),
                            (_int(empty, aki=False), "4.2.1.1")):  # fmt: skip
        reason, detail = _answer(_leaf(issuer=middle), middle)
        assert (reason, section in detail) == (Reason.PATH_INVALID, True), detail


def test_roots_that_break_the_profile_are_refused() -> None:
    """A root has a key identifier, and where it names an issuer's key it is its own, by key identifier alone."""
    own, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    right = x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key())
    issuer = [x509.DirectoryName(name("root"))]
    good = _root((right, False), private=own)
    assert _answer(_leaf(issuer=good), root=good)[0] is Reason.TRUSTED
    for bad in (
        _root(ski=False), _root((x509.AuthorityKeyIdentifier.from_issuer_public_key(other.public_key()), False), private=own),
        _root((x509.AuthorityKeyIdentifier(right.key_identifier, issuer, 5), False), private=own),
        _root((x509.AuthorityKeyIdentifier(None, None, None), False), private=own),
    ):  # fmt: skip
        assert _answer(_leaf(issuer=bad), root=bad)[0] is Reason.PATH_INVALID


def test_other_purposes_are_not_held_to_it() -> None:
    """What only the Web PKI demands is no fault of a private chain."""
    for leaf in (_leaf(san=None, aki=False), _leaf(san=alternative(x509.DNSName("example.com"), critical=True))):
        assert _answer(leaf, _int(ski=False, aki=False), purpose="any")[0] is Reason.TRUSTED


@pytest.mark.parametrize("kind", [mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey])
def test_ml_dsa_signatures_are_checked(kind: Any) -> None:
    """RFC 9881: a chain of such keys passes, one signed by another key of the same name does not reach the root."""

    def made(subject: str, private: Any, signer: Any, *extensions: Extension) -> Issued:
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("root")).serial_number(7)
        builder = builder.public_key(private.public_key()).not_valid_before(FROM).not_valid_after(UNTIL)
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return Issued(builder.sign(signer, None), private)

    own, stranger = kind.generate(), kind.generate()
    root = made("root", own, own, CA, SIGNS, _ski(own))
    for signer, outcome in ((own, Outcome.PASSED), (stranger, Outcome.INDETERMINATE)):
        leaf = made("example.com", kind.generate(), signer, SAN, SERVER, _aki(root))
        assert ask(leaf, [], [root], purpose="server-auth", name=PEER).outcome is outcome
    assert load_certificate(root.der).is_ca


def test_critical_distribution_points_are_understood() -> None:
    """What validation reads itself is no unknown critical extension."""
    uri = x509.UniformResourceIdentifier("http://example.com/a.crl")
    points = x509.CRLDistributionPoints([x509.DistributionPoint([uri], None, None, None)]), True
    assert _answer(_leaf(points), INT)[0] is Reason.TRUSTED


def test_lists_for_servers_are_held_to_the_profile() -> None:
    """Current lists of partitions named as the certificate names them pass; anything else about them leaves the status unknown."""
    uri, other = (x509.UniformResourceIdentifier(f"http://example.com/{n}.crl") for n in "ab")
    leaf = _leaf(points({"full_name": [uri]}), issuer=ROOT)
    named, elsewhere, mixed = (scope(full_name=names) for names in ([uri], [other], [uri, x509.DNSName("example.com")]))
    some = scope(full_name=[uri], only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))
    indirect = scope(full_name=[uri], indirect_crl=True)
    stranger = _leaf(issuer=ROOT)
    for data, reason in (
        (revocation_list(ROOT), Reason.TRUSTED), (revocation_list(ROOT, entry(stranger)), Reason.TRUSTED),
        (revocation_list(ROOT, extensions=[named]), Reason.TRUSTED), (revocation_list(ROOT, entry(leaf)), Reason.REVOKED),
        (revocation_list(ROOT, extensions=[elsewhere]), Reason.REVOCATION_UNKNOWN),
        (revocation_list(ROOT, extensions=[mixed]), Reason.REVOCATION_UNKNOWN),
        (revocation_list(ROOT, extensions=[some]), Reason.REVOCATION_UNKNOWN),
        (revocation_list(ROOT, extensions=[indirect]), Reason.REVOCATION_UNKNOWN),
        (revocation_list(ROOT, number=None), Reason.REVOCATION_UNKNOWN),
        (revocation_list(ROOT, entry(stranger), entry(stranger)), Reason.REVOCATION_UNKNOWN),
        (revocation_list(ROOT, *(entry(_numbered(n)) for n in range(1, 3000))), Reason.TRUSTED),
    ):  # fmt: skip
        parameters = ValidationParameters(at=AT, purpose="server-auth", name=PEER, profile=True)
        found = answer(PathQuestion(leaf.der, (ROOT.der,), parameters, (), (data,)))
        assert found.reason is reason, found.detail


def _numbered(number: int) -> Any:
    """Something with a serial number, which is all that an entry needs of a certificate."""
    return SimpleNamespace(certificate=SimpleNamespace(serial_number=number))
