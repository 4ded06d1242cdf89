"""Exports are read back by the programs they are for, which then verify a package of the vendor's and refuse one of anybody else's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.trust_store.export_craft import CONTEXT, anchor, openpgp_anchor, ssh_blob, write
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.path_craft import CA, Issued, issue, key, name
from trust_store.decode.x509 import load_certificate
from trust_store.exchange.exporting import (
    apt_keyring,
    java_truststore,
    minisign_keys,
    openssl_directory,
    p11_kit,
    pem_bundle,
    rpm_keys,
    ssh_allowed_signers,
)
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.native
CODE = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
ROOT, STRANGE = issue("Acme Root", None, CA, private=key(1)), issue("Strange Root", None, CA, private=key(2))
HOSTILE = issue(
    x509.Name([
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "  Ümlaut   GmbH -----BEGIN CERTIFICATE-----\n"),
        x509.NameAttribute(NameOID.COMMON_NAME, "A,b=c \t D"),
    ]),
    None, CA, private=key(3),
)  # fmt: skip


def signed(root: Issued, folder: Path) -> tuple[Path, Path]:
    """A package and its detached CMS signature by a signer under ``root``."""
    signer = issue("Signer", root, CODE, private=key(9))
    package, signature = folder / "package.zip", folder / "package.zip.p7s"
    package.write_bytes(b"package")
    builder = (
        pkcs7.PKCS7SignatureBuilder().set_data(b"package").add_signer(signer.certificate, signer.key, hashes.SHA256())
    )
    signature.write_bytes(
        builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])
    )
    return package, signature


def run(*command: str | Path, expected: int | None = 0, **options: object) -> str:
    """Run a native tool; ``expected`` None: anything but success."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    said = str(done.stdout) + str(done.stderr)
    assert (done.returncode != 0) if expected is None else done.returncode == expected, said
    return said


@pytest.mark.parametrize("root", [ROOT, HOSTILE], ids=["plain", "hostile"])
def test_openssl_reads_the_bundle_and_the_directory(root: Issued, tmp_path: Path) -> None:
    """``openssl cms -verify`` accepts the vendor's package by either and refuses a stranger's."""
    anchors = [
        anchor(AnchorKind.X509, r.der, id=f"anchor_{i}", name=load_certificate(r.der).subject)
        for i, r in enumerate((root, issue("Other", None, CA)))
    ]
    pem = write(pem_bundle.export(anchors, CONTEXT), tmp_path / "pem") / "anchors.pem"
    directory = write(openssl_directory.export(anchors, CONTEXT), tmp_path / "directory")
    for number, expected in ((root, 0), (STRANGE, None)):
        package, signature = signed(number, tmp_path)
        for trusted in (("-CAfile", pem), ("-CApath", directory)):
            run(
                "openssl", "cms", "-verify", "-inform", "DER", "-in", signature, "-content", package, "-binary", "-purpose", "any",
                "-no-CAfile", "-no-CApath", *trusted, "-out", tmp_path / "out", expected=expected,
            )  # fmt: skip


def test_the_subject_hash_is_that_of_openssl(tmp_path: Path) -> None:
    """Names with blanks, capitals, umlauts and several attributes hash as ``openssl x509 -subject_hash`` says."""
    for number, root in enumerate(
        (ROOT, HOSTILE, issue(name("ÄÖ  x"), None, CA), issue(None, None, CA, issuer_name=name("i")))
    ):
        (tmp_path / f"{number}.pem").write_text(root.pem)
        said = run("openssl", "x509", "-in", tmp_path / f"{number}.pem", "-noout", "-subject_hash").strip()
        assert openssl_directory.subject_hash(root.decoded.subject_der) == said


def test_p11_kit_reads_the_trust_file() -> None:
    """``trust list`` knows exactly the anchors, for code signing and not for TLS servers."""
    anchors = [
        anchor(AnchorKind.X509, r.der, id=f"a{i}", name=load_certificate(r.der).subject)
        for i, r in enumerate((ROOT, HOSTILE))
    ]
    with tempfile.TemporaryDirectory() as made:
        # p11-kit reads a user's configuration only where the user is not root.
        home = Path(made)
        home.chmod(0o755)
        source = write(p11_kit.export(anchors, CONTEXT), home / "source")
        modules = home / ".config/pkcs11/modules"
        modules.mkdir(parents=True)
        (modules.parent / "pkcs11.conf").write_text("user-config: only\n")
        (modules / "a.module").write_text(
            f"module: p11-kit-trust.so\ntrust-policy: yes\nx-init-reserved: paths='{source}'\n"
        )
        environment = {"HOME": made, "XDG_CONFIG_HOME": f"{made}/.config", "PATH": os.environ["PATH"]}
        user = ("setpriv", "--reuid=61001", "--regid=61001", "--clear-groups") if os.geteuid() == 0 else ()
        for purpose, count in (("code-signing", 2), ("server-auth", 0)):
            said = run(*user, "trust", "list", "--filter=ca-anchors", f"--purpose={purpose}", env=environment)
            assert said.count("type: certificate") == count


def test_java_reads_the_truststore(tmp_path: Path) -> None:
    """``keytool`` lists the anchors as trusted certificates, and ``jarsigner`` verifies a jar of the vendor's by them."""
    store = write(java_truststore.export([anchor(AnchorKind.X509, ROOT.der)], CONTEXT), tmp_path) / "truststore.p12"
    said = run("keytool", "-list", "-keystore", store, "-storepass", "changeit")
    assert "trustedCertEntry" in said
    assert hashlib.sha256(ROOT.der).hexdigest() in said.replace(":", "").lower()
    for root, verified in ((ROOT, True), (STRANGE, False)):
        signer = issue("Signer", root, CODE, (x509.KeyUsage(True, *[False] * 8), True), private=key(9))  # noqa: FBT003 - X.509's bits
        keys = tmp_path / "keys.p12"
        chain = [root.certificate]
        keys.write_bytes(
            serialization.pkcs12.serialize_key_and_certificates(
                b"k", signer.key, signer.certificate, chain, serialization.BestAvailableEncryption(b"changeit")
            )
        )
        jar = tmp_path / "a.jar"
        run("python3", "-c", "import sys,zipfile; zipfile.ZipFile(sys.argv[1],'w').writestr('a','a')", jar)
        run("jarsigner", "-keystore", keys, "-storepass", "changeit", jar, "k")
        said = run(
            "jarsigner",
            "-verify",
            "-strict",
            "-keystore",
            store,
            "-storepass",
            "changeit",
            jar,
            expected=0 if verified else None,
        )
        assert ("certificate chain is invalid" in said) is not verified, said


def test_minisign_and_signify_read_the_key(tmp_path: Path) -> None:
    """Each verifies a signature by the key and refuses the changed file."""
    import base64

    package = tmp_path / "package"
    package.write_bytes(b"package")
    run("minisign", "-G", "-W", "-p", tmp_path / "m.pub", "-s", tmp_path / "m.key")
    run("signify-openbsd", "-G", "-n", "-p", tmp_path / "s.pub", "-s", tmp_path / "s.sec")
    run("minisign", "-S", "-s", tmp_path / "m.key", "-m", package)
    run("signify-openbsd", "-S", "-s", tmp_path / "s.sec", "-m", package, "-x", tmp_path / "package.sig")
    blobs = [base64.b64decode((tmp_path / n).read_text().splitlines()[1]) for n in ("m.pub", "s.pub")]
    files = minisign_keys.export([anchor(AnchorKind.MINISIGN, b) for b in blobs], CONTEXT)
    m, s = (write((f,), tmp_path / "out") / f.path for f in files)
    for expected in (0, None):
        run("minisign", "-V", "-p", m, "-m", package, expected=expected)
        run("signify-openbsd", "-V", "-p", s, "-m", package, "-x", tmp_path / "package.sig", expected=expected)
        package.write_bytes(b"changed")


def test_ssh_keygen_reads_the_allowed_signers(tmp_path: Path) -> None:
    """``ssh-keygen -Y verify`` accepts the vendor's signature inside the anchor's window, and no other principal or time."""
    from dataclasses import replace
    from datetime import timedelta

    from tests.trust_store.export_craft import AT

    package = tmp_path / "package"
    package.write_bytes(b"package")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key")
    run("ssh-keygen", "-Y", "sign", "-f", tmp_path / "key", "-n", "file", package)
    trusted = anchor(AnchorKind.SSH, ssh_blob((tmp_path / "key.pub").read_text()))
    past = replace(trusted.constraints, valid_from=AT - timedelta(days=30), valid_until=AT - timedelta(days=20))
    for limits, principal, expected in (
        (trusted.constraints, "acme", 0), (trusted.constraints, "other", None), (past, "acme", None),
    ):  # fmt: skip
        signers = (
            write(ssh_allowed_signers.export([replace(trusted, constraints=limits)], CONTEXT), tmp_path)
            / "allowed_signers"
        )
        with package.open("rb") as content:
            run(
                "ssh-keygen", "-Y", "verify", "-f", signers, "-I", principal, "-n", "file", "-s", f"{package}.sig",
                stdin=content, expected=expected,
            )  # fmt: skip


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A vendor's key and a stranger's."""
    with Gpg() as made:
        made.run("--quick-gen-key", "Acme <a@acme.example>", "rsa3072", "sign", "never")
        made.run("--quick-gen-key", "Strange <a@strange.example>", "rsa3072", "sign", "never")
        yield made


def test_apt_and_gpgv_read_the_keyring(gpg: Gpg, tmp_path: Path) -> None:
    """apt updates from a repository signed by the vendor and refuses one signed by a stranger; gpgv agrees."""
    keyring = _keyring(gpg, tmp_path)
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Packages").write_bytes(b"")
    digest = hashlib.sha256(b"").hexdigest()
    release = f"Origin: acme\nSuite: .\nDate: Wed, 25 Nov 2026 10:00:00 UTC\nSHA256:\n {digest} 0 Packages\n"
    (repository / "Release").write_text(release)
    for who, expected in (("Acme", 0), ("Strange", None)):
        signed_release = gpg.run("--clearsign", "-u", who, data=release.encode())
        (repository / "InRelease").write_bytes(signed_release)
        run("gpgv", "--keyring", keyring, repository / "InRelease", expected=expected)
        root = tmp_path / f"root-{who}"
        for folder in (
            "state/lists/partial",
            "cache/archives/partial",
            "etc/sources.list.d",
            "etc/preferences.d",
            "etc/apt.conf.d",
            "etc/trusted.gpg.d",
        ):
            (root / folder).mkdir(parents=True)
        (root / "etc/sources.list").write_text(f"deb [signed-by={keyring}] file:{repository} ./\n")
        (root / "state/status").write_text("")
        options = (
            f"Dir::Etc={root}/etc", f"Dir::State={root}/state", f"Dir::State::status={root}/state/status",
            f"Dir::Cache={root}/cache", "APT::Sandbox::User=root", "Acquire::Check-Date=false", "APT::Update::Error-Mode=any",
        )  # fmt: skip
        run("apt-get", *[part for option in options for part in ("-o", option)], "update", expected=expected)


def test_rpmkeys_reads_the_key_files(gpg: Gpg, tmp_path: Path) -> None:
    """An rpm signed by the vendor verifies after the import of its key file, a stranger's does not."""
    anchors = [openpgp_anchor(gpg.run("--export", "Acme"), _fingerprint(gpg, "Acme"))]
    folder = write(rpm_keys.export(anchors, CONTEXT), tmp_path / "keys")
    database = tmp_path / "rpmdb"
    run("rpmkeys", "--dbpath", database, "--import", *folder.iterdir())
    spec = tmp_path / "a.spec"
    spec.write_text(
        "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: a\nBuildArch: noarch\n%description\na\n%files\n"
    )
    run("rpmbuild", "-bb", "--define", f"_topdir {tmp_path}/rpm", spec)
    built = tmp_path / "rpm/RPMS/noarch/a-1-1.noarch.rpm"
    for who, expected in (("Acme", 0), ("Strange", None)):
        package = shutil.copy(built, tmp_path / f"{who}.rpm")
        defined = (f"_gpg_name {who}", f"_gpg_path {gpg.home}", f"__gpg {shutil.which('gpg')}")
        run("rpmsign", "--addsign", *[part for text in defined for part in ("--define", text)], package)
        run("rpmkeys", "--dbpath", database, "-K", package, expected=expected)


def _keyring(gpg: Gpg, folder: Path) -> Path:
    trusted = openpgp_anchor(gpg.run("--export", "Acme"), _fingerprint(gpg, "Acme"))
    return write(apt_keyring.export([trusted], CONTEXT), folder / "keyrings") / "acme.gpg"


def _fingerprint(gpg: Gpg, who: str) -> str:
    listing = gpg.run("--with-colons", "--list-keys", who).decode()
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
