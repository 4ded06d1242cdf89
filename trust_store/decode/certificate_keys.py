"""Certificates and bare keys as key material: their names, identifiers, and what they are for."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from cryptography import x509

from trust_store.decode import spki
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.key_material import KeyMaterial
from trust_store.model.trust_anchor import AnchorKind, Constraints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate

ANY_USAGE, CODE_SIGNING, _CLIENT_AUTH = "2.5.29.37.0", "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.2"
_PURPOSES = {
    "1.3.6.1.5.5.7.3.1": "tls",
    _CLIENT_AUTH: "tls",
    CODE_SIGNING: "code",
    "1.3.6.1.5.5.7.3.4": "advisory",  # mail protection: what an advisory that comes as signed mail needs
    "1.3.6.1.5.5.7.3.8": "timestamp",
}


def certificate_material(
    certificate: Certificate, *, constraints: Constraints | None = None, distrusted: bool | None = None
) -> KeyMaterial:
    """A certificate as key material, under its subject's name; where nothing is stated, for what its own extension allows."""
    return KeyMaterial(
        AnchorKind.X509, certificate.subject, certificate.der, certificate.identifiers,
        constraints or Constraints(purposes=_own_purposes(certificate)), distrusted, limited=constraints is not None,
    )  # fmt: skip


def key_material(der: bytes, name: str) -> KeyMaterial:
    """A SubjectPublicKeyInfo as a key that signs packages itself; raises as ``spki.require_spki`` does."""
    kind = spki.require_spki(der)
    identifiers = (spki.whole(der), *spki.spki_identifiers(der))
    return KeyMaterial(AnchorKind.RAW, f"{name or 'bare key'} ({kind})", der, identifiers)


def purposes_of(
    usages: Iterable[str], refused: Iterable[str] = (), *, default: tuple[str, ...] = ("code",)
) -> tuple[str, ...]:
    """What extended key usages (dotted OIDs) allow; ``default`` where any is allowed. Never empty: empty would put no limit."""
    allowed = {p for oid in usages for p in (default if oid == ANY_USAGE else (_PURPOSES.get(oid, "tls"),))}
    allowed -= {_PURPOSES[oid] for oid in refused if oid in _PURPOSES and oid != _CLIENT_AUTH}
    return tuple(sorted(allowed))


def _own_purposes(certificate: Certificate) -> tuple[str, ...]:
    """What the certificate's extended key usage (RFC 5280 4.2.1.12) leaves; code where it has none."""
    try:
        usages = spki.guarded(lambda: _extended_key_usage(certificate.der), "extension")
    except (MalformedError, UnsupportedError):
        return Constraints().purposes  # no path through it will be valid; that is told where paths are
    return purposes_of(usages) or Constraints().purposes


def _extended_key_usage(der: bytes) -> tuple[str, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities that the library will refuse one day are judged elsewhere
        try:
            extensions = x509.load_der_x509_certificate(der).extensions
            return tuple(u.dotted_string for u in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
            return ()
