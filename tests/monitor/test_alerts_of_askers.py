"""What somebody had read over the API is a matter of its own beside what lies in the incoming folders."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from escalation.model import AlertStatus
from monitor.places import Place, places_of
from tests.monitor.test_intake import InProcess, Place1, place
from tests.simulator.vendor_pki import vendor_bundle
from trust_store.formats.protocol import ReadLimits
from trust_store.model.verdict import Reason
from trust_store.storage.affected import Affected
from trust_store.storage.facts import INTAKE
from trust_store.verifier import read_with_keys

if TYPE_CHECKING:
    from pathlib import Path

    from trust_store.model.package_facts import PackageFacts

__all__ = ["place"]

ASKER = "api:uid:4711"


def firmware(place: Place1, name: str, signature: bytes | None = None) -> tuple[Path, tuple[Path, ...]]:
    """A file, and a signature beside it."""
    path = place.incoming.parent / name
    path.write_bytes(b"firmware")
    beside = path.with_name(name + ".p7s")
    if signature is not None:
        beside.write_bytes(signature)
    return path, (beside,) if signature is not None else ()


def read(path: Path, sides: tuple[Path, ...] = ()) -> PackageFacts:
    """What the file says."""
    return read_with_keys(path, sides, InProcess(), lambda _: (), ReadLimits())


async def judged(place: Place1, facts: PackageFacts, origin: str) -> Reason:
    """The reason, where the intake or an asker had it read so."""
    where = Place(place.incoming / "dten" / "p.bin", "dten", origin)
    return (await place.storage.run(lambda c: place.alerting.record(c, facts, where, None))).reason


async def told(place: Place1, **wanted: Any) -> list[tuple[str, bool, str]]:
    """Of the alerts about packages: reason, whether an asker is named, what became of it."""
    found = [a for a in await place.alerts(kind="verdict") if all(getattr(a, k) == v for k, v in wanted.items())]
    return sorted((a.reason, any(ASKER in line for line in a.lines), a.resolution or "") for a in found)


async def test_an_asker_ends_no_alert_of_the_intake(place: Place1) -> None:
    """The intake saw the file without its signature; an asker whose file has it is told passed, and the alert stands."""
    anchor = await place.propose_root()
    await place.decide("anchor.constrain", anchor=anchor, dedicated=True)
    await place.approve(anchor, place.pki.root_sha256)
    path, sides = firmware(place, "p.bin", place.pki.sign(b"firmware"))
    assert await judged(place, read(path), INTAKE) is Reason.UNSUPPORTED_FORMAT
    assert await judged(place, read(path, sides), ASKER) is Reason.TRUSTED
    assert await told(place) == [("unsupported_format", False, "")]
    assert await judged(place, read(path, sides), INTAKE) is Reason.TRUSTED
    assert await told(place) == [("unsupported_format", False, "the package passes now")]


async def test_an_asker_rewrites_no_alert_of_the_intake(place: Place1) -> None:
    """With other files beside it an asker's is another matter: both stand, and each is told with its own reason."""
    path, sides = firmware(place, "p.bin", place.pki.sign(b"firmware"))
    assert await judged(place, read(path, sides), INTAKE) is Reason.UNKNOWN_ROOT
    assert await judged(place, read(path), ASKER) is Reason.UNSUPPORTED_FORMAT
    assert await told(place, status=AlertStatus.OPEN) == [("unknown_root", False, ""), ("unsupported_format", True, "")]
    assert await judged(place, read(path, sides), ASKER) is Reason.UNKNOWN_ROOT
    assert await told(place) == [
        ("unknown_root", False, ""),
        ("unsupported_format", True, "told of as that of the incoming folder"),
    ]


async def test_the_same_matter_is_told_once(place: Place1) -> None:
    """Where an asker was first, the intake's alert for the same reason takes the place of the asker's."""
    path, _ = firmware(place, "p.bin")
    await judged(place, read(path), ASKER)
    (first,) = await place.alerts(kind="verdict")
    await judged(place, read(path), INTAKE)
    await judged(place, read(path), ASKER)
    (standing,) = await place.alerts(kind="verdict", status=AlertStatus.OPEN)
    (gone,) = await place.alerts(id=first.id)
    assert gone.resolution == f"superseded by {standing.id}"
    assert not any(ASKER in line for line in standing.lines)


async def test_packages_are_judged_again_as_whoever_had_them_read(place: Place1) -> None:
    """After a decision the alert of an asker ends by what the asker had read, and that of the intake by what the intake had."""
    anchor = await place.propose_root()
    await place.decide("anchor.constrain", anchor=anchor, dedicated=True)
    path, sides = firmware(place, "p.bin", place.pki.sign(b"firmware"))
    other = place.incoming.parent / "other.zip"
    other.write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await judged(place, read(path, sides), ASKER)
    await judged(place, read(other), INTAKE)
    seen = await place.storage.run(lambda c: places_of(c, Affected(everything=True)))
    assert [(p.origin, p.basis) for _, p in seen] == [(INTAKE, "folder"), (ASKER, "stated")]
    await place.approve(anchor, place.pki.root_sha256)
    passes = "the package passes now"
    assert await told(place) == [("unknown_root", False, passes), ("unknown_root", True, passes)]
    assert hashlib.sha256(b"firmware").hexdigest() in {sha256 for sha256, _ in seen}
