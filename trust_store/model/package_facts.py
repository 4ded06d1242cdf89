"""What was seen in a package: facts that depend on the bytes alone, never on the clock, on policy or on what is trusted."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.verdict import Reason


class SignatureOrigin(StrEnum):
    """Where a signature stood: in the package, in a file given for it, or in a file found beside it by name."""

    EMBEDDED = "embedded"
    GIVEN = "given"
    FOUND = "found"


class SignatureRole(StrEnum):
    """What a signature may do for its package, by the format's own rule; any that is evidence against it fails the package.

    ``alternative``: one good one suffices. ``required``: each of these must pass. ``reported``: it never passes the package (a scheme
    below the one that decides, a distributor's stamp).
    """

    ALTERNATIVE = "alternative"
    REQUIRED = "required"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file beside the package that carries signatures."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be read: resource_limit, unreadable, unsupported_format or malformed, with a sentence."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class SignerHint:
    """How a signature names its signer. Hints find candidates; none of them decides anything.

    ``issuer_der``/``serial_number`` or ``subject_key_identifier`` (CMS, RFC 5652 5.3), ``openpgp`` fingerprint of the
    signing component key and ``key_id`` (RFC 9580 5.2.3.35, 5.2.3.12), ``key_sha256`` of a key named as such, in the shape in which
    anchors of its kind hold it (SubjectPublicKeyInfo, SSH key blob); hex values lower-case.
    """

    issuer_der: bytes = b""
    issuer: str | None = None
    serial_number: int | None = None
    subject_key_identifier: str | None = None
    openpgp: str | None = None
    key_id: str | None = None
    key_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class CarriedKey:
    """A key that a signature brings along without a certificate; ``kind`` as of anchors (raw, ssh), ``material`` in their shape."""

    kind: str
    material: bytes


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """Whether the arithmetic holds under one candidate key.

    ``key`` is the certificate's SHA-256 (x509) or the component key's fingerprint (openpgp); ``owner`` the same or the
    primary key's fingerprint. ``second_opinion`` is what pysequoia said of the signature over all that it covers: True, False or not asked;
    with ``key_alone`` what it said of the certificate, where what is signed is too large to be handed to it, or the signature of a version
    that it does not read.
    """

    key: str
    owner: str
    holds: bool
    second_opinion: bool | None = None
    key_alone: bool = False


@dataclass(frozen=True, slots=True)
class SignatureFact:
    """One signature with all that is needed to try further keys later without the package.

    ``digest`` is over the signed content (openpgp: content and trailer); ``signed`` the DER of CMS signed attributes that
    the signature value covers, empty where it covers the content itself; ``content_matches`` whether the digest in those
    attributes equals ``digest`` (True where there are none). ``packet`` is the OpenPGP signature packet's body, or whatever structure
    of another scheme is judged later. ``namespace`` is what an SSHSIG is said to be for. ``other_names``: of a signature over a list of
    digests, the file names to which the list gives other digests than the package's. ``valid_from`` and ``valid_until`` are the times
    that the signed statement gives itself (``Date`` and ``Valid-Until`` of an apt repository), whatever its key is good for. ``part`` names
    what of a package the signature is over where the format signs several parts apart: each of them needs a good one.
    ``timestamps`` are RFC 3161 tokens (ContentInfo) over ``signature``, unverified, in their order; ``countersignatures`` the
    PKCS #9 countersignatures (SignerInfo, RFC 5652 11.4) that stand beside them.
    """

    scheme: str
    origin: SignatureOrigin
    file: SideFile | None
    problem: Problem | None = None
    hint: SignerHint = SignerHint()
    digest_algorithm: str = ""
    signature_algorithm: str = ""
    signature: bytes = b""
    signed: bytes = b""
    digest: bytes = b""
    content_matches: bool = False
    packet: bytes = b""
    certificates: tuple[bytes, ...] = ()
    claimed_at: datetime | None = None
    timestamps: tuple[bytes, ...] = ()
    countersignatures: tuple[bytes, ...] = ()
    key_checks: tuple[KeyCheck, ...] = ()
    role: SignatureRole = SignatureRole.ALTERNATIVE
    keys: tuple[CarriedKey, ...] = ()
    namespace: str | None = None
    other_names: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Bytes no signature covers: a byte range or an archive member. Only what is not ``inert`` fails a package."""

    start: int | None = None
    end: int | None = None
    member: str | None = None
    inert: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """The byte-coverage map of a package."""

    covered_bytes: int = 0
    uncovered: tuple[Uncovered, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """What a package is, by metadata that its signature covers: nobody else's word counts for a ratchet or a rollback."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A package inside a container that has no signature of its own; ``name`` as the container has it."""

    name: str
    facts: PackageFacts


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """One fact set, identified by package, side files and material, reader and reader version.

    ``format`` is None where no reader recognised the bytes. ``size`` is in bytes.
    """

    sha256: str
    size: int
    format: str | None
    reader_version: int
    material: tuple[str, ...] = ()
    problem: Problem | None = None
    signatures: tuple[SignatureFact, ...] = ()
    coverage: Coverage = Coverage()
    isolated: bool = True
    product: Product | None = None
    members: tuple[Member, ...] = ()

    @property
    def every_signature(self) -> tuple[SignatureFact, ...]:
        """The package's own signatures, then those of the packages inside."""
        inside = (signature for member in self.members for signature in member.facts.every_signature)
        return (*self.signatures, *inside)

    @property
    def every_digest(self) -> tuple[str, ...]:
        """The package's own SHA-256, then those of the packages inside, each once; none of what could not be read."""
        inside = (digest for member in self.members for digest in member.facts.every_digest)
        return tuple(dict.fromkeys(filter(None, (self.sha256, *inside))))
