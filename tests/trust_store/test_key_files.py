"""Key files of every kind: what is read, what is refused, and that no file raises anything but a read error."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key, load_ssh_public_key
from cryptography.hazmat.primitives.serialization import PublicFormat as Form
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.key_files_craft import (
    IDENTITY,
    ISSUER,
    NPM_KEY_ID,
    certificate,
    make_folder,
    minisign_file,
    npm_list,
    run,
    sk_line,
    ssh_blob,
    ssh_line,
    trusted_root,
)
from tests.trust_store.openpgp_craft import CraftedKey
from trust_store.decode.key_files import READERS, read_key_file, read_keys
from trust_store.decode.key_readers.protocol import KeyFile
from trust_store.decode.sigstore_identity import canonical_identity
from trust_store.decode.spki import _SMALL_ORDER
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, Constraints

if TYPE_CHECKING:
    from pathlib import Path

READ_ERRORS = (MalformedError, ResourceLimitError, UnsupportedError)
PASSWORDS = {"secret.p12": "gehäuse".encode()}
X509_FILES = (
    "cert.pem", "cert.der", "certs.p7b", "aux-tls.pem", "aux-code.pem", "aux-none.pem", "openssl.p12", "secret.p12", "legacy.p12",
    "sha512.p12", "bare.p12", "one.p11-kit",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind."""
    return make_folder(tmp_path_factory.mktemp("keys") / "of")


def armored(key: CraftedKey) -> bytes:
    """The key as an armoured block."""
    body = base64.encodebytes(key.certificate).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}-----END PGP PUBLIC KEY BLOCK-----\n".encode()


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


def test_minisign_keys_show_their_number_as_minisign_does() -> None:
    """The 42 bytes are the key; the number is shown turned round; the base64 line alone is enough."""
    (key,) = read_keys(minisign_file())
    assert (key.kind, len(key.material), key.name) == (AnchorKind.MINISIGN, 42, "minisign public key 0706050403020100")
    assert {i.value for i in key.identifiers if i.kind is IdentifierKind.KEY_ID} == {"0706050403020100"}
    (bare,) = read_keys(minisign_file().splitlines()[1])
    assert (bare.material, bare.name) == (key.material, "minisign key 0706050403020100")
    assert read_keys(minisign_file().replace(b"\n", b"\r\n")) == (key,)


@pytest.mark.parametrize(
    ("material", "error"),
    [
        (b"Ed" + bytes(72), MalformedError),
        (b"Ed" + bytes(102), UnsupportedError),
        (b"ED" + bytes(40), UnsupportedError),
        (b"Ed" + bytes(8) + b"\1" + bytes(31), MalformedError),
        (b"Ed" + bytes(8) + bytes(32), MalformedError),
        (b"Ed" + bytes(8) + b"\xff" * 32, MalformedError),
        (
            b"Ed" + bytes(8) + bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
            MalformedError,
        ),
        (b"Ed" + bytes(39), MalformedError),
    ],
)
def test_what_is_no_minisign_key_is_refused(material: bytes, error: type[Exception]) -> None:
    """A signature, a secret key, another algorithm, another length, and keys under which anything verifies."""
    with pytest.raises(error):
        read_keys(b"untrusted comment: x\n" + base64.b64encode(material) + b"\n")
    with pytest.raises(MalformedError):
        read_keys(minisign_file() * 2)
    with pytest.raises(MalformedError):
        read_keys(b"untrusted comment: x\n!!!!\n")


def test_ssh_lines_keep_principals_and_validity() -> None:
    """authorized_keys and allowed_signers: principals and namespaces are in the name, validity is a limit, in the narrowest zone."""
    one, two, three = ssh_line("ed25519"), ssh_line("ecdsa"), ssh_line("rsa")
    text = b"\n".join(
        [
            b"# comment", b"", b'no-pty,command="a \\" b, c",expiry-time="20300101Z" ' + one + b" it's \"Ada",
            b'ada@x.org,"eve q@x.org" namespaces="file,git",valid-after="20250101",valid-before="203001011200" ' + two,
            b"*@x.org " + three + b"\r",
        ]
    )  # fmt: skip
    found = read_key_file(text)
    assert found.left_out == ()
    first, second, third = found.keys
    assert (first.name, first.constraints.valid_until) == ("it's \"Ada", datetime(2030, 1, 1, tzinfo=UTC))
    assert second.name == "ada@x.org,eve q@x.org namespaces file,git"
    assert second.constraints.valid_from == datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert second.constraints.valid_until == datetime(2029, 12, 31, 22, tzinfo=UTC)
    assert (third.name, third.constraints) == ("*@x.org", Constraints())
    for key, line in zip(found.keys, (one, two, three), strict=True):
        blob = base64.b64decode(line.split()[1])
        spki = load_ssh_public_key(line).public_bytes(Encoding.DER, Form.SubjectPublicKeyInfo)
        named = {i.kind: i.value for i in key.identifiers}
        assert (key.kind, key.material) == (AnchorKind.SSH, blob)
        assert named[IdentifierKind.SPKI_SHA256] == hashlib.sha256(spki).hexdigest()
    (security_key,) = read_keys(sk_line() + b"\n")
    assert security_key.name == "sk-ssh-ed25519@openssh.com"


def test_ssh_lines_that_are_no_signing_keys_are_left_out() -> None:
    """Certificate authorities, host keys, certificates and old key types are named and left out; alone they are refused."""
    good = ssh_line()
    others = (
        b"cert-authority " + ssh_line(), b"* cert-authority " + ssh_line(), b"@revoked * " + ssh_line(), b"|1|a|b " + ssh_line(),
        b"ssh-dss AAAAB3NzaC1kc3MAAA", b"ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1l",
    )  # fmt: skip
    found = read_key_file(b"\n".join((good, *others)))
    assert (len(found.keys), len(found.left_out)) == (1, len(others))
    for other in others:
        with pytest.raises(UnsupportedError):
            read_keys(other)


@pytest.mark.parametrize(
    "line",
    [
        b"ssh-ed25519 AAAA", b"ssh-ed25519 AAAA!!", b"a b c " + ssh_line(), b'a "b ' + ssh_line(), b"a unknown-option " + ssh_line(),
        b'a valid-before="soon" ' + ssh_line(), b'a valid-before="20301301" ' + ssh_line(), b"a namespaces=x,namespaces=y " + ssh_line(),
        b'a valid-before="99991231" ' + ssh_line().replace(b"ssh-ed25519 ", b"ssh-rsa "), b'a valid-after="999912312359" ' + ssh_line(),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", bytes(32))),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", b"\2" * 31)),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", b"\2" * 32, b"")),
        b"ssh-ed25519 " + base64.b64encode(ssh_blob(b"ssh-ed25519", b"\2" * 32) + b"\0"),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\0\0" + b"\xff" * 256)),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\xff" * 256)),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 3000)),
        b"ssh-rsa " + base64.b64encode(ssh_blob(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 60)),
        b"ecdsa-sha2-nistp256 " + base64.b64encode(ssh_blob(b"ecdsa-sha2-nistp256", b"nistp384", b"\4" + bytes(64))),
        b"ecdsa-sha2-nistp256 " + base64.b64encode(ssh_blob(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + bytes(64))),
        b"ecdsa-sha2-nistp256 " + base64.b64encode(ssh_blob(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(32))),
        b"sk-ssh-ed25519@openssh.com " + base64.b64encode(ssh_blob(b"sk-ssh-ed25519@openssh.com", b"\2" * 32, b"")),
        b"ssh-ed25519 AAAA" + b"A" * 40_000,
    ],
    ids=lambda line: line.split(b"AAAAC3")[0][:50].decode(),  # the key differs from one process to the next
)  # fmt: skip
def test_ssh_lines_that_are_not_exact_are_refused(line: bytes) -> None:
    """Wrong structure, numbers, points, options and times: refused, never taken for some key."""
    with pytest.raises(READ_ERRORS):
        read_keys(line)


def test_one_ssh_key_under_two_times_is_refused() -> None:
    """Which of two validities counts is nobody's to guess; the same line twice is one key."""
    line = ssh_line()
    assert len(read_keys(b"a " + line + b"\nb " + line)) == 1
    with pytest.raises(MalformedError):
        read_keys(b"a " + line + b'\nb valid-before="20300101Z" ' + line)


def test_npm_keys_carry_their_expiry_and_an_opaque_id() -> None:
    """The id that npm gave is no digest of the key and is a hint only; the expiry bounds the key."""
    (key,) = read_keys(json.dumps(npm_list()).encode())
    assert (key.kind, key.name) == (AnchorKind.NPM, f"npm registry key {NPM_KEY_ID}")
    assert key.constraints == Constraints(valid_until=datetime(2025, 1, 29, tzinfo=UTC))
    assert (IdentifierKind.KEY_ID, NPM_KEY_ID) in {(i.kind, i.value) for i in key.identifiers}
    digest = base64.b64encode(hashlib.sha256(key.material).digest()).decode()
    (named,) = read_keys(json.dumps(npm_list(keyid=f"SHA256:{digest}", expires=None)).encode())
    assert (named.name, named.constraints) == ("npm registry key", Constraints())


@pytest.mark.parametrize(
    "changes",
    [
        {"keytype": "rsa"}, {"scheme": "x"}, {"key": "!!"}, {"key": ""}, {"key": "AAAA"}, {"expires": "2025-01-29"}, {"expires": 7},
        {"keyid": ""}, {"keyid": "a\nb"}, {"keyid": "x" * 300}, {"keyid": 1}, {"expires": "soon"},
    ],
    ids=repr,
)  # fmt: skip
def test_npm_entries_that_are_not_exact_are_refused(changes: dict[str, Any]) -> None:
    """An unknown scheme, a broken key, a time without zone, an id that is no text."""
    with pytest.raises(READ_ERRORS):
        read_keys(json.dumps(npm_list(**changes)).encode())


def test_npm_lists_are_read_as_a_whole() -> None:
    """A foreign entry is left out and named; the same id or key twice, too many, and a web key set are refused."""
    (entry,) = npm_list()["keys"]
    mixed = {"keys": [entry, {**entry, "keyid": "other", "keytype": "rsa"}]}
    found = read_key_file(json.dumps(mixed).encode())
    assert (len(found.keys), len(found.left_out)) == (1, 1)
    for keys in (
        [entry, entry],
        [entry, {**entry, "keyid": "2"}],
        [{**entry, "keyid": str(n)} for n in range(300)],
        [{"kty": "EC"}],
        [],
    ):
        with pytest.raises(READ_ERRORS):
            read_keys(json.dumps({"keys": keys}).encode())


def test_a_trusted_root_gives_itself_and_its_timestamp_roots() -> None:
    """The file is one anchor; a timestamp authority's root is one for timestamps only, in the authority's own window."""
    data = json.dumps(trusted_root()).encode()
    root, stamp = read_keys(data)
    assert (root.kind, root.material) == (AnchorKind.SIGSTORE_ROOT, data)
    assert (stamp.kind, stamp.name) == (AnchorKind.X509, "CN=tsa-root")
    assert stamp.constraints == Constraints(
        purposes=("timestamp",), valid_from=datetime(2022, 4, 13, 20, 6, 15, tzinfo=UTC),
        valid_until=datetime(2031, 4, 13, 20, 6, 15, tzinfo=UTC),
    )  # fmt: skip
    odd = trusted_root()
    odd["tlogs"][0] = {
        **odd["tlogs"][0],
        "publicKey": {**odd["tlogs"][0]["publicKey"], "keyDetails": "PKCS1_RSA_PKCS1V5"},
    }
    assert len(read_key_file(json.dumps(odd).encode()).left_out) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=9"}, {"certificateAuthorities": []},
        {"certificateAuthorities": {}}, {"tlogs": [{}]}, {"tlogs": [{"publicKey": {"rawBytes": "AAAA", "keyDetails": "PKIX_X"}}]},
        {"timestampAuthorities": [{"certChain": {"certificates": []}}]}, {"timestampAuthorities": [{"certChain": {"certificates": [{}]}}]},
        {"timestampAuthorities": [{}] * 300}, {"ctlogs": [{"publicKey": {"rawBytes": 7, "keyDetails": "PKIX_X"}}]},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)  # fmt: skip
def test_trusted_roots_that_are_not_exact_are_refused(changes: dict[str, Any]) -> None:
    """Another version, no certificate authority, broken logs, empty chains and too many entries."""
    with pytest.raises(READ_ERRORS):
        read_keys(json.dumps(trusted_root(**changes)).encode())


@pytest.mark.parametrize(
    "window", [{"start": 7}, {"start": "x"}, [], {"start": "2026-01-01T00:00:00Z", "end": "2025-01-01T00:00:00Z"}]
)
def test_windows_that_are_none_are_refused(window: object) -> None:
    """A window that cannot be read bounds nothing, so nothing of it is read."""
    said = trusted_root()
    said["timestampAuthorities"][0]["validFor"] = window
    with pytest.raises(MalformedError):
        read_keys(json.dumps(said).encode())


@pytest.mark.parametrize(
    "identity",
    [
        IDENTITY, "ada@dten.example", "https://github.com/dten/fw/.github/workflows/r.yml@refs/heads/main", r"^[a-z.]+@dten\.example$",
        r"^https://gitlab\.com/dten/(a|b)/.*$", r"^https://github\.com/dten/[)|]x$",
    ],
)  # fmt: skip
def test_identities_that_name_somebody_are_taken(identity: str) -> None:
    """An exact identity, or a pattern that says literally whose identities it matches; in one encoding."""
    (key,) = read_keys(json.dumps({"issuer": ISSUER, "identity": identity}, indent=3).encode())
    assert (key.kind, key.material) == (AnchorKind.SIGSTORE_IDENTITY, canonical_identity(ISSUER, identity))
    assert identity not in key.name


@pytest.mark.parametrize(
    "identity",
    [
        "", "^$", "^.*$", "^.+@.+$", ".*", "*", "ada", "^https://github\\.com/dten/.*", "^https://github\\.com/dten/.*\\$", "ada@x.org$",
        "^https://github\\.com/.*$", "^https://github.com/dten/x$|.*", "^https://github\\.com/dten/x|y$", "^https://github\\.com/dten?/x$",
        "^(?i)https://github\\.com/dten/x$", "^https://github\\.com/dten/(x$", "^https://github\\.com/dten/x{1001}{1001}$",
        "^https://github\\.com/dten/\\Qx$", "^.*@[a-z]\\.org$", "^https://github\\.com/dten*/.*$", " a@b.org", "a@b.org\n", "a@b" * 500,
        "^https://\\w+\\.com/dten/x$", "^[]|]https://github\\.com/dten/$",
    ],
)  # fmt: skip
def test_identities_that_name_everybody_are_refused(identity: str) -> None:
    """No catch-all, no loose end, no alternative that escapes the ends, nothing RE2 refuses, no blank at an end."""
    with pytest.raises(READ_ERRORS):
        read_keys(json.dumps({"issuer": ISSUER, "identity": identity}).encode())


@pytest.mark.parametrize("issuer", ["", "http://x.org", "https://X.org/ a", ISSUER * 20, 7, "https://x.org\n"])
def test_issuers_are_https_addresses(issuer: object) -> None:
    """Who vouches for the identity is named by one address."""
    with pytest.raises(MalformedError):
        read_keys(json.dumps({"issuer": issuer, "identity": "a@b.org"}).encode())


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


def test_files_of_several_kinds_and_of_none_are_refused(folder: Path) -> None:
    """What is of two kinds is not guessed at; an empty file, a text and a file over the cap are refused."""
    cert = (folder / "cert.pem").read_bytes()
    with pytest.raises(MalformedError, match="several kinds"):
        read_keys(cert + armored(CraftedKey(1)))
    for data in (b"", b"text", b"{}", b"[]", b"{" * 5000, b'{"keys": [' + b"[" * 5000, b"0 not DER\n", b"\x30"):
        with pytest.raises(READ_ERRORS):
            read_keys(data)
    with pytest.raises(ResourceLimitError):
        read_keys(bytes(8 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    "data",
    [
        b'{"issuer": "a", "issuer": "b", "identity": "c"}', b'{"issuer": NaN, "identity": 1}', b'{"issuer": 1e9, "identity": 1}',
        b'{"issuer": ' + b"9" * 50 + b', "identity": 1}', b'{"issuer": "\\ud800", "identity": "a@b"}',
        b'{"issuer": ' + b"[" * 40 + b"]" * 40 + b', "identity": 1}', b'{"issuer": "\xff", "identity": 1}',
    ],
)  # fmt: skip
def test_json_is_read_strictly(data: bytes) -> None:
    """A key twice, no numbers, halves of characters, depth and foreign encodings are refused."""
    with pytest.raises(READ_ERRORS):
        read_keys(data)


def test_every_byte_changed_or_cut_off_ends_in_a_read_error_or_a_key(folder: Path) -> None:
    """Whatever one byte of a small key file is changed to, nothing but a read error is raised, and cut files give no new key."""
    names = (
        "cert.der",
        "spki.der",
        "pkcs1.der",
        "bare.p12",
        "minisign.pub",
        "ssh-ed25519.pub",
        "identity.json",
        "npm.json",
    )
    for name in names:
        data = (folder / name).read_bytes()
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= 1 + position % 255
            _harmless(bytes(changed))
            _harmless(data[:position])


@pytest.mark.parametrize("name", ["aux-tls.pem", "trusted_root.json", "one.p11-kit", "legacy.p12", "openssl.p12"])
def test_larger_files_survive_changes(folder: Path, name: str) -> None:
    """The same, at every 13th byte of a larger file."""
    data = (folder / name).read_bytes()
    for position in range(0, len(data), 13):
        changed = bytearray(data)
        changed[position] ^= 0x41
        _harmless(bytes(changed))


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"0\x82", b"-----BEGIN ", b"ssh-rsa AAAA", b"untrusted comment:", b"{", b"[p11-kit-object-v1]\n"]
    ),
)
def test_arbitrary_bytes_are_harmless(data: bytes, start: bytes) -> None:
    """No bytes at all raise anything but a read error."""
    _harmless(start + data)


def _harmless(data: bytes) -> None:
    try:
        keys = read_keys(data)
    except READ_ERRORS:
        return
    assert keys
    for key in keys:
        assert key.constraints.purposes
        assert (key.constraints.valid_until or datetime.now(UTC)) > datetime(1, 1, 2, tzinfo=UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    "data",
    [
        b"[p11-kit-object-v1]\n" + b"-----BEGIN A-----\n" * 10_000, b"[p11-kit-object-v1]\n" * 10_000, (ssh_line() + b"\n") * 5000,
        b"cert-authority " + (ssh_line() + b"\ncert-authority ") * 1500, b'{"keys": [' + b'{"keyid": "1"},' * 80_000 + b"1]}",
        b"-----BEGIN X-----\nAAAA\n-----END X-----\n" * 5000, b"Signed-By: x\n" * 100_000, b"untrusted comment:" + b" " * 5000,
        b"-----BEGIN TRUSTED CERTIFICATE-----\n" + b"MIID" * 60_000 + b"\n-----END TRUSTED CERTIFICATE-----\n",
    ],
    ids=lambda data: data[:30].decode(),
)  # fmt: skip
def test_every_kind_has_its_caps(data: bytes) -> None:
    """Too many entries, lines or bytes of any kind are refused before they cost anything."""
    with pytest.raises(READ_ERRORS):
        read_keys(data)
