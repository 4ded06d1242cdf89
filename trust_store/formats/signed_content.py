"""Signed messages that bring their content along: cleartext and inline OpenPGP, CMS with content inside, embedded signify.

As a package such a message is read for itself; beside a package its content must be the package, or a list that names its digest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms, comment_signatures, openpgp_cleartext, openpgp_message
from trust_store.decode.openpgp_packets import Tag
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream, digests_of, new_state
from trust_store.model.package_facts import Coverage, Uncovered
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.schemes import OPENPGP, scheme_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.decode.openpgp_cleartext import CleartextMessage
    from trust_store.decode.openpgp_message import OpenPGPMessage
    from trust_store.formats.protocol import PackageSource, SideMaterial
    from trust_store.model.package_facts import SideFile, SignatureFact, SignatureOrigin
    from trust_store.signatures.protocol import PendingSignature, SignatureScheme

MAX_CONTENT_BYTES = 64 * 1024 * 1024
CLEARTEXT, MESSAGE, CMS, SIGNIFY = "openpgp-cleartext", "openpgp-message", "cms-message", "signify-message"
SCHEME_OF = {CLEARTEXT: OPENPGP, MESSAGE: OPENPGP, CMS: "cms", SIGNIFY: "signify"}
"""Of which scheme the signatures of a kind of message are."""
HEAD_BYTES = 4096
_SIGNATURE_PACKET = bytes((0xC0 | Tag.SIGNATURE, 0xFF))


@dataclass(frozen=True, slots=True)
class SignedContent:
    """``content`` is what a reader of the message gets, ``over`` what its signatures are computed over; both are the same but in
    cleartext, where line ends are CR LF.
    """

    kind: str
    content: bytes
    over: bytes
    pending: tuple[PendingSignature, ...]

    @property
    def stands_for(self) -> tuple[bytes, ...]:
        """What files the message may stand for: its content; of a cleartext with either kind of line ends, at its end as well or not."""
        if self.kind != CLEARTEXT:
            return (self.content,)
        return self.content, self.content[:-1], self.over, self.over + b"\r\n"

    def facts(self) -> tuple[SignatureFact, ...]:
        """The signatures as facts about the content; raises UnsupportedError for a digest that is not available."""
        states = digests_of(self.over, {request for pending in self.pending for request in pending.digests})
        return tuple(shown(pending.complete(states), self.over) for pending in self.pending)


def kind_of(data: bytes) -> str | None:
    """Which kind of message with content ``data`` claims to be, None where it is none; looks at its beginning, of CMS at all of it."""
    if (b"\n" + openpgp_cleartext.BEGIN) in b"\n" + data.removeprefix(b"\xef\xbb\xbf"):
        return CLEARTEXT
    if openpgp_message.recognises(data[:HEAD_BYTES]):
        return MESSAGE
    if comment_signatures.is_signify(data):
        try:
            return SIGNIFY if comment_signatures.parse_signify(data).message is not None else None
        except READ_ERRORS:
            return None
    if cms.recognises(data):
        from trust_store.decode.authenticode import recognises_trust_list  # few files are CMS

        if recognises_trust_list(data):  # a catalog is a signature over the files it lists
            return None
        try:
            return CMS if cms.parse_signed_data(data).encapsulated else None
        except READ_ERRORS:
            return None
    return None


def open_content(kind: str, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> SignedContent:
    """The message; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if kind == CLEARTEXT:
        return of_cleartext(openpgp_cleartext.read_cleartext(data), origin=origin, file=file)
    if kind == MESSAGE:
        return of_message(openpgp_message.read_message(data), origin=origin, file=file)
    if kind == SIGNIFY:
        return _of_signify(data, origin=origin, file=file)
    return of_cms(data, origin=origin, file=file)


def of_cleartext(message: CleartextMessage, *, origin: SignatureOrigin, file: SideFile | None = None) -> SignedContent:
    """A cleartext-signed message: its signatures must be ones over text (RFC 9580 7)."""
    pending = _scheme(OPENPGP).parse(message.signature, origin=origin, file=file)
    if any(not request.text for one in pending for request in one.digests):
        raise MalformedError("a cleartext-signed message with a signature that is not over text (RFC 9580 7)")
    return _checked(SignedContent(CLEARTEXT, message.text, message.signed, pending))


def of_message(message: OpenPGPMessage, *, origin: SignatureOrigin, file: SideFile | None = None) -> SignedContent:
    """An inline-signed message."""
    packets = b"".join(_SIGNATURE_PACKET + len(body).to_bytes(4, "big") + body for body in message.signatures)
    pending = _scheme(OPENPGP).parse(packets, origin=origin, file=file)
    return _checked(SignedContent(MESSAGE, message.content, message.content, pending))


def of_cms(data: bytes, *, origin: SignatureOrigin, file: SideFile | None = None) -> SignedContent:
    """A CMS message with its content; raises MalformedError where there is none."""
    from trust_store.signatures.cms import pending_over_data  # few packages are such messages

    signed_data = cms.parse_signed_data(data)
    content = cms.content_octets(signed_data, max_bytes=MAX_CONTENT_BYTES)
    return _checked(SignedContent(CMS, content, content, pending_over_data(signed_data, origin=origin, file=file)))


def _of_signify(data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> SignedContent:
    signature = comment_signatures.parse_signify(data)
    if signature.message is None:
        raise MalformedError("a signify signature without a message")
    detached = data[: len(data) - len(signature.message)]
    pending = _scheme("signify").parse(detached, origin=origin, file=file)
    return _checked(SignedContent(SIGNIFY, signature.message, signature.message, pending))


def _checked(found: SignedContent) -> SignedContent:
    if not found.pending:
        raise MalformedError("a signed message without a signature")
    for request in {request for pending in found.pending for request in pending.digests}:
        new_state(request)
    return found


def shown(fact: SignatureFact, over: bytes) -> SignatureFact:
    """``fact`` with the content that an OpenPGP signature is over, for the second reader of it."""
    return replace(fact, signed=over) if fact.scheme == OPENPGP and fact.problem is None else fact


def _scheme(name: str) -> SignatureScheme:
    found = scheme_named(name)
    assert found is not None  # noqa: S101 - named here
    return found


def read_whole(
    source: PackageSource, side: tuple[SideMaterial, ...], max_bytes: int = MAX_CONTENT_BYTES
) -> tuple[bytes, str, tuple[SignatureFact, ...]]:
    """A message as a package: its bytes, their SHA-256 in hex, and the facts of the signatures beside it; raises ResourceLimitError."""
    if source.size > max_bytes:
        raise ResourceLimitError(f"a signed message of {source.size} bytes; at most {max_bytes} are read")
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    data = stream.take(source.size)
    return data, stream.sha256, files.complete(stream.states)


def around(places: Iterable[tuple[int, int]], size: int) -> Coverage:
    """The coverage of a message whose content lies at ``places`` (in order): the rest is framing that says nothing by itself."""
    covered = position = 0
    uncovered: list[Uncovered] = []
    for start, end in (*places, (size, size)):
        if position < start:
            uncovered.append(Uncovered(position, start, inert=True))
        covered, position = covered + end - start, end
    return Coverage(covered, tuple(uncovered))
