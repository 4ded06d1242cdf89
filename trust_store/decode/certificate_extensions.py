"""A certificate's extensions as the library reads them, every one or none: for those that say something here alone."""

from __future__ import annotations

import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from trust_store.decode.library_panic import panic_is_malformed
from trust_store.decode.x509 import MAX_CERTIFICATE_BYTES
from trust_store.errors import MalformedError, ResourceLimitError

_REFUSED = (
    ValueError, TypeError, OverflowError, RecursionError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


def read_certificate(der: bytes) -> tuple[x509.Certificate, tuple[x509.Extension[x509.ExtensionType], ...]]:
    """The certificate (DER) and all its extensions; raises MalformedError or ResourceLimitError, nothing else."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise ResourceLimitError(f"a certificate of {len(der)} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that the library will refuse one day are judged elsewhere
            with panic_is_malformed:
                certificate = x509.load_der_x509_certificate(der)
                return certificate, tuple(certificate.extensions)
    except _REFUSED as error:
        raise MalformedError(f"not a readable certificate: {str(error)[:200]}") from error
