"""Certificates for mail alone, as RAUC's and SWUpdate's default purpose has them: where they serve, and where not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.packages.generate.swupdate import archive
from tests.packages.judged import detached_cms, judged
from tests.packages.pki import PKI, issue, make_pki
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import ObjectIdentifier

MAIL, STAMPING = ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.TIME_STAMPING
IMAGE = b"hsqs" + bytes(4092)
DESCRIPTION = b'software = { version = "1"; };\n'


@pytest.fixture(scope="module")
def pki() -> PKI:
    """A root and an intermediate."""
    return make_pki(kind="p256")


def signed(content: bytes, pki: PKI, purpose: ObjectIdentifier) -> bytes:
    """A detached CMS signature by a certificate for ``purpose``."""
    return detached_cms(content, pki, issue("Signer", pki.intermediate, kind="p256", eku=(purpose,)))


def packages(pki: PKI, purpose: ObjectIdentifier) -> dict[str, bytes]:
    """A RAUC bundle, a SWUpdate image, and a file that is neither."""
    value = signed(IMAGE, pki, purpose)
    image = [("sw-description", DESCRIPTION), ("sw-description.sig", signed(DESCRIPTION, pki, purpose))]
    return {"rauc": IMAGE + value + struct.pack(">Q", len(value)), "swupdate": archive(*image), "detached": b"content"}


@pytest.mark.parametrize("kind", ["rauc", "swupdate"])
def test_inside_packages_whose_installers_take_them(kind: str, pki: PKI, tmp_path: Path) -> None:
    """A certificate for mail alone signs RAUC bundles and SWUpdate images; one for time stamps does not."""
    assert judged(tmp_path, packages(pki, MAIL)[kind], (pki.root.pem,)).reason is Reason.TRUSTED
    assert judged(tmp_path, packages(pki, STAMPING)[kind], (pki.root.pem,)).reason is Reason.PATH_INVALID


@pytest.mark.parametrize("kind", ["rauc", "swupdate", "detached"])
def test_beside_a_package(kind: str, pki: PKI, tmp_path: Path) -> None:
    """No installer has asked about a signature in a file of its own: it is not for mail, whatever it lies beside."""
    data = packages(pki, MAIL)[kind]
    assert judged(tmp_path, data, (pki.root.pem,), signed(data, pki, MAIL)).reason is Reason.PATH_INVALID
