"""A prepared installation in which every example of the help and the manual can run: keys, packages, a store that daemon and people filled.

It is made once and put back before each example, always at the same place, since alerts and scripts name it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from monitor.cli import main
from tests.contracts import example_formats
from tests.contracts.packages import CONTENT, DAY, FILES, Holder, Kit, archive, bundle, issue
from tests.stories.installation import BIN, Installation, await_
from trust_store.cli import gate
from trust_store.settings import load_trust_settings
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import connect, transaction
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulator.vendor_site import VendorSite

PHONE = "+1 555 0100"
PACKAGE = "Full-upgrade-package-dten.zip"
UNKNOWN = "Full-upgrade-package-dten-5.zip"
TEXTS = {
    "announcement.md": "# New signing root\n\nWe rotated our code signing root certificate on 2026-10-01.\n",
    "notice.md": "Our release key was compromised; do not trust packages signed after 2026-09-01.\n",
    "thread.html": "<p>We rotated our code signing root certificate.</p>",
    "pass.txt": "changeit\n",
}
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def _vendor(site: VendorSite, policy: str = "") -> str:
    topic = site.open_topic(7, "Keys", posts=3) if not site.topics else next(iter(site.topics.values()))
    sources = "".join(
        f'[[source]]\nkind = "{kind}"\nname = "{name}"\nurl = "{url}"\nallow_loopback_http = true\n'
        for kind, name, url in (("feed", "news", site.feed_url), ("discourse", "forum", topic.url))
    )
    return (
        f'[vendor]\nid = "dten"\nname = "DTEN"\ndomains = ["127.0.0.1"]\n[vendor.packages]\npatterns = ["Full-*"]\n'
        f'[[vendor.contact]]\nname = "Product security desk"\nphone = "{PHONE}"\n{sources}'
        f"[vendor.policy]\napprovals = 1\n{policy}"
    )


@dataclass
class ExamplePlace:
    """``ids`` are what placeholders stand for, by the names that the table of cases uses."""

    kit: Kit
    site: VendorSite
    installed: Installation
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, kit: Kit, site: VendorSite) -> ExamplePlace:
        """Files, keys, a store that a daemon wrote to, and a copy of all of it to be put back."""
        installed = Installation(folder / "place", approvers={"me": os.geteuid()}, sidecar_wait_seconds=0.2)
        installed.one_person = True
        place = cls(kit, site, installed)
        new_root = issue(kit.folder, "new-root", ca=True)
        site.publish("New root", f"<p>We rotated our signing root.</p><pre>{new_root.pem.read_text()}</pre>")
        installed.configure()
        (place.folder / "vendors.d/dten.toml").write_text(_vendor(site))
        place.told("init")
        place.write_files(new_root)
        place.decide(new_root)
        place.watch()
        shutil.copytree(place.folder, place.pristine, symlinks=True)
        return place

    @property
    def folder(self) -> Path:
        """Where examples run."""
        return self.installed.folder

    @property
    def pristine(self) -> Path:
        """The copy that is put back."""
        return self.folder.with_name("pristine")

    def restore(self) -> None:
        """Everything as it was made."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.pristine, self.folder, symlinks=True)

    def write_files(self, new_root: Holder) -> None:
        """What the examples name: packages, keys, texts, questions."""
        kit, folder = self.kit, self.folder
        (folder / PACKAGE).write_bytes(bundle(kit.signer.cms))
        (folder / UNKNOWN).write_bytes(bundle(issue(kit.folder, "new-signer", new_root).cms))
        (folder / "firmware.bin").write_bytes(CONTENT)
        (folder / "firmware.bin.p7s").write_bytes(kit.signer.cms(CONTENT))
        (folder / "firmware.bin.asc").write_bytes(kit.detached(CONTENT))
        for name in ("firmware.zip", "upgrade.zip"):
            data = archive([*FILES.items(), ("name", name.encode())])
            (folder / name).write_bytes(data)
            (folder / f"{name}.p7s").write_bytes(kit.signer.cms(data))
        for name, text in TEXTS.items():
            (folder / name).write_text(text)
        other = issue(kit.folder, "imported-root", ca=True)
        for name, holder in (
            ("root", kit.root), ("vendor-root", other), ("roots", other), ("signer", issue(kit.folder, "direct", kit.root)),
            ("chain", kit.middle), ("ca", kit.middle),
        ):  # fmt: skip
            (folder / f"{name}.pem").write_bytes(holder.pem.read_bytes())
        (folder / "cross-certificate.pem").write_bytes(self.cross_certificate())
        (folder / "dten.asc").write_bytes(kit.pgp_anchors.read_bytes())
        for name in ("keyring.gpg", "stolen-key.asc"):
            (folder / name).write_bytes(kit.pgp_stranger_anchors.read_bytes())
        store = folder / "home/.config/notation/truststore/x509/ca/dten"
        store.mkdir(parents=True)
        (store / "root.crt").write_bytes(other.pem.read_bytes())
        subprocess.run(
            ["openssl", "pkcs12", "-export", "-nokeys", "-in", other.pem, "-passout", "pass:changeit", "-out", "truststore.p12"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        self.write_web()
        self.write_questions()

    def write_web(self) -> None:
        """A server's certificate under ``chain.pem``; ``roots.pem`` above it."""
        kit = self.kit
        title = x509.Name([])
        key = kit.signer.key.public_key()
        www = (
            x509.CertificateBuilder()
            .subject_name(title)
            .issuer_name(kit.middle.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - DAY)
            .not_valid_after(datetime.now(UTC) + 30 * DAY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("www.example.org")]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(kit.middle.key.public_key()), critical=False
            )
            .sign(kit.middle.key, hashes.SHA256())
        )
        Holder(kit.folder, "www", www, kit.signer.key)
        (self.folder / "www.pem").write_bytes((kit.folder / "www.pem").read_bytes())
        with (self.folder / "roots.pem").open("ab") as stream:
            stream.write(kit.root.pem.read_bytes())
        for name, holder in (("root", kit.root), ("ca", kit.middle)):
            (self.folder / f"{name}.crl").write_bytes(_empty_list(holder))

    def cross_certificate(self) -> bytes:
        """What the old root says of the new CA's name and key."""
        self.successor = issue(self.kit.folder, "successor", ca=True)
        crossed = issue(
            self.kit.folder, "crossed", self.kit.root, ca=True, key=self.successor.key, subject="DTEN successor"
        )
        return crossed.pem.read_bytes()

    def write_questions(self) -> None:
        """The batches."""
        pems = {name: (self.folder / f"{name}.pem").read_text() for name in ("signer", "chain", "root")}
        question = {
            "id": 1, "leaf": pems["signer"], "intermediates": [pems["chain"]], "anchors": [pems["root"]],
            "purpose": "code-signing",
        }  # fmt: skip
        document = {"id": 1, "title": "New root", "text": TEXTS["announcement.md"]}
        request = {"id": 1, "path": PACKAGE, "vendor": "dten"}
        for name, line in (("questions", question), ("documents", document), ("requests", request)):
            (self.folder / f"{name}.jsonl").write_text(json.dumps(line) + "\n")

    def decide(self, new_root: Holder) -> None:
        """Keys that are valid, keys that wait, a baseline, a block; ``pending`` is what the vendor's feed announced."""
        for name, holder, rules in (
            ("valid", self.kit.root, ("--dedicated",)),
            ("successor", self.successor, ("--dedicated",)),
            ("tsa", issue(self.kit.folder, "tsa", ca=True), ("--dedicated", "--purpose", "timestamp")),
        ):
            found = self.told("anchor", "import", str(holder.pem), "--vendor", "dten", *rules, "--json")
            self.ids[name] = str(re.findall(r"anchor_\w+", found)[0])
            self.approve(self.ids[name], _sha256(holder))
        found = self.told("anchor", "import", "dten.asc", "--vendor", "dten", "--json")
        self.ids["openpgp"] = str(re.findall(r"anchor_\w+", found)[0])
        self.approve(self.ids["openpgp"], self.kit.pgp)
        self.told("poll")
        found = self.told("anchor", "list", "--state", "pending", "--json")
        self.ids["pending"] = str(re.findall(r"anchor_\w+", found)[0])
        self.ids |= {"fingerprint": _sha256(new_root), "root": _sha256(self.kit.root)}
        day_one = issue(self.kit.folder, "day-one", ca=True)
        found = self.told(
            "anchor", "import", "--baseline", str(day_one.pem), "--vendor", "dten", "--dedicated", "--json"
        )
        self.ids["baseline"] = str(re.findall(r"baseline_\w+", found)[0])
        shown = self.told("baseline", "show", self.ids["baseline"], "--json")
        self.ids["digest"] = str(json.loads(shown)["digest"])
        found = self.told("package", "block", "ab" * 32, "--vendor", "dten", "--reason", "test", "--json")
        self.ids["decision"] = str(re.findall(r"decision_\w+", found)[0])

    def approve(self, anchor: str, fingerprint: str) -> None:
        """An approval after a call."""
        self.told(
            "anchor", "approve", anchor, "--fingerprint-read", fingerprint, "--spoke-with", "Ada", "--called", PHONE,
            "--ticket", "SEC-1",
        )  # fmt: skip

    def watch(self) -> None:
        """A daemon sees both packages: one passes, about the other there is an alert with a script."""
        self.installed.start()
        try:
            for name in (PACKAGE, UNKNOWN):
                self.installed.drop(self.folder / name, "dten")
            found = await_("the alert", lambda: [a for a in self.installed.alerts() if a["kind"] == "verdict"])
            self.ids["alert"] = str(found[0]["id"])
            self.ids["package"] = _digest(self.folder / PACKAGE)
            await_("the other verdict", self._seen)
        finally:
            self.installed.stop()
        (self.folder / "instance.pub").write_bytes((self.folder / "state/instance.pub").read_bytes())

    def _seen(self) -> bool:
        return self.installed.run("package", "show", self.ids["package"], "--vendor", "dten").returncode == 0

    def told(self, *arguments: str) -> str:
        """Output of a command that must succeed, run in this process."""
        before = os.getcwd()  # noqa: PTH109 - what chdir wants back
        os.chdir(self.folder)
        try:
            code, out, err = run_here(["--config", str(self.installed.config), *arguments])
        finally:
            os.chdir(before)
        assert code == 0, f"{' '.join(arguments)}: exit {code}\n{out}{err}"
        return out

    # What some examples need beyond the rest: by name in the table of cases.

    def record(self, *, vendors: bool = True) -> None:
        """Record the configuration as it stands, as a starting daemon does."""
        settings = load_trust_settings(self.installed.config)
        now = datetime.now(UTC)
        with closing(connect(self.folder / "state/rootwarden.db")) as connection, transaction(connection):
            if vendors:
                record_vendors(connection, settings.vendors, now, os.urandom)
            else:
                record_approvers(connection, settings.approvers.by_identity, now)

    def weaker_policy(self) -> None:
        """The vendor's file lets time stand for a call, and nobody has approved that yet."""
        policy = 'call = "or_hold_down"\nhold_down_days = 14\n'
        (self.folder / "vendors.d/dten.toml").write_text(_vendor(self.site, policy))
        self.record()

    def hold_down(self) -> None:
        """The same, approved."""
        self.weaker_policy()
        self.told("anchor", "approve-policy", "dten")

    def new_approver(self) -> None:
        """[approvers] names somebody more."""
        text = self.installed.config.read_text()
        self.installed.config.write_text(text.replace("[approvers]\n", '[approvers]\ndora = "uid:61009"\n'))
        self.record(vendors=False)

    def lost_key(self) -> None:
        """The private instance key is gone."""
        (self.folder / "state/instance.key").unlink()

    def older_store(self) -> None:
        """This user saw a decision that the store does not hold: a backup was put back."""
        kept = self.folder / "backup"
        shutil.copytree(self.folder / "state", kept)
        self.told("anchor", "revoke", self.ids["successor"])
        shutil.rmtree(self.folder / "state")
        kept.rename(self.folder / "state")
        with closing(connect(self.folder / "state/rootwarden.db")) as connection:
            self.ids["revision"] = str(connection.execute("SELECT max(revision) FROM store_revision").fetchone()[0])

    def kept_checkpoints(self) -> None:
        """Lines that were kept outside."""
        line = self.told("audit", "checkpoint")
        (self.folder / "elsewhere").mkdir()
        for name in ("elsewhere/checkpoints", "kept-journal.txt"):
            (self.folder / name).write_text(line)

    def mounted(self) -> None:
        """The place where checkpoints are kept is there."""
        (self.folder / "elsewhere").mkdir()

    def roots_own(self) -> None:
        """The configuration counts as root's alone, which nothing below /tmp is; tests of the gate itself do not pretend."""
        mock.patch.object(gate, "require_root_owned").start()

    def sealed(self) -> None:
        """A bundle was fetched."""
        self.told("bundle", "create", "--out", "trust.bundle")


def run_here(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command, run in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    code: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as stopped:
            code = stopped.code
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return int(code), texts[0], texts[1]


def run_example(place: ExamplePlace, text: str, answers: str) -> tuple[int, str, str]:
    """Exit code and output of an example: by a shell where it uses one, else in this process."""
    plain = _QUOTED.sub("", text.replace("\\\n", " "))
    if answers or not plain.startswith("rootwarden ") or set(plain) & set("|<>;&$*`"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text], input=answers, capture_output=True, text=True, cwd=place.folder, check=False,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr
    return run_here(shlex.split(text.replace("\\\n", " "), comments=True)[1:])


def _empty_list(holder: Holder) -> bytes:
    """A revocation list of a CA that has revoked nothing."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(holder.certificate.subject)
    builder = builder.last_update(now - DAY).next_update(now + 30 * DAY)
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(holder.key.public_key())
    builder = builder.add_extension(x509.CRLNumber(1), critical=False).add_extension(known, critical=False)
    return builder.sign(holder.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _sha256(holder: Holder) -> str:
    return holder.certificate.fingerprint(hashes.SHA256()).hex()


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


PREPARATIONS: dict[str, Callable[[ExamplePlace], None]] = {
    function.__name__: function
    for function in (
        ExamplePlace.weaker_policy, ExamplePlace.hold_down, ExamplePlace.new_approver, ExamplePlace.lost_key,
        ExamplePlace.older_store, ExamplePlace.kept_checkpoints, ExamplePlace.mounted, ExamplePlace.sealed,
        ExamplePlace.roots_own, example_formats.minisigned_list, example_formats.sigstore_bundle,
        example_formats.android_package, example_formats.held_product,
    )
}  # fmt: skip
"""Name in the table of cases -> what is done before the example runs."""
