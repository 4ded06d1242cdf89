"""``rootwarden check``: who signed a package, and does its key chain to a root that is trusted for the expected vendor?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

# Whether it can be read is the answer to a question (unreadable), not a wrong question.
_FILE = click.Path(readable=False)
_FOR_EVERYBODY = "'check --vendor ID PATH' without other options is answered by the daemon: systemctl start rootwarden"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line per package.")
@click.option("--vendor", metavar="ID", help="Whose package it is said to be; 'any' is the explicit opt-out.")
@click.option("--at", metavar="TIME", help="Ask about this time, as known now; ISO 8601 with zone.")
@click.option("--as-known-at", metavar="TIME", help="Forget what the store recorded after this time.")
@click.option(
    "--anchors", multiple=True, type=_FILE, metavar="FILE",
    help="Trusted for this check only, for any vendor: certificates (PEM, DER, PKCS#7), bare public keys (SPKI in PEM), OpenPGP "
    "keyrings, minisign, signify and SSH keys, npm key lists, a sigstore trusted root.",
)  # fmt: skip
@click.option("--only-anchors", is_flag=True, help="Leave the store out; neither store nor configuration is needed.")
@click.option(
    "--signature", "signatures", multiple=True, type=_FILE, metavar="FILE",
    help="A file with signatures over the package; each must verify. Default: the usual names beside it.",
)  # fmt: skip
@click.option(
    "--untrusted", multiple=True, type=_FILE, metavar="FILE", help="Certificates or public keys that help only."
)
@click.option("--crl", "crls", multiple=True, type=_FILE, metavar="FILE", help="Revocation lists or an OCSP response.")
@click.option("--require-anchor", is_flag=True, help="A decision that allows the package's digest does not do.")
@click.option("--certificate-identity", metavar="TEXT", help="Whose sigstore signature it must be.")
@click.option("--certificate-oidc-issuer", metavar="URL", help="Who must have vouched for that identity.")
@click.option("--namespace", metavar="TEXT", help="What an SSH signature must have been made for (file).")
@click.option("--bundle", type=_FILE, metavar="FILE", help="Ask a signed bundle instead of the store.")
@click.option(
    "--bundle-key", "bundle_keys", multiple=True, type=_FILE, metavar="FILE",
    help="Public instance key that must have signed the bundle.",
)  # fmt: skip
@click.option(
    "--compare", is_flag=True, help="Ask installed native tools too; one that disagrees keeps a package from passing."
)
@click.option("--batch", is_flag=True, help="Read JSON lines from standard input, answer with one line each.")
@click.argument("paths", nargs=-1, type=_FILE, metavar="PATH...")
def command(
    paths: tuple[str, ...],
    *,
    as_json: bool,
    batch: bool,
    compare: bool,
    bundle: str | None,
    bundle_keys: tuple[str, ...],
    **asked: Any,
) -> int:
    """Who signed this package, and does the key chain to a trusted root of the expected vendor?

    Exit 0: every package passed. 10: one failed. 3: one is indeterminate. 2: usage or configuration. 4: could not run.
    Anything else means not passed.

    \b
    Examples:
      rootwarden check --vendor dten Full-upgrade-package-dten.zip
      rootwarden check --json --vendor dten firmware.bin --signature firmware.bin.asc
      rootwarden check --vendor dten --at 2026-05-03T12:00:00Z --as-known-at 2026-05-03T12:00:00Z firmware.zip
      rootwarden check --only-anchors --anchors root.pem firmware.bin
      rootwarden check --bundle trust.bundle --bundle-key instance.pub --vendor dten upgrade.zip
      rootwarden check --compare --vendor dten Full-upgrade-package-dten.zip
      rootwarden check --batch < requests.jsonl
    """
    invocation = click.get_current_context().obj
    if not batch and not compare and bundle is None and paths and _plain(asked):
        code = _by_daemon(Path(invocation.config), paths, asked["vendor"], as_json=as_json)
        if code is not None:
            return code
    from trust_store.formats.worker import ForkedReader

    # First of all, before a store is open or a thread runs: the reader's process is forked from this one. It imports what reads
    # packages while this one, only then, imports what judges them.
    reader = ForkedReader.start()
    try:
        from trust_store.cli.check_answers import answer_all, answer_batch
        from trust_store.cli.check_request import CheckOptions, CheckSession
        from trust_store.storage.connection import StoreClosedError

        options = CheckOptions(**asked)
        try:
            with CheckSession(Path(invocation.config), reader, invocation.now, invocation.evidence) as session:
                session.use_bundle(bundle, bundle_keys, options)
                if batch:
                    return answer_batch(session, paths, options, compare=compare)
                return answer_all(session, paths, options, as_json=as_json, compare=compare)
        except StoreClosedError as closed:
            raise StoreClosedError(f"{closed}; {_FOR_EVERYBODY}") from closed
    finally:
        reader.close()


def _plain(asked: dict[str, Any]) -> bool:
    """Whether nothing but the vendor was stated: only such a question may be another's to answer."""
    return bool(asked["vendor"]) and not any(value for name, value in asked.items() if name != "vendor")


def _by_daemon(config: Path, paths: tuple[str, ...], vendor: str, *, as_json: bool) -> int | None:
    """The exit code, with every verdict written, if the daemon knows every one of the files; else None and nothing is written."""
    from trust_store.cli.check_daemon import DaemonAnswers

    daemon = DaemonAnswers(config)
    verdicts = []
    for path in paths:
        verdict = daemon.verdict(path, vendor)
        if verdict is None:
            return None
        verdicts.append(verdict)
    from trust_store.cli.exit_codes import exit_code, outcome_code
    from trust_store.cli.output import write_line
    from trust_store.cli.verdict_text import verdict_lines

    for verdict in verdicts:
        write_line(json.dumps(verdict) if as_json else "\n".join(verdict_lines(verdict)))
    return exit_code(outcome_code(verdict["outcome"]) for verdict in verdicts)
