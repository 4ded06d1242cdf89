"""``READERS`` is all the package formats there are, in the order in which they are asked: an explicit tuple, imported one at a time.

Containers are disjoint. Inside one container the first reader whose predicate holds reads the package; the last takes whatever is left.
Name, version and container stand here and in the module, so that a question about stored facts imports no reader; a test holds both equal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageReader, PackageSource


@dataclass(frozen=True, slots=True)
class Entry:
    """One reader: its container, the NAME that verdicts show, its VERSION, and its module in ``formats.readers``.

    Of ``marks``, in lower case, one must occur in what ``looked_at`` shows of a file, else the reader is neither asked nor imported; no
    marks: it is asked always.
    """

    container: str
    name: str
    version: int
    module: str
    marks: tuple[bytes, ...] = ()

    def may_read(self, shown: bytes) -> bool:
        """Whether the reader is to be asked about a file of which ``looked_at`` shows this."""
        return not self.marks or any(mark in shown for mark in self.marks)

    def load(self) -> PackageReader:
        """The module itself."""
        return cast("PackageReader", import_module(f"trust_store.formats.readers.{self.module}"))


def in_encodings(*texts: str) -> tuple[bytes, ...]:
    """Marks for text in any of the encodings of scripts."""
    return tuple(text.lower().encode(encoding) for text in texts for encoding in ("ascii", "utf-16-le", "utf-16-be"))


PKCS7 = bytes.fromhex("06092a864886f70d010702").lower()
"""The object identifier of CMS signed-data in DER, its one octet that is a capital letter made small like everything looked at."""
HEAD_BYTES, TAIL_BYTES = 4096, 65_536
READERS: tuple[Entry, ...] = (
    Entry("zip", "android-ota", 4, "android_ota", (b"\xff\xff",)),
    Entry("zip", "apk", 1, "apk", (b"androidmanifest.xml", b"apk sig block 42")),
    Entry("zip", "nuget", 1, "nuget", (b".nuspec",)),
    Entry("zip", "msix", 1, "msix", (b"appxblockmap.xml",)),
    Entry("zip", "vsix", 1, "vsix", (b"extension.vsixmanifest", b"digital-signature/")),
    Entry("zip", "wheel", 1, "wheel", (b".dist-info/record",)),
    Entry("zip", "jar", 1, "jar", (b"meta-inf/",)),
    Entry("zip", "vendor-bundle", 5, "vendor_bundle", (b"sha256sums",)),
    Entry("zip", "zip", 3, "zip_plain"),
    Entry("pe", "pe", 1, "pe"),
    Entry("cab", "fwupd", 1, "fwupd", (b".metainfo.xml",)),
    Entry("cab", "cab", 1, "cab"),
    Entry("ole", "msi", 1, "msi"),
    Entry("ar", "deb", 1, "deb"),
    Entry("cpio", "swupdate", 1, "swupdate"),
    Entry("xar", "xar", 1, "xar"),
    Entry("tar", "mender", 1, "mender"),
    Entry("tar", "alpine-apk", 1, "alpine_apk"),
    Entry("tar", "pacman", 1, "pacman"),
    Entry("tar", "vendor-bundle-tar", 1, "vendor_bundle_tar"),
    Entry("tar", "tar", 1, "tar_plain"),
    Entry("none", "alpine-apk-v3", 1, "alpine_apk_v3", (b"adb.", b"adbd", b"adbc")),
    Entry("none", "linux-module", 1, "linux_module", (b"~module signature appended~\n",)),
    Entry("none", "android-payload", 1, "android_payload", (b"crau",)),
    Entry("none", "mach-o", 1, "mach_o", (b"\xfa\xed\xfe", b"\xfe\xed\xfa", b"\xca\xfe\xba")),
    Entry("none", "rpm", 1, "rpm", (b"\xed\xab\xee\xdb",)),
    Entry("none", "rauc", 1, "rauc", (b"hsqs", PKCS7)),
    Entry("none", "mar", 1, "mar", (b"mar1",)),
    Entry("none", "fit", 1, "fit", (b"\xd0\x0d\xfe\xed",)),
    Entry("openpgp-text", "apt-release", 1, "apt_release"),
    Entry("openpgp-text", "dsc", 1, "dsc"),
    Entry("openpgp-text", "checksum-list", 1, "checksum_list"),
    Entry("openpgp-text", "openpgp-cleartext", 1, "openpgp_cleartext"),
    Entry("none", "apt-release-file", 1, "apt_release_file", (b"\ndate:", b"\nvalid-until:")),
    Entry("none", "catalog", 1, "catalog", (PKCS7,)),
    Entry("none", "powershell", 1, "powershell", in_encodings("SIG # End signature block")),
    Entry("none", "wsh-script", 1, "wsh_script", in_encodings("End signature block", "</signature>")),
    Entry("none", "cms-message", 1, "cms_message", (PKCS7, b"-----begin ")),
    Entry("none", "openpgp-message", 1, "openpgp_message"),
    Entry("none", "signify-message", 1, "signify_message", (b"untrusted comment:",)),
    Entry("none", "detached", 5, "detached"),
)
NONE = "none"


def looked_at(source: PackageSource, directory: bytes = b"") -> bytes:
    """The beginning and the end of a file, and the central directory of an archive, in lower case: where marks are looked for."""
    head = source.read_at(0, HEAD_BYTES)
    start = max(len(head), source.size - TAIL_BYTES)
    return b"\0".join((head, source.read_at(start, TAIL_BYTES), directory)).lower()


def of_container(container: str) -> tuple[Entry, ...]:
    """The readers of one container, in their order."""
    return tuple(entry for entry in READERS if entry.container == container)
