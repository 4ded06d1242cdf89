"""One Notary Project signature: the steps for certificates, and what notation's specification asks of certificate and signature. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.extensions import read_extensions
from trust_store.decode.notation import COSE, parse_cose, parse_jws
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding
from trust_store.verification.x509 import X509Judging

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate

_CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
_REFUSED_USAGES = {
    "2.5.29.37.0": "any",
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}


class NotationJudging(X509Judging):
    """The steps for a signature whose signer is named by a certificate, and then those of the specification."""

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about its paths."""
        super().judge()
        if self.integrity != "intact":
            return
        try:
            signature = (parse_cose if self._fact.scheme == COSE else parse_jws)(self._fact.packet)
            signer = load_certificate(signature.chain[0])
        except READ_ERRORS as error:
            self.findings.append(Finding(Reason.MALFORMED, str(error)))
            return
        # signature-specification.md, Expiry: after it the signature must not be believed; a timestamp moves that no further.
        if signature.expires is not None and self._question.at >= signature.expires:
            self.findings.append(Finding(Reason.EXPIRED, "the signature itself has expired"))
        self.findings += [Finding(Reason.PATH_INVALID, sentence) for sentence in _profile(signer)]


def _profile(signer: Certificate) -> Iterable[str]:
    """signature-specification.md, Certificate requirements: the leaf is no CA, has digitalSignature, and is for code signing if it says."""
    try:
        extensions = read_extensions(signer)
    except READ_ERRORS as error:
        yield str(error)
        return
    if signer.is_ca and not signer.self_issued:
        yield "notation: the signer's certificate is a CA's"
    if extensions.usage is None or not extensions.usage.digital_signature:
        yield "notation: the signer's certificate is not for digital signatures (key usage)"
    eku = extensions.eku or frozenset()
    if eku and _CODE_SIGNING not in eku:
        yield "notation: the signer's certificate is not for code signing (extended key usage)"
    for oid, name in _REFUSED_USAGES.items():
        if oid in eku:
            yield f"notation: the signer's certificate is for {name} as well (extended key usage)"
