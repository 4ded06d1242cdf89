"""The sections of the configuration that belong to the trust store, and the vendor files."""

from __future__ import annotations

import pwd
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trust_store.config import line_of, read_toml, section, unknown_key
from trust_store.errors import ConfigError
from trust_store.model.vendor import Contact, Vendor, VendorPolicy

FOREIGN_SECTIONS = ("intake", "delivery", "polling", "dashboard")
FOREIGN_VENDOR_TABLES = ("source", "artefact")
_VENDOR_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``[store]``: where the database and the retained packages are, and how much of them is kept."""

    directory: Path = Path("/var/lib/rootwarden")
    retain_bytes: int = 20 * 1024**3
    retain_days: int = 90

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.directory / "rootwarden.db"

    @property
    def lock(self) -> Path:
        """Held exclusively by whoever writes: the daemon while it runs, else one command."""
        return self.directory / "writer.lock"

    @property
    def retained(self) -> Path:
        """Where packages that did not pass are kept, named by their SHA-256."""
        return self.directory / "retained"


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """``[control]``: the Unix socket over which commands reach the daemon, and who may open it (octal ``mode``)."""

    socket: Path = Path("/run/rootwarden/control.sock")
    group: str = ""
    mode: str = "0660"


@dataclass(frozen=True, slots=True)
class Approvers:
    """``[approvers]``: person = Unix user (name or uid) or a list of them; one uid stands for one person only."""

    by_uid: tuple[tuple[int, str], ...] = ()

    def person(self, uid: int) -> str | None:
        """The person a uid stands for, or None: an unmapped uid decides nothing."""
        return dict(self.by_uid).get(uid)


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """All that the trust store reads from the configuration."""

    file: Path
    store: StoreSettings = field(default_factory=StoreSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    approvers: Approvers = field(default_factory=Approvers)
    vendors: tuple[Vendor, ...] = ()

    def vendor(self, vendor_id: str) -> Vendor | None:
        """The configured vendor of that id."""
        return next((v for v in self.vendors if v.id == vendor_id), None)


@dataclass(frozen=True, slots=True)
class _VendorSection:
    id: str
    name: str
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _PackagesSection:
    patterns: tuple[str, ...] = ()


def load_trust_settings(path: Path) -> TrustSettings:
    """Read ``path`` and the ``vendors.d/*.toml`` beside it; raises ConfigError. Sections of other packages are left alone."""
    tables = read_toml(path)
    known = ["store", "control", "approvers", *FOREIGN_SECTIONS]
    for name in tables:
        if name not in known:
            raise unknown_key(name, known, file=path, name="")
    return TrustSettings(
        file=path,
        store=section(StoreSettings, tables.get("store", {}), file=path, name="store"),
        control=section(ControlSettings, tables.get("control", {}), file=path, name="control"),
        approvers=_approvers(tables.get("approvers", {}), path),
        vendors=load_vendors(path.parent / "vendors.d"),
    )


def load_vendors(directory: Path) -> tuple[Vendor, ...]:
    """Every vendor of ``directory``, by id; an id used twice raises ConfigError."""
    vendors: dict[str, Vendor] = {}
    for file in sorted(directory.glob("*.toml")):
        vendor = load_vendor(file)
        if vendor.id in vendors:
            raise ConfigError(f"vendor id {vendor.id!r} is used twice", file=file, line=line_of(file, "vendor", "id"))
        vendors[vendor.id] = vendor
    return tuple(vendors[key] for key in sorted(vendors))


def load_vendor(file: Path) -> Vendor:
    """One vendor file; raises ConfigError."""
    tables = read_toml(file)
    for name in tables:
        if name not in ("vendor", *FOREIGN_VENDOR_TABLES):
            raise unknown_key(name, ["vendor", *FOREIGN_VENDOR_TABLES], file=file, name="")
    table: dict[str, Any] = tables.get("vendor", {})
    head = section(_VendorSection, table, file=file, name="vendor", nested=("policy", "packages", "contact"))
    if not _VENDOR_ID.match(head.id) or head.id == "any":
        raise ConfigError(
            f"vendor id {head.id!r}: lower-case letters, digits, '.', '_', '-', and not 'any'",
            file=file,
            line=line_of(file, "vendor", "id"),
        )
    policy = section(VendorPolicy, table.get("policy", {}), file=file, name="vendor.policy")
    packages = section(_PackagesSection, table.get("packages", {}), file=file, name="vendor.packages")
    contacts = table.get("contact", [])
    if not isinstance(contacts, list):
        raise ConfigError("contacts are written [[vendor.contact]]", file=file, line=line_of(file, "vendor.contact"))
    return Vendor(
        id=head.id,
        name=head.name,
        domains=tuple(d.lower() for d in head.domains),
        contacts=tuple(section(Contact, c, file=file, name="vendor.contact") for c in contacts),
        policy=policy,
        package_patterns=packages.patterns,
    )


def _approvers(table: Any, file: Path) -> Approvers:
    """The uid -> person table; a uid under two names is refused, so that nobody approves twice."""
    if not isinstance(table, dict):
        raise ConfigError("[approvers] must be a table", file=file, line=line_of(file, "approvers"))
    people: dict[int, str] = {}
    for person, users in table.items():
        for user in users if isinstance(users, list) else [users]:
            uid = _uid(user, file, person)
            if people.setdefault(uid, person) != person:
                raise ConfigError(
                    f"uid {uid} stands for both {people[uid]!r} and {person!r}",
                    file=file,
                    line=line_of(file, "approvers", person),
                )
    return Approvers(tuple(sorted(people.items())))


def _uid(user: Any, file: Path, person: str) -> int:
    """The uid that ``user`` names; bool is no number here."""
    if isinstance(user, int) and not isinstance(user, bool) and user >= 0:
        return user
    try:
        if isinstance(user, str):
            return pwd.getpwnam(user).pw_uid
    except KeyError:
        pass
    raise ConfigError(
        f"approver {person!r}: {user!r} is no Unix user here", file=file, line=line_of(file, "approvers", person)
    )
