"""Frozen values that the packages speak in: no I/O, no rules but those of the values themselves.

Reading order::

    identifiers    ids, times and fingerprints, and how they are written
    certificate    a certificate;  openpgp_key  an OpenPGP key;  key_material  either, as a file held it
    claim          what a channel says, and the proposal made of it
    trust_anchor   a key under constraints, and the table of its states
    vendor         contacts and policy, as the team wrote them
    package_facts  what was seen in a package, whatever is trusted
    ratchet        what was seen of a product so far, under which names
    trust_view     what is trusted, as one answer needs it
    verdict        the answer
"""
