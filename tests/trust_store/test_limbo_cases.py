"""The questions that x509-limbo asks about RFC 5280, under that suite's names, with chains made anew; its answer is expected.

What differs on purpose stands in docs/path-validation.md.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.limbo_craft import UNKNOWN, aki, constraints, leaf, loose, middle, root, ski
from tests.trust_store.path_craft import AT, Issued, alternative, ask, name, signed_anew
from trust_store.chain.peer_names import PeerName
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from pathlib import Path

DNS, MAIL, OTHER = x509.DNSName, x509.RFC822Name, x509.OtherName
Extension = tuple[x509.ExtensionType, bool]
Chain = tuple[Issued, ...]


def ip(text: str) -> x509.IPAddress:
    """An address, or with a slash the addresses of a network."""
    return x509.IPAddress(ip_network(text) if "/" in text else ip_address(text))


def directory(common: str) -> x509.DirectoryName:
    """CN=common."""
    return x509.DirectoryName(name(common))


def good(chain: Chain, *anchors: Issued, peer: str = "example.com", kind: str = "dns", **parameters: Any) -> bool:
    """Whether the chain (end entity first, its last certificate an anchor beside ``anchors``) is good for a server of that name."""
    given = {"purpose": "server-auth", "name": PeerName(kind, peer), **parameters}
    return ask(chain[0], chain[1:-1], (chain[-1], *anchors), **given).outcome is Outcome.PASSED


def mail(chain: Chain, address: str) -> bool:
    """Whether the chain is good for a client of that address."""
    return good(chain, peer=address, kind="email", purpose="client-auth")


def direct(*on_leaf: Extension, top: Issued | None = None, **parts: Any) -> Chain:
    """An end entity under a root."""
    top = top or root()
    return leaf(top, *on_leaf, **parts), top


def below(*on_middle: Extension, pathlen: int | None = None, ca: Any = None, **parts: Any) -> Chain:
    """An end entity under an intermediate, whose parts are ``ca``."""
    top = root()
    between = middle(top, *on_middle, pathlen=pathlen, **(ca or {}))
    return leaf(between, **parts), between, top


def chain_of(*lengths: int | None) -> Chain:
    """An end entity under intermediates of these path lengths, topmost first."""
    found = [root()]
    for length in lengths:
        found.append(middle(found[-1], pathlen=length))
    return (leaf(found[-1]), *reversed(found))


def test_path_lengths() -> None:
    """Namespace pathlen: a CA's limit counts the intermediates below it that are not self-issued, and never the end entity."""
    for length in (0, 1, 2):
        assert good(chain_of(length)), length
    assert good(chain_of(1, 2))
    assert not good(chain_of(0, 0))
    assert not good(chain_of(1, 0, 0))
    top = root()
    first = middle(top, pathlen=1)
    second = middle(first, pathlen=1, subject=first.certificate.subject)
    third = middle(second, pathlen=0)
    assert good((leaf(third), third, second, first, top))
    for depth, passed in ((0, False), (1, True)):
        assert good(chain_of(None), max_depth=depth) is passed
    assert good(
        (leaf(again := middle(mid := middle(top), subject=mid.certificate.subject)), again, mid, top), max_depth=1
    )


def test_a_ca_as_end_entity() -> None:
    """pathlen::validation-ignores-pathlen-in-leaf, rfc5280::ca-as-leaf: no fault of the path; a server's certificate is none (BR)."""
    top = root()
    first = middle(top, pathlen=0)
    chain = middle(first, pathlen=0), first, top
    assert good(chain, purpose="any")
    assert not good(chain)
    assert not good(chain, purpose="any", peer="other.example.com")


USES = loose("digital_signature", "key_cert_sign")
NO_CA, EMPTY_USAGE = (x509.BasicConstraints(ca=False, path_length=None), True), loose()
AIA = x509.AuthorityInformationAccess([x509.AccessDescription(x509.OID_CA_ISSUERS, DNS("example.com"))])
TWICE = alternative(DNS("example.com"))


def _stranger() -> Chain:
    top = root()
    between = middle(top, pathlen=0)
    return leaf(between), between, top, root(subject="unrelated")


def _mismatched() -> bool:
    """rfc5280::mismatching-signature-algorithm on the end entity: what is named inside is not what is named outside."""
    made, top = direct()
    changed = signed_anew(made, top.key, b"", b"", outer=(b"\x04\x03\x02", b"\x04\x03\x03"))
    parameters = ValidationParameters(at=AT, purpose="server-auth", name=PeerName("dns", "example.com"), profile=True)
    return answer(PathQuestion(changed, (top.der,), parameters)).outcome is Outcome.PASSED


BASIC: dict[str, tuple[Chain, bool]] = {
    "ee-empty-issuer": (direct(issuer_name=name(None), subject="empty-issuer"), False),
    "ca-empty-subject": (direct(top=root(subject=None, issuer_name=name("x509-limbo-root"))), False),
    "unknown-critical-extension-ee": (direct((UNKNOWN, True)), False),
    "unknown-critical-extension-root": (direct(top=root((UNKNOWN, True))), False),
    "unknown-critical-extension-intermediate": (below((UNKNOWN, True), pathlen=0), False),
    "critical-unknown-elsewhere": (direct((UNKNOWN, False)), True),
    "chain-untrusted-root": (_stranger(), False),
    "intermediate-ca-without-ca-bit": (below(ca={"basic": NO_CA}), False),
    "intermediate-ca-missing-basic-constraints": (below(ca={"basic": None}), False),
    "root-missing-basic-constraints": (direct(top=root(basic=None)), False),
    "root-non-critical-basic-constraints": (direct(top=root(basic=(x509.BasicConstraints(ca=True, path_length=None), False))), False),
    "root-inconsistent-ca-extensions": (direct(top=root(usage=EMPTY_USAGE)), False),
    "ica-ku-keycertsign": (below(pathlen=0, ca={"usage": EMPTY_USAGE}), False),
    "leaf-ku-keycertsign": (direct(NO_CA, usage=USES), False),
    "ee-aia": (direct((AIA, False)), True),
    "ee-critical-aia-invalid": (direct((AIA, True)), False),
    "duplicate-extensions": (direct(TWICE), False),
    "no-keyusage": (direct(usage=None), True),
    "no-basicconstraints": (direct(), True),
    "aki::critical-aki": (direct(top=root(private=(_KEY := ec.generate_private_key(ec.SECP256R1())), aki=aki(_KEY, critical=True))), False),
    "aki::leaf-missing-aki": (direct(aki=None), False),
    "aki::intermediate-missing-aki": (below(pathlen=0, ca={"aki": None}), False),
    "aki::self-signed-root-missing-aki": (direct(top=root()), True),
    "aki::cross-signed-root-missing-aki": (direct(top=middle(root(), pathlen=0, aki=None)), False),
    "ski::critical-ski": (direct(top=root(private=_KEY, ski=ski(_KEY, critical=True))), False),
    "ski::root-missing-ski": (direct(top=root(ski=None)), False),
    "ski::intermediate-missing-ski": (below(ca={"ski": None}), False),
    "serial::too-long": (direct(serial=1 << 175), False),
    "san::malformed": (direct(san=(x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, b"example.com"), False)), False),
    "san::noncritical-with-empty-subject": (direct(subject=None), False),
    "san::underscore-dns": (direct(san=alternative(DNS("under_score.example.com"), DNS("example.com"))), False),
    "san::ip-in-dns": (direct(san=alternative(DNS("192.0.2.1"), DNS("example.com"))), False),
    "san::trailing-dot": (direct(san=alternative(DNS("example.org."), DNS("example.com"))), False),
    "eku::ee-eku-empty": (direct(eku=(x509.UnrecognizedExtension(x509.OID_EXTENDED_KEY_USAGE, b"\x30\x00"), False)), False),
    "eku::ee-wrong-eku": (direct(eku=(x509.ExtendedKeyUsage([x509.OID_CLIENT_AUTH]), False)), False),
    "eku::ee-without-eku": (direct(eku=None), True),
    "pc::ica-noncritical-pc": (below((x509.PolicyConstraints(3, None), False)), False),
    "root-and-intermediate-swapped": ((leaf(_ICA := middle(_TOP := root())), _TOP, _ICA), True),
}  # fmt: skip


def _raw(oid: str, value: str) -> Extension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), bytes.fromhex(value)), False


BASIC |= {
    "no policies": (direct(_raw("2.5.29.32", "3000")), False),
    "a policy twice": (direct(_raw("2.5.29.32", "300c30040602 2a0330040602 2a03")), False),
    "two policies": (direct(_raw("2.5.29.32", "300c30040602 2a0330040602 2a04")), True),
    "no access descriptions": (direct(_raw("1.3.6.1.5.5.7.1.1", "3000")), False),
    "no distribution points": (direct(_raw("2.5.29.31", "3000")), False),
    "no issuer names": (direct(_raw("2.5.29.18", "3000")), False),
    "empty policy constraints": (below(_raw("2.5.29.36", "3000")), False),
    "certificates are signed, no CA": (direct(usage=USES), False),
}


@pytest.mark.parametrize("case", BASIC)
def test_rfc5280(case: str) -> None:
    """Namespace rfc5280, but for names, validity and lists: the suite's answer."""
    chain, passes = BASIC[case]
    assert good(chain) is passes


def test_an_algorithm_named_in_two_ways() -> None:
    """rfc5280::mismatching-signature-algorithm."""
    assert not _mismatched()


def test_serial_numbers_of_zero_are_refused() -> None:
    """rfc5280::serial::zero: the library makes none, so one is signed anew."""
    made, top = direct(serial=0x0102)
    parameters = ValidationParameters(at=AT, purpose="server-auth", name=PeerName("dns", "example.com"), profile=True)
    for old, passed in ((b"\x02\x02\x01\x02", True), (b"\x02\x01\x00", False)):
        der = signed_anew(made, top.key, b"\x02\x02\x01\x02", old)
        assert (answer(PathQuestion(der, (top.der,), parameters)).outcome is Outcome.PASSED) is passed


def test_validity() -> None:
    """Namespace rfc5280::validity: whole seconds, both ends included, for root, intermediate and end entity."""
    start, end = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    top = root(dates=(start, end))
    between = middle(top, dates=(start, end))
    chain = leaf(between, dates=(start, end)), between, top
    moment = timedelta(milliseconds=5)
    for at, passed in (
        (start, True),
        (start - moment, False),
        (end, True),
        (end + moment, True),
        (end + timedelta(seconds=1), False),
    ):
        assert good(chain, at=at) is passed, at
    for expired in range(3):
        until = [datetime(2026, 1, 1, tzinfo=UTC)] * 3
        until[expired] = datetime(2020, 1, 1, tzinfo=UTC)
        top = root(dates=(datetime(2016, 1, 1, tzinfo=UTC), until[0]))
        between = middle(top, dates=(datetime(2016, 1, 1, tzinfo=UTC), until[1]))
        chain = leaf(between, dates=(datetime(2018, 1, 1, tzinfo=UTC), until[2])), between, top
        assert not good(chain, at=datetime(2022, 1, 1, tzinfo=UTC))


PRIVATE = OTHER(x509.ObjectIdentifier("1.3.6.1.4.1.55738.666.3"), b"\x05\x00")
BAD_MAIL = MAIL._init_without_validation("invalid@invalid@example.com")
NET = "192.0.2.0/24"
NAMES: dict[str, tuple[Any, list[x509.GeneralName], str, bool]] = {
    "permitted-dns-mismatch": (constraints([DNS("example.com")]), [DNS("not-example.com")], "not-example.com", False),
    "excluded-dns-match": (constraints(None, [DNS("example.com")]), [DNS("example.com")], "example.com", False),
    "permitted-dns-match": (constraints([DNS("example.com")]), [DNS("example.com")], "example.com", True),
    "permitted-dns-match-more": (constraints([DNS("example.com")]), [DNS("foo.bar.example.com")], "foo.bar.example.com", True),
    "excluded-dns-match-second": (
        constraints(None, [DNS("not-allowed.example.com")]), [DNS("example.com"), DNS("not-allowed.example.com")], "example.com", False,
    ),
    "permitted-ip-mismatch": (constraints([ip(NET)]), [ip("192.0.3.1")], "192.0.3.1", False),
    "excluded-ipv4-match": (constraints(None, [ip(NET)]), [ip("192.0.2.1")], "192.0.2.1", False),
    "excluded-ipv6-match": (constraints(None, [ip("::1/128")]), [ip("::1")], "::1", False),
    "permitted-ipv4-match": (constraints([ip(NET)]), [ip("192.0.2.1")], "192.0.2.1", True),
    "permitted-ipv6-match": (constraints([ip("::1/128")]), [ip("::1")], "::1", True),
    "excluded-match-permitted-and-excluded": (
        constraints([DNS("example.com")], [DNS("example.com")]), [DNS("example.com")], "example.com", False,
    ),
    "permitted-different-constraint-type": (constraints([ip(NET)]), [DNS("example.com")], "example.com", True),
    "excluded-different-constraint-type": (constraints(None, [ip(NET)]), [DNS("example.com")], "example.com", True),
    "invalid-dnsname-wildcard": (constraints([DNS("*.example.com")]), [DNS("foo.example.com")], "foo.example.com", False),
    "invalid-dnsname-leading-period": (constraints([DNS(".example.com")]), [DNS("foo.example.com")], "foo.example.com", False),
    "invalid-ipv4-address": (constraints([ip("127.0.0.1")]), [ip("127.0.0.1")], "127.0.0.1", False),
    "invalid-ipv6-address": (constraints([ip("::1")]), [ip("::1")], "::1", False),
    "nc-permits-invalid-dns-san": (
        constraints([DNS("example.com")]), [DNS(".example.com"), DNS("foo.example.com")], "foo.example.com", False,
    ),
    "nc-permits-invalid-ip-san": (constraints([ip(NET)]), [ip(NET), ip("192.0.2.1")], "192.0.2.1", False),
    "nc-forbids-othername": (constraints([DNS("example.com")], [PRIVATE]), [DNS("example.com"), PRIVATE], "example.com", False),
    "nc-forbids-othername-noop": (constraints([DNS("example.com")], [PRIVATE]), [DNS("example.com")], "example.com", True),
    "webpki not critical": (constraints([DNS("example.com")], critical=False), [DNS("example.com")], "example.com", True),
    "webpki not critical, binding": (constraints([DNS("other.org")], critical=False), [DNS("example.com")], "example.com", False),
    "permitted-empty-sequence-excluded-nonempty": (constraints([], [DNS("other.org")]), [DNS("example.com")], "example.com", False),
    "permitted-nonempty-excluded-empty-sequence": (constraints([DNS("example.com")], []), [DNS("example.com")], "example.com", False),
    "webpki both null": (constraints(None, None), [DNS("example.com")], "example.com", False),
    "webpki both empty": (constraints([], []), [DNS("example.com")], "example.com", False),
    "cve-2025-61727": (constraints([DNS("example.com")], [DNS("bar.example.com")]), [DNS("*.example.com")], "bar.example.com", False),
    "cve-2025-61727-nc-permits-variant": (constraints([DNS("foo.example.com")]), [DNS("*.example.com")], "foo.example.com", False),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
@pytest.mark.parametrize("at_root", [True, False])
def test_name_constraints(case: str, *, at_root: bool) -> None:
    """Namespaces rfc5280::nc, webpki::nc and cve, each with the constraints in the root and in an intermediate."""
    constrained, names, peer, passes = NAMES[case]
    san = alternative(*names)
    chain = direct(top=root(constrained), san=san) if at_root else below(constrained, ca={"san": None}, san=san)
    kind = "ip" if isinstance(names[-1], x509.IPAddress) else "dns"
    assert good(chain, peer=peer, kind=kind) is passes


def test_constraints_that_are_not_critical_are_refused_elsewhere() -> None:
    """rfc5280::nc::permitted-dns-match-noncritical, where the purpose is not a server's (4.2.1.10)."""
    chain = direct(top=root(constraints([DNS("example.com")], critical=False)))
    assert not good(chain, purpose="any")


def test_directory_names() -> None:
    """rfc5280::nc, feature name-constraint-dn: subject and alternative names lie within what is permitted and without what is not."""
    for permitted, subject, other, passes in (
        (True, "not-foo", "not-foo", False), (False, "foo", "foo", False), (True, "foo", "foo", True), (True, "not-foo", "foo", False),
        (False, "foo", "not-foo", False), (False, "bar", "baz", True), (True, "foo", "bar", False),
    ):  # fmt: skip
        tree = constraints([directory("foo")]) if permitted else constraints(None, [directory("foo")])
        chain = direct(top=root(tree), subject=subject, san=alternative(DNS("example.com"), directory(other)))
        assert good(chain) is passes, (permitted, subject, other)


def test_mail() -> None:
    """rfc5280::nc: a mailbox, a host, and nothing that cannot be read."""
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False
    for tree, names, passes in (
        (constraints([MAIL("foo@example.com")]), ["foo@example.com"], True),
        (constraints([MAIL("example.com")]), ["foo@example.com"], True),
        (constraints([BAD_MAIL]), ["foo@example.com"], False),
        (constraints([MAIL("foo@example.com")]), ["bar@example.com"], False),
        (constraints([MAIL("example.com")]), ["foo@example.com", "invalid@address@example.com"], False),
        (constraints([MAIL(".example.com")]), ["foo@example.com"], False),
        (constraints([MAIL("example.com")]), ["foo@a.example.com"], False),
    ):  # fmt: skip
        san = alternative(*(MAIL._init_without_validation(text) for text in names))
        assert mail(below(tree, ca={"san": None}, san=san, eku=client), names[0]) is passes, names


def test_constraints_apply_to_every_certificate_below_but_self_issued_ones() -> None:
    """permitted-self-issued, excluded-self-issued-leaf, not-allowed-in-ee, intermediate-with-san-rejected, restrictive-permits."""
    elsewhere, tree = alternative(DNS("not-example.com")), constraints([DNS("example.com")])
    top = root(tree, subject="not-example.com", san=elsewhere)
    again = middle(top, subject="not-example.com", san=elsewhere)
    assert good((leaf(again), again, top))
    top = root(tree)
    between = middle(top, subject="not-example.com", san=elsewhere)
    assert not good((leaf(between, subject="not-example.com", san=elsewhere), between, top), peer="not-example.com")
    for critical in (True, False):
        assert not good(direct((tree[0], critical)))
    both = constraints([DNS("permitted.example.com")], [DNS("forbidden.example.com")])
    for place in (0, 1):
        top = root(*([both] if place == 0 else []))
        first = middle(top, *([both] if place == 1 else []), san=None)
        second = middle(first, san=alternative(DNS("forbidden.example.com")))
        end = leaf(second, san=alternative(DNS("permitted.example.com")))
        assert not good((end, second, first, top), peer="permitted.example.com")
    foo, bar = DNS("foo.example.com"), DNS("bar.example.com")
    for first_tree, second_tree in (([foo, bar], [bar]), ([bar], [foo, bar])):
        top = root()
        first = middle(top, constraints(first_tree), san=None)
        second = middle(first, constraints(second_tree), san=None)
        assert not good((leaf(second, san=alternative(foo)), second, first, top), peer="foo.example.com")
        assert good((leaf(second, san=alternative(bar)), second, first, top), peer="bar.example.com")


def test_another_way_around_constraints_is_found() -> None:
    """nc-forbids-alternate-chain-ica, nc-forbids-same-chain-ica: one CA certified twice, one of the two ways is good."""
    private = ec.generate_private_key(ec.SECP256R1())
    both = constraints([DNS("permitted.example.com")], [DNS("forbidden.example.com")])
    lost, top = root(san=None), root(san=None)
    above = middle(top, both, san=None)
    one = middle(lost, private=private, subject="an-intermediate", san=alternative(DNS("forbidden.example.com")))
    two = middle(above, private=private, subject="an-intermediate", san=None)
    end = leaf(one, subject="permitted.example.com", san=alternative(DNS("permitted.example.com")))
    for order in ((above, one, two), (two, one, above)):
        assert good((end, *order, top), peer="permitted.example.com")
    top_a, top_b = root(san=None), root(san=None)
    above = middle(top_a, constraints(None, [DNS("forbidden.example.com")]), san=None)
    one = middle(above, private=private, subject="an-intermediate", san=alternative(DNS("forbidden.example.com")))
    two = middle(
        top_b, private=private, subject="an-intermediate", san=alternative(DNS("unconstrained-ica.example.com"))
    )
    end = leaf(one, subject="free.example.com", san=alternative(DNS("free.example.com")))
    for order in ((above, one, two), (two, one, above)):
        assert good((end, *order, top_a), top_b, peer="free.example.com")


def test_ml_dsa_keys_sign_and_do_nothing_else() -> None:
    """Namespace rfc9881, and RFC 9295 for Edwards curves by analogy: no key usage that encrypts."""
    for kind in (mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey):
        assert good(direct(top=root(private=kind.generate()), private=kind.generate()))
    top, stranger = (root(private=mldsa.MLDSA44PrivateKey.generate()) for _ in range(2))
    assert not good((leaf(stranger, aki=aki(top.key), private=mldsa.MLDSA44PrivateKey.generate()), top))
    for bit in ("key_encipherment", "key_agreement", "data_encipherment"):
        uses = loose("digital_signature", bit)
        assert not good(direct(top=top, private=mldsa.MLDSA44PrivateKey.generate(), usage=uses)), bit
        assert good(direct(usage=uses)), bit


def test_curves_are_named(tmp_path: Path) -> None:
    """webpki::explicit-curve: parameters spelt out are refused whatever the purpose (RFC 5480 2.1.1)."""
    file = tmp_path / "key.pem"
    make = "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout", "-out", str(file)
    subprocess.run(["openssl", *make], check=True, capture_output=True)
    request = "req", "-x509", "-new", "-key", str(file), "-subj", "/CN=root", "-days", "30"
    made = subprocess.run(["openssl", *request], check=True, capture_output=True).stdout
    top = Issued(x509.load_pem_x509_certificate(made), load_pem_private_key(file.read_bytes(), None))
    for purpose in ("any", "server-auth"):
        at = top.certificate.not_valid_before_utc + timedelta(hours=1)
        found = ask(leaf(top), [], [top], at=at, purpose=purpose)
        assert (found.outcome is Outcome.PASSED, "RFC 5480" in found.detail) == (False, True)
