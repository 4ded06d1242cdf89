"""Seeded mutational fuzzing of every parser: ``python -m tests.fuzz --seconds N [--seed S] [--target NAME] [--jobs N]``.

Each target gets N seconds in a process of its own. A finding is an exception the target may not raise, an input that takes longer than
LIMIT_SECONDS, memory that grows by more than GROWTH_BYTES beyond what the seeds took, or a lie (``passed`` for what was not signed).
Findings are printed and kept as files; the exit code is 1 if there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz_targets import Target, targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_SECONDS = 5.0
MEMORY_BYTES = 4 * 1024**3
GROWTH_BYTES = 64 * 1024**2
MAX_INPUT_BYTES = 64 * 1024
MAX_FINDINGS_PER_TARGET = 5
INTERESTING = (
    b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00\x00", b"\xff\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x84\xff\xff\xff\xff",
    b"\x30\x80", b"\x00" * 8, b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"-----BEGIN ", b"-----END ",
    b'"', b"{", b"[" * 200, b"null", b"-1", b"1e999", b"9" * 40, b"NaN", b"\\ud800", b"../", b"\r\n", b"<", b"&#0;", b"<![CDATA[",
    b"&" * 50, b"= [", b"[[", b"\xed\xa0\x80", b"\xe2\x80\xae",
)  # fmt: skip


class TooSlowError(BaseException):
    """One input took longer than LIMIT_SECONDS; no handler of Exception shall swallow it."""


@dataclass(frozen=True)
class Finding:
    """One input that a target did not take as it must."""

    target: str
    data: bytes
    what: str


@dataclass
class Tally:
    """What became of one target."""

    target: str
    inputs: int
    findings: list[Finding]


def mutated(seeds: tuple[bytes, ...], chance: random.Random) -> bytes:
    """A seed with one to six changes, each of a kind drawn at random."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        chance.choice(CHANGES)(data, seeds, chance)
    return bytes(data[:MAX_INPUT_BYTES])


def _span(data: bytearray, chance: random.Random, longest: int = 64) -> slice:
    start = chance.randrange(len(data) + 1)
    return slice(start, min(len(data), start + 1 + chance.randrange(longest)))


def _flip(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _step(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    if data:
        place = chance.randrange(len(data))
        data[place] = (data[place] + chance.choice((-1, 1, 16, 128))) % 256


def _cut(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    del data[_span(data, chance)]


def _end(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _repeat(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    piece = bytes(data[_span(data, chance, 512)])
    place = chance.randrange(len(data) + 1)
    data[place:place] = piece * chance.choice((1, 1, 2, 50))


def _insert(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    place = chance.randrange(len(data) + 1)
    data[place:place] = chance.choice(INTERESTING)


def _replace(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    token = chance.choice(INTERESTING)
    place = chance.randrange(len(data) + 1)
    data[place : place + len(token)] = token


def _noise(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    span = _span(data, chance, 16)
    data[span] = chance.randbytes(span.stop - span.start)


def _swap(data: bytearray, _seeds: tuple[bytes, ...], chance: random.Random) -> None:
    one, other = _span(data, chance), _span(data, chance)
    data[one], data[other] = data[other], data[one]


def _splice(data: bytearray, seeds: tuple[bytes, ...], chance: random.Random) -> None:
    other = chance.choice(seeds)
    data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other) + 1) :]


CHANGES: tuple[Callable[[bytearray, tuple[bytes, ...], random.Random], None], ...] = (
    _flip, _flip, _step, _cut, _end, _repeat, _insert, _replace, _noise, _swap, _splice,
)  # fmt: skip


def fuzz(target: Target, seed: int, more: Callable[[int], bool]) -> Tally:
    """Feed ``target`` its seeds, then mutations of them, as long as ``more`` says of the number of inputs so far."""
    chance = random.Random(f"{target.name}:{seed}")  # noqa: S311 - repeatable inputs
    tally = Tally(target.name, 0, [])
    told: set[str] = set()
    while more(tally.inputs) and len(tally.findings) < MAX_FINDINGS_PER_TARGET:
        first = tally.inputs < len(target.seeds)
        data = target.seeds[tally.inputs] if first else mutated(target.seeds, chance)
        tally.inputs += 1
        finding = tried(target, data, seed_itself=first)
        if finding is not None and finding.what not in told:
            told.add(finding.what)
            tally.findings.append(finding)
    return tally


def tried(target: Target, data: bytes, *, seed_itself: bool = False) -> Finding | None:
    """Feed one input; None where the target took it as it must. A seed itself must not even raise what is permitted."""
    began = time.monotonic()
    try:
        with _bounded():
            target.run(data)
    except TooSlowError:
        return Finding(target.name, data, "too slow")
    except target.permitted as error:
        if seed_itself:
            return Finding(target.name, data, f"refuses its seed: {error}")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - everything else is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Finding(
            target.name, data, f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"[:300]
        )
    if time.monotonic() - began > LIMIT_SECONDS:
        return Finding(target.name, data, "too slow")
    return None


@contextmanager
def _bounded() -> Iterator[None]:
    def end(_number: int, _frame: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _alone(task: tuple[str, int, float]) -> Tally:
    """One target in this process, which is its own; its memory is measured."""
    name, seed, seconds = task
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    target = {t.name: t for t in targets()}[name]
    for data in target.seeds:
        tried(target, data)
    before = _peak()
    end = time.monotonic() + seconds
    tally = fuzz(target, seed, lambda _inputs: time.monotonic() < end)
    if _peak() - before > GROWTH_BYTES:
        tally.findings.append(Finding(name, b"", f"memory grew by {(_peak() - before) // 2**20} MiB"))
    return tally


def _tallies(tasks: list[tuple[str, int, float]], jobs: int | None) -> Iterator[Tally]:
    if jobs == 0:
        yield from map(_alone, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap(_alone, tasks, chunksize=1)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def kept(finding: Finding, folder: Path) -> Path:
    """Write the input to a file that reproduces the finding, and return its path."""
    name = "".join(c if c.isalnum() else "-" for c in finding.target)
    file = folder / f"{name}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
    file.write_bytes(finding.data)
    return file


def main() -> int:
    """Fuzz, print a Markdown table and the findings; 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every parser.")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--jobs", type=int, default=None, help="targets at a time; default: one a core; 0: all in this process"
    )
    parser.add_argument("--target", default="", help="only targets whose name contains this")
    parser.add_argument("--reproduce", type=Path, help="feed this file to the target and show what happens")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    chosen = [t for t in targets() if options.target in t.name]
    if options.reproduce:
        for target in chosen:
            target.run(options.reproduce.read_bytes())
        return 0
    tallies = []
    sys.stdout.write("| target | inputs | findings |\n|---|---:|---:|\n")
    tasks = [(target.name, options.seed, options.seconds) for target in chosen]
    for tally in _tallies(tasks, options.jobs):
        tallies.append(tally)
        sys.stdout.write(f"| {tally.target} | {tally.inputs} | {len(tally.findings)} |\n")
        sys.stdout.flush()
    if len(tallies) != len(chosen) or not chosen:
        sys.stdout.write(f"\n{len(tallies)} of {len(chosen)} targets were fuzzed\n")
        return 1
    findings = [f for t in tallies for f in t.findings]
    folder = Path(tempfile.mkdtemp(prefix="fuzz-findings-")) if findings else None
    for finding in findings:
        assert folder is not None
        sys.stdout.write(f"\n{finding.target}: {finding.what}\n  {kept(finding, folder)}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
