"""Classification and claims."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.analysis import analyse as module
from monitor.analysis.analyse import analyse
from monitor.analysis.classify import MAX_SENTENCES
from monitor.analysis.model import AnalysisInput, Label, Post
from monitor.analysis.rules import AGAINST, CUES, FOR
from monitor.analysis.sentences import MAX_SENTENCE_CHARACTERS, plain, sentences
from trust_store.model.claim import Authority, ClaimKey, ClaimKind

OLD, NEW = "1ee29744d09c9df5ac0737f7846311d3d259bff1", "f8c4d8bfb1f02cae3a8f9057c6f8ce9ffdb2ced2"
CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "analysis_cases.jsonl").read_text(encoding="utf-8").splitlines()
]


def document(
    text: str, *, title: str = "", posts: tuple[Post, ...] = (), authority: Authority = Authority.UNAUTHENTICATED
) -> AnalysisInput:
    """A document with what the test is about, published on a fixed day."""
    return AnalysisInput(id="d", title=title, text=text, posts=posts, published=date(2026, 12, 12), authority=authority)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40])
def test_every_known_sentence_keeps_its_label(case: dict[str, str]) -> None:
    """A kind of sentence that was understood once stays understood."""
    assert analyse(document(case["text"])).label.value == case["label"]


def test_an_announcement_becomes_a_claim_with_its_keys_dates_and_addresses() -> None:
    """The claim names old and new key, the day and where the new key is, and quotes the sentence from its place."""
    text = (
        "Hello all.\n\nOn 14 January 2027 the package signing key will be replaced.\n\n"
        f"Old key: {OLD}\n\nNew key: {NEW}, see https://pkg.example/release-key.asc\n"
    )
    answer = analyse(document(text, authority=Authority.VENDOR_SITE))
    assert answer.label is Label.ROTATION
    keys = {key for claim in answer.claims for key in claim.keys}
    assert keys == {ClaimKey("old", "openpgp", OLD), ClaimKey("new", "openpgp", NEW)}
    assert {day for claim in answer.claims for day in claim.effective_dates} == {"2027-01-14"}
    assert {url for claim in answer.claims for url in claim.urls} == {"https://pkg.example/release-key.asc"}
    assert answer.claims[0].excerpt == "On 14 January 2027 the package signing key will be replaced."
    assert all(
        claim.authority is Authority.VENDOR_SITE and text[claim.start : claim.end].strip()[:500] == claim.excerpt
        for claim in answer.claims
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The release signing key expired yesterday.", ClaimKind.EXPIRED),
        ("We have extended the expiration date of the repository key until 2029.", ClaimKind.EXTENDED),
        ("The code signing certificate was revoked today.", ClaimKind.REVOKED),
        ("We no longer trust the integrity of our package signing key.", ClaimKind.COMPROMISED),
        ("The package signing key has been rotated.", ClaimKind.ROTATED),
        ("Since 1 May 2026 our service uses a new root CA.", ClaimKind.NEW_ROOT_ADDED),
        ("We will stop trusting certificates issued by the Foobar root after 31 October 2026.", ClaimKind.DISTRUSTED),
    ],
)
def test_the_kind_says_what_happened(text: str, kind: ClaimKind) -> None:
    """Each kind of change is told from the others."""
    assert analyse(document(text)).claims[0].kind is kind


def test_a_host_key_is_its_own_kind_and_no_rotation() -> None:
    """A document whose only claim is a host key's change has label neither, or advisory with a vulnerability."""
    answer = analyse(
        document("We have rotated the RSA SSH host key of our git server. Remove the old one from known_hosts.")
    )
    assert answer.label is Label.NEITHER
    assert {claim.kind for claim in answer.claims} == {ClaimKind.HOST_KEY}


def test_advisory_and_both() -> None:
    """A vulnerability makes an advisory, a key change in it makes both; a CVE in passing makes neither."""
    advisory = "# Security advisory for Quill (CVE-2030-1234)\n\nAn attacker could run arbitrary code; fixed in 3.1.\n"
    assert analyse(document(advisory)).label is Label.ADVISORY
    both = analyse(document(advisory + "\nThe package signing key was compromised and has been replaced.\n"))
    assert (both.label, both.cves) == (Label.BOTH, ("CVE-2030-1234",))
    assert analyse(document("Quill 3.2\n\n* faster start\n* fixes CVE-2030-1234\n")).label is Label.NEITHER


def test_in_a_thread_each_claim_is_on_the_word_of_its_author() -> None:
    """A role given by the caller makes staff; a display name does not; quoted words are nobody's."""
    sentence = "The package signing key has been replaced."
    posts = (
        Post("Admin", None, None, sentence),
        Post("mia", "staff", date(2026, 12, 1), sentence),
        Post("mia", "staff", None, f"> {sentence}\n\nIs this true?"),
    )
    claims = analyse(document("", title="Question", posts=posts)).claims
    assert [(claim.author, claim.authority) for claim in claims] == [
        ("Admin", Authority.UNAUTHENTICATED),
        ("mia", Authority.STAFF),
        (None, Authority.UNAUTHENTICATED),
    ]


def test_a_post_that_only_names_keys_belongs_to_the_thread_about_them() -> None:
    """In a thread whose title announces a change, the fingerprints in a reply are part of it."""
    posts = (Post("ann", None, None, "What happened?"), Post("bob", None, None, f"It was {OLD}, today it is {NEW}."))
    claims = analyse(document("", title="Package signing key changed", posts=posts)).claims
    assert {key.value for claim in claims for key in claim.keys} == {OLD, NEW}


def test_text_beyond_the_cap_is_said_to_be_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not read is reported, never passed over in silence."""
    monkeypatch.setattr(module, "MAX_TEXT_CHARACTERS", 100)
    posts = (Post(None, None, None, "x" * 80), Post(None, None, None, "The signing key was replaced."))
    assert analyse(document("y" * 60, posts=posts)).truncated
    assert not analyse(document("y" * 100)).truncated


def test_only_so_many_different_sentences_are_judged() -> None:
    """A flood of different sentences ends at the cap and says so; repeated ones cost nothing."""
    assert not analyse(document("The key.\n\n" * (MAX_SENTENCES + 10))).truncated
    assert analyse(document("".join(f"The key {number}.\n\n" for number in range(MAX_SENTENCES + 10)))).truncated


def test_every_decision_can_be_explained() -> None:
    """The hits name rule, phrase, weight and reason, for and against."""
    hits = analyse(document("If the signing key expires, we will replace it.")).hits
    assert any(hit.weight < 0 and hit.why for hit in hits)
    assert any(hit.weight > 0 and hit.phrase for hit in hits)


def test_rules_are_named_once_and_point_the_right_way() -> None:
    """Names are unique; rules for and cues add, rules against subtract; each says why."""
    names = [rule.name for rule in FOR + AGAINST]
    assert len(names) == len(set(names))
    assert all(rule.weight > 0 and rule.why for rule in FOR + CUES)
    assert all(rule.weight < 0 and rule.why for rule in AGAINST)


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("The **signing** `key` [changed](https://x.example/a)", "the signing key changed"),
        ("<p>The signing&nbsp;key</p>", "the signing key"),
        ("s\u200bigning \u043aey", "signing \u043aey"),
        ("sign\u0456ng k\u0435y", "signing key"),
        (f"key {OLD.upper()} at https://x.example/k.asc", "key @fpr at @url"),
        ("RDS\\-CA \\(2019\\)", "rds-ca (2019)"),
    ],
)
def test_the_view_is_plain(text: str, view: str) -> None:
    """Markup, targets, escapes, invisible and look-alike characters are gone from what rules see."""
    assert plain(text) == view


def test_sentences_keep_their_places() -> None:
    """Offsets are those of the text as given, and no sentence is longer than the cap."""
    text = (
        "---\ntitle: New key\ndate: 2026-01-01\n---\n\nFirst key. Second key!\n* third key\n\n> quoted key\n"
        + "key " * 2000
    )
    found = list(sentences(text))
    assert [text[s.start : s.end].strip() for s in found[:5]] == [
        "title: New key",
        "First key.",
        "Second key!",
        "* third key",
        "> quoted key",
    ]
    assert [(s.item, s.quoted) for s in found[:5]] == [
        (True, False),
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]
    assert all(s.end - s.start <= MAX_SENTENCE_CHARACTERS for s in found)


WORDS = st.sampled_from(
    [
        "signing key",
        "rotated",
        OLD,
        "2026-01-01",
        "**",
        "<b>",
        "](",
        "> ",
        "\n",
        ". ",
        "\ud800",
        "\u200b",
        "new",
        "root CA",
        "https://k.example/a.asc",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=40))
def test_analysis_never_raises_and_keeps_places_inside(parts: list[str]) -> None:
    """Whatever the text, an answer comes, with places inside the text and short excerpts."""
    text = " ".join(parts)
    answer = analyse(AnalysisInput(id="x", title=text[:50], text=text, posts=(Post("a", "staff", None, text),)))
    assert all(
        0 <= claim.start <= claim.end <= max(len(text), 50) and len(claim.excerpt) <= 500 for claim in answer.claims
    )
