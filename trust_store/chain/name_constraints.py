"""Name constraints (RFC 5280 sections 4.2.1.10, 6.1.3(b), (c), 6.1.4(g)): permitted and excluded subtrees of every certificate below.

A constraint on a kind of name that this module does not know fails the certificates that have such names: what cannot be
compared is not permitted.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from cryptography import x509

from trust_store.chain.names import within
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAX_COMPARISONS = 20_000
"""For one certificate; a question as a whole has its budget."""
_EMPTY_NAME = b"\x30\x00"


@dataclass(frozen=True, slots=True)
class Subtrees:
    """One CA's constraints: None for a list that is absent."""

    permitted: tuple[x509.GeneralName, ...]
    excluded: tuple[x509.GeneralName, ...]


def names_of(
    alternative: x509.SubjectAlternativeName | None, email: tuple[str, ...], constraints: list[Subtrees]
) -> list[x509.GeneralName]:
    """Every name that ``constraints`` apply to: the subject alternative names, and e-mail in the subject where they have none.

    Raises MalformedError for an e-mail address in the subject that would have to be compared and is none.
    """
    found: list[x509.GeneralName] = list(alternative) if alternative is not None else []
    constrained = any(isinstance(n, x509.RFC822Name) for c in constraints for n in (*c.permitted, *c.excluded))
    if constrained and not any(isinstance(n, x509.RFC822Name) for n in found):
        for address in email:
            try:
                found.append(x509.RFC822Name(address))
            except ValueError as error:
                raise MalformedError(f"an e-mail address in the subject cannot be read: {error}") from error
    return found


def comparisons(names: list[x509.GeneralName], constraints: list[Subtrees]) -> int:
    """How often ``violation`` compares at most."""
    return sum((len(c.permitted) + len(c.excluded)) * (len(names) + 1) for c in constraints)


def violation(subject_der: bytes, names: list[x509.GeneralName], constraints: list[Subtrees]) -> str | None:
    """Why one of the names is not permitted, or None.

    Raises MalformedError, and ResourceLimitError where there is too much to compare.
    """
    if (count := comparisons(names, constraints)) > MAX_COMPARISONS:
        raise ResourceLimitError(f"{count} comparisons of names with name constraints")
    for subtrees in constraints:
        if reason := _subject_violation(subject_der, subtrees):
            return reason
        for name in names:
            if reason := _name_violation(name, subtrees):
                return reason
    return None


def _subject_violation(subject_der: bytes, subtrees: Subtrees) -> str | None:
    if subject_der == _EMPTY_NAME:
        return None
    permitted = [n for n in subtrees.permitted if isinstance(n, x509.DirectoryName)]
    excluded = [n for n in subtrees.excluded if isinstance(n, x509.DirectoryName)]
    if any(within(subject_der, n.value.public_bytes()) for n in excluded):
        return "the subject lies in an excluded subtree"
    if permitted and not any(within(subject_der, n.value.public_bytes()) for n in permitted):
        return "the subject lies in no permitted subtree"
    return None


def _name_violation(name: x509.GeneralName, subtrees: Subtrees) -> str | None:
    permitted = [n for n in subtrees.permitted if _same_kind(n, name)]
    excluded = [n for n in subtrees.excluded if _same_kind(n, name)]
    kind = type(name).__name__
    if any(_in_subtree(name, base, excluding=True) for base in excluded):
        return f"a {kind} lies in an excluded subtree"
    if permitted and not any(_in_subtree(name, base, excluding=False) for base in permitted):
        return f"a {kind} lies in no permitted subtree"
    return None


def _same_kind(one: x509.GeneralName, other: x509.GeneralName) -> bool:
    if isinstance(one, x509.OtherName) and isinstance(other, x509.OtherName):
        return one.type_id == other.type_id
    return type(one) is type(other)


def _in_subtree(name: x509.GeneralName, base: x509.GeneralName, *, excluding: bool) -> bool:
    """Whether ``name`` lies under ``base``; where that cannot be told it is excluded and not permitted."""
    if isinstance(name, x509.DNSName) and isinstance(base, x509.DNSName):
        return _dns(name.value, base.value, excluding=excluding)
    if isinstance(name, x509.IPAddress) and isinstance(base, x509.IPAddress):
        return _ip(name, base, excluding=excluding)
    if isinstance(name, x509.DirectoryName) and isinstance(base, x509.DirectoryName):
        return within(name.value.public_bytes(), base.value.public_bytes())
    if isinstance(name, x509.RFC822Name) and isinstance(base, x509.RFC822Name):
        return _email(name.value, base.value, excluding=excluding)
    if isinstance(name, x509.UniformResourceIdentifier) and isinstance(base, x509.UniformResourceIdentifier):
        return _uri(name.value, base.value, excluding=excluding)
    return excluding


def _dns(name: str, base: str, *, excluding: bool) -> bool:
    """Zero or more labels added on the left (RFC 5280 4.2.1.10); a wildcard stands for every name below its parent."""
    name, base = name.lower(), base.lower()
    if base.startswith("."):
        return excluding and _dns(name, base[1:], excluding=excluding)  # no valid dNSName constraint
    wildcard = name.startswith("*.")
    if not _is_host(name[2:] if wildcard else name) or (base and not _is_host(base)):
        return excluding
    if wildcard:
        parent = name[2:]
        if excluding:  # some name that the wildcard matches is excluded
            return _below(parent, base) or base.partition(".")[2] == parent
        return _below(parent, base)
    return _below(name, base)


def _is_host(name: str) -> bool:
    """Whether ``name`` is labels joined by dots, so that comparing its end means something."""
    return all(label and set(label) <= _LABEL for label in name.split("."))


def _below(name: str, base: str) -> bool:
    return base == "" or name == base or name.endswith("." + base)


def _ip(name: x509.IPAddress, base: x509.IPAddress, *, excluding: bool) -> bool:
    network, address = base.value, name.value
    if not isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return excluding
    if not isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return excluding
    return address.version == network.version and address in network


def _email(name: str, base: str, *, excluding: bool) -> bool:
    """A mailbox, a host, or with a leading dot the hosts below a domain; what has not exactly one @ is no plain mailbox."""
    local, _, host = name.partition("@")
    if not local or not _is_host(host.lower()):
        return excluding
    base_local, at, base_host = base.rpartition("@")
    base_host = base_host.lower()
    if not _is_host(base_host.removeprefix("." if not at else "")) or "@" in base_local or (at and not base_local):
        return excluding
    if at:
        return local == base_local and host.lower() == base_host
    return host.lower().endswith(base_host) if base_host.startswith(".") else host.lower() == base_host


def _uri(name: str, base: str, *, excluding: bool) -> bool:
    """The host alone counts; a URI without a host name, or with an IP address, satisfies no constraint."""
    try:
        host = urlsplit(name).hostname or ""
    except ValueError:
        return excluding
    base = base.lower()
    if not _is_host(host) or host.rpartition(".")[2].isdigit() or not _is_host(base.removeprefix(".")):
        return excluding
    return host.endswith(base) and host != base if base.startswith(".") else host == base


_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
