"""Sigstore bundles each with one thing wrong, or one thing unusual that is right: name -> what is handed over, and what is to be said.

Shared by the table test and by the comparison with sigstore's own client.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.packages.pki import issue, new_key
from tests.packages.sigstore_craft import (
    ISSUER,
    MINUTES,
    SIGNED_AT,
    Instance,
    LogKey,
    b64,
    sign,
    statement,
)
from tests.trust_store.timestamp_craft import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHO = "someone@vendor.example"
ARTIFACT = b"one artifact\n"
DAY = timedelta(days=1)
_INSTANCE = Instance.make()


@dataclass(frozen=True)
class Handed:
    """What a verifier gets; ``reason`` is what it is to say."""

    bundle: dict[str, Any]
    root: dict[str, Any]
    reason: str
    artifact: bytes = ARTIFACT
    identity: str = WHO
    issuer: str = ISSUER


def every() -> dict[str, Handed]:
    """All of them."""
    return {name: make() for name, make in _makers()}


def _makers() -> Iterator[tuple[str, Callable[[], Handed]]]:
    for name, make in sorted(globals().items()):
        if name.startswith(("_good_", "_bad_")):
            yield name[1:], make


def _signed(**certificate: Any) -> Any:
    return _INSTANCE.sign(ARTIFACT, WHO, **certificate)


def _attested(*subjects: tuple[str, dict[str, str]], **certificate: Any) -> Any:
    subjects = subjects or (("artifact", {"sha256": hashlib.sha256(ARTIFACT).hexdigest()}),)
    return _INSTANCE.attest(statement(*subjects), WHO, **certificate)


def _handed(
    bundle: dict[str, Any], reason: str = "trusted", root: dict[str, Any] | None = None, **fields: Any
) -> Handed:
    return Handed(bundle, root or _INSTANCE.trusted_root(), reason, **fields)


def _entry(bundle: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return entry


def _flipped(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return b64(bytes(data))


def _noted(change: Callable[[str], str]) -> dict[str, Any]:
    """A bundle whose checkpoint is another."""
    bundle: dict[str, Any] = _signed().bundle()
    checkpoint = _entry(bundle)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = change(checkpoint["envelope"])
    return bundle


def _logged_as(**changes: Any) -> Handed:
    signed = _signed()
    return _handed(signed.bundle(entries=[signed.entry(**changes)]), "invalid_signature")


def _second(**stamp: Any) -> tuple[Any, dict[str, Any]]:
    signed = _signed()
    return signed, signed.bundle(entries=[signed.entry("hashedrekord 0.0.2")], timestamps=[signed.timestamp(**stamp)])


def _good_v01() -> Handed:
    return _handed(_signed().bundle("0.1"))


def _good_v01_without_proof() -> Handed:
    bundle = _signed().bundle("0.1")
    del _entry(bundle)["inclusionProof"]
    return _handed(bundle)


def _good_v02() -> Handed:
    return _handed(_signed().bundle("0.2"))


def _good_v03() -> Handed:
    return _handed(_signed().bundle())


def _good_v03_older_media_type() -> Handed:
    return _handed(_signed().bundle() | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.3"})


def _good_p384() -> Handed:
    return _handed(_signed(key=new_key("p384")).bundle())


def _good_unknown_field() -> Handed:
    return _handed(_signed().bundle() | {"added": {"later": 1.5}})


def _good_without_message_digest() -> Handed:
    bundle = _signed().bundle()
    del bundle["messageSignature"]["messageDigest"]
    return _handed(bundle)


def _good_uri_identity() -> Handed:
    uri = "https://github.com/vendor/repo/.github/workflows/release.yml@refs/tags/v1"
    return _handed(_INSTANCE.sign(ARTIFACT, uri).bundle(), identity=uri)


def _good_only_entry() -> Handed:
    signed = _signed()
    body, kind, version = signed.body()
    return _handed(signed.bundle(entries=[_INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT, leaves=1, index=0)]))


def _good_last_entry() -> Handed:
    signed = _signed()
    body, kind, version = signed.body()
    return _handed(
        signed.bundle(entries=[_INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT, leaves=13, index=12)])
    )


def _good_dsse() -> Handed:
    return _handed(_attested().bundle())


def _good_intoto() -> Handed:
    signed = _attested()
    return _handed(signed.bundle(entries=[signed.entry("intoto 0.0.2")]))


def _good_second_subject() -> Handed:
    digest = hashlib.sha256(ARTIFACT).hexdigest()
    return _handed(_attested(("other", {"sha256": "0" * 64}), ("artifact", {"sha256": digest})).bundle())


def _good_rekor2() -> Handed:
    return _handed(_second()[1])


def _good_rekor2_dsse() -> Handed:
    signed = _attested()
    entry = signed.entry("hashedrekord 0.0.2")
    return _handed(signed.bundle(entries=[entry], timestamps=[signed.timestamp()]))


def _good_rekor2_dsse_entry() -> Handed:
    signed = _attested()
    return _handed(signed.bundle(entries=[signed.entry("dsse 0.0.2")], timestamps=[signed.timestamp()]))


def _good_rekor2_cosigned() -> Handed:
    bundle = _second()[1]
    checkpoint = _entry(bundle)["inclusionProof"]["checkpoint"]
    text, _, block = checkpoint["envelope"].partition("\n\n")
    witness = f"— witness.example {b64(b'abcd' + bytes(72))}\n"
    checkpoint["envelope"] = f"{text}\n\n{witness}{block}"
    return _handed(bundle)


def _good_promise_and_timestamp() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(timestamps=[signed.timestamp()]))


def _good_promise_and_strange_timestamp() -> Handed:
    signed = _signed()
    stranger = Authority.make(SIGNED_AT, name="Stranger")
    return _handed(signed.bundle(timestamps=[signed.timestamp(tsa=stranger)]))


def _good_expired_authority() -> Handed:
    """The authority is not used any more; it was when the certificate was made."""
    closed = replace(_INSTANCE, authority_window=(datetime(2021, 1, 1, tzinfo=UTC), SIGNED_AT + DAY))
    return _handed(_signed().bundle(), root=closed.trusted_root())


def _good_checkpoint_key_id() -> Handed:
    """The log's checkpoints have a key id of their own (sigstore_trustroot.proto, checkpoint_key_id)."""
    bundle = _noted(_with_hint(b"note"))
    root = _INSTANCE.trusted_root()
    root["tlogs"][0]["checkpointKeyId"] = {"keyId": b64(b"note" + bytes(28))}
    return _handed(bundle, root=root)


def _good_only_root_listed() -> Handed:
    """A chain of one, the issuer's own certificate."""
    root = _INSTANCE.trusted_root()
    chain = root["certificateAuthorities"][0]["certChain"]
    chain["certificates"] = chain["certificates"][:1]
    return _handed(_signed().bundle(), root=root)


def _bad_other_artifact() -> Handed:
    return _handed(_signed().bundle(), "invalid_signature", artifact=b"another artifact\n")


def _bad_other_artifact_without_digest() -> Handed:
    bundle = _signed().bundle()
    del bundle["messageSignature"]["messageDigest"]
    return _handed(bundle, "invalid_signature", artifact=b"another artifact\n")


def _bad_message_digest() -> Handed:
    bundle = _signed().bundle()
    bundle["messageSignature"]["messageDigest"]["digest"] = b64(bytes(32))
    return _handed(bundle, "invalid_signature")


def _bad_signature() -> Handed:
    bundle = _signed().bundle()
    bundle["messageSignature"]["signature"] = b64(sign(new_key("p256"), ARTIFACT))
    return _handed(bundle, "invalid_signature")


def _bad_dsse_subject() -> Handed:
    return _handed(_attested(("artifact", {"sha256": "0" * 64})).bundle(), "invalid_signature")


def _bad_dsse_second_digest() -> Handed:
    digest = hashlib.sha256(ARTIFACT).hexdigest()
    return _handed(_attested(("artifact", {"sha256": digest, "sha512": "0" * 128})).bundle(), "invalid_signature")


def _bad_dsse_weak_digest() -> Handed:
    digest = hashlib.sha1(ARTIFACT, usedforsecurity=False).hexdigest()
    return _handed(_attested(("artifact", {"sha1": digest})).bundle(), "unsupported_format")


def _bad_dsse_payload() -> Handed:
    bundle = _attested().bundle()
    bundle["dsseEnvelope"]["payload"] = b64(base64.b64decode(bundle["dsseEnvelope"]["payload"]) + b" ")
    return _handed(bundle, "invalid_signature")


def _bad_dsse_two_signatures() -> Handed:
    bundle = _attested().bundle()
    bundle["dsseEnvelope"]["signatures"] *= 2
    return _handed(bundle, "malformed")


def _bad_dsse_payload_type() -> Handed:
    bundle = _attested().bundle()
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"
    return _handed(bundle, "unsupported_format")


def _bad_logged_signature() -> Handed:
    return _logged_as(value=sign(new_key("p256"), b"x"))


def _bad_logged_content() -> Handed:
    return _logged_as(content=b"other")


def _bad_logged_certificate() -> Handed:
    other = _signed()
    return _logged_as(verifier=other.verifier_pem())


def _bad_logged_dsse_signature() -> Handed:
    signed = _attested()
    entry = signed.entry(value=sign(signed.key, b"x"))
    return _handed(signed.bundle(entries=[entry]), "invalid_signature")


def _bad_logged_dsse_payload() -> Handed:
    signed = _attested()
    return _handed(signed.bundle(entries=[signed.entry(content=b"{}")]), "invalid_signature")


def _bad_logged_dsse_certificate() -> Handed:
    signed = _attested()
    return _handed(signed.bundle(entries=[signed.entry(verifier=_signed().verifier_pem())]), "invalid_signature")


def _bad_logged_intoto_signature() -> Handed:
    signed = _attested()
    return _handed(signed.bundle(entries=[signed.entry("intoto 0.0.2", value=b"x")]), "invalid_signature")


def _bad_rekor2_logged_content() -> Handed:
    signed = _signed()
    entry = signed.entry("hashedrekord 0.0.2", content=b"other")
    return _handed(signed.bundle(entries=[entry], timestamps=[signed.timestamp()]), "invalid_signature")


def _bad_rekor2_logged_certificate() -> Handed:
    signed = _signed()
    entry = signed.entry("hashedrekord 0.0.2", der=_signed().certificate)
    return _handed(signed.bundle(entries=[entry], timestamps=[signed.timestamp()]), "invalid_signature")


def _bad_kind_of_entry() -> Handed:
    bundle = _signed().bundle()
    _entry(bundle)["kindVersion"]["version"] = "0.0.2"
    return _handed(bundle, "invalid_signature")


def _bad_message_in_dsse_entry() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(entries=[signed.entry("dsse 0.0.1")]), "invalid_signature")


def _bad_no_entry() -> Handed:
    return _handed(_signed().bundle(entries=[]), "unknown_root")


def _bad_one_entry_twice() -> Handed:
    bundle = _signed().bundle()
    bundle["verificationMaterial"]["tlogEntries"] *= 2
    return _handed(bundle, "malformed")


def _bad_one_of_two_entries() -> Handed:
    signed = _signed()
    other = signed.entry(log=LogKey("rekor.stranger", new_key("p256")))
    return _handed(signed.bundle(entries=[signed.entry(), other]), "unknown_root")


def _bad_promise() -> Handed:
    bundle = _signed().bundle()
    promise = _entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = b64(sign(_INSTANCE.rekor.key, b"x"))
    return _handed(bundle, "invalid_signature")


def _bad_integrated_time() -> Handed:
    bundle = _signed().bundle()
    _entry(bundle)["integratedTime"] = str(int(SIGNED_AT.timestamp()) + 1)
    return _handed(bundle, "invalid_signature")


def _bad_log_index() -> Handed:
    bundle = _signed().bundle("0.1")
    _entry(bundle)["logIndex"] = "3"
    return _handed(bundle, "invalid_signature")


def _bad_integrated_late() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(entries=[signed.entry(at=SIGNED_AT + 30 * MINUTES)]), "expired")


def _bad_integrated_early() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(entries=[signed.entry(at=SIGNED_AT - 30 * MINUTES)]), "not_yet_valid")


def _bad_no_promise_and_no_timestamp() -> Handed:
    bundle = _signed().bundle()
    del _entry(bundle)["inclusionPromise"]
    return _handed(bundle, "expired")


def _bad_v01_without_promise() -> Handed:
    signed = _signed()
    bundle = signed.bundle("0.1", timestamps=[signed.timestamp()])
    del _entry(bundle)["inclusionPromise"]
    return _handed(bundle, "invalid_signature")


def _bad_no_proof() -> Handed:
    bundle = _signed().bundle()
    del _entry(bundle)["inclusionProof"]
    return _handed(bundle, "invalid_signature")


def _bad_no_checkpoint() -> Handed:
    bundle = _signed().bundle()
    del _entry(bundle)["inclusionProof"]["checkpoint"]
    return _handed(bundle, "invalid_signature")


def _bad_proof_hash() -> Handed:
    bundle = _signed().bundle()
    proof = _entry(bundle)["inclusionProof"]
    proof["hashes"][0] = _flipped(proof["hashes"][0])
    return _handed(bundle, "invalid_signature")


def _bad_proof_longer() -> Handed:
    bundle = _signed().bundle()
    _entry(bundle)["inclusionProof"]["hashes"].append(b64(bytes(32)))
    return _handed(bundle, "invalid_signature")


def _bad_proof_index() -> Handed:
    bundle = _signed().bundle()
    _entry(bundle)["inclusionProof"]["logIndex"] = "5"
    return _handed(bundle, "invalid_signature")


def _bad_proof_root() -> Handed:
    bundle = _signed().bundle()
    proof = _entry(bundle)["inclusionProof"]
    proof["rootHash"] = _flipped(proof["rootHash"])
    return _handed(bundle, "invalid_signature")


def _bad_checkpoint_of_another_tree() -> Handed:
    other = _signed().entry()["inclusionProof"]["checkpoint"]["envelope"]
    return _handed(_noted(lambda _: other), "invalid_signature")


def _bad_checkpoint_signature() -> Handed:
    return _handed(_noted(lambda note: note.replace("\n7\n", "\n8\n")), "invalid_signature")


def _with_hint(hint: bytes) -> Callable[[str], str]:
    def change(note: str) -> str:
        head, _, value = note.rstrip("\n").rpartition(" ")
        return f"{head} {b64(hint + base64.b64decode(value)[4:])}\n"

    return change


def _bad_checkpoint_hint() -> Handed:
    return _handed(_noted(_with_hint(b"hint")), "invalid_signature")


def _bad_checkpoint_key_id() -> Handed:
    root = _INSTANCE.trusted_root()
    root["tlogs"][0]["checkpointKeyId"] = {"keyId": b64(b"note" + bytes(28))}
    return _handed(_signed().bundle(), "invalid_signature", root)


def _bad_checkpoint_unsigned() -> Handed:
    return _handed(_noted(lambda note: note.partition("\n\n")[0] + "\n\n"), "invalid_signature")


def _bad_checkpoint_empty_lines() -> Handed:
    return _handed(_noted(lambda note: note.replace("\n\n", "\n\n\n")), "invalid_signature")


def _bad_checkpoint_cut_short() -> Handed:
    return _handed(_noted(lambda note: note.rstrip("\n")), "invalid_signature")


def _bad_unknown_log() -> Handed:
    signed = _signed()
    entry = signed.entry(log=LogKey("rekor.stranger", new_key("p256")))
    return _handed(signed.bundle(entries=[entry]), "unknown_root")


def _bad_log_with_another_key() -> Handed:
    root = _INSTANCE.trusted_root()
    log = root["tlogs"][0]
    log["publicKey"]["rawBytes"] = LogKey("x", new_key("p256")).listed()["publicKey"]["rawBytes"]
    return _handed(_signed().bundle(), "invalid_signature", root)


def _bad_log_closed_before() -> Handed:
    closed = replace(_INSTANCE, rekor=replace(_INSTANCE.rekor, end=SIGNED_AT - DAY))
    return _handed(_signed().bundle(), "invalid_signature", closed.trusted_root())


def _bad_rekor2_without_timestamp() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(entries=[signed.entry("hashedrekord 0.0.2")]), "expired")


def _bad_rekor2_integrated_time() -> Handed:
    signed = _signed()
    body, kind, version = signed.body("hashedrekord 0.0.2")
    entry = _INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT)
    return _handed(signed.bundle(entries=[entry]), "expired")


def _bad_timestamp_of_something_else() -> Handed:
    return _handed(_second(value=b"other")[1], "expired")


def _bad_timestamp_by_a_stranger() -> Handed:
    return _handed(_second(tsa=Authority.make(SIGNED_AT, name="Stranger"))[1], "expired")


def _bad_timestamp_late() -> Handed:
    return _handed(_second(at=SIGNED_AT + 30 * MINUTES)[1], "expired")


def _bad_timestamp_early() -> Handed:
    return _handed(_second(at=SIGNED_AT - 30 * MINUTES)[1], "not_yet_valid")


def _bad_timestamp_twice() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(timestamps=[signed.timestamp()] * 2), "malformed")


def _bad_timestamp_outside_window() -> Handed:
    closed = replace(_INSTANCE, tsa_window=(datetime(2021, 1, 1, tzinfo=UTC), SIGNED_AT - DAY))
    return _handed(_second()[1], "expired", closed.trusted_root())


def _bad_timestamp_before_window() -> Handed:
    later = replace(_INSTANCE, tsa_window=(SIGNED_AT + DAY, None))
    return _handed(_second()[1], "expired", later.trusted_root())


def _bad_timestamp_without_authority() -> Handed:
    return _handed(_second()[1], "expired", _INSTANCE.trusted_root() | {"timestampAuthorities": []})


def _bad_timestamp_by_expired_authority() -> Handed:
    old = Authority.under(_INSTANCE.tsa.root_key, _INSTANCE.tsa.root, SIGNED_AT, days=(-500, -100))
    root = replace(_INSTANCE, tsa=old).trusted_root()
    return _handed(_second(tsa=old)[1], "expired", root)


def _bad_one_of_two_times() -> Handed:
    signed = _signed()
    return _handed(signed.bundle(timestamps=[signed.timestamp(SIGNED_AT + 60 * MINUTES)]), "expired")


def _bad_other_authority() -> Handed:
    other = Instance.make("other.example")
    root = _INSTANCE.trusted_root() | {"certificateAuthorities": other.trusted_root()["certificateAuthorities"]}
    return _handed(_signed().bundle(), "unknown_root", root)


def _bad_same_named_authority() -> Handed:
    other = Instance.make()
    root = _INSTANCE.trusted_root() | {"certificateAuthorities": other.trusted_root()["certificateAuthorities"]}
    return _handed(_signed().bundle(), "unknown_root", root)


def _bad_authority_closed_before() -> Handed:
    closed = replace(_INSTANCE, authority_window=(datetime(2021, 1, 1, tzinfo=UTC), SIGNED_AT - DAY))
    return _handed(_signed().bundle(), "path_invalid", closed.trusted_root())


def _bad_authority_opened_later() -> Handed:
    later = replace(_INSTANCE, authority_window=(SIGNED_AT + DAY, None))
    return _handed(_signed().bundle(), "path_invalid", later.trusted_root())


def _bad_authority_as_signer() -> Handed:
    key = _INSTANCE.intermediate.key
    signed = replace(_signed(), key=key, certificate=_INSTANCE.intermediate.der, value=sign(key, ARTIFACT))
    return _handed(signed.bundle(), "path_invalid")


def _bad_carried_authority() -> Handed:
    """A chain in the bundle vouches for nothing."""
    other = Instance.make("other.example")
    signed = replace(other.sign(ARTIFACT, WHO), instance=_INSTANCE)
    bundle = signed.bundle("0.2")
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain += [{"rawBytes": b64(one.der)} for one in (other.intermediate, other.root)]
    return _handed(bundle, "unknown_root")


def _bad_certificate_not_logged() -> Handed:
    return _handed(_signed(logged=False).bundle(), "path_invalid")


def _bad_certificate_in_unknown_log() -> Handed:
    return _handed(_signed(ctlog=LogKey("ctfe.stranger", new_key("p256"))).bundle(), "unknown_root")


def _bad_certificate_timestamp() -> Handed:
    false = replace(_INSTANCE.ctlog, key=new_key("p256"))
    root = _INSTANCE.trusted_root()
    signed = _signed(ctlog=false)
    root["ctlogs"][0]["logId"]["keyId"] = b64(false.id)
    return _handed(signed.bundle(), "invalid_signature", root)


def _bad_certificate_log_closed_before() -> Handed:
    closed = replace(_INSTANCE, ctlog=replace(_INSTANCE.ctlog, end=SIGNED_AT - DAY))
    return _handed(_signed().bundle(), "invalid_signature", closed.trusted_root())


def _bad_no_certificate_logs() -> Handed:
    return _handed(_signed().bundle(), "unknown_root", _INSTANCE.trusted_root() | {"ctlogs": []})


def _bad_usage() -> Handed:
    return _handed(_signed(code_signing=False).bundle(), "path_invalid")


def _bad_identity() -> Handed:
    return _handed(_signed().bundle(), "unexpected_signer", identity="else@vendor.example")


def _bad_issuer() -> Handed:
    return _handed(_signed().bundle(), "unexpected_signer", issuer="https://accounts.else.example")


def _bad_part_of_identity() -> Handed:
    return _handed(_signed().bundle(), "unexpected_signer", identity="vendor.example")


def _bad_two_issuers() -> Handed:
    return _handed(_signed(older_issuer="https://accounts.else.example").bundle(), "path_invalid")


def _bad_chain_in_v03() -> Handed:
    bundle = _signed().bundle("0.2")
    return _handed(bundle | {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}, "malformed")


def _bad_media_type() -> Handed:
    return _handed(
        _signed().bundle() | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.9"}, "unsupported_format"
    )


def _bad_both_contents() -> Handed:
    bundle = _signed().bundle() | {"dsseEnvelope": _attested().dsse()}
    return _handed(bundle, "malformed")


def _bad_no_content() -> Handed:
    bundle = _signed().bundle()
    del bundle["messageSignature"]
    return _handed(bundle, "malformed")


def _bad_no_certificate() -> Handed:
    bundle = _signed().bundle()
    del bundle["verificationMaterial"]["certificate"]
    return _handed(bundle, "malformed")


def _bad_self_signed() -> Handed:
    own = issue("own", kind="p256")
    signed = replace(_signed(), key=own.key, certificate=own.der, value=sign(own.key, ARTIFACT))
    return _handed(signed.bundle(), "path_invalid")


def as_json(handed: Handed) -> tuple[bytes, bytes]:
    """Bundle and root as files hold them."""
    return json.dumps(copy.deepcopy(handed.bundle)).encode(), json.dumps(handed.root).encode()
