"""XML that is signed as such: its tree, and elements of it in Canonical XML 1.0 without comments (W3C REC-xml-c14n-20010315).

Only documents of which there is one view are read: comments, processing instructions, a document type and attributes of the xml namespace
(which canonical form carries from outside an element into it) are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from xml.parsers import expat

from trust_store.decode.plain_xml import feed
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 8 * 1024**2
MAX_NODES = 150_000
"""Elements, attributes and texts together."""
MAX_DEPTH = 128
MAX_ATTRIBUTES = 64
MAX_NAMESPACES = 64
MAX_SCOPES = 250_000
"""Namespaces in scope, of all elements that declare one together: each such element has its own list of them."""
_XML = "xml"


class XMLNode:
    """One element. ``name`` and the keys of ``attributes`` are ``{namespace}local``, or ``local`` where they are in none.

    ``scope`` is every namespace that is in scope, by prefix; the default one's prefix is empty.
    """

    __slots__ = ("attributes", "children", "name", "qualified", "scope", "written")

    def __init__(self, qualified: str, pairs: list[tuple[str, str]], outer: dict[str, str]) -> None:
        """Raises MalformedError for prefixes that are not declared, and for attributes that are one; ResourceLimitError."""
        declared = {name[6:]: uri for name, uri in pairs if name == "xmlns" or name.startswith("xmlns:")}
        if any(not uri for prefix, uri in declared.items() if prefix) or _XML in declared or "xmlns" in declared:
            raise MalformedError("XML: a namespace declaration that is not allowed")
        self.scope = {**outer, **declared} if declared else outer
        if len(self.scope) > MAX_NAMESPACES:
            raise ResourceLimitError(f"XML: more than {MAX_NAMESPACES} namespaces in scope")
        self.qualified = qualified
        self.written = [pair for pair in pairs if pair[0] != "xmlns" and not pair[0].startswith("xmlns:")]
        self.name = self._resolved(qualified, default=True)
        self.attributes = {self._resolved(name, default=False): value for name, value in self.written}
        if len(self.attributes) < len(self.written):
            raise MalformedError("XML: one attribute twice")
        self.children: list[XMLNode | str] = []

    def _resolved(self, qualified: str, *, default: bool) -> str:
        prefix, separator, local = qualified.rpartition(":")
        if separator and (not prefix or not local or ":" in prefix or prefix not in self.scope):
            raise MalformedError(f"XML: {qualified[:80]!a} has no namespace")
        uri = self.scope.get(prefix, "") if separator or default else ""
        return f"{{{uri}}}{local}" if uri else local

    @property
    def elements(self) -> list[XMLNode]:
        """The elements directly inside."""
        return [child for child in self.children if isinstance(child, XMLNode)]

    @property
    def text(self) -> str:
        """All that is inside, which must be text; raises MalformedError."""
        if any(isinstance(child, XMLNode) for child in self.children):
            raise MalformedError("XML: an element where there should be text")
        return "".join(child for child in self.children if isinstance(child, str))

    def all(self, name: str) -> list[XMLNode]:
        """The elements of that name directly inside."""
        return [child for child in self.elements if child.name == name]

    def one(self, name: str) -> XMLNode:
        """The only one; raises MalformedError."""
        found = self.all(name)
        if len(found) != 1:
            raise MalformedError(f"XML: {len(found)} elements {name.rpartition('}')[2]}, expected one")
        return found[0]

    def walk(self) -> Iterator[XMLNode]:
        """This element and every one inside."""
        yield self
        for child in self.elements:
            yield from child.walk()


class _Builder:
    def __init__(self) -> None:
        self.root: XMLNode | None = None
        self._open: list[XMLNode] = []
        self._nodes = self._scopes = 0

    def start(self, name: str, flat: list[str]) -> None:
        self._count(1 + len(flat) // 2)
        if len(self._open) >= MAX_DEPTH or len(flat) > 2 * MAX_ATTRIBUTES:
            raise ResourceLimitError("XML: elements too deep, or with too many attributes")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        if any(key.startswith("xml:") for key, _ in pairs) or name.startswith("xml:"):
            raise MalformedError("XML: a name of the xml namespace where XML is signed")
        outer = self._open[-1].scope if self._open else {}
        node = XMLNode(name, pairs, outer)
        self._scopes += len(node.scope) if node.scope is not outer else 0
        if self._scopes > MAX_SCOPES:
            raise ResourceLimitError(f"XML: more than {MAX_SCOPES} namespaces in scope, over all elements")
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, name: str) -> None:  # noqa: ARG002 - expat has matched it
        self._open.pop()

    def text(self, data: str) -> None:
        self._count(1)
        self._open[-1].children.append(data)

    def refuse(self, *_: Any) -> NoReturn:
        raise MalformedError("XML: a comment, a processing instruction or a document type where XML is signed")

    def _count(self, more: int) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise ResourceLimitError(f"XML: more than {MAX_NODES} elements, attributes and texts")


def parse_tree(data: bytes) -> XMLNode:
    """The document's root; raises MalformedError or ResourceLimitError."""
    if len(data) > MAX_BYTES:
        raise ResourceLimitError(f"XML: {len(data)} bytes where XML is signed")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.CommentHandler = builder.refuse
    parser.ProcessingInstructionHandler = builder.refuse
    try:
        feed(parser, data, "XML")
    except (
        expat.ExpatError,
        LookupError,
        UnicodeError,
        ValueError,
    ) as error:  # or an encoding that Python does not know
        raise MalformedError(f"XML: not well-formed: {error}") from error
    if builder.root is None:
        raise MalformedError("XML: no element")
    return builder.root


def canonical(node: XMLNode) -> bytes:
    """The element with all that is inside, the namespaces in scope declared at it (section 2.3)."""
    pieces: list[str] = []
    _write(node, {}, {}, pieces)
    return "".join(pieces).encode("utf-8")


def _write(node: XMLNode, outer: dict[str, str], rendered: dict[str, str], pieces: list[str]) -> None:
    """``outer`` is the scope of the element around, ``rendered`` what is declared where the element is written."""
    pieces.append(f"<{node.qualified}")
    if node.scope is not outer:
        changed = sorted((prefix, uri) for prefix, uri in node.scope.items() if rendered.get(prefix, "") != uri)
        pieces += [f' xmlns{":" * bool(prefix)}{prefix}="{_attribute(uri)}"' for prefix, uri in changed]
        rendered = {**rendered, **node.scope}
    attributes = sorted(node.written, key=lambda pair: _order(node, pair[0]))
    pieces += [f' {name}="{_attribute(value)}"' for name, value in attributes]
    pieces.append(">")
    for child in node.children:
        if isinstance(child, str):
            pieces.append(_text(child))
        else:
            _write(child, node.scope, rendered, pieces)
    pieces.append(f"</{node.qualified}>")


def _order(node: XMLNode, name: str) -> tuple[str, str]:
    """Attributes go by namespace and then by local name, those of none first."""
    prefix, _, local = name.rpartition(":")
    return (node.scope[prefix] if prefix else "", local)


def _text(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")


def _attribute(value: str) -> str:
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return value.replace("\t", "&#x9;").replace("\n", "&#xA;").replace("\r", "&#xD;")
