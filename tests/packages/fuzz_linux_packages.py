"""What is fuzzed of Linux packages beside their readers: the decoders that these take values apart with."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

from tests.packages.generate.deb_craft import split
from tests.packages.generate.rpm_craft import split as rpm_parts
from tests.packages.table import FIXTURES
from trust_store.decode import alpine_apk as alpine_streams
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


def alpine(data: bytes) -> None:
    """Both streams of an Alpine package."""
    content, _ = alpine_streams.unpack_stream(BytesSource(data).read_at, 0, max_packed=1 << 20)
    alpine_streams.read_signatures(content)
    alpine_streams.read_control(content)


def apt(data: bytes) -> None:
    """A Release file, and an index in which a package is looked for."""
    listed_package(data, {"sha256": "0" * 64, "sha512": "0" * 128})
    parse_release(data)


def info(data: bytes) -> None:
    """The little formats."""
    first_member(data)
    frame_end(data)
    listed_members(data)
    parse_package_info(data)


def seeds(*paths: str) -> tuple[bytes, ...]:
    """Fixtures to begin with."""
    return tuple((FIXTURES / path).read_bytes() for path in paths)


def targets() -> tuple[Target, ...]:
    """Decoders only: the readers as a whole are fuzzed with all the others."""
    from tests.fuzz_targets import Target  # joins these to its own

    package, deb, alpine_package = seeds("rpm/valid.rpm", "deb/valid.deb", "alpine-apk/valid.apk")
    control = split(deb).control
    found = (
        ("rpm_header", rpm_header, (rpm_parts(package).main,)),
        ("deb_control", deb_control, (b"\2" + control, b"\0" + lzma.decompress(control))),
        ("alpine_apk", alpine, (alpine_package,)),
        ("apt_release", apt, seeds("apt-release/Release", "apt-release/Packages")),
        ("package_info", info, (b"pkgname = a\n", b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00", b"Files:\n x\n")),
    )
    return tuple(Target(name, run, begin, READ_ERRORS) for name, run, begin in found)
