"""Where a certificate says that its status is published (RFC 5280 sections 4.2.1.13, 4.2.1.15)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import read_one
from trust_store.decode.crl_entries import read_extension
from trust_store.decode.distribution_points import DistributionPoint, read_points
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate

_POINTS, _FRESHEST = "2.5.29.31", "2.5.29.46"
_EXTENSIONS_TAG = 0xA3


def points_of(certificate: Certificate) -> tuple[DistributionPoint, ...] | None:
    """The distribution points; None where the certificate has none, or none that can be read."""
    return _read(certificate.der, _POINTS)


def freshest_of(certificate: Certificate) -> tuple[DistributionPoint, ...] | None:
    """Where deltas are; None where the certificate does not say."""
    return _read(certificate.der, _FRESHEST)


@lru_cache(maxsize=256)
def _read(der: bytes, wanted: str) -> tuple[DistributionPoint, ...] | None:
    try:
        fields = read_one(der, "certificate").children()[0].children()
        if fields[-1].tag != _EXTENSIONS_TAG:
            return None
        for extension in fields[-1].children()[0].children():
            oid, _, value = read_extension(extension)
            if oid == wanted:
                return read_points(value)
    except (MalformedError, ResourceLimitError, IndexError):
        return None
    return None
