"""``READERS`` is all the package formats there are, in the order in which they are asked: an explicit tuple, imported one at a time.

Containers are disjoint. Inside one container the first reader whose predicate holds reads the package; the last takes whatever is left.
Name, version and container stand here and in the module, so that a question about stored facts imports no reader; a test holds both equal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageReader


@dataclass(frozen=True, slots=True)
class Entry:
    """One reader: its container, the NAME that verdicts show, its VERSION, and its module in ``formats.readers``."""

    container: str
    name: str
    version: int
    module: str

    def load(self) -> PackageReader:
        """The module itself."""
        return cast("PackageReader", import_module(f"trust_store.formats.readers.{self.module}"))


READERS: tuple[Entry, ...] = (
    Entry("zip", "android-ota", 3, "android_ota"),
    Entry("zip", "nuget", 1, "nuget"),
    Entry("zip", "msix", 1, "msix"),
    Entry("zip", "wheel", 1, "wheel"),
    Entry("zip", "vendor-bundle", 5, "vendor_bundle"),
    Entry("zip", "zip", 3, "zip_plain"),
    Entry("pe", "pe", 1, "pe"),
    Entry("cab", "cab", 1, "cab"),
    Entry("ole", "msi", 1, "msi"),
    Entry("ar", "deb", 1, "deb"),
    Entry("cpio", "swupdate", 1, "swupdate"),
    Entry("xar", "xar", 1, "xar"),
    Entry("tar", "vendor-bundle-tar", 1, "vendor_bundle_tar"),
    Entry("tar", "tar", 1, "tar_plain"),
    Entry("none", "rpm", 1, "rpm"),
    Entry("none", "rauc", 1, "rauc"),
    Entry("openpgp-text", "dsc", 1, "dsc"),
    Entry("openpgp-text", "checksum-list", 1, "checksum_list"),
    Entry("openpgp-text", "openpgp-cleartext", 1, "openpgp_cleartext"),
    Entry("none", "catalog", 1, "catalog"),
    Entry("none", "cms-message", 1, "cms_message"),
    Entry("none", "openpgp-message", 1, "openpgp_message"),
    Entry("none", "signify-message", 1, "signify_message"),
    Entry("none", "detached", 4, "detached"),
)
NONE = "none"


def of_container(container: str) -> tuple[Entry, ...]:
    """The readers of one container, in their order."""
    return tuple(entry for entry in READERS if entry.container == container)
