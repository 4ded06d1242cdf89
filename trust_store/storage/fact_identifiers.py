"""By what the keys of a package may be looked up: hints, keys that its signatures hold under, certificates that it carries. Pure."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.storage import lookup

if TYPE_CHECKING:
    from trust_store.decode.cms import SignedData
    from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact


def identifiers_in(facts: PackageFacts) -> frozenset[Identifier]:
    """Everything by which the keys in a package, and the issuers that it lacks, may be looked up; undecided.

    Taken from hints, keys that hold, and carried certificates: of each its own digests and its issuer's name and key identifier. The
    same of the timestamps over a signature.
    """
    found = set(hints_in(facts))
    for signature in facts.every_signature:
        if name := lookup.name_digest(signature.hint.issuer_der):
            found.add(Identifier(IdentifierKind.ISSUER, name))
        for stamper in (signer for token in _tokens(signature) for signer in token.signer_infos):
            if name := lookup.name_digest(stamper.issuer_der):
                found.add(Identifier(IdentifierKind.ISSUER, name))
            if stamper.serial_number is not None:
                found |= lookup.issued(stamper.issuer_der, stamper.serial_number)
        for der in (*signature.certificates, *stamping_certificates(signature)):
            certificate = lookup.certificate_of(der)
            found |= lookup.own(certificate) | lookup.below(certificate) if certificate else set()
        for check in signature.key_checks:
            found |= _checked(signature, check) if check.holds else set()
    return frozenset(found)


def hints_in(facts: PackageFacts) -> frozenset[Identifier]:
    """By what the keys that made the signatures may be found: what signatures say of themselves, and carried certificates."""
    found: set[Identifier] = set()
    for signature in facts.every_signature:
        hint = signature.hint
        for kind, value in (
            (IdentifierKind.SUBJECT_KEY_IDENTIFIER, hint.subject_key_identifier),
            (IdentifierKind.OPENPGP, hint.openpgp),
            (IdentifierKind.KEY_ID, hint.key_id),
            (IdentifierKind.SHA256, hint.key_sha256),
            (IdentifierKind.SPKI_SHA256, hint.key_sha256),
        ):
            if value:
                found.add(Identifier(kind, value))
        if hint.serial_number is not None:
            found |= lookup.issued(hint.issuer_der, hint.serial_number)
        for material in (*signature.certificates, *(key.material for key in signature.keys)):
            found.add(Identifier(IdentifierKind.SHA256, hashlib.sha256(material).hexdigest()))
        for check in signature.key_checks:
            found |= _checked(signature, check) if check.holds else set()
    return frozenset(found)


def tried_in(facts: PackageFacts) -> frozenset[Identifier]:
    """The keys that a signature was tried with, whether it holds under them or not."""
    return frozenset(
        i for signature in facts.every_signature for check in signature.key_checks for i in _checked(signature, check)
    )


def _checked(signature: SignatureFact, check: KeyCheck) -> set[Identifier]:
    kinds = (
        (IdentifierKind.OPENPGP,)
        if signature.scheme == "openpgp"
        else (IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256)
    )
    return {Identifier(kind, value) for kind in kinds for value in (check.key, check.owner)}


def stamping_certificates(signature: SignatureFact) -> tuple[bytes, ...]:
    """Certificates (DER) inside the timestamps over a signature; a token that cannot be read carries none."""
    return tuple(der for token in _tokens(signature) for der in token.certificates)


def _tokens(signature: SignatureFact) -> tuple[SignedData, ...]:
    if not signature.timestamps:
        return ()
    from trust_store.decode.cms import parse_signed_data  # few signatures are stamped

    found: list[SignedData] = []
    for token in signature.timestamps:
        with contextlib.suppress(*READ_ERRORS):
            found.append(parse_signed_data(token))
    return tuple(found)
