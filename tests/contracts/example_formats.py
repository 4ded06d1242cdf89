"""What examples of single package formats need on the prepared installation: packages, signatures, keys that are approved, a ratchet."""

from __future__ import annotations

import hashlib
import json
import os
import re
from base64 import b64encode
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.contracts.packages import CONTENT, sums
from tests.packages.sigstore_craft import Instance
from tests.packages.table import FIXTURES
from trust_store.decode.key_files import read_keys
from trust_store.model.ratchet import DIGEST, FILE, SCHEME, SIGNERS, Mark, Ratchet
from trust_store.storage.connection import connect, transaction
from trust_store.storage.ratchets import RAISED, StoredRatchet, append_ratchet

if TYPE_CHECKING:
    from tests.contracts.example_place import ExamplePlace

DEVELOPER, ISSUER = "dev@dten.example", "https://accounts.dten.example"


def approved(place: ExamplePlace, name: str, data: bytes) -> None:
    """Put a key file into the folder, import it for the vendor, and approve the first key of it."""
    (place.folder / name).write_bytes(data)
    found = place.told("anchor", "import", name, "--vendor", "dten", "--dedicated", "--json")
    material = read_keys(data, name=name)[0].material
    place.approve(str(re.findall(r"anchor_\w+", found)[0]), hashlib.sha256(material).hexdigest())


def minisigned_list(place: ExamplePlace) -> None:
    """A list of digests with a minisign signature over it (minisign(1), SIGNATURE FORMAT)."""
    key, number = ed25519.Ed25519PrivateKey.generate(), b"\1\2\3\4\5\6\7\x08"
    public = b64encode(b"Ed" + number + key.public_key().public_bytes_raw()).decode()
    approved(place, "minisign.pub", f"untrusted comment: minisign public key\n{public}\n".encode())
    listed, comment = sums({"firmware.bin": CONTENT}), "timestamp:1790000000\tfile:SHA256SUMS\thashed"
    value = key.sign(hashlib.blake2b(listed).digest())
    both = key.sign(value + comment.encode())
    (place.folder / "SHA256SUMS").write_bytes(listed)
    (place.folder / "SHA256SUMS.minisig").write_text(
        f"untrusted comment: signature from minisign secret key\n{b64encode(b'ED' + number + value).decode()}\n"
        f"trusted comment: {comment}\n{b64encode(both).decode()}\n"
    )


def sigstore_bundle(place: ExamplePlace) -> None:
    """An archive with a bundle beside it; the instance and the developer are the vendor's."""
    instance, tool = Instance.make(), b"tool 1.0.0"
    approved(place, "trusted_root.json", json.dumps(instance.trusted_root()).encode())
    approved(place, "developer.json", json.dumps({"issuer": ISSUER, "identity": DEVELOPER}).encode())
    (place.folder / "tool.tar.gz").write_bytes(tool)
    bundle = json.dumps(instance.sign(tool, DEVELOPER, ISSUER).bundle())
    (place.folder / "tool.tar.gz.sigstore.json").write_text(bundle)


def android_package(place: ExamplePlace) -> None:
    """An APK whose signer's root is the vendor's."""
    approved(place, "apk-root.pem", (FIXTURES / "apk/root.pem").read_bytes())
    (place.folder / "app.apk").write_bytes((FIXTURES / "apk/valid.apk").read_bytes())


def held_product(place: ExamplePlace) -> None:
    """A product whose packages had two signers, APK signatures of version 3 and SHA-512; no other ratchet is looked at."""
    now, package = datetime.now(UTC), os.urandom(32).hex()
    marks = {
        name: Mark(value, package, now) for name, value in ((SCHEME, "apk-v3"), (DIGEST, "sha512"), (SIGNERS, "2"))
    }
    ratchet = Ratchet("dten", FILE, "app-#.apk", 1, now).with_marks(marks)
    with closing(connect(place.folder / "state/rootwarden.db")) as connection, transaction(connection):
        append_ratchet(connection, StoredRatchet(ratchet, RAISED, package, "", "system"), body={}, at=now)
    place.ids["ratchet"] = ratchet.id
