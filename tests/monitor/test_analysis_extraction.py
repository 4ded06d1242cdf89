"""Extraction: keys, dates, addresses, blocks and identifiers with their places."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.analysis.blocks import key_material
from monitor.analysis.cves import cves
from monitor.analysis.dates import dates
from monitor.analysis.fingerprints import fingerprints
from monitor.analysis.folding import folded
from monitor.analysis.urls import urls

V4 = "1c94cbafdd30345109561835aa0b7f8b60e3edfa"
SHA256 = "3f1e" * 4 + "0a5bc7d8" * 6
PUBLISHED = date(2026, 12, 12)
PEM_BODY = "MIIBszCCAVmgAwIBAgIUE0QzQJ6gl6Yxru0QrSaDRNatiHYw"


def spaced(value: str, size: int, separator: str) -> str:
    """``value`` in groups of ``size`` characters."""
    return separator.join(value[i : i + size] for i in range(0, len(value), size))


@pytest.mark.parametrize(
    "written",
    [
        V4,
        V4.upper(),
        "0x" + V4,
        spaced(V4.upper(), 4, " "),
        spaced(V4.upper(), 4, " ").replace(" ", "  ", 5),
        spaced(V4.upper(), 4, "\u00a0"),
        spaced(V4.upper(), 2, ":"),
        spaced(V4, 2, "-"),
        spaced(V4, 2, " "),
        spaced(V4.upper(), 4, " ")[:24] + "\n" + spaced(V4.upper(), 4, " ")[25:],
        spaced(V4.upper(), 4, " ")[:24] + "\n> " + spaced(V4.upper(), 4, " ")[25:],
        V4[:20] + "\u200b" + V4[20:],
        V4.upper().replace("A", "\u0410").replace("C", "\u0421"),
    ],
)
def test_a_fingerprint_is_read_however_it_is_written(written: str) -> None:
    """Case, separators, wrapping, quoting, invisible characters and look-alike letters do not hide a fingerprint."""
    text = f"The fingerprint is {written}, please compare."
    (found,) = fingerprints(text)
    assert (found.algorithm, found.value) == ("openpgp", V4)
    assert text[found.start : found.end].startswith(written[:4])


@pytest.mark.parametrize(
    ("text", "algorithm", "value"),
    [
        (f"SHA-1 thumbprint of the certificate: {V4}", "sha1", V4),
        (f"certificate SHA-256 {SHA256}", "sha256", SHA256),
        (f"the OpenPGP v6 key {SHA256}", "openpgp", SHA256),
        ("0xA9052B1B6D92E560", "key_id", "a9052b1b6d92e560"),
        ("gpg key B41F2BCE", "key_id", "b41f2bce"),
        ("pub 2048R/693ECA21 2020-10-06", "key_id", "693eca21"),
        ("sha384 " + "0123456789abcdef" * 6, "sha384", "0123456789abcdef" * 6),
        ("sha512 value " + "0123456789abcdef" * 8, "sha512", "0123456789abcdef" * 8),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0QzQJ6gl6Yxru0", "ssh", "AAAAC3NzaC1lZDI1NTE5AAAAIE0QzQJ6gl6Yxru0"),
        (
            "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
            "minisign",
            "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        ),
    ],
)
def test_the_algorithm_follows_from_length_and_context(text: str, algorithm: str, value: str) -> None:
    """Every kind of key name is told from the others."""
    (found,) = fingerprints(text)
    assert (found.algorithm, found.value) == (algorithm, value)


@pytest.mark.parametrize(
    "text",
    [
        f"commit {V4}",
        f"https://git.example/a/commit/{V4}",
        f"sha256:{SHA256}",
        f"{SHA256}  package-1.0.tar.gz",
        "0000000000000000000000000000000000000000",
        "call 1234567890123456 today",
        "dead beef cafe",
    ],
)
def test_other_hexadecimal_is_no_key(text: str) -> None:
    """Commits, digests of files, numbers and words are not names of keys."""
    assert fingerprints(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2026-09-05", ["2026-09-05"]),
        ("on 2026\\-09\\-05", ["2026-09-05"]),
        ("until 24.05.2023", ["2023-05-24"]),
        ("14/04/2021 and 04/14/2021", ["2021-04-14", "2021-04-14"]),
        ("04/05/2021", []),
        ("March 5, 2020 and January 18th, 2023", ["2020-03-05", "2023-01-18"]),
        ("5 March 2020, 26th of June 2026", ["2020-03-05", "2026-06-26"]),
        ("in October 2022", ["2022-10"]),
        ("31 February 2022", ["2022-02"]),
        ("by the end of Q3 2027", ["2027-09"]),
        ("in Q3 2027", ["2027-07"]),
        ("end of Q3", ["2027-09"]),
        ("at the end of 2027", ["2027-12"]),
        ("on 29 January", ["2027-01-29"]),
        ("on November 23rd", ["2026-11-23"]),
        ("from today", ["2026-12-12"]),
        ("next month", ["2027-01"]),
        ("in 30 days", ["2027-01-11"]),
        ("am 3. Mai 2026", ["2026-05-03"]),
        ("le 1er août 2026", ["2026-08-01"]),
        ("el 3 de mayo de 2026", ["2026-05-03"]),
        ("2026年5月1日", ["2026-05-01"]),
        ("version 10.12.0 of 99.99.2020", []),
    ],
)
def test_dates_become_iso(text: str, expected: list[str]) -> None:
    """Absolute dates in many styles, and relative ones against the day of publication."""
    assert [found.value for found in dates(text, PUBLISHED)] == expected


def test_relative_dates_need_a_publication_date() -> None:
    """Without knowing when it was written, "on 29 January" is no date."""
    assert dates("on 29 January, in 30 days, end of Q3", None) == ()


@pytest.mark.parametrize(
    ("text", "value", "key"),
    [
        ("see https://pkg.example/keys/release.asc.", "https://pkg.example/keys/release.asc", True),
        ("(https://pkg.example/gpg.key)", "https://pkg.example/gpg.key", True),
        ("[key](https://pkg.example/rpm-gpg-key-x) now", "https://pkg.example/rpm-gpg-key-x", True),
        (
            "https://keys.example/pks/lookup?op=get&search=0xA9052B1B6D92E560",
            "https://keys.example/pks/lookup?op=get&search=0xA9052B1B6D92E560",
            True,
        ),
        ("https://blog.example/2026/hello", "https://blog.example/2026/hello", False),
        ("[here](/repo/vendor-3672BA8F.asc)", "/repo/vendor-3672BA8F.asc", True),
    ],
)
def test_addresses_of_keys(*, text: str, value: str, key: bool) -> None:
    """Addresses lose what the sentence added to them, and those of keys are known as such."""
    (found,) = urls(text)
    assert (found.value, found.key) == (value, key)
    assert text[found.start : found.end] == value


def test_vulnerability_identifiers_are_canonical() -> None:
    """CVE and GHSA identifiers in any case, once each, in order."""
    assert cves("GHSA-2M8V-572M-ff2v, cve-2024-12345 and CVE\u20112024\u201112345") == (
        "GHSA-2m8v-572m-ff2v",
        "CVE-2024-12345",
    )


def test_blocks_are_taken_out_of_quotes_and_markup() -> None:
    """PEM and OpenPGP blocks come back clean from quoted or HTML text, each with its place."""
    text = (
        f"> -----BEGIN CERTIFICATE-----\n> {PEM_BODY}\n> -----END CERTIFICATE-----\n"
        f"<p>-----BEGIN PGP PUBLIC KEY BLOCK-----<br>Version: 1<br><br>{PEM_BODY}<br>=ab12<br>-----END PGP PUBLIC KEY BLOCK-----</p>"
    )
    certificate, key = key_material(text, 3)
    assert (certificate.kind, certificate.post_index) == ("pem_certificate", 3)
    assert certificate.data == f"-----BEGIN CERTIFICATE-----\n{PEM_BODY}\n-----END CERTIFICATE-----\n".encode()
    assert text[certificate.start : certificate.end].endswith("-----END CERTIFICATE-----")
    assert key.kind == "openpgp_block"
    assert PEM_BODY.encode() in key.data


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n???\n-----END PGP PUBLIC KEY BLOCK-----",
        "-----BEGIN CERTIFICATE-----\n" * 1000,
    ],
)
def test_broken_blocks_are_none(text: str) -> None:
    """A block that is cut short, empty or not base64 gives no key material."""
    assert key_material(text, None) == ()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_extractors_never_raise_and_keep_places_inside(text: str) -> None:
    """Whatever the text, every place lies inside it."""
    flat, places = folded(text)
    assert all(0 <= places(offset) < len(text) for offset in range(len(flat)))
    found = [*fingerprints(text), *dates(text, PUBLISHED), *urls(text), *key_material(text, None)]
    assert all(0 <= item.start < item.end <= len(text) for item in found)
    cves(text)
