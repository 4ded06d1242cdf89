"""Path building: every path is found, no graph is too much for it, and whoever hands over certificates cannot make it run on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.trust_store.path_craft import ask, authority, issue, key, name
from trust_store.chain.building import MAX_PATHS, SignatureBudget, find_paths
from trust_store.model.verdict import Reason

ROOT = authority("root")
_LONG_AGO = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC))


def _subjects(paths: tuple[tuple[object, ...], ...]) -> set[tuple[str, ...]]:
    return {tuple(c.subject for c in path) for path in paths}  # type: ignore[attr-defined]


def test_every_path_is_found_end_entity_first_anchor_last() -> None:
    """Two issuers of one name and key, below two anchors, give two paths."""
    other = authority("other")
    one, two = authority("mid", ROOT, private=key(1)), authority("mid", other, private=key(1))
    leaf = issue("leaf", one)
    found = find_paths(leaf.decoded, [one.decoded, two.decoded], [ROOT.decoded, other.decoded], SignatureBudget())
    assert _subjects(found.paths) == {("CN=leaf", "CN=mid", "CN=root"), ("CN=leaf", "CN=mid", "CN=other")}
    assert (found.missing, found.exhausted) == (None, False)


def test_a_leaf_that_is_an_anchor_is_a_path_of_one() -> None:
    """The anchor's own certificate in the leaf's place ends the search at once."""
    found = find_paths(ROOT.decoded, [], [ROOT.decoded], SignatureBudget(0))
    assert found.paths == ((ROOT.decoded,),)


def test_an_anchor_is_a_name_and_a_key_however_it_was_issued() -> None:
    """A cross-certificate of an anchor handed over by others does not lengthen the path (the AddTrust trap)."""
    addtrust = authority("addtrust")
    crossed = authority("root", addtrust, private=ROOT.key)
    leaf = issue("leaf", ROOT)
    found = find_paths(leaf.decoded, [crossed.decoded], [ROOT.decoded, addtrust.decoded], SignatureBudget())
    assert found.paths == ((leaf.decoded, ROOT.decoded),)


def test_a_certificate_that_only_bears_an_anchors_name_and_key_is_no_anchor() -> None:
    """Anybody can write a certificate with an anchor's name and key; unsigned by that key it says nothing."""
    forged = authority("root", private=ROOT.key, signed_with=key(4))
    assert find_paths(forged.decoded, [], [ROOT.decoded], SignatureBudget()).paths == ()
    renewed = authority("root", private=ROOT.key)
    assert find_paths(renewed.decoded, [], [ROOT.decoded], SignatureBudget()).paths == ((renewed.decoded,),)


def test_the_missing_issuer_is_the_one_of_the_topmost_certificate() -> None:
    """Where no anchor is reached the search says whose issuer is missing, and whether one of its name has another key."""
    gone = authority("gone")
    mid = authority("mid", gone)
    leaf = issue("leaf", mid)
    found = find_paths(leaf.decoded, [mid.decoded], [ROOT.decoded], SignatureBudget())
    assert (found.missing, found.same_name_new_key) == (mid.decoded, False)
    namesake = authority("gone")
    found = find_paths(leaf.decoded, [mid.decoded], [namesake.decoded], SignatureBudget())
    assert (found.missing, found.same_name_new_key) == (mid.decoded, True)


def test_cycles_end() -> None:
    """CAs that sign for each other, alike or of one name with two keys, lead nowhere and end there."""
    one = authority("one", private=key(1), signed_with=key(2), issuer_name=name("two"))
    two = authority("two", private=key(2), signed_with=key(1), issuer_name=name("one"))
    assert ask(issue("leaf", one), [one, two], [ROOT]).reason is Reason.UNKNOWN_ROOT
    same = authority("same", private=key(1), signed_with=key(2))
    again = authority("same", private=key(2), signed_with=key(1))
    assert ask(issue("leaf", same), [same, again], [ROOT]).reason is Reason.UNKNOWN_ROOT


def test_a_cycle_beside_a_good_path_does_not_hide_it() -> None:
    """A root that is cross-signed by two CAs it signed itself (CVE-2024-0567) is reached."""
    keys = {letter: key(10 + number) for number, letter in enumerate("abc")}
    root = authority("a", private=keys["a"])
    crossed = [
        authority(subject, private=keys[subject], signed_with=keys[issuer], issuer_name=name(issuer))
        for subject in "abc"
        for issuer in "abc"
        if subject != issuer
    ]
    leaf = issue("leaf", authority("a1", root, private=key(20)))
    found = ask(leaf, [authority("a1", root, private=key(20)), *crossed], [root])
    assert found.reason is Reason.TRUSTED, found.detail


@pytest.mark.parametrize("same_key", [True, False])
def test_a_mesh_of_cas_is_cut_off(*, same_key: bool) -> None:
    """Layers of interchangeable CAs make exponentially many paths: the budget ends it, and the answer is resource_limit."""
    layers, width = 8, 4
    made = []
    for layer in range(layers):
        for twin in range(width):
            above = 100 * (layer + 1) + (0 if same_key else twin)
            own = 100 * layer + (0 if same_key else twin)
            made.append(
                authority(
                    f"layer {layer}", private=key(own), signed_with=key(above), issuer_name=name(f"layer {layer + 1}")
                )
            )
    leaf = issue("leaf", signed_with=key(0), issuer_name=name("layer 0"))
    budget = SignatureBudget()
    found = find_paths(leaf.decoded, [c.decoded for c in made], [ROOT.decoded], budget)
    assert found.paths == ()
    assert ask(leaf, made, [ROOT]).outcome != "passed"


def test_many_namesakes_with_other_keys_cost_no_more_than_the_budget() -> None:
    """A crowd of CAs with the right name and wrong keys exhausts the budget: resource_limit, not unknown and not trusted."""
    root = ROOT.certificate.subject
    crowd = [
        authority(
            "mid", private=key(1000 + number), serial=number + 1, issuer_name=root, signed_with=key(1000 + number)
        )
        for number in range(40)
    ]
    mid = authority("mid", ROOT)
    leaf = issue("leaf", mid)
    found = find_paths(leaf.decoded, [*(c.decoded for c in crowd), mid.decoded], [ROOT.decoded], SignatureBudget(20))
    assert (found.paths, found.exhausted) == ((), True)


def test_more_paths_than_are_tried_is_no_verdict_on_the_others() -> None:
    """Beyond the cap on paths, with none of them good, the answer is resource_limit."""
    expired = [
        authority("mid", ROOT, private=key(1), serial=number + 1, dates=_LONG_AGO) for number in range(MAX_PATHS + 5)
    ]
    leaf = issue("leaf", expired[0])
    assert ask(leaf, expired, [ROOT]).reason is Reason.RESOURCE_LIMIT


def test_a_chain_longer_than_any_real_one_is_cut_off() -> None:
    """Twenty intermediates are more than the search follows."""
    chain = [ROOT]
    for number in range(20):
        chain.append(authority(f"ca {number}", chain[-1], private=key(number)))
    assert ask(issue("leaf", chain[-1]), chain[1:], [ROOT]).reason is Reason.RESOURCE_LIMIT


def test_names_that_cannot_be_read_are_nobodys() -> None:
    """An issuer's name of a broken string is compared with nothing."""
    broken = replace(
        issue("leaf", ROOT).decoded, issuer_der=b"\x30\x03\x31\x01\x00", subject_der=b"\x30\x03\x31\x01\x00"
    )
    assert find_paths(broken, [broken], [ROOT.decoded], SignatureBudget()).paths == ()


def test_an_anchor_that_others_issued_stands_for_itself() -> None:
    """The very certificate of an anchor needs no signature of its own, whoever issued it and however little may be computed."""
    middle = authority("mid", authority("gone"))
    found = find_paths(middle.decoded, [], [middle.decoded], SignatureBudget(0))
    assert (found.paths, found.exhausted) == (((middle.decoded,),), False)


def test_name_key_and_signature_of_an_anchor_are_all_asked_for() -> None:
    """An end entity with an anchor's name and key counts if it names itself as issuer and that key signed it; nothing less does."""
    below = authority("mid", ROOT, private=key(7))
    for certificate in (
        authority("root", private=ROOT.key, issuer_name=name("else")),  # signed by the key, issued by somebody else
        authority("root", private=ROOT.key, signed_with=key(4)),  # names itself, signed by another key
        authority("root", private=ROOT.key, issuer_name=name("else"), signed_with=key(4)),
        authority("root", private=key(4)),  # the name alone
        authority("else", private=ROOT.key),  # the key alone
    ):
        found = find_paths(certificate.decoded, [below.decoded], [ROOT.decoded], SignatureBudget())
        assert (found.paths, found.exhausted) == ((), False)


def test_a_path_ends_at_the_anchor_also_where_its_certificate_is_handed_over_again() -> None:
    """An intermediate that is an anchor gives one path, not a second one over its own issuer."""
    middle = authority("mid", ROOT)
    leaf = issue("leaf", middle)
    found = find_paths(leaf.decoded, [middle.decoded, ROOT.decoded], [middle.decoded, ROOT.decoded], SignatureBudget())
    assert found.paths == ((leaf.decoded, middle.decoded),)
