"""Sigstore bundles that pass: every version, and what is merely unusual."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from tests.packages.pki import new_key
from tests.packages.sigstore_changes import (
    ARTIFACT,
    DAY,
    INSTANCE,
    Handed,
    attested_once,
    entry_of,
    handed,
    noted,
    second,
    signed_once,
    with_hint,
)
from tests.packages.sigstore_craft import SIGNED_AT, Instance, b64
from tests.trust_store.timestamp_craft import Authority


def _good_v01() -> Handed:
    return handed(signed_once().bundle("0.1"))


def _good_v01_without_proof() -> Handed:
    bundle = signed_once().bundle("0.1")
    del entry_of(bundle)["inclusionProof"]
    return handed(bundle)


def _good_v02() -> Handed:
    return handed(signed_once().bundle("0.2"))


def _good_v03() -> Handed:
    return handed(signed_once().bundle())


def _good_v03_older_media_type() -> Handed:
    return handed(signed_once().bundle() | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.3"})


def _good_p384() -> Handed:
    return handed(signed_once(key=new_key("p384")).bundle())


def _good_unknown_field() -> Handed:
    return handed(signed_once().bundle() | {"added": {"later": 1.5}})


def _good_without_message_digest() -> Handed:
    bundle = signed_once().bundle()
    del bundle["messageSignature"]["messageDigest"]
    return handed(bundle)


def _good_uri_identity() -> Handed:
    uri = "https://github.com/vendor/repo/.github/workflows/release.yml@refs/tags/v1"
    return handed(INSTANCE.sign(ARTIFACT, uri).bundle(), identity=uri)


def _good_only_entry() -> Handed:
    signed = signed_once()
    body, kind, version = signed.body()
    return handed(signed.bundle(entries=[INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT, leaves=1, index=0)]))


def _good_last_entry() -> Handed:
    signed = signed_once()
    body, kind, version = signed.body()
    return handed(signed.bundle(entries=[INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT, leaves=13, index=12)]))


def _good_dsse() -> Handed:
    return handed(attested_once().bundle())


def _good_intoto() -> Handed:
    signed = attested_once()
    return handed(signed.bundle(entries=[signed.entry("intoto 0.0.2")]))


def _good_second_subject() -> Handed:
    digest = hashlib.sha256(ARTIFACT).hexdigest()
    return handed(attested_once(("other", {"sha256": "0" * 64}), ("artifact", {"sha256": digest})).bundle())


def _good_rekor2() -> Handed:
    return handed(second()[1])


def _good_rekor2_dsse() -> Handed:
    signed = attested_once()
    entry = signed.entry("hashedrekord 0.0.2")
    return handed(signed.bundle(entries=[entry], timestamps=[signed.timestamp()]))


def _good_rekor2_dsse_entry() -> Handed:
    signed = attested_once()
    return handed(signed.bundle(entries=[signed.entry("dsse 0.0.2")], timestamps=[signed.timestamp()]))


def _good_rekor2_cosigned() -> Handed:
    bundle = second()[1]
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    text, _, block = checkpoint["envelope"].partition("\n\n")
    witness = f"— witness.example {b64(b'abcd' + bytes(72))}\n"
    checkpoint["envelope"] = f"{text}\n\n{witness}{block}"
    return handed(bundle)


def _good_promise_and_timestamp() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(timestamps=[signed.timestamp()]))


def _good_promise_and_strange_timestamp() -> Handed:
    signed = signed_once()
    stranger = Authority.make(SIGNED_AT, name="Stranger")
    return handed(signed.bundle(timestamps=[signed.timestamp(tsa=stranger)]))


def _good_expired_authority() -> Handed:
    """The authority is not used any more; it was when the certificate was made."""
    closed = replace(INSTANCE, authority_window=(datetime(2021, 1, 1, tzinfo=UTC), SIGNED_AT + DAY))
    return handed(signed_once().bundle(), root=closed.trusted_root())


def _good_checkpoint_key_id() -> Handed:
    """The log's checkpoints have a key id of their own (sigstore_trustroot.proto, checkpoint_key_id)."""
    bundle = noted(with_hint(b"note"))
    root = INSTANCE.trusted_root()
    root["tlogs"][0]["checkpointKeyId"] = {"keyId": b64(b"note" + bytes(28))}
    return handed(bundle, root=root)


def _good_only_root_listed() -> Handed:
    """A chain of one, the issuer's own certificate."""
    root = INSTANCE.trusted_root()
    chain = root["certificateAuthorities"][0]["certChain"]
    chain["certificates"] = chain["certificates"][:1]
    return handed(signed_once().bundle(), root=root)


def _good_dsse_in_hashedrekord() -> Handed:
    """The first log's hashedrekord may be about an envelope's PAE (client specification)."""
    signed = attested_once()
    return handed(signed.bundle(entries=[signed.entry("hashedrekord 0.0.1")]))


def _good_proof_without_checkpoint() -> Handed:
    """A v0.1 bundle has the promise; a proof that nobody signed says nothing, whatever it is."""
    bundle = signed_once().bundle("0.1")
    proof = entry_of(bundle)["inclusionProof"]
    del proof["checkpoint"]
    proof["logIndex"] = "5"
    return handed(bundle)


def _good_carried_chain() -> Handed:
    """Older signers put in all that the authority gave them, its root as well (sigstore_bundle.proto, x509_certificate_chain)."""
    bundle = signed_once().bundle("0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain += [{"rawBytes": b64(one.der)} for one in (INSTANCE.intermediate, INSTANCE.root)]
    return handed(bundle)


def _good_log_at_its_end() -> Handed:
    """A TimeRange includes its end."""
    return handed(
        signed_once().bundle(), root=replace(INSTANCE, rekor=replace(INSTANCE.rekor, end=SIGNED_AT)).trusted_root()
    )


def _good_timestamp_at_its_authoritys_end() -> Handed:
    """A TimeRange includes its end."""
    return handed(second()[1], root=replace(INSTANCE, tsa_window=(SIGNED_AT - DAY, SIGNED_AT)).trusted_root())


def _good_base64_in_lines() -> Handed:
    """Protobuf's readers take line ends in base64, the alphabet for addresses, and no padding."""
    bundle = second()[1]
    (stamp,) = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    text = stamp["signedTimestamp"]
    stamp["signedTimestamp"] = "\n".join(text[i : i + 76] for i in range(0, len(text), 76)) + "\n"
    entry = entry_of(bundle)
    entry["canonicalizedBody"] = entry["canonicalizedBody"].rstrip("=").replace("+", "-").replace("/", "_")
    return handed(bundle)


def _good_second_of_two_issuers() -> Handed:
    """Two authorities have intermediates of the same name; the one whose key signed is the issuer that the log meant."""
    other = Instance.make("sigstore.example").trusted_root()["certificateAuthorities"]
    root = INSTANCE.trusted_root()
    root["certificateAuthorities"] = other + root["certificateAuthorities"]
    return handed(signed_once().bundle(), root=root)


def _good_two_log_signatures() -> Handed:
    """A checkpoint may be signed twice in the log's name, one of them by a key that is not known."""
    bundle = second()[1]
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    text, _, block = checkpoint["envelope"].partition("\n\n")
    again = f"— {INSTANCE.rekor2.name} {b64(b'abcd' + bytes(64))}\n"
    checkpoint["envelope"] = f"{text}\n\n{block}{again}{again}"
    return handed(bundle)


def _good_log_listed_twice() -> Handed:
    """A root may list a log for several times, of which one is the entry's."""
    root = INSTANCE.trusted_root()
    closed = replace(INSTANCE.rekor, end=SIGNED_AT - DAY).listed()
    return handed(signed_once().bundle(), root=root | {"tlogs": [closed, *root["tlogs"]]})
