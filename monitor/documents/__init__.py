"""Document readers: bytes of one kind of channel in, frozen documents out. No I/O; hostile input expected."""
