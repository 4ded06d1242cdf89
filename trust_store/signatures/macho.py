"""Apple code signatures: CMS over the first code directory, whose signed attributes name the other directories by digest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.asn1 import OCTET_STRING, SEQUENCE
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.package_facts import SignatureFact, SignatureOrigin, SignatureRole
from trust_store.signatures.embedded import EmbeddedScheme, signer_fact

if TYPE_CHECKING:
    from trust_store.decode.asn1 import Element
    from trust_store.signatures.protocol import SignatureScheme

NAME = "mach-o"
DOC = """CMS, detached, over the primary code directory of a Mach-O image. Every alternate directory must be named by its digest in Apple's
signed attributes (1.2.840.113635.100.9.2, else 9.1)."""
ID_DIRECTORY_DIGESTS, ID_DIRECTORY_LIST = "1.2.840.113635.100.9.2", "1.2.840.113635.100.9.1"
_SHORT_DIGEST_BYTES = 20
_DATA = re.compile(rb"<data>([A-Za-z0-9+/=\s]{1,512})</data>")


def facts(
    message: bytes, primary: bytes, alternates: tuple[tuple[str, bytes], ...], *, matches: bool
) -> tuple[SignatureFact, ...]:
    """Every signer of ``message`` over ``primary``; ``alternates`` are (algorithm, digest) of the other directories.

    ``matches`` is whether what the directories digest is what they say. Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    signed = cms.parse_signed_data(message)
    if signed.encapsulated or signed.content_type != cms.ID_DATA:
        raise UnsupportedError(
            "code signature: the CMS message carries its own content, or is over other content than data"
        )
    return tuple(_fact(info, signed.certificates, primary, alternates, matches=matches) for info in signed.signer_infos)


def _fact(
    info: cms.SignerInfo,
    certificates: tuple[bytes, ...],
    primary: bytes,
    alternates: tuple[tuple[str, bytes], ...],
    *,
    matches: bool,
) -> SignatureFact:
    if info.attributes is None:
        raise UnsupportedError("code signature: a CMS signature without signed attributes")
    attributes = cms.parse_attributes(info.attributes)
    if attributes.content_type != cms.ID_DATA:  # RFC 5652 11.1
        raise MalformedError(
            f"code signature: the signed content type is {attributes.content_type}, the content's is data"
        )
    digest = hashlib.new(info.digest_algorithm, primary, usedforsecurity=False).digest()
    fact = signer_fact(info, attributes, digest, scheme=NAME, origin=SignatureOrigin.EMBEDDED)
    bound = all(_is_named(attributes, algorithm, value) for algorithm, value in alternates)
    return replace(
        fact,
        certificates=certificates,
        content_matches=fact.content_matches and matches and bound,
        role=SignatureRole.REQUIRED,
    )


def _is_named(attributes: cms.SignedAttributes, algorithm: str, digest: bytes) -> bool:
    """Whether the signed attributes name a directory of that digest."""
    values = dict(attributes.others)
    if ID_DIRECTORY_DIGESTS in values:
        return any(
            _pair(value.children()) == (algorithm, digest)
            for value in values[ID_DIRECTORY_DIGESTS]
            if value.tag == SEQUENCE
        )
    listed = [value.expect(OCTET_STRING, "list of directories").content for value in values.get(ID_DIRECTORY_LIST, ())]
    return any(digest[:_SHORT_DIGEST_BYTES] in _listed(text) for text in listed)


def _pair(parts: tuple[Element, ...]) -> tuple[str, bytes]:
    if len(parts) != 2:  # algorithm, digest
        raise MalformedError("code signature: a broken digest of a directory")
    return cms.DIGESTS.get(parts[0].oid("algorithm"), ""), parts[1].expect(OCTET_STRING, "digest").content


def _listed(text: bytes) -> list[bytes]:
    """The digests in a property list, cut to 20 bytes as they are there."""
    try:
        return [base64.b64decode(b"".join(one.split()), validate=True) for one in _DATA.findall(text)]
    except binascii.Error as error:
        raise MalformedError("code signature: a list of directories that is not base64") from error


SCHEME: SignatureScheme = EmbeddedScheme(NAME, DOC)
