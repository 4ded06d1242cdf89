"""Pure: facts + what is trusted + question -> verdict. ``verifier`` is the shell that gathers the three.

Reading order::

    question         what is asked, and the findings an answer is made of
    material         the trust view decoded once: anchors that may be reached, tombstones
    judging          what the schemes have in common;  validation_time  the time a signature is judged at
    x509             one CMS or Android OTA signature: integrity, signer, every path, every anchor it reaches
    openpgp          one OpenPGP signature: the key, its standing at the time, the second opinion
    anchor_state     what a superseded, revoked, compromised or distrusted anchor does to older and newer signatures
    anchor_scope     the anchor's own constraints;  signer_rule  which signers below it are the vendor's
    revocation       lists and OCSP responses about a path;  relatives  anchors like a missing issuer
    combine          which of a package's signatures must hold
    ratchet          whether the product showed more before;  strength  the ranks of schemes and digests;  version_order  of versions
    digest_decision  decisions about this very digest
    package          ``verify_package``, the numbered steps
    wording          the sentence and the next actions shown to people
"""

from __future__ import annotations

from trust_store.verification.package import verify_package
from trust_store.verification.question import Finding, Question

__all__ = ["Finding", "Question", "verify_package"]
