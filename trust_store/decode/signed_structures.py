"""Structures that keys sign elsewhere: whoever has such a signature could show the structure as a file that was signed.

A CMS signature without signed attributes is over the file itself (RFC 5652 5.4), by the same arithmetic as one over a DER structure.
So the value that a vendor made over its signed attributes holds over a file that consists of these attributes
(draft-ietf-lamps-cms-euf-cma-signeddata), and that of a certificate over a file that consists of its TBSCertificate.
"""

from __future__ import annotations

import re

from trust_store.decode.asn1 import SEQUENCE, SET, read_one
from trust_store.decode.cms import parse_attributes
from trust_store.errors import MalformedError, ResourceLimitError

_BY_TAGS = {
    # RFC 5280 4.1: version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, identifiers, extensions
    "the content of a certificate": re.compile(rb"\xa0?\x02\x30{5}[\x81\x82\xa1\xa2]{0,2}\xa3?"),
    # RFC 5280 5.1: version, signature, issuer, thisUpdate, nextUpdate, revokedCertificates, extensions
    "the content of a revocation list": re.compile(rb"\x02?\x30\x30[\x17\x18]{1,2}\x30?\xa0?"),
    # RFC 2986 4.1: version, subject, subjectPKInfo, attributes
    "the content of a certificate request": re.compile(rb"\x02\x30\x30\xa0"),
    # RFC 6960 4.2.1: version, responderID, producedAt, responses, extensions
    "the content of an OCSP response": re.compile(rb"\xa0?[\xa1\xa2]\x18\x30\xa1?"),
}


def signed_structure(data: bytes) -> str | None:
    """What kind of structure ``data`` is in whole, None where it is none of these; never raises."""
    try:
        element = read_one(data, "structure")
        if element.tag == SET:
            parse_attributes(element)
            return "the signed attributes of a signature"
        tags = bytes(child.tag for child in element.children()) if element.tag == SEQUENCE else b""
    except (MalformedError, ResourceLimitError):
        return None
    return next((kind for kind, shape in _BY_TAGS.items() if shape.fullmatch(tags)), None)
