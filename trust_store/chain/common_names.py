"""Common names that are a name of the peer in another spelling (CA/Browser Forum Baseline Requirements 7.1.4.3).

A common name proves nothing (RFC 9525 2), so that one which is no name of the peer is passed over. One that would be taken for the
peer's name, but is not that name to the letter, is a trap for those who still read it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_DOTTED = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){3}", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,8}", re.ASCII)
MAX_OCTET = 255


def misspelt(common: str, hosts: Collection[str]) -> bool:
    """Whether ``common`` is an address not in its one form, has letters no host name has, or differs in case from one of ``hosts``."""
    if not common.isascii():
        return True
    address = _address(common)
    if address is not None:
        mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
        return str(address) != common and not mapped
    return common not in hosts and common.lower() in {host.lower() for host in hosts}


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``text`` stands for in any of the usual notations."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if _HEXADECIMAL.fullmatch(text):
        return ipaddress.IPv4Address(int(text, 16))
    octets = [int(part) for part in text.split(".")] if _DOTTED.fullmatch(text) else []
    return ipaddress.IPv4Address(bytes(octets)) if octets and max(octets) <= MAX_OCTET else None
