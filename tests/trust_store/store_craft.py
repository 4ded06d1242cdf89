"""Stores filled with anchors in any state, written as the program writes them but without asking anybody; and their brute-force view."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.trust_store.package_craft import read
from tests.trust_store.path_craft import Issued, authority, issue
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.store_setup import randomness
from tests.trust_store.verdict_craft import CONTENT, beside
from trust_store import query
from trust_store.decode.x509 import load_certificate
from trust_store.model.identifiers import new_id
from trust_store.model.trust_anchor import AnchorKind, AnchorState, SignerRule, TrustAnchor
from trust_store.model.trust_view import ANY_VENDOR, TrustView
from trust_store.storage import anchors as rows
from trust_store.storage import tombstones
from trust_store.storage.anchors import StoredAnchor, append_version, ensure_store_id, proposal_digest
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from trust_store.model.package_facts import PackageFacts

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
BURIED = (AnchorState.DISTRUSTED, AnchorState.COMPROMISED)


@dataclass(frozen=True)
class Step:
    """One version of the anchor on the certificate of that name in the pool."""

    name: str
    vendor: str
    state: AnchorState
    day: int

    @property
    def at(self) -> datetime:
        """When it is recorded."""
        return BEGIN + timedelta(days=self.day)


def _named(common: str, encoding: _ASN1Type, organisation: str | None = None) -> x509.Name:
    said = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*said, x509.NameAttribute(NameOID.COMMON_NAME, common, encoding)])


@cache
def pool() -> dict[str, Issued]:
    """Certificates that resemble each other: two encodings of one name, re-issued keys, new keys under old names, a cross-certificate."""
    written, shouted = _named("Root A", _ASN1Type.PrintableString), _named("ROOT  a", _ASN1Type.UTF8String)
    root_a = authority(written, private=private_key(1))
    root_b = authority(_named("Root B", _ASN1Type.UTF8String, "Vendor"), private=private_key(2))
    # The issuer's name stands in the certificates below in another encoding than in its own.
    respelt = authority(shouted, private=private_key(1))
    inner = authority("Inner", respelt, private=private_key(3))
    code = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
    return {
        "root_a": root_a,
        "root_a_respelt": respelt,
        "root_a_new_key": authority(written, private=private_key(4)),
        "root_b": root_b,
        "cross": authority(written, root_b, private=private_key(1)),
        "inner": inner,
        "inner_reissued": authority("Inner", root_b, private=private_key(3)),
        "inner_new_key": authority("Inner", root_a, private=private_key(5)),
        "leaf": issue("Signer", inner, code, private=private_key(6)),
        "leaf_of_a": issue("Signer", root_a, code, private=private_key(6)),
        "stranger": authority(_named("Stranger", _ASN1Type.UTF8String, "VENDOR"), private=private_key(7)),
    }


@cache
def facts_of(signer: str, *carried: str) -> PackageFacts:
    """A file with a CMS signature by one of the pool that carries others of it; without any it carries none at all."""
    made = pool()[signer]
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(made.certificate, made.key, hashes.SHA256())
    for name in carried:
        builder = builder.add_certificate(pool()[name].certificate)
    if not carried:
        options.append(pkcs7.PKCS7Options.NoCerts)
    return read(CONTENT, beside(builder.sign(Encoding.DER, options)))


def fill(connection: sqlite3.Connection, steps: Iterable[Step]) -> dict[tuple[str, str], str]:
    """Write the versions in the order of their days; (name, vendor) -> anchor id."""
    known: dict[tuple[str, str], StoredAnchor] = {}
    with transaction(connection):
        ensure_store_id(connection, at=BEGIN, randomness=randomness)
        for step in sorted(steps, key=lambda s: s.day):
            before = known.get((step.name, step.vendor))
            stored = _stored(step, before)
            append_version(
                connection, stored, kind=f"anchor.{step.state}", actor="test", body={}, at=step.at
            )  # fmt: skip
            known[(step.name, step.vendor)] = stored
    return {key: stored.anchor.id for key, stored in known.items()}


def _stored(step: Step, before: StoredAnchor | None) -> StoredAnchor:
    if before is not None:
        anchor = replace(before.anchor, state=step.state, recorded_at=step.at, effective_from=step.at)
        return replace(before, anchor=anchor, version=before.version + 1)
    der = pool()[step.name].der
    parsed = load_certificate(der)
    anchor = TrustAnchor(
        # The same certificate has the same id in every store, so that stores can be compared.
        id=new_id("anchor", BEGIN, hashlib.sha256(f"{step.name} {step.vendor}".encode()).digest()[:10]),
        vendor_id=step.vendor,
        kind=AnchorKind.X509,
        name=parsed.subject,
        key_sha256=parsed.sha256,
        material=der,
        state=step.state,
        recorded_at=step.at,
        effective_from=step.at,
        signer_rule=SignerRule(dedicated=True),
        identifiers=parsed.identifiers,
    )
    return StoredAnchor(anchor, 1, "test", proposal_digest(anchor))


def everything(connection: sqlite3.Connection, vendor_id: str | None) -> TrustView:
    """The view of all the vendor's anchors and everybody's tombstones, whatever the package: what is trusted, by definition."""
    stored = rows.of_every_vendor(connection)
    since = rows.valid_since(connection, (s.anchor.id for s in stored))
    chosen = sorted(
        (
            s
            for s in stored
            if (vendor_id in (ANY_VENDOR, s.anchor.vendor_id) or s.anchor.state in BURIED)
            and not _overruled(s, stored, vendor_id, since)
        ),
        key=lambda s: s.anchor.id,
    )
    overruled = [s for s in stored if s.anchor.state in BURIED and s not in chosen]
    # The newest first: where several of them end in nothing, it is the first one's missing issuer that is told.
    helping = sorted(
        [*(s for s in chosen if s.anchor.state is AnchorState.PENDING), *overruled],
        key=lambda s: (-s.anchor.recorded_at.timestamp(), s.anchor.id),
    )
    untrusted = tuple(load_certificate(s.anchor.material) for s in helping)
    return TrustView(anchors=tuple(s.anchor for s in chosen), untrusted=untrusted)


def _overruled(
    buried: StoredAnchor, stored: Iterable[StoredAnchor], vendor_id: str | None, since: dict[str, int]
) -> bool:
    return buried.anchor.state in tombstones.STATES and any(
        other.anchor.state is AnchorState.VALID
        and since[other.anchor.id] > buried.audit_seq
        and other.anchor.vendor_id in (buried.anchor.vendor_id, vendor_id)
        and query.same_key(other.anchor.identifiers, buried.anchor.identifiers)
        for other in stored
    )
