"""The formats of an export, in the order in which help lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.exchange.exporting import (
    apt_keyring,
    java_truststore,
    json_anchors,
    minisign_keys,
    notation_trust,
    openssl_directory,
    p11_kit,
    pem_bundle,
    rpm_keys,
    ssh_allowed_signers,
)

if TYPE_CHECKING:
    from trust_store.exchange.exporting.protocol import Exporter

EXPORTERS: tuple[Exporter, ...] = (
    pem_bundle,
    openssl_directory,
    p11_kit,
    java_truststore,
    apt_keyring,
    rpm_keys,
    minisign_keys,
    ssh_allowed_signers,
    notation_trust,
    json_anchors,
)
