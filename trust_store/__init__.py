"""Keys, anchors, paths, packages and verdicts: everything about what is trusted. Knows neither alerts nor vendor channels.

Reading order, from a package to an answer, then from a person's word to a decision::

    model            frozen values that all others speak in
    decode           bytes -> model, hostile input expected, no I/O
    signatures       one module a scheme;  formats  one module a package format, and the isolated worker
    chain            certification paths, revocation, timestamps, OpenPGP keys at a time
    verification     pure: facts + trust view + question -> verdict, in numbered steps
    verifier         the shell around it for a file;  stored_verdict  for a package seen before
    decisions        one entry for every decision;  other_decisions  those that are not about one anchor
    anchor_approval  what people decide about a key;  anchor_rules  the pure rules of it
    audit            the signed log that the decision tables are a projection of
    query            the read-only questions;  storage  the rows below all of this
    client           how a command reaches the daemon;  cli, api  the edges

docs/architecture.md names the rest; import contracts in pyproject.toml hold the layers.
"""
