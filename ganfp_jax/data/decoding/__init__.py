"""Decoding untrusted image files: kinds, limits of work and memory, processes that may be killed."""
