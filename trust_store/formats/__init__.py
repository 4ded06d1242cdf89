"""Package formats, one module each in ``readers``; ``registry.READERS`` is all there are: an explicit tuple, no registration by import.

Which of them reads a package is decided in ``detect``; each reads the package once, in the isolated worker. Nothing is imported here,
so that the process that only asks a worker loads no reader.
"""
