"""What ``rootwarden check`` makes of times, purposes, weak algorithms, revocation lists, several packages and wrong questions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.contracts.packages import CONTENT, Holder, Kit, bundle, issue, run

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden


@pytest.fixture
def package(tmp_path: Path, kit: Kit) -> Path:
    """A file with a valid signature beside it."""
    return signed(tmp_path / "firmware.bin", kit.signer)


def signed(path: Path, holder: Holder, *options: str, digest: str = "sha256") -> Path:
    """A file signed by ``holder``."""
    path.write_bytes(CONTENT)
    path.with_name(path.name + ".p7s").write_bytes(holder.cms(CONTENT, *options, digest=digest))
    return path


def told(answer: tuple[int, dict[str, object]]) -> tuple[int, object, object]:
    """Exit code, outcome, reason."""
    code, verdict = answer
    return code, verdict["outcome"], verdict["reason"]


def test_another_time_is_asked_about(fast: Rootwarden, kit: Kit, package: Path) -> None:
    """Before and after the certificates' validity a signature is not valid yet and expired; the answer names the time."""
    now = datetime.now(UTC)
    for days, reason in ((-40, "not_yet_valid"), (400, "expired")):
        at = (now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        code, verdict = fast.supplied(kit.anchors, "--at", at, package)
        assert told((code, verdict)) == (3, "indeterminate", reason)
        assert verdict["validation_time"].startswith(at[:-1])
        assert verdict["basis"]["time"] == "requested"
    code, verdict = fast.supplied(kit.anchors, "--at", (now - timedelta(days=10)).isoformat(), package)
    assert told((code, verdict)) == (0, "passed", "trusted")


def test_expired_and_future_certificates(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A signer that expired yesterday, and one that begins tomorrow, do not pass today."""
    for name, days, reason in (("old", (-30, -1), "expired"), ("new", (1, 30), "not_yet_valid")):
        holder = issue(tmp_path, name, kit.middle, days=days)
        assert told(fast.supplied(kit.anchors, signed(tmp_path / f"{name}.bin", holder))) == (
            3,
            "indeterminate",
            reason,
        )


def test_expired_root_as_anchor(fast: Rootwarden, tmp_path: Path) -> None:
    """An anchor that has expired makes nothing pass."""
    root = issue(tmp_path, "root", ca=True, days=(-90, -1))
    holder = issue(tmp_path, "signer", root)
    assert told(fast.supplied(root.pem, signed(tmp_path / "a.bin", holder))) == (3, "indeterminate", "expired")


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-25T12:00:00",
        "2026-11-25",
        "yesterday",
        "",
        "2026-13-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "\x1b[2J",
        "0",
    ],
)
def test_times_without_zone_or_meaning_are_refused(fast: Rootwarden, kit: Kit, package: Path, at: str) -> None:
    """A time without a zone, or no time at all, is a usage error that says so without raw control characters."""
    code, out, err = fast.run("check", "--only-anchors", "--anchors", kit.anchors, "--at", at, package)
    assert (code, out) == (2, "")
    assert "\x1b" not in err


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+14:00"]
)
def test_times_at_the_end_of_the_calendar(fast: Rootwarden, kit: Kit, package: Path, at: str) -> None:
    """The first and the last moment that can be written are answered or refused, never a crash."""
    code, _, err = fast.run("check", "--json", "--only-anchors", "--anchors", kit.anchors, "--at", at, package)
    assert code in (2, 3)
    assert "internal" not in err


def test_purposes_other_than_code_signing(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A TLS server's certificate signs no package; an anchor that is one vouches for none."""
    tls = issue(tmp_path, "tls", kit.middle, eku=ExtendedKeyUsageOID.SERVER_AUTH)
    package = signed(tmp_path / "tls.bin", tls)
    assert told(fast.supplied(kit.anchors, package)) == (10, "failed", "path_invalid")
    assert told(fast.supplied(tls.pem, package))[0] == 10
    tls_ca = issue(tmp_path, "tls-ca", kit.root, ca=True, eku=ExtendedKeyUsageOID.SERVER_AUTH)
    package = signed(tmp_path / "below.bin", issue(tmp_path, "below-tls", tls_ca))
    assert told(fast.supplied(kit.anchors, package)) == (10, "failed", "path_invalid")
    assert told(fast.supplied(tls_ca.pem, package))[0] in (3, 10)


def test_a_certificate_that_is_no_ca_issues_nothing(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A signer's certificate used as an issuer breaks the path."""
    below = issue(tmp_path, "below", kit.signer)
    assert told(fast.supplied(kit.anchors, signed(tmp_path / "a.bin", below))) == (10, "failed", "path_invalid")


def test_the_signer_itself_as_anchor(fast: Rootwarden, kit: Kit, package: Path) -> None:
    """An end entity handed over as anchor vouches for its own signatures, an intermediate for those below it."""
    for anchor in (kit.signer.pem, kit.middle.pem):
        assert told(fast.supplied(anchor, package))[0] == 0
    assert told(fast.supplied(kit.stranger.pem, package)) == (3, "indeterminate", "unknown_root")


def test_weak_algorithms(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """SHA-1 and MD5 in signature or certificate, and RSA keys below 2048 bits, are failed / weak_algorithm with integrity apart."""
    rsa_signer = issue(tmp_path, "rsa", kit.middle, key=rsa.generate_private_key(65537, 2048))
    assert told(fast.supplied(kit.anchors, signed(tmp_path / "rsa.bin", rsa_signer)))[0] == 0
    short = issue(tmp_path, "short", kit.middle, key=rsa.generate_private_key(65537, 1024))  # noqa: S505 - what is tested
    under_sha1 = issue(tmp_path, "under-sha1", kit.middle)
    request = run("openssl", "req", "-new", "-key", str(under_sha1.key_file), "-subj", "/CN=under-sha1")
    extensions = tmp_path / "extensions"
    extensions.write_text("keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n")
    issued = run(
        "openssl", "x509", "-req", "-CA", str(kit.middle.pem), "-CAkey", str(kit.middle.key_file), "-set_serial", "77",
        "-days", "30", "-sha1", "-extfile", str(extensions), data=request,
    )  # fmt: skip
    under_sha1.pem.write_bytes(issued)
    cases = {
        "sha1": signed(tmp_path / "sha1.bin", kit.signer, digest="sha1"),
        "md5": signed(tmp_path / "md5.bin", rsa_signer, digest="md5"),
        "short": signed(tmp_path / "short.bin", short),
        "certificate": signed(tmp_path / "certificate.bin", under_sha1),
    }
    for name, path in cases.items():
        code, verdict = fast.supplied(kit.anchors, path)
        assert told((code, verdict)) == (10, "failed", "weak_algorithm"), name
        assert verdict["signatures"][0]["integrity"] == "intact", name


def test_the_worst_package_decides_the_exit(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Of several packages 10 comes over 3 and 3 over 0; a missing file is 3 and the others are still answered."""
    good = signed(tmp_path / "good.bin", kit.signer)
    bad = signed(tmp_path / "bad.bin", kit.signer)
    bad.write_bytes(CONTENT + b"x")
    unknown = signed(tmp_path / "unknown.bin", kit.stranger)
    missing = tmp_path / "missing.bin"
    for paths, expected in (
        ([good, good], 0), ([good, unknown], 3), ([unknown, bad, good], 10), ([bad, missing], 10), ([missing, good], 3),
        ([good, missing, tmp_path, good], 3),
    ):  # fmt: skip
        code, out, _ = fast.run("check", "--json", "--only-anchors", "--anchors", kit.anchors, *paths)
        assert code == expected
        assert [json.loads(line)["package"]["name"] for line in out.splitlines()] == [path.name for path in paths]
        text_code, _, _ = fast.run("check", "--only-anchors", "--anchors", kit.anchors, *paths)
        assert text_code == code


def test_files_that_are_not_what_they_are_given_as(fast: Rootwarden, kit: Kit, package: Path, tmp_path: Path) -> None:
    """A missing, empty, foreign or unreadable --anchors, --untrusted, --crl or --signature file is a usage error."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    (tmp_path / "half.pem").write_bytes(kit.anchors.read_bytes()[:-40])
    (tmp_path / "huge").open("wb").truncate(1 << 30)
    for option in ("--anchors", "--untrusted", "--crl"):
        for name in ("empty", "noise", "half.pem", "huge", "absent", ".", "firmware.bin"):
            code, out, err = fast.run(
                "check", "--only-anchors", "--anchors", kit.anchors, option, tmp_path / name, package
            )
            assert (code, out) == (2, ""), (option, name)
            assert len(err.splitlines()) == 1, (option, name, err)
    for name in ("absent", ".", "huge"):
        code, out, err = fast.run(
            "check", "--only-anchors", "--anchors", kit.anchors, "--signature", tmp_path / name, package
        )
        assert (code, out) == (2, ""), (name, out)


def test_a_signature_file_that_is_none(fast: Rootwarden, kit: Kit, package: Path, tmp_path: Path) -> None:
    """A --signature file that holds no signature is a bad file, however good the one beside the package is."""
    for name, data in (("empty", b""), ("noise", bytes(range(256))), ("text", b"signed, honestly\n")):
        (tmp_path / name).write_bytes(data)
        code, out, _ = fast.run(
            "check", "--json", "--only-anchors", "--anchors", kit.anchors, "--signature", tmp_path / name, package
        )
        assert (code, out) == (2, ""), name


def _revocations(kit: Kit, folder: Path, *serials: int) -> Path:
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(kit.middle.certificate.subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=1))
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(hours=1)).build()
        builder = builder.add_revoked_certificate(entry)
    place = folder / f"{len(serials)}.crl"
    crl = builder.sign(kit.middle.key, hashes.SHA256())
    place.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    return place


def test_a_revocation_list_is_never_passed_over(fast: Rootwarden, kit: Kit, package: Path, tmp_path: Path) -> None:
    """A list that revokes the signer keeps the package from passing; so does an empty one for another issuer's certificates."""
    revoked = _revocations(kit, tmp_path, kit.signer.certificate.serial_number)
    code, verdict = fast.supplied(kit.anchors, "--crl", revoked, package)
    assert code in (3, 10)
    assert verdict["reason"] in ("revoked", "revocation_unknown")
    code, verdict = fast.supplied(kit.anchors, "--crl", _revocations(kit, tmp_path), package)
    assert verdict["reason"] in ("trusted", "revocation_unknown")


def test_demands_that_cannot_be_met_never_pass(fast: Rootwarden, kit: Kit, package: Path) -> None:
    """A sigstore identity or a namespace asked for of a signature that has none keeps it from passing; ``file`` is no demand."""
    for option in ("--certificate-identity", "--certificate-oidc-issuer", "--namespace"):
        code, verdict = fast.supplied(kit.anchors, option, "https://example.org/x", package)
        assert told((code, verdict)) == (3, "indeterminate", "unexpected_signer"), option
    assert told(fast.supplied(kit.anchors, "--namespace", "file", package)) == (0, "passed", "trusted")


def test_untrusted_material_helps_and_vouches_for_nothing(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A signature without certificates is unchecked; with the signer's it is intact and unknown; with the chain it passes."""
    package = tmp_path / "bare.bin"
    package.write_bytes(CONTENT)
    (tmp_path / "bare.bin.p7s").write_bytes(kit.signer.cms(CONTENT, carry=False))
    code, verdict = fast.supplied(kit.anchors, package)
    assert told((code, verdict)) == (3, "indeterminate", "unknown_root")
    assert verdict["signatures"][0]["integrity"] == "unchecked"
    code, verdict = fast.check("--only-anchors", "--untrusted", kit.signer.pem, package)
    assert told((code, verdict)) == (3, "indeterminate", "unknown_root")
    assert verdict["signatures"][0]["integrity"] == "intact"
    code, verdict = fast.check("--only-anchors", *_all("--untrusted", kit.signer, kit.middle, kit.root), package)
    assert told((code, verdict)) == (3, "indeterminate", "unknown_root")
    code, verdict = fast.supplied(kit.anchors, *_all("--untrusted", kit.signer, kit.middle), package)
    assert told((code, verdict)) == (0, "passed", "trusted")


def _all(option: str, *holders: Holder) -> list[object]:
    return [part for holder in holders for part in (option, holder.pem)]


def test_a_root_of_the_same_name_with_another_key(fast: Rootwarden, package: Path, tmp_path: Path) -> None:
    """A root that only bears the name is no issuer; the answer says that the name is known with another key."""
    impostor = issue(tmp_path, "impostor", ca=True, subject="DTEN root")
    code, verdict = fast.supplied(impostor.pem, package)
    assert told((code, verdict)) == (3, "indeterminate", "unknown_root")
    assert verdict["signatures"][0]["missing_issuer"]["same_name_new_key"] is True


def test_formats_of_anchors(fast: Rootwarden, kit: Kit, package: Path, tmp_path: Path) -> None:
    """Anchors may be PEM, DER, a bundle of many, or PKCS#7."""
    (tmp_path / "root.der").write_bytes(kit.root.der)
    (tmp_path / "many.pem").write_bytes(b"# ours\n" + kit.stranger.pem.read_bytes() + kit.root.pem.read_bytes())
    for form in ("PEM", "DER"):
        (tmp_path / f"{form}.p7b").write_bytes(
            run("openssl", "crl2pkcs7", "-nocrl", "-certfile", str(kit.root.pem), "-outform", form)
        )
    for name in ("root.der", "many.pem", "PEM.p7b", "DER.p7b"):
        assert told(fast.supplied(tmp_path / name, package)) == (0, "passed", "trusted"), name


def test_no_anchors_at_all_trusts_nothing(fast: Rootwarden, package: Path) -> None:
    """--only-anchors without anchors: whoever signed it is unknown."""
    assert told(fast.check("--only-anchors", package)) == (3, "indeterminate", "unknown_root")


def test_valid_until_is_when_time_alone_changes_the_answer(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A signer that expires in minutes bounds the answer's life; otherwise it is an hour at most."""
    soon = issue(tmp_path, "soon", kit.middle, days=(-1, 10 / 1440))
    code, verdict = fast.supplied(kit.anchors, signed(tmp_path / "soon.bin", soon))
    assert code == 0
    checked, until = (datetime.fromisoformat(verdict[key]) for key in ("checked_at", "valid_until"))
    assert timedelta(minutes=8) < until - checked <= timedelta(minutes=11)
    _, verdict = fast.supplied(kit.anchors, signed(tmp_path / "long.bin", kit.signer))
    checked, until = (datetime.fromisoformat(verdict[key]) for key in ("checked_at", "valid_until"))
    assert timedelta(0) < until - checked <= timedelta(hours=1)


def test_batch_answers_in_order_and_bad_lines_are_not_fatal(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Every line is answered with its id in order; bad ones as bad_request, and the exit is 4 then."""
    good = signed(tmp_path / "good.bin", kit.signer)
    ask = {"path": str(good), "anchors": [str(kit.anchors)], "only_anchors": True}
    code, answers = fast.batch({"id": "b", **ask}, {"id": 1, **ask}, {"id": 1, **ask}, ask)
    assert (code, [a["id"] for a in answers]) == (0, ["b", 1, 1, None])
    bad: list[bytes] = [
        b"", b"not json", b"[]", b"null", b'"x"', b"{}", b'{"id": 7}', b'{"id": 7, "path": 3}', b'{"id": 7, "path": ""}',
        json.dumps({"id": 7, **ask, "at": "2026-01-01"}).encode(), json.dumps({"id": 7, **ask, "anchors": "x"}).encode(),
        json.dumps({"id": 7, **ask, "only_anchors": "false"}).encode(),
        json.dumps({"id": 7, **ask, "anchors": [str(tmp_path / "absent")]}).encode(),
        json.dumps({"id": 7, **ask, "crls": [str(good)]}).encode(),
        json.dumps({"id": 7, **ask, "signatures": [str(tmp_path / "absent")]}).encode(),
        json.dumps({"id": 7, **ask, "vendour": "x"}).encode(), b"\xff\xfe{}", b"[" * 100_000,
        b'{"id": 7, "path": "\\ud800", "only_anchors": true}',
        b'{"id": 7, "path": "a\\u0000b", "only_anchors": true}', b'{"id": {"a": 1}, "path": "x"}', b"\0" * 100,
        b'{"path": "x"' + b" " * 2_000_000 + b"}",
        b'{"id": 7, "path": "/nonexistent", "only_anchors": true, "only_anchors": true}',
        b'{"id": 1e999, "path": "/nonexistent", "only_anchors": true}', b'{"id": NaN, "path": "/nonexistent", "only_anchors": true}',
        b'{"id": ' + b"9" * 5000 + b', "path": "x"}',
    ]  # fmt: skip
    line = json.dumps({"id": "last", **ask}).encode()
    for request in bad:
        code, out, err = fast.run("check", "--batch", stdin=request + b"\n" + line)
        answers = [json.loads(answer, parse_constant=pytest.fail) for answer in out.splitlines()]
        assert answers, (request[:60], err)
        assert answers[-1]["id"] == "last", (request[:60], err)
        assert answers[-1]["outcome"] == "passed"
        assert len(answers) == 2, request[:60]
        if answers[0]["outcome"] != "error":  # a path that cannot be one is a file that cannot be read
            assert answers[0]["reason"] == "unreadable", request[:60]
            assert code == 3
            continue
        assert code == 4, request[:60]
        assert set(answers[0]) == {"id", "outcome", "reason", "detail"}
        assert answers[0]["reason"] == "bad_request"
        assert answers[0]["id"] in (7, None)
    assert fast.run("check", "--batch")[0] == 2


def test_batch_files_beside_are_found_and_null_is_absent(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """null means absent; each line has anchors of its own, and none leak into the next."""
    good = signed(tmp_path / "good.bin", kit.signer)
    rest = {"signatures": None, "untrusted": [], "crls": None, "at": None, "vendor": None, "namespace": None}
    line = {"path": str(good), "only_anchors": True, **rest}
    code, answers = fast.batch(
        {"id": 0, "anchors": [str(kit.anchors)], **line}, {"id": 1, "anchors": None, **line},
        {"id": 2, "anchors": [str(kit.folder / "stranger-root.pem")], **line},
    )  # fmt: skip
    assert [a["reason"] for a in answers] == ["trusted", "unknown_root", "unknown_root"]
    assert code == 3


def test_signatures_without_attributes_and_with_pss(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Signatures as openssl makes them with other options pass as well; opaque ones stand for the file that they hold, and no other."""
    for number, options in enumerate((["-noattr"], ["-keyid"], ["-nosmimecap"])):
        assert told(fast.supplied(kit.anchors, signed(tmp_path / f"{number}.bin", kit.signer, *options)))[0] == 0
    pss = issue(tmp_path, "pss", kit.middle, key=rsa.generate_private_key(65537, 2048))
    package = signed(tmp_path / "pss.bin", pss, "-keyopt", "rsa_padding_mode:pss")
    assert told(fast.supplied(kit.anchors, package))[0] == 0
    opaque = signed(tmp_path / "opaque.bin", kit.signer, "-nodetach")
    code, verdict = fast.supplied(kit.anchors, opaque)
    assert told((code, verdict)) == (0, "passed", "trusted")
    for other in (b"something else", CONTENT + b"\0", CONTENT[:-1]):
        opaque.write_bytes(other)
        assert told(fast.supplied(kit.anchors, opaque)) == (10, "failed", "invalid_signature"), other


def test_a_signature_over_another_type_of_content(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A timestamp token's content type keeps a signature from standing for a file."""
    package = signed(tmp_path / "a.bin", kit.signer, "-econtent_type", "1.2.840.113549.1.9.16.1.4")
    assert told(fast.supplied(kit.anchors, package))[0] in (3, 10)


def test_a_bundle_in_a_folder(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """The signed list may lie in the one folder at the archive's root, and covers only what is below it."""
    path = tmp_path / "a.zip"
    path.write_bytes(bundle(kit.signer.cms, folder="dten-4.2/"))
    assert told(fast.supplied(kit.anchors, path))[0] == 0
    path.write_bytes(bundle(kit.signer.cms, folder="dten-4.2/", extra=[("evil", b"")]))
    assert told(fast.supplied(kit.anchors, path)) == (10, "failed", "uncovered_content")
