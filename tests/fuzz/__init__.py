"""Mutated files of every format: no traceback, no hang, no nonsense taken for sound."""
