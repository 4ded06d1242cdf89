"""Whether a certificate is for the peer one wanted to reach (RFC 9525): subject alternative names only, never the common name."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("dns", "ip", "email")


@dataclass(frozen=True, slots=True)
class PeerName:
    """The name asked for; ``kind`` is dns, ip or email."""

    kind: str
    value: str


def matches(peer: PeerName, names: Iterable[x509.GeneralName]) -> bool:
    """Whether one of the certificate's alternative names is the peer's; an unreadable question matches nothing.

    An address in the place of a host name is looked for among the addresses (RFC 9525 section 6.5): no host has such a name.
    """
    kind = "ip" if peer.kind == "dns" and _address(peer.value) is not None else peer.kind
    if kind == "dns":
        return any(_dns(peer.value, n.value) for n in names if isinstance(n, x509.DNSName))
    if kind == "ip":
        wanted = _address(peer.value)
        return wanted is not None and any(n.value == wanted for n in names if isinstance(n, x509.IPAddress))
    if kind == "email":
        return any(_email(peer.value, n.value) for n in names if isinstance(n, x509.RFC822Name))
    return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _dns(wanted: str, presented: str) -> bool:
    """A wildcard is the whole left-most label, stands for exactly one, and leaves at least two labels (RFC 9525 6.3)."""
    wanted, presented = wanted.lower().removesuffix("."), presented.lower()
    if not wanted or not _is_host(wanted):
        return False
    if not presented.startswith("*."):
        return _is_host(presented) and wanted == presented
    suffix = presented[2:]
    first, dot, rest = wanted.partition(".")
    return bool(dot and first and rest == suffix and "." in suffix and _is_host(suffix))


def _is_host(name: str) -> bool:
    labels = name.split(".")
    if len(name) > 253 or labels[-1].isdigit():
        return False
    return all(
        0 < len(label) <= 63 and set(label) <= _LABEL and not label.startswith("-") and not label.endswith("-")
        for label in labels
    )


def _email(wanted: str, presented: str) -> bool:
    local, at, host = wanted.rpartition("@")
    other_local, other_at, other_host = presented.rpartition("@")
    return bool(at and other_at and local) and local == other_local and host.lower() == other_host.lower()


_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
