"""Signature schemes, one module each; ``schemes.SCHEMES`` is all there are.

Nothing is imported here, so that whoever needs the protocol alone loads no scheme.
"""
