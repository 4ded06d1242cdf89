"""Netflix's BetterTLS, its graphs and names made anew: a good way is found whatever stands beside it, and constraints bind every name."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.trust_store.limbo_craft import aki, constraints, ski
from tests.trust_store.path_craft import AT, CA, FROM, UNTIL, Issued, alternative, issue, key, signed_anew, usage
from trust_store.chain.peer_names import PeerName
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.model.verdict import Outcome

Edge = tuple[str, str]
SIGNS = usage("key_cert_sign")
SERVER = x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), False


def _graph(text: str) -> tuple[Edge, ...]:
    """``issuer>subject`` joined by blanks; an underscore is a blank in a name."""
    pairs = (part.replace("_", " ").split(">") for part in text.split())
    return tuple((issuer, subject) for issuer, subject in pairs)


LINEAR = _graph("ICA>EE TA>ICA")
TWO_ROOTS = _graph("ICA>EE Root1>ICA Root2>ICA")
FIGURE_7 = _graph("B>EE C>B A>B C>A A>C TA>C TA>A")
BRIDGE = _graph(
    "F>H F>G G>F H>I I>H G>I W>F W>G J>K N>EE L>N L>M X>J X>L B>E B>D A>B C>B A>C C>A Y>A Y>C R>S O>R O>Q P>S Z>O Z>P "
    "W>Bridge Bridge>W X>Bridge Bridge>X Y>Bridge Bridge>Y Z>Bridge Bridge>Z"
)
GRAPHS: dict[str, tuple[tuple[Edge, ...], str, str, tuple[Edge, ...]]] = {
    "linear": (LINEAR, "TA", "EE", ()),
    "linear, broken": (LINEAR, "TA", "EE", _graph("TA>ICA")),
    "linear, the intermediate is trusted": (LINEAR, "ICA", "EE", _graph("TA>ICA")),
    "first of two roots": (TWO_ROOTS, "Root1", "EE", ()),
    "second of two roots": (TWO_ROOTS, "Root2", "EE", ()),
    "first of two, second broken": (TWO_ROOTS, "Root1", "EE", _graph("Root2>ICA")),
    "second of two, first broken": (TWO_ROOTS, "Root2", "EE", _graph("Root1>ICA")),
    "first of two, broken": (TWO_ROOTS, "Root1", "EE", _graph("Root1>ICA")),
    "second of two, broken": (TWO_ROOTS, "Root2", "EE", _graph("Root2>ICA")),
    "figure 7": (FIGURE_7, "TA", "EE", ()),
    "figure 7, over A and C": (FIGURE_7, "TA", "EE", _graph("TA>C A>B")),
    "figure 7, over C and A": (FIGURE_7, "TA", "EE", _graph("TA>A C>B")),
    "figure 7, nowhere": (FIGURE_7, "TA", "EE", _graph("TA>A TA>C")),
    "bridge, Z to D": (BRIDGE, "Z", "D", ()),
    "bridge, Z to EE": (BRIDGE, "Z", "EE", ()),
    "bridge, the way back broken": (BRIDGE, "Z", "EE", _graph("X>Bridge")),
    "bridge, the way there broken": (BRIDGE, "Z", "EE", _graph("Bridge>X")),
    "bridge, the way up broken": (BRIDGE, "Z", "EE", _graph("Z>Bridge")),
}
MAIL_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False
REASONS: dict[str, dict[str, Any]] = {
    "expired": {"dates": (FROM, AT - timedelta(hours=1))},
    "name constraints": {"more": (constraints([x509.DNSName("bad.example.com")]),)},
    "bad purpose": {"more": (MAIL_ONLY,)},
    "missing basic constraints": {"basic": ()},
    "not a CA": {"basic": ((x509.BasicConstraints(ca=False, path_length=None), True),)},
    "deprecated digest": {"sha1": True},
}


@cache
def _number(node: str) -> int:
    return sum(ord(letter) << (8 * place) for place, letter in enumerate(node))


def _private(node: str) -> Any:
    return key(_number(node))


def _anchor(node: str) -> Issued:
    return issue(node, None, CA, SIGNS, ski(_private(node)), private=_private(node))


def _reached(edges: tuple[Edge, ...], broken: tuple[Edge, ...], source: str, target: str) -> bool:
    seen, border = {source}, {source}
    while border:
        border = {b for a, b in edges if a in border and (a, b) not in broken} - seen
        seen |= border
    return target in seen


class _WithSHA1:
    """A signer that takes another digest than it is told, as the library no longer signs certificates with it."""

    def __init__(self, private: Any) -> None:
        self._private = private

    def sign(self, data: bytes, _algorithm: object) -> bytes:
        """The signature under SHA-1."""
        return bytes(self._private.sign(data, ec.ECDSA(hashes.SHA1())))  # noqa: S303 - the weak one is the point


SHA1 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")


def _edge(edge: Edge, target: str, fault: dict[str, Any]) -> bytes:
    above, below = edge
    parent = Issued(_anchor(above).certificate, _private(above))
    dates = fault.get("dates", (FROM, UNTIL))
    if below == target:
        parts: tuple[Any, ...] = (usage("digital_signature"), SERVER, alternative(x509.DNSName("localhost")))
    else:
        parts = (*fault.get("basic", (CA,)), SIGNS, ski(_private(below)), *fault.get("more", ()))
    made = issue(below, parent, *parts, aki(parent.key), private=_private(below), dates=dates)
    return signed_anew(made, _WithSHA1(parent.key), *SHA1, outer=SHA1) if "sha1" in fault else made.der


def _good(leaf: bytes, untrusted: tuple[bytes, ...], anchor: bytes, peer: PeerName) -> bool:
    parameters = ValidationParameters(at=AT, purpose="server-auth", name=peer, profile=True)
    return answer(PathQuestion(leaf, (anchor,), parameters, untrusted)).outcome is Outcome.PASSED


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_path_building(graph: str, reason: str) -> None:
    """Suite pathbuilding: passed exactly where a way without a broken certificate leads down, in either order of the certificates."""
    edges, source, target, broken = GRAPHS[graph]
    made = [_edge(edge, target, REASONS[reason] if edge in broken else {}) for edge in edges]
    leaf = next(c for c, (_, below) in zip(made, edges, strict=True) if below == target)
    others = tuple(c for c in made if c is not leaf)
    expected = _reached(edges, broken, source, target)
    for order in (others, others[::-1]):
        assert _good(leaf, order, _anchor(source).der, PeerName("dns", "localhost")) is expected


NONE, VALID, INVALID = range(3)
VALUES = (NONE, VALID, INVALID)
HOSTS, ADDRESSES = ("test.localhost", "bad.example.com"), ("127.0.0.1", "1.1.1.1")
TREES, NETS = ("localhost", "example.com"), ("127.0.0.0/24", "1.1.1.0/24")
ROOT = _anchor("TA")
LOCAL = issue("local_root", ROOT, CA, SIGNS, ski(key(1)), aki(ROOT.key), private=key(1))


def _intermediate(permitted: tuple[int, int], excluded: tuple[int, int]) -> Issued:
    """Constraints on (host names, addresses)."""

    def trees(values: tuple[int, int]) -> list[x509.GeneralName] | None:
        hosts = [x509.DNSName(TREES[values[0] - 1])] if values[0] else []
        return [*hosts, *([x509.IPAddress(ip_network(NETS[values[1] - 1]))] if values[1] else [])] or None

    bound = [constraints(trees(permitted), trees(excluded))] if any((*permitted, *excluded)) else []
    return issue("local_ica", LOCAL, CA, SIGNS, ski(key(2)), aki(LOCAL.key), *bound, private=key(2))


def _leaf(parent: Issued, common: str | None, host: int, address: int) -> Issued:
    names: list[x509.GeneralName] = [x509.DNSName(HOSTS[host - 1])] if host else []
    names += [x509.IPAddress(ip_address(ADDRESSES[address - 1]))] if address else []
    parts = (
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "bettertls.com"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "1"),
    )
    subject = x509.Name([*([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []), *parts])
    san = [alternative(*names)] if names else []
    basic = x509.BasicConstraints(ca=False, path_length=None), True
    return issue(subject, parent, usage("digital_signature"), SERVER, basic, aki(parent.key), *san, private=key(3))


def _allowed(name: int, permitted: int, excluded: int) -> bool:
    """Whether a name is without fault: there is none, or it lies in what is permitted and not in what is excluded."""
    return name == NONE or (permitted in (NONE, name) and excluded != name)


@pytest.mark.parametrize("common", [None, *HOSTS, *ADDRESSES])
def test_name_constraints(common: str | None) -> None:
    """Suite nameconstraints: the name asked for is among the alternative names, and no alternative name breaks a constraint.

    Each combination of names in the end entity and of constraints in the intermediate, whatever the common name is.
    """
    for values in product(VALUES, repeat=4):
        parent = _intermediate((values[0], values[1]), (values[2], values[3]))
        for host, address in (
            product(VALUES, repeat=2)
            if common is None
            else ((VALID, VALID), (VALID, NONE), (NONE, VALID), (NONE, NONE))
        ):
            leaf = _leaf(parent, common, host, address).der
            without_fault = _allowed(host, values[0], values[2]) and _allowed(address, values[1], values[3])
            for kind, value, found in (
                ("dns", HOSTS[0], host),
                ("ip", ADDRESSES[0], address),
                ("dns", ADDRESSES[0], address),
            ):
                expected = found == VALID and without_fault
                assert _good(leaf, (parent.der, LOCAL.der, ROOT.der), ROOT.der, PeerName(kind, value)) is expected, (
                    values,
                    host,
                    address,
                )
