"""What is fuzzed of packages in zips and of Apple's: their signatures, manifests and tables, each as the one decoder reads it."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING

from tests.packages.generate.msix import FILES as APP_FILES
from tests.packages.generate.msix import MANIFEST, block_map
from tests.packages.generate.nuget import FILES as NUGET_FILES
from tests.packages.generate.vsix import SIGNATURE, TYPES, content_types
from tests.packages.generate.wheel import INFO, record
from tests.packages.generate.xar import INFO as PACKAGE_INFO
from tests.packages.generate.xar import ticket
from tests.packages.table import FIXTURES
from trust_store.decode import (
    apple_product,
    appx_block_map,
    canonical_xml,
    code_directory,
    macho,
    nuget_signature,
    nuspec,
    opc_package,
    plain_xml,
    record_jws,
    wheel_record,
    xar_archive,
    xar_trailer,
    xml_signature,
)
from trust_store.errors import READ_ERRORS

if TYPE_CHECKING:
    from tests.fuzz_targets import Target

_HEADER = xar_archive.Header(28, 0, 0, "sha256")


def _member(file: str, name: str) -> bytes:
    """One member of a fixture."""
    with zipfile.ZipFile(io.BytesIO((FIXTURES / file).read_bytes())) as archive:
        return archive.read(name)


def _table() -> bytes:
    """The table of contents of a xar fixture."""
    data = (FIXTURES / "xar" / "valid.pkg").read_bytes()
    header = xar_archive.parse_header(data[:64])
    return zlib.decompress(data[header.size : header.heap])


def _canonical(data: bytes) -> bytes:
    """What is canonical stays as it is."""
    from tests.fuzz_targets import LieError

    found = canonical_xml.canonical(canonical_xml.parse_tree(data))
    if canonical_xml.canonical(canonical_xml.parse_tree(found)) != found:
        raise LieError("the canonical form of a canonical form is another one")
    return found


def targets() -> tuple[Target, ...]:
    """Every decoder of these formats."""
    from tests.fuzz_targets import Target  # joins these to its own

    nuget = tuple(
        _member(f"nuget/{name}.nupkg", ".signature.p7s")
        for name in ("valid", "countersigned", "repository", "timestamped")
    )
    vsix = tuple(
        _member(f"vsix/{name}.vsix", SIGNATURE) for name in ("valid", "relationships_by_type", "timestamped", "ecdsa")
    )
    rels = _member("vsix/relationships_by_type.vsix", "_rels/.rels")
    image = (FIXTURES / "mach-o" / "two_directories").read_bytes()
    blobs = image[image.index(b"\xfa\xde\x0c\xc0") :]
    directories = tuple(
        one.data for one in code_directory.parse_super_blob(blobs)[1] if one.data[:4] == b"\xfa\xde\x0c\x02"
    )
    head, table = (FIXTURES / "xar" / "valid.pkg").read_bytes()[:64], _table()
    return (
        Target("code signature", code_directory.parse_super_blob, (blobs,), READ_ERRORS),
        Target("code directory", code_directory.parse_directory, directories, READ_ERRORS),
        Target("mach-o header", macho.parse_header, (image[:32],), READ_ERRORS),
        Target("nuget_signature", nuget_signature.parse_signature, nuget, READ_ERRORS),
        Target("nuspec", nuspec.parse_nuspec, (NUGET_FILES["Example.Tool.nuspec"],), READ_ERRORS),
        Target("plain_xml", lambda data: plain_xml.parse_xml(data, "XML"), (table, rels), READ_ERRORS),
        Target(
            "record_jws", record_jws.parse_record_jws, (_member("wheel/valid.whl", f"{INFO}/RECORD.jws"),), READ_ERRORS
        ),
        Target("wheel_record", lambda data: wheel_record.parse_record(data, max_entries=99), (record(),), READ_ERRORS),
        Target("appx_block_map", appx_block_map.parse_block_map, (block_map(APP_FILES),), READ_ERRORS),
        Target("appx identity", appx_block_map.identity_of, (MANIFEST,), READ_ERRORS),
        Target("xar header", xar_archive.parse_header, (head,), READ_ERRORS),
        Target("xar table", lambda data: xar_archive.parse_table(data, _HEADER), (table,), READ_ERRORS),
        Target("xar trailer", xar_trailer.is_trailer, (ticket(),), ()),
        Target("apple_product", lambda data: apple_product.product_of(data, ""), (PACKAGE_INFO,), READ_ERRORS),
        Target("xml_signature", xml_signature.parse_signature, vsix, READ_ERRORS),
        Target("canonical_xml", _canonical, (*vsix, rels), READ_ERRORS),
        Target("opc content types", opc_package.parse_content_types, (content_types(TYPES),), READ_ERRORS),
        Target(
            "opc relationships", lambda data: opc_package.parse_relationships(data, "_rels/.rels"), (rels,), READ_ERRORS
        ),
    )
