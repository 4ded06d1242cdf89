"""The byte-coverage map of a U-Boot image tree: what its configurations' signatures and the hash nodes under them cover, and what not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import fit_image
from trust_store.decode.fdt import BEGIN_NODE, HEADER_BYTES, PROPERTY
from trust_store.formats.ranges import range_chunks
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.fdt import Tag, Tree
    from trust_store.decode.fit_image import ImageData, NodeSignature

_WORD_BYTES = 4
MAX_SLACK_BYTES = 64 * 1024
"""Between the tree's last block and its end, where mkimage leaves what was in memory when it rounds the size up (``-B``)."""
STRONG = frozenset({"sha256", "sha384", "sha512"})
_IDLE = frozenset({"default", "description", "timestamp", "#address-cells", "#size-cells"})
"""Properties of ``/images`` and ``/configurations`` that say nothing of what an image is."""


def coverage_of(tree: Tree, images: dict[str, ImageData], signatures: tuple[NodeSignature, ...]) -> Coverage:
    """What all signatures of configurations together cover; nodes and stretches that none does are named."""
    signing = [one for one in signatures if one.of_configuration]
    signed = {tag.start for one in signing for tag in fit_image.included(tree, frozenset(one.nodes))}
    good = {path for path, image in images.items() if _is_bound(image, signing)}
    ranges = [piece for one in signing for piece in fit_image.signed_ranges(tree, one)]
    ranges += [(images[path].start, images[path].end) for path in good]
    merged = _merged(ranges)
    uncovered = [Uncovered(member=name) for name in dict.fromkeys(_loose(tree, signed, good, signing))]
    gaps = [(start, end, _is_idle(tree, start, end)) for start, end in _gaps(merged, tree)]
    uncovered += [Uncovered(start=start, end=end, inert=inert) for start, end, inert in gaps]
    return Coverage(sum(end - start for start, end in merged), tuple(uncovered))


def _is_bound(image: ImageData, signing: list[NodeSignature]) -> bool:
    """Whether a signed hash node of a strong algorithm binds the data, in every configuration that signs the image."""
    by = [one for one in signing if image.path in one.nodes]
    strong = [node for node, algorithm, _ in image.hashes if algorithm in STRONG]
    every = all(node in one.nodes for one in by for node, _, _ in image.hashes)
    return bool(by) and bool(strong) and every


def _loose(tree: Tree, signed: set[int], good: set[str], signing: list[NodeSignature]) -> Iterator[str]:
    """Names of what an installer may go by and nothing signs."""
    for configuration in tree.children(fit_image.CONFIGURATIONS):
        own = [one for one in signing if one.owner == configuration]
        if not own:
            yield configuration
        for one in own:
            needed = ("/", configuration, *fit_image.references_of(tree, configuration))
            yield from (f"{configuration}: {path}" for path in needed if path not in one.nodes)
            # the list itself is not signed: nodes of anybody's making must not stand in for those that were (CVE-2020-10648)
            known = {*needed, *(node for path in needed[2:] for node in tree.children(path))}
            yield from (f"{configuration}: {path} is listed" for path in one.nodes if path not in known)
            if one.strings is None:
                yield f"{configuration}: the names of its properties"
            for tag in fit_image.included(tree, frozenset(one.nodes)):
                if tag.kind == PROPERTY and tag.name_end > (one.strings or 0):
                    yield f"{tag.path}: the name of {tag.name}"
    yield from (path for path in tree.children(fit_image.IMAGES) if path not in good)
    for tag in tree.tags:
        if tag.start not in signed and tag.kind in (BEGIN_NODE, PROPERTY) and not _may_be_loose(tree, tag, good):
            yield tag.path if tag.kind == BEGIN_NODE else f"{tag.path}: {tag.name}"


def _may_be_loose(tree: Tree, tag: Tag, good: set[str]) -> bool:
    """What is in a signature node; where an image's data lies that a digest binds; what says nothing of an image."""
    owner, _, last = tag.path.rpartition("/")
    if last.startswith("signature") and owner.rpartition("/")[0] in (fit_image.IMAGES, fit_image.CONFIGURATIONS):
        return not tree.children(tag.path)
    if tag.kind != PROPERTY:
        return False
    if tag.path in good and tag.name in fit_image.DATA_PROPERTIES:
        return True
    return tag.path in (fit_image.IMAGES, fit_image.CONFIGURATIONS) and tag.name in _IDLE


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(piece for piece in ranges if piece[0] < piece[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _gaps(merged: list[tuple[int, int]], tree: Tree) -> Iterator[tuple[int, int]]:
    """What no range covers, cut where the blocks of the tree begin and end."""
    header = tree.header
    cuts = sorted({HEADER_BYTES, *header.structure, *header.strings, header.total})
    position = 0
    for start, end in [*merged, (tree.source.size, tree.source.size)]:
        for cut in [cut for cut in cuts if position < cut < start] + [start]:
            if position < cut:
                yield position, cut
            position = max(position, cut)
        position = max(position, end)


def _is_idle(tree: Tree, start: int, end: int) -> bool:
    """Header, structure and strings are accounted for elsewhere; what fills up a word or the tree may be anything; all else must be zeros.

    No image has its data inside the tree but in its own node.
    """
    header = tree.header
    blocks = ((0, HEADER_BYTES), header.structure, header.strings)
    if any(first <= start and end <= last for first, last in blocks) or end - start < _WORD_BYTES:
        return True
    if max(last for _, last in blocks) <= start and end <= header.total and end - start <= MAX_SLACK_BYTES:
        return True
    return not any(piece.strip(b"\0") for piece in range_chunks(tree.source, start, end))
