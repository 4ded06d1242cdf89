"""PKCS#12 truststores, Java's among them: certificates that belong to no private key of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import asn1
from trust_store.decode.certificate_keys import certificate_material, purposes_of
from trust_store.decode.key_readers.protocol import KeyFile, Reading, top_tags
from trust_store.decode.pkcs12 import read_certificates
from trust_store.decode.x509 import load_certificate
from trust_store.errors import UnsupportedError
from trust_store.model.trust_anchor import Constraints

if TYPE_CHECKING:
    from trust_store.model.key_material import KeyMaterial

DEFAULT_PASSWORDS = ("", "changeit")
"""Tried where none is given: a truststore's password protects nothing secret, and these are its usual ones."""


class PKCS12Reader:
    """A truststore."""

    NAME = "PKCS#12"

    def recognises(self, file: KeyFile, /) -> bool:
        """A SEQUENCE of a version and a structure."""
        return (top_tags(file.data) or ())[:2] == (asn1.INTEGER, asn1.SEQUENCE)

    def read(self, file: KeyFile, /) -> Reading:
        """A key for each trusted certificate; a private key's own certificate is left out and named."""
        given = None if file.password is None else file.password.decode("utf-8", "surrogateescape")
        found: dict[bytes, KeyMaterial] = {}
        left_out: list[str] = []
        for bag in read_certificates(file.data, DEFAULT_PASSWORDS if given is None else (given,)):
            if bag.of_private_key:
                left_out.append(f"{bag.alias[:100]!r} is the certificate of a private key of its own")
                continue
            limits = Constraints(purposes=purposes_of(bag.trusted_usages)) if bag.trusted_usages else None
            # Java marks every trusted certificate with "any usage", which limits nothing.
            limits = None if limits == Constraints() else limits
            found[bag.der] = certificate_material(load_certificate(bag.der), constraints=limits)
        if not found:
            raise UnsupportedError(left_out[0] if left_out else "PKCS#12: no certificate in it")
        return Reading(tuple(found.values()), tuple(left_out))
