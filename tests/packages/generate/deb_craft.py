"""Debian packages put together by hand (deb(5)), right or wrong in exactly one place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def entry(name: str, data: bytes, *, size: int | None = None, padding: bytes = b"\n") -> bytes:
    """One ar member; ``size`` is another one than it has."""
    length = len(data) if size is None else size
    header = f"{name:<16}{1704067200:<12}{0:<6}{0:<6}{'100644':<8}{length:<10}`\n".encode()
    return header + data + padding * (len(data) % 2)


def archive(*entries: bytes) -> bytes:
    """An ar archive."""
    return b"!<arch>\n" + b"".join(entries)


@dataclass(frozen=True)
class Deb:
    """The three members of a package: names of the last two, and all contents."""

    control_name: str
    data_name: str
    version: bytes
    control: bytes
    data: bytes

    @property
    def signed(self) -> bytes:
        """What a debsigs signature is over."""
        return self.version + self.control + self.data

    @property
    def members(self) -> tuple[bytes, bytes, bytes]:
        """The three as ar members."""
        return (
            entry("debian-binary", self.version), entry(self.control_name, self.control), entry(self.data_name, self.data),
        )  # fmt: skip

    def package(self, *more: bytes) -> bytes:
        """The package with more members behind."""
        return archive(*self.members, *more)

    def statement(self, role: str = "builder", *, digests: tuple[str, str] = ("md5", "sha1")) -> bytes:
        """What dpkg-sig has gpg sign."""
        lines = ["Version: 4", "Signer: Vendor", "Date: Thu Feb  1 00:00:00 2024", f"Role: {role}", "Files: "]
        for name, data in (
            ("debian-binary", self.version),
            (self.control_name, self.control),
            (self.data_name, self.data),
        ):
            values = " ".join(hashlib.new(digest, data).hexdigest() for digest in digests)
            lines.append(f"\t{values} {len(data)} {name}")
        return "\n".join([*lines, ""]).encode()


def split(package: bytes) -> Deb:
    """The members of a package made by dpkg-deb."""
    found: list[tuple[str, bytes]] = []
    position = 8
    while position < len(package):
        size = int(package[position + 48 : position + 58])
        name = package[position : position + 16].decode().strip()
        found.append((name, package[position + 60 : position + 60 + size]))
        position += 60 + size + size % 2
    (_, version), (control_name, control), (data_name, data) = found[:3]
    return Deb(control_name, data_name, version, control, data)
