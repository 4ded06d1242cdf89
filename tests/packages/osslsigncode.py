"""Which osslsigncode is installed: Debian 12 has 2.5, which accepts no scripts and no app packages, its backports 2.9."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache

READS_EVERYTHING = (2, 9)


@lru_cache(maxsize=1)
def version() -> tuple[int, int]:
    """Major and minor; raises ValueError where it does not say."""
    said = subprocess.run(["osslsigncode", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"osslsigncode (\d+)\.(\d+)", said.stdout + said.stderr)
    if found is None:
        raise ValueError("osslsigncode does not say its version")
    return int(found[1]), int(found[2])
