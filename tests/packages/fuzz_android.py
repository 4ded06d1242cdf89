"""What is fuzzed of Android packages and JARs beside their readers: the decoders that these take signatures apart with."""

from __future__ import annotations

import zipfile
from functools import partial
from typing import TYPE_CHECKING

from tests.packages.android_xml import android_manifest
from tests.packages.apk_craft import split_apk
from tests.packages.table import FIXTURES
from trust_store.decode import android_manifest as binary_xml
from trust_store.decode import android_payload, apk_archive, apk_idsig, apk_signers, apk_signing_block
from trust_store.decode.jar_manifest import parse_jar_manifest
from trust_store.errors import READ_ERRORS
from trust_store.formats.apk_signatures import disagreement, facts, parse_block
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.streaming import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz_targets import Target

APK = FIXTURES / "apk"


def block(data: bytes) -> None:
    """A signing block with all signers in it, and what they say of each other."""
    found = apk_signing_block.find_signing_block(BytesSource(data), len(data))
    signatures = parse_block(found)
    facts(signatures, {})
    disagreement(signatures)
    signatures.accepted()


def signers(data: bytes) -> None:
    """The signers of v3, taken apart."""
    for signer in apk_signers.split_signers(data, "v3"):
        apk_signers.parse_signer(signer, "v3", ranged=True)


def archive(data: bytes) -> None:
    """The end of an APK, as Android reads it."""
    apk_archive.read_apk_archive(BytesSource(data), ReadLimits())


def payload(data: bytes) -> None:
    """Header and manifest of a payload, and what follows as signatures."""
    found = android_payload.read_payload(BytesSource(data))
    android_payload.parse_signatures(data[found.signature_start :])


def manifest(data: bytes) -> None:
    """A JAR's manifest."""
    parse_jar_manifest(data, "manifest", version="Manifest-Version", max_sections=1000)


def targets() -> tuple[Target, ...]:
    """Decoders only: the readers as a whole are fuzzed with all the others."""
    from tests.fuzz_targets import Target  # joins these to its own

    apks = {name: (APK / f"{name}.apk").read_bytes() for name in ("valid", "rotated", "stamped", "v31", "v3")}
    blocks = {name: split_apk(data).block for name, data in apks.items()}
    with zipfile.ZipFile(FIXTURES / "jar" / "valid.jar") as jar:
        listed = jar.read("META-INF/MANIFEST.MF")
    payloads = tuple((FIXTURES / "android-payload" / name).read_bytes() for name in ("valid.bin", "ec.bin"))
    found: tuple[tuple[str, Callable[[bytes], object], tuple[bytes, ...]], ...] = (
        ("archive", archive, tuple(apks.values())),
        ("signing block", block, tuple(blocks.values())),
        ("signers", signers, (split_apk(apks["v3"]).pairs[apk_signing_block.V3],)),
        ("source stamp", apk_signers.parse_stamp, (split_apk(apks["stamped"]).pairs[apk_signing_block.STAMP_V2],)),
        ("idsig", apk_idsig.parse_idsig, ((APK / "v4.apk.idsig").read_bytes(),)),
        ("binary XML", binary_xml.parse_manifest, (android_manifest(), android_manifest(utf8=True))),
        ("payload", payload, payloads),
        ("JAR manifest", manifest, (listed,)),
    )
    return tuple(Target(f"android: {name}", partial(run), given, READ_ERRORS) for name, run, given in found)
