"""`rootwarden anchor import`: files and folders of keys become proposals, under what the file and the importer say."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.cli import main
from tests.trust_store.export_craft import CONTEXT, openpgp_anchor, write
from tests.trust_store.export_craft import anchor as valid_anchor
from tests.trust_store.key_files_craft import ISSUER, certificate, make_folder, npm_list, ssh_line, trusted_root
from tests.trust_store.openpgp_craft import CraftedKey
from tests.trust_store.store_setup import AT, PHONE, open_store, randomness, vendor
from trust_store import query
from trust_store.anchor_imports import import_keys
from trust_store.anchor_rules import WITHHELD, Reading, compare_reading, disclosed
from trust_store.cli import key_folders
from trust_store.decisions import MAX_IMPORT_BYTES, perform
from trust_store.decode.key_files import read_keys
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.exchange.exporting.registry import EXPORTERS
from trust_store.exchange.importing import proposals_in
from trust_store.model.trust_anchor import AnchorKind, AnchorState, SignerRule
from trust_store.verification.supplied import read_material, supplied_anchors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trust_store.model.trust_anchor import TrustAnchor

VENDOR = f'[vendor]\nid = "dten"\nname = "DTEN"\n[vendor.policy]\napprovals = 1\n[[vendor.contact]]\nname = "S"\nphone = "{PHONE}"\n'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind."""
    return make_folder(tmp_path_factory.mktemp("keys") / "of")


@pytest.fixture
def rootwarden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command against a configured store; gives exit code, standard output and standard error."""
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "vendors.d" / "dten.toml").write_text(VENDOR)
    (tmp_path / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{tmp_path}"\n[control]\nsocket = "{tmp_path}/none.sock"\n[approvers]\nann = {os.geteuid()}\n'
    )
    open_store(tmp_path).close()

    def go(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["--config", str(tmp_path / "rootwarden.toml"), *(str(a) for a in arguments)])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return go


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def anchors(folder: Path) -> tuple[TrustAnchor, ...]:
    """Every anchor of the store in ``folder``."""
    with closing(query.connect(folder / "rootwarden.db")) as connection:
        return query.anchors(connection, None, None)


def test_a_folder_of_every_kind_becomes_proposals(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """Keys of all kinds are pending, what is no key is told with its reason, and a second import proposes nothing."""
    code, out, _ = rootwarden("anchor", "import", keys, "--vendor", "dten", "--json")
    said = json.loads(out)
    assert (code, said["outcome"], said["vendor"]) == (0, "proposed", "dten")
    found = anchors(tmp_path)
    assert {a.state for a in found} == {AnchorState.PENDING}
    assert sorted(a.id for a in found) == sorted(said["anchors"])
    assert {a.kind for a in found} == set(AnchorKind) - {AnchorKind.OPENPGP, AnchorKind.SPKI}
    by_file = {f["file"].rsplit("/", 1)[1]: f for f in said["files"]}
    assert "private key" in by_file["rsa.key"]["skipped"]
    assert [k["outcome"] for k in by_file["aux-none.pem"]["keys"]] == ["skipped"]
    assert "password" in by_file["secret.p12"]["skipped"]
    again = json.loads(rootwarden("anchor", "import", keys, "--vendor", "dten", "--json")[1])
    assert {k["outcome"] for f in again["files"] for k in f["keys"]} == {"known", "skipped"}
    assert len(anchors(tmp_path)) == len(found)
    code, out, _ = rootwarden("anchor", "import", keys, "--vendor", "dten")
    assert (code, out.splitlines()[0].endswith("file(s) skipped"), "known" in out) == (0, True, True)
    assert rootwarden("anchor", "list")[0] == 0


def test_what_the_importer_states_is_proposed(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """--dedicated and --purpose stand in the proposal; a bare key has no signers below it and gets no rule."""
    assert (
        rootwarden(
            "anchor",
            "import",
            keys / "cert.pem",
            keys / "spki.pem",
            "--vendor",
            "dten",
            "--dedicated",
            "--purpose",
            "firmware",
        )[0]
        == 0
    )
    found = {a.kind: a for a in anchors(tmp_path)}
    assert (found[AnchorKind.X509].signer_rule, found[AnchorKind.RAW].signer_rule) == (
        SignerRule(dedicated=True),
        SignerRule(),
    )
    assert {a.constraints.purposes for a in found.values()} == {("firmware",)}


def test_what_the_file_states_is_proposed(rootwarden: Any, tmp_path: Path) -> None:
    """A registry's expiry and a timestamp authority's purpose and window are limits of the proposals."""
    (tmp_path / "npm.json").write_text(json.dumps(npm_list()))
    (tmp_path / "root.json").write_text(json.dumps(trusted_root()))
    assert rootwarden("anchor", "import", tmp_path / "npm.json", tmp_path / "root.json", "--vendor", "dten")[0] == 0
    found = {a.kind: a.constraints for a in anchors(tmp_path)}
    assert found[AnchorKind.NPM].valid_until == datetime(2025, 1, 29, tzinfo=UTC)
    assert (found[AnchorKind.X509].purposes, found[AnchorKind.SIGSTORE_ROOT].purposes) == (("timestamp",), ("code",))


def test_a_notation_trust_store_says_what_its_folders_are_for(rootwarden: Any, tmp_path: Path) -> None:
    """x509/ca and x509/signingAuthority are for code, x509/tsa for timestamps; links to folders are not followed."""
    store = tmp_path / "truststore" / "x509"
    for kind in ("ca", "tsa", "signingAuthority"):
        (store / kind / "dten").mkdir(parents=True)
        (store / kind / "dten" / "root.crt").write_bytes(certificate(kind).public_bytes(Encoding.PEM))
    (store / "ca" / "loop").symlink_to(store)
    code, out, _ = rootwarden("anchor", "import", tmp_path / "truststore", "--vendor", "dten", "--json")
    assert (code, len(json.loads(out)["files"])) == (0, 3)
    assert {a.name: a.constraints.purposes for a in anchors(tmp_path)} == {
        "CN=ca": ("code",), "CN=tsa": ("timestamp",), "CN=signingAuthority": ("code",),
    }  # fmt: skip


def test_a_truststore_is_opened_with_its_password(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """--password-file opens a PKCS#12 file here; a wrong or missing password ends in 2 and proposes nothing."""
    (tmp_path / "pass").write_text("gehäuse\n")
    (tmp_path / "wrong").write_text("x")
    for options in ((), ("--password-file", tmp_path / "wrong"), ("--password-file", tmp_path / "none")):
        assert rootwarden("anchor", "import", keys / "secret.p12", *options, "--vendor", "dten")[0] == 2
    assert anchors(tmp_path) == ()
    code, out, _ = rootwarden(
        "anchor", "import", keys / "secret.p12", "--password-file", tmp_path / "pass", "--vendor", "dten", "--json"
    )
    assert (code, json.loads(out)["message"], len(anchors(tmp_path))) == (0, "1 key(s) proposed", 1)


def test_distrusted_keys_are_buried_only_on_demand(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """--distrust buries what a file calls distrusted or says nothing about, and never what the same file calls trusted."""
    bury = ("--vendor", "dten", "--distrust", "--reason", "stolen", "--json")
    said = json.loads(rootwarden("anchor", "import", keys / "aux-none.pem", keys / "one.p11-kit", *bury)[1])
    assert [k["outcome"] for f in said["files"] for k in f["keys"]] == ["distrusted", "skipped"]
    (tombstone,) = anchors(tmp_path)
    assert (tombstone.state, tombstone.cause) == (AnchorState.DISTRUSTED, "stolen")
    said = json.loads(rootwarden("anchor", "import", keys / "cert.pem", "--vendor", "dten", "--json")[1])
    assert [a.previous for a in anchors(tmp_path) if a.state is AnchorState.PENDING] == [tombstone.id]
    for contradiction in ("--baseline", "--dedicated", "--purpose=code"):
        assert (
            rootwarden("anchor", "import", keys / "cert.pem", "--vendor", "dten", "--distrust", contradiction)[0] == 2
        )


def test_a_buried_key_is_not_buried_again(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """The same file a second time is known; a key proposed again since is buried again."""

    def told(*options: str) -> tuple[str, str]:
        out = rootwarden("anchor", "import", keys / "cert.pem", "--vendor", "dten", "--json", *options)[1]
        (key,) = json.loads(out)["files"][0]["keys"]
        return key["outcome"], key["anchor"]

    first, again = told("--distrust"), told("--distrust")
    assert (first[0], again) == ("distrusted", ("known", first[1]))
    assert [a.id for a in anchors(tmp_path)] == [first[1]]
    proposed = told()
    assert told("--distrust") == ("distrusted", proposed[1])
    assert told("--distrust")[0] == "known"
    assert {a.state for a in anchors(tmp_path)} == {AnchorState.DISTRUSTED}


def test_a_baseline_is_one_proposal_of_many_files(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """--baseline proposes certificates and other keys as one set with one digest; distrusted ones are no part of it."""
    files = [keys / n for n in ("cert.pem", "self.pem", "aux-none.pem", "ssh-rsa.pub", "minisign.pub", "secret.p12")]
    code, out, _ = rootwarden("anchor", "import", "--baseline", *files, "--vendor", "dten", "--dedicated", "--json")
    said = json.loads(out)
    assert (code, len(said["anchors"]), len(said["digest"])) == (2, 4, 64)
    assert {a.state for a in anchors(tmp_path)} == {AnchorState.PENDING}
    code, out, _ = rootwarden("anchor", "import", "--baseline", *files[:4], "--vendor", "dten", "--dedicated")
    assert (code, "digest" in out) == (0, True)


def test_files_that_cannot_be_read_are_told(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """A named file that holds no key makes the exit 2 though others were imported; pipes are not waited for; caps are told."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(MAX_IMPORT_BYTES + 1))
    for bad, reason in (
        ("pipe", "regular file"),
        ("large", f"larger than {MAX_IMPORT_BYTES}"),
        ("none", "cannot be read"),
    ):
        code, out, err = rootwarden("anchor", "import", tmp_path / bad, "--vendor", "dten")
        assert (code, out, reason in err) == (2, "", True)
    code, out, _ = rootwarden("anchor", "import", tmp_path / "pipe", keys / "cert.pem", "--vendor", "dten")
    assert (code, "pipe: skipped: is no regular file" in out, len(anchors(tmp_path))) == (2, True, 1)
    assert rootwarden("anchor", "import", keys / "cert.pem", "--vendor", "nobody")[0] == 2
    (tmp_path / "empty").mkdir()
    assert rootwarden("anchor", "import", tmp_path / "empty", "--vendor", "dten")[0] == 2


def test_folders_have_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More files or deeper folders than the caps end in a usage error, as does a folder that cannot be read."""
    deep = tmp_path / "/".join("d" * 1 for _ in range(12))
    deep.mkdir(parents=True)
    with pytest.raises(UsageError, match="deeper"):
        key_folders.key_paths([tmp_path])
    monkeypatch.setattr(key_folders, "MAX_FILES", 2)
    many = tmp_path / "many"
    many.mkdir()
    for name in "abc":
        (many / name).touch()
    with pytest.raises(UsageError, match="more than 2 files"):
        key_folders.key_paths([many])
    with pytest.raises(UsageError, match="more than 2 files"):
        key_folders.key_paths([many / name for name in "abc"])


def test_names_that_give_a_key_away_are_withheld(rootwarden: Any, keys: Path) -> None:
    """minisign's own comment holds the key number, so the import names the key without it."""
    said = json.loads(rootwarden("anchor", "import", keys / "minisign.pub", "--vendor", "dten", "--json")[1])
    assert [k["name"] for f in said["files"] for k in f["keys"]] == [WITHHELD]


def test_the_request_is_checked_like_every_other(store: sqlite3.Connection) -> None:
    """Over the control socket: no base64, no keys, too much and unknown arguments are usage errors; nothing is written."""

    def ask(**arguments: object) -> dict[str, Any]:
        return perform(
            store,
            "anchor.import",
            {"vendor": "dten", **arguments},
            identity="ann",
            vendors=(vendor(),),
            at=AT,
            randomness=randomness,
        )

    line = base64.b64encode(ssh_line()).decode()
    for arguments in (
        {},
        {"data": "!"},
        {"data": "AAAA"},
        {"data": line, "password": "x"},
        {"data": line, "purposes": ["x"]},
        {"data": 7},
    ):
        with pytest.raises(UsageError):
            ask(**arguments)
    with pytest.raises(DecisionRefusedError):
        ask(vendor="nobody", data=line)
    assert query.anchors(store, None, None) == ()
    assert ask(data=line, name="k.pub")["keys"][0]["outcome"] == "proposed"


def test_an_import_is_all_or_nothing(store: sqlite3.Connection) -> None:
    """A key that cannot be recorded takes the whole file back."""
    good, bad = (proposals_in(ssh_line(), v, "file") for v in ("dten", "any"))
    with pytest.raises(Exception, match="one vendor"):
        import_keys(store, (*good, *bad), identity="ann", at=AT, randomness=randomness)
    assert query.anchors(store, None, None) == ()


def _anchor(data: bytes) -> TrustAnchor:
    """The first key of a file as an anchor that awaits decision."""
    from dataclasses import replace

    return replace(supplied_anchors(read_material(data, "file"), AT)[0], state=AnchorState.PENDING)


def test_readings_of_each_kind_identify_the_whole_key(keys: Path) -> None:
    """What a vendor reads out of each kind matches whole, and neither a part of it nor another key's does."""
    ssh, npm = _anchor((keys / "ssh-rsa.pub").read_bytes()), _anchor((keys / "npm.json").read_bytes())
    minisign = _anchor((keys / "minisign.pub").read_bytes())
    raw, root = _anchor((keys / "spki.pem").read_bytes()), _anchor((keys / "trusted_root.json").read_bytes())
    for anchor in (ssh, npm, minisign, raw, root):
        digest = hashlib.sha256(anchor.material).hexdigest()
        assert compare_reading(anchor, digest.upper()).reading is Reading.MATCH
        assert compare_reading(anchor, digest[:-1]).reading is Reading.INCOMPLETE
        assert compare_reading(anchor, "0" * 64).reading is Reading.MISMATCH
    for anchor in (ssh, npm):
        shown = "SHA256:" + base64.b64encode(hashlib.sha256(anchor.material).digest()).decode().rstrip("=")
        assert compare_reading(anchor, shown).reading is Reading.MATCH
        assert compare_reading(anchor, shown[:-2]).reading is not Reading.MATCH
        assert disclosed(anchor, f"the key {shown}") == WITHHELD
    assert compare_reading(minisign, (keys / "minisign.pub").read_text().splitlines()[1]).reading is Reading.MATCH


def test_a_sigstore_identity_is_read_out_as_its_two_parts() -> None:
    """Identity and issuer, both whole: half of it, another issuer or another identity is no match, and a text that holds it is withheld."""
    anchor = _anchor(json.dumps({"issuer": ISSUER, "identity": "ada@dten.example"}).encode())
    assert compare_reading(anchor, f" ada@dten.example  {ISSUER}\n").reading is Reading.MATCH
    for other in (f"eve@dten.example {ISSUER}", f"ada@dten.example {ISSUER}/", "ada@dten.example", ISSUER, ""):
        assert compare_reading(anchor, other).reading is not Reading.MATCH
    assert disclosed(anchor, "signed by ada@dten.example") == WITHHELD
    assert disclosed(anchor, anchor.name) == anchor.name


def test_supplied_keys_keep_what_their_file_says(keys: Path) -> None:
    """With one question: a TLS-only root stays one, a distrusted one is none, and every other kind is taken as it is."""
    (tls,) = supplied_anchors(read_material((keys / "aux-tls.pem").read_bytes(), "f"), AT)
    assert tls.constraints.purposes == ("tls",)
    with pytest.raises(UsageError, match="distrusted"):
        read_material((keys / "aux-none.pem").read_bytes(), "f")
    assert len(read_material((keys / "aux-tls.pem").read_bytes(), "f").candidates) == 1
    for name, kind in {
        "ssh-rsa.pub": "ssh",
        "npm.json": "npm",
        "identity.json": "sigstore_identity",
        "spki.der": "raw",
    }.items():
        material = read_material((keys / name).read_bytes(), "f")
        (anchor,) = supplied_anchors(material + material, AT)
        assert (anchor.kind, anchor.vendor_id, anchor.signer_rule.dedicated) == (kind, "any", True)
        assert "code" in anchor.constraints.purposes


def test_decided_keys_are_shown_as_their_own_tools_do(rootwarden: Any, keys: Path, tmp_path: Path) -> None:
    """After the decision show gives ssh-keygen's fingerprint, minisign's public key and the identity; before it, none of them."""
    shown = {"ssh-rsa.pub": "SHA256:", "minisign.pub": "RW", "identity.json": ISSUER}
    for name, text in shown.items():
        (anchor_id,) = json.loads(rootwarden("anchor", "import", keys / name, "--vendor", "dten", "--json")[1])[
            "anchors"
        ]
        anchor = next(a for a in anchors(tmp_path) if a.id == anchor_id)
        assert "public key" not in rootwarden("anchor", "show", anchor_id)[1]
        read = hashlib.sha256(anchor.material).hexdigest()
        call = ("--spoke-with", "Ada", "--called", PHONE, "--ticket", "T")
        code, _, err = rootwarden("anchor", "approve", anchor_id, "--fingerprint-read", read, *call)
        assert (code, err) == (0, "")
        assert text in rootwarden("anchor", "show", anchor_id)[1]


def test_a_large_bundle_is_imported_in_one_request(rootwarden: Any, tmp_path: Path) -> None:
    """More keys than a list of arguments holds come out of one file, every one of them."""
    line = b"\n".join(b"a " + ssh_line() for _ in range(300))
    (tmp_path / "many.pub").write_bytes(line)
    said = json.loads(rootwarden("anchor", "import", tmp_path / "many.pub", "--vendor", "dten", "--json")[1])
    assert (len(set(said["anchors"])), said["message"]) == (300, "300 key(s) proposed")


def test_what_was_exported_is_imported_again(keys: Path, tmp_path: Path) -> None:
    """Every export that another program reads gives back the very keys that went out."""
    certificates = [certificate(n).public_bytes(Encoding.DER) for n in ("one", "two")]
    signer, small = (
        read_keys((keys / "ssh-rsa.pub").read_bytes())[0],
        read_keys((keys / "minisign.pub").read_bytes())[0],
    )
    openpgp = CraftedKey(9)
    out = [valid_anchor(AnchorKind.X509, der, name=f"CN={n}") for n, der in enumerate(certificates)]
    out.append(valid_anchor(AnchorKind.SSH, signer.material, name="ada"))
    out.append(valid_anchor(AnchorKind.MINISIGN, small.material, name="m", identifiers=small.identifiers))
    out.append(openpgp_anchor(openpgp.certificate, read_keys(openpgp.certificate)[0].identifiers[0].value))
    seen = 0
    for exporter in EXPORTERS:
        if exporter.NAME == "json":
            continue
        chosen = [a for a in out if a.kind in exporter.KINDS]
        folder = write(exporter.export(chosen, CONTEXT), tmp_path / exporter.NAME)
        found = set()
        for path in key_folders.key_paths([folder]):
            with contextlib.suppress(UsageError):
                found |= {p.material for p in proposals_in(path.path.read_bytes(), "acme", "file")}
        assert found == {a.material for a in chosen}, exporter.NAME
        seen += bool(chosen)
    assert seen >= 8
