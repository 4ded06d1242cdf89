"""Hostile graphs and lists: whatever is handed over, a question costs a counted number of operations and ends in an answer.

Nothing here is timed: what is counted are public-key operations, candidates and comparisons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.trust_store.path_craft import AT, CA, Issued, alternative, authority, issue, key, name, usage
from tests.trust_store.revocation_craft import entry, points, revocation_list, scope
from trust_store.chain import algorithms, building, question, revocation_signers
from trust_store.chain.building import (
    DEFAULT_BUDGET,
    MAX_COMPARISONS,
    MAX_PATHS,
    MAX_SEARCHES,
    MAX_STEPS,
    SignatureBudget,
)
from trust_store.chain.question import PathAnswer, PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.decode import crl_entries
from trust_store.decode.crl import MAX_LIST_BYTES, load_list
from trust_store.decode.crl_entries import scan_entries
from trust_store.errors import ResourceLimitError
from trust_store.model.verdict import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate

ROOT = authority("root", private=key(0))
SKI, AKI = x509.SubjectKeyIdentifier(b"same"), x509.AuthorityKeyIdentifier(b"same", None, None)
SAME = ((SKI, False), (AKI, False))


class _Counted:
    """What one question cost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.operations = 0
        self.candidates = 0
        self.budgets: list[SignatureBudget] = []
        real_cut = building._Search._cut
        real_holds = algorithms.signature_holds

        def cut(search: Any) -> bool:
            self.candidates += 1
            return real_cut(search)

        def holds(spki: bytes, certificate: Certificate) -> bool:
            self.operations += 1
            return real_holds(spki, certificate)

        def budget() -> SignatureBudget:
            self.budgets.append(SignatureBudget())
            return self.budgets[-1]

        monkeypatch.setattr(building._Search, "_cut", cut)
        monkeypatch.setattr(building, "signature_holds", holds)
        monkeypatch.setattr(question, "SignatureBudget", budget)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> _Counted:
    """Counts from here on."""
    return _Counted(monkeypatch)


def _ask(
    leaf: Issued, untrusted: Iterable[bytes], *, crls: Iterable[bytes] = (), anchors: tuple[Issued, ...] = (ROOT,)
) -> PathAnswer:
    parameters = ValidationParameters(at=AT)
    return answer(PathQuestion(leaf.der, tuple(a.der for a in anchors), parameters, tuple(untrusted), tuple(crls)))


def _cross(subject: str, own: int, issuer: str, signer: int, *extensions: Any, **options: Any) -> bytes:
    made = issue(
        subject, None, CA, *extensions, private=key(own), signed_with=key(signer), issuer_name=name(issuer), **options
    )
    return made.der


def _bounded(counted: _Counted, found: PathAnswer, *, searches: int = 1) -> None:
    assert found.outcome is not Outcome.PASSED
    assert counted.operations <= DEFAULT_BUDGET
    # a search that is cut off looks once more on each level that it leaves
    assert counted.candidates <= searches * (MAX_STEPS + building.MAX_PATH_CERTIFICATES + 1)


def test_everybody_has_signed_everybody_under_one_name(counted: _Counted) -> None:
    """Thirty keys of one name and one key identifier, each certified by all others: the budget ends it."""
    mesh = [_cross("mesh", i, "mesh", j, *SAME) for i in range(30) for j in range(30) if i != j]
    leaf = issue("leaf", None, SAME[1], signed_with=key(0), issuer_name=name("mesh"))
    found = _ask(leaf, mesh)
    assert found.reason is Reason.RESOURCE_LIMIT
    _bounded(counted, found)


def test_everybody_has_signed_everybody_under_names_of_their_own(counted: _Counted) -> None:
    """The same with a name for each: paths without end, and none to an anchor."""
    mesh = [_cross(f"m{i}", i, f"m{j}", j) for i in range(20) for j in range(20) if i != j]
    found = _ask(issue("leaf", None, signed_with=key(0), issuer_name=name("m0")), mesh)
    assert found.reason is Reason.RESOURCE_LIMIT
    _bounded(counted, found)


def test_a_way_out_of_the_maze_is_found(counted: _Counted) -> None:
    """Where one of them is certified by the anchor the path is found at once: by names it is the nearest."""
    mesh = [_cross(f"m{i}", i, f"m{j}", j) for i in range(20) for j in range(20) if i != j]
    way = issue("m19", ROOT, CA, private=key(19)).der
    found = _ask(issue("leaf", None, signed_with=key(0), issuer_name=name("m0")), [*mesh, way])
    assert (found.reason, len(found.path)) == (Reason.TRUSTED, 4)
    assert counted.operations <= DEFAULT_BUDGET


def test_names_in_layers_are_looked_at_once(counted: _Counted) -> None:
    """Layers of names, each certified by all of the layer above: the ways double with each layer, the work does not."""
    layers = [
        _cross(f"l{layer} {i}", 1, f"l{layer + 1} {j}", 1) for layer in range(8) for i in range(6) for j in range(6)
    ]
    tops = [issue(f"l8 {i}", ROOT, CA, private=key(1)).der for i in range(6)]
    found = _ask(issue("leaf", None, signed_with=key(1), issuer_name=name("l0 0")), [*layers, *tops])
    assert found.reason is Reason.TRUSTED
    assert counted.operations <= DEFAULT_BUDGET


def test_ten_thousand_certificates(counted: _Counted) -> None:
    """One name and one key ten thousand times, and loops of two: what was found out about a signature once is not paid again."""
    serials = range(1, 2001)
    same = [_cross("s", 2, "s", 2, serial=serial) for serial in serials]
    leaf = issue("leaf", None, signed_with=key(2), issuer_name=name("s"))
    _bounded(counted, _ask(leaf, same * 5))
    counted.operations = counted.candidates = 0
    loops = [_cross("s", 2, "t", 3, serial=serial) for serial in serials] + [
        _cross("t", 3, "s", 2, serial=n) for n in serials
    ]
    _bounded(counted, _ask(leaf, [*loops, *same, *loops]))


def test_a_chain_without_end(counted: _Counted) -> None:
    """A thousand certificates one above the other are followed for as long as a path may be."""
    chain = [_cross(f"n{i}", i % 2, f"n{i + 1}", (i + 1) % 2) for i in range(1000)]
    found = _ask(issue("leaf", None, signed_with=key(0), issuer_name=name("n0")), chain)
    assert found.reason is Reason.RESOURCE_LIMIT
    assert counted.operations <= building.MAX_PATH_CERTIFICATES + 1


def test_many_good_looking_paths_that_all_fail(counted: _Counted) -> None:
    """Paths that reach the anchor and are invalid are validated up to their number, then the question ends."""
    limited = x509.BasicConstraints(ca=True, path_length=0), True
    tops = [issue(f"t{i}", ROOT, limited, private=key(1), serial=i + 1).der for i in range(40)]
    middles = [_cross("mid", 2, f"t{i}", 1, serial=i + 1) for i in range(40)]
    found = _ask(issue("leaf", None, signed_with=key(2), issuer_name=name("mid")), [*tops, *middles])
    assert found.reason is Reason.RESOURCE_LIMIT
    _bounded(counted, found)
    assert MAX_PATHS < 40


def test_name_constraints_by_names_are_counted(counted: _Counted) -> None:
    """Thousands of subtrees against thousands of names end at the number of comparisons, over all paths together."""
    subtrees = [x509.DNSName(f"a{i}.example") for i in range(800)]
    constraints = x509.NameConstraints(subtrees, None), True
    middle = issue("mid", ROOT, CA, constraints, private=key(2))
    leaf = issue("leaf", middle, alternative(*(x509.DNSName(f"a{i}.example") for i in range(800))))
    assert _ask(leaf, [middle.der]).reason is Reason.RESOURCE_LIMIT
    left = [budget._comparisons for budget in counted.budgets]
    assert all(0 <= count <= MAX_COMPARISONS for count in left)


def test_very_long_keys_cost_more_than_one_operation() -> None:
    """A key of twice the length of RSA with 8192 bits costs three, so that the dearest keys do not make a question dear."""

    class _Long:
        spki, spki_sha256 = bytes(2100), "a"

    budget = SignatureBudget(3)
    assert budget.proved(_Long(), "b", lambda: True) is True  # type: ignore[arg-type]
    assert budget.left == 0
    assert budget.proved(_Long(), "c", lambda: True) is None  # type: ignore[arg-type]
    assert budget.proved(_Long(), "b", lambda: False) is True  # type: ignore[arg-type]


def test_lists_without_number_by_signers_without_number(counted: _Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of lists, hundreds of certificates of the name and key that signed them: searches and operations are counted."""
    ca = authority("ca", ROOT, usage("key_cert_sign", "crl_sign"), private=key(4))
    leaf = issue("leaf", ca)
    lists = [revocation_list(ca, number=number, signed_with=key(5)) for number in range(1, 200)]
    signers = [_cross("ca", 5, "nobody", 6, serial=serial) for serial in range(1, 400)]
    searches = 0
    find = building.find_paths

    def count(*arguments: Any, **options: Any) -> Any:
        nonlocal searches
        searches += 1
        return find(*arguments, **options)

    monkeypatch.setattr(revocation_signers, "find_paths", count)
    found = _ask(leaf, [ca.der, *signers], crls=lists)
    assert found.reason is Reason.RESOURCE_LIMIT
    assert searches <= MAX_SEARCHES
    _bounded(counted, found, searches=1 + MAX_SEARCHES)


def test_signers_of_lists_about_signers_of_lists() -> None:
    """A tower of list makers, each named by the certificate of the one before, ends; nothing is known at its end."""

    def maker(number: int) -> Issued:
        named = points({"crl_issuer": [x509.DirectoryName(name(f"maker {number + 1}"))]})
        return issue(f"maker {number}", ROOT, usage("crl_sign"), named, private=key(20 + number % 5))

    makers = [maker(number) for number in range(12)]
    lists = [revocation_list(m, extensions=[scope(indirect_crl=True)]) for m in makers]
    leaf = issue("leaf", ROOT, points({"crl_issuer": [x509.DirectoryName(name("maker 0"))]}))
    found = _ask(leaf, [m.der for m in makers], crls=lists)
    assert found.reason in (Reason.RESOURCE_LIMIT, Reason.REVOCATION_UNKNOWN)


def test_two_signers_of_lists_about_each_other_prove_nothing_bad_and_free_nobody() -> None:
    """A circle of list makers ends, and one that revokes the other still does."""

    def by(other: str) -> Any:
        return points({"crl_issuer": [x509.DirectoryName(name(other))]})

    one = issue("one", ROOT, usage("crl_sign"), by("two"))
    two = issue("two", ROOT, usage("crl_sign"), by("one"))
    leaf = issue("leaf", ROOT, by("one"))
    of_root = x509.CertificateIssuer([x509.DirectoryName(name("root"))]), True
    indirect = scope(indirect_crl=True)
    good = [revocation_list(one, extensions=[indirect]), revocation_list(two, extensions=[indirect])]
    bad = [good[0], revocation_list(two, entry(one, extensions=[of_root]), extensions=[indirect])]
    assert _ask(leaf, [one.der, two.der], crls=good).outcome is Outcome.PASSED
    assert _ask(leaf, [one.der, two.der], crls=bad).outcome is not Outcome.PASSED


def test_giant_lists_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, entries and kinds of extensions: beyond each cap a list is refused, before it costs anything more."""
    with pytest.raises(ResourceLimitError):
        load_list(b"\x30" * (MAX_LIST_BYTES + 1))
    monkeypatch.setattr(crl_entries, "MAX_ENTRIES", 3)
    monkeypatch.setattr(crl_entries, "MAX_KINDS_OF_EXTENSIONS", 2)
    plain = b"\x30\x12\x02\x01%c\x17\x0d260101000000Z"
    with pytest.raises(ResourceLimitError):
        scan_entries(b"".join(plain % bytes([i]) for i in range(5)), 0, 100)
    kinds = b"".join(
        b"\x30\x20\x02\x01%c\x17\x0d260101000000Z\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01%c" % (i, i)
        for i in range(4)
    )
    with pytest.raises(ResourceLimitError):
        scan_entries(kinds, 0, len(kinds))
