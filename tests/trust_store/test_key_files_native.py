"""Keys as keytool, ssh-keygen, minisign, signify, p11-kit, gpg and rpm make them: the identities shown there are those read here."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.trust_store.key_files_craft import certificate, run
from tests.trust_store.openpgp_tools import Gpg
from trust_store.decode.key_files import read_key_file, read_keys
from trust_store.errors import UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.native


@pytest.fixture
def cert(tmp_path: Path) -> Path:
    """A certificate in PEM."""
    file = tmp_path / "cert.pem"
    file.write_bytes(certificate("Root").public_bytes(Encoding.PEM))
    return file


@pytest.fixture
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as found:
        yield found


def keytool(store: Path, kind: str, *command: object) -> bytes:
    """Run keytool on a store."""
    return run("keytool", *command, "-keystore", store, "-storetype", kind, "-storepass", "changeit", "-noprompt")


def test_java_truststores_are_read_and_old_ones_converted_as_told(cert: Path, tmp_path: Path) -> None:
    """A PKCS#12 truststore of keytool gives its certificates; a JKS is refused, and the command it names makes it readable."""
    keytool(tmp_path / "t.p12", "PKCS12", "-importcert", "-alias", "a", "-file", cert)
    keytool(tmp_path / "t.jks", "JKS", "-importcert", "-alias", "a", "-file", cert)
    (key,) = read_keys((tmp_path / "t.p12").read_bytes())
    assert (key.kind, key.limited, key.material) == (AnchorKind.X509, False, read_keys(cert.read_bytes())[0].material)
    with pytest.raises(UnsupportedError, match="keytool") as refused:
        read_keys((tmp_path / "t.jks").read_bytes())
    command = re.findall(r"'(keytool [^']*)'", str(refused.value))[0].replace("FILE", str(tmp_path / "t.jks"))
    passwords = ("-srcstorepass", "changeit", "-deststorepass", "changeit", "-noprompt")
    run(*command.split(), *passwords)
    assert read_keys((tmp_path / "t.jks.p12").read_bytes()) == (key,)


def test_a_java_keystore_gives_no_certificate_of_its_own_key(cert: Path, tmp_path: Path) -> None:
    """The self-signed certificate of a private key entry is left out beside a trusted one."""
    store = tmp_path / "k.p12"
    keytool(store, "PKCS12", "-genkeypair", "-alias", "own", "-keyalg", "EC", "-dname", "CN=Own")
    keytool(store, "PKCS12", "-importcert", "-alias", "a", "-file", cert)
    found = read_key_file(store.read_bytes())
    assert ([k.name for k in found.keys], len(found.left_out)) == (["CN=Root"], 1)


def test_ssh_fingerprints_are_ssh_keygens(tmp_path: Path) -> None:
    """What ssh-keygen -l prints is the digest of the material, for every type it makes."""
    for kind in ("ed25519", "ecdsa", "rsa"):
        file = tmp_path / kind
        run("ssh-keygen", "-q", "-N", "", "-C", "ada", "-t", kind, "-f", file)
        shown = run("ssh-keygen", "-l", "-E", "sha256", "-f", f"{file}.pub").split()[1].decode()
        (key,) = read_keys((tmp_path / f"{kind}.pub").read_bytes())
        digest = next(i.value for i in key.identifiers if i.kind is IdentifierKind.SHA256)
        assert "SHA256:" + base64.b64encode(bytes.fromhex(digest)).decode().rstrip("=") == shown


def test_an_allowed_signers_file_that_ssh_keygen_takes_is_read(tmp_path: Path) -> None:
    """A file under which ssh-keygen verifies a signature gives the same key, principal and window."""
    run("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", tmp_path / "key")
    public = (tmp_path / "key.pub").read_text()
    allowed = tmp_path / "allowed"
    allowed.write_text(f'ada@x.org namespaces="file",valid-before="20990101Z" {public}')
    (tmp_path / "data").write_bytes(b"data")
    run("ssh-keygen", "-Y", "sign", "-n", "file", "-f", tmp_path / "key", tmp_path / "data")
    verify = ("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "ada@x.org", "-n", "file", "-s", tmp_path / "data.sig")
    run(*verify, stdin=b"data")
    (key,) = read_keys(allowed.read_bytes())
    assert key.name.startswith("ada@x.org namespaces file")
    assert key.constraints.valid_until is not None
    assert key.constraints.valid_until.year == 2099


def test_minisign_and_signify_keys_are_read(tmp_path: Path) -> None:
    """The key number is the one minisign names; signify's key is read the same way; secret keys and signatures are refused."""
    run("minisign", "-G", "-W", "-p", tmp_path / "m.pub", "-s", tmp_path / "m.key")
    run("signify-openbsd", "-G", "-n", "-p", tmp_path / "s.pub", "-s", tmp_path / "s.sec")
    (tmp_path / "data").write_bytes(b"data")
    run("minisign", "-S", "-s", tmp_path / "m.key", "-m", tmp_path / "data")
    (key,) = read_keys((tmp_path / "m.pub").read_bytes())
    number = next(i.value for i in key.identifiers if i.kind is IdentifierKind.KEY_ID)
    named = (tmp_path / "m.pub").read_text().split()[5]  # minisign leaves out zeros in front
    assert named.zfill(16) == number.upper()
    (other,) = read_keys((tmp_path / "s.pub").read_bytes())
    assert (other.kind, len(other.material)) == (AnchorKind.MINISIGN, 42)
    for refused in ("m.key", "s.sec", "data.minisig"):
        with pytest.raises(Exception, match=r"secret key|a signature is more"):
            read_keys((tmp_path / refused).read_bytes())


def test_what_trust_dump_prints_is_read_whole(tmp_path: Path) -> None:
    """Every CA certificate that p11-kit knows of this machine comes out of its dump, trusted."""
    dumped = run("trust", "dump")
    found = read_key_file(dumped)
    run("trust", "extract", "--format=pem-bundle", "--filter=certificates", tmp_path / "all.pem")
    listed = (tmp_path / "all.pem").read_bytes().count(b"-----BEGIN CERTIFICATE")
    assert (found.format, len(found.keys)) == ("p11-kit trust file", listed)
    assert listed > 100
    assert all(key.distrusted is False for key in found.keys)


def test_openssl_bundles_of_p11_kit_carry_purposes(tmp_path: Path) -> None:
    """The trusted-certificate bundle that trust extracts is read, every certificate with stated purposes."""
    bundle = tmp_path / "bundle.crt"
    run("trust", "extract", "--format=openssl-bundle", "--filter=certificates", bundle)
    found = read_key_file(bundle.read_bytes())
    assert len(found.keys) == bundle.read_bytes().count(b"-----BEGIN TRUSTED CERTIFICATE-----")
    assert all(key.constraints.purposes for key in found.keys)


def test_keyrings_of_gpg_and_rpm_are_read(gpg: Gpg, tmp_path: Path) -> None:
    """gpg's binary and armoured exports and the text of rpm's gpg-pubkey package give one key under gpg's fingerprint."""
    fingerprint = gpg.make_key("Vendor <v@dten.example>", "rsa2048")
    binary, armoured = gpg.export(fingerprint), gpg.export(fingerprint, armor=True)
    (key,) = read_keys(binary)
    assert (IdentifierKind.OPENPGP, fingerprint.lower()) in {(i.kind, i.value) for i in key.identifiers}
    assert read_keys(armoured) == (key,)
    (tmp_path / "key.asc").write_bytes(armoured)
    database = tmp_path / "rpm"
    subprocess.run(
        ["rpmkeys", "--dbpath", database, "--import", tmp_path / "key.asc"],
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    text = run("rpm", "--dbpath", database, "-q", "gpg-pubkey", "--qf", "%{DESCRIPTION}\n")
    (from_rpm,) = read_keys(text)
    assert from_rpm.identifiers == key.identifiers
    with pytest.raises(UnsupportedError, match="gpg"):
        read_keys((gpg.home / "pubring.kbx").read_bytes())
