"""Detached OpenPGP signatures (RFC 9580 sections 5.2 and 10.4)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pysequoia

from trust_store.decode.openpgp import load_keys
from trust_store.decode.openpgp_arithmetic import (
    ALGORITHM_NAMES,
    DSA,
    ECDSA,
    EDDSA_LEGACY,
    RSA,
    RSA_SIGN_ONLY,
    curve_name,
    possible_signers,
    signature_holds,
)
from trust_store.decode.openpgp_packets import Tag, is_armored, read_armor, split_packets
from trust_store.decode.openpgp_signature import OpenPGPSignature, SignatureType, parse_signature
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.model.package_facts import KeyCheck, Problem, SignatureFact, SignerHint
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import (
    MAX_CANDIDATE_KEYS,
    MAX_SIGNATURE_FILE_BYTES,
    MAX_SIGNATURES_PER_FILE,
    DigestRequest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState

# Every version 6 signature is salted, so each needs a pass of its own over the package.
MAX_SALTED_SIGNATURES = 8
_SIGNATURE_LABELS = ("SIGNATURE", "MESSAGE", "SIGNED MESSAGE")
_NOT_DETACHED = "not a detached document signature"
# RFC 4880 5.2.2: what a version 3 signature hashes after the document is its type and time, five octets. A version 4 or 6 signature ends
# with 0xFF and a length there, where a document signature of version 3 has its type, 0x00 or 0x01: neither can be taken for the other.
_VERSION_3_ALGORITHMS = frozenset({RSA, RSA_SIGN_ONLY, DSA, ECDSA, EDDSA_LEGACY})


@dataclass(frozen=True, slots=True)
class _Pending:
    """A parsed signature packet (``problem`` None), or one that can only be reported."""

    body: bytes
    signature: OpenPGPSignature | None
    problem: Problem | None
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        return (_request(self.signature),) if self.signature else ()

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """Return the fact; the digest is over content and trailer (RFC 9580 5.2.4)."""
        signature = self.signature
        if signature is None:
            return SignatureFact("openpgp", self.origin, self.file, problem=self.problem, packet=self.body)
        request = _request(signature)
        state = states[request].copy()
        state.update(signature.trailer)
        try:
            digest = state.digest()
        except UnsupportedError as error:
            problem = Problem(Reason.UNSUPPORTED_FORMAT, str(error))
            return SignatureFact("openpgp", self.origin, self.file, problem=problem, packet=self.body)
        return SignatureFact(
            scheme="openpgp",
            origin=self.origin,
            file=self.file,
            hint=SignerHint(openpgp=signature.issuer_fingerprint, key_id=_key_id(signature)),
            digest_algorithm=request.algorithm,
            signature_algorithm=ALGORITHM_NAMES[signature.public_key_algorithm],
            signature=signature.values,
            digest=digest,
            content_matches=True,
            packet=self.body,
            claimed_at=signature.created,
        )


def _request(signature: OpenPGPSignature) -> DigestRequest:
    return DigestRequest(signature.digest_name, signature.type == SignatureType.TEXT, signature.prefix)


def _key_id(signature: OpenPGPSignature) -> str | None:
    """The key id of the issuer: stated, or the part of the fingerprint that it is (RFC 9580 5.5.4)."""
    fingerprint = signature.issuer_fingerprint
    if fingerprint is None:
        return signature.issuer_key_id
    return fingerprint[:16] if len(fingerprint) == 64 else fingerprint[-16:]


class OpenPGPScheme:
    """Implements ``SignatureScheme``."""

    NAME = "openpgp"
    DOC = (
        "Detached OpenPGP signatures, binary (0x00) and text (0x01), versions 3 (RFC 4880), 4 and 6, several packets or "
        "armoured blocks per file (RFC 9580). RSA, DSA, ECDSA on NIST and Brainpool curves, EdDSA, Ed25519, Ed448. Inline-signed messages, "
        "cleartext framing and post-quantum algorithms are not read, nor is a text signature over content with a CR "
        "that belongs to no CR LF: programs disagree on what was signed."
    )

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` begins with a signature packet, or has an armoured signature or message in its first 64 KiB."""
        if not data:
            return False
        if is_armored(data):
            return any(_begins(data[:65536], label) for label in _SIGNATURE_LABELS)
        first, length = data[0], data[1:2]
        if first & 0x40:
            tag, header = first & 0x3F, 2 if length < b"\xc0" else 3 if length < b"\xe0" else 6
        else:
            tag, header = (first >> 2) & 0x0F, 1 + (1 << (first & 3))
        return tag == Tag.SIGNATURE and data[header : header + 1] in (b"\x02", b"\x03", b"\x04", b"\x05", b"\x06")

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[_Pending, ...]:
        """Return one pending signature for each packet, in order; none is dropped.

        One that is well formed but not supported becomes a fact with a problem, unless none is supported.
        Raises MalformedError, UnsupportedError or ResourceLimitError.
        """
        if len(data) > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(
                f"a signature file of {len(data)} bytes; at most {MAX_SIGNATURE_FILE_BYTES} are read"
            )
        bodies = _signature_bodies(data)
        found: list[_Pending] = []
        refused: UnsupportedError | None = None
        for body in bodies:
            try:
                found.append(_Pending(body, _document_signature(body), None, origin, file))
            except UnsupportedError as error:
                refused = refused or error
                found.append(_Pending(body, None, Problem(Reason.UNSUPPORTED_FORMAT, str(error)), origin, file))
        if refused and all(pending.signature is None for pending in found):
            raise refused
        if sum(bool(pending.signature and pending.signature.prefix) for pending in found) > MAX_SALTED_SIGNATURES:
            raise ResourceLimitError(f"more than {MAX_SALTED_SIGNATURES} salted OpenPGP signatures in one file")
        return tuple(found)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the arithmetic holds under the component key the signature names, or under any where it names none.

        None if no component of ``key`` can be the signer, or nothing can be computed (kind, algorithm, unreadable key).
        """
        if fact.scheme != self.NAME or fact.problem or key.kind != "openpgp":
            return None
        try:
            signature = parse_signature(fact.packet)
            checks = [_check(fact, signature, candidate) for candidate in _candidate(key.material)]
        except TrustStoreError:
            return None
        answers = [check for check in checks if check]
        return next((check for check in answers if check.holds), answers[0] if answers else None)


def _begins(data: bytes, label: str) -> bool:
    """Whether a line of ``data`` begins with the armour header line of ``label``."""
    return f"\n-----BEGIN PGP {label}-----".encode() in b"\n" + data.removeprefix(b"\xef\xbb\xbf")


def _signature_bodies(data: bytes) -> list[bytes]:
    """Return the body of every signature packet in ``data``; anything else in it raises."""
    if not data:
        raise MalformedError("an empty signature file")
    if is_armored(data):
        if _begins(data, "SIGNED MESSAGE"):  # cleartext framing (RFC 9580 7) is no armour: its text is not base64
            raise UnsupportedError(_NOT_DETACHED)
        blocks = read_armor(data)
        if any(block.label != "SIGNATURE" for block in blocks):
            raise UnsupportedError(_NOT_DETACHED)
        streams = [block.data for block in blocks]
    else:
        streams = [data]
    bodies: list[bytes] = []
    for stream in streams:
        for packet in split_packets(stream):
            if packet.tag in (Tag.MARKER, Tag.PADDING):
                continue  # RFC 9580 5.8, 5.14: must be ignored
            if packet.tag != Tag.SIGNATURE:
                raise MalformedError(f"{_NOT_DETACHED}: an OpenPGP packet of type {packet.tag} stands in the file")
            bodies.append(packet.body)
            if len(bodies) > MAX_SIGNATURES_PER_FILE:
                raise ResourceLimitError(f"more than {MAX_SIGNATURES_PER_FILE} signatures in one file")
    if not bodies:
        raise MalformedError("no complete OpenPGP signature in the file")
    return bodies


def _document_signature(body: bytes) -> OpenPGPSignature:
    """Return a signature over a document that could count; raises MalformedError or UnsupportedError."""
    signature = parse_signature(body)
    if signature.type not in (SignatureType.BINARY, SignatureType.TEXT):
        raise UnsupportedError(f"{_NOT_DETACHED}: signature type 0x{signature.type:02x}")
    if signature.version < 3 or (
        signature.version == 3 and signature.public_key_algorithm not in _VERSION_3_ALGORITHMS
    ):
        raise UnsupportedError(f"OpenPGP signature version {signature.version} is not supported for documents")
    # RFC 9580 5.2.3.11: the creation time MUST be in the hashed area; one outside it is anybody's word.
    if signature.created is None:
        raise MalformedError("an OpenPGP signature without a signed creation time")
    # RFC 9580 5.2.3.7: an unknown critical subpacket makes the signature one in error.
    if signature.unknown_critical:
        raise UnsupportedError(
            f"an OpenPGP signature with a critical subpacket of type {signature.unknown_critical[0]}"
        )
    if signature.public_key_algorithm not in ALGORITHM_NAMES:
        raise UnsupportedError(f"OpenPGP public key algorithm {signature.public_key_algorithm} is not supported")
    _ = signature.digest_name
    return signature


@lru_cache(maxsize=4 * MAX_CANDIDATE_KEYS)
def _candidate(material: bytes) -> tuple[OpenPGPKey, ...]:
    """The certificates in ``material``; each candidate is tried on every signature of a file, and read once."""
    return load_keys(material)


def _check(fact: SignatureFact, signature: OpenPGPSignature, key: OpenPGPKey) -> KeyCheck | None:
    """Try the components that can be the signer; one whose algorithm is not supported cannot be asked."""
    failed: KeyCheck | None = None
    for component in possible_signers(signature, key):
        try:
            holds = signature_holds(component, signature, fact.digest)
        except UnsupportedError:
            continue
        if holds:
            return KeyCheck(component.fingerprint, key.fingerprint, holds=True)
        failed = failed or KeyCheck(component.fingerprint, key.fingerprint, holds=False)
    # Without a hint a key that does not fit is just not the signer; with one it is, and this is not what it signed.
    return failed if signature.issuer_fingerprint or signature.issuer_key_id else None


def makes(fact: SignatureFact, key: CandidateKey, check: KeyCheck) -> bool:
    """Whether it is ``key`` that ``check`` is about."""
    found = SCHEME.holds(fact, key) if key.kind == "openpgp" else None
    return found is not None and found.key == check.key and found.owner == check.owner


def second_opinion(content: int | bytes | Path, fact: SignatureFact, key: bytes) -> bool | None:
    """What pysequoia says of the whole signed content under one certificate, as of now and by its own policy.

    ``content`` is an open descriptor, the bytes or a path; ``key`` a binary certificate. False is "no valid signature",
    which covers tampering, revocation, expiry and weak algorithms alike; it judges the key as of the signature's claimed
    creation, so that a key whose self-signatures were all renewed later counts as unbound. None where it could not be
    asked: content not readable, key or signature not understood by it, a curve it lacks, no issuer named (it looks for
    keys by that alone), or a crash inside it.
    """
    if fact.scheme != SCHEME.NAME or not fact.packet or not _second_reader_knows(fact, key):
        return None
    source: dict[str, Any] = {"bytes": content} if isinstance(content, bytes) else {"file": _readable_path(content)}
    if source.get("file", "") is None:
        return None
    try:
        certificate = pysequoia.Cert.from_bytes(key)
        signature = pysequoia.Sig.from_bytes(_packet(fact.packet))
        answer = pysequoia.verify(signature=signature, store=lambda _ids: [certificate], **source)
        return any(valid.certificate == certificate.fingerprint for valid in answer.valid_sigs)
    except (KeyboardInterrupt, SystemExit):
        raise
    except RuntimeError as error:
        # The one error it has for every way in which a signature does not count; other texts are about input or I/O.
        return False if str(error).startswith("Signature verification failed") else None
    except BaseException:  # noqa: BLE001 - a panic of the Rust extension derives from BaseException and proves nothing
        return None


def second_reader_reads(fact: SignatureFact) -> bool:
    """Whether pysequoia reads signatures of this version: it refuses those of version 3, whatever they are by."""
    return fact.packet[:1] != b"\x03"


def opinion_on_key(key: bytes) -> bool | None:
    """What pysequoia says of one certificate, as of now and by its own policy: that its self-signatures count, and no revocation does.

    For signatures that cannot be handed to it with all that they cover. None where the certificate is not understood, or it crashes.
    """
    try:
        certificate = pysequoia.Cert.from_bytes(key)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - likewise, a panic included
        return None
    try:
        # the first two raise where its policy refuses the self-signatures
        said = certificate.user_ids, certificate.expiration, certificate.is_revoked
    except (KeyboardInterrupt, SystemExit):
        raise
    except RuntimeError:
        return False
    except BaseException:  # noqa: BLE001 - a panic of the Rust extension derives from BaseException and proves nothing
        return None
    return not said[2]


def _second_reader_knows(fact: SignatureFact, key: bytes) -> bool:
    """Whether pysequoia can say more than "invalid": not on Brainpool curves, and not where no issuer is named."""
    try:
        signature = parse_signature(fact.packet)
        signers = [signer for one in _candidate(key) for signer in possible_signers(signature, one)]
    except TrustStoreError:
        return False
    if signature.issuer_fingerprint is None and signature.issuer_key_id is None:
        return False
    return not any((curve_name(signer) or "").startswith("brainpool") for signer in signers)


def _readable_path(content: int | Path) -> str | None:
    """A path under which ``content`` can be opened again, or None; opened once here, since the library's errors are texts."""
    path = Path(f"/proc/self/fd/{content}") if isinstance(content, int) else content
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return None
    return str(path)


def _packet(body: bytes) -> bytes:
    """The signature packet around ``body``: new format, five-octet length (RFC 9580 4.2.1.3)."""
    return bytes((0xC0 | Tag.SIGNATURE, 0xFF)) + len(body).to_bytes(4, "big") + body


SCHEME = OpenPGPScheme()
