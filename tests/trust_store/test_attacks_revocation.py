"""What an attacker may try so that a revocation on record is not seen: other material pushed before it, other certificates, cost."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store import revocation_craft as craft
from tests.trust_store.path_craft import AT as LISTED_AT
from tests.trust_store.path_craft import Issued, authority, issue, usage
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.revocation_craft import CA, LEAF, ROOT, SIGNS, entry, problems, response, revocation_list
from tests.trust_store.store_setup import open_store
from tests.trust_store.test_attacks_tombstones import AT, CODE, answer, record, signed_by
from trust_store.chain import revocation_material as in_memory
from trust_store.chain.building import SignatureBudget
from trust_store.chain.revocation import RevocationSet, check_path
from trust_store.decode.crl import load_list
from trust_store.decode.ocsp import load_response
from trust_store.model.verdict import Outcome, Reason
from trust_store.revocation_sources import is_proven
from trust_store.storage.connection import transaction
from trust_store.storage.revocation_material import (
    CRL,
    OCSP,
    FetchedMaterial,
    about_issuer,
    about_subject,
    load,
    save,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

DAY = timedelta(days=1)
DATES = (AT - DAY, AT + 5 * DAY)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def keep_list(
    connection: sqlite3.Connection, issuer: Issued, data: bytes, *, url: str = "https://crl.example/a", later: int = 0
) -> None:
    """Record a list as the daemon does."""
    listed = load_list(data)
    kept = FetchedMaterial(
        CRL, about_issuer(issuer.decoded), url, data, listed.this_update + timedelta(minutes=later), listed.next_update,
        AT, proven=is_proven(CRL, data, issuer.decoded),
    )  # fmt: skip
    with transaction(connection):
        save(connection, kept)


def keep_response(connection: sqlite3.Connection, subject: Issued, issuer: Issued, data: bytes, url: str) -> None:
    """Record an OCSP response as the daemon does."""
    status = load_response(data).statuses[0]
    kept = FetchedMaterial(
        OCSP, about_subject(subject.decoded), url, data, status.this_update, status.next_update, AT,
        proven=is_proven(OCSP, data, issuer.decoded),
    )  # fmt: skip
    with transaction(connection):
        save(connection, kept)


def test_the_responses_about_others_push_none_out(store: sqlite3.Connection) -> None:
    """However many newer responses there are about other certificates of the issuer, the one about the signer is read."""
    root = authority("Root", None, SIGNS, private=private_key(201))
    record(store, root)
    signer = issue("Signer", root, CODE, private=private_key(202))
    revoked = response(
        signer, root, root, status=ocsp.OCSPCertStatus.REVOKED, reason="keyCompromise", dates=DATES, on=AT - DAY
    )
    keep_response(store, signer, root, revoked, "https://ocsp.example/signer")
    for number in range(12):
        other = issue(f"Other {number}", root, CODE, private=private_key(203))
        said = response(other, root, root, dates=(AT - timedelta(hours=number + 1), AT + 5 * DAY))
        keep_response(store, other, root, said, f"https://ocsp.example/{number}")
    assert answer(store, signed_by(signer)).reason is Reason.REVOKED


def test_the_parts_of_a_list_push_none_out(store: sqlite3.Connection) -> None:
    """A CA that cuts its list into many parts, each at a place of its own, has every part read."""
    root = authority("Root", None, SIGNS, private=private_key(211))
    record(store, root)

    def part(number: int) -> list[x509.GeneralName]:
        return [x509.UniformResourceIdentifier(f"https://crl.example/{number}")]

    signer = issue("Signer", root, CODE, craft.points({"full_name": part(0)}), private=private_key(212))
    for number in range(12):
        revoked = [entry(signer, "keyCompromise", on=AT - DAY)] if number == 0 else []
        listed = revocation_list(
            root, *revoked, dates=(AT - timedelta(hours=20 - number), AT + 5 * DAY),
            extensions=[craft.scope(full_name=part(number))],
        )  # fmt: skip
        keep_list(store, root, listed, url=f"https://crl.example/{number}")
    assert answer(store, signed_by(signer)).reason is Reason.REVOKED


def test_another_certificate_of_the_issuer_hides_no_list(store: sqlite3.Connection) -> None:
    """A list is the issuing key's: whoever signs with a revoked key cannot choose a re-issued issuer that has none."""
    root = authority("Root", None, SIGNS, private=private_key(221))
    record(store, root)
    seen = authority("Issuing", root, SIGNS, private=private_key(222))
    reissued = authority("Issuing", root, SIGNS, private=private_key(222))
    signer = issue("Signer", seen, CODE, private=private_key(223))
    assert answer(store, signed_by(signer, reissued)).outcome is Outcome.PASSED
    keep_list(store, seen, revocation_list(seen, entry(signer, "keyCompromise", on=AT - DAY), dates=DATES))
    assert answer(store, signed_by(signer, seen)).reason is Reason.REVOKED
    assert answer(store, signed_by(signer, reissued)).reason is Reason.REVOKED


def test_a_bare_name_and_key_has_its_list_read(store: sqlite3.Connection) -> None:
    """An anchor that is no certificate issues all the same, and what it revoked is revoked."""
    root = authority("Old root", private=private_key(231))
    record(store, root, bare=True)
    signer = issue("Signer", root, CODE, private=private_key(232))
    assert answer(store, signed_by(signer)).outcome is Outcome.PASSED
    keep_list(store, root, revocation_list(root, entry(signer, "keyCompromise", on=AT - DAY), dates=DATES))
    assert answer(store, signed_by(signer)).reason is Reason.REVOKED


def test_what_nobody_signed_pushes_out_nothing(store: sqlite3.Connection) -> None:
    """Lists of another name or by another key, which whoever sits on the wire serves in plenty, leave the real one in its place."""
    root = authority("Root", None, SIGNS, private=private_key(241))
    record(store, root)
    signer = issue("Signer", root, CODE, private=private_key(242))
    stranger = authority("Stranger", None, SIGNS, private=private_key(243))
    keep_list(store, root, revocation_list(root, entry(signer, "keyCompromise", on=AT - DAY), dates=DATES))
    for number in range(20):
        forged = revocation_list(stranger, number=100 + number, dates=(AT, AT + 50 * DAY))
        keep_list(store, root, forged, later=number)
        elsewhere = [craft.scope(full_name=[x509.UniformResourceIdentifier(f"https://x.example/{number}")])]
        odd = revocation_list(
            root, number=200 + number, dates=(AT, AT + 50 * DAY), extensions=elsewhere, signed_with=stranger.key
        )
        keep_list(store, root, odd, later=number)
    assert answer(store, signed_by(signer)).reason is Reason.REVOKED


def test_an_unsigned_response_pushes_out_nothing(store: sqlite3.Connection) -> None:
    """Of the responses from one place those that the issuer answers for come first, whatever time the others state."""
    root = authority("Root", None, SIGNS, private=private_key(251))
    signer = issue("Signer", root, CODE, private=private_key(252))
    other = issue("Other", root, CODE, private=private_key(253))
    record(store, root)
    revoked = response(
        signer, root, root, status=ocsp.OCSPCertStatus.REVOKED, reason="keyCompromise", dates=DATES, on=AT - DAY
    )
    keep_response(store, signer, root, revoked, "https://ocsp.example/signer")
    for number in range(20):
        forged = response(
            other, root, root, dates=(AT - timedelta(minutes=number), AT + 50 * DAY), signed_with=private_key(254)
        )
        keep_response(store, signer, root, forged, "https://ocsp.example/signer")
    assert answer(store, signed_by(signer)).reason is Reason.REVOKED


def test_a_responder_that_the_issuer_made_one_is_proven() -> None:
    """A response by a delegated responder is kept as the issuer's word, one by a responder of somebody else is not."""
    signs = usage("digital_signature")
    delegated = issue("Responder", CA, signs)
    foreign = issue("Responder", authority("Elsewhere", None, SIGNS), signs)
    good = response(LEAF, CA, delegated, carried=[delegated])
    assert is_proven(OCSP, good, CA.decoded)
    assert not is_proven(OCSP, response(LEAF, CA, foreign, carried=[foreign]), CA.decoded)
    assert not is_proven(OCSP, b"\x30\x03\x0a\x01\x06", CA.decoded)
    assert not is_proven(CRL, b"junk", CA.decoded)


def test_only_the_newest_of_each_place_are_handed_out(store: sqlite3.Connection) -> None:
    """A list that is fetched every day costs no more each day: what it took the place of is not read."""
    root = authority("Root", None, SIGNS, private=private_key(261))
    lists = [revocation_list(root, number=day, dates=(AT - (30 - day) * DAY, AT + 5 * DAY)) for day in range(1, 20)]
    for listed in lists:
        keep_list(store, root, listed)
    assert set(load(store, [about_issuer(root.decoded)]).crls) == set(lists[-2:])


@pytest.mark.parametrize("policy", ["if_available", "required"])
@pytest.mark.parametrize("answered", [False, True])
def test_more_lists_than_are_read_never_pass(monkeypatch: pytest.MonkeyPatch, policy: str, *, answered: bool) -> None:
    """Where not everything at hand was read, what was left out may have revoked the certificate: the answer says so."""
    bulk = [revocation_list(authority(f"Bulk {n}", None, SIGNS)) for n in range(3)]
    monkeypatch.setattr(in_memory, "MAX_TOTAL_BYTES", sum(map(len, bulk)))
    lists = [*bulk, revocation_list(CA, entry(LEAF, "keyCompromise"))]
    responses = [response(LEAF, CA, CA)] if answered else []
    found = problems(lists, responses, policy=policy)
    assert Reason.RESOURCE_LIMIT in {problem.reason for problem in found}
    monkeypatch.setattr(in_memory, "MAX_RESPONSES", 1)
    found = problems([], [response(CA, ROOT, ROOT), response(LEAF, CA, CA, status=ocsp.OCSPCertStatus.REVOKED)])
    assert Reason.RESOURCE_LIMIT in {problem.reason for problem in found}


def test_a_good_response_hides_no_list_that_was_too_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lists could not be judged within their budget, an older good response does not stand for them."""
    signer = issue("Lists", ROOT, SIGNS)
    told = [
        {
            "full_name": [x509.DirectoryName(signer.certificate.subject)],
            "crl_issuer": [x509.DirectoryName(signer.certificate.subject)],
        }
    ]
    leaf = issue("Indirect", CA, craft.points(*told))
    elsewhere = revocation_list(
        signer, entry(leaf, "keyCompromise", extensions=[(x509.CertificateIssuer([x509.DirectoryName(CA.certificate.subject)]), True)]),
        extensions=[craft.scope(full_name=told[0]["full_name"], indirect_crl=True)],
    )  # fmt: skip
    path = (leaf, CA, ROOT)
    both: dict[str, object] = {"path": path, "untrusted": [signer], "policy": "if_available"}
    lists, responses = [elsewhere], [response(leaf, CA, CA)]
    assert [p.reason for p in problems(lists, responses, **both)] == [Reason.REVOKED]  # type: ignore[arg-type]
    monkeypatch.setattr("trust_store.chain.building.MAX_SEARCHES", 0)
    assert [p.reason for p in problems(lists, responses, **both)] == [Reason.RESOURCE_LIMIT]  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [(10, None), (10, 3)])
def test_an_older_list_of_a_higher_number_hides_no_newer_one(numbers: tuple[int | None, int | None]) -> None:
    """Of two current lists neither takes the other's place unless it is newer by date and by number: both are asked."""
    older = revocation_list(CA, number=numbers[0], dates=(LISTED_AT - 3 * DAY, LISTED_AT + DAY))
    newer = revocation_list(CA, entry(LEAF, "keyCompromise"), number=numbers[1])
    for lists in ([older, newer], [newer, older]):
        assert craft.about_leaf(lists)[0] == "revoked"


def test_the_hardest_of_several_entries_counts() -> None:
    """A list that names a certificate twice, once for a soft reason, spares nothing that was signed before."""
    soft, hard = (entry(LEAF, reason, on=LISTED_AT - DAY) for reason in ("superseded", "keyCompromise"))
    for entries in ([soft, hard], [hard, soft]):
        found = craft.about_leaf([revocation_list(CA, *entries)], signed_at=LISTED_AT - 5 * DAY)
        assert found[0] == "revoked"


def test_every_budget_ends_in_no_pass() -> None:
    """However few operations are left, a revoked certificate is never taken for one about which nothing is known."""
    material = RevocationSet.decode([revocation_list(ROOT), revocation_list(CA, entry(LEAF, "keyCompromise"))], [])
    path = tuple(certificate.decoded for certificate in craft.PATH)
    for left in range(6):
        found = check_path(path, material, policy="if_available", at=LISTED_AT, budget=SignatureBudget(left))
        assert {problem.reason for problem in found} & {Reason.REVOKED, Reason.RESOURCE_LIMIT}


def test_a_responder_does_not_vouch_for_itself() -> None:
    """Where status is required, that of the responder's own certificate comes from somebody else; its CA may say so."""
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False
    responder = issue("Responder", CA, usage("digital_signature"), purpose)
    about_signer = response(LEAF, CA, responder, carried=[responder])
    of_itself = response(responder, CA, responder, carried=[responder])
    of_its_ca = response(responder, CA, CA)
    assert craft.about_leaf([], [about_signer, of_itself])[0] == "revocation_unknown"
    assert craft.about_leaf([], [about_signer, of_its_ca]) == (None, "")
