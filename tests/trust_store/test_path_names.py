"""Names: how distinguished names compare, what name constraints allow, and which peer a certificate is for."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.path_craft import AT, alternative, ask, authority, issue, name, signed_anew
from trust_store.chain.name_constraints import Subtrees, violation
from trust_store.chain.names import canonical, same_name, same_value, within
from trust_store.chain.peer_names import PeerName, matches
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from tests.trust_store.path_craft import Extension

EMPTY = b"\x30\x00"
DNS, MAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier


def _address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_network(text) if "/" in text else ip_address(text))


def _directory(*common: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, part) for part in common]))


def _raw(kind: type[DNS | MAIL | URI], text: str) -> x509.GeneralName:
    return kind._init_without_validation(text)


CASES: list[tuple[x509.GeneralName, x509.GeneralName, bool, bool]] = [
    # name, base, whether it is within a permitted subtree, whether an excluded one forbids it
    (DNS("example.com"), DNS("example.com"), True, True),
    (DNS("a.b.EXAMPLE.com"), DNS("example.COM"), True, True),
    (DNS("notexample.com"), DNS("example.com"), False, False),
    (DNS("example.com"), DNS(""), True, True),
    (DNS("foo.example.com"), _raw(DNS, ".example.com"), False, True),
    (DNS("example.com"), _raw(DNS, ".example.com"), False, True),
    (DNS("foo.example.com"), _raw(DNS, "*.example.com"), False, True),
    (_raw(DNS, ".example.com"), DNS("example.com"), False, True),
    (_raw(DNS, "foo..example.com"), DNS("example.com"), False, True),
    (_raw(DNS, "example.com."), DNS("example.com"), False, True),
    (_raw(DNS, "evil.com\0.example.com"), DNS("example.com"), False, True),
    (DNS("*.example.com"), DNS("example.com"), True, True),
    (DNS("*.example.com"), DNS("bar.example.com"), False, True),
    (DNS("*.example.com"), DNS("else.com"), False, False),
    (_address("192.0.2.1"), _address("192.0.2.0/24"), True, True),
    (_address("192.0.3.1"), _address("192.0.2.0/24"), False, False),
    (_address("::1"), _address("::1/128"), True, True),
    (_address("::1"), _address("0.0.0.0/0"), False, False),
    (_address("192.0.2.1"), _address("192.0.2.1"), False, True),
    (_address("192.0.2.0/24"), _address("192.0.2.0/24"), False, True),
    (MAIL("a@example.com"), MAIL("a@example.com"), True, True),
    (MAIL("a@EXAMPLE.com"), MAIL("a@example.com"), True, True),
    (MAIL("A@example.com"), MAIL("a@example.com"), False, False),
    (MAIL("a@example.com"), MAIL("example.com"), True, True),
    (MAIL("a@sub.example.com"), MAIL("example.com"), False, False),
    (MAIL("a@sub.example.com"), _raw(MAIL, ".example.com"), True, True),
    (MAIL("a@example.com"), _raw(MAIL, ".example.com"), False, False),
    (_raw(MAIL, "a@b@example.com"), MAIL("example.com"), False, True),
    (MAIL("a@example.com"), _raw(MAIL, "a@b@example.com"), False, True),
    (_raw(MAIL, "nobody"), MAIL("example.com"), False, True),
    (URI("https://example.com/x"), URI("example.com"), True, True),
    (URI("https://u:p@EXAMPLE.com:8443/x"), URI("example.com"), True, True),
    (URI("https://www.example.com/"), URI("example.com"), False, False),
    (URI("https://www.example.com/"), URI(".example.com"), True, True),
    (URI("https://example.com/"), URI(".example.com"), False, False),
    (URI("urn:isbn:1"), URI("example.com"), False, True),
    (URI("https://192.0.2.1/"), URI("example.com"), False, True),
    (URI("https://[::1]/"), URI("example.com"), False, True),
    (_raw(URI, "https://[bad/"), URI("example.com"), False, True),
    (_directory("Acme", "Unit"), _directory("ACME"), True, True),
    (_directory("Acme"), _directory("Acme", "Unit"), False, False),
    (_directory("Other"), _directory("Acme"), False, False),
    (x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), False, True),
    (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), False, True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]!r} in {case[1]!r}")
def test_subtrees_contain_what_the_standard_says(case: tuple[x509.GeneralName, x509.GeneralName, bool, bool]) -> None:
    """RFC 5280 section 4.2.1.10 for every kind of name; what cannot be compared is excluded and never permitted."""
    given_name, base, permitted, excluded = case
    assert (violation(EMPTY, [given_name], [Subtrees((base,), ())]) is None) is permitted
    assert (violation(EMPTY, [given_name], [Subtrees((), (base,))]) is not None) is excluded


def test_a_constraint_on_one_kind_says_nothing_of_another() -> None:
    """Addresses are not limited by host names, nor other kinds of private names by one kind."""
    for base in (DNS("example.com"), x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")):
        others = [_address("192.0.2.1"), x509.OtherName(x509.ObjectIdentifier("1.2.4"), b"\x05\x00")]
        assert violation(EMPTY, others, [Subtrees((base,), (base,))]) is None


def test_every_ca_narrows_and_none_widens() -> None:
    """The permitted subtrees of several CAs are intersected, their excluded ones joined."""
    wide, narrow = Subtrees((DNS("example.com"),), ()), Subtrees((DNS("a.example.com"),), ())
    assert violation(EMPTY, [DNS("a.example.com")], [wide, narrow]) is None
    for order in ([wide, narrow], [narrow, wide]):
        assert violation(EMPTY, [DNS("b.example.com")], order) is not None


def test_too_many_comparisons_are_refused() -> None:
    """Names times subtrees beyond the cap end in ResourceLimitError."""
    bases = tuple(DNS(f"x{number}.example.com") for number in range(200))
    with pytest.raises(ResourceLimitError):
        violation(EMPTY, list(bases), [Subtrees((), bases)])


def _permitted(*bases: x509.GeneralName) -> Extension:
    return x509.NameConstraints(permitted_subtrees=bases, excluded_subtrees=None), True


def test_constraints_reach_subject_names_and_mail_of_every_certificate_below() -> None:
    """Subject, alternative names and e-mail in the subject are held to the constraints, intermediates' as well as leaves'."""
    acme = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")])
    mail = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@evil.com")])
    no_mail = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "nobody\u00e9")])
    root = authority("root", None, _permitted(x509.DirectoryName(acme)))
    assert ask(issue(acme, root), [], [root]).reason is Reason.TRUSTED
    assert ask(issue("Acme", root), [], [root]).reason is Reason.PATH_INVALID
    mail_root = authority("root", None, _permitted(MAIL("example.com")))
    assert ask(issue("plain", mail_root), [], [mail_root]).reason is Reason.TRUSTED
    for bad in (mail, no_mail):
        assert ask(issue(bad, mail_root), [], [mail_root]).reason is Reason.PATH_INVALID
    assert ask(issue(no_mail, root), [], [root]).reason is Reason.PATH_INVALID
    dns_root = authority("root", None, _permitted(DNS("example.com")))
    outside = authority("ca", dns_root, alternative(DNS("evil.com")))
    leaf = issue("leaf", outside, alternative(DNS("www.example.com")))
    assert ask(leaf, [outside], [dns_root]).reason is Reason.PATH_INVALID


def test_self_issued_certificates_are_exempt_unless_they_are_last() -> None:
    """A CA's roll-over certificate is not held to the constraints; a self-issued end entity is (section 6.1.3(b))."""
    root = authority("roll", None, _permitted(DNS("example.com")))
    rolled = authority("roll", root, alternative(DNS("evil.com")))
    assert ask(issue("leaf", rolled), [rolled], [root]).reason is Reason.TRUSTED
    last = issue("roll", rolled, alternative(DNS("evil.com")))
    assert ask(last, [rolled], [root]).reason is Reason.PATH_INVALID


@pytest.mark.parametrize(
    ("peer", "presented", "expected"),
    [
        (("dns", "www.example.com"), DNS("www.example.com"), True),
        (("dns", "WWW.example.com."), DNS("www.EXAMPLE.com"), True),
        (("dns", "www.example.com"), DNS("*.example.com"), True),
        (("dns", "a.www.example.com"), DNS("*.example.com"), False),
        (("dns", "example.com"), DNS("*.example.com"), False),
        (("dns", "example.com"), DNS("*.com"), False),
        (("dns", "www.example.com"), DNS("w*.example.com"), False),
        (("dns", "www.example.com"), DNS("*"), False),
        (("dns", "www.example.com"), DNS("www.*.com"), False),
        (("dns", "*.example.com"), DNS("*.example.com"), False),
        (("dns", ""), DNS(""), False),
        (("dns", "-a.example.com"), DNS("-a.example.com"), False),
        (("dns", "www.example.com"), URI("https://www.example.com"), False),
        (("dns", "192.0.2.1"), DNS("192.0.2.1"), False),
        (("ip", "192.0.2.1"), _address("192.0.2.1"), True),
        (("ip", "2001:db8::1"), _address("2001:0db8:0::1"), True),
        (("ip", "192.0.2.1"), DNS("192.0.2.1"), False),
        (("ip", "192.0.2"), _address("192.0.2.1"), False),
        (("email", "a@Example.com"), MAIL("a@example.COM"), True),
        (("email", "A@example.com"), MAIL("a@example.com"), False),
        (("email", "example.com"), MAIL("a@example.com"), False),
        (("other", "x"), DNS("x"), False),
    ],
)
def test_a_certificate_is_for_the_peers_it_names(
    peer: tuple[str, str], presented: x509.GeneralName, *, expected: bool
) -> None:
    """Alternative names alone count; a wildcard is one whole label with two labels behind it (RFC 9525 section 6.3)."""
    assert matches(PeerName(*peer), [presented]) is expected


def _encoded(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def _name_of(tag: int, content: bytes) -> bytes:
    attribute = _encoded(0x30, b"\x06\x03\x55\x04\x03" + _encoded(tag, content))
    return _encoded(0x30, _encoded(0x31, attribute))


def test_names_are_the_same_across_string_types_case_and_blanks() -> None:
    """Section 7.1: one text is one name in whatever string type, case or spacing it stands."""
    plain = name("Acme Corp").public_bytes()
    same = [
        _name_of(0x13, b"ACME  corp"),
        _name_of(0x14, b" acme corp "),
        _name_of(0x1E, "Acme Corp".encode("utf-16-be")),
        _name_of(0x1C, "Acme Corp".encode("utf-32-be")),
        _name_of(0x0C, "Acme\u00ad Corp".encode()),
    ]
    assert all(same_name(plain, other) for other in same)
    assert not same_name(plain, name("Acme").public_bytes())
    assert not same_name(plain, _name_of(0x03, b"\0Acme Corp"))
    assert same_value("Stra\u00dfe", "STRASSE")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x31\x00",
        b"\x30\x02\x31\x00",
        _name_of(0x0C, b"\xff"),
        b"\x30\x07\x31\x05\x30\x03\x06\x01\x00",
        b"\x30\x80",
    ],
)
def test_names_that_cannot_be_read_are_only_themselves(broken: bytes) -> None:
    """A broken name equals its own bytes and nothing else."""
    with pytest.raises(MalformedError):
        canonical(broken)
    assert same_name(broken, broken)
    assert not same_name(broken, name("x").public_bytes())


def test_a_name_nested_without_end_is_only_itself() -> None:
    """A name that goes beyond the decoder's caps compares as different, never as an error."""
    deep = b"\x05\x00"
    for _ in range(40):
        deep = _encoded(0x30, deep)
    assert not same_name(_name_of(0x30, deep[:100]), name("x").public_bytes())


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20), max_size=4))
def test_a_name_equals_itself_in_any_case_and_lies_within_every_beginning_of_itself(parts: list[str]) -> None:
    """Comparison is reflexive, blind to case, and subtrees are prefixes."""

    def of(values: list[str]) -> bytes:
        # 20 characters of UTF-8 stay below the 127 octets of a short length
        rdns = [_encoded(0x31, _encoded(0x30, b"\x06\x03\x55\x04\x0a" + _encoded(0x0C, v.encode()))) for v in values]
        body = b"".join(rdns)
        return b"\x30\x82" + len(body).to_bytes(2, "big") + body

    whole = of(parts)
    assert same_name(whole, of([part.upper().lower() for part in parts])) or any(
        part.upper().lower().casefold() != part.casefold() for part in parts
    )
    for length in range(len(parts) + 1):
        assert within(whole, of(parts[:length]))
        if length < len(parts):
            assert not within(of(parts[:length]), whole)


@given(st.binary(max_size=60))
def test_any_bytes_as_a_name_end_in_an_answer(data: bytes) -> None:
    """Names from outside never raise anything but the two known errors."""
    try:
        canonical(data)
    except (MalformedError, ResourceLimitError):
        assert not same_name(data, EMPTY)


def test_a_subtree_with_a_minimum_or_maximum_is_not_passed_over() -> None:
    """Distances other than the default must be worked on or refused (section 4.2.1.10)."""
    root = authority("root")
    constrained = authority("ca", root, _permitted(DNS("abcdef")))
    old, new = b"\xa0\x0a\x30\x08\x82\x06abcdef", b"\xa0\x0a\x30\x08\x82\x03abc\x80\x01\x01"
    odd = signed_anew(constrained, root.key, old, new)
    leaf = issue("leaf", constrained, alternative(DNS("abc")))
    found = answer(PathQuestion(leaf.der, (root.der,), ValidationParameters(at=AT), (odd,)))
    assert (found.reason, "minimum" in found.detail) == (Reason.PATH_INVALID, True)
