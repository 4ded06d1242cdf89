"""What a document says about signing keys: pure, offline, explainable.

    text -> sentences -> rules (rules.toml) -> classify -> label
                                           \\-> claims <- fingerprints, dates, urls
    text -> blocks, cves

Read ``analyse`` first, then ``classify`` and ``rules.toml``. Nothing heard is trusted: a claim says who said it, and no more.
"""
