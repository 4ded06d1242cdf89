"""Sigstore bundles with one thing wrong about the log entry or the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tests.packages.pki import new_key
from tests.packages.sigstore_changes import (
    DAY,
    INSTANCE,
    Handed,
    attested_once,
    entry_of,
    flipped,
    handed,
    logged_as,
    noted,
    second,
    signed_once,
    with_hint,
)
from tests.packages.sigstore_craft import MINUTES, SIGNED_AT, LogKey, b64, sign
from tests.trust_store.timestamp_craft import Authority


def _bad_logged_signature() -> Handed:
    return logged_as(value=sign(new_key("p256"), b"x"))


def _bad_logged_content() -> Handed:
    return logged_as(content=b"other")


def _bad_logged_certificate() -> Handed:
    other = signed_once()
    return logged_as(verifier=other.verifier_pem())


def _bad_logged_dsse_signature() -> Handed:
    signed = attested_once()
    entry = signed.entry(value=sign(signed.key, b"x"))
    return handed(signed.bundle(entries=[entry]), "invalid_signature")


def _bad_logged_dsse_payload() -> Handed:
    signed = attested_once()
    return handed(signed.bundle(entries=[signed.entry(content=b"{}")]), "invalid_signature")


def _bad_logged_dsse_certificate() -> Handed:
    signed = attested_once()
    return handed(signed.bundle(entries=[signed.entry(verifier=signed_once().verifier_pem())]), "invalid_signature")


def _bad_logged_intoto_signature() -> Handed:
    signed = attested_once()
    return handed(signed.bundle(entries=[signed.entry("intoto 0.0.2", value=b"x")]), "invalid_signature")


def _bad_rekor2_logged_content() -> Handed:
    signed = signed_once()
    entry = signed.entry("hashedrekord 0.0.2", content=b"other")
    return handed(signed.bundle(entries=[entry], timestamps=[signed.timestamp()]), "invalid_signature")


def _bad_rekor2_logged_certificate() -> Handed:
    signed = signed_once()
    entry = signed.entry("hashedrekord 0.0.2", der=signed_once().certificate)
    return handed(signed.bundle(entries=[entry], timestamps=[signed.timestamp()]), "invalid_signature")


def _bad_kind_of_entry() -> Handed:
    bundle = signed_once().bundle()
    entry_of(bundle)["kindVersion"]["version"] = "0.0.2"
    return handed(bundle, "invalid_signature")


def _bad_message_in_dsse_entry() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(entries=[signed.entry("dsse 0.0.1")]), "invalid_signature")


def _bad_no_entry() -> Handed:
    return handed(signed_once().bundle(entries=[]), "unknown_root")


def _bad_one_entry_twice() -> Handed:
    bundle = signed_once().bundle()
    bundle["verificationMaterial"]["tlogEntries"] *= 2
    return handed(bundle, "malformed")


def _bad_one_of_two_entries() -> Handed:
    signed = signed_once()
    other = signed.entry(log=LogKey("rekor.stranger", new_key("p256")))
    return handed(signed.bundle(entries=[signed.entry(), other]), "unknown_root")


def _bad_promise() -> Handed:
    bundle = signed_once().bundle()
    promise = entry_of(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = b64(sign(INSTANCE.rekor.key, b"x"))
    return handed(bundle, "invalid_signature")


def _bad_integrated_time() -> Handed:
    bundle = signed_once().bundle()
    entry_of(bundle)["integratedTime"] = str(int(SIGNED_AT.timestamp()) + 1)
    return handed(bundle, "invalid_signature")


def _bad_log_index() -> Handed:
    bundle = signed_once().bundle("0.1")
    entry_of(bundle)["logIndex"] = "3"
    return handed(bundle, "invalid_signature")


def _bad_integrated_late() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(entries=[signed.entry(at=SIGNED_AT + 30 * MINUTES)]), "expired")


def _bad_integrated_early() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(entries=[signed.entry(at=SIGNED_AT - 30 * MINUTES)]), "not_yet_valid")


def _bad_no_promise_and_no_timestamp() -> Handed:
    bundle = signed_once().bundle()
    del entry_of(bundle)["inclusionPromise"]
    return handed(bundle, "expired")


def _bad_v01_without_promise() -> Handed:
    signed = signed_once()
    bundle = signed.bundle("0.1", timestamps=[signed.timestamp()])
    del entry_of(bundle)["inclusionPromise"]
    return handed(bundle, "invalid_signature")


def _bad_no_proof() -> Handed:
    bundle = signed_once().bundle()
    del entry_of(bundle)["inclusionProof"]
    return handed(bundle, "invalid_signature")


def _bad_no_checkpoint() -> Handed:
    bundle = signed_once().bundle()
    del entry_of(bundle)["inclusionProof"]["checkpoint"]
    return handed(bundle, "invalid_signature")


def _bad_proof_hash() -> Handed:
    bundle = signed_once().bundle()
    proof = entry_of(bundle)["inclusionProof"]
    proof["hashes"][0] = flipped(proof["hashes"][0])
    return handed(bundle, "invalid_signature")


def _bad_proof_longer() -> Handed:
    bundle = signed_once().bundle()
    entry_of(bundle)["inclusionProof"]["hashes"].append(b64(bytes(32)))
    return handed(bundle, "invalid_signature")


def _bad_proof_index() -> Handed:
    bundle = signed_once().bundle()
    entry_of(bundle)["inclusionProof"]["logIndex"] = "5"
    return handed(bundle, "invalid_signature")


def _bad_proof_root() -> Handed:
    bundle = signed_once().bundle()
    proof = entry_of(bundle)["inclusionProof"]
    proof["rootHash"] = flipped(proof["rootHash"])
    return handed(bundle, "invalid_signature")


def _bad_checkpoint_of_another_tree() -> Handed:
    other = signed_once().entry()["inclusionProof"]["checkpoint"]["envelope"]
    return handed(noted(lambda _: other), "invalid_signature")


def _bad_checkpoint_signature() -> Handed:
    return handed(noted(lambda note: note.replace("\n7\n", "\n8\n")), "invalid_signature")


def _bad_checkpoint_hint() -> Handed:
    return handed(noted(with_hint(b"hint")), "invalid_signature")


def _bad_checkpoint_key_id() -> Handed:
    root = INSTANCE.trusted_root()
    root["tlogs"][0]["checkpointKeyId"] = {"keyId": b64(b"note" + bytes(28))}
    return handed(signed_once().bundle(), "invalid_signature", root)


def _bad_checkpoint_unsigned() -> Handed:
    return handed(noted(lambda note: note.partition("\n\n")[0] + "\n\n"), "invalid_signature")


def _bad_checkpoint_empty_lines() -> Handed:
    return handed(noted(lambda note: note.replace("\n\n", "\n\n\n")), "invalid_signature")


def _bad_checkpoint_cut_short() -> Handed:
    return handed(noted(lambda note: note.rstrip("\n")), "invalid_signature")


def _bad_unknown_log() -> Handed:
    signed = signed_once()
    entry = signed.entry(log=LogKey("rekor.stranger", new_key("p256")))
    return handed(signed.bundle(entries=[entry]), "unknown_root")


def _bad_log_with_another_key() -> Handed:
    root = INSTANCE.trusted_root()
    log = root["tlogs"][0]
    log["publicKey"]["rawBytes"] = LogKey("x", new_key("p256")).listed()["publicKey"]["rawBytes"]
    return handed(signed_once().bundle(), "invalid_signature", root)


def _bad_log_closed_before() -> Handed:
    closed = replace(INSTANCE, rekor=replace(INSTANCE.rekor, end=SIGNED_AT - DAY))
    return handed(signed_once().bundle(), "invalid_signature", closed.trusted_root())


def _bad_rekor2_without_timestamp() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(entries=[signed.entry("hashedrekord 0.0.2")]), "expired")


def _bad_rekor2_integrated_time() -> Handed:
    signed = signed_once()
    body, kind, version = signed.body("hashedrekord 0.0.2")
    entry = INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT)
    return handed(signed.bundle(entries=[entry]), "expired")


def _bad_timestamp_of_something_else() -> Handed:
    return handed(second(value=b"other")[1], "expired")


def _bad_timestamp_by_a_stranger() -> Handed:
    return handed(second(tsa=Authority.make(SIGNED_AT, name="Stranger"))[1], "expired")


def _bad_timestamp_late() -> Handed:
    return handed(second(at=SIGNED_AT + 30 * MINUTES)[1], "expired")


def _bad_timestamp_early() -> Handed:
    return handed(second(at=SIGNED_AT - 30 * MINUTES)[1], "not_yet_valid")


def _bad_timestamp_twice() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(timestamps=[signed.timestamp()] * 2), "malformed")


def _bad_timestamp_outside_window() -> Handed:
    closed = replace(INSTANCE, tsa_window=(datetime(2021, 1, 1, tzinfo=UTC), SIGNED_AT - DAY))
    return handed(second()[1], "expired", closed.trusted_root())


def _bad_timestamp_before_window() -> Handed:
    later = replace(INSTANCE, tsa_window=(SIGNED_AT + DAY, None))
    return handed(second()[1], "expired", later.trusted_root())


def _bad_timestamp_without_authority() -> Handed:
    return handed(second()[1], "expired", INSTANCE.trusted_root() | {"timestampAuthorities": []})


def _bad_timestamp_by_expired_authority() -> Handed:
    old = Authority.under(INSTANCE.tsa.root_key, INSTANCE.tsa.root, SIGNED_AT, days=(-500, -100))
    root = replace(INSTANCE, tsa=old).trusted_root()
    return handed(second(tsa=old)[1], "expired", root)


def _bad_one_of_two_times() -> Handed:
    signed = signed_once()
    return handed(signed.bundle(timestamps=[signed.timestamp(SIGNED_AT + 60 * MINUTES)]), "expired")


def _bad_timestamp_late_beside_a_good_one() -> Handed:
    """Every proven time lies within the certificate's, not the first alone."""
    signed = signed_once()
    stamps = [signed.timestamp(), signed.timestamp(at=SIGNED_AT + 30 * MINUTES)]
    return handed(signed.bundle(entries=[signed.entry("hashedrekord 0.0.2")], timestamps=stamps), "expired")


def _bad_timestamp_in_another_authoritys_window() -> Handed:
    """The window is that of the authority that stamped."""
    root = replace(INSTANCE, tsa_window=(SIGNED_AT - DAY, SIGNED_AT - MINUTES)).trusted_root()
    other = replace(INSTANCE, tsa=Authority.make(SIGNED_AT, name="Other")).trusted_root()
    root["timestampAuthorities"] += other["timestampAuthorities"]
    return handed(second()[1], "expired", root)


def _bad_rekor1_logged_payload() -> Handed:
    """A hashedrekord entry about an envelope is about its PAE, not about the payload."""
    signed = attested_once()
    body, kind, version = replace(signed, envelope=False).body("hashedrekord 0.0.1")
    return handed(signed.bundle(entries=[INSTANCE.rekor.entry(body, kind, version, at=SIGNED_AT)]), "invalid_signature")
