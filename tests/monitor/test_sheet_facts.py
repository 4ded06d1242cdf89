"""What sheet and script show is what counts now: contacts in force, the rules as they are, the vendor whose package it may be instead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalation.model import AlertStatus
from escalation.storage.rows import script
from tests.monitor.test_intake import DTEN, InProcess, Place1, place
from tests.monitor.test_told_each_time import load
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from trust_store import query
from trust_store.anchor_management import propose
from trust_store.anchor_rules import rules_code
from trust_store.decode.x509 import decode_certificates
from trust_store.errors import DecisionRefusedError
from trust_store.model.claim import Authority, Proposal
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.vendor import Contact, Vendor
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from escalation.model import EscalationScript

__all__ = ["place"]  # a fixture
NEW = Contact("New desk", phone="+1 900 555 0666")


async def taken(
    place: Place1, name: str = "p.zip", folder: str = "dten", pki: VendorPKI | None = None
) -> EscalationScript:
    """Drop a package; the sheet and script of its alert."""
    place.intake = type(place.intake)(place.alerting, place.storage, InProcess(), now=place.clock)
    (place.incoming / folder / name).write_bytes(vendor_bundle(pki or place.pki, {"f": name.encode()}))
    await place.settled()
    return await shown(place, name)


async def shown(place: Place1, name: str = "p.zip") -> EscalationScript:
    """What 'script show' has for the package."""
    (alert,) = [a for a in await place.alerts(kind="verdict", status=AlertStatus.OPEN) if name in a.title]
    made = await place.storage.run(lambda c: script(c, alert.id))
    assert made is not None
    return made


async def code(place: Place1, anchor: str) -> str:
    """The code of an anchor's rules, as 'anchor show' names it."""
    stored = await place.storage.run(lambda c: query.stored_anchor(c, anchor))
    assert stored is not None
    return rules_code(stored.proposal_digest)


async def test_a_contact_that_nobody_approved_is_not_offered(place: Place1) -> None:
    """A new contact and fewer approvals stand on no sheet before they count; approving with the contact says what is lacking."""
    strict = replace(DTEN, policy=replace(DTEN.policy, approvals=2))
    await load(place, strict)
    await load(place, replace(DTEN, contacts=(*DTEN.contacts, NEW)))
    anchor = await place.propose_root()
    made = await taken(place)
    for text in (made.sheet, made.script):
        assert ("Desk" in text, NEW.name in text, NEW.phone in text) == (True, False, False)
    assert "2 different people must approve" in made.sheet
    call = {"anchor": anchor, "fingerprint_read": place.pki.root_sha256, "spoke_with": "Pat", "ticket": "T"}
    with pytest.raises(DecisionRefusedError, match="not in force yet: rootwarden anchor approve-policy dten"):
        await place.decide("anchor.approve", called=NEW.phone, **call)
    with pytest.raises(DecisionRefusedError, match="none of the contacts"):
        await place.decide("anchor.approve", called="+1 900 555 0000", **call)


async def test_sheet_and_script_show_the_rules_that_an_approval_accepts(place: Place1) -> None:
    """The narrowest rules that the package proposed stand on both, with their code, and the script approves only these."""
    anchor = await place.propose_root()
    made = await taken(place)
    named = await code(place, anchor)
    for text in (made.sheet, made.script):
        assert "signers must have the subject: O=DTEN, CN=DTEN Upgrade Signing" in " ".join(text.split())
        assert "formats: vendor-bundle" in text
        assert named in text
        assert place.pki.root_sha256[:8] not in text


async def test_changed_rules_are_on_the_script_at_once(place: Place1) -> None:
    """Whoever changes the rules changes what 'script show' has; a script from before is refused with what to do."""
    anchor = await place.propose_root()
    await taken(place)
    old = await code(place, anchor)
    await place.decide("anchor.constrain", anchor=anchor, dedicated=True)
    now = await shown(place)
    for text in (now.sheet, now.script):
        assert ("(dedicated)" in text, old in text, await code(place, anchor) in text) == (True, False, True)
    call = {"fingerprint_read": place.pki.root_sha256, "spoke_with": "Pat", "called": "Desk", "ticket": "T"}
    with pytest.raises(DecisionRefusedError, match="rootwarden script show ALERT"):
        await place.decide("anchor.approve", anchor=anchor, rules=old, **call)
    approved = await place.decide("anchor.approve", anchor=anchor, rules=await code(place, anchor), **call)
    assert approved["outcome"] == "valid"
    with pytest.raises(DecisionRefusedError, match="is approved already"):
        await place.decide("anchor.approve", anchor=anchor, rules=old, **call)


async def trusted(place: Place1, vendor: str, pki: VendorPKI) -> str:
    """A valid anchor of a vendor."""
    (root,) = decode_certificates(pki.root_pem.encode())
    proposal = Proposal(
        vendor, AnchorKind.X509, root.subject, root.sha256, root.der, root.identifiers, Authority.STAFF, "u"
    )

    def put(connection: Any) -> str:
        return propose(connection, proposal, at=place.clock.at, randomness=place.randomness)

    anchor = await place.storage.run(put)
    await place.decide("anchor.constrain", anchor=anchor, dedicated=True)
    call = {"fingerprint_read": root.sha256, "spoke_with": "Pat", "called": "Acme desk", "ticket": "T"}
    assert (await place.decide("anchor.approve", anchor=anchor, **call))["outcome"] == "valid"
    return anchor


async def test_a_package_in_the_wrong_folder_is_said_to_be_so_first(place: Place1) -> None:
    """Where a valid anchor of another vendor vouches for it, alert, sheet and script say so before anything else."""
    acme = Vendor("acme", "ACME", contacts=(Contact("Acme desk", phone="+1 555 0199"),), policy=DTEN.policy)
    await load(place, DTEN, acme)
    pki = VendorPKI.generate("ACME", place.clock.at)
    anchor = await trusted(place, "acme", pki)
    made = await taken(place, pki=pki)
    said = "Its root is a valid anchor of vendor ACME (acme): was the package put into the right folder?"
    (alert,) = await place.alerts(reason="unknown_root", status=AlertStatus.OPEN)
    assert alert.summary.startswith(said)
    assert said in " ".join(made.sheet.split())
    assert said in made.script
    verdict = (await place.settled()).get("dten/p.zip")
    assert verdict is None or verdict.reason is Reason.UNKNOWN_ROOT
    await place.decide("anchor.revoke", anchor=anchor)
    assert said not in (await taken(place, "q.zip", pki=pki)).script


async def test_a_package_that_nobody_vouches_for_names_no_other_vendor(place: Place1) -> None:
    """An unknown root stays a matter of the vendor in whose folder it lies."""
    made = await taken(place)
    assert "right folder" not in made.sheet + made.script
