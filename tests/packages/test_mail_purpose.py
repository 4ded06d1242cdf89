"""Certificates for mail alone, as RAUC's and SWUpdate's default purpose has them: where they serve, and where not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.packages.generate.swupdate import archive
from tests.packages.pki import PKI, issue, make_pki
from tests.packages.table import Case, verdict_of

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
    signer = issue("Signer", pki.intermediate, kind="p256", eku=(purpose,))
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
    builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
    builder = builder.add_certificate(pki.intermediate.certificate)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
    return builder.sign(Encoding.DER, options)


def packages(pki: PKI, purpose: ObjectIdentifier) -> dict[str, bytes]:
    """A RAUC bundle, a SWUpdate image, and a file that is neither."""
    value = signed(IMAGE, pki, purpose)
    image = [("sw-description", DESCRIPTION), ("sw-description.sig", signed(DESCRIPTION, pki, purpose))]
    return {"rauc": IMAGE + value + struct.pack(">Q", len(value)), "swupdate": archive(*image), "detached": b"content"}


def reason(folder: Path, pki: PKI, data: bytes, signatures: tuple[bytes, ...] = ()) -> str:
    """The verdict's reason under the root."""
    (folder / "root.pem").write_bytes(pki.root.pem)
    (folder / "package").write_bytes(data)
    names = [f"{number}.p7s" for number in range(len(signatures))]
    for name, value in zip(names, signatures, strict=True):
        (folder / name).write_bytes(value)
    values = {"file": "package", "signatures": names, "anchors": ["root.pem"], "at": "2026-06-01T00:00:00Z"}
    return str(verdict_of(Case(folder, values)).reason)


@pytest.mark.parametrize("kind", ["rauc", "swupdate"])
def test_inside_packages_whose_installers_take_them(kind: str, pki: PKI, tmp_path: Path) -> None:
    """A certificate for mail alone signs RAUC bundles and SWUpdate images; one for time stamps does not."""
    assert reason(tmp_path, pki, packages(pki, MAIL)[kind]) == "trusted"
    assert reason(tmp_path, pki, packages(pki, STAMPING)[kind]) == "path_invalid"


@pytest.mark.parametrize("kind", ["rauc", "swupdate", "detached"])
def test_beside_a_package(kind: str, pki: PKI, tmp_path: Path) -> None:
    """No installer has asked about a signature in a file of its own: it is not for mail, whatever it lies beside."""
    data = packages(pki, MAIL)[kind]
    assert reason(tmp_path, pki, data, (signed(data, pki, MAIL),)) == "path_invalid"
