"""Certificate policies along a path: explicit policy, mapping, any policy and their limits (RFC 5280 section 6.1, RFC 9618)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509

from tests.trust_store.path_craft import Extension, Issued, ask, authority, issue
from trust_store.chain.policies import PolicyInputs
from trust_store.model.verdict import Reason

ROOT = authority("root")
ANY = "2.5.29.32.0"
P1, P2, P3 = "1.3.6.1.4.1.55738.1", "1.3.6.1.4.1.55738.2", "1.3.6.1.4.1.55738.3"


def _held(*oids: str) -> Extension:
    return (
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]),
        False,
    )


def _constraints(explicit: int | None = None, mapping: int | None = None) -> Extension:
    return x509.PolicyConstraints(require_explicit_policy=explicit, inhibit_policy_mapping=mapping), True


def _inhibit_any(skip: int) -> Extension:
    return x509.InhibitAnyPolicy(skip), True


def _mapped(*pairs: tuple[str, str]) -> Extension:
    body = b"".join(_sequence(_der_oid(one) + _der_oid(other)) for one, other in pairs)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), _sequence(body)), True


def _sequence(body: bytes) -> bytes:
    return b"\x30" + bytes([len(body)]) + body


def _der_oid(text: str) -> bytes:
    arcs = [int(arc) for arc in text.split(".")]
    content = b""
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return b"\x06" + bytes([len(content)]) + content


def _chain(*levels: tuple[Extension, ...]) -> tuple[Issued, list[Issued]]:
    """A leaf with the last level's extensions and intermediates with the others', from the top down."""
    chain = [ROOT]
    for number, extensions in enumerate(levels[:-1]):
        chain.append(authority(f"ca {number}", chain[-1], *extensions))
    return issue("leaf", chain[-1], *levels[-1]), chain[1:]


HELD, EXPLICIT = (_held(P1),), {"require_explicit": True}
CASES: dict[str, tuple[tuple[tuple[Extension, ...], ...], dict[str, Any], bool]] = {
    "none, none asked": (((), ()), {}, True),
    "none, one asked": (((), ()), EXPLICIT, False),
    "the same throughout": ((HELD, HELD), EXPLICIT, True),
    "the same, and it is wanted": ((HELD, HELD), EXPLICIT | {"initial_set": frozenset({P1})}, True),
    "the same, another is wanted": ((HELD, HELD), EXPLICIT | {"initial_set": frozenset({P2})}, False),
    "another wanted, not explicitly": ((HELD, HELD), {"initial_set": frozenset({P2})}, True),
    "any is wanted": ((HELD, HELD), EXPLICIT | {"initial_set": frozenset({ANY, P2})}, True),
    "different ones": ((HELD, (_held(P2),)), EXPLICIT, False),
    "different ones, none asked": ((HELD, (_held(P2),)), {}, True),
    "missing in between": (((), HELD), EXPLICIT, False),
    "any in between": (((_held(ANY),), HELD), EXPLICIT | {"initial_set": frozenset({P1})}, True),
    "any in the leaf": ((HELD, (_held(ANY),)), EXPLICIT | {"initial_set": frozenset({P1})}, True),
    "any throughout": (((_held(ANY),), (_held(ANY),)), EXPLICIT | {"initial_set": frozenset({P3})}, True),
    "any, inhibited": (((_held(ANY),), HELD), EXPLICIT | {"inhibit_any": True}, False),
    "any, inhibited below": (((_held(P1), _inhibit_any(0)), (_held(ANY),)), EXPLICIT, False),
    "any, inhibited later": (((_held(P1), _inhibit_any(1)), (_held(ANY),)), EXPLICIT, True),
    "demanded by a CA": (((_constraints(0),), ()), {}, False),
    "demanded by a CA and held": (((_held(P1), _constraints(0)), HELD), {}, True),
    "demanded too far below": (((_constraints(5),), ()), {}, True),
    "demanded by the leaf": (((), (_constraints(0),)), {}, False),
    "mapped": (((_held(P1), _mapped((P1, P2))), (_held(P2),)), EXPLICIT | {"initial_set": frozenset({P1})}, True),
    "mapped, theirs wanted": (
        ((_held(P1), _mapped((P1, P2))), (_held(P2),)), EXPLICIT | {"initial_set": frozenset({P2})}, False
    ),
    "mapped away": (((_held(P1), _mapped((P1, P2))), HELD), EXPLICIT, False),
    "mapped, inhibited": (
        ((_held(P1), _mapped((P1, P2))), (_held(P2),)), EXPLICIT | {"inhibit_mapping": True}, False
    ),
    "mapped, inhibited by a CA": (
        ((_held(P1), _constraints(None, 0)), (_held(P1), _mapped((P1, P2))), (_held(P2),)), EXPLICIT, False
    ),
    "mapped out of any": (((_held(ANY), _mapped((P1, P2))), (_held(P2),)), EXPLICIT | {"initial_set": frozenset({P1})}, True),
    "mapped from any": (((_held(ANY), _mapped((ANY, P2))), (_held(P2),)), {}, False),
    "mapped to any": (((_held(P1), _mapped((P1, ANY))), (_held(P2),)), {}, False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_policies_decide_where_one_is_demanded(case: str) -> None:
    """The path holds exactly where section 6.1.5(g) leaves a policy or none is demanded."""
    levels, asked, holds = CASES[case]
    leaf, between = _chain(*levels)
    found = ask(leaf, between, [ROOT], policies=PolicyInputs(**asked))
    assert found.reason is (Reason.TRUSTED if holds else Reason.PATH_INVALID), found.detail


def test_an_anchor_that_demands_a_policy_is_obeyed() -> None:
    """Policy constraints in the anchor's certificate are inputs (RFC 5937)."""
    root = authority("strict", None, _constraints(0))
    assert ask(issue("leaf", root), [], [root]).reason is Reason.PATH_INVALID


def test_the_anchor_itself_holds_no_policy_of_its_own() -> None:
    """An anchor in the leaf's place is held to the policies that are demanded."""
    assert ask(ROOT, [], [ROOT], policies=PolicyInputs(require_explicit=True)).reason is Reason.PATH_INVALID


@pytest.mark.parametrize("value", [b"", b"\x30\x00", b"\x30\x02\x05\x00", b"\x30\x04\x30\x02\x05\x00", b"\x04\x00"])
def test_mappings_that_cannot_be_read_fail_the_path(value: bytes) -> None:
    """PolicyMappings that are no pairs of policies are path_invalid."""
    broken = (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), False)
    leaf, between = _chain((broken,), ())
    assert ask(leaf, between, [ROOT]).reason is Reason.PATH_INVALID


def test_policies_and_mappings_by_the_hundred_do_not_explode() -> None:
    """Every policy mapped to every other at each of ten CAs (CVE-2023-0464) is answered: the graph keeps one level."""
    oids = [f"1.3.6.1.4.1.55738.9.{number}" for number in range(12)]
    pairs = [(one, other) for one in oids for other in oids]
    body = b"".join(_sequence(_der_oid(one) + _der_oid(other)) for one, other in pairs)
    length = len(body).to_bytes(2, "big")
    mappings = (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), b"\x30\x82" + length + body), True)
    level = (_held(*oids), mappings)
    leaf, between = _chain(*[level] * 10, (_held(oids[0]),))
    assert ask(leaf, between, [ROOT], policies=PolicyInputs(require_explicit=True)).reason is Reason.TRUSTED
