"""``SCHEMES`` is all the signature schemes there are: an explicit tuple of names and modules, imported one at a time.

A scheme whose signatures stand in files of their own recognises those; one that is part of a format never does.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, cast

from trust_store.errors import READ_ERRORS
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import (
    MAX_CANDIDATE_KEYS,
    MAX_KEPT_MESSAGE_BYTES,
    CandidateKey,
    DeterminedByKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.package_facts import KeyCheck, SignatureFact
    from trust_store.signatures.protocol import SignatureScheme


@dataclass(frozen=True, slots=True)
class Entry:
    """One scheme: its NAME, its module in ``signatures``, whether its signatures stand in files beside a package.

    ``bare``: they have no shape of their own there, so that it is asked about files that no other scheme knows. Such a file begins with
    one of ``begins`` (after blanks) or holds one of ``holds``; else the scheme is neither asked nor imported. Neither: it is asked always.
    """

    name: str
    module: str
    beside: bool = False
    bare: bool = False
    begins: tuple[bytes, ...] = ()
    holds: tuple[bytes, ...] = ()

    def may_be_of(self, data: bytes) -> bool:
        """Whether a file is to be shown to the scheme."""
        if not self.begins and not self.holds:
            return True
        return data[:HEAD_BYTES].lstrip(_BLANK).startswith(self.begins) or any(
            mark in data[:HEAD_BYTES] for mark in self.holds
        )

    def load(self) -> SignatureScheme:
        """The scheme itself: the one of that name in the module's SCHEMES, else its SCHEME."""
        module = import_module(f"trust_store.signatures.{self.module}")
        several = getattr(module, "SCHEMES", None)
        return cast("SignatureScheme", several[self.name] if several else module.SCHEME)


OPENPGP = "openpgp"
HEAD_BYTES = 65_536
_BLANK = b"\xef\xbb\xbf \t\r\n\v\f"
_DER, _JSON, _COSE, _COMMENT, _SSH = (b"0", b"-----BEGIN "), (b"{",), (b"\xd2",), (b"untrusted",), (b"-----BEGIN SSH",)
_PACKET = tuple(bytes((octet,)) for octet in range(0x80, 0x100))
"""How OpenPGP packets begin (RFC 9580 4.2)."""
SCHEMES: tuple[Entry, ...] = (
    Entry("alpine-apk", "alpine_apk"),
    Entry("android-ota", "android_ota"),
    Entry("android-payload", "android_payload"),
    Entry("android-payload-metadata", "android_payload"),
    Entry("apk-v1", "jar"),
    Entry("apk-v2", "apk"),
    Entry("apk-v3", "apk"),
    Entry("apk-v3.1", "apk"),
    Entry("apk-v4", "apk"),
    Entry("authenticode", "authenticode"),
    Entry("catalog", "authenticode", beside=True, begins=_DER),
    Entry("cms", "cms", beside=True, begins=_DER),
    Entry("cosign-bundle", "sigstore", beside=True, begins=_JSON),
    Entry("dsse", "dsse", beside=True, begins=_JSON),
    Entry("fit", "firmware_values"),
    Entry("jar", "jar"),
    Entry("mach-o", "macho"),
    Entry("mar", "firmware_values"),
    Entry("mender", "firmware_values"),
    Entry("minisign", "comment_signatures", beside=True, begins=_COMMENT),
    Entry("notation-cose", "notation", beside=True, begins=_COSE),
    Entry("notation-jws", "notation", beside=True, begins=_JSON),
    Entry("npm", "npm", beside=True, begins=_JSON),
    Entry("npm-attestation", "sigstore", beside=True, begins=_JSON),
    Entry("nuget-author", "nuget"),
    Entry("nuget-countersignature", "nuget"),
    Entry("nuget-repository", "nuget"),
    Entry("opc-xmldsig", "opc_xmldsig"),
    Entry(OPENPGP, "openpgp", beside=True, begins=_PACKET, holds=(b"-----BEGIN PGP",)),
    Entry("pypi-attestation", "sigstore", beside=True, begins=_JSON),
    Entry("raw", "raw", beside=True, bare=True),
    Entry("signify", "comment_signatures", beside=True, begins=_COMMENT),
    Entry("sigstore", "sigstore", beside=True, begins=_JSON),
    Entry("source-stamp", "apk"),
    Entry("sshsig", "sshsig", beside=True, begins=_SSH),
    Entry("swupdate", "firmware_values"),
    Entry("wheel-jws", "wheel_jws"),
    Entry("xar-cms", "xar"),
    Entry("xar-rsa", "xar"),
)
"""Alphabetical."""
MAX_KEYS_LOOKED_AT = 1024
MAX_CARRIED_CERTIFICATES = 8
"""That a signature is tried with: each may take milliseconds, and a file of a few kilobytes may hold dozens of both."""
_OVER_THE_PACKAGE = frozenset({"minisign", "raw", "signify"})
"""Schemes of which ``signed`` may be the whole package."""


def scheme_named(name: str) -> SignatureScheme | None:
    """The scheme of that name; None for a signature that nothing here reads."""
    return next((entry.load() for entry in SCHEMES if entry.name == name), None)


def recognising(data: bytes) -> tuple[SignatureScheme, ...]:
    """Every scheme that claims ``data``; more than one means that it is ambiguous."""
    return shaped(data) or _claiming(data, bare=True)


def shaped(data: bytes) -> tuple[SignatureScheme, ...]:
    """Those of them whose signatures have a shape of their own: a bare value may be anything."""
    return _claiming(data, bare=False)


def _claiming(data: bytes, *, bare: bool) -> tuple[SignatureScheme, ...]:
    schemes = (entry.load() for entry in SCHEMES if entry.beside and entry.bare is bare and entry.may_be_of(data))
    return tuple(scheme for scheme in schemes if scheme.recognises(data))


def without_long_message(fact: SignatureFact) -> SignatureFact:
    """``fact`` without the package or list that its value is over, where that is too long to be kept; its checks stay.

    Of an OpenPGP signature the digest is enough: the content was only for the second reader.
    """
    long = fact.scheme in _OVER_THE_PACKAGE and len(fact.signed) > MAX_KEPT_MESSAGE_BYTES
    return replace(fact, signed=b"") if long or (fact.scheme == OPENPGP and fact.signed) else fact


def with_candidates(
    fact: SignatureFact, candidates: Iterable[CandidateKey], *, carried_certificates: int = MAX_CARRIED_CERTIFICATES
) -> SignatureFact:
    """``fact`` with a check for each further key that it may be by.

    First the certificates (at most ``carried_certificates``) and keys it carries, then ``candidates`` in their order, until
    MAX_CANDIDATE_KEYS of either may have made it and were checked: keys that an attacker packs into a message take no place from those at
    hand. Checks made stay as they are.
    """
    scheme = scheme_named(fact.scheme) if fact.problem is None else None
    if scheme is None:
        return fact
    checks = {check.key: check for check in fact.key_checks}
    carried = [CandidateKey("x509", certificate) for certificate in likeliest(fact, carried_certificates)]
    carried += [CandidateKey(key.kind, key.material) for key in fact.keys]
    if isinstance(scheme, DeterminedByKey):
        candidates = tuple(candidates)
        fact = scheme.determined(fact, (*carried, *candidates))
    for keys in (carried, candidates):
        _try(scheme, fact, keys, checks)
    return replace(fact, key_checks=tuple(checks.values()))


def likeliest(fact: SignatureFact, most: int = MAX_CARRIED_CERTIFICATES) -> tuple[bytes, ...]:
    """The certificates that it carries, those first that the signature names: a message may be full of others, each of which takes time."""
    if len(fact.certificates) <= most:
        return fact.certificates
    from trust_store.decode.cms import certificate_names
    from trust_store.signatures.embedded import is_named

    def is_another(certificate: bytes) -> bool:
        try:
            return not is_named(fact.hint, certificate_names(certificate))
        except READ_ERRORS:
            return True

    return tuple(sorted(fact.certificates, key=is_another)[:most])


def _try(
    scheme: SignatureScheme, fact: SignatureFact, keys: Iterable[CandidateKey], checks: dict[str, KeyCheck]
) -> None:
    found = 0
    for key in islice(keys, MAX_KEYS_LOOKED_AT):
        check = scheme.holds(fact, key)
        if check is None:
            continue
        checks.setdefault(check.key, check)
        found += 1
        if found >= MAX_CANDIDATE_KEYS:
            return
