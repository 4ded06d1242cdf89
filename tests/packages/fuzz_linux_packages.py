"""What is fuzzed of Linux packages beside their readers: the decoders that these take values apart with."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

from tests.packages.generate.alpine_v3 import FILES, metadata
from tests.packages.generate.deb_craft import split
from tests.packages.generate.rpm_craft import split as rpm_parts
from tests.packages.table import FIXTURES
from trust_store.decode.alpine_adb import AdbValues, files_of
from trust_store.decode.alpine_adb import product_of as product_of_adb
from trust_store.decode.alpine_apk import read_control as read_alpine_control
from trust_store.decode.alpine_apk import read_signatures, unpack_stream
from trust_store.decode.apt_release import listed_package, parse_release
from trust_store.decode.deb_package import listed_members, read_control
from trust_store.decode.package_info import first_member, parse_package_info
from trust_store.decode.rpm_header import HEADER_IMMUTABLE, parse_header
from trust_store.decode.rpm_package import header_digests, payload_digests, product_of
from trust_store.decode.zstd_frame import frame_end
from trust_store.errors import READ_ERRORS
from trust_store.formats.streaming import BytesSource

if TYPE_CHECKING:
    from tests.fuzz_targets import Target


def rpm_header(data: bytes) -> None:
    """A main header, and every value that is read of one."""
    header = parse_header(data, HEADER_IMMUTABLE)
    for read in (payload_digests, header_digests, product_of):
        read(header)


def deb_control(data: bytes) -> None:
    """A control member, compressed as its first byte says."""
    read_control(
        ("control.tar", "control.tar.gz", "control.tar.xz", "control.tar.zst")[(data or b"\0")[0] % 4], data[1:]
    )


def alpine_signatures(data: bytes) -> None:
    """The first stream of an Alpine package."""
    content, _ = unpack_stream(BytesSource(data).read_at, 0, max_packed=1 << 20)
    read_signatures(content)


def alpine_metadata(data: bytes) -> None:
    """The metadata block of an Alpine package of version 3."""
    values = AdbValues(data)
    files_of(values)
    product_of_adb(values)


def index(data: bytes) -> None:
    """An index in which a package is looked for."""
    listed_package(data, {"sha256": "0" * 64, "sha512": "0" * 128})


def seeds(*paths: str) -> tuple[bytes, ...]:
    """Fixtures to begin with."""
    return tuple((FIXTURES / path).read_bytes() for path in paths)


def targets() -> tuple[Target, ...]:
    """Decoders only: the readers as a whole are fuzzed with all the others."""
    from tests.fuzz_targets import Target  # joins these to its own

    package, deb, alpine_package = seeds("rpm/valid.rpm", "deb/valid.deb", "alpine-apk/valid.apk")
    control = split(deb).control
    zstd, listed = (split(one) for one in seeds("deb/zstd.deb", "deb/valid.deb"))
    signed_control = alpine_package[unpack_stream(BytesSource(alpine_package).read_at, 0, max_packed=1 << 20)[1] :]
    alpine_control = unpack_stream(BytesSource(signed_control).read_at, 0, max_packed=1 << 20)[0]
    found = (
        ("rpm_header", rpm_header, (rpm_parts(package).main,)),
        ("deb_control", deb_control, (b"\2" + control, b"\0" + lzma.decompress(control))),
        ("deb_package.listed_members", listed_members, (listed.statement(),)),
        ("zstd_frame.frame_end", frame_end, (zstd.control, zstd.data)),
        ("alpine_apk.read_signatures", alpine_signatures, (alpine_package,)),
        ("alpine_apk.read_control", read_alpine_control, (alpine_control,)),
        ("alpine_adb", alpine_metadata, (metadata(FILES),)),
        ("apt_release.parse_release", parse_release, seeds("apt-release/Release")),
        ("apt_release.listed_package", index, seeds("apt-release/Packages")),
        ("package_info.parse_package_info", parse_package_info, (b"# x\npkgname = a\npkgver = 1\n",)),
        ("package_info.first_member", first_member, (lzma.decompress(control),)),
    )
    return tuple(Target(name, run, begin, READ_ERRORS) for name, run, begin in found)
