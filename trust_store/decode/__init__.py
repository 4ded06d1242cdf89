"""Bytes -> model: hostile input expected, every cap checked first, no I/O. What cannot be read raises MalformedError or ResourceLimitError.

Reading order::

    asn1             the BER reader below most of what follows
    x509             certificates;  spki, public_keys  bare keys;  distinguished_name, der_time  what stands in them
    cms              signed data;  unsigned_attributes, timestamp_token  what stands beside a signature
    crl              revocation lists, with crl_entries and distribution_points;  ocsp  responses
    openpgp          transferable keys, with openpgp_packets, openpgp_signature and openpgp_arithmetic
    key_files        files of keys of any kind, by key_readers;  pkcs12, ssh_keys, certificate_keys  what some of them hold
    zip_archive      the strict walk, with zip_directory and member_names;  manifest  SHA256SUMS
    apk_lineage      Android's proof of rotation;  tuf_root, sigstore_identity  those of two other worlds
    strict_json      JSON from outside, with json_values;  facts_json, anchor_json  what this program writes and reads back
    library_panic    what a failure of the library is taken for
"""
