"""Revocation against openssl on the same files: ``openssl verify -crl_check_all`` and ``openssl ocsp -respin``."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.trust_store.path_craft import AT, FROM, Issued, authority, eku, issue, usage
from tests.trust_store.revocation_craft import DAY, SIGNS, entry, problems, response, revocation_list, scope

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.native
_OPENSSL = shutil.which("openssl") or "openssl"
_AT = str(int(AT.timestamp()))
_REASONS = (None, "keyCompromise", "superseded", "certificateHold", "cessationOfOperation")


def _pem(certificates: list[Issued]) -> bytes:
    return b"".join(c.certificate.public_bytes(Encoding.PEM) for c in certificates)


def _openssl(folder: Path, path: tuple[Issued, ...], lists: list[bytes]) -> bool:
    (folder / "leaf.pem").write_bytes(_pem([path[0]]))
    (folder / "more.pem").write_bytes(_pem(list(path[1:])))
    (folder / "root.pem").write_bytes(_pem([path[-1]]))
    crls = [x509.load_der_x509_crl(data).public_bytes(Encoding.PEM) for data in lists]
    (folder / "crls.pem").write_bytes(b"".join(crls))
    command = [
        _OPENSSL, "verify", "-attime", _AT, "-crl_check_all", "-extended_crl", "-use_deltas", "-CAfile", "root.pem",
        "-untrusted", "more.pem", "-CRLfile", "crls.pem", "leaf.pem",
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60).returncode == 0


def _random_list(chance: random.Random, issuer: Issued, subject: Issued, stranger: Issued) -> bytes:
    """A list that is fine, or wrong in one of the ways in which both programs must refuse it."""
    kind = chance.choice(["good", "good", "good", "revoked", "other", "stale", "future", "unsigned", "scope"])
    options: dict[str, Any] = {}
    entries = [entry(stranger)] if kind == "other" else []
    if kind == "revoked":
        entries = [entry(stranger), entry(subject, chance.choice(_REASONS))]
    if kind == "stale":
        options["dates"] = (AT - 9 * DAY, AT - DAY)
    if kind == "future":
        options["dates"] = (AT + DAY, AT + 9 * DAY)
    if kind == "unsigned":
        options["signed_with"] = stranger.key
    if kind == "scope":
        options["extensions"] = [scope(**{chance.choice(["only_contains_user_certs", "only_contains_ca_certs"]): True})]
    return revocation_list(issuer, *entries, **options)


def test_lists_mean_what_they_mean_to_openssl(tmp_path: Path) -> None:
    """Over random chains and lists (fixed seed) both pass the same ones, and both outcomes are frequent."""
    chance = random.Random(5)  # noqa: S311 - a fixed sequence is wanted
    passed = 0
    for _ in range(120):
        path: list[Issued] = [authority("root", None, SIGNS)]
        for depth in range(chance.randrange(3)):
            signs = SIGNS if chance.random() < 0.9 else usage("key_cert_sign")
            path.insert(0, authority(f"ca {depth}", path[0], signs))
        path.insert(0, issue("leaf", path[0]))
        stranger = issue("stranger", path[1])
        lists = [_random_list(chance, path[i + 1], path[i], stranger) for i in range(len(path) - 1)]
        if len(path) == 2:  # openssl asks about the root as well
            lists.append(revocation_list(path[1], extensions=[scope(only_contains_ca_certs=True)]))
        chain = tuple(path)
        ours = not problems(lists, path=chain)
        assert ours == _openssl(tmp_path, chain, lists), [x509.load_der_x509_crl(data) for data in lists]
        passed += ours
    assert 20 < passed < 100


def test_deltas_mean_what_they_mean_to_openssl(tmp_path: Path) -> None:
    """A delta that revokes, one that takes off hold and one that does not fit its base, with both programs alike."""
    root = authority("root", None, SIGNS)
    fresh = x509.FreshestCRL([x509.DistributionPoint([x509.UniformResourceIdentifier("http://a/b")], None, None, None)])
    leaf = issue("leaf", root, (fresh, False))
    for held in (False, True):
        complete = revocation_list(root, *([entry(leaf, "certificateHold")] if held else []), number=5)
        for base in (5, 6):
            for entries in ((), (entry(leaf, "removeFromCRL"),), (entry(leaf, "keyCompromise"),)):
                extensions = [(x509.DeltaCRLIndicator(base), True)]
                delta = revocation_list(root, *entries, number=9, extensions=extensions)
                ours = not problems([complete, delta], path=(leaf, root))
                assert ours == _openssl(tmp_path, (leaf, root), [complete, delta]), (held, base, entries)


def test_responses_mean_what_they_mean_to_openssl(tmp_path: Path) -> None:
    """Good, revoked, stale and unknown, of the CA and of responders that may and may not answer: both verify the same ones."""
    root = authority("root", None, SIGNS)
    leaf = issue("leaf", root)
    no_check = x509.OCSPNoCheck(), False
    fine = issue("responder", root, eku(x509.OID_OCSP_SIGNING), no_check)
    responders = (
        root,
        fine,
        issue("responder", root, no_check),
        issue("responder", authority("root", None), eku(x509.OID_OCSP_SIGNING), no_check),
    )
    for name, certificate in (("root", root), ("leaf", leaf)):
        (tmp_path / f"{name}.pem").write_bytes(_pem([certificate]))
    for responder in responders:
        for status in ocsp.OCSPCertStatus:
            data = response(leaf, root, responder, status=status, carried=[] if responder is root else [responder])
            (tmp_path / "answer.der").write_bytes(data)
            command = [
                _OPENSSL, "ocsp", "-respin", "answer.der", "-issuer", "root.pem", "-sha256", "-cert", "leaf.pem", "-CAfile",
                "root.pem", "-attime", _AT, "-no_nonce", "-validity_period", "999999999",
            ]  # fmt: skip
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
            theirs = b"Response verify OK" in done.stderr and b"leaf.pem: good" in done.stdout
            assert (not problems([], [data], path=(leaf, root))) == theirs, (status, responder.certificate, done)
    assert FROM < AT
