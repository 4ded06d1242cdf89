"""Revocation lists (RFC 5280 section 6.3.3): which one counts, for whom, and what it means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.trust_store.path_craft import AT, FROM, UNTIL, Issued, authority, issue, name, signed_anew, usage
from tests.trust_store.revocation_craft import (
    CA,
    DAY,
    LEAF,
    PATH,
    ROOT,
    SIGNS,
    about_leaf,
    entry,
    points,
    problems,
    revocation_list,
    scope,
)
from trust_store.chain.building import SignatureBudget
from trust_store.chain.revocation import check_path
from trust_store.chain.revocation_material import RevocationSet
from trust_store.decode.asn1 import length_octets, read_one
from trust_store.decode.x509 import load_certificate
from trust_store.model.verdict import Reason

URI = x509.UniformResourceIdentifier("http://example.com/a.crl")
OTHER_URI = x509.UniformResourceIdentifier("http://example.com/b.crl")
OTHER = issue("other", CA)
REVOKED, UNKNOWN = "revoked", "revocation_unknown"
Reasons = x509.ReasonFlags
_ECDSA_SHA256, _ECDSA_SHA3 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040309")
_RSA_SHA256, _RSA_SHA1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
_UNKNOWN_CRITICAL = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\0"), True


def test_a_current_list_decides_and_required_asks_for_every_certificate() -> None:
    """With a list of each issuer the path is good; each certificate that no list is about is unknown; off asks nothing."""
    root, ca = revocation_list(ROOT), revocation_list(CA)
    assert problems([root, ca]) == ()
    assert [p.reason for p in problems([root])] == [Reason.REVOCATION_UNKNOWN]
    assert [p.reason for p in problems([])] == [Reason.REVOCATION_UNKNOWN] * 2
    assert problems([], policy="if_available") == problems([], policy="off") == ()
    assert [p.reason for p in problems([root, revocation_list(CA, entry(LEAF))])] == [Reason.REVOKED]
    assert [p.reason for p in problems([revocation_list(ROOT, entry(CA)), ca])] == [Reason.REVOKED]
    with pytest.raises(ValueError, match="policy"):
        problems([], policy="maybe")


@pytest.mark.parametrize("policy", ["required", "if_available"])
def test_a_list_that_cannot_be_used_leaves_the_answer_unknown(policy: str) -> None:
    """Stale, of the future, signed by another key, with SHA-1 or unknown critical extensions: unknown, never good."""
    unusable = {
        "ran out": revocation_list(CA, dates=(AT - 9 * DAY, AT - DAY)),
        "later than": revocation_list(CA, dates=(AT + DAY, AT + 2 * DAY)),
        "nobody at hand": revocation_list(CA, signed_with=OTHER.key),
        "proves nothing": revocation_list(CA).replace(_ECDSA_SHA256, _ECDSA_SHA3),
        "unknown critical extension": revocation_list(CA, extensions=[_UNKNOWN_CRITICAL]),
        "unknown critical entry extension": revocation_list(CA, entry(OTHER, extensions=[_UNKNOWN_CRITICAL])),
    }
    for detail, data in unusable.items():
        reason, found = about_leaf([data], policy=policy)
        assert (reason, detail in found) == (UNKNOWN, True), found
        assert about_leaf([data, revocation_list(CA)], policy=policy)[0] is None
        assert about_leaf([data, revocation_list(CA, entry(LEAF))], policy=policy)[0] == REVOKED


def test_the_edges_of_a_lists_time_belong_to_it() -> None:
    """thisUpdate and nextUpdate are whole seconds, both included; a fraction of a second is cut off."""
    dates = (AT, AT + DAY)
    data = revocation_list(CA, dates=dates)
    for at, reason in ((AT, None), (AT + DAY, None), (AT + DAY + timedelta(microseconds=5), None),
                       (AT - timedelta(seconds=1), UNKNOWN), (AT + DAY + timedelta(seconds=1), UNKNOWN)):  # fmt: skip
        root = revocation_list(ROOT, dates=(AT - DAY, AT + 2 * DAY))
        found = [p.reason for p in problems([root, data], at=at)]
        assert found == ([Reason(reason)] if reason else [])


def test_the_profile_is_asked_for_or_not() -> None:
    """Without CRL number, or with a certificate twice, a list counts unless lists are held to section 5."""
    twice = revocation_list(CA, entry(OTHER), entry(OTHER))
    critical = revocation_list(CA, number=None, extensions=[(x509.CRLNumber(1), True)])
    for data in (revocation_list(CA, number=None), critical, twice):
        assert about_leaf([data])[0] is None
        assert about_leaf([data], profile=True)[0] == UNKNOWN
    assert about_leaf([revocation_list(CA)], profile=True)[0] is None


def test_revoked_is_revoked_whatever_the_date_of_the_entry() -> None:
    """An entry of the future, or before the certificate was issued, revokes at once (6.3.3(j) asks for no date)."""
    for on in (AT + DAY, FROM - 100 * DAY):
        assert about_leaf([revocation_list(CA, entry(LEAF, on=on))])[0] == REVOKED
    assert about_leaf([revocation_list(CA, entry(LEAF, "certificateHold"))])[0] == REVOKED
    assert about_leaf([revocation_list(CA, entry(LEAF, "removeFromCRL"))])[0] == REVOKED


@pytest.mark.parametrize(
    ("reason", "soft"),
    [("superseded", True), ("cessationOfOperation", True), ("affiliationChanged", True), ("keyCompromise", False),
     ("cACompromise", False), ("certificateHold", False), ("privilegeWithdrawn", False), (None, False)],
)  # fmt: skip
def test_a_soft_reason_spares_what_was_provably_signed_before(reason: str | None, soft: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Only for soft reasons, only for a time strictly before the revocation, and not before an earlier invalidity date."""
    listed = [revocation_list(CA, entry(LEAF, reason, on=AT - 2 * DAY))]
    assert about_leaf(listed, signed_at=AT - 3 * DAY)[0] == (None if soft else REVOKED)
    assert about_leaf(listed, signed_at=AT - 2 * DAY)[0] == REVOKED
    assert about_leaf(listed)[0] == REVOKED
    invalid = x509.InvalidityDate((AT - 5 * DAY).replace(tzinfo=None)), False
    earlier = [revocation_list(CA, entry(LEAF, reason, on=AT - 2 * DAY, extensions=[invalid]))]
    assert about_leaf(earlier, signed_at=AT - 3 * DAY)[0] == REVOKED


def test_of_several_lists_of_one_scope_the_newest_counts() -> None:
    """A certificate off hold in list 8 is not revoked because list 7 is still current; list 6 without it does not free it either."""
    held = revocation_list(CA, entry(LEAF, "certificateHold"), number=7)
    assert about_leaf([held, revocation_list(CA, number=8)])[0] is None
    assert about_leaf([held, revocation_list(CA, number=6)])[0] == REVOKED
    assert about_leaf([held, revocation_list(CA, number=7)])[0] == REVOKED
    assert about_leaf([held, revocation_list(CA, number=None)])[0] == REVOKED


def test_the_kind_of_certificate_belongs_to_the_scope() -> None:
    """A list for CA, attribute or user certificates alone is not about the others: nothing is known, and that is no error."""
    for fields, leaf, ca in (
        ({"only_contains_user_certs": True}, None, UNKNOWN),
        ({"only_contains_ca_certs": True}, UNKNOWN, None),
        ({"only_contains_attribute_certs": True}, UNKNOWN, UNKNOWN),
    ):
        of_leaf = revocation_list(CA, extensions=[scope(**fields)])
        assert about_leaf([of_leaf])[0] == leaf
        assert about_leaf([of_leaf], policy="if_available")[0] is None
        of_ca = problems([revocation_list(ROOT, extensions=[scope(**fields)]), revocation_list(CA)])
        assert [p.reason.value for p in of_ca] == ([ca] if ca else [])


def _with_points(*found: dict[str, Any]) -> Issued:
    return issue("leaf", CA, points(*found))


def test_distribution_points_must_have_a_name_in_common() -> None:
    """A list with a name is for certificates with that name, or for those of its issuer's name where they have none."""
    named = scope(full_name=[URI])
    issuer = scope(full_name=[x509.DirectoryName(CA.certificate.subject)])
    cases = (
        (LEAF, named, UNKNOWN), (LEAF, issuer, None),
        (_with_points({"full_name": [URI]}), named, None),
        (_with_points({"full_name": [OTHER_URI]}), named, UNKNOWN),
        (_with_points({"full_name": [OTHER_URI, URI]}), named, None),
        (_with_points({"full_name": [OTHER_URI]}, {"full_name": [URI]}), named, None),
        (_with_points({"full_name": [x509.UniformResourceIdentifier("http://example.com/%61.crl")]}), named, UNKNOWN),
        (_with_points({"full_name": [x509.DNSName("example.com")]}), scope(full_name=[x509.DNSName("example.com")]), None),
    )  # fmt: skip
    for leaf, extension, expected in cases:
        data = revocation_list(CA, extensions=[extension])
        assert about_leaf([data], path=(leaf, CA, ROOT))[0] == expected
        listed = revocation_list(CA, entry(leaf), extensions=[extension])
        assert about_leaf([listed], path=(leaf, CA, ROOT))[0] == (REVOKED if expected is None else UNKNOWN)
    assert about_leaf([revocation_list(CA)], path=(_with_points({"full_name": [URI]}), CA, ROOT))[0] is None


def test_a_name_relative_to_the_issuer_is_the_issuers_name_and_one_part_more() -> None:
    """nameRelativeToCRLIssuer on either side is the same as the whole name on the other (4.2.1.13)."""
    part = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "part 1")])
    whole = x509.DirectoryName(x509.Name([*CA.certificate.subject.rdns, part]))
    relative, full = {"relative_name": part}, {"full_name": [whole]}
    for of_list in (relative, full):
        for of_leaf in (relative, full):
            data = revocation_list(CA, extensions=[scope(**of_list)])
            assert about_leaf([data], path=(_with_points(of_leaf), CA, ROOT))[0] is None
    other = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "part 2")])
    data = revocation_list(CA, extensions=[scope(relative_name=other)])
    assert about_leaf([data], path=(_with_points(relative), CA, ROOT))[0] == UNKNOWN


def test_reasons_must_all_be_covered_before_a_certificate_is_good() -> None:
    """Lists for some reasons add up (6.3.3(d), (e)); one of them that revokes is enough."""
    keys = scope(only_some_reasons=frozenset({Reasons.key_compromise, Reasons.ca_compromise}))
    rest = scope(only_some_reasons=frozenset(set(Reasons) - {
        Reasons.key_compromise, Reasons.ca_compromise, Reasons.unspecified, Reasons.remove_from_crl}))  # fmt: skip
    one, two = revocation_list(CA, extensions=[keys]), revocation_list(CA, extensions=[rest])
    assert about_leaf([one])[0] == about_leaf([two])[0] == UNKNOWN
    assert about_leaf([one], policy="if_available")[0] == UNKNOWN
    assert about_leaf([one, two])[0] is None
    assert about_leaf([revocation_list(CA, entry(LEAF, "keyCompromise"), extensions=[keys])])[0] == REVOKED
    some = _with_points({"full_name": [URI], "reasons": frozenset({Reasons.key_compromise})})
    part = revocation_list(CA, extensions=[scope(full_name=[URI])])
    assert about_leaf([part], path=(some, CA, ROOT))[0] == UNKNOWN
    assert about_leaf([part, revocation_list(CA)], path=(some, CA, ROOT))[0] is None


INDIRECT = authority("list maker", ROOT, usage("crl_sign"))
BY_OTHER = issue("leaf", CA, points({"crl_issuer": [x509.DirectoryName(name("list maker"))]}))


def _indirect(*entries: x509.RevokedCertificate, **options: Any) -> bytes:
    return revocation_list(INDIRECT, *entries, extensions=[scope(indirect_crl=True)], **options)


def test_an_indirect_list_counts_where_the_certificate_names_its_issuer() -> None:
    """cRLIssuer and indirectCRL must agree (6.3.3(b)(1)), and the entries' issuer carries over to those that follow (5.3.3)."""
    of_ca = x509.CertificateIssuer([x509.DirectoryName(name("ca"))]), True
    of_root = x509.CertificateIssuer([x509.DirectoryName(name("root"))]), True
    path, more = (BY_OTHER, CA, ROOT), [INDIRECT]

    def ask(data: bytes, **options: Any) -> str | None:
        return about_leaf([data], path=path, untrusted=more, **options)[0]

    assert ask(_indirect()) is None
    assert ask(revocation_list(INDIRECT)) == UNKNOWN
    assert about_leaf([_indirect()], untrusted=more)[0] == UNKNOWN
    assert ask(_indirect(entry(BY_OTHER, extensions=[of_ca]))) == REVOKED
    assert ask(_indirect(entry(OTHER, extensions=[of_ca]), entry(BY_OTHER))) == REVOKED
    assert ask(_indirect(entry(BY_OTHER))) is None  # the same number, of the list maker's own
    assert ask(_indirect(entry(OTHER, extensions=[of_ca]), entry(BY_OTHER, extensions=[of_root]))) is None
    assert about_leaf([revocation_list(CA, entry(LEAF, extensions=[of_ca]))])[0] == UNKNOWN  # not indirect (5.2.5)
    assert ask(_indirect(), web_pki=True) is None  # no partition


def test_who_makes_indirect_lists_was_told_so() -> None:
    """One of the list maker's name that is no CA and has no key usage signs no lists (4.2.1.3); with cRLSign any CA below may make it."""
    key = ec.generate_private_key(ec.SECP256R1())
    beside = authority("ca beside", ROOT, SIGNS)
    for issuer, told, expected in (
        (ROOT, (), UNKNOWN),
        (ROOT, (usage("crl_sign"),), None),
        (beside, (usage("crl_sign"),), None),
    ):
        more = [issue("list maker", issuer, *told, private=key), beside]
        lists = [_indirect(signed_with=key), revocation_list(beside)]
        assert about_leaf(lists, path=(BY_OTHER, CA, ROOT), untrusted=more)[0] == expected


def test_a_delta_brings_a_list_up_to_date() -> None:
    """The delta's word is the later one; it needs the same scope and a base that is not after the list (5.2.4)."""

    def delta(*entries: x509.RevokedCertificate, number: int = 9, base: int = 5, **options: Any) -> bytes:
        extensions = [(x509.DeltaCRLIndicator(base), True), *options.pop("extensions", [])]
        return revocation_list(CA, *entries, number=number, extensions=extensions, **options)

    complete = revocation_list(CA, number=5)
    held = revocation_list(CA, entry(LEAF, "certificateHold"), number=5)
    stolen = revocation_list(CA, entry(LEAF, "keyCompromise"), number=5)
    assert about_leaf([complete, delta()])[0] is None
    assert about_leaf([complete, delta(entry(LEAF))])[0] == REVOKED
    assert about_leaf([held, delta(entry(LEAF, "removeFromCRL"))])[0] is None
    assert about_leaf([stolen, delta(entry(LEAF, "removeFromCRL"))])[0] == REVOKED
    assert about_leaf([held, delta(entry(LEAF, "keyCompromise"))])[0] == REVOKED
    assert about_leaf([held, delta(entry(LEAF, "removeFromCRL"), signed_with=OTHER.key)])[0] == REVOKED
    assert about_leaf([held, delta(entry(LEAF, "removeFromCRL"), base=6)])[0] == REVOKED
    assert about_leaf([held, delta(entry(LEAF, "removeFromCRL"), number=5)])[0] == REVOKED
    assert about_leaf([held, delta(entry(LEAF, "removeFromCRL"), dates=(AT - 9 * DAY, AT - DAY))])[0] == REVOKED
    other_scope = [scope(only_contains_user_certs=True)]
    assert about_leaf([held, delta(entry(LEAF, "removeFromCRL"), extensions=other_scope)])[0] == REVOKED
    newest = [delta(entry(LEAF, "removeFromCRL"), number=8), delta(entry(LEAF, "keyCompromise"), number=9)]
    assert about_leaf([held, *newest])[0] == REVOKED
    for policy in ("required", "if_available"):
        assert about_leaf([delta()], policy=policy)[0] == UNKNOWN


def test_a_list_that_has_run_out_counts_with_a_current_delta_where_deltas_are_announced() -> None:
    """6.3.3(a): only where certificate or list has the freshest CRL extension."""
    old = (AT - 9 * DAY, AT - DAY)
    fresh = x509.FreshestCRL([x509.DistributionPoint([URI], None, None, None)]), False
    delta = revocation_list(CA, number=9, extensions=[(x509.DeltaCRLIndicator(5), True)])
    assert about_leaf([revocation_list(CA, number=5, dates=old), delta])[0] == UNKNOWN
    assert about_leaf([revocation_list(CA, number=5, dates=old, extensions=[fresh]), delta])[0] is None
    leaf = issue("leaf", CA, fresh)
    assert about_leaf([revocation_list(CA, number=5, dates=old), delta], path=(leaf, CA, ROOT))[0] is None


def test_who_signs_lists_may_do_so_and_has_a_path_to_the_same_anchor() -> None:
    """A separate key of the CA's name needs cRLSign, validity, a path to this very anchor, and a status of its own."""
    key = ec.generate_private_key(ec.SECP256R1())

    def signer(*extensions: Any, issuer: Issued = ROOT, **options: Any) -> Issued:
        return issue("ca", issuer, *extensions, private=key, **options)

    by_key = revocation_list(CA, signed_with=key)
    fine = signer(usage("crl_sign"))
    stranger = authority("another root", None, SIGNS)
    assert about_leaf([by_key], untrusted=[fine])[0] is None
    assert about_leaf([by_key, revocation_list(ROOT, entry(fine), number=2)], untrusted=[fine])[0] == UNKNOWN
    for bad in (
        signer(usage("digital_signature")), signer(usage("crl_sign"), issuer=stranger),
        signer(usage("crl_sign"), dates=(FROM, FROM + DAY)), signer(usage("crl_sign"), _UNKNOWN_CRITICAL),
        issue("someone else", ROOT, usage("crl_sign"), private=key), signer(),
    ):  # fmt: skip
        assert about_leaf([by_key], untrusted=[bad, stranger])[0] == UNKNOWN
    assert about_leaf([by_key], untrusted=[signer(usage("digital_signature")), fine])[0] is None
    no_sign = authority("ca", ROOT, usage("key_cert_sign"))
    leaf = issue("leaf", no_sign)
    assert about_leaf([revocation_list(no_sign)], path=(leaf, no_sign, ROOT))[0] == UNKNOWN
    without = authority("ca", ROOT)
    assert about_leaf([revocation_list(without)], path=(issue("leaf", without), without, ROOT))[0] is None


def test_another_ca_below_the_anchor_cannot_speak_in_a_cas_name() -> None:
    """A certificate of the CA's name made by a sister of it signs no lists for it; one made by the CA itself does."""
    key = ec.generate_private_key(ec.SECP256R1())
    sister = authority("sister", ROOT, SIGNS)
    good_list = revocation_list(CA, signed_with=key, number=99)
    fake = issue("ca", sister, usage("crl_sign"), private=key)
    assert about_leaf([good_list], untrusted=[sister, fake])[0] == UNKNOWN
    own = issue("ca", CA, usage("crl_sign"), private=key)
    of_own = revocation_list(CA, extensions=[scope(only_contains_user_certs=True)])
    assert about_leaf([good_list, of_own], untrusted=[own])[0] is None


def test_the_signature_of_every_kind_of_key_is_checked() -> None:
    """ECDSA, RSA in both paddings and the Edwards curves count; RSA of 1024 bits and SHA-1 do not."""
    keys: list[tuple[Any, dict[str, Any], bool]] = [
        (ec.generate_private_key(ec.SECP384R1()), {"digest": hashes.SHA384()}, True),
        (ed25519.Ed25519PrivateKey.generate(), {}, True),
        (ed448.Ed448PrivateKey.generate(), {}, True),
        (rsa.generate_private_key(65537, 2048), {"digest": hashes.SHA512()}, True),
        (rsa.generate_private_key(65537, 1024), {}, False),  # noqa: S505 - what must be refused
    ]
    large = keys[3][0]
    keys.append((large, {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA256()), 32)}, True))
    keys.append((large, {"sha1": True}, False))
    for key, signing, counts in keys:
        ca = authority("ca", ROOT, SIGNS, private=key)
        leaf = issue("leaf", ROOT, issuer_name=name("ca"))
        found = about_leaf([_signed(ca, signing)], path=(leaf, ca, ROOT))
        assert found[0] == (None if counts else UNKNOWN), (key, found)


def _signed(ca: Issued, signing: dict[str, Any]) -> bytes:
    if isinstance(ca.key, ed448.Ed448PrivateKey):
        builder = x509.CertificateRevocationListBuilder().issuer_name(ca.certificate.subject)
        return builder.last_update(AT - DAY).next_update(AT + DAY).sign(ca.key, None).public_bytes(Encoding.DER)
    if "sha1" not in signing:
        return revocation_list(ca, **signing)
    # the library makes no such list: the signature is made by hand
    outer = read_one(revocation_list(ca), "list").children()
    tbs, algorithm = (part.raw.replace(_RSA_SHA256, _RSA_SHA1) for part in outer[:2])
    signature: bytes = b"\0" + ca.key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - what must be refused
    body = tbs + algorithm + b"\x03" + length_octets(len(signature)) + signature
    return b"\x30" + length_octets(len(body)) + body


def test_public_key_operations_on_lists_are_counted() -> None:
    """Every list's signature costs one operation of the question's budget; without any left the answer is resource_limit."""
    lists = [revocation_list(ROOT), *(revocation_list(CA, number=n, signed_with=OTHER.key) for n in range(1, 40))]
    budget = SignatureBudget(10)
    assert Reason.RESOURCE_LIMIT in {p.reason for p in problems(lists, budget=budget)}
    budget = SignatureBudget(100)
    problems(lists, budget=budget)
    assert 100 - budget.left == 40


def test_a_list_made_after_a_certificate_expired_says_nothing_by_silence() -> None:
    """Expired certificates are left out of lists (section 5): not being in one proves nothing any more."""
    leaf = issue("leaf", CA, dates=(FROM, AT - 2 * DAY))
    assert about_leaf([revocation_list(CA)], path=(leaf, CA, ROOT))[0] == UNKNOWN
    assert about_leaf([revocation_list(CA, dates=(AT - 3 * DAY, AT + DAY))], path=(leaf, CA, ROOT))[0] is None


def test_a_serial_number_that_no_list_can_name_is_not_good_for_being_absent() -> None:
    """A certificate whose number is longer than any that is read is in no list: nothing is known about it."""
    padded = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.2"), bytes(2)), False
    made = issue("leaf", CA, padded, serial=0x7ABBCCDD)
    for octets in (80, 300):
        number = b"\x02" + length_octets(octets) + b"\x01" * octets
        der = signed_anew(made, CA.key, bytes.fromhex("02047abbccdd"), number)
        path = (load_certificate(der), CA.decoded, ROOT.decoded)
        found = check_path(
            path, RevocationSet.decode([revocation_list(CA)]), policy="if_available", at=AT, budget=SignatureBudget()
        )
        assert [p.reason for p in found] == [Reason.REVOCATION_UNKNOWN]


def test_what_cannot_be_read_is_counted_and_hides_nothing() -> None:
    """Garbage among the lists is left out; a revoked certificate stays revoked, and coverage is told by name and key."""
    found = RevocationSet.decode([b"", b"junk", revocation_list(CA), b"-----BEGIN X509 CRL-----"], [b"junk"])
    assert (len(found.lists), found.unreadable) == (1, 4)
    assert (found.covers(CA.decoded), found.covers(ROOT.decoded)) == (True, False)
    assert about_leaf([b"junk", revocation_list(CA, entry(LEAF))])[0] == REVOKED
    assert "cannot be read" in about_leaf([b"junk"])[1]
    assert problems([], path=PATH[2:]) == ()
    assert UNTIL > AT


def test_web_pki_partitions_are_named_by_uris_alone() -> None:
    """BR 7.1.2.11.2, 7.2.2.1: other names and indirect partitions make a list, or a certificate's point, useless."""
    both = [URI, x509.DNSName("example.com")]
    uri, mixed = _with_points({"full_name": [URI]}), _with_points({"full_name": both})
    for leaf, fields in (
        (uri, {"full_name": both}),
        (uri, {"full_name": [URI], "indirect_crl": True}),
        (mixed, {"full_name": [URI]}),
    ):
        data = revocation_list(CA, extensions=[scope(**fields)])
        assert about_leaf([data], path=(leaf, CA, ROOT))[0] is None
        assert about_leaf([data], path=(leaf, CA, ROOT), web_pki=True)[0] == UNKNOWN
    data = revocation_list(CA, extensions=[scope(full_name=[URI])])
    assert about_leaf([data], path=(uri, CA, ROOT), web_pki=True)[0] is None
