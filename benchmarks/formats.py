"""Every package format, as people check it: one process a package, and a warm batch, beside the native tool where there is one.

Ratios of wall times within one run. A native tool that keeps no batch is started once a package, as its users do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.checks import BIN, ENVIRONMENT
from benchmarks.measuring import Row, ratio
from tests.packages.table import Case, cases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 7
BATCH = 1000
NATIVE_RUNS = 5


def rows(folder: Path) -> list[Row]:
    """Two lines a format: a process against the native one, and one package of a batch of 1,000 against it."""
    found: list[Row] = []
    for case in _one_of_each():
        name = case.folder.name
        native = NATIVE.get(name)
        command = None if native is None else native(case, folder)
        if command is not None and shutil.which(command[0]) is None:
            raise SystemExit(f"{command[0]} is not installed: apt-get install the packages in .ci/system-packages")
        ours = _command(case)
        each = _batch(case)
        if command is None:
            found.append(Row(f"{name}: one of a batch of {BATCH} / a process of its own", each / _seconds(ours), 1.0))
            continue
        label = "ssh-keygen" if command[0] == "sh" else command[0]
        cold = ratio(lambda o=ours: _run(o), lambda c=command: _run(c), rounds=ROUNDS)  # type: ignore[misc]
        found.append(Row(f"{name}: one process / {label}", cold))
        theirs = min(_seconds(command) for _ in range(NATIVE_RUNS))
        found.append(Row(f"{name}: one of a batch of {BATCH} / {label}", each / theirs))
    return found


def _one_of_each() -> list[Case]:
    """Of each format, and of each kind of signature beside any file, the first package that passes."""
    found: dict[str, Case] = {}
    for case in cases():
        if case.values["outcome"] == "passed":
            found.setdefault(case.folder.name, case)
    return [found[name] for name in sorted(found)]


def _options(case: Case) -> list[str]:
    options = ["--only-anchors", "--at", str(case.values["at"])]
    for option, field in (
        ("--anchors", "anchors"),
        ("--untrusted", "untrusted"),
        ("--crl", "crls"),
        ("--signature", "signatures"),
    ):
        for path in case.paths(field):
            options += [option, str(path)]
    for option in ("certificate_identity", "certificate_oidc_issuer", "namespace"):
        if option in case.values:
            options += ["--" + option.replace("_", "-"), str(case.values[option])]
    return options


def _command(case: Case) -> list[str]:
    return [str(BIN / "rootwarden"), "check", "--json", *_options(case), str(case.file)]


def _batch(case: Case) -> float:
    """Seconds a package, of a batch of the same one; start-up included."""
    line = {"path": str(case.file), "only_anchors": True, "at": case.values["at"]}
    for field in ("anchors", "untrusted", "crls", "signatures"):
        if case.paths(field):
            line[field] = [str(path) for path in case.paths(field)]
    for field in ("certificate_identity", "certificate_oidc_issuer", "namespace"):
        if field in case.values:
            line[field] = case.values[field]
    questions = (json.dumps(line) + "\n").encode() * BATCH
    start = time.perf_counter()
    command = [str(BIN / "rootwarden"), "check", "--batch"]
    ended = subprocess.run(command, input=questions, capture_output=True, check=False, env=ENVIRONMENT)
    seconds = time.perf_counter() - start
    if ended.returncode != 0 or ended.stdout.count(b"\n") != BATCH:
        raise SystemExit(f"{case.id}: the batch ended with {ended.returncode}: {ended.stderr[-300:]!r}")
    return seconds / BATCH


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)
    if ended.returncode:
        raise SystemExit(f"{command} ended with {ended.returncode}: {ended.stderr[-300:]!r}")


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    _run(command)
    return time.perf_counter() - start


def _first(case: Case, field: str) -> str:
    return str(case.paths(field)[0])


def _side(case: Case) -> str:
    """The signature given, or the one beside the package."""
    if case.paths("signatures"):
        return _first(case, "signatures")
    return str(next(p for p in sorted(case.folder.iterdir()) if p.name.startswith(case.file.name + ".")))


def _rpm(case: Case, folder: Path) -> list[str]:
    database = f"--dbpath={folder / 'rpmdb'}"
    subprocess.run(["rpmkeys", database, "--import", _first(case, "anchors")], capture_output=True, check=False)
    return ["rpmkeys", database, "-K", str(case.file)]


def _rauc(case: Case, folder: Path) -> list[str]:
    config = folder / "rauc.conf"
    anchor = _first(case, "anchors")
    config.write_text(
        f"[system]\ncompatible=fixture\nbootloader=noop\n[keyring]\npath={anchor}\ncheck-purpose=codesign\n"
    )
    return ["rauc", f"--conf={config}", "info", str(case.file)]


NATIVE: dict[str, Callable[[Case, Path], list[str]]] = {
    "apk": lambda case, _: ["apksigner", "verify", str(case.file)],
    "cab": lambda case, _: ["osslsigncode", "verify", "-CAfile", _first(case, "anchors"), "-in", str(case.file)],
    "jar": lambda case, _: ["jarsigner", "-verify", str(case.file)],
    "mender": lambda case, _: ["mender-artifact", "validate", "-k", _first(case, "anchors"), str(case.file)],
    "minisign": lambda case, _: [
        "minisign",
        "-V",
        "-p",
        _first(case, "anchors"),
        "-x",
        _side(case),
        "-m",
        str(case.file),
    ],
    "msi": lambda case, _: ["osslsigncode", "verify", "-CAfile", _first(case, "anchors"), "-in", str(case.file)],
    "pe": lambda case, _: ["osslsigncode", "verify", "-CAfile", _first(case, "anchors"), "-in", str(case.file)],
    "rauc": _rauc,
    "rpm": _rpm,
    "signify": lambda case, _: [
        "signify-openbsd",
        "-V",
        "-p",
        _first(case, "anchors"),
        "-x",
        _side(case),
        "-m",
        str(case.file),
    ],
    "sshsig": lambda case, _: [
        "sh",
        "-c",
        'ssh-keygen -Y check-novalidate -n file -s "$1" < "$2"',
        "-",
        _side(case),
        str(case.file),
    ],
}

if __name__ == "__main__":
    sys.exit("run: python -m benchmarks formats")
