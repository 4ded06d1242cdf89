"""``python -m tests.system``: boots a machine, installs the service, proves every claim and prints a table.

Exit codes: 0 all held, 1 one did not, 2 this computer cannot boot the machine (the reason is told).
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from tests.simulator.smtp import SMTPServer
from tests.simulator.vendor_pki import VendorPKI
from tests.stories.installation import StepFailedError
from tests.system.claims import CLAIMS, MAIL_PASSWORD, MAIL_USER, NEEDED_BY_ALL, Place
from tests.system.machine import CannotRunError, Machine, require_tools


def main() -> int:
    """Prove the claims in their order; without an installation that starts nothing else is tried."""
    rows: list[tuple[str, str, str]] = []
    try:
        require_tools()
        with SMTPServer(tls=True, user=MAIL_USER, password=MAIL_PASSWORD) as mail, Machine() as machine:
            _prove(Place(machine, mail, VendorPKI.generate("DTEN", datetime.now(UTC))), rows)
    except CannotRunError as error:
        sys.stderr.write(f"cannot run here: {error}\n")
        return 2
    table = ["| claim | held | seen |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    sys.stdout.write("\n".join(table) + "\n")
    return 0 if all(held == "yes" for _, held, _ in rows) else 1


def _prove(place: Place, rows: list[tuple[str, str, str]]) -> None:
    for number, claim in enumerate(CLAIMS):
        name = claim.__name__.replace("_", " ")
        try:
            seen = claim(place)
        except StepFailedError as error:
            sys.stderr.write(f"{name}: {error}\n{place.journal()}\n")
            rows.append((name, "NO", str(error).splitlines()[0].replace("|", "/")))
            if claim in NEEDED_BY_ALL:
                rows.extend((later.__name__.replace("_", " "), "not tried", "") for later in CLAIMS[number + 1 :])
                return
            continue
        sys.stderr.write(f"ok  {name}: {seen}\n")
        rows.append((name, "yes", seen.replace("|", "/")))


if __name__ == "__main__":
    sys.exit(main())
