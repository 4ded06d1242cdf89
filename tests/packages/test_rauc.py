from __future__ import annotations

import contextlib
import hashlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.zip_containers import cms
from tests.packages.pki import issue
from tests.trust_store.package_craft import LIMITS, read
from tests.trust_store.verdict_craft import anchor, ask
from trust_store.decode.dm_verity import BLOCK_BYTES, HashTree, level_sizes
from trust_store.decode.rauc_manifest import parse_manifest
from trust_store.errors import READ_ERRORS, MalformedError, UnsupportedError
from trust_store.formats.readers import rauc
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures" / "rauc"
VERITY = (FIXTURES / "verity.raucb").read_bytes()
PLAIN = (FIXTURES / "plain.raucb").read_bytes()
VALUES = f"verity-hash={'ab' * 32}\nverity-salt={'cd' * 32}\nverity-size=4096\n"
MANIFEST = "[update]\ncompatible=x\nversion=1\n[bundle]\nformat=verity\n" + VALUES


def test_the_tree_is_the_one_that_the_standard_tool_builds() -> None:
    """A tree over 130 blocks has two levels, and its root is the digest of the salted root block."""
    data = bytes(range(256)) * 16 * 130
    salt = bytes(32)
    tree = HashTree(salt, 130)
    tree.update(data[:5000])
    tree.update(data[5000:])
    leaves = [hashlib.sha256(salt + data[at : at + 4096]).digest() for at in range(0, len(data), 4096)]
    low = [b"".join(leaves[at : at + 128]).ljust(4096, b"\0") for at in (0, 128)]
    top = b"".join(hashlib.sha256(salt + block).digest() for block in low).ljust(4096, b"\0")
    assert tree.root() == hashlib.sha256(salt + top).digest()
    assert tree.size == 3 * BLOCK_BYTES
    assert tree.levels() == ((4096, hashlib.sha256(top).digest()), (8192, hashlib.sha256(b"".join(low)).digest()))


@pytest.mark.parametrize(("blocks", "sizes"), [(1, (1,)), (128, (1,)), (129, (2, 1)), (128 * 128 + 1, (129, 2, 1))])
def test_levels_end_in_one_block(blocks: int, sizes: tuple[int, ...]) -> None:
    """Each level has a block for 128 of the one below, and the last is a single one."""
    assert level_sizes(blocks) == sizes


def test_only_a_signed_manifest_states_the_product() -> None:
    """A verity bundle's manifest is signed and says what it is for; a plain bundle's lies in the image and is not read."""
    assert read(VERITY).product == Product("Fixture Device", "2026.05-1")
    assert read(PLAIN).product is None


@pytest.mark.parametrize(
    "text",
    [
        MANIFEST.replace("verity-hash", "verity-hush"), MANIFEST.replace("ab", "xy", 1), MANIFEST + "[bundle]\n",
        MANIFEST + "verity-size=1\n", "a=b\n" + MANIFEST, MANIFEST + "no value\n",
    ],
)  # fmt: skip
def test_manifest_that_can_be_read_in_two_ways(text: str) -> None:
    """A manifest without what binds the payload, or that says something twice, is malformed."""
    with pytest.raises(MalformedError):
        parse_manifest(text.encode())


@pytest.mark.parametrize("kind", ["crypt", "plain", "other"])
def test_other_formats_of_a_manifest_inside(kind: str) -> None:
    """A manifest inside the signature that is for no verity bundle is not read: nothing would bind the payload."""
    with pytest.raises(UnsupportedError):
        parse_manifest(MANIFEST.replace("format=verity", f"format={kind}").encode())


def test_sizes_that_do_not_fit() -> None:
    """A bundle cut within its payload, to whole blocks, is not of the size that the manifest says."""
    size = struct.unpack(">Q", VERITY[-8:])[0] + 8
    facts = read(VERITY[: -size - 8192] + VERITY[-size:])
    assert facts.problem is not None
    assert facts.problem.reason is Reason.MALFORMED
    assert not facts.signatures


def test_only_squashfs_with_a_message_is_a_bundle() -> None:
    """A squashfs image by itself is none, whatever its last bytes say."""
    source = BytesSource(b"hsqs" + bytes(8000) + struct.pack(">Q", 4096))
    assert not rauc.recognises(source, LIMITS)
    assert rauc.recognises(BytesSource(PLAIN), LIMITS)


def test_encrypted_bundle_is_not_understood() -> None:
    """What no squashfs image is cannot be looked into, although its signature holds."""
    facts = read(b"\xff" + PLAIN[1:])
    assert facts.format == "rauc"
    assert facts.problem is not None
    assert facts.problem.reason is Reason.UNSUPPORTED_FORMAT


@given(st.binary(max_size=400), st.integers(0, 300))
def test_any_bytes_raise_nothing_else(data: bytes, size: int) -> None:
    """Whatever follows the magic and whatever the trailer says, only the three errors come out."""
    source = BytesSource(b"hsqs" + data + struct.pack(">Q", size))
    rauc.recognises(source, LIMITS)
    with contextlib.suppress(READ_ERRORS):
        rauc.read(source, (), LIMITS)
    with contextlib.suppress(READ_ERRORS):
        parse_manifest(data)


def test_every_signer_of_the_message_must_be_good(tmp_path: Path) -> None:
    """A bundle that the vendor and a stranger signed in one message does not pass: RAUC wants every signer's certificate trusted."""
    size = int.from_bytes(PLAIN[-8:], "big")
    image = PLAIN[: -8 - size]
    vendor, stranger = issue("Vendor", kind="p256"), issue("Stranger", kind="p256")
    certificate, key = stranger.write(tmp_path, "stranger")

    def bundle(*options: str) -> bytes:
        message = cms(image, vendor, options=("-md", "sha256", *options))
        return image + message + len(message).to_bytes(8, "big")

    both = bundle("-signer", str(certificate), "-inkey", str(key))
    trusted = [anchor(signer.der) for signer in (vendor, stranger)]
    assert ask(read(bundle()), trusted[0]).reason is Reason.TRUSTED
    assert ask(read(both), *trusted).reason is Reason.TRUSTED
    assert ask(read(both), trusted[0]).reason is Reason.UNKNOWN_ROOT
