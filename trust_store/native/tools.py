"""``TOOLS`` is all the native verifiers that are asked: an explicit tuple, alphabetical, each only where it is installed.

Every one is asked about the arithmetic alone where it can be: whether the signature holds under the keys at hand, not whom to trust.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from trust_store.decode.x509 import to_pem
from trust_store.native.protocol import Asked, NativeTool, Opinion, Says
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from trust_store.native.running import Ended, Run

_OPENPGP, _CMS = "openpgp", "cms"


def _by_code(tool: str, ended: Ended, *, unable: Iterable[str] = ()) -> Opinion:
    """Exit 0 accepts; what took too long, died or says one of ``unable`` could not tell; anything else rejects."""
    if ended.code == 0:
        return Opinion(tool, Says.ACCEPTS, ended.last_words)
    cannot = ended.code is None or ended.code < 0 or any(text in ended.output for text in unable)
    return Opinion(tool, Says.UNABLE if cannot else Says.REJECTS, ended.last_words)


def _best(tool: str, opinions: list[Opinion]) -> Opinion:
    """Of one question with several keys: one under which it holds, else the first that rejects, else that none could tell."""
    for says in (Says.ACCEPTS, Says.REJECTS, Says.UNABLE):
        found = next((opinion for opinion in opinions if opinion.says is says), None)
        if found is not None:
            return found
    return Opinion(tool, Says.UNABLE, "no key for it is at hand")


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


@dataclass(frozen=True, slots=True)
class _Tool:
    """A native tool out of its parts."""

    NAME: str
    PROGRAM: str
    is_known: Callable[[Asked], bool]
    question: Callable[[Asked, Run], Opinion]

    def knows(self, asked: Asked) -> bool:
        """Whether the tool verifies such packages."""
        return self.is_known(asked)

    def ask(self, asked: Asked, run: Run) -> Opinion:
        """What it says."""
        return self.question(asked, run)


def _beside(scheme: str) -> Callable[[Asked], bool]:
    return lambda asked: scheme in asked.schemes and bool(asked.sides) and asked.format != "zip"


def _apksigner(asked: Asked, run: Run) -> Opinion:
    return _by_code("apksigner", run("apksigner", "verify", str(asked.package)))


def _jarsigner(asked: Asked, run: Run) -> Opinion:
    ended = run("jarsigner", "-verify", str(asked.package))
    if ended.code == 0 and "jar is unsigned" in ended.output:
        return Opinion("jarsigner", Says.UNABLE, "jar is unsigned")
    return _by_code("jarsigner", ended)


def _rpmkeys(asked: Asked, run: Run) -> Opinion:
    """With a database of its own that holds the OpenPGP keys at hand."""
    database = f"--dbpath={asked.scratch / 'rpmdb'}"
    for number, key in enumerate(asked.of_kind(_OPENPGP)):
        run("rpmkeys", database, "--import", _written(asked.scratch / f"key{number}.asc", _armoured(key)))
    return _by_code("rpmkeys", run("rpmkeys", database, "-Kv", str(asked.package)), unable=("NOKEY",))


def _armoured(key: bytes) -> bytes:
    """With the checksum that rpm insists on (RFC 4880 6.1)."""
    crc = 0xB704CE
    for octet in key:
        crc ^= octet << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    body, check = base64.encodebytes(key).decode(), base64.b64encode(crc.to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}={check}\n-----END PGP PUBLIC KEY BLOCK-----\n".encode()


def _gpgv(asked: Asked, run: Run) -> Opinion:
    keyring = _written(asked.scratch / "keyring.gpg", b"".join(asked.of_kind(_OPENPGP)))
    unable = ("No public key", "Can't check signature", "no valid OpenPGP data found")
    asks = (("gpgv", "--keyring", keyring, str(side), str(asked.package)) for side in asked.sides)
    return _best("gpgv", [_by_code("gpgv", run(*command), unable=unable) for command in asks])


def _openssl(asked: Asked, run: Run) -> Opinion:
    """``cms -verify -noverify``: the signature alone, with the certificates at hand beside those in the message."""
    certificates = _written(asked.scratch / "certificates.pem", to_pem(asked.of_kind("x509")))
    extra = ("-certfile", certificates) if asked.of_kind("x509") else ()
    found = []
    for side in asked.sides:
        form = "PEM" if side.read_bytes()[:10].startswith(b"-----BEGIN") else "DER"
        command = ("openssl", "cms", "-verify", "-noverify", "-binary", "-inform", form, "-in", str(side))
        ended = run(*command, "-content", str(asked.package), *extra, "-out", "/dev/null")
        found.append(_by_code("openssl", ended, unable=("signer certificate not found", "unable to load")))
    return _best("openssl", found)


def _osslsigncode(asked: Asked, run: Run) -> Opinion:
    """It judges chains as well; only what it says of the digests and of the signature itself is taken."""
    anchors = _written(asked.scratch / "anchors.pem", to_pem(asked.of_kind("x509")))
    ended = run("osslsigncode", "verify", "-CAfile", anchors, "-TSA-CAfile", anchors, "-in", str(asked.package))
    if ended.code == 0:
        return Opinion("osslsigncode", Says.ACCEPTS, ended.last_words)
    mismatch = "MISMATCH" in ended.output or "digest mismatch" in ended.output.lower()
    return Opinion("osslsigncode", Says.REJECTS if mismatch else Says.UNABLE, ended.last_words)


def _minisign(asked: Asked, run: Run) -> Opinion:
    found = []
    for side in asked.sides:
        for key in asked.of_kind("minisign"):
            text = base64.b64encode(key).decode()
            ended = run("minisign", "-V", "-P", text, "-x", str(side), "-m", str(asked.package))
            found.append(_by_code("minisign", ended, unable=("key id", "Error while loading")))
    return _best("minisign", found)


def _ssh_keygen(asked: Asked, run: Run) -> Opinion:
    """``check-novalidate``: the signature under the key that it carries."""
    found = []
    for side in asked.sides:
        command = ("ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", str(side))
        found.append(_by_code("ssh-keygen", run(*command, stdin=asked.package), unable=("namespace",)))
    return _best("ssh-keygen", found)


TOOLS: tuple[NativeTool, ...] = (
    _Tool("apksigner", "apksigner", lambda asked: asked.format == "apk", _apksigner),
    _Tool("gpgv", "gpgv", _beside(_OPENPGP), _gpgv),
    _Tool("jarsigner", "jarsigner", lambda asked: asked.format == "jar", _jarsigner),
    _Tool("minisign", "minisign", _beside("minisign"), _minisign),
    _Tool("openssl", "openssl", _beside(_CMS), _openssl),
    _Tool("osslsigncode", "osslsigncode", lambda asked: asked.format in ("pe", "msi", "cab"), _osslsigncode),
    _Tool("rpmkeys", "rpmkeys", lambda asked: asked.format == "rpm", _rpmkeys),
    _Tool("ssh-keygen", "ssh-keygen", _beside("sshsig"), _ssh_keygen),
)
