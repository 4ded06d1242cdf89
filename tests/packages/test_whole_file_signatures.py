"""Signatures in files of their own over packages of formats that could carry one and do not: each covers every byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packages.generate.swupdate import archive
from tests.packages.judged import detached_cms, judged
from tests.packages.pki import make_pki
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures"
PKI = make_pki(kind="p256")
DESCRIPTION = b'software = { version = "1"; images: ( { filename = "a.bin"; } ); };\n'
UNSIGNED = {
    "swupdate": archive(("sw-description", DESCRIPTION), ("a.bin", b"no digest"), ("b.bin", b"not listed")),
    **{
        name: (FIXTURES / name / f"unsigned.{suffix}").read_bytes()
        for name, suffix in (("mender", "mender"), ("fit", "itb"), ("fwupd", "cab"), ("mar", "mar"))
    },
}


@pytest.mark.parametrize("name", sorted(UNSIGNED))
def test_signature_over_the_whole_file(name: str, tmp_path: Path) -> None:
    """A package without a signature inside is covered by the one beside it, whatever its own metadata lists."""
    data = UNSIGNED[name]
    assert judged(tmp_path, data, (PKI.root.pem,), detached_cms(data, PKI)).reason is Reason.TRUSTED


@pytest.mark.parametrize("name", sorted(UNSIGNED))
def test_signature_over_another_file(name: str, tmp_path: Path) -> None:
    """A signature beside it that is over anything else speaks against it."""
    data = UNSIGNED[name]
    assert judged(tmp_path, data, (PKI.root.pem,), detached_cms(data + b"\0", PKI)).reason is Reason.INVALID_SIGNATURE
