"""The rows of the trust store: SQLite, append-only versions, each decision with its audit entry in one transaction.

Reading order::

    connection        one connection, and ``transaction()`` across the tables of all three packages
    writer_lock       who may write at all;  schema, migrations  the tables
    audit_log         entries;  head  the signed head over them
    records           what of a row its entry vouches for;  versions  rows read back against the log
    anchors           anchors;  approvals, approver_list, baselines, digest_decisions, lineage, ratchets, vendors  others
    lookup            the identifier index;  tombstones  buried keys;  related  the anchors that matter to a package
    facts             what was seen in packages;  fact_signatures  that this program wrote it
    fact_identifiers  by what a package is found;  first_seen, products  since when, and which
    affected          what a change of trust concerns;  revocation_material  lists and responses kept fresh
"""
