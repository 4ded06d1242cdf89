"""U-Boot's flattened image trees (``doc/usage/fit/source_file_format.rst``, ``signature.rst``): what is signed, and what that covers.

A configuration's signature is over stretches of the tree: the nodes that ``hashed-nodes`` names (``fdt_find_regions`` in
``boot/fdt_region.c``) without the images' data, the end, and the strings that ``hashed-strings`` counts. The images themselves are covered
through the digests in their hash nodes, which must be among the nodes that are signed (CVE-2020-10648).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.fdt import BEGIN_NODE, END, END_NODE, NOP, PROPERTY
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from trust_store.decode.fdt import Tag, Tree

IMAGES, CONFIGURATIONS = "/images", "/configurations"
DATA_PROPERTIES = frozenset({"data", "data-size", "data-position", "data-offset"})
MAX_SIGNATURES = 64
MAX_WALKED_TAGS = 400_000
"""The whole tree is walked for each signature."""
MAX_TIMES = 4
"""The images' data together is at most so many times as long as the file."""
MAX_HASHED_NODES = 1000
_WANTED, _TAGS_ONLY = 2, 1
REFERENCES = frozenset({"kernel", "fdt", "ramdisk", "loadables", "firmware", "fpga", "script", "standalone"})
"""Properties of a configuration that name images; any other one counts as well where all that it names are images."""


@dataclass(frozen=True, slots=True)
class ImageData:
    """An image: its node, where its data lies in the file, and its hash nodes as (path, algorithm, value)."""

    path: str
    start: int
    end: int
    hashes: tuple[tuple[str, str, bytes], ...]


@dataclass(frozen=True, slots=True)
class NodeSignature:
    """One signature node: the configuration or image it is of, and what it says; ``nodes`` and ``strings`` of configurations only.

    ``strings`` counts the bytes of the strings block that are signed, None where none are.
    """

    path: str
    owner: str
    digest: str
    key_kind: str
    padding: str
    value: bytes
    nodes: tuple[str, ...] = ()
    strings: int | None = None

    @property
    def of_configuration(self) -> bool:
        """Whether it is a configuration's, and not only an image's."""
        return self.owner.startswith(CONFIGURATIONS + "/")


def images_of(tree: Tree) -> dict[str, ImageData]:
    """The images by path; raises MalformedError or ResourceLimitError.

    Unit names (``@``), by which U-Boot takes two nodes for one (CVE-2021-27138), are malformed.
    """
    if CONFIGURATIONS not in tree.properties or IMAGES not in tree.properties:
        raise MalformedError("FIT: no images, or no configurations")
    if any("@" in path for path in tree.properties):
        raise MalformedError("FIT: a node with a unit address in its name")
    images = {path: _image(tree, path) for path in tree.children(IMAGES)}
    if sum(image.end - image.start for image in images.values()) > MAX_TIMES * tree.source.size:
        raise ResourceLimitError("FIT: images whose data is the same over and over")
    return images


def signatures_of(tree: Tree) -> tuple[NodeSignature, ...]:
    """Every signature node with a value, of configurations first; raises MalformedError, UnsupportedError or ResourceLimitError."""
    owners = (*tree.children(CONFIGURATIONS), *tree.children(IMAGES))
    found = [_signature(tree, path, owner) for owner in owners for path in _named(tree, owner, "signature")]
    present = tuple(one for one in found if one is not None)
    if len(present) > MAX_SIGNATURES:
        raise UnsupportedError(f"FIT: more than {MAX_SIGNATURES} signatures")
    if len(present) * len(tree.tags) > MAX_WALKED_TAGS:
        raise ResourceLimitError(f"FIT: {len(present)} signatures over parts of a tree of {len(tree.tags)} tags")
    return present


def references_of(tree: Tree, configuration: str) -> tuple[str, ...]:
    """The images that a configuration names; raises MalformedError for one that is not there."""
    found: list[str] = []
    images = frozenset(tree.children(IMAGES))
    for name in tree.properties[configuration]:
        value = tree.octets(configuration, name)
        if value is None or not value.endswith(b"\0"):
            continue
        paths = [f"{IMAGES}/{part.decode('ascii', 'replace')}" for part in value[:-1].split(b"\0")]
        if name in REFERENCES or all(path in images for path in paths):
            found += paths
    missing = [path for path in found if path not in images]
    if missing:
        raise MalformedError(f"FIT: {configuration[:60]} names {missing[0][:60]!a}, which is not there")
    return tuple(dict.fromkeys(found))


def signed_ranges(tree: Tree, signature: NodeSignature) -> tuple[tuple[int, int], ...]:
    """The stretches of the file that a configuration's signature is over, in their order (``fdt_find_regions``)."""
    ranges: list[tuple[int, int]] = []
    for tag in included(tree, frozenset(signature.nodes)):
        if ranges and ranges[-1][1] == tag.start:
            ranges[-1] = ranges[-1][0], tag.end
        else:
            ranges.append((tag.start, tag.end))
    if signature.strings is not None:
        start = tree.header.strings[0]
        ranges.append((start, start + signature.strings))
    return tuple(ranges)


def included(tree: Tree, nodes: Collection[str]) -> tuple[Tag, ...]:
    """The tags that are signed: those of the nodes but for data, of the nodes right below them begin and end alone, and the last."""
    found: list[Tag] = []
    stack: list[int] = []
    want = 0
    for tag in tree.tags:
        include = tag.kind == END
        if tag.kind == BEGIN_NODE:
            stack.append(want)
            want = _WANTED if tag.path in nodes else max(want - 1, 0)
            include = want > 0
        elif tag.kind == END_NODE:
            include = want > 0
            want = stack.pop()
        elif tag.kind in (PROPERTY, NOP):
            include = want >= _WANTED and tag.name not in DATA_PROPERTIES
        if include:
            found.append(tag)
    return tuple(found)


def _named(tree: Tree, owner: str, prefix: str) -> tuple[str, ...]:
    return tuple(path for path in tree.children(owner) if path.rpartition("/")[2].startswith(prefix))


def _image(tree: Tree, path: str) -> ImageData:
    known = tree.properties[path]
    position, offset, size = (tree.number(path, f"data-{name}") for name in ("position", "offset", "size"))
    if sum(name in known for name in ("data", "data-position", "data-offset")) > 1:
        raise MalformedError(f"FIT: {path[:80]!a} has its data in two places")
    if "data" in known:
        start, end = known["data"].value
    else:
        # outside data lies after the tree, whose size is rounded up to four bytes (fit_image_get_data)
        start = position if position is not None else (tree.header.total + 3) // 4 * 4 + (offset or 0)
        end = start + (size or 0)
        if end > tree.source.size or (size and start < tree.header.total):
            raise MalformedError(f"FIT: the data of {path[:80]!a} is not where it should be")
    hashes = []
    for node in _named(tree, path, "hash"):
        algorithm, value = tree.text(node, "algo"), tree.octets(node, "value")
        if algorithm is None or value is None:
            raise MalformedError(f"FIT: {node[:80]!a} without algorithm or value")
        hashes.append((node, algorithm, value))
    return ImageData(path, start, end, tuple(hashes))


def _signature(tree: Tree, path: str, owner: str) -> NodeSignature | None:
    """None for a node that nobody has signed yet."""
    value = tree.octets(path, "value")
    if value is None:
        return None
    algorithm = (tree.text(path, "algo") or "").split(",")
    if len(algorithm) != 2:
        raise MalformedError(f"FIT: {path[:80]!a} without an algorithm")
    nodes = tree.texts(path, "hashed-nodes") or ()
    if len(nodes) > MAX_HASHED_NODES or len(set(nodes)) != len(nodes):
        raise MalformedError("FIT: too many hashed nodes, or one twice")
    return NodeSignature(
        path,
        owner,
        algorithm[0],
        algorithm[1],
        tree.text(path, "padding") or "pkcs-1.5",
        value,
        nodes,
        _strings(tree, path),
    )


def _strings(tree: Tree, path: str) -> int | None:
    said = tree.octets(path, "hashed-strings")
    if said is None:
        return None
    start, end = tree.header.strings
    size = int.from_bytes(said[4:8], "big")
    if len(said) != 8 or any(said[:4]) or size > end - start:
        raise MalformedError("FIT: hashed strings that are not at the start of the strings")
    return size
