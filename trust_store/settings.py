"""The sections of the configuration that belong to the trust store, and the vendor files."""

from __future__ import annotations

import pwd
import re
import unicodedata
from dataclasses import field
from pathlib import Path
from typing import Any

from trust_store.config import line_of, read_toml, section, unknown_key
from trust_store.errors import ConfigError
from trust_store.model.vendor import Contact, Vendor, VendorPolicy
from trust_store.quick_dataclass import dataclass

FOREIGN_SECTIONS = ("intake", "delivery", "polling", "dashboard")
FOREIGN_VENDOR_TABLES = ("source", "artefact")
RESERVED_NAMES = ("system", "configuration")
"""Actors of the audit log that are no people."""
_NAMED_IDENTITY = re.compile(r"(?:uid:(?:0|[1-9][0-9]{0,9})|(?:token|login):[!-~]{1,200})\Z")
_VENDOR_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``[store]``: where the database and the retained packages are, and how much of them is kept."""

    directory: Path = Path("/var/lib/rootwarden")
    """The folder of the database, the instance key, the writer's lock and the retained packages; the service's alone (0700)."""
    retain_bytes: int = 20 * 1024**3
    """Packages that did not pass are kept up to this many bytes, the oldest go first; 0 keeps none."""
    retain_days: int = 90
    """No retained package is kept for longer."""

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
    """Commands reach the daemon here; at most 107 bytes."""
    group: str = ""
    """Unix group that may open the socket, one of the service's own groups; without it the service's."""
    mode: str = "0660"
    """Octal."""

    def __post_init__(self) -> None:
        _require_mode(self.mode)


@dataclass(frozen=True, slots=True)
class APISettings:
    """``[api]``: the Unix socket that answers upgrade tooling over HTTP, and who may open it (octal ``mode``).

    ``folders`` are those whose files may be named by path; ``max_upload_bytes`` caps a package that is sent.
    """

    enabled: bool = True
    """Whether the daemon answers over HTTP at all."""
    socket: Path = Path("/run/rootwarden/api.sock")
    """At most 107 bytes."""
    group: str = ""
    """Unix group that may open the socket."""
    mode: str = "0666"
    """Octal; by default every user of this machine may ask, and nobody decides over it."""
    folders: tuple[str, ...] = ()
    """Absolute paths; files below these may be named by path, if the peer may read them."""
    max_upload_bytes: int = 4 * 1024**3
    """Above 0."""

    def __post_init__(self) -> None:
        _require_mode(self.mode)
        if self.max_upload_bytes <= 0:
            raise ValueError("max_upload_bytes must be more than 0")
        for folder in self.folders:
            if not Path(folder).is_absolute() or ".." in Path(folder).parts:
                raise ValueError(f"folders: {folder!r} is no absolute path")


@dataclass(frozen=True, slots=True)
class Approvers:
    """``[approvers]``: person = identity or a list of them; one identity stands for one person only.

    Identities are ``uid:NUMBER`` (written as the user's name or number as well), ``token:NAME`` (an API token's subject) and
    ``login:NAME`` (a login of the dashboard).
    """

    by_identity: tuple[tuple[str, str], ...] = ()

    def person_of(self, identity: str) -> str | None:
        """The person an identity stands for, or None: an unmapped one decides nothing."""
        return dict(self.by_identity).get(identity)

    @property
    def by_uid(self) -> tuple[tuple[int, str], ...]:
        """The Unix users among the identities, by number."""
        users = [(i.removeprefix("uid:"), person) for i, person in self.by_identity if i.startswith("uid:")]
        return tuple(sorted((int(number), person) for number, person in users))


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """All that the trust store reads from the configuration."""

    file: Path
    store: StoreSettings = field(default_factory=StoreSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    api: APISettings = field(default_factory=APISettings)
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
    known = ["store", "control", "api", "approvers", *FOREIGN_SECTIONS]
    for name in tables:
        if name not in known:
            raise unknown_key(name, known, file=path, name="")
    return TrustSettings(
        file=path,
        store=section(StoreSettings, tables.get("store", {}), file=path, name="store"),
        control=section(ControlSettings, tables.get("control", {}), file=path, name="control"),
        api=section(APISettings, tables.get("api", {}), file=path, name="api"),
        approvers=_approvers(tables.get("approvers", {}), path),
        vendors=load_vendors(path.parent / "vendors.d"),
    )


def load_api_settings(path: Path) -> APISettings:
    """``[api]`` of ``path`` alone; raises ConfigError. Nothing else in it, and no vendor file, is looked at."""
    return section(APISettings, read_toml(path).get("api", {}), file=path, name="api")


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
    """The identity -> person table; an identity under two names is refused, so that nobody approves twice."""
    if not isinstance(table, dict):
        raise ConfigError("[approvers] must be a table", file=file, line=line_of(file, "approvers"))
    people: dict[str, str] = {}
    names: dict[str, str] = {}
    for person, identities in table.items():
        line = line_of(file, "approvers", person)
        if person in RESERVED_NAMES or person != person.strip() or not person.isprintable() or not person:
            raise ConfigError(f"{person!r} cannot be a person's name in [approvers]", file=file, line=line)
        if names.setdefault(_looks(person), person) != person:
            raise ConfigError(f"{person!r} and {names[_looks(person)]!r} look like one person", file=file, line=line)
        for user in identities if isinstance(identities, list) else [identities]:
            identity = _identity(user, file, person)
            if people.setdefault(identity, person) != person:
                raise ConfigError(
                    f"{identity.replace('uid:', 'uid ', 1)} stands for both {people[identity]!r} and {person!r}",
                    file=file,
                    line=line,
                )
    return Approvers(tuple(sorted(people.items())))


def _require_mode(mode: str) -> None:
    """Raises ValueError for what is no file mode, here and not when the socket is made."""
    try:
        int(mode, 8)
    except ValueError as error:
        raise ValueError(f"mode: {mode!r} is no octal file mode") from error


def _looks(person: str) -> str:
    """A name as people read it: capitals, width, ligatures, accents written apart and double blanks are no difference."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", person).casefold()).split())


def _identity(user: Any, file: Path, person: str) -> str:
    """What ``user`` names: a uid by number or name, a token, a login; bool is no number here."""
    if isinstance(user, int) and not isinstance(user, bool) and user >= 0:
        return f"uid:{user}"
    try:
        if isinstance(user, str):
            if _NAMED_IDENTITY.match(user):
                return user
            if user.startswith(("token:", "login:", "uid:")):
                raise ConfigError(
                    f"approver {person!r}: {user!r} is not uid:NUMBER, token:NAME or login:NAME (without spaces, at most 200)",
                    file=file,
                    line=line_of(file, "approvers", person),
                )
            return f"uid:{pwd.getpwnam(user).pw_uid}"
    except (KeyError, ValueError):  # the latter for a name with a NUL in it
        pass
    raise ConfigError(
        f"approver {person!r}: {user!r} is no Unix user here", file=file, line=line_of(file, "approvers", person)
    )
