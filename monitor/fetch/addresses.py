"""Which addresses may be connected to (pure), and the network backend that connects to the very address it checked.

A name is resolved once, the addresses are checked, and the connection goes to the checked address while ``Host`` and TLS server
name stay the name's own: between check and use there is no second look-up that could answer otherwise (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

import httpcore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_ADDRESSES_TRIED = 4
_EMBEDDING = tuple(
    ipaddress.ip_network(n)
    for n in (
        "::/96",  # IPv4-compatible (RFC 4291 2.5.5.1)
        "::ffff:0:0/96",  # IPv4-mapped (RFC 4291 2.5.5.2)
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64, local use (RFC 8215)
        "2001::/32",  # Teredo (RFC 4380)
        "2002::/16",  # 6to4 (RFC 3056)
        "fec0::/10",  # site-local, deprecated (RFC 3879)
    )
)


_SPECIAL = tuple(
    ipaddress.ip_network(n)
    for n in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7",
        "fe80::/10", "ff00::/8",
    )
)  # fmt: skip
"""The IANA special-purpose registries (RFC 6890), written out: what ``is_global`` knows of them differs between Python releases."""


class RefusedAddressError(OSError):
    """A name leads only to addresses that are not public (or, for a loopback source, not loopback)."""


def is_public(address: str) -> bool:
    """Whether ``address`` is a unicast address of the public Internet; IPv6 forms that embed an IPv4 address are not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.scope_id or any(parsed in net for net in _EMBEDDING)):
        return False
    if any(parsed.version == net.version and parsed in net for net in _SPECIAL):
        return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


def is_loopback(address: str) -> bool:
    """Whether ``address`` is this machine: 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of ``host`` in the system's order; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that ``permitted`` admits."""

    def __init__(self, permitted: Callable[[str], bool], resolve: Resolve = resolve_by_system) -> None:
        self._permitted = permitted
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first reachable permitted address; raises RefusedAddressError or httpcore.ConnectError."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} does not resolve: {error}") from error
        permitted = [a for a in addresses if self._permitted(a)]
        if not permitted:
            raise RefusedAddressError(
                f"{host} leads to {', '.join(addresses[:4]) or 'nothing'}, where this source may not go"
            )
        last: Exception | None = None
        for address in permitted[:MAX_ADDRESSES_TRIED]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError(f"cannot connect to {host}")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        """Never: a channel of a vendor is not a socket of this machine."""
        raise RefusedAddressError(f"{path}: Unix sockets are not fetched from")

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the loop."""
        await asyncio.sleep(seconds)
