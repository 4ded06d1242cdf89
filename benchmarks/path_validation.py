"""Path validation of the same chains by this program, by pyca's verifier and by ``openssl verify``, in one run."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from benchmarks.measuring import Row, ratio
from tests.trust_store.path_craft import AT, Issued, alternative, authority, eku, issue, key, usage
from trust_store.chain.building import SignatureBudget, find_paths
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.decode.x509 import load_certificate

if TYPE_CHECKING:
    from pathlib import Path

LEAVES = 100
ROUNDS = 9
DNS = "download.vendor.example"


def rows(folder: Path) -> list[Row]:
    """Three lines: against pyca, against openssl in a process of its own for each, and against what one more chain costs it."""
    chain = _chain()
    root, inner, leaves = chain
    files = [folder / "root.pem", folder / "inner.pem"]
    for file, made in zip(files, (root, inner), strict=True):
        file.write_text(made.pem)
    leaf_files = []
    for number, leaf in enumerate(leaves):
        leaf_files.append(folder / f"leaf{number}.pem")
        leaf_files[-1].write_text(leaf.pem)
    command = [
        "openssl",
        "verify",
        "-CAfile",
        str(files[0]),
        "-untrusted",
        str(files[1]),
        "-attime",
        f"{AT.timestamp():.0f}",
    ]

    def ours() -> None:
        _ours(root, inner, leaves)

    def openssl(count: int) -> float:
        start = time.perf_counter()
        subprocess.run([*command, *map(str, leaf_files[:count])], check=True, capture_output=True)
        return time.perf_counter() - start

    def one_process_each() -> None:
        for _ in range(ROUNDS):
            openssl(1)

    def one_chain_in_rounds() -> None:
        for _ in range(ROUNDS):
            _ours(root, inner, leaves[:1])

    against_pyca = ratio(ours, lambda: _pyca(root, inner, leaves), rounds=ROUNDS)
    against_process = ratio(one_chain_in_rounds, one_process_each, rounds=ROUNDS)
    marginal = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ours()
        mine = (time.perf_counter() - start) / LEAVES
        theirs = (openssl(LEAVES) - openssl(1)) / (LEAVES - 1)
        marginal.append(mine / max(theirs, 1e-9))
    return [
        Row(f"path of 3 certificates, {LEAVES} chains: this program / pyca's verifier", against_pyca),
        Row("path of 3 certificates: this program in its process / a process 'openssl verify'", against_process),
        Row(
            "path of 3 certificates: this program / one more chain for 'openssl verify'", sorted(marginal)[ROUNDS // 2]
        ),
    ]


def _chain() -> tuple[Issued, Issued, list[Issued]]:
    """A root, a CA below it and end entities as the Web PKI asks for them, so that every validator accepts them."""

    def identified(own: int, issuer: int) -> tuple[tuple[x509.ExtensionType, bool], ...]:
        return (
            (x509.SubjectKeyIdentifier.from_public_key(key(own).public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer).public_key()), False),
        )

    signing = usage("key_cert_sign", "crl_sign")
    root = authority("Benchmark root", None, *identified(101, 101), signing, private=key(101))
    inner = authority("Benchmark CA", root, *identified(102, 101), signing, private=key(102))
    return root, inner, [
        issue(
            f"leaf {number}", inner, *identified(103, 102), usage("digital_signature"), eku(ExtendedKeyUsageOID.SERVER_AUTH),
            alternative(x509.DNSName(DNS)), private=key(103),
        )
        for number in range(LEAVES)
    ]  # fmt: skip


def _ours(root: Issued, inner: Issued, leaves: list[Issued]) -> None:
    anchors, untrusted = (load_certificate(root.der),), (load_certificate(inner.der),)
    for leaf in leaves:
        budget = SignatureBudget()
        search = find_paths(load_certificate(leaf.der), untrusted, anchors, budget, at=AT)
        result = validate_path(search.paths[0], ValidationParameters(at=AT, purpose="server-auth"), budget)
        if result.problems:
            raise SystemExit(f"not valid here: {result.problems}")


def _pyca(root: Issued, inner: Issued, leaves: list[Issued]) -> None:
    store = Store([x509.load_der_x509_certificate(root.der)])
    untrusted = [x509.load_der_x509_certificate(inner.der)]
    for leaf in leaves:
        verifier = PolicyBuilder().store(store).time(AT).build_server_verifier(x509.DNSName(DNS))
        verifier.verify(x509.load_der_x509_certificate(leaf.der), untrusted)
