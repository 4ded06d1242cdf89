"""The questions that x509-limbo asks about the Web PKI, about graphs without end and about revocation lists, under that suite's names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.limbo_craft import EPOCH, FAR, aki, constraints, leaf, loose, middle, root
from tests.trust_store.path_craft import AT, Issued, alternative, ask, name, signed_anew, usage
from tests.trust_store.revocation_craft import entry, points, revocation_list, scope
from tests.trust_store.test_limbo_cases import DNS, Chain, direct, good, ip
from trust_store.chain.common_names import misspelt
from trust_store.chain.peer_names import PeerName
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.model.verdict import Outcome, Reason

EMOJI = DNS._init_without_validation("\N{FACE WITH STUCK-OUT TONGUE AND WINKING EYE}.example.com")
PEERS: dict[str, tuple[x509.GeneralName, str, bool]] = {
    "exact-dns-san": (DNS("example.com"), "example.com", True),
    "exact-localhost-ip-san": (ip("127.0.0.1"), "127.0.0.1", True),
    "mismatch-domain-san": (DNS("example.com"), "example2.com", False),
    "mismatch-subdomain-san": (DNS("abc.example.com"), "def.example.com", False),
    "mismatch-subdomain-apex-san": (DNS("example.com"), "abc.example.com", False),
    "mismatch-apex-subdomain-san": (DNS("abc.example.com"), "example.com", False),
    "public-suffix-wildcard-san": (DNS("*.com"), "example.com", False),
    "leftmost-wildcard-san": (DNS("*.example.com"), "foo.example.com", True),
    "wildcard-embedded-leftmost-san": (DNS("ba*.example.com"), "baz.example.com", False),
    "wildcard-not-in-leftmost-san": (DNS("foo.*.example.com"), "foo.bar.example.com", False),
    "wildcard-match-across-labels-san": (DNS("*.example.com"), "foo.bar.example.com", False),
    "wildcard-embedded-ulabel-san": (DNS("xn--*-1b3c148a.example.com"), "xn--bliss-1b3c148a.example.com", False),
    "unicode-emoji-san": (EMOJI, "xn--628h.example.com", False),
    "an address as a host name": (DNS("127.0.0.1"), "127.0.0.1", False),
    "a network as an address": (ip("127.0.0.0/8"), "127.0.0.1", False),
}


@pytest.mark.parametrize("case", PEERS)
def test_peer_names(case: str) -> None:
    """Namespace webpki::san: the suite's answer."""
    san, peer, passes = PEERS[case]
    kind = "ip" if peer[0].isdigit() else "dns"
    assert good(direct(san=alternative(san)), peer=peer, kind=kind) is passes


COMMON: dict[str, tuple[str, x509.GeneralName, bool]] = {
    "cabf-cn-ipv4-hex-mismatch": ("0xC0A80101", ip("192.168.1.1"), False),
    "cabf-cn-ipv4-leading-zeros-mismatch": ("192.168.001.001", ip("192.168.1.1"), False),
    "cabf-cn-ipv6-uppercase-mismatch": ("2001:DB8::8A2E:370:7334", ip("2001:db8::8a2e:370:7334"), False),
    "cabf-cn-ipv6-uncompressed-mismatch": ("2001:0db8:0000:0000:0000:0000:0000:0001", ip("2001:db8::1"), False),
    "cabf-cn-ipv6-non-rfc5952-mismatch": ("2001:db8:0:0:1:0:0:1", ip("2001:db8::1:0:0:1"), False),
    "cabf-cn-utf8-vs-punycode-mismatch": ("test-測試.com", DNS("xn--test--wg5h0h.com"), False),
    "cabf-cn-case-mismatch": ("Example.COM", DNS("example.com"), False),
    "an address as it is written": ("2001:db8::1:0:0:1", ip("2001:db8::1:0:0:1"), True),
    "no name at all": ("A Server (of 300.1.1.1)", DNS("example.com"), True),
    "another name (leftmost-wildcard-san, bettertls)": ("example.com", DNS("www.example.com"), True),
    "in the same spelling": ("Example.COM", DNS("Example.COM"), True),
}


@pytest.mark.parametrize("case", COMMON)
def test_common_names(case: str) -> None:
    """Namespace webpki::cn: a name of the peer in another spelling is refused, what is no name of the peer is passed over."""
    common, san, passes = COMMON[case]
    peer = san.value.lower() if isinstance(san, DNS) else str(san.value)
    chain = direct(subject=common, san=alternative(san))
    assert good(chain, peer=peer, kind="ip" if isinstance(san, x509.IPAddress) else "dns") is passes


def test_any_text_is_a_common_name() -> None:
    """Numbers that are no address, and addresses inside addresses, end in an answer."""
    for text, found in (("1.2.3.256", False), ("1.2.3.4.5", False), ("0x", False), ("0x123456789", False), ("", False), ("1.2.3.4", False),
                        ("::ffff:1.2.3.4", False), ("001.2.3.4", True), ("99999999999.1.1.1", False)):  # fmt: skip
        assert misspelt(text, ()) is found, text


def _purposes(*oids: x509.ObjectIdentifier, critical: bool = False) -> Any:
    return x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH, *oids]), critical


_RSA = {bits: rsa.generate_private_key(65537, bits) for bits in (1024, 2048, 2052)}
_DSA, _P192 = dsa.generate_private_key(2048), ec.generate_private_key(ec.SECP192R1())
_KEY = ec.generate_private_key(ec.SECP256R1())
_OWN = x509.SubjectKeyIdentifier.from_public_key(_KEY.public_key()).digest
_OTHERS = x509.AuthorityKeyIdentifier.from_issuer_public_key(_P192.public_key())


def _root_naming(key: bytes | None, issuer: Any = None, serial: int | None = None) -> Issued:
    made = x509.AuthorityKeyIdentifier(key, None, None)
    made._authority_cert_issuer, made._authority_cert_serial_number = issuer, serial
    return root(private=_KEY, aki=(made, False))


_ISSUER = [x509.DirectoryName(name("myCN"))]
PRECERTIFICATE = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.4")
WEB: dict[str, tuple[Chain, bool]] = {
    "malformed-aia": (direct((x509.UnrecognizedExtension(x509.OID_AUTHORITY_INFORMATION_ACCESS, b"malformed"), False)), False),
    "forbidden-p192-root": (direct(top=root(private=_P192)), False),
    "forbidden-p192-leaf": (direct(private=_P192), False),
    "forbidden-dsa-root": (direct(top=root(private=_DSA)), False),
    "forbidden-dsa-leaf": (direct(private=_DSA), False),
    "forbidden-weak-rsa-key-in-root": (direct(top=root(private=_RSA[1024])), False),
    "forbidden-weak-rsa-in-leaf": (direct(private=_RSA[1024]), False),
    "forbidden-rsa-not-divisable-by-8-in-root": (direct(top=root(private=_RSA[2052])), False),
    "forbidden-rsa-key-not-divisable-by-8-in-leaf": (direct(private=_RSA[2052]), False),
    "rsa-2048": (direct(top=root(private=_RSA[2048])), True),
    "two common names": (direct(subject=x509.Name([*name("example.com"), *name("example.com")])), False),
    "v1-cert": (direct(version=x509.Version.v1), False),
    "ee-basicconstraints-ca": (direct((x509.BasicConstraints(ca=True, path_length=None), True)), False),
    "san::no-san": (direct(san=None), False),
    "san::san-critical-with-nonempty-subject": (direct(san=alternative(DNS("example.com"), critical=True)), False),
    "aki::root-with-aki-missing-keyidentifier": (direct(top=_root_naming(None)), False),
    "aki::root-with-aki-authoritycertissuer": (direct(top=_root_naming(_OWN, _ISSUER)), False),
    "aki::root-with-aki-authoritycertserialnumber": (direct(top=_root_naming(_OWN, None, 1234)), False),
    "aki::root-with-aki-all-fields": (direct(top=_root_naming(_OWN, _ISSUER, 1234)), False),
    "aki::root-with-aki-ski-mismatch": (direct(top=root(aki=(_OTHERS, False))), False),
    "aki::of its own": (direct(top=_root_naming(_OWN)), True),
    "eku::ee-anyeku": (direct(eku=_purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)), False),
    "eku::ee-critical-eku": (direct(eku=_purposes(critical=True)), False),
    "eku::root-has-eku": (direct(top=root(_purposes())), False),
    "eku::ee-clientauth-only": (direct(eku=(x509.ExtendedKeyUsage([x509.OID_CLIENT_AUTH]), False)), False),
    "eku::ee-precertificate-only": (direct(eku=(x509.ExtendedKeyUsage([PRECERTIFICATE]), False)), False),
    "eku::ee-precertificate-with-serverauth": (direct(eku=_purposes(PRECERTIFICATE)), False),
    "eku::ee-serverauth-with-additional": (direct(eku=_purposes(x509.OID_CLIENT_AUTH)), True),
    "eku::ee-codesigning-with-serverauth": (direct(eku=_purposes(ExtendedKeyUsageOID.CODE_SIGNING)), False),
    "eku::ee-emailprotection-with-serverauth": (direct(eku=_purposes(ExtendedKeyUsageOID.EMAIL_PROTECTION)), False),
    "eku::ee-timestamping-with-serverauth": (direct(eku=_purposes(ExtendedKeyUsageOID.TIME_STAMPING)), False),
    "eku::ee-ocspsigning-with-serverauth": (direct(eku=_purposes(ExtendedKeyUsageOID.OCSP_SIGNING)), False),
    "ku::ee-rsa-without-any-usages": (direct(private=_RSA[2048], usage=usage()), False),
}  # fmt: skip


@pytest.mark.parametrize("case", WEB)
def test_webpki(case: str) -> None:
    """Namespace webpki, but for names: the suite's answer."""
    chain, passes = WEB[case]
    assert good(chain) is passes


def _signed_anew(made: Issued, top: Issued, old: bytes, new: bytes, purpose: str) -> bool:
    der = signed_anew(made, top.key, old, new)
    parameters = ValidationParameters(at=AT, purpose=purpose, profile=True)
    return answer(PathQuestion(der, (top.der,), parameters)).outcome is Outcome.PASSED


def test_dates_are_written_as_the_standard_says() -> None:
    """RFC 5280 4.1.2.5: a date until 2049 in GeneralizedTime is read (PKITS 4.2.4), but no public CA writes it."""
    end, top = direct(dates=(datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)))
    start, until = b"\x17\x0d200101000000Z", b"\x17\x0d400101000000Z"
    late, other = b"\x18\x0f20500101000000Z", b"\x18\x0f20491231000000Z"
    for new, passed in ((until, True), (late, True), (other, False)):
        body = start + new
        for purpose in ("any", "server-auth"):
            found = _signed_anew(end, top, b"\x30\x1e" + start + until, bytes([0x30, len(body)]) + body, purpose)
            assert found is (passed or purpose == "any"), (new, purpose)


def test_serial_numbers() -> None:
    """A negative number is no public CA's (BR 7.1.2); zero is an old root's, and nobody else's (RFC 5280 4.1.2.2)."""
    end, top = direct(serial=5)
    for new, wanted in (
        (b"\x02\x01\xfb", (True, False)),
        (b"\x02\x01\x00", (False, False)),
        (b"\x02\x01\x05", (True, True)),
    ):
        for purpose, passed in zip(("any", "server-auth"), wanted, strict=True):
            assert _signed_anew(end, top, b"\x02\x01\x05", new, purpose) is passed, (new, purpose)
    old = root(serial=5)
    zero = signed_anew(old, old.key, b"\x02\x01\x05", b"\x02\x01\x00")
    parameters = ValidationParameters(at=AT, purpose="server-auth", profile=True)
    assert answer(PathQuestion(leaf(old).der, (zero,), parameters)).reason is Reason.TRUSTED


def test_a_root_may_have_purposes_of_its_own_elsewhere() -> None:
    """Only for servers a root has none (BR 7.1.2.1.2): elsewhere they narrow what is below."""
    top = root((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False))
    end = leaf(top, eku=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False))
    assert good((end, top), purpose="code-signing")
    assert not good((leaf(top, eku=(x509.ExtendedKeyUsage([x509.OID_CLIENT_AUTH]), False)), top), purpose="client-auth")


def _cross(subject: str, own: Any, issuer: str, signer: Any) -> Issued:
    above = Issued(root(subject=issuer, private=signer).certificate, signer)
    return middle(above, subject=subject, private=own, san=None, aki=aki(signer))


def test_cycles_end_and_hide_nothing() -> None:
    """pathological::intermediate-cycle-*, cve::cve-2024-0567: in every order of the certificates."""
    keys = {n: ec.generate_private_key(ec.SECP256R1()) for n in "abc"}
    one, two = _cross("ca1", keys["a"], "ca2", keys["b"]), _cross("ca2", keys["b"], "ca1", keys["a"])
    end, top = leaf(one), root()
    for depth in (None, 255):
        assert not good((end, one, two, top), max_depth=depth)
    same = _cross("ca", keys["a"], "ca", keys["b"]), _cross("ca", keys["b"], "ca", keys["a"])
    assert not good((leaf(same[0]), *same, top))
    top = root(subject="a", private=keys["a"])
    below = middle(top, subject="a1")
    others = [_cross(s, keys[s], i, keys[i]) for s, i in permutations("abc", 2)]
    end = leaf(below, subject=None, san=alternative(DNS("example.com"), critical=True))
    assert good((end, below, *others, top))
    assert good((end, *reversed(others), below, top))


def test_an_expired_way_to_another_root_hides_nothing() -> None:
    """pathological::multiple-chains-expired-intermediate."""
    top, second = root(), root(subject="x509-limbo-root-2")
    expired = middle(
        second, subject="x509-limbo-root", private=top.key, pathlen=1, dates=(EPOCH, datetime(1988, 11, 25, tzinfo=UTC))
    )
    assert good((leaf(top), expired, top), second)
    assert good((leaf(top), expired, second), top)
    assert not good((leaf(top), expired, second))


def test_many_names_under_many_constraints() -> None:
    """pathological::nc-dos: a thousand constraints by five hundred names is answered with a limit, one name is not."""
    permitted = [DNS(f"t{n}.test") for n in range(513)]
    excluded = [DNS(f"x{n}.test") for n in range(513)]
    top = root(constraints([*permitted, DNS("test")], excluded), san=None)
    many = leaf(top, subject=None, san=alternative(*permitted, critical=True))
    found = ask(many, [], [top], purpose="server-auth", name=PeerName("dns", "t0.test"))
    assert found.reason is Reason.RESOURCE_LIMIT
    assert good((leaf(top, san=alternative(DNS("t0.test"))), top), peer="t0.test")
    assert not good((leaf(top, san=alternative(DNS("x0.test"))), top), peer="x0.test")


@pytest.mark.parametrize("same_key", [True, False])
def test_long_chains_of_one_name(*, same_key: bool) -> None:
    """pathological::pathological-chain-same-subject-*: a hundred certificates of one name that lead nowhere end in no acceptance."""
    keys = [_KEY if same_key else ec.generate_private_key(ec.SECP256R1()) for _ in range(100)]
    links = [_cross("ca", keys[n], "ca", keys[n + 1]) for n in range(99)]
    end = leaf(links[0])
    assert ask(end, links, [root()], purpose="server-auth").outcome is not Outcome.PASSED


def test_a_key_that_cannot_be_read_proves_nothing() -> None:
    """invalid::invalid-issuer-key: an intermediate whose RSA key is empty, however it is itself signed."""
    top = root()
    between = middle(top)
    spki = between.decoded.spki
    empty = bytes.fromhex("3012300d06092a864886f70d0101010500030100")
    broken = signed_anew(between, top.key, spki, empty)
    parameters = ValidationParameters(at=AT, purpose="server-auth", name=PeerName("dns", "example.com"), profile=True)
    for der, passed in ((between.der, True), (broken, False)):
        found = answer(PathQuestion(leaf(between).der, (top.der,), parameters, (der,)))
        assert (found.outcome is Outcome.PASSED) is passed


DAY, NOW = timedelta(days=1), datetime(2024, 1, 1, tzinfo=UTC)
USUAL = (NOW - DAY, NOW + 30 * DAY)
CRL_ROOT = root(usage=loose("key_cert_sign", "crl_sign"))
CRL_LEAF, BYSTANDER, SISTER = (
    leaf(CRL_ROOT),
    leaf(CRL_ROOT),
    root(subject="other", usage=loose("key_cert_sign", "crl_sign")),
)
NO_SIGN, NO_USAGE = root(), root(usage=None)
SINCE = leaf(CRL_ROOT, dates=(NOW - 30 * DAY, FAR))
URI, OTHER_URI = (x509.UniformResourceIdentifier(f"http://example.com/crls/{n}.crl") for n in ("shard", "other"))
ESCAPED = x509.UniformResourceIdentifier("http://example.com/crls/%73hard.crl")
AT_URI, AT_ESCAPED = (leaf(CRL_ROOT, points({"full_name": [uri]})) for uri in (URI, ESCAPED))
AT_BOTH = leaf(CRL_ROOT, points({"full_name": [URI, DNS("example.com")]}))
CRITICAL = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55738.666.1"), b"")
RELATIVE = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "partition")])
SOME = frozenset({x509.ReasonFlags.key_compromise})


def _list(*entries: Any, by: Issued = CRL_ROOT, dates: Any = USUAL, **options: Any) -> bytes:
    return revocation_list(by, *entries, dates=dates, **options)


def _scoped(**fields: Any) -> bytes:
    return _list(extensions=[scope(**fields)])


def _on(certificate: Issued, days: int, **options: Any) -> Any:
    return entry(certificate, on=NOW + days * DAY, **options)


LISTS: dict[str, tuple[Issued, bytes, bool]] = {
    "revoked-certificate-with-crl": (CRL_LEAF, _list(_on(CRL_LEAF, -1)), False),
    "crlnumber-missing": (CRL_LEAF, _list(_on(BYSTANDER, -1), number=None), False),
    "crlnumber-critical": (CRL_LEAF, _list(_on(BYSTANDER, -1), number=None, extensions=[(x509.CRLNumber(12345), True)]), False),
    "certificate-not-on-crl": (CRL_LEAF, _list(_on(BYSTANDER, -1)), True),
    "issuer-missing-crlsign": (leaf(NO_SIGN), _list(_on(BYSTANDER, -1), by=NO_SIGN), False),
    "issuer-no-keyusage-extension": (leaf(NO_USAGE), _list(_on(BYSTANDER, -1), by=NO_USAGE), True),
    "crl-invalid-signature": (CRL_LEAF, _list(_on(BYSTANDER, -1), signed_with=_KEY), False),
    "crl-wrong-signing-key": (CRL_LEAF, _list(_on(BYSTANDER, -1), signed_with=SISTER.key), False),
    "crl-empty": (CRL_LEAF, _list(), True),
    "crl-unknown-critical-extension": (CRL_LEAF, _list(_on(BYSTANDER, -1), extensions=[(CRITICAL, True)]), False),
    "crl-unknown-noncritical-extension": (CRL_LEAF, _list(_on(BYSTANDER, -1), extensions=[(CRITICAL, False)]), True),
    "entry-unknown-critical-extension": (CRL_LEAF, _list(_on(CRL_LEAF, -1, extensions=[(CRITICAL, True)])), False),
    "entry-unknown-noncritical-extension": (CRL_LEAF, _list(_on(CRL_LEAF, -1, extensions=[(CRITICAL, False)])), False),
    "crl-duplicate-revoked-serial": (CRL_LEAF, _list(_on(BYSTANDER, -1), _on(BYSTANDER, -1)), False),
    "this-update-in-future": (CRL_LEAF, _list(dates=(NOW + DAY, NOW + 30 * DAY)), False),
    "next-update-in-past": (CRL_LEAF, _list(dates=(NOW - 60 * DAY, NOW - 30 * DAY)), False),
    "revocation-date-in-future": (CRL_LEAF, _list(_on(CRL_LEAF, 1)), False),
    "revocation-date-before-not-before": (SINCE, _list(_on(SINCE, -60)), False),
    "crl-validity-no-overlap": (SINCE, _list(dates=(NOW - 365 * DAY, NOW - 180 * DAY)), False),
    "idp-cdp-scope-mismatch": (AT_URI, _scoped(full_name=[OTHER_URI]), False),
    "idp-cdp-scope-match": (AT_URI, _scoped(full_name=[URI]), True),
    "idp-only-contains-ca-certs-ee-target": (CRL_LEAF, _scoped(only_contains_ca_certs=True), False),
    "idp-present-certificate-missing-cdp": (CRL_LEAF, _scoped(full_name=[URI]), False),
    "idp-present-certificate-cdp-non-uri-generalname": (AT_BOTH, _scoped(full_name=[URI]), False),
    "idp-only-contains-attribute-certs": (CRL_LEAF, _scoped(only_contains_attribute_certs=True), False),
    "idp-name-relative-to-crl-issuer": (CRL_LEAF, _scoped(relative_name=RELATIVE), False),
    "idp-fullname-non-uri-generalname": (AT_URI, _scoped(full_name=[URI, DNS("example.com")]), False),
    "idp-indirect-crl": (AT_URI, _scoped(full_name=[URI], indirect_crl=True), False),
    "idp-only-some-reasons-no-complete-crl": (AT_URI, _scoped(full_name=[URI], only_some_reasons=SOME), False),
    "idp-uri-not-byte-identical": (AT_ESCAPED, _scoped(full_name=[URI]), False),
}  # fmt: skip


def _with_lists(
    end: Issued, *lists: bytes, anchors: tuple[Issued, ...] = (), untrusted: tuple[Issued, ...] = ()
) -> bool:
    parameters = ValidationParameters(at=NOW, purpose="server-auth", name=PeerName("dns", "example.com"), profile=True)
    given = tuple(a.der for a in anchors or (CRL_ROOT, NO_SIGN, NO_USAGE, SISTER))
    return (
        answer(PathQuestion(end.der, given, parameters, tuple(c.der for c in untrusted), lists)).outcome
        is Outcome.PASSED
    )


@pytest.mark.parametrize("case", LISTS)
def test_lists(case: str) -> None:
    """Namespaces crl and rfc5280::crl: the suite's answer, where the list decides about one certificate."""
    end, data, passes = LISTS[case]
    assert _with_lists(end, data) is passes


def test_lists_of_several_issuers() -> None:
    """certificate-serial-on-crl-different-issuer, idp-only-contains-user-certs-ca-target."""
    assert _with_lists(CRL_LEAF, _list(), _list(_on(CRL_LEAF, -1), by=SISTER))
    between = middle(CRL_ROOT, usage=loose("key_cert_sign", "crl_sign"))
    end, own = leaf(between), _list(by=between)
    for first, passes in ((_scoped(only_contains_user_certs=True), False), (_list(), True)):
        assert _with_lists(end, first, own, untrusted=(between,)) is passes


def test_a_list_that_cannot_be_used_is_not_passed_over() -> None:
    """crl-update-generalizedtime-2025 and two others accept here, which this program does on purpose not: nobody said it is good."""
    assert not _with_lists(CRL_LEAF, b"no list")
