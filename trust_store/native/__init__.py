"""Second opinions: native verifiers that are installed here, each asked about the formats and signatures it knows.

``protocol`` says what one is, ``running`` how a program is run on a file from outside, ``tools`` holds all there are, and ``comparison``
what their opinions mean beside a verdict. Nothing here makes a package pass; a program that rejects what passed keeps it from passing.
"""
