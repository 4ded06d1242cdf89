"""What is fuzzed of registries and transparency: bundles, attestations, envelopes, metadata, and what they are made of."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from tests.packages import sigstore_changes
from tests.packages.generate.notation_craft import cose, jws, payload
from tests.packages.pki import make_pki, new_key
from tests.packages.sigstore_craft import IN_TOTO, ISSUER, Instance, b64, pem, sign, spki, statement
from tests.packages.test_sigstore import NOW, facts_of, question
from trust_store.decode import cbor
from trust_store.decode.dsse import parse_envelope, parse_statement
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.decode.fulcio import fulcio_identity
from trust_store.decode.notation import parse_cose, parse_jws
from trust_store.decode.rekor_entry import parse_body
from trust_store.decode.sigstore_bundle import parse
from trust_store.decode.strict_json import parse_object
from trust_store.decode.timestamp_response import token_of
from trust_store.decode.transparency import embedded_timestamps, parse_checkpoint
from trust_store.decode.trusted_root import read_trusted_root
from trust_store.errors import READ_ERRORS
from trust_store.model.trust_view import TrustView
from trust_store.model.verdict import Outcome
from trust_store.verification import verify_package
from trust_store.verification.supplied import SuppliedMaterial, read_material, supplied_anchors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fuzz_targets import Target

WHO, ARTIFACT = sigstore_changes.WHO, sigstore_changes.ARTIFACT


def targets() -> tuple[Target, ...]:
    """Every target, with seeds made afresh."""
    instance = Instance.make("fuzz.example")
    return (*_decoders(instance), *_sides(instance))


def _decoders(instance: Instance) -> Iterable[Target]:
    from tests.fuzz_targets import Target  # joins these to its own

    signed, attested = instance.sign(ARTIFACT, WHO), instance.attest(statement(("a", {"sha256": "0" * 64})), WHO)
    certificate = signed.certificate or b""
    bundles = (signed.bundle("0.1"), signed.bundle(), attested.bundle(), attested.attestation(), signed.cosign())
    bodies = [signed.body(kind)[0] for kind in ("hashedrekord 0.0.1", "hashedrekord 0.0.2")]
    bodies += [attested.body(kind)[0] for kind in ("dsse 0.0.1", "dsse 0.0.2", "intoto 0.0.2")]
    pki = make_pki(kind="p256")
    envelopes = jws(pki.leaf, (pki.intermediate,), payload(ARTIFACT)), cose(pki.leaf, (), payload(ARTIFACT))
    note = signed.entry()["inclusionProof"]["checkpoint"]["envelope"].encode()
    import base64

    stamp = base64.b64decode(signed.timestamp())
    root = json.dumps(instance.trusted_root()).encode()
    yield Target("sigstore.parse", parse, tuple(json.dumps(one).encode() for one in bundles), READ_ERRORS)
    yield Target("rekor.parse_body", parse_body, tuple(bodies), READ_ERRORS)
    yield Target("sigstore.read_trusted_root", read_trusted_root.__wrapped__, (root,), READ_ERRORS)
    yield Target("checkpoint", lambda data: parse_checkpoint(data.decode("utf-8", "replace")), (note,), READ_ERRORS)
    yield Target("timestamp.token_of", token_of, (stamp,), READ_ERRORS)
    yield Target("fulcio.identity", fulcio_identity, (certificate,), READ_ERRORS)
    issuer = spki(instance.intermediate.key)
    yield Target("sct", lambda data: embedded_timestamps(data, issuer), (certificate,), READ_ERRORS)
    yield Target("dsse", _envelope, (json.dumps(attested.dsse()).encode(),), READ_ERRORS)
    yield Target("notation.parse_jws", parse_jws, (json.dumps(envelopes[0]).encode(),), READ_ERRORS)
    yield Target("notation.parse_cose", parse_cose, (envelopes[1],), READ_ERRORS)
    yield Target("cbor.decode", cbor.decode, (envelopes[1],), READ_ERRORS)


def _envelope(data: bytes) -> None:
    parse_statement(parse_envelope(parse_object(data, fractions=True)))


def _sides(instance: Instance) -> Iterable[Target]:
    """No signature file, however mutated, makes other content pass."""
    import hashlib

    from tests.fuzz_targets import Target

    key, pki = new_key("p256"), make_pki(kind="p256")
    digests = {name: hashlib.new(name, ARTIFACT).hexdigest() for name in ("sha256", "sha512")}
    content = statement(("pkg:npm/tool@1.0.0", digests))
    signed, attested = instance.sign(ARTIFACT, WHO), instance.attest(content, WHO)
    keyed, stated = instance.with_key(key, ARTIFACT), instance.with_key(key, content, envelope=True)
    integrity = "sha512-" + b64(hashlib.sha512(ARTIFACT).digest())
    listed = [{"keyid": "SHA256:k", "sig": b64(sign(key, f"tool@1.0.0:{integrity}".encode()))}]
    manifest = {"name": "tool", "version": "1.0.0", "dist": {"integrity": integrity, "signatures": listed}}
    kind = "ecdsa-sha2-nistp256"
    keys = {"keys": [{"keyid": "SHA256:k", "keytype": kind, "scheme": kind, "key": b64(spki(key)), "expires": None}]}
    material = read_material(json.dumps(instance.trusted_root()).encode(), "root.json")
    material += read_material(pem(key), "key.pub") + read_material(pki.root.pem, "root.pem")
    material += read_material(json.dumps(keys).encode(), "keys.json")
    attestations = {"attestations": [{"predicateType": IN_TOTO, "bundle": attested.bundle()}]}
    chain = (pki.intermediate,)
    seeds = {
        "sigstore": (signed.bundle(), keyed.bundle(), attested.bundle()),
        "cosign-bundle": (signed.cosign(),),
        "npm": (manifest,),
        "npm-attestation": (attestations,),
        "dsse": (stated.dsse(),),
        "notation-jws": (jws(pki.leaf, chain, payload(ARTIFACT)),),
    }
    run = partial(_other_content, material)
    for name, documents in seeds.items():
        yield Target(f"side file: {name}", run, tuple(json.dumps(one).encode() for one in documents), ())
    yield Target("side file: notation-cose", run, (cose(pki.leaf, chain, payload(ARTIFACT)),), ())


def _other_content(material: SuppliedMaterial, side: bytes) -> None:
    from tests.fuzz_targets import LieError

    facts = facts_of(side, ARTIFACT + b"!", *material.candidates)
    if facts_from_json(facts_to_json(facts)) != facts:
        raise LieError("the facts do not survive the worker's wire")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    for asked in (None, (WHO, ISSUER)):
        if verify_package(facts, view, question(asked)).outcome is Outcome.PASSED:
            raise LieError("passed, and the content is not what was signed")
