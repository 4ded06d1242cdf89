"""GnuPG in a private home, and the few steps from a signature file to a judgement, for the OpenPGP tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from trust_store.chain.openpgp import OpenPGPJudgement, judge
from trust_store.decode.openpgp import load_keys
from trust_store.model.package_facts import KeyCheck, SideFile, SignatureFact, SignatureOrigin
from trust_store.signatures.openpgp import SCHEME
from trust_store.signatures.protocol import CandidateKey

NOW = datetime(2024, 6, 1, tzinfo=UTC)
DOCUMENT = b"Full-upgrade-package-dten\nline two\r\nend \n"


class Gpg:
    """One GnuPG home directory; every key and signature in it is made at a stated (faked) time."""

    def __init__(self) -> None:
        # The agent's socket path must stay short, so not under pytest's own temporary directory.
        self.home = Path(tempfile.mkdtemp(prefix="rwgpg"))

    def __enter__(self) -> Gpg:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *arguments: str, at: str | None = None, data: bytes = b"", check: bool = True) -> bytes:
        """Run gpg in batch mode; ``at`` is YYYYMMDDThhmmss, frozen."""
        time = ["--faked-system-time", f"{at}!"] if at else []
        command = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--yes", "--pinentry-mode", "loopback"]
        done = subprocess.run(
            [*command, "--passphrase", "", *time, *arguments],
            input=data,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout if check else done.stdout + done.stderr

    def make_key(
        self, name: str, algorithm: str, usage: str = "sign", expire: str = "never", at: str = "20240101T000000"
    ) -> str:
        """Make a key, return its fingerprint in upper-case hex."""
        self.run("--quick-gen-key", name, algorithm, usage, expire, at=at)
        listing = self.run("--with-colons", "--list-keys", f"={name}").decode()
        return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))

    def export(self, fingerprint: str, *, armor: bool = False) -> bytes:
        return self.run(*(["--armor"] if armor else []), "--export", fingerprint)

    def sign(self, fingerprint: str, *options: str, at: str = "20240201T000000", data: bytes = DOCUMENT) -> bytes:
        return self.run("--local-user", fingerprint, *options, "--detach-sign", at=at, data=data)

    def revoke(self, fingerprint: str, reason: int, at: str = "20240301T000000") -> bytes:
        """Revoke a key with gpg's menu reason 0 to 3 and return the revoked certificate."""
        self._edit(["--gen-revoke", fingerprint], f"y\n{reason}\n\ny\n", at)
        return self.export(fingerprint)

    def _edit(self, arguments: list[str], answers: str, at: str) -> None:
        output = self.home / "revocation.asc"
        command = [
            "gpg",
            "--homedir",
            str(self.home),
            "--no-tty",
            "--yes",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]
        subprocess.run(
            [*command, "--faked-system-time", f"{at}!", "--command-fd", "0", "--output", str(output), *arguments],
            input=answers.encode(),
            capture_output=True,
            check=True,
        )
        self.run("--import", str(output), at=at)

    def verdict(self, signature: bytes, at: str, data: bytes = DOCUMENT) -> set[str]:
        """The status words gpg gives when it verifies ``signature`` at ``at``."""
        place = self.home / "verify.sig"
        place.write_bytes(signature)
        status = self.run("--status-fd", "1", "--verify", str(place), "-", at=at, data=data, check=False).decode(
            errors="replace"
        )
        return {line.split()[1] for line in status.splitlines() if line.startswith("[GNUPG:]")}


def canonical_text(data: bytes) -> bytes:
    """Line ends as CR LF."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def facts(signature: bytes, data: bytes = DOCUMENT) -> tuple[SignatureFact, ...]:
    """What a format reader makes of a signature file and the signed bytes."""
    completed = []
    for pending in SCHEME.parse(signature, origin=SignatureOrigin.GIVEN, file=SideFile("a.sig", "00")):
        states = {}
        for request in pending.digests:
            states[request] = hashlib.new(request.algorithm, request.prefix)
            states[request].update(canonical_text(data) if request.text else data)
        completed.append(pending.complete(states))
    return tuple(completed)


def fact(signature: bytes, data: bytes = DOCUMENT) -> SignatureFact:
    """The only fact of a file with one signature."""
    (only,) = facts(signature, data)
    return only


def check(signature: bytes, key: bytes, data: bytes = DOCUMENT) -> KeyCheck | None:
    """What the scheme answers for one signature under one key."""
    return SCHEME.holds(fact(signature, data), CandidateKey("openpgp", key))


def judged(signature: bytes, key: bytes, at: datetime = NOW, data: bytes = DOCUMENT) -> OpenPGPJudgement:
    """The judgement on one signature under one key."""
    return judge(fact(signature, data), load_keys(key)[0], at)
