"""One part of a document -> whose word it is, what it says about keys, which keys it holds. Pure; the shell is ``pipeline``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.analysis.analyse import analyse
from monitor.analysis.model import AnalysisInput
from monitor.config import LOOPBACK_HOSTS, SourceKind
from monitor.documents.quotes import authority_at
from monitor.key_material import MAX_KEYS, identifiers_named, identifiers_of, is_key_file, proposals_of, read_keys
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.claim import Authority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.analysis.model import KeyMaterial
    from monitor.config import Source
    from monitor.documents.protocol import Document, DocumentPart
    from monitor.key_material import Key
    from trust_store.model.claim import Claim, Proposal
    from trust_store.model.identifiers import Identifier
    from trust_store.model.vendor import Vendor

KEY_MATERIAL = "key_material"
"""What a claim is called that says nothing but: here is a key."""
MAX_KEY_FILES = 20
MAX_CLAIMS = 100
EXCERPT_CHARACTERS = 400
_UNREADABLE = (MalformedError, ResourceLimitError, UnsupportedError)


@dataclass(frozen=True, slots=True)
class HeardClaim:
    """A claim as it will be kept: ``kind`` is a ClaimKind's value or KEY_MATERIAL."""

    kind: str
    claim: Claim | None
    excerpt: str
    authority: Authority
    identifiers: tuple[Identifier, ...]
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class HeardPart:
    """A part of a document with all that was heard in it. ``unreadable`` names key blocks that did not decode."""

    part: DocumentPart
    title: str
    authority: Authority
    label: str
    cves: tuple[str, ...]
    claims: tuple[HeardClaim, ...]
    proposals: tuple[Proposal, ...]
    key_files: tuple[str, ...]
    unreadable: tuple[str, ...] = ()


def authority_of(part: DocumentPart, source: Source, vendor: Vendor, *, landed: str, forum: bool) -> Authority:
    """On whose word a part is.

    A forum post: the server's own staff flag, or nobody's, whatever the domain. A feed: the vendor's if it came from one of the
    vendor's domains over TLS, wherever redirects ``landed``; nobody's if others can write into it.
    """
    if source.kind is SourceKind.DISCOURSE:
        return Authority.STAFF if part.staff else Authority.UNAUTHENTICATED
    if forum or source.anyone_can_post:
        return Authority.UNAUTHENTICATED
    return (
        Authority.VENDOR_SITE
        if all(on_vendor_site(u, source, vendor) for u in (source.url, landed))
        else Authority.THIRD_PARTY
    )


def on_vendor_site(url: str, source: Source, vendor: Vendor) -> bool:
    """Whether ``url`` is on a configured domain of the vendor, over TLS (or this machine, where the source allows that)."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    secure = parts.scheme == "https" or (source.allow_loopback_http and host in LOOPBACK_HOSTS)
    return secure and any(host == domain or host.endswith(f".{domain}") for domain in vendor.domains)


def key_files(part: DocumentPart, source: Source, vendor: Vendor) -> tuple[str, ...]:
    """Links of a part to key files on the vendor's domains or the source's own host; nothing else is ever fetched."""
    if not source.follow_links or part.hidden:
        return ()
    return tuple(url for url in part.links if is_key_file(url) and _near(url, source, vendor))[:MAX_KEY_FILES]


def _near(url: str, source: Source, vendor: Vendor) -> bool:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    allowed = parts.scheme == "https" or (source.allow_loopback_http and host in LOOPBACK_HOSTS)
    return allowed and (host == source.host or on_vendor_site(url, source, vendor))


def hear(
    document: Document, part: DocumentPart, source: Source, vendor: Vendor, *, landed: str, forum: bool
) -> HeardPart:
    """Everything one part says; a key block that does not decode is named, it spoils nothing else."""
    authority = authority_of(part, source, vendor, landed=landed, forum=forum)
    said = analyse(
        AnalysisInput(
            id=part.key,
            title=document.title,
            text=part.text,
            url=part.url or document.url,
            published=part.published.date() if part.published else None,
            authority=authority,
        )
    )
    shown = _Shown(source.vendor_id, part.url or document.url or source.url)
    for material in said.key_material:
        shown.take(material, authority_at(part.text, material.start, material.end, authority))
    claims = [_heard(claim, part.text, authority, shown.keys) for claim in said.claims[:MAX_CLAIMS]]
    spoken = {claim.authority for claim in claims}
    for word, keys in shown.keys.items():
        if word not in spoken:
            claims.append(posted(part.text, shown.places[word], keys, title=document.title, authority=word))
    return HeardPart(
        part=part,
        title=document.title,
        authority=authority,
        label=said.label.value,
        cves=said.cves,
        claims=tuple(claims),
        proposals=tuple(shown.proposals.values()),
        key_files=key_files(part, source, vendor),
        unreadable=tuple(shown.unreadable),
    )


def posted(text: str, start: int, keys: Iterable[Key], *, title: str, authority: Authority) -> HeardClaim:
    """The claim of a part that shows keys and says nothing about them: what stands before them, or the title."""
    before = text[max(0, start - EXCERPT_CHARACTERS) : start].strip() or title
    return HeardClaim(KEY_MATERIAL, None, before, authority, identifiers_of(keys), start, start)


class _Shown:
    """The key blocks of one part, apart by whose word they are."""

    def __init__(self, vendor_id: str, reference: str) -> None:
        self._vendor_id, self._reference = vendor_id, reference
        self.keys: dict[Authority, list[Key]] = {}
        self.places: dict[Authority, int] = {}
        self.proposals: dict[str, Proposal] = {}
        self.unreadable: list[str] = []

    def take(self, material: KeyMaterial, word: Authority) -> None:
        try:
            keys = read_keys(material.data)
        except _UNREADABLE as error:
            self.unreadable.append(f"{material.kind}: {error}")
            return
        self.keys.setdefault(word, []).extend(keys)
        self.places.setdefault(word, material.start)
        for proposal in proposals_of(keys, vendor_id=self._vendor_id, authority=word, reference=self._reference):
            known = self.proposals.get(proposal.key_sha256)
            better = known is not None and word.authenticated and not known.authority.authenticated
            if better or (known is None and len(self.proposals) < MAX_KEYS):
                self.proposals[proposal.key_sha256] = proposal


def _heard(claim: Claim, text: str, authority: Authority, blocks: Mapping[Authority, list[Key]]) -> HeardClaim:
    word = authority_at(text, claim.start, claim.end, authority)
    # The keys of a post belong to all that its author says in it, but what he quotes does not lend its keys to him.
    shown = identifiers_of(blocks.get(word, []))
    return HeardClaim(
        kind=claim.kind.value,
        claim=claim,
        excerpt=claim.excerpt,
        authority=word,
        identifiers=tuple(dict.fromkeys((*identifiers_named(claim.keys), *shown))),
        start=claim.start,
        end=claim.end,
    )
