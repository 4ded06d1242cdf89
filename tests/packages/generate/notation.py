"""Fixtures of Notary Project signatures over a file, built from the specification: ``python -m tests.packages.generate.notation``.

No tool that makes them is packaged for Debian, PyPI or npm.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

from tests.packages.generate.notation_craft import PREFIX, SIGNED_AT, cose, jws, moment, payload
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import make_pki, revocation_list
from tests.trust_store.timestamp_craft import Authority
from trust_store.decode import cbor

CONTENT = b"one file that notation signed\n"
ENDED = datetime(2026, 4, 1, tzinfo=UTC)


def main() -> None:
    """Make them all anew."""
    folder = FixtureFolder("notation")
    pki, other, old = make_pki(kind="p256"), make_pki("Stranger", kind="p256"), make_pki("Old", kind="p256", end=ENDED)
    server = make_pki("Server", kind="p256", eku=None)
    rsa = make_pki("Large", kind="rsa2048")
    for name, one in (("root", pki), ("stranger", other), ("old", old), ("rsa", rsa), ("server", server)):
        folder.write(f"{name}.pem", one.root.pem)
    folder.write("revoked.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.write("root.crl", revocation_list(pki.root))
    folder.write("file.bin", CONTENT)
    folder.write("tampered.bin", CONTENT.replace(b"one", b"two"))
    folder.write("appended.bin", CONTENT + b"\n")
    chain = (pki.intermediate, pki.root)
    authority = Authority.make(SIGNED_AT)
    folder.write("tsa.pem", _pem(authority.root_der))
    body = payload(CONTENT)
    envelopes = {
        "valid.jws": jws(pki.leaf, chain, body),
        "rsa.jws": jws(rsa.leaf, (rsa.intermediate, rsa.root), body),
        "sha512.jws": jws(pki.leaf, chain, payload(CONTENT, "sha512")),
        "old.jws": jws(old.leaf, (old.intermediate, old.root), body),
        "any-usage.jws": jws(server.leaf, (server.intermediate, server.root), body),
        "expired-itself.jws": jws(
            pki.leaf, chain, body,
            changes={"crit": [PREFIX + "signingScheme", PREFIX + "expiry"], PREFIX + "expiry": "2026-05-01T00:00:00Z"},
        ),
        "not-expired-itself.jws": jws(
            pki.leaf, chain, body,
            changes={"crit": [PREFIX + "signingScheme", PREFIX + "expiry"], PREFIX + "expiry": "2036-05-01T00:00:00Z"},
        ),
        "expiry-not-critical.jws": jws(pki.leaf, chain, body, changes={PREFIX + "expiry": "2036-05-01T00:00:00Z"}),
        "plugin.jws": jws(pki.leaf, chain, body, changes={PREFIX + "verificationPlugin": "com.example.plugin"}),
        "unknown-critical.jws": jws(pki.leaf, chain, body, changes={"crit": [PREFIX + "signingScheme", "strange"], "strange": 1}),
        "no-critical.jws": jws(pki.leaf, chain, body, changes={"crit": None}),
        "wrong-algorithm.jws": jws(pki.leaf, chain, body, changes={"alg": "ES384"}),
        "authority.jws": jws(
            pki.leaf, chain, body,
            changes={
                "crit": [PREFIX + "signingScheme", PREFIX + "authenticSigningTime"],
                PREFIX + "signingScheme": "notary.x509.signingAuthority",
                PREFIX + "authenticSigningTime": "2026-03-04T12:00:00Z",
                PREFIX + "signingTime": None,
            },
        ),
    }  # fmt: skip
    stamped = jws(old.leaf, (old.intermediate, old.root), body)
    token = authority.token(_value(stamped), SIGNED_AT)
    stamped["header"][PREFIX + "timestampSignature"] = base64.b64encode(token).decode()
    envelopes["stamped.jws"] = stamped
    for name, envelope in envelopes.items():
        folder.write(name, json.dumps(envelope).encode())
    whole = json.dumps(envelopes["valid.jws"]).encode()
    folder.write("truncated.jws", whole[: len(whole) // 2])
    folder.write("duplicate.jws", whole[:-1] + b', "payload": "e30"}')
    changed = dict(envelopes["valid.jws"], signature=jws(pki.leaf, chain, payload(b"other"))["signature"])
    folder.write("other-value.jws", json.dumps(changed).encode())
    folder.write("valid.cose", cose(pki.leaf, chain, body))
    folder.write("rsa.cose", cose(rsa.leaf, (rsa.intermediate, rsa.root), body))
    folder.write("truncated.cose", cose(pki.leaf, chain, body)[:-9])
    expiry = {"2": cbor.encode_array(tuple(map(cbor.encode_text, (PREFIX + "signingScheme", PREFIX + "expiry"))))}
    late = expiry | {PREFIX + "expiry": moment(SIGNED_AT + timedelta(days=9))}
    folder.write("expired-itself.cose", cose(pki.leaf, chain, body, changes=late))
    first = cose(old.leaf, (old.intermediate, old.root), body)
    parsed = cbor.decode(first)
    value = parsed.value[3] if isinstance(parsed, cbor.Tag) and isinstance(parsed.value, list) else b""
    token = authority.token(value, SIGNED_AT)
    folder.write("stamped.cose", _restamped(first, token))
    _cases(folder)
    folder.close()


def _cases(folder: FixtureFolder) -> None:
    def case(name: str, outcome: str, reason: str, signature: str, file: str = "file.bin", **fields: object) -> None:
        folder.case(name, file, outcome, reason, format="detached", signatures=[signature], **fields)

    for kind in ("jws", "cose"):
        case(f"valid_{kind}", PASSED, "trusted", f"valid.{kind}", mutate=True)
        case(f"valid_rsa_{kind}", PASSED, "trusted", f"rsa.{kind}", anchors=["rsa.pem"])
        case(f"unknown_root_{kind}", INDETERMINATE, "unknown_root", f"valid.{kind}", anchors=[])
        case(f"other_root_{kind}", INDETERMINATE, "unknown_root", f"valid.{kind}", anchors=["stranger.pem"])
        case(f"tampered_{kind}", FAILED, "invalid_signature", f"valid.{kind}", "tampered.bin")
        case(f"appended_{kind}", FAILED, "invalid_signature", f"valid.{kind}", "appended.bin")
        case(f"truncated_{kind}", FAILED, "malformed", f"truncated.{kind}")
        case(f"expired_itself_{kind}", INDETERMINATE, "expired", f"expired-itself.{kind}")
        case(f"stamped_{kind}", PASSED, "trusted", f"stamped.{kind}", anchors=["old.pem", "tsa.pem"])
        case(f"stamped_by_a_stranger_{kind}", INDETERMINATE, "expired", f"stamped.{kind}", anchors=["old.pem"])
        crls = ["revoked.crl", "root.crl"]
        case(f"revoked_{kind}", FAILED, "revoked", f"valid.{kind}", crls=crls)
    folder.case("unsigned", "file.bin", INDETERMINATE, "unsupported_format", format=None)
    case("valid_sha512", PASSED, "trusted", "sha512.jws")
    case("valid_without_usage", PASSED, "trusted", "any-usage.jws", anchors=["server.pem"])
    case("valid_signing_authority", PASSED, "trusted", "authority.jws")
    case("not_expired_itself", PASSED, "trusted", "not-expired-itself.jws")
    case("expired", INDETERMINATE, "expired", "old.jws", anchors=["old.pem"])
    case("duplicate_entries", FAILED, "malformed", "duplicate.jws")
    case("other_value", FAILED, "invalid_signature", "other-value.jws")
    case("expiry_not_critical", FAILED, "malformed", "expiry-not-critical.jws")
    case("plugin", INDETERMINATE, "unsupported_format", "plugin.jws")
    case("unknown_critical", INDETERMINATE, "unsupported_format", "unknown-critical.jws")
    case("no_critical", FAILED, "malformed", "no-critical.jws")
    case("wrong_algorithm", FAILED, "malformed", "wrong-algorithm.jws")
    case("identity_asked_for", INDETERMINATE, "unexpected_signer", "valid.jws", certificate_identity="a@vendor.example")


def _value(envelope: dict[str, str]) -> bytes:
    text = envelope["signature"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _restamped(envelope: bytes, token: bytes) -> bytes:
    """The envelope with a timestamp among its unprotected headers."""
    parsed = cbor.decode(envelope)
    assert isinstance(parsed, cbor.Tag)
    assert isinstance(parsed.value, list)
    protected, loose, body, value = parsed.value
    listed = cbor.encode_array(tuple(cbor.encode_bytes(one) for one in loose[33]))
    stamp = cbor.encode_text(PREFIX + "timestampSignature") + cbor.encode_bytes(token)
    headers = cbor.head(5, 2) + cbor.head(0, 33) + listed + stamp
    parts = (cbor.encode_bytes(protected), headers, cbor.encode_bytes(body), cbor.encode_bytes(value))
    return b"\xd2" + cbor.encode_array(parts)


def _pem(der: bytes) -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()


if __name__ == "__main__":
    main()
