"""Sigstore's trusted roots and identities: what is read of them, and that no window, issuer or identity is taken that bounds nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.trust_store.key_files_craft import IDENTITY, ISSUER, trusted_root
from tests.trust_store.key_files_setup import READ_ERRORS
from trust_store.decode.key_files import read_key_file, read_keys
from trust_store.decode.sigstore_identity import canonical_identity
from trust_store.decode.trusted_root import read_trusted_root
from trust_store.errors import MalformedError
from trust_store.model.trust_anchor import AnchorKind, Constraints


def test_a_trusted_root_gives_itself_and_its_timestamp_roots() -> None:
    """The file is one anchor; a timestamp authority's root is one for timestamps only, in the authority's own window."""
    data = json.dumps(trusted_root()).encode()
    root, stamp = read_keys(data)
    assert (root.kind, root.material) == (AnchorKind.SIGSTORE_ROOT, data)
    assert (stamp.kind, stamp.name) == (AnchorKind.X509, "CN=tsa-root")
    assert stamp.constraints == Constraints(
        purposes=("timestamp",), valid_from=datetime(2022, 4, 13, 20, 6, 15, tzinfo=UTC),
        valid_until=datetime(2031, 4, 13, 20, 6, 15, tzinfo=UTC),
    )  # fmt: skip
    odd = trusted_root()
    odd["tlogs"][0] = {
        **odd["tlogs"][0],
        "publicKey": {**odd["tlogs"][0]["publicKey"], "keyDetails": "PKCS1_RSA_PKCS1V5"},
    }
    assert len(read_key_file(json.dumps(odd).encode()).left_out) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=9"},
        {"certificateAuthorities": {}}, {"tlogs": [{}]}, {"tlogs": [{"publicKey": {"rawBytes": "AAAA", "keyDetails": "PKIX_X"}}]},
        {"timestampAuthorities": [{"certChain": {"certificates": []}}]}, {"timestampAuthorities": [{"certChain": {"certificates": [{}]}}]},
        {"tlogs": [trusted_root()["tlogs"][0] | {"logId": []}]}, {"timestampAuthorities": [{}] * 300},
        {"ctlogs": [{"publicKey": {"rawBytes": 7, "keyDetails": "PKIX_X"}}]},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)  # fmt: skip
def test_trusted_roots_that_are_not_exact_are_refused(changes: dict[str, Any]) -> None:
    """Another version, broken logs, empty chains and too many entries."""
    with pytest.raises(READ_ERRORS):
        read_keys(json.dumps(trusted_root(**changes)).encode())


def test_a_trusted_root_of_logs_alone_is_named_after_the_first() -> None:
    """Signatures by bare keys have log entries too: a root without authorities is for these, and brings no certificate."""
    said = trusted_root(certificateAuthorities=[], timestampAuthorities=[])
    (root,) = read_keys(json.dumps(said).encode())
    assert (root.kind, said["tlogs"][0]["baseUrl"] in root.name) == (AnchorKind.SIGSTORE_ROOT, True)


@pytest.mark.parametrize(
    "window",
    [
        {"start": 7},
        {"start": "x"},
        [],
        {},
        {"end": "2031-01-01T00:00:00Z"},
        {"start": None},
        {"start": "2026-01-01T00:00:00Z", "end": "2025-01-01T00:00:00Z"},
    ],
)
def test_windows_that_are_none_are_refused(window: object) -> None:
    """A window that cannot be read, or has no start, bounds nothing: neither a log's nor an authority's root is read."""
    authority, log = trusted_root(), trusted_root()
    authority["timestampAuthorities"][0]["validFor"] = log["tlogs"][0]["publicKey"]["validFor"] = window
    for said in (authority, log):
        for read in (read_keys, read_trusted_root):
            with pytest.raises(MalformedError):
                read(json.dumps(said).encode())


def test_several_trusted_roots_stand_one_a_line() -> None:
    """What ``gh attestation trusted-root`` writes: each line is an anchor of its own, and one broken line takes all of them down."""
    first, second = (json.dumps(trusted_root()).encode() for _ in range(2))
    found = read_keys(first + b"\n" + second + b"\n")
    assert [key.material for key in found if key.kind is AnchorKind.SIGSTORE_ROOT] == [first, second]
    assert sum(key.kind is AnchorKind.X509 for key in found) == 2
    for broken in (b"{}", b'{"mediaType": 7}', second[:-1], b"\n".join([second] * 17)):
        with pytest.raises(READ_ERRORS):
            read_keys(first + b"\n" + broken)


def test_roots_for_bare_keys_need_no_certificate_authority() -> None:
    """A root may have logs alone, time-stamp authorities alone, or nobody, as a null or as an empty list."""
    without: dict[str, Any] = {"tlogs": None, "ctlogs": None, "certificateAuthorities": []}
    stamping = read_keys(json.dumps(trusted_root(**without)).encode())
    assert [key.kind for key in stamping] == [AnchorKind.SIGSTORE_ROOT, AnchorKind.X509]
    (nobody,) = read_keys(json.dumps(trusted_root(**without, timestampAuthorities=None)).encode())
    assert nobody.kind is AnchorKind.SIGSTORE_ROOT


@pytest.mark.parametrize(
    "identity",
    [
        IDENTITY, "ada@dten.example", "https://github.com/dten/fw/.github/workflows/r.yml@refs/heads/main", r"^[a-z.]+@dten\.example$",
        r"^https://gitlab\.com/dten/(a|b)/.*$", r"^https://github\.com/dten/[)|]x$",
    ],
)  # fmt: skip
def test_identities_that_name_somebody_are_taken(identity: str) -> None:
    """An exact identity, or a pattern that says literally whose identities it matches; in one encoding."""
    (key,) = read_keys(json.dumps({"issuer": ISSUER, "identity": identity}, indent=3).encode())
    assert (key.kind, key.material) == (AnchorKind.SIGSTORE_IDENTITY, canonical_identity(ISSUER, identity))
    assert identity not in key.name


@pytest.mark.parametrize(
    "identity",
    [
        "", "^$", "^.*$", "^.+@.+$", ".*", "*", "ada", "^https://github\\.com/dten/.*", "^https://github\\.com/dten/.*\\$", "ada@x.org$",
        "^https://github\\.com/.*$", "^https://github.com/dten/x$|.*", "^https://github\\.com/dten/x|y$", "^https://github\\.com/dten?/x$",
        "^(?i)https://github\\.com/dten/x$", "^https://github\\.com/dten/(x$", "^https://github\\.com/dten/x{1001}{1001}$",
        "^https://github\\.com/dten/\\Qx$", "^.*@[a-z]\\.org$", "^https://github\\.com/dten*/.*$", " a@b.org", "a@b.org\n", "a@b" * 500,
        "^https://\\w+\\.com/dten/x$", "^[]|]https://github\\.com/dten/$",
    ],
)  # fmt: skip
def test_identities_that_name_everybody_are_refused(identity: str) -> None:
    """No catch-all, no loose end, no alternative that escapes the ends, nothing RE2 refuses, no blank at an end."""
    with pytest.raises(READ_ERRORS):
        read_keys(json.dumps({"issuer": ISSUER, "identity": identity}).encode())


@pytest.mark.parametrize("issuer", ["", "http://x.org", "https://X.org/ a", ISSUER * 20, 7, "https://x.org\n"])
def test_issuers_are_https_addresses(issuer: object) -> None:
    """Who vouches for the identity is named by one address."""
    with pytest.raises(MalformedError):
        read_keys(json.dumps({"issuer": issuer, "identity": "a@b.org"}).encode())
