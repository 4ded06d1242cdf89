"""Certificate policies (RFC 5280 sections 6.1.2 to 6.1.5 as RFC 9618 rewrote them: a graph, not a tree that can explode).

Only the lowest level of the graph is kept. Each of its nodes remembers from which policies of the anchor's domain it descends,
which is all that the intersection with the user's policies (6.1.5(g)) asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.extensions import ANY_POLICY
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.chain.extensions import Extensions


@dataclass(frozen=True, slots=True)
class PolicyInputs:
    """6.1.1(c), (e)-(g). An empty ``initial_set`` is any policy; the OIDs are dotted."""

    initial_set: frozenset[str] = frozenset()
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


@dataclass(frozen=True, slots=True)
class _Node:
    expected: frozenset[str]
    origins: frozenset[str]


class PolicyState:
    """The state variables of section 6.1.2(a), (d)-(f); ``length`` certificates are below the anchor."""

    def __init__(self, inputs: PolicyInputs, length: int) -> None:
        self._wanted = frozenset() if ANY_POLICY in inputs.initial_set else inputs.initial_set
        self._nodes: dict[str, _Node] = {ANY_POLICY: _Node(frozenset({ANY_POLICY}), frozenset())}
        self._explicit = 0 if inputs.require_explicit else length + 1
        self._mapping = 0 if inputs.inhibit_mapping else length + 1
        self._any = 0 if inputs.inhibit_any else length + 1

    def anchor(self, extensions: Extensions) -> None:
        """What the anchor's certificate demands is an input (RFC 5937 section 3.2)."""
        self._tighten(extensions)

    def certificate(self, extensions: Extensions, *, exempt: bool) -> str | None:
        """6.1.3(d)-(f) for one certificate; ``exempt``: self-issued and not the last. Why it is invalid, or None."""
        self._nodes = (
            {} if extensions.policies is None else self._level(extensions.policies, any_counts=self._any > 0 or exempt)
        )
        if self._explicit == 0 and not self._nodes:
            return "no certificate policy holds along the path, and one is demanded"
        return None

    def prepare(self, extensions: Extensions, *, self_issued: bool) -> str | None:
        """6.1.4(a), (b), (h)-(j). Why the certificate is invalid, or None."""
        if extensions.mappings is not None:
            if any(ANY_POLICY in pair for pair in extensions.mappings):
                return "a policy mapping from or to any policy"
            self._map(extensions.mappings)
        if not self_issued:
            self._explicit = max(self._explicit - 1, 0)
            self._mapping = max(self._mapping - 1, 0)
            self._any = max(self._any - 1, 0)
        self._tighten(extensions)
        return None

    def finish(self, extensions: Extensions) -> str | None:
        """6.1.5(a), (b), (g) with the end entity's extensions. Why the path is invalid, or None."""
        explicit = max(self._explicit - 1, 0)
        if extensions.policy_constraints is not None and extensions.policy_constraints.require_explicit_policy == 0:
            explicit = 0
        if explicit == 0 and not self._acceptable():
            return "no acceptable certificate policy holds along the path, and one is demanded"
        return None

    def _acceptable(self) -> bool:
        if not self._wanted:
            return bool(self._nodes)
        return ANY_POLICY in self._nodes or any(node.origins & self._wanted for node in self._nodes.values())

    def _level(self, policies: frozenset[str], *, any_counts: bool) -> dict[str, _Node]:
        """6.1.3(d)(1), (2): the nodes of the next depth."""
        parents: dict[str, set[str]] = {}
        for node in self._nodes.values():
            for expected in node.expected:
                parents.setdefault(expected, set()).update(node.origins)
        found: dict[str, _Node] = {}
        for policy in policies - {ANY_POLICY}:
            if policy in parents:
                found[policy] = _Node(frozenset({policy}), frozenset(parents[policy]))
            elif ANY_POLICY in self._nodes:
                found[policy] = _Node(frozenset({policy}), frozenset({policy}))
        if ANY_POLICY in policies and any_counts:
            for policy, origins in parents.items():
                found.setdefault(policy, _Node(frozenset({policy}), frozenset(origins)))
        return found

    def _map(self, mappings: tuple[tuple[str, str], ...]) -> None:
        """6.1.4(b)."""
        wanted: dict[str, set[str]] = {}
        for issuer_domain, subject_domain in mappings:
            wanted.setdefault(issuer_domain, set()).add(subject_domain)
        for policy, expected in wanted.items():
            if self._mapping == 0:
                self._nodes.pop(policy, None)
            elif policy in self._nodes:
                self._nodes[policy] = _Node(frozenset(expected), self._nodes[policy].origins)
            elif ANY_POLICY in self._nodes:
                self._nodes[policy] = _Node(frozenset(expected), frozenset({policy}))

    def _tighten(self, extensions: Extensions) -> None:
        """6.1.4(i), (j)."""
        constraints = extensions.policy_constraints
        if constraints is not None and constraints.require_explicit_policy is not None:
            self._explicit = min(self._explicit, constraints.require_explicit_policy)
        if constraints is not None and constraints.inhibit_policy_mapping is not None:
            self._mapping = min(self._mapping, constraints.inhibit_policy_mapping)
        if extensions.inhibit_any is not None:
            self._any = min(self._any, extensions.inhibit_any)
