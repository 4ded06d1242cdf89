"""Hostile revocation material: no changed byte makes a revoked certificate good, and nothing but the three errors comes out."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.path_craft import AT, authority, issue, name, usage
from tests.trust_store.revocation_craft import (
    CA,
    DAY,
    LEAF,
    ROOT,
    about_leaf,
    entry,
    points,
    response,
    revocation_list,
    scope,
)
from trust_store.decode.crl import decode_lists, load_list
from trust_store.decode.crl_entries import scan_entries
from trust_store.decode.distribution_points import read_points, read_scope
from trust_store.decode.ocsp import load_response
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

REFUSED = (MalformedError, ResourceLimitError, UnsupportedError)
OTHER = issue("other", CA)
MAKER = authority("list maker", ROOT, usage("crl_sign"))
BY_MAKER = issue("leaf", CA, points({"crl_issuer": [x509.DirectoryName(name("list maker"))]}))
_OF_CA = x509.CertificateIssuer([x509.DirectoryName(name("ca"))]), True
_INVALID = x509.InvalidityDate((AT - 5 * DAY).replace(tzinfo=None)), False
COMPLETE = revocation_list(
    CA,
    entry(OTHER),
    entry(LEAF, "superseded", extensions=[_INVALID]),
    extensions=[scope(only_contains_user_certs=True)],
)
INDIRECT = revocation_list(MAKER, entry(BY_MAKER, extensions=[_OF_CA]), extensions=[scope(indirect_crl=True)])
ANSWER = response(LEAF, CA, CA, status=ocsp.OCSPCertStatus.REVOKED, reason="superseded")


def _changed(data: bytes) -> list[bytes]:
    """Every byte with a bit changed, made zero and left out."""
    found = [data[:i] + bytes([data[i] ^ 1 << (i % 8)]) + data[i + 1 :] for i in range(len(data))]
    found += [data[:i] + b"\0" + data[i + 1 :] for i in range(len(data)) if data[i]]
    return found + [data[:i] + data[i + 1 :] for i in range(len(data))]


@pytest.mark.parametrize(
    ("data", "path", "more"), [(COMPLETE, (LEAF, CA, ROOT), ()), (INDIRECT, (BY_MAKER, CA, ROOT), (MAKER,))]
)
def test_no_changed_byte_of_a_list_makes_a_revoked_certificate_good(data: bytes, path: tuple, more: tuple) -> None:  # type: ignore[type-arg]
    """With any byte changed the certificate is revoked or nothing is known: where status is required it never passes."""
    assert about_leaf([data], path=path, untrusted=more)[0] == "revoked"
    for changed in _changed(data):
        assert about_leaf([changed], path=path, untrusted=more)[0] in ("revoked", "revocation_unknown")


def test_no_changed_byte_of_a_response_makes_a_revoked_certificate_good() -> None:
    """As for lists: revoked or unknown, never good, also for the status of a revoked certificate turned into good."""
    assert about_leaf((), [ANSWER])[0] == "revoked"
    for changed in _changed(ANSWER):
        assert about_leaf((), [changed])[0] in ("revoked", "revocation_unknown")


def test_nothing_but_the_three_errors_comes_out_of_changed_material() -> None:
    """Every changed, shortened or doubled list and response is read or refused."""
    for data, read in ((COMPLETE, load_list), (INDIRECT, load_list), (ANSWER, load_response)):
        for changed in [*_changed(data), *(data[:i] for i in range(len(data))), data * 2]:
            try:
                read(changed)
            except REFUSED:
                continue


@given(st.binary(max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    """Bytes that are nothing end in one of the three errors in every reader."""
    for read in (load_list, decode_lists, load_response, read_points, read_scope):
        try:
            read(data)
        except REFUSED:
            continue
    try:
        scan_entries(data, 0, len(data))
    except REFUSED:
        return


@given(st.lists(st.integers(min_value=-(2**159), max_value=2**159 - 1), max_size=30, unique=True), st.data())
def test_every_entry_is_found_and_nothing_else(serials: list[int], data: st.DataObject) -> None:
    """The numbers that stand in a list are found, others are not, whatever octets lie between."""
    encoded = b"".join(_entry(serial) for serial in serials)
    table = scan_entries(b"\x02\x01\x05" + encoded, 3, 3 + len(encoded))
    assert len(table) == len(serials)
    for serial in serials:
        assert [issuer for issuer, _ in table.find(serial)] == [None]
    other = data.draw(st.integers(min_value=-(2**159), max_value=2**159 - 1))
    assert bool(list(table.find(other))) is (other in serials)


def _entry(serial: int) -> bytes:
    size = (serial if serial >= 0 else ~serial).bit_length() // 8 + 1
    body = bytes([2, size]) + serial.to_bytes(size, "big", signed=True) + b"\x17\x0d260101000000Z"
    return bytes([0x30, len(body)]) + body


def test_entries_that_are_not_der_are_refused() -> None:
    """Padded lengths and numbers, dates that are none, unknown reasons, and a number hidden inside another entry's octets."""
    good = _entry(77)
    assert len(list(scan_entries(good, 0, len(good)).find(77))) == 1
    for bad in (
        good[:-1], good + b"\x30", b"\x31" + good[1:], b"\x30\x81\x12" + good[2:], b"\x30\x84\0\0\0\x12" + good[2:],
        good.replace(b"\x02\x01\x4d", b"\x02\x02\0\x4d").replace(b"\x30\x12", b"\x30\x13"), good.replace(b"Z", b"0"),
        good.replace(b"\x17\x0d", b"\x18\x0d"), good.replace(b"260101", b"2601a1"),
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            scan_entries(bad, 0, len(bad))
    hidden = _entry(int.from_bytes(b"\x01\x02\x01\x4d\x05", "big"))
    assert list(scan_entries(hidden, 0, len(hidden)).find(77)) == []


def test_points_and_scopes_that_are_not_as_the_standard_says_are_refused() -> None:
    """Nothing in it, a field twice, reasons alone, a truth value that is neither, a list for users and CAs at once."""
    for value in ("3000", "30023000", "3004300281 00", "300830068102050082 00", "3006300481020000"):
        with pytest.raises(REFUSED):
            read_points(bytes.fromhex(value.replace(" ", "")))
    for value in ("3003810101", "30068101ff8201ff", "30068101ff8101ff", "30038601ff", "3002a000", "3004a002a000"):
        with pytest.raises(REFUSED):
            read_scope(bytes.fromhex(value))
    assert read_scope(bytes.fromhex("30038201ff")).only_ca
    assert read_scope(bytes.fromhex("3004830206 40".replace(" ", ""))).reasons == 0b10
