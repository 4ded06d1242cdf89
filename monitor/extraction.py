"""One part of a document -> whose word it is, what it says about keys, which keys it holds. Pure; the shell is ``pipeline``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.analysis.analyse import analyse
from monitor.analysis.model import AnalysisInput, Post
from monitor.config import LOOPBACK_HOSTS, SourceKind
from monitor.documents.quotes import own_words, quoted_words
from monitor.key_material import MAX_KEYS, identifiers_named, identifiers_of, is_key_file, proposals_of, read_keys
from trust_store.errors import READ_ERRORS
from trust_store.model.claim import Authority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.analysis.model import Analysis, KeyMaterial
    from monitor.config import Source
    from monitor.documents.protocol import Document, DocumentPart
    from monitor.key_material import Key
    from trust_store.model.claim import Claim, Proposal
    from trust_store.model.identifiers import Identifier
    from trust_store.model.vendor import Vendor

KEY_MATERIAL = "key_material"
"""What a claim is called that says nothing but: here is a key."""
MAX_KEY_FILES = 20
MAX_CLAIMS = 20
MAX_IDENTIFIERS = 64
"""Of one claim; with MAX_CLAIMS the most rows that one hostile post can cost."""
EXCERPT_CHARACTERS = 400


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
    """Everything one part says; a key block that does not decode is named, it spoils nothing else.

    The author's own words are heard on his authority, what he quotes on nobody's: staff may quote an impostor to ask about him.
    """
    authority = authority_of(part, source, vendor, landed=landed, forum=forum)
    own, quoted = own_words(part.text), quoted_words(part.text)
    said = _analysed(document, part, own)
    shown = _Shown(source.vendor_id, part.url or document.url or source.url)
    claims = _claims(document, part, said, shown, authority)
    if quoted.strip():
        repeated = _analysed(document, replace(part, opens=False), quoted)
        claims += _claims(document, replace(part, opens=False), repeated, shown, Authority.UNAUTHENTICATED)
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


def _analysed(document: Document, part: DocumentPart, words: str) -> Analysis:
    """One author's words as a thread of one post under the document's title: a post that only names keys belongs to its thread."""
    date = part.published.date() if part.published else None
    post = Post(author=part.author, role=None, date=date, text=words)
    return analyse(
        AnalysisInput(
            id=part.key, title=document.title, text="", posts=(post,), url=part.url or document.url, published=date
        )
    )


def _claims(
    document: Document, part: DocumentPart, said: Analysis, shown: _Shown, authority: Authority
) -> list[HeardClaim]:
    """The claims of one author's words, with the keys he shows; the title's claim only where the title is his."""
    keys: list[Key] = []
    first: int | None = None
    for material in said.key_material:
        found = shown.take(material, authority)
        keys += found
        first = material.start if found and first is None else first
    lent = identifiers_of(keys)
    claims = [
        _heard(claim, authority, lent)
        for claim in said.claims[:MAX_CLAIMS]
        if part.opens or not _of_title(claim, document, part)
    ]
    if keys and not claims:
        claims.append(posted(part.text, first or 0, keys, title=document.title, authority=authority))
    return claims


def _of_title(claim: Claim, document: Document, part: DocumentPart) -> bool:
    """Whether a claim is the title's: its places are then those in the title."""
    title = document.title
    return (
        (claim.start, claim.end) == (0, len(title))
        and title.startswith(claim.excerpt)
        and part.text[: len(title)] != title
    )


def _heard(claim: Claim, authority: Authority, lent: tuple[Identifier, ...]) -> HeardClaim:
    named = identifiers_named(claim.keys)
    return HeardClaim(
        kind=claim.kind.value,
        claim=claim,
        excerpt=claim.excerpt,
        authority=authority,
        identifiers=tuple(dict.fromkeys((*named, *lent)))[:MAX_IDENTIFIERS],
        start=claim.start,
        end=claim.end,
    )


def within_budget(heard: Iterable[HeardPart], room: int) -> tuple[tuple[HeardPart, ...], int]:
    """The same parts with at most ``room`` unauthenticated proposals among them, and how many were left out.

    Anybody can post thousands of keys; they stay findable as evidence, but do not bury what the vendor said among proposals.
    """
    kept: list[HeardPart] = []
    dropped = 0
    for part in heard:
        chosen: list[Proposal] = []
        for proposal in part.proposals:
            if proposal.authority.authenticated:
                chosen.append(proposal)
            elif room > 0:
                chosen.append(proposal)
                room -= 1
            else:
                dropped += 1
        kept.append(replace(part, proposals=tuple(chosen)))
    return tuple(kept), dropped


def posted(text: str, start: int, keys: Iterable[Key], *, title: str, authority: Authority) -> HeardClaim:
    """The claim of a part that shows keys and says nothing about them: what stands before them, or the title."""
    before = text[max(0, start - EXCERPT_CHARACTERS) : start].strip() or title
    return HeardClaim(KEY_MATERIAL, None, before, authority, identifiers_of(keys)[:MAX_IDENTIFIERS], start, start)


class _Shown:
    """The key blocks of one part: what is proposed of them, on the best word under which each was shown."""

    def __init__(self, vendor_id: str, reference: str) -> None:
        self._vendor_id, self._reference = vendor_id, reference
        self.proposals: dict[str, Proposal] = {}
        self.unreadable: list[str] = []

    def take(self, material: KeyMaterial, word: Authority) -> tuple[Key, ...]:
        """The keys in a block; none where it does not decode, which is noted."""
        try:
            keys = read_keys(material.data)
        except READ_ERRORS as error:
            self.unreadable.append(f"{material.kind}: {error}")
            return ()
        for proposal in proposals_of(keys, vendor_id=self._vendor_id, authority=word, reference=self._reference):
            if proposal.key_sha256 not in self.proposals and len(self.proposals) < MAX_KEYS:
                self.proposals[proposal.key_sha256] = proposal  # own words come first, so the better word stays
        return keys
