"""Writes the VSIX fixtures: ``python -m tests.packages.generate.vsix``. Packages from the specification, their XML signed by xmlsec1."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import PKI, Issued, issue, make_pki, revocation_list
from tests.trust_store.timestamp_craft import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DS = "http://www.w3.org/2000/09/xmldsig#"
OPC = "http://schemas.openxmlformats.org/package/2006/"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
URIS = {
    "sha1": DS + "sha1",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
METHODS = {
    ("rsa", "sha1"): DS + "rsa-sha1",
    **{
        (kind, digest): f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{digest}"
        for kind in ("rsa", "ecdsa")
        for digest in ("sha256", "sha512")
    },
}
FOLDER = "package/services/digital-signature/"
ORIGIN, SIGNATURE = FOLDER + "origin.psdor", FOLDER + "xml-signature/abc.psdsxs"
ORIGIN_RELS, SIGNATURE_RELS = FOLDER + "_rels/origin.psdor.rels", FOLDER + "xml-signature/_rels/abc.psdsxs.rels"
RELS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
MANIFEST = (
    b'<PackageManifest xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011"><Metadata>'
    b'<Identity Id="Example.Tool" Version="1.2.3" Publisher="Vendor"/></Metadata></PackageManifest>'
)
FILES = {"extension.vsixmanifest": MANIFEST, "tool.dll": bytes(range(256)), "doc/read%20me.txt": b"Read this."}
TYPES = {
    "vsixmanifest": "text/xml", "dll": "application/octet-stream", "txt": "text/plain", "rels": RELS_TYPE,
    "psdor": "application/vnd.openxmlformats-package.digital-signature-origin",
    "psdsxs": "application/vnd.openxmlformats-package.digital-signature-xmlsignature+xml",
    "cer": "application/vnd.openxmlformats-package.digital-signature-certificate",
}  # fmt: skip


def content_types(types: Mapping[str, str]) -> bytes:
    """[Content_Types].xml."""
    lines = "".join(f'<Default Extension="{extension}" ContentType="{kind}"/>' for extension, kind in types.items())
    return f'<?xml version="1.0"?><Types xmlns="{OPC}content-types">{lines}</Types>'.encode()


def relationships(*leading: tuple[str, str, str]) -> bytes:
    """A relationships part: identifier, type and target of each."""
    lines = "".join(f'<Relationship Type="{kind}" Target="{target}" Id="{name}"/>' for name, kind, target in leading)
    return f'<?xml version="1.0"?><Relationships xmlns="{OPC}relationships">{lines}</Relationships>'.encode()


ROOT = ("R1", OPC + "relationships/digital-signature/origin", "/" + ORIGIN)
OTHER = ("A0", "http://example.com/documentation", "/doc/read%20me.txt")


@dataclass(frozen=True)
class Extension:
    """What is to be signed, and how; ``changed`` gets the signed XML and returns what is written."""

    signer: Issued
    chain: tuple[Issued, ...]
    files: Mapping[str, bytes] = field(default_factory=lambda: FILES)
    digest: str = "sha256"
    kind: str = "rsa"
    root: tuple[tuple[str, str, str], ...] = (ROOT,)
    transform: str = ""
    canonical: bool = False
    detached: bool = False
    object_transform: bool = True
    authority: Authority | None = None
    changed: Callable[[str], str] = str
    beside: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, work: Path, *, types: Mapping[str, str] = TYPES) -> bytes:
        """The package."""
        parts = {
            **self.files,
            ORIGIN: b"",
            ORIGIN_RELS: relationships(("R2", OPC + "relationships/digital-signature/signature", "/" + SIGNATURE)),
        }
        rels = {"_rels/.rels": relationships(*self.root)}
        signature = self.changed(self._sign(work, parts, rels)).encode()
        members = {"[Content_Types].xml": content_types(types), **parts, **rels, SIGNATURE: signature, **self.beside}
        if self.detached:
            certificate = FOLDER + "certificate/signer.cer"
            members[certificate] = self.signer.der
            members[SIGNATURE_RELS] = relationships(
                ("R3", OPC + "relationships/digital-signature/certificate", "/" + certificate)
            )
        return archive(members)

    def _sign(self, work: Path, parts: Mapping[str, bytes], rels: Mapping[str, bytes]) -> str:
        lines = [self._reference(name, hashlib.new(self.digest, data).digest()) for name, data in parts.items()]
        if self.transform:
            lines.append(self._transformed())
        elif self.canonical:
            lines += [self._canonical(name, data) for name, data in rels.items()]
        else:
            lines += [self._reference(name, hashlib.new(self.digest, data).digest()) for name, data in rels.items()]
        time = f'<SignatureTime xmlns="{OPC}digital-signature"><Format>YYYY-MM-DD</Format><Value>2026-01-01</Value></SignatureTime>'
        steps = f'<Transforms><Transform Algorithm="{C14N}"/></Transforms>' if self.object_transform else ""
        template = (
            f'<Signature xmlns="{DS}" Id="s"><SignedInfo><CanonicalizationMethod Algorithm="{C14N}"/>'
            f'<SignatureMethod Algorithm="{METHODS[self.kind, self.digest]}"/>'
            f'<Reference URI="#idPackageObject" Type="{DS}Object">{steps}'
            f'<DigestMethod Algorithm="{URIS[self.digest]}"/><DigestValue/></Reference>'
            f"</SignedInfo><SignatureValue/>{'' if self.detached else '<KeyInfo><X509Data/></KeyInfo>'}"
            f'<Object Id="idPackageObject"><Manifest>{"".join(lines)}</Manifest><SignatureProperties>'
            f'<SignatureProperty Id="idSignatureTime" Target="#s">{time}</SignatureProperty></SignatureProperties></Object></Signature>'
        )
        signed = xmlsec(work, template, self.signer, self.chain)
        return self._stamped(signed) if self.authority else signed

    def _reference(self, name: str, digest: bytes) -> str:
        media = TYPES[name.rpartition(".")[2]]
        return (
            f'<Reference URI="/{name}?ContentType={media}"><DigestMethod Algorithm="{URIS[self.digest]}"/>'
            f"<DigestValue>{base64.b64encode(digest).decode()}</DigestValue></Reference>"
        )

    def _canonical(self, name: str, data: bytes) -> str:
        """A relationships part in canonical form alone, as System.IO.Packaging signs the ones that it is told to sign."""
        found = etree.tostring(etree.fromstring(data), method="c14n", with_comments=False)
        steps = f'<Transforms><Transform Algorithm="{C14N}"/></Transforms><DigestMethod'
        return self._reference(name, hashlib.new(self.digest, found).digest()).replace("<DigestMethod", steps)

    def _transformed(self) -> str:
        """The package's relationships but those that lead to the signature, as the relationships transform makes them."""
        kept = "".join(
            f'<Relationship Id="{name}" Target="{target}" TargetMode="Internal" Type="{kind}"></Relationship>'
            for name, kind, target in sorted(self.root)
            if (name, kind, target) != ROOT
        )
        digest = hashlib.new(
            self.digest, f'<Relationships xmlns="{OPC}relationships">{kept}</Relationships>'.encode()
        ).digest()
        return (
            f'<Reference URI="/_rels/.rels?ContentType={RELS_TYPE}"><Transforms><Transform Algorithm="{OPC}RelationshipTransform">'
            f'{self.transform}</Transform><Transform Algorithm="{C14N}"/></Transforms><DigestMethod Algorithm="{URIS[self.digest]}"/>'
            f"<DigestValue>{base64.b64encode(digest).decode()}</DigestValue></Reference>"
        )

    def _stamped(self, signed: str) -> str:
        assert self.authority is not None
        start = signed.index("<SignatureValue>") + 16
        value = base64.b64decode(signed[start : signed.index("</SignatureValue>")])
        token = base64.b64encode(self.authority.token(value, datetime(2022, 6, 1, tzinfo=UTC))).decode()
        attributes = f'xmlns="{OPC}digital-signature" Id="idSignatureTimestamp"'
        stamp = f"<TimeStamp {attributes}><Comment/><EncodedTime>{token}</EncodedTime></TimeStamp>"
        return signed.replace("</Signature>", f"<Object>{stamp}</Object></Signature>")


def archive(members: Mapping[str, bytes]) -> bytes:
    """The zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def xmlsec(work: Path, template: str, signer: Issued, chain: tuple[Issued, ...]) -> str:
    """The template signed by xmlsec1."""
    (work / "template.xml").write_text(template)
    names = ["key.pem"]
    (work / "key.pem").write_bytes(signer.key_pem)
    for number, one in enumerate((signer, *chain)):
        (work / f"{number}.pem").write_bytes(one.pem)
        names.append(f"{number}.pem")
    options = [
        "--ignore-manifests",
        "--privkey-pem",
        ",".join(names),
        "--id-attr:Id",
        f"{DS}:Object",
        "--output",
        "signed.xml",
    ]
    subprocess.run(["xmlsec1", "--sign", *options, "template.xml"], check=True, capture_output=True, cwd=work)
    return (work / "signed.xml").read_text()


def main() -> None:
    """Write everything."""
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name))


def _write(work: Path) -> None:
    folder = FixtureFolder("vsix")
    pki, other, curve = make_pki("Vendor"), make_pki("Other", kind="p256"), make_pki("Curve", kind="p256")
    for name, one in (("root", pki.root), ("other", other.root), ("curve", curve.root)):
        folder.write(f"{name}.pem", one.pem)
    good = Extension(pki.leaf, (pki.intermediate,))
    valid = good.write(work)
    folder.write("valid.vsix", valid)
    folder.case("valid", "valid.vsix", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.vsix", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.vsix", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.vsix", FAILED, "revoked", crls=["signer.crl"])
    by_type = f'<mdssi:RelationshipsGroupReference xmlns:mdssi="{OPC}digital-signature" SourceType="{OTHER[1]}"/>'
    by_id = f'<mdssi:RelationshipReference xmlns:mdssi="{OPC}digital-signature" SourceId="{OTHER[0]}"/>'
    for name, extension in {
        "detached_certificate": replace(good, detached=True),
        "no_object_transform": replace(good, object_transform=False),
        "sha512": replace(good, digest="sha512"),
        "canonical_relationships": replace(good, canonical=True),
        "relationships_by_type": replace(good, root=(ROOT, OTHER), transform=by_type),
        "relationships_by_id": replace(good, root=(ROOT, OTHER), transform=by_id),
        "ecdsa": replace(good, signer=curve.leaf, chain=(curve.intermediate,), kind="ecdsa"),
    }.items():
        folder.write(f"{name}.vsix", extension.write(work))
        anchors = {"ecdsa": ["curve.pem"], "detached_certificate": ["root.pem"]}.get(name, ["root.pem"])
        untrusted = {"untrusted": ["intermediate.pem"]} if name == "detached_certificate" else {}
        folder.case(name, f"{name}.vsix", PASSED, "trusted", anchors=anchors, **untrusted)
    folder.write("intermediate.pem", pki.intermediate.pem)
    folder.write("unsigned.vsix", archive({"[Content_Types].xml": content_types(TYPES), **FILES}))
    folder.case("unsigned", "unsigned.vsix", INDETERMINATE, "unsigned")
    _damaged(folder, work, good, valid, by_type)
    _times(folder, work, pki, good)
    folder.close()


def _rezipped(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """The archive with members replaced, added, or (None) left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    return archive({name: content for name, content in {**members, **changes}.items() if content is not None})


def _damaged(folder: FixtureFolder, work: Path, good: Extension, valid: bytes, by_type: str) -> None:
    evil = ("Z9", "http://example.com/evil", "http://evil.example/")
    related = replace(good, root=(ROOT, OTHER), transform=by_type).write(work)

    def changed(old: str, new: str) -> bytes:
        return replace(good, changed=lambda xml: xml.replace(old, new)).write(work)

    for name, data, reason in (
        ("tampered", _rezipped(valid, {"tool.dll": b"evil"}), "invalid_signature"),
        ("absent", _rezipped(valid, {"tool.dll": None}), "invalid_signature"),
        ("added_member", _rezipped(valid, {"evil.dll": b"evil"}), "uncovered_content"),
        ("added_in_the_signatures_folder", _rezipped(valid, {FOLDER + "evil.dll": b"evil"}), "uncovered_content"),
        ("origin_with_content", _rezipped(valid, {ORIGIN: b"evil"}), "invalid_signature"),
        ("relationship_added", _rezipped(related, {"_rels/.rels": relationships(ROOT, OTHER, evil)}), "uncovered_content"),
        ("relationship_changed", _rezipped(related, {"_rels/.rels": relationships(ROOT, (*OTHER[:2], "/x"))}), "invalid_signature"),
        ("other_type", good.write(work, types=TYPES | {"dll": "text/plain"}), "invalid_signature"),
        ("manifest_changed", changed("2026-01-01", "2027-01-01"), "invalid_signature"),
        ("signed_info_changed", changed("<CanonicalizationMethod", '<CanonicalizationMethod x="1"'), "invalid_signature"),
        ("comment", changed("<Manifest>", "<Manifest><!-- -->"), "malformed"),
        ("weak", replace(good, digest="sha1").write(work), "weak_algorithm"),
        ("garbage_signature", _rezipped(valid, {SIGNATURE: b"no signature"}), "malformed"),
        ("duplicate_entries", _rezipped(valid, {"TOOL.dll": b"evil"}), "malformed"),
        ("truncated", valid[:-30], "malformed"),
        ("appended", valid + b"appended", "malformed"),
    ):  # fmt: skip
        folder.write(f"{name}.vsix", data)
        plain = {"format": "zip"} if name in ("duplicate_entries", "truncated", "appended") else {}
        folder.case(name, f"{name}.vsix", FAILED, reason, **plain)


def _times(folder: FixtureFolder, work: Path, pki: PKI, good: Extension) -> None:
    begin, end = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    old = replace(good, signer=issue("Old Signer", pki.intermediate, begin=begin, end=end))
    folder.write("expired.vsix", old.write(work))
    folder.case("expired", "expired.vsix", INDETERMINATE, "expired")
    authority = Authority.make(datetime(2026, 1, 1, tzinfo=UTC))
    folder.write("tsa.der", authority.root_der)
    folder.write("timestamped.vsix", replace(old, authority=authority).write(work))
    folder.case("timestamped", "timestamped.vsix", PASSED, "trusted", anchors=["root.pem", "tsa.der"])


if __name__ == "__main__":
    main()
