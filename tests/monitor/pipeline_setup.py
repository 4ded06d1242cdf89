"""The vendor's new keys and a listening store as fixtures of the pipeline's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.monitor.listening import START, Listening, open_listening
from tests.simulator.vendor_pki import VendorPKI
from tests.simulator.vendor_site import VendorSite
from trust_store.decode.x509 import decode_certificates
from trust_store.model.identifiers import Identifier, IdentifierKind


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's new keys."""
    return VendorPKI.generate("DTEN", START)


@pytest.fixture
def listening(tmp_path: Path, randomness: Callable[[int], bytes]) -> Iterator[Listening]:
    """A new store and the vendor's site."""
    with VendorSite() as site:
        made = open_listening(tmp_path, site, randomness)
        yield made
        made.connection.close()


def ski(pki: VendorPKI) -> Identifier:
    """How a package's certificate points at its missing issuer."""
    (root,) = decode_certificates(pki.root_pem.encode())
    return Identifier(IdentifierKind.AUTHORITY_KEY_IDENTIFIER, root.subject_key_identifier or "")
