"""The commands about trust. Each reads its options, asks or decides through the packages below, and tells what came of it.

Reading order::

    check            asks the daemon by check_daemon, else itself by check_request and check_answers;  gate  acts on the answer
    package          the same about what was seen before;  path  a bare certification path, by path_request
    anchor           what is trusted; it mounts the modules ``anchor_*``
    deciding         how any command has a decision made
    baseline         sets of keys;  bundle, bundle_file  what other machines are given
    audit            the log;  audit_instance  a lost key, a restored backup
    output           lines that are written or an error;  verdict_text, anchor_text  for people;  exit_codes  for programs
    files            files to read and write;  key_folders  folders of keys;  json_line  one line of JSON

``monitor.cli`` mounts them by name, so that ``check`` imports no other.
"""
