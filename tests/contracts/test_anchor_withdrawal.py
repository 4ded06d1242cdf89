"""What a withdrawal of trust means for packages signed before it, asked with `check --at`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.contracts.test_store_answers import package, store, told
from trust_store.anchor_approval import REVOCATION_CAUSES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contracts.conftest import Rootwarden
    from tests.contracts.packages import Kit
    from tests.contracts.test_store_answers import Store

__all__ = ["package", "store"]  # fixtures
SOFT = ("superseded", "cessation-of-operation", "affiliation-changed")


def ago(hours: int) -> str:
    """A time so long before now."""
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize("underscores", [False, True])
@pytest.mark.parametrize("cause", REVOCATION_CAUSES)
def test_only_a_soft_cause_spares_what_is_older(
    fast: Rootwarden, store: Store, kit: Kit, package: Path, cause: str, *, underscores: bool
) -> None:
    """Revoked as of two hours ago: now it fails; asked about three hours ago a soft cause passes and a hard one does not."""
    anchor = store.trust(kit.root)
    written = cause.replace("-", "_") if underscores else cause
    store.decide("anchor.revoke", anchor, because=written, effective_from=ago(2))
    reason = "compromised" if cause == "key-compromise" else "revoked"
    assert told(fast.check("--vendor", "dten", package)) == (10, "failed", reason)
    assert told(fast.check("--vendor", "dten", "--at", ago(1), package)) == (10, "failed", reason)
    older = told(fast.check("--vendor", "dten", "--at", ago(3), package))
    assert older == ((0, "passed", "trusted") if cause in SOFT else (10, "failed", reason))


def test_distrust_spares_nothing(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """Distrusted from some time on: the time is on record, and no question about an earlier one passes."""
    anchor = store.trust(kit.root)
    store.decide("anchor.distrust", anchor, reason="sold", effective_from=ago(2))
    for at in (ago(1), ago(3)):
        assert told(fast.check("--vendor", "dten", "--at", at, package)) == (10, "failed", "distrusted")


def test_an_earlier_end_takes_effect_at_once(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """Narrowing a valid anchor answers the next question: after the new end it is out of scope, before it nothing changed."""
    anchor = store.trust(kit.root)
    assert told(fast.check("--vendor", "dten", package))[0] == 0
    store.decide("anchor.constrain", anchor, valid_until=ago(2))
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "out_of_scope")
    assert told(fast.check("--vendor", "dten", "--at", ago(3), package)) == (0, "passed", "trusted")


def test_an_anchor_for_tls_validates_no_package(fast: Rootwarden, store: Store, kit: Kit, package: Path) -> None:
    """A root that is valid for TLS alone answers out_of_scope."""
    anchor = store.trust(kit.root)
    store.decide("anchor.constrain", anchor, purposes=["code"], products=["dten-*"])
    assert told(fast.check("--vendor", "dten", package))[0] == 0
    pending = store.propose(kit.middle)
    store.decide("anchor.constrain", pending, purposes=["tls"])
    import hashlib

    store.decide("anchor.remove", anchor)
    store.decide("anchor.approve", pending, fingerprint_read=hashlib.sha256(kit.middle.der).hexdigest())
    assert told(fast.check("--vendor", "dten", package)) == (3, "indeterminate", "out_of_scope")
