"""What a body is by its first bytes, whatever its headers say: so that a login page is never taken for a document. Pure."""

from __future__ import annotations

from monitor.fetch.protocol import Expected

PROLOGUE_BYTES = 64 * 1024
_FEED_ROOTS = frozenset({"rss", "feed", "rdf", "channel"})
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def mismatch(body: bytes, expected: Expected) -> str | None:
    """Why ``body`` cannot be what was asked for, or None."""
    if expected is Expected.ANYTHING:
        return None
    if expected is Expected.JSON:
        return None if _start(body)[:1] in (b"{", b"[") else f"not JSON but {_seen(body)}"
    root = root_name(body)
    if expected is Expected.KEY_FILE:
        return None if body and root is None else f"not a key file but {_seen(body)}"
    return None if root is not None and root.rpartition(":")[2] in _FEED_ROOTS else f"not a feed but {_seen(body)}"


def root_name(body: bytes) -> str | None:
    """The name of the first element, lower case, comments, doctype and processing instructions passed over; None if there is none."""
    text = _start(body)
    position = 0
    while position < len(text):
        if text[position : position + 1].isspace():
            position += 1
            continue
        if not text.startswith(b"<", position):
            return None
        for opening, closing in ((b"<!--", b"-->"), (b"<?", b"?>"), (b"<!", b">")):
            if text.startswith(opening, position):
                if text[position : position + 14].lower() == b"<!doctype html":
                    return "html"
                end = text.find(closing, position + len(opening))
                if opening == b"<!" and b"[" in text[position:end]:
                    closing, end = b"]>", text.find(b"]>", position)  # an internal subset has tags of its own
                if end < 0:
                    return None
                position = end + len(closing)
                break
        else:
            name = text[position + 1 : position + 65].split(b">", 1)[0].split(None, 1)
            return name[0].rstrip(b"/").decode("ascii", "replace").lower() if name else None
    return None


def _start(body: bytes) -> bytes:
    """The first bytes, without a byte order mark; UTF-16 is made plain so that its tags can be read."""
    head = body[:PROLOGUE_BYTES]
    for mark in _BOMS:
        if head.startswith(mark):
            head = head[len(mark) :]
    return head.replace(b"\x00", b"").lstrip()


def _seen(body: bytes) -> str:
    root = root_name(body)
    return f"a page that begins with <{root[:32]}>" if root else "something else" if body else "nothing"
