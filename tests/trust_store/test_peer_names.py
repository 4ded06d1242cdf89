from __future__ import annotations

import pytest
from cryptography import x509

from trust_store.chain.peer_names import PeerName, matches


@pytest.mark.parametrize(
    ("wanted", "presented", "same"),
    [
        ("a" * 63 + ".example.com", "a" * 63 + ".example.com", True),
        ("a" * 64 + ".example.com", "a" * 64 + ".example.com", False),
        ("a" * 63 + ".example.com", "*.example.com", True),
        (".".join(["a" * 60] * 4) + ".example.com", "*.example.com", False),
        ("-a.example.com", "*.example.com", False),
        ("a-.example.com", "*.example.com", False),
        ("a..example.com", "*.example.com", False),
    ],
)
def test_a_label_has_at_most_63_characters(wanted: str, presented: str, *, same: bool) -> None:
    """Labels of host names have 1 to 63 letters, digits, hyphens inside (RFC 1123 2.1, RFC 1034 3.1), a wildcard covers one."""
    assert matches(PeerName("dns", wanted), [x509.DNSName(presented)]) is same
