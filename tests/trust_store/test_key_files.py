"""Certificates, bare keys and keyrings: every wrapping gives the keys it holds, each under its identity, and nothing beside them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.hazmat.primitives.serialization import PublicFormat as Form
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.key_files_craft import certificate, run
from tests.trust_store.key_files_setup import READ_ERRORS, armored, folder
from tests.trust_store.openpgp_craft import CraftedKey
from trust_store.decode.key_files import READERS, read_key_file, read_keys
from trust_store.decode.key_readers.protocol import KeyFile
from trust_store.decode.spki import _SMALL_ORDER
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["folder"]  # a fixture
PASSWORDS = {"secret.p12": "gehäuse".encode()}
X509_FILES = (
    "cert.pem", "cert.der", "certs.p7b", "aux-tls.pem", "aux-code.pem", "aux-none.pem", "openssl.p12", "secret.p12", "legacy.p12",
    "sha512.p12", "bare.p12", "one.p11-kit",
)  # fmt: skip


def read(file: Path) -> Any:
    """The one key of a file."""
    (key,) = read_keys(file.read_bytes(), name=file.name, password=PASSWORDS.get(file.name))
    return key


@pytest.mark.parametrize("name", X509_FILES)
def test_a_certificate_is_the_same_in_every_wrapping(folder: Path, name: str) -> None:
    """PEM, DER, PKCS#7, trusted PEM, PKCS#12 and p11-kit give the DER that openssl writes, under its identifiers."""
    der = (folder / "cert.der").read_bytes()
    key = read(folder / name)
    assert (key.kind, key.material, key.name) == (AnchorKind.X509, der, "CN=Root")
    assert key.identifiers == load_certificate(der).identifiers


@pytest.mark.parametrize("name", ["spki.pem", "spki.der", "pkcs1.pem", "pkcs1.der"])
def test_a_bare_key_is_its_spki_in_every_form(folder: Path, name: str) -> None:
    """A public key in SPKI or PKCS#1 form is one raw key: the SPKI that openssl writes, identified by its digest."""
    der = (folder / "spki.der").read_bytes()
    key = read(folder / name)
    assert (key.kind, key.material, key.name) == (AnchorKind.RAW, der, f"{name} (RSA 2048)")
    digest = hashlib.sha256(der).hexdigest()
    found = {i.kind: i.value for i in key.identifiers}
    assert (found[IdentifierKind.SHA256], found[IdentifierKind.SPKI_SHA256]) == (digest, digest)
    bits = load_pem_public_key((folder / "spki.pem").read_bytes())
    assert found[IdentifierKind.SUBJECT_KEY_IDENTIFIER] == x509.SubjectKeyIdentifier.from_public_key(bits).digest.hex()  # type: ignore[arg-type]


def test_bare_keys_that_sign_nothing_here_are_refused() -> None:
    """Other algorithms, curves written in other ways, small and even moduli, points of small order, stray bits and bytes."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = point.public_bytes(Encoding.DER, Form.SubjectPublicKeyInfo)
    compressed = point.public_bytes(Encoding.X962, Form.CompressedPoint)
    edwards = bytes.fromhex("302a300506032b6570032100")
    refused = (
        x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, Form.SubjectPublicKeyInfo),
        ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.DER, Form.SubjectPublicKeyInfo),
        spki[:1] + bytes([2 + 19 + 2 + 2 + 33]) + spki[2:23] + b"\x03\x22\x00" + compressed, spki + b"\0", spki[:24] + b"\x01" + spki[25:],
        edwards + bytes(32), edwards + b"\xff" * 32, b"\x30\x06\x02\x01\x08\x02\x01\x03", b"\x30\x06\x02\x01\x09\x02\x01\x01",
        b"\x30\x06\x02\x01\x87\x02\x01\x03", b"\x30\x82\x40\x06\x02\x82\x3f\xff\x01" + b"\xff" * 16382 + b"\x02\x01\x03",
        b"\x30\x05\x02\x00\x02\x01\x03",
    )  # fmt: skip
    for data in refused:
        with pytest.raises(READ_ERRORS):
            read_keys(data)
    (fine,) = read_keys(
        edwards + ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, Form.Raw)
    )
    assert fine.name == "bare key (Ed25519)"
    (fine,) = read_keys(spki, name="vendor.der")
    assert fine.name == "vendor.der (ECDSA secp256r1)"


def test_the_points_of_small_order_are_all_of_them() -> None:
    """The refused coordinates are those of the eight points whose order divides 8, by the curve's own arithmetic (RFC 8032 5.1)."""
    prime = 2**255 - 19
    constant = -121665 * pow(121666, -1, prime) % prime
    found = set()
    for y in _SMALL_ORDER:
        square = (y * y - 1) * pow(constant * y * y + 1, -1, prime) % prime
        x = pow(square, (prime + 3) // 8, prime)
        x = x if x * x % prime == square else x * pow(2, (prime - 1) // 4, prime) % prime
        assert x * x % prime == square
        for point in ((x, y), (-x % prime, y)):
            multiple = (0, 1)
            for _ in range(8):
                (x1, y1), (x2, y2) = multiple, point
                product = constant * x1 * x2 * y1 * y2 % prime
                multiple = (
                    (x1 * y2 + x2 * y1) * pow(1 + product, -1, prime) % prime,
                    (y1 * y2 + x1 * x2) * pow(1 - product, -1, prime) % prime,
                )
            assert multiple == (0, 1)
            found.add(point)
    assert len(found) == 8


def test_every_kind_but_openpgp_has_one_identity(folder: Path) -> None:
    """Each key of each file has exactly one sha256, the digest of its material, whatever its kind."""
    kinds = set()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".key", ".jks") or file.name == "own.p12":
            continue
        for key in read_keys(file.read_bytes(), name=file.name, password=PASSWORDS.get(file.name)):
            digests = [i.value for i in key.identifiers if i.kind is IdentifierKind.SHA256]
            assert digests == [hashlib.sha256(key.material).hexdigest()], file.name
            kinds.add(key.kind)
    assert kinds == set(AnchorKind) - {AnchorKind.OPENPGP, AnchorKind.SPKI}


def test_exactly_one_reader_recognises_each_file(folder: Path) -> None:
    """No file is of two kinds, and every kind that openssl or hand can make is of one."""
    for file in sorted(folder.iterdir()):
        found = [r.NAME for r in READERS if r.recognises(KeyFile(file.read_bytes(), file.name))]
        assert len(found) == 1, (file.name, found)
    assert len({reader.NAME for reader in READERS}) == len(READERS)


def test_openssl_trust_settings_are_purposes(folder: Path) -> None:
    """Trusted for servers only, for code, and rejected for any use: a TLS root, a code root and a distrusted one."""
    assert [read(folder / f"aux-{n}.pem").constraints.purposes for n in ("tls", "code")] == [("tls",), ("code",)]
    assert [read(folder / f"aux-{n}.pem").distrusted for n in ("tls", "code", "none")] == [False, False, True]
    assert read(folder / "cert.pem").distrusted is None


def test_a_certificates_own_usages_are_its_purposes() -> None:
    """The extended key usage of a certificate is proposed as what it is for; any usage and none mean code."""
    made = {
        (): ("code",),
        (ExtendedKeyUsageOID.TIME_STAMPING,): ("timestamp",),
        (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH): ("tls",),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,): ("code",),
        (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CODE_SIGNING): ("advisory", "code"),
        (ExtendedKeyUsageOID.OCSP_SIGNING,): ("tls",),
    }
    for usages, purposes in made.items():
        (key,) = read_keys(certificate("c", *usages).public_bytes(Encoding.DER))
        assert key.constraints.purposes == purposes


def test_pem_leaves_out_what_is_no_public_key(folder: Path) -> None:
    """A private key and a foreign block beside a certificate are left out and named; alone they are refused."""
    private, cert = (folder / "rsa.key").read_bytes(), (folder / "cert.pem").read_bytes()
    found = read_key_file(b"text before\n" + private + cert + b"-----BEGIN X-----\nAAAA\n-----END X-----\n")
    assert (found.format, len(found.keys), len(found.left_out)) == ("PEM", 1, 2)
    with pytest.raises(UnsupportedError, match="private key"):
        read_keys(private)
    encrypted = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
    with pytest.raises(UnsupportedError, match="private key"):
        read_keys(encrypted)
    assert len(read_keys(encrypted + cert)) == 1
    with pytest.raises(MalformedError):
        read_keys(cert + cert[:60])


def test_pkcs12_takes_what_belongs_to_no_private_key(folder: Path) -> None:
    """The certificate of a private key of the file is left out; a wrong password and a foreign cipher are told, not guessed."""
    with pytest.raises(UnsupportedError, match="private key of its own"):
        read_keys((folder / "own.p12").read_bytes())
    with pytest.raises(MalformedError, match="password"):
        read_keys((folder / "secret.p12").read_bytes())
    with pytest.raises(MalformedError, match="password"):
        read_keys((folder / "legacy.p12").read_bytes(), password=b"other")
    with pytest.raises(MalformedError, match="password"):
        read_keys((folder / "legacy.p12").read_bytes(), password=b"\xff\xfe")


def test_pkcs12_computes_no_more_than_its_cap(folder: Path, tmp_path: Path) -> None:
    """A count of iterations above the cap, or of none, is refused before anything is derived from it."""
    export = ("openssl", "pkcs12", "-export", "-nokeys", "-in", folder / "cert.pem", "-passout", "pass:")
    run(*export, "-iter", "300000", "-out", tmp_path / "slow.p12")
    with pytest.raises(ResourceLimitError, match="300000 iterations"):
        read_keys((tmp_path / "slow.p12").read_bytes())
    data = (folder / "openssl.p12").read_bytes()
    rounds = b"\x02\x02\x08\x00"  # INTEGER 2048, openssl's count
    assert data.count(rounds) == 2
    for altered in (data.replace(rounds, b"\x02\x02\x00\x00", 1), data[: -len(rounds)] + b"\x02\x02\x00\x00"):
        with pytest.raises(MalformedError):
            read_keys(altered)


def test_foreign_stores_name_the_command_that_converts_them() -> None:
    """JKS, JCEKS, keyboxes, PuTTY and RFC 4716 keys are refused with what to do."""
    for data, tool in (
        (b"\xfe\xed\xfe\xed\0\0\0\2", "keytool"),
        (b"\xce\xce\xce\xce\0\0\0\2", "keytool"),
        (b"\0\0\0\x20\1\1\0\0KBXf", "gpg"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519", "puttygen"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\n", "ssh-keygen"),
    ):
        with pytest.raises(UnsupportedError, match=tool):
            read_keys(data)


def test_keyrings_give_one_key_a_primary_key() -> None:
    """Binary, armoured, rpm's and apt's embedded forms give the same keys; the same key twice is one."""
    first, second = CraftedKey(1), CraftedKey(2)
    both = first.certificate + second.certificate
    plain = read_keys(both)
    assert [k.kind for k in plain] == [AnchorKind.OPENPGP] * 2
    assert [k.material for k in plain] == [first.certificate, second.certificate]
    assert read_keys(b"gpg-pubkey-1\n" + armored(first) + armored(second) + armored(first)) == plain
    assert all(sum(i.kind is IdentifierKind.OPENPGP for i in k.identifiers) == 1 for k in plain)
    embedded = b"".join(b" " + (line or b".") + b"\n" for line in armored(first).splitlines())
    stanza = b"# comment\nTypes: deb\nURIs: https://x\nSigned-By:\n" + embedded
    named = b"\nTypes: deb\nSigned-By: /usr/share/keyrings/x.gpg\nSuites: s\n"
    found = read_key_file(stanza + named)
    assert (found.keys, len(found.left_out)) == (plain[:1], 1)
    for refused in (named[1:], b"Signed-By:\n", b"no field\nSigned-By: x\n"):
        with pytest.raises(READ_ERRORS):
            read_keys(refused)


def test_p11_kit_says_what_is_trusted_for_what() -> None:
    """Trusted, distrusted, neither; usages stapled to the key; a distrust date; and distrust without a certificate."""
    made = {name: certificate(name) for name in ("good", "bad", "idle", "mail", "late", "odd", "none")}
    pem = {name: c.public_bytes(Encoding.PEM).decode() for name, c in made.items()}

    def quoted(data: bytes) -> str:
        return '"' + "".join(f"%{b:02X}" for b in data) + '"'

    def staple(name: str, oid: str, *usages: x509.ObjectIdentifier) -> str:
        value = x509.Extension(
            x509.ExtendedKeyUsage.oid, critical=False, value=x509.ExtendedKeyUsage(usages or (DUMMY,))
        )
        inner = value.value.public_bytes() if usages else b"\x30\x00"
        encoded = x509.ObjectIdentifier(oid)
        body = _oid(encoded) + b"\x04" + bytes([len(inner)]) + inner
        key = made[name].public_key().public_bytes(Encoding.PEM, Form.SubjectPublicKeyInfo).decode()
        return (
            f"[p11-kit-object-v1]\nclass: x-certificate-extension\nobject-id: {oid}\n"
            f"value: {quoted(b'0' + bytes([len(body)]) + body)}\n{key}\n"
        )

    head = "[p11-kit-object-v1]\n"
    text = (
        "# made\n" + head + "trusted: true\nx-distrusted: false\n" + pem["good"]
        + head + "x-distrusted: true\n" + pem["bad"] + head + "trusted: true\n" + pem["bad"] + head + pem["idle"]
        + head + f"class: certificate\ntrusted: true\nvalue: {quoted(made['mail'].public_bytes(Encoding.DER))}\n"
        + staple("mail", "2.5.29.37", ExtendedKeyUsageOID.EMAIL_PROTECTION)
        + head + 'trusted: true\nnss-server-distrust-after: "200617000000Z"\nnss-email-distrust-after: false\n' + pem["late"]
        + head + "trusted: true\n" + pem["odd"] + staple("odd", "2.5.29.30", ExtendedKeyUsageOID.CODE_SIGNING)
        + head + "trusted: true\n" + pem["none"] + staple("none", "2.5.29.37")
        + head + 'x-distrusted: true\nissuer: "x"\nserial-number: "1"\n' + head + "class: nss-trust\n"
    )  # fmt: skip
    found = read_key_file(text.encode())
    by_name = {key.name.removeprefix("CN="): key for key in found.keys}
    assert {n: k.distrusted for n, k in by_name.items()} == {
        "good": False, "bad": True, "mail": False, "late": False, "none": True,
    }  # fmt: skip
    assert (by_name["mail"].constraints.purposes, by_name["good"].constraints.purposes) == (("advisory",), ("code",))
    assert by_name["late"].constraints.distrust_after == datetime(2020, 6, 17, tzinfo=UTC)
    assert len(found.left_out) == 3


DUMMY = ExtendedKeyUsageOID.CODE_SIGNING


def _oid(oid: x509.ObjectIdentifier) -> bytes:
    """DER of an object identifier below 2.5.29."""
    return b"\x06\x03\x55\x1d" + bytes([int(oid.dotted_string.rsplit(".", 1)[1])])


@pytest.mark.parametrize(
    "text",
    [
        "x\n[p11-kit-object-v1]\n", "[p11-kit-object-v1]\nno attribute\n", "[p11-kit-object-v1]\na: 1\na: 2\n",
        "[p11-kit-object-v1]\n-----BEGIN CERTIFICATE-----\nAA", "[p11-kit-object-v1]\nvalue: 7\n",
        "[p11-kit-object-v1]\nx-distrusted: maybe\n",
        "[p11-kit-object-v1]\nclass: x-certificate-extension\n", "[p11-kit-object-v1]\nclass: data\n", "[p11-kit-object-v1]\n\udcff: 1\n",
        "[p11-kit-object-v1]\n-----BEGIN X-----\nAAAA\n-----END X-----\n",
        "[p11-kit-object-v1]\n-----BEGIN X-----\nAAAA\n-----END X-----\n-----BEGIN X-----\n",
    ],
)  # fmt: skip
def test_p11_kit_files_that_are_not_exact_are_refused(text: str) -> None:
    """Loose lines, attributes twice, blocks cut short, staples without their parts."""
    with pytest.raises(READ_ERRORS):
        read_keys(text.encode("utf-8", "surrogateescape"))
