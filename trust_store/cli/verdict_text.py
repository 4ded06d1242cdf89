"""A verdict as lines for a terminal, out of its JSON, whoever computed it; all text from outside is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.model.verdict import MAX_RELATIVES, RELATIVES
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Said = Mapping[str, Any]

MAX_SIGNATURES = 20
MAX_EVIDENCE = 5
MAX_UNCOVERED = 10
WEAKER_BASES = {
    "baseline": "weaker than a call: the anchor was taken over in a first-day baseline, nobody had its fingerprint read out",
    "hold_down": "weaker than a call: the anchor was approved after the waiting time alone, nobody had its fingerprint read out",
    "break_glass": "weaker than usual: the anchor was approved in an emergency, without all that policy asks for",
}
"""What is to be known about an anchor that became valid by another way than a call; by ``TrustBasis``."""
_AGREEMENT = {True: "agrees", False: "DISAGREES", None: "says nothing to compare"}
_FINGERPRINTS = ("sha256", "openpgp", "openpgp_subkey")


def verdict_lines(said: Said) -> list[str]:
    """Outcome and reason first, then who signed, the path or what is missing of it, what was announced, what to do."""
    package, signatures = said["package"], said["signatures"]
    lines = [
        f"{_shown(package['path'] or package['name'] or repr(''), 400)}: {said['outcome']} / {said['reason']}",
        f"  {_shown(said['summary'], 2000)}",
    ]
    if said["also"]:
        lines.append(f"  also       {', '.join(_shown(reason, 60) for reason in said['also'])}")
    lines.append(f"  vendor     {_vendor(said['vendor'])}")
    if package["sha256"]:
        lines.append(
            f"  package    {_shown(said['format'] or 'unknown format', 60)}, {package['size']} bytes, sha256 {package['sha256']}"
        )
    if said["basis"]["time"] == "requested":
        lines.append(f"  as of      {said['validation_time']}, as known now")
    weaker = WEAKER_BASES.get(said["basis"]["decision"] or "") if said["outcome"] == "passed" else None
    if weaker:
        lines.append(f"  basis      {weaker}")
    for signature in signatures[:MAX_SIGNATURES]:
        lines += _signature(signature)
    if len(signatures) > MAX_SIGNATURES:
        lines.append(f"  ... and {len(signatures) - MAX_SIGNATURES} more signatures; --json shows all")
    lines += _uncovered(said)
    lines += _members(said)
    lines += [
        f"  native     {_shown(one['tool'], 40)} {_AGREEMENT[one['agrees']]}: {one['says']} ({_shown(one['detail'], 160)})"
        for one in said.get("native", ())
    ]
    for evidence in said["evidence"][:MAX_EVIDENCE]:
        lines += _evidence(evidence)
    if said["evidence_available"] and not said["evidence"] and signatures and said["advice"]:
        lines.append("  evidence   no vendor channel has said anything about this key")
    lines += [f"  next       {_shown(advice, 400)}" for advice in said["advice"]]
    return lines


def _members(said: Said) -> list[str]:
    """The packages inside, one line each."""
    members = said["members"]
    lines = [
        f"  inside     {_shown(m['package']['path'] or m['package']['name'], 200)}: {m['outcome']} / {m['reason']}"
        f" ({_shown(m['format'] or 'unknown format', 60)})"
        for m in members[:MAX_SIGNATURES]
    ]
    if len(members) > MAX_SIGNATURES:
        lines.append(f"  ... and {len(members) - MAX_SIGNATURES} more packages inside; --json shows all")
    return lines


def _vendor(expected: Said) -> str:
    if expected["basis"] == "any":
        return "any (asked for: whoever signed it, anchors of every vendor count)"
    if expected["id"] is None:
        return "not stated" + (
            f"; its name suggests {_shown(expected['suggested'], 80)}" if expected["suggested"] else ""
        )
    return f"{_shown(expected['id'], 80)} ({_shown(expected['basis'], 20)})"


def _signature(signature: Said) -> Iterator[str]:
    where = f" in {_shown(signature['file']['name'], 120)}" if signature["file"] else ""
    found = f"{signature['integrity']}, {signature['outcome']} / {signature['reason']}"
    yield f"  signature  {_shown(signature['scheme'], 40)}{where}: {found}"
    signer, anchor = signature["signer"], signature["anchor"]
    if signer is not None:
        # The fingerprint of a key that nobody decided about is for the vendor to read out, not for this screen to show.
        shown = signer["identifiers"] if anchor else {}
        told = "".join(f", {kind} {_shown(value, 200)}" for kind, value in shown.items() if kind in _FINGERPRINTS)
        key_id = signer["identifiers"].get("key_id")
        name = _shown(signer["name"], 200) if signer["name"] else f"key {_shown(key_id, 64)}" if key_id else "not named"
        yield f"    signer   {name}{told}"
    if signature["path"]:
        yield f"    path     {' <- '.join(_shown(node['name'], 120) for node in signature['path'])}"
    if anchor:
        yield f"    anchor   {_shown(anchor['name'], 160)} ({_shown(anchor['id'], 90)})"
    if signature["missing_issuer"] is not None:
        yield from _missing(signature["missing_issuer"])
    if signature["timestamped_at"]:
        yield f"    a trusted timestamp proves that it was made by {signature['timestamped_at']}"
    if signature["claimed_at"]:
        yield f"    claims to be made {signature['claimed_at']}"


def _missing(missing: Said) -> Iterator[str]:
    identifier = missing["authority_key_identifier"]
    key = f", key identifier {_shown(identifier, 100)}" if identifier else ""
    note = "; a certificate of this name is known, with another key" if missing["same_name_new_key"] else ""
    yield f"    missing  {_shown(missing['name'] or 'an issuer that is not named', 200)}{key}{note}"
    for like in missing["relatives"][:MAX_RELATIVES]:
        told = RELATIVES.get(like["kind"], "is like it")
        yield f"    relative {_shown(like['name'], 160)} ({_shown(like['anchor_id'], 64)}, {_shown(like['state'], 20)}) {told}"


def _uncovered(said: Said) -> Iterator[str]:
    parts = [part for part in said["coverage"]["uncovered"] if not part["inert"]] if said["signatures"] else []
    for part in parts[:MAX_UNCOVERED]:
        what = _shown(part["member"], 200) if "member" in part else f"bytes {part['start']} to {part['end']}"
        yield f"  uncovered  {what}"


def _evidence(evidence: Said) -> Iterator[str]:
    when = f" on {evidence['published']}" if evidence["published"] else ""
    who = f" by {_shown(evidence['author'], 80)}" if evidence["author"] else ""
    yield f"  evidence   {_shown(evidence['claim'], 40)}: said{who}{when} ({_shown(evidence['authority'], 30)})"
    if evidence["url"]:
        yield f"             {_shown(evidence['url'], 300)}"
    yield f"             {_shown(evidence['excerpt'], 300)}"


def _shown(text: Any, limit: int) -> str:
    return safe(str(text), limit)
