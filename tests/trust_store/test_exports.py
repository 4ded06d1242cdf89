"""Exports: what a format cannot hold is told, and hostile names harm no format."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.export_craft import AT, CONTEXT, anchor
from tests.trust_store.path_craft import CA, issue
from trust_store.decode.anchor_json import anchor_from_json, anchor_to_json
from trust_store.errors import MalformedError, UsageError
from trust_store.exchange.exporting import json_anchors, notation_trust, pem_bundle
from trust_store.exchange.exporting.protocol import losses, stated_limits
from trust_store.exchange.exporting.registry import EXPORTERS
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, Constraints, SignerRule

ROOT = issue("Acme Root", None, CA)
FULL = Constraints(
    ("p*",),
    ("zip",),
    ("code",),
    AT,
    AT,
    AT,
    1,
    (("dns", "a.example"),),
    (("dn", "O=B"),),
    3072,
    ("sha256",),
    "required",
)
LIMITS = sorted({f.name for f in dataclasses.fields(Constraints)} - {"purposes"})
MATERIAL = {
    AnchorKind.X509: ROOT.der,
    AnchorKind.SSH: b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32,
    AnchorKind.MINISIGN: b"Ed" + b"n" * 8 + b"k" * 32,
}


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda e: e.NAME)
@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_is_kept_or_told(exporter: Any, limit: str) -> None:
    """A limit that the format does not say it keeps is a loss, with the anchor and the value."""
    limited = anchor(AnchorKind.X509, ROOT.der, constraints=Constraints(**{limit: getattr(FULL, limit)}))
    lost = losses(exporter, [limited])
    assert [(loss.anchor_id, loss.limit) for loss in lost] == ([] if limit in exporter.KEEPS else [(limited.id, limit)])
    assert all(loss.value for loss in lost)


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda e: e.NAME)
def test_an_unlimited_anchor_loses_nothing(exporter: Any) -> None:
    """A dedicated root of one vendor can go anywhere; keys of two vendors in one heap lose whose they are, where it is one heap."""
    one = anchor(AnchorKind.X509, ROOT.der)
    assert losses(exporter, [one]) == ()
    other = dataclasses.replace(one, id="anchor_b", vendor_id="other")
    told = {loss.limit for loss in losses(exporter, [one, other])}
    assert told == (set() if "vendor" in exporter.KEEPS else {"vendor"})


def test_a_signer_rule_is_a_limit() -> None:
    """A root whose signers are named is not exported as one that vouches for all."""
    ruled = anchor(AnchorKind.X509, ROOT.der, signer_rule=SignerRule(subject=(("O", "Acme"),)))
    assert stated_limits(ruled)["signer_rule"] == "subject O=Acme"
    assert [loss.limit for loss in losses(pem_bundle, [ruled])] == ["signer_rule"]


def test_notation_says_the_rule_or_refuses() -> None:
    """An exact subject with C, ST and O becomes an identity; any other rule, mixed rules and two vendors are refused."""
    subject = (("C", "US"), ("ST", "WA, D"), ("O", "Acme"))
    ruled = anchor(AnchorKind.X509, ROOT.der, signer_rule=SignerRule(subject=subject))
    policy = json.loads(notation_trust.export([ruled], CONTEXT)[-1].content)
    assert policy["trustPolicies"][0]["trustedIdentities"] == ["x509.subject: C=US,ST=WA\\, D,O=Acme"]
    dedicated = anchor(AnchorKind.X509, ROOT.der, id="anchor_d")
    assert json.loads(notation_trust.export([dedicated], CONTEXT)[-1].content)["trustPolicies"][0][
        "trustedIdentities"
    ] == ["*"]
    short = dataclasses.replace(ruled, signer_rule=SignerRule(subject=(("O", "Acme"),)))
    pinned = dataclasses.replace(ruled, signer_rule=SignerRule(subject=subject, spki_sha256=("a" * 64,)))
    stranger = dataclasses.replace(dedicated, vendor_id="other")
    both = dataclasses.replace(ruled, signer_rule=dataclasses.replace(ruled.signer_rule, dedicated=True))
    assert notation_trust.identity(both) == notation_trust.identity(ruled)
    narrowed = dataclasses.replace(dedicated, signer_rule=SignerRule(dedicated=True, san=("a.example",)))
    for refused in ([short], [pinned], [narrowed], [ruled, dedicated], [dedicated, stranger]):
        with pytest.raises(UsageError):
            notation_trust.export(refused, CONTEXT)


@pytest.mark.parametrize("exporter", [e for e in EXPORTERS if e.KINDS & set(MATERIAL)], ids=lambda e: e.NAME)
@settings(max_examples=25, deadline=None)
@given(name=st.text(max_size=60), vendor=st.text(min_size=1, max_size=60))
def test_names_from_outside_stay_names(exporter: Any, name: str, vendor: str) -> None:
    """Whatever a key or vendor is called, files stay below the target and no line, block or option is added."""
    kind = next(k for k in MATERIAL if k in exporter.KINDS)
    files = exporter.export([anchor(kind, MATERIAL[kind], name=name, vendor_id=vendor)], CONTEXT)
    plain = exporter.export([anchor(kind, MATERIAL[kind])], CONTEXT)
    assert len(files) == len(plain)
    for file, other in zip(files, plain, strict=True):
        assert re.fullmatch(r"(?!.*(^|/)\.)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", file.path), file.path
        if exporter.NAME not in ("java-truststore", "json"):
            assert file.content.count(b"\n") == other.content.count(b"\n")
            assert file.content.count(b"-----BEGIN") == other.content.count(b"-----BEGIN")


def test_json_loses_nothing() -> None:
    """Every field of an anchor reads back."""
    full = anchor(
        AnchorKind.X509, ROOT.der, constraints=FULL, cause="x", previous="a", successor="b", follow_rotation=True,
        identifiers=(Identifier(IdentifierKind.SHA256, "ab"),),
        signer_rule=SignerRule(
            subject=(("O", "A"),), spki_sha256=("a",), san=(("dns", "x"),),
            issuer_spki_sha256=("b",), team_id=("T",), eku=("1.2",), policy=("1.3",),
        ),
    )  # fmt: skip
    said = json.loads(json_anchors.export([full], CONTEXT)[0].content)
    assert [anchor_from_json(a) for a in said["anchors"]] == [full]
    assert losses(json_anchors, [full]) == ()


@pytest.mark.parametrize("field", sorted(anchor_to_json(anchor(AnchorKind.X509, ROOT.der))))
@pytest.mark.parametrize("value", [None, 7, [], {}, "x", "A" * 10_000, True])
def test_a_strange_anchor_is_malformed_or_means_what_it_says(field: str, value: Any) -> None:
    """A field of another type, or one that is missing or new, is malformed; nothing else is raised."""
    said = anchor_to_json(anchor(AnchorKind.X509, ROOT.der))
    try:
        read = anchor_from_json({**said, field: value})
    except MalformedError:
        pass
    else:
        assert anchor_to_json(read)[field] == value
    with pytest.raises(MalformedError):
        anchor_from_json({k: v for k, v in said.items() if k != field})
    with pytest.raises(MalformedError):
        anchor_from_json({**said, "more": 1})
