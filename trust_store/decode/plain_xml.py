"""XML that a package says something in, as a small tree: no document type, no entities but the five of XML 1.0, nothing fetched.

Namespaces are resolved (Namespaces in XML 1.0): a name is ``{namespace}local``, or ``local`` where it is in none.
"""

from __future__ import annotations

from xml.parsers import expat

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAX_BYTES = 16 * 1024**2
MAX_ELEMENTS = 100_000
MAX_DEPTH = 128
MAX_ATTRIBUTES = 64
MAX_ALL_ATTRIBUTES = 400_000
MAX_TOKEN_BYTES = 1024**2
"""Of one tag, comment or the like: expat takes it apart, each attribute of it, before anybody can say that they are too many."""
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class XMLElement:
    """One element: its text is all character data directly inside it, in its order."""

    name: str
    attributes: dict[str, str]
    text: str
    children: tuple[XMLElement, ...]

    @property
    def local(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition("}")[2]

    def all(self, local: str) -> tuple[XMLElement, ...]:
        """The elements of that local name directly inside."""
        return tuple(child for child in self.children if child.local == local)

    def one(self, local: str, what: str) -> XMLElement:
        """The only element of that local name directly inside; raises MalformedError for none and for two."""
        found = self.all(local)
        if len(found) != 1:
            raise MalformedError(f"{what}: {len(found)} elements {local}, expected one")
        return found[0]


class _Open:
    """An element whose end tag has not been seen."""

    __slots__ = ("attributes", "children", "name", "pieces")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.pieces: list[str] = []
        self.children: list[XMLElement] = []

    def closed(self) -> XMLElement:
        return XMLElement(self.name, self.attributes, "".join(self.pieces), tuple(self.children))


def _braced(name: str) -> str:
    namespace, separator, local = name.rpartition(" ")
    return f"{{{namespace}}}{local}" if separator else local


class _Builder:
    def __init__(self, what: str) -> None:
        self._what = what
        self._open: list[_Open] = []
        self._elements = self._attributes = 0
        self._names: dict[str, str] = {}  # one string for each name, however often it stands
        self.root: XMLElement | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._attributes += len(attributes)
        many = len(attributes) > MAX_ATTRIBUTES or self._attributes > MAX_ALL_ATTRIBUTES
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH or many:
            raise ResourceLimitError(f"{self._what}: more or deeper elements, or more attributes, than are read")
        self._open.append(_Open(self._name(name), {self._name(key): value for key, value in attributes.items()}))

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, _braced(name))

    def text(self, data: str) -> None:
        self._open[-1].pieces.append(data)

    def end(self, name: str) -> None:  # noqa: ARG002 - expat has matched it
        element = self._open.pop().closed()
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element

    def refuse_type(self, *_: object) -> None:
        raise MalformedError(f"{self._what}: XML with a document type declaration")


def parse_xml(data: bytes, what: str) -> XMLElement:
    """The root of an XML document; raises MalformedError naming ``what``, or ResourceLimitError."""
    if len(data) > MAX_BYTES:
        raise ResourceLimitError(f"{what}: XML of {len(data)} bytes")
    builder = _Builder(what)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse_type
    parser.EntityDeclHandler = builder.refuse_type
    try:
        feed(parser, data, what)
    except (
        expat.ExpatError,
        LookupError,
        UnicodeError,
        ValueError,
    ) as error:  # a name of an encoding that Python does not know
        raise MalformedError(f"{what}: no well-formed XML: {error}") from error
    if builder.root is None:
        raise MalformedError(f"{what}: XML without an element")
    return builder.root


def feed(parser: expat.XMLParserType, data: bytes, what: str) -> None:
    """Have ``parser`` read ``data``; raises ResourceLimitError naming ``what`` for a tag or comment that is too long."""
    for start in range(0, len(data), _PIECE_BYTES):
        end = start + _PIECE_BYTES
        parser.Parse(data[start:end], end >= len(data))
        if end < len(data) and end - parser.CurrentByteIndex > MAX_TOKEN_BYTES:
            raise ResourceLimitError(f"{what}: XML with a tag of more than {MAX_TOKEN_BYTES} bytes")
    if not data:
        parser.Parse(data, True)  # noqa: FBT003 - expat takes no keywords


def decimal(text: str, what: str) -> int:
    """A number of at most 18 decimal digits and nothing else; raises MalformedError naming ``what``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # fits 64 bits
        raise MalformedError(f"{what}: {text[:40]!a} is no number")
    return int(text)
