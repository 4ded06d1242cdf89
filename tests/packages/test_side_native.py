"""The tools that made the fixtures judge them as well: minisign, signify, ssh-keygen, openssl, GnuPG, Sequoia."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.table import Case, cases, verdict_of
from tests.trust_store.openpgp_tools import Gpg
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.native

STRICTER_FILE = "the tool reads the lines it needs and looks at nothing after them; one signature is one file here"
FOREIGN = "the tool does not ask what else the content is; a value made in another protocol counts for no file here"
NO_POLICY = "the tool judges no key size and no digest"
DIFFERENCES = {
    "minisign/lines_after": STRICTER_FILE,
    "minisign/digest_as_package": FOREIGN,
    "signify/digest_as_package": FOREIGN,
    "signify/jws_input_as_package": FOREIGN,
    "signify/sshsig_blob_as_package": FOREIGN,
    "signify/tls_handshake_as_package": FOREIGN,
    "sshsig/text_after": STRICTER_FILE,
    "sshsig/two_signatures": STRICTER_FILE,
    "sshsig/weak_rsa1024": NO_POLICY,
    "raw/weak": NO_POLICY,
    "raw/weak_rsa1024": NO_POLICY,
    "raw/md5": NO_POLICY,
    "raw/certificate_content_as_package": FOREIGN,
    "raw/tls_handshake_as_package": FOREIGN,
    "raw/jws_input_as_package": FOREIGN,
    "raw/dsse_input_as_package": FOREIGN,
    "raw/openpgp_input_as_package": FOREIGN,
    "cms_message/weak": NO_POLICY,
    "cms_message/weak_rsa1024": NO_POLICY,
    **{
        f"{form}/{weak}": NO_POLICY
        for form in ("openpgp_cleartext", "dsc", "checksum_list", "openpgp_message")
        for weak in ("weak", "weak_rsa1024")
    },
    "cms_message/appended": "openssl reads one structure and looks at nothing after it",
    "openpgp_cleartext/appended": "gpg verifies the signed part of a file; whoever reads the file sees the rest as well",
    "openpgp_cleartext/text_before": "gpg verifies the signed part of a file; whoever reads the file sees the rest as well",
    "dsc/appended": "gpg verifies the signed part of a file; whoever reads the file sees the rest as well",
    "dsc/duplicate_entries": "gpg does not read the text",
    "dsc/leads_elsewhere": "gpg does not read the text",
    "dsc/two_paragraphs": "gpg does not read the text",
    "checksum_list/appended": "gpg verifies the signed part of a file; whoever reads the file sees the rest as well",
    "checksum_list/duplicate_entries": "gpg does not read the text",
    "checksum_list/leads_elsewhere": "gpg does not read the text",
}
"""Where the tool's verdict is another one than ours, and why."""


def runs(*command: str | Path, data: bytes = b"") -> bool:
    """Whether the command succeeds."""
    done = subprocess.run([str(c) for c in command], input=data, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def signature_of(case: Case) -> Path | None:
    """The one signature of a case, given or found."""
    given = case.paths("signatures")
    if given:
        return given[0] if len(given) == 1 else None
    found = [case.file.with_name(case.file.name + suffix) for suffix in (".minisig", ".sig")]
    return next((path for path in found if path.exists()), None)


def minisign(case: Case, signature: Path, key: Path, place: Path) -> bool:
    """minisign -V."""
    del place
    return runs("minisign", "-V", "-q", "-m", case.file, "-x", signature, "-p", key)


def signify(case: Case, signature: Path, key: Path, place: Path) -> bool:
    """signify -V."""
    del place
    return runs("signify-openbsd", "-V", "-q", "-m", case.file, "-x", signature, "-p", key)


def ssh_keygen(case: Case, signature: Path, key: Path, place: Path) -> bool:
    """ssh-keygen -Y verify, with the key's line as the only one allowed."""
    line = key.read_text()
    allowed = place / "allowed"
    allowed.write_text(line if line.startswith("fixtures@vendor ") else f"fixtures@vendor {line}")
    at = "-Overify-time=20260601000000Z"
    namespace = case.values.get("namespace", "file")
    command = (
        "ssh-keygen",
        "-Y",
        "verify",
        at,
        "-f",
        allowed,
        "-I",
        "fixtures@vendor",
        "-n",
        namespace,
        "-s",
        signature,
    )
    return runs(*command, data=case.file.read_bytes())


def openssl(case: Case, signature: Path, key: Path, place: Path) -> bool:
    """openssl, under each digest and padding that a bare value may have."""
    data, value = case.file, place / "value"
    shutil.copy(signature, value)
    if b"BEGIN CERTIFICATE" in key.read_bytes():
        return False
    tries = [
        ("openssl", "dgst", f"-{digest}", "-verify", key, "-signature", value)
        for digest in ("md5", "sha1", "sha256", "sha384", "sha512")
    ]
    pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:auto")
    return (
        any(runs(*command, data) or runs(*command, *pss, data) for command in tries)
        or runs("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key, "-in", data, "-sigfile", value)
    )  # fmt: skip


TOOLS: dict[str, Callable[[Case, Path, Path, Path], bool]] = {
    "minisign": minisign,
    "signify": signify,
    "sshsig": ssh_keygen,
    "raw": openssl,
}
ENCODED = frozenset(
    f"raw/valid_{name}" for name in ("base64", "base64_lines", "hex", "hex_colons", "rsa_hex", "under_a_certificate")
)
"""openssl reads binary values under public keys alone."""
DETACHED = tuple(
    case for case in cases(*TOOLS) if len(case.paths("anchors")) == 1 and signature_of(case) and case.id not in ENCODED
)  # fmt: skip


@pytest.mark.parametrize("case", DETACHED, ids=lambda case: case.id)
def test_the_tool_says_the_same(case: Case, tmp_path: Path) -> None:
    """The scheme's own tool accepts exactly what passes here, but for the differences that are listed."""
    signature = signature_of(case)
    assert signature is not None
    ours = verdict_of(case).outcome is Outcome.PASSED
    theirs = TOOLS[case.folder.name](case, signature, case.paths("anchors")[0], tmp_path)
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))


TEXTS = tuple(
    case
    for case in cases("openpgp_cleartext", "dsc", "checksum_list", "openpgp_message")
    if case.paths("anchors") and not case.paths("signatures")
)


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case.id)
def test_gpg_says_the_same(case: Case) -> None:
    """GnuPG finds a good signature by the anchor's key in exactly what passes here, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    with Gpg() as gpg:
        for path in case.paths("anchors"):
            gpg.run("--import", data=path.read_bytes(), check=False)
        said = gpg.run(
            "--status-fd", "1", "--output", os.devnull, "--verify", str(case.file), at="20260601T000000", check=False
        )
    words = {line.split()[1] for line in said.decode("utf-8", "replace").splitlines() if line.startswith("[GNUPG:] ")}
    theirs = "GOODSIG" in words and not words & {"BADSIG", "EXPKEYSIG", "REVKEYSIG", "NODATA", "ERROR"}
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, sorted(words), DIFFERENCES.get(case.id))


MESSAGES = tuple(case for case in cases("cms_message") if case.file.suffix == ".p7m" and "crls" not in case.values)


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.id)
def test_openssl_cms_says_the_same(case: Case, tmp_path: Path) -> None:
    """``openssl cms -verify`` accepts exactly what passes here, but for the differences that are listed."""
    ours = verdict_of(case).outcome is Outcome.PASSED
    roots = tmp_path / "roots.pem"
    roots.write_bytes(b"".join(path.read_bytes() for path in case.paths("anchors")))
    form = "PEM" if case.file.read_bytes().startswith(b"-----") else "DER"
    at = "2556144000" if case.values["at"].startswith("2051") else "1780272000"
    command = (
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-purpose",
        "any",
        "-attime",
        at,
        "-inform",
        form,
        "-in",
        case.file,
    )
    theirs = roots.stat().st_size > 0 and runs(*command, "-CAfile", roots, "-out", os.devnull)
    assert (theirs == ours) == (case.id not in DIFFERENCES), (ours, theirs, DIFFERENCES.get(case.id))


def test_signify_checks_the_list(tmp_path: Path) -> None:
    """``signify -C`` accepts the package under the embedded list that passes it here."""
    (case,) = [c for c in cases("signed_lists") if c.values["name"] == "valid_signify_embedded"]
    shutil.copy(case.file, tmp_path / "package.bin")
    command = [
        "signify-openbsd",
        "-C",
        "-q",
        "-p",
        str(case.paths("anchors")[0]),
        "-x",
        str(case.paths("signatures")[0]),
        "package.bin",
    ]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    assert verdict_of(case).outcome is Outcome.PASSED


def test_sequoia_says_the_same_of_texts() -> None:
    """Sequoia verifies every cleartext message that passes here under a key that it knows, and none that was changed."""
    key = next(case.paths("anchors")[0] for case in TEXTS)
    for case in TEXTS:
        if (
            case.folder.name != "openpgp_cleartext"
            or case.paths("anchors") != (key,)
            or case.values["name"] not in ("valid", "valid_crlf", "tampered")
        ):
            continue
        said = runs("sq", "verify", "--signer-cert", key, case.file)
        assert said == (verdict_of(case).outcome is Outcome.PASSED), case.id


def test_every_difference_is_about_a_case() -> None:
    """No difference is listed for a case that is not there."""
    known = {case.id for case in (*DETACHED, *TEXTS, *MESSAGES)}
    assert DIFFERENCES.keys() <= known
