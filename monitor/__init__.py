"""The running program: listens to vendors, watches the incoming folder, and assembles the two packages below.

    source -> fetch -> documents -> analysis -> claims, key material -> proposals        pipeline
    incoming folder -> facts -> verdict -> alert                                         intake, alerting
    people -> control socket -> decision -> packages judged again                        daemon

Reading order::

    config           the whole configuration
    fetch            the only code that opens a connection to a channel;  documents  bytes -> documents
    analysis         documents -> claims (pure);  extraction  one part of a document
    visits           one source read;  scheduler  when next;  pipeline  the shell of a poll;  ledger  how it ended
    intake_plan      what to do about files (pure);  intake_folder, intake  look and act
    places           where packages were seen;  matching  the proposal that fits a package
    alerting         facts to a verdict on record and its alert;  faults, fault_watch  an error about one item stops no other
    tamper_watch     what was changed behind the daemon's back
    jobs             what runs now and then;  control, serving  the two sockets
    process_setup    memory, log and end of the process;  daemon  all of it;  cli  the ``rootwarden`` command
"""
