"""What the table of VSIX packages cannot say: canonical form, signature wrapping, transforms, hostile XML."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tests.packages.generate.vsix import C14N, DS, MANIFEST, OPC, SIGNATURE, SIGNATURE_RELS, archive
from tests.packages.table import FIXTURES
from tests.trust_store.package_craft import LIMITS
from trust_store.decode import opc_package
from trust_store.decode.canonical_xml import MAX_NAMESPACES, canonical, parse_tree
from trust_store.decode.opc_package import parse_content_types, parse_relationships, part_and_type, transformed
from trust_store.decode.xml_signature import parse_signature
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

VALID = (FIXTURES / "vsix" / "valid.vsix").read_bytes()
SIGNED = zipfile.ZipFile(io.BytesIO(VALID)).read(SIGNATURE)


def facts(data: bytes) -> PackageFacts:
    """What is read of a package."""
    return read_package(BytesSource(data), (), (), LIMITS)


def test_identifier_and_version_come_from_the_manifest_that_is_signed() -> None:
    """Of extension.vsixmanifest, where the signature covers it."""
    assert facts(VALID).product == Product("Example.Tool", "1.2.3")


DOCUMENTS = (
    b'<a xmlns="u:1" xmlns:p="u:2"><b z="1" a="2"><c p:x="1" x="2"/>t&#13;&lt;&amp;&gt;"</b></a>',
    b'<p:a xmlns:p="u:1" xmlns:q="u:2"><q:b q:z="1" p:z="2" z="3" y="&#9;&#10;&#13;&quot;&lt;&gt;&amp;"/></p:a>',
    b'<a xmlns="u:1"><b xmlns=""><c xmlns="u:1"/><d/></b></a>',
    b'<a xmlns:p="u:1"><p:b xmlns:p="u:2"><p:c xmlns:p="u:1"/></p:b></a>',
    b"<a>\r\n  <b\n c = 'd'\t/>\r</a>",
    "<a b='\u00e9\u4e2d'>\u00e9\U0001f600</a>".encode(),
    b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
    b"<a><![CDATA[<x> & ]]>]]&gt;</a>",
    b'<a xmlns:unused="u:1"/>',
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_have_the_canonical_form_that_libxml2_gives_them(document: bytes) -> None:
    """Canonical XML 1.0 without comments, of a whole document."""
    assert canonical(parse_tree(document)) == etree.tostring(
        etree.fromstring(document), method="c14n", with_comments=False
    )


@given(
    st.recursive(
        st.text("a<>&\"'\r\n\t\u00e9 ", max_size=5),
        lambda inner: st.tuples(
            st.sampled_from("abc"),
            st.dictionaries(st.sampled_from("xyz"), st.text('a<&"\t\n ', max_size=4)),
            st.lists(inner, max_size=3),
        ),
        max_leaves=12,
    )
)
def test_any_tree_has_the_canonical_form_that_libxml2_gives_it(tree: object) -> None:
    """Elements, attributes and text of any content."""

    def build(node: object) -> etree._Element:
        name, attributes, children = node if isinstance(node, tuple) else ("a", {}, [node])
        element = etree.Element(name, attributes)
        for child in children:
            if isinstance(child, tuple):
                element.append(build(child))
            elif len(element):
                element[-1].tail = (element[-1].tail or "") + child
            else:
                element.text = (element.text or "") + child
        return element

    document = etree.tostring(build(tree))
    assert canonical(parse_tree(document)) == etree.tostring(
        etree.fromstring(document), method="c14n", with_comments=False
    )


def test_an_element_alone_declares_what_is_in_scope() -> None:
    """An element inside a document is written with the namespaces around it, used or not (section 2.4)."""
    tree = parse_tree(b'<a xmlns="u:1" xmlns:p="u:2"><b><c xmlns=""/></b></a>')
    assert canonical(tree.elements[0]) == b'<b xmlns="u:1" xmlns:p="u:2"><c xmlns=""></c></b>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<a>",
        b"<a/><b/>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        b"<a><!-- --></a>",
        b"<a/><!-- -->",
        b"<?pi?><a/>",
        b'<a xml:lang="de"/>',
        b'<a xml:id="x"/>',
        b"<p:a/>",
        b'<a p:b="1"/>',
        b'<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>',
        b'<a xmlns:p=""/>',
        b'<a xmlns:p="u"><p:b:c/></a>',
    ],
)
def test_xml_of_which_there_are_two_views_is_malformed(document: bytes) -> None:
    """Comments, processing instructions, document types, xml attributes, and names that resolve to nothing or to one another."""
    with pytest.raises(MalformedError):
        parse_tree(document)


@pytest.mark.parametrize(
    "document",
    [
        b"<a>" * 200 + b"</a>" * 200,
        b"<a " + b" ".join(b'x%d=""' % n for n in range(100)) + b"/>",
        b"<a "
        + b" ".join(b'xmlns:x%d="u"' % n for n in range(40))
        + b"><b "
        + b" ".join(b'xmlns:y%d="u"' % n for n in range(40))
        + b"/></a>",
        b"<a>" + b"<b/>" * 400_001 + b"</a>",
    ],
)
def test_xml_that_would_cost_much_is_refused(document: bytes) -> None:
    """Depth, attributes, namespaces in scope and nodes are capped."""
    assert MAX_NAMESPACES < 80
    with pytest.raises(ResourceLimitError):
        parse_tree(document)


def changed(old: str, new: str) -> bytes:
    """The signature with something replaced."""
    text = SIGNED.decode()
    assert old in text
    return text.replace(old, new, 1).encode()


XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
OBJECT = SIGNED.decode()[SIGNED.decode().index("<Object") : SIGNED.decode().rindex("</Object>") + 9]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"<Signature/>", MalformedError),
        (changed(C14N, "http://www.w3.org/2001/10/xml-exc-c14n#"), UnsupportedError),
        (changed(C14N, C14N + "#WithComments"), UnsupportedError),
        (changed("xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256"), UnsupportedError),
        (changed("<Transforms>", f'<Transforms><Transform Algorithm="{XSLT}"/>'), UnsupportedError),
        (changed('URI="#idPackageObject"', 'URI=""'), MalformedError),
        (changed('URI="#idPackageObject"', 'URI="http://example.com/"'), MalformedError),
        (changed('URI="#idPackageObject"', 'URI="#s"'), MalformedError),
        (changed("</Signature>", OBJECT + "</Signature>"), MalformedError),
        (changed("<SignatureProperties>", '<SignatureProperties Id="idPackageObject">'), MalformedError),
        (changed("<Object ", f"<Object>{OBJECT}</Object><Other "), MalformedError),
        (changed("<SignedInfo>", "<SignedInfo/><SignedInfo>"), MalformedError),
        (changed("<SignatureValue>", "<SignatureValue><x/>"), MalformedError),
        (changed("<SignatureValue>", "<SignatureValue>!"), MalformedError),
        (changed("<Manifest><Reference ", "<Manifest><Other "), MalformedError),
    ],
)  # fmt: skip
def test_a_signature_of_another_form_is_refused(data: bytes, error: type[Exception]) -> None:
    """Other algorithms, other transforms, and every way of having SignedInfo refer to something that is not read."""
    with pytest.raises(error):
        parse_signature(data)


def test_a_wrapped_object_is_never_the_one_that_is_read() -> None:
    """Where the signed object is moved elsewhere and another takes its place, either the digest or the reference fails."""
    evil = OBJECT.replace("tool.dll", "evil.dll")
    wrapped = SIGNED.decode().replace(
        OBJECT, evil + f'<Object Id="other">{OBJECT.replace("idPackageObject", "x")}</Object>'
    )
    assert not parse_signature(wrapped.encode()).object_matches


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("/a?ContentType=text/plain", True),
        ("/a%20b?ContentType=text/plain%3Bx=1", True),
        ("a?ContentType=text/plain", False),
        ("/a", False),
        ("/a?Other=1", False),
        ("/a?x?ContentType=y", False),
        ("/a?ContentType=y#z", False),
        ("/a?ContentType=y&more", False),
        ("http://example.com/?ContentType=y", False),
    ],
)
def test_a_reference_is_to_a_part_with_its_type(uri: str, *, good: bool) -> None:
    """Nothing outside the package and nothing without a type."""
    if good:
        assert part_and_type(uri)[0].startswith("a")
    else:
        with pytest.raises(MalformedError):
            part_and_type(uri)


def relationships(inside: str) -> bytes:
    """A relationships part."""
    return f'<Relationships xmlns="{OPC}relationships">{inside}</Relationships>'.encode()


def test_the_relationships_transform_sorts_and_spells_out() -> None:
    """By identifier, with the target mode, canonical: white space and order of the part do not matter."""
    data = relationships(
        ' <Relationship Target="b&quot;" Type="t" Id="2"/> <Relationship Id="1" Type="t" Target="a" TargetMode="External"/>'
    )
    assert transformed(parse_relationships(data, "_rels/.rels")) == relationships(
        '<Relationship Id="1" Target="a" TargetMode="External" Type="t"></Relationship>'
        '<Relationship Id="2" Target="b&quot;" TargetMode="Internal" Type="t"></Relationship>'
    )


@pytest.mark.parametrize(
    "inside",
    [
        '<Relationship Id="1" Type="t"/>',
        '<Relationship Id="1" Type="t" Target="a"/><Relationship Id="1" Type="t" Target="b"/>',
        '<Relationship Id="1" Type="t" Target="a" TargetMode="Other"/>',
        '<Other Id="1" Type="t" Target="a"/>',
    ],
)
def test_relationships_that_say_two_things_are_malformed(inside: str) -> None:
    """Each has a name of its own, a type, a target and one of two modes."""
    with pytest.raises(MalformedError):
        parse_relationships(relationships(inside), "_rels/.rels")


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("/a/b", "a/b"),
        ("b", "a/b"),
        ("../b", "b"),
        ("../../b", None),
        ("http://example.com/", None),
        ("//example.com/a", None),
        ("b#c", None),
    ],
)
def test_targets_lead_to_parts_or_nowhere(target: str, part: str | None) -> None:
    """Relative to the part that the relationships are of; never outside the package."""
    data = relationships(f'<Relationship Id="1" Type="t" Target="{target}"/>')
    assert parse_relationships(data, "a/_rels/x.rels")[0].part == part


def test_two_types_of_one_part_are_malformed() -> None:
    """Content types that contradict each other."""
    lines = '<Default Extension="a" ContentType="1"/><Default Extension="A" ContentType="2"/>'
    data = f'<Types xmlns="{OPC}content-types">{lines}</Types>'.encode()
    with pytest.raises(MalformedError):
        parse_content_types(data)


def test_an_override_goes_before_a_default() -> None:
    """A part's own type is the one that counts, whatever its case."""
    lines = '<Default Extension="a" ContentType="1"/><Override PartName="/X.a" ContentType="2"/>'
    data = f'<Types xmlns="{OPC}content-types">{lines}</Types>'.encode()
    types = parse_content_types(data)
    assert (types.of("x.A"), types.of("y.a"), types.of("y.b")) == ("2", "1", None)


def test_two_signatures_are_not_read() -> None:
    """Which of them vouches for what would be a rule of its own."""
    with zipfile.ZipFile(io.BytesIO(VALID)) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    again = SIGNATURE.replace("abc", "def")
    name = next(name for name in members if name.endswith("origin.psdor.rels"))
    kind = opc_package.SIGNATURE
    both = "".join(
        f'<Relationship Id="R{n}" Type="{kind}" Target="/{one}"/>' for n, one in enumerate((SIGNATURE, again))
    )
    problem = facts(archive(members | {again: SIGNED, name: relationships(both)})).problem
    assert problem is not None
    assert problem.reason.value == "unsupported_format"


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise_anything_else(data: bytes) -> None:
    """Whatever stands in the XML gives a value or one of the three errors."""
    for reader in (
        lambda: parse_signature(data),
        lambda: parse_content_types(data),
        lambda: parse_relationships(data, "_rels/.rels"),
    ):
        try:
            reader()
        except READ_ERRORS:
            continue


@given(st.integers(min_value=0, max_value=len(SIGNED) - 1), st.binary(max_size=4))
def test_a_changed_signature_is_read_or_refused(position: int, put: bytes) -> None:
    """A signature with bytes put into it gives a value or one of the three errors."""
    try:
        parse_signature(SIGNED[:position] + put + SIGNED[position + len(put) :])
    except READ_ERRORS:
        return


def test_the_fixtures_are_of_the_namespace_that_is_read() -> None:
    """What the generator writes is XMLDSig, and a manifest of an extension."""
    assert parse_tree(SIGNED).name == f"{{{DS}}}Signature"
    assert b"Identity" in MANIFEST


def members_of(name: str) -> dict[str, bytes]:
    """The members of a fixture."""
    with zipfile.ZipFile(FIXTURES / "vsix" / name) as package:
        return {member.filename: package.read(member) for member in package.infolist()}


TYPES_NAME, RELATIONSHIPS_NAME = "[Content_Types].xml", "_rels/.rels"


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b"</Types>", b'<e:Override xmlns:e="u" PartName="/tool.dll" ContentType="application/octet-stream"/></Types>'),
        (b"</Types>", b'<Override PartName="/to%6Fl.dll" ContentType="text/plain"/></Types>'),
        (b"</Types>", b'<Override PartName="/doc%2Ftool.dll" ContentType="text/plain"/></Types>'),
        (b"</Types>", b'<Override PartName="tool.dll" ContentType="application/octet-stream"/></Types>'),
        (b"package/2006/content-types", b"package/2006/other"),
    ],
)
def test_content_types_that_readers_take_for_others(written: bytes, instead: bytes) -> None:
    """Types are those of the one namespace, for parts that are named in the one way."""
    members = members_of("valid.vsix")
    types = members[TYPES_NAME].replace(written, instead)
    assert types != members[TYPES_NAME]
    with pytest.raises(MalformedError):
        parse_content_types(types)


def test_content_types_of_parts_that_must_be_encoded() -> None:
    """What cannot stand in a part name otherwise is percent-encoded in it, and in the type of it."""
    types = members_of("valid.vsix")[TYPES_NAME].replace(
        b"</Types>", b'<Override PartName="/doc/read%20me.txt" ContentType="text/html"/></Types>'
    )
    assert parse_content_types(types).of("doc/read%20me.txt") == "text/html"


@pytest.mark.parametrize("name", ["relationships_by_id.vsix", "relationships_by_type.vsix"])
@pytest.mark.parametrize("instead", [b'<e:Relationship xmlns:e="u" Type', b'<Relationship xml:base="/x/" Type'])
def test_relationships_that_readers_pass_over(name: str, instead: bytes) -> None:
    """A signed relationship moved to another namespace, or to another base, is none to whoever reads the package."""
    members = members_of(name)
    assert facts(archive(members)).problem is None
    before, found, after = members[RELATIONSHIPS_NAME].rpartition(b"<Relationship Type")
    assert found
    problem = facts(archive({**members, RELATIONSHIPS_NAME: before + instead + after})).problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


def test_relationships_of_the_signature_that_lead_elsewhere() -> None:
    """The signature's own relationships lead to certificates and to signed parts; a way out of the package is not inert."""
    out = b'<Relationship TargetMode="External" Type="u" Target="http://example.com/" Id="R9"/></Relationships>'
    members = members_of("detached_certificate.vsix")
    changed = members[SIGNATURE_RELS].replace(b"</Relationships>", out)
    uncovered = facts(archive({**members, SIGNATURE_RELS: changed})).coverage.uncovered
    assert [one.member for one in uncovered if not one.inert] == [SIGNATURE_RELS]


def test_a_certificate_that_is_none() -> None:
    """A part that the signature's relationships call a certificate is one, or the signature is broken."""
    kind = OPC + "relationships/digital-signature/certificate"
    more = f'<Relationship Type="{kind}" Target="/more.cer" Id="R9"/></Relationships>'.encode()
    members = members_of("detached_certificate.vsix")
    changed = members[SIGNATURE_RELS].replace(b"</Relationships>", more)
    (fact,) = facts(archive({**members, SIGNATURE_RELS: changed, "more.cer": b"MZ"})).signatures
    assert fact.problem is not None
    assert fact.problem.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "document",
    [
        b"<a"
        + b"".join(b' xmlns:n%d="u:%d"' % (n, n) for n in range(60))
        + b">"
        + b'<b xmlns:c="u"/>' * 10_000
        + b"</a>",
        b"<a>" + b'<b c="" d="" e=""/>' * 40_000 + b"</a>",
    ],
)
def test_small_documents_that_make_large_trees(document: bytes) -> None:
    """Namespaces in scope and attributes are counted over the whole document: they take more room than their octets."""
    with pytest.raises(ResourceLimitError):
        parse_tree(document)
