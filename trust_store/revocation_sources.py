"""Where the status of the certificates under trusted roots is published, and what of it is due to be fetched again. Read-only."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from trust_store import query
from trust_store.chain.algorithms import signature_holds
from trust_store.chain.building import SignatureBudget, find_paths
from trust_store.chain.certificate_points import freshest_of, points_of
from trust_store.chain.signed_bytes import signed_by
from trust_store.decode.crl import load_list
from trust_store.decode.distribution_points import URI
from trust_store.decode.ocsp import load_response
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import parse_time
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.storage.affected import by_anchors
from trust_store.storage.fact_signatures import FactsNotSignedError
from trust_store.storage.facts import all_facts
from trust_store.storage.revocation_material import CRL, OCSP, about_issuer, about_subject

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor

OFF = "off"
MAX_PACKAGES = 200
MAX_FACT_SETS = 16
"""So many packages of one anchor are looked at for chains: the others were signed by the same few keys."""
MAX_PLACES = 1000
MAX_URL_CHARACTERS = 1024
DAILY = timedelta(days=1)
SHORTEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Published:
    """One place: ``kind`` crl or ocsp, and the URL to GET (of OCSP with the request in it, RFC 6960 A.1).

    ``about`` is what the answer is kept under, ``issuer`` the certificate (DER) whose key answers for it, ``anchor_id`` the trusted
    root above.
    """

    kind: str
    url: str
    about: str
    anchor_id: str
    issuer: bytes


def is_proven(kind: str, material: bytes, issuer: Certificate) -> bool:
    """Whether the issuer's own key, or that of a responder whom it certified, signed this list or response. Never raises.

    It is no judgement of what it says: it decides which of several is kept in view.
    """
    try:
        if kind == CRL:
            return signed_by(issuer.spki, load_list(material).signed)
        response = load_response(material)
        delegated = (load_certificate(der) for der in response.certificates)
        return signed_by(issuer.spki, response.signed) or any(
            signed_by(responder.spki, response.signed) and signature_holds(issuer.spki, responder)
            for responder in delegated
        )
    except READ_ERRORS:
        return False


def published(connection: sqlite3.Connection) -> tuple[Published, ...]:
    """Every place that a certificate below a trusted X.509 anchor names, anchors with ``revocation = "off"`` left out."""
    found: dict[Published, None] = {}
    with query.snapshot(connection):
        for anchor in query.anchors(connection, None, (AnchorState.VALID, AnchorState.SUPERSEDED)):
            if anchor.kind is AnchorKind.X509 and anchor.constraints.revocation != OFF:
                found |= dict.fromkeys(_below(connection, anchor))
    return tuple(found)[:MAX_PLACES]


def due(connection: sqlite3.Connection, places: Iterable[Published], at: datetime) -> tuple[Published, ...]:
    """The places to ask at ``at``: never asked, or half way to the next update, or a day old where none is said."""
    return tuple(place for place in places if _is_due(connection, place, at))


def _is_due(connection: sqlite3.Connection, place: Published, at: datetime) -> bool:
    row = connection.execute(
        "SELECT this_update, next_update, fetched_at FROM revocation_material WHERE url = ? ORDER BY fetched_at DESC LIMIT 1",
        (place.url,),
    ).fetchone()
    if row is None:
        return True
    fetched, until = parse_time(row["fetched_at"]), row["next_update"]
    if until is None:
        return at >= fetched + DAILY
    half = (parse_time(until) - parse_time(row["this_update"])) / 2
    return at >= max(fetched + SHORTEST, min(parse_time(row["this_update"]) + half, fetched + DAILY))


def _below(connection: sqlite3.Connection, anchor: TrustAnchor) -> Iterator[Published]:
    """What the paths of the packages seen name, from their end entities up to this anchor."""
    try:
        root = load_certificate(anchor.material)
    except READ_ERRORS:
        return
    for sha256 in sorted(by_anchors(connection, [anchor.id]).packages)[:MAX_PACKAGES]:
        try:
            found = tuple(all_facts(connection, sha256, MAX_FACT_SETS))
        except FactsNotSignedError:
            continue  # somebody else's row keeps no list of the other packages from being fetched
        for signature in (one for facts in found for one in facts.every_signature):
            carried = tuple(_readable(signature.certificates))
            for leaf in carried:
                for path in find_paths(leaf, carried, (root,), SignatureBudget()).paths:
                    for certificate, issuer in pairwise(path):
                        yield from _places(certificate, issuer, anchor.id)


def _readable(certificates: Iterable[bytes]) -> Iterator[Certificate]:
    for der in certificates:
        try:
            yield load_certificate(der)
        except READ_ERRORS:
            continue


def _places(certificate: Certificate, issuer: Certificate, anchor_id: str) -> Iterator[Published]:
    for point in (*(points_of(certificate) or ()), *(freshest_of(certificate) or ())):
        for name in point.name.full if point.name else ():
            if name.tag == URI and (url := _url(name.content)):
                yield Published(CRL, url, about_issuer(issuer), anchor_id, issuer.der)
                break  # the names of one point are copies of one list (RFC 5280 4.2.1.13)
    for responder in _responders(certificate):
        request = _request(certificate, issuer)
        if request:
            url = f"{responder.rstrip('/')}/{request}"
            yield Published(OCSP, url, about_subject(certificate), anchor_id, issuer.der)
            break


def _responders(certificate: Certificate) -> list[str]:
    """The OCSP responders that a certificate names (RFC 5280 4.2.2.1)."""
    try:
        access = x509.load_der_x509_certificate(certificate.der).extensions.get_extension_for_class(
            x509.AuthorityInformationAccess
        )
        found = [
            d.access_location.value
            for d in access.value
            if d.access_method == AuthorityInformationAccessOID.OCSP
            and isinstance(d.access_location, x509.UniformResourceIdentifier)
        ]
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    return [url for value in found if (url := _url(value.encode()))]


def _request(certificate: Certificate, issuer: Certificate) -> str | None:
    """An OCSP request as the last part of a URL: base64 of its DER, then percent-encoded (RFC 6960 A.1)."""
    try:
        asked = ocsp.OCSPRequestBuilder().add_certificate(
            x509.load_der_x509_certificate(certificate.der),
            x509.load_der_x509_certificate(issuer.der),
            hashes.SHA1(),  # noqa: S303 - names the issuer and protects nothing; what every responder knows (RFC 5019 2.1.1)
        )
        from cryptography.hazmat.primitives.serialization import Encoding

        return quote(base64.b64encode(asked.build().public_bytes(Encoding.DER)).decode(), safe="")
    except (ValueError, TypeError):
        return None


def _url(content: bytes) -> str | None:
    """An http or https URL of printable ASCII; anything else is not fetched."""
    text = content.decode("ascii", "replace")
    good = text.isprintable() and text.isascii() and " " not in text and len(text) <= MAX_URL_CHARACTERS
    return text if good and text.lower().startswith(("http://", "https://")) else None
