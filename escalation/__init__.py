"""Alerts, call sheets, scripts and deliveries: from a verdict to the one phone call that settles it.

    verdict -> rules -> alert, call sheet, script, outbox (one transaction) -> dispatch -> channel

Reading order::

    model            one frozen type a stage
    rules            which verdict alerts, how loudly, in which words (pure);  deduplication  when two are one
    redaction        keeps what the vendor must read out of everything shown (pure)
    triage           writes it down;  scripts  the call sheet and the script
    dispatch         sends what is due;  backoff  when to try again (pure);  delivery  one module a channel
    digest           once a day, for vendors that are only observed
    decisions        acknowledged and resolved
    config           where alerts go;  storage  the rows;  cli  the commands
"""
