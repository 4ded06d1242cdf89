"""What is fuzzed: every parser of bytes from outside, its seeds, the errors it may raise, and when an answer is a lie."""

from __future__ import annotations

import base64
import io
import json
import struct
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from email.utils import format_datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from monitor.analysis.analyse import analyse
from monitor.analysis.model import AnalysisInput, Post
from monitor.control import _request
from monitor.documents.discourse import read_posts, read_topic, topic_address
from monitor.documents.feed import read_feed
from tests import fuzz_key_files
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from tests.trust_store import revocation_craft
from tests.trust_store.lineage_craft import anchor_of, apk_lineage, tuf_root
from tests.trust_store.openpgp_craft import CraftedKey, packet
from tests.trust_store.package_craft import LIMITS, archive, read
from tests.trust_store.path_craft import issue
from tests.trust_store.timestamp_craft import Authority, signature_value
from tests.trust_store.verdict_craft import AT, anchor, ask, bare_cms, beside, der
from trust_store.chain import names, timestamping
from trust_store.chain.building import SignatureBudget
from trust_store.chain.question import answer
from trust_store.cli.path_request import parse_line, parse_question
from trust_store.config import read_toml, section
from trust_store.decode import (
    cms,
    openpgp,
    openpgp_packets,
    openpgp_signature,
    timestamp_token,
    x509,
    zip_archive,
    zip_directory,
)
from trust_store.decode.apk_lineage import read_lineage
from trust_store.decode.crl import decode_lists
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.decode.manifest import parse_manifest
from trust_store.decode.ocsp import load_response
from trust_store.decode.tuf_root import read_root
from trust_store.errors import (
    READ_ERRORS,
    ConfigError,
    MalformedError,
    TrustStoreError,
    UsageError,
)
from trust_store.formats.streaming import BytesSource, PackageStream
from trust_store.lineage import grade_succession
from trust_store.model.trust_anchor import AnchorKind, Constraints
from trust_store.model.vendor import VendorPolicy
from trust_store.model.verdict import Outcome
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trust_store.formats.protocol import SideMaterial
    from trust_store.model.trust_anchor import TrustAnchor

FILES = {"manifest.json": b'{"version": "4.2"}\n', "firmware.bin": bytes(range(64)) * 8}
WHOLE = b"firmware " * 40


class LieError(Exception):
    """An answer that must not be given, above all ``passed`` for other content than what was signed."""


@dataclass(frozen=True)
class Target:
    """One parser: ``run`` takes the bytes and raises nothing but ``permitted``; anything else is a finding."""

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    permitted: tuple[type[BaseException], ...]


def targets() -> tuple[Target, ...]:
    """Every target; of those with seeds made afresh the keys are new each time, the structures the same."""
    from tests.packages import FUZZED  # these modules take Target from here

    pki = VendorPKI.generate("DTEN", AT)
    key = CraftedKey(7)
    own = (*_decoders(pki, key), *_packages(pki, key), *_documents(pki), *_requests(pki))
    joined = (import_module(f"tests.packages.{name}").targets() for name in FUZZED)
    return own + tuple(target for found in joined for target in found)


def _revocation() -> Iterable[Target]:
    extensions = [revocation_craft.scope(only_contains_user_certs=True)]
    listed = revocation_craft.revocation_list(
        revocation_craft.CA, revocation_craft.entry(revocation_craft.LEAF, "superseded"), extensions=extensions
    )
    answered = revocation_craft.response(revocation_craft.LEAF, revocation_craft.CA, revocation_craft.CA)
    yield Target("crl.decode_lists", decode_lists, (listed,), READ_ERRORS)
    yield Target("ocsp.load_response", load_response, (answered,), READ_ERRORS)


def _decoders(pki: VendorPKI, key: CraftedKey) -> Iterable[Target]:
    root, signer = der(pki.root), der(pki.signer)
    certs_only = pkcs7.serialize_certificates([pki.root, pki.signer], Encoding.DER)
    pem = pki.root_pem.encode() + pki.signer.public_bytes(Encoding.PEM)
    yield Target("x509.load_certificate", x509.load_certificate, (root, signer), READ_ERRORS)
    yield Target("x509.decode_certificates", x509.decode_certificates, (pem, certs_only, root), READ_ERRORS)
    yield Target("x509.decode_readable", x509.decode_readable, (pem, certs_only, root), ())
    yield Target("cms.parse_signed_data", cms.parse_signed_data, (pki.sign(WHOLE), bare_cms(pki)), READ_ERRORS)
    yield from _timestamps(pki)
    yield from _lineages()
    yield from _revocation()
    for kind, seed in fuzz_key_files.seeds().items():
        yield Target(f"key file: {kind}", _key_file, (seed,), READ_ERRORS)
    yield Target("cms.unarmour", cms.unarmour, (_cms_pem(pki),), READ_ERRORS)
    yield Target("names.canonical", names.canonical, (pki.root.subject.public_bytes(),), READ_ERRORS)
    certificate = key.certificate + key.subkey(CraftedKey(8))
    armored = _armor("PUBLIC KEY BLOCK", certificate)
    signature = key.signature(0, WHOLE)
    yield Target("openpgp.load_keys", openpgp.load_keys, (certificate, armored), READ_ERRORS)
    yield Target("openpgp.split_packets", openpgp_packets.split_packets, (certificate,), READ_ERRORS)
    yield Target("openpgp.read_armor", openpgp_packets.read_armor, (armored,), READ_ERRORS)
    yield Target("openpgp.parse_signature", openpgp_signature.parse_signature, (signature,), READ_ERRORS)
    manifest = "".join(f"{'ab' * 32}  {name}\n" for name in ("a.bin", "d/b.bin")).encode()
    yield Target("manifest", partial(parse_manifest, max_entries=100), (manifest,), READ_ERRORS)
    facts = facts_to_json(read(WHOLE, beside(pki.sign(WHOLE)))).encode()
    yield Target("facts_json", facts_from_json, (facts, facts_to_json(read(_ota(pki))).encode()), READ_ERRORS)


def _key_file(data: bytes) -> None:
    if lie := fuzz_key_files.read(data):
        raise LieError(lie)


def _lineages() -> Iterable[Target]:
    """Proofs that one key took another's place: read or refused, and a proof that was changed grades nobody higher."""
    signers = [issue(name, None) for name in ("first", "second")]
    lineage = apk_lineage(*signers)
    root = tuf_root(2, ("ed1", "ec1"), 1, ("ed1",))
    old, new = (anchor_of(AnchorKind.X509, signer.der) for signer in signers)
    yield Target("apk_lineage.read_lineage", read_lineage, (lineage,), READ_ERRORS)
    yield Target("tuf_root.read_root", read_root, (root,), READ_ERRORS)
    yield Target("lineage.grade_succession", partial(grade_succession, old, new), (lineage, root, new.material), ())


def _timestamps(pki: VendorPKI) -> Iterable[Target]:
    """A token may be broken in any way; it proves the time it was made for or none."""
    tsa, value = Authority.make(AT), signature_value(pki.sign(WHOLE))
    made = AT - timedelta(days=1)
    token = tsa.token(value, made, accuracy={"seconds": 1, "millis": 5}, nonce=7)
    info = tsa.info(value, made, accuracy={"seconds": 1}, ordering=True).dump()
    yield Target("timestamp_token.parse_token", timestamp_token.parse_token, (token,), READ_ERRORS)
    yield Target("timestamp_token.parse_info", timestamp_token.parse_info, (info,), READ_ERRORS)
    trusted = anchor(tsa.root_der, constraints=Constraints(purposes=("timestamp",)))
    authorities = ((trusted, x509.load_certificate(tsa.root_der)),)

    def prove(data: bytes) -> None:
        found = timestamping.prove(
            data, value, authorities, (), at=AT, budget=SignatureBudget(32), objections=lambda *_: ()
        )
        if found.latest is not None and found.at != made:
            raise LieError("another time than the authority stated is proven")

    yield Target("timestamping.prove", prove, (token,), ())


def _packages(pki: VendorPKI, key: CraftedKey) -> Iterable[Target]:
    bundle, ota = vendor_bundle(pki, FILES), _ota(pki)
    yield Target("zip.walk", _walk, (archive(FILES), archive(FILES, method=zipfile.ZIP_STORED), ota), READ_ERRORS)
    x509_anchor = anchor(der(pki.root))
    judge = partial(_judge, anchors=(x509_anchor,), keys=(CandidateKey("x509", der(pki.signer)),))
    yield Target("package: vendor bundle", partial(judge, content=_members), (bundle,), ())
    yield Target("package: Android OTA", partial(judge, content=_members), (ota,), ())
    yield Target("package: plain zip", partial(judge, content=_members), (archive(FILES),), ())
    side = beside(pki.sign(WHOLE))
    yield Target("package: beside a CMS signature", partial(judge, content=bytes, sides=(side,)), (WHOLE,), ())
    armored = _armor("SIGNATURE", packet(2, key.signature(0, WHOLE)))
    pgp = partial(_judge, anchors=(anchor(key.certificate),), keys=(CandidateKey("openpgp", key.certificate),))
    beside_pgp = beside(armored, name="firmware.bin.asc")
    yield Target("package: beside an OpenPGP signature", partial(pgp, content=bytes, sides=(beside_pgp,)), (WHOLE,), ())
    yield Target("side file: CMS", partial(_other_content, judge), (pki.sign(WHOLE), bare_cms(pki)), ())
    yield Target("side file: OpenPGP", partial(_other_content, pgp), (armored, packet(2, key.signature(0, WHOLE))), ())


def _documents(pki: VendorPKI) -> Iterable[Target]:
    url = "https://forum.example/t/topic/4711"
    address = topic_address(url)
    post = {
        "id": 1, "post_number": 1, "username": "staff", "cooked": f"<p>New root</p><pre>{pki.root_pem}</pre>",
        "created_at": "2026-10-01T09:00:00Z", "moderator": True, "staff": True, "link_counts": [],
    }  # fmt: skip
    topic = {"id": 4711, "title": "Upgrade fails", "post_stream": {"stream": [1, 2], "posts": [post]}}
    feed = f"""<?xml version="1.0"?><rss version="2.0"><channel><title>Advisories</title><link>https://dten.example/</link>
<item><title>New signing root</title><guid>1</guid><link>https://dten.example/1</link><pubDate>{format_datetime(AT)}</pubDate>
<description>&lt;p&gt;We rotated our &lt;b&gt;root&lt;/b&gt; {pki.root_sha256}&lt;/p&gt;</description></item></channel></rss>"""
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry><id>urn:1</id><title>CVE-2026-1234</title>
<updated>2026-10-01T09:00:00Z</updated><content type="html">&lt;a href="/k.pem"&gt;key&lt;/a&gt;</content></entry></feed>"""
    yield Target(
        "feed", partial(read_feed, url="https://dten.example/feed.xml"), (feed.encode(), atom.encode()), READ_ERRORS
    )
    yield Target("discourse topic", partial(read_topic, address=address), (json.dumps(topic).encode(),), READ_ERRORS)
    yield Target("discourse posts", partial(read_posts, address=address), (json.dumps(topic).encode(),), READ_ERRORS)
    text = (
        "We rotated our signing root on 3 May 2026 (effective 2026-06-01). The new SHA-256 fingerprint is\n"
        + ":".join(pki.root_sha256[i : i + 2] for i in range(0, 64, 2))
        + f"\n> the old key 0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567 was revoked, see CVE-2026-12345\n\n{pki.root_pem}\n"
    )
    yield Target("analysis", _analyse, (text.encode(),), ())


def _requests(pki: VendorPKI) -> Iterable[Target]:
    line = {
        "id": 1, "leaf": pki.signer.public_bytes(Encoding.PEM).decode(), "anchors": [pki.root_pem],
        "intermediates": [], "at": "2026-11-25T12:00:00Z", "purpose": "code-signing", "max_depth": 4,
        "eku": ["codeSigning"], "policies": {"initial_set": ["2.5.29.32.0"]}, "name": None,
    }  # fmt: skip
    yield Target("path batch line", partial(_path, der(pki.signer)), (json.dumps(line).encode(),), READ_ERRORS)
    request = b'{"command": "anchor.approve", "arguments": {"anchor": "anchor_01", "fingerprint_read": "ab cd"}}'
    yield Target("control request", _request, (request,), (ValueError, KeyError, TypeError, RecursionError, UsageError))
    policy = b'[policy]\napprovals = 2\nhold_down_days = 0\nclaimed_time = "accept"\nkey_name = "the 2026 root"\n'
    yield Target("configuration", _configuration, (policy,), (ConfigError,))


def _walk(data: bytes) -> None:
    source = BytesSource(data)
    directory = zip_directory.read_directory(source, LIMITS)
    zip_archive.walk(PackageStream(source, ()), directory, lambda _member: io_sink())


def io_sink() -> Any:
    """Takes a member's content and forgets it."""

    class Sink:
        def update(self, data: bytes, /) -> None:
            """Nothing."""

    return Sink()


def _judge(
    data: bytes,
    *,
    anchors: tuple[TrustAnchor, ...],
    keys: tuple[CandidateKey, ...],
    content: Callable[[bytes], object],
    sides: tuple[SideMaterial, ...] = (),
) -> None:
    """Read and judge as a package; ``passed`` is right only for the content that was signed."""
    facts = read(data, *sides, keys=keys)
    if facts_from_json(facts_to_json(facts)) != facts:
        raise LieError("the facts do not survive the worker's wire")
    verdict = ask(facts, *anchors)
    if verdict.outcome is Outcome.PASSED and content(data) not in (FILES, WHOLE):
        raise LieError("passed, and the content is not what was signed")


def _other_content(judge: Callable[..., None], signature: bytes) -> None:
    """No signature file, however mutated, makes other content pass."""
    judge(WHOLE + b"!", content=bytes, sides=(beside(signature),))


def _members(data: bytes) -> dict[str, bytes]:
    """The members as another implementation unpacks them, the manifest and its signature left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return {n: opened.read(n) for n in opened.namelist() if not n.startswith("SHA256SUMS")}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise LieError(f"passed, and zipfile cannot read it: {error}") from error


def _analyse(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    half = len(text) // 2
    analyse(
        AnalysisInput("1", text[:80], text, (Post("a", "staff", date(2026, 5, 3), text[half:]),), published=AT.date())
    )


def _path(leaf: bytes, data: bytes) -> None:
    _identity, asked = parse_line(data)
    if isinstance(asked, MalformedError):
        return
    question = parse_question(asked, AT)
    if answer(question).outcome is Outcome.PASSED and leaf not in [
        c.der for c in x509.decode_certificates(question.leaf)
    ]:
        raise LieError("passed for a certificate that nobody signed")


def _configuration(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder) / "c.toml"
        file.write_bytes(data)
        table = read_toml(file)
        for name, value in table.items():
            section(VendorPolicy, value, file=file, name=name)


def _ota(pki: VendorPKI) -> bytes:
    """A whole-file signed zip: CMS without signed attributes in the archive comment."""
    content = archive(FILES)[:-2]
    options = [
        pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes,
    ]  # fmt: skip
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(pki.signer, pki.signer_key, hashes.SHA256())
    block = builder.sign(Encoding.DER, options)
    comment = b"signed by SignApk\0" + block
    comment += struct.pack("<HHH", len(block) + 6, 0xFFFF, len(comment) + 6)
    return content + struct.pack("<H", len(comment)) + comment


def _cms_pem(pki: VendorPKI) -> bytes:
    body = base64.encodebytes(pki.sign(WHOLE))
    return b"-----BEGIN CMS-----\n" + body + b"-----END CMS-----\n"


def _armor(label: str, data: bytes) -> bytes:
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN PGP {label}-----\n\n{body}-----END PGP {label}-----\n".encode()


__all__ = ["LieError", "Target", "TrustStoreError", "targets"]
