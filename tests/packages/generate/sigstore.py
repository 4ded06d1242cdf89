"""Fixtures of sigstore bundles, cosign's older bundles, PyPI attestations, npm metadata and in-toto statements by bare keys.

``python -m tests.packages.generate.sigstore``: built from the specifications by an instance of our own (``tests.packages.sigstore_craft``),
since the public one signs only for who logs in. What sigstore's own client says of such bundles was compared (docs/formats.md).
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import new_key
from tests.packages.sigstore_craft import ISSUER, SIGNED_AT, Instance, b64, pem, sign, spki, statement

CONTENT = b"one file that sigstore signed\n"
WHO = "someone@vendor.example"
ASKED = {"certificate_identity": WHO, "certificate_oidc_issuer": ISSUER}
DAY = timedelta(days=1)


def main() -> None:
    """Make them all anew."""
    instance = Instance.make()
    sigstore(instance)
    pypi(instance)
    npm(instance)
    dsse(instance)


def _json(said: Any) -> bytes:
    return json.dumps(said).encode()


def _start(name: str, instance: Instance, content: bytes = CONTENT, file: str = "file.bin") -> FixtureFolder:
    folder = FixtureFolder(name)
    folder.write(file, content)
    folder.write("tampered-" + file, content.replace(b"one", b"two"))
    folder.write("appended-" + file, content + b"\n")
    folder.write("root.json", _json(instance.trusted_root()))
    folder.write("stranger.json", _json(Instance.make().trusted_root()))
    return folder


def sigstore(instance: Instance) -> None:
    """Bundles of every version, with certificates and with keys, and cosign's older ones."""
    folder = _start("sigstore", instance)
    key = new_key("p256")
    folder.write("key.pub", pem(key))
    folder.write("stranger.pub", pem(new_key("p256")))
    signed, keyed = instance.sign(CONTENT, WHO), instance.with_key(key, CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    attested = instance.attest(statement(("file.bin", {"sha256": digest})), WHO)
    weak = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
    second = signed.entry("hashedrekord 0.0.2")
    no_promise = signed.bundle()
    del no_promise["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    bundles = {
        "v01": signed.bundle("0.1"),
        "v02": signed.bundle("0.2"),
        "v03": signed.bundle(),
        "dsse": attested.bundle(),
        "rekor2": signed.bundle(entries=[second], timestamps=[signed.timestamp()]),
        "rekor2-dsse": attested.bundle(
            entries=[attested.entry("hashedrekord 0.0.2")], timestamps=[attested.timestamp()]
        ),
        "key": keyed.bundle(),
        "late": signed.bundle(entries=[signed.entry(at=SIGNED_AT + DAY)]),
        "no-promise": no_promise,
        "other-log-entry": signed.bundle(entries=[signed.entry(value=sign(new_key("p256"), b"x"))]),
        "weak-digest": instance.attest(statement(("file.bin", {"sha1": weak})), WHO).bundle(),
        "cosign": signed.cosign(),
        "cosign-key": keyed.cosign(),
    }
    for name, bundle in bundles.items():
        folder.write(f"{name}.sigstore.json", _json(bundle))
    whole = _json(bundles["v03"])
    folder.write("truncated.sigstore.json", whole[: len(whole) // 2])
    folder.write(
        "duplicate.sigstore.json", whole[:-1] + b', "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}'
    )
    folder.write("several.intoto.jsonl", whole + b"\n" + _json(bundles["dsse"]) + b"\n")
    folder.write("identity.json", _json({"issuer": ISSUER, "identity": WHO}))
    folder.write("pattern.json", _json({"issuer": ISSUER, "identity": r"^[a-z]+@vendor\.example$"}))
    _sigstore_cases(folder)
    folder.close()


def _sigstore_cases(folder: FixtureFolder) -> None:
    def case(name: str, outcome: str, reason: str, bundle: str = "v03", file: str = "file.bin", **fields: Any) -> None:
        fields = (
            {"format": "detached", "anchors": ["root.json"], "signatures": [f"{bundle}.sigstore.json"]} | ASKED | fields
        )
        folder.case(name, file, outcome, reason, **{name: value for name, value in fields.items() if value is not None})

    nobody: dict[str, Any] = {"certificate_identity": None, "certificate_oidc_issuer": None}
    case("valid", PASSED, "trusted", mutate=True)
    for bundle in ("v01", "v02", "dsse", "rekor2", "rekor2-dsse", "cosign"):
        case(f"valid_{bundle}", PASSED, "trusted", bundle)
    case("valid_key", PASSED, "trusted", "key", anchors=["key.pub"], **nobody)
    case("valid_key_and_root", PASSED, "trusted", "key", anchors=["key.pub", "root.json"], **nobody)
    case("valid_cosign_key", PASSED, "trusted", "cosign-key", anchors=["key.pub"], **nobody)
    case("valid_several", PASSED, "trusted", signatures=["several.intoto.jsonl"])
    case("valid_stated_identity", PASSED, "trusted", anchors=["root.json", "identity.json"], **nobody)
    case("valid_stated_pattern", PASSED, "trusted", anchors=["root.json", "pattern.json"], **nobody)
    case("unknown_root", INDETERMINATE, "unknown_root", anchors=[])
    case("other_root", INDETERMINATE, "unknown_root", anchors=["stranger.json"])
    case("other_key", INDETERMINATE, "unknown_root", "key", anchors=["stranger.pub"], **nobody)
    case("key_and_other_root", INDETERMINATE, "unknown_root", "key", anchors=["key.pub", "stranger.json"], **nobody)
    case("nobody_stated", INDETERMINATE, "unexpected_signer", **nobody)
    case("other_identity", INDETERMINATE, "unexpected_signer", certificate_identity="else@vendor.example")
    case("other_issuer", INDETERMINATE, "unexpected_signer", certificate_oidc_issuer="https://accounts.else.example")
    case("identity_without_issuer", INDETERMINATE, "unexpected_signer", certificate_oidc_issuer=None)
    case("identity_of_a_key", INDETERMINATE, "unexpected_signer", "key", anchors=["key.pub"])
    for bundle in ("v03", "dsse", "key"):
        anchors = ["key.pub"] if bundle == "key" else ["root.json"]
        for change in ("tampered", "appended"):
            case(f"{change}_{bundle}", FAILED, "invalid_signature", bundle, f"{change}-file.bin", anchors=anchors)
    folder.case("unsigned", "file.bin", INDETERMINATE, "unsupported_format", format=None, anchors=[])
    folder.case("alone", "v03.sigstore.json", INDETERMINATE, "unsupported_format", format=None, anchors=[])
    case("expired", INDETERMINATE, "expired", "late")
    case("no_proven_time", INDETERMINATE, "expired", "no-promise")
    case("before_it_was_signed", INDETERMINATE, "not_yet_valid", at="2026-03-01T00:00:00Z")
    case("weak", INDETERMINATE, "unsupported_format", "weak-digest")
    case("truncated", FAILED, "malformed", "truncated")
    case("duplicate_entries", FAILED, "malformed", "duplicate")
    case("other_log_entry", FAILED, "invalid_signature", "other-log-entry")


def pypi(instance: Instance) -> None:
    """PEP 740: attestation and provenance objects beside a distribution."""
    name = "vendor_tool-1.0-py3-none-any.whl"
    folder = _start("pypi-attestation", instance, file=name)
    digest = {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    predicate = "https://docs.pypi.org/attestations/publish/v1"
    workflow = "https://github.com/vendor/tool/.github/workflows/release.yml@refs/tags/v1"
    asked = {"certificate_identity": workflow, "certificate_oidc_issuer": ISSUER}

    def attestation(*subjects: tuple[str, dict[str, str]]) -> dict[str, Any]:
        return instance.attest(statement(*subjects, predicate=predicate), workflow).attestation()

    own = attestation((name, digest))
    publisher = {"kind": "GitHub", "repository": "vendor/tool", "workflow": "release.yml", "environment": None}
    documents = {
        "publish": own,
        "provenance": {"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": [own]}]},
        "other-name": attestation(("vendor_other-1.0-py3-none-any.whl", digest)),
        "two-subjects": attestation((name, digest), ("vendor_tool-1.0.tar.gz", {"sha256": "0" * 64})),
        "version-2": own | {"version": 2},
    }
    for label, said in documents.items():
        folder.write(f"{label}.json", _json(said))
    whole = _json(own)
    folder.write("truncated.json", whole[:-40])
    folder.write("duplicate.json", whole[:-1] + b', "version": 1}')
    folder.write(name + ".publish.attestation", whole)

    def case(label: str, outcome: str, reason: str, document: str = "publish", file: str = name, **fields: Any) -> None:
        fields = {"format": "detached", "anchors": ["root.json"], "signatures": [f"{document}.json"]} | asked | fields
        folder.case(label, file, outcome, reason, **fields)

    case("valid", PASSED, "trusted", mutate=True)
    case("valid_provenance", PASSED, "trusted", "provenance")
    folder.case("valid_found", name, PASSED, "trusted", format="detached", anchors=["root.json"], **asked)
    case("unknown_root", INDETERMINATE, "unknown_root", anchors=[])
    case("other_root", INDETERMINATE, "unknown_root", anchors=["stranger.json"])
    case("other_workflow", INDETERMINATE, "unexpected_signer", certificate_identity=workflow.replace("release", "test"))
    case("tampered", FAILED, "invalid_signature", file="tampered-" + name)
    case("appended", FAILED, "invalid_signature", file="appended-" + name)
    case("other_name", INDETERMINATE, "out_of_scope", "other-name")
    case("two_subjects", INDETERMINATE, "out_of_scope", "two-subjects")
    case("version_2", INDETERMINATE, "unsupported_format", "version-2")
    case("truncated", FAILED, "malformed", "truncated")
    case("duplicate_entries", FAILED, "malformed", "duplicate")
    folder.case("unsigned", "tampered-" + name, INDETERMINATE, "unsupported_format", format=None, anchors=[])
    folder.close()


def npm(instance: Instance) -> None:
    """A registry's metadata and its attestations beside a tarball."""
    folder = _start("npm", instance, file="tool-1.0.0.tgz")
    key, old = new_key("p256"), new_key("p256")
    integrity = "sha512-" + b64(hashlib.sha512(CONTENT).digest())

    def manifest(signing: Any = key, key_id: str = "SHA256:current", **changes: Any) -> dict[str, Any]:
        value = sign(signing, f"@vendor/tool@1.0.0:{integrity}".encode())
        dist = {"integrity": integrity, "shasum": "0" * 40, "signatures": [{"keyid": key_id, "sig": b64(value)}]}
        return {"name": "@vendor/tool", "version": "1.0.0", "dist": dist | changes}

    def listed(*entries: tuple[Any, str, str | None]) -> bytes:
        kind = "ecdsa-sha2-nistp256"
        keys = [
            {"expires": end, "keyid": name, "keytype": kind, "scheme": kind, "key": b64(spki(one))}
            for one, name, end in entries
        ]
        return _json({"keys": keys})

    folder.write("keys.json", listed((key, "SHA256:current", None), (old, "SHA256:old", "2025-01-29T00:00:00.000Z")))
    folder.write("stranger-keys.json", listed((new_key("p256"), "SHA256:stranger", None)))
    packument = {
        "name": "@vendor/tool",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {
            "0.9.0": manifest(integrity="sha512-" + b64(bytes(64))) | {"version": "0.9.0"},
            "1.0.0": manifest(),
        },
        "time": {"1.0.0": "2026-03-04T12:00:00.000Z"},
    }
    content = statement(("pkg:npm/%40vendor/tool@1.0.0", {"sha512": hashlib.sha512(CONTENT).hexdigest()}))
    published = instance.with_key(key, content, envelope=True).bundle("0.2", hint="SHA256:current")
    built = instance.attest(content, WHO)
    elsewhere = instance.attest(statement(("tool", {"sha512": hashlib.sha512(CONTENT).hexdigest()})), WHO)
    documents = {
        "manifest": manifest(),
        "packument": packument,
        "old": manifest(old, "SHA256:old"),
        "unsigned": manifest(signatures=[]),
        "other-value": manifest(new_key("p256")),
        "renamed": manifest() | {"name": "@vendor/other"},
        "attestations": {
            "attestations": [
                {"predicateType": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1", "bundle": published},
                {"predicateType": "https://slsa.dev/provenance/v1", "bundle": built.bundle("0.2", entries=[built.entry("intoto 0.0.2")])},
            ]
        },
        "no-purl": {"attestations": [{"predicateType": "https://slsa.dev/provenance/v1", "bundle": elsewhere.bundle()}]},
    }  # fmt: skip
    for label, said in documents.items():
        folder.write(f"{label}.json", _json(said))
    whole = _json(packument)
    folder.write("truncated.json", whole[:-20])
    folder.write("duplicate.json", whole[:-1] + b', "name": "@vendor/tool"}')

    def case(
        label: str, outcome: str, reason: str, document: str = "manifest", file: str = "tool-1.0.0.tgz", **fields: Any
    ) -> None:
        fields = {"format": "detached", "anchors": ["keys.json"], "signatures": [f"{document}.json"]} | fields
        folder.case(label, file, outcome, reason, **fields)

    case("valid", PASSED, "trusted", mutate=True)
    case("valid_packument", PASSED, "trusted", "packument")
    case("valid_attestations", PASSED, "trusted", "attestations")
    case("valid_provenance", PASSED, "trusted", "attestations", anchors=["root.json"], **ASKED)
    case("valid_old_then", PASSED, "trusted", "old", at="2025-01-01T00:00:00Z")
    case("expired", INDETERMINATE, "expired", "old")
    case("unknown_root", INDETERMINATE, "unknown_root", anchors=[])
    case("other_keys", INDETERMINATE, "unknown_root", anchors=["stranger-keys.json"])
    case("provenance_of_nobody", INDETERMINATE, "unknown_root", "attestations", anchors=["root.json"])
    case("tampered", FAILED, "invalid_signature", file="tampered-tool-1.0.0.tgz")
    case("appended", FAILED, "invalid_signature", file="appended-tool-1.0.0.tgz")
    case("tampered_packument", FAILED, "invalid_signature", "packument", "tampered-tool-1.0.0.tgz")
    case("tampered_attestations", FAILED, "invalid_signature", "attestations", "tampered-tool-1.0.0.tgz")
    case("other_value", FAILED, "invalid_signature", "other-value")
    case("renamed", FAILED, "invalid_signature", "renamed")
    case("no_purl", FAILED, "invalid_signature", "no-purl", anchors=["root.json"], **ASKED)
    case("unsigned", INDETERMINATE, "unsigned", "unsigned")
    case("truncated", FAILED, "malformed", "truncated")
    case("duplicate_entries", FAILED, "malformed", "duplicate")
    folder.close()


def dsse(instance: Instance) -> None:
    """In-toto statements in envelopes of bare keys."""
    folder = _start("dsse", instance)
    keys = {kind: new_key(kind) for kind in ("p256", "p384", "rsa2048", "ed25519")}
    digest = hashlib.sha256(CONTENT).hexdigest()
    content = statement(("file.bin", {"sha256": digest}))
    for kind, key in keys.items():
        folder.write(f"{kind}.pub", pem(key))
        folder.write(f"{kind}.intoto.jsonl", _json(instance.with_key(key, content, envelope=True).dsse()))
    folder.write("stranger.pub", pem(new_key("p256")))
    signed = instance.with_key(keys["p256"], content, envelope=True)
    named = signed.dsse(hashlib.sha256(spki(keys["p256"])).hexdigest())
    forged = json.loads(json.dumps(named))
    forged["signatures"][0]["sig"] = b64(sign(keys["p256"], b"x"))
    both = signed.dsse()
    both["signatures"] = [instance.with_key(k, content, envelope=True).dsse()["signatures"][0] for k in keys.values()]
    documents = {
        "forged": forged,
        "both": both,
        "link": signed.dsse() | {"payloadType": "application/vnd.in-toto+link"},
        "weak": instance.with_key(keys["p256"], statement(("file.bin", {"md5": "0" * 32})), envelope=True).dsse(),
    }
    for label, said in documents.items():
        folder.write(f"{label}.intoto.jsonl", _json(said))
    whole = _json(named)
    folder.write("truncated.intoto.jsonl", whole[:-20])
    folder.write("duplicate.intoto.jsonl", whole[:-1] + b', "signatures": []}')

    def case(
        label: str, outcome: str, reason: str, document: str = "p256", file: str = "file.bin", **fields: Any
    ) -> None:
        fields = {"format": "detached", "anchors": ["p256.pub"], "signatures": [f"{document}.intoto.jsonl"]} | fields
        folder.case(label, file, outcome, reason, **fields)

    case("valid", PASSED, "trusted", mutate=True)
    for kind in keys:
        case(f"valid_{kind}", PASSED, "trusted", kind, anchors=[f"{kind}.pub"])
    case("valid_one_of_several", PASSED, "trusted", "both")
    case("unknown_root", INDETERMINATE, "unknown_root", anchors=[])
    case("other_key", INDETERMINATE, "unknown_root", anchors=["stranger.pub"])
    case("tampered", FAILED, "invalid_signature", file="tampered-file.bin")
    case("appended", FAILED, "invalid_signature", file="appended-file.bin")
    case("forged", FAILED, "invalid_signature", "forged")
    case("link", INDETERMINATE, "unsupported_format", "link")
    case("weak", INDETERMINATE, "unsupported_format", "weak")
    case("truncated", FAILED, "malformed", "truncated")
    case("duplicate_entries", FAILED, "malformed", "duplicate")
    folder.case("unsigned", "file.bin", INDETERMINATE, "unsupported_format", format=None, anchors=[])
    folder.close()


if __name__ == "__main__":
    main()
