"""``rootwarden gate``: runs a command on a package only if the package passes, and on the very bytes that were checked."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trust_store.cli.exit_codes import EXIT_PASSED, outcome_code
from trust_store.errors import ConfigError, StoreUnavailableError, UsageError
from trust_store.package_files import open_package, side_paths
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.model.verdict import Verdict

PLACE = Path("/var/tmp")  # noqa: S108 - a folder of random name is made in it; $TMPDIR is not asked
HOLE = "{}"
OBSERVE = "observe"
SIGNALLED = 128
HELD_ANYWAY = frozenset({"compromised", "distrusted", "revoked", "withdrawn"})
"""What the team itself decided holds in observe mode as well."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--vendor", required=True, metavar="ID", help="Whose package it must be; 'any' is not enough here.")
@click.option("--require-anchor", is_flag=True, help="A decision that allows the package's digest does not do.")
@click.argument("package", type=click.Path(path_type=Path, readable=False))
@click.argument("command_line", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT | {}]...")
@click.pass_context
def command(
    ctx: click.Context, package: Path, command_line: tuple[str, ...], *, vendor: str, require_anchor: bool
) -> int:
    """Copy PACKAGE to a private place, check the copy, and run COMMAND with the copy's path in place of {}.

    Ends with the command's own code once it runs; before that 10: the package failed, 3: it is indeterminate, 2: usage or
    configuration, 4: could not run. The configuration must be root's, and is never taken from the environment. Where the vendor's
    policy says mode = "observe" the command runs all the same, with a warning, unless the team itself buried the key or the package.

    \b
    Examples:
      rootwarden gate --vendor dten Full-upgrade-package-dten.zip -- upgrade-tool --install {}
    """
    command_line = command_line[1:] if command_line[:1] == ("--",) else command_line
    if not any(HOLE in part for part in command_line):
        raise UsageError(
            "say what to run, with {} where the package goes: rootwarden gate --vendor ID PACKAGE -- COMMAND {}"
        )
    if vendor == "any":
        raise UsageError("a gate needs to know whose package it is: 'any' is not enough")
    config: Path = ctx.obj.config
    require_root_owned(config, from_environment=_from_environment(ctx))
    with _private_copy(package) as copy:
        verdict = _verdict(ctx, copy, vendor, require_anchor=require_anchor)
        click.echo(
            f"{safe(str(package), 300)}: {verdict.outcome} / {verdict.reason}: {safe(verdict.summary, 300)}", err=True
        )
        code = outcome_code(verdict.outcome)
        if code != EXIT_PASSED:
            if held_anyway(verdict) or not _observed(config, vendor):
                return code
            click.echo('warning: let through, because the vendor\'s policy says mode = "observe"', err=True)
        return _run([part.replace(HOLE, str(copy)) for part in command_line])


def held_anyway(verdict: Verdict) -> bool:
    """Whether the team itself decided against the package: as its reason, or beside one that goes before."""
    return not HELD_ANYWAY.isdisjoint((verdict.reason.value, *verdict.also))


def require_root_owned(config: Path, *, from_environment: bool) -> None:
    """Raise ConfigError unless the configuration and every folder above it are root's and nobody else's to write."""
    if from_environment:
        raise ConfigError("a gate takes its configuration from --config or its usual place, never from the environment")
    files = [config, config.parent / "vendors.d", *sorted((config.parent / "vendors.d").glob("*.toml"))]
    for path in (*files, *config.absolute().parents):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{path} cannot be looked at: {error.strerror}") from error
        if status.st_uid != 0 or status.st_mode & 0o022 or stat.S_ISLNK(status.st_mode):
            raise ConfigError(
                f"{path} is not root's alone to write (or is a link): a gate does not trust it; chown root, chmod go-w"
            )


def _from_environment(ctx: click.Context) -> bool:
    parent = ctx.parent
    return parent is not None and parent.get_parameter_source("config") is click.core.ParameterSource.ENVIRONMENT


@contextlib.contextmanager
def _private_copy(package: Path) -> Iterator[Path]:
    """The package and what lies beside it as its signatures, in a folder that nobody else can write; removed afterwards.

    Raises PackageUnreadableError, StoreUnavailableError.
    """
    folder = Path(tempfile.mkdtemp(prefix="rootwarden-gate-", dir=PLACE))
    try:
        folder.chmod(0o711)
        for path in (package, *side_paths(package)):
            _copy(path, folder / path.name)
        yield folder / package.name
    except OSError as error:
        raise StoreUnavailableError(f"the package cannot be copied to {PLACE}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    with open_package(source) as descriptor, open(os.dup(descriptor), "rb") as stream, target.open("xb") as copy:  # noqa: PTH123 - a descriptor
        shutil.copyfileobj(stream, copy, 1024 * 1024)


def _verdict(ctx: click.Context, copy: Path, vendor: str, *, require_anchor: bool) -> Verdict:
    from trust_store.formats.worker import ForkedReader

    reader = ForkedReader.start()
    try:
        from trust_store.cli.check_request import CheckOptions, CheckSession

        options = CheckOptions(vendor=vendor, require_anchor=require_anchor)
        with CheckSession(ctx.obj.config, reader, ctx.obj.now, ctx.obj.evidence) as session:
            request = session.request(str(copy), options)
            return session.verifier(request).verify(request)
    finally:
        reader.close()


def _observed(config: Path, vendor: str) -> bool:
    """Whether the vendor's policy, as it counts, says ``mode = "observe"``."""
    from trust_store import query
    from trust_store.settings import load_trust_settings
    from trust_store.storage.vendors import effective_vendor

    settings = load_trust_settings(config)
    known = settings.vendor(vendor)
    with closing(query.open_consistent(settings.store.database)) as connection:
        return known is not None and effective_vendor(connection, known).policy.mode == OBSERVE


def _run(command_line: list[str]) -> int:
    """The command's exit code, 128 and its number where a signal ended it."""
    try:
        code = subprocess.call(command_line)  # noqa: S603 - what the caller asked to run, without a shell
    except OSError as error:
        raise UsageError(f"{safe(command_line[0], 200)} cannot be run: {error.strerror}") from error
    return SIGNALLED - code if code < 0 else code
