"""A sigstore instance of one's own: Fulcio, a certificate transparency log, Rekor of both versions, a time-stamp authority, a trusted root.

Everything that an instance signs can be changed before it signs, so that each rule of a verifier has something that breaks it alone::

    instance = Instance.make()
    signed = instance.sign(b"artifact", "someone@vendor.example")
    bundle = signed.bundle("0.3")            # a dict; json.dumps it into a file
    root = instance.trusted_root()           # the same

Written from protobuf-specs, RFC 6962, RFC 9162, C2SP signed-note and Rekor's types.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.packages.pki import Issued, issue, new_key
from tests.trust_store.timestamp_craft import Authority

SIGNED_AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ISSUER = "https://accounts.vendor.example"
IN_TOTO = "application/vnd.in-toto+json"
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ISSUER_V1, ISSUER_V2 = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"
MINUTES = timedelta(minutes=1)
DETAILS = {
    "secp256r1": "PKIX_ECDSA_P256_SHA_256",
    "secp384r1": "PKIX_ECDSA_P384_SHA_384",
    "secp521r1": "PKIX_ECDSA_P521_SHA_512",
}
MEDIA = "application/vnd.dev.sigstore.bundle+json;version="


def b64(data: bytes) -> str:
    """Base64 as JSON holds bytes."""
    return base64.b64encode(data).decode()


def spki(key: Any) -> bytes:
    """The public half of a private key."""
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def pem(key: Any) -> bytes:
    """The same in PEM."""
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def natural(key: Any) -> Any:
    """The digest that goes with an EC key."""
    sizes: dict[int, Any] = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return hashes.SHA512()
    return sizes[key.curve.key_size]() if isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA256()


def sign(key: Any, message: bytes, digest: Any = None) -> bytes:
    """A signature by whatever kind of key it is."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, PKCS1v15(), digest or hashes.SHA256())
    return bytes(key.sign(message, ec.ECDSA(digest or natural(key))))


def pae(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)


def statement(*subjects: tuple[str, dict[str, str]], predicate: str = "https://slsa.dev/provenance/v1") -> bytes:
    """An in-toto statement about ``subjects``."""
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": digest} for name, digest in subjects],
        "predicateType": predicate,
        "predicate": {},
    }
    return json.dumps(said).encode()


def utf8(text: str) -> bytes:
    """A short DER UTF8String."""
    data = text.encode()
    return bytes([0x0C, len(data)]) + data


@dataclass(frozen=True)
class LogKey:
    """A transparency log: name and key. ``ids`` are the key's digest, for Ed25519 logs the one of signed notes."""

    name: str
    key: Any
    start: datetime = datetime(2021, 1, 1, tzinfo=UTC)
    end: datetime | None = None

    @property
    def id(self) -> bytes:
        """What entries call the log."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return hashlib.sha256(self.name.encode() + b"\n\x01" + self.key.public_key().public_bytes_raw()).digest()
        return hashlib.sha256(spki(self.key)).digest()

    def listed(self) -> dict[str, Any]:
        """As a trusted root lists it."""
        edwards = isinstance(self.key, ed25519.Ed25519PrivateKey)
        return {
            "baseUrl": f"https://{self.name}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(spki(self.key)),
                "keyDetails": "PKIX_ED25519" if edwards else DETAILS[self.key.curve.name],
                "validFor": window(self.start, self.end),
            },
            "logId": {"keyId": b64(self.id)},
        }

    def note(self, text: str, *others: tuple[str, bytes]) -> str:
        """A signed note; ``others`` are further signatures (name, hint and value)."""
        lines = [(self.name, self.id[:4] + sign(self.key, text.encode())), *others]
        return text + "\n" + "".join(f"— {name} {b64(value)}\n" for name, value in lines)

    def entry(
        self, body: bytes, kind: str, version: str, *, at: datetime | None, leaves: int = 7, index: int = 4
    ) -> dict[str, Any]:
        """A TransparencyLogEntry with an inclusion proof; with a promise where ``at`` is stated."""
        tree = [hashlib.sha256(b"\0" + (body if i == index else b"filler %d" % i)).digest() for i in range(leaves)]
        root = merkle(tree)
        checkpoint = self.note(f"{self.name}\n{leaves}\n{b64(root)}\n")
        said: dict[str, Any] = {
            "logIndex": str(index + 1000),
            "logId": {"keyId": b64(self.id)},
            "kindVersion": {"kind": kind, "version": version},
            "canonicalizedBody": b64(body),
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(root),
                "treeSize": str(leaves),
                "hashes": [b64(one) for one in proof(tree, index)],
                "checkpoint": {"envelope": checkpoint},
            },
        }
        if at is not None:
            said["integratedTime"] = str(int(at.timestamp()))
            said["inclusionPromise"] = {"signedEntryTimestamp": b64(self.promise(said))}
        return said

    def promise(self, entry: dict[str, Any]) -> bytes:
        """The signed entry timestamp over what an entry says."""
        said = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
            "logIndex": int(entry["logIndex"]),
        }
        return sign(self.key, json.dumps(said, sort_keys=True, separators=(",", ":")).encode(), hashes.SHA256())


def merkle(leaves: list[bytes]) -> bytes:
    """The root of a tree (RFC 9162 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle(leaves[:split]) + merkle(leaves[split:])).digest()


def proof(leaves: list[bytes], index: int) -> list[bytes]:
    """The inclusion proof of a leaf (RFC 9162 2.1.3.1)."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*proof(leaves[:split], index), merkle(leaves[split:])]
    return [*proof(leaves[split:], index - split), merkle(leaves[:split])]


def window(start: datetime | None, end: datetime | None) -> dict[str, str]:
    """A TimeRange."""
    said = {"start": start, "end": end}
    return {name: at.isoformat().replace("+00:00", "Z") for name, at in said.items() if at is not None}


@dataclass(frozen=True)
class Instance:
    """All parties; ``replace`` one to have another verifier's view."""

    root: Issued
    intermediate: Issued
    ctlog: LogKey
    rekor: LogKey
    rekor2: LogKey
    tsa: Authority
    authority_window: tuple[datetime | None, datetime | None] = (datetime(2021, 1, 1, tzinfo=UTC), None)
    tsa_window: tuple[datetime | None, datetime | None] = (datetime(2021, 1, 1, tzinfo=UTC), None)

    @classmethod
    def make(cls, name: str = "sigstore.example") -> Instance:
        """New keys for everybody."""
        root = issue(f"{name} root", kind="p384", is_ca=True)
        return cls(
            root,
            issue(f"{name} intermediate", root, kind="p384", is_ca=True),
            LogKey(f"ctfe.{name}", new_key("p256")),
            LogKey(f"rekor.{name}", new_key("p256")),
            LogKey(f"log2.rekor.{name}", new_key("ed25519")),
            Authority.make(SIGNED_AT, name=name),
        )

    def trusted_root(self) -> dict[str, Any]:
        """trusted_root.json."""
        chain = [self.intermediate.der, self.root.der]
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.rekor.listed(), self.rekor2.listed()],
            "certificateAuthorities": [self._authority(chain, self.authority_window)],
            "ctlogs": [self.ctlog.listed()],
            "timestampAuthorities": [self._authority([self.tsa.der, self.tsa.root_der], self.tsa_window)],
        }

    def _authority(self, chain: list[bytes], good: tuple[datetime | None, datetime | None]) -> dict[str, Any]:
        return {
            "subject": {"organization": "example", "commonName": "example"},
            "uri": "https://example",
            "certChain": {"certificates": [{"rawBytes": b64(one)} for one in chain]},
            "validFor": window(*good),
        }

    def certificate(
        self,
        key: Any,
        identity: str,
        issuer: str = ISSUER,
        *,
        at: datetime = SIGNED_AT,
        code_signing: bool = True,
        ctlog: LogKey | None = None,
        logged: bool = True,
        sct_at: datetime | None = None,
        older_issuer: str | None = None,
    ) -> bytes:
        """A certificate for ten minutes, with the log's timestamp in it."""
        name = x509.RFC822Name(identity) if "://" not in identity else x509.UniformResourceIdentifier(identity)
        signer = self.intermediate
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        eku = ExtendedKeyUsageOID.CODE_SIGNING if code_signing else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(signer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - MINUTES)
            .not_valid_after(at + 9 * MINUTES)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(_unknown(ISSUER_V1, (older_issuer or issuer).encode()), critical=False)
            .add_extension(_unknown(ISSUER_V2, utf8(issuer)), critical=False)
        )
        if logged:
            tbs = builder.sign(signer.key, hashes.SHA384()).tbs_certificate_bytes
            listed = self._sct(ctlog or self.ctlog, tbs, sct_at or at)
            builder = builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, listed), critical=False)
        return builder.sign(signer.key, hashes.SHA384()).public_bytes(Encoding.DER)

    def _sct(self, log: LogKey, tbs: bytes, at: datetime) -> bytes:
        """SignedCertificateTimestampList in its OCTET STRING (RFC 6962 3.2, 3.3)."""
        stamp = int(at.timestamp() * 1000).to_bytes(8, "big")
        entry = hashlib.sha256(spki(self.intermediate.key)).digest() + len(tbs).to_bytes(3, "big") + tbs
        value = sign(log.key, b"\0\0" + stamp + b"\0\1" + entry + b"\0\0", hashes.SHA256())
        sct = b"\0" + log.id + stamp + b"\0\0" + b"\x04\x03" + len(value).to_bytes(2, "big") + value
        listed = len(sct).to_bytes(2, "big") + sct
        listed = len(listed).to_bytes(2, "big") + listed
        return (b"\x04" + bytes([len(listed)]) if len(listed) < 128 else b"\x04\x81" + bytes([len(listed)])) + listed

    def sign(self, artifact: bytes, identity: str, issuer: str = ISSUER, **certificate: Any) -> Signed:
        """A message signature with a certificate."""
        key = certificate.pop("key", None) or new_key("p256")
        der = self.certificate(key, identity, issuer, **certificate)
        return Signed(self, key, der, artifact, sign(key, artifact))

    def attest(self, payload: bytes, identity: str, issuer: str = ISSUER, **certificate: Any) -> Signed:
        """A DSSE envelope with a certificate."""
        key = certificate.pop("key", None) or new_key("p256")
        der = self.certificate(key, identity, issuer, **certificate)
        return Signed(self, key, der, payload, sign(key, pae(IN_TOTO, payload)), envelope=True)

    def with_key(self, key: Any, content: bytes, *, envelope: bool = False) -> Signed:
        """The same with a bare key."""
        return Signed(
            self, key, None, content, sign(key, pae(IN_TOTO, content) if envelope else content), envelope=envelope
        )


@dataclass(frozen=True)
class Signed:
    """One signing, before it is logged; ``content`` is the artifact, or the payload of an envelope."""

    instance: Instance
    key: Any
    certificate: bytes | None
    content: bytes
    value: bytes
    envelope: bool = False
    at: datetime = SIGNED_AT
    stamp: dict[str, Any] = field(default_factory=dict)

    @property
    def algorithm(self) -> str:
        """The digest that goes with the key."""
        return str(natural(self.key).name)

    def verifier_pem(self) -> bytes:
        """Certificate or key, as the first Rekor keeps it."""
        if self.certificate is None:
            return pem(self.key)
        return x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)

    def body(self, kind: str = "", **changes: Any) -> tuple[bytes, str, str]:
        """(body, kind, version) of the entry ``kind``: hashedrekord, dsse or intoto with a version; ``changes`` replace what it says."""
        kind = kind or ("dsse 0.0.1" if self.envelope else "hashedrekord 0.0.1")
        name, version = kind.split()
        said = {
            "value": self.value,
            "content": self.content,
            "verifier": self.verifier_pem(),
            "der": self.certificate,
        } | changes
        spec = getattr(self, f"_{name}_{version[-1]}")(said)
        text = json.dumps({"apiVersion": version, "kind": name, "spec": spec}, sort_keys=True, separators=(",", ":"))
        return text.encode(), name, version

    def _hashedrekord_1(self, said: dict[str, Any]) -> dict[str, Any]:
        message = pae(IN_TOTO, said["content"]) if self.envelope else said["content"]
        digest = hashlib.new(self.algorithm, message).hexdigest()
        return {
            "data": {"hash": {"algorithm": self.algorithm, "value": digest}},
            "signature": {"content": b64(said["value"]), "publicKey": {"content": b64(said["verifier"])}},
        }

    def _hashedrekord_2(self, said: dict[str, Any]) -> dict[str, Any]:
        message = pae(IN_TOTO, said["content"]) if self.envelope else said["content"]
        digest = hashlib.new(self.algorithm, message).digest()
        data = {"algorithm": self.algorithm.upper().replace("SHA", "SHA2_"), "digest": b64(digest)}
        return {"hashedRekordV002": {"data": data, "signature": self._signature_2(said)}}

    def _dsse_1(self, said: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.sha256(said["content"]).hexdigest()
        return {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(b"envelope").hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": digest},
            "signatures": [{"signature": b64(said["value"]), "verifier": b64(said["verifier"])}],
        }

    def _dsse_2(self, said: dict[str, Any]) -> dict[str, Any]:
        digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(said["content"]).digest())}
        return {"dsseV002": {"payloadHash": digest, "signatures": [self._signature_2(said)]}}

    def _intoto_2(self, said: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.sha256(said["content"]).hexdigest()
        signature = {"publicKey": b64(said["verifier"]), "sig": b64(b64(said["value"]).encode())}
        return {
            "content": {
                "envelope": {"payloadType": IN_TOTO, "signatures": [signature]},
                "hash": {"algorithm": "sha256", "value": hashlib.sha256(b"envelope").hexdigest()},
                "payloadHash": {"algorithm": "sha256", "value": digest},
            }
        }

    def _signature_2(self, said: dict[str, Any]) -> dict[str, Any]:
        edwards = isinstance(self.key, ed25519.Ed25519PrivateKey)
        details = "PKIX_ED25519_PH" if edwards else DETAILS[self.key.curve.name]
        if said["der"] is None:
            verifier: dict[str, Any] = {"publicKey": {"rawBytes": b64(spki(self.key))}, "keyDetails": details}
        else:
            verifier = {"x509Certificate": {"rawBytes": b64(said["der"])}, "keyDetails": details}
        return {"content": b64(said["value"]), "verifier": verifier}

    def entry(
        self, kind: str = "", *, log: LogKey | None = None, at: datetime | None = None, **changes: Any
    ) -> dict[str, Any]:
        """An entry; of kinds of the second log without a promise and in that log."""
        body, name, version = self.body(kind, **changes)
        second = version == "0.0.2" and name != "intoto"
        log = log or (self.instance.rekor2 if second else self.instance.rekor)
        return log.entry(body, name, version, at=None if second else at or self.at)

    def timestamp(self, at: datetime | None = None, value: bytes | None = None, tsa: Authority | None = None) -> str:
        """A TimeStampResp over the signature's value, in base64."""
        token = (tsa or self.instance.tsa).token(self.value if value is None else value, at or self.at)
        body = b"\x30\x03\x02\x01\x00" + token
        return b64(b"\x30\x82" + len(body).to_bytes(2, "big") + body)

    def bundle(
        self,
        version: str = "0.3",
        *,
        entries: list[dict[str, Any]] | None = None,
        timestamps: list[str] | None = None,
        hint: str = "hint",
    ) -> dict[str, Any]:
        """A bundle; ``entries`` None: the usual one."""
        material: dict[str, Any] = {"tlogEntries": [self.entry()] if entries is None else entries}
        if self.certificate is None:
            material["publicKey"] = {"hint": hint}
        elif version == "0.3":
            material["certificate"] = {"rawBytes": b64(self.certificate)}
        else:
            material["x509CertificateChain"] = {"certificates": [{"rawBytes": b64(self.certificate)}]}
        if timestamps is not None:
            stamps = [{"signedTimestamp": one} for one in timestamps]
            material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        media = "application/vnd.dev.sigstore.bundle.v0.3+json" if version == "0.3" else MEDIA + version
        said: dict[str, Any] = {"mediaType": media, "verificationMaterial": material}
        if self.envelope:
            said["dsseEnvelope"] = self.dsse()
        else:
            digest = hashlib.new(self.algorithm, self.content).digest()
            stated = {"algorithm": self.algorithm.upper().replace("SHA", "SHA2_"), "digest": b64(digest)}
            said["messageSignature"] = {"messageDigest": stated, "signature": b64(self.value)}
        return said

    def dsse(self, key_id: str = "") -> dict[str, Any]:
        """The envelope alone."""
        return {
            "payload": b64(self.content),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": b64(self.value), "keyid": key_id}],
        }

    def attestation(self) -> dict[str, Any]:
        """As PEP 740 has it."""
        return {
            "version": 1,
            "verification_material": {
                "certificate": b64(self.certificate or b""),
                "transparency_entries": [self.entry()],
            },
            "envelope": {"statement": b64(self.content), "signature": b64(self.value)},
        }

    def cosign(self) -> dict[str, Any]:
        """As ``cosign sign-blob --bundle`` wrote it before it wrote bundles."""
        entry = self.entry()
        payload = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logIndex": int(entry["logIndex"]),
            "logID": self.instance.rekor.id.hex(),
        }
        return {
            "base64Signature": b64(self.value),
            "cert": b64(self.verifier_pem()),
            "rekorBundle": {
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": payload,
            },
        }

    def changed(self, **fields: Any) -> Signed:
        """The same with other fields."""
        return replace(self, **fields)


def _unknown(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
