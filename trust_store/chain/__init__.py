"""Pure: does a chain of certificates, or an OpenPGP key, hold at a time? RFC 4158, 5280, 6960 and 9580, cited at each step.

Reading order::

    question            one question about a path, answered: everything below together
    building            paths by name, depth first, every public-key operation counted
    validation          RFC 5280 section 6.1 for one path, which asks:
    extensions          what the extensions of one certificate say
    names               when two names are the same
    name_constraints    permitted and excluded subtrees
    policies            the policy graph of RFC 9618
    algorithms          does one key's signature on another hold, and is it strong enough
    profile             what a conforming CA never issues;  web_profile  what the Web PKI asks besides
    peer_names          is the certificate for the peer one wanted;  common_names  the same in another spelling
    named_key           an anchor without a certificate
    revocation          is a certificate of a path revoked, by crl_validation and ocsp_validation
    revocation_signers  who may sign that;  revocation_material  what is at hand;  signed_bytes  the arithmetic
    timestamping        what a time-stamp token proves
    openpgp             whose OpenPGP signature it is, by openpgp_self_signatures and openpgp_succession
    openpgp_copies      what the key withdraws in another copy of its certificate
    certificate_points  where a status is published;  key_ends  when keys cease by themselves
"""
