"""What Apple's stapler appends to a xar archive: a notarisation ticket between two records that say so. It is in no signature."""

from __future__ import annotations

import struct

_RECORD = struct.Struct("<4sHHII")
_MAGIC, _VERSION, _TERMINATOR, _TICKET = b"t8lr", 1, 1, 2
_TICKET_MAGIC = b"s8ch"
RECORD_BYTES = _RECORD.size
MAX_TICKET_BYTES = 1024 * 1024


def is_trailer(data: bytes) -> bool:
    """Whether ``data`` is exactly one trailer: an end mark, a ticket, and the record that gives the ticket's length."""
    ticket = data[RECORD_BYTES:-RECORD_BYTES]
    if not 0 < len(ticket) <= MAX_TICKET_BYTES or not ticket.startswith(_TICKET_MAGIC):
        return False
    first = _RECORD.unpack(data[:RECORD_BYTES])
    last = _RECORD.unpack(data[-RECORD_BYTES:])
    return first == (_MAGIC, _VERSION, _TERMINATOR, 0, 0) and last == (_MAGIC, _VERSION, _TICKET, len(ticket), 0)
