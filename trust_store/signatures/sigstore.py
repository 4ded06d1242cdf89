"""Sigstore bundles, alone, one a line, or in an npm registry's attestations; cosign's older bundles; PyPI's attestations (PEP 740).

The fact holds the document; who made it, when, and what the logs say is judged later (``verification.sigstore``). Here is only the
arithmetic under the key of the certificate that the document brings, or under a key at hand where it names one by a hint.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from trust_store.decode import cms
from trust_store.decode.bare_keys import NPM, RAW
from trust_store.decode.distinguished_name import name_text
from trust_store.decode.dsse import parse_statement
from trust_store.decode.foreign_messages import DSSE
from trust_store.decode.json_fields import an_object, objects
from trust_store.decode.key_decides import digests_for, verifies_digest, verifies_octets
from trust_store.decode.rekor_entry import parse_body
from trust_store.decode.signature_documents import COSIGN, NPM_ATTESTATION, PYPI, SIGSTORE, documents, kind_of
from trust_store.decode.sigstore_bundle import parse_said
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.model.package_facts import CarriedKey, KeyCheck, Problem, SignatureFact, SignerHint
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import FOREIGN, MAX_SIGNATURES_PER_FILE, X509, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trust_store.decode.dsse import Statement
    from trust_store.decode.sigstore_bundle import Bundle
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, PendingSignature

_PURL = "pkg:npm/"


@dataclass(frozen=True, slots=True)
class PendingBundle:
    """One bundle whose file has not been read yet; ``algorithms`` are the digests wanted, the likeliest of the signature first.

    ``beside_others``: its file holds more statements, each of which may be about another package.
    """

    scheme: str
    bundle: Bundle
    document: bytes
    statement: Statement | None
    algorithms: tuple[str, ...]
    logged_key: bytes | None
    origin: SignatureOrigin
    file: SideFile | None
    beside_others: bool = False

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Over the whole file; of a message signature the file must be nothing that such a key signs elsewhere."""
        wanted = self.algorithms if self.bundle.message is None else (*self.algorithms, FOREIGN)
        return tuple(map(DigestRequest, wanted))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact: whether the file is the one that is meant, and all that is needed to judge the rest."""
        digests = {name: states[DigestRequest(name)].copy().digest() for name in self.algorithms}
        if self.bundle.message is not None and (told := self._foreign(states[DigestRequest(FOREIGN)])):
            problem = Problem(Reason.MALFORMED, told[:500])
            return SignatureFact(self.scheme, self.origin, self.file, problem, self._hint())
        algorithm = self._signed_with(digests)
        envelope = self.bundle.envelope
        about = self._is_about(digests)
        # A known key's statement about another package speaks against this one only where it was shown as one about it.
        elsewhere = self.beside_others and self.statement is not None and not about
        key = None if elsewhere else self.logged_key
        return SignatureFact(
            scheme=self.scheme,
            origin=self.origin,
            file=self.file,
            hint=SignerHint() if elsewhere and self.logged_key else self._hint(),
            digest_algorithm=algorithm,
            signature=self.bundle.signature,
            signed=envelope.signed if envelope else b"",
            digest=digests.get(algorithm, digests[self.algorithms[0]]),
            content_matches=about,
            packet=self.document,
            certificates=self.bundle.certificates,
            keys=(CarriedKey(RAW, key),) if key else (),
        )

    def _foreign(self, state: DigestState) -> str | None:
        """What else than a file was signed. A certificate's key signs once, a file or an envelope; a bare key signs anything.

        Rekor's second version logs an envelope as if its PAE had been a file, so that nothing but the PAE itself tells them apart.
        """
        try:
            state.copy().digest()
        except READ_ERRORS as error:
            return str(error) if not self.bundle.certificates or DSSE in str(error) else None
        return None

    def _is_about(self, digests: Mapping[str, bytes]) -> bool:
        """Whether the digest that the bundle states, or one that its statement is about, is the file's."""
        if self.statement is not None:
            about = self.statement.about(digests)
            return any((subject.name or "").startswith(_PURL) for subject in about) or (
                self.scheme != NPM_ATTESTATION and bool(about)
            )
        message = self.bundle.message
        if message is None or message.digest is None or message.algorithm is None:
            return True
        return hmac.compare_digest(message.digest, digests[message.algorithm])

    def _signed_with(self, digests: Mapping[str, bytes]) -> str:
        """The digest that the signature is made with: what the certificate's key verifies, else the likeliest."""
        spki = _key_of(self.bundle.certificates[0]) if self.bundle.certificates else self.logged_key
        if self.bundle.envelope is not None:
            return digests_for(spki)[0] if spki else "sha256"
        value = self.bundle.signature
        found = (name for name in self.algorithms if spki and verifies_digest(spki, name, value, digests[name]))
        return next(found, self.algorithms[0])

    def _hint(self) -> SignerHint:
        if not self.bundle.certificates:
            return SignerHint(key_sha256=hashlib.sha256(self.logged_key).hexdigest() if self.logged_key else None)
        names = cms.certificate_names(self.bundle.certificates[0])
        return SignerHint(
            issuer_der=names.issuer_der,
            issuer=name_text(names.issuer_der),
            serial_number=names.serial_number,
            subject_key_identifier=names.subject_key_identifier,
        )


@dataclass(frozen=True, slots=True)
class PendingProblem:
    """One of several attestations in a file that cannot be read: it is never left out."""

    fact: SignatureFact

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """None."""
        return ()

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact as it is."""
        del states
        return self.fact


class BundleScheme:
    """One of the four, as the registry holds it."""

    def __init__(self, name: str, doc: str, split: Callable[[bytes], list[dict[str, Any]]]) -> None:
        self.NAME, self.DOC, self._split = name, doc, split

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` is JSON of this shape."""
        return kind_of(data) == self.NAME

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingSignature, ...]:
        """Every bundle as one pending signature; raises MalformedError, UnsupportedError or ResourceLimitError where none can be read."""
        found: list[PendingSignature] = []
        errors: list[TrustStoreError] = []
        said = self._split(data)
        if len(said) > MAX_SIGNATURES_PER_FILE:
            raise ResourceLimitError(f"{self.NAME}: {len(said)} signatures in one file")
        for one in said:
            try:
                found.append(self._pending(one, origin, file, beside_others=len(said) > 1))
            except READ_ERRORS as error:
                errors.append(error)
                problem = Problem(_reason(error), str(error)[:500])
                found.append(PendingProblem(SignatureFact(self.NAME, origin, file, problem)))
        if len(errors) == len(said):
            raise errors[0] if errors else MalformedError(f"{self.NAME}: nothing in it")
        return tuple(found)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under ``key``: the certificate that it brings and no other, or any key where it brings none."""
        if fact.scheme != self.NAME or fact.problem is not None:
            return None
        if fact.certificates:
            spki = _key_of(key.material) if key.kind == X509 and key.material == fact.certificates[0] else None
        else:
            kinds = (RAW, NPM) if self.NAME == NPM_ATTESTATION else (RAW,)
            spki = key.material if key.kind in kinds else None
        if spki is None:
            return None
        good = fact.content_matches and _verifies(fact, spki)
        digest = hashlib.sha256(key.material).hexdigest()
        named = bool(fact.certificates) or fact.hint.key_sha256 == digest
        return KeyCheck(key=digest, owner=digest, holds=good) if good or named else None

    def _pending(
        self, said: dict[str, Any], origin: SignatureOrigin, file: SideFile | None, *, beside_others: bool
    ) -> PendingBundle:
        bundle = parse_said(said)
        statement = parse_statement(bundle.envelope) if bundle.envelope else None
        for certificate in bundle.certificates:
            cms.certificate_names(certificate)
        return PendingBundle(
            self.NAME,
            bundle,
            json.dumps(said, separators=(",", ":")).encode(),  # the one document, however many stood in the file
            statement,
            statement.algorithms if statement else _wanted(bundle),
            None if bundle.certificates else _logged_key(bundle),
            origin,
            file,
            beside_others,
        )


def _wanted(bundle: Bundle) -> tuple[str, ...]:
    """The digest that the bundle states, that of its log entry, those that the certificate's key is used with; at the least SHA-256."""
    names: list[str] = []
    if bundle.message is not None and bundle.message.algorithm:
        names.append(bundle.message.algorithm)
    for entry in bundle.entries:
        try:
            names.append(parse_body(entry.body).algorithm)
        except READ_ERRORS:  # it is judged later, and then refused
            continue
    if bundle.certificates:
        names += digests_for(_key_of(bundle.certificates[0]) or b"")
    return tuple(dict.fromkeys(names or ["sha256"]))


def _logged_key(bundle: Bundle) -> bytes | None:
    """The bare key that the log entry names: as good as a hint, and told apart from one that does not verify."""
    for entry in bundle.entries:
        try:
            keys = [verifier.key for _, verifier in parse_body(entry.body).signatures]
        except READ_ERRORS:
            continue
        if keys and keys[0] is not None:
            return keys[0]
    return None


def _verifies(fact: SignatureFact, spki: bytes) -> bool:
    if fact.signed:
        return verifies_octets(spki, fact.signature, fact.signed)
    return verifies_digest(spki, fact.digest_algorithm, fact.signature, fact.digest)


def _key_of(certificate: bytes) -> bytes | None:
    try:
        return cms.certificate_names(certificate).spki
    except (MalformedError, ResourceLimitError):
        return None


def _reason(error: TrustStoreError) -> Reason:
    if isinstance(error, ResourceLimitError):
        return Reason.RESOURCE_LIMIT
    return Reason.UNSUPPORTED_FORMAT if isinstance(error, UnsupportedError) else Reason.MALFORMED


def _alone(data: bytes) -> list[dict[str, Any]]:
    return list(documents(data))


def _pypi(data: bytes) -> list[dict[str, Any]]:
    """An attestation object, or a provenance object: ``{version: 1, attestation_bundles: [{publisher, attestations}]}``."""
    said = documents(data)[0]
    if "attestation_bundles" not in said:
        return [said]
    if said.get("version") != 1:
        raise UnsupportedError("PyPI provenance: a version other than 1")
    groups = objects(said, "attestation_bundles", MAX_SIGNATURES_PER_FILE)
    return [one for group in groups for one in objects(group, "attestations", MAX_SIGNATURES_PER_FILE)]


def _npm(data: bytes) -> list[dict[str, Any]]:
    """``/-/npm/v1/attestations/NAME@VERSION``: ``{attestations: [{predicateType, bundle}]}``."""
    listed = objects(documents(data)[0], "attestations", MAX_SIGNATURES_PER_FILE)
    return [an_object(one, "bundle") for one in listed]


_RULES = """The certificate is by one of the sigstore root's authorities, logged (SCT) and valid at a proven time (the log's promise, or
RFC 3161); the entry in the transparency log is proven and says the same as the bundle; the identity is one that was stated."""
SCHEMES = {
    scheme.NAME: scheme
    for scheme in (
        BundleScheme(
            SIGSTORE,
            f"""Sigstore bundles v0.1 to v0.3, alone or one a line: message signatures and in-toto statements in DSSE.

{_RULES} Or a bare key made it, which is an anchor; where a trusted root with a log is handed over with it, that must have it. An instance
without logs vouches for nobody's certificates. A chain in a bundle holds no other root. A file that is itself a message which a bare key
signs in another protocol, or an envelope's encoding, is `malformed` under a message signature. Fixtures are built from the specification.
sigstore's Python client says the same of them but for this: it does not look at the times within which a root's authorities and logs are
good (TimeRange, `valid_for`), takes a statement of which one digest of several is right, and does not read intoto and dsse 0.0.2 entries,
P-384 and Ed25519 keys, `checkpointKeyId` and fields that are newer than it is.""",
            _alone,
        ),
        BundleScheme(
            COSIGN, f"""What ``cosign sign-blob --bundle`` wrote before sigstore bundles.\n\n{_RULES}""", _alone
        ),
        BundleScheme(
            PYPI,
            f"""PEP 740 attestations and provenance objects; the statement's one subject has the file's name and digest.\n\n{_RULES}""",
            _pypi,
        ),
        BundleScheme(
            NPM_ATTESTATION,
            f"""An npm registry's attestations; a subject is a package URL of npm with the file's digest.

{_RULES} Publish attestations are by a key of the registry, which is an anchor.""",
            _npm,
        ),
    )
}
