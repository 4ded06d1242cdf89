"""What vouches for an APK beside its own signatures: ``.idsig`` files (scheme v4), and the source stamp of a store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import apk_idsig, apk_signers, apk_signing_block, cms
from trust_store.decode.apk_lineage import read_lineage
from trust_store.decode.dm_verity import BLOCK_BYTES, HashTree
from trust_store.decode.length_prefixed import LengthPrefixed
from trust_store.errors import READ_ERRORS, MalformedError, UnsupportedError
from trust_store.formats.apk_signatures import NUMBERS, BlockSignatures
from trust_store.formats.side_signatures import problem_of
from trust_store.model.package_facts import Problem, SignatureFact, SignatureOrigin, SignatureRole
from trust_store.model.verdict import Reason
from trust_store.signatures import apk
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from trust_store.decode.apk_idsig import SigningInfo, V4Signature
    from trust_store.decode.apk_signers import Signer
    from trust_store.decode.apk_signing_block import SigningBlock
    from trust_store.formats.protocol import SideMaterial
    from trust_store.formats.streaming import PackageStream

STAMP_MEMBER = "stamp-cert-sha256"
MAX_STAMP_BYTES = 1024
_TIME, _PROOF_OF_ROTATION = 0xE43C5946, 0x9D6303F7


class FileTree:
    """``DigestState`` of a hash tree over a whole file, its last block filled up with zeros."""

    def __init__(self, salt: bytes, size: int) -> None:
        self._tree = HashTree(salt, -(-size // BLOCK_BYTES))
        self._fill = -size % BLOCK_BYTES

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        self._tree.update(data)

    def copy(self) -> FileTree:
        """The same: it is asked at the end only."""
        return self

    def digest(self) -> bytes:
        """The root hash."""
        self._tree.update(bytes(self._fill))
        return self._tree.root()

    def is_stored_as(self, tree: bytes) -> bool:
        """After ``digest``: whether ``tree`` is the tree's own levels, the highest first."""
        position = 0
        for length, digest in self._tree.levels():
            if hashlib.sha256(tree[position : position + length]).digest() != digest:
                return False
            position += length
        return position == len(tree)


class V4Files:
    """The ``.idsig`` files among those beside an APK; ``others`` are the rest of them."""

    def __init__(self, side: tuple[SideMaterial, ...], size: int) -> None:
        self.others = tuple(item for item in side if not apk_idsig.recognises(item.data))
        self._size = size
        self._parsed: list[tuple[SideMaterial, V4Signature | Problem]] = []
        for item in side:
            if apk_idsig.recognises(item.data):
                try:
                    self._parsed.append((item, apk_idsig.parse_idsig(item.data)))
                except READ_ERRORS as error:
                    self._parsed.append((item, problem_of(error)))
        salts = {signature.salt for _, signature in self._parsed if not isinstance(signature, Problem)}
        self._trees = {salt: FileTree(salt, size) for salt in salts}

    def add_to(self, stream: PackageStream) -> None:
        """Have the trees built while the package is read."""
        stream.states.update({DigestRequest(f"apk-v4 {salt.hex()}"): tree for salt, tree in self._trees.items()})

    def facts(self, signatures: BlockSignatures) -> tuple[SignatureFact, ...]:
        """One for each file: over the tree of this file, and bound to its newest signature of v3 or v2."""
        roots = {salt: tree.digest() for salt, tree in self._trees.items()}
        return tuple(self._fact(item, parsed, signatures, roots) for item, parsed in self._parsed)

    def _fact(
        self,
        item: SideMaterial,
        parsed: V4Signature | Problem,
        signatures: BlockSignatures,
        roots: dict[bytes, bytes],
    ) -> SignatureFact:
        if isinstance(parsed, Problem):
            return SignatureFact(apk.V4, item.origin, item.file, problem=parsed)
        older = signatures.signers(apk.V3 if apk.V3 in signatures.schemes else apk.V2)
        rotated = parsed.rotated
        # one by the signer of v3.1 as well exactly where there is one: Android goes by that from version 13 on
        bound = _is_bound(parsed.info, older) and (
            _is_bound(rotated, signatures.signers(apk.V31)) if rotated else apk.V31 not in signatures.schemes
        )
        tree, told = self._trees[parsed.salt], rotated or parsed.info
        matches = bound and roots[parsed.salt] == parsed.root and (not parsed.tree or tree.is_stored_as(parsed.tree))
        try:
            for info in filter(None, (parsed.info, rotated)):
                if cms.certificate_names(info.certificate).spki != info.public_key:
                    raise MalformedError("apk-v4: the public key is not that of the certificate")
            if rotated is not None:
                first = parsed.info
                signed = parsed.signed(self._size, first)
                matches = matches and apk.value_holds(first.public_key, first.algorithm, first.signature, signed)
            return apk.signer_fact(
                apk.V4, parsed.signed(self._size, told), (told.certificate,), told.algorithm, told.signature,
                matches=matches, role=SignatureRole.ALTERNATIVE, file=item.file, origin=item.origin,
            )  # fmt: skip
        except READ_ERRORS as error:
            return SignatureFact(apk.V4, item.origin, item.file, problem=problem_of(error))


def _is_bound(info: SigningInfo, signers: tuple[Signer, ...]) -> bool:
    """Whether one of the signers is of the same certificate and states the same content digest."""
    return any(s.certificates[0] == info.certificate and info.digest in s.digests.values() for s in signers)


def stamp_facts(
    block: SigningBlock | None, signatures: BlockSignatures, stated: bytes | None, manifest: bytes | None
) -> tuple[SignatureFact, ...]:
    """The source stamp; one that says nothing of this package is told as such, and is no evidence against it.

    ``stated`` is the member that names the stamp's certificate, ``manifest`` the JAR manifest where v1 is what there is.
    """
    values = block.values if block is not None else {}
    value = values.get(apk_signing_block.STAMP_V2)
    try:
        if value is None:
            if apk_signing_block.STAMP_V1 in values:
                raise UnsupportedError("a source stamp of version 1")
            if stated is not None:
                raise UnsupportedError("a source stamp is announced, and there is none")
            return ()
        return (_stamp(apk_signers.parse_stamp(value), signatures, stated, manifest),)
    except READ_ERRORS as error:
        problem = Problem(Reason.UNSUPPORTED_FORMAT, str(error)[:500])  # nobody refuses a package for its stamp
        return (SignatureFact(apk.STAMP, SignatureOrigin.EMBEDDED, None, problem=problem, role=SignatureRole.REPORTED),)


def _stamp(
    stamp: apk_signers.SourceStamp, signatures: BlockSignatures, stated: bytes | None, manifest: bytes | None
) -> SignatureFact:
    """Over the content digests of each scheme that it knows; raises MalformedError where it is not one over this package's."""
    if stated != hashlib.sha256(stamp.certificate).digest():
        raise MalformedError("the source stamp is by another certificate than the package names")
    spki = cms.certificate_names(stamp.certificate).spki
    found: list[tuple[bytes, int, bytes]] = []
    for number, digests in _stampable(signatures, manifest):
        values = {a: value for a, value in stamp.signatures.get(number, {}).items() if a in apk_signers.ALGORITHMS}
        if values:
            algorithm = apk_signers.strongest(values)
            found.append((apk_signers.stamped_digests(digests), algorithm, values[algorithm]))
    if not found:
        raise MalformedError("the source stamp is over no scheme's digests that are there")
    if not all(apk.value_holds(spki, algorithm, value, signed) for signed, algorithm, value in found):
        raise MalformedError("the source stamp is not over this package")
    if stamp.attributes and not _holds(spki, stamp.attributes, stamp.attribute_signatures):
        raise MalformedError("the source stamp's attributes are not signed by its certificate")
    _check_attributes(stamp)
    signed, algorithm, value = found[0]
    return apk.signer_fact(
        apk.STAMP, signed, (stamp.certificate,), algorithm, value, matches=True, role=SignatureRole.REPORTED
    )


def _stampable(signatures: BlockSignatures, manifest: bytes | None) -> list[tuple[int, dict[str, bytes]]]:
    """Number and content digests of every scheme that was looked at, the newest first."""
    found: list[tuple[int, dict[str, bytes]]] = []
    for scheme in signatures.schemes:
        digests = {}
        for signer in signatures.signers(scheme):
            digests[apk_signers.ALGORITHMS[signer.strongest].content] = signer.digests[signer.strongest]
        found.append((NUMBERS[scheme], digests))
    if manifest is not None:
        found.append((1, {apk_signers.MANIFEST_SHA256: hashlib.sha256(manifest).digest()}))
    return found


def _check_attributes(stamp: apk_signers.SourceStamp) -> None:
    """A time is after 1970, and a proof of rotation ends at the stamp's certificate and holds; raises MalformedError."""
    for element in LengthPrefixed(stamp.attributes, "source stamp").sequence() if stamp.attributes else ():
        attribute = LengthPrefixed(element, "source stamp")
        identifier = attribute.number()
        if identifier == _TIME:
            if not 0 < attribute.number(8) < 1 << 63:
                raise MalformedError("the source stamp states no time")
        elif identifier == _PROOF_OF_ROTATION:
            nodes = read_lineage(attribute.take(attribute.left), fewest=1)
            if nodes[-1].certificate != stamp.certificate or not apk.lineage_holds(nodes):
                raise MalformedError("the source stamp's proof of rotation does not hold")


def _holds(spki: bytes, signed: bytes, values: dict[int, bytes]) -> bool:
    known = {algorithm: value for algorithm, value in values.items() if algorithm in apk_signers.ALGORITHMS}
    return bool(known) and all(apk.value_holds(spki, algorithm, value, signed) for algorithm, value in known.items())
