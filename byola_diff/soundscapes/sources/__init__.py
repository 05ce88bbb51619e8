"""Recordings and procedural sounds that soundscapes are made of, and their preparation.

Public are the readers of `Library`, `ProceduralSounds`, and `SourceFile` with `prepare`.
"""
