"""The tests of package formats: fixtures made by real tools, and hostile ones."""

FUZZED: tuple[str, ...] = (
    "fuzz_firmware",
    "fuzz_linux_packages",
    "fuzz_packages",
    "fuzz_registries",
    "fuzz_side",
    "fuzz_zip_packages",
)
"""Modules here that have fuzz targets."""
