"""The installed service under a real systemd: ``make test-system`` (root, Debian, systemd-nspawn)."""
