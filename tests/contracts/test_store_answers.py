"""What the store makes of a package: whose it is, which anchors count for it, what was decided about them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.packages import CONTENT, Holder, Kit
from tests.trust_store.store_setup import PHONE, open_store, randomness
from trust_store import anchor_management
from trust_store.decisions import perform
from trust_store.decode.openpgp import load_keys
from trust_store.decode.x509 import load_certificate
from trust_store.model.claim import Authority, Proposal
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, SignerRule
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden

DEDICATED = SignerRule(dedicated=True)


class Store:
    """A store with two vendors, and decisions in it."""

    def __init__(self, folder: Path, rootwarden: Rootwarden) -> None:
        self.folder = folder
        self.vendor("dten")
        self.vendor("acme")
        (folder / "rootwarden.toml").write_text(f'[store]\ndirectory = "{folder}"\n')
        rootwarden.config = folder / "rootwarden.toml"
        open_store(folder).close()

    def vendor(self, name: str, policy: str = "") -> None:
        """Write a vendor's file."""
        (self.folder / "vendors.d").mkdir(exist_ok=True)
        (self.folder / f"vendors.d/{name}.toml").write_text(
            f'[vendor]\nid = "{name}"\nname = "{name}"\n[vendor.policy]\napprovals = 1\n{policy}'
            f'[vendor.packages]\npatterns = ["{name}-*"]\n[[vendor.contact]]\nname = "desk"\nphone = "{PHONE}"\n'
        )

    def propose(self, key: Holder | bytes, *, vendor: str = "dten", rule: SignerRule = DEDICATED) -> str:
        """A pending anchor."""
        if isinstance(key, bytes):
            (pgp,) = load_keys(key)
            proposal = Proposal(
                vendor, AnchorKind.OPENPGP, pgp.name, hashlib.sha256(pgp.data).hexdigest(), pgp.data,
                (Identifier(IdentifierKind.OPENPGP, pgp.fingerprint),), Authority.STAFF, "https://dten.example/key",
            )  # fmt: skip
        else:
            c = load_certificate(key.der)
            proposal = Proposal(
                vendor,
                AnchorKind.X509,
                c.subject,
                c.sha256,
                key.der,
                c.identifiers,
                Authority.STAFF,
                "https://dten.example/ca",
            )
        with closing(connect(self.folder / "rootwarden.db")) as connection:
            return anchor_management.propose(
                connection, proposal, signer_rule=rule, at=datetime.now(UTC), randomness=randomness
            )

    def decide(self, command: str, anchor: str, **arguments: Any) -> None:
        """A decision by ann."""
        if command in ("anchor.approve", "anchor.reject"):
            arguments |= {"spoke_with": "Ada", "called": PHONE, "ticket": "T-1"}
        vendors = load_trust_settings(self.folder / "rootwarden.toml").vendors
        with closing(connect(self.folder / "rootwarden.db")) as connection:
            perform(
                connection, command, {"anchor": anchor, **arguments}, identity="ann", vendors=vendors, at=datetime.now(UTC),
                randomness=randomness,
            )  # fmt: skip

    def trust(self, key: Holder | bytes, **options: Any) -> str:
        """A valid anchor."""
        anchor = self.propose(key, **options)
        read = load_keys(key)[0].fingerprint if isinstance(key, bytes) else hashlib.sha256(key.der).hexdigest()
        self.decide("anchor.approve", anchor, fingerprint_read=read)
        return anchor


@pytest.fixture
def store(tmp_path: Path, fast: Rootwarden) -> Store:
    """A store without anchors."""
    return Store(tmp_path, fast)


@pytest.fixture
def package(tmp_path: Path, kit: Kit) -> Path:
    """A file with a valid CMS signature beside it."""
    path = tmp_path / "dten-firmware.bin"
    path.write_bytes(CONTENT)
    path.with_name(path.name + ".p7s").write_bytes(kit.signer.cms(CONTENT))
    return path


def told(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, str]:
    """Exit code, outcome, reason."""
    return answer[0], answer[1]["outcome"], answer[1]["reason"]


def test_whose_package_it_is(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """An anchor counts for its own vendor; unstated is vendor_unstated at most; any is the opt-out and is shown."""
    anchor = store.trust(kit.root)
    code, verdict = fast.check("--vendor", "dten", package)
    assert told((code, verdict)) == (0, "passed", "trusted")
    assert verdict["vendor"] == {"id": "dten", "basis": "stated", "suggested": "dten"}
    assert verdict["basis"]["trust"] == "store"
    assert verdict["basis"]["store_id"]
    assert verdict["basis"]["store_revision"] >= 1
    assert verdict["signatures"][0]["anchor"]["id"] == anchor
    assert told(fast.check("--vendor", "acme", package)) == (3, "indeterminate", "unknown_root")
    code, verdict = fast.check(package)
    assert told((code, verdict)) == (3, "indeterminate", "vendor_unstated")
    assert verdict["vendor"] == {"id": None, "basis": "none", "suggested": "dten"}
    code, verdict = fast.check("--vendor", "any", package)
    assert told((code, verdict)) == (0, "passed", "trusted")
    assert verdict["vendor"]["basis"] == "any"
    assert "any" in fast.run("check", "--vendor", "any", package)[1]
    for name, near in (("dte", "dten"), ("DTEN", "dten"), ("acm", "acme")):
        code, out, err = fast.run("check", "--vendor", name, package)
        assert (code, out) == (2, "")
        assert near in err


def test_the_file_name_decides_nothing(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """A name that suggests a vendor neither states one nor changes the answer for another."""
    store.trust(kit.root)
    other = package.with_name("acme-firmware.bin")
    for suffix in ("", ".p7s"):
        other.with_name(other.name + suffix).write_bytes(package.with_name(package.name + suffix).read_bytes())
    code, verdict = fast.check("--vendor", "dten", other)
    assert code == 0
    assert verdict["vendor"]["suggested"] == "acme"
    assert told(fast.check(other)) == (3, "indeterminate", "vendor_unstated")


def test_states_of_an_anchor(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """Pending is unknown_root, valid passes, then revoked, and after another approval compromised; each from the next check on."""
    anchor = store.propose(kit.root)
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "unknown_root")
    store.decide("anchor.approve", anchor, fingerprint_read=hashlib.sha256(kit.root.der).hexdigest())
    assert told(fast.check("--vendor", "dten", package))[0] == 0
    store.decide("anchor.revoke", anchor, because="unspecified")
    assert told(fast.check("--vendor", "dten", package)) == (10, "failed", "revoked")


def test_compromised(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """A compromised root fails even if it is supplied as well, and a compromised signer under whatever anchor."""
    store.decide("anchor.compromise", store.trust(kit.root))
    assert told(fast.check("--vendor", "dten", package)) == (10, "failed", "compromised")
    assert told(fast.check("--vendor", "dten", "--anchors", kit.anchors, package)) == (10, "failed", "compromised")
    store.decide("anchor.compromise", store.trust(kit.signer))
    for anchor in (kit.root, kit.middle, kit.signer):
        assert told(fast.check("--vendor", "dten", "--anchors", anchor.pem, package))[0] == 10, anchor.name


def test_removed(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """A removed anchor is unknown again."""
    store.decide("anchor.remove", store.trust(kit.root), reason="not used")
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "unknown_root")


def test_disowned_is_for_every_vendor(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """A disowned signer's key fails for its vendor, for others, for any and for nobody in particular, under a good root."""
    store.trust(kit.root)
    store.trust(kit.root, vendor="acme")
    store.decide("anchor.reject", store.propose(kit.signer), because="disowned")
    for vendor in (("--vendor", "dten"), ("--vendor", "acme"), ("--vendor", "any"), ()):
        code, verdict = fast.check(*vendor, package)
        assert told((code, verdict)) == (10, "failed", "distrusted"), vendor


def test_a_known_root_is_not_a_known_signer(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """Under a shared root only the stated signer counts: anybody else is unexpected_signer."""
    store.trust(kit.root, rule=SignerRule(subject=(("CN", "Somebody else"),)))
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "unexpected_signer")


@pytest.mark.parametrize("by", ["subject", "pin"])
def test_the_stated_signer_passes(fast: Rootwarden, store: Store, kit: Kit, package: Path, by: str) -> None:
    """The signer with the stated subject or key passes under a shared root."""
    pin = load_certificate(kit.signer.der).spki_sha256
    rule = SignerRule(subject=(("CN", "DTEN signer"),)) if by == "subject" else SignerRule(spki_sha256=(pin,))
    store.trust(kit.root, rule=rule)
    assert told(fast.check("--vendor", "dten", package))[0] == 0


def test_an_anchor_for_another_product(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """An anchor approved for another product is out_of_scope."""
    anchor = store.propose(kit.root)
    store.decide("anchor.constrain", anchor, products=["camera-*"])
    store.decide("anchor.approve", anchor, fingerprint_read=hashlib.sha256(kit.root.der).hexdigest())
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "out_of_scope")


def test_supplied_anchors_beside_the_store(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """--anchors adds to the store for one check; the store knows nothing of it afterwards."""
    assert store.folder
    code, verdict = fast.check("--vendor", "dten", "--anchors", kit.anchors, package)
    assert told((code, verdict)) == (0, "passed", "trusted")
    assert verdict["basis"]["trust"] == "store+supplied"
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "unknown_root")
    sha256 = verdict["package"]["sha256"]
    assert fast.run("package", "show", sha256, "--vendor", "dten")[0] == 2


def test_two_signatures_where_policy_asks_for_two(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """required_signatures = 2 needs two keys: not one key twice, not a good one and a stranger."""
    store.vendor("dten", "required_signatures = 2\n")
    store.trust(kit.root)
    pgp = kit.gpg.export(kit.pgp)
    store.trust(pgp)
    ask = ("--vendor", "dten", package)
    assert told(fast.check(*ask))[:2] == (3, "indeterminate")
    beside = package.with_name(package.name + ".asc")
    beside.write_bytes(kit.gpg.sign(kit.pgp_stranger, "--armor", data=CONTENT))
    assert told(fast.check(*ask))[:2] == (3, "indeterminate")
    package.with_name(package.name + ".p7m").write_bytes(kit.signer.cms(CONTENT))
    assert told(fast.check(*ask))[:2] == (3, "indeterminate")
    beside.write_bytes(kit.detached(CONTENT))
    assert told(fast.check(*ask)) == (0, "passed", "trusted")
    again = package.with_name("given.p7s")
    again.write_bytes(kit.signer.cms(CONTENT))
    assert told(fast.check("--signature", again, *ask))[:2] == (3, "indeterminate")
    assert told(fast.check("--signature", again, "--signature", beside, *ask))[0] == 0


def test_openpgp_anchors(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """An OpenPGP key in the store passes for its vendor only; the stranger's is unknown."""
    package.with_name(package.name + ".p7s").unlink()
    package.with_name(package.name + ".asc").write_bytes(kit.detached(CONTENT))
    store.trust(kit.gpg.export(kit.pgp))
    assert told(fast.check("--vendor", "dten", package)) == (0, "passed", "trusted")
    assert told(fast.check("--vendor", "acme", package))[0] == 3
    package.with_name(package.name + ".asc").write_bytes(kit.gpg.sign(kit.pgp_stranger, "--armor", data=CONTENT))
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "unknown_root")


def test_a_store_that_was_tampered_with(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """An anchor written past the log, or a log with a changed or missing entry, is exit 4 for every question that needs the store."""
    store.trust(kit.root)
    database = store.folder / "rootwarden.db"
    whole = _dump(database)
    changes = [
        "DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)",
        "DELETE FROM audit_log WHERE seq = 1",
        "UPDATE audit_log SET actor = 'bob' WHERE seq = 2",
        "UPDATE anchor_version SET vendor_id = 'acme'",
        "UPDATE anchor_version SET material = x'3000'",
        "UPDATE anchor_version SET constraints = '{}'",
        "UPDATE anchor_version SET state = 'valid'",
        "DELETE FROM anchor_version",
        "DELETE FROM anchor_version WHERE version = (SELECT max(version) FROM anchor_version)",
        "UPDATE store_revision SET revision = revision + 1, audit_seq = 1",
        "UPDATE approval SET approver = 'bob'",
        "DELETE FROM approval",
    ]
    for change in changes:
        with closing(sqlite3.connect(database)) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(change)
        for ask in (("--vendor", "dten"), ("--vendor", "any"), ()):
            code, out, err = fast.run("check", *ask, package)
            assert (code, out) == (4, ""), (change, err)
            assert len(err.splitlines()) == 1
        assert fast.supplied(kit.anchors, package)[0] == 0
        _restore(database, whole)
    assert told(fast.check("--vendor", "dten", package))[0] == 0


def _rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def _dump(database: Path) -> bytes:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.read_bytes()


def _restore(database: Path, whole: bytes) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    database.write_bytes(whole)


def test_batch_with_a_store(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """Vendors are stated line by line; an unknown one is a bad request and the others are answered."""
    store.trust(kit.root)
    path = str(package)
    code, out, _ = fast.run(
        "check", "--batch",
        stdin=b"".join(
            json.dumps(line).encode() + b"\n"
            for line in (
                {"id": 1, "path": path, "vendor": "dten"}, {"id": 2, "path": path, "vendor": "acme"},
                {"id": 3, "path": path, "vendor": "nobody"}, {"id": 4, "path": path}, {"id": 5, "path": path, "vendor": "any"},
                {"id": 6, "path": path, "only_anchors": True}, {"id": 7, "path": path, "vendor": ""},
            )
        ),
    )  # fmt: skip
    answers = [json.loads(line) for line in out.splitlines()]
    assert [a["reason"] for a in answers] == [
        "trusted", "unknown_root", "bad_request", "vendor_unstated", "trusted", "unknown_root", "bad_request",
    ]  # fmt: skip
    assert code == 4


def test_another_time_in_the_store(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """--at is about that time as known now: what was decided since counts."""
    anchor = store.trust(kit.root)
    before = (datetime.now(UTC) - timedelta(days=5)).isoformat()
    assert told(fast.check("--vendor", "dten", "--at", before, package))[0] == 0
    store.decide("anchor.distrust", anchor, reason="not theirs")
    assert told(fast.check("--vendor", "dten", "--at", before, package)) == (10, "failed", "distrusted")


def test_supplied_anchors_need_no_vendor_but_lend_none(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """Beside a store, a supplied anchor passes without a vendor; a stored one under the same signature still does not."""
    store.trust(kit.gpg.export(kit.pgp))
    assert told(fast.check("--anchors", kit.anchors, package)) == (0, "passed", "trusted")
    package.with_name(package.name + ".p7s").unlink()
    package.with_name(package.name + ".asc").write_bytes(kit.detached(CONTENT))
    assert told(fast.check("--anchors", kit.anchors, package)) == (3, "indeterminate", "vendor_unstated")
