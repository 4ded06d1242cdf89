"""The HTTP query API: what the store answers to upgrade tooling on this machine, over a Unix socket with peer credentials."""
