"""The keys, packages, people and policies of the state machine: real certificates, real CMS signatures, read by the real readers."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.trust_store.package_craft import read
from tests.trust_store.path_craft import Issued, authority, eku, issue
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.store_setup import openpgp_proposal, proposal_of
from tests.trust_store.verdict_craft import beside
from trust_store.model.vendor import Contact, Vendor, VendorPolicy

if TYPE_CHECKING:
    from trust_store.model.claim import Proposal
    from trust_store.model.package_facts import PackageFacts

PEOPLE = {"uid:1001": "ann", "uid:1002": "bob", "uid:1003": "cid", "uid:1004": "dan", "uid:1005": "eve"}
STRANGER = "uid:1666"
PHONES = ("+1 555 0100", "+1 555 0200")
ROGUE = "+1 555 6666"
VENDORS = ("acme", "bolt")
OPENPGP = "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True)
class Key:
    """One key that may become an anchor. ``node`` is name and key: equal for a re-issued and a cross-certificate."""

    name: str
    node: str
    ca: bool
    issuer: str | None = None
    """The other node whose key signed this certificate, None for a self-signed one."""


KEYS = {
    "root": Key("root", "ROOT", ca=True),
    "again": Key("again", "ROOT", ca=True),
    "cross": Key("cross", "ROOT", ca=True, issuer="OTHER"),
    "other": Key("other", "OTHER", ca=True),
    "shared": Key("shared", "SHARED", ca=True),
    "inner": Key("inner", "INNER", ca=True, issuer="ROOT"),
    "leaf": Key("leaf", "LEAF", ca=False),
    "openpgp": Key("openpgp", "OPENPGP", ca=False),
}
"""``again`` is ``root`` issued anew, ``cross`` the same name and key certified by ``other``; ``shared`` serves several vendors."""


FOCUS = (
    ("root", "again"), ("root", "cross", "other"), ("shared",), ("inner", "root"), ("inner", "cross", "other"),
    ("leaf", "openpgp"), ("root", "inner", "again", "cross"), tuple(KEYS),
)  # fmt: skip
"""One run is about few keys, so that what is decided about one meets what is decided about another."""


@dataclass(frozen=True, slots=True)
class Package:
    """One signed file: ``signer`` is the node that signed, ``issuer`` the node above it, ``carried`` further certificates in it."""

    name: str
    signer: str
    issuer: str | None
    organisation: str
    carried: tuple[str, ...] = ()


PACKAGES = {
    "plain": Package("plain", "SIGNER", "ROOT", "ACME"),
    "crossed": Package("crossed", "SIGNER", "ROOT", "ACME", ("cross",)),
    "deep": Package("deep", "DEEP", "INNER", "ACME", ("inner",)),
    "deep_crossed": Package("deep_crossed", "DEEP", "INNER", "ACME", ("inner", "cross")),
    "ours": Package("ours", "OURS", "SHARED", "ACME"),
    "theirs": Package("theirs", "THEIRS", "SHARED", "Bolt"),
    "alone": Package("alone", "LEAF", None, "ACME"),
    "unknown": Package("unknown", "STRANGE", "NOBODY", "ACME"),
}


def above(package: Package) -> set[str]:
    """Every node that some path of the package may go over."""
    nodes, left = set(), [package.signer, package.issuer]
    while left:
        node = left.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            left += [key.issuer for key in KEYS.values() if key.node == node]
    return nodes


POLICIES = (
    (2, "required", 0), (1, "required", 0), (3, "required", 0), (1, "or_hold_down", 5), (2, "or_hold_down", 10),
    (3, "or_hold_down", 20),
)  # fmt: skip
"""(people, call, days of waiting)."""
LAPSE_DAYS = 90


@dataclass(frozen=True, slots=True)
class VendorFile:
    """What a vendor file says, as far as it is varied."""

    vendor: str
    people: int
    call: str
    wait: int
    phones: frozenset[str]

    def built(self) -> Vendor:
        """The same as the program reads it."""
        contacts = tuple(Contact(f"Desk {phone[-4:]}", phone=phone) for phone in sorted(self.phones))
        policy = VendorPolicy(
            approvals=self.people, call=self.call, hold_down_days=self.wait, proposal_lapse_days=LAPSE_DAYS
        )
        return Vendor(self.vendor, self.vendor.upper(), contacts=contacts, policy=policy)


def _name(common: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


@cache
def certificates() -> dict[str, Issued]:
    """The certificate of every key and of every signer."""
    code = eku(ExtendedKeyUsageOID.CODE_SIGNING)
    root = authority(_name("Root", "ACME"), private=private_key(101))
    other = authority(_name("Other", "Big CA"), private=private_key(102))
    shared = authority(_name("Shared", "Big CA"), private=private_key(103))
    nobody = authority(_name("Nobody", "Nowhere"), private=private_key(104))
    inner = authority(_name("Inner", "ACME"), root, private=private_key(105))
    return {
        "root": root,
        "again": authority(_name("Root", "ACME"), private=private_key(101)),
        "cross": authority(_name("Root", "ACME"), other, private=private_key(101)),
        "other": other,
        "shared": shared,
        "inner": inner,
        "leaf": issue(_name("Leaf", "ACME"), None, code, private=private_key(106)),
        "SIGNER": issue(_name("Signer", "ACME"), root, code, private=private_key(107)),
        "DEEP": issue(_name("Signer below", "ACME"), inner, code, private=private_key(108)),
        "OURS": issue(_name("Ours", "ACME"), shared, code, private=private_key(109)),
        "THEIRS": issue(_name("Theirs", "Bolt"), shared, code, private=private_key(110)),
        "STRANGE": issue(_name("Strange", "ACME"), nobody, code, private=private_key(111)),
    }


def der(key: str) -> bytes:
    """What is imported of a key, or of a certificate that signs."""
    return certificates()[key].der


@cache
def data_of(key: str) -> str:
    """The key as an import carries it: base64 of DER."""
    return base64.b64encode(der(key)).decode()


@cache
def fingerprint(key: str) -> str:
    """What the vendor reads out."""
    return OPENPGP if key == "openpgp" else hashlib.sha256(der(key)).hexdigest()


def proposal(key: str, vendor: str) -> Proposal:
    """The key as a channel would propose it."""
    if key != "openpgp":
        return proposal_of(der(key), vendor)
    from dataclasses import replace

    return replace(openpgp_proposal(OPENPGP), vendor_id=vendor)


@cache
def facts(package: str) -> PackageFacts:
    """The facts of a package, as its reader found them."""
    made = PACKAGES[package]
    signer = certificates()["leaf" if made.signer == "LEAF" else made.signer]
    data = f"firmware {package}".encode() * 20
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(signer.certificate, signer.key, hashes.SHA256())
    for carried in made.carried:
        builder = builder.add_certificate(certificates()[carried].certificate)
    return read(data, beside(builder.sign(Encoding.DER, options)))
