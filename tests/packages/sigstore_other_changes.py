"""Sigstore bundles with one thing wrong about content, certificate, identity or shape."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from tests.packages.pki import issue, new_key
from tests.packages.sigstore_changes import (
    ARTIFACT,
    DAY,
    INSTANCE,
    WHO,
    Handed,
    attested_once,
    handed,
    signed_once,
)
from tests.packages.sigstore_craft import SIGNED_AT, Instance, LogKey, b64, sign


def _bad_other_artifact() -> Handed:
    return handed(signed_once().bundle(), "invalid_signature", artifact=b"another artifact\n")


def _bad_other_artifact_without_digest() -> Handed:
    bundle = signed_once().bundle()
    del bundle["messageSignature"]["messageDigest"]
    return handed(bundle, "invalid_signature", artifact=b"another artifact\n")


def _bad_message_digest() -> Handed:
    bundle = signed_once().bundle()
    bundle["messageSignature"]["messageDigest"]["digest"] = b64(bytes(32))
    return handed(bundle, "invalid_signature")


def _bad_signature() -> Handed:
    bundle = signed_once().bundle()
    bundle["messageSignature"]["signature"] = b64(sign(new_key("p256"), ARTIFACT))
    return handed(bundle, "invalid_signature")


def _bad_dsse_subject() -> Handed:
    return handed(attested_once(("artifact", {"sha256": "0" * 64})).bundle(), "invalid_signature")


def _bad_dsse_second_digest() -> Handed:
    digest = hashlib.sha256(ARTIFACT).hexdigest()
    return handed(attested_once(("artifact", {"sha256": digest, "sha512": "0" * 128})).bundle(), "invalid_signature")


def _bad_dsse_weak_digest() -> Handed:
    digest = hashlib.sha1(ARTIFACT, usedforsecurity=False).hexdigest()
    return handed(attested_once(("artifact", {"sha1": digest})).bundle(), "unsupported_format")


def _bad_dsse_payload() -> Handed:
    bundle = attested_once().bundle()
    bundle["dsseEnvelope"]["payload"] = b64(base64.b64decode(bundle["dsseEnvelope"]["payload"]) + b" ")
    return handed(bundle, "invalid_signature")


def _bad_dsse_two_signatures() -> Handed:
    bundle = attested_once().bundle()
    bundle["dsseEnvelope"]["signatures"] *= 2
    return handed(bundle, "malformed")


def _bad_dsse_payload_type() -> Handed:
    bundle = attested_once().bundle()
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"
    return handed(bundle, "unsupported_format")


def _bad_other_authority() -> Handed:
    other = Instance.make("other.example")
    root = INSTANCE.trusted_root() | {"certificateAuthorities": other.trusted_root()["certificateAuthorities"]}
    return handed(signed_once().bundle(), "unknown_root", root)


def _bad_same_named_authority() -> Handed:
    other = Instance.make()
    root = INSTANCE.trusted_root() | {"certificateAuthorities": other.trusted_root()["certificateAuthorities"]}
    return handed(signed_once().bundle(), "unknown_root", root)


def _bad_authority_closed_before() -> Handed:
    closed = replace(INSTANCE, authority_window=(datetime(2021, 1, 1, tzinfo=UTC), SIGNED_AT - DAY))
    return handed(signed_once().bundle(), "path_invalid", closed.trusted_root())


def _bad_authority_opened_later() -> Handed:
    later = replace(INSTANCE, authority_window=(SIGNED_AT + DAY, None))
    return handed(signed_once().bundle(), "path_invalid", later.trusted_root())


def _bad_authority_as_signer() -> Handed:
    key = INSTANCE.intermediate.key
    signed = replace(signed_once(), key=key, certificate=INSTANCE.intermediate.der, value=sign(key, ARTIFACT))
    return handed(signed.bundle(), "path_invalid")


def _bad_carried_authority() -> Handed:
    """A chain in the bundle vouches for nothing."""
    other = Instance.make("other.example")
    signed = replace(other.sign(ARTIFACT, WHO), instance=INSTANCE)
    bundle = signed.bundle("0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain.append({"rawBytes": b64(other.intermediate.der)})
    return handed(bundle, "unknown_root")


def _bad_carried_root() -> Handed:
    """A chain in the bundle holds no root of somebody else."""
    other = Instance.make("other.example")
    bundle = signed_once().bundle("0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain += [{"rawBytes": b64(one.der)} for one in (INSTANCE.intermediate, other.root)]
    return handed(bundle, "malformed")


def _bad_certificate_not_logged() -> Handed:
    return handed(signed_once(logged=False).bundle(), "path_invalid")


def _bad_certificate_in_unknown_log() -> Handed:
    return handed(signed_once(ctlog=LogKey("ctfe.stranger", new_key("p256"))).bundle(), "unknown_root")


def _bad_certificate_timestamp() -> Handed:
    false = replace(INSTANCE.ctlog, key=new_key("p256"))
    root = INSTANCE.trusted_root()
    signed = signed_once(ctlog=false)
    root["ctlogs"][0]["logId"]["keyId"] = b64(false.id)
    return handed(signed.bundle(), "invalid_signature", root)


def _bad_certificate_log_closed_before() -> Handed:
    closed = replace(INSTANCE, ctlog=replace(INSTANCE.ctlog, end=SIGNED_AT - DAY))
    return handed(signed_once().bundle(), "invalid_signature", closed.trusted_root())


def _bad_no_certificate_logs() -> Handed:
    return handed(signed_once().bundle(), "unknown_root", INSTANCE.trusted_root() | {"ctlogs": []})


def _bad_usage() -> Handed:
    return handed(signed_once(code_signing=False).bundle(), "path_invalid")


def _bad_identity() -> Handed:
    return handed(signed_once().bundle(), "unexpected_signer", identity="else@vendor.example")


def _bad_issuer() -> Handed:
    return handed(signed_once().bundle(), "unexpected_signer", issuer="https://accounts.else.example")


def _bad_part_of_identity() -> Handed:
    return handed(signed_once().bundle(), "unexpected_signer", identity="vendor.example")


def _bad_two_issuers() -> Handed:
    return handed(signed_once(older_issuer="https://accounts.else.example").bundle(), "path_invalid")


def _bad_chain_in_v03() -> Handed:
    bundle = signed_once().bundle("0.2")
    return handed(bundle | {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}, "malformed")


def _bad_media_type() -> Handed:
    return handed(
        signed_once().bundle() | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.9"},
        "unsupported_format",
    )


def _bad_both_contents() -> Handed:
    bundle = signed_once().bundle() | {"dsseEnvelope": attested_once().dsse()}
    return handed(bundle, "malformed")


def _bad_no_content() -> Handed:
    bundle = signed_once().bundle()
    del bundle["messageSignature"]
    return handed(bundle, "malformed")


def _bad_no_certificate() -> Handed:
    bundle = signed_once().bundle()
    del bundle["verificationMaterial"]["certificate"]
    return handed(bundle, "malformed")


def _bad_self_signed() -> Handed:
    own = issue("own", kind="p256")
    signed = replace(signed_once(), key=own.key, certificate=own.der, value=sign(own.key, ARTIFACT))
    return handed(signed.bundle(), "path_invalid")
