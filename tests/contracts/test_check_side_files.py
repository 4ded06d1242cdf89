"""Which of several signatures must hold: given with --signature, found beside the package, embedded in it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.packages import CONTENT, Kit, archive, bundle

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden

OTHER = b"another file altogether"


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """A file without signatures."""
    path = tmp_path / "firmware.bin"
    path.write_bytes(CONTENT)
    return path


def lay(package: Path, **sides: bytes) -> None:
    """Write side files by suffix."""
    for suffix, data in sides.items():
        package.with_name(f"{package.name}.{suffix}").write_bytes(data)


def told(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, str]:
    """Exit code, outcome, reason."""
    return answer[0], answer[1]["outcome"], answer[1]["reason"]


def test_every_given_file_must_verify(fast: Rootwarden, kit: Kit, firmware: Path, tmp_path: Path) -> None:
    """With --signature each file counts: one that does not verify, or is a stranger's, keeps the package from passing."""
    files = {
        "good": kit.signer.cms(CONTENT), "pgp": kit.detached(CONTENT), "stranger": kit.stranger.cms(CONTENT),
        "broken": kit.signer.cms(OTHER), "broken-stranger": kit.stranger.cms(OTHER),
        "cut": b"untrusted comment: a signature that is cut short\nRWQ\n",
        "unread": b"untrusted comment: of an algorithm that nothing here reads\n" + base64.b64encode(b"Zz" + bytes(72)) + b"\n",
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    both = ("--anchors", kit.anchors, "--anchors", kit.pgp_anchors)
    for given, expected in (
        (("good",), (0, "passed", "trusted")), (("good", "pgp"), (0, "passed", "trusted")),
        (("good", "good"), (0, "passed", "trusted")), (("good", "stranger"), (3, "indeterminate", "unknown_root")),
        (("good", "broken"), (10, "failed", "invalid_signature")),
        (("good", "broken-stranger"), (10, "failed", "invalid_signature")),
        (("good", "unread"), (3, "indeterminate", "unsupported_format")), (("good", "cut"), (10, "failed", "malformed")),
        (("broken", "unread"), (10, "failed", "invalid_signature")), (("unread",), (3, "indeterminate", "unsupported_format")),
    ):  # fmt: skip
        options = [part for name in given for part in ("--signature", tmp_path / name)]
        code, verdict = fast.check("--only-anchors", *both, *options, firmware)
        assert told((code, verdict)) == expected, given
        assert len(verdict["signatures"]) == len(set(given)), given


def test_a_given_file_without_a_signature_is_a_wrong_question(
    fast: Rootwarden, kit: Kit, firmware: Path, tmp_path: Path
) -> None:
    """A --signature file that holds none is a bad file (2), and no package is answered for, whatever else is given."""
    (tmp_path / "good").write_bytes(kit.signer.cms(CONTENT))
    (tmp_path / "text").write_bytes(b"nothing")
    for given in (("text",), ("good", "text"), ("text", "good")):
        options = [part for name in given for part in ("--signature", tmp_path / name)]
        code, out, err = fast.run("check", "--json", "--only-anchors", "--anchors", kit.anchors, *options, firmware)
        assert (code, out, err.count("\n"), "text: there is no signature" in err) == (2, "", 1, True), given


def test_given_files_replace_what_lies_beside(fast: Rootwarden, kit: Kit, firmware: Path, tmp_path: Path) -> None:
    """With --signature the usual names are not looked for: a good file beside does not help a bad one given, nor the reverse."""
    lay(firmware, p7s=kit.signer.cms(CONTENT))
    (tmp_path / "bad").write_bytes(kit.signer.cms(OTHER))
    assert told(fast.supplied(kit.anchors, "--signature", tmp_path / "bad", firmware)) == (
        10, "failed", "invalid_signature",
    )  # fmt: skip
    lay(firmware, p7s=kit.signer.cms(OTHER))
    (tmp_path / "good").write_bytes(kit.signer.cms(CONTENT))
    assert told(fast.supplied(kit.anchors, "--signature", tmp_path / "good", firmware))[0] == 0


def test_found_files_one_good_signature_suffices(fast: Rootwarden, kit: Kit, firmware: Path) -> None:
    """Beside a bare file one good signature suffices and unrelated ones are listed; a broken one by a known key fails it."""
    good, unrelated = kit.signer.cms(CONTENT), kit.gpg.sign(kit.pgp_stranger, "--armor", data=CONTENT)
    lay(firmware, p7s=good, asc=unrelated)
    code, verdict = fast.supplied(kit.anchors, firmware)
    assert told((code, verdict)) == (0, "passed", "trusted")
    assert {s["file"]["name"]: s["outcome"] for s in verdict["signatures"]} == {
        "firmware.bin.p7s": "passed", "firmware.bin.asc": "indeterminate",
    }  # fmt: skip
    lay(firmware, asc=kit.gpg.sign(kit.pgp_stranger, "--armor", data=OTHER))
    assert told(fast.supplied(kit.anchors, firmware))[0] == 0
    lay(firmware, asc=kit.detached(OTHER))
    assert told(fast.supplied(kit.anchors, "--anchors", kit.pgp_anchors, firmware)) == (
        10, "failed", "invalid_signature",
    )  # fmt: skip


def test_found_files_none_of_them_good(fast: Rootwarden, kit: Kit, firmware: Path) -> None:
    """Only strangers beside it: unknown; only a broken one: failed; only noise: not passed."""
    lay(firmware, p7s=kit.stranger.cms(CONTENT))
    assert told(fast.supplied(kit.anchors, firmware)) == (3, "indeterminate", "unknown_root")
    lay(firmware, p7s=kit.signer.cms(OTHER))
    assert told(fast.supplied(kit.anchors, firmware)) == (10, "failed", "invalid_signature")
    for noise in (b"", b"\0" * 64, b"-----BEGIN CMS-----\n", b"-----BEGIN PGP SIGNATURE-----\n\n", b"0\x80"):
        lay(firmware, p7s=noise)
        code, verdict = fast.supplied(kit.anchors, firmware)
        assert code in (3, 10), noise
        assert verdict["reason"] in ("malformed", "unsupported_format"), noise


def test_embedded_signatures_decide_and_broken_files_beside_fail(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A bundle's own signature decides; a broken file beside it fails the package, an intact stranger's does not."""
    package = tmp_path / "bundle.zip"
    data = bundle(kit.signer.cms)
    package.write_bytes(data)
    lay(package, p7s=kit.stranger.cms(data))
    assert told(fast.supplied(kit.anchors, package))[0] == 0
    lay(package, p7s=kit.signer.cms(OTHER))
    assert told(fast.supplied(kit.anchors, package)) == (10, "failed", "invalid_signature")
    lay(package, p7s=kit.stranger.cms(OTHER))
    assert told(fast.supplied(kit.anchors, package)) == (10, "failed", "invalid_signature")
    package.write_bytes(bundle(kit.stranger.cms))
    lay(package, p7s=kit.signer.cms(package.read_bytes()))
    assert told(fast.supplied(kit.anchors, package)) == (3, "indeterminate", "unknown_root")


def test_given_files_do_not_excuse_embedded_ones(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A good --signature over a bundle whose own signature is broken, or that has smuggled content, does not make it pass."""
    package = tmp_path / "bundle.zip"
    for data in (bundle(lambda _: kit.signer.cms(OTHER)), bundle(kit.signer.cms, extra=[("evil", b"")])):
        package.write_bytes(data)
        (tmp_path / "given.p7s").write_bytes(kit.signer.cms(data))
        code, verdict = fast.supplied(kit.anchors, "--signature", tmp_path / "given.p7s", package)
        assert code == 10, verdict["reason"]


def test_embedded_signatures_of_two_kinds(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Of two signatures over a bundle's list one by an allowed signer suffices, and a broken one fails it all the same."""
    package = tmp_path / "bundle.zip"
    for signature, code in ((kit.detached, 0), (lambda _: kit.detached(OTHER), 10)):
        from tests.contracts.packages import FILES, sums

        package.write_bytes(bundle(kit.signer.cms, extra=[("SHA256SUMS.asc", signature(sums(FILES)))]))
        answer = fast.supplied(kit.anchors, "--anchors", kit.pgp_anchors, package)
        assert told(answer)[0] == code, told(answer)


def test_a_signature_for_another_file_is_not_for_this_one(fast: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """Swapped signatures of two good packages fail both."""
    first, second = archive([("a", b"1")]), archive([("a", b"2")])
    for name, data, other in (("first.zip", first, second), ("second.zip", second, first)):
        (tmp_path / name).write_bytes(data)
        lay(tmp_path / name, p7s=kit.signer.cms(other))
        assert told(fast.supplied(kit.anchors, tmp_path / name)) == (10, "failed", "invalid_signature")


def test_openpgp_messages_that_are_none_of_a_file(fast: Rootwarden, kit: Kit, firmware: Path, tmp_path: Path) -> None:
    """Signed messages of another content, encrypted ones and keys never make a file pass; one that holds the very file does."""
    source = tmp_path / "source"
    local = ("--local-user", kit.pgp, "--output", "-")
    secret = ("--pinentry-mode", "loopback", "--passphrase", "secret", "--symmetric")
    for options in (("--sign",), ("--armor", "--sign"), ("--clearsign",), ("--store",), secret, ("--sign", *secret)):
        for content in (CONTENT, OTHER):
            source.write_bytes(content)
            lay(firmware, asc=kit.gpg.run(*local, *options, str(source)))
            code, verdict = fast.supplied(kit.pgp_anchors, firmware)
            if options[-1] == "--sign" and content == CONTENT:
                assert told((code, verdict)) == (0, "passed", "trusted"), options
            elif options[-1] == "--sign":
                assert told((code, verdict)) == (10, "failed", "invalid_signature"), options
            else:
                assert code in (3, 10), (options, content)
    for options in (("--export",), ("--armor", "--export")):
        lay(firmware, asc=kit.gpg.run(*options, kit.pgp))
        code, verdict = fast.supplied(kit.pgp_anchors, firmware)
        assert code in (3, 10), options
        assert verdict["reason"] in ("malformed", "unsupported_format"), (options, verdict["reason"])


def test_openpgp_keys_that_count_no_more(fast: Rootwarden, kit: Kit, firmware: Path, tmp_path: Path) -> None:
    """A signature by an expired key, by a revoked one, or made with SHA-1 does not pass."""
    short = kit.gpg.make_key("Short <short@dten.example>", "ed25519", expire="20240601T000000")
    lay(firmware, asc=kit.gpg.sign(short, "--armor", data=CONTENT))
    (tmp_path / "short.asc").write_bytes(kit.gpg.export(short, armor=True))
    assert told(fast.supplied(tmp_path / "short.asc", firmware)) == (3, "indeterminate", "expired")
    assert told(fast.supplied(tmp_path / "short.asc", "--at", "2024-03-01T00:00:00Z", firmware))[0] == 0
    gone = kit.gpg.make_key("Gone <gone@dten.example>", "ed25519")
    lay(firmware, asc=kit.gpg.sign(gone, "--armor", data=CONTENT))
    (tmp_path / "gone.gpg").write_bytes(kit.gpg.revoke(gone, 1))
    code, verdict = fast.supplied(tmp_path / "gone.gpg", firmware)
    assert code == 10
    assert verdict["reason"] in ("compromised", "revoked")
    lay(firmware, asc=kit.gpg.sign(kit.pgp, "--armor", "--digest-algo", "SHA1", data=CONTENT))
    assert told(fast.supplied(kit.pgp_anchors, firmware)) == (10, "failed", "weak_algorithm")
