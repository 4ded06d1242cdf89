"""What is fuzzed of firmware formats, tar and cpio beside their readers: the decoders that these take values apart with."""

from __future__ import annotations

import gzip
from functools import partial
from typing import TYPE_CHECKING

from tests.packages.generate.mender import members
from tests.packages.generate.swupdate import description, json_description
from tests.packages.table import FIXTURES
from trust_store.decode import cab_files, cpio_archive, fdt, fit_image, libconfig, mar_archive, tar_archive
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget, Unpacking, compression_of
from trust_store.decode.firmware_metainfo import parse_metainfo
from trust_store.decode.jcat import parse_jcat
from trust_store.decode.mender_artifact import device_types
from trust_store.decode.rauc_manifest import parse_manifest
from trust_store.decode.software_description import parse_description
from trust_store.errors import READ_ERRORS
from trust_store.formats.streaming import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz_targets import Target

BUDGET = UnpackBudget(1 << 24, 1100)


def _reader(data: bytes) -> ByteReader:
    return ByteReader(data[at : at + 700] for at in range(0, len(data), 700))


def tar(data: bytes) -> None:
    """A tar archive by itself."""
    tar_archive.walk(_reader(data))


def cpio(data: bytes) -> None:
    """A cpio archive by itself."""
    cpio_archive.walk(_reader(data))


def compressed(data: bytes) -> None:
    """A gzip or xz stream."""
    for _ in Unpacking(iter((data,)), compression_of(data) or "gzip", BUDGET):
        pass


def device_tree(data: bytes) -> None:
    """A tree, its images, its signatures and what these are over."""
    tree = fdt.parse(BytesSource(data))
    fit_image.images_of(tree)
    for signature in fit_image.signatures_of(tree):
        fit_image.signed_ranges(tree, signature)
        if signature.of_configuration:
            fit_image.references_of(tree, signature.owner)


def mozilla(data: bytes) -> None:
    """An archive's headers and index."""
    _ = mar_archive.parse(BytesSource(data)).product


def cabinet(data: bytes) -> None:
    """A cabinet, all of it unpacked."""
    source = BytesSource(data)
    for _, pieces in cab_files.contents(source, cab_files.read_directory(source)):
        for _ in pieces:
            pass


def catalogue(data: bytes) -> None:
    """A Jcat file's JSON, packed anew so that every change gets through."""
    parse_jcat(gzip.compress(data, 1, mtime=0))


def mender_header(data: bytes) -> None:
    """The header of a Mender artifact, unpacked."""
    device_types(data, None)


def targets() -> tuple[Target, ...]:
    """Decoders only: the readers as a whole are fuzzed with all the others."""
    from tests.fuzz_targets import Target  # joins these to its own

    def seeds(*paths: str) -> tuple[bytes, ...]:
        return tuple((FIXTURES / path).read_bytes() for path in paths)

    bundles = seeds(
        "vendor-bundle-tar/valid.tar",
        "vendor-bundle-tar/pax.tar",
        "vendor-bundle-tar/folder.tgz",
        "vendor-bundle-tar/valid.tar.xz",
    )
    mender = seeds("mender/uncompressed.mender")[0]
    uncompressed = gzip.decompress(bundles[2])
    values = f"verity-hash={'ab' * 32}\nverity-salt={'cd' * 32}\nverity-size=4096\n"
    manifest = f"[update]\ncompatible=x\nversion=1\n\n[bundle]\nformat=verity\n{values}".encode()
    found: tuple[tuple[str, Callable[[bytes], object], tuple[bytes, ...]], ...] = (
        ("tar", tar, (*bundles[:2], uncompressed)),
        ("cpio", cpio, seeds("swupdate/cms.swu", "swupdate/json.swu")),
        ("gzip and xz", compressed, bundles[2:]),
        ("libconfig", libconfig.parse, (description(),)),
        ("sw-description", parse_description, (description(), json_description())),
        ("RAUC manifest", parse_manifest, (manifest,)),
        ("device tree", device_tree, seeds("fit/rsa.itb", "fit/external.itb", "fit/two.itb")),
        ("MAR index", mozilla, seeds("mar/good.mar", "mar/older.mar")),
        ("cabinet files", cabinet, seeds("fwupd/pkcs7.cab", "fwupd/mszip.cab")),
        (
            "jcat",
            catalogue,
            (b'{"JcatVersionMajor":0,"Items":[{"Id":"a","Blobs":[{"Kind":1,"Flags":1,"Data":"00"}]}]}',),
        ),
        (
            "fwupd metadata",
            parse_metainfo,
            (
                b'<component><id>a</id><releases><release version="1"><checksum target="content" filename="f">'
                + b"ab" * 32
                + b"</checksum></release></releases></component>",
            ),
        ),
        ("Mender header", mender_header, (members(mender)["header.tar"],)),
    )
    return tuple(Target(f"firmware: {name}", partial(run), given, READ_ERRORS) for name, run, given in found)
