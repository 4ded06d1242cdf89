"""The arguments of one decision: JSON from another process, each checked for type, size and meaning before anything is decided."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509

from trust_store.anchor_approval import Call
from trust_store.chain.named_key import name_of
from trust_store.errors import MalformedError, UsageError
from trust_store.model.identifiers import normalise_hex, parse_time
from trust_store.model.trust_anchor import Constraints, Purpose, SignerRule
from trust_store.storage.anchors import current

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from trust_store.model.vendor import Vendor

MAX_TEXT_CHARACTERS = 2000
MAX_LIST = 100
NAME_KINDS = ("dns", "email", "uri", "ip", "dn")
DIGESTS = (
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha512-256",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "shake256",
    "blake2b",
)
REVOCATION = ("off", "if_available", "required")
RULE_ARGUMENTS = frozenset(
    {"dedicated", "signer_subject", "signer_spki", "signer_san", "issuer_spki", "team_id", "eku", "policy"}
)
LIMIT_ARGUMENTS = frozenset(
    {
        "products", "formats", "purposes", "valid_from", "valid_until", "distrust_after", "max_path_length", "permitted_names",
        "excluded_names", "minimum_rsa_bits", "digests", "revocation",
    }
)  # fmt: skip
"""The fields of ``Constraints``, each an argument of its own name; ``clear`` names those that limit nothing any more."""
_SHORT_NAMES = ("CN", "O", "OU", "C", "L", "ST", "DC", "UID")
_OID = re.compile(r"(?:[01]\.(?:[0-9]|[123][0-9])|2\.(?:0|[1-9][0-9]{0,38}))(?:\.(?:0|[1-9][0-9]{0,38}))*\Z")
_TEAM_ID = re.compile(r"[A-Z0-9]{10}\Z")
_NO_BLANKS = frozenset({"dns", "email", "uri", "ip"})
_MAILBOX = re.compile(r"[^@]+@[^@]+\Z")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.")
_MOST_PATH_LENGTH, _MOST_RSA_BITS = 100, 16384


@dataclass(frozen=True, slots=True)
class Request:
    """One decision being made by ``identity``, a person; ``vendors`` is the configuration as loaded."""

    connection: sqlite3.Connection
    arguments: Mapping[str, Any]
    identity: str
    vendors: tuple[Vendor, ...]
    at: datetime
    randomness: Callable[[int], bytes]

    @property
    def anchor_id(self) -> str:
        """The anchor that is decided about."""
        return self.text("anchor")

    def vendor_of_anchor(self) -> Vendor | None:
        """The configured vendor of that anchor."""
        stored = current(self.connection, self.anchor_id)
        return next((v for v in self.vendors if stored and v.id == stored.anchor.vendor_id), None)

    def text(self, name: str, default: str | None = None) -> str:
        """A text, never empty unless there is a default; raises UsageError as all of these do."""
        value = self.arguments.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS or (not value and default is None):
            raise UsageError(f"{name!r} must be text of 1 to {MAX_TEXT_CHARACTERS} characters")
        return value.encode("utf-8", "backslashreplace").decode()

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where there is none."""
        value = self.arguments.get(name)
        if value is None:
            return ()
        sound = isinstance(value, list) and len(value) <= MAX_LIST
        # One that is too long is refused, never cut: the rest of a rule is another rule.
        if not sound or not all(isinstance(v, str) and 0 < len(v) <= MAX_TEXT_CHARACTERS for v in value):
            raise UsageError(
                f"{name!r} must be a list of at most {MAX_LIST} texts of 1 to {MAX_TEXT_CHARACTERS} characters"
            )
        return tuple(v.encode("utf-8", "backslashreplace").decode() for v in value)

    def flag(self, name: str) -> bool | None:
        """True, false or not said."""
        value = self.arguments.get(name)
        if value is not None and not isinstance(value, bool):
            raise UsageError(f"{name!r} must be true or false")
        return value

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds, or not said."""
        value = self.arguments.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise UsageError(f"{name!r} must be a whole number from {least} to {most}")
        return value

    def time(self, name: str) -> datetime | None:
        """An aware time, or not said."""
        try:
            return parse_time(self.text(name)) if self.arguments.get(name) is not None else None
        except ValueError as error:
            raise UsageError(f"{name!r}: {error}") from error

    def call(self) -> Call:
        """What is said of a call to the vendor."""
        return Call(*(self.text(name, "") for name in ("fingerprint_read", "spoke_with", "called", "ticket")))


def rule_of(request: Request) -> SignerRule | None:
    """The signer rule that the arguments state as a whole, or None; dedicated and conditions contradict each other."""
    rule = SignerRule(
        dedicated=request.flag("dedicated") is True,
        subject=tuple(_attribute(pair) for pair in request.texts("signer_subject")),
        spki_sha256=_pins(request, "signer_spki"),
        san=tuple(_name(pair, "signer_san", subtree=False) for pair in request.texts("signer_san")),
        issuer_spki_sha256=_pins(request, "issuer_spki"),
        team_id=_matching(request, "team_id", _TEAM_ID, "ten capital letters and digits, as Apple assigns them"),
        eku=_matching(request, "eku", _OID, "a dotted object identifier such as 1.3.6.1.5.5.7.3.3"),
        policy=_matching(request, "policy", _OID, "a dotted object identifier such as 2.23.140.1.4.1"),
    )
    if rule.dedicated and rule.conditional:
        raise UsageError("dedicated means every signer under this CA: it goes with no condition on the signer")
    return rule if rule.stated else None


def limits_of(request: Request) -> dict[str, Any]:
    """The fields of ``Constraints`` that the arguments state; what ``clear`` names goes back to limiting nothing."""
    cleared = request.texts("clear")
    _require_known("clear", cleared, sorted(LIMIT_ARGUMENTS))
    found: dict[str, Any] = {name: getattr(Constraints(), name) for name in cleared}
    revocation = request.text("revocation", "")
    _require_known("revocation", (revocation,) if revocation else (), REVOCATION)
    stated = {
        "products": request.texts("products"),
        "formats": _formats(request),
        "purposes": _known(request, "purposes", [p.value for p in Purpose]),
        "valid_from": request.time("valid_from"),
        "valid_until": request.time("valid_until"),
        "distrust_after": request.time("distrust_after"),
        "max_path_length": request.number("max_path_length", 0, _MOST_PATH_LENGTH),
        "permitted_names": tuple(
            _name(pair, "permitted_names", subtree=True) for pair in request.texts("permitted_names")
        ),
        "excluded_names": tuple(
            _name(pair, "excluded_names", subtree=True) for pair in request.texts("excluded_names")
        ),
        "minimum_rsa_bits": request.number("minimum_rsa_bits", 1, _MOST_RSA_BITS),
        "digests": _known(request, "digests", DIGESTS),
        "revocation": revocation or None,
    }
    given = {name: value for name, value in stated.items() if value not in (None, ())}
    if both := sorted(set(given) & set(cleared)):
        raise UsageError(f"{both[0]!r} is stated and cleared at once")
    found |= given
    if found.get("valid_from") and found.get("valid_until") and found["valid_from"] >= found["valid_until"]:
        raise UsageError("'valid_from' must be before 'valid_until'")
    return found


def _attribute(pair: str) -> tuple[str, str]:
    name, mark, value = pair.partition("=")
    if not mark or not name.strip() or not value:
        raise UsageError(f"{pair[:100]!r}: a signer subject is written ATTRIBUTE=VALUE, for example O=Example Inc")
    short = name.strip().upper()
    return (short if short in _SHORT_NAMES else name.strip(), value)


def _pins(request: Request, name: str) -> tuple[str, ...]:
    pins = tuple(normalise_hex(pin) or "" for pin in request.texts(name))
    if any(len(pin) != 64 for pin in pins):
        raise UsageError(f"{name!r}: a pin is the SHA-256 of a public key (SubjectPublicKeyInfo): 64 hex digits")
    return pins


def _matching(request: Request, name: str, pattern: re.Pattern[str], wanted: str) -> tuple[str, ...]:
    values = request.texts(name)
    for value in values:
        if not pattern.match(value):
            raise UsageError(f"{name!r}: {value[:100]!r} is not {wanted}")
    return values


def _known(request: Request, name: str, known: Iterable[str]) -> tuple[str, ...]:
    values = request.texts(name)
    _require_known(name, values, known)
    return values


def _require_known(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    names = tuple(known)
    for value in values:
        if value not in names:
            raise UsageError(f"{name!r}: {value[:100]!r} is none of {', '.join(names)}")


def _formats(request: Request) -> tuple[str, ...]:
    values = request.texts("formats")
    if values:
        from trust_store.formats.registry import READERS  # for the few decisions that name one

        _require_known("formats", values, [reader.name for reader in READERS])
    return values


def _name(pair: str, argument: str, *, subtree: bool) -> tuple[str, str]:
    """KIND=VALUE as a subject alternative name (RFC 5280 4.2.1.6) or as a subtree of names (4.2.1.10)."""
    kind, mark, value = pair.partition("=")
    kind = kind.strip().lower()
    if not mark or kind not in NAME_KINDS or not value:
        raise UsageError(
            f"{argument!r}: {pair[:100]!r}: a name is written KIND=VALUE, KIND one of {', '.join(NAME_KINDS)}, "
            "for example dns=updates.example.com"
        )
    if kind in _NO_BLANKS and re.search(r"\s", value):
        raise UsageError(f"{argument!r}: {value[:100]!r} is no name of kind {kind}: it holds a blank")
    try:
        _require_name(kind, value, subtree=subtree)
    except (ValueError, TypeError, MalformedError) as error:
        raise UsageError(f"{argument!r}: {value[:100]!r} is no name of kind {kind}: {str(error)[:200]}") from error
    return kind, value


def _require_name(kind: str, value: str, *, subtree: bool) -> None:
    """Raises ValueError, TypeError or MalformedError unless ``value`` can be compared with names of its kind."""
    if kind == "dns":
        x509.DNSName(value)
    elif kind == "email":
        x509.RFC822Name(value)
        if not subtree and not _MAILBOX.match(value):
            raise ValueError("no mailbox")
    elif kind == "uri":
        x509.UniformResourceIdentifier(value)
        if not subtree and not _ABSOLUTE_URI.match(value):
            raise ValueError("no absolute URI")
    elif kind == "ip" and subtree:
        ipaddress.ip_network(value)
    elif kind == "ip":
        ipaddress.ip_address(value)
    else:
        name_of(value)
