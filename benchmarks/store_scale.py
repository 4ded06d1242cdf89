"""Whether an answer costs the same in a large store as in a small one: look-ups and verdicts at 10^3 keys, at 10^5 keys and 10^6 facts."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from benchmarks.measuring import Row, least_ratio
from tests.trust_store.path_craft import authority, name
from tests.trust_store.store_craft import Step, facts_of, fill, pool
from tests.trust_store.store_setup import open_store, randomness, vendor
from trust_store import instance_key, query
from trust_store.decode.facts_json import facts_to_json
from trust_store.decode.x509 import load_certificate
from trust_store.formats.registry import READERS
from trust_store.model.identifiers import Identifier, IdentifierKind, format_time, new_id
from trust_store.model.package_facts import PackageFacts
from trust_store.model.trust_anchor import AnchorKind, AnchorState, SignerRule, TrustAnchor
from trust_store.model.verdict import ExpectedVendor, Outcome
from trust_store.storage import fact_signatures
from trust_store.storage.affected import by_anchors
from trust_store.storage.anchors import StoredAnchor, append_version, proposal_digest
from trust_store.storage.connection import transaction
from trust_store.storage.fact_signatures import text_digest
from trust_store.storage.facts import packages_with, record_sighting, save_facts
from trust_store.storage.head import database_of, known_store_id
from trust_store.stored_verdict import verify_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEYS = (1_000, 100_000)
FACTS = (1_000, 1_000_000)
LIMIT = 2.0
ROUNDS = 31
REPEAT = 20
TOMBSTONES = 100
"""One key in so many is buried."""
OPENPGP = 5
"""One key in so many is an OpenPGP key."""
_STATES = (AnchorState.VALID, AnchorState.VALID, AnchorState.SUPERSEDED, AnchorState.PENDING)
_KEY_IDENTIFIER = b"a key identifier yet"
_COMMON_NAME = b"Key no. 00000000"
_FILLER = """
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})
    INSERT INTO {table} SELECT {values} FROM numbers"""


def rows(folder: Path) -> list[Row]:
    """Build both stores and measure them."""
    with ExitStack() as stack:
        stores = []
        for keys, facts in zip(KEYS, FACTS, strict=True):
            place = folder / f"{keys}"
            place.mkdir()
            connection = stack.enter_context(closing(open_store(place)))
            connection.execute("PRAGMA cache_size = -400000")
            stores.append((connection, build(connection, keys, facts)))
        (small, few), (large, many) = stores
        found = []
        for what, question in _questions().items():
            measured = least_ratio(_times(question, large, many), _times(question, small, few), rounds=ROUNDS)
            found.append(Row(f"{what}: {KEYS[1]:,} keys, {FACTS[1]:,} facts / {KEYS[0]:,} keys", measured, LIMIT))
        return found


def build(connection: sqlite3.Connection, keys: int, facts: int) -> dict[str, str]:
    """A store of one vendor with so many keys, and so many packages seen; returns what to ask for."""
    ids = fill(
        connection, [Step("root_a", "dten", AnchorState.VALID, 0), Step("inner", "dten", AnchorState.PENDING, 1)]
    )
    made = authority(name(_COMMON_NAME.decode()), None, (x509.SubjectKeyIdentifier(_KEY_IDENTIFIER), False))
    with transaction(connection):
        for number in range(keys):
            anchor = _openpgp(number) if number % OPENPGP == 0 else _certificate(made.der, number)
            stored = StoredAnchor(anchor, 1, "benchmark", proposal_digest(anchor))
            append_version(connection, stored, kind=f"anchor.{anchor.state}", actor="benchmark", body={}, at=AT)
    package = facts_of("leaf", "leaf", "inner")
    with transaction(connection):
        save_facts(connection, package, origin="benchmark", at=AT, randomness=randomness)
        record_sighting(connection, package.sha256, "firmware.bin", "/in/firmware.bin", "dten", "benchmark", AT)
        _facts(connection, facts)
    verdict = verify_stored(connection, package.sha256, ExpectedVendor("dten", "stated"), (vendor(),), at=AT)
    if verdict.outcome is not Outcome.PASSED:
        raise SystemExit(f"the package that is measured does not pass: {verdict.summary}")
    return {"package": package.sha256, "root": ids[("root_a", "dten")]}


def _certificate(template: bytes, number: int) -> TrustAnchor:
    """A certificate like any other, its name and key patched: nobody verifies anything with it here."""
    certificate = load_certificate(template)
    key, told = certificate.spki[-32:], hashlib.sha256(b"%d" % number).digest()
    der = template.replace(_COMMON_NAME, b"Key no. %08d" % number).replace(key, told)
    der = der.replace(_KEY_IDENTIFIER, told[:20])
    parsed = load_certificate(der)
    return _anchor(number, AnchorKind.X509, parsed.subject, der, parsed.identifiers)


def _openpgp(number: int) -> TrustAnchor:
    fingerprint = hashlib.sha256(b"openpgp %d" % number).hexdigest()[:40]
    identifiers = (
        Identifier(IdentifierKind.OPENPGP, fingerprint),
        Identifier(IdentifierKind.KEY_ID, fingerprint[-16:]),
        Identifier(IdentifierKind.OPENPGP_SUBKEY, fingerprint[::-1]),
    )
    return _anchor(number, AnchorKind.OPENPGP, f"Key {number}", b"key " + fingerprint.encode(), identifiers)


def _anchor(
    number: int, kind: AnchorKind, called: str, material: bytes, identifiers: tuple[Identifier, ...]
) -> TrustAnchor:
    state = AnchorState.DISTRUSTED if number % TOMBSTONES == 1 else _STATES[number % len(_STATES)]
    return TrustAnchor(
        id=new_id("anchor", AT, hashlib.sha256(b"%d" % number).digest()[:10]),
        vendor_id="dten",
        kind=kind,
        name=called,
        key_sha256=hashlib.sha256(material).hexdigest(),
        material=material,
        state=state,
        recorded_at=AT - timedelta(days=1),
        effective_from=AT - timedelta(days=1),
        signer_rule=SignerRule(dedicated=True),
        identifiers=identifiers,
    )


def _facts(connection: sqlite3.Connection, count: int) -> None:
    """Packages seen, in bulk: the rows that ``save_facts`` and ``record_sighting`` write, all with one fact text."""
    now = format_time(AT)
    reader = READERS[0]
    text = facts_to_json(PackageFacts("00" * 32, 1, reader.name, reader.version))
    digest, key = "printf('%064x', n)", "printf('%064x', n / 3 + 1000000000)"
    signed = (
        f"printf('facts_%08d', n), {digest}, '', '{reader.name}', {reader.version}, '', 'bulk', '{text_digest(text)}', "
        f"'{now}', '{now}'"
    )
    connection.create_function("signature", len(fact_signatures.COVERED), _signer(connection))
    values = {
        "package": f"{digest}, 1, '{reader.NAME}', '{now}', '{now}'",
        f"fact_set ({fact_signatures.COLUMNS}, facts)": f"{signed}, signature({signed}), :text",
        "sighting": f"{digest}, printf('p%d.bin', n), printf('/in/p%d.bin', n), 'other', 'bulk', '{now}', '{now}', 1",
    }
    for table, said in values.items():
        given = {"text": text} if ":text" in said else {}
        connection.execute(_FILLER.format(count=count, table=table, values=said), given)
    for kind in ("issuer", "sha256", "spki_sha256"):
        said = f"'{kind}', {key}, 'package', {digest}"
        connection.execute(_FILLER.format(count=count, table="identifier", values=said))


def _signer(connection: sqlite3.Connection) -> Callable[..., str]:
    """Signs one row of facts as ``save_facts`` does."""
    key, store = instance_key.private_key(database_of(connection)), known_store_id(connection)
    return lambda *row: key.sign(fact_signatures.message(store, row))


def _by(identifier: Identifier) -> Callable[[sqlite3.Connection, dict[str, str]], object]:
    return lambda connection, _: query.anchors_with(connection, [identifier])


def _questions() -> dict[str, Callable[[sqlite3.Connection, dict[str, str]], object]]:
    root = pool()["root_a"].decoded
    fingerprint = hashlib.sha256(b"openpgp 5").hexdigest()[:40]
    openpgp = (
        Identifier(IdentifierKind.OPENPGP, fingerprint),
        Identifier(IdentifierKind.KEY_ID, fingerprint[-16:]),
        Identifier(IdentifierKind.OPENPGP_SUBKEY, fingerprint[::-1]),
        Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, hashlib.sha256(b"6").hexdigest()[:40]),
    )
    expected = ExpectedVendor("dten", "stated")
    facts = facts_of("leaf", "leaf", "inner")
    asked: dict[str, Callable[[sqlite3.Connection, dict[str, str]], object]] = {
        f"anchors by {i.kind}": _by(i) for i in (*root.identifiers, *openpgp)
    }
    some_key = Identifier(IdentifierKind.SHA256, f"{1_000_000_000 + 7:064x}")
    some_issuer = Identifier(IdentifierKind.ISSUER, f"{1_000_000_000 + 8:064x}")
    asked |= {
        "packages by the digest of a key": lambda c, _: packages_with(c, [some_key]),
        "packages by the name of an issuer": lambda c, _: packages_with(c, [some_issuer]),
        "view of what is trusted": lambda c, _: query.trust_view(c, "dten", facts, vendor(), at=AT),
        "candidate keys": lambda c, _: query.candidates(c, "dten"),
        "verdict from stored facts": lambda c, t: verify_stored(c, t["package"], expected, (vendor(),), at=AT),
        "verdict as known yesterday": lambda c, t: verify_stored(
            c, t["package"], expected, (vendor(),), at=AT, known_at=AT - timedelta(days=1)
        ),
        "packages that a root concerns": lambda c, t: by_anchors(c, [t["root"]]),
    }
    return asked


def _times(
    question: Callable[[sqlite3.Connection, dict[str, str]], object],
    connection: sqlite3.Connection,
    told: dict[str, str],
) -> Callable[[], None]:
    def run() -> None:
        for _ in range(REPEAT):
            question(connection, told)

    return run
