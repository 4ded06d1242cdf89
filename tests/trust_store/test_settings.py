from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from trust_store.config import MAX_CONFIG_BYTES, read_toml
from trust_store.errors import ConfigError
from trust_store.settings import load_trust_settings

VENDOR = '[vendor]\nid = "dten"\nname = "DTEN"\n'


def configured(folder: Path, main: str = "", **vendors: str) -> Path:
    """A configuration with vendor files in ``folder``."""
    (folder / "vendors.d").mkdir()
    for name, text in vendors.items():
        (folder / f"vendors.d/{name}.toml").write_text(text)
    file = folder / "rootwarden.toml"
    file.write_text(main)
    return file


def test_whole_configuration_is_read(tmp_path: Path) -> None:
    """Every section arrives where it belongs, relative paths are relative to the file they stand in."""
    vendor = VENDOR + (
        'domains = ["DTEN.example"]\n[vendor.policy]\napprovals = 1\n[vendor.packages]\npatterns = ["Full-*.zip"]\n'
        '[[vendor.contact]]\nname = "Desk"\nphone = "+1 555 0100"\n'
    )
    file = configured(
        tmp_path, '[store]\ndirectory = "state"\n[approvers]\nalice = 4711\nbob = ["root", 4712]\n', dten=vendor
    )
    settings = load_trust_settings(file)
    assert settings.store.database == tmp_path / "state/rootwarden.db"
    assert settings.approvers.by_uid == ((0, "bob"), (4711, "alice"), (4712, "bob"))
    assert (settings.approvers.person_of("uid:4711"), settings.approvers.person_of("uid:1")) == ("alice", None)
    (read,) = settings.vendors
    assert (read.domains, read.policy.approvals, read.package_patterns) == (("dten.example",), 1, ("Full-*.zip",))
    assert read.contacts[0].phone == "+1 555 0100"
    assert settings.vendor("dten") == read
    assert settings.vendor("nobody") is None


def test_two_approvers_are_needed_where_a_vendor_file_is_silent(tmp_path: Path) -> None:
    """One approver has to be written out."""
    assert load_trust_settings(configured(tmp_path, dten=VENDOR)).vendors[0].policy.approvals == 2


@pytest.mark.parametrize(
    ("main", "vendor", "line", "told"),
    [
        ("\n[stor]\n", VENDOR, 2, "did you mean 'store'"),
        ('[store]\ndirectori = "x"\n', VENDOR, 2, "did you mean 'directory'"),
        ("[store]\nretain_days = true\n", VENDOR, 2, "must be a whole number"),
        ("[store]\nretain_days = 1.5\n", VENDOR, 2, "must be a whole number"),
        ("store = 1\n", VENDOR, 0, "must be a table"),
        ("approvers = 1\n", VENDOR, 0, "must be a table"),
        ("[approvers]\nalice = true\n", VENDOR, 2, "is no Unix user here"),
        ("[approvers]\nalice = -1\n", VENDOR, 2, "is no Unix user here"),
        ('[approvers]\nalice = "no-such-user-here"\n', VENDOR, 2, "is no Unix user here"),
        ("[approvers]\nalice = 5\nalicia = 5\n", VENDOR, 3, "stands for both"),
        ("x = = 1\n", VENDOR, 1, "not valid TOML"),
        ("", '[vendor]\nname = "DTEN"\n', 1, "needs the key 'id'"),
        ("", '[vendor]\nid = "any"\nname = "X"\n', 2, "not 'any'"),
        ("", '[vendor]\nid = "Up"\nname = "X"\n', 2, "lower-case letters"),
        ("", VENDOR + "[vendor.policy]\nap_provals = 1\n", 5, "did you mean 'approvals'"),
        ("", VENDOR + "[vendor.policy]\napprovals = 0\n", 4, "at least 1"),
        ("", VENDOR + "[vendor.policy]\nrequired_signatures = 0\n", 4, "at least 1"),
        ("", VENDOR + '[vendor.policy]\nclaimed_time = "perhaps"\n', 4, "reject"),
        ("", VENDOR + '[vendor.contact]\nname = "Desk"\n', 4, "[[vendor.contact]]"),
        ("", VENDOR + "[[sources]]\n", 4, "did you mean 'source'"),
        ("", "vendor = 3\n", 0, "must be a table"),
        ("", VENDOR + 'domains = "x"\n', 4, "a list of strings"),
    ],
)  # fmt: skip
def test_wrong_configuration_names_file_line_and_nearest_key(
    tmp_path: Path, main: str, vendor: str, line: int, told: str
) -> None:
    """Every mistake is told with its file, its line where there is one, and what was probably meant."""
    file = configured(tmp_path, main, dten=vendor)
    with pytest.raises(ConfigError) as caught:
        load_trust_settings(file)
    assert told in str(caught.value)
    assert caught.value.line == line
    assert caught.value.file in (file, tmp_path / "vendors.d/dten.toml")
    assert caught.value.exit_code == 2


def test_vendor_id_is_used_once(tmp_path: Path) -> None:
    """Two files for one vendor are refused: nobody could say which policy counts."""
    with pytest.raises(ConfigError, match="used twice"):
        load_trust_settings(configured(tmp_path, a=VENDOR, b=VENDOR))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (MAX_CONFIG_BYTES + 1), "larger than"),
        (b"a = " + b"[" * 5000, "TOML|deeply"),
    ],
)
def test_file_that_is_no_configuration_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    """Bytes that are no text, too much of it or nested without end are configuration errors."""
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read_toml(file)


def test_missing_configuration_is_told(tmp_path: Path) -> None:
    """A file that is not there is a configuration error that names what to do, not an empty configuration."""
    with pytest.raises(ConfigError, match="'rootwarden init' writes a configuration, --config names another"):
        read_toml(tmp_path / "missing.toml")


def test_user_name_stands_for_its_uid(tmp_path: Path) -> None:
    """An approver given by name is the uid that the system knows under it."""
    me = pwd.getpwuid(os.getuid()).pw_name
    file = configured(tmp_path, f'[approvers]\nme = "{me}"\n')
    assert load_trust_settings(file).approvers.by_uid == ((os.getuid(), "me"),)
