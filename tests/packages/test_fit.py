from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import LIMITS, read
from trust_store.decode import fdt, fit_image
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats import fit_coverage
from trust_store.formats.readers import fit
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import SignatureRole
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures" / "fit"
RSA = (FIXTURES / "rsa.itb").read_bytes()


def word(value: int) -> bytes:
    """One cell."""
    return struct.pack(">I", value)


def padded(data: bytes) -> bytes:
    """To four bytes."""
    return data + bytes(-len(data) % 4)


class Craft:
    """A tree put together tag by tag."""

    def __init__(self) -> None:
        self.structure, self.strings = b"", b""

    def begin(self, name: str) -> Craft:
        """A node."""
        self.structure += word(1) + padded(name.encode() + b"\0")
        return self

    def prop(self, name: str, value: bytes) -> Craft:
        """A property, its name anew each time."""
        self.structure += word(3) + word(len(value)) + word(len(self.strings)) + padded(value)
        self.strings += name.encode() + b"\0"
        return self

    def end(self, times: int = 1) -> Craft:
        """So many ends of nodes."""
        self.structure += word(2) * times
        return self

    def made(self, version: int = 17, more: bytes = b"") -> bytes:
        """The file."""
        structure = self.structure + word(9)
        strings_at = 56 + len(structure)
        total = strings_at + len(self.strings)
        header = (
            0xD00DFEED,
            total,
            56,
            strings_at,
            40,
            version,
            min(version, 16),
            0,
            len(self.strings),
            len(structure),
        )
        return struct.pack(">10I", *header) + bytes(16) + structure + self.strings + more


def tree(data: bytes) -> fdt.Tree:
    """The tree."""
    return fdt.parse(BytesSource(data))


def test_nodes_and_properties() -> None:
    """Paths, texts, numbers and lists, as they stand."""
    found = tree(Craft().begin("").prop("a", b"x\0yz\0").begin("n").prop("b", word(7)).prop("c", b"z\0").end(2).made())
    assert found.children("/") == ("/n",)
    assert found.texts("/", "a") == ("x", "yz")
    assert (found.number("/n", "b"), found.text("/n", "c"), found.text("/n", "none")) == (7, "z", None)
    for name, ask in (("a", found.number), ("a", found.text)):
        with pytest.raises(MalformedError):
            ask("/", name)


@pytest.mark.parametrize(
    "data",
    [
        Craft().begin("").begin("n").end().begin("n").end(2).made(), Craft().begin("").prop("a", b"").prop("a", b"").end().made(),
        Craft().begin("").end().begin("").end().made(), Craft().begin("").made(), Craft().begin("x").end().made(),
        Craft().begin("").begin("a/b").end(2).made(), Craft().prop("a", b"").begin("").end().made(), Craft().begin("").end(2).made(),
        Craft().begin("").end().made()[:-3], b"\xd0\x0d\xfe\xed", Craft().begin("").end().made().replace(word(9), word(8)),
        Craft().begin("").end().made()[:8] + word(20) + Craft().begin("").end().made()[12:],
    ],
)  # fmt: skip
def test_trees_that_programs_read_differently(data: bytes) -> None:
    """Names twice, several roots, missing ends, names that are none, blocks that overlap: malformed."""
    with pytest.raises(MalformedError):
        tree(data)


def test_limits() -> None:
    """Depth and size are capped, other versions are not read."""
    deep = Craft().begin("")
    for _ in range(40):
        deep.begin("n")
    with pytest.raises(ResourceLimitError):
        tree(deep.end(41).made())
    with pytest.raises(ResourceLimitError):
        tree(Craft().begin("").prop("a", bytes(70_000)).end().made()).octets("/", "a")
    with pytest.raises(UnsupportedError):
        tree(Craft().begin("").end().made(16))


def test_signed_stretches() -> None:
    """Of a listed node all but its data is signed; of a node right below only where it begins and ends; last the end of the tree."""
    craft = (
        Craft().begin("").prop("a", b"").begin("n").prop("data", b"").prop("b", b"").begin("m").prop("c", b"").end(3)
    )
    found = tree(craft.made())
    assert [(tag.kind, tag.name or tag.path) for tag in fit_image.included(found, {"/n"})] == [
        (1, "/n"), (3, "b"), (1, "/n/m"), (2, "/n/m"), (2, "/n"), (9, ""),
    ]  # fmt: skip
    assert [tag.name for tag in fit_image.included(found, {"/"}) if tag.kind == 3] == ["a"]


@pytest.mark.parametrize("name", ["two.itb", "rsa.itb"])
def test_every_configuration_must_hold(name: str) -> None:
    """Where there are several configurations each may be booted: each is a part of its own, which needs a good signature."""
    parts = [fact.part for fact in read((FIXTURES / name).read_bytes()).signatures]
    assert parts == ["/configurations/conf-1", "/configurations/conf-2"][: 2 if name == "two.itb" else 1]


def test_image_signatures_never_pass_beside_configurations() -> None:
    """A signature over an image alone binds no address and no configuration."""
    assert [fact.role for fact in read((FIXTURES / "image-only.itb").read_bytes()).signatures] == [
        SignatureRole.ALTERNATIVE
    ]
    assert {one.member for one in read((FIXTURES / "image-only.itb").read_bytes()).coverage.uncovered} >= {
        "/configurations/conf-1"
    }


@pytest.mark.parametrize(
    ("old", "new"), [(b"sha256,rsa2048", b"sha777,rsa2048"), (b"sha256,rsa2048", b"sha256,abc2048")]
)
def test_unknown_algorithms(old: bytes, new: bytes) -> None:
    """A signature by an algorithm that is not known is told as one that is not read."""
    facts = read(RSA.replace(old, new))
    assert [fact.problem and fact.problem.reason for fact in facts.signatures] == [Reason.UNSUPPORTED_FORMAT]


def test_names_of_signed_properties_are_signed() -> None:
    """A signed property's name that lies outside the hashed strings could be changed: uncovered."""
    found = fit_image.signatures_of(tree(RSA))[0]
    place = tree(RSA).properties[found.path]["hashed-strings"].value[0]
    facts = read(RSA[: place + 4] + word(10) + RSA[place + 8 :])
    assert any(one.member and "the name of" in one.member for one in facts.coverage.uncovered)


def test_only_what_a_configuration_names_is_listed() -> None:
    """The list of signed nodes is itself not signed: a node of another name in it is told, and the image whose hash node it lacks."""
    facts = read(RSA.replace(b"/images/fdt-1/hash-1\0", b"/images/fdt-1/hash-9\0"))
    loose = {one.member for one in facts.coverage.uncovered if not one.inert}
    assert loose >= {"/configurations/conf-1: /images/fdt-1/hash-9 is listed", "/images/fdt-1"}


def test_other_trees_are_none() -> None:
    """A device tree without images is no image tree."""
    assert not fit.recognises(BytesSource(Craft().begin("").end().made()), LIMITS)


@pytest.mark.parametrize(
    "properties",
    [
        {"data-offset": word(9999), "data-size": word(4)},
        {"data": b"x", "data-offset": word(0)},
        {"data-position": word(0), "data-size": word(8)},
    ],
)
def test_data_in_strange_places(properties: dict[str, bytes]) -> None:
    """Data that lies past the end, in two places, or inside the tree is malformed."""
    craft = Craft().begin("").begin("images").begin("k")
    for name, value in properties.items():
        craft.prop(name, value)
    data = craft.end(2).begin("configurations").end(2).made(more=bytes(64))
    with pytest.raises(MalformedError):
        fit_image.images_of(tree(data))


@settings(max_examples=300)
@given(st.integers(0, len(RSA) - 4), st.binary(min_size=1, max_size=4))
def test_broken_images_raise_nothing_else(position: int, data: bytes) -> None:
    """Whatever stands in an image, only the three errors come out."""
    source = BytesSource(RSA[:position] + data + RSA[position + len(data) :])
    with contextlib.suppress(*READ_ERRORS):
        fit.read(source, (), LIMITS)


def filled(data: bytes, filling: bytes) -> bytes:
    """A tree without data after it, its size said to be so much larger, with ``filling`` after its blocks."""
    return data[:4] + word(len(data) + len(filling)) + data[8:] + filling


def test_what_fills_up_the_tree() -> None:
    """mkimage leaves what was in memory where it rounds the tree's size up: nobody reads it, and it is told as not covered."""
    facts = read(filled(RSA, b"left over"))
    assert facts.problem is None
    assert all(one.inert for one in facts.coverage.uncovered)
    assert max(one.end or 0 for one in facts.coverage.uncovered) == len(RSA) + len(b"left over")
    assert not all(one.inert for one in read(filled(RSA, b"x" * (fit_coverage.MAX_SLACK_BYTES + 1))).coverage.uncovered)
    assert not all(one.inert for one in read(RSA + b"left over").coverage.uncovered)


def test_many_nodes() -> None:
    """A tree of more nodes than an image has is a resource limit, whatever they are for."""
    craft = Craft().begin("").begin("images")
    for number in range(fdt.MAX_NODES):
        craft.begin(f"n{number}").end()
    with pytest.raises(ResourceLimitError):
        tree(craft.end().begin("configurations").end(2).made())


def test_data_that_many_images_share() -> None:
    """Images that all have the same data are not digested again and again."""
    craft = Craft().begin("").begin("images")
    for number in range(fit_image.MAX_TIMES + 2):
        craft.begin(f"i{number}").prop("data-offset", word(0)).prop("data-size", word(100_000)).end()
    made = craft.end().begin("configurations").end(2).made()
    with pytest.raises(ResourceLimitError):
        fit_image.images_of(tree(padded(made) + bytes(100_000)))


def test_signatures_times_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree is walked for each signature: many of them over a large tree are a resource limit."""
    monkeypatch.setattr(fit_image, "MAX_WALKED_TAGS", len(tree(RSA).tags) - 1)
    with pytest.raises(ResourceLimitError):
        fit_image.signatures_of(tree(RSA))
