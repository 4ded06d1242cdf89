"""What the model says of a package now: by states, signer rules, tombstones and digest decisions, as the contract has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.trust_store.model_records import BURIED
from tests.trust_store.model_world import KEYS, PACKAGES

if TYPE_CHECKING:
    from datetime import datetime

    from tests.trust_store.model_records import Anchor
    from tests.trust_store.model_store import Model


def verdict(model: Model, package: str, vendor: str | None, at: datetime) -> tuple[str, set[str]]:
    """Outcome and the reasons one of which has to be told, for a question about now."""
    reasons = _judged(model, package, vendor)
    own = [d for d in model.digests if d.package == package and d.state == "effective"]
    if any(d.effect == "block" and vendor in (None, d.vendor) and (d.until is None or at < d.until) for d in own):
        reasons = {*reasons, "withdrawn"}
    if not reasons:
        return "passed", {"trusted"}
    bad = reasons & {"withdrawn", "distrusted", "compromised", "revoked"}
    if bad:
        return "failed", bad
    if vendor is not None and any(
        d.effect == "allow" and d.vendor == vendor and d.since is not None and d.until is not None and d.since <= at < d.until
        for d in own
    ):  # fmt: skip
        return "passed", {"trusted"}
    return "indeterminate", reasons


def _judged(model: Model, package: str, vendor: str | None) -> set[str]:
    made = PACKAGES[package]
    buried = _buried(model, vendor)
    found = {a.state for a in buried if a.node == made.signer}
    reaching: list[set[str]] = []
    for path in _paths(model, package, vendor):
        for anchor in (*(a for a in _own(model, vendor) if a.state not in BURIED), *buried):
            standing = anchor.state in ("valid", "superseded", "revoked") or anchor.state in BURIED
            if standing and anchor.node == path[-1]:
                reaching.append(_against(model, path, anchor, vendor, buried, made.organisation))
    if any(not against for against in reaching) and vendor is not None:
        return found
    if reaching:
        return found | set().union(*reaching) | (set() if vendor else {"vendor_unstated"})
    carried = {KEYS[key].node for key in made.carried} | {made.signer}
    return found | {"unknown_root", "vendor_unstated"} | {a.state for a in buried if a.node in carried}


def _against(
    model: Model, path: tuple[str, ...], anchor: Anchor, vendor: str | None, buried: list[Anchor], organisation: str
) -> set[str]:
    against = {a.state for a in buried if a.node in path[1:]}
    against |= {anchor.state} if anchor.state in BURIED else set()
    if anchor.state in ("superseded", "revoked"):
        against.add("revoked")  # nothing here is proven to be older
    if any(a.state in ("superseded", "revoked") and a.node in path[:-1] for a in _own(model, vendor)):
        against.add("revoked")
    if anchor.limit == "elsewhere":
        against.add("out_of_scope")
    ruled = {"dedicated": True, "acme": organisation == "ACME", "none": len(path) == 1}
    if not ruled[anchor.rule]:
        against.add("unexpected_signer")
    return against


def _own(model: Model, vendor: str | None) -> list[Anchor]:
    return [a for a in model.anchors if vendor in (None, a.vendor)]


def _buried(model: Model, vendor: str | None) -> list[Anchor]:
    return [a for a in model.anchors if a.state in BURIED and not _lifted(model, a, vendor)]


def _lifted(model: Model, tombstone: Anchor, vendor: str | None) -> bool:
    """The vendor's people accepted the key later, over the tombstone."""
    return any(
        a.state == "valid"
        and a.node == tombstone.node
        and a.valid_since > tombstone.buried_since
        and a.vendor in (tombstone.vendor, vendor)
        for a in model.anchors
    )


def _paths(model: Model, package: str, vendor: str | None) -> list[tuple[str, ...]]:
    """Every way up from the signer over certificates that the package carries or the store has: to help they need no trust."""
    made = PACKAGES[package]
    at_hand = {
        *made.carried,
        *(a.key for a in _own(model, vendor)),
        *(a.key for a in model.anchors if a.state in BURIED),
    }
    up: dict[str, set[str]] = {made.signer: {made.issuer} if made.issuer else set()}
    for key in (KEYS[name] for name in at_hand):
        if key.issuer:
            up.setdefault(key.node, set()).add(key.issuer)
    paths: list[tuple[str, ...]] = [(made.signer,)]
    found: list[tuple[str, ...]] = []
    while paths:
        path = paths.pop()
        found.append(path)
        paths += [(*path, node) for node in up.get(path[-1], ()) if node not in path]
    return found
