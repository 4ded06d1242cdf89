"""A vendor: an organisation that ships packages, with the team's own contacts and policy for it."""

from __future__ import annotations

from dataclasses import field

from trust_store.quick_dataclass import dataclass

MOST_DAYS = 36_500
"""A hundred years: what is longer runs past the last date there is."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or desk the team recorded itself; never taken from a message that is being verified."""

    name: str
    """Who answers there; `--called` takes it, like phone, mail and portal, written exactly so."""
    phone: str = ""
    """For the call sheet."""
    mail: str = ""
    """For the call sheet."""
    portal: str = ""
    """An address of the vendor's support, for the call sheet."""
    hours: str = ""
    """When somebody answers; free text for the call sheet."""


@dataclass(frozen=True, slots=True)
class VendorPolicy:
    """How this vendor's packages and keys are decided. ``approvals`` is 2 where the file is silent.

    ``call`` is ``required``, or ``or_hold_down``: a key may be approved without a call once it has been known for
    ``hold_down_days`` (at least 1 then). ``mode`` ``observe`` changes no verdict: alerts wait for the daily digest, and the gate
    lets through with a warning. ``rollback`` is about versions that signed metadata states: many vendors still ship packages of older
    branches, so that it is refused only where that is said.
    """

    approvals: int = 2
    """People who each make their own call; at least 1, which one person may then do alone. Fewer is weaker."""
    hold_down_days: int = 0
    """0 to 36500; with `call = "or_hold_down"` at least 1. Fewer is weaker."""
    proposal_lapse_days: int = 90
    """0 to 36500: a proposal that nobody decided for this long is closed."""
    required_signatures: int = 1
    """Different keys that have to have signed a package, where its format leaves it open; at least 1. Fewer is weaker."""
    claimed_time: str = "reject"
    """`reject`, or `accept`: believe the time that a signature states of itself where its key has merely expired since. Weaker."""
    key_name: str = ""
    """What the vendor calls the key, for the call sheet."""
    call: str = "required"
    """`required`, or `or_hold_down`, which is weaker."""
    mode: str = "enforce"
    """`enforce`, or `observe`, which is weaker."""
    rollback: str = "accept"
    """`accept`, which is weaker, or `refuse`: a version older than one that passed is `rollback`. Not for vendors with several branches."""

    def __post_init__(self) -> None:
        if self.approvals < 1:
            raise ValueError("approvals must be at least 1")
        for name in ("hold_down_days", "proposal_lapse_days"):
            if not 0 <= getattr(self, name) <= MOST_DAYS:
                raise ValueError(f"{name} must be 0 to {MOST_DAYS} days")
        if self.required_signatures < 1:
            raise ValueError("required_signatures must be at least 1")
        if self.claimed_time not in ("reject", "accept"):
            raise ValueError('claimed_time is "reject" or "accept"')
        if self.call not in ("required", "or_hold_down"):
            raise ValueError('call is "required" or "or_hold_down"')
        if self.call == "or_hold_down" and self.hold_down_days < 1:
            raise ValueError('call = "or_hold_down" needs hold_down_days of at least 1')
        if self.mode not in ("observe", "enforce"):
            raise ValueError('mode is "observe" or "enforce"')
        if self.rollback not in ("accept", "refuse"):
            raise ValueError('rollback is "accept" or "refuse"')


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor file. ``package_patterns`` are file-name globs that only ever *suggest* this vendor."""

    id: str
    name: str
    domains: tuple[str, ...] = ()
    contacts: tuple[Contact, ...] = ()
    policy: VendorPolicy = field(default_factory=VendorPolicy)
    package_patterns: tuple[str, ...] = ()
