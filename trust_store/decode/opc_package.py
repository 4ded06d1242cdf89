"""Open Packaging Conventions (ECMA-376-2): content types, relationships and the relationships transform. Bytes -> values.

Part names are those of archive members, without the slash in front; they are compared without case (6.2.2.3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trust_store.decode.member_names import folded
from trust_store.decode.plain_xml import parse_xml
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENT_TYPES = "[Content_Types].xml"
ROOT_RELATIONSHIPS = "_rels/.rels"
CONTENT_TYPES_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONSHIPS_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/relationships"
_DIGITAL_SIGNATURE = RELATIONSHIPS_NAMESPACE + "/digital-signature/"
ORIGIN, SIGNATURE, CERTIFICATE = (_DIGITAL_SIGNATURE + kind for kind in ("origin", "signature", "certificate"))
_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_ENCODED = re.compile(r"%(?:2[DdEeFf]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaCcFf]|6[1-9A-Fa-f]|7[0-9AaEe])|%(?![0-9A-Fa-f]{2})")
"""What no part name holds (6.2.2.2): letters, digits, ``-._~`` and slashes percent-encoded, or a bare percent sign."""


@dataclass(frozen=True, slots=True)
class ContentTypes:
    """Media types by folded part name, and by extension."""

    overrides: dict[str, str]
    defaults: dict[str, str]

    def of(self, part: str) -> str | None:
        """The media type of a part (7.2.3.5); None where nothing is said."""
        extension = part.rpartition("/")[2].rpartition(".")[2].lower()
        return self.overrides.get(folded(part), self.defaults.get(extension))


@dataclass(frozen=True, slots=True)
class Relationship:
    """One relationship: ``target`` as it stands, ``part`` the member that it leads to, None where it leads out of the package."""

    id: str
    kind: str
    target: str
    mode: str
    part: str | None


def parse_content_types(data: bytes) -> ContentTypes:
    """Read [Content_Types].xml; raises MalformedError or ResourceLimitError."""
    root = parse_xml(data, "OPC: the content types")
    if root.name != f"{{{CONTENT_TYPES_NAMESPACE}}}Types":
        raise MalformedError(f"OPC: the root of the content types is {root.local[:40]!a}")
    overrides: dict[str, str] = {}
    defaults: dict[str, str] = {}
    for element in root.children:
        key = element.attributes.get("PartName") if element.local == "Override" else element.attributes.get("Extension")
        media = element.attributes.get("ContentType")
        if element.name not in (f"{{{CONTENT_TYPES_NAMESPACE}}}{local}" for local in ("Override", "Default")):
            raise MalformedError("OPC: something other than a content type among the content types")
        if not key or not media:
            raise MalformedError("OPC: a content type of nothing")
        table, key = (overrides, _overridden(key)) if element.local == "Override" else (defaults, key.lower())
        if table.setdefault(key, media) != media:
            raise MalformedError(f"OPC: two content types of {key[:80]!a}")
    return ContentTypes(overrides, defaults)


def _overridden(name: str) -> str:
    """The part that an override is for, folded: one that a reader might take for another one is refused."""
    if not name.startswith("/") or _ENCODED.search(name):
        raise MalformedError(f"OPC: a content type of {name[:80]!a}, which is no part name")
    return folded(name[1:])


def relationships_of(part: str) -> str:
    """The member that holds the relationships of ``part``; of the package where that is empty (7.3.3)."""
    folder, separator, name = part.rpartition("/")
    return f"{folder}{separator}_rels/{name}.rels"


def parse_relationships(data: bytes, member: str) -> tuple[Relationship, ...]:
    """Read a relationships part, ``member`` being its name; raises MalformedError or ResourceLimitError."""
    root = parse_xml(data, "OPC: relationships")
    if root.name != f"{{{RELATIONSHIPS_NAMESPACE}}}Relationships":
        raise MalformedError(f"OPC: the root of {member[:80]!a} is {root.local[:40]!a}")
    if any(
        _BASE in element.attributes for element in (root, *root.children)
    ):  # 6.5.3.2: readers differ on what it does
        raise MalformedError(f"OPC: relationships with xml:base in {member[:80]!a}")
    base = member.rpartition("/")[0].rpartition("_rels")[0]
    found: list[Relationship] = []
    for element in root.children:
        said = element.attributes
        identifier, kind, target = (said.get(name, "") for name in ("Id", "Type", "Target"))
        mode = said.get("TargetMode", "Internal")
        if (
            element.name != f"{{{RELATIONSHIPS_NAMESPACE}}}Relationship"
            or not (identifier and kind and target)
            or mode not in ("Internal", "External")
        ):
            raise MalformedError(f"OPC: a broken relationship in {member[:80]!a}")
        part = _resolved(base, target) if mode == "Internal" else None
        found.append(Relationship(identifier, kind, target, mode, part))
    if len({one.id for one in found}) < len(found):
        raise MalformedError(f"OPC: two relationships of one name in {member[:80]!a}")
    return tuple(found)


def _resolved(base: str, target: str) -> str | None:
    """The part that a target leads to (RFC 3986 5.2, restricted to paths); None where it is no path in the package."""
    if _SCHEME.match(target) or "?" in target or "#" in target:
        return None
    parts: list[str] = []
    for piece in (target if target.startswith("/") else base + target).split("/"):
        if piece == "..":
            if not parts:
                return None
            parts.pop()
        elif piece not in ("", "."):
            parts.append(piece)
    return "/".join(parts)


def transformed(relationships: Iterable[Relationship]) -> bytes:
    """What the relationships transform gives, canonical (10.2.6.5, Canonical XML 1.0): sorted by Id, with the target mode spelt out."""
    lines = "".join(
        f'<Relationship Id="{_escaped(one.id)}" Target="{_escaped(one.target)}" TargetMode="{one.mode}" Type="{_escaped(one.kind)}">'
        "</Relationship>"
        for one in sorted(relationships, key=lambda one: one.id)
    )
    return f'<Relationships xmlns="{RELATIONSHIPS_NAMESPACE}">{lines}</Relationships>'.encode()


def _escaped(value: str) -> str:
    """Attribute values in canonical form (Canonical XML 1.0 section 2.3)."""
    for plain, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        ('"', "&quot;"),
        ("\t", "&#x9;"),
        ("\n", "&#xA;"),
        ("\r", "&#xD;"),
    ):
        value = value.replace(plain, entity)
    return value


def part_and_type(uri: str) -> tuple[str, str]:
    """Part name and media type out of the URI of a reference, ``/part?ContentType=type`` (10.2.4.5); raises MalformedError."""
    path, separator, query = uri.partition("?ContentType=")
    if not path.startswith("/") or not separator or "?" in path or "#" in uri or "&" in query:
        raise MalformedError(f"OPC: a reference to {uri[:80]!a}, which is no part with its type")
    return path[1:], unquote(query)
