"""Chains in the shape of x509-limbo's: a root, intermediates and an end entity for ``example.com`` with the extensions that suite gives
them unless a case takes one away or puts another in its place. Values are (extension, critical), None leaves one out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from tests.trust_store.path_craft import Issued, alternative, name, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

EPOCH, FAR = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2969, 5, 3, tzinfo=UTC)
_WITHOUT_DIGEST = (mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey)
_NUMBERS = count(1)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55738.666.1"), b"")


def loose(*bits: str) -> tuple[x509.ExtensionType, bool]:
    """Key usage that is not critical, as the suite has it."""
    return usage(*bits)[0], False


def constraints(
    permitted: Sequence[x509.GeneralName] | None = None,
    excluded: Sequence[x509.GeneralName] | None = None,
    *,
    critical: bool = True,
) -> tuple[x509.ExtensionType, bool]:
    """Name constraints, also such as the library would refuse to make."""
    made = x509.NameConstraints([x509.DNSName("unrelated.example")], None)
    made._permitted_subtrees = None if permitted is None else list(permitted)
    made._excluded_subtrees = None if excluded is None else list(excluded)
    return made, critical


def ski(private: Any, *, critical: bool = False) -> tuple[x509.ExtensionType, bool]:
    """Subject key identifier."""
    return x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical


def aki(private: Any, *, critical: bool = False) -> tuple[x509.ExtensionType, bool]:
    """Authority key identifier of the issuer's key."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key()), critical


def root(*extra: Any, subject: Any = "x509-limbo-root", **parts: Any) -> Issued:
    """A self-signed CA; ``parts`` replace basic, usage, san, aki, ski, dates, private, issuer_name, serial."""
    private = parts.get("private") or ec.generate_private_key(ec.SECP256R1())
    return _made(subject, None, extra, {**_authority(private), "aki": None, **parts, "private": private})


def middle(parent: Issued, *extra: Any, subject: Any = None, pathlen: int | None = None, **parts: Any) -> Issued:
    """An intermediate CA of a name of its own."""
    private = parts.get("private") or ec.generate_private_key(ec.SECP256R1())
    given = {**_authority(private, pathlen), "aki": aki(parent.key), **parts, "private": private}
    return _made(subject or f"x509-limbo-intermediate-{next(_NUMBERS)}", parent, extra, given)


def leaf(parent: Issued, *extra: Any, subject: Any = "example.com", **parts: Any) -> Issued:
    """An end entity for servers; ``eku`` is a part as well."""
    private = parts.get("private") or ec.generate_private_key(ec.SECP256R1())
    usual = {
        "ski": ski(private), "aki": aki(parent.key), "usage": loose("digital_signature"),
        "eku": (x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH]), False), "san": alternative(x509.DNSName("example.com")),
    }  # fmt: skip
    return _made(subject, parent, extra, {**usual, **parts, "private": private})


def _authority(private: Any, pathlen: int | None = None) -> dict[str, Any]:
    return {
        "basic": (x509.BasicConstraints(ca=True, path_length=pathlen), True), "usage": loose("key_cert_sign"),
        "san": alternative(x509.DNSName("example.com")), "ski": ski(private),
    }  # fmt: skip


def _made(subject: Any, parent: Issued | None, extra: tuple[Any, ...], parts: dict[str, Any]) -> Issued:
    private = parts["private"]
    own = subject if isinstance(subject, x509.Name) else name(subject)
    builder = x509.CertificateBuilder(
        issuer_name=parts.get("issuer_name", parent.certificate.subject if parent else own), subject_name=own,
        public_key=private.public_key(), serial_number=parts.get("serial") or x509.random_serial_number(),
        not_valid_before=(dates := parts.get("dates") or (EPOCH, FAR))[0], not_valid_after=dates[1],
    )  # fmt: skip
    listed = [parts.get(key) for key in ("basic", "usage", "eku", "san", "aki", "ski")]
    # Not by the library's own method, which refuses an extension that is there already.
    builder._extensions = [
        x509.Extension(v.oid, critical, v) for v, critical in (*(part for part in listed if part is not None), *extra)
    ]
    if "version" in parts:
        builder._version, builder._extensions = parts["version"], []
    signer = parts.get("signed_with") or (parent.key if parent else private)
    digest = None if isinstance(signer, _WITHOUT_DIGEST) else parts.get("digest") or hashes.SHA256()
    return Issued(builder.sign(signer, digest), private)
