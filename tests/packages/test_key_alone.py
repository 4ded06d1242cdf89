from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.packages.generate.openpgp_keys import OldKey
from tests.packages.generate.rpm_craft import octets, split
from tests.packages.table import FIXTURES
from tests.trust_store.package_craft import archive
from trust_store.decode.openpgp_packets import read_armor
from trust_store.formats import detect, signed_parts
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.streaming import BytesSource
from trust_store.signatures.openpgp import opinion_on_key
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from trust_store.model.package_facts import KeyCheck

RPM = FIXTURES / "rpm"


def certificate(name: str) -> bytes:
    """A key of the RPM fixtures."""
    return read_armor((RPM / f"{name}.asc").read_bytes())[0].data


def checks(data: bytes, key: bytes) -> list[KeyCheck]:
    """The key checks of all signatures of a package, one each."""
    facts = read_package(BytesSource(data), (), (CandidateKey("openpgp", key),), ReadLimits())
    return [check for fact in facts.signatures for check in fact.key_checks]


def test_what_is_kept_is_shown_to_the_second_reader() -> None:
    """Signatures over the header and over header and payload both get an opinion on all that they cover."""
    found = checks((RPM / "header_and_payload.rpm").read_bytes(), certificate("vendor"))
    assert [(check.second_opinion, check.key_alone) for check in found] == [(True, False)] * 2


def test_content_too_large_to_keep_leaves_the_key_to_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the cap on what is kept the second reader is asked about the key; what it can be shown it still judges."""
    monkeypatch.setattr(signed_parts, "MAX_KEPT_BYTES", 100)
    found = checks((RPM / "header_and_payload.rpm").read_bytes(), certificate("vendor"))
    assert [(check.second_opinion, check.key_alone) for check in found] == [(True, False), (True, True)]


def test_signatures_of_version_3_leave_the_key_to_be_judged() -> None:
    """pysequoia refuses every signature of version 3, so that it is asked about the key alone."""
    found = checks((RPM / "packet_3.rpm").read_bytes(), certificate("old"))
    assert [(check.holds, check.second_opinion, check.key_alone) for check in found] == [(True, True, True)]


@pytest.mark.parametrize(
    ("name", "opinion"), [("vendor", True), ("curve", True), ("withdrawn", False), ("small", False)]
)
def test_the_opinion_on_a_key_is_that_of_the_second_reader(name: str, opinion: bool) -> None:  # noqa: FBT001 - a table column
    """A key that is revoked, or too small for its policy, is not accepted by it."""
    assert opinion_on_key(certificate(name)) is opinion


def test_what_is_no_key_has_no_opinion() -> None:
    """Bytes that are no certificate are not judged."""
    assert opinion_on_key(b"zz") is None


def test_a_version_3_signature_over_other_bytes_does_not_hold() -> None:
    """Content, type and time are what a version 3 signature is over: a byte more in either and it is broken."""
    parts = split((RPM / "valid.rpm").read_bytes())
    old = OldKey()
    packet = old.sign(parts.main)
    good = parts.signed_by(octets(268, packet)).data
    assert [check.holds for check in checks(good, old.certificate)] == [True]
    later = packet.replace(packet[6:10], (int.from_bytes(packet[6:10], "big") + 1).to_bytes(4, "big"), 1)
    other = packet.replace(b"\x05\x00", b"\x05\x01", 1)
    for changed in (old.sign(parts.main + b"\0"), later, other):
        assert not any(check.holds for check in checks(parts.signed_by(octets(268, changed)).data, old.certificate))


def test_a_large_package_inside_another_leaves_the_key_to_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored member may be as large as the archive: it is not taken into memory to be shown to the second reader."""
    package, signature = (FIXTURES / "pacman" / f"valid.pkg.tar.gz{end}" for end in ("", ".sig"))
    data = archive({"a": package.read_bytes(), "a.sig": signature.read_bytes()})
    key = read_armor((FIXTURES / "pacman" / "vendor.asc").read_bytes())[0].data
    for most, alone in ((package.stat().st_size, False), (package.stat().st_size - 1, True)):
        monkeypatch.setattr(detect, "MAX_SHOWN_MEMBER_BYTES", most)
        (member,) = read_package(BytesSource(data), (), (CandidateKey("openpgp", key),), ReadLimits()).members
        found = [check for fact in member.facts.signatures for check in fact.key_checks]
        assert [(check.second_opinion, check.key_alone) for check in found] == [(True, alone)]
